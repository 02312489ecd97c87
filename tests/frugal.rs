//! Sound asks for no memory: once a call talks, its frames pass through buffers that are there.
//!
//! An allocation costs little by itself, but fifty frames a second of hundreds of calls make it much, and what is asked for has to be
//! given back. Nobody sees it in a review, for a `clone` is short; so it is counted here, stage by stage.

#[path = "../benches/scene/mod.rs"]
mod scene;

use scene::STAGES;
use scene::house::House;
use scene::talk::{DELTAS, Talk};

/// Allocations in so many steps, by this thread.
fn allocations(steps: u32, mut step: impl FnMut()) -> u64 {
    allocation_counter::measure(|| (0..steps).for_each(|_| step())).count_total
}

/// Steps until everything has grown to its size: longer than the ear of a line, which keeps five seconds of the caller.
const WARM_UP: u32 = 600;

#[test]
fn no_stage_of_the_media_path_asks_for_memory_but_for_the_words_that_are_kept() {
    // An answer is made of more than sound: the two stages that begin new ones are looked at within one, below.
    for stage in STAGES
        .iter()
        .filter(|stage| !stage.name.ends_with(".delta"))
    {
        let mut step = (stage.new)();
        (0..WARM_UP).for_each(|_| step());
        let each = u64::from(stage.name == "words.read");
        // Some things are done every few frames only, so one step is not enough.
        assert_eq!(allocations(500, step), 500 * each, "{}", stage.name);
    }
}

#[test]
fn the_core_asks_for_no_memory_while_an_answer_is_spoken() {
    let mut talk = Talk::new();
    (0..DELTAS + 10).for_each(|_| talk.delta());
    assert_eq!(allocations(DELTAS - 10, || talk.delta()), 0);
    // The caller speaks over it. The next piece of the answer is never long in coming, or the model would count as lost.
    assert_eq!(allocations(100, || talk.frame()), 0);
}

#[test]
fn a_line_asks_for_no_memory_while_an_answer_is_spoken() {
    let mut house = House::new();
    (0..DELTAS + 10).for_each(|_| house.delta());
    assert_eq!(allocations(DELTAS - 10, || house.delta()), 0);
}

#[test]
fn an_answer_of_five_seconds_asks_for_memory_a_few_times_and_not_for_every_piece() {
    let mut house = House::new();
    (0..4 * DELTAS).for_each(|_| house.delta());
    // The names, the request, the words: what each turn is made of. The other sides' frames, written here, are about 40 of it.
    let asked = allocations(DELTAS, || house.delta());
    assert!(asked < 400, "{asked}");
}

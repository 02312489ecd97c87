//! How sessions are lost and replaced, and what the caller hears meanwhile.

use super::money::capped;
use super::script::{cents, play, play_of, rules};
use crate::call::rules::Rules;
use crate::pricing::ModelPrice;

#[test]
fn a_caller_whose_model_never_came_is_asked_for_patience_and_then_told() {
    let told = play(
        rules(),
        cents(500),
        "
        0.0   carrier   started
        30.0  wait
    ",
    );
    assert!(told.contains("9.2    sound     1 Moment"), "{told}");
    assert!(told.contains("12.0   carrier   say \"Sorry.\""), "{told}");
}

#[test]
fn nobody_is_asked_for_patience_before_the_call_is_answered() {
    let told = play(
        rules(),
        cents(500),
        "
        0.1  realtime  lost
        3.0  carrier   started
        4.0  standby   ready
        4.6  carrier   stopped
    ",
    );
    assert!(told.contains("3.7    sound     1 Moment"), "{told}");
    assert_eq!(told.matches("Moment").count(), 1, "{told}");
    assert!(told.contains("4.0    standby   takes-over"), "{told}");
}

/// An agent whose second model costs a third.
fn with_a_cheaper_one() -> Vec<Rules> {
    let dear = capped(8);
    let cheap = Rules {
        model: ModelPrice {
            text_in: 600,
            cached_text: 60,
            audio_in: 10_000,
            cached_audio: 300,
            text_out: 2_400,
            audio_out: 20_000,
            ..dear.model
        },
        model_name: "cheap".into(),
        ..dear.clone()
    };
    vec![dear, cheap]
}

#[test]
fn a_cheaper_model_hears_the_question_that_it_answers() {
    let told = play_of(
        with_a_cheaper_one(),
        cents(8),
        "
        0.1  carrier   started
        0.2  realtime  ready
        1.0  carrier   heard 1.0s
        1.0  realtime  turn you-1
        1.2  realtime  began r1
        1.3  realtime  spoke-all r1 me-1 20.0s
        1.4  realtime  done r1 completed 200 100 20 400
        1.5  standby   ready
        1.6  realtime  said you-1 Where is my order?
        1.7  realtime  said me-1 It is on its way.
        22.0 carrier   played 1:20020:g0
        23.0 realtime  caller-spoke
        24.0 carrier   heard 1.0s
        24.5 realtime  turn you-2
        24.6 carrier   heard 0.02s
        24.9 realtime  turn you-3
        25.0 wait
    ",
    );
    let at = |what: &str| {
        told.find(what)
            .unwrap_or_else(|| panic!("no {what} in\n{told}"))
    };
    assert!(
        at("standby   takes-over") < at("realtime  append 1500ms"),
        "{told}"
    );
    let asked: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("respond"))
        .collect();
    assert_eq!(asked.len(), 2, "{told}");
    assert!(
        asked[1].starts_with("24.9"),
        "not before it was heard: {told}"
    );
}

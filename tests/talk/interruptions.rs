//! Five hundred interruptions at random moments, on lines of three lengths.

use super::house::House;
use super::party::{self, Figures, Ringing, Talked, Watch, hangs_up, item_of, millis, says};
use super::renewals::MINUTES;
use ringfence::sim::dice::Dice;
use ringfence::sim::model::diary::What;
use ringfence::sim::phone::playout::Cleared;
use ringfence::sim::phone::{Line, Setup, Step, When};
use std::time::Instant;

/// One-way delay and jitter of each line, in milliseconds.
const LINES: [(u64, u64); 3] = [(0, 0), (40, 20), (150, 30)];
/// Calls on each of them.
const CALLS: usize = 16;
/// How long each talks, in milliseconds.
const TALK_MS: u64 = 28_000;
/// The least that counts.
const INTERRUPTIONS: usize = 500;
/// A frame: what a truncation may be wrong by on a line that does not jitter.
const FRAME_MS: i64 = 20;
/// What is cut and what the model is told of it leave the server together; so near they arrive.
const TOGETHER_MS: i64 = 80;

/// Speaks again at any time after the last words: while the agent is about to talk, when it just begins, or in the middle.
fn script(dice: &mut Dice) -> Vec<Step> {
    let mut script: Vec<Step> = (0..40)
        .map(|_| {
            let when = When::Follows {
                after_ms: 260 + dice.up_to(2_300),
            };
            says(when, 300 + dice.up_to(300), dice.roll())
        })
        .collect();
    script.push(hangs_up(When::At { ms: TALK_MS }));
    script
}

fn phone(house: &House, seed: u64, (delay_ms, jitter_ms): (u64, u64)) -> Setup {
    let mut setup = house.world.phone();
    let mut dice = Dice::new(seed);
    setup.script = script(&mut dice);
    setup.seed = seed;
    setup.line = Line {
        delay_ms,
        jitter_ms,
        lost_permille: 0,
    };
    setup
}

/// What became of one interruption.
struct Interruption {
    /// What the model was told was heard, less what was.
    error_ms: i64,
    /// From the model hearing the caller to the carrier being told, before the line's delay.
    clear_ms: i64,
    deleted: bool,
    at: Instant,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_interruptions_leave_in_the_models_memory_what_was_heard() {
    let began = Instant::now();
    let settings = [("turn_detection.silence_duration_ms", "200")];
    let manners = "greeting=8s answer=8s latency=150ms";
    let house = party::house(manners, &settings, LINES.len() * CALLS, MINUTES).await;
    let watch = Watch::begin();
    let calls: Vec<Ringing> = (0..LINES.len() * CALLS)
        .map(|n| {
            let setup = phone(&house, n as u64 + 1, LINES[n / CALLS]);
            Ringing::to(&house, n, setup)
        })
        .collect();
    let mut left_out = 0;
    let mut found: Vec<Vec<Interruption>> = LINES.iter().map(|_| Vec::new()).collect();
    for (n, call) in calls.into_iter().enumerate() {
        let talked = call.over(&house).await;
        assert!(talked.report.violations.is_empty(), "{n}");
        let (_, jitter_ms) = LINES[n / CALLS];
        let own = look(n, &talked, FRAME_MS + jitter_ms as i64);
        let before = own.len();
        let own = own.into_iter().filter(|cut| !watch.stalled(cut.at));
        let measured = found[n / CALLS].len();
        found[n / CALLS].extend(own);
        left_out += before - (found[n / CALLS].len() - measured);
    }
    let stalls = watch.end();
    println!(
        "the machine stood still {stalls} times; {left_out} interruptions around that are left out"
    );
    judge(&found);
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
    house.world.stop().await;
}

fn judge(found: &[Vec<Interruption>]) {
    for ((delay_ms, jitter_ms), found) in LINES.iter().zip(found) {
        let errors = Figures::of(found.iter().map(|cut| cut.error_ms));
        let sizes = Figures::of(found.iter().map(|cut| cut.error_ms.abs()));
        let deleted = found.iter().filter(|cut| cut.deleted).count();
        println!("{delay_ms} ms and {jitter_ms} ms of jitter: error, {errors}");
        println!("    its size, {sizes}; {deleted} deleted, for nothing was heard");
    }
    let clears = Figures::of(found.iter().flatten().map(|cut| cut.clear_ms));
    println!("clear, {clears}");
    assert!(clears.count() >= INTERRUPTIONS, "{} cuts", clears.count());
    for ((delay_ms, jitter_ms), found) in LINES.iter().zip(found) {
        let most = FRAME_MS + *jitter_ms as i64;
        let wrong = found.iter().filter(|cut| cut.error_ms.abs() > most);
        assert_eq!(wrong.count(), 0, "wrong at {delay_ms} ms");
    }
    assert!(clears.permille(990) <= 5, "{clears}");
}

/// What the model was told at each `clear` of a call, against what its phone had played.
fn look(n: usize, talked: &Talked, most_ms: i64) -> Vec<Interruption> {
    let noted = talked.noted();
    for (_, what) in &noted {
        assert!(!matches!(what, What::Complained(_)), "{n}: {what:?}");
    }
    let clears = &talked.report.clears;
    // The caller may have hung up while the last `clear` was on its way.
    let end = talked.at(talked.report.answered_ms.unwrap_or(0) + TALK_MS - 200);
    let mut found = Vec::new();
    for clear in clears {
        nothing_is_heard_afterwards(n, talked, clear);
        let told: Vec<(i64, bool)> = told(talked, clear, &noted);
        let [(heard_ms, deleted)] = told[..] else {
            // All of it had been played, and only its marks were late; or nothing of it had been sent.
            assert!(told.is_empty(), "{n}: told of {} items at once", told.len());
            assert!(
                clear.dropped <= 8 * 22,
                "{n}: {clear:?} and nobody was told"
            );
            continue;
        };
        let error_ms = heard_ms - played_ms(talked, clear, deleted);
        if error_ms.abs() > most_ms {
            println!("call {n}: told {heard_ms}, wrong by {error_ms}: {clear:?}");
        }
        let heard = noted.iter().rev().find(|(at, what)| {
            matches!(what, What::SpeechStarted) && millis(*at, talked.at(clear.came_ms)) >= -1
        });
        let (heard_at, _) = heard.expect("the caller was heard");
        // Both clocks count whole milliseconds, so it is never told shorter than it was.
        let clear_ms = millis(*heard_at, talked.at(clear.came_ms)) + 1;
        if millis(talked.at(clear.came_ms), end) <= 0 {
            continue;
        }
        found.push(Interruption {
            error_ms,
            clear_ms,
            deleted,
            at: talked.at(clear.came_ms),
        });
    }
    let cuts = noted.iter();
    let cuts =
        cuts.filter(|(at, what)| matches!(what, What::Truncated { .. }) && millis(*at, end) > 0);
    let truncated = found.iter().filter(|cut| !cut.deleted).count();
    assert_eq!(cuts.count(), truncated, "{n}: each cut belongs to a clear");
    found
}

/// What was heard of the items that the model was told of at this `clear`; and whether they were deleted.
fn told(talked: &Talked, clear: &Cleared, noted: &[(Instant, &What)]) -> Vec<(i64, bool)> {
    let came = talked.at(clear.came_ms);
    let near = |at: &Instant| millis(*at, came).abs() <= TOGETHER_MS;
    let spoken = noted.iter().rev().find_map(|(at, what)| match what {
        What::Spoke { item } if millis(*at, came) > 0 => Some(item),
        _ => None,
    });
    let told = noted.iter().filter(|(at, _)| near(at));
    told.filter_map(|(_, what)| match what {
        What::Truncated { audio_end_ms, .. } => {
            assert!(*audio_end_ms > 0, "what was not heard at all is deleted");
            Some((*audio_end_ms as i64, false))
        }
        // Others are old, and replaced by their words; or came too late to be sent on.
        What::Deleted { item } if Some(item) == spoken => Some((0, true)),
        _ => None,
    })
    .collect()
}

/// How much the phone had played of the item that this `clear` cut.
fn played_ms(talked: &Talked, clear: &Cleared, deleted: bool) -> i64 {
    let before = &talked.report.stretches[..clear.after];
    let Some(last) = before.last() else { return 0 };
    let item = item_of(last);
    // What is deleted may not have been sent at all; then the last that was is another, and was heard whole.
    if deleted && !last.cut {
        return 0;
    }
    let own = before.iter().filter(|stretch| item_of(stretch) == item);
    own.map(|stretch| stretch.played).sum::<u64>() as i64 / 8
}

/// Nothing of the cut item plays after its cut: whatever comes is of another.
fn nothing_is_heard_afterwards(n: usize, talked: &Talked, clear: &Cleared) {
    let (before, after) = talked.report.stretches.split_at(clear.after);
    let last = before.iter().filter_map(item_of).max();
    let late = after.iter().filter(|stretch| item_of(stretch) <= last);
    let late: u64 = late.map(|stretch| stretch.played).sum();
    assert_eq!(late, 0, "{n}: samples of a cut item after {clear:?}");
}

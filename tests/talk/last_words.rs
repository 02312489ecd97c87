//! The last words of a call are heard whole, whatever becomes of the sessions around them.

use super::losses::the_call_was_kept_until;
use super::party::{self, Ringing, item_of, millis, says};
use ringfence::call::record::{Cause, Ending};
use ringfence::sim::dice::Dice;
use ringfence::sim::model::diary::Strike;
use ringfence::sim::phone::When;
use std::time::{Duration, Instant};

const CALLS: usize = 24;
/// The goodbye of the model, in milliseconds.
const GOODBYE_MS: u64 = 2_000;
/// The cap on duration, so that the goodbye begins some seconds before.
const SHORT: &str = r#"{ warn = "5s", end = "30s" }"#;
/// When a session is lost: around the goodbye.
const LOST_MS: (u64, u64) = (11_000, 9_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_are_heard_whole_with_losses_and_renewals_around_them() {
    let began = Instant::now();
    let manners =
        "greeting=1s answer=1s latency=250ms goodbye=2s expire=9s transcription=late:300ms";
    let house = party::house(manners, &[], CALLS, SHORT).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|agent| {
            let mut dice = Dice::new(70 + agent as u64);
            let mut setup = house.world.phone();
            for _ in 0..20 {
                setup
                    .script
                    .push(says(When::Replies { after_ms: 500 }, 800, dice.roll()));
            }
            let model = house.world.model.clone();
            let lost_ms = LOST_MS.0 + dice.up_to(LOST_MS.1);
            let strike = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(lost_ms)).await;
                let now = Instant::now();
                model
                    .strike(&party::instructions(agent), Strike::Drop)
                    .then_some(now)
            });
            (Ringing::to(&house, agent, setup), strike)
        })
        .collect();
    let (mut by_model, mut by_carrier, mut struck) = (0, 0, 0);
    for (n, (call, strike)) in calls.into_iter().enumerate() {
        let talked = call.over(&house).await;
        let lost = strike.await.expect("a strike");
        struck += usize::from(lost.is_some());
        the_call_was_kept_until(n, &talked, Ending::SaidGoodbye(Cause::Duration));
        let report = &talked.report;
        let last = report.stretches.last().and_then(item_of);
        let own = report
            .stretches
            .iter()
            .filter(|stretch| item_of(stretch) == last);
        let played: u64 = own.clone().map(|stretch| stretch.played).sum();
        let sent: u64 = own.map(|stretch| stretch.sent).sum();
        let told = || {
            let moments = report.timeline.iter().map(ToString::to_string);
            let lost = lost.map(|at| millis(talked.began, at));
            format!(
                "{n}: lost at {lost:?}\n{}",
                moments.collect::<Vec<_>>().join("\n")
            )
        };
        if report.says.is_empty() {
            assert_eq!(played, sent, "{}", told());
            assert!(played >= GOODBYE_MS * 8, "{}", told());
            by_model += 1;
        } else {
            by_carrier += 1;
        }
    }
    println!(
        "{CALLS} goodbyes, {struck} sessions lost around them: {by_model} by the model, {by_carrier} by the carrier"
    );
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
    assert_eq!(by_model + by_carrier, CALLS);
    house.world.stop().await;
}

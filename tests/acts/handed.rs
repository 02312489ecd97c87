//! A caller who is handed over: to whom the configuration says and nobody else, and paid for to the started minute.

use super::agent::{SALES, agent, hangs_up, outcomes, says, with_sales};
use super::house::{House, until};
use futures_util::future::join_all;
use ringfence::call::record::{Ending, Summary, What};
use ringfence::call::tools::Outcome;
use ringfence::ledger::{Books, verify};
use ringfence::sim::phone::rest::Answering;
use ringfence::sim::phone::timeline::What as Seen;
use ringfence::sim::phone::{Leg, Pickup, Report};
use ringfence::sim::voice::speech;
use ringfence::units::Usd;

/// The carrier's name for the first call of a world.
const FIRST: &str = "CA00000000000000000000000000000001";

/// A house whose agent hands every caller to sales.
async fn house() -> House {
    let words = "tool=transfer:{\"to\":\"sales\"} tool-speech";
    House::open(&agent(words, "[\"transfer\"]", &[], &with_sales())).await
}

/// Calls, says something, and is handed over to somebody who does this.
async fn handed(house: &House, leg: Leg) -> (Report, Summary) {
    let mut caller = house.world.phone();
    caller.script = vec![says(&speech(900, 3))];
    caller.leg = leg;
    house.call(caller).await
}

/// Calls, says something, and hangs up when the agent has answered: there is nobody else to talk to.
async fn left(house: &House) -> (Report, Summary) {
    let mut caller = house.world.phone();
    caller.script = vec![says(&speech(900, 3)), hangs_up()];
    house.call(caller).await
}

/// What the ledger, the budgets and the carrier say of a call is the same.
async fn agree(house: &House, report: &Report, summary: &Summary, leg: Usd) {
    house.books_agree().await;
    let facts = house.facts.about(&report.call_sid);
    let sum = |is: fn(&What) -> bool| -> Usd {
        let own = facts.iter().filter(|fact| is(&fact.what));
        own.map(|fact| fact.what.cost()).sum()
    };
    assert_eq!(sum(|what| matches!(what, What::Leg { .. })), leg);
    assert_eq!(summary.minutes, report.billed_minutes);
    let own = Usd::from_micros(12_500).times(report.billed_minutes);
    let sentence = sum(|what| matches!(what, What::Sentence { .. }));
    assert_eq!(summary.cost.carrier, own.plus(leg).plus(sentence));
    let ledger = &house.world.server.ledger;
    ledger.flush().await.expect("on disk");
    let mut books = Books::open(ledger.path()).await.expect("books");
    let lines = books.call(&report.call_sid).await.expect("its lines");
    assert_eq!(verify(&lines), []);
}

async fn a_caller_who_was_handed_over_is_charged_the_started_minutes_of_both_lines() {
    let minute = Usd::from_micros(14_000);
    let legs = [
        (Pickup::Answers, 1_500, true, minute),
        (Pickup::Busy, 0, false, Usd::ZERO),
        (Pickup::Never, 0, false, Usd::ZERO),
    ];
    join_all(legs.map(|(pickup, talk_ms, talks, cost)| async move {
        let house = house().await;
        let leg = Leg {
            pickup,
            ring_ms: 700,
            talk_ms,
        };
        let budget = &house.world.server.budget;
        let held = async {
            // While they talk, all that it may cost is set aside above the call.
            let own = || house.facts.about(FIRST);
            let away = || {
                own()
                    .iter()
                    .any(|fact| matches!(fact.what, What::Transferred))
            };
            until("the caller is handed over", away).await;
            let reserved = budget.reserved();
            let bound = own().iter().find_map(|fact| match fact.what {
                What::Transferring { bound, .. } => Some(bound),
                _ => None,
            });
            (reserved, bound.expect("a bound"))
        };
        let ((report, summary), (reserved, bound)) = tokio::join!(handed(&house, leg), held);
        assert!(reserved >= bound, "{reserved} of {bound}");
        assert_eq!(
            summary.ending,
            Some(Ending::Transferred),
            "{:#?}",
            report.timeline
        );
        let dials = report.timeline.iter().any(|m| m.what == Seen::Dials);
        let bridged = report.timeline.iter().any(|m| m.what == Seen::Bridged);
        assert_eq!((dials, bridged), (true, talks), "{:#?}", report.timeline);
        println!("{pickup:?}: {reserved} held of {bound}, {:?}", summary.cost);
        agree(&house, &report, &summary, cost).await;
    }))
    .await;
}

async fn a_carrier_that_refuses_leaves_the_caller_with_the_agent() {
    let house = house().await;
    let refusal = (400, "{\"code\":21220,\"message\":\"no\"}".to_string());
    let refuses = Answering {
        refused: Some(refusal),
        ..Answering::default()
    };
    house.world.rest.expect(SALES, refuses);
    let (report, summary) = left(&house).await;
    assert_eq!(
        summary.ending,
        Some(Ending::CallerHungUp),
        "{:#?}",
        report.timeline
    );
    let facts = house.facts.about(&report.call_sid);
    let failed = facts
        .iter()
        .filter(|fact| matches!(fact.what, What::NotTransferred));
    assert_eq!(failed.count(), 1);
    assert!(!report.timeline.iter().any(|m| m.what == Seen::Dials));
    agree(&house, &report, &summary, Usd::ZERO).await;
    let told = house.world.model.told();
    let why = "The transfer did not work: nobody could be dialled.";
    assert_eq!(told, [why]);
}

async fn a_caller_who_talks_the_model_into_a_premium_number_reaches_nobody() {
    let numbers = ["+19005551234", SALES];
    join_all(numbers.map(|number| async move {
        let words = format!("tool=transfer:{{\"to\":\"{number}\"}}");
        let house = House::open(&agent(&words, "[\"transfer\"]", &[], &with_sales())).await;
        let (report, summary) = left(&house).await;
        assert_eq!(summary.ending, Some(Ending::CallerHungUp));
        let facts = house.facts.about(&report.call_sid);
        assert_eq!(
            outcomes(&facts),
            [("transfer".to_string(), Outcome::Misfit)]
        );
        let documents = house.world.rest.requests().into_iter().flat_map(|r| r.form);
        let dialled: Vec<_> = documents
            .filter(|(name, _)| name == "Twiml" || name == "To")
            .collect();
        assert_eq!(dialled, []);
        assert!(!report.timeline.iter().any(|m| m.what == Seen::Dials));
        agree(&house, &report, &summary, Usd::ZERO).await;
        let told = house.world.model.told();
        assert_eq!(
            told,
            ["The caller cannot be handed over to that. You may say: sales."]
        );
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_handed_over_to_whom_the_configuration_says_or_stays_with_the_agent() {
    // All at once, for each is mostly waiting.
    tokio::join!(
        a_caller_who_was_handed_over_is_charged_the_started_minutes_of_both_lines(),
        a_carrier_that_refuses_leaves_the_caller_with_the_agent(),
        a_caller_who_talks_the_model_into_a_premium_number_reaches_nobody(),
    );
}

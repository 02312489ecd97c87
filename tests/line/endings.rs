//! However a call ends, the caller is told, the model's bill is ours, and nothing is left over.

use super::house::{House, hangs_up_after, plan, says_and_hangs_up, until};
use ringfence::call::record::{Cause, Ending, Goodbye, What};
use ringfence::cli::world::Plan;
use ringfence::sim::phone;
use ringfence::sim::phone::{Act, Step, When};
use ringfence::sim::voice::speech;
use ringfence::units::Usd;
use std::time::{Duration, Instant};

/// The beginning of an agent's `trouble_sentence`.
const TROUBLE: &str = "I am sorry, there is a technical problem";

#[tokio::test]
async fn a_model_that_cannot_be_had_is_an_apology_and_not_a_silence() {
    let troubles = [
        (
            "nobody answers",
            Plan {
                model_unreachable: true,
                ..Plan::default()
            },
        ),
        (
            "the key is refused",
            Plan {
                accept_key: Some("sk-another".to_string()),
                ..Plan::default()
            },
        ),
        ("the settings are refused", plan("update=rejected", &[])),
        (
            "the settings are never confirmed",
            plan("update=ignored", &[]),
        ),
        (
            "the settings are not those asked for",
            plan("update=differs", &[]),
        ),
    ];
    let calls = troubles.iter().map(|(what, plan)| async move {
        let began = Instant::now();
        let house = House::open(plan).await;
        let (report, summary) = house.call(house.world.phone()).await;
        assert_eq!(report.says.len(), 1, "{what}: {:#?}", report.timeline);
        assert!(
            report.says[0].starts_with(TROUBLE),
            "{what}: {:?}",
            report.says
        );
        assert!(
            report.violations.is_empty(),
            "{what}: {:#?}",
            report.timeline
        );
        assert_eq!(summary.goodbye, Goodbye::Carrier, "{what}");
        assert_eq!(
            summary.cost.model.nanos(),
            0,
            "{what}: nothing was asked, nothing is owed"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        house.books_agree().await;
        house.world.stop().await;
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn what_a_call_cost_is_the_models_invoice_whatever_the_caller_does() {
    let house = House::open(&plan("greeting=1200ms latency=200ms goodbye=1s", &[])).await;
    let long = speech(2500, 11);
    let cuts_in = vec![
        Step {
            when: When::Replies { after_ms: 400 },
            act: Act::Say(long.clone().into()),
        },
        Step {
            when: When::Interrupts { after_ms: 700 },
            act: Act::Say(speech(900, 12).into()),
        },
        Step {
            when: When::Replies { after_ms: 1500 },
            act: Act::HangUp,
        },
    ];
    let scripts = [says_and_hangs_up(&long), cuts_in, hangs_up_after(4000)];
    let calls = scripts.into_iter().map(|script| {
        let mut setup = house.world.phone();
        setup.script = script;
        house.call(setup)
    });
    let ended = futures_util::future::join_all(calls).await;
    house.books_agree().await;
    let interruptions: Vec<u32> = ended
        .iter()
        .map(|(_, summary)| summary.interruptions)
        .collect();
    assert_eq!(interruptions, [0, 1, 0]);
    for (report, summary) in &ended {
        assert!(report.violations.is_empty(), "{:#?}", report.timeline);
        assert_eq!(summary.minutes, report.billed_minutes);
    }
}

#[tokio::test]
async fn what_was_asked_and_never_reported_is_charged_at_no_less_than_the_invoice() {
    // Hangs up while the model is answering: nobody will ever report on that answer.
    let house = House::open(&plan(
        "greeting=600ms latency=200ms answer=20s speed=1x",
        &[],
    ))
    .await;
    let mut setup = house.world.phone();
    setup.script = vec![
        Step {
            when: When::Replies { after_ms: 400 },
            act: Act::Say(speech(1500, 4).into()),
        },
        Step {
            when: When::Interrupts { after_ms: 1500 },
            act: Act::HangUp,
        },
    ];
    let call = setup.call_sid.clone();
    let (_, summary) = house.call(setup).await;
    until("the session is closed", || house.world.model.live() == 0).await;
    let invoice = house.world.model.total();
    let written = summary.cost.model.plus(summary.cost.transcription);
    assert!(written > invoice, "{written} written, {invoice} billed");
    let facts = house.facts.about(&call);
    assert!(
        facts
            .iter()
            .any(|fact| matches!(fact.what, What::Unreported { .. })),
        "{facts:#?}"
    );
}

#[tokio::test]
async fn a_server_told_to_stop_says_goodbye_and_hangs_up_and_lets_nobody_in() {
    let house = House::open(&plan("greeting=600ms goodbye=2s latency=200ms", &[])).await;
    let (setup, wires) = (house.world.phone(), house.world.wires());
    let (call, address) = (setup.call_sid.clone(), house.world.server.address);
    let (rest, facts, model) = (
        house.world.rest.clone(),
        house.facts.clone(),
        house.world.model.clone(),
    );
    let late = house.world.phone();
    let phone = tokio::spawn(async move { phone::call::call(setup, &wires).await });
    until("the greeting is under way", || {
        model.sessions() == 1 && !facts.about(&call).is_empty()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(2500)).await;

    let wires = house.world.wires();
    let stop = tokio::spawn(house.world.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = phone::call::call(late, &wires).await.expect("a call");
    assert_eq!(
        (refused.ending, refused.billed_minutes),
        (Some(phone::Ending::Rejected), 0)
    );

    let report = phone.await.expect("no panic").expect("a call");
    assert_eq!(stop.await.expect("no panic"), 0, "nobody was cut off");
    let summary = facts.summary(&call).await;
    assert_eq!(summary.ending, Some(Ending::SaidGoodbye(Cause::Drain)));
    assert_eq!((summary.goodbye, report.says.len()), (Goodbye::Model, 0));
    // Two seconds of humming: what is loud of it is more than one, and none of it is greeting.
    let last = &report.heard[report.heard.len().saturating_sub(8 * 2600)..];
    let loud = last
        .iter()
        .filter(|sample| sample.unsigned_abs() > 400)
        .count();
    assert!(
        loud > 8000,
        "{loud} loud samples at the end\n{:#?}",
        report.timeline
    );
    assert!(report.violations.is_empty(), "{:#?}", report.timeline);

    let asked: Vec<(String, String)> = rest
        .requests()
        .into_iter()
        .filter(|request| request.call_sid == call)
        .flat_map(|request| request.form)
        .collect();
    let expected = [("TimeLimit", "310"), ("Status", "completed")]
        .map(|(n, v)| (n.to_string(), v.to_string()));
    assert_eq!(asked, expected, "armed at the answer, ended at the end");
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test]
async fn a_minute_of_a_toll_free_number_costs_what_a_toll_free_minute_costs() {
    let house = House::open(&plan("greeting=600ms", &[])).await;
    let mut setup = house.world.phone();
    setup.to = "+18005550100".to_string();
    setup.script = hangs_up_after(1500);
    let (_, summary) = house.call(setup).await;
    // 0.0220 for the call and 0.0040 for the stream, although the agent answers any number.
    assert_eq!(summary.cost.carrier, Usd::from_micros(26_000));
}

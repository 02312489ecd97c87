//! Calls that are placed, and what becomes of them.

use super::desk::{CALLEE, Desk, OURS, outbound};
use super::house::{hangs_up_after, says_and_hangs_up};
use ringfence::ledger::{Books, verify};
use ringfence::sim::phone::rest::Answering;
use ringfence::sim::phone::{Ending, Pickup};
use ringfence::units::Usd;

/// A loud tone of two seconds: speech, to whoever listens for loudness.
fn speech() -> Vec<i16> {
    (0..16_000)
        .map(|n| if n / 20 % 2 == 0 { 9_000 } else { -9_000 })
        .collect()
}

#[tokio::test]
async fn a_call_is_placed_talked_through_and_charged_at_its_own_price() {
    let desk = Desk::open(&outbound(&[])).await;
    let rest = &desk.house.world.rest;
    let callee = Answering {
        ring_ms: 300,
        script: says_and_hangs_up(&speech()),
        ..Answering::default()
    };
    rest.expect(CALLEE, callee);
    let (status, paper) = desk.call(CALLEE).await;
    assert_eq!(status, 201, "{paper}");
    let carrier_call = paper["carrier_call"].as_str().expect("a name").to_string();
    let report = desk.report().await;
    assert_eq!(report.call_sid, carrier_call);
    assert_eq!(
        report.ending,
        Some(Ending::CallerHungUp),
        "{:?}",
        report.timeline
    );
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    let summary = desk.house.facts.summary(&carrier_call).await;
    assert!(summary.answered && summary.turns >= 2, "{summary:?}");
    // 0.0140 for the connection, 0.0040 for the stream, and 0.0075 for listening who answered.
    assert_eq!(summary.cost.carrier, Usd::from_micros(25_500));
    let rows = desk.rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].call, paper["call"].as_str().expect("our name"));
    assert_eq!(rows[0].carrier_call, carrier_call);
    assert_eq!(
        (&*rows[0].from, &*rows[0].to),
        ("+1500•••0006", "+1415•••0123")
    );
    let mut books = Books::open(desk.house.world.server.ledger.path())
        .await
        .expect("books");
    let lines = books.call(&carrier_call).await.expect("its lines");
    assert_eq!(verify(&lines), []);
    let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(events[..3], ["call.opened", "call.dialled", "call.fee"]);
    assert_eq!(lines[0].json()["cap_nanos"], 500_000_000, "the whole cap");
    let budget = &desk.house.world.server.budget;
    let spent = summary.cost.total();
    assert_eq!((budget.spent(), budget.reserved()), (spent, Usd::ZERO));
    assert_eq!(desk.placed(), 1);
}

#[tokio::test]
async fn a_caller_and_a_callee_are_charged_each_their_own_minute() {
    let desk = Desk::open(&outbound(&[("carrier.twilio.machine_detection", "false")])).await;
    let callee = Answering {
        script: hangs_up_after(2_500),
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    let mut caller = desk.house.world.phone();
    caller.to = OURS.to_string();
    caller.script = hangs_up_after(2_500);
    let ((_, inbound), (status, paper)) = tokio::join!(desk.house.call(caller), desk.call(CALLEE));
    assert_eq!(status, 201, "{paper}");
    let carrier_call = paper["carrier_call"].as_str().expect("a name");
    let outbound = desk.house.facts.summary(carrier_call).await;
    assert_eq!(inbound.cost.carrier, Usd::from_micros(12_500));
    assert_eq!(outbound.cost.carrier, Usd::from_micros(18_000));
    desk.report().await;
    desk.house.books_agree().await;
}

#[tokio::test]
async fn the_carrier_is_asked_for_a_call_with_a_limit_and_to_tell_us_everything() {
    let desk = Desk::open(&outbound(&[])).await;
    let rest = &desk.house.world.rest;
    let callee = Answering {
        script: hangs_up_after(300),
        ..Answering::default()
    };
    rest.expect(CALLEE, callee);
    let (_, paper) = desk.call(CALLEE).await;
    let form = rest.requests().remove(0).form;
    let field = |name: &str| {
        let found = form.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let call = paper["call"].as_str().expect("our name");
    let (url, name) = (desk.url(), format!("?call={call}"));
    assert_eq!((field("To"), field("From")), (CALLEE.into(), OURS.into()));
    assert_eq!(field("Url"), format!("{url}/twilio/voice{name}"));
    assert_eq!(
        field("StatusCallback"),
        format!("{url}/twilio/status{name}")
    );
    assert_eq!((&*field("Timeout"), &*field("TimeLimit")), ("30", "310"));
    assert_eq!(
        (&*field("MachineDetection"), &*field("AsyncAmd")),
        ("Enable", "true")
    );
    desk.report().await;
    desk.rows().await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_free_and_closed_in_the_ledger() {
    for (pickup, cause) in [
        (Pickup::Busy, "busy"),
        (Pickup::Never, "no-answer"),
        (Pickup::Fails, "failed"),
    ] {
        let desk = Desk::open(&outbound(&[])).await;
        let callee = Answering {
            pickup,
            ring_ms: 400,
            ..Answering::default()
        };
        desk.house.world.rest.expect(CALLEE, callee);
        let (status, paper) = desk.call(CALLEE).await;
        assert_eq!(
            (status, desk.house.world.server.calls()),
            (201, 1),
            "{paper}"
        );
        let report = desk.report().await;
        assert_eq!(report.billed_minutes, 0);
        let rows = desk.rows().await;
        let row = &rows[0];
        assert_eq!(row.ending.as_deref(), Some("refused"));
        assert_eq!(row.cause.as_deref(), Some(cause));
        assert_eq!((row.cost.spent, desk.is_free()), (Usd::ZERO, true));
        assert_eq!(
            Some(row.carrier_call.as_str()),
            paper["carrier_call"].as_str()
        );
        assert_eq!(desk.house.world.model.sessions(), 0);
    }
}

#[tokio::test]
async fn a_server_that_stops_waits_for_nobody_who_has_not_answered() {
    let desk = Desk::open(&outbound(&[])).await;
    let callee = Answering {
        ring_ms: 60_000,
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    assert_eq!(desk.call(CALLEE).await.0, 201);
    let rest = desk.house.world.rest.clone();
    let budget = desk.house.world.server.budget.clone();
    assert_eq!(desk.house.world.stop().await, 0, "nobody was cut off");
    let report = &rest.reports()[0];
    assert_eq!(
        (report.ending, report.billed_minutes),
        (Some(Ending::Completed), 0)
    );
    assert!(budget.spent().is_zero() && budget.reserved().is_zero());
}

#[tokio::test]
async fn the_same_request_twice_dials_once_and_another_under_its_key_is_refused() {
    let desk = Desk::open(&outbound(&[])).await;
    let callee = Answering {
        pickup: Pickup::Busy,
        ring_ms: 200,
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    let body = format!(r#"{{"to":"{CALLEE}","agent":"desk"}}"#);
    let (first, second) = tokio::join!(
        desk.dial(&body, Some("key-1")),
        desk.dial(&body, Some("key-1"))
    );
    assert_eq!(first, second);
    assert_eq!(desk.dial(&body, Some("key-1")).await, first);
    assert_eq!((first.0, desk.placed()), (201, 1));
    let other = format!(r#"{{"to":"{CALLEE}","agent":"desk","from":"{OURS}"}}"#);
    assert_eq!(desk.dial(&other, Some("key-1")).await.0, 409);
    assert_eq!(desk.dial(&body, Some("key-2")).await.0, 201);
    assert_eq!(desk.placed(), 2);
    desk.rows().await;
}

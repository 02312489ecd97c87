//! What the carrier says afterwards becomes a line of the call, once, and changes nothing that was charged.

use super::desk::Desk;
use ringfence::carrier::{CARRIERS, Status};
use ringfence::cli::world::{ACCOUNT, AUTH_TOKEN, Plan, World};
use ringfence::config::USUAL_RATES;
use ringfence::http::true_up::TrueUp;
use ringfence::ledger::statement::carrier_records;
use ringfence::ledger::{Books, CarrierRecord, Entry, verify};
use ringfence::requests::Requests;
use ringfence::sim::phone::{Act, Step, When};
use ringfence::units::{Id, Usd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the real server would do a minute later, of the same world.
fn true_up(world: &World) -> Arc<TrueUp> {
    let settings = ringfence::carrier::Settings {
        public_url: String::new(),
        api_base: world.rest.base().to_string(),
        account: ACCOUNT.to_string(),
        auth_token: AUTH_TOKEN.to_string().into(),
        verify_signature: true,
    };
    let requests = Requests::new(settings.account.clone(), settings.auth_token.clone());
    let carrier = Arc::from((CARRIERS[0].1)(settings));
    let requests = requests.expect("requests");
    let ledger = world.server.ledger.clone();
    Arc::new(TrueUp::new(ledger, requests, carrier, USUAL_RATES))
}

async fn lines(desk: &Desk, call: &str) -> Vec<Entry> {
    let mut books = Books::open(&desk.path()).await.expect("books");
    books.call(call).await.expect("lines")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_carriers_account_is_added_once_and_its_price_when_there_is_one() {
    let desk = Desk::new();
    let plan = Plan {
        model: "greeting=600ms latency=50ms".to_string(),
        ledger: Some(desk.path()),
        ..Plan::default()
    };
    let world = World::start(&plan).await.expect("a world");
    let mut phone = world.phone();
    let call = phone.call_sid.clone();
    phone.script = vec![Step {
        when: When::Replies { after_ms: 400 },
        act: Act::HangUp,
    }];
    world.call(phone).await.expect("a call");
    // The phone's own status callback.
    let began = Instant::now();
    let told = loop {
        let lines = lines(&desk, &call).await;
        let is_over = lines.iter().any(|line| line.event == "call.ended");
        if let ([told], true) = (carrier_records(&lines).as_slice(), is_over) {
            break *told;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{lines:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((told.minutes, told.price), (Some(1), None));
    let true_up = true_up(&world);
    let carrier_call = Id::from(call.as_str());
    let status = Status {
        carrier_call: carrier_call.clone(),
        state: "completed".to_string(),
        is_over: true,
        duration_s: told.duration_s,
        billed_minutes: told.minutes,
        sent_at_s: None,
        sequence: None,
        answered_by: None,
    };
    true_up.clone().told(status).await;
    assert!(!true_up.ask(&carrier_call).await, "it is not rated yet");
    assert_eq!(carrier_records(&lines(&desk, &call).await), [told]);
    assert!(true_up.ask(&carrier_call).await, "now it is");
    assert!(true_up.ask(&carrier_call).await, "and nothing is new");
    let rated = CarrierRecord {
        price: Some(Usd::from_micros(8_500)),
        ..told
    };
    let lines = lines(&desk, &call).await;
    assert_eq!(carrier_records(&lines), [told, rated]);
    assert_eq!(verify(&lines), []);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_were_refused_or_are_nobodys_get_no_line() {
    let desk = Desk::new();
    desk.day().await.close().await;
    let plan = Plan {
        ledger: Some(desk.path()),
        ..Plan::default()
    };
    let world = World::start(&plan).await.expect("a world");
    let true_up = true_up(&world);
    for call in ["CA-rf-late", "CA-of-somebody"] {
        let before = lines(&desk, call).await;
        let status = Status {
            carrier_call: Id::from(call),
            state: "busy".to_string(),
            is_over: true,
            duration_s: Some(0),
            billed_minutes: None,
            sent_at_s: None,
            sequence: None,
            answered_by: None,
        };
        true_up.clone().told(status).await;
        assert_eq!(lines(&desk, call).await, before);
    }
    world.stop().await;
}

//! The API as a value: what it changes, what it tells, and whom it refuses.

use super::*;
use crate::sim::phone::Setup;
use serde_json::{Value, json};

const PATH: &str = "/2010-04-01/Accounts/AC1/Calls/CA1.json";
/// `AC1:secret`.
const KEY: Option<&str> = Some("Basic QUMxOnNlY3JldA==");

#[test]
fn a_live_call_is_limited_and_ended_and_then_gone() {
    let mut rest = Rest::new("AC1", "secret");
    rest.begin("CA1");
    let mut post = |body: &str| rest.answer("POST", PATH, KEY, body);
    let limited = post("TimeLimit=330").order;
    assert_eq!(
        limited,
        Some(("CA1".to_owned(), Order::Limit { seconds: 330 }))
    );
    assert_eq!(
        post("Status=completed").order,
        Some(("CA1".to_owned(), Order::Complete))
    );
    assert_eq!(post("TimeLimit=59").status, 400);
    let handed_over = post("Twiml=%3CResponse/%3E&TimeLimit=600").order;
    let document = Order::Document("<Response/>".to_owned());
    assert_eq!(handed_over, Some(("CA1".to_owned(), document)));
    assert_eq!(post(&format!("Twiml={}", "x".repeat(4_001))).status, 400);
    rest.end("CA1");
    let gone = rest.answer("POST", PATH, KEY, "Status=completed");
    assert_eq!((gone.status, gone.body.contains("20404")), (404, true));
    let statuses: Vec<u16> = rest
        .requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [200, 200, 400, 200, 400, 404]);
}

fn read(rest: &mut Rest) -> (u16, Value) {
    let answer = rest.answer("GET", PATH, KEY, "");
    let record = serde_json::from_str(&answer.body).expect("is JSON");
    (answer.status, record)
}

#[test]
fn the_record_of_a_call_follows_the_phone_and_is_rated_late() {
    let mut rest = Rest::new("AC1", "secret");
    let mut phone = Phone::new(Setup::new("http://here/voice", "AC1", "secret", "CA1"));
    rest.begin("CA1");
    let mut at = |phone: &mut Phone, now_ms: u64, what: &dyn Fn(&mut Phone)| {
        phone.wake(now_ms);
        what(phone);
        rest.follow(phone);
        let (status, record) = read(&mut rest);
        let told = ["status", "duration", "price"].map(|key| record[key].to_string());
        (status, told.join(" "))
    };
    let told = |status, text: &str| (status, text.to_owned());
    let ringing = at(&mut phone, 0, &|phone| phone.start(0));
    assert_eq!(ringing, told(200, r#""ringing" null null"#));
    let pause = r#"<Response><Pause length="300"/></Response>"#;
    let answered = at(&mut phone, 10, &|phone| phone.http_answered(10, 200, pause));
    assert_eq!(answered, told(200, r#""in-progress" null null"#));
    let over = at(&mut phone, 60_500, &|phone| {
        phone.order(60_500, Order::Complete)
    });
    assert_eq!(over, told(200, r#""completed" "61" null"#));
    let rated = at(&mut phone, 70_000, &|_| {});
    assert_eq!(rated, told(200, r#""completed" "61" "-0.017""#));
    assert!(rest.requests().is_empty(), "reading changes nothing");
}

#[test]
fn a_call_nobody_answered_costs_nothing() {
    let mut rest = Rest::new("AC1", "secret");
    let mut phone = Phone::new(Setup::new("http://here/voice", "AC1", "secret", "CA1"));
    rest.begin("CA1");
    phone.start(0);
    phone.http_answered(10, 200, r#"<Response><Reject reason="busy"/></Response>"#);
    rest.follow(&phone);
    let _unrated = read(&mut rest);
    let (_, record) = read(&mut rest);
    assert_eq!(record["status"], "busy");
    assert_eq!(
        (&record["duration"], &record["price"]),
        (&json!("0"), &json!("-0.00"))
    );
}

#[test]
fn only_so_many_calls_are_remembered() {
    let mut rest = Rest::new("AC1", "secret");
    for number in 0..=KEPT {
        let sid = format!("CA{number}");
        rest.begin(&sid);
        rest.end(&sid);
    }
    let status = |rest: &mut Rest, number: usize| {
        let path = PATH.replace("CA1", &format!("CA{number}"));
        rest.answer("GET", &path, KEY, "").status
    };
    assert_eq!((status(&mut rest, 0), status(&mut rest, 1)), (404, 200));
}

#[test]
fn strangers_and_strange_paths_are_refused() {
    let mut rest = Rest::new("AC1", "secret");
    rest.begin("CA1");
    assert_eq!(
        rest.answer("POST", PATH, None, "Status=completed").status,
        401
    );
    assert_eq!(
        rest.answer("POST", PATH, Some("Basic eA=="), "Status=completed")
            .status,
        401
    );
    assert_eq!(rest.answer("GET", PATH, None, "").status, 401);
    assert_eq!(rest.answer("DELETE", PATH, KEY, "").status, 404);
    let unknown = PATH.replace("CA1", "CA2");
    assert_eq!(rest.answer("GET", &unknown, KEY, "").status, 404);
    assert_eq!(
        rest.answer("POST", "/2010-04-01/Accounts/AC2/Calls/CA1.json", KEY, "")
            .status,
        404
    );
}

//! Calls that are not placed: nobody is dialled, and nothing is spent.

use super::desk::{CALLEE, Desk, outbound};
use super::house::plan;
use ringfence::sim::phone::rest::Answering;

/// What the API says to a call to this number.
async fn told(desk: &Desk, to: &str) -> (u16, String, String) {
    let (status, paper) = desk.call(to).await;
    let text = |key: &str| paper[key].as_str().unwrap_or_default().to_string();
    (status, text("error"), text("fix"))
}

#[tokio::test]
async fn nothing_is_dialled_that_nobody_has_allowed_and_priced() {
    let closed = Desk::open(&plan("", &[("numbers", "[\"+15005550006\"]")])).await;
    let (status, error, fix) = told(&closed, CALLEE).await;
    assert_eq!(
        (status, &*error),
        (403, "calls to this number are not allowed")
    );
    assert!(fix.contains("dial_prefixes"), "{fix}");
    let open = Desk::open(&outbound(&[("limits.dial_prefixes", "[\"+1\", \"+49\"]")])).await;
    let (status, error, fix) = told(&open, "+493012345678").await;
    assert_eq!(status, 403);
    assert!(
        error.contains("price") && fix.contains("outbound_per_minute_usd"),
        "{error} {fix}"
    );
    for (to, status) in [
        ("+18765550123", 403), // an island
        ("+19005550123", 403), // a premium number
        ("+33123456789", 403),
        ("911", 400),
        ("", 400),
        ("sip:someone@example.com", 400),
    ] {
        assert_eq!(told(&open, to).await.0, status, "{to}");
    }
    assert_eq!((open.placed(), open.is_free()), (0, true));
    assert_eq!(open.house.world.server.calls(), 0);
}

#[tokio::test]
async fn strangers_and_nonsense_dial_nobody() {
    let desk = Desk::open(&outbound(&[])).await;
    let url = format!("{}/api/v1/calls", desk.url());
    let body = format!(r#"{{"to":"{CALLEE}","agent":"desk"}}"#);
    let stranger = reqwest::Client::new().post(&url).body(body).send().await;
    assert_eq!(stranger.expect("an answer").status(), 401);
    for (body, status) in [
        ("".to_string(), 400),
        (format!(r#"{{"to":"{CALLEE}"}}"#), 400),
        (format!(r#"{{"to":"{CALLEE}","agent":"nobody"}}"#), 404),
        (
            format!(r#"{{"to":"{CALLEE}","agent":"desk","from":"+15005550007"}}"#),
            400,
        ),
        (
            format!(r#"{{"to":"{CALLEE}","agent":"desk","cap_usd":99}}"#),
            400,
        ),
    ] {
        assert_eq!(desk.dial(&body, None).await.0, status, "{body}");
    }
    assert_eq!((desk.placed(), desk.is_free()), (0, true));
}

#[tokio::test]
async fn what_the_carrier_refuses_is_given_back_and_told_in_its_words() {
    let desk = Desk::open(&outbound(&[])).await;
    let said =
        r#"{"code":21215,"message":"Account not authorized to call that number","status":400}"#;
    let callee = Answering {
        refused: Some((400, said.to_string())),
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    let (status, error, _) = told(&desk, CALLEE).await;
    assert_eq!(status, 502);
    assert!(
        error.ends_with("21215: Account not authorized to call that number"),
        "{error}"
    );
    let rows = desk.rows().await;
    assert_eq!(rows[0].cause.as_deref(), Some("carrier-refused"));
    assert!(desk.is_free());
}

#[tokio::test]
async fn a_carrier_in_trouble_is_not_asked_twice_and_the_call_stays_expected() {
    let desk = Desk::open(&outbound(&[])).await;
    let callee = Answering {
        refused: Some((503, String::new())),
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    let (status, paper) = desk.call(CALLEE).await;
    assert_eq!(status, 504, "{paper}");
    assert!(
        paper["call"]
            .as_str()
            .is_some_and(|call| call.starts_with("rf-"))
    );
    assert_eq!(
        desk.house.world.server.calls(),
        1,
        "somebody may yet answer"
    );
    // Nobody told us anything: a minute is charged, for somebody may have answered.
    let budget = desk.house.world.server.budget.clone();
    desk.house.world.stop().await;
    assert!(!budget.spent().is_zero() && budget.reserved().is_zero());
}

#[tokio::test]
async fn a_number_that_was_called_too_often_and_a_budget_that_is_used_up_refuse() {
    let desk = Desk::open(&outbound(&[
        ("limits.per_caller_per_hour", "1"),
        ("limits.calls", "1"),
    ]))
    .await;
    let callee = Answering {
        ring_ms: 60_000,
        ..Answering::default()
    };
    desk.house.world.rest.expect(CALLEE, callee);
    assert_eq!(desk.call(CALLEE).await.0, 201);
    assert_eq!(desk.call(CALLEE).await.0, 429);
    assert_eq!(
        told(&desk, "+14155550124").await.0,
        503,
        "the one line is taken"
    );
    let poor = Desk::open(&outbound(&[("budget.day_usd", "0.07")])).await;
    let (status, error, _) = told(&poor, CALLEE).await;
    assert_eq!((status, error.contains("budget")), (402, true), "{error}");
    assert_eq!((poor.placed(), poor.is_free()), (0, true));
}

//! Whoever is not the carrier is turned away and costs nothing; what the carrier says twice is answered twice and done once.

use super::client::{Client, Signed, offer, open};
use super::house::{House, hangs_up_after, plan, until};
use ringfence::cli::world::World;
use ringfence::sim::phone::Ending;
use std::time::Duration;

/// What refuses a call before it is answered.
const REJECT: &str = "<Response><Reject reason=\"busy\"/></Response>";

async fn world(settings: &[(&str, &str)]) -> (World, Client) {
    let world = World::start(&plan("greeting=600ms", settings))
        .await
        .expect("a world");
    let client = Client::of(&world);
    (world, client)
}

#[tokio::test]
async fn a_webhook_that_the_carrier_did_not_sign_is_refused_and_reaches_no_model() {
    let (world, client) = world(&[]).await;
    let fields = offer("CA1", "+15005550006");
    for signed in [Signed::Not, Signed::Wrongly] {
        for path in ["/twilio/voice", "/twilio/ended", "/twilio/status"] {
            let (status, body) = client.post(path, &fields, signed).await;
            assert_eq!((status, &*body), (403, ""), "{path} {signed:?}");
        }
    }
    let foreign =
        [("AccountSid", "ACbbbb"), ("CallSid", "CA1")].map(|(n, v)| (n.to_string(), v.to_string()));
    assert_eq!(
        client.post("/twilio/voice", &foreign, Signed::Well).await.0,
        403
    );
    let nameless = &fields[..1];
    assert_eq!(
        client.post("/twilio/voice", nameless, Signed::Well).await.0,
        400
    );
    assert_eq!((world.model.sessions(), world.server.calls()), (0, 0));
}

#[tokio::test]
async fn foreign_addresses_and_long_bodies_are_refused_at_the_door() {
    let (world, client) = world(&[]).await;
    for path in [
        "/",
        "/admin",
        "/twilio",
        "/twilio/voices",
        "/telnyx/voice",
        "/twilio/media",
        "/%00",
        "/..%2f..%2fetc/passwd",
    ] {
        assert_eq!(client.get(path).await, 404, "{path}");
    }
    assert_eq!(client.get("/twilio/voice").await, 405);
    assert_eq!(
        client.get("/twilio/media/x").await,
        403,
        "unsigned, and no handshake either"
    );
    let mut long = offer("CA1", "+15005550006");
    long.push(("Padding".to_string(), "x".repeat(64 * 1024)));
    assert_eq!(
        client.post("/twilio/voice", &long, Signed::Well).await.0,
        413
    );
    assert_eq!(client.get("/healthz").await, 200);
    assert_eq!((world.model.sessions(), world.server.calls()), (0, 0));
}

#[tokio::test]
async fn a_stream_needs_a_signature_and_a_token_that_was_made_for_it_and_never_used() {
    let (_world, client) = world(&[]).await;
    let url = client.connect("CA1").await;
    assert_eq!(open(&url, Signed::Not).await.err(), Some(403));
    assert_eq!(open(&url, Signed::Wrongly).await.err(), Some(403));
    assert_eq!(
        open(&client.media("guess"), Signed::Well).await.err(),
        Some(403)
    );
    let mut socket = open(&url, Signed::Well)
        .await
        .expect("a refusal uses no token up");
    assert_eq!(open(&url, Signed::Well).await.err(), Some(403), "used");
    socket.start("CA1").await;
    socket.hears("\"media\"").await;
    assert_eq!(open(&url, Signed::Well).await.err(), Some(403), "used");
}

#[tokio::test]
async fn a_token_is_too_old_after_half_a_minute() {
    let (world, client) = world(&[]).await;
    let url = client.connect("CA1").await;
    tokio::time::sleep(Duration::from_millis(30_100)).await;
    assert_eq!(open(&url, Signed::Well).await.err(), Some(403));
    // The call that nobody came to is long over.
    assert_eq!((world.server.calls(), world.model.live()), (0, 0));
    assert_eq!(world.server.budget.reserved().nanos(), 0);
}

#[tokio::test]
async fn a_number_nobody_answers_is_rejected_free_of_charge() {
    let (world, client) = world(&[("numbers", r#"["+15005550006"]"#)]).await;
    let (status, document) = client
        .post("/twilio/voice", &offer("CA1", "+15005550099"), Signed::Well)
        .await;
    assert_eq!(status, 200);
    assert!(document.ends_with(REJECT), "{document}");
    let mut wrong = world.phone();
    wrong.to = "+15005550099".to_string();
    let report = world.call(wrong).await.expect("a call");
    assert_eq!(
        (report.ending, report.billed_minutes),
        (Some(Ending::Rejected), 0)
    );
    assert_eq!(world.model.sessions(), 0);
}

#[tokio::test]
async fn a_call_that_went_out_is_ended_for_nobody_has_named_its_price() {
    let (world, client) = world(&[]).await;
    let mut fields = offer("CA5", "+15005550006");
    fields.retain(|(name, _)| name != "Direction");
    fields.push(("Direction".to_string(), "outbound-api".to_string()));
    let (status, document) = client.post("/twilio/voice", &fields, Signed::Well).await;
    assert_eq!(status, 200);
    assert!(
        document.ends_with("<Response><Hangup/></Response>"),
        "{document}"
    );
    assert_eq!(world.model.sessions(), 0);
}

#[tokio::test]
async fn a_call_too_many_is_rejected_and_the_line_is_free_when_the_first_hangs_up() {
    let house = House::open(&plan("greeting=600ms", &[("limits.calls", "1")])).await;
    let client = Client::of(&house.world);
    let mut first = house.world.phone();
    first.script = hangs_up_after(2500);
    let too_many = async {
        until("the first is on the line", || {
            house.world.server.calls() == 1
        })
        .await;
        let (_, document) = client
            .post(
                "/twilio/voice",
                &offer("CA77", "+15005550006"),
                Signed::Well,
            )
            .await;
        assert!(document.ends_with(REJECT), "{document}");
    };
    let ((report, _), ()) = tokio::join!(house.call(first), too_many);
    assert_eq!(report.ending, Some(Ending::CallerHungUp));
    until("the line is free", || house.world.server.calls() == 0).await;
    let again = offer("CA77", "+15005550006");
    let (_, document) = client.post("/twilio/voice", &again, Signed::Well).await;
    assert!(
        document.ends_with(REJECT),
        "the same call is answered the same: {document}"
    );
    client.connect("CA78").await;
    let sessions = || house.world.model.sessions();
    until("the third reaches its model", || sessions() >= 2).await;
    assert_eq!(
        sessions(),
        2,
        "the second was rejected before any model was reached"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_comes_again_is_answered_the_same_and_begins_nothing() {
    let (world, client) = world(&[]).await;
    for call in 1..=20 {
        let fields = offer(&format!("CA{call}"), "+15005550006");
        let posts = (0..16).map(|_| client.post("/twilio/voice", &fields, Signed::Well));
        let answers = futures_util::future::join_all(posts).await;
        assert!(answers[0].1.contains("<Stream"), "{answers:?}");
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:#?}"
        );
    }
    until("the models are reached", || world.model.sessions() >= 20).await;
    assert_eq!((world.server.calls(), world.model.sessions()), (20, 20));
}

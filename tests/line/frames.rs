//! A stream that says what no carrier says is closed and told why, and nobody else notices.

use super::client::{Client, Signed, Socket, media, offer, open, start};
use super::house::{House, plan, says_and_hangs_up, until};
use super::sound::{find, through_telephone};
use ringfence::call::record::{Ending, Side};
use ringfence::cli::world::{ACCOUNT, World};
use ringfence::sim::voice::speech;
use tokio_tungstenite::tungstenite::Message;

/// What is said, whether before the stream has named its call, and how the server closes it.
type Trick = (&'static str, bool, Message, u16, &'static str);

/// A media frame of 64 KiB and a little.
fn long() -> String {
    let payload = "/".repeat(64 * 1024);
    format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)
}

fn binary() -> Message {
    Message::binary(vec![0xFF; 160])
}

/// Where the server does not know the call yet, it is a stranger who speaks: 1008.
fn before_the_start() -> Vec<Trick> {
    let other = start(ACCOUNT, "CAffffffffffffffffffffffffffffffff");
    let foreign = start("ACb", "CA1");
    let startless = "a stream that does not begin with its start";
    let tricks = [
        ("sound", media(0).into(), startless),
        ("another call", other.into(), "a stream of another call"),
        ("another account", foreign.into(), ""),
        ("no JSON", "hello".into(), ""),
        ("a binary frame", binary(), "a binary frame"),
        ("a long frame", long().into(), "a frame over 64 KiB"),
    ];
    tricks
        .map(|(what, message, reason)| (what, true, message, 1008, reason))
        .to_vec()
}

/// Where it does, the code says what was wrong with the frame.
fn in_the_call() -> Vec<Trick> {
    let garbled = media(0).replace("/8=", "!!!!");
    let again = start(ACCOUNT, "CA1");
    let cut = r#"{"event":"media","#;
    let tricks = [
        ("no JSON", cut.into(), 1007, ""),
        ("no base64", garbled.into(), 1007, "not base64"),
        ("a second start", again.into(), 1007, "a second start"),
        ("a binary frame", binary(), 1003, "binary frames"),
        ("a long frame", long().into(), 1009, "larger than any frame"),
    ];
    tricks
        .map(|(what, message, code, reason)| (what, false, message, code, reason))
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_the_rules_is_closed_with_a_reason_and_its_neighbour_hears_no_difference()
 {
    let house = House::open(&plan("greeting=600ms latency=200ms", &[])).await;
    let client = Client::of(&house.world);
    let voice = through_telephone(&speech(4000, 5));
    let mut neighbour = house.world.phone();
    neighbour.script = says_and_hangs_up(&voice);
    let tricks = before_the_start().into_iter().chain(in_the_call());
    let attacks = futures_util::future::join_all((100..).zip(tricks).map(|(number, trick)| {
        let (house, client) = (&house, client.clone());
        async move { attack(house, &client, number, trick).await }
    }));
    let ((report, summary), _) = tokio::join!(house.call(neighbour), attacks);
    assert!(
        report.violations.is_empty() && report.clears.is_empty(),
        "{:#?}",
        report.timeline
    );
    let found = find(&voice, &report.heard).expect("heard");
    assert!(found.correlation >= 0.95, "{found:?}");
    assert_eq!(summary.ending, Some(Ending::CallerHungUp));
    until("every session is closed", || house.world.model.live() == 0).await;
    assert_eq!(house.world.server.budget.reserved().nanos(), 0);
}

async fn attack(house: &House, client: &Client, number: u32, trick: Trick) {
    let (what, before_start, message, code, reason) = trick;
    let call = format!("CA{number:032x}");
    let url = client.connect(&call).await;
    let mut socket = open(&url, Signed::Well).await.expect("signed and fresh");
    if !before_start {
        socket.start(&call).await;
        socket.hears("\"media\"").await;
    }
    socket.say(message).await;
    let (told, why) = socket.closed().await;
    assert_eq!(told, code, "{what}: {why:?}");
    assert!(!why.is_empty() && why.contains(reason), "{what}: {why:?}");
    let summary = house.facts.summary(&call).await;
    assert_eq!(summary.ending, Some(Ending::Lost(Side::Carrier)), "{what}");
    assert_eq!(summary.answered, !before_start, "{what}");
    let complete = [("Status".to_string(), "completed".to_string())];
    until("the carrier is asked to hang up", || {
        let asked = house.world.rest.requests();
        asked
            .iter()
            .any(|r| r.call_sid == call && r.form == complete)
    })
    .await;
}

/// A signed stream with a fresh token that says nothing.
async fn silent(client: &Client, number: u32) -> (String, Result<Socket, u16>) {
    let url = client.connect(&format!("CA{number:032x}")).await;
    let opened = open(&url, Signed::Well).await;
    (url, opened)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_do_not_say_whose_they_are_get_few_places_and_five_seconds() {
    let world = World::start(&plan("", &[("limits.pending_streams", "2")]))
        .await
        .expect("a world");
    let client = Client::of(&world);
    let (_, first) = silent(&client, 1).await;
    let (_, second) = silent(&client, 2).await;
    let (url, third) = silent(&client, 3).await;
    assert_eq!(third.err(), Some(503));
    for socket in [first, second] {
        let (code, why) = socket.expect("a place").closed().await;
        assert_eq!((code, &*why), (1008, "no start within 5 s"));
    }
    // Being turned away for want of a place cost the third nothing: its token is still good.
    let mut third = open(&url, Signed::Well)
        .await
        .expect("a place is free again");
    third.start(&format!("CA{:032x}", 3)).await;
    third.hears("\"media\"").await;
    let fine = client
        .post("/twilio/voice", &offer("CA4", "+15005550006"), Signed::Well)
        .await;
    assert!(fine.1.contains("<Stream"), "{fine:?}");
}

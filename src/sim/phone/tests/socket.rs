//! Claims about calls over real sockets, against a small server that plays back what it hears.

use super::super::call::{Door, Wires, call};
use super::super::rest::RestServer;
use super::*;
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::routing::{get, post};

const DOCUMENT: &str = r#"<Response><Connect><Stream url="wss://bot.example.com/media/1"/></Connect><Hangup/></Response>"#;

/// Sends back every frame of sound.
async fn echo(mut socket: WebSocket) {
    while let Some(Ok(Message::Text(text))) = socket.recv().await {
        let frame: Value = serde_json::from_str(&text).unwrap_or_default();
        let sound = json!({
            "event": "media",
            "streamSid": frame["streamSid"],
            "media": { "payload": frame["media"]["payload"] },
        });
        if frame["event"] == "media" && socket.send(Message::text(sound.to_string())).await.is_err()
        {
            return;
        }
    }
}

/// A server that thinks it is `https://bot.example.com`; how to reach it.
async fn server() -> Door {
    let signed = |headers: &HeaderMap| headers.contains_key("x-twilio-signature");
    let voice = move |headers: HeaderMap| async move {
        if signed(&headers) {
            DOCUMENT
        } else {
            "unsigned"
        }
    };
    let media = move |headers: HeaderMap, upgrade: WebSocketUpgrade| async move {
        assert!(signed(&headers), "an unsigned handshake");
        upgrade.on_upgrade(echo)
    };
    let router = Router::new()
        .route("/twilio/voice", post(voice))
        .route("/media/1", get(media));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Door {
        public: "https://bot.example.com".to_owned(),
        local: format!("http://{address}"),
    }
}

/// State, length and price in the record at `url`.
async fn read(url: &str) -> [Value; 3] {
    let asked = reqwest::Client::new().get(url);
    let answer = asked.basic_auth("AC1", Some("secret")).send().await;
    let body = answer.expect("an answer").text().await.expect("a body");
    let record: Value = serde_json::from_str(&body).expect("is JSON");
    ["status", "duration", "price"].map(|key| record[key].clone())
}

#[tokio::test]
async fn a_caller_hears_the_echo_of_a_server_and_the_api_knows_the_call() {
    let rest = RestServer::start("AC1", "secret").await.expect("an API");
    let wires = Wires::new()
        .expect("wires")
        .with_door(server().await)
        .with_rest(rest.clone());
    let words = speech(300, 5);
    let script = vec![
        at(100, Act::Say(words.clone().into())),
        at(900, Act::HangUp),
    ];
    let setup = Setup {
        script,
        account_sid: "AC1".to_owned(),
        ..slow_line()
    };
    let url = format!(
        "{}/2010-04-01/Accounts/AC1/Calls/{}.json",
        rest.base(),
        setup.call_sid
    );
    let limit = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let ask = reqwest::Client::new()
            .post(&url)
            .basic_auth("AC1", Some("secret"));
        ask.body("TimeLimit=90")
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    let (report, limited) = tokio::join!(call(setup, &wires), limit);
    let report = report.expect("a report");
    assert_eq!(report.ending, Some(Ending::CallerHungUp));
    assert_eq!(
        (report.billed_minutes, report.violations.len()),
        (1, 0),
        "{:?}",
        report.violations
    );
    let heard = report.heard.iter().position(|s| s.unsigned_abs() > 400);
    let spoken = report.spoken.iter().position(|s| s.unsigned_abs() > 400);
    let echo_ms = (heard.unwrap_or(0) - spoken.unwrap_or(0)) / 8;
    assert!(
        (100..400).contains(&echo_ms),
        "two ways of 40 ms and a frame: {echo_ms} ms"
    );
    assert_eq!(limited.ok(), Some(200));
    assert!(
        report
            .timeline
            .iter()
            .any(|moment| moment.what == What::Limited(90))
    );
    let again = reqwest::Client::new()
        .post(&url)
        .basic_auth("AC1", Some("secret"));
    let again = again
        .body("Status=completed")
        .send()
        .await
        .map(|answer| answer.status().as_u16());
    assert_eq!(again.ok(), Some(404), "the call is over");
    assert_eq!(rest.requests().len(), 2);
    let seconds = report.duration_ms.div_ceil(1000).to_string();
    let unrated = [json!("completed"), json!(seconds), Value::Null];
    assert_eq!(read(&url).await, unrated, "what the phone told");
    assert_eq!(read(&url).await[2], json!("-0.0085"), "rated late");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_application_error() {
    let door = Door {
        public: "https://bot.example.com".to_owned(),
        local: "http://127.0.0.1:1".to_owned(),
    };
    let wires = Wires::new().expect("wires").with_door(door);
    let report = call(setup(), &wires).await.expect("a report");
    assert_eq!(report.ending, Some(Ending::ApplicationError));
    assert_eq!(report.billed_minutes, 0);
}

//! The API over a socket: who may ask, what may be asked, and that a real call is answered to the last digit.

use super::desk::Desk;
use ringfence::cli::world::{Plan, World};
use ringfence::sim::phone::{Act, Step, When};
use ringfence::sim::voice::speech;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The admin token of the world.
fn token(world: &World) -> &str {
    world.server.made_admin_token.as_deref().expect("a token")
}

/// Asks, as whoever holds this token: the status, the headers' words for who may, and the body.
async fn ask(world: &World, path: &str, token: Option<&str>) -> (u16, String, String) {
    let url = format!("http://{}{path}", world.server.address);
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("an answer");
    let header = answer.headers().get("www-authenticate");
    let header = header.and_then(|value| value.to_str().ok());
    let header = header.unwrap_or_default().to_string();
    let status = answer.status().as_u16();
    (status, header, answer.text().await.expect("a body"))
}

async fn world(desk: &Desk) -> World {
    let plan = Plan {
        model: "greeting=600ms latency=50ms".to_string(),
        ledger: Some(desk.path()),
        ..Plan::default()
    };
    World::start(&plan).await.expect("a world")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_learn_nothing() {
    let desk = Desk::new();
    let world = world(&desk).await;
    for path in ["/api/v1/calls", "/api/v1/calls/rf-1", "/api/v1/spend?by=x"] {
        for wrong in [None, Some("admin")] {
            let (status, header, body) = ask(&world, path, wrong).await;
            assert_eq!((status, header.as_str()), (401, "Bearer"), "{path}");
            assert!(body.starts_with("{\"error\":"), "{body}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_makes_no_sense_is_told_what_would() {
    let desk = Desk::new();
    let world = world(&desk).await;
    for (path, said) in [
        (
            "calls?limit=1001",
            "limit: \\\"1001\\\" is not a whole number from 1 to 1000",
        ),
        ("calls?limit=0", "limit: "),
        ("calls?day=today", "day: \\\"today\\\" is not a day such as"),
        (
            "calls?live=maybe",
            "live: \\\"maybe\\\" is not true or false",
        ),
        ("calls?limit=1&limit=2", "limit: is given twice"),
        (
            "calls?page=2",
            "page: is not a parameter here; there are day, agent, live and limit",
        ),
        (
            "spend?by=phone",
            "by: \\\"phone\\\" is not day, agent or caller",
        ),
        (
            "spend?days=0",
            "days: \\\"0\\\" is not a whole number from 1 to 3660",
        ),
        ("calls/rf-1?x=1", "x: is not a parameter here"),
    ] {
        let (status, _, body) = ask(&world, &format!("/api/v1/{path}"), Some(token(&world))).await;
        assert_eq!(status, 400, "{path}: {body}");
        assert!(body.contains(said), "{path}: {body}");
    }
    let (status, _, body) = ask(&world, "/api/v1/calls/rf-none", Some(token(&world))).await;
    assert_eq!(status, 404);
    assert!(
        body.starts_with("{\"error\":\"no call of this name"),
        "{body}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_call_is_answered_to_the_last_digit_while_the_server_runs() {
    let desk = Desk::new();
    let world = world(&desk).await;
    let mut phone = world.phone();
    let carrier_call = phone.call_sid.clone();
    phone.script = vec![
        Step {
            when: When::Replies { after_ms: 400 },
            act: Act::Say(speech(1500, 21).into()),
        },
        Step {
            when: When::Replies { after_ms: 800 },
            act: Act::HangUp,
        },
    ];
    world.call(phone).await.expect("a call");
    let began = Instant::now();
    let path = format!("/api/v1/calls/{carrier_call}");
    let call = loop {
        let (status, _, body) = ask(&world, &path, Some(token(&world))).await;
        let call: Value = serde_json::from_str(&body).expect("JSON");
        if status == 200 && call["live"] == false {
            let exact = format!("\"spent_usd\":{}", world.server.budget.spent());
            assert!(body.contains(&exact), "{exact} in {body}");
            break call;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(call["turns"], 2);
    assert_eq!(call["ending"], "caller-hung-up");
    let events = call["entries"].as_array().expect("entries");
    assert_eq!(events[0]["event"], "call.opened");
    let (_, _, body) = ask(&world, "/api/v1/calls?live=true", Some(token(&world))).await;
    assert_eq!(body, "{\"calls\":[],\"more\":false}");
    let (_, _, body) = ask(
        &world,
        "/api/v1/calls?limit=1&agent=desk",
        Some(token(&world)),
    )
    .await;
    let page: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(page["calls"][0]["call"], call["call"]);
    assert_eq!(page["calls"][0].get("entries"), None);
    let (_, _, body) = ask(&world, "/api/v1/spend?by=agent&days=2", Some(token(&world))).await;
    let page: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(page["spend"][0]["key"], "desk");
    assert_eq!(page["total"]["spent_usd"], call["spent_usd"]);
    world.stop().await;
}

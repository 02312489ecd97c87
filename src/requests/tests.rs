//! Requests against a server on the loopback that answers by a script.

use super::*;
use crate::carrier::{CARRIERS, Command, Settings};
use crate::units::Id;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use std::sync::Mutex;
use tokio::net::TcpListener;

/// What the server answers in turn; `None` never answers.
type Script = Vec<Option<(u16, &'static str)>>;

#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Script>>,
    seen: Arc<Mutex<Vec<String>>>,
}

async fn serve(State(server): State<Server>, request: Request) -> (StatusCode, &'static str) {
    let authorization = request.headers().get("authorization").cloned();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1000).await.unwrap();
    server.seen.lock().unwrap().push(format!(
        "{} {} {} {}",
        parts.method,
        parts.uri,
        String::from_utf8_lossy(&body),
        authorization.unwrap().to_str().unwrap()
    ));
    let answer = server.script.lock().unwrap().remove(0);
    match answer {
        Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body),
        None => std::future::pending().await,
    }
}

/// Hangs up a call at a server with this script: the outcome, and what the server saw.
async fn hang_up(script: Script) -> (RestOutcome, Vec<String>) {
    at_server(script, hang_up_at).await
}

/// Asks for a call's record at a server with this script.
async fn ask(script: Script) -> (Result<String, Unanswered>, Vec<String>) {
    at_server(script, ask_at).await
}

/// Does something at a server with this script: what came of it, and what the server saw.
async fn at_server<T>(script: Script, work: impl AsyncFnOnce(String) -> T) -> (T, Vec<String>) {
    let server = Server {
        script: Arc::new(Mutex::new(script)),
        seen: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_base = format!("http://{}", listener.local_addr().unwrap());
    let doors = axum::Router::new()
        .fallback(serve)
        .with_state(server.clone());
    let serving = tokio::spawn(async { axum::serve(listener, doors).await });
    let outcome = work(api_base).await;
    serving.abort();
    let seen = server.seen.lock().unwrap().clone();
    (outcome, seen)
}

async fn hang_up_at(api_base: String) -> RestOutcome {
    let (carrier, requests) = ours(api_base);
    let request = carrier
        .rest(&Id::from("CA1"), &Command::Complete { after_ms: 0 })
        .unwrap();
    requests.perform(request, &*carrier).await
}

async fn ask_at(api_base: String) -> Result<String, Unanswered> {
    let (carrier, requests) = ours(api_base);
    let request = carrier.ask_record(&Id::from("CA1"));
    requests.ask(request, &*carrier).await
}

fn ours(api_base: String) -> (Box<dyn Carrier>, Requests) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let patience = Patience {
        timeout: Duration::from_millis(300),
        tries: 4,
        pause: Duration::from_millis(1),
    };
    let token = Secret::from("token".to_string());
    let (_, make) = CARRIERS[0];
    let carrier = make(Settings {
        public_url: "https://bot.example.com".to_string(),
        api_base,
        account: "AC1".to_string(),
        auth_token: token.clone(),
        verify_signature: true,
    });
    let requests = Requests::with_patience("AC1".to_string(), token, patience).unwrap();
    (carrier, requests)
}

#[tokio::test]
async fn a_request_goes_out_once_with_our_name_and_is_done() {
    let (outcome, seen) = hang_up(vec![Some((200, "{}"))]).await;
    assert_eq!(outcome, RestOutcome::Done);
    let expected =
        "POST /2010-04-01/Accounts/AC1/Calls/CA1.json Status=completed Basic QUMxOnRva2Vu";
    assert_eq!(seen, [expected]);
}

#[tokio::test]
async fn a_question_is_asked_until_it_is_answered_and_its_answer_is_told() {
    let record = r#"{"sid":"CA1","status":"completed"}"#;
    let (answer, seen) = ask(vec![Some((503, "")), Some((200, record))]).await;
    assert_eq!(answer.as_deref(), Ok(record));
    let expected = "GET /2010-04-01/Accounts/AC1/Calls/CA1.json  Basic QUMxOnRva2Vu";
    assert_eq!(seen, [expected, expected]);
}

#[tokio::test]
async fn a_question_without_an_answer_says_what_went_wrong() {
    let told = async |script: Script| ask(script).await.0.unwrap_err().to_string();
    for (status, said) in [
        (
            404,
            "cannot read the call's record: the carrier does not know the call",
        ),
        (
            401,
            "cannot read the call's record: the carrier answered 401",
        ),
    ] {
        assert_eq!(told(vec![Some((status, ""))]).await, said);
    }
    let busy = told(vec![Some((500, "")); 4]).await;
    assert_eq!(
        busy,
        "cannot read the call's record: the carrier answered 500"
    );
    let hanging = told(vec![None; 4]).await;
    assert_eq!(hanging, "cannot read the call's record: timed out");
    let long: &'static str = " ".repeat(LONGEST_ANSWER + 1).leak();
    let long = told(vec![Some((200, long))]).await;
    assert_eq!(
        long,
        "cannot read the call's record: the answer is too long"
    );
    let nowhere = ask_at("nowhere".into()).await.unwrap_err();
    assert_eq!(nowhere.error, Some("not an address"));
}

#[tokio::test]
async fn a_call_that_is_over_already_is_not_asked_for_twice() {
    for answer in [(404, ""), (400, r#"{"code":20404,"status":404}"#)] {
        let (outcome, seen) = hang_up(vec![Some(answer)]).await;
        assert_eq!((outcome, seen.len()), (RestOutcome::AlreadyOver, 1));
    }
}

#[tokio::test]
async fn a_refusal_is_taken_at_its_word() {
    for answer in [(401, r#"{"code":20003}"#), (302, ""), (400, "?")] {
        let (outcome, seen) = hang_up(vec![Some(answer)]).await;
        assert_eq!((outcome, seen.len()), (RestOutcome::Refused, 1));
    }
}

#[tokio::test]
async fn a_carrier_in_trouble_is_asked_again() {
    let (outcome, seen) = hang_up(vec![Some((503, "")), Some((429, "")), Some((200, ""))]).await;
    assert_eq!((outcome, seen.len()), (RestOutcome::Done, 3));
}

#[tokio::test]
async fn patience_ends_after_four_tries() {
    let (outcome, seen) = hang_up(vec![Some((500, "")); 5]).await;
    assert_eq!((outcome, seen.len()), (RestOutcome::TryAgain, 4));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_on_and_asked_again() {
    let (outcome, seen) = hang_up(vec![None, Some((200, ""))]).await;
    assert_eq!((outcome, seen.len()), (RestOutcome::Done, 2));
    let (outcome, seen) = hang_up(vec![None; 4]).await;
    assert_eq!((outcome, seen.len()), (RestOutcome::TryAgain, 4));
}

#[tokio::test]
async fn what_dials_somebody_is_sent_again_only_when_it_was_certainly_not_obeyed() {
    let transfer = async |script: Script| {
        let work = async |api_base| {
            let (carrier, requests) = ours(api_base);
            let transfer = Command::Transfer(crate::carrier::Transfer {
                to: "+15005550009".into(),
                caller_id: None,
                say: String::new(),
                limit_s: 60,
                call_limit_s: 120,
            });
            let request = carrier.rest(&Id::from("CA1"), &transfer).unwrap();
            requests.perform(request, &*carrier).await
        };
        let (outcome, seen) = at_server(script, work).await;
        (outcome, seen.len())
    };
    let twice = transfer(vec![Some((429, "")), Some((200, ""))]).await;
    assert_eq!(twice, (RestOutcome::Done, 2));
    let broken = transfer(vec![Some((503, ""))]).await;
    assert_eq!(broken, (RestOutcome::TryAgain, 1));
    assert_eq!(transfer(vec![None]).await, (RestOutcome::TryAgain, 1));
}

#[tokio::test]
async fn an_address_where_nobody_is_and_one_that_is_none() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    assert_eq!(hang_up_at(address).await, RestOutcome::TryAgain);
    assert_eq!(hang_up_at("nowhere".into()).await, RestOutcome::Refused);
}

#[test]
fn pauses_grow_and_never_overflow() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = Secret::from("token".to_string());
    let requests = Requests::new("AC1".to_string(), token).unwrap();
    for (tries, longest_ms) in [(1, 250), (2, 500), (3, 1000), (u32::MAX, 250 << 15)] {
        let longest = Duration::from_millis(longest_ms);
        assert!((longest / 2..=longest).contains(&requests.pause_after(tries)));
    }
}

//! Performs the REST requests that carriers describe.
//!
//! These requests end calls that would otherwise go on costing money, so one lost packet must not be the end of them:
//! each is tried several times, with pauses that grow and differ from call to call, so that a carrier in trouble is not
//! met by all of our calls at once. After a timeout nobody knows whether the first one was obeyed, so a request that must
//! not be obeyed twice, because it dials somebody, is tried again only when it certainly was not.

use crate::carrier::{Carrier, RestOutcome, RestRequest};
use crate::units::Secret;
use reqwest::{Client, Method, RequestBuilder, redirect};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most that is read of an answer's body; a carrier's explanation has a few hundred bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Sends requests to one account's REST API. A clone shares its connections.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    account: Arc<str>,
    auth_token: Secret,
    patience: Patience,
}

/// How long to wait for an answer, and how often to ask again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long one try may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often a request is sent at the most; zero counts as one.
    pub tries: u32,
    /// The longest pause after the first try; it doubles with each further one.
    pub pause: Duration,
}

impl Default for Patience {
    /// Some 22 seconds when nobody ever answers: within the minute that the carrier's own limit would take at the least.
    fn default() -> Self {
        Patience {
            timeout: Duration::from_secs(5),
            tries: 4,
            pause: Duration::from_millis(250),
        }
    }
}

/// No request can be sent from this process: why, in words for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unable(pub String);

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot send requests: {}", self.0)
    }
}

impl std::error::Error for Unable {}

/// A question that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// What was asked for, in words for a log.
    pub purpose: &'static str,
    /// What the carrier's answer means; [`RestOutcome::TryAgain`] when patience ran out.
    pub outcome: RestOutcome,
    /// The HTTP status of the last try; `None` when there was none.
    pub status: Option<u16>,
    /// What went wrong besides, in words for a log.
    pub error: Option<&'static str>,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.purpose)?;
        match (self.outcome, self.error, self.status) {
            (RestOutcome::AlreadyOver, ..) => f.write_str("the carrier does not know the call"),
            (_, Some(error), _) => f.write_str(error),
            (_, None, Some(status)) => write!(f, "the carrier answered {status}"),
            (_, None, None) => f.write_str("no answer"),
        }
    }
}

impl std::error::Error for Unanswered {}

/// What came back of one try.
struct Answer {
    status: u16,
    body: String,
    /// There was more of it than is read.
    is_cut: bool,
}

/// One try: the answer, or why there is none.
type Tried = (Result<Answer, &'static str>, RestOutcome);

impl Requests {
    /// With the usual patience.
    ///
    /// # Errors
    /// Says why when no default provider of cryptography was installed or the machine has no root certificates.
    pub fn new(account: String, auth_token: Secret) -> Result<Requests, Unable> {
        Requests::with_patience(account, auth_token, Patience::default())
    }

    /// With a patience of one's own.
    ///
    /// # Errors
    /// As [`Requests::new`].
    pub fn with_patience(
        account: String,
        auth_token: Secret,
        patience: Patience,
    ) -> Result<Requests, Unable> {
        // Asked for here, because the client would panic without it.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Unable("no provider of cryptography is installed".into()));
        }
        let client = Client::builder()
            .timeout(patience.timeout)
            // Nobody but the configured address is given our credentials.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Unable(error.to_string()))?;
        Ok(Requests {
            client,
            account: account.into(),
            auth_token,
            patience,
        })
    }

    /// Sends a request until it is answered for good or patience has run out ([`RestOutcome::TryAgain`]), and logs how
    /// that went. Neither the address nor the form is logged: they name accounts, calls and numbers.
    pub async fn perform(&self, request: RestRequest, carrier: &dyn Carrier) -> RestOutcome {
        self.insist(&request, carrier).await.1
    }

    /// As [`Requests::perform`], for what the answer says: its body, of at most 64 KiB.
    ///
    /// # Errors
    /// What went wrong. A call that the carrier does not know (any more) is [`RestOutcome::AlreadyOver`].
    pub async fn ask(
        &self,
        request: RestRequest,
        carrier: &dyn Carrier,
    ) -> Result<String, Unanswered> {
        let unanswered = |outcome, status, error| Unanswered {
            purpose: request.purpose,
            outcome,
            status,
            error,
        };
        match self.insist(&request, carrier).await {
            // The rest was not read, and half an answer is none.
            (Ok(answer), RestOutcome::Done) if answer.is_cut => Err(unanswered(
                RestOutcome::Refused,
                Some(answer.status),
                Some("the answer is too long"),
            )),
            (Ok(answer), RestOutcome::Done) => Ok(answer.body),
            (Ok(answer), outcome) => Err(unanswered(outcome, Some(answer.status), None)),
            (Err(why), outcome) => Err(unanswered(outcome, None, Some(why))),
        }
    }

    async fn insist(&self, request: &RestRequest, carrier: &dyn Carrier) -> Tried {
        let mut tries = 0;
        let (answer, outcome) = loop {
            tries += 1;
            let tried = self.try_once(request, carrier).await;
            let may_repeat = request.is_repeatable || was_not_obeyed(&tried);
            if tried.1 != RestOutcome::TryAgain || tries >= self.patience.tries || !may_repeat {
                break tried;
            }
            tokio::time::sleep(self.pause_after(tries)).await;
        };
        let purpose = request.purpose;
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let error = answer.as_ref().err();
        match outcome {
            RestOutcome::Done | RestOutcome::AlreadyOver => {
                tracing::info!(event = "carrier.request", purpose, ?outcome, status, tries);
            }
            RestOutcome::TryAgain | RestOutcome::Refused => {
                tracing::warn!(
                    event = "carrier.request",
                    purpose,
                    ?outcome,
                    status,
                    error,
                    tries
                );
            }
        }
        (answer, outcome)
    }

    async fn try_once(&self, request: &RestRequest, carrier: &dyn Carrier) -> Tried {
        match answer(self.build(request)).await {
            Ok(answer) => {
                let outcome = carrier.rest_outcome(answer.status, &answer.body);
                (Ok(answer), outcome)
            }
            // An address that is none will not become one by waiting.
            Err(error) if error.is_builder() => (Err("not an address"), RestOutcome::Refused),
            Err(error) => {
                let why = match () {
                    () if error.is_timeout() => "timed out",
                    () if error.is_connect() => NOT_CONNECTED,
                    () => "the connection broke",
                };
                (Err(why), RestOutcome::TryAgain)
            }
        }
    }

    fn build(&self, request: &RestRequest) -> RequestBuilder {
        let password = Some(self.auth_token.reveal());
        let send = |method| {
            self.client
                .request(method, &request.url)
                .basic_auth(&self.account, password)
        };
        match request.method {
            "GET" => send(Method::GET),
            _ => send(Method::POST).form(&request.form),
        }
    }

    /// Between half and the whole of a pause that doubles from try to try.
    fn pause_after(&self, tries: u32) -> Duration {
        let longest = self
            .patience
            .pause
            .saturating_mul(1 << (tries.clamp(1, 16) - 1));
        rand::random_range(longest / 2..=longest)
    }
}

/// Why a request never left.
const NOT_CONNECTED: &str = "could not connect";

/// Too many requests: this one was not looked at.
const TOO_MANY: u16 = 429;

/// Whether a request that got no good answer certainly had no effect.
fn was_not_obeyed(tried: &Tried) -> bool {
    match &tried.0 {
        Ok(answer) => answer.status == TOO_MANY,
        Err(why) => *why == NOT_CONNECTED,
    }
}

/// The status and the body, as much of it as is worth reading.
async fn answer(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    let mut is_cut = false;
    while let Some(chunk) = response.chunk().await? {
        let room = LONGEST_ANSWER - body.len();
        is_cut = chunk.len() > room;
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if is_cut {
            break;
        }
    }
    Ok(Answer {
        status: response.status().as_u16(),
        body: String::from_utf8_lossy(&body).into_owned(),
        is_cut,
    })
}

#[cfg(test)]
mod tests {
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
        let (outcome, seen) =
            hang_up(vec![Some((503, "")), Some((429, "")), Some((200, ""))]).await;
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
}

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
    /// What the carrier answered last, of at most 64 KiB; empty when it did not.
    pub body: String,
    /// The request certainly had no effect. If not, nobody knows whether it had one.
    pub had_no_effect: bool,
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
        let tried = self.insist(&request, carrier).await;
        let mut unanswered = Unanswered {
            purpose: request.purpose,
            outcome: tried.1,
            status: None,
            error: None,
            body: String::new(),
            had_no_effect: match tried.1 {
                RestOutcome::Done => false,
                RestOutcome::Refused | RestOutcome::AlreadyOver => true,
                RestOutcome::TryAgain => was_not_obeyed(&tried),
            },
        };
        match tried {
            (Ok(answer), RestOutcome::Done) if !answer.is_cut => return Ok(answer.body),
            // The rest was not read, and half an answer is none.
            (Ok(answer), RestOutcome::Done) => {
                unanswered.outcome = RestOutcome::Refused;
                unanswered.status = Some(answer.status);
                unanswered.error = Some("the answer is too long");
            }
            (Ok(answer), _) => {
                unanswered.status = Some(answer.status);
                unanswered.body = answer.body;
            }
            (Err(why), _) => unanswered.error = Some(why),
        }
        Err(unanswered)
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
mod tests;

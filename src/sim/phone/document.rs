//! The half of a phone that follows documents: asks the server what to do, does it, and asks again.
//!
//! The rule that servers forget: when a server closes its stream the call is not over. The carrier goes on with what
//! follows `</Connect>`, or asks the `action` address, and only a document that ends ends the call.

use super::twiml::{self, Verb};
use super::{Ending, Out, Phone, Stage, What, sign};
use form_urlencoded::Serializer;

/// How long the carrier waits for a document (its error 11205).
const ANSWER_MS: u64 = 15_000;

/// How long it waits for a stream to open (its error 31901).
const OPEN_MS: u64 = 10_000;

/// Requests for documents in one call; a server that redirects in a circle is stopped here.
const MOST_REQUESTS: u32 = 20;

impl Phone {
    /// Asks the server at `url` what to do.
    pub(super) fn ask(&mut self, url: String) {
        self.ask_with(url, &[]);
    }

    /// The same, with more to say.
    pub(super) fn ask_with(&mut self, url: String, more: &[(&str, &str)]) {
        self.requests += 1;
        if self.requests > MOST_REQUESTS {
            self.violated(11200, "the documents redirect in a circle");
            return self.end(Ending::ApplicationError);
        }
        let status = if self.answered_ms.is_some() {
            "in-progress"
        } else {
            "ringing"
        };
        let form = self.form(status, more);
        self.note(What::Asked(url.clone()));
        self.document.clone_from(&url);
        self.post(url, &form);
        let until_ms = self.now_ms.saturating_add(ANSWER_MS);
        self.stage = Stage::Asking { until_ms };
    }

    /// An answer to whatever was asked.
    pub(super) fn answer_came(&mut self, status: u16, body: &str) {
        match self.stage {
            Stage::Reporting { .. } => self.over(),
            Stage::Asking { .. } if !(200..300).contains(&status) => {
                self.violated(11200, format!("HTTP {status} from {}", self.document));
                self.end(Ending::ApplicationError);
            }
            Stage::Asking { .. } => match twiml::read(body) {
                Ok(verbs) => {
                    self.verbs = verbs.into();
                    self.follow();
                }
                Err(wrong) => {
                    self.violated(12100, wrong);
                    self.end(Ending::ApplicationError);
                }
            },
            _ => {}
        }
    }

    /// No answer to whatever was asked.
    pub(super) fn no_answer_came(&mut self) {
        match self.stage {
            Stage::Reporting { .. } => self.over(),
            Stage::Asking { .. } => {
                self.violated(11205, format!("no answer from {}", self.document));
                self.end(Ending::ApplicationError);
            }
            _ => {}
        }
    }

    /// Goes on with the document, up to the first verb that takes time.
    pub(super) fn follow(&mut self) {
        loop {
            let verb = self.verbs.pop_front();
            match &verb {
                Some(Verb::Reject) if self.answered_ms.is_none() => {
                    return self.end(Ending::Rejected);
                }
                Some(Verb::Redirect(_) | Verb::Other(_)) => {}
                _ => self.pick_up(),
            }
            match verb {
                None | Some(Verb::Hangup | Verb::Reject) => return self.end(Ending::HungUp),
                Some(Verb::Redirect(url)) => return self.ask(twiml::resolve(&self.document, &url)),
                Some(Verb::Connect(connect)) => return self.open(connect),
                Some(Verb::Dial(dial)) => return self.dial(dial),
                Some(Verb::Pause { ms }) => return self.wait(ms),
                Some(Verb::Say(text)) => {
                    // An ordinary voice speaks about fifteen letters a second.
                    let ms = 400 + 65 * text.chars().count() as u64;
                    self.note(What::CarrierSays(text.clone()));
                    self.says.push(text);
                    return self.wait(ms);
                }
                Some(Verb::Other(name)) => {
                    self.violated(12200, format!("<{name}> is not acted out by this phone"));
                }
            }
        }
    }

    /// What is due because a stage has lasted long enough.
    pub(super) fn stage_due(&mut self) {
        match self.stage {
            Stage::Asking { until_ms } | Stage::Reporting { until_ms }
                if until_ms <= self.now_ms =>
            {
                self.no_answer_came();
            }
            Stage::Opening { until_ms } if until_ms <= self.now_ms => {
                self.outgoing.put(self.now_ms, Out::Close);
                self.stream_refused(0);
            }
            Stage::Waiting { until_ms } if until_ms <= self.now_ms => self.follow(),
            Stage::Ringing { until_ms } if until_ms <= self.now_ms => self.rung(),
            Stage::Dialling { until_ms } if until_ms <= self.now_ms => self.leg_rung(),
            Stage::Bridged { since_ms, until_ms } if until_ms <= self.now_ms => {
                self.leg_over("completed", until_ms - since_ms);
            }
            _ => {}
        }
    }

    /// The stream is over and the call is not: asks, or goes on.
    pub(super) fn after_stream(&mut self) {
        match self.connect.take().and_then(|connect| connect.action) {
            Some(action) => self.ask(twiml::resolve(&self.document, &action)),
            None => self.follow(),
        }
    }

    /// The call is over, whatever was going on.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ended.is_some() {
            return;
        }
        if matches!(self.stage, Stage::Opening { .. }) {
            self.outgoing.put(self.now_ms, Out::Close);
        }
        self.leave_stream();
        self.ended = Some((self.now_ms, ending));
        self.note(What::Ended(ending));
        let Some(url) = self.setup.status_callback.clone() else {
            return self.over();
        };
        let status = self.status();
        let seconds = self.duration_ms().div_ceil(1000).to_string();
        let minutes = self.billed_minutes().to_string();
        let form = self.form(
            status,
            &[
                ("CallDuration", &seconds),
                ("Duration", &minutes),
                ("SequenceNumber", "0"),
                ("CallbackSource", "call-progress-events"),
            ],
        );
        self.post(url, &form);
        let until_ms = self.now_ms.saturating_add(ANSWER_MS);
        self.stage = Stage::Reporting { until_ms };
    }

    fn over(&mut self) {
        self.stage = Stage::Over;
        self.outgoing.put(self.now_ms, Out::Done);
    }

    fn wait(&mut self, ms: u64) {
        let until_ms = self.now_ms.saturating_add(ms);
        self.stage = Stage::Waiting { until_ms };
    }

    fn open(&mut self, connect: twiml::Connect) {
        let url = connect.url.clone();
        self.connect = Some(connect);
        let wrong = wrong_stream_url(&url);
        if let Some((code, what)) = wrong {
            self.violated(code, what);
            return self.after_stream();
        }
        let signature = sign::signature(self.setup.auth_token.reveal(), &url, &[]);
        let headers = vec![("X-Twilio-Signature", signature)];
        self.outgoing.put(self.now_ms, Out::Open { url, headers });
        let until_ms = self.now_ms.saturating_add(OPEN_MS);
        self.stage = Stage::Opening { until_ms };
    }

    fn post(&mut self, url: String, form: &[(String, String)]) {
        let request = self.request(url, form);
        self.outgoing.put(self.now_ms, request);
    }

    /// A signed request.
    pub(super) fn request(&self, url: String, form: &[(String, String)]) -> Out {
        let signature = sign::signature(self.setup.auth_token.reveal(), &url, form);
        let headers = vec![
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=UTF-8".to_owned(),
            ),
            ("X-Twilio-Signature", signature),
            (
                "I-Twilio-Idempotency-Token",
                format!("{}-{}", self.setup.call_sid, self.requests),
            ),
        ];
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        Out::Http { url, headers, body }
    }

    pub(super) fn form(&self, status: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let setup = &self.setup;
        let verstat = setup.stir_verstat.as_deref();
        let direction = match setup.callee {
            Some(_) => "outbound-api",
            None => "inbound",
        };
        [
            ("AccountSid", &*setup.account_sid),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &*setup.call_sid),
            ("CallStatus", status),
            ("Called", &*setup.to),
            ("Caller", &*setup.from),
            ("CallerCity", ""),
            ("Direction", direction),
            ("From", &*setup.from),
            ("To", &*setup.to),
        ]
        .into_iter()
        .chain(verstat.map(|verstat| ("StirVerstat", verstat)))
        .chain(more.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}

/// What the carrier finds wrong with the address of a stream. Plain `ws` is believed on the loopback, where tests live.
fn wrong_stream_url(url: &str) -> Option<(u16, String)> {
    let local = ["ws://127.0.0.1", "ws://localhost", "ws://[::1]"];
    if !url.starts_with("wss://") && !local.iter().any(|start| url.starts_with(start)) {
        return Some((31922, format!("{url} is not a wss address")));
    }
    url.contains('?').then(|| {
        (
            31920,
            format!("{url} has a query, which a stream cannot have"),
        )
    })
}

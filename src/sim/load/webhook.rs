//! What the carrier asks and tells a server over HTTP: one request a connection, each signed.

use super::call::{Call, Stage};
use super::figures::Ending;
use super::hall::{Hall, Task};
use super::http::Message;
use super::line::{Line, Room};
use super::target::{Scheme, Target};
use super::token;
use crate::sim::phone::twiml::{self, Verb};
use form_urlencoded::Serializer;

/// What the answer to a request is wanted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// To know what to do with a call.
    #[default]
    Document,
    /// To know what to do after its stream.
    After,
    /// Nothing: the server is told that the call is over.
    Nothing,
}

/// The request that is under way.
#[derive(Debug, Default)]
pub struct Web {
    line: Option<Line>,
    wish: Wish,
    /// Whom to ask after the stream.
    action: Option<String>,
}

/// How long the carrier waits for an answer to what it tells.
const PATIENCE_US: u64 = 10_000_000;

impl Call {
    /// Posts the call's state, and waits for an answer.
    pub(super) fn ask(&mut self, hall: &mut Hall, target: Target, wish: Wish) {
        let status = match wish {
            Wish::Document => "ringing",
            Wish::After => "in-progress",
            Wish::Nothing => match self.opened_us {
                0 => "busy",
                _ => "completed",
            },
        };
        let mut form: Vec<(String, String)> = [
            ("AccountSid", &*hall.plan.account),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &*self.sid),
            ("CallStatus", status),
            ("Called", &*hall.plan.to),
            ("Caller", &*self.from),
            ("CallerCity", ""),
            ("Direction", "inbound"),
            ("From", &*self.from),
            ("To", &*hall.plan.to),
            ("StirVerstat", "TN-Validation-Passed-A"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if wish == Wish::Nothing {
            let talked_us = match self.opened_us {
                0 => 0,
                since_us => hall.now_us() - since_us,
            };
            let seconds = talked_us.div_ceil(1_000_000);
            for (name, value) in [
                ("CallDuration", seconds.to_string()),
                ("Duration", seconds.div_ceil(60).to_string()),
                ("SequenceNumber", "0".to_owned()),
                ("CallbackSource", "call-progress-events".to_owned()),
            ] {
                form.push((name.to_owned(), value));
            }
        }
        let signature = hall.plan.sign(&target.url, &form);
        let body = Serializer::new(String::new()).extend_pairs(&form).finish();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\nX-Twilio-Signature: {signature}\r\n\r\n{body}",
            target.path,
            target.host,
            body.len()
        );
        let line = hall.encryption(&target).and_then(|tls| {
            Line::dial(target.address, tls, &hall.registry, token::web(self.index))
                .map_err(|error| error.to_string())
        });
        match line {
            Ok(mut line) => {
                line.send(request.as_bytes());
                self.web.line = Some(line);
                self.web.wish = wish;
            }
            Err(why) => {
                self.violated(hall, || why);
                self.unanswered(hall, wish);
            }
        }
    }

    /// Something happened to the request's socket.
    pub fn web_ready(&mut self, hall: &mut Hall, room: &mut Room) {
        let Some(mut line) = self.web.line.take() else {
            return;
        };
        line.flush();
        loop {
            let came = line.fill(room);
            let wish = self.web.wish;
            match Message::read(&room.plain[..came.bytes], came.over) {
                Ok(Some(answer)) => return self.answered(hall, wish, &answer),
                Ok(None) if !came.over => line.keep(&room.plain[..came.bytes]),
                Ok(None) | Err(_) => return self.unanswered(hall, wish),
            }
            if !came.more {
                break;
            }
        }
        self.web.line = Some(line);
    }

    fn answered(&mut self, hall: &mut Hall, wish: Wish, answer: &Message) {
        let status = answer.status();
        match wish {
            Wish::Nothing => return self.over(),
            Wish::After => return self.end(hall, Ending::Server),
            Wish::Document => {}
        }
        if status != 200 {
            self.violated(hall, || {
                format!("the webhook was answered with HTTP {status} (11200)")
            });
            return self.end(hall, Ending::Refused);
        }
        match twiml::read(&answer.body).map(|verbs| verbs.into_iter().next()) {
            Ok(Some(Verb::Connect(connect))) => {
                self.web.action = connect.action;
                self.open_at(hall, &connect.url, connect.parameters);
            }
            Ok(_) => self.end(hall, Ending::Refused),
            Err(wrong) => {
                self.violated(hall, || format!("{wrong} (12100)"));
                self.end(hall, Ending::Refused);
            }
        }
    }

    fn unanswered(&mut self, hall: &mut Hall, wish: Wish) {
        match wish {
            Wish::Nothing => self.over(),
            Wish::After => self.end(hall, Ending::Server),
            Wish::Document => {
                self.violated(hall, || "the webhook was not answered (11205)".to_owned());
                self.end(hall, Ending::Refused);
            }
        }
    }

    /// Asks what comes after the stream, if the document said whom.
    pub(super) fn after(&mut self, hall: &mut Hall) {
        self.stage = Stage::After;
        let action = self.web.action.take();
        let action = action.map(|action| twiml::resolve(&hall.plan.target.url, &action));
        match action.map(|action| hall.reach(&action)) {
            Some(Ok(target)) => {
                hall.plan_at(hall.now_us() + PATIENCE_US, Task::Patience(self.index));
                self.ask(hall, target, Wish::After);
            }
            Some(Err(unfit)) => {
                self.violated(hall, || unfit.to_string());
                self.end(hall, Ending::Server);
            }
            None => self.end(hall, Ending::Server),
        }
    }

    /// Tells the server that the call is over, as a number's status callback does: `…/voice` and `…/status` are neighbours.
    pub(super) fn tell(&mut self, hall: &mut Hall) {
        self.stage = Stage::Telling;
        let target = &hall.plan.target;
        let callback = match target.scheme {
            Scheme::Http | Scheme::Https => target.url.strip_suffix("/voice"),
            Scheme::Ws | Scheme::Wss => None,
        };
        let callback = callback.map(|start| hall.reach(&format!("{start}/status")));
        match callback {
            Some(Ok(target)) => {
                hall.plan_at(hall.now_us() + PATIENCE_US, Task::Patience(self.index));
                self.ask(hall, target, Wish::Nothing);
            }
            // Without anybody to tell; its closed stream is left to be read to its end.
            _ => self.stage = Stage::Over,
        }
    }
}

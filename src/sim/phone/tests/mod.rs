//! Calls in virtual time, against a server made of lines of text.

mod document;
mod leg;
mod socket;
mod stream;

use super::*;
use crate::sim::dice::Dice;
use crate::sim::voice::speech;
use audio_codec_algorithms::{decode_ulaw, encode_ulaw};
use base64_simd::STANDARD;
use serde_json::{Value, json};

const VOICE: &str = "https://bot.example.com/twilio/voice";
const CONNECT: &str = r#"<Response><Connect action="/twilio/ended"><Stream url="wss://bot.example.com/media/7f3c">
    <Parameter name="from" value="+14155550123"/></Stream></Connect><Hangup/></Response>"#;
const HANGUP: &str = "<Response><Hangup/></Response>";

/// A phone, the time, and all it sent.
struct Bench {
    phone: Phone,
    now_ms: u64,
    documents: Vec<&'static str>,
    sent: Vec<(u64, Out)>,
    sid: String,
}

fn setup() -> Setup {
    let account = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let call = "CA00000000000000000000000000000001";
    Setup::new(VOICE, account, "0123456789abcdef0123456789abcdef", call)
}

/// Rings a server that answers with these documents, one after the other, at once.
fn ring(setup: Setup, documents: &[&'static str]) -> Bench {
    let mut bench = Bench {
        phone: Phone::new(setup),
        now_ms: 5_000,
        documents: documents.iter().rev().copied().collect(),
        sent: Vec::new(),
        sid: String::new(),
    };
    bench.phone.start(5_000);
    bench.flush();
    bench
}

impl Bench {
    /// Does what the phone wants done.
    fn flush(&mut self) {
        while let Some(out) = self.phone.poll() {
            self.sent.push((self.now_ms - 5_000, out.clone()));
            match out {
                Out::Http { .. } => match self.documents.pop() {
                    Some("") => self.phone.unanswered(self.now_ms),
                    Some(body) => self.phone.http_answered(self.now_ms, 200, body),
                    None => {}
                },
                Out::Open { .. } => self.phone.opened(self.now_ms),
                Out::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("the phone sends JSON");
                    if let Some(sid) = frame["streamSid"].as_str() {
                        self.sid = sid.to_owned();
                    }
                }
                Out::Tell { .. } | Out::Close | Out::Done => {}
            }
        }
    }

    /// Lets time pass until so many milliseconds after the call began.
    fn until(&mut self, ms: u64) -> &mut Self {
        while let Some(due_ms) = self.phone.deadline().filter(|due_ms| *due_ms <= ms + 5_000) {
            assert!(due_ms >= self.now_ms, "a deadline in the past");
            self.now_ms = due_ms;
            self.phone.wake(due_ms);
            self.flush();
            assert!(self.phone.deadline() > Some(due_ms) || self.phone.deadline().is_none());
        }
        self.now_ms = ms + 5_000;
        self.phone.wake(self.now_ms);
        self.flush();
        self
    }

    fn tell(&mut self, mut frame: Value) -> &mut Self {
        frame["streamSid"] = self.sid.clone().into();
        self.phone.receive(self.now_ms, &frame.to_string());
        self.flush();
        self
    }

    /// The server sends so many samples of one loudness.
    fn plays(&mut self, samples: usize, loudness: i16) -> &mut Self {
        let payload = STANDARD.encode_to_string(vec![encode_ulaw(loudness); samples]);
        self.tell(json!({ "event": "media", "media": { "payload": payload } }))
    }

    fn marks(&mut self, name: &str) -> &mut Self {
        self.tell(json!({ "event": "mark", "mark": { "name": name } }))
    }

    /// When each frame of this kind was sent, and the frame.
    fn frames(&self, event: &str) -> Vec<(u64, Value)> {
        let texts = self.sent.iter().filter_map(|(at_ms, out)| match out {
            Out::Text(text) => serde_json::from_str(text)
                .ok()
                .map(|frame: Value| (*at_ms, frame)),
            _ => None,
        });
        texts.filter(|(_, frame)| frame["event"] == event).collect()
    }

    fn returned(&self) -> Vec<(u64, String)> {
        let frames = self.frames("mark").into_iter();
        frames
            .map(|(at_ms, frame)| {
                (
                    at_ms,
                    frame["mark"]["name"].as_str().unwrap_or("").to_owned(),
                )
            })
            .collect()
    }

    fn posts(&self) -> Vec<(&str, Vec<(String, String)>)> {
        let posts = self.sent.iter().filter_map(|(_, out)| match out {
            Out::Http { url, body, headers } | Out::Tell { url, body, headers } => {
                let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
                    .into_owned()
                    .collect();
                let token = "0123456789abcdef0123456789abcdef";
                let signature = sign::signature(token, url, &form);
                assert!(
                    headers.contains(&("X-Twilio-Signature", signature)),
                    "{url} is not signed"
                );
                Some((url.as_str(), form))
            }
            _ => None,
        });
        posts.collect()
    }

    fn story(&self) -> String {
        let moments = self.phone.timeline().iter();
        moments
            .map(|moment| format!("{}\n", moment.to_string().trim_start()))
            .collect()
    }

    fn ending(&self) -> Option<(u64, Ending)> {
        self.phone.ended()
    }
}

fn slow_line() -> Setup {
    Setup {
        line: Line {
            delay_ms: 40,
            ..Line::default()
        },
        ..setup()
    }
}

fn scripted(script: Vec<Step>) -> Setup {
    Setup { script, ..setup() }
}

fn at(ms: u64, act: Act) -> Step {
    let when = When::At { ms };
    Step { when, act }
}

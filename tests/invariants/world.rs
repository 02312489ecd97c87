//! What the other sides of a call could sensibly say next, and much that they could not.

use crate::rules::Random;
use ringfence::audio::ear::{Heard, Hold};
use ringfence::audio::level::Level;
use ringfence::call::tools::{Outcome, ToolResult};
use ringfence::call::{Input, Order, Output, Verdict};
use ringfence::carrier::{self, Answerer, Mark};
use ringfence::pricing::{TranscriptionUsage, Usage};
use ringfence::realtime::{self, Code, Complaint, Gravity, Loss, Status};
use ringfence::units::{Id, Usd};

/// Everybody but the call.
#[derive(Default)]
pub struct World {
    nonces: u64,
    items: u64,
    marks: Vec<Mark>,
    asked: bool,
    tools: Vec<Id>,
}

impl World {
    pub fn saw(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Realtime(realtime::Command::Respond(request)) => {
                    self.nonces = request.nonce
                }
                Output::Carrier(carrier::Command::Play { mark, .. }) => self.marks.push(*mark),
                Output::Budget(_) => self.asked = true,
                Output::Tool(call) => self.tools.push(call.tool_call.clone()),
                _ => {}
            }
        }
    }

    fn nonce(&self, random: &mut Random) -> Option<u64> {
        match random.below(400) {
            0 => None,
            1 => Some(random.next()),
            2..40 => Some(random.below(self.nonces + 1)),
            _ => Some(self.nonces),
        }
    }

    fn response(&mut self, random: &mut Random) -> Id {
        let back = if random.chance(80) {
            0
        } else {
            random.below(4)
        };
        Id::from(format!("r{}", self.nonces.saturating_sub(back)).as_str())
    }

    fn item(&mut self, random: &mut Random) -> Id {
        let back = if random.chance(70) {
            0
        } else {
            random.below(4)
        };
        Id::from(format!("i{}", self.items.saturating_sub(back)).as_str())
    }

    fn carrier(&mut self, random: &mut Random) -> carrier::Event {
        match random.below(40) {
            0 if random.chance(20) => carrier::Event::Stopped,
            1 => carrier::Event::Digit('5'),
            2 if random.chance(10) => carrier::Event::Lost,
            3..6 => carrier::Event::Started,
            6..20 if !self.marks.is_empty() => {
                let place = if random.chance(80) {
                    0
                } else {
                    random.below(self.marks.len() as u64)
                };
                carrier::Event::Played(self.marks.remove(place as usize))
            }
            21 => random.pick(&[
                carrier::Event::NotTransferred,
                carrier::Event::LegEnded { seconds: Some(61) },
                carrier::Event::Ended { seconds: None },
                carrier::Event::Stopped,
            ]),
            22 if random.chance(3) => carrier::Event::AnsweredBy(random.pick(&[
                Answerer::Person,
                Answerer::Machine,
                Answerer::Fax,
            ])),
            20 => carrier::Event::Played(Mark {
                item: random.below(9) as u32,
                until_ms: random.next(),
                generation: random.below(3) as u32,
            }),
            _ => carrier::Event::Heard {
                ms: [20, 20, 100, random.below(20_000)][random.below(4) as usize],
            },
        }
    }

    fn realtime(&mut self, random: &mut Random) -> realtime::Event {
        use realtime::Event;
        match random.below(60) {
            0..3 => Event::SpeechStarted,
            3..5 => Event::SpeechStopped,
            5..12 => {
                self.items += 1;
                Event::Committed {
                    item: self.item(random),
                }
            }
            12..17 => Event::Transcribed {
                item: self.item(random),
                text: "words".into(),
                usage: random_transcription(random),
            },
            17 => Event::TranscriptionFailed {
                item: self.item(random),
            },
            18..26 => {
                let nonce = self.nonce(random);
                let response = Id::from(format!("r{}", nonce.unwrap_or(0)).as_str());
                Event::ResponseStarted { response, nonce }
            }
            26..40 => {
                self.items += u64::from(random.chance(20));
                let most = if random.chance(90) { 20_000 } else { u64::MAX };
                let until_ms = random.below(most);
                Event::Spoke {
                    response: self.response(random),
                    item: self.item(random),
                    until_ms,
                }
            }
            40..44 => Event::SpokeAll {
                response: self.response(random),
                item: self.item(random),
            },
            44..54 => Event::ResponseDone {
                response: self.response(random),
                nonce: self.nonce(random),
                status: random.pick(&[
                    Status::Completed,
                    Status::Completed,
                    Status::Cancelled,
                    Status::Incomplete,
                    Status::Failed(Code::new("server_error")),
                ]),
                usage: random_usage(random),
            },
            54..56 => self.complaint(random),
            56 => Event::Said {
                response: self.response(random),
                item: self.item(random),
                text: "so many words".into(),
            },
            57 if random.chance(20) => Event::Lost(random.pick(&[
                Loss::Dropped,
                Loss::Expired,
                Loss::Refused(Code::new("insufficient_quota")),
            ])),
            58 if random.chance(5) => Event::Configured(Err("tools")),
            59 => Event::Saying {
                response: self.response(random),
                item: self.item(random),
                text: "some words".into(),
            },
            _ => self.tool_call(random),
        }
    }

    fn tool_call(&mut self, random: &mut Random) -> realtime::Event {
        let (name, arguments) = random.pick(&[
            ("look-up", "{}"),
            ("look-up", "{\"order\": 1}"),
            ("end_call", "{}"),
            ("transfer", "{\"to\": \"sales\"}"),
            ("transfer", "{\"to\": \"+19005550000\"}"),
            ("send_digits", "{\"digits\": \"12#\"}"),
            ("made-up", "nonsense"),
        ]);
        self.items += 1;
        let tool_call = Id::from(format!("call-{}", self.items).as_str());
        realtime::Event::ToolCalled {
            response: self.response(random),
            item: self.item(random),
            tool_call,
            name: name.into(),
            arguments: arguments.into(),
        }
    }

    /// A session on standby mostly does what it should.
    fn standby(&mut self, random: &mut Random) -> realtime::Event {
        use realtime::Event;
        match random.below(40) {
            0..16 => Event::Created {
                expires_at_s: random.chance(40).then(|| random.below(300)),
            },
            16..36 => Event::Configured(Ok(())),
            36 => Event::Lost(Loss::Dropped),
            37 => Event::Configured(Err("tools")),
            38 => self.complaint(random),
            _ => Event::ResponseDone {
                response: self.response(random),
                nonce: self.nonce(random),
                status: Status::Completed,
                usage: random_usage(random),
            },
        }
    }

    fn tool_result(&mut self, random: &mut Random) -> ToolResult {
        let tool_call = match self.tools.len() as u64 {
            0 => Id::from("call-0"),
            left => self.tools.remove(random.below(left) as usize),
        };
        let outcome = random.pick(&[Outcome::Done, Outcome::Misfit, Outcome::Failed]);
        ToolResult {
            tool_call,
            outcome,
            output: "x".repeat(random.below(6_000) as usize),
        }
    }

    fn complaint(&self, random: &mut Random) -> realtime::Event {
        use realtime::Event;
        Event::Complained(Complaint {
            gravity: random.pick(&[
                Gravity::Benign,
                Gravity::Benign,
                Gravity::Ignored,
                Gravity::Retry,
            ]),
            code: Code::new("x"),
            about: if random.chance(50) {
                self.nonce(random)
            } else {
                None
            },
        })
    }

    pub fn input(&mut self, random: &mut Random) -> Input {
        match random.below(100) {
            0 if random.chance(10) => Input::Order(random.pick(&[Order::WrapUp, Order::HangUp])),
            1..10 if self.asked => {
                self.asked = random.chance(30);
                Input::Budget(match random.below(4) {
                    0 => Verdict::Refused,
                    _ => Verdict::Granted(Usd::from_micros(random.below(300_000))),
                })
            }
            0..12 => Input::Wake,
            12..18 => Input::Standby(self.standby(random)),
            18 => Input::Level(random.pick(&[Level::Silent, Level::Sounding])),
            19 => Input::Ear(random.pick(&[Heard::Speech, Heard::Quiet, Heard::Hold(Hold::Music)])),
            20..23 => Input::Tool(self.tool_result(random)),
            23..52 => Input::Carrier(self.carrier(random)),
            _ => Input::Realtime(self.realtime(random)),
        }
    }
}

fn random_usage(random: &mut Random) -> Option<Usage> {
    let scale: u64 = match random.below(20) {
        0 => return None,
        1 if random.chance(10) => 20_000,
        2..4 => 0,
        _ => 150,
    };
    let text_in = random.below(scale * 2);
    Some(Usage {
        text_in,
        audio_in: random.below(scale),
        cached_text: random.below(text_in + 1),
        text_out: random.below(scale / 4),
        audio_out: random.below(scale),
        ..Usage::default()
    })
}

fn random_transcription(random: &mut Random) -> Option<TranscriptionUsage> {
    match random.below(3) {
        0 => None,
        1 => Some(TranscriptionUsage::Duration {
            millis: random.below(1_500),
        }),
        _ => Some(TranscriptionUsage::Tokens {
            text_in: 0,
            audio_in: random.below(20),
            text_out: random.below(10),
        }),
    }
}

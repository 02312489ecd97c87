//! Where a dialect is spoken, and a simulated model that listens there.

use ringfence::audio::Format;
use ringfence::realtime::{Command, Dialect, Event, Session, Tool, TurnDetection, dialect};
use ringfence::sim::model::{Model, Out, Setup};
use ringfence::units::Secret;
use serde_json::Value;
use std::sync::Arc;

const PRICES: &str = include_str!("../../config/prices.toml");

/// An address, the dialect that is spoken there, and how the simulated model is told to listen to it.
pub struct Place {
    pub dialect: &'static str,
    pub url: &'static str,
    /// Whether the protocol's older names are spoken.
    pub older: bool,
    pub model: &'static str,
    pub behaviour: &'static str,
}

/// Every place there is.
pub fn places() -> Vec<Place> {
    vec![
        Place {
            dialect: "openai",
            url: "wss://api.openai.com/v1/realtime",
            older: false,
            model: "gpt-realtime-2.1",
            behaviour: "",
        },
        Place {
            dialect: "openai-beta",
            url: "wss://speech.acme.test/v1/realtime",
            older: true,
            model: "gpt-realtime-2.1",
            behaviour: "older",
        },
        Place {
            dialect: "azure",
            url: "wss://acme.openai.azure.com/openai/v1/realtime",
            older: false,
            model: "front",
            behaviour: "deploys=front:gpt-realtime-2.1",
        },
        Place {
            dialect: "azure",
            url: "wss://acme.openai.azure.com/openai/realtime",
            older: true,
            model: "front",
            behaviour: "deploys=front:gpt-realtime-2.1",
        },
    ]
}

impl Place {
    /// Settings that use everything that can be asked for here.
    pub fn session(&self) -> Session {
        let can = dialect(self.dialect).expect("is a dialect").can;
        Session {
            url: self.url.into(),
            model: self.model.into(),
            priced_as: "gpt-realtime-2.1".into(),
            can,
            api_key: Secret::from("sk-test".to_string()),
            voice: "marin".into(),
            instructions: "You answer the phone.".into(),
            audio: Format::Pcm16 { rate: 24_000 },
            transcription: Some("gpt-4o-mini-transcribe".into()),
            max_output_tokens: 1024,
            post_instructions: can.truncation.then_some(2000),
            tools: vec![Tool {
                name: "order-status".into(),
                description: "Look up an order.".into(),
                parameters: serde_json::json!({"type": "object"}),
            }],
            turn_detection: TurnDetection {
                threshold_milli: 500,
                prefix_padding_ms: 300,
                silence_duration_ms: 500,
                interrupt_response: true,
            },
        }
    }

    pub fn codec(&self) -> Box<dyn Dialect> {
        self.coded(self.session())
    }

    fn coded(&self, session: Session) -> Box<dyn Dialect> {
        (dialect(self.dialect).expect("is a dialect").new)(Arc::new(session))
    }

    /// A session that has just begun.
    pub fn line(&self, behaviour: &str) -> Line {
        self.line_with(self.session(), behaviour)
    }

    pub fn line_with(&self, session: Session, behaviour: &str) -> Line {
        let behaviour = format!("{} {behaviour}", self.behaviour);
        let setup = Setup::parse(PRICES, &behaviour).expect("is a behaviour");
        let codec = self.coded(session);
        let address = codec.address();
        let header = |name: &str| {
            let mut all = address.headers.iter();
            all.find(|(own, _)| own.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.reveal())
        };
        let host = address.url.find("://").expect("has a scheme") + 3;
        let path = address.url[host..].find('/').expect("has a path") + host;
        let mut model = Model::new(setup, 7);
        let key = header("authorization").or(header("api-key"));
        let beta = header("openai-beta").is_some();
        let opened = model.connect(0, &address.url[path..], key, beta);
        assert_eq!(opened, Ok(()), "{}", address.url);
        let mut line = Line {
            codec,
            model,
            now: 0,
            written: Vec::new(),
            heard: Vec::new(),
        };
        let created = Event::Created {
            expires_at_s: Some(3600),
        };
        assert_eq!(line.listen(), [created], "{}", address.url);
        line
    }
}

/// A codec on one side and the simulated model on the other.
pub struct Line {
    codec: Box<dyn Dialect>,
    model: Model,
    now: u64,
    /// Every frame but sound that the codec wrote.
    pub written: Vec<Value>,
    /// Every frame that the model sent.
    pub heard: Vec<Value>,
}

impl Line {
    /// Says something, and gives what the model says to it at once.
    pub fn tell(&mut self, command: &Command) -> Vec<Event> {
        self.sound(command, &[0; 960])
    }

    fn sound(&mut self, command: &Command, sound: &[u8]) -> Vec<Event> {
        let (model, written, now) = (&mut self.model, &mut self.written, self.now);
        self.codec.write(command, sound, &mut |frame| {
            written.push(serde_json::from_str(frame).expect("is JSON"));
            model.receive(now, frame);
        });
        self.listen()
    }

    /// The caller says something for a second, and is silent until it is written down.
    pub fn speak(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for frame in 0..110_u32 {
            let loud = frame < 50;
            // A buzz of 100 Hz that swells and fades as syllables do.
            let sample = |n: u32| {
                let at = frame * 480 + n;
                let level = if (at / 4_800).is_multiple_of(2) {
                    9_000
                } else {
                    4_000
                };
                let up = (at / 120).is_multiple_of(2);
                let value: i16 = if up { level } else { -level };
                if loud { value } else { 0 }
            };
            let sound: Vec<u8> = (0..480).flat_map(|n| sample(n).to_le_bytes()).collect();
            events.extend(self.wait(20));
            events.extend(self.sound(&Command::Append { ms: 20 }, &sound));
        }
        events.extend(self.wait(1_000));
        events
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: u64) -> Vec<Event> {
        let until = self.now + ms;
        let mut events = Vec::new();
        while let Some(due) = self.model.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.model.wake(self.now);
            events.extend(self.listen());
        }
        self.now = until;
        events
    }

    fn listen(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(out) = self.model.poll() {
            let Out::Text(frame) = out else {
                panic!("the session ended: {out:?}");
            };
            self.heard
                .push(serde_json::from_str(&frame).expect("is JSON"));
            let event = self.codec.read(&frame, &mut Vec::new());
            events.extend(event.expect("is understood"));
        }
        events
    }
}

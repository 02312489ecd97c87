//! A call with the simulated model in virtual time, told line by line.
//!
//! Each line does one thing and the time goes on with it: `speak MS` and `quiet MS` append sound in 20 ms frames, `wait
//! MS` appends nothing, `set JSON` and `tell JSON` send, `respond`, `goodbye` and `cancel` are the usual requests.

use super::voice::{Kind, decode, encode, hum};
use super::{Model, Out, Setup, invoice};
use crate::audio::Format;
use serde_json::{Value, json};

/// The call, and everything the model sent.
pub struct Talk {
    pub model: Model,
    pub now: u64,
    /// What was sent, and when.
    pub log: Vec<(u64, Value)>,
    /// How the connection ended, if it did.
    pub end: Option<Out>,
    /// All sound that was appended.
    pub appended: Vec<i16>,
}

/// A session on mu-law that never answers by itself, with a greeting's worth of nothing said yet.
pub fn talk(behaviour: &str, script: &str) -> Talk {
    let mut talk = Talk::open(behaviour);
    talk.play(
        r#"set {"type": "realtime", "instructions": "You answer the phone for a dentist only.", "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 500, "create_response": false}},
            "output": {"format": {"type": "audio/pcmu"}}}}"#
            .replace('\n', " ")
            .as_str(),
    );
    talk.play(script);
    talk
}

impl Talk {
    /// Connected, and nothing set.
    pub fn open(behaviour: &str) -> Talk {
        Talk::at(behaviour, "/v1/realtime?model=gpt-realtime-2.1")
    }

    /// The same, at another address.
    pub fn at(behaviour: &str, path: &str) -> Talk {
        let setup = Setup::parse(invoice::PRICES, behaviour).unwrap();
        let mut talk = Talk {
            model: Model::new(setup, 7),
            now: 0,
            log: Vec::new(),
            end: None,
            appended: Vec::new(),
        };
        talk.model
            .connect(0, path, Some("Bearer sk-test"), false)
            .unwrap();
        talk.drain();
        talk
    }

    pub fn play(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let ms = || rest.parse::<u64>().unwrap();
            let parsed = || serde_json::from_str::<Value>(rest).unwrap();
            match word {
                "speak" => self.hear(&hum(Kind::Remark, ms(), 8_000)),
                "quiet" => self.hear(&vec![0; ms() as usize * 8]),
                "wait" => self.wait(ms()),
                "set" => self.tell(&json!({"type": "session.update", "session": parsed()})),
                "tell" => self.tell(&parsed()),
                "respond" => self.tell(&json!({"type": "response.create"})),
                "cancel" => self.tell(&json!({"type": "response.cancel"})),
                "goodbye" => self.tell(&json!({"type": "response.create", "response": {
                    "conversation": "none", "input": [], "tools": [], "instructions": "Say goodbye.",
                    "max_output_tokens": 200, "metadata": {"nonce": "9"}}})),
                other => panic!("no such line: {other}"),
            }
        }
    }

    pub fn tell(&mut self, event: &Value) {
        self.model.receive(self.now, &event.to_string());
        self.drain();
    }

    pub fn hear(&mut self, samples: &[i16]) {
        for frame in samples.chunks(160) {
            self.wait(20);
            self.appended
                .extend(decode(Format::Pcmu, &encode(Format::Pcmu, frame)));
            let audio = base64_simd::STANDARD.encode_to_string(encode(Format::Pcmu, frame));
            self.tell(&json!({"type": "input_audio_buffer.append", "audio": audio}));
        }
    }

    pub fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.model.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.model.wake(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(out) = self.model.poll() {
            match out {
                Out::Text(text) => self
                    .log
                    .push((self.now, serde_json::from_str(&text).unwrap())),
                end => assert_eq!(self.end.replace(end), None, "it ended twice"),
            }
        }
    }

    /// The events of this type.
    pub fn all(&self, kind: &str) -> Vec<&Value> {
        let matching = self.log.iter().filter(|(_, event)| event["type"] == kind);
        matching.map(|(_, event)| event).collect()
    }

    /// The only event of this type.
    pub fn one(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind} in {:#?}", self.kinds());
        all[0]
    }

    /// When the first event of this type came.
    pub fn when(&self, kind: &str) -> u64 {
        let found = self.log.iter().find(|(_, event)| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}")).0
    }

    /// Types in order, with runs of deltas told once.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = Vec::new();
        for (_, event) in &self.log {
            let kind = event["type"].as_str().unwrap_or_default().to_string();
            let repeats = |last: &[String]| last.iter().rev().take(2).any(|k| *k == kind);
            if !(kind.ends_with(".delta") && repeats(&kinds)) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Codes of the errors.
    pub fn faults(&self) -> Vec<String> {
        let codes = self.all("error").into_iter();
        codes
            .map(|event| {
                event["error"]["code"]
                    .as_str()
                    .unwrap_or("null")
                    .to_string()
            })
            .collect()
    }

    /// The sound of a response, from its deltas.
    pub fn sound(&self, response: &Value, format: Format) -> Vec<i16> {
        let deltas = self.all("response.output_audio.delta").into_iter();
        let bytes: Vec<u8> = deltas
            .filter(|event| event["response_id"] == *response)
            .flat_map(|event| {
                base64_simd::STANDARD
                    .decode_to_vec(event["delta"].as_str().unwrap())
                    .unwrap()
            })
            .collect();
        decode(format, &bytes)
    }

    /// Nano-dollars of what the wire says was used, by the invoice's own prices.
    pub fn reported_nanos(&self) -> u64 {
        let price = |usage: &Value| {
            let read = &usage["input_token_details"];
            let cached = &read["cached_tokens_details"];
            let count = |object: &Value, key: &str| object[key].as_u64().unwrap();
            let tokens = super::Tokens {
                text_in: count(read, "text_tokens"),
                audio_in: count(read, "audio_tokens"),
                image_in: count(read, "image_tokens"),
                cached_text: count(cached, "text_tokens"),
                cached_audio: count(cached, "audio_tokens"),
                cached_image: count(cached, "image_tokens"),
                text_out: count(&usage["output_token_details"], "text_tokens"),
                audio_out: count(&usage["output_token_details"], "audio_tokens"),
            };
            let sums = (
                tokens.text_in + tokens.audio_in + tokens.image_in,
                tokens.text_out + tokens.audio_out,
            );
            assert_eq!(
                sums,
                (count(usage, "input_tokens"), count(usage, "output_tokens"))
            );
            super::Prices::parse(invoice::PRICES)
                .unwrap()
                .response("gpt-realtime-2.1", tokens)
        };
        let reports = self.all("response.done").into_iter();
        reports
            .map(|event| &event["response"]["usage"])
            .filter(|usage| usage.is_object())
            .map(price)
            .sum()
    }
}

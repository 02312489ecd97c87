//! A line between its two wires: all that is done for a frame but the sockets themselves.

use super::Step;
use super::sound::linear;
use super::talk::{ANSWERS, DELTAS, ticket};
use super::wires::{CALL, carrier, media, piece, session, stream};
use base64_simd::STANDARD;
use ringfence::audio::moment;
use ringfence::bridge::line::{Line, Model, Outside};
use ringfence::call::tools::ToolCall;
use ringfence::call::words::Told;
use ringfence::call::{Ask, Input, Phase, Verdict, record::Ending, record::Fact};
use ringfence::carrier::RestRequest;
use ringfence::realtime::Address;
use ringfence::units::{CallTime, Id, Usd};
use serde_json::Value;
use std::hint::black_box;
use std::sync::Arc;

/// A world that takes everything, keeps what the other sides must repeat, and throws the rest away.
#[derive(Default)]
struct World {
    /// The marks sent to the carrier and not yet played, a line each: they come back as they are.
    marks: String,
    /// What the model was last asked for or told to be.
    asked: String,
    topped_up: Option<Usd>,
    facts: u64,
}

impl Outside for World {
    fn to_carrier(&mut self, frame: &str) {
        if frame.starts_with(r#"{"event":"mark""#) {
            self.marks.push_str(frame);
            self.marks.push('\n');
        }
        black_box(frame);
    }
    fn to_model(&mut self, frame: &str) {
        if !frame.starts_with(r#"{"type":"input_audio_buffer"#) {
            self.asked.clear();
            self.asked.push_str(frame);
        }
        black_box(frame);
    }
    fn ask(&mut self, ask: Ask) {
        if let Ask::TopUp(more) = ask {
            self.topped_up = Some(more);
        }
    }
    fn record(&mut self, fact: Fact) {
        self.facts += 1;
        black_box(fact);
    }
    fn open_model(&mut self, _: Address) {}
    fn close_model(&mut self) {}
    fn open_standby(&mut self, _: Address) {}
    fn to_standby(&mut self, _: &str) {}
    fn close_standby(&mut self) {}
    fn take_over(&mut self) {}
    fn close_carrier(&mut self) {}
    fn carrier_garbled(&mut self, _: &'static str) {}
    fn transfer(&mut self, _: RestRequest) {}
    fn rest(&mut self, _: RestRequest, _: u64) {}
    fn last_words(&mut self, _: String) {}
    fn tool(&mut self, _: ToolCall) {}
    fn transcript(&mut self, _: Told) {}
    fn over(&mut self, _: Ending) {}
}

/// A line on which both sides talk.
pub struct House {
    line: Line,
    world: World,
    now_ms: u64,
    /// What the caller says, over and over.
    media: Arc<[String]>,
    next: usize,
    /// What the model says, over and over.
    base64: Arc<str>,
    delta: String,
    deltas: u32,
    answers: u64,
    mark: String,
}

impl House {
    /// The stream is open, the model is ready.
    pub fn new() -> House {
        House::of(
            media().into(),
            STANDARD.encode_to_string(linear(100)).into(),
        )
    }

    fn of(media: Arc<[String]>, base64: Arc<str>) -> House {
        let model = Model::of(&Arc::new(session()), "openai").expect("a dialect of that name");
        let call = Id::from(CALL);
        let line = Line::new(
            ticket(),
            carrier(),
            call,
            model,
            Vec::new(),
            moment::moment().into(),
        );
        let mut house = House {
            line,
            world: World::default(),
            now_ms: 0,
            media,
            next: 0,
            base64,
            delta: String::new(),
            deltas: 0,
            answers: 0,
            mark: String::new(),
        };
        house
            .line
            .handle(CallTime::ZERO, Input::Wake, &mut house.world);
        house
            .line
            .stream_opened(CallTime::ZERO, stream(), &mut house.world);
        house.model(r#"{"type":"session.created","session":{}}"#);
        let asked: Value = serde_json::from_str(&house.world.asked).expect("the settings");
        house.model(&format!(
            r#"{{"type":"session.updated","session":{}}}"#,
            asked["session"]
        ));
        assert_eq!(house.line.call().phase(), Phase::Talking);
        house
    }

    fn now(&self) -> CallTime {
        CallTime::from_millis(self.now_ms)
    }

    fn model(&mut self, frame: &str) {
        self.line.model_frame(self.now(), frame, &mut self.world);
        if let Some(more) = self.world.topped_up.take() {
            let granted = Input::Budget(Verdict::Granted(more));
            self.line.handle(self.now(), granted, &mut self.world);
        }
    }

    /// The caller has said 20 ms more.
    pub fn frame(&mut self) {
        self.now_ms += 20;
        let now = self.now();
        self.line
            .carrier_frame(now, black_box(&self.media[self.next]), &mut self.world);
        self.next = (self.next + 1) % self.media.len();
    }

    /// The model has said 100 ms more, and what was sent before has been played. Every five seconds it is another answer, and after
    /// a few minutes another call.
    pub fn delta(&mut self) {
        if self.deltas == DELTAS {
            self.answered();
        }
        if self.answers == ANSWERS {
            assert_eq!(self.line.call().phase(), Phase::Talking);
            *self = House::of(self.media.clone(), self.base64.clone());
        }
        if self.deltas == 0 {
            self.ask();
        }
        self.deltas += 1;
        self.now_ms += 100;
        let now = self.now();
        self.line
            .model_frame(now, black_box(&self.delta), &mut self.world);
        self.play();
    }

    /// The carrier has played what lies before the first mark.
    fn play(&mut self) -> bool {
        let Some(end) = self.world.marks.find('\n') else {
            return false;
        };
        self.mark.clear();
        self.mark.push_str(&self.world.marks[..end]);
        self.world.marks.drain(..=end);
        let now = self.now();
        self.line.carrier_frame(now, &self.mark, &mut self.world);
        true
    }

    fn ask(&mut self) {
        let turn = self.answers;
        self.model(&format!(
            r#"{{"type":"input_audio_buffer.committed","item_id":"turn_{turn}"}}"#
        ));
        self.model(&format!(
            r#"{{"type":"conversation.item.input_audio_transcription.completed","item_id":"turn_{turn}","transcript":"Where is my order?"}}"#
        ));
        self.model(&format!(
            r#"{{"type":"response.created","response":{}}}"#,
            self.response("in_progress")
        ));
        self.delta = piece("output_audio", self.answers, &self.base64);
    }

    fn response(&self, status: &str) -> String {
        let asked: Value = serde_json::from_str(&self.world.asked).expect("a request");
        let (turn, metadata) = (self.answers, &asked["response"]["metadata"]);
        format!(
            r#"{{"id":"resp_D1x8Vq3ZrT5nYw2{turn:05}","status":"{status}","metadata":{metadata},"usage":{{"input_tokens":700,"output_tokens":130,"input_token_details":{{"text_tokens":300,"audio_tokens":400,"cached_tokens":0}},"output_token_details":{{"text_tokens":30,"audio_tokens":100}}}}}}"#
        )
    }

    fn answered(&mut self) {
        self.model(&format!(
            r#"{{"type":"response.output_audio.done","response_id":"resp_D1x8Vq3ZrT5nYw2{0:05}","item_id":"item_D1x8Vq3ZrT5nYw2{0:05}"}}"#,
            self.answers
        ));
        let response = self.response("completed");
        self.model(&format!(
            r#"{{"type":"response.done","response":{response}}}"#
        ));
        while self.play() {
            self.now_ms += 100;
        }
        self.deltas = 0;
        self.answers += 1;
    }
}

pub fn frame() -> Step {
    let mut house = House::new();
    Box::new(move || house.frame())
}

pub fn delta() -> Step {
    let mut house = House::new();
    Box::new(move || house.delta())
}

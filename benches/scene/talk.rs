//! A call with nothing around it: the core's own part of every frame.

use super::Step;
use ringfence::call::rules::{Abilities, Cap, Edge, Manner, Margins, Renewal, Rules};
use ringfence::call::{Ask, Call, Input, Output, Phase, Ticket, Verdict};
use ringfence::carrier::{self, Mark};
use ringfence::pricing::{ModelPrice, TranscriptionPrice, Usage};
use ringfence::realtime::{self, Status};
use ringfence::units::{CallTime, Id, Usd};
use std::collections::VecDeque;
use std::sync::Arc;

/// Deltas in one answer: five seconds of speech.
pub const DELTAS: u32 = 50;
/// Answers in one call, after which another one is made: a call never grows old here, as most do not.
pub const ANSWERS: u64 = 40;
/// For ever, as far as a walk goes: a thousand days, in milliseconds.
const FOR_EVER: u64 = 1_000 * 86_400_000;
/// More than any walk costs: a million dollars.
const FORTUNE: Usd = Usd::from_micros(1_000_000_000_000);

/// An agent as they are by default, but for its caps, which nobody reaches.
pub fn rules() -> Rules {
    let never = Cap {
        warn: FOR_EVER,
        end: FOR_EVER + 1,
    };
    Rules {
        spend: Cap {
            warn: FORTUNE,
            end: FORTUNE,
        },
        duration_ms: never,
        silence_ms: never,
        greeting: "".into(),
        goodbye: "Say goodbye.".into(),
        goodbye_sentence: "Goodbye.".into(),
        trouble_sentence: "Sorry.".into(),
        max_output_tokens: 1_024,
        settings_tokens: 200,
        prefix_padding_ms: 300,
        provider_interrupts: true,
        lead_ms: 300,
        message_ms: 100,
        model: ModelPrice {
            text_in: 4_000,
            cached_text: 400,
            audio_in: 32_000,
            cached_audio: 400,
            image_in: 5_000,
            cached_image: 500,
            text_out: 24_000,
            audio_out: 64_000,
        },
        transcription: Some(TranscriptionPrice::Tokens {
            text_in: 1_250,
            audio_in: 3_000,
            text_out: 5_000,
        }),
        minute: Usd::from_micros(12_500),
        say: Usd::from_micros(5_000),
        fee: Usd::ZERO,
        answer_timeout_ms: 8_000,
        edge: Edge::default(),
        context_tokens: 2_000,
        keep_turns: 2,
        model_name: "main".into(),
        abilities: Abilities::default(),
        manner: Manner::default(),
        renewal: Renewal::default(),
        out_of_band: true,
        moment_ms: 1_200,
        margins: Margins::default(),
    }
}

/// A call that has been admitted.
pub fn ticket() -> Ticket {
    Ticket {
        call: "rf-1".into(),
        rules: Arc::new(rules()),
        others: Vec::new(),
        began_unix_s: 0,
        granted: FORTUNE,
    }
}

/// What an answer of five seconds consumes.
pub fn usage() -> Usage {
    Usage {
        text_in: 300,
        audio_in: 400,
        text_out: 30,
        audio_out: 100,
        ..Usage::default()
    }
}

/// A call that talks, and everybody it talks to.
pub struct Talk {
    call: Call,
    now_ms: u64,
    out: Vec<Output>,
    marks: VecDeque<Mark>,
    /// The number of the answer that was asked for last.
    nonce: u64,
    deltas: u32,
    answers: u64,
    item: Id,
    response: Id,
}

impl Talk {
    /// The stream is open, the model is ready.
    pub fn new() -> Talk {
        let nobody = Id::from("");
        let mut talk = Talk {
            call: Call::new(ticket()),
            now_ms: 0,
            out: Vec::new(),
            marks: VecDeque::new(),
            nonce: 0,
            deltas: 0,
            answers: 0,
            item: nobody.clone(),
            response: nobody,
        };
        talk.told(Input::Wake);
        talk.told(Input::Carrier(carrier::Event::Started));
        talk.told(Input::Realtime(realtime::Event::Created {
            expires_at_s: None,
        }));
        talk.told(Input::Realtime(realtime::Event::Configured(Ok(()))));
        assert_eq!(talk.call.phase(), Phase::Talking);
        talk
    }

    /// Tells the core, and remembers what others would make of its outputs.
    fn told(&mut self, input: Input) {
        let now = CallTime::from_millis(self.now_ms);
        self.call.handle(now, input, &mut self.out);
        let mut asked = None;
        for output in self.out.drain(..) {
            match output {
                Output::Realtime(realtime::Command::Respond(request)) => self.nonce = request.nonce,
                Output::Carrier(carrier::Command::Play { mark, .. }) => self.marks.push_back(mark),
                Output::Budget(Ask::TopUp(more)) => asked = Some(more),
                _ => {}
            }
        }
        if let Some(more) = asked {
            self.told(Input::Budget(Verdict::Granted(more)));
        }
    }

    /// The caller has said 20 ms more.
    pub fn frame(&mut self) {
        self.now_ms += 20;
        self.told(Input::Carrier(carrier::Event::Heard { ms: 20 }));
    }

    /// The model has said 100 ms more, and what was sent before has been played. Every five seconds it is another answer, and after
    /// a few minutes another call.
    pub fn delta(&mut self) {
        if self.deltas == DELTAS {
            self.answered();
        }
        if self.answers == ANSWERS {
            assert_eq!(self.call.phase(), Phase::Talking);
            *self = Talk::new();
        }
        if self.deltas == 0 {
            self.ask();
        }
        self.deltas += 1;
        self.now_ms += 100;
        let until_ms = u64::from(self.deltas) * 100;
        let (response, item) = (self.response.clone(), self.item.clone());
        let spoke = realtime::Event::Spoke {
            response,
            item,
            until_ms,
        };
        self.told(Input::Realtime(spoke));
        if let Some(mark) = self.marks.pop_front() {
            self.told(Input::Carrier(carrier::Event::Played(mark)));
        }
    }

    /// The caller has said something that wants an answer, and it begins.
    fn ask(&mut self) {
        let turn = Id::from(format!("turn-{}", self.answers).as_str());
        self.told(Input::Realtime(realtime::Event::Committed {
            item: turn.clone(),
        }));
        self.told(Input::Realtime(realtime::Event::Transcribed {
            item: turn,
            text: "Where is my order?".into(),
            usage: None,
        }));
        self.item = Id::from(format!("item-{}", self.answers).as_str());
        self.response = Id::from(format!("response-{}", self.answers).as_str());
        let (response, nonce) = (self.response.clone(), Some(self.nonce));
        self.told(Input::Realtime(realtime::Event::ResponseStarted {
            response,
            nonce,
        }));
    }

    fn answered(&mut self) {
        let (response, item, nonce) = (self.response.clone(), self.item.clone(), Some(self.nonce));
        self.told(Input::Realtime(realtime::Event::SpokeAll {
            response: response.clone(),
            item,
        }));
        let (status, usage) = (Status::Completed, Some(usage()));
        self.told(Input::Realtime(realtime::Event::ResponseDone {
            response,
            nonce,
            status,
            usage,
        }));
        while let Some(mark) = self.marks.pop_front() {
            self.now_ms += 100;
            self.told(Input::Carrier(carrier::Event::Played(mark)));
        }
        self.deltas = 0;
        self.answers += 1;
    }
}

pub fn frame() -> Step {
    let mut talk = Talk::new();
    Box::new(move || talk.frame())
}

pub fn delta() -> Step {
    let mut talk = Talk::new();
    Box::new(move || talk.delta())
}

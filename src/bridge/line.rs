//! A call on its two wires, without the wires: frames in, frames out.
//!
//! This is everything between the sockets and the core: codecs, transcoding, the sound that waits on either way. It makes no decision
//! and does no IO, so the same code runs under real sockets and in virtual time. Sound the core has not asked for stays here: the
//! caller's in the *ear* until it is sent on, the model's in the *mouth* until it is played.

mod mouth;
mod past;
mod sending;
mod standby;

use crate::audio::ear::{Ear, EarSettings, Heard};
use crate::audio::level::LevelMeter;
use crate::audio::{Format, Transcoder, dtmf, g711};
use crate::call::tools::ToolCall;
use crate::call::words::Told;
use crate::call::{Ask, Call, Input, Output, Ticket, record::Ending, record::Fact, sounds::Sound};
use crate::carrier::{self, Carrier, RestRequest};
use crate::realtime::{self, Address, Dialect, Loss, NewDialect, Session};
use crate::units::{CallTime, Id};
use mouth::Mouth;
use past::Past;
use std::cell::Cell;
use std::sync::Arc;

/// What a line wants of the world outside.
pub trait Outside {
    /// A text frame for the carrier's socket.
    fn to_carrier(&mut self, frame: &str);
    /// A text frame for the model's socket.
    fn to_model(&mut self, frame: &str);
    /// Reach the model.
    fn open_model(&mut self, address: Address);
    /// Close the model's socket.
    fn close_model(&mut self);
    /// Reach a model for the session on standby.
    fn open_standby(&mut self, address: Address);
    /// A text frame for its socket.
    fn to_standby(&mut self, frame: &str);
    /// Close its socket.
    fn close_standby(&mut self);
    /// Its socket is the model's from now on; the one before is closed.
    fn take_over(&mut self);
    /// Close the carrier's socket; nothing more is said over it.
    fn close_carrier(&mut self);
    /// The carrier spoke nonsense, and is told so when its socket is closed.
    fn carrier_garbled(&mut self, what: &'static str);
    /// Perform this request, which hands the caller over; what it comes to is told.
    fn transfer(&mut self, request: RestRequest);
    /// Perform this request, after so many milliseconds.
    fn rest(&mut self, request: RestRequest, after_ms: u64);
    /// Have the carrier say this after the stream.
    fn last_words(&mut self, sentence: String);
    /// Call this function.
    fn tool(&mut self, call: ToolCall);
    /// Keep this in the transcript.
    fn transcript(&mut self, told: Told);
    /// Ask the budgets.
    fn ask(&mut self, ask: Ask);
    /// Write this down.
    fn record(&mut self, fact: Fact);
    /// The call is over.
    fn over(&mut self, ending: Ending);
    /// The core is about to be told this. Whoever proves something about it looks; nobody else needs to.
    fn told(&mut self, _now: CallTime, _input: &Input) {}
    /// This is what the core made of it; none of it is done yet.
    fn decided(&mut self, _call: &Call, _outputs: &[Output]) {}
}

thread_local! {
    /// Where sound lies between two conversions, for whichever line of this thread is at work: a few kilobytes less for each call.
    static PAGES: Cell<[Vec<u8>; 3]> = Cell::default();
}

/// One of the agent's models, as a line needs it.
#[derive(Clone)]
pub struct Model {
    /// What to ask of a session.
    pub session: Arc<Session>,
    /// What makes a codec for it.
    pub new_dialect: NewDialect,
}

impl Model {
    /// A model in this dialect; `None`: nobody speaks it.
    pub fn of(session: &Arc<Session>, dialect: &str) -> Option<Model> {
        Some(Model {
            session: session.clone(),
            new_dialect: realtime::dialect(dialect)?.new,
        })
    }

    fn codec(&self) -> Box<dyn Dialect> {
        (self.new_dialect)(self.session.clone())
    }
}

/// One call between its codecs.
pub struct Line {
    call: Call,
    carrier: Arc<dyn Carrier>,
    carrier_call: Id,
    /// Best first.
    models: Vec<Model>,
    stream: Option<Box<dyn carrier::Stream>>,
    /// The codec of the session that holds the floor.
    dialect: Box<dyn Dialect>,
    /// The codec of the one on standby.
    standby: Option<Box<dyn Dialect>>,
    up: Transcoder,
    down: Transcoder,
    /// The item whose sound is in the `down` filter now.
    speaking: Option<Id>,
    /// The caller's last seconds, sent on or not.
    ear: Past,
    ear_most: usize,
    /// "One moment, please.", as the telephone's sound.
    moment: Arc<[u8]>,
    /// What makes out whether there is anything on the caller's line, where silence is sent on in larger pieces.
    level: Option<LevelMeter>,
    /// What makes out speech and music, where the agent wants that.
    own_ear: Option<Box<Ear>>,
    /// What waits to be heard.
    mouth: Mouth,
    /// Sound read from a frame and not yet put anywhere.
    fresh: Vec<u8>,
    piece: Vec<u8>,
    encoded: Vec<u8>,
    /// The three pages above are this thread's.
    has_pages: bool,
    outputs: Vec<Output>,
}

impl Line {
    /// A line for a call that has just been admitted.
    pub fn new(
        ticket: Ticket,
        carrier: Arc<dyn Carrier>,
        carrier_call: Id,
        first: Model,
        others: Vec<Model>,
        moment: Arc<[u8]>,
    ) -> Self {
        let dialect = first.codec();
        let telephone = carrier.stream(&carrier_call).format();
        let margins = ticket.rules.margins;
        let ear_most = telephone.bytes(margins.ear_ms) as usize;
        let manner = ticket.rules.manner;
        let own_ear = (manner.confirm || manner.hold).then(|| {
            let settings = EarSettings {
                confirm: manner.confirm,
                hold: manner.hold,
                ..EarSettings::default()
            };
            Box::new(Ear::new(telephone, settings))
        });
        let level = (manner.coalesce_ms > 0).then(|| LevelMeter::new(telephone));
        let models = std::iter::once(first).chain(others).collect();
        Line {
            up: Transcoder::new(telephone, dialect.format()),
            down: Transcoder::new(dialect.format(), telephone),
            call: Call::new(ticket),
            carrier,
            carrier_call,
            models,
            stream: None,
            dialect,
            standby: None,
            speaking: None,
            ear: Past::default(),
            ear_most,
            moment,
            level,
            own_ear,
            mouth: Mouth::default(),
            fresh: Vec::new(),
            piece: Vec::new(),
            encoded: Vec::new(),
            has_pages: false,
            outputs: Vec::new(),
        }
    }

    /// When [`Input::Wake`] is due.
    pub fn deadline(&self) -> Option<CallTime> {
        self.call.deadline().map(|(at, _)| at)
    }

    /// The call itself, to be looked at.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The media stream is open and has named its call; `stream` has read its first frames, and whatever sound was in them.
    pub fn stream_opened(
        &mut self,
        now: CallTime,
        stream: Box<dyn carrier::Stream>,
        outside: &mut dyn Outside,
    ) {
        self.stream = Some(stream);
        self.handle(now, Input::Carrier(carrier::Event::Started), outside);
    }

    /// A text frame from the carrier.
    pub fn carrier_frame(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        self.with_pages(|line| line.carrier_said(now, frame, outside));
    }

    fn carrier_said(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        self.fresh.clear();
        let event = match stream.read(frame, &mut self.fresh) {
            Ok(event) => event,
            Err(carrier::Garbled(what)) => {
                outside.carrier_garbled(what);
                Some(carrier::Event::Lost)
            }
        };
        self.ear.extend(&self.fresh);
        self.ear.keep(self.ear_most);
        let heard = self.make_out();
        let level = self
            .level
            .as_mut()
            .and_then(|level| level.hear(&self.fresh));
        if let Some(event) = event {
            self.handle(now, Input::Carrier(event), outside);
        }
        if let Some(level) = level {
            self.handle(now, Input::Level(level), outside);
        }
        for heard in heard {
            self.handle(now, Input::Ear(heard), outside);
        }
    }

    /// What our own ear makes of the sound that has just come.
    fn make_out(&mut self) -> Vec<Heard> {
        let mut changes = Vec::new();
        if let Some(ear) = &mut self.own_ear {
            ear.hear(&self.fresh, &mut |heard| changes.push(heard));
        }
        changes
    }

    /// A text frame from the model.
    pub fn model_frame(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        self.with_pages(|line| line.read_model(now, frame, outside));
    }

    fn read_model(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        self.fresh.clear();
        match self.dialect.read(frame, &mut self.fresh) {
            Ok(Some(event)) => self.model_said(now, event, outside),
            Ok(None) => {}
            Err(realtime::Garbled(what)) => {
                tracing::warn!(event = "model.garbled", what);
                self.model_lost(now, Loss::Garbled, outside);
            }
        }
    }

    /// The model's socket closed, with these words.
    pub fn model_closed(
        &mut self,
        now: CallTime,
        code: Option<u16>,
        reason: &str,
        outside: &mut dyn Outside,
    ) {
        let loss = self.dialect.closed(code, reason);
        self.model_lost(now, loss, outside);
    }

    /// The model's server answered the handshake with an HTTP status.
    pub fn model_refused(&mut self, now: CallTime, status: u16, outside: &mut dyn Outside) {
        let loss = self.dialect.refused(status);
        self.model_lost(now, loss, outside);
    }

    /// The model's side is gone.
    pub fn model_lost(&mut self, now: CallTime, loss: Loss, outside: &mut dyn Outside) {
        self.handle(now, Input::Realtime(realtime::Event::Lost(loss)), outside);
    }

    /// Anything that is not a frame.
    pub fn handle(&mut self, now: CallTime, input: Input, outside: &mut dyn Outside) {
        self.with_pages(|line| line.act(now, input, outside));
    }

    fn act(&mut self, now: CallTime, input: Input, outside: &mut dyn Outside) {
        let mut outputs = self.decide(now, input, outside);
        for output in outputs.drain(..) {
            self.perform(output, outside);
        }
        self.outputs = outputs;
    }

    /// Works with the pages of this thread, which every line on it works with in turn.
    fn with_pages(&mut self, work: impl FnOnce(&mut Self)) {
        let are_here = std::mem::replace(&mut self.has_pages, true);
        if are_here {
            return work(self);
        }
        [self.fresh, self.piece, self.encoded] = PAGES.take();
        work(self);
        PAGES.set([&mut self.fresh, &mut self.piece, &mut self.encoded].map(std::mem::take));
        self.has_pages = false;
    }

    fn decide(&mut self, now: CallTime, input: Input, outside: &mut dyn Outside) -> Vec<Output> {
        let mut outputs = std::mem::take(&mut self.outputs);
        outside.told(now, &input);
        self.call.handle(now, input, &mut outputs);
        outside.decided(&self.call, &outputs);
        outputs
    }

    fn model_said(&mut self, now: CallTime, event: realtime::Event, outside: &mut dyn Outside) {
        let (item, complete) = match &event {
            realtime::Event::Spoke { item, .. } => (Some(item.clone()), false),
            realtime::Event::SpokeAll { item, .. } => (Some(item.clone()), true),
            _ => (None, false),
        };
        let mut outputs = self.decide(now, Input::Realtime(event), outside);
        // The core has decided whether this item is to be heard; its sound must be here before it is played.
        if let Some(item) = item {
            self.take_speech(&item, complete);
        }
        for output in outputs.drain(..) {
            self.perform(output, outside);
        }
        self.outputs = outputs;
    }

    /// Puts fresh sound of an item into the mouth, if the item is wanted.
    fn take_speech(&mut self, item: &Id, complete: bool) {
        if self.speaking.as_ref() != Some(item) {
            // Each item begins with a clean filter; what an unfinished one left behind is not this one's.
            self.encoded.clear();
            self.down.flush(&mut self.encoded);
            self.speaking = Some(item.clone());
        }
        self.encoded.clear();
        self.down.push(&self.fresh, &mut self.encoded);
        if complete {
            self.down.flush(&mut self.encoded);
            self.speaking = None;
        }
        let Some(number) = self.call.item_number(item) else {
            return;
        };
        self.mouth.put(number, &self.encoded);
    }

    fn perform(&mut self, output: Output, outside: &mut dyn Outside) {
        match output {
            Output::Carrier(command) => self.tell_carrier(&command, outside),
            Output::Realtime(command) => self.tell_model(&command, outside),
            Output::Standby(command) => self.tell_standby(&command, outside),
            Output::TakeOver => self.take_over(outside),
            Output::Sound { item, sound } => self.make(item, &sound),
            Output::Tool(call) => outside.tool(call),
            Output::Transcript(told) => outside.transcript(told),
            Output::Budget(ask) => outside.ask(ask),
            Output::Record(fact) => outside.record(fact),
            Output::Close(ending) => outside.over(ending),
        }
    }

    fn tell_carrier(&mut self, command: &carrier::Command, outside: &mut dyn Outside) {
        use carrier::Command;
        self.piece.clear();
        match command {
            Command::Play { mark, ms } => {
                self.take_mouthful(mark.item, *ms);
                if let Some(ear) = &mut self.own_ear {
                    ear.played(&self.piece);
                }
            }
            Command::Clear => {
                self.mouth.clear();
                if let Some(ear) = &mut self.own_ear {
                    ear.cleared();
                }
            }
            Command::LastWords(sentence) => return outside.last_words(sentence.clone()),
            Command::Close => return outside.close_carrier(),
            Command::Transfer(_) => {
                if let Some(request) = self.carrier.rest(&self.carrier_call, command) {
                    outside.transfer(request);
                }
                return;
            }
            Command::Limit { .. } | Command::Complete { .. } => {
                let after_ms = match command {
                    Command::Complete { after_ms } => *after_ms,
                    _ => 0,
                };
                if let Some(request) = self.carrier.rest(&self.carrier_call, command) {
                    outside.rest(request, after_ms);
                }
                return;
            }
        }
        if let Some(stream) = &mut self.stream {
            stream.write(command, &self.piece, &mut |frame| outside.to_carrier(frame));
        }
    }

    /// Takes the next `ms` of an item's sound out of the mouth. Where the item ends within a frame, the rest of the frame is silent.
    fn take_mouthful(&mut self, item: u32, ms: u64) {
        let format = self.telephone();
        let want = format.bytes(ms) as usize;
        self.mouth.play(item, want, &mut self.piece);
        self.piece.resize(want, format.silence());
    }

    /// What the line keeps in memory, about, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.ear.memory() + self.mouth.memory()
    }

    fn telephone(&self) -> Format {
        self.stream
            .as_ref()
            .map_or(Format::Pcmu, |stream| stream.format())
    }

    /// Puts a sound of our own into the mouth.
    fn make(&mut self, item: u32, sound: &Sound) {
        let made = match sound {
            Sound::Moment { .. } => self.moment.to_vec(),
            Sound::Tones(digits) => {
                let tones = dtmf::tones(digits).unwrap_or_default();
                let law = g711::Law::Mu;
                tones.into_iter().map(|sample| law.encode(sample)).collect()
            }
        };
        let mut sound = Vec::new();
        let mut into = Transcoder::new(Format::Pcmu, self.telephone());
        into.push(&made, &mut sound);
        into.flush(&mut sound);
        self.mouth.put(item, &sound);
    }

    fn tell_model(&mut self, command: &realtime::Command, outside: &mut dyn Outside) {
        use realtime::Command;
        self.piece.clear();
        match command {
            Command::Open { model } => {
                let Some(model) = self.models.get(*model) else {
                    return;
                };
                self.dialect = model.codec();
                return outside.open_model(self.dialect.address());
            }
            Command::Close => return outside.close_model(),
            Command::Append { ms } => return self.append(command, *ms, outside),
            Command::AppendSilence { ms } => return self.append_silence(command, *ms, outside),
            _ => {}
        }
        self.dialect
            .write(command, &self.piece, &mut |frame| outside.to_model(frame));
    }
}

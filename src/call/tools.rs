//! The calls of functions that the model asked for, and what became of them.
//!
//! A model that can act can also act foolishly: with arguments that fit nothing, in a loop, or on the word of a caller who wants to be
//! put through to a premium number. So every call has a limit and every failure a sentence, which the model is told like any answer.
//! All answers are told together, and then the model is asked once.

use super::record::What;
use super::rules::Abilities;
use super::sounds::Sound;
use super::timers::Timer;
use super::words::clip;
use super::{Call, Output, Phase};
use crate::realtime::{self, Item};
use crate::units::{CallTime, Id, Usd};
use serde_json::{Value, json};
use std::sync::Arc;

/// A function that the model may call, as far as the call must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name, as the model says it.
    pub name: String,
    /// What calling it once costs.
    pub price: Usd,
    /// It answers by then or not at all, in milliseconds.
    pub timeout_ms: u64,
}

/// The model wants a function called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's name for this call of it.
    pub tool_call: Id,
    /// Which function.
    pub name: String,
    /// Its arguments: JSON, as the model wrote it. Not checked yet.
    pub arguments: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// See [`ToolCall::tool_call`].
    pub tool_call: Id,
    /// How it went.
    pub outcome: Outcome,
    /// What the model is told: the answer, or in words what went wrong.
    pub output: String,
}

/// How a call of a function went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It answered.
    Done,
    /// It was not called: its arguments do not fit its schema, or there is no such function.
    Misfit,
    /// It was not called: too often, too dear, or not allowed.
    Denied,
    /// It failed.
    Failed,
    /// It did not answer in time.
    Late,
}

impl Outcome {
    /// Whether the function was called at all, so that its price is owed.
    pub fn is_charged(self) -> bool {
        match self {
            Outcome::Done | Outcome::Failed | Outcome::Late => true,
            Outcome::Misfit | Outcome::Denied => false,
        }
    }

    /// The word for it in logs and files.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Misfit => "misfit",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Late => "late",
        }
    }
}

/// Keys that may be pressed at once.
const MOST_DIGITS: usize = 32;

/// What a shortened answer ends with.
const SHORTENED: &str = "… (shortened)";

/// However little money there is, so much of an answer is told: what went wrong fits in it.
const LEAST_ANSWER: usize = 160;

/// A tool that does not even say that it is late is given up so much after its own limit.
const PATIENCE_MS: u64 = 1_000;

/// The names of what every agent may be given.
pub const END_CALL: &str = "end_call";
/// See [`END_CALL`].
pub const TRANSFER: &str = "transfer";
/// See [`END_CALL`].
pub const SEND_DIGITS: &str = "send_digits";

/// All of them.
pub const BUILT_IN: [&str; 3] = [END_CALL, TRANSFER, SEND_DIGITS];

/// The functions that need nobody else, as the model is told of them.
pub fn built_in(abilities: &Abilities) -> Vec<realtime::Tool> {
    let mut tools = Vec::new();
    let mut offer = |name: &str, description: &str, parameters: Value| {
        tools.push(realtime::Tool {
            name: name.into(),
            description: description.into(),
            parameters,
        });
    };
    if abilities.end_call {
        let description =
            "End the phone call. Say goodbye first; the line closes when the caller has heard it.";
        offer(
            END_CALL,
            description,
            json!({"type": "object", "properties": {}}),
        );
    }
    if abilities.is_transfer_offered {
        let labels: Vec<&str> = (abilities.destinations.iter())
            .map(|to| &*to.label)
            .collect();
        let description = "Hand the caller over to somebody else, by phone. Tell the caller first. You leave the call.";
        let to = json!({"type": "string", "enum": labels});
        let parameters = json!({"type": "object", "properties": {"to": to}, "required": ["to"]});
        offer(TRANSFER, description, parameters);
    }
    if abilities.send_digits {
        let description = "Press keys of the telephone, as when a menu asks for a number.";
        let digits = json!({"type": "string", "pattern": "^[0-9*#]{1,32}$"});
        let parameters =
            json!({"type": "object", "properties": {"digits": digits}, "required": ["digits"]});
        offer(SEND_DIGITS, description, parameters);
    }
    tools
}

/// A tool that has been called and has not answered.
#[derive(Clone, Debug)]
struct Running {
    call: ToolCall,
    since: CallTime,
    until: CallTime,
}

/// The calls of functions in one phone call.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    running: Vec<Running>,
    /// Answers that the model has not been told.
    answers: Vec<(ToolCall, String)>,
    /// What the model has not been told the answer of, and the session that asked.
    asked_by: Vec<(Id, u32)>,
    calls: u32,
    /// Tones on their way to the other end, by their name in the playback.
    tones: Option<(Id, ToolCall)>,
}

impl Tools {
    /// Whether anything was called that the model has not been told about.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.answers.is_empty() || self.tones.is_some()
    }

    fn take_session(&mut self, tool_call: &Id) -> Option<u32> {
        let place = self.asked_by.iter().position(|(id, _)| id == tool_call)?;
        Some(self.asked_by.remove(place).1)
    }
}

impl Call {
    /// The model calls a function.
    pub(super) fn tool_called(&mut self, response: &Id, call: ToolCall, out: &mut Vec<Output>) {
        let wanted = self.turns.of(response).map(|answer| !answer.unwanted);
        if self.phase != Phase::Talking || wanted != Some(true) {
            return;
        }
        self.words.tool_called(&call);
        let asked_by = (call.tool_call.clone(), self.session);
        self.tools.asked_by.push(asked_by);
        let abilities = self.rules.abilities.clone();
        // Hanging up is no loop.
        let ends = call.name == END_CALL && abilities.end_call;
        self.tools.calls += u32::from(!ends);
        if self.tools.calls > abilities.most_calls && !ends {
            let why = "Nothing more can be called in this phone call. Answer with what you know.";
            return self.tool_denied(call, Outcome::Denied, why, out);
        }
        match call.name.as_str() {
            END_CALL if abilities.end_call => self.leave(call, out),
            TRANSFER if abilities.is_transfer_offered => self.transfer_asked(call, out),
            SEND_DIGITS if abilities.send_digits => self.send_digits(call, out),
            name => match abilities.tools.iter().find(|tool| tool.name == name) {
                Some(tool) => self.call_tool(call, tool, out),
                None => {
                    let why = "There is no function of that name.";
                    self.tool_denied(call, Outcome::Misfit, why, out);
                }
            },
        }
    }

    fn call_tool(&mut self, call: ToolCall, tool: &Tool, out: &mut Vec<Output>) {
        if !self.fits(tool.price) {
            let why = "There is no money left in this call for that. Answer without it.";
            return self.tool_denied(call, Outcome::Denied, why, out);
        }
        self.meter.tool_called(&call.tool_call, tool.price);
        let called = What::ToolCalled {
            name: tool.name.as_str().into(),
            bound: tool.price,
        };
        self.record(called, out);
        self.tools.running.push(Running {
            call: call.clone(),
            since: self.now,
            until: self.now.plus(tool.timeout_ms + PATIENCE_MS),
        });
        self.expect_tools();
        out.push(Output::Tool(call));
    }

    fn expect_tools(&mut self) {
        match self.tools.running.iter().map(|running| running.until).min() {
            Some(at) => self.timers.set(Timer::Tool, at),
            None => self.timers.clear(Timer::Tool),
        }
    }

    /// A function has answered, or could not be called.
    pub(super) fn tool_answered(&mut self, result: ToolResult, out: &mut Vec<Output>) {
        let mut running = self.tools.running.iter();
        let Some(place) = running.position(|r| r.call.tool_call == result.tool_call) else {
            return;
        };
        let Running { call, since, .. } = self.tools.running.remove(place);
        self.expect_tools();
        let charged = result.outcome.is_charged();
        let cost = self.meter.tool_done(&call.tool_call, charged);
        let fact = What::Tool {
            name: call.name.as_str().into(),
            outcome: result.outcome,
            cost,
            took_ms: self.now.since(since),
        };
        self.record(fact, out);
        self.tool_said(call, result.output);
    }

    /// Functions that should have answered by now have not.
    pub(super) fn tools_are_late(&mut self, out: &mut Vec<Output>) {
        let late = |running: &&Running| running.until <= self.now;
        let late: Vec<Id> = (self.tools.running.iter().filter(late))
            .map(|running| running.call.tool_call.clone())
            .collect();
        for tool_call in late {
            let result = ToolResult {
                tool_call,
                outcome: Outcome::Late,
                output: "It did not answer in time.".into(),
            };
            self.tool_answered(result, out);
        }
    }

    /// A function is not called at all.
    pub(super) fn tool_denied(
        &mut self,
        call: ToolCall,
        outcome: Outcome,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let fact = What::Tool {
            // A name that the model made up goes nowhere.
            name: self.known_name(&call.name),
            outcome,
            cost: Usd::ZERO,
            took_ms: 0,
        };
        self.record(fact, out);
        self.tool_said(call, why.to_string());
    }

    fn known_name(&self, name: &str) -> Arc<str> {
        let abilities = &self.rules.abilities;
        let known =
            BUILT_IN.contains(&name) || abilities.tools.iter().any(|tool| tool.name == name);
        if known { name.into() } else { "unknown".into() }
    }

    /// This is what the model is to be told, once it is its turn.
    pub(super) fn tool_said(&mut self, call: ToolCall, output: String) {
        self.tools.answers.push((call, output));
    }

    /// Keys are pressed on the telephone, as sound: a media stream carries nothing else.
    fn send_digits(&mut self, call: ToolCall, out: &mut Vec<Output>) {
        let digits = argument(&call.arguments, "digits");
        let is_key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
        let digits = digits.filter(|digits| {
            (1..=MOST_DIGITS).contains(&digits.len()) && digits.chars().all(is_key)
        });
        let Some(digits) = digits else {
            let why = "\"digits\" must be 1 to 32 of 0-9, * and #.";
            return self.tool_denied(call, Outcome::Misfit, why, out);
        };
        if self.tools.tones.is_some() {
            let why = "Other keys are still being pressed. Wait for them.";
            return self.tool_denied(call, Outcome::Denied, why, out);
        }
        let item = self.play_own(Sound::Tones(digits), out);
        self.tools.tones = Some((item, call));
    }

    /// Looks whether the keys have been heard, now that marks came back or the caller cut in.
    fn look_at_tones(&mut self, out: &mut Vec<Output>) {
        let Some((item, _)) = &self.tools.tones else {
            return;
        };
        let cut = self.playback.was_cut(item);
        if !cut && self.playback.number(item).is_some() {
            // A mark that never comes back must not be waited for.
            let played = self.playback.heard_at();
            if self.playback.is_audible(self.playback.dry_at()) || self.now < played {
                return self.timers.set(Timer::Tones, played.max(self.now.plus(1)));
            }
        }
        self.timers.clear(Timer::Tones);
        let whole = !cut;
        if let Some((_, call)) = self.tools.tones.take() {
            let (outcome, output) = if whole {
                (Outcome::Done, "The keys have been pressed.")
            } else {
                let why = "The other end spoke in between: the keys may not have been heard.";
                (Outcome::Failed, why)
            };
            let fact = What::Tool {
                name: SEND_DIGITS.into(),
                outcome,
                cost: Usd::ZERO,
                took_ms: 0,
            };
            self.record(fact, out);
            self.tool_said(call, output.to_string());
        }
    }

    /// Tells the model what its functions answered: all together, when the last of them has, and then an answer is owed.
    pub(super) fn tell_answers(&mut self, out: &mut Vec<Output>) {
        self.look_at_tones(out);
        let busy = !self.tools.running.is_empty() || self.tools.tones.is_some();
        if self.phase != Phase::Talking || !self.ready || busy || self.tools.answers.is_empty() {
            return;
        }
        // The answer that called them is over only with its report; another one may be open.
        if self.turns.is_answering() {
            return;
        }
        let answers = std::mem::take(&mut self.tools.answers);
        let each = self.bytes_for_answers() / answers.len();
        for (call, output) in answers {
            let output = shortened(output, each.max(LEAST_ANSWER));
            self.words.tool_answered(&call.tool_call, &output);
            // Another session knows nothing of the call, and takes no answer to what it does not know.
            if self.tools.take_session(&call.tool_call) != Some(self.session) {
                let (tool_call, name) = (call.tool_call.clone(), call.name);
                let asked = Item::ToolCall {
                    tool_call,
                    name,
                    arguments: call.arguments,
                };
                self.add(asked, out);
            }
            let tool_call = call.tool_call;
            self.add(Item::ToolOutput { tool_call, output }, out);
        }
        self.turns.owed = true;
    }

    /// Whether the next answer may call anything.
    pub(super) fn may_call(&self) -> bool {
        let abilities = &self.rules.abilities;
        let left = self.tools.calls < abilities.most_calls;
        abilities.is_any() && left && self.leaving.is_none()
    }

    /// The call is over: what was called and has not answered is charged all the same.
    pub(super) fn charge_tools(&mut self, out: &mut Vec<Output>) {
        for Running { call, since, .. } in std::mem::take(&mut self.tools.running) {
            let fact = What::Tool {
                name: call.name.as_str().into(),
                outcome: Outcome::Late,
                cost: self.meter.tool_done(&call.tool_call, true),
                took_ms: self.now.since(since),
            };
            self.record(fact, out);
        }
    }

    /// How many bytes the model may be told so that it can still give two short answers that read them again.
    fn bytes_for_answers(&self) -> usize {
        let answers = self.shortest_answer().times(2);
        let room = self.room_ahead().less(answers).nanos() / 2;
        let bytes = room.checked_div(self.rules.model.text_in);
        bytes.map_or(usize::MAX, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        })
    }
}

/// One text of a function's arguments.
pub(super) fn argument(arguments: &str, name: &str) -> Option<String> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    arguments.get(name)?.as_str().map(str::to_string)
}

fn shortened(output: String, most: usize) -> String {
    if output.len() <= most {
        return output;
    }
    let kept = clip(&output, most.saturating_sub(SHORTENED.len()));
    format!("{kept}{SHORTENED}")
}

//! What stands beside a call on the stage: its functions, its own ear, and whoever the caller is handed over to.
//!
//! None of them is the model or the telephone, and each can spend: a function takes its price, and a transfer two lines at once. What
//! they really took is counted here, by themselves.

use crate::audio::ear::{Heard, Hold};
use crate::call::rules::Abilities;
use crate::call::tools::{Outcome, ToolCall, ToolResult};
use crate::carrier::Transfer;
use crate::sim::dice::Dice;
use crate::units::Usd;

/// The largest answer of a function, in bytes.
const LARGEST_ANSWER: u64 = 40_000;

/// What the ear of the call is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listens {
    /// There is none.
    #[default]
    Not,
    /// It hears most of what the provider takes for speech, a little later, and sometimes nothing.
    Mostly,
    /// It also hears music, and now and then nobody comes back.
    Holds,
}

/// What is beside a call.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What the agent can do, with the prices.
    pub abilities: Abilities,
    /// What its ear is good for.
    pub ear: Listens,
    /// Chance of everything here.
    pub seed: u64,
}

/// What it took, by its own count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// For functions.
    pub tools: Usd,
    /// For the line to whoever the caller was handed over to.
    pub other_line: Usd,
    /// For minutes of the caller's own line after the stream had closed.
    pub minutes: u64,
    /// Sentences that the carrier said before it dialled.
    pub sentences: u64,
    /// What transfers may take, beside the cap; nothing where none was begun.
    pub apart: Usd,
}

/// The carrier hands the caller over.
pub(super) enum Taking {
    /// It will not.
    Refused,
    /// Nobody hears of it again.
    Lost,
    /// It does.
    Taken,
}

/// The caller and somebody else.
#[derive(Debug)]
pub(super) struct Away {
    began_ms: u64,
    answered_ms: Option<u64>,
    ends_ms: u64,
    minute: Usd,
    over: bool,
}

/// All that is beside one call.
pub(super) struct Besides {
    own: Beside,
    dice: Dice,
    pub(super) took: Took,
    pub(super) away: Option<Away>,
}

impl Besides {
    pub(super) fn new(own: Beside) -> Besides {
        Besides {
            dice: Dice::new(own.seed),
            own,
            took: Took::default(),
            away: None,
        }
    }

    /// A function is called: what it answers after how many milliseconds, once or twice or never.
    pub(super) fn call(&mut self, call: &ToolCall) -> Vec<(u64, ToolResult)> {
        let tools = self.own.abilities.tools.iter();
        let Some(tool) = tools.clone().find(|tool| tool.name == call.name) else {
            return Vec::new();
        };
        let (price, timeout_ms) = (tool.price, tool.timeout_ms);
        let in_time_ms = self.dice.up_to(timeout_ms) >> self.dice.up_to(4);
        let (outcome, after_ms) = match self.dice.up_to(19) {
            0 => (Outcome::Misfit, 0),
            1 => (Outcome::Failed, in_time_ms),
            2 => (Outcome::Late, timeout_ms),
            // Our own side may be late as well.
            3 => (Outcome::Done, timeout_ms + self.dice.up_to(10_000)),
            _ => (Outcome::Done, in_time_ms),
        };
        if outcome.is_charged() {
            self.took.tools = self.took.tools.plus(price);
        }
        let bytes = self.dice.up_to(LARGEST_ANSWER) >> self.dice.up_to(14);
        let result = ToolResult {
            tool_call: call.tool_call.clone(),
            outcome,
            output: "word ".repeat(usize::try_from(bytes / 5).unwrap_or(0)),
        };
        match self.dice.up_to(15) {
            0 if outcome.is_charged() => Vec::new(),
            1 => vec![(after_ms, result.clone()), (after_ms + 500, result)],
            _ => vec![(after_ms, result)],
        }
    }

    /// The provider takes something for speech, or for its end: what our own ear makes of it, and after how many milliseconds.
    pub(super) fn hears(&mut self, speech: bool) -> Vec<(u64, Heard)> {
        let mut heard = Vec::new();
        if self.own.ear == Listens::Not {
            return heard;
        }
        let soon_ms = 50 + self.dice.up_to(600);
        match speech {
            true if self.dice.up_to(3) == 0 => {}
            true => heard.push((soon_ms, Heard::Speech)),
            false => heard.push((soon_ms, Heard::Quiet)),
        }
        if self.own.ear == Listens::Holds && self.dice.up_to(5) == 0 {
            let holds = [Hold::Music, Hold::Ringback, Hold::Fax];
            let hold = holds[super::super::draw::pick(&mut self.dice, holds.len())];
            let from_ms = soon_ms + self.dice.up_to(4_000);
            heard.push((from_ms, Heard::Hold(hold)));
            if self.dice.up_to(3) > 0 {
                let until_ms = from_ms + self.dice.up_to(15_000);
                heard.push((until_ms, Heard::Speech));
            }
        }
        heard
    }

    /// The carrier is asked to hand the caller over: after so many milliseconds it does, or not.
    pub(super) fn asked(&mut self) -> (u64, Taking) {
        self.took.apart = self.own.abilities.transfer.usd;
        let taking = match self.dice.up_to(9) {
            0 | 1 => Taking::Refused,
            2 => Taking::Lost,
            _ => Taking::Taken,
        };
        (50 + self.dice.up_to(1_500), taking)
    }

    /// The carrier has taken the caller, who was answered `since_ms`: when it will be over, if nobody ends it before.
    pub(super) fn taken(&mut self, transfer: &Transfer, since_ms: u64, now_ms: u64) -> u64 {
        let says = u64::from(!transfer.say.is_empty());
        self.took.sentences += says;
        let rings_ms = now_ms + says * self.dice.up_to(7_000) + self.dice.up_to(30_000);
        let limit_ms = since_ms + transfer.call_limit_s * 1_000;
        let talk_ms = match self.dice.up_to(3) {
            0 => transfer.limit_s * 1_000,
            _ => self.dice.up_to(transfer.limit_s * 1_000),
        };
        let answers = self.dice.up_to(3) > 0;
        let ends_ms = rings_ms + if answers { talk_ms } else { 0 };
        let mut destinations = self.own.abilities.destinations.iter();
        let destination = destinations.find(|known| known.to == transfer.to);
        let ends_ms = ends_ms.min(limit_ms);
        self.away = Some(Away {
            began_ms: since_ms,
            answered_ms: (answers && rings_ms < ends_ms).then_some(rings_ms),
            ends_ms,
            minute: destination.map_or(Usd::ZERO, |to| to.minute),
            over: false,
        });
        ends_ms
    }

    /// The two are parted. What the carrier tells of it, and after how many milliseconds: how long they talked, and that it is over.
    pub(super) fn parted(&mut self, now_ms: u64) -> (Option<(u64, u64)>, Option<u64>) {
        let Some(away) = self.away.as_mut().filter(|away| !away.over) else {
            return (None, None);
        };
        away.over = true;
        away.ends_ms = away.ends_ms.min(now_ms);
        let talked_ms = away
            .answered_ms
            .map_or(0, |at| away.ends_ms.saturating_sub(at));
        let minutes = talked_ms.div_ceil(60_000);
        self.took.other_line = self.took.other_line.plus(away.minute.times(minutes));
        self.took.minutes = (away.ends_ms - away.began_ms).div_ceil(60_000);
        let told_ms = self.dice.up_to(1_000);
        let leg = (self.dice.up_to(7) > 0).then_some((told_ms, talked_ms.div_ceil(1_000)));
        let ended = (self.dice.up_to(7) > 0).then(|| told_ms + self.dice.up_to(1_000));
        (leg, ended)
    }

    /// Whether the two talk, or the carrier is about to let them.
    pub(super) fn is_away(&self) -> bool {
        self.away.as_ref().is_some_and(|away| !away.over)
    }
}

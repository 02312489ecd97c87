//! What the call has cost so far, and the most that one more answer could cost.
//!
//! A provider bills an answer after giving it, so whoever wants a cap that holds must know the bill's upper bound before asking. It
//! has two parts: everything in the model's memory may be read again, uncached; and the answer may be as long as we allowed. What is
//! asked for and not yet billed is *committed* at its bound until its own report releases it.
//!
//! The memory's size is known from the last report (what was read, and what was written since) and from what we have added after it:
//! at most a token for each byte of text, ten a second of the caller's sound, and fourteen an item (facts: section 5.1). A report
//! may lower it; a request of ours never does.

use super::listening::Listening;
use super::memory::{Holding, ITEM_TOKENS, Memory, goodbye_of, memory_after, speech, written};
use super::rules::Rules;
use crate::pricing::{ModelPrice, TranscriptionUsage, Usage};
use crate::units::{CallTime, Id, Usd};

use super::record::Cost;

/// Milliseconds of the caller's sound in one token.
pub const HEARD_MS_PER_TOKEN: u64 = 100;
/// Milliseconds of the model's speech in one token.
const SPOKEN_MS_PER_TOKEN: u64 = 50;
/// How much of the caller can be listened to beyond the length of an answer.
const LISTENING_MS: u64 = 10_000;
/// Milliseconds in a carrier's minute.
pub const MINUTE_MS: u64 = 60_000;

/// Something asked for and not yet billed.
#[derive(Clone, Debug)]
struct Open {
    nonce: u64,
    bound: Usd,
    max_output_tokens: u64,
    /// Part of the conversation: its report tells how large the memory is.
    in_conversation: bool,
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It settled what was open.
    Settled {
        /// What it cost.
        cost: Usd,
        /// The most it could have been.
        bound: Usd,
    },
    /// It was settled before: nothing changes.
    Known,
    /// Nobody asked for it, or it had been refused.
    Unasked,
}

/// The meter of one call.
#[derive(Clone, Debug)]
pub struct Meter {
    model: ModelPrice,
    minute: Usd,
    say: Usd,
    /// What the carrier takes once, until it is charged.
    fee: Usd,
    goodbye: Usd,
    /// Tools that run, and what each costs.
    tools: Vec<(Id, Usd)>,
    /// What is kept for the caller's talk with somebody else.
    transfer: Usd,
    cost: Cost,
    minutes: u64,
    memory: Memory,
    /// What was added to the memory after the open answer was asked for, which its report cannot know.
    since: Memory,
    open: Vec<Open>,
    listening: Listening,
    /// The largest nonce asked under.
    issued: u64,
    /// What keeping old sound has cost.
    holding: Holding,
    /// Nonces that an error released: a report under one of them was not to come.
    released: Vec<u64>,
}

impl Meter {
    /// A meter that has counted nothing. The memory holds the settings.
    pub fn new(rules: &Rules) -> Self {
        Meter {
            model: rules.model,
            minute: rules.minute,
            say: rules.say,
            fee: rules.fee,
            goodbye: goodbye_of(rules),
            tools: Vec::new(),
            transfer: Usd::ZERO,
            cost: Cost::default(),
            minutes: 0,
            memory: Memory::of_settings(rules),
            since: Memory::default(),
            open: Vec::new(),
            listening: Listening::new(rules.transcription, rules.prefix_padding_ms),
            issued: 0,
            holding: Holding::default(),
            released: Vec::new(),
        }
    }

    /// Another session begins, perhaps of another model; it remembers nothing but its settings. Whatever the one before was asked for
    /// must have been closed.
    pub fn begin_session(&mut self, rules: &Rules) {
        self.model = rules.model;
        self.goodbye = goodbye_of(rules);
        self.memory = Memory::of_settings(rules);
        self.since = Memory::default();
        self.listening = Listening::new(rules.transcription, rules.prefix_padding_ms);
        self.holding.begin();
    }

    /// What is settled, by what it was for.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Carrier minutes that have begun.
    pub fn minutes(&self) -> u64 {
        self.minutes
    }

    /// What is settled and what is spoken for.
    pub fn committed(&self) -> Usd {
        let settled = self.cost.total();
        settled.plus(self.asked()).plus(self.listening.bound(0))
    }

    /// Everything that is asked for and not settled, but for the caller's transcription.
    fn asked(&self) -> Usd {
        let answers: Usd = self.open.iter().map(|open| open.bound).sum();
        let tools: Usd = self.tools.iter().map(|(_, price)| *price).sum();
        answers.plus(tools).plus(self.transfer)
    }

    /// The most that may still be owed for what is asked for and not reported, with the caller listened to for a while longer.
    pub fn reserved(&self) -> Usd {
        self.asked().plus(self.listening.bound(LISTENING_MS))
    }

    /// What sending `ms` more of the caller's sound commits.
    pub fn forwarding(&self, ms: u64) -> Usd {
        self.listening.forwarding(ms)
    }

    /// Caller sound was sent.
    pub fn forwarded(&mut self, ms: u64) {
        self.listening.forwarded(ms);
    }

    /// The caller's sound sent so far became an item.
    pub fn committed_item(&mut self, item: &Id) {
        let ms = self.listening.committed_item(item);
        self.remember(self.heard(ms, 1));
    }

    /// The caller's sound in the memory, as so many items.
    fn heard(&self, ms: u64, items: u64) -> Memory {
        let each = self.listening.padding_ms().div_ceil(HEARD_MS_PER_TOKEN) + ITEM_TOKENS;
        let audio = ms.div_ceil(HEARD_MS_PER_TOKEN);
        Memory {
            text: 0,
            audio: audio.saturating_add(each.saturating_mul(items)),
        }
    }

    /// Text was added to the conversation.
    pub fn added_text(&mut self, bytes: usize) {
        self.remember(Memory {
            text: bytes as u64,
            audio: ITEM_TOKENS,
        });
    }

    fn remember(&mut self, more: Memory) {
        self.memory = self.memory.and(more);
        self.since = self.since.and(more);
    }

    /// What reading the whole memory again can cost, with the sound that may become an item before the answer begins.
    fn reading(&self) -> Usd {
        let items = self.listening.items_to_come();
        let loose = self.heard(self.listening.loose_ms(), items);
        self.memory.and(loose).cost(&self.model)
    }

    /// The most that an answer of at most this many tokens can cost.
    pub fn answer_bound(&self, max_output_tokens: u64) -> Usd {
        self.reading().plus(speech(&self.model, max_output_tokens))
    }

    /// The longest answer that `room` has money for, in tokens.
    pub fn longest_answer(&self, room: Usd) -> u64 {
        room.less(self.room_for(0)).nanos() / self.spoken_and_listened().nanos().max(1)
    }

    /// The money an answer of this length needs: its own bound, and what transcribing the caller can cost for as long as it is
    /// spoken, and a little longer. Else listening to the caller, who may cut in, would have to wait for the report.
    pub fn room_for(&self, tokens: u64) -> Usd {
        let flat = self.reading().plus(self.listening.streaming(LISTENING_MS));
        flat.plus(self.spoken_and_listened().times(tokens))
    }

    /// A token of the answer, and the caller for as long as it is heard.
    fn spoken_and_listened(&self) -> Usd {
        let a_second = self.listening.a_second().nanos();
        let listened = a_second.div_ceil(1_000 / SPOKEN_MS_PER_TOKEN);
        speech(&self.model, 1).plus(Usd::from_nanos(listened))
    }

    /// The most that the goodbye can cost.
    pub fn goodbye_bound(&self) -> Usd {
        self.goodbye
    }

    /// What the carrier takes for one sentence.
    pub fn sentence(&self) -> Usd {
        self.say
    }

    /// An answer was asked for; tells its bound.
    pub fn ask(&mut self, nonce: u64, max_output_tokens: u64) -> Usd {
        let bound = self.answer_bound(max_output_tokens);
        self.issued = self.issued.max(nonce);
        self.since = Memory::default();
        self.open.push(Open {
            nonce,
            bound,
            max_output_tokens,
            in_conversation: true,
        });
        bound
    }

    /// The goodbye was asked for; tells its bound.
    pub fn ask_goodbye(&mut self, nonce: u64, max_output_tokens: u64) -> Usd {
        let bound = self.goodbye;
        self.issued = self.issued.max(nonce);
        self.open.push(Open {
            nonce,
            bound,
            max_output_tokens,
            in_conversation: false,
        });
        bound
    }

    /// The report for a nonce came. Without usage it is charged at its bound. `complete`: the answer was not cut short, so what it read
    /// is all there is to read; a report of one that was never computed says nothing about the memory.
    pub fn report(&mut self, nonce: u64, usage: Option<&Usage>, complete: bool) -> Reported {
        let Some(place) = self.open.iter().position(|open| open.nonce == nonce) else {
            let asked = nonce <= self.issued && !self.released.contains(&nonce);
            return if asked {
                Reported::Known
            } else {
                Reported::Unasked
            };
        };
        let open = self.open.swap_remove(place);
        let cost = usage.map_or(open.bound, |usage| self.model.cost(usage));
        self.cost.model = self.cost.model.plus(cost);
        if open.in_conversation {
            match usage {
                Some(usage) => {
                    let after = memory_after(usage).and(self.since);
                    let lowers = complete && usage.text_in + usage.audio_in + usage.unknown_in > 0;
                    self.holding.read(usage, &self.model);
                    // One that was cut short need not say all that it read, and has still written what it wrote.
                    let before = self.memory.and(written(usage));
                    self.memory = if lowers { after } else { after.or(before) };
                }
                None => self.remember(Memory {
                    text: 0,
                    audio: open.max_output_tokens.saturating_add(ITEM_TOKENS),
                }),
            }
        }
        Reported::Settled {
            cost,
            bound: open.bound,
        }
    }

    /// No old sound is remembered, or it has just been replaced.
    pub fn nothing_old(&mut self) {
        self.holding.begin();
    }

    /// Whether keeping old sound has cost as much as replacing it would.
    pub fn is_holding_dear(&self) -> bool {
        self.holding.is_dear()
    }

    /// What the memory holds at most, by what it costs.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// What was asked for under this nonce was refused whole and costs nothing.
    pub fn release(&mut self, nonce: u64) -> bool {
        let before = self.open.len();
        self.open.retain(|open| open.nonce != nonce);
        let released = self.open.len() < before;
        if released {
            self.released.push(nonce);
        }
        released
    }

    /// Somebody else's answer was reported: it is charged all the same.
    pub fn stray(&mut self, usage: Option<&Usage>, max_output_tokens: u64) -> Usd {
        let cost = usage.map_or_else(
            || self.answer_bound(max_output_tokens),
            |usage| self.model.cost(usage),
        );
        self.cost.model = self.cost.model.plus(cost);
        self.remember(usage.map_or(
            Memory {
                text: 0,
                audio: max_output_tokens.saturating_add(ITEM_TOKENS),
            },
            memory_after,
        ));
        cost
    }

    /// An item's transcription was reported, or failed: without usage it is charged at its bound. Tells cost and bound; `None`:
    /// reported before.
    pub fn transcribed(
        &mut self,
        item: &Id,
        usage: Option<&TranscriptionUsage>,
    ) -> Option<(Usd, Usd)> {
        let (cost, bound) = self.listening.transcribed(item, usage)?;
        self.cost.transcription = self.cost.transcription.plus(cost);
        Some((cost, bound))
    }

    /// A tool of this price is about to be called.
    pub fn tool_called(&mut self, tool_call: &Id, price: Usd) {
        self.tools.push((tool_call.clone(), price));
    }

    /// A tool has answered, or will not; tells what it cost.
    pub fn tool_done(&mut self, tool_call: &Id, is_charged: bool) -> Usd {
        let place = self.tools.iter().position(|(known, _)| known == tool_call);
        let price = place.map_or(Usd::ZERO, |place| self.tools.swap_remove(place).1);
        let cost = if is_charged { price } else { Usd::ZERO };
        self.cost.tools = self.cost.tools.plus(cost);
        cost
    }

    /// The caller may be handed over: this much is kept for it.
    pub fn keep_for_transfer(&mut self, bound: Usd) {
        self.transfer = bound;
    }

    /// What is still kept for the talk with somebody else.
    pub fn kept_for_transfer(&self) -> Usd {
        self.transfer
    }

    /// The talk with somebody else is over; tells what its own line cost.
    pub fn transfer_done(&mut self, cost: Usd) -> Usd {
        let cost = cost.min(self.transfer);
        self.transfer = Usd::ZERO;
        self.cost.carrier = self.cost.carrier.plus(cost);
        cost
    }

    /// The call has begun; tells what the carrier takes for that alone, the first time, if it takes anything.
    pub fn begun(&mut self) -> Option<Usd> {
        let fee = std::mem::take(&mut self.fee);
        self.cost.carrier = self.cost.carrier.plus(fee);
        (!fee.is_zero()).then_some(fee)
    }

    /// The minute that `now` lies in has begun; tells each that had not been counted, and its price.
    /// `away`: the caller talks with somebody else, and the minute is part of what was kept for that.
    pub fn minute(&mut self, now: CallTime, away: bool) -> Option<(u64, Usd)> {
        if self.minutes >= started_minutes(now) {
            return None;
        }
        self.minutes += 1;
        self.cost.carrier = self.cost.carrier.plus(self.minute);
        if away {
            self.transfer = self.transfer.less(self.minute);
        }
        Some((self.minutes, self.minute))
    }

    /// What the minutes that begin until `then` will cost.
    pub fn minutes_until(&self, then: CallTime) -> Usd {
        self.minute
            .times(started_minutes(then).saturating_sub(self.minutes))
    }

    /// The carrier says a sentence.
    pub fn said_by_carrier(&mut self) -> Usd {
        self.cost.carrier = self.cost.carrier.plus(self.say);
        self.say
    }

    /// Whether anything is asked for that a report may yet settle.
    pub fn awaits_reports(&self) -> bool {
        !self.open.is_empty() || self.listening.awaits_reports()
    }

    /// The session is closed: what was never reported is charged at its bound.
    pub fn close(&mut self) -> (Usd, Usd) {
        let model: Usd = self.open.drain(..).map(|open| open.bound).sum();
        let transcription = self.listening.close();
        self.cost.model = self.cost.model.plus(model);
        self.cost.transcription = self.cost.transcription.plus(transcription);
        (model, transcription)
    }

    /// What it cost to have this many milliseconds generated (20 tokens a second; facts: section 5.1).
    pub fn speech_cost(&self, ms: u64) -> Usd {
        Usd::from_nanos(self.model.audio_out).times(ms / SPOKEN_MS_PER_TOKEN)
    }
}

/// When the minute after the one that `now` lies in begins.
pub fn next_minute(now: CallTime) -> CallTime {
    CallTime::from_millis((now.millis() / MINUTE_MS + 1) * MINUTE_MS)
}

/// Minutes that have begun by then: the first at the answer.
fn started_minutes(now: CallTime) -> u64 {
    now.millis() / MINUTE_MS + 1
}

//! What a `response.create` asks for, what answering it reads, and what the answer will be.
//!
//! A response in the conversation reads all of it, and there is one at a time. A response beside it reads only what the
//! request itself brings, and runs while another does: that is how a goodbye can be paid for in advance.

use super::Model;
use super::answer::{Answer, Plan};
use super::behaviour::Goodbye;
use super::calls::Calling;
use super::client::check_item;
use super::invoice::Tokens;
use super::memory::{CONTEXT_TOKENS, Prompt, not_found, opening, weigh};
use super::settings::{format, limit};
use super::voice::{self, Kind};
use super::wire::{Fault, words};
use serde_json::{Value, json};
use std::sync::Arc;

/// Responses that may run beside the conversation at once.
const BESIDE: usize = 32;
/// What stands for no limit: the longest answer the provider gives.
const LONGEST_TOKENS: u64 = 4_096;
/// How long a remark lasts when the behaviour does not say, in milliseconds.
const REMARK_MS: u64 = 1_500;
/// Words of an answer in text.
const TEXT_WORDS: u64 = 12;

impl Model {
    /// Begins a response, asked for or not.
    pub(super) fn respond(&mut self, overrides: &Value) -> Result<(), Fault> {
        let nothing = json!({});
        let overrides = if overrides.is_null() {
            &nothing
        } else {
            overrides
        };
        let asked = self.settings.with(overrides)?;
        let beside = asked["conversation"] == "none";
        if let Some(active) = self.answers.iter().find(|answer| !answer.beside)
            && !beside
        {
            let said = format!(
                "Conversation already has an active response in progress: {}. \
                 Wait until the response is finished before creating a new one.",
                active.id
            );
            return Err(Fault::new("conversation_already_has_active_response", said));
        }
        if self.answers.len() > BESIDE {
            let said = "Too many responses are in progress.";
            return Err(Fault::new("rate_limit_exceeded", said));
        }
        check_metadata(&asked["metadata"])?;
        let brought = self.brought(&asked)?;
        let (mut plan, calls, tokens) = self.prepare(&asked, beside, brought);
        let (id, item) = (self.ids.next("resp"), self.ids.next("item"));
        if self.setup.behaviour.diary
            && let Plan::Speech { words, .. } = &mut plan
            && let Some(first) = words.first_mut()
        {
            // Words that nobody else says can be looked for.
            *first = format!("{item} {first}");
        }
        let answer = Answer {
            id,
            item,
            previous: None,
            beside,
            asked,
            plan,
            tokens,
            begun: false,
            said_ms: 0,
            said_words: 0,
            closed: false,
            calls,
            called: Vec::new(),
        };
        self.surprise("response.thinking.delta");
        self.begin_answer(answer);
        Ok(())
    }

    /// What a request's own `input` weighs; `None` when it has none and the conversation is read.
    fn brought(&mut self, asked: &Value) -> Result<Option<Prompt>, Fault> {
        let Some(input) = asked["input"].as_array() else {
            return Ok(None);
        };
        let mut prompt = Prompt::new();
        for (place, item) in input.iter().enumerate() {
            let weight = if item["type"] == "item_reference" {
                let id = item["id"].as_str().unwrap_or_default();
                let found = self.memory.find(id).map(|item| item.weight);
                found.ok_or_else(|| not_found("item_not_found", id).at("response.input"))?
            } else {
                check_item(item)?;
                weigh(item, self.scale())
            };
            prompt.push((place as u64, weight));
        }
        Ok(Some(prompt))
    }

    fn prepare(
        &mut self,
        asked: &Value,
        beside: bool,
        brought: Option<Prompt>,
    ) -> (Plan, Vec<Calling>, Tokens) {
        let fails = self.setup.behaviour.fail.clone().or_else(|| {
            let silenced = beside && self.setup.behaviour.goodbye == Goodbye::Fails;
            silenced.then(|| "server_error".to_string())
        });
        let full = !beside && self.settings.never_truncates();
        let fails = fails.or_else(|| {
            let full = full && self.memory.total() > CONTEXT_TOKENS;
            full.then(|| "context_length_exceeded".to_string())
        });
        if let Some(code) = fails {
            return (Plan::Fail(code), Vec::new(), Tokens::default());
        }
        let opening = opening(
            asked["instructions"].as_str().unwrap_or_default(),
            &asked["tools"],
            self.scale(),
        );
        let in_memory = !beside && brought.is_none();
        if in_memory {
            let (limit, keep) = self
                .settings
                .kept_tokens()
                .unwrap_or((CONTEXT_TOKENS, CONTEXT_TOKENS));
            self.memory.shrink(limit, keep);
        }
        let prompt = match brought {
            Some(items) => std::iter::once(opening).chain(items).collect(),
            None => self.memory.prompt(opening),
        };
        let tokens = self.memory.read(prompt, in_memory && self.setup.cache);
        let (plan, calls) = self.content(asked, beside);
        (plan, calls, tokens)
    }

    /// What it will say, and the functions it will call after that.
    fn content(&mut self, asked: &Value, beside: bool) -> (Plan, Vec<Calling>) {
        if beside && self.setup.behaviour.goodbye == Goodbye::Silent {
            return (Plan::Nothing, Vec::new());
        }
        let heard = if beside {
            None
        } else {
            self.memory.take_unanswered()
        };
        let kind = match &heard {
            _ if beside => Kind::Goodbye,
            None if !self.memory.answered() => Kind::Greeting,
            _ => Kind::Remark,
        };
        self.turns += u64::from(heard.is_some());
        let may_call = kind == Kind::Remark && asked["tool_choice"] != "none";
        let calls = match may_call {
            true => self.next_calls(heard.is_some()),
            false => Vec::new(),
        };
        if !calls.is_empty() && !self.setup.behaviour.tool_speech {
            return (Plan::Calls, calls);
        }
        let plan = match asked["output_modalities"] == json!(["text"]) {
            true => self.written(limit(asked)),
            false => self.spoken(asked, kind, heard),
        };
        (plan, calls)
    }

    fn written(&self, limit: Option<u64>) -> Plan {
        let behaviour = &self.setup.behaviour;
        let most = limit.unwrap_or(LONGEST_TOKENS);
        let count = match (behaviour.overrun, behaviour.to_limit) {
            (true, _) => most * 3 / 2,
            (_, true) => most,
            _ => TEXT_WORDS.min(most),
        };
        Plan::Text {
            words: words("In words:", count),
            cut: !behaviour.overrun && (behaviour.to_limit || TEXT_WORDS > most),
        }
    }

    fn spoken(&self, asked: &Value, kind: Kind, heard: Option<(Vec<i16>, u32)>) -> Plan {
        let behaviour = &self.setup.behaviour;
        let format = format(&asked["audio"]["output"]);
        let rate = format.rate();
        let (sound, natural_ms): (Arc<[u8]>, u64) = match heard {
            Some((samples, from)) if !samples.is_empty() => {
                let heard_ms = samples.len() as u64 * 1000 / u64::from(from);
                let natural_ms = behaviour.answer_ms.unwrap_or(heard_ms);
                let samples = match from == rate {
                    true => samples,
                    false => voice::resample(&samples, from, rate),
                };
                (voice::encode(format, &samples).into(), natural_ms)
            }
            _ => {
                let ms = match kind {
                    Kind::Greeting => behaviour.greeting_ms,
                    Kind::Goodbye => behaviour.goodbye_ms,
                    Kind::Remark => behaviour.answer_ms.unwrap_or(REMARK_MS),
                };
                (voice::melody(kind, format), ms)
            }
        };
        let explicit = behaviour.answer_ms.filter(|_| kind == Kind::Remark);
        let (total_ms, cut) = self.length(natural_ms, explicit, limit(asked));
        let what = match kind {
            Kind::Greeting => "Hello!",
            Kind::Goodbye => "Goodbye!",
            Kind::Remark => "You said:",
        };
        Plan::Speech {
            sound,
            format,
            total_ms,
            words: words(what, total_ms.div_ceil(50).div_ceil(4)),
            cut,
        }
    }

    /// How long an answer becomes, in milliseconds, and whether its limit made it shorter.
    fn length(&self, natural_ms: u64, explicit_ms: Option<u64>, limit: Option<u64>) -> (u64, bool) {
        let behaviour = &self.setup.behaviour;
        let most_ms = longest(limit.unwrap_or(LONGEST_TOKENS)) * 50;
        match limit {
            // Half as much again as it may, unless it was told how long.
            Some(limit) if behaviour.overrun => (explicit_ms.unwrap_or(limit * 3 / 2 * 50), false),
            None if behaviour.overrun => (natural_ms, false),
            _ if behaviour.to_limit => (most_ms, true),
            _ if natural_ms > most_ms => (most_ms, true),
            _ => (natural_ms, false),
        }
    }
}

/// The most tokens of audio that a limit allows: a token of text goes with every four of them.
fn longest(limit: u64) -> u64 {
    limit * 4 / 5
}

/// At most 16 pairs of text; keys of 64, values of 512 characters.
fn check_metadata(metadata: &Value) -> Result<(), Fault> {
    let fits = match metadata {
        Value::Null => true,
        Value::Object(pairs) => {
            pairs.len() <= 16
                && pairs.iter().all(|(key, value)| {
                    key.chars().count() <= 64
                        && value.as_str().is_some_and(|v| v.chars().count() <= 512)
                })
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Fault::new("invalid_value", "Invalid 'response.metadata'.").at("response.metadata"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_limit_allows_fits_into_it() {
        for limit in 1..5_000 {
            let audio = super::longest(limit);
            assert!(audio + audio.div_ceil(4) <= limit, "{limit}");
        }
    }
}

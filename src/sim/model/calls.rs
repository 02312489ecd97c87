//! Functions that the simulated model calls: which, when, and as which events.
//!
//! A call is an item of a response like any other: its name and its arguments are tokens of output, text all of them,
//! and count against the answer's limit. What the client brings back is an item of its own, and read again by every
//! answer after it. A model that calls in a loop is therefore a way to spend without a word being said.

use super::Model;
use super::answer::{Answer, Plan};
use super::behaviour::Call;
use super::memory::{Item, Weight, text_tokens};
use super::settings::limit;
use serde_json::{Value, json};

/// A call of a function, planned or made.
#[derive(Clone, Debug)]
pub struct Calling {
    /// The id of its item.
    item: String,
    /// Which function.
    name: String,
    /// JSON, or the beginning of it when the limit cut it.
    arguments: String,
    /// The id of this call of it.
    call: String,
    /// Whether the limit cut it.
    cut: bool,
}

impl Calling {
    /// What it is, in tokens of output.
    pub fn tokens(&self) -> u64 {
        text_tokens(&self.name) + text_tokens(&self.arguments)
    }

    /// The item, whole.
    pub fn wire(&self) -> Value {
        let status = if self.cut { "incomplete" } else { "completed" };
        self.item(status, &self.arguments)
    }

    fn item(&self, status: &str, arguments: &str) -> Value {
        json!({
            "id": self.item, "type": "function_call", "status": status,
            "name": self.name, "call_id": self.call, "arguments": arguments,
        })
    }

    /// Keeps what fits into so many tokens.
    fn shorten(&mut self, tokens: u64) {
        if self.tokens() <= tokens {
            return;
        }
        let bytes = 4 * tokens.saturating_sub(text_tokens(&self.name)) as usize;
        let end = self.arguments.floor_char_boundary(bytes);
        self.arguments.truncate(end);
        self.cut = true;
    }
}

impl Model {
    /// The functions that the next answer calls. `turn`: it is one to the caller, not to what came of another call.
    pub(super) fn next_calls(&mut self, turn: bool) -> Vec<Calling> {
        let behaviour = &self.setup.behaviour;
        let at_turn = behaviour.turn_tools.iter();
        let mut calls: Vec<Call> = at_turn
            .filter(|(at, _)| turn && *at == self.turns)
            .map(|(_, call)| call.clone())
            .collect();
        if calls.is_empty() {
            let next = self.tools.pop_front();
            calls.extend(next.or_else(|| behaviour.loop_tool.clone()));
        }
        let calling = |(name, arguments)| Calling {
            item: self.ids.next("item"),
            call: self.ids.next("call"),
            name,
            arguments,
            cut: false,
        };
        calls.into_iter().map(calling).collect()
    }

    /// Makes the calls of a response that has said what it had to say, and ends it.
    pub(super) fn call(&mut self, mut answer: Answer) {
        if answer.begun && !answer.calls.is_empty() {
            self.close_item(&answer, "completed");
            answer.closed = true;
        }
        let most = limit(&answer.asked).filter(|_| !self.setup.behaviour.overrun);
        for mut calling in std::mem::take(&mut answer.calls) {
            let left = most.map(|most| most.saturating_sub(answer.written()));
            if left == Some(0) {
                return self.cut_short(answer);
            }
            calling.shorten(left.unwrap_or(u64::MAX));
            let index = answer.called.len() + usize::from(!matches!(answer.plan, Plan::Calls));
            self.say_call(&answer, index, &calling);
            let cut = calling.cut;
            answer.called.push(calling);
            if cut {
                return self.cut_short(answer);
            }
        }
        self.finish(answer, "completed", Value::Null);
    }

    /// One call, from its item's beginning to its end.
    fn say_call(&mut self, answer: &Answer, index: usize, calling: &Calling) {
        let begun = calling.item("in_progress", "");
        let (response, whole) = (&answer.id, calling.wire());
        self.say(json!({
            "type": "response.output_item.added", "response_id": response, "output_index": index, "item": begun,
        }));
        let mut previous = None;
        if !answer.beside {
            let mut item = Item::begun(calling.item.clone(), whole.clone());
            item.weight = Weight {
                text: calling.tokens(),
                ..Weight::default()
            };
            previous = self.memory.add(item, None).unwrap_or_default();
            self.say(json!({
                "type": "conversation.item.added", "previous_item_id": previous, "item": begun,
            }));
        }
        self.say_arguments(answer, index, calling);
        if !answer.beside {
            self.say(json!({
                "type": "conversation.item.done", "previous_item_id": previous, "item": whole,
            }));
        }
        self.say(json!({
            "type": "response.output_item.done", "response_id": response, "output_index": index, "item": whole,
        }));
    }

    fn say_arguments(&mut self, answer: &Answer, index: usize, calling: &Calling) {
        let base = json!({
            "response_id": answer.id, "item_id": calling.item, "output_index": index, "call_id": calling.call,
        });
        // In two halves: whoever reads the first as JSON is wrong.
        let arguments = calling.arguments.as_str();
        let half = arguments.floor_char_boundary(arguments.len() / 2);
        for delta in [&arguments[..half], &arguments[half..]] {
            let mut event = base.clone();
            event["type"] = "response.function_call_arguments.delta".into();
            event["delta"] = delta.into();
            event["obfuscation"] = self.ids.noise().into();
            self.say(event);
        }
        let mut event = base;
        event["type"] = "response.function_call_arguments.done".into();
        event["name"] = calling.name.clone().into();
        event["arguments"] = arguments.into();
        self.say(event);
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::model::talk::{Talk, talk};
    use serde_json::{Value, json};

    /// The functions called, each with the number of its response and its place in it.
    fn called(talk: &Talk) -> Vec<(usize, u64, String)> {
        let created = talk.all("response.created");
        let response = |id: &Value| {
            let found = created.iter().position(|e| e["response"]["id"] == *id);
            found.unwrap()
        };
        let items = talk.all("response.output_item.done").into_iter();
        items
            .filter(|event| event["item"]["type"] == "function_call")
            .map(|event| {
                let index = event["output_index"].as_u64().unwrap();
                let name = event["item"]["name"].as_str().unwrap();
                (response(&event["response_id"]), index, name.to_string())
            })
            .collect()
    }

    const TURN: &str = "speak 900
        quiet 700
        respond
        wait 2000\n";

    #[test]
    fn several_functions_are_called_in_one_answer_at_the_turn_that_was_told() {
        let script = TURN.repeat(3);
        let talk = talk("tool@2=a:{} tool@2=b:{\"x\":1}", &script);
        assert_eq!(called(&talk), [(1, 0, "a".into()), (1, 1, "b".into())]);
        let done = &talk.all("response.done")[1]["response"];
        assert_eq!(done["output"][1]["arguments"], "{\"x\":1}");
        // Three tokens of names and arguments in the first, and two more for seven bytes.
        assert_eq!(done["usage"]["output_token_details"]["text_tokens"], 5);
        assert_eq!(done["usage"]["output_token_details"]["audio_tokens"], 0);
    }

    #[test]
    fn a_function_may_be_called_after_a_sentence_in_the_same_answer() {
        let talk = talk("tool=a:{} tool-speech answer=1s", TURN);
        assert_eq!(called(&talk), [(0, 1, "a".into())]);
        let done = &talk.one("response.done")["response"];
        assert_eq!(done["output"][0]["type"], "message");
        assert_eq!(done["output"][1]["type"], "function_call");
        let usage = &done["usage"]["output_token_details"];
        assert_eq!(
            (&usage["audio_tokens"], &usage["text_tokens"]),
            (&json!(20), &json!(5 + 2))
        );
        let kinds = talk.kinds();
        let place = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
        assert!(
            place("response.output_audio.done") < place("response.function_call_arguments.done")
        );
    }

    #[test]
    fn a_model_that_loves_a_function_calls_it_until_it_may_not() {
        let again = r#"tell {"type": "response.create"}
            wait 1000
            tell {"type": "response.create", "response": {"tool_choice": "none"}}
            wait 2000"#;
        let talk = talk("tool-loop=a:{}", &format!("{TURN}{again}"));
        assert_eq!(called(&talk), [(0, 0, "a".into()), (1, 0, "a".into())]);
        let last = &talk.all("response.done")[2]["response"];
        assert_eq!(last["output"][0]["type"], "message");
    }

    #[test]
    fn calls_and_what_came_of_them_are_read_again_by_every_later_answer() {
        let brought = r#"tell {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "sixteen bytes..."}}
            respond
            wait 2000"#;
        let talk = talk("tool=look_up:{\"id\":7}", &format!("{TURN}{brought}"));
        let read = |n: usize| {
            let done = talk.all("response.done")[n];
            let read = &done["response"]["usage"]["input_token_details"]["text_tokens"];
            read.as_u64().unwrap()
        };
        // The call's two and two, the output's four and the fourteen around it.
        assert_eq!(read(1) - read(0), 4 + 4 + 14);
    }

    #[test]
    fn a_call_that_does_not_fit_into_its_limit_is_cut_and_not_complete() {
        let talk = talk(
            "tool=look_up:{\"number\":\"12345678\"}",
            r#"speak 900
               quiet 700
               tell {"type": "response.create", "response": {"max_output_tokens": 4}}
               wait 2000"#,
        );
        let done = &talk.one("response.done")["response"];
        assert_eq!(done["status"], "incomplete");
        assert_eq!(done["usage"]["output_tokens"], 4);
        assert_eq!(done["output"][0]["status"], "incomplete");
        assert_eq!(done["output"][0]["arguments"], "{\"number");
    }

    #[test]
    fn a_conversation_is_put_back_as_text_with_its_calls() {
        let talk = talk(
            "",
            r#"tell {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where is it?"}]}}
               tell {"type": "conversation.item.create", "item": {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}"}}
               tell {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c1", "output": "On its way."}}
               tell {"type": "conversation.item.create", "item": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "On its way."}]}}
               respond
               wait 2000"#,
        );
        assert_eq!(talk.faults(), [""; 0]);
        assert_eq!(talk.all("conversation.item.added").len(), 4 + 1);
        let usage = &talk.one("response.done")["response"]["usage"];
        // The instructions' 10; around each item 14; 3, 2 + 1, 3 and 3 of text.
        assert_eq!(
            usage["input_token_details"]["text_tokens"],
            10 + 4 * 14 + 12
        );
    }
}

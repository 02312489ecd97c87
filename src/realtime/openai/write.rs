//! Our few words, written as the wire wants them.
//!
//! The caller's sound is written by hand, fifty times a second and never to be answered, on the page of the thread. Everything else is rare and written for the eye.

use super::errors::{CONFIGURE, RESPOND};
use super::{OpenAi, echo};
use crate::audio::Format;
use crate::page;
use crate::realtime::{Command, Item, Request, RequestKind, Session, Tool};
use base64_simd::STANDARD;
use serde_json::{Value, json};

/// Bytes of sound in one append: 1,024,000 characters of base64, so that a frame stays below 1 MiB, where the provider allows
/// 15 (facts: section 3.1). A multiple of three, so that nothing is padded, and of two, so that no sample is split.
const APPEND: usize = 768_000;

impl OpenAi {
    pub(super) fn write_frames(
        &mut self,
        command: &Command,
        sound: &[u8],
        out: &mut dyn FnMut(&str),
    ) {
        let event = match command {
            // The socket is opened and closed by those who have one.
            Command::Open { .. } | Command::Close => return,
            Command::Append { .. } | Command::AppendSilence { .. } => {
                return append(sound, out);
            }
            Command::Configure => (self.shape.configure)(&self.session),
            Command::ClearInput => json!({"type": "input_audio_buffer.clear"}),
            Command::Add(item) => json!({
                "type": "conversation.item.create",
                "item": added(item, self.shape.words),
            }),
            Command::Insert { after, item } => json!({
                "type": "conversation.item.create",
                "previous_item_id": after.as_str(),
                "item": added(item, self.shape.words),
            }),
            // Asked for in the conversation it would read all of it, at a price that nobody set aside.
            Command::Respond(request) if request.is_beside() && !self.session.can.out_of_band => {
                return;
            }
            Command::Respond(request) => (self.shape.respond)(&self.session, request),
            Command::Cancel { response: None } => json!({"type": "response.cancel"}),
            Command::Cancel { response: Some(id) } => {
                json!({"type": "response.cancel", "response_id": id.as_str()})
            }
            Command::Truncate { item, heard_ms } => json!({
                "type": "conversation.item.truncate",
                "item_id": item.as_str(),
                "content_index": 0,
                "audio_end_ms": heard_ms,
            }),
            Command::Delete { item } => {
                json!({"type": "conversation.item.delete", "item_id": item.as_str()})
            }
        };
        out(&event.to_string());
    }
}

fn append(sound: &[u8], out: &mut dyn FnMut(&str)) {
    page::with(|frame| {
        for piece in sound.chunks(APPEND) {
            frame.clear();
            frame.push_str(r#"{"type":"input_audio_buffer.append","audio":""#);
            STANDARD.encode_append(piece, frame);
            frame.push_str("\"}");
            out(frame);
        }
    });
}

/// The `session.update`: everything that the echo is compared with, so that nothing is left to a default.
pub(in crate::realtime) fn configure(session: &Session) -> Value {
    let turns = session.turn_detection;
    let transcription = session.transcription.as_ref();
    let mut event = json!({
        "type": "session.update",
        "event_id": CONFIGURE,
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": session.instructions,
            "audio": {
                "input": {
                    "format": format(session.audio),
                    "transcription": transcription.map(|model| json!({"model": model})),
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": f64::from(turns.threshold_milli) / 1000.0,
                        "prefix_padding_ms": turns.prefix_padding_ms,
                        "silence_duration_ms": turns.silence_duration_ms,
                        // Both would let the provider begin an answer, and a bill, that nobody here asked for.
                        "idle_timeout_ms": null,
                        "create_response": false,
                        "interrupt_response": turns.interrupt_response,
                    },
                },
                "output": {"format": format(session.audio), "voice": session.voice},
            },
            "max_output_tokens": session.max_output_tokens,
            "tools": session.tools.iter().map(tool).collect::<Vec<_>>(),
            "tool_choice": "auto",
        },
    });
    // Named only where there is a limit: Azure refuses the key, and with it all of the settings (facts: section 1.4).
    if let Some(limit) = session.post_instructions {
        // Dropping a fifth at once keeps the prefix stable for longer, and with it the cache (facts: section 5.1).
        event["session"]["truncation"] = json!({
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": limit},
        });
    }
    event
}

/// The rate is required of linear sound and unknown to the telephone's own formats (facts: section 2.1).
fn format(format: Format) -> Value {
    let name = echo::format_name(format);
    match format {
        Format::Pcmu | Format::Pcma => json!({"type": name}),
        Format::Pcm16 { rate } => json!({"type": name, "rate": rate}),
    }
}

fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    })
}

fn added(item: &Item, words: &str) -> Value {
    let message = |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    match item {
        Item::System(text) => message("system", "input_text", text),
        Item::User(text) => message("user", "input_text", text),
        // Sound of the model cannot be put back; its words can.
        Item::Assistant(text) => message("assistant", words, text),
        Item::ToolCall {
            tool_call,
            name,
            arguments,
        } => {
            json!({"type": "function_call", "call_id": tool_call.as_str(), "name": name, "arguments": arguments})
        }
        Item::ToolOutput { tool_call, output } => {
            json!({"type": "function_call_output", "call_id": tool_call.as_str(), "output": output})
        }
    }
}

/// The `response.create`. The nonce goes twice: an error repeats the event's id, a response its metadata.
pub(in crate::realtime) fn respond(session: &Session, request: &Request) -> Value {
    let mut response = json!({
        "metadata": {"nonce": request.nonce.to_string()},
        "max_output_tokens": request.max_output_tokens,
    });
    if !request.tools {
        response["tool_choice"] = json!("none");
    }
    if let RequestKind::Goodbye { instructions } = &request.kind {
        response["conversation"] = json!("none");
        response["input"] = json!([]);
        response["tools"] = json!([]);
        response["instructions"] = json!(&**instructions);
        response["output_modalities"] = json!(["audio"]);
        if reasons(&session.priced_as) {
            response["reasoning"] = json!({"effort": "minimal"});
        }
    }
    json!({
        "type": "response.create",
        "event_id": format!("{RESPOND}{}", request.nonce),
        "response": response,
    })
}

/// Whether the model knows `reasoning`: the second generation does, and a model that does not refuses the whole request. The
/// first generation's dated names (`gpt-realtime-2025-08-28`) begin with a 2 as well.
fn reasons(model: &str) -> bool {
    let rest = model.strip_prefix("gpt-realtime-2");
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests;

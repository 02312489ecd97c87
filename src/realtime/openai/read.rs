//! Events of the wire, read into the few that a call must know.
//!
//! One pass finds the fields, and each is read when it is wanted. An event, a field or a value that is new to us is not an error:
//! only a frame that is no event at all is, and sound that cannot be decoded. Deltas, which are nearly all that comes, have a reader of
//! their own ([`Delta`]); one that is odd in any way is read like everything else.

use super::errors::ProviderError;
use super::raw::{self, Raw};
use super::{LastWords, OpenAi, usage};
use crate::plain::{Plain, keep};
use crate::realtime::{Code, Event, Garbled, Gravity, Status};
use serde::Deserialize;
use std::borrow::Cow;

/// Every field at the top of an event that we ever read.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response_id: Raw<'a>,
    #[serde(borrow)]
    item_id: Raw<'a>,
    #[serde(borrow)]
    delta: Raw<'a>,
    #[serde(borrow)]
    transcript: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    session: Raw<'a>,
    #[serde(borrow)]
    item: Raw<'a>,
    #[serde(borrow)]
    response: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

/// A session, as it begins.
#[derive(Default, Deserialize)]
struct WireSession<'a> {
    #[serde(borrow)]
    expires_at: Raw<'a>,
}

/// An item of the conversation.
#[derive(Default, Deserialize)]
struct WireItem<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    call_id: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    arguments: Raw<'a>,
}

/// A response, begun or over.
#[derive(Default, Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    status_details: Raw<'a>,
    #[serde(borrow)]
    metadata: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
}

/// Why a response ended as it did.
#[derive(Default, Deserialize)]
struct StatusDetails<'a> {
    #[serde(borrow)]
    error: Raw<'a>,
}

/// What we said about a response when we asked for it.
#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    nonce: Raw<'a>,
}

/// A piece of something: what nearly every frame is, as long as nothing in it is odd.
struct Delta<'a> {
    kind: &'a str,
    response: &'a str,
    item: &'a str,
    piece: &'a str,
}

impl<'a> Delta<'a> {
    /// `None`: the frame is something else, or odd, and has to be parsed.
    fn of(frame: &'a str) -> Option<Delta<'a>> {
        let (mut kind, mut response, mut item, mut piece) = (None, None, None, None);
        Plain::read(frame, |name, value| match name {
            "type" => {
                let name = value.string().filter(|name| name.ends_with(".delta"))?;
                keep(&mut kind, name)
            }
            "response_id" => keep(&mut response, value.string()?),
            "item_id" => keep(&mut item, value.string()?),
            "delta" => keep(&mut piece, value.string()?),
            // Fields of other events, of which there may be one at the most.
            "transcript" | "usage" | "session" | "item" | "response" | "error" => None,
            _ => value.skip(),
        })?;
        Some(Delta {
            kind: kind?,
            response: response?,
            item: item?,
            piece: piece?,
        })
    }
}

impl OpenAi {
    pub(super) fn read_frame(
        &mut self,
        frame: &str,
        sound: &mut Vec<u8>,
    ) -> Result<Option<Event>, Garbled> {
        const GARBLED: Garbled = Garbled("a frame that is not a JSON object with a type");
        if let Some(delta) = Delta::of(frame) {
            return self.delta(&delta, sound);
        }
        if !frame.trim_ascii_start().starts_with('{') {
            return Err(GARBLED);
        }
        let frame: Frame = serde_json::from_str(frame).map_err(|_| GARBLED)?;
        Ok(Some(match (self.shape.event)(&frame.kind) {
            "response.output_audio.delta" => return self.spoke(&frame, sound),
            "session.created" => Event::Created {
                expires_at_s: raw::count(raw::object::<WireSession>(frame.session).expires_at),
            },
            "session.updated" => {
                Event::Configured((self.shape.compare)(&self.session, frame.session))
            }
            "input_audio_buffer.speech_started" => Event::SpeechStarted,
            "input_audio_buffer.speech_stopped" => Event::SpeechStopped,
            "input_audio_buffer.committed" => Event::Committed {
                item: raw::id(frame.item_id),
            },
            "conversation.item.added" => Event::ItemAdded {
                item: raw::id(raw::object::<WireItem>(frame.item).id),
            },
            "conversation.item.truncated" => Event::Truncated {
                item: raw::id(frame.item_id),
            },
            "conversation.item.deleted" => Event::Deleted {
                item: raw::id(frame.item_id),
            },
            "conversation.item.input_audio_transcription.completed" => Event::Transcribed {
                item: raw::id(frame.item_id),
                text: raw::words(frame.transcript),
                usage: usage::transcription(frame.usage).filter(|_| self.session.can.usage),
            },
            "conversation.item.input_audio_transcription.failed" => Event::TranscriptionFailed {
                item: raw::id(frame.item_id),
            },
            "response.created" => {
                let response: Response = raw::object(frame.response);
                Event::ResponseStarted {
                    response: raw::id(response.id),
                    nonce: response.nonce(),
                }
            }
            "response.output_audio.done" => Event::SpokeAll {
                response: raw::id(frame.response_id),
                item: raw::id(frame.item_id),
            },
            "response.output_audio_transcript.delta" => Event::Saying {
                response: raw::id(frame.response_id),
                item: raw::id(frame.item_id),
                text: raw::words(frame.delta),
            },
            "response.output_audio_transcript.done" => Event::Said {
                response: raw::id(frame.response_id),
                item: raw::id(frame.item_id),
                text: raw::words(frame.transcript),
            },
            "response.output_item.done" => return Ok(frame.tool_call()),
            "response.done" => self.done(&frame),
            "error" => self.complaint(frame.error),
            // Among them: deltas of arguments, what repeats other events, rate limits, and whatever is new.
            _ => return Ok(None),
        }))
    }

    /// A delta that is plain.
    fn delta(&mut self, delta: &Delta<'_>, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        match (self.shape.event)(delta.kind) {
            "response.output_audio.delta" => {
                let Delta {
                    response,
                    item,
                    piece,
                    ..
                } = delta;
                self.sounds.read(response, item, piece, sound).map(Some)
            }
            "response.output_audio_transcript.delta" => {
                let (response, item) = self.sounds.names(delta.response, delta.item);
                let text = delta.piece.to_string();
                Ok(Some(Event::Saying {
                    response,
                    item,
                    text,
                }))
            }
            // Of arguments, and of what we never asked for.
            _ => Ok(None),
        }
    }

    /// Sound that is escaped, or beside fields that are odd.
    fn spoke(&mut self, frame: &Frame<'_>, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        let base64 = raw::text(frame.delta).ok_or(Garbled("a delta without sound"))?;
        let response = raw::text(frame.response_id).unwrap_or_default();
        let item = raw::text(frame.item_id).unwrap_or_default();
        let sounds = &mut self.sounds;
        sounds.read(&response, &item, &base64, sound).map(Some)
    }

    /// A response that is over. A report that is not to be relied on is none, and the response stays charged at its bound.
    fn done(&self, frame: &Frame<'_>) -> Event {
        let response: Response = raw::object(frame.response);
        response.done(self.session.can.usage)
    }

    /// An error, and what it announces of a close to come.
    fn complaint(&mut self, error: Raw<'_>) -> Event {
        let complaint = raw::object::<ProviderError>(error).complaint();
        if complaint.gravity == Gravity::Fatal {
            self.last_words = Some(LastWords::Refused(complaint.code.clone()));
        } else if complaint.code.as_str() == "session_expired" {
            self.last_words.get_or_insert(LastWords::Expired);
        }
        Event::Complained(complaint)
    }
}

impl Frame<'_> {
    /// A call of a function, once it is whole. `function_call_arguments.done` says the same earlier and is not read; an item that
    /// was cut short has half of its arguments, and nothing may be done on the strength of half a sentence.
    fn tool_call(&self) -> Option<Event> {
        let item: WireItem = raw::object(self.item);
        if !raw::is(item.kind, "\"function_call\"") || raw::is(item.status, "\"incomplete\"") {
            return None;
        }
        let arguments = match raw::text(item.arguments) {
            Some(text) => text.into_owned(),
            // Some servers write the arguments as an object where a string should be.
            None => item.arguments.map_or("", |json| json.get()).to_string(),
        };
        Some(Event::ToolCalled {
            response: raw::id(self.response_id),
            item: raw::id(item.id),
            tool_call: raw::id(item.call_id),
            name: raw::words(item.name),
            arguments,
        })
    }
}

impl Response<'_> {
    fn nonce(&self) -> Option<u64> {
        let nonce = raw::object::<Metadata>(self.metadata).nonce;
        match raw::text(nonce) {
            Some(text) => text.parse().ok(),
            None => nonce?.get().parse().ok(),
        }
    }

    fn done(&self, believed: bool) -> Event {
        let status = match raw::text(self.status).as_deref() {
            Some("completed") => Status::Completed,
            Some("cancelled") => Status::Cancelled,
            Some("failed") => Status::Failed(self.failure()),
            // An ending that we do not know is one that may have left something unsaid.
            Some(_) | None => Status::Incomplete,
        };
        Event::ResponseDone {
            response: raw::id(self.id),
            nonce: self.nonce(),
            status,
            usage: usage::response(self.usage).filter(|_| believed),
        }
    }

    fn failure(&self) -> Code {
        let details: StatusDetails = raw::object(self.status_details);
        raw::object::<ProviderError>(details.error).name()
    }
}

#[cfg(test)]
mod tests;

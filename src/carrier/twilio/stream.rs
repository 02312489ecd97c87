//! A Media Stream: JSON in both directions, one object a frame, the sound in it as base64 of mu-law.
//!
//! Twilio stamps the caller's sound with milliseconds since the stream began and leaves out what the network lost. The
//! model measures silence by counting sound, so what is missing is filled in, or the caller's pauses would shrink.
//! In the other direction Twilio takes exactly the fields it knows and complains of any other (errors 31950 and 31951).

use crate::audio::Format;
use crate::carrier::{Command, Event, Garbled, Id, Mark, Stream};
use crate::page;
use crate::plain::{Plain, keep};
use base64_simd::STANDARD;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The only format Twilio documents: mu-law at 8 kHz.
const FORMAT: Format = Format::Pcmu;
/// What Twilio calls it.
const ENCODING: &str = "audio/x-mulaw";
/// Bytes of sound that a millisecond takes.
const BYTES_PER_MS: u64 = 8;
/// The longest frame that is read. Twilio's carry 20 ms in some 300 bytes; this is six seconds.
const LONGEST_FRAME: usize = 64 * 1024;
/// The longest name of a stream that is taken; Twilio's have 34 bytes.
const LONGEST_NAME: usize = 256;
/// The most silence that stands in for one gap.
const LONGEST_GAP: u64 = 10_000 * BYTES_PER_MS;
/// A gap shorter than this is the unsteadiness of whole milliseconds, not a lost packet (the shortest has 10 ms); it is
/// left open until it has grown, for filling it would put clicks into speech.
const SHORTEST_GAP: u64 = 10 * BYTES_PER_MS;

/// The codec of one stream.
pub(super) struct Media {
    account: String,
    call: Id,
    started: Option<Started>,
    /// Where the sound we have ends, in bytes of the stream's own time; `None` before the first of it.
    end: Option<u64>,
    /// Bytes of a started millisecond that no `Heard` has told of yet; fewer than eight.
    untold: u64,
}

/// The beginnings of the frames we send, made once: all name the stream.
struct Started {
    media: String,
    mark: String,
    clear: String,
}

impl Media {
    /// For the stream of this call of this account; an empty account stands for any.
    pub(super) fn new(account: String, call: Id) -> Self {
        Media {
            account,
            call,
            started: None,
            end: None,
            untold: 0,
        }
    }

    fn start(&mut self, frame: &Frame<'_>) -> Result<Option<Event>, Garbled> {
        let start: Start = body(frame.start, "a start that says nothing")?;
        if self.started.is_some() {
            return Err(Garbled("a second start"));
        }
        if start.call_sid.0 != self.call.as_str() {
            return Err(Garbled("a stream of another call"));
        }
        let account = start.account_sid.as_ref().map(|account| &*account.0);
        if !self.account.is_empty() && account != Some(&self.account) {
            return Err(Garbled("a stream of another account"));
        }
        let format = &start.media_format;
        if (&*format.encoding.0, format.sample_rate.0, format.channels.0) != (ENCODING, 8000, 1) {
            return Err(Garbled("a media format other than mu-law, 8 kHz, mono"));
        }
        let name = start.stream_sid.as_ref().or(frame.stream_sid.as_ref());
        let name = name.map(|name| &*name.0).unwrap_or_default();
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(Garbled("a stream without a name"));
        }
        let name = quoted(name);
        self.started = Some(Started {
            media: format!(r#"{{"event":"media","streamSid":{name},"media":{{"payload":""#),
            mark: format!(r#"{{"event":"mark","streamSid":{name},"mark":{{"name":""#),
            clear: format!(r#"{{"event":"clear","streamSid":{name}}}"#),
        });
        Ok(Some(Event::Started))
    }

    /// Appends the sound of a frame, after the silence that was due before it.
    fn hear(&mut self, heard: &Heard<'_>, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        let ours = |track: &Text<'_>| matches!(&*track.0, "inbound" | "inbound_track");
        if !heard.track.as_ref().is_none_or(ours) {
            return Ok(None);
        }
        let payload = heard.payload.0.as_bytes();
        let bytes = STANDARD.decoded_length(payload);
        let bytes = bytes.map_err(|_| Garbled("a payload that is not base64"))?;
        let Some(gap) = self.place(heard.timestamp, bytes as u64) else {
            return Ok(None);
        };
        let before = sound.len();
        sound.reserve(gap + bytes); // in one step, for the decoder reserves to the byte
        sound.resize(before + gap, FORMAT.silence());
        if STANDARD.decode_append(payload, sound).is_err() {
            sound.truncate(before);
            return Err(Garbled("a payload that is not base64"));
        }
        let untold = self.untold + (sound.len() - before) as u64;
        self.untold = untold % BYTES_PER_MS;
        let ms = untold / BYTES_PER_MS;
        Ok((ms > 0).then_some(Event::Heard { ms }))
    }

    /// Bytes of silence due before sound of this stamp and length; `None` when we have had it already.
    ///
    /// A stamp that lies further back than any gap could reach is a clock that was set anew, not a late frame: were it
    /// dropped, the caller would be mute from then on.
    fn place(&mut self, stamp: Option<Number>, bytes: u64) -> Option<usize> {
        let begin = stamp.map(|ms| ms.0.saturating_mul(BYTES_PER_MS));
        let (Some(begin), Some(end)) = (begin, self.end) else {
            let begin = self.end.or(begin);
            self.end = begin.map(|begin| begin.saturating_add(bytes));
            return Some(0);
        };
        if begin.saturating_add(LONGEST_GAP) < end {
            self.end = Some(begin.saturating_add(bytes));
            return Some(0);
        }
        // Less than a millisecond of sound cannot be told from what came before it by a stamp in milliseconds.
        if bytes >= BYTES_PER_MS && begin.saturating_add(bytes) <= end {
            return None;
        }
        let gap = begin.saturating_sub(end);
        if gap < SHORTEST_GAP {
            self.end = Some(end.saturating_add(bytes));
            return Some(0);
        }
        self.end = Some(begin.saturating_add(bytes));
        usize::try_from(gap.min(LONGEST_GAP)).ok()
    }
}

impl Stream for Media {
    fn format(&self) -> Format {
        FORMAT
    }

    /// Sound of less than a millisecond is appended without an event and told of with what follows it.
    fn read(&mut self, frame: &str, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        if frame.len() > LONGEST_FRAME {
            return Err(Garbled("a frame over 64 KiB"));
        }
        if self.started.is_some()
            && let Some(usual) = Usual::of(frame)
        {
            return match usual {
                Usual::Media(heard) => self.hear(&heard, sound),
                Usual::Mark(name) => Ok(Mark::parse(name).map(Event::Played)),
            };
        }
        let frame: Frame = match serde_json::from_str(frame) {
            Ok(frame) => frame,
            Err(_) => return stranger(frame),
        };
        let event = &*frame.event.0;
        if matches!(event, "media" | "dtmf" | "mark") && self.started.is_none() {
            return Err(Garbled("a stream that does not begin with its start"));
        }
        match event {
            "media" => {
                let heard = frame.media.as_ref();
                self.hear(heard.ok_or(Garbled("media without media"))?, sound)
            }
            "start" => self.start(&frame),
            "dtmf" => {
                let key: Key = body(frame.dtmf, "a key press that says nothing")?;
                Ok(digit(&key.digit.0).map(Event::Digit))
            }
            "mark" => {
                let mark: Named = body(frame.mark, "a mark that says nothing")?;
                Ok(Mark::parse(&mark.name.0).map(Event::Played))
            }
            "stop" => Ok(Some(Event::Stopped)),
            _ => Ok(None),
        }
    }

    fn write(&mut self, command: &Command, sound: &[u8], out: &mut dyn FnMut(&str)) {
        let Some(started) = &self.started else { return };
        match command {
            Command::Play { mark, .. } => page::with(|frame| {
                if !sound.is_empty() {
                    frame.push_str(&started.media);
                    STANDARD.encode_append(sound, frame);
                    frame.push_str(r#""}}"#);
                    out(frame);
                }
                frame.clear();
                frame.push_str(&started.mark);
                // Digits, colons and a `g`: nothing that JSON would want escaped. Writing to a `String` cannot fail.
                let _ = fmt::Write::write_fmt(frame, format_args!("{mark}"));
                frame.push_str(r#""}}"#);
                out(frame);
            }),
            Command::Clear => out(&started.clear),
            // These are the business of REST, of the document after the stream, and of the socket's owner.
            Command::Limit { .. }
            | Command::Complete { .. }
            | Command::LastWords(_)
            | Command::Transfer(_)
            | Command::Close => {}
        }
    }
}

/// What comes all the time, as long as nothing in it is odd.
enum Usual<'a> {
    Media(Heard<'a>),
    /// A mark's name.
    Mark(&'a str),
}

impl<'a> Usual<'a> {
    /// `None`: the frame is something else, or odd, and has to be parsed.
    fn of(frame: &'a str) -> Option<Usual<'a>> {
        let (mut event, mut stream, mut name) = (None, None, None);
        let (mut track, mut timestamp, mut payload) = (None, None, None);
        Plain::read(frame, |field, value| match field {
            "event" => keep(&mut event, value.string()?),
            "streamSid" => keep(&mut stream, value.string()?),
            "media" if event == Some("media") => value.object(|field, value| match field {
                "track" => keep(&mut track, value.string()?),
                "timestamp" => keep(&mut timestamp, value.number()?),
                "payload" => keep(&mut payload, value.string()?),
                _ => value.skip(),
            }),
            "mark" if event == Some("mark") => value.object(|field, value| match field {
                "name" => keep(&mut name, value.string()?),
                _ => value.skip(),
            }),
            // Each has a shape of its own.
            "media" | "start" | "dtmf" | "mark" => None,
            _ => value.skip(),
        })?;
        let text = |text| Text(Cow::Borrowed(text));
        match event {
            Some("media") => Some(Usual::Media(Heard {
                track: track.map(text),
                timestamp: timestamp.map(Number),
                payload: text(payload?),
            })),
            Some("mark") => name.map(Usual::Mark),
            _ => None,
        }
    }
}

/// A frame that does not look as the known ones do: harmless when its event is unknown, too.
fn stranger(frame: &str) -> Result<Option<Event>, Garbled> {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        event: Text<'a>,
    }
    let head: Head = serde_json::from_str(frame).map_err(|_| Garbled("not an event"))?;
    match &*head.event.0 {
        "media" | "start" | "dtmf" | "mark" | "stop" => Err(Garbled("an event of another shape")),
        _ => Ok(None),
    }
}

fn body<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    wrong: &'static str,
) -> Result<T, Garbled> {
    let raw = raw.ok_or(Garbled(wrong))?;
    serde_json::from_str(raw.get()).map_err(|_| Garbled(wrong))
}

/// A key of a telephone; `None` for anything else.
fn digit(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let key = chars.next().filter(|_| chars.next().is_none());
    key.filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'))
}

/// A JSON string with its quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One frame. Only the body of `media` is read at once: the others are rare, and an event of another name may use theirs
/// in its own way.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    media: Option<Heard<'a>>,
    #[serde(borrow)]
    start: Option<&'a RawValue>,
    #[serde(borrow)]
    dtmf: Option<&'a RawValue>,
    #[serde(borrow)]
    mark: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Heard<'a> {
    #[serde(borrow)]
    track: Option<Text<'a>>,
    timestamp: Option<Number>,
    #[serde(borrow)]
    payload: Text<'a>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    call_sid: Text<'a>,
    #[serde(borrow)]
    media_format: MediaFormat<'a>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaFormat<'a> {
    #[serde(borrow)]
    encoding: Text<'a>,
    sample_rate: Number,
    channels: Number,
}

#[derive(serde::Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    digit: Text<'a>,
}

#[derive(serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// A string that is copied only when it has escapes in it. (A bare `Cow` inside an `Option` would always be copied.)
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A whole number, which Twilio writes as a string in one place and as a number in another.
#[derive(Clone, Copy)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(wire: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or one in a string")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(E::custom)
            }
        }
        wire.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests;

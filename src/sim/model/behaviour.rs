//! How the simulated model misbehaves, in words.
//!
//! A cap that has only met an honest provider has not been tested. Each word here breaks one assumption the cap rests on,
//! or one habit of the provider that the server must live with; without words the model is honest.
//!
//! | word | meaning |
//! |---|---|
//! | `answer=12s` `greeting=2s` `goodbye=3s` | how long it speaks |
//! | `latency=300ms` `speed=5x` | until its first sound; sound per second of time |
//! | `tool=end_call:{}` | the next answers to the caller are these calls, in the order written |
//! | `tool@2=look_up:{}` | the answer to the caller's second turn calls this; written again, it calls that too, in the same answer |
//! | `tool-loop=look_up:{}` | every answer that may call a function calls this one |
//! | `tool-speech` | it says something first, in the same answer |
//! | `limit=answer-to-limit` | every answer is as long as its limit allows |
//! | `overrun` | it ignores `max_output_tokens` |
//! | `usage=honest\|missing\|twice\|late:5s\|shrunk\|never` | what it reports; `never` is no `response.done` at all |
//! | `vad=storm` | a turn is committed for every 200 ms of sound, whatever it is |
//! | `self-answer` | it answers although told not to |
//! | `acks=late:3s` | items are created, cut and deleted at once, and said to be so later |
//! | `acks=never` | nobody hears of items that are created, cut and deleted |
//! | `deletes=late:3s\|never\|refused` | an item is read until it is said to be deleted; `refused` says that there is none |
//! | `inserts=refused` | an item that is to stand behind another is refused, as if that one were gone |
//! | `update=ignored\|rejected\|differs` | what becomes of `session.update` |
//! | `drop=at:7s\|mid-delta` `expire=20s` | how the session is lost |
//! | `fail=server_error\|insufficient_quota` | every response fails |
//! | `goodbye=silent\|fails` | only responses beside the conversation do |
//! | `transcription=late:5s\|failed\|missing\|off` | `missing` is billed and never reported |
//! | `heavy` | text weighs a token a byte, and transcripts have ten tokens a second: the most that the assumptions allow |
//! | `older` | at `/v1/realtime` too it speaks the protocol's older names, as some compatible servers do |
//! | `deploys=front:gpt-realtime-2.1` | at the cloud's addresses (`/openai/…`) this name stands for that model |
//! | `diary` | it keeps one: see [`diary`](super::diary) |
//! | `unknown-events` | events and keys that no document mentions |

/// What the model does with `session.update`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Update {
    /// Applies and echoes it.
    #[default]
    Honest,
    /// Neither applies nor answers it.
    Ignored,
    /// Answers it with an error.
    Rejected,
    /// Applies it, but goes on answering by itself and without limit; the echo says so.
    Differs,
}

/// What the model reports of what it bills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// What is billed.
    #[default]
    Honest,
    /// `usage` is null.
    Missing,
    /// `response.done` comes twice.
    Twice,
    /// `response.done` comes this many milliseconds late.
    Late(u64),
    /// Half of what is billed.
    Shrunk,
    /// No `response.done` at all.
    Never,
}

/// What becomes of an item that is to be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// It is forgotten at once.
    #[default]
    Honest,
    /// It is forgotten, and said to be, so many milliseconds later.
    Late(u64),
    /// It is never forgotten, and nothing is said.
    Never,
    /// It stays, and an error says that there is no such item.
    Refused,
}

/// How the session is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection breaks so many milliseconds after it was opened.
    At(u64),
    /// The connection breaks after the second piece of sound.
    MidDelta,
}

/// What becomes of responses beside the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goodbye {
    /// They are spoken.
    #[default]
    Honest,
    /// They begin, and nothing follows.
    Silent,
    /// They fail.
    Fails,
}

/// What becomes of the transcription of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transcription {
    /// Reported so many milliseconds after the turn was committed.
    After(u64),
    /// Reported as failed, and not billed.
    Failed,
    /// Billed and never reported.
    Missing,
    /// Never made.
    Off,
}

/// A function to be called, and its arguments.
pub type Call = (String, String);

/// How the model behaves: honest by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long an answer to the caller lasts, in milliseconds; `None`: as long as the caller spoke.
    pub answer_ms: Option<u64>,
    /// How long the greeting lasts, in milliseconds.
    pub greeting_ms: u64,
    /// How long a response beside the conversation lasts, in milliseconds.
    pub goodbye_ms: u64,
    /// From the request to the first sound, in milliseconds.
    pub latency_ms: u64,
    /// Sound per time, in thousandths.
    pub speed_milli: u64,
    /// Functions it calls, and their arguments, instead of its next answers to the caller.
    pub tools: Vec<Call>,
    /// Functions it calls in the answer to the turn of this number, counted from one.
    pub turn_tools: Vec<(u64, Call)>,
    /// The function it calls whenever there is none of the others to call.
    pub loop_tool: Option<Call>,
    /// Whether it says something before it calls.
    pub tool_speech: bool,
    /// Whether every answer is as long as it may be.
    pub to_limit: bool,
    /// Whether it ignores its limit.
    pub overrun: bool,
    /// What it reports.
    pub usage: Report,
    /// Whether it commits turns back to back.
    pub storm: bool,
    /// Whether it answers although told not to.
    pub self_answer: bool,
    /// How late items are acknowledged, in milliseconds.
    pub acks_late_ms: u64,
    /// Whether items are never acknowledged.
    pub acks_never: bool,
    /// What becomes of items that are to be deleted.
    pub deletes: Deletes,
    /// Whether items that are to stand behind another one are refused.
    pub inserts_refused: bool,
    /// What becomes of `session.update`.
    pub update: Update,
    /// How the session is lost.
    pub lost: Option<Lost>,
    /// How long a session may last, in milliseconds. The provider's own is an hour.
    pub expire_ms: u64,
    /// The code every response fails with.
    pub fail: Option<String>,
    /// What becomes of responses beside the conversation.
    pub goodbye: Goodbye,
    /// What becomes of transcriptions.
    pub transcription: Transcription,
    /// Whether text and transcripts weigh as much as they can.
    pub heavy: bool,
    /// Whether the older words are spoken at the provider's own address.
    pub older: bool,
    /// Names at the cloud's addresses, and the models they stand for.
    pub deployments: Vec<(String, String)>,
    /// Whether it keeps a diary.
    pub diary: bool,
    /// Whether unknown events and keys are mixed in.
    pub unknown_events: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            answer_ms: None,
            greeting_ms: 1_500,
            goodbye_ms: 2_000,
            latency_ms: 300,
            speed_milli: 5_000,
            tools: Vec::new(),
            turn_tools: Vec::new(),
            loop_tool: None,
            tool_speech: false,
            to_limit: false,
            overrun: false,
            usage: Report::Honest,
            storm: false,
            self_answer: false,
            acks_late_ms: 0,
            acks_never: false,
            deletes: Deletes::Honest,
            inserts_refused: false,
            update: Update::Honest,
            lost: None,
            expire_ms: 3_600_000,
            fail: None,
            goodbye: Goodbye::Honest,
            transcription: Transcription::After(600),
            heavy: false,
            older: false,
            deployments: Vec::new(),
            diary: false,
            unknown_events: false,
        }
    }
}

impl Behaviour {
    /// Reads words separated by commas or spaces; see the table at the top of this file.
    ///
    /// # Errors
    /// Names the first word that is not understood.
    pub fn parse(text: &str) -> Result<Behaviour, String> {
        let mut behaviour = Behaviour::default();
        for word in words(text) {
            behaviour
                .set(word)
                .ok_or_else(|| format!("the simulated model does not know how to `{word}`"))?;
        }
        Ok(behaviour)
    }

    fn set(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let (first, rest) = value.split_once(':').unwrap_or((value, ""));
        match key {
            "honest" => {}
            "answer" => self.answer_ms = Some(millis(value)?),
            "greeting" => self.greeting_ms = millis(value)?,
            "latency" => self.latency_ms = millis(value)?,
            "speed" => {
                self.speed_milli = decimal_milli(value.strip_suffix('x')?).filter(|s| *s > 0)?
            }
            "tool-speech" if value.is_empty() => self.tool_speech = true,
            _ if key.starts_with("tool") => self.set_tool(key, first, rest)?,
            "limit" if value == "answer-to-limit" => self.to_limit = true,
            "overrun" if value.is_empty() => self.overrun = true,
            "usage" => self.usage = report(first, rest)?,
            "vad" if value == "storm" => self.storm = true,
            "self-answer" if value.is_empty() => self.self_answer = true,
            "acks" if first == "late" => self.acks_late_ms = millis(rest)?,
            "acks" if value == "never" => self.acks_never = true,
            "inserts" if value == "refused" => self.inserts_refused = true,
            "deletes" => {
                self.deletes = match first {
                    "late" => Deletes::Late(millis(rest)?),
                    "never" => Deletes::Never,
                    "refused" => Deletes::Refused,
                    _ => return None,
                }
            }
            "update" => {
                self.update = match value {
                    "honest" => Update::Honest,
                    "ignored" => Update::Ignored,
                    "rejected" => Update::Rejected,
                    "differs" => Update::Differs,
                    _ => return None,
                }
            }
            "drop" if value == "mid-delta" => self.lost = Some(Lost::MidDelta),
            "drop" if first == "at" => self.lost = Some(Lost::At(millis(rest)?)),
            "expire" => self.expire_ms = millis(value)?,
            "fail" if !value.is_empty() => self.fail = Some(value.into()),
            "goodbye" if value == "silent" => self.goodbye = Goodbye::Silent,
            "goodbye" if value == "fails" => self.goodbye = Goodbye::Fails,
            "goodbye" => self.goodbye_ms = millis(value)?,
            "transcription" => self.transcription = transcription(first, rest)?,
            "older" if value.is_empty() => self.older = true,
            "deploys" if !rest.is_empty() => self.deployments.push((first.into(), rest.into())),
            "heavy" if value.is_empty() => self.heavy = true,
            "diary" if value.is_empty() => self.diary = true,
            "unknown-events" if value.is_empty() => self.unknown_events = true,
            _ => return None,
        }
        Some(())
    }

    /// A function to call, and when.
    fn set_tool(&mut self, key: &str, name: &str, arguments: &str) -> Option<()> {
        let arguments = if arguments.is_empty() {
            "{}"
        } else {
            arguments
        };
        let call = (name.to_string(), arguments.to_string());
        match key.strip_prefix("tool@").map(str::parse) {
            _ if name.is_empty() => return None,
            Some(turn) => self.turn_tools.push((turn.ok()?, call)),
            None if key == "tool-loop" => self.loop_tool = Some(call),
            None if key == "tool" => self.tools.push(call),
            None => return None,
        }
        Some(())
    }
}

fn report(kind: &str, rest: &str) -> Option<Report> {
    Some(match kind {
        "honest" => Report::Honest,
        "missing" => Report::Missing,
        "twice" => Report::Twice,
        "late" => Report::Late(millis(rest)?),
        "shrunk" => Report::Shrunk,
        "never" => Report::Never,
        _ => return None,
    })
}

fn transcription(kind: &str, rest: &str) -> Option<Transcription> {
    Some(match kind {
        "late" if rest.is_empty() => Transcription::After(5_000),
        "late" => Transcription::After(millis(rest)?),
        "failed" => Transcription::Failed,
        "missing" => Transcription::Missing,
        "off" => Transcription::Off,
        _ => return None,
    })
}

/// Splits at commas and spaces that stand outside JSON.
fn words(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    let mut words: Vec<&str> = text
        .split(|c: char| {
            match c {
                '"' if depth > 0 && !escaped => quoted = !quoted,
                '{' | '[' if !quoted => depth += 1,
                '}' | ']' if !quoted => depth -= 1,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            depth <= 0 && (c == ',' || c.is_whitespace())
        })
        .collect();
    words.retain(|word| !word.is_empty());
    words
}

/// `300ms`, `12s`, `1.5s` in milliseconds.
fn millis(text: &str) -> Option<u64> {
    match text.strip_suffix("ms") {
        Some(whole) => whole.parse().ok(),
        None => decimal_milli(text.strip_suffix('s')?),
    }
}

/// A decimal in thousandths.
fn decimal_milli(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_with_commas_or_spaces_and_json_is_left_whole() {
        let read = Behaviour::parse(
            "answer=12s, latency=250ms speed=2.5x,usage=late:5s tool=send_digits:{\"digits\": \"1,2\"} tool=end_call:{}",
        )
        .unwrap();
        assert_eq!(read.answer_ms, Some(12_000));
        assert_eq!(read.latency_ms, 250);
        assert_eq!(read.speed_milli, 2_500);
        assert_eq!(read.usage, Report::Late(5_000));
        assert_eq!(
            read.tools,
            [
                (
                    "send_digits".to_string(),
                    "{\"digits\": \"1,2\"}".to_string()
                ),
                ("end_call".to_string(), "{}".to_string())
            ]
        );
    }

    #[test]
    fn no_words_are_honest_and_a_wrong_word_is_named() {
        assert_eq!(Behaviour::parse(" , "), Ok(Behaviour::default()));
        for wrong in [
            "answer=12",
            "speed=0x",
            "usage=sometimes",
            "drop=at:",
            "tool=",
            "tool@x=a:{}",
            "tooling=a:{}",
            "latency=1.0001s",
            "sing",
        ] {
            let said = Behaviour::parse(wrong).unwrap_err();
            assert!(said.contains(wrong), "{said}");
        }
    }
}

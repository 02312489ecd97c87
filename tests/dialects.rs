//! Every dialect means the same: what is true of one entry of `DIALECTS` is true of all of them.
//!
//! The core knows one set of words. A dialect that reads a bill, an interruption or an echo otherwise than the others
//! would be a hole in the cap that no test of the core could see. So one story is told in each wire shape and
//! must read alike, and whatever a codec writes is given to the simulated model, which shares no code with it.
//! A dialect that nobody told the story of is a failure.

#[path = "dialects/place.rs"]
mod place;
#[path = "dialects/story.rs"]
mod story;

use place::{Place, places};
use ringfence::realtime::{
    Code, Command, Complaint, DIALECTS, Event, Gravity, Item, Loss, Request, RequestKind,
};
use ringfence::units::Id;
use serde_json::Value;
use std::sync::Arc;

#[test]
fn every_dialect_has_a_place_where_it_is_spoken() {
    for profile in DIALECTS {
        let own = places();
        assert!(
            own.iter().any(|place| place.dialect == profile.name),
            "nobody tells the story in {}",
            profile.name
        );
        for place in own.iter().filter(|place| place.dialect == profile.name) {
            assert_eq!((profile.refuses)(place.url), None, "{}", place.url);
        }
        assert!(profile.can.carry_a_cap(), "{}", profile.name);
    }
}

#[test]
fn one_story_reads_alike_in_every_dialect() {
    for place in places() {
        let (mut codec, mut sound) = (place.codec(), Vec::new());
        for (today, older, expected) in story::story() {
            let frame = match (place.older, older) {
                (true, story::Older::Says(frame)) => frame,
                (true, story::Older::Silent) => continue,
                _ => today,
            };
            let event = codec.read(frame, &mut sound).expect(frame);
            assert_eq!(event, expected, "{}: {frame}", place.url);
        }
        assert_eq!(sound.len(), 48, "{}: a millisecond in all", place.url);
    }
}

#[test]
fn a_session_ends_alike_in_every_dialect() {
    for place in places() {
        let refused = |code: &str| Loss::Refused(Code::new(code));
        for (code, reason, loss) in [
            (
                Some(3000),
                "invalid_request_error.invalid_api_key",
                refused("invalid_api_key"),
            ),
            (
                Some(4000),
                "invalid_request_error.beta_api_shape_disabled",
                refused("beta_api_shape_disabled"),
            ),
            (Some(1001), "", Loss::Expired),
            (Some(1011), "", Loss::Dropped),
            (None, "", Loss::Dropped),
        ] {
            assert_eq!(place.codec().closed(code, reason), loss, "{}", place.url);
        }
        for status in [400, 401, 403] {
            let loss = refused(&format!("http_{status}"));
            assert_eq!(place.codec().refused(status), loss, "{}", place.url);
        }
    }
}

#[test]
fn the_settings_that_a_codec_writes_are_taken_and_their_echo_agrees() {
    for place in places() {
        let mut line = place.line("");
        let events = line.tell(&Command::Configure);
        assert_eq!(events, [Event::Configured(Ok(()))], "{}", place.url);
        let asked = &line.written.last().expect("was written")["session"];
        let limited = asked.get("truncation").is_some();
        assert_eq!(limited, place.session().can.truncation, "{}", place.url);
    }
}

#[test]
fn an_echo_that_could_cost_money_is_caught_key_by_key() {
    for place in places() {
        let mut line = place.line("");
        line.tell(&Command::Configure);
        let echo = line.heard.last().expect("was answered").clone();
        for (at, value, key) in place.differences() {
            let mut echo = echo.clone();
            let there = echo.pointer_mut(at);
            *there.unwrap_or_else(|| panic!("{}: no {at}", place.url)) = value.clone();
            let event = place.codec().read(&echo.to_string(), &mut Vec::new());
            let expected = Event::Configured(Err(key));
            assert_eq!(event, Ok(Some(expected)), "{}: {at} = {value}", place.url);
        }
    }
}

#[test]
fn what_a_codec_writes_is_understood_by_the_other_side() {
    let call = || Id::from("call_1");
    let items = [
        Item::System("Two minutes are left.".into()),
        Item::User("Where is it?".into()),
        Item::ToolCall {
            tool_call: call(),
            name: "order-status".into(),
            arguments: "{\"order\":\"7\"}".into(),
        },
        Item::ToolOutput {
            tool_call: call(),
            output: "{\"ok\":true}".into(),
        },
        Item::Assistant("On its way.".into()),
    ];
    for place in places() {
        let mut line = place.line("");
        line.tell(&Command::Configure);
        let mut last = None;
        for item in items.clone() {
            let events = line.tell(&Command::Add(item.clone()));
            let [Event::ItemAdded { item: id }] = &events[..] else {
                panic!("{}: {item:?} brought {events:?}", place.url);
            };
            last = Some(id.clone());
        }
        let after = last.expect("was added");
        let item = Item::System("The end is near.".into());
        let inserted = line.tell(&Command::Insert {
            after: after.clone(),
            item,
        });
        assert!(matches!(inserted[..], [Event::ItemAdded { .. }]));
        let deleted = line.tell(&Command::Delete {
            item: after.clone(),
        });
        assert_eq!(deleted, [Event::Deleted { item: after }], "{}", place.url);
        for quiet in [
            Command::Append { ms: 20 },
            Command::AppendSilence { ms: 20 },
            Command::ClearInput,
            Command::Open { model: 0 },
            Command::Close,
        ] {
            assert_eq!(line.tell(&quiet), [], "{}: {quiet:?}", place.url);
        }
        for (command, code) in [
            (
                Command::Cancel { response: None },
                "response_cancel_not_active",
            ),
            (
                Command::Truncate {
                    item: Id::from("item_none"),
                    heard_ms: 100,
                },
                "item_truncate_invalid_item_id",
            ),
        ] {
            let complaint = Complaint {
                gravity: Gravity::Benign,
                code: Code::new(code),
                about: None,
            };
            let events = line.tell(&command);
            assert_eq!(events, [Event::Complained(complaint)], "{}", place.url);
        }
    }
}

#[test]
fn a_turn_a_call_and_a_goodbye_go_the_same_way_everywhere() {
    for place in places() {
        let mut line = place.line("tool@1=order-status:{\"order\":\"7\"}");
        line.tell(&Command::Configure);
        let heard = line.speak();
        assert_eq!(
            words(&heard),
            "SpeechStarted SpeechStopped Committed ItemAdded Transcribed",
            "{}",
            place.url
        );
        let asked = line.tell(&answer(1, RequestKind::Answer));
        assert_eq!(words(&asked), "ResponseStarted", "{}", place.url);
        let called = line.wait(2_000);
        assert_eq!(words(&called), "ItemAdded ToolCalled ResponseDone");
        assert!(matches!(&called[1], Event::ToolCalled { name, .. } if name == "order-status"));
        billed(&called[2], 1, place.url);

        line.tell(&answer(2, RequestKind::Answer));
        let said = line.wait(3_000);
        let told = "ItemAdded Saying Spoke SpokeAll Said ResponseDone";
        assert_eq!(words(&said), told, "{}", place.url);
        billed(&said[said.len() - 1], 2, place.url);

        let instructions = Arc::from("Say goodbye.");
        line.tell(&answer(3, RequestKind::Goodbye { instructions }));
        let bye = line.wait(3_000);
        assert_eq!(words(&bye), "Saying Spoke SpokeAll Said ResponseDone");
        billed(&bye[bye.len() - 1], 3, place.url);
    }
}

#[test]
fn an_answer_that_is_interrupted_is_cut_and_billed_everywhere() {
    for place in places() {
        let mut line = place.line("greeting=5s");
        line.tell(&Command::Configure);
        line.tell(&answer(1, RequestKind::Answer));
        let said = line.wait(600);
        let Some(Event::Spoke { item, .. }) = said.last() else {
            panic!("{}: {said:?}", place.url);
        };
        let item = item.clone();
        let cut = line.tell(&Command::Truncate {
            item: item.clone(),
            heard_ms: 200,
        });
        assert_eq!(cut, [Event::Truncated { item }], "{}", place.url);
        let over = line.tell(&Command::Cancel { response: None });
        let last = over.last().expect("is over");
        assert!(format!("{last:?}").contains("Cancelled"), "{last:?}");
        billed(last, 1, place.url);
    }
}

#[test]
fn what_the_operator_takes_away_is_neither_asked_for_nor_believed() {
    for place in places() {
        let mut session = place.session();
        session.can.usage = false;
        session.can.out_of_band = false;
        let mut line = place.line_with(session, "");
        line.tell(&Command::Configure);
        let instructions = Arc::from("Say goodbye.");
        let frames = line.written.len();
        line.tell(&answer(1, RequestKind::Goodbye { instructions }));
        assert_eq!(line.written.len(), frames, "{}", place.url);
        line.tell(&answer(2, RequestKind::Answer));
        let said = line.wait(3_000);
        let done = said.last().expect("is over");
        assert!(
            matches!(
                done,
                Event::ResponseDone {
                    usage: None,
                    nonce: Some(2),
                    ..
                }
            ),
            "{}: {done:?}",
            place.url
        );
    }
}

fn answer(nonce: u64, kind: RequestKind) -> Command {
    Command::Respond(Request {
        nonce,
        max_output_tokens: 400,
        tools: kind == RequestKind::Answer,
        kind,
    })
}

#[track_caller]
fn billed(event: &Event, asked: u64, place: &str) {
    let Event::ResponseDone { nonce, usage, .. } = event else {
        panic!("{place}: {event:?} is no bill");
    };
    assert_eq!(*nonce, Some(asked), "{place}");
    let usage = usage.expect("is reported");
    assert!(
        usage.text_in > 0 && usage.text_out > 0,
        "{place}: {usage:?}"
    );
}

/// The events by their names, with runs of what comes in pieces told once.
fn words(events: &[Event]) -> String {
    let mut words: Vec<String> = Vec::new();
    for event in events {
        let told = format!("{event:?}");
        let name = told
            .split([' ', '('])
            .next()
            .unwrap_or_default()
            .to_string();
        let piece = matches!(event, Event::Saying { .. } | Event::Spoke { .. });
        if !(piece && words.iter().rev().take(2).any(|word| *word == name)) {
            words.push(name);
        }
    }
    words.join(" ")
}

impl Place {
    /// Keys of the echo, values that differ, and what each is called.
    fn differences(&self) -> Vec<(&'static str, Value, &'static str)> {
        let own = if self.older { OLDER } else { TODAY };
        let limited = self.session().can.truncation;
        let limit = ("/session/truncation", r#""auto""#, "truncation");
        let all = own.iter().chain(BOTH).chain(limited.then_some(&limit));
        all.map(|(at, value, key)| (*at, serde_json::from_str(value).expect("is JSON"), *key))
            .collect()
    }
}

/// Where something stands in an echo, another value as JSON, and what the difference is called.
type Difference = (&'static str, &'static str, &'static str);

const TODAY: &[Difference] = &[
    (
        "/session/audio/input/turn_detection/create_response",
        "true",
        "create_response",
    ),
    (
        "/session/audio/input/turn_detection/idle_timeout_ms",
        "8000",
        "idle_timeout_ms",
    ),
    (
        "/session/audio/input/turn_detection",
        "null",
        "create_response",
    ),
    (
        "/session/max_output_tokens",
        r#""inf""#,
        "max_output_tokens",
    ),
    (
        "/session/audio/input/format/type",
        r#""audio/pcmu""#,
        "audio.input.format",
    ),
    (
        "/session/audio/output/format/rate",
        "16000",
        "audio.output.format",
    ),
    (
        "/session/audio/input/transcription",
        "null",
        "transcription",
    ),
];

const OLDER: &[Difference] = &[
    (
        "/session/turn_detection/create_response",
        "true",
        "create_response",
    ),
    (
        "/session/turn_detection",
        r#"{"create_response": false, "idle_timeout_ms": 8000}"#,
        "idle_timeout_ms",
    ),
    ("/session/turn_detection", "null", "create_response"),
    (
        "/session/max_response_output_tokens",
        r#""inf""#,
        "max_response_output_tokens",
    ),
    (
        "/session/input_audio_format",
        r#""g711_ulaw""#,
        "input_audio_format",
    ),
    (
        "/session/output_audio_format",
        r#""g711_alaw""#,
        "output_audio_format",
    ),
    (
        "/session/input_audio_transcription/model",
        r#""whisper-1""#,
        "input_audio_transcription",
    ),
];

const BOTH: &[Difference] = &[
    ("/session/tools", "[]", "tools"),
    ("/session/tools/0/name", r#""other""#, "tools"),
    ("/session", "null", "create_response"),
];

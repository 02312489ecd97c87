//! What comes in, in the order in which it comes.

use crate::pricing::{TranscriptionUsage, Usage};
use crate::realtime::openai::sounds::tests::{delta, sound, spoke};
use crate::realtime::openai::tests::codec;
use crate::realtime::{Code, Complaint, Dialect, Event, Garbled, Gravity, Status};
use crate::units::Id;
use proptest::prelude::*;
use serde_json::{Value, json};

fn id(name: &str) -> Id {
    Id::from(name)
}

/// Reads one event with a codec of its own.
fn read_alone(frame: &Value) -> Option<Event> {
    let event = codec().read(&frame.to_string(), &mut Vec::new());
    event.expect("a frame that follows the protocol")
}

fn response(event: &str, status: &str, details: Value, usage: Value) -> Value {
    json!({"type": event, "event_id": "event_9", "response": {"object": "realtime.response", "id": "resp_1", "status": status,
        "status_details": details, "output": [], "conversation_id": "conv_1", "output_modalities": ["audio"],
        "max_output_tokens": 400, "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
        "metadata": {"nonce": "7"}, "usage": usage}})
}

/// An event of one item: every key that any of them has.
fn of_item(event: &str, item: &str) -> Value {
    json!({"type": event, "event_id": "event_2", "response_id": "resp_1", "item_id": item, "previous_item_id": null,
        "output_index": 0, "content_index": 0, "audio_start_ms": 10, "audio_end_ms": 900})
}

fn with(mut event: Value, key: &str, value: Value) -> Value {
    event[key] = value;
    event
}

fn function_call(event: &str, status: &str) -> Value {
    json!({"type": event, "event_id": "event_3", "response_id": "resp_1", "output_index": 1, "item": {"id": "item_3",
        "type": "function_call", "status": status, "name": "order-status", "call_id": "call_1", "arguments": "{\"order\":\"7\"}"}})
}

/// A turn of the caller and the answer to it, as recorded sessions have it (facts: section 3.4), and what a call must know.
fn a_turn() -> Vec<(Value, Option<Event>)> {
    let usage = json!({"total_tokens": 102, "input_tokens": 42, "output_tokens": 60,
        "input_token_details": {"text_tokens": 15, "audio_tokens": 27, "image_tokens": 0, "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}},
        "output_token_details": {"text_tokens": 18, "audio_tokens": 42}});
    let user = json!({"id": "item_1", "type": "message", "role": "user", "status": "completed",
        "content": [{"type": "input_audio", "transcript": null}]});
    let assistant = json!({"id": "item_2", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    let transcription = "conversation.item.input_audio_transcription";
    vec![
        (
            json!({"type": "session.created", "event_id": "event_0", "session": {"id": "sess_1", "expires_at": 1_790_003_600}}),
            Some(Event::Created {
                expires_at_s: Some(1_790_003_600),
            }),
        ),
        (
            of_item("input_audio_buffer.speech_started", "item_1"),
            Some(Event::SpeechStarted),
        ),
        (
            of_item("input_audio_buffer.speech_stopped", "item_1"),
            Some(Event::SpeechStopped),
        ),
        (
            of_item("input_audio_buffer.committed", "item_1"),
            Some(Event::Committed { item: id("item_1") }),
        ),
        (
            with(
                of_item("conversation.item.added", "?"),
                "item",
                user.clone(),
            ),
            Some(Event::ItemAdded { item: id("item_1") }),
        ),
        (
            with(of_item("conversation.item.done", "?"), "item", user),
            None,
        ),
        (
            response("response.created", "in_progress", Value::Null, Value::Null),
            Some(Event::ResponseStarted {
                response: id("resp_1"),
                nonce: Some(7),
            }),
        ),
        (
            with(
                of_item(&format!("{transcription}.delta"), "item_1"),
                "delta",
                json!("Hel"),
            ),
            None,
        ),
        (
            with(
                of_item("response.output_item.added", "?"),
                "item",
                assistant.clone(),
            ),
            None,
        ),
        (
            with(
                of_item("conversation.item.added", "?"),
                "item",
                assistant.clone(),
            ),
            Some(Event::ItemAdded { item: id("item_2") }),
        ),
        (
            with(
                of_item("response.content_part.added", "item_2"),
                "part",
                json!({"type": "audio", "transcript": ""}),
            ),
            None,
        ),
        (
            with(
                of_item("response.output_audio_transcript.delta", "item_2"),
                "delta",
                json!("Hi"),
            ),
            Some(Event::Saying {
                response: id("resp_1"),
                item: id("item_2"),
                text: "Hi".into(),
            }),
        ),
        (delta("item_2", &sound(250, 0)), Some(spoke("item_2", 250))),
        (delta("item_2", &sound(250, 0)), Some(spoke("item_2", 500))),
        (
            of_item("response.output_audio.done", "item_2"),
            Some(Event::SpokeAll {
                response: id("resp_1"),
                item: id("item_2"),
            }),
        ),
        (
            with(
                of_item("response.output_audio_transcript.done", "item_2"),
                "transcript",
                json!("Hi \"there\"!\n"),
            ),
            Some(Event::Said {
                response: id("resp_1"),
                item: id("item_2"),
                text: "Hi \"there\"!\n".into(),
            }),
        ),
        (
            with(
                of_item("response.content_part.done", "item_2"),
                "part",
                json!({"type": "audio", "transcript": "Hi"}),
            ),
            None,
        ),
        (
            with(
                of_item("conversation.item.done", "?"),
                "item",
                assistant.clone(),
            ),
            None,
        ),
        (
            with(of_item("response.output_item.done", "?"), "item", assistant),
            None,
        ),
        (
            response("response.done", "completed", Value::Null, usage),
            Some(Event::ResponseDone {
                response: id("resp_1"),
                nonce: Some(7),
                status: Status::Completed,
                usage: Some(Usage {
                    text_in: 15,
                    audio_in: 27,
                    text_out: 18,
                    audio_out: 42,
                    ..Usage::default()
                }),
            }),
        ),
        (
            json!({"type": "rate_limits.updated", "event_id": "event_4", "rate_limits": [{"name": "tokens", "limit": 1}]}),
            None,
        ),
        (
            with(
                with(
                    of_item(&format!("{transcription}.completed"), "item_1"),
                    "transcript",
                    json!("Hello."),
                ),
                "usage",
                json!({"type": "duration", "seconds": 3}),
            ),
            Some(Event::Transcribed {
                item: id("item_1"),
                text: "Hello.".into(),
                usage: Some(TranscriptionUsage::Duration { millis: 3000 }),
            }),
        ),
    ]
}

/// What happens less often, each alone.
fn the_rest() -> Vec<(Value, Option<Event>)> {
    let none = [
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.dtmf_event_received",
        "conversation.created",
        "conversation.item.retrieved",
        "conversation.item.input_audio_transcription.segment",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "response.output_text.delta",
        "response.output_text.done",
        "response.function_call_arguments.delta",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "ping",
        "session.something_new",
        "",
    ];
    let mut events: Vec<_> = none
        .iter()
        .map(|event| (of_item(event, "item_1"), None))
        .collect();
    let failed = of_item(
        "conversation.item.input_audio_transcription.failed",
        "item_1",
    );
    events.extend([
        (of_item("conversation.item.truncated", "item_2"), Some(Event::Truncated { item: id("item_2") })),
        (of_item("conversation.item.deleted", "item_2"), Some(Event::Deleted { item: id("item_2") })),
        (
            with(failed, "error", json!({"type": "server_error", "code": "DeploymentNotFound", "message": "…"})),
            Some(Event::TranscriptionFailed { item: id("item_1") }),
        ),
        (json!({"type": "session.updated", "session": {}}), Some(Event::Configured(Err("create_response")))),
        (with(function_call("response.function_call_arguments.done", ""), "arguments", json!("{}")), None),
        (function_call("response.output_item.added", "in_progress"), None),
        (function_call("response.output_item.done", "incomplete"), None),
        (
            function_call("response.output_item.done", "completed"),
            Some(Event::ToolCalled {
                response: id("resp_1"),
                item: id("item_3"),
                tool_call: id("call_1"),
                name: "order-status".into(),
                arguments: "{\"order\":\"7\"}".into(),
            }),
        ),
        (
            json!({"type": "error", "event_id": "event_5", "error": {"type": "invalid_request_error", "param": null,
                "code": "conversation_already_has_active_response", "message": "…", "event_id": "respond-9"}}),
            Some(Event::Complained(Complaint {
                gravity: Gravity::Benign,
                code: Code::new("conversation_already_has_active_response"),
                about: Some(9),
            })),
        ),
    ]);
    events
}

fn done(status: Status) -> Option<Event> {
    Some(Event::ResponseDone {
        response: id("resp_1"),
        nonce: Some(7),
        status,
        usage: None,
    })
}

#[test]
fn a_turn_is_read_as_the_wire_has_it() {
    let (mut codec, mut heard) = (codec(), Vec::new());
    for (frame, expected) in a_turn() {
        let event = codec.read(&frame.to_string(), &mut heard);
        assert_eq!(event, Ok(expected), "{frame}");
    }
    assert_eq!(heard, vec![0; 500 * 48]);
}

#[test]
fn every_other_event_is_understood_or_tolerated() {
    for (frame, expected) in the_rest() {
        assert_eq!(read_alone(&frame), expected, "{frame}");
    }
}

#[test]
fn every_ending_of_a_response_is_told_apart() {
    let failed = |error: Value| json!({"type": "failed", "error": error});
    let code = |code| Status::Failed(Code::new(code));
    for (status, details, expected) in [
        ("completed", Value::Null, Status::Completed),
        (
            "cancelled",
            json!({"type": "cancelled", "reason": "turn_detected"}),
            Status::Cancelled,
        ),
        (
            "incomplete",
            json!({"type": "incomplete", "reason": "max_output_tokens"}),
            Status::Incomplete,
        ),
        (
            "failed",
            failed(json!({"type": "x", "code": "insufficient_quota"})),
            code("insufficient_quota"),
        ),
        (
            "failed",
            failed(json!({"type": "server_error", "code": null})),
            code("server_error"),
        ),
        ("failed", Value::Null, code("unknown")),
        ("newfangled", json!(7), Status::Incomplete),
    ] {
        let frame = response("response.done", status, details, Value::Null);
        assert_eq!(read_alone(&frame), done(expected), "{frame}");
    }
}

#[test]
fn a_response_that_nobody_asked_for_has_no_nonce() {
    for (metadata, expected) in [
        (json!({"nonce": "18446744073709551615"}), Some(u64::MAX)),
        (json!({"nonce": 3}), Some(3)),
        (json!({"nonce": "-3"}), None),
        (json!({"nonce": null}), None),
        (json!({}), None),
        (json!([]), None),
        (Value::Null, None),
    ] {
        let mut frame = response("response.created", "in_progress", Value::Null, Value::Null);
        frame["response"]["metadata"] = metadata;
        let started = Event::ResponseStarted {
            response: id("resp_1"),
            nonce: expected,
        };
        assert_eq!(read_alone(&frame), Some(started), "{frame}");
    }
}

#[test]
fn a_bill_is_read_even_when_everything_about_it_is_odd() {
    for response in [
        json!({}),
        json!(null),
        json!({"id": 7, "status": [], "usage": "free", "metadata": "?"}),
    ] {
        let frame = json!({"type": "response.done", "response": response});
        let bare = Event::ResponseDone {
            response: id(""),
            nonce: None,
            status: Status::Incomplete,
            usage: None,
        };
        assert_eq!(read_alone(&frame), Some(bare), "{frame}");
    }
}

#[test]
fn a_frame_that_is_no_event_is_garbled() {
    for frame in [
        "",
        "hello",
        "7",
        "[]",
        "[\"session.created\"]",
        "null",
        "{",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"a"} x"#,
    ] {
        let read = codec().read(frame, &mut Vec::new());
        assert!(matches!(read, Err(Garbled(_))), "{frame}");
    }
    let spaced = codec().read(
        " \n{ \"type\" : \"session.cre\\u0061ted\" }",
        &mut Vec::new(),
    );
    assert_eq!(spaced, Ok(Some(Event::Created { expires_at_s: None })));
}

/// The same, with a key nobody knows in every object.
fn with_unknown_keys(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let known = map
                .iter()
                .map(|(key, value)| (key.clone(), with_unknown_keys(value)));
            let unknown = [
                ("a_brand_new_key", json!({"deep": [1, null]})),
                ("zzz", json!(false)),
            ];
            let unknown = unknown
                .into_iter()
                .map(|(key, value)| (key.to_string(), value));
            known
                .chain(unknown)
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(values) => values
            .iter()
            .map(with_unknown_keys)
            .collect::<Vec<_>>()
            .into(),
        other => other.clone(),
    }
}

#[test]
fn keys_nobody_knows_change_nothing() {
    for (frame, _) in a_turn().into_iter().chain(the_rest()) {
        assert_eq!(
            read_alone(&with_unknown_keys(&frame)),
            read_alone(&frame),
            "{frame}"
        );
    }
}

/// The event with one of its values, at any depth, replaced.
fn replaced(value: &mut Value, at: &mut usize, by: &Value) {
    if *at == 0 {
        *value = by.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| replaced(value, at, by)),
        Value::Array(values) => values.iter_mut().for_each(|value| replaced(value, at, by)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_codec_panic(frame in ".{0,200}", reason in ".{0,40}", code in any::<Option<u16>>()) {
        let mut codec = codec();
        let _ = codec.read(&frame, &mut Vec::new());
        codec.closed(code, &reason);
    }

    #[test]
    fn a_known_event_with_any_value_in_any_place_is_never_worse_than_garbled(
        which in any::<prop::sample::Index>(),
        place in 0..60usize,
        by in any_json(),
    ) {
        let events: Vec<_> = a_turn().into_iter().chain(the_rest()).collect();
        let mut frame = which.get(&events).0.clone();
        let kind = frame["type"].clone();
        replaced(&mut frame, &mut place.clone(), &by);
        let is_event = frame["type"] == kind;
        let read = codec().read(&frame.to_string(), &mut Vec::new());
        // Of a known event, only sound can be unreadable.
        prop_assert!(read.is_ok() || !is_event || kind == "response.output_audio.delta");
    }
}

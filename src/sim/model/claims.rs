//! What the simulated model claims about itself when it is honest.

use super::talk::{Talk, talk};
use super::voice::resample;
use super::{Model, Out, Setup, invoice};
use crate::audio::Format;
use serde_json::{Value, json};

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let sum = |x: &[i16], y: &[i16]| -> f64 {
        let pairs = x.iter().zip(y);
        pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
}

#[test]
fn a_turn_and_its_answer_come_in_the_providers_order() {
    let talk = talk(
        "",
        "speak 1000
         quiet 700
         respond
         wait 3000",
    );
    let expected = "session.created session.updated input_audio_buffer.speech_started \
        input_audio_buffer.speech_stopped input_audio_buffer.committed conversation.item.added \
        conversation.item.done response.created response.output_item.added conversation.item.added \
        response.content_part.added response.output_audio_transcript.delta response.output_audio.delta \
        conversation.item.input_audio_transcription.delta conversation.item.input_audio_transcription.completed \
        response.output_audio_transcript.delta response.output_audio.delta \
        response.output_audio.done response.output_audio_transcript.done \
        response.content_part.done conversation.item.done response.output_item.done response.done \
        rate_limits.updated";
    let kinds = talk.kinds();
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(kinds, expected);
    // Items form a chain, the turn's id was told in advance, and no two events share an id.
    let user = &talk.one("input_audio_buffer.speech_started")["item_id"];
    assert_eq!(&talk.one("input_audio_buffer.committed")["item_id"], user);
    let added = talk.all("conversation.item.added");
    assert_eq!(added[0]["previous_item_id"], Value::Null);
    assert_eq!(&added[1]["previous_item_id"], user);
    assert!(added[1]["item"].get("object").is_none());
    let mut ids: Vec<String> = talk
        .log
        .iter()
        .map(|(_, e)| e["event_id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), talk.log.len());
}

#[test]
fn a_session_begins_with_the_providers_defaults_and_answers_by_itself() {
    let mut talk = Talk::open("");
    let session = &talk.one("session.created")["session"];
    assert_eq!(session["expires_at"], 3_600);
    assert_eq!(
        session["audio"]["input"]["turn_detection"]["create_response"],
        true
    );
    assert_eq!(session["max_output_tokens"], "inf");
    talk.play(
        r#"set {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}"#,
    );
    talk.play(
        "speak 800
         quiet 600
         wait 2000",
    );
    assert_eq!(talk.one("response.done")["response"]["status"], "completed");
}

#[test]
fn it_says_the_callers_own_words_back_at_the_same_level() {
    let mut talk = talk(
        "",
        "quiet 300
         speak 1300
         quiet 700
         respond
         wait 3000",
    );
    let start = talk.one("input_audio_buffer.speech_started")["audio_start_ms"]
        .as_u64()
        .unwrap();
    let end = talk.one("input_audio_buffer.speech_stopped")["audio_end_ms"]
        .as_u64()
        .unwrap();
    let words = talk.appended[start as usize * 8..end as usize * 8].to_vec();
    let response = talk.one("response.created")["response"]["id"].clone();
    assert_eq!(talk.sound(&response, Format::Pcmu), words);

    // And through another format of the output: only the rate differs.
    talk.play(
        r#"tell {"type": "response.create", "response": {"max_output_tokens": 1}}
           wait 1000
           speak 1300
           quiet 700
           tell {"type": "response.create", "response": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}}}
           wait 3000"#,
    );
    let turn = talk.all("input_audio_buffer.speech_started")[1]["audio_start_ms"].clone();
    let from = turn.as_u64().unwrap() as usize * 8;
    let created = talk.all("response.created");
    let response = created[2]["response"]["id"].clone();
    let sound = resample(
        &talk.sound(&response, Format::Pcm16 { rate: 24_000 }),
        24_000,
        8_000,
    );
    let words = &talk.appended[from..from + sound.len()];
    assert!(sound.len() > 12_000 && correlation(words, &sound) > 0.99);
}

#[test]
fn sound_comes_after_the_latency_in_quarters_of_a_second_faster_than_it_plays() {
    let talk = talk(
        "latency=400ms speed=10x answer=4s",
        "speak 900
         quiet 700
         respond
         wait 3000",
    );
    assert_eq!(
        talk.when("response.output_audio.delta") - talk.when("response.created"),
        400
    );
    let deltas = talk.all("response.output_audio.delta");
    assert_eq!(deltas.len(), 16);
    // 250 ms of mu-law are 2,000 bytes.
    assert_eq!(deltas[0]["delta"].as_str().map(str::len), Some(2_668));
    assert_eq!(
        talk.when("response.done") - talk.when("response.output_audio.delta"),
        15 * 25
    );
}

#[test]
fn three_turns_are_billed_as_they_would_be_by_hand() {
    let mut talk = talk(
        "",
        "respond
         wait 2000
         speak 4000
         quiet 700
         respond
         wait 3000
         speak 2000
         quiet 700
         respond
         wait 3000",
    );
    talk.model.hang_up(talk.now);
    let starts = talk.all("input_audio_buffer.speech_started");
    let stops = talk.all("input_audio_buffer.speech_stopped");
    let turn = |n: usize| {
        stops[n]["audio_end_ms"].as_u64().unwrap() - starts[n]["audio_start_ms"].as_u64().unwrap()
    };
    // 4.0 s and 2.0 s of speech and 0.5 s of silence behind; before the second, the 0.2 s since the first are its prefix.
    assert_eq!((turn(0), turn(1)), (4_500, 2_700));
    let bills = talk.model.invoice().responses;
    let count = |n: usize| {
        let t = bills[n].tokens;
        (
            t.text_in,
            t.audio_in,
            t.cached_text,
            t.cached_audio,
            t.text_out,
            t.audio_out,
        )
    };
    // Instructions are 40 bytes: 10 tokens. The greeting lasts 1.5 s.
    assert_eq!(count(0), (10, 0, 0, 0, 8, 30));
    // + the greeting's 8 and 30, + the caller's item: 14 and 45. Nothing but 10 tokens of text is as before: no block.
    assert_eq!(count(1), (32, 75, 0, 0, 23, 90));
    // + the answer's 23 and 90, + 14 and 27. The first 75 of the audio are as before: one block of 64.
    assert_eq!(count(2), (69, 192, 0, 64, 14, 54));
    assert_eq!(bills[0].nanos, 10 * 4_000 + 8 * 24_000 + 30 * 64_000);
    assert_eq!(
        bills[2].nanos,
        69 * 4_000 + 128 * 32_000 + 64 * 400 + 14 * 24_000 + 54 * 64_000
    );
    // What the wire said is what the invoice says; and each turn was also transcribed.
    let invoice = talk.model.invoice();
    assert_eq!(talk.reported_nanos(), invoice.responses_nanos());
    assert_eq!(
        invoice.transcription_nanos(),
        (45 * 3_000 + 12 * 5_000) + (27 * 3_000 + 7 * 5_000)
    );
}

#[test]
fn a_caller_who_interrupts_cuts_the_answer_and_one_straggler_still_comes() {
    let talk = talk(
        "answer=10s",
        "speak 900
         quiet 700
         respond
         wait 600
         speak 500
         wait 2000",
    );
    let done = &talk.one("response.done")["response"];
    assert_eq!(done["status"], "cancelled");
    assert_eq!(
        done["status_details"],
        json!({"type": "cancelled", "reason": "turn_detected"})
    );
    assert_eq!(done["output"][0]["status"], "incomplete");
    let started = talk
        .log
        .iter()
        .rposition(|(_, e)| e["type"] == "input_audio_buffer.speech_started")
        .unwrap();
    let after: Vec<&str> = talk.log[started + 1..]
        .iter()
        .filter_map(|(_, e)| e["type"].as_str())
        .filter(|kind| !kind.contains("transcript"))
        .collect();
    assert_eq!(
        after[..6],
        [
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done"
        ]
    );
    // Billed is what was generated, and that is what was sent.
    let sent = talk.all("response.output_audio.delta").len() as u64;
    assert_eq!(
        done["usage"]["output_token_details"]["audio_tokens"],
        sent * 5
    );
}

#[test]
fn a_goodbye_runs_beside_the_answer_and_reads_nothing_of_the_conversation() {
    let talk = talk(
        "answer=10s",
        "speak 900
         quiet 700
         respond
         wait 500
         goodbye
         wait 5000",
    );
    let created = talk.all("response.created");
    assert_eq!(created[1]["response"]["conversation_id"], Value::Null);
    assert_eq!(created[1]["response"]["metadata"]["nonce"], "9");
    assert!(created[0]["response"]["conversation_id"].is_string());
    let done = talk.all("response.done");
    assert_eq!(done.len(), 2);
    let goodbye = &done[0]["response"];
    assert_eq!(goodbye["metadata"]["nonce"], "9");
    assert_eq!(goodbye["usage"]["input_tokens"], 3);
    assert_eq!(goodbye["usage"]["output_tokens"], 40 + 10);
    assert_eq!(done[1]["response"]["status"], "completed");
    // Its item is in no conversation.
    let item = &goodbye["output"][0]["id"];
    assert!(
        talk.all("conversation.item.added")
            .iter()
            .all(|event| event["item"]["id"] != *item)
    );
    let bills = talk.model.invoice().responses;
    assert_eq!(
        (bills[0].beside, bills[0].nanos),
        (true, 3 * 4_000 + 10 * 24_000 + 40 * 64_000)
    );
}

#[test]
fn a_limit_is_kept_and_cutting_deleting_and_shrinking_make_the_context_smaller() {
    let mut talk = talk(
        "answer=10s",
        r#"speak 900
           quiet 700
           tell {"type": "response.create", "response": {"max_output_tokens": 50}}
           wait 3000"#,
    );
    let done = talk.one("response.done")["response"].clone();
    assert_eq!(done["status"], "incomplete");
    assert_eq!(done["status_details"]["reason"], "max_output_tokens");
    assert_eq!(done["usage"]["output_tokens"], 50);
    let (said, heard) = (
        done["output"][0]["id"].clone(),
        talk.one("input_audio_buffer.committed")["item_id"].clone(),
    );
    let cut = |ms: u64| json!({"type": "conversation.item.truncate", "item_id": said, "content_index": 0, "audio_end_ms": ms});
    talk.tell(&cut(2_001));
    assert_eq!(
        talk.one("error")["error"]["message"],
        "Audio content of 2000ms is already shorter than 2001ms"
    );
    talk.tell(&cut(520));
    assert_eq!(talk.one("conversation.item.truncated")["audio_end_ms"], 520);
    talk.tell(&json!({"type": "conversation.item.delete", "item_id": heard}));
    talk.play(
        "respond
         wait 500
         cancel
         wait 100",
    );
    let usage = &talk.all("response.done")[1]["response"]["usage"]["input_token_details"];
    // The instructions' 10; of what was said 520 ms, and none of its words.
    assert_eq!(
        (&usage["text_tokens"], &usage["audio_tokens"]),
        (&json!(10), &json!(11))
    );
    talk.play(
        r#"set {"type": "realtime", "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 60}}}
           tell {"type": "conversation.item.create", "item": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "twelve bytes"}]}}
           respond
           wait 500"#,
    );
    let bills = talk.model.invoice().responses;
    let last = bills.last().unwrap().tokens;
    assert!(last.text_in + last.audio_in <= 10 + 48, "{last:?}");
}

#[test]
fn what_is_wrong_is_refused_by_name_and_the_session_lives() {
    let mut talk = talk(
        "answer=10s",
        r#"cancel
           tell {"type": "input_audio_buffer.commit"}
           tell {"type": "conversation.item.truncate", "item_id": "item_none", "content_index": 0, "audio_end_ms": 0}
           tell {"type": "conversation.item.delete", "item_id": "item_none"}
           tell {"type": "conversation.item.retrieve", "item_id": "item_none"}
           tell {"type": "sing", "event_id": "mine"}
           tell {"type": "response.create", "response": {"temperature": 1}}
           tell {"type": "conversation.item.create", "item": {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}}
           tell {"type": "conversation.item.create", "item": {"id": "a", "type": "message", "role": "user", "content": []}}
           tell {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 0}
           respond
           respond"#,
    );
    talk.model.receive(talk.now, "{");
    talk.play("wait 0");
    talk.tell(&json!({"type": "input_audio_buffer.append", "audio": "***"}));
    assert_eq!(
        talk.faults(),
        [
            "response_cancel_not_active",
            "input_audio_buffer_commit_empty",
            "item_truncate_invalid_item_id",
            "item_delete_invalid_item_id",
            "item_retrieve_invalid_item_id",
            "unknown_event",
            "unknown_parameter",
            "item_create_duplicate_item_id",
            "null",
            "conversation_already_has_active_response",
            "invalid_json",
            "invalid_value"
        ]
    );
    assert_eq!(talk.all("error")[5]["error"]["event_id"], "mine");
    assert_eq!(talk.end, None);
}

#[test]
fn who_may_not_come_in_is_let_in_and_turned_away() {
    let setup = Setup {
        accept_key: Some("sk-good".into()),
        ..Setup::parse(invoice::PRICES, "").unwrap()
    };
    let model = "/v1/realtime?model=gpt-realtime-2.1";
    let cases = [
        (model, "Bearer sk-evil", false, 3000, "invalid_api_key"),
        (
            model,
            "Bearer sk-good",
            true,
            4000,
            "beta_api_shape_disabled",
        ),
        (
            "/v1/realtime?model=gpt-live-1",
            "Bearer sk-good",
            false,
            4000,
            "invalid_model",
        ),
    ];
    for (path, key, beta, code, reason) in cases {
        let mut model = Model::new(setup.clone(), 1);
        assert_eq!(model.connect(0, path, Some(key), beta), Ok(()));
        let Some(Out::Text(error)) = model.poll() else {
            panic!("no error came first");
        };
        assert!(error.contains(reason));
        let reason = format!("invalid_request_error.{reason}");
        assert_eq!(model.poll(), Some(Out::Close { code, reason }));
        assert_eq!((model.poll(), model.deadline()), (None, None));
    }
    let mut model = Model::new(setup, 1);
    assert_eq!(
        model.connect(0, "/v1/realtime?model=x", None, false),
        Err(401)
    );
    assert_eq!(
        model.connect(0, "/", Some("Bearer sk-good"), false),
        Err(404)
    );
}

#[test]
fn the_same_call_is_the_same_to_the_byte() {
    let script = "respond
        speak 900
        quiet 700
        respond
        wait 3000";
    let (one, other) = (talk("", script), talk("", script));
    assert_eq!(one.log, other.log);
    assert_eq!(one.model.invoice(), other.model.invoice());
}

#[test]
fn nothing_a_client_sends_breaks_it() {
    let mut talk = talk(
        "transcription=late:1s",
        "speak 900
         quiet 700",
    );
    // The item of the turn is replaced by an empty one before its transcription comes.
    let turn = talk.one("input_audio_buffer.committed")["item_id"].clone();
    talk.tell(&json!({"type": "conversation.item.delete", "item_id": turn}));
    talk.tell(&json!({"type": "conversation.item.create",
        "item": {"id": turn, "type": "message", "role": "user", "content": []}}));
    for text in ["[]", "7", "null", "\"x\"", "{\"type\": 3}", "{}"] {
        talk.model.receive(talk.now, text);
    }
    for kind in [
        "session.update",
        "input_audio_buffer.append",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
    ] {
        for field in [
            "session",
            "audio",
            "item",
            "item_id",
            "response",
            "response_id",
        ] {
            for value in [
                json!(null),
                json!([]),
                json!(-1),
                json!("x"),
                json!({"x": {}}),
            ] {
                talk.tell(&json!({"type": kind, field: value}));
            }
        }
    }
    talk.wait(5_000);
    assert_eq!(talk.end, None);
}

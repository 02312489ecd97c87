//! What each word of behaviour does: none of them may turn out to be honest.

use super::Out;
use super::talk::{Talk, talk};
use serde_json::{Value, json};

/// One turn of the caller, answered on request.
const TURN: &str = "speak 900
    quiet 700
    respond
    wait 4000";

#[test]
fn reports_that_are_missing_late_twice_shrunk_or_never_leave_the_invoice_as_it_is() {
    let honest = talk("", TURN);
    let owed = honest.model.invoice().responses_nanos();
    assert!(owed > 0);
    assert_eq!(honest.reported_nanos(), owed);
    for (words, reports) in [
        ("usage=missing", 1),
        ("usage=twice", 2),
        ("usage=late:2s", 1),
        ("usage=shrunk", 1),
        ("usage=never", 0),
    ] {
        let talk = talk(words, TURN);
        assert_eq!(talk.model.invoice().responses_nanos(), owed, "{words}");
        assert_eq!(talk.all("response.done").len(), reports, "{words}");
        assert_eq!(talk.all("response.output_audio.done").len(), 1, "{words}");
        match words {
            "usage=missing" => {
                assert_eq!(talk.one("response.done")["response"]["usage"], Value::Null);
            }
            "usage=shrunk" => assert!(talk.reported_nanos() < owed),
            "usage=twice" => assert_eq!(talk.reported_nanos(), 2 * owed),
            "usage=late:2s" => assert_eq!(
                talk.when("response.done"),
                honest.when("response.done") + 2_000
            ),
            _ => {}
        }
    }
}

#[test]
fn an_answer_to_the_limit_takes_all_of_it_and_an_overrun_takes_more() {
    let script = r#"speak 900
        quiet 700
        tell {"type": "response.create", "response": {"max_output_tokens": 160}}
        wait 9000"#;
    let full = talk("limit=answer-to-limit", script);
    let done = &full.one("response.done")["response"];
    assert_eq!(
        (&done["status"], &done["usage"]["output_tokens"]),
        (&json!("incomplete"), &json!(160))
    );
    let over = talk("overrun", script);
    let done = &over.one("response.done")["response"];
    assert_eq!(done["status"], "completed");
    assert_eq!(done["usage"]["output_token_details"]["audio_tokens"], 240);
    let long = talk("overrun answer=20s", script);
    let done = &long.one("response.done")["response"];
    assert_eq!(done["usage"]["output_token_details"]["audio_tokens"], 400);
}

#[test]
fn it_calls_the_functions_it_was_told_to_one_answer_after_the_other() {
    let mut talk = talk(
        "tool=look_up:{\"order\": \"7\"} tool=end_call:{}",
        "respond
         wait 2000",
    );
    talk.play(TURN);
    let called = talk.one("response.function_call_arguments.done").clone();
    assert_eq!(
        (&called["name"], &called["arguments"]),
        (&json!("look_up"), &json!("{\"order\": \"7\"}"))
    );
    let halves = talk.all("response.function_call_arguments.delta");
    assert_eq!(halves.len(), 2);
    talk.tell(&json!({"type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": called["call_id"], "output": "{}"}}));
    talk.play(
        "respond
         wait 1000
         respond
         wait 3000",
    );
    let done = talk.all("response.done");
    let first = |n: usize| &done[n]["response"]["output"][0];
    assert_eq!(first(1)["type"], "function_call");
    assert_eq!(first(2)["name"], "end_call");
    assert_eq!(first(3)["type"], "message");
    let usage = &done[1]["response"]["usage"]["output_token_details"];
    assert_eq!(
        (&usage["text_tokens"], &usage["audio_tokens"]),
        (&json!(2 + 4), &json!(0))
    );
}

#[test]
fn a_storm_commits_silence_turn_after_turn() {
    let talk = talk("vad=storm", "quiet 2000");
    assert_eq!(talk.all("input_audio_buffer.committed").len(), 10);
    assert!(talk.all("response.created").is_empty());
}

#[test]
fn told_to_be_silent_it_answers_all_the_same() {
    let script = "speak 900
        quiet 700
        wait 3000";
    assert!(talk("", script).all("response.created").is_empty());
    let talk = talk("self-answer", script);
    assert_eq!(
        talk.one("response.created")["response"]["metadata"],
        Value::Null
    );
    assert_eq!(talk.model.invoice().responses.len(), 1);
}

#[test]
fn late_acknowledgements_are_late_and_their_effect_is_not() {
    let talk = talk(
        "acks=late:3s",
        r#"tell {"type": "conversation.item.create", "item": {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "0123456789abcdef"}]}}
           respond
           wait 2900"#,
    );
    assert_eq!(talk.when("response.created"), 0);
    assert_eq!(
        talk.model.invoice().responses[0].tokens.text_in,
        10 + 4 + 14
    );
    let added = |talk: &Talk| {
        let all = talk.all("conversation.item.added").into_iter();
        all.filter(|event| event["item"]["id"] == "a").count()
    };
    assert_eq!(added(&talk), 0);
    let mut talk = talk;
    talk.wait(100);
    assert_eq!(added(&talk), 1);
}

#[test]
fn a_session_is_lost_in_each_way_a_session_is_lost() {
    let at = talk("drop=at:1500ms", "wait 5000");
    assert_eq!(at.end, Some(Out::Drop));
    let mid = talk("drop=mid-delta", TURN);
    assert_eq!(mid.end, Some(Out::Drop));
    assert_eq!(mid.all("response.output_audio.delta").len(), 2);
    assert!(mid.all("response.done").is_empty());
    // What was generated is billed, though nobody will ever say so.
    let bill = &mid.model.invoice().responses[0];
    assert_eq!((bill.status, bill.tokens.audio_out), ("in_progress", 10));
    let expired = talk("expire=2s", "wait 5000");
    assert_eq!(expired.faults(), ["session_expired"]);
    assert!(matches!(expired.end, Some(Out::Close { code: 1001, .. })));
    assert_eq!(expired.one("session.created")["session"]["expires_at"], 2);
}

#[test]
fn settings_are_ignored_rejected_or_not_what_was_asked() {
    assert!(talk("update=ignored", "").all("session.updated").is_empty());
    let rejected = talk("update=rejected", "");
    assert_eq!(rejected.faults(), ["unknown_parameter"]);
    assert!(rejected.all("session.updated").is_empty());
    let differs = talk("update=differs", "");
    let echo = &differs.one("session.updated")["session"];
    assert_eq!(
        echo["audio"]["input"]["turn_detection"]["create_response"],
        true
    );
    assert_eq!(echo["max_output_tokens"], "inf");
}

#[test]
fn responses_fail_without_an_error_event() {
    for code in ["server_error", "insufficient_quota"] {
        let talk = talk(&format!("fail={code}"), TURN);
        let done = &talk.one("response.done")["response"];
        assert_eq!(done["status"], "failed");
        assert_eq!(done["status_details"]["error"]["code"], code);
        assert!(talk.faults().is_empty());
        assert_eq!(talk.model.invoice().responses_nanos(), 0);
    }
}

#[test]
fn a_goodbye_can_stay_silent_or_fail_while_answers_do_not() {
    let script = "respond
        wait 2000
        goodbye
        wait 9000";
    let silent = talk("goodbye=silent", script);
    assert_eq!(silent.all("response.created").len(), 2);
    assert_eq!(silent.all("response.done").len(), 1);
    let fails = talk("goodbye=fails", script);
    let done = fails.all("response.done");
    assert_eq!(done[0]["response"]["status"], "completed");
    assert_eq!(done[1]["response"]["status"], "failed");
    let long = talk("goodbye=4s", script);
    let usage = &long.all("response.done")[1]["response"]["usage"];
    assert_eq!(usage["output_token_details"]["audio_tokens"], 80);
}

#[test]
fn transcriptions_are_late_failed_missing_or_never_made() {
    let completed = "conversation.item.input_audio_transcription.completed";
    let owed = talk("", TURN).model.invoice().transcription_nanos();
    assert!(owed > 0);
    let late = talk("transcription=late:3s", TURN);
    assert_eq!(
        late.when(completed) - late.when("input_audio_buffer.committed"),
        3_000
    );
    for (words, bill) in [
        ("transcription=failed", 0),
        ("transcription=missing", owed),
        ("transcription=off", 0),
    ] {
        let talk = talk(words, TURN);
        assert!(talk.all(completed).is_empty(), "{words}");
        assert_eq!(talk.model.invoice().transcription_nanos(), bill, "{words}");
        let failed = talk.all("conversation.item.input_audio_transcription.failed");
        assert_eq!(
            failed.len(),
            usize::from(words.ends_with("failed")),
            "{words}"
        );
    }
}

#[test]
fn events_and_keys_that_nobody_knows_are_mixed_in() {
    let talk = talk("unknown-events", TURN);
    assert_eq!(talk.all("session.mood.updated").len(), 1);
    assert_eq!(talk.all("response.thinking.delta").len(), 1);
    assert!(
        talk.log
            .iter()
            .all(|(_, event)| event["x_unheard_of"].is_object())
    );
}

#[test]
fn a_deletion_may_come_late_never_or_be_refused_and_the_item_is_read_until_it_is_said() {
    let item = r#"tell {"type": "conversation.item.create", "item": {"id": "n", "type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "one two three four five six seven"}]}}
        tell {"type": "conversation.item.delete", "item_id": "n"}
        tell {"type": "conversation.item.create", "previous_item_id": "n", "item": {"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "x"}]}}
        respond
        wait 9000"#;
    let item = &item.replace("\n            ", " ");
    let read = |talk: &Talk| {
        let usage = &talk.one("response.done")["response"]["usage"];
        usage["input_tokens"].as_u64().expect("a number")
    };
    let honest = talk("", item);
    assert_eq!(honest.all("conversation.item.deleted").len(), 1);
    for (words, deleted, errors) in [
        ("deletes=late:3s", 1, 0),
        ("deletes=never", 0, 0),
        ("deletes=refused", 0, 1),
        ("deletes=never inserts=refused", 0, 1),
    ] {
        let talk = talk(words, item);
        let told = (
            talk.all("conversation.item.deleted").len(),
            talk.all("error").len(),
        );
        assert_eq!(told, (deleted, errors), "{words}");
        assert!(read(&talk) > read(&honest), "{words}");
    }
    let silent = talk("acks=never", item);
    assert!(silent.all("conversation.item.deleted").is_empty());
    assert_eq!(read(&silent), read(&honest));
}

//! One call as it is on the wire, frame by frame, in today's words and in the older ones, and what each frame means.

use ringfence::pricing::{TranscriptionUsage, Usage};
use ringfence::realtime::{Code, Complaint, Event, Gravity, Status};
use ringfence::units::Id;

/// The older way to say the same.
pub enum Older {
    /// The same frame.
    Same,
    /// Another one.
    Says(&'static str),
    /// None.
    Silent,
}

/// A frame in today's words, the older frame, and what they mean.
pub type Line = (&'static str, Older, Option<Event>);

pub fn story() -> Vec<Line> {
    let mut story = turn();
    story.extend(answer());
    story.extend(interruption());
    story.extend(call());
    story.extend(trouble());
    story
}

fn turn() -> Vec<Line> {
    let item = || Id::from("item_1");
    vec![
        (
            r#"{"type":"session.created","event_id":"e","session":{"type":"realtime","expires_at":1790000000,"audio":{}}}"#,
            Older::Says(
                r#"{"type":"session.created","event_id":"e","session":{"modalities":["audio","text"],"expires_at":1790000000}}"#,
            ),
            Some(Event::Created {
                expires_at_s: Some(1_790_000_000),
            }),
        ),
        (
            r#"{"type":"input_audio_buffer.speech_started","audio_start_ms":0,"item_id":"item_1"}"#,
            Older::Same,
            Some(Event::SpeechStarted),
        ),
        (
            r#"{"type":"input_audio_buffer.speech_stopped","audio_end_ms":900,"item_id":"item_1"}"#,
            Older::Same,
            Some(Event::SpeechStopped),
        ),
        (
            r#"{"type":"input_audio_buffer.committed","previous_item_id":null,"item_id":"item_1"}"#,
            Older::Same,
            Some(Event::Committed { item: item() }),
        ),
        (
            r#"{"type":"conversation.item.added","item":{"id":"item_1","type":"message","role":"user"}}"#,
            Older::Says(
                r#"{"type":"conversation.item.created","item":{"id":"item_1","object":"realtime.item","type":"message","role":"user"}}"#,
            ),
            Some(Event::ItemAdded { item: item() }),
        ),
        (
            r#"{"type":"conversation.item.done","item":{"id":"item_1","type":"message","role":"user"}}"#,
            Older::Silent,
            None,
        ),
        (
            r#"{"type":"conversation.item.input_audio_transcription.completed","item_id":"item_1","content_index":0,"transcript":"Where is it?","usage":{"type":"duration","seconds":2.5}}"#,
            Older::Same,
            Some(Event::Transcribed {
                item: item(),
                text: "Where is it?".into(),
                usage: Some(TranscriptionUsage::Duration { millis: 2_500 }),
            }),
        ),
        (
            r#"{"type":"conversation.item.input_audio_transcription.failed","item_id":"item_1","content_index":0,"error":{"type":"server_error","code":"DeploymentNotFound"}}"#,
            Older::Same,
            Some(Event::TranscriptionFailed { item: item() }),
        ),
    ]
}

fn answer() -> Vec<Line> {
    let (response, item) = (|| Id::from("resp_1"), || Id::from("item_2"));
    vec![
        (
            r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","metadata":{"nonce":"7"}}}"#,
            Older::Same,
            Some(Event::ResponseStarted {
                response: response(),
                nonce: Some(7),
            }),
        ),
        (
            r#"{"type":"response.output_audio_transcript.delta","response_id":"resp_1","item_id":"item_2","delta":"On its"}"#,
            Older::Says(
                r#"{"type":"response.audio_transcript.delta","response_id":"resp_1","item_id":"item_2","delta":"On its"}"#,
            ),
            Some(Event::Saying {
                response: response(),
                item: item(),
                text: "On its".into(),
            }),
        ),
        (
            SOUND.0,
            Older::Says(SOUND.1),
            Some(Event::Spoke {
                response: response(),
                item: item(),
                until_ms: 1,
            }),
        ),
        (
            r#"{"type":"response.output_audio.done","response_id":"resp_1","item_id":"item_2"}"#,
            Older::Says(
                r#"{"type":"response.audio.done","response_id":"resp_1","item_id":"item_2"}"#,
            ),
            Some(Event::SpokeAll {
                response: response(),
                item: item(),
            }),
        ),
        (
            r#"{"type":"response.output_audio_transcript.done","response_id":"resp_1","item_id":"item_2","transcript":"On its way."}"#,
            Older::Says(
                r#"{"type":"response.audio_transcript.done","response_id":"resp_1","item_id":"item_2","transcript":"On its way."}"#,
            ),
            Some(Event::Said {
                response: response(),
                item: item(),
                text: "On its way.".into(),
            }),
        ),
    ]
}

fn interruption() -> Vec<Line> {
    let (response, item) = (|| Id::from("resp_1"), || Id::from("item_2"));
    vec![
        (
            r#"{"type":"conversation.item.truncated","item_id":"item_2","content_index":0,"audio_end_ms":5}"#,
            Older::Same,
            Some(Event::Truncated { item: item() }),
        ),
        (
            r#"{"type":"response.done","response":{"id":"resp_1","status":"cancelled","status_details":{"type":"cancelled","reason":"turn_detected"},"metadata":{"nonce":"7"},"usage":{"total_tokens":205,"input_tokens":41,"output_tokens":164,"input_token_details":{"text_tokens":14,"audio_tokens":27,"cached_tokens":0},"output_token_details":{"text_tokens":36,"audio_tokens":128}}}}"#,
            Older::Same,
            Some(Event::ResponseDone {
                response: response(),
                nonce: Some(7),
                status: Status::Cancelled,
                usage: Some(Usage {
                    text_in: 14,
                    audio_in: 27,
                    text_out: 36,
                    audio_out: 128,
                    ..Usage::default()
                }),
            }),
        ),
        (
            r#"{"type":"conversation.item.deleted","item_id":"item_2"}"#,
            Older::Same,
            Some(Event::Deleted { item: item() }),
        ),
    ]
}

/// A millisecond of silence at 24 kHz: 48 bytes, 64 letters.
const SOUND: (&str, &str) = (
    r#"{"type":"response.output_audio.delta","response_id":"resp_1","item_id":"item_2","delta":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
    r#"{"type":"response.audio.delta","response_id":"resp_1","item_id":"item_2","delta":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
);

fn call() -> Vec<Line> {
    vec![
        (
            r#"{"type":"response.function_call_arguments.done","response_id":"resp_2","item_id":"item_3","call_id":"call_1","name":"order-status","arguments":"{}"}"#,
            Older::Says(
                r#"{"type":"response.function_call_arguments.done","response_id":"resp_2","item_id":"item_3","call_id":"call_1","arguments":"{}"}"#,
            ),
            None,
        ),
        (
            r#"{"type":"response.output_item.done","response_id":"resp_2","item":{"id":"item_3","type":"function_call","status":"completed","call_id":"call_1","name":"order-status","arguments":"{}"}}"#,
            Older::Says(
                r#"{"type":"response.output_item.done","response_id":"resp_2","item":{"id":"item_3","object":"realtime.item","type":"function_call","status":"completed","call_id":"call_1","name":"order-status","arguments":"{}"}}"#,
            ),
            Some(Event::ToolCalled {
                response: Id::from("resp_2"),
                item: Id::from("item_3"),
                tool_call: Id::from("call_1"),
                name: "order-status".into(),
                arguments: "{}".into(),
            }),
        ),
        (
            r#"{"type":"response.done","response":{"id":"resp_2","status":"failed","status_details":{"type":"failed","error":{"type":"server_error","code":"server_error"}},"metadata":{"nonce":"8"},"usage":null}}"#,
            Older::Same,
            Some(Event::ResponseDone {
                response: Id::from("resp_2"),
                nonce: Some(8),
                status: Status::Failed(Code::new("server_error")),
                usage: None,
            }),
        ),
    ]
}

fn trouble() -> Vec<Line> {
    let complained = |gravity, code: &str, about| {
        Some(Event::Complained(Complaint {
            gravity,
            code: Code::new(code),
            about,
        }))
    };
    vec![
        (
            r#"{"type":"rate_limits.updated","rate_limits":[]}"#,
            Older::Same,
            None,
        ),
        (r#"{"type":"something.new","value":1}"#, Older::Same, None),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"unknown_parameter","event_id":"respond-9"}}"#,
            Older::Same,
            complained(Gravity::Ignored, "unknown_parameter", Some(9)),
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","code":"session_expired","event_id":null}}"#,
            Older::Same,
            complained(Gravity::Retry, "session_expired", None),
        ),
        (
            r#"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Older::Same,
            complained(Gravity::Fatal, "insufficient_quota", None),
        ),
    ]
}

//! What goes out, word for word.

use crate::audio::Format;
use crate::realtime::openai::OpenAi;
use crate::realtime::openai::tests::{codec, session};
use crate::realtime::{Command, Dialect, Item, Request, RequestKind};
use crate::units::Id;
use expect_test::{Expect, expect};
use serde_json::Value;
use std::sync::Arc;

fn written(codec: &mut OpenAi, command: &Command, sound: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    codec.write(command, sound, &mut |frame| frames.push(frame.to_string()));
    frames
}

fn check_with(codec: &mut OpenAi, command: Command, expected: Expect) {
    let frames = written(codec, &command, &[]);
    assert_eq!(frames.len(), 1);
    let frame: Value = serde_json::from_str(&frames[0]).unwrap();
    expected.assert_eq(&serde_json::to_string_pretty(&frame).unwrap());
}

fn check(command: Command, expected: Expect) {
    check_with(&mut codec(), command, expected);
}

/// Several commands, a line each.
fn check_lines(commands: &[Command], expected: Expect) {
    let lines: Vec<String> = commands
        .iter()
        .flat_map(|command| written(&mut codec(), command, &[]))
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

fn goodbye(nonce: u64) -> Command {
    Command::Respond(Request {
        nonce,
        max_output_tokens: 200,
        tools: false,
        kind: RequestKind::Goodbye {
            instructions: "Say goodbye.".into(),
        },
    })
}

#[test]
fn the_settings_name_everything_that_the_echo_is_compared_with() {
    check(
        Command::Configure,
        expect![[r#"
        {
          "event_id": "configure",
          "session": {
            "audio": {
              "input": {
                "format": {
                  "rate": 24000,
                  "type": "audio/pcm"
                },
                "transcription": {
                  "model": "gpt-4o-mini-transcribe"
                },
                "turn_detection": {
                  "create_response": false,
                  "idle_timeout_ms": null,
                  "interrupt_response": true,
                  "prefix_padding_ms": 300,
                  "silence_duration_ms": 500,
                  "threshold": 0.5,
                  "type": "server_vad"
                }
              },
              "output": {
                "format": {
                  "rate": 24000,
                  "type": "audio/pcm"
                },
                "voice": "marin"
              }
            },
            "instructions": "You answer the phone for \"Acme\".",
            "max_output_tokens": 1024,
            "output_modalities": [
              "audio"
            ],
            "tool_choice": "auto",
            "tools": [
              {
                "description": "Look up an order by its number.",
                "name": "order-status",
                "parameters": {
                  "required": [
                    "order"
                  ],
                  "type": "object"
                },
                "type": "function"
              }
            ],
            "truncation": {
              "retention_ratio": 0.8,
              "token_limits": {
                "post_instructions": 2000
              },
              "type": "retention_ratio"
            },
            "type": "realtime"
          },
          "type": "session.update"
        }"#]],
    );
}

#[test]
fn settings_without_extras_name_no_truncation_and_no_transcription() {
    let mut session = session();
    session.audio = Format::Pcmu;
    session.transcription = None;
    session.post_instructions = None;
    session.tools.clear();
    session.turn_detection.threshold_milli = 333;
    session.turn_detection.interrupt_response = false;
    check_with(
        &mut OpenAi::new(Arc::new(session)),
        Command::Configure,
        expect![[r#"
            {
              "event_id": "configure",
              "session": {
                "audio": {
                  "input": {
                    "format": {
                      "type": "audio/pcmu"
                    },
                    "transcription": null,
                    "turn_detection": {
                      "create_response": false,
                      "idle_timeout_ms": null,
                      "interrupt_response": false,
                      "prefix_padding_ms": 300,
                      "silence_duration_ms": 500,
                      "threshold": 0.333,
                      "type": "server_vad"
                    }
                  },
                  "output": {
                    "format": {
                      "type": "audio/pcmu"
                    },
                    "voice": "marin"
                  }
                },
                "instructions": "You answer the phone for \"Acme\".",
                "max_output_tokens": 1024,
                "output_modalities": [
                  "audio"
                ],
                "tool_choice": "auto",
                "tools": [],
                "type": "realtime"
              },
              "type": "session.update"
            }"#]],
    );
}

#[test]
fn an_answer_carries_its_nonce_and_its_length() {
    let answer = Command::Respond(Request {
        nonce: 7,
        max_output_tokens: 400,
        tools: true,
        kind: RequestKind::Answer,
    });
    check(
        answer,
        expect![[r#"
        {
          "event_id": "respond-7",
          "response": {
            "max_output_tokens": 400,
            "metadata": {
              "nonce": "7"
            }
          },
          "type": "response.create"
        }"#]],
    );
}

#[test]
fn a_goodbye_has_no_memory_and_no_tools() {
    check(
        goodbye(8),
        expect![[r#"
        {
          "event_id": "respond-8",
          "response": {
            "conversation": "none",
            "input": [],
            "instructions": "Say goodbye.",
            "max_output_tokens": 200,
            "metadata": {
              "nonce": "8"
            },
            "output_modalities": [
              "audio"
            ],
            "reasoning": {
              "effort": "minimal"
            },
            "tool_choice": "none",
            "tools": []
          },
          "type": "response.create"
        }"#]],
    );
}

#[test]
fn only_models_that_reason_are_told_how_much() {
    for (model, reasons) in [
        ("gpt-realtime-2", true),
        ("gpt-realtime-2.1", true),
        ("gpt-realtime-2.1-mini", true),
        ("gpt-realtime-2-2026-05-07", true),
        ("gpt-realtime-2025-08-28", false),
        ("gpt-realtime", false),
        ("gpt-realtime-1.5", false),
        ("gpt-realtime-mini-2025-12-15", false),
    ] {
        let mut session = session();
        session.priced_as = model.into();
        let frames = written(&mut OpenAi::new(Arc::new(session)), &goodbye(1), &[]);
        assert_eq!(frames[0].contains("reasoning"), reasons, "{model}");
    }
}

#[test]
fn the_conversation_is_added_to_shortened_and_forgotten() {
    let item = || Id::from("item_\"1\"");
    check_lines(
        &[
            Command::Add(Item::System("Two minutes are left.".into())),
            Command::Add(Item::User("Where is it?".into())),
            Command::Add(Item::Assistant("On its way.".into())),
            Command::Add(Item::ToolOutput {
                tool_call: Id::from("call_1"),
                output: "{\"ok\":true}".into(),
            }),
            Command::Truncate {
                item: item(),
                heard_ms: 1480,
            },
            Command::Delete { item: item() },
            Command::Cancel { response: None },
            Command::Cancel {
                response: Some(Id::from("resp_1")),
            },
            Command::ClearInput,
            Command::Open { model: 0 },
            Command::Close,
        ],
        expect![[r#"
            {"item":{"content":[{"text":"Two minutes are left.","type":"input_text"}],"role":"system","type":"message"},"type":"conversation.item.create"}
            {"item":{"content":[{"text":"Where is it?","type":"input_text"}],"role":"user","type":"message"},"type":"conversation.item.create"}
            {"item":{"content":[{"text":"On its way.","type":"output_text"}],"role":"assistant","type":"message"},"type":"conversation.item.create"}
            {"item":{"call_id":"call_1","output":"{\"ok\":true}","type":"function_call_output"},"type":"conversation.item.create"}
            {"audio_end_ms":1480,"content_index":0,"item_id":"item_\"1\"","type":"conversation.item.truncate"}
            {"item_id":"item_\"1\"","type":"conversation.item.delete"}
            {"type":"response.cancel"}
            {"response_id":"resp_1","type":"response.cancel"}
            {"type":"input_audio_buffer.clear"}"#]],
    );
}

#[test]
fn sound_is_appended_in_one_frame_or_none() {
    let append = Command::Append { ms: 20 };
    let mut codec = codec();
    for _ in 0..2 {
        assert_eq!(
            written(&mut codec, &append, &[0xFF, 0x7F, 0x00, 0x80]),
            [r#"{"type":"input_audio_buffer.append","audio":"/38AgA=="}"#]
        );
    }
    assert!(written(&mut codec, &append, &[]).is_empty());
}

#[test]
fn a_long_wait_is_appended_in_frames_below_a_mebibyte() {
    let sound: Vec<u8> = (0..2_000_003u32).map(|i| (i % 251) as u8).collect();
    let mut codec = codec();
    let frames = written(&mut codec, &Command::Append { ms: 41_666 }, &sound);
    assert!(frames.iter().all(|frame| frame.len() < 1 << 20));
    let mut arrived = Vec::new();
    for frame in &frames {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let audio = frame["audio"].as_str().unwrap();
        base64_simd::STANDARD
            .decode_append(audio, &mut arrived)
            .unwrap();
    }
    assert_eq!(arrived, sound);
}

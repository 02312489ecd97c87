//! What a report says was consumed.
//!
//! Reports come in every degree of detail. A report may be read as more than it says, never as less: what it does not
//! attribute is charged at the dearest rate, what it does not surely call cached is charged in full, and one that is silent about a
//! whole direction is no report at all, so that the bound of the response stays charged.

use super::raw::{self, Raw};
use crate::pricing::{TranscriptionUsage, Usage};
use serde::Deserialize;

/// The `usage` of a response or of a transcription.
#[derive(Default, Deserialize)]
struct Report<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    total_tokens: Raw<'a>,
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    input_token_details: Raw<'a>,
    #[serde(borrow)]
    output_token_details: Raw<'a>,
    #[serde(borrow)]
    seconds: Raw<'a>,
}

/// Tokens by what they are.
#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    text_tokens: Raw<'a>,
    #[serde(borrow)]
    audio_tokens: Raw<'a>,
    #[serde(borrow)]
    image_tokens: Raw<'a>,
    #[serde(borrow)]
    reasoning_tokens: Raw<'a>,
    #[serde(borrow)]
    cached_tokens: Raw<'a>,
    #[serde(borrow)]
    cached_tokens_details: Raw<'a>,
}

/// One direction: tokens by what they are, what is left unattributed, and whether the report speaks of it at all.
struct Direction {
    text: u64,
    audio: u64,
    image: u64,
    unknown: u64,
    said: bool,
}

impl Direction {
    fn of(total: Raw<'_>, details: &Details<'_>) -> Self {
        let total = raw::count(total);
        let [text, audio, image] = details.split();
        // Reasoning is written text: a part of it where the report counts text, and all we know of it where it does not.
        let text = text.max(raw::count(details.reasoning_tokens));
        let said = [total, text, audio, image].iter().any(Option::is_some);
        let [text, audio, image] = [text, audio, image].map(Option::unwrap_or_default);
        let known = text.saturating_add(audio).saturating_add(image);
        Direction {
            text,
            audio,
            image,
            unknown: total.unwrap_or(0).saturating_sub(known),
            said,
        }
    }

    fn total(&self) -> u64 {
        let known = self.text.saturating_add(self.audio);
        known
            .saturating_add(self.image)
            .saturating_add(self.unknown)
    }
}

impl Details<'_> {
    fn split(&self) -> [Option<u64>; 3] {
        [self.text_tokens, self.audio_tokens, self.image_tokens].map(raw::count)
    }
}

/// What a response consumed; `None` when the report leaves out what was read or what was written.
pub(super) fn response(report: Raw<'_>) -> Option<Usage> {
    let report: Report = raw::object(report);
    let details: Details = raw::object(report.input_token_details);
    let mut input = Direction::of(report.input_tokens, &details);
    let mut output = Direction::of(
        report.output_tokens,
        &raw::object(report.output_token_details),
    );
    if let Some(total) = raw::count(report.total_tokens) {
        let rest = total.saturating_sub(input.total().saturating_add(output.total()));
        // Writing is dearer than reading, so the rest was written unless only the reading was left out.
        if output.said && !input.said {
            input.unknown = rest;
        } else {
            output.unknown = output.unknown.saturating_add(rest);
        }
    } else if !input.said || !output.said {
        return None;
    }
    let [cached_text, cached_audio, cached_image] = cached(&input, &details);
    Some(Usage {
        text_in: input.text,
        audio_in: input.audio,
        image_in: input.image,
        cached_text,
        cached_audio,
        cached_image,
        unknown_in: input.unknown,
        text_out: output.text,
        audio_out: output.audio,
        // A model draws nothing: an image that is written has no rate of its own.
        unknown_out: output.unknown.saturating_add(output.image),
    })
}

/// The cached part of text, audio and images, never more than there was of each. Cached tokens that the report does not
/// attribute count only as far as they must be of one kind, all others being uncached.
fn cached(input: &Direction, details: &Details<'_>) -> [u64; 3] {
    let split: Details = raw::object(details.cached_tokens_details);
    let read = [input.text, input.audio, input.image];
    let mut cached = split.split().map(Option::unwrap_or_default);
    for (cached, read) in cached.iter_mut().zip(read) {
        *cached = (*cached).min(read);
    }
    let attributed = cached.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
    let total = raw::count(details.cached_tokens).unwrap_or(0);
    let unattributed = total.saturating_sub(attributed);
    let uncached = input.total().saturating_sub(attributed);
    let known = cached;
    for ((cached, known), read) in cached.iter_mut().zip(known).zip(read) {
        let own = read - known;
        let others = uncached.saturating_sub(own);
        *cached = known + unattributed.saturating_sub(others).min(own);
    }
    cached
}

/// What a transcription consumed; `None` when the report does not say. Tokens that it does not attribute are audio where they
/// were read and text where they were written: the dearer of the two.
pub(super) fn transcription(report: Raw<'_>) -> Option<TranscriptionUsage> {
    let report: Report = raw::object(report);
    let millis = raw::decimal(report.seconds, 3);
    if let Some(millis) = millis.filter(|_| !raw::is(report.kind, "\"tokens\"")) {
        return Some(TranscriptionUsage::Duration { millis });
    }
    let input = Direction::of(
        report.input_tokens,
        &raw::object(report.input_token_details),
    );
    let output = Direction::of(
        report.output_tokens,
        &raw::object(report.output_token_details),
    );
    let total = raw::count(report.total_tokens);
    if total.is_none() && !(input.said && output.said) {
        return millis.map(|millis| TranscriptionUsage::Duration { millis });
    }
    let both = input.total().saturating_add(output.total());
    let rest = total.unwrap_or(0).saturating_sub(both);
    Some(TranscriptionUsage::Tokens {
        text_in: input.text,
        audio_in: input.total().saturating_sub(input.text),
        text_out: output.total().saturating_add(rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_string()).unwrap()
    }

    fn read(json: &str) -> Option<Usage> {
        response(Some(&raw(json)))
    }

    /// A report as the provider writes it: read text and audio, cached audio, written text and audio.
    fn full(text: u64, audio: u64, cached: u64, text_out: u64, audio_out: u64) -> String {
        let (input, output) = (text + audio, text_out + audio_out);
        format!(
            r#"{{"total_tokens":{},"input_tokens":{input},"output_tokens":{output},
            "input_token_details":{{"text_tokens":{text},"audio_tokens":{audio},"image_tokens":0,"cached_tokens":{cached},
            "cached_tokens_details":{{"text_tokens":0,"audio_tokens":{cached},"image_tokens":0}}}},
            "output_token_details":{{"text_tokens":{text_out},"audio_tokens":{audio_out}}}}}"#,
            input + output
        )
    }

    #[test]
    fn the_recorded_turns_are_read_as_they_were_billed() {
        for (text, audio, cached, text_out, audio_out) in [
            (15, 27, 0, 18, 42),
            (43, 96, 64, 18, 43),
            (63, 124, 0, 17, 98),
        ] {
            let usage = Usage {
                text_in: text,
                audio_in: audio,
                cached_audio: cached,
                text_out,
                audio_out,
                ..Usage::default()
            };
            assert_eq!(
                read(&full(text, audio, cached, text_out, audio_out)),
                Some(usage)
            );
        }
    }

    #[test]
    fn what_is_not_attributed_is_unknown_and_never_lost() {
        let usage = Usage::default();
        for (json, expected) in [
            (
                r#"{"input_tokens":41,"output_tokens":164}"#,
                Usage {
                    unknown_in: 41,
                    unknown_out: 164,
                    ..usage
                },
            ),
            (
                r#"{"input_tokens":50,"output_tokens":9,"input_token_details":{"audio_tokens":27},"output_token_details":{"reasoning_tokens":4}}"#,
                Usage {
                    audio_in: 27,
                    unknown_in: 23,
                    text_out: 4,
                    unknown_out: 5,
                    ..usage
                },
            ),
            (
                r#"{"input_tokens":1,"output_tokens":60,"output_token_details":{"text_tokens":20,"audio_tokens":40,"reasoning_tokens":12}}"#,
                Usage {
                    unknown_in: 1,
                    text_out: 20,
                    audio_out: 40,
                    ..usage
                },
            ),
            (
                r#"{"total_tokens":205}"#,
                Usage {
                    unknown_out: 205,
                    ..usage
                },
            ),
            (
                r#"{"total_tokens":205,"output_tokens":5}"#,
                Usage {
                    unknown_in: 200,
                    unknown_out: 5,
                    ..usage
                },
            ),
            (
                r#"{"total_tokens":205,"input_tokens":200}"#,
                Usage {
                    unknown_in: 200,
                    unknown_out: 5,
                    ..usage
                },
            ),
            // The parts outweigh a total that is less than they are.
            (
                r#"{"input_tokens":5,"input_token_details":{"text_tokens":9},"output_tokens":0}"#,
                Usage {
                    text_in: 9,
                    ..usage
                },
            ),
        ] {
            assert_eq!(read(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn a_report_that_leaves_out_a_direction_is_no_report() {
        for json in [
            "{}",
            "[]",
            "\"free\"",
            "null",
            r#"{"output_tokens":5}"#,
            r#"{"input_tokens":5}"#,
            r#"{"input_tokens":-1,"output_tokens":"none"}"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        assert_eq!(response(None), None);
    }

    #[test]
    fn only_what_is_surely_cached_is_cheap() {
        let cached = |details: &str| {
            let json = format!(
                r#"{{"input_tokens":100,"output_tokens":0,"input_token_details":{details}}}"#
            );
            let usage = read(&json).unwrap();
            (usage.cached_text, usage.cached_audio)
        };
        // More than there was of it.
        let claimed = r#"{"text_tokens":40,"audio_tokens":60,"cached_tokens":500,"cached_tokens_details":{"text_tokens":64,"audio_tokens":0}}"#;
        assert_eq!(cached(claimed), (40, 60));
        // Without a split, 70 of 40 + 60 are at least 10 of the first and 30 of the second.
        let unsplit = r#"{"text_tokens":40,"audio_tokens":60,"cached_tokens":70}"#;
        assert_eq!(cached(unsplit), (10, 30));
        let one_kind = r#"{"text_tokens":100,"cached_tokens":64}"#;
        assert_eq!(cached(one_kind), (64, 0));
        let hidden = r#"{"text_tokens":40,"cached_tokens":50}"#;
        assert_eq!(cached(hidden), (0, 0));
    }

    #[test]
    fn transcriptions_are_billed_by_tokens_or_by_time() {
        let read = |json: &str| transcription(Some(&raw(json)));
        let tokens = |text_in, audio_in, text_out| {
            Some(TranscriptionUsage::Tokens {
                text_in,
                audio_in,
                text_out,
            })
        };
        let millis = |millis| Some(TranscriptionUsage::Duration { millis });
        for (json, expected) in [
            (
                r#"{"type":"tokens","total_tokens":26,"input_tokens":17,"input_token_details":{"text_tokens":3,"audio_tokens":14},"output_tokens":9}"#,
                tokens(3, 14, 9),
            ),
            (
                r#"{"type":"tokens","total_tokens":26,"input_tokens":17}"#,
                tokens(0, 17, 9),
            ),
            (r#"{"type":"tokens","total_tokens":26}"#, tokens(0, 0, 26)),
            (r#"{"type":"duration","seconds":3}"#, millis(3000)),
            (r#"{"type":"duration","seconds":2.7961}"#, millis(2797)),
            (r#"{"type":"newfangled","seconds":1.5}"#, millis(1500)),
            (r#"{"type":"tokens","seconds":1}"#, millis(1000)),
            (r#"{"type":"duration","seconds":"3"}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_token_of_a_report_is_lost(
            total in proptest::option::of(0..1000u64),
            input in 0..500u64,
            output in 0..500u64,
            read_parts in [0..300u64, 0..300u64, 0..300u64],
            written_parts in [0..300u64, 0..300u64],
            cached in 0..2000u64,
            cached_parts in [0..400u64, 0..400u64, 0..400u64],
        ) {
            let [t, a, i] = read_parts;
            let [to, ao] = written_parts;
            let [ct, ca, ci] = cached_parts;
            let json = format!(
                r#"{{"total_tokens":{},"input_tokens":{input},"output_tokens":{output},"input_token_details":{{"text_tokens":{t},
                "audio_tokens":{a},"image_tokens":{i},"cached_tokens":{cached},"cached_tokens_details":{{"text_tokens":{ct},"audio_tokens":{ca},"image_tokens":{ci}}}}},
                "output_token_details":{{"text_tokens":{to},"audio_tokens":{ao}}}}}"#,
                total.map_or("null".to_string(), |n| n.to_string())
            );
            let usage = response(Some(&raw(&json))).unwrap();
            let all_in = usage.text_in + usage.audio_in + usage.image_in + usage.unknown_in;
            let all_out = usage.text_out + usage.audio_out + usage.unknown_out;
            prop_assert_eq!(all_in, input.max(t + a + i));
            prop_assert!(all_out >= output.max(to + ao));
            prop_assert!(all_in + all_out >= total.unwrap_or(0));
            prop_assert!(usage.cached_text <= usage.text_in);
            prop_assert!(usage.cached_audio <= usage.audio_in);
            prop_assert!(usage.cached_image <= usage.image_in);
        }
    }
}

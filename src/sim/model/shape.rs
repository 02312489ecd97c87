//! What may be said in `session.update` and `response.create`: a table, and what it means to lay one object over another.
//!
//! The provider refuses what it does not know, by its path. A table says in one place what it knows, and so a wrong key
//! and a wrong value are found by the same few lines everywhere.

use super::wire::Fault;
use serde_json::{Map, Value};

/// What may stand at a place.
pub enum Shape {
    /// Anything at all.
    Anything,
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// A number in this range.
    Number(f64, f64),
    /// A whole number in this range.
    Whole(u64, u64),
    /// A limit of tokens: from 1 to 4096, or `"inf"`.
    Limit,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list.
    List,
    /// An object of these keys; those present replace, the others stay.
    Merged(Fields),
    /// An object of these keys; it replaces the one before.
    Replaced(Fields),
    /// One of these words, or an object of these keys.
    WordOr(&'static [&'static str], Fields),
    /// Null, or that.
    OrNull(&'static Shape),
}

/// Keys, and what may stand there.
pub type Fields = &'static [(&'static str, Shape)];

const FORMAT: Shape = Shape::Replaced(&[
    (
        "type",
        Shape::OneOf(&["audio/pcm", "audio/pcmu", "audio/pcma"]),
    ),
    ("rate", Shape::Whole(24_000, 24_000)),
]);

const TURN_DETECTION: Shape = Shape::Merged(&[
    ("type", Shape::OneOf(&["server_vad", "semantic_vad"])),
    ("threshold", Shape::Number(0.0, 1.0)),
    ("prefix_padding_ms", Shape::Whole(0, 10_000)),
    ("silence_duration_ms", Shape::Whole(0, 10_000)),
    (
        "idle_timeout_ms",
        Shape::OrNull(&Shape::Whole(5_000, 30_000)),
    ),
    ("create_response", Shape::Flag),
    ("interrupt_response", Shape::Flag),
    (
        "eagerness",
        Shape::OneOf(&["low", "medium", "high", "auto"]),
    ),
]);

const TRANSCRIPTION: Shape = Shape::Merged(&[
    ("model", Shape::Text),
    ("language", Shape::OrNull(&Shape::Text)),
    ("languages", Shape::List),
    ("prompt", Shape::OrNull(&Shape::Text)),
    ("keywords", Shape::List),
    ("delay", Shape::Text),
]);

const INPUT: Shape = Shape::Merged(&[
    ("format", FORMAT),
    ("transcription", Shape::OrNull(&TRANSCRIPTION)),
    (
        "noise_reduction",
        Shape::OrNull(&Shape::Replaced(&[
            ("type", Shape::OneOf(&["near_field", "far_field"])),
            ("strength", Shape::Anything),
        ])),
    ),
    ("turn_detection", Shape::OrNull(&TURN_DETECTION)),
]);

const OUTPUT: Shape = Shape::Merged(&[
    ("format", FORMAT),
    ("voice", Shape::Anything),
    ("speed", Shape::Number(0.25, 1.5)),
]);

const REASONING: Shape = Shape::Replaced(&[(
    "effort",
    Shape::OneOf(&["minimal", "low", "medium", "high", "xhigh"]),
)]);

const TRUNCATION: Shape = Shape::WordOr(
    &["auto", "disabled"],
    &[
        ("type", Shape::OneOf(&["retention_ratio"])),
        ("retention_ratio", Shape::Number(0.0, 1.0)),
        (
            "token_limits",
            Shape::Replaced(&[("post_instructions", Shape::Whole(1, 1_000_000))]),
        ),
    ],
);

/// `session` of `session.update`.
pub const SESSION: Shape = Shape::Merged(&[
    ("type", Shape::OneOf(&["realtime"])),
    ("model", Shape::Text),
    ("instructions", Shape::Text),
    ("output_modalities", Shape::List),
    (
        "audio",
        Shape::Merged(&[("input", INPUT), ("output", OUTPUT)]),
    ),
    ("max_output_tokens", Shape::Limit),
    ("tools", Shape::List),
    ("tool_choice", Shape::Anything),
    ("parallel_tool_calls", Shape::Flag),
    ("reasoning", Shape::OrNull(&REASONING)),
    ("truncation", TRUNCATION),
    ("tracing", Shape::Anything),
    ("include", Shape::OrNull(&Shape::List)),
    ("prompt", Shape::Anything),
]);

/// `response` of `response.create`.
pub const RESPONSE: Shape = Shape::Merged(&[
    ("instructions", Shape::Text),
    ("output_modalities", Shape::List),
    ("audio", Shape::Merged(&[("output", OUTPUT)])),
    ("max_output_tokens", Shape::Limit),
    ("tools", Shape::List),
    ("tool_choice", Shape::Anything),
    ("parallel_tool_calls", Shape::Flag),
    ("reasoning", Shape::OrNull(&REASONING)),
    ("prompt", Shape::Anything),
    ("metadata", Shape::OrNull(&Shape::Anything)),
    ("conversation", Shape::OneOf(&["auto", "none"])),
    ("input", Shape::OrNull(&Shape::List)),
]);

/// Lays what is given over what is there; `Err` names what may not be said.
pub fn merge(shape: &Shape, current: &mut Value, given: &Value, path: &str) -> Result<(), Fault> {
    match shape {
        Shape::OrNull(inner) if !given.is_null() => merge(inner, current, given, path),
        Shape::WordOr(_, fields) if given.is_object() => {
            merge(&Shape::Replaced(fields), current, given, path)
        }
        Shape::Merged(fields) | Shape::Replaced(fields) => {
            let Some(given) = given.as_object() else {
                return Err(wrong_type(path, "an object"));
            };
            if !current.is_object() || matches!(shape, Shape::Replaced(_)) {
                *current = Value::Object(Map::new());
            }
            for (key, value) in given {
                let path = format!("{path}.{key}");
                let Some((_, shape)) = fields.iter().find(|(name, _)| name == key) else {
                    let said = format!("Unknown parameter: '{path}'.");
                    return Err(Fault::new("unknown_parameter", said).at(path));
                };
                merge(shape, &mut current[key.as_str()], value, &path)?;
            }
            Ok(())
        }
        plain => {
            check(plain, given, path)?;
            *current = given.clone();
            Ok(())
        }
    }
}

/// Whether a plain value may stand here.
fn check(shape: &Shape, given: &Value, path: &str) -> Result<(), Fault> {
    let (right_type, in_range, wanted) = match shape {
        Shape::Text => (given.is_string(), true, "a string"),
        Shape::Flag => (given.is_boolean(), true, "a boolean"),
        Shape::List => (given.is_array(), true, "an array"),
        Shape::Number(low, high) => {
            let number = given.as_f64();
            let fits = number.is_some_and(|n| (*low..=*high).contains(&n));
            (number.is_some(), fits, "a number")
        }
        Shape::Whole(low, high) => {
            let number = given.as_u64();
            let fits = number.is_some_and(|n| (*low..=*high).contains(&n));
            (number.is_some(), fits, "an integer")
        }
        Shape::Limit => {
            let infinite = given == "inf";
            let fits = given.as_u64().is_some_and(|n| (1..=4096).contains(&n));
            let known = infinite || given.is_u64();
            (known, infinite || fits, "an integer or 'inf'")
        }
        Shape::OneOf(words) | Shape::WordOr(words, _) => {
            let word = given.as_str();
            let known = word.is_some_and(|word| words.contains(&word));
            (word.is_some(), known, "a string")
        }
        Shape::Anything | Shape::OrNull(_) | Shape::Merged(_) | Shape::Replaced(_) => {
            (true, true, "")
        }
    };
    if !right_type {
        return Err(wrong_type(path, wanted));
    }
    if !in_range {
        let said = format!("Invalid value for '{path}'.");
        return Err(Fault::new("invalid_value", said).at(path));
    }
    Ok(())
}

fn wrong_type(path: &str, wanted: &str) -> Fault {
    let said = format!("Invalid type for '{path}': expected {wanted}.");
    Fault::new("invalid_type", said).at(path)
}

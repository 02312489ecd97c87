//! What the arguments of a tool must be, checked before anything is sent.
//!
//! A schema may come from another server, so it is held to a size and to itself: it fetches nothing, it does not go in
//! circles, and it cannot fan out, because checking one call's arguments must never take time from another call.

use super::answer::clip;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The longest schema, in bytes of JSON: the model reads it before every answer.
pub const LARGEST_SCHEMA: usize = 8 << 10;

/// The longest arguments, in bytes of JSON.
const LARGEST_ARGUMENTS: usize = 16 << 10;

/// The longest sentence about what is wrong with arguments, in bytes.
const LONGEST_COMPLAINT: usize = 300;

/// How many values a schema may have once every reference is replaced by what it names.
const MOST_VALUES: usize = 4096;

/// How deep it may go then.
const DEEPEST: usize = 48;

/// A schema that was found to be one.
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema(…)")
    }
}

impl Schema {
    /// Compiles a schema (JSON Schema, draft 2020-12).
    ///
    /// # Errors
    /// Where it is not one, or why it is not taken, in words for its author.
    pub fn compile(schema: &Value) -> Result<Schema, String> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err("must have type = \"object\": arguments have names".to_string());
        }
        let bytes = schema.to_string().len();
        if bytes > LARGEST_SCHEMA {
            return Err(format!("has {bytes} bytes, of {LARGEST_SCHEMA} at most"));
        }
        let mut left = MOST_VALUES;
        unfold(schema, schema, 0, &mut left)?;
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            // Linear in the length of what is matched, unlike patterns that can look back.
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20));
        match options.build(schema) {
            Ok(validator) => Ok(Schema(Arc::new(validator))),
            Err(error) => {
                let at = error.instance_path().as_str().trim_start_matches('/');
                let at = if at.is_empty() { "it" } else { at };
                let what = format!("is not a JSON Schema: {at}: {}", error.masked());
                Err(clip(what, LONGEST_COMPLAINT))
            }
        }
    }

    /// Reads arguments as the model wrote them.
    ///
    /// # Errors
    /// Which argument is wrong and how, in words for the model; at most 300 bytes, and no value of it is repeated.
    pub fn check(&self, arguments: &str) -> Result<Map<String, Value>, String> {
        if arguments.len() > LARGEST_ARGUMENTS {
            return Err("The arguments are too long.".to_string());
        }
        // Models write nothing at all where there is nothing to say.
        let arguments = match arguments.trim() {
            "" => "{}",
            written => written,
        };
        let Ok(value @ Value::Object(_)) = serde_json::from_str(arguments) else {
            return Err("The arguments are not a JSON object.".to_string());
        };
        if let Err(error) = self.0.validate(&value) {
            let at = error.instance_path().as_str().trim_start_matches('/');
            let masked = error.masked_with("the value");
            let what = match at {
                "" => format!("The arguments do not fit: {masked}."),
                at => {
                    let at = clip(at.to_string(), LONGEST_COMPLAINT / 3);
                    format!("The argument {at} does not fit: {masked}.")
                }
            };
            return Err(clip(what, LONGEST_COMPLAINT));
        }
        match value {
            Value::Object(arguments) => Ok(arguments),
            _ => Err("The arguments are not a JSON object.".to_string()),
        }
    }
}

/// Walks a schema with every reference replaced by what it names, and refuses what has no end, or none soon: checking takes as long
/// as that is large.
fn unfold(schema: &Value, root: &Value, depth: usize, left: &mut usize) -> Result<(), String> {
    if depth > DEEPEST || *left == 0 {
        return Err("refers to itself, or unfolds into too much".to_string());
    }
    *left -= 1;
    let pairs = match schema {
        Value::Object(pairs) => pairs,
        Value::Array(items) => {
            return items
                .iter()
                .try_for_each(|item| unfold(item, root, depth + 1, left));
        }
        _ => return Ok(()),
    };
    for (key, value) in pairs {
        match (key.as_str(), value) {
            ("$ref", Value::String(to)) => {
                let there = to.strip_prefix('#').filter(|at| !at.contains('%'));
                let there = there.and_then(|pointer| root.pointer(pointer));
                let there = there.ok_or("has a $ref to what is not in it")?;
                unfold(there, root, depth + 1, left)?;
            }
            // They change what a $ref means, or are one.
            (
                "$dynamicRef" | "$recursiveRef" | "$id" | "$anchor" | "$dynamicAnchor",
                Value::String(_),
            ) if depth > 0 || key != "$id" => {
                return Err(format!("has a {key}, which is not taken"));
            }
            _ => unfold(value, root, depth + 1, left)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaint(schema: Value, arguments: &str) -> String {
        let schema = Schema::compile(&schema).expect("a schema");
        schema.check(arguments).expect_err("does not fit")
    }

    fn refused(schema: Value) -> String {
        Schema::compile(&schema).expect_err("is refused")
    }

    #[test]
    fn what_is_wrong_with_an_argument_is_said_without_its_value() {
        let schema = json!({
            "type": "object",
            "required": ["order"],
            "additionalProperties": false,
            "properties": {
                "order": {"type": "string", "pattern": "^[A-Z]+$"},
                "lines": {"type": "array", "items": {"type": "integer"}}
            }
        });
        for (arguments, said) in [
            (
                "{}",
                "The arguments do not fit: \"order\" is a required property.",
            ),
            (
                r#"{"order":7}"#,
                "The argument order does not fit: the value is not of type \"string\".",
            ),
            (
                r#"{"order":"secret"}"#,
                "The argument order does not fit: the value does not match \"^[A-Z]+$\".",
            ),
            (
                r#"{"order":"A","lines":[1,"x"]}"#,
                "The argument lines/1 does not fit: the value is not of type \"integer\".",
            ),
            ("[]", "The arguments are not a JSON object."),
            ("{\"order\":", "The arguments are not a JSON object."),
        ] {
            assert_eq!(complaint(schema.clone(), arguments), said);
        }
        let many = format!(r#"{{"order":"A","{}":1}}"#, "x".repeat(5000));
        let said = complaint(schema.clone(), &many);
        assert!(said.len() <= LONGEST_COMPLAINT, "{said}");
        let long = format!(r#"{{"order":"{}"}}"#, "A".repeat(LARGEST_ARGUMENTS));
        assert_eq!(complaint(schema, &long), "The arguments are too long.");
    }

    #[test]
    fn arguments_that_fit_are_read_and_none_are_an_empty_object() {
        let schema = Schema::compile(&json!({"type": "object"})).expect("a schema");
        assert_eq!(schema.check(" ").map(Value::from), Ok(json!({})));
        let read = schema.check(r#"{"a":[{"b":1}]}"#).map(Value::from);
        assert_eq!(read, Ok(json!({"a": [{"b": 1}]})));
    }

    #[test]
    fn arguments_nested_without_end_are_no_arguments() {
        let schema = Schema::compile(&json!({"type": "object"})).expect("a schema");
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(7000), "]".repeat(7000));
        assert!(schema.check(&deep).is_err());
    }

    #[test]
    fn a_schema_fetches_nothing_and_goes_in_no_circles() {
        let with = |more: Value| {
            let mut schema = json!({"type": "object"});
            schema["properties"] = json!({"x": more});
            schema["$defs"] = json!({"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}});
            refused(schema)
        };
        let circle = "refers to itself, or unfolds into too much";
        for more in [json!({"$ref": "#"}), json!({"$ref": "#/$defs/a"})] {
            assert_eq!(with(more), circle);
        }
        for to in [
            "https://example.com/x.json",
            "file:///etc/passwd",
            "#name",
            "x.json",
        ] {
            let schema = json!({"type": "object", "properties": {"x": {"$ref": to}}});
            assert_eq!(refused(schema), "has a $ref to what is not in it");
        }
        let schema = json!({"type": "object", "properties": {"x": {"$id": "https://a.test/"}}});
        assert_eq!(refused(schema), "has a $id, which is not taken");
    }

    #[test]
    fn a_schema_does_not_fan_out() {
        let mut schema = json!({"type": "object", "$ref": "#/$defs/a0", "$defs": {"a40": {}}});
        for step in 0..40 {
            let next = json!({"$ref": format!("#/$defs/a{}", step + 1)});
            schema["$defs"][format!("a{step}")] = json!({"allOf": [next.clone(), next]});
        }
        assert_eq!(
            refused(schema),
            "refers to itself, or unfolds into too much"
        );
    }

    #[test]
    fn references_within_a_schema_are_fine() {
        let schema = json!({
            "type": "object",
            "properties": {"id": {"$ref": "#/$defs/id"}, "$ref": {"type": "string"}},
            "$defs": {"id": {"type": "integer"}}
        });
        let schema = Schema::compile(&schema).expect("a schema");
        assert!(schema.check(r#"{"id":1}"#).is_ok());
        assert!(schema.check(r#"{"id":"1"}"#).is_err());
    }

    #[test]
    fn what_is_no_schema_says_where() {
        assert_eq!(
            refused(json!({})),
            "must have type = \"object\": arguments have names"
        );
        let wrong = refused(json!({"type": "object", "properties": {"x": {"type": "txt"}}}));
        assert!(
            wrong.starts_with("is not a JSON Schema: properties/x/type: "),
            "{wrong}"
        );
        let pattern = json!({"type": "object", "properties": {"x": {"pattern": "(?=a)"}}});
        let pattern = refused(pattern);
        assert!(pattern.contains("x/pattern"), "{pattern}");
        let long = json!({"type": "object", "title": "x".repeat(LARGEST_SCHEMA)});
        assert_eq!(refused(long), "has 8220 bytes, of 8192 at most");
    }
}

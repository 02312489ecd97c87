//! JSON by hand, for the few frames of which there are thousands a second.
//!
//! Both sides write and read the same handful of shapes, and a parser that builds a tree would cost more than all the rest.

use serde_json::Value;

/// The string that follows this key, as it stands there, escapes and all. `key` is written with its quotes and colon.
pub fn string_after<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut from = memchr::memmem::find(text, key.as_bytes())? + key.len();
    while text.get(from) == Some(&b' ') {
        from += 1;
    }
    if text.get(from) != Some(&b'"') {
        return None;
    }
    let value = &text[from + 1..];
    let mut end = memchr::memchr(b'"', value)?;
    while is_escaped(&value[..end]) {
        end += 1 + memchr::memchr(b'"', &value[end + 1..])?;
    }
    Some(&value[..end])
}

/// Whether a quote behind this belongs to the string.
fn is_escaped(before: &[u8]) -> bool {
    let slashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    slashes.count() % 2 == 1
}

/// Appends a number.
pub fn push_number(text: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_found_by_its_key_however_it_is_written() {
        for (text, found) in [
            (r#"{"media":{"payload":"AAA="}}"#, Some("AAA=")),
            (r#"{"media": {"payload": "AAA="}}"#, Some("AAA=")),
            (r#"{"payload":""}"#, Some("")),
            (r#"{"payload":"a\"b\\"}"#, Some(r#"a\"b\\"#)),
            (r#"{"payload":7}"#, None),
            (r#"{"payload":"never ends"#, None),
            (r#"{"payload":"#, None),
        ] {
            let value = string_after(text.as_bytes(), r#""payload":"#);
            assert_eq!(value, found.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_said() {
        for number in [0, 7, 10, 1_234_567, u64::MAX] {
            let mut text = Vec::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string().as_bytes());
        }
    }
}

//! JSON of the plain kind, read in one pass over its bytes.
//!
//! Nearly all that comes over either wire is sound: objects of plain strings and numbers, one string of them long, and nothing in it to
//! unescape. A parser that must expect anything looks at each byte of that several times; here it is looked at once, many bytes side by
//! side. This is no second opinion on what JSON is. Whatever is not plain (an escape, a fraction, a `null`, a list) is not read at all, and
//! has to be parsed; what is read, a parser reads the same.

/// A text that is being read from its front. Every way to read says `None` where the text is not plain, and is then of no more use.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(&'a str);

impl<'a> Plain<'a> {
    /// Reads a text that is one object and nothing else: for each field, `field` is told the name and takes the value.
    pub fn read(
        text: &'a str,
        field: impl FnMut(&'a str, &mut Plain<'a>) -> Option<()>,
    ) -> Option<()> {
        let mut plain = Plain(text);
        plain.object(field)?;
        plain.0.is_empty().then_some(())
    }

    /// Takes an object that has fields.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&'a str, &mut Plain<'a>) -> Option<()>,
    ) -> Option<()> {
        self.take('{')?;
        loop {
            let name = self.string()?;
            self.take(':')?;
            self.space();
            field(name, self)?;
            if self.take(',').is_none() {
                return self.take('}');
            }
            self.space();
        }
    }

    /// Takes a string without escapes.
    pub fn string(&mut self) -> Option<&'a str> {
        self.take('"')?;
        let (string, rest) = self.0.split_at_checked(unescaped(self.0.as_bytes()))?;
        self.0 = rest;
        self.take('"')?;
        Some(string)
    }

    /// Takes a whole number, or a string that holds one.
    pub fn number(&mut self) -> Option<u64> {
        let digits = match self.0.starts_with('"') {
            true => self.string()?,
            false => self.digits()?,
        };
        digits.parse().ok()
    }

    /// Takes a string or a whole number that nobody wants.
    pub fn skip(&mut self) -> Option<()> {
        match self.0.starts_with('"') {
            true => self.string().map(drop),
            false => self.digits().map(drop),
        }
    }

    fn digits(&mut self) -> Option<&'a str> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        let whole = digits == "0" || !digits.starts_with('0');
        (count > 0 && whole).then_some(digits)
    }

    fn take(&mut self, mark: char) -> Option<()> {
        self.0 = self.0.strip_prefix(mark)?;
        Some(())
    }

    /// Some write a space after each colon and comma.
    fn space(&mut self) {
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
    }
}

/// Keeps the value of a field; `None`: there was one already, and which of the two counts is for a parser to say.
pub fn keep<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Most strings are over by then; only longer ones are worth the wider steps.
const SHORT: usize = 32;

/// Bytes looked at together in a long string: enough for the compiler to fill its widest registers.
const BLOCK: usize = 64;

/// How many bytes there are before the first that ends a string, or does not belong into a plain one.
fn unescaped(bytes: &[u8]) -> usize {
    let (head, tail) = bytes.split_at(bytes.len().min(SHORT));
    let within = word_by_word(head);
    if within < SHORT {
        return within;
    }
    // No early end within a block: that is what lets its bytes be looked at side by side.
    let clean = |block: &&[u8; BLOCK]| !block.iter().fold(false, |any, &byte| any | ends(byte));
    let blocks = tail.as_chunks::<BLOCK>().0.iter();
    let before = SHORT + blocks.take_while(clean).count() * BLOCK;
    before + word_by_word(&bytes[before..])
}

/// A quotation mark, an escape, or what JSON does not allow in a string.
fn ends(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

fn word_by_word(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (place, &word) in words.iter().enumerate() {
        let found = ends_in(u64::from_le_bytes(word));
        if found != 0 {
            return place * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|&byte| ends(byte));
    words.len() * 8 + end.unwrap_or(rest.len())
}

/// The highest bit of each byte of the word that [`ends`] a string. Of bytes behind the first of them it may lie.
fn ends_in(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    // Taking `less` away from each byte borrows from the next where the byte was less; a byte above 127 is never less.
    let below = |word: u64, less: u64| word.wrapping_sub(EACH * less) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(word, u64::from(b' '))) & (EACH << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The fields `a` (a string), `n` (a number) and `o` (an object with an `a`), put into a line; `None`: not plain.
    fn read(text: &str) -> Option<String> {
        let (mut a, mut n, mut inner) = (None, None, None);
        Plain::read(text, |name, value| match name {
            "a" => keep(&mut a, value.string()?),
            "n" => keep(&mut n, value.number()?),
            "o" => value.object(|name, value| match name {
                "a" => keep(&mut inner, value.string()?),
                _ => value.skip(),
            }),
            _ => value.skip(),
        })?;
        Some(format!("{a:?} {n:?} {inner:?}"))
    }

    #[test]
    fn plain_objects_are_read_in_any_order_and_with_the_spaces_that_some_write() {
        for text in [
            r#"{"a":"x","n":7,"o":{"a":"y","z":0},"other":"","count":120}"#,
            r#"{"count": 120, "o": {"z": 0, "a": "y"}, "n": "7", "a": "x"}"#,
        ] {
            let expected = r#"Some("x") Some(7) Some("y")"#;
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_not_read() {
        for text in [
            "",
            "{",
            "{}",
            "{\"",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":\"x}",
            "{\"a\":7}",
            "{\"a\":null}",
            "{\"a\":\"x\",}",
            "{\"a\":\"x\"}}",
            "{\"a\":\"x\"} ",
            " {\"a\":\"x\"}",
            "{\"a\":\"x\",\"a\":\"x\"}",
            "{\"a\":\"\\u0041\"}",
            "{\"a\":\"x\ny\"}",
            "{\"b\":[]}",
            "{\"b\":true}",
            "{\"b\":-1}",
            "{\"b\":01}",
            "{\"b\":1.5}",
            "{\"b\":1e3}",
            "{\"n\":\"x\"}",
            "{\"n\":18446744073709551616}",
            "{\"o\":{}}",
            "{\"o\":{\"a\":\"x\"}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_string_ends_where_it_ends() {
        for length in (0..200).chain([6_400]) {
            for end in ["\"", "\\", "\n", ""] {
                let text = format!("{}{end}\"", "ü".repeat(length));
                assert_eq!(unescaped(text.as_bytes()), 2 * length, "{length} {end:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn many_bytes_at_once_are_the_same_as_one_by_one(
            bytes in prop::collection::vec(prop_oneof![9 => 0x20..=0xFF_u8, 1 => any::<u8>()], 0..200),
        ) {
            let end = bytes.iter().position(|&byte| ends(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(unescaped(&bytes), end);
        }

        #[test]
        fn what_is_read_is_what_a_parser_reads(
            text in r#"\{("(a|b|n)": ?("[!#-\[\]-~ü\\]{0,3}"|"?[0-9]{1,2}"?|null)(, ?)?){1,4}\}"#
        ) {
            if let Some(told) = read(&text) {
                let parsed: Value = serde_json::from_str(&text).expect("JSON");
                let number = |n: &Value| n.as_u64().or_else(|| n.as_str()?.parse().ok());
                let (a, n) = (parsed["a"].as_str(), number(&parsed["n"]));
                prop_assert_eq!(told, format!("{a:?} {n:?} None"));
            }
        }
    }
}

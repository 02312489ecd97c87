//! Fields that may be anything.
//!
//! A provider may leave out a field, or give it another type in its next version, and neither may cost us the rest of the
//! event: a bill with an odd detail is still a bill. So each field is kept as the text it came in and read when it is wanted.

use crate::units::Id;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A field as it came: `None` when it is absent or null.
pub(in crate::realtime) type Raw<'a> = Option<&'a RawValue>;

/// The string that the field holds. Copied only if the wire escaped something in it.
pub(in crate::realtime) fn text<'a>(field: Raw<'a>) -> Option<Cow<'a, str>> {
    let json = field?.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// The string that the field holds; empty when there is none.
pub(in crate::realtime) fn words(field: Raw<'_>) -> String {
    text(field).unwrap_or_default().into_owned()
}

/// The name that the field holds; empty when there is none.
pub(in crate::realtime) fn id(field: Raw<'_>) -> Id {
    Id::from(text(field).unwrap_or_default().as_ref())
}

/// The object that the field holds; one without any fields when there is none.
pub(in crate::realtime) fn object<'a, T: Deserialize<'a> + Default>(field: Raw<'a>) -> T {
    let json = field
        .map(RawValue::get)
        .filter(|json| json.starts_with('{'));
    json.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

/// Whether the field holds exactly this.
pub(in crate::realtime) fn is(field: Raw<'_>, json: &str) -> bool {
    field.is_some_and(|field| field.get() == json)
}

/// The number that the field holds, times ten to the `places`, rounded up: what is billed is never read as less. Exact, without
/// floats; `None` for what is not a plain decimal.
pub(in crate::realtime) fn decimal(field: Raw<'_>, places: usize) -> Option<u64> {
    let json = field?.get();
    let (whole, part) = json.split_once('.').unwrap_or((json, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let kept = part.len().min(places);
    let scaled: u64 = format!("{whole}{:0<places$}", &part[..kept]).parse().ok()?;
    let rest = part[kept..].bytes().any(|digit| digit != b'0');
    scaled.checked_add(u64::from(rest))
}

/// The whole number that the field holds; a fraction counts as one more.
pub(in crate::realtime) fn count(field: Raw<'_>) -> Option<u64> {
    decimal(field, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_string()).unwrap()
    }

    #[test]
    fn numbers_are_read_exactly_and_never_as_less() {
        for (json, places, number) in [
            ("3", 3, Some(3000)),
            ("2.796", 3, Some(2796)),
            ("2.7960001", 3, Some(2797)),
            ("2.5", 3, Some(2500)),
            ("41.0", 0, Some(41)),
            ("41.2", 0, Some(42)),
            ("18446744073709551615", 0, Some(u64::MAX)),
            ("18446744073709551616", 0, None),
            ("-1", 0, None),
            ("1e3", 0, None),
            ("\"3\"", 0, None),
            ("{}", 0, None),
        ] {
            assert_eq!(decimal(Some(&raw(json)), places), number, "{json}");
        }
    }

    #[test]
    fn strings_are_borrowed_unless_the_wire_escaped_them() {
        let (plain, escaped) = (raw("\"Zoë\""), raw(r#""a\n\u00eb""#));
        assert!(matches!(text(Some(&plain)), Some(Cow::Borrowed("Zoë"))));
        assert_eq!(text(Some(&escaped)).as_deref(), Some("a\në"));
        assert_eq!(text(Some(&raw(r#""\ud800""#))), None);
        assert_eq!(text(Some(&raw("7"))), None);
    }
}

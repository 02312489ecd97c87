//! Twilio's own record of a call: asked for, and read.
//!
//! What a call cost at the carrier was a sum of ours until here; this is the carrier's, the other side of a reconciliation.
//! It is read more strictly than a webhook, for nothing has to be done with it at once: an amount that is not understood
//! to the last digit is no amount. Twilio rates a call some minutes after its end, and until then its price is `null`.

use super::{rest, state};
use crate::carrier::{CallRecord, Garbled, Id, RestRequest, Usd};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The request for a call's record.
pub(super) fn request(account: &rest::Account<'_>, call: &Id) -> RestRequest {
    RestRequest {
        method: "GET",
        url: account.call(call),
        form: Vec::new(),
        purpose: "read the call's record",
        is_repeatable: true,
    }
}

/// The keys that count. Raw, because money that is parsed as a JSON number is a float.
#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    sid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    duration: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    price_unit: Option<Cow<'a, str>>,
}

/// Reads the record of `call`.
pub(super) fn read(call: &Id, body: &str) -> Result<CallRecord, Garbled> {
    let resource: Resource<'_> =
        serde_json::from_str(body).map_err(|_| Garbled("not the record of a call"))?;
    if resource.sid.as_deref() != Some(call.as_str()) {
        return Err(Garbled("the record of another call"));
    }
    let state = resource.status.ok_or(Garbled("no status"))?;
    let state = state::word(&state).ok_or(Garbled("a status that cannot be one"))?;
    let duration_s = match scalar(resource.duration)? {
        None => None,
        Some(text) => Some(seconds(&text).ok_or(Garbled("a duration that cannot be one"))?),
    };
    let (price, unpriced) = match scalar(resource.price)? {
        None => (None, None),
        Some(amount) => priced(&amount, resource.price_unit.as_deref())?,
    };
    Ok(CallRecord {
        is_over: state::is_over(state),
        state: state.to_string(),
        duration_s,
        price,
        unpriced,
    })
}

/// The characters of a text or a number, exactly as they were sent; `None` for nothing, `null` and an empty text.
fn scalar(value: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Garbled> {
    let raw = value.map_or("null", RawValue::get);
    let text = match raw.as_bytes().first() {
        Some(b'"') => {
            let text: Result<String, _> = serde_json::from_str(raw);
            Cow::Owned(text.map_err(|_| Garbled("a text that cannot be read"))?)
        }
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(raw),
        _ if raw == "null" => return Ok(None),
        _ => return Err(Garbled("a value that is neither a text nor a number")),
    };
    Ok((!text.is_empty()).then_some(text))
}

/// Digits only: `parse` alone would take a plus.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What was charged, or why it cannot be said.
///
/// Twilio writes what it takes as a negative amount. Those who speak its protocol write it without the sign, so both are
/// read as a charge: of two readings of an odd amount, the dearer one.
fn priced(
    amount: &str,
    unit: Option<&str>,
) -> Result<(Option<Usd>, Option<&'static str>), Garbled> {
    let amount = amount.strip_prefix('-').unwrap_or(amount);
    let amount = Usd::parse(amount).map_err(|_| Garbled("a price that cannot be one"))?;
    Ok(match unit {
        Some(unit) if unit.eq_ignore_ascii_case("USD") => (Some(amount), None),
        None | Some("") => (None, Some("the price is in no currency")),
        Some(_) => (
            None,
            Some("the price is in another currency than US dollars"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Id {
        Id::from("CA00000000000000000000000000000001")
    }

    /// A record with these values in place of the usual ones.
    fn told(status: &str, duration: &str, price: &str, unit: &str) -> Result<CallRecord, Garbled> {
        // The keys of a real answer, shortened; most of them mean nothing to us.
        let body = format!(
            r#"{{"account_sid":"ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","annotation":null,"answered_by":null,
            "api_version":"2010-04-01","caller_name":"","date_created":"Sun, 22 Nov 2026 19:07:00 +0000",
            "direction":"inbound","duration":{duration},"end_time":null,"forwarded_from":null,"from":"+14155550123",
            "phone_number_sid":"PNaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","price":{price},"price_unit":{unit},
            "queue_time":"0","sid":"CA00000000000000000000000000000001","status":{status},
            "subresource_uris":{{"events":"/2010-04-01/…"}},"to":"+15005550006","trunk_sid":null}}"#
        );
        read(&call(), &body)
    }

    fn record(state: &str, is_over: bool, duration_s: Option<u64>) -> CallRecord {
        CallRecord {
            state: state.to_string(),
            is_over,
            duration_s,
            price: None,
            unpriced: None,
        }
    }

    #[test]
    fn the_record_is_asked_for_where_the_call_is_and_nothing_is_changed_by_it() {
        let account = rest::Account {
            api_base: "https://api.twilio.com",
            sid: "AC1",
        };
        let request = request(&account, &Id::from("CA1/.."));
        assert_eq!((request.method, request.form.len()), ("GET", 0));
        let url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1%2F...json";
        assert_eq!(request.url, url);
    }

    #[test]
    fn a_call_that_is_on_has_no_duration_and_one_just_over_has_no_price() {
        let on = told(r#""in-progress""#, "null", "null", r#""USD""#);
        assert_eq!(on, Ok(record("in-progress", false, None)));
        let over = told(r#""completed""#, r#""61""#, "null", r#""USD""#);
        assert_eq!(over, Ok(record("completed", true, Some(61))));
        let blank = told(r#""no-answer""#, r#""""#, r#""""#, "null");
        assert_eq!(blank, Ok(record("no-answer", true, None)));
    }

    #[test]
    fn a_price_is_what_was_charged_to_the_nano_dollar() {
        for (written, nanos) in [
            (r#""-0.01700""#, 17_000_000),
            (r#""-0.0085""#, 8_500_000),
            (r#""0""#, 0),
            (r#""-0.000000001""#, 1),
            // As others write it who speak this protocol.
            (r#""0.0085""#, 8_500_000),
            ("-0.0085", 8_500_000),
            ("0.1", 100_000_000),
        ] {
            let record = told(r#""completed""#, r#""61""#, written, r#""usd""#).unwrap();
            assert_eq!(record.price, Some(Usd::from_nanos(nanos)), "{written}");
        }
    }

    #[test]
    fn another_currency_is_no_price_and_a_word_about_it() {
        for (unit, word) in [
            (
                r#""EUR""#,
                "the price is in another currency than US dollars",
            ),
            ("null", "the price is in no currency"),
        ] {
            let record = told(r#""completed""#, r#""61""#, r#""-0.0085""#, unit).unwrap();
            assert_eq!((record.price, record.unpriced), (None, Some(word)));
        }
    }

    #[test]
    fn an_absurd_record_is_garbled_and_never_a_small_number() {
        let (over, long, price) = (r#""completed""#, r#""61""#, r#""-0.0085""#);
        for (status, duration, price, why) in [
            (
                r#""Completed!""#,
                long,
                price,
                "a status that cannot be one",
            ),
            ("null", long, price, "no status"),
            (over, r#""-1""#, price, "a duration that cannot be one"),
            (over, r#""+1""#, price, "a duration that cannot be one"),
            (over, "61.5", price, "a duration that cannot be one"),
            (
                over,
                r#""18446744073709551616""#,
                price,
                "a duration that cannot be one",
            ),
            (
                over,
                "[]",
                price,
                "a value that is neither a text nor a number",
            ),
            (over, long, r#""--1""#, "a price that cannot be one"),
            (over, long, r#""-1e-9""#, "a price that cannot be one"),
            (over, long, "1e30", "a price that cannot be one"),
            (over, long, r#""NaN""#, "a price that cannot be one"),
            (
                over,
                long,
                r#""-0.0000000001""#,
                "a price that cannot be one",
            ),
            (
                over,
                long,
                r#""-99999999999999""#,
                "a price that cannot be one",
            ),
            (
                over,
                long,
                "true",
                "a value that is neither a text nor a number",
            ),
        ] {
            let told = told(status, duration, price, r#""USD""#);
            assert_eq!(told, Err(Garbled(why)), "{status} {duration} {price}");
        }
    }

    #[test]
    fn an_answer_that_is_no_record_of_this_call_is_garbled() {
        let missing = r#"{"code":20404,"message":"not found","status":404}"#;
        for (body, why) in [
            ("", "not the record of a call"),
            ("<html>", "not the record of a call"),
            ("[]", "not the record of a call"),
            (missing, "not the record of a call"),
            ("{}", "the record of another call"),
            (
                r#"{"sid":"CA2","status":"completed"}"#,
                "the record of another call",
            ),
        ] {
            assert_eq!(read(&call(), body), Err(Garbled(why)), "{body}");
        }
    }
}

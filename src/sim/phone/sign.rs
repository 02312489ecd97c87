//! How the carrier signs what it sends us: `X-Twilio-Signature`, by code of the phone's own.
//!
//! The server verifies these signatures with code of its own; a mistake in either is found here, where they meet. The
//! vectors below were computed by the carrier's published library and agree between two of its languages.

use base64_simd::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::collections::{BTreeMap, BTreeSet};

/// The value of `X-Twilio-Signature` for a request to `url` with these form fields; none for a `GET` or a handshake.
///
/// Fields go in byte order of their names; a repeated name keeps its distinct values, sorted. Blank values count.
pub fn signature(auth_token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in fields {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = url.to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()) else {
        return String::new(); // an HMAC takes a key of any length, so this is never reached
    };
    mac.update(text.as_bytes());
    STANDARD.encode_to_string(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::signature;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn fields(text: &str) -> Vec<(String, String)> {
        let pairs = text.split_whitespace().filter_map(|p| p.split_once('='));
        pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn a_webhook_is_signed_as_the_carrier_signs_it() {
        let form = fields(
            "AccountSid=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ApiVersion=2010-04-01
             CallSid=CA00000000000000000000000000000001 CallStatus=ringing Called=+15005550006 Caller=+14155550123
             CallerCity= Direction=inbound From=+14155550123 StirVerstat=TN-Validation-Passed-A To=+15005550006",
        );
        for (url, expected) in [
            (
                "https://bot.example.com/twilio/voice",
                "12n6kxZJPd78p1Vn++SAgxP6VOw=",
            ),
            (
                "https://bot.example.com:443/twilio/voice",
                "2v4D1ydNWgjoYPvwSeEVIHBBYSw=",
            ),
            (
                "https://bot.example.com/twilio/voice/",
                "PELnvqRLusIamIo9BtzduNpyeu8=",
            ),
            (
                "http://bot.example.com/twilio/voice",
                "oyv/TAaS/pecBC3vtn//aG+ETJ0=",
            ),
        ] {
            assert_eq!(signature(TOKEN, url, &form), expected, "{url}");
        }
    }

    #[test]
    fn a_handshake_is_signed_over_its_address_alone() {
        for (url, expected) in [
            (
                "wss://bot.example.com/media",
                "N8NBTxScIsvr8ONZpYvtOS2P6fw=",
            ),
            (
                "wss://bot.example.com/media/",
                "aVFmw59krsHfzO2r8LgsWxSBUWY=",
            ),
            (
                "https://bot.example.com/media",
                "8IwqM3PQAImGFlOY6lIEODzOXe0=",
            ),
        ] {
            assert_eq!(signature(TOKEN, url, &[]), expected, "{url}");
        }
    }

    #[test]
    fn repeated_fields_and_foreign_letters_are_signed_too() {
        let form = [
            ("SpeechResult", "café & co"),
            ("Digits", "2"),
            ("Digits", "1"),
            ("Digits", "2"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            signature(TOKEN, "https://bot.example.com/x", &form),
            "onz449Rto0vP6yx6mGseAYQdeK0="
        );
        let form = fields(
            "CallSid=CA1234567890ABCDE Caller=+14158675309 Digits=1234 From=+14158675309 To=+18005551212",
        );
        assert_eq!(
            signature(
                "12345",
                "https://mycompany.com/myapp.php?foo=1&bar=2",
                &form
            ),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8="
        );
    }
}

//! A number of the account: whom Twilio asks when it is called, and how to change that.
//!
//! Three addresses lead to a server: what to do, what to do when that fails, and whom to tell that it is over. An application or a
//! trunk that is set beside them is asked instead of them, without a word, so whoever looks at a number must be told of it.

use super::rest::{self, Account};
use crate::carrier::{Garbled, Id, Number, Phone, RestRequest, Wiring};
use serde::Deserialize;
use std::borrow::Cow;

/// The list of the account's numbers that are this one.
pub(super) fn ask(account: &Account<'_>, number: &Phone) -> RestRequest {
    let list = account.own("IncomingPhoneNumbers.json");
    RestRequest {
        method: "GET",
        url: format!("{list}?PhoneNumber={}", rest::segment(number.reveal())),
        form: Vec::new(),
        purpose: "look a number up",
        is_repeatable: true,
    }
}

/// Sets all three addresses; blank ones are cleared. One request for all, because Twilio refuses a fallback where there is no webhook
/// (its error 21405).
pub(super) fn wire(account: &Account<'_>, number: &Id, wiring: &Wiring) -> RestRequest {
    let method = match wiring.method.as_str() {
        "GET" => "GET",
        _ => "POST",
    };
    let own = format!(
        "IncomingPhoneNumbers/{}.json",
        rest::segment(number.as_str())
    );
    RestRequest {
        method: "POST",
        url: account.own(&own),
        form: vec![
            ("VoiceUrl", wiring.voice.clone()),
            ("VoiceMethod", method.to_string()),
            ("VoiceFallbackUrl", wiring.fallback.clone()),
            ("VoiceFallbackMethod", "POST".to_string()),
            ("StatusCallback", wiring.status.clone()),
            ("StatusCallbackMethod", "POST".to_string()),
        ],
        purpose: "change a number",
        is_repeatable: true,
    }
}

/// The wiring that leads here.
pub(super) fn own(pages: &str, fallback: &str) -> Wiring {
    Wiring {
        voice: format!("{pages}/twilio/voice"),
        fallback: fallback.to_string(),
        status: format!("{pages}/twilio/status"),
        method: "POST".to_string(),
    }
}

/// The keys that count, each of which may be `null`.
#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow, default)]
    phone_number: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    voice_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    voice_method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    voice_fallback_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status_callback: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    voice_application_sid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    trunk_sid: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    incoming_phone_numbers: Vec<Resource<'a>>,
}

/// The number in the list, which also matches numbers that merely contain the one that was asked for.
pub(super) fn read(number: &Phone, body: &str) -> Result<Option<Number>, Garbled> {
    let list: List<'_> =
        serde_json::from_str(body).map_err(|_| Garbled("not a list of numbers"))?;
    let mut all = list.incoming_phone_numbers.into_iter();
    let found = all.find(|one| one.phone_number.as_deref() == Some(number.reveal()));
    let Some(found) = found else { return Ok(None) };
    let text = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned).unwrap_or_default();
    let overrides = [
        ("the application", text(found.voice_application_sid)),
        ("the trunk", text(found.trunk_sid)),
    ];
    Ok(Some(Number {
        id: Id::from(&*found.sid),
        wiring: Wiring {
            voice: text(found.voice_url),
            fallback: text(found.voice_fallback_url),
            status: text(found.status_callback),
            method: text(found.voice_method),
        },
        overrides: (overrides.iter())
            .filter(|(_, sid)| !sid.is_empty())
            .map(|(what, sid)| format!("{what} {sid}"))
            .collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Account<'_> = Account {
        api_base: "https://api.twilio.com",
        sid: "AC1",
    };

    #[test]
    fn a_number_is_looked_up_by_its_digits() {
        let request = ask(&ACCOUNT, &Phone::from("+15005550006"));
        assert_eq!(
            request.url,
            "https://api.twilio.com/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?PhoneNumber=%2B15005550006"
        );
        assert_eq!((request.method, request.form.len()), ("GET", 0));
    }

    #[test]
    fn what_is_asked_instead_of_the_webhook_is_told() {
        let body = r#"{"incoming_phone_numbers":[
            {"sid":"PN0","phone_number":"+150055500067","voice_url":"https://other"},
            {"sid":"PN1","phone_number":"+15005550006","voice_url":"https://demo.twilio.com/welcome/voice/","voice_method":"POST",
             "voice_fallback_url":null,"status_callback":"","voice_application_sid":"AP1","trunk_sid":null}]}"#;
        let number = read(&Phone::from("+15005550006"), body).unwrap().unwrap();
        assert_eq!(number.id, Id::from("PN1"));
        assert_eq!(
            number.wiring.voice,
            "https://demo.twilio.com/welcome/voice/"
        );
        assert_eq!(number.wiring.fallback, "");
        assert_eq!(number.overrides, ["the application AP1"]);
        let nobody = read(&Phone::from("+15005550007"), body);
        assert_eq!(nobody, Ok(None));
        assert!(read(&Phone::from("+1"), "[]").is_err());
    }

    #[test]
    fn connecting_sets_all_three_addresses_and_disconnecting_clears_them() {
        let ours = own("https://bot.example.com", "https://later.example.net/x.xml");
        let told = |wiring: &Wiring| {
            let request = wire(&ACCOUNT, &Id::from("PN1"), wiring);
            assert!(request.url.ends_with("/IncomingPhoneNumbers/PN1.json"));
            let form = request
                .form
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"));
            form.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            told(&ours),
            "VoiceUrl=https://bot.example.com/twilio/voice VoiceMethod=POST VoiceFallbackUrl=https://later.example.net/x.xml \
             VoiceFallbackMethod=POST StatusCallback=https://bot.example.com/twilio/status StatusCallbackMethod=POST"
        );
        assert!(
            told(&Wiring::default()).starts_with("VoiceUrl= VoiceMethod=POST VoiceFallbackUrl= ")
        );
    }
}

//! The request that has Twilio place a call, and how such a call is known again.
//!
//! The name that Twilio gives the call comes back in the answer, and the call may be answered before that answer is read, or the
//! answer may be lost. So our own name for it stands in the addresses that Twilio asks, where its signature covers it.

use super::rest::{self, Account};
use super::webhook;
use crate::carrier::{CallId, Dial, Garbled, Id, Request, RestRequest};
use serde::Deserialize;

/// The longest that Twilio lets a call ring.
const LONGEST_RING_S: u64 = 600;

/// What stands before our name for a call in an address.
const NAME: &str = "call";

/// The longest name that can be one of ours.
const LONGEST_NAME: usize = 64;

/// The request. It dials somebody, so it is never repeated on a guess.
pub(super) fn request(account: &Account<'_>, pages: &str, dial: &Dial) -> RestRequest {
    let name = rest::segment(dial.call.as_str());
    let door = |door: &str| format!("{pages}/twilio/{door}?{NAME}={name}");
    let post = || "POST".to_string();
    let mut form = vec![
        ("To", dial.to.reveal().to_string()),
        ("From", dial.from.reveal().to_string()),
        ("Url", door("voice")),
        ("Method", post()),
        ("StatusCallback", door("status")),
        ("StatusCallbackMethod", post()),
        ("Timeout", dial.ring_s.clamp(1, LONGEST_RING_S).to_string()),
        rest::limit(dial.limit_s),
    ];
    for event in ["initiated", "ringing", "answered", "completed"] {
        form.push(("StatusCallbackEvent", event.to_string()));
    }
    if dial.detect {
        // Beside the call and not before it: whoever answered is not left in silence until Twilio has made up its mind.
        form.push(("MachineDetection", "Enable".to_string()));
        form.push(("AsyncAmd", "true".to_string()));
        form.push(("AsyncAmdStatusCallback", door("status")));
        form.push(("AsyncAmdStatusCallbackMethod", post()));
    }
    RestRequest {
        method: "POST",
        url: account.own("Calls.json"),
        form,
        purpose: "place a call",
        is_repeatable: false,
    }
}

/// Twilio's name for the call that it has placed.
pub(super) fn read(body: &str) -> Result<Id, Garbled> {
    #[derive(Deserialize)]
    struct Created {
        sid: String,
    }
    let created: Created =
        serde_json::from_str(body).map_err(|_| Garbled("not a call that was placed"))?;
    webhook::call_name(&created.sid)
}

/// Our name for the call in the address that was asked.
pub(super) fn placed(request: &Request<'_>) -> Option<CallId> {
    let query = webhook::pairs(webhook::query(request));
    let (_, name) = query.into_iter().find(|(key, _)| key == NAME)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    ((1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain))
        .then(|| CallId::from(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::Phone;

    fn dial(detect: bool) -> RestRequest {
        let account = Account {
            api_base: "https://api.twilio.com",
            sid: "AC1",
        };
        let dial = Dial {
            call: CallId::from("rf-abc"),
            to: Phone::from("+14155550123"),
            from: Phone::from("+15005550006"),
            ring_s: 30,
            limit_s: 310,
            detect,
        };
        request(&account, "https://bot.example.com", &dial)
    }

    #[test]
    fn a_call_is_placed_with_its_limit_and_asks_us_by_our_own_name_for_it() {
        let request = dial(false);
        assert!(!request.is_repeatable, "it would dial twice");
        let url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json";
        assert_eq!((request.method, &*request.url), ("POST", url));
        let form: Vec<String> = (request.form.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = "To=+14155550123
From=+15005550006
Url=https://bot.example.com/twilio/voice?call=rf-abc
Method=POST
StatusCallback=https://bot.example.com/twilio/status?call=rf-abc
StatusCallbackMethod=POST
Timeout=30
TimeLimit=310
StatusCallbackEvent=initiated
StatusCallbackEvent=ringing
StatusCallbackEvent=answered
StatusCallbackEvent=completed";
        assert_eq!(form.join("\n"), expected);
    }

    #[test]
    fn who_answers_is_listened_for_beside_the_call() {
        let form = dial(true).form;
        for (name, value) in [("MachineDetection", "Enable"), ("AsyncAmd", "true")] {
            assert!(form.contains(&(name, value.to_string())), "{form:?}");
        }
    }

    #[test]
    fn the_answer_names_the_call_and_anything_else_is_garbled() {
        assert_eq!(
            read(r#"{"sid":"CA1","status":"queued"}"#),
            Ok(Id::from("CA1"))
        );
        for body in ["", "{}", "[]", r#"{"sid":""}"#, r#"{"sid":"../x"}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_question_about_a_call_that_we_placed_has_our_name_in_its_address() {
        let named = |path_and_query: &str| {
            placed(&Request {
                method: "POST",
                path_and_query,
                body: b"call=rf-forged",
                header: &|_| None,
            })
        };
        let ours = Some(CallId::from("rf-abc"));
        assert_eq!(named("/twilio/voice?call=rf-abc"), ours);
        assert_eq!(named("/twilio/voice?x=1&call=rf-abc&call=y"), ours);
        for strange in [
            "/twilio/voice",
            "/twilio/voice?call=",
            "/x?call=a%2Fb",
            "/x?call=%0A",
        ] {
            assert_eq!(named(strange), None, "{strange}");
        }
    }
}

//! What Twilio's webhooks say, once they are believed.
//!
//! A POST carries its fields in a form, a GET in its query. Fields may appear that nobody announced, and most of the
//! known ones may be blank, so only the name of the call is insisted on.

use super::state;
use crate::carrier::{
    Answerer, Attestation, Ended, Garbled, Id, Leg, Offer, Phone, Request, Status,
};
use jiff::fmt::rfc2822::DateTimeParser;
use std::borrow::Cow;

/// One field: its name and its value, percent-decoded.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The longest name of a call that is believed to be one; Twilio's have 34 characters, its imitators' are UUIDs.
const CALL_LEN: usize = 64;

/// Callbacks tell the time as letters do: `Sun, 22 Nov 2026 19:08:42 +0000`.
const CLOCK: DateTimeParser = DateTimeParser::new();

/// The fields of one webhook.
pub(super) struct Fields<'a>(Vec<Pair<'a>>);

impl<'a> Fields<'a> {
    /// Reads them where a request of its method has them.
    pub(super) fn of(request: &Request<'a>) -> Self {
        Fields(if request.method != "POST" {
            pairs(query(request))
        } else if is_form(request) {
            pairs(request.body)
        } else {
            Vec::new()
        })
    }

    /// The first value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| &**value)
    }

    /// The call it is about.
    pub(super) fn call(&self) -> Result<Id, Garbled> {
        call_name(self.get("CallSid").ok_or(Garbled("no CallSid"))?)
    }

    /// The call that is offered.
    pub(super) fn offer(&self) -> Result<Offer, Garbled> {
        let direction = self.get("Direction").unwrap_or_default();
        Ok(Offer {
            carrier_call: self.call()?,
            from: Phone::from(self.get("From").unwrap_or_default()),
            to: Phone::from(self.get("To").unwrap_or_default()),
            attestation: attestation(self.get("StirVerstat").unwrap_or_default()),
            inbound: !direction.starts_with("outbound"),
        })
    }

    /// The stream is closed, or whoever was dialled for the caller is gone: the fields of `<Connect action>` and of `<Dial action>`.
    pub(super) fn ended(&self) -> Result<Ended, Garbled> {
        let leg = self.get("DialCallStatus").map(|state| {
            let state = state::word(state).ok_or(Garbled("a DialCallStatus that cannot be one"))?;
            let seconds = self.get("DialCallDuration");
            let seconds = seconds.and_then(|text| text.parse().ok());
            let talked = matches!(state, "completed" | "answered");
            Ok(Leg {
                state: state.to_string(),
                seconds: match (talked, seconds) {
                    // A second that was begun is billed as a minute.
                    (true, Some(seconds)) => Some(u64::max(seconds, 1)),
                    (true, None) => None,
                    (false, _) => Some(0),
                },
            })
        });
        Ok(Ended {
            carrier_call: self.call()?,
            leg: leg.transpose()?,
        })
    }

    /// The state of the call. What the carrier's own ear found is posted without it, and only of a call that was answered.
    pub(super) fn status(&self) -> Result<Status, Garbled> {
        let answered_by = self.get("AnsweredBy").and_then(answerer);
        let heard = answered_by.map(|_| "in-progress");
        let state = self.get("CallStatus").or(heard);
        let state = state.ok_or(Garbled("no CallStatus"))?;
        let state = state::word(state).ok_or(Garbled("a CallStatus that cannot be one"))?;
        let number = |name| self.get(name).and_then(|text| text.parse().ok());
        let sent = self.get("Timestamp");
        Ok(Status {
            carrier_call: self.call()?,
            is_over: state::is_over(state),
            state: state.to_string(),
            duration_s: number("CallDuration"),
            billed_minutes: number("Duration"),
            sent_at_s: sent
                .and_then(|text| CLOCK.parse_timestamp(text).ok().map(|at| at.as_second())),
            sequence: number("SequenceNumber"),
            answered_by,
        })
    }
}

/// `human`, `fax`, `unknown`, or one of several words that begin with `machine_`; `None` for a blank, which a call that was never
/// listened to may have.
fn answerer(word: &str) -> Option<Answerer> {
    match word {
        "" => None,
        "human" => Some(Answerer::Person),
        "fax" => Some(Answerer::Fax),
        _ if word.starts_with("machine") => Some(Answerer::Machine),
        _ => Some(Answerer::Unknown),
    }
}

/// Twilio's name for a call. Not a pattern of `CA` and digits: those who speak its protocol name their calls otherwise.
pub(super) fn call_name(name: &str) -> Result<Id, Garbled> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=CALL_LEN).contains(&name.len()) && name.bytes().all(plain) {
        Ok(Id::from(name))
    } else {
        Err(Garbled("a CallSid that cannot be one"))
    }
}

/// `TN-Validation-Passed-A`, perhaps followed by `-Diverted` or `-Passthrough`. Failed and missing validations are alike:
/// nobody vouches.
fn attestation(verstat: &str) -> Attestation {
    let passed = verstat.strip_prefix("TN-Validation-Passed-");
    match passed.and_then(|rest| rest.split('-').next()) {
        Some("A") => Attestation::Full,
        Some("B" | "C") => Attestation::Partial,
        _ => Attestation::None,
    }
}

/// Names and values of a form or a query; blank ones are kept.
pub(super) fn pairs(text: &[u8]) -> Vec<Pair<'_>> {
    form_urlencoded::parse(text).collect()
}

/// What follows the question mark.
pub(super) fn query<'a>(request: &Request<'a>) -> &'a [u8] {
    let query = request.path_and_query.split_once('?');
    query.map_or("", |(_, query)| query).as_bytes()
}

/// Whether the body is a form. One that does not say what it is counts as one: that is what Twilio posts.
pub(super) fn is_form(request: &Request<'_>) -> bool {
    (request.header)("content-type").is_none_or(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::twilio::Twilio;
    use crate::carrier::{Carrier, Forged, Secret, Settings, Unwelcome};

    fn twilio(account: &str, verify_signature: bool) -> Twilio {
        Twilio::new(Settings {
            public_url: "https://bot.example.com/".to_string(),
            api_base: "https://api.twilio.com".to_string(),
            account: account.to_string(),
            auth_token: Secret::from("0123456789abcdef0123456789abcdef".to_string()),
            verify_signature,
        })
    }

    fn post(body: &str) -> Request<'_> {
        Request {
            method: "POST",
            path_and_query: "/twilio/voice",
            body: body.as_bytes(),
            header: &|_| None,
        }
    }

    fn offer(body: &str) -> Result<Offer, Unwelcome> {
        twilio("AC1", false).offer(post(body))
    }

    #[test]
    fn a_webhook_says_who_calls_whom() {
        let body = "AccountSid=AC1&CallSid=CA1&From=%2B14155550123&To=%2B15005550006&Direction=inbound&StirVerstat=TN-Validation-Passed-A&NewThing=x";
        let expected = Offer {
            carrier_call: Id::from("CA1"),
            from: Phone::from("+14155550123"),
            to: Phone::from("+15005550006"),
            attestation: Attestation::Full,
            inbound: true,
        };
        assert_eq!(offer(body), Ok(expected.clone()));
        let get = Request {
            method: "GET",
            path_and_query: &format!("/twilio/voice?{body}"),
            ..post("CallSid=CA2")
        };
        assert_eq!(twilio("AC1", false).offer(get), Ok(expected));
    }

    #[test]
    fn a_call_we_asked_for_is_not_inbound_and_a_withheld_number_is_no_obstacle() {
        for direction in ["outbound-api", "outbound-dial"] {
            let body = format!("AccountSid=AC1&CallSid=CA1&Direction={direction}");
            let offer = offer(&body).unwrap();
            assert!(!offer.inbound);
            assert_eq!(offer.from, Phone::from(""));
            assert_eq!(offer.attestation, Attestation::None);
        }
    }

    #[test]
    fn only_level_a_vouches_for_a_number() {
        for (verstat, expected) in [
            ("TN-Validation-Passed-A", Attestation::Full),
            ("TN-Validation-Passed-A-Diverted", Attestation::Full),
            ("TN-Validation-Passed-A-Passthrough", Attestation::Full),
            ("TN-Validation-Passed-B", Attestation::Partial),
            ("TN-Validation-Passed-C-Passthrough", Attestation::Partial),
            ("TN-Validation-Failed-A", Attestation::None),
            ("TN-Validation-Failed", Attestation::None),
            ("TN-Validation-Passed-AB", Attestation::None),
            ("No-TN-Validation", Attestation::None),
            ("", Attestation::None),
        ] {
            assert_eq!(attestation(verstat), expected, "{verstat}");
        }
    }

    #[test]
    fn a_call_must_have_a_name_that_can_be_one() {
        let long = "A".repeat(65);
        for (name, fine) in [
            ("CA00000000000000000000000000000001", true),
            ("0e6a3f7c-7e5a-4c1e-9d7e-3b2f8c1d9a11", true),
            (&long[1..], true),
            (&*long, false),
            ("", false),
            ("CA1%2F..", false),
            ("CA1%0A", false),
            ("%D0%A1A1", false),
        ] {
            let offer = offer(&format!("AccountSid=AC1&CallSid={name}"));
            assert_eq!(offer.is_ok(), fine, "{name}");
        }
        let nameless = Err(Unwelcome::Garbled(Garbled("no CallSid")));
        assert_eq!(offer("AccountSid=AC1"), nameless);
    }

    #[test]
    fn another_account_is_turned_away_unless_we_have_none() {
        let foreign = Err(Unwelcome::Forged(Forged::ForeignAccount));
        assert_eq!(offer("AccountSid=AC2&CallSid=CA1"), foreign);
        assert_eq!(offer("CallSid=CA1"), foreign);
        let anyones = twilio("", false);
        assert!(anyones.offer(post("AccountSid=AC2&CallSid=CA1")).is_ok());
        assert!(anyones.offer(post("CallSid=CA1")).is_ok());
    }

    #[test]
    fn nothing_is_read_from_a_webhook_that_is_not_signed() {
        let strict = twilio("AC1", true);
        let unsigned = Unwelcome::Forged(Forged::Unsigned);
        let request = post("AccountSid=AC1&CallSid=CA1&CallStatus=completed");
        assert_eq!(strict.offer(request), Err(unsigned.clone()));
        assert_eq!(strict.ended(request), Err(unsigned.clone()));
        assert_eq!(strict.status(request), Err(unsigned));
        assert_eq!(strict.handshake(request), Err(Forged::Unsigned));
        assert_eq!(twilio("AC1", false).handshake(request), Ok(()));
    }

    #[test]
    fn a_signed_handshake_is_let_in_at_the_address_the_document_named() {
        let header =
            |name: &str| (name == "x-twilio-signature").then_some("N8NBTxScIsvr8ONZpYvtOS2P6fw=");
        let request = Request {
            method: "GET",
            path_and_query: "/media",
            body: b"",
            header: &header,
        };
        let strict = twilio("AC1", true);
        assert_eq!(strict.handshake(request), Ok(()));
        let elsewhere = Request {
            path_and_query: "/media?x=1",
            ..request
        };
        assert_eq!(strict.handshake(elsewhere), Err(Forged::WrongSignature));
    }

    #[test]
    fn a_status_tells_how_the_call_ended_and_how_long_it_was() {
        let lenient = twilio("AC1", false);
        let status = |body: &str| lenient.status(post(body));
        let told = status(
            "AccountSid=AC1&CallSid=CA1&CallStatus=completed&CallDuration=61&Duration=2&SequenceNumber=0\
             &Timestamp=Sun%2C+22+Nov+2026+19%3A08%3A42+%2B0000&CallbackSource=call-progress-events",
        );
        let expected = Status {
            carrier_call: Id::from("CA1"),
            state: "completed".to_string(),
            is_over: true,
            duration_s: Some(61),
            billed_minutes: Some(2),
            sent_at_s: Some(1_795_374_522),
            sequence: Some(0),
            answered_by: None,
        };
        assert_eq!(told, Ok(expected));
        let odd = "CallStatus=in-progress&CallDuration=-1&Duration=1e9&Timestamp=yesterday&SequenceNumber=99999999999999999999";
        let odd = status(&format!("AccountSid=AC1&CallSid=CA1&{odd}")).unwrap();
        let nothing = Status {
            carrier_call: Id::from("CA1"),
            state: "in-progress".to_string(),
            is_over: false,
            duration_s: None,
            billed_minutes: None,
            sent_at_s: None,
            sequence: None,
            answered_by: None,
        };
        assert_eq!(odd, nothing, "what makes no sense was not said");
        let busy = status("AccountSid=AC1&CallSid=CA1&CallStatus=no-answer&CallDuration=").unwrap();
        assert_eq!((&*busy.state, busy.duration_s), ("no-answer", None));
        assert!(status("AccountSid=AC1&CallSid=CA1").is_err());
        assert!(status("AccountSid=AC1&CallSid=CA1&CallStatus=%0Ax").is_err());
    }

    #[test]
    fn the_carriers_own_ear_says_who_answered_without_a_word_about_the_state() {
        let lenient = twilio("AC1", false);
        for (word, expected) in [
            ("human", Some(Answerer::Person)),
            ("machine_start", Some(Answerer::Machine)),
            ("machine_end_beep", Some(Answerer::Machine)),
            ("fax", Some(Answerer::Fax)),
            ("unknown", Some(Answerer::Unknown)),
            ("a parrot", Some(Answerer::Unknown)),
        ] {
            let body = format!("AccountSid=AC1&CallSid=CA1&AnsweredBy={word}");
            let status = lenient.status(post(&body)).unwrap();
            assert_eq!((status.answered_by, status.is_over), (expected, false));
        }
        let blank = "AccountSid=AC1&CallSid=CA1&CallStatus=busy&AnsweredBy=";
        assert_eq!(lenient.status(post(blank)).unwrap().answered_by, None);
    }

    #[test]
    fn the_end_of_a_stream_has_no_leg_and_the_end_of_a_transfer_has_one() {
        let lenient = twilio("AC1", false);
        let ended = |more: &str| lenient.ended(post(&format!("AccountSid=AC1&CallSid=CA1{more}")));
        let leg = |state: &str, seconds| {
            Ok(Ended {
                carrier_call: Id::from("CA1"),
                leg: Some(Leg {
                    state: state.to_string(),
                    seconds,
                }),
            })
        };
        assert_eq!(ended("").unwrap().leg, None);
        let talked = "&DialCallStatus=completed&DialCallDuration=61&DialCallSid=CA2";
        assert_eq!(ended(talked), leg("completed", Some(61)));
        let begun = "&DialCallStatus=completed&DialCallDuration=0";
        assert_eq!(ended(begun), leg("completed", Some(1)));
        let untold = "&DialCallStatus=completed";
        assert_eq!(ended(untold), leg("completed", None));
        for state in ["busy", "no-answer", "failed", "canceled"] {
            assert_eq!(
                ended(&format!("&DialCallStatus={state}")),
                leg(state, Some(0))
            );
        }
        assert!(ended("&DialCallStatus=%0A").is_err());
        assert!(lenient.ended(post("AccountSid=AC1")).is_err());
    }
}

//! The requests to Twilio's REST API that a live call needs, as data.
//!
//! All of them change the call's own resource. Two may be repeated without harm: the time limit that ends the call even if
//! we vanish, and the hang-up that makes sure of what closing the stream has already asked for. The third, which hands the
//! caller over, may not.

use super::twiml;
use crate::carrier::{Command, Id, RestOutcome, RestRequest};
use serde::Deserialize;

/// The shortest limit we set: Twilio bills a started minute whole, so a shorter call costs no less.
const SHORTEST_S: u64 = 60;
/// The longest that Twilio takes, and only from accounts it allows more than four hours.
const LONGEST_S: u64 = 86_400;
/// "The requested resource was not found": the call is over and gone.
const NOT_FOUND: u32 = 20404;

/// An account, as far as addresses need it.
pub(super) struct Account<'a> {
    /// Where the REST API is.
    pub(super) api_base: &'a str,
    /// The account's name.
    pub(super) sid: &'a str,
}

impl Account<'_> {
    /// The address of something of the account's: `Calls.json`.
    pub(super) fn own(&self, what: &str) -> String {
        let (api_base, account) = (self.api_base, segment(self.sid));
        format!("{api_base}/2010-04-01/Accounts/{account}/{what}")
    }

    /// The address of a call's own resource.
    pub(super) fn call(&self, call: &Id) -> String {
        self.own(&format!("Calls/{}.json", segment(call.as_str())))
    }
}

/// The request for a command that does not travel on the stream. `pages` is our own public address.
pub(super) fn request(
    account: &Account<'_>,
    pages: &str,
    call: &Id,
    command: &Command,
) -> Option<RestRequest> {
    let (form, purpose, is_repeatable) = match command {
        Command::Limit { seconds } => (vec![limit(*seconds)], "limit the call", true),
        Command::Complete { .. } => {
            let completed = ("Status", "completed".to_string());
            (vec![completed], "end the call", true)
        }
        // One request for both, so that there is no moment at which the transfer has begun without its limit. Sent twice, it would
        // drop whoever has just answered and dial anew.
        Command::Transfer(transfer) => {
            let document = twiml::transfer(pages, transfer);
            let form = vec![("Twiml", document), limit(transfer.call_limit_s)];
            (form, "hand the caller over", false)
        }
        Command::Play { .. } | Command::Clear | Command::LastWords(_) | Command::Close => {
            return None;
        }
    };
    Some(RestRequest {
        method: "POST",
        url: account.call(call),
        form,
        purpose,
        is_repeatable,
    })
}

/// The carrier's own limit on a call, counted from its answer.
pub(super) fn limit(seconds: u64) -> (&'static str, String) {
    let seconds = seconds.clamp(SHORTEST_S, LONGEST_S);
    ("TimeLimit", seconds.to_string())
}

/// One segment of a path, which no text can make two of.
pub(super) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The part of an answer that explains a failure.
#[derive(Deserialize)]
struct Failure {
    code: u32,
}

/// What an answer means. The code in the body outranks the status, for both speak of the same failure and the code is finer.
pub(super) fn outcome(status: u16, body: &str) -> RestOutcome {
    let gone =
        || serde_json::from_str(body).is_ok_and(|failure: Failure| failure.code == NOT_FOUND);
    match status {
        200..=299 => RestOutcome::Done,
        404 => RestOutcome::AlreadyOver,
        _ if gone() => RestOutcome::AlreadyOver,
        429 | 500..=599 => RestOutcome::TryAgain,
        _ => RestOutcome::Refused,
    }
}

/// What Twilio says about a request that it refused: its number for it, and its sentence.
pub(super) fn complaint(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Complaint {
        code: u32,
        message: String,
    }
    /// Longer ones are not sentences.
    const LONGEST: usize = 300;
    let told: Complaint = serde_json::from_str(body).ok()?;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = told.message.chars().take(LONGEST).map(plain).collect();
    Some(format!("{}: {message}", told.code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::{Mark, Phone, Transfer};

    const ACCOUNT: Account<'_> = Account {
        api_base: "https://api.twilio.com",
        sid: "AC1",
    };

    fn ask(command: &Command) -> Option<RestRequest> {
        let call = Id::from("CA1");
        request(&ACCOUNT, "https://bot.example.com", &call, command)
    }

    #[test]
    fn a_caller_is_handed_over_by_one_request_with_both_limits() {
        let request = ask(&Command::Transfer(Transfer {
            to: Phone::from("+15005550009"),
            caller_id: None,
            say: String::new(),
            limit_s: 1800,
            call_limit_s: 2000,
        }));
        let request = request.unwrap();
        assert!(!request.is_repeatable, "it would dial twice");
        assert!(request.url.ends_with("/Accounts/AC1/Calls/CA1.json"));
        let names: Vec<_> = request.form.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Twiml", "TimeLimit"]);
        assert_eq!(request.form[1].1, "2000");
    }

    #[test]
    fn the_carrier_is_asked_to_end_the_call_by_itself_and_never_within_its_first_minute() {
        for (seconds, asked) in [
            (0, "60"),
            (59, "60"),
            (61, "61"),
            (310, "310"),
            (u64::MAX, "86400"),
        ] {
            let request = ask(&Command::Limit { seconds }).unwrap();
            assert_eq!(request.method, "POST");
            assert_eq!(
                request.url,
                "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1.json"
            );
            assert_eq!(request.form, [("TimeLimit", asked.to_string())]);
        }
    }

    #[test]
    fn hanging_up_is_a_request_and_talking_is_not() {
        let request = ask(&Command::Complete { after_ms: 0 }).unwrap();
        assert_eq!(request.form, [("Status", "completed".to_string())]);
        let mark = Mark {
            item: 1,
            until_ms: 20,
            generation: 0,
        };
        for command in [
            Command::Play { mark, ms: 20 },
            Command::Clear,
            Command::LastWords("Bye.".to_string()),
            Command::Close,
        ] {
            assert_eq!(ask(&command), None);
        }
    }

    #[test]
    fn a_name_cannot_lead_the_request_to_another_place() {
        let call = Id::from("../../Messages");
        let account = Account {
            api_base: "http://h",
            sid: "A/C",
        };
        let complete = Command::Complete { after_ms: 0 };
        let request = request(&account, "https://bot.example.com", &call, &complete).unwrap();
        assert_eq!(
            request.url,
            "http://h/2010-04-01/Accounts/A%2FC/Calls/..%2F..%2FMessages.json"
        );
    }

    #[test]
    fn a_call_that_is_gone_has_ended_as_it_should() {
        let gone = r#"{"code":20404,"message":"not found","status":404}"#;
        for (status, body, expected) in [
            (200, "{}", RestOutcome::Done),
            (204, "", RestOutcome::Done),
            (404, gone, RestOutcome::AlreadyOver),
            (404, "<html>", RestOutcome::AlreadyOver),
            (400, gone, RestOutcome::AlreadyOver),
            (429, "", RestOutcome::TryAgain),
            (500, "oops", RestOutcome::TryAgain),
            (503, "", RestOutcome::TryAgain),
            (400, r#"{"code":21220}"#, RestOutcome::Refused),
            (401, r#"{"code":20003}"#, RestOutcome::Refused),
            (302, "", RestOutcome::Refused),
        ] {
            assert_eq!(outcome(status, body), expected, "{status} {body}");
        }
    }
}

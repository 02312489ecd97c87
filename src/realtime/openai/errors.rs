//! What went wrong, and what it means for the session.
//!
//! Only a provider's code is ever kept. Its prose is for people, changes at will, and for a bad key ends in the key's last
//! characters. Some codes come in the place of the type, so both are looked up (facts: section 3.6).

use super::raw::{self, Raw};
use crate::realtime::{Code, Complaint, Gravity};
use serde::Deserialize;

/// The `event_id` of a `session.update`.
pub(super) const CONFIGURE: &str = "configure";
/// The `event_id` of a `response.create` is this and its nonce.
pub(super) const RESPOND: &str = "respond-";

/// The `error` of an event, and of a response that failed.
#[derive(Default, Deserialize)]
pub(super) struct ProviderError<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow)]
    param: Raw<'a>,
    #[serde(borrow)]
    event_id: Raw<'a>,
}

impl ProviderError<'_> {
    /// Its code, or its type where it has none.
    pub(super) fn name(&self) -> Code {
        let named = |field| raw::text(field).and_then(|text| code(&text));
        named(self.code)
            .or_else(|| named(self.kind))
            .unwrap_or_else(|| Code::new("unknown"))
    }

    /// What it means. Settings that were refused would be refused again, so an error about them is at least fatal to
    /// the model's use, unless it says to try again.
    pub(super) fn complaint(&self) -> Complaint {
        let asked = raw::text(self.event_id).unwrap_or_default();
        let gravity = match self.gravity() {
            Gravity::Benign | Gravity::Ignored if asked == CONFIGURE => Gravity::Fatal,
            gravity => gravity,
        };
        Complaint {
            gravity,
            code: self.name(),
            about: asked.strip_prefix(RESPOND).and_then(|n| n.parse().ok()),
        }
    }

    fn gravity(&self) -> Gravity {
        let code = raw::text(self.code).unwrap_or_default();
        if code == "invalid_value" && raw::is(self.param, "\"audio_end_ms\"") {
            return Gravity::Benign;
        }
        match (
            known(&code),
            known(&raw::text(self.kind).unwrap_or_default()),
        ) {
            (Some(Gravity::Fatal), _) | (_, Some(Gravity::Fatal)) => Gravity::Fatal,
            (Some(gravity), _) | (None, Some(gravity)) => gravity,
            // Most errors are recoverable and leave the session open, says the provider.
            (None, None) => Gravity::Ignored,
        }
    }
}

/// What a code or a type means, if we have heard of it.
fn known(name: &str) -> Option<Gravity> {
    Some(match name {
        "response_cancel_not_active"
        | "conversation_already_has_active_response"
        | "input_audio_buffer_commit_empty"
        | "item_not_found"
        | "item_truncate_invalid_item_id"
        | "item_delete_invalid_item_id"
        | "item_retrieve_invalid_item_id"
        // The answer to cutting an item that has no sound yet.
        | "unsupported_content_type" => Gravity::Benign,
        "session_expired" | "server_error" | "rate_limit_exceeded" | "overloaded" => Gravity::Retry,
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "invalid_api_key"
        | "account_deactivated"
        | "billing_hard_limit_reached"
        | "model_not_found"
        | "invalid_model"
        | "beta_api_shape_disabled" => Gravity::Fatal,
        "item_create_duplicate_item_id"
        | "invalid_value"
        | "unknown_parameter"
        | "missing_required_parameter"
        | "invalid_type"
        | "invalid_event"
        | "unknown_event"
        | "invalid_json"
        | "bad_response_create"
        | "cannot_update_voice" => Gravity::Ignored,
        _ => return None,
    })
}

/// The text as a code, if that is what it is: prose is refused, not stripped, for what is left of it may be a part of a key.
pub(super) fn code(text: &str) -> Option<Code> {
    let code = Code::new(text);
    (!text.is_empty() && code.as_str() == text).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(error: &str) -> Complaint {
        let error: ProviderError = serde_json::from_str(error).unwrap();
        error.complaint()
    }

    #[test]
    fn every_code_means_what_the_table_says() {
        use Gravity::{Benign, Fatal, Ignored, Retry};
        let table: [(Gravity, &[&str]); 4] = [
            (
                Benign,
                &[
                    "response_cancel_not_active",
                    "conversation_already_has_active_response",
                    "input_audio_buffer_commit_empty",
                    "item_not_found",
                    "item_truncate_invalid_item_id",
                    "item_delete_invalid_item_id",
                    "item_retrieve_invalid_item_id",
                    "unsupported_content_type",
                ],
            ),
            (
                Ignored,
                &[
                    "item_create_duplicate_item_id",
                    "invalid_value",
                    "unknown_parameter",
                    "missing_required_parameter",
                    "invalid_type",
                    "invalid_event",
                    "unknown_event",
                    "invalid_json",
                    "bad_response_create",
                    "cannot_update_voice",
                    "never_heard_of_it",
                ],
            ),
            (
                Retry,
                &[
                    "session_expired",
                    "server_error",
                    "rate_limit_exceeded",
                    "overloaded",
                ],
            ),
            (
                Fatal,
                &[
                    "insufficient_quota",
                    "credit_balance_exhausted",
                    "invalid_api_key",
                    "account_deactivated",
                    "billing_hard_limit_reached",
                    "model_not_found",
                    "invalid_model",
                    "beta_api_shape_disabled",
                ],
            ),
        ];
        for (gravity, codes) in table {
            for code in codes {
                let as_code = format!(r#"{{"type":"invalid_request_error","code":"{code}"}}"#);
                let as_type = format!(r#"{{"type":"{code}","code":null}}"#);
                for error in [as_code, as_type] {
                    let complaint = complaint(&error);
                    assert_eq!(complaint.gravity, gravity, "{error}");
                    assert_eq!(complaint.code.as_str(), *code);
                }
            }
        }
    }

    #[test]
    fn the_code_outweighs_the_type_unless_the_type_is_fatal() {
        let gravity = |error| complaint(error).gravity;
        assert_eq!(
            gravity(r#"{"type":"server_error","code":"item_not_found"}"#),
            Gravity::Benign
        );
        assert_eq!(
            gravity(r#"{"type":"server_error","code":"brand_new"}"#),
            Gravity::Retry
        );
        assert_eq!(
            gravity(r#"{"type":"insufficient_quota","code":"rate_limit_exceeded"}"#),
            Gravity::Fatal
        );
    }

    #[test]
    fn cutting_later_than_what_was_said_is_benign() {
        let late =
            r#"{"type":"invalid_request_error","code":"invalid_value","param":"audio_end_ms"}"#;
        assert_eq!(complaint(late).gravity, Gravity::Benign);
    }

    #[test]
    fn a_complaint_names_the_request_it_is_about() {
        let about = |id: &str| complaint(&format!(r#"{{"event_id":"{id}"}}"#)).about;
        assert_eq!(about("respond-7"), Some(7));
        assert_eq!(about("respond-"), None);
        assert_eq!(about("respond-x"), None);
        assert_eq!(about("configure"), None);
        assert_eq!(complaint("{}").about, None);
    }

    #[test]
    fn settings_once_refused_are_refused_for_good() {
        let gravity =
            |code| complaint(&format!(r#"{{"code":"{code}","event_id":"configure"}}"#)).gravity;
        assert_eq!(gravity("unknown_parameter"), Gravity::Fatal);
        assert_eq!(gravity("server_error"), Gravity::Retry);
    }

    #[test]
    fn prose_is_never_kept() {
        let prose = r#"{"type":"Incorrect API key provided: sk-abcd","code":"bad key abcd","message":"sk-abcd"}"#;
        assert_eq!(complaint(prose).code.as_str(), "unknown");
        assert_eq!(complaint("{}").code.as_str(), "unknown");
    }
}

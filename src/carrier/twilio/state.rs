//! Twilio's words for the state of a call, which its webhooks and its records share.
//!
//! Only the words that mean "over" are told apart, because that is what anybody acts on; a word that nobody announced is
//! kept as it is and means "not over", since a call must not be closed on a guess.

/// The longest word that is believed to be one; Twilio's longest has 11 characters.
const LONGEST: usize = 32;

/// The states that no call leaves again (facts: section 1.1).
const OVER: [&str; 5] = ["completed", "busy", "failed", "no-answer", "canceled"];

/// The word itself, if it can be one: small letters and dashes.
pub(super) fn word(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then_some(text)
}

/// Whether a call in this state is over.
pub(super) fn is_over(word: &str) -> bool {
    OVER.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_over_in_five_states_and_in_no_other() {
        for state in ["completed", "busy", "failed", "no-answer", "canceled"] {
            assert!(word(state).is_some_and(is_over), "{state}");
        }
        for state in [
            "queued",
            "initiated",
            "ringing",
            "in-progress",
            "answered",
            "over",
        ] {
            assert!(!is_over(state), "{state}");
        }
    }

    #[test]
    fn what_is_no_word_is_no_state() {
        let long = "a".repeat(33);
        for text in ["", "Completed", "no answer", "in\nprogress", &long] {
            assert_eq!(word(text), None, "{text:?}");
        }
    }
}

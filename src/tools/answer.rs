//! What the model is told of a tool: its answer, or one sentence about what went wrong.
//!
//! Every byte of it is paid for, now and in each later answer that reads it again, so it is cut at a limit; and every
//! sentence says something the model can pass on to the caller, rather than what an engineer would want to know.

use crate::call::tools::Outcome;

/// What stands at the end of a text that was cut.
const SHORTENED: &str = "… (shortened)";

/// What came of asking a tool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// For the model.
    pub(super) text: String,
    /// For the log; empty when all is well.
    pub(super) why: &'static str,
}

impl Answer {
    /// It answered.
    pub(super) fn done(text: String) -> Answer {
        let text = match text.trim() {
            "" => "Done. The tool answered nothing.".to_string(),
            trimmed if trimmed.len() == text.len() => text,
            trimmed => trimmed.to_string(),
        };
        Answer {
            outcome: Outcome::Done,
            text,
            why: "",
        }
    }

    /// It was not asked.
    pub(super) fn misfit(text: impl Into<String>) -> Answer {
        Answer {
            outcome: Outcome::Misfit,
            text: text.into(),
            why: "arguments do not fit",
        }
    }

    /// It was asked, and failed.
    pub(super) fn failed(why: &'static str, text: impl Into<String>) -> Answer {
        Answer {
            outcome: Outcome::Failed,
            text: text.into(),
            why,
        }
    }

    /// It cannot answer in time.
    pub(super) fn late(why: &'static str, text: &str) -> Answer {
        Answer {
            outcome: Outcome::Late,
            text: text.to_string(),
            why,
        }
    }

    /// It did not answer in time.
    pub(super) fn too_late() -> Answer {
        Answer::late("timed out", "The tool did not answer in time.")
    }

    /// Nobody was there.
    pub(super) fn unreachable() -> Answer {
        Answer::failed("could not connect", "The tool cannot be reached right now.")
    }

    /// It was there, and then it was not.
    pub(super) fn broken() -> Answer {
        let text = "The connection to the tool broke; whether it did anything is unknown.";
        Answer::failed("the connection broke", text)
    }

    /// It answered with a page for people.
    pub(super) fn web_page() -> Answer {
        let text = "The tool answered with a web page instead of data.";
        Answer::failed("a web page", text)
    }
}

/// At most so many bytes of a text, whole letters only, with a note where it was cut.
pub(super) fn clip(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let mut text = text;
    match most.checked_sub(SHORTENED.len()) {
        Some(room) => {
            cut(&mut text, room);
            text.push_str(SHORTENED);
        }
        None => cut(&mut text, most),
    }
    text
}

/// Cuts a text to so many bytes, whole letters only.
pub(super) fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Whether a text is a page for people, whatever it is labelled.
pub(super) fn is_web_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(14).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters_and_says_so() {
        assert_eq!(clip("short".into(), 5), "short");
        let text = "ä".repeat(100);
        let clipped = clip(text.clone(), 50);
        assert!(clipped.len() <= 50 && clipped.ends_with("ä… (shortened)"));
        assert_eq!(clip(text, 3), "ä");
        assert_eq!(clip("abc".into(), 0), "");
    }

    #[test]
    fn a_page_for_people_is_known_by_how_it_begins() {
        for page in ["<!DOCTYPE html><p>", "\n <HTML lang=en>", "<head>"] {
            assert!(is_web_page(page), "{page}");
        }
        for data in ["<order>1</order>", "{\"html\":\"<html>\"}", "", "ä"] {
            assert!(!is_web_page(data), "{data}");
        }
    }

    #[test]
    fn an_answer_without_words_says_that_it_was_one() {
        assert_eq!(
            Answer::done(" \n".into()).text,
            "Done. The tool answered nothing."
        );
        assert_eq!(Answer::done(" {}\n".into()).text, "{}");
    }
}

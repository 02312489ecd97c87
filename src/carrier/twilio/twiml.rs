//! The documents that tell Twilio what to do with a call.
//!
//! The caller's number is in none of them: who calls is known from the signed webhook, and what is written into a
//! document turns up in the carrier's logs.

use crate::carrier::{Document, Transfer};

/// Answers, and connects the sound both ways. `<Connect>` holds the call until its stream is closed; then Twilio asks
/// `/twilio/ended` what comes next, and `<Hangup/>` is what happens should nobody answer that.
pub(super) fn connect(pages: &str, sockets: &str, token: &str) -> Document {
    let action = escape(&format!("{pages}/twilio/ended"));
    let url = escape(&format!("{sockets}/twilio/media/{token}"));
    response(&format!(
        r#"<Connect action="{action}" method="POST"><Stream url="{url}"/></Connect><Hangup/>"#
    ))
}

/// Does not answer. Free of charge only as the first verb of a document.
pub(super) fn reject() -> Document {
    response(r#"<Reject reason="busy"/>"#)
}

/// Does not answer either, and asks at another address what to do.
pub(super) fn redirect(url: &str) -> Document {
    response(&format!("<Redirect>{}</Redirect>", escape(url)))
}

/// Says a sentence with the carrier's own voice, where there is one, and hangs up.
pub(super) fn farewell(sentence: Option<&str>) -> Document {
    let said = sentence.map(|sentence| format!("<Say>{}</Say>", escape(sentence)));
    response(&format!("{}<Hangup/>", said.unwrap_or_default()))
}

/// The longest document that Twilio takes inside a request (facts: section 1.1).
const LONGEST: usize = 4000;

/// The longest that one leg of a call may last.
const LONGEST_LEG_S: u64 = 86_400;

/// Hands the caller over to somebody. The caller goes on hearing the ring until somebody answers, nobody is billed for it, and
/// afterwards Twilio asks `/twilio/ended` what comes next. A sentence that would make the document too long is cut.
pub(super) fn transfer(pages: &str, transfer: &Transfer) -> String {
    let action = escape(&format!("{pages}/twilio/ended"));
    let limit_s = transfer.limit_s.clamp(1, LONGEST_LEG_S);
    let caller_id = match &transfer.caller_id {
        Some(number) => format!(r#" callerId="{}""#, escape(number.reveal())),
        None => String::new(),
    };
    let to = escape(transfer.to.reveal());
    let dial = format!(
        r#"<Dial timeLimit="{limit_s}" answerOnBridge="true"{caller_id} action="{action}" method="POST"><Number>{to}</Number></Dial><Hangup/>"#
    );
    let room = LONGEST.saturating_sub(response(&format!("<Say></Say>{dial}")).body.len());
    let mut said = String::new();
    for c in transfer.say.trim().chars() {
        let letter = escape(c.encode_utf8(&mut [0; 4]));
        if said.len() + letter.len() > room {
            break;
        }
        said.push_str(&letter);
    }
    let say = match said.is_empty() {
        true => String::new(),
        false => format!("<Say>{said}</Say>"),
    };
    response(&format!("{say}{dial}")).body
}

fn response(verbs: &str) -> Document {
    Document {
        content_type: "text/xml",
        body: format!(r#"<?xml version="1.0" encoding="UTF-8"?><Response>{verbs}</Response>"#),
    }
}

/// Text as it must stand between tags or quotes. Characters that XML 1.0 has no way to write (section 2.2) become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::twilio::Twilio;
    use crate::carrier::{Carrier, Secret, Settings};
    use expect_test::expect;
    use proptest::prelude::*;

    fn twilio(public_url: &str) -> Twilio {
        Twilio::new(Settings {
            public_url: public_url.to_string(),
            api_base: String::new(),
            account: String::new(),
            auth_token: Secret::from(String::new()),
            verify_signature: false,
        })
    }

    #[test]
    fn an_answered_call_is_connected_to_the_stream_behind_its_token() {
        let document = twilio("https://bot.example.com").connect("7f3c");
        assert_eq!(document.content_type, "text/xml");
        expect![[r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://bot.example.com/twilio/ended" method="POST"><Stream url="wss://bot.example.com/twilio/media/7f3c"/></Connect><Hangup/></Response>"#]]
            .assert_eq(&document.body);
        let local = twilio("http://127.0.0.1:8080").connect("7f3c").body;
        assert!(local.contains(r#"url="ws://127.0.0.1:8080/twilio/media/7f3c""#));
    }

    #[test]
    fn a_refused_call_is_not_answered() {
        let twilio = twilio("https://bot.example.com");
        expect![[
            r#"<?xml version="1.0" encoding="UTF-8"?><Response><Reject reason="busy"/></Response>"#
        ]]
        .assert_eq(&twilio.reject().body);
        expect![[r#"<?xml version="1.0" encoding="UTF-8"?><Response><Redirect>https://x.example/a?b=1&amp;c=2</Redirect></Response>"#]]
            .assert_eq(&twilio.redirect("https://x.example/a?b=1&c=2").body);
    }

    #[test]
    fn a_farewell_is_said_before_hanging_up_and_may_be_silent() {
        let twilio = twilio("https://bot.example.com");
        expect![[r#"<?xml version="1.0" encoding="UTF-8"?><Response><Say>Sorry: 3 &lt; 5 &amp; &quot;bye&quot; ·</Say><Hangup/></Response>"#]]
            .assert_eq(&twilio.farewell(Some("Sorry: 3 < 5 & \"bye\" ·")).body);
        expect![[r#"<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>"#]]
            .assert_eq(&twilio.farewell(None).body);
    }

    fn handing_over(say: &str, caller_id: Option<&str>) -> Transfer {
        Transfer {
            to: crate::units::Phone::from("+15005550009"),
            caller_id: caller_id.map(crate::units::Phone::from),
            say: say.to_string(),
            limit_s: 1800,
            call_limit_s: 2000,
        }
    }

    #[test]
    fn a_transfer_says_a_sentence_dials_for_so_long_and_asks_what_comes_next() {
        let pages = "https://bot.example.com";
        let told = transfer(
            pages,
            &handing_over("One moment & <wait>.", Some("+15005550006")),
        );
        expect![[r#"<?xml version="1.0" encoding="UTF-8"?><Response><Say>One moment &amp; &lt;wait&gt;.</Say><Dial timeLimit="1800" answerOnBridge="true" callerId="+15005550006" action="https://bot.example.com/twilio/ended" method="POST"><Number>+15005550009</Number></Dial><Hangup/></Response>"#]]
            .assert_eq(&told);
        let silent = transfer(pages, &handing_over(" ", None));
        assert!(
            !silent.contains("Say") && !silent.contains("callerId"),
            "{silent}"
        );
    }

    #[test]
    fn a_sentence_that_is_too_long_is_cut_and_the_document_is_taken() {
        let long = transfer(
            "https://bot.example.com",
            &handing_over(&"<é".repeat(4000), None),
        );
        assert!(
            (LONGEST - 5..=LONGEST).contains(&long.len()),
            "{}",
            long.len()
        );
        assert!(roxmltree::Document::parse(&long).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_one_sentence_in_one_well_formed_document(sentence: String) {
            let body = farewell(Some(&sentence)).body;
            let document = roxmltree::Document::parse(&body).expect("well-formed");
            let verbs: Vec<_> = document.root_element().children().map(|verb| verb.tag_name().name()).collect();
            prop_assert_eq!(verbs, ["Say", "Hangup"]);
        }
    }
}

//! The documents that tell Twilio what to do with a call.
//!
//! The caller's number is in none of them: who calls is known from the signed webhook, and what is written into a
//! document turns up in the carrier's logs.

use crate::carrier::Document;

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

//! What a server's answer tells the carrier to do: TwiML, read into a list of verbs.
//!
//! Read as strictly as the carrier reads it, because a document that only a lenient reader understands is a call that
//! ends with "an application error has occurred". Verbs the phone does not act out are kept by name, so that the call
//! can say which they were.

use roxmltree::{Document, Node};

/// One instruction of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Join the call to a stream, until the server closes it.
    Connect(Connect),
    /// Say a sentence with the carrier's own voice.
    Say(String),
    /// Be silent this many milliseconds.
    Pause {
        /// Milliseconds.
        ms: u64,
    },
    /// End the call.
    Hangup,
    /// Do not answer, if it comes first.
    Reject,
    /// Ask another address what to do.
    Redirect(String),
    /// Dial somebody, and let the two talk.
    Dial(Dial),
    /// Something this phone does not act out.
    Other(String),
}

/// `<Connect><Stream>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Whom to ask what to do once the stream has ended; `None`: the verbs after this one.
    pub action: Option<String>,
    /// Where the stream goes.
    pub url: String,
    /// What the stream's `start` repeats.
    pub parameters: Vec<(String, String)>,
}

/// `<Dial><Number>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Who.
    pub number: String,
    /// How long they may talk, in milliseconds.
    pub limit_ms: u64,
    /// Whom to ask what to do afterwards; `None`: the verbs after this one.
    pub action: Option<String>,
}

/// The carrier ends a leg after four hours, if nobody says otherwise.
const LEG_LIMIT_S: u64 = 14_400;

/// The longest document the carrier reads, in bytes.
const LONGEST: usize = 64 * 1024;

/// Reads a document.
///
/// # Errors
/// Says what is wrong in words: not XML, not a `<Response>`, or a stream that cannot be.
pub fn read(body: &str) -> Result<Vec<Verb>, String> {
    if body.len() > LONGEST {
        return Err("the document is longer than 64 kB".to_owned());
    }
    let document = Document::parse(body).map_err(|wrong| format!("not XML: {wrong}"))?;
    let root = document.root_element();
    if !root.has_tag_name("Response") {
        return Err(format!("<{}> is not <Response>", root.tag_name().name()));
    }
    root.children().filter(Node::is_element).map(verb).collect()
}

/// An address as the carrier understands it: relative ones are taken from the document's own.
pub fn resolve(base: &str, address: &str) -> String {
    if address.is_empty() {
        return base.to_owned();
    }
    if address.contains("://") {
        return address.to_owned();
    }
    let path_from = base
        .find("://")
        .and_then(|scheme| base[scheme + 3..].find('/').map(|slash| scheme + 3 + slash))
        .unwrap_or(base.len());
    if address.starts_with('/') {
        return format!("{}{address}", &base[..path_from]);
    }
    let folder = base[path_from..]
        .rfind('/')
        .map_or(path_from, |slash| path_from + slash);
    format!("{}/{address}", &base[..folder])
}

fn verb(node: Node<'_, '_>) -> Result<Verb, String> {
    let said = node.text().unwrap_or_default().trim();
    Ok(match node.tag_name().name() {
        "Connect" => Verb::Connect(connect(node)?),
        "Say" => Verb::Say(said.to_owned()),
        "Pause" => Verb::Pause {
            ms: match node.attribute("length") {
                None => 1000,
                Some(length) => length
                    .parse::<u64>()
                    .map_err(|_| format!("<Pause length={length:?}> is not a number of seconds"))?
                    .saturating_mul(1000),
            },
        },
        "Dial" => Verb::Dial(dial(node)?),
        "Hangup" => Verb::Hangup,
        "Reject" => Verb::Reject,
        "Redirect" => Verb::Redirect(said.to_owned()),
        other => Verb::Other(other.to_owned()),
    })
}

fn dial(node: Node<'_, '_>) -> Result<Dial, String> {
    let number = node.children().find(|child| child.has_tag_name("Number"));
    let number = number.unwrap_or(node).text().unwrap_or_default().trim();
    if number.is_empty() {
        return Err("<Dial> without a number".to_owned());
    }
    let limit_s = match node.attribute("timeLimit") {
        None => LEG_LIMIT_S,
        Some(limit) => limit
            .parse()
            .map_err(|_| format!("<Dial timeLimit={limit:?}> is not a number of seconds"))?,
    };
    Ok(Dial {
        number: number.to_owned(),
        limit_ms: limit_s.saturating_mul(1000),
        action: node.attribute("action").map(str::to_owned),
    })
}

fn connect(node: Node<'_, '_>) -> Result<Connect, String> {
    let stream = node
        .children()
        .find(|child| child.has_tag_name("Stream"))
        .ok_or("<Connect> without a <Stream>")?;
    let url = stream.attribute("url").ok_or("<Stream> without a url")?;
    if !matches!(stream.attribute("track"), None | Some("inbound_track")) {
        return Err("<Connect> streams the inbound_track only (31941)".to_owned());
    }
    let parameters = stream
        .children()
        .filter(|child| child.has_tag_name("Parameter"))
        .map(|parameter| {
            let name = parameter
                .attribute("name")
                .ok_or("<Parameter> without a name")?;
            let value = parameter.attribute("value").unwrap_or_default();
            if name.len() + value.len() >= 500 {
                return Err(format!(
                    "<Parameter name={name:?}> is 500 characters or longer"
                ));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<_, String>>()?;
    Ok(Connect {
        action: node.attribute("action").map(str::to_owned),
        url: url.to_owned(),
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_a_list_of_verbs() {
        let verbs = read(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <Connect action="/ended"><Stream url="wss://bot.example.com/media/7f3c" name="x">
                <Parameter name="from" value="+14155550123"/></Stream></Connect>
              <Say voice="Polly">Good &amp; bye</Say><Pause/><Pause length="2"/>
              <Redirect>https://other.example.com/</Redirect><Dial>+15005550009</Dial><Hangup/>
            </Response>"#,
        );
        let connect = Connect {
            action: Some("/ended".to_owned()),
            url: "wss://bot.example.com/media/7f3c".to_owned(),
            parameters: vec![("from".to_owned(), "+14155550123".to_owned())],
        };
        assert_eq!(
            verbs,
            Ok(vec![
                Verb::Connect(connect),
                Verb::Say("Good & bye".to_owned()),
                Verb::Pause { ms: 1000 },
                Verb::Pause { ms: 2000 },
                Verb::Redirect("https://other.example.com/".to_owned()),
                Verb::Dial(Dial {
                    number: "+15005550009".to_owned(),
                    limit_ms: 14_400_000,
                    action: None,
                }),
                Verb::Hangup,
            ])
        );
    }

    #[test]
    fn what_the_carrier_could_not_read_is_refused() {
        for (body, word) in [
            ("", "XML"),
            ("{}", "XML"),
            ("<Response>", "XML"),
            ("<Answer/>", "<Answer>"),
            ("<Response><Connect/></Response>", "without a <Stream>"),
            ("<Response><Connect><Stream/></Connect></Response>", "url"),
            (
                r#"<Response><Connect><Stream url="wss://a/b" track="both_tracks"/></Connect></Response>"#,
                "31941",
            ),
            (r#"<Response><Pause length="a"/></Response>"#, "seconds"),
        ] {
            let refused = read(body).expect_err(body);
            assert!(refused.contains(word), "{body}: {refused}");
        }
    }

    #[test]
    fn addresses_are_relative_to_the_document() {
        let base = "https://bot.example.com/twilio/voice";
        for (address, expected) in [
            ("https://x.example/y", "https://x.example/y"),
            ("/ended", "https://bot.example.com/ended"),
            ("ended", "https://bot.example.com/twilio/ended"),
            ("", base),
        ] {
            assert_eq!(resolve(base, address), expected);
        }
        assert_eq!(resolve("https://bot", "ended"), "https://bot/ended");
    }
}

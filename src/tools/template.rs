//! Where a function is: an address with places in its path that arguments fill.
//!
//! Arguments come out of a model that a stranger talks to. Whatever is put into a place stays one step of the path: it is
//! percent-encoded letter by letter, it cannot be empty or a step up, and the finished address is compared with the
//! template before it is used.

use reqwest::Url;
use serde_json::{Map, Value};
use std::fmt::Write;

/// An address such as `https://shop.example.com/orders/{order}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Everything before the path, without a slash: `https://shop.example.com`.
    origin: String,
    /// The steps of the path.
    steps: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it is written.
    Text(String),
    /// Filled by the argument of this name.
    Argument(String),
}

impl Template {
    /// Reads an address that is known to be one but for its places.
    ///
    /// # Errors
    /// What is wrong with its places, in words for its author.
    pub fn parse(text: &str) -> Result<Template, &'static str> {
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        let path_at = text[after_scheme..]
            .find('/')
            .map_or(text.len(), |at| after_scheme + at);
        let (origin, path) = text.split_at(path_at);
        if origin.contains(['{', '}']) {
            return Err("a place for an argument may stand in the path only");
        }
        let steps = path.split('/').skip(1).map(|step| {
            if matches!(step, "." | "..") {
                return Err("the path must not go up or stay");
            }
            pieces(step)
        });
        let template = Template {
            origin: origin.to_string(),
            steps: steps.collect::<Result<_, _>>()?,
        };
        Ok(template)
    }

    /// The arguments it takes.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flatten().filter_map(|piece| match piece {
            Piece::Argument(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills the places, and takes the arguments that filled them out of `arguments`.
    ///
    /// # Errors
    /// Why they cannot be filled, in words for the model.
    pub fn fill(&self, arguments: &mut Map<String, Value>) -> Result<Url, String> {
        let mut text = self.origin.clone();
        for step in &self.steps {
            text.push('/');
            let start = text.len();
            for piece in step {
                match piece {
                    Piece::Text(written) => text.push_str(written),
                    Piece::Argument(name) => encode(&filling(name, arguments)?, &mut text),
                }
            }
            if matches!(&text[start..], "." | "..") {
                return Err("An argument must not be a dot or two.".to_string());
            }
        }
        let unfit = || "The arguments do not make an address.".to_string();
        let url = Url::parse(&text).map_err(|_| unfit())?;
        let plain = Url::parse(&self.origin).map_err(|_| unfit())?;
        // An address always has a path: one step, if none is written.
        let steps = url.path_segments().map_or(0, Iterator::count);
        if url.origin() != plain.origin() || steps != self.steps.len().max(1) {
            return Err(unfit());
        }
        for name in self.arguments() {
            arguments.remove(name);
        }
        Ok(url)
    }
}

fn pieces(step: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = step;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or("a { is not closed by a }")?;
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return Err("a place for an argument is written {name}");
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_string()));
        }
        pieces.push(Piece::Argument(name.to_string()));
        rest = behind;
    }
    if rest.contains('}') {
        return Err("a place for an argument is written {name}");
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_string()));
    }
    Ok(pieces)
}

/// The text of an argument that fills a place.
fn filling(name: &str, arguments: &Map<String, Value>) -> Result<String, String> {
    match arguments.get(name) {
        Some(Value::String(text)) if text.is_empty() => Err(format!("{name} must not be empty.")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{name} must be text or a number."))
        }
    }
}

/// Everything but what RFC 3986, section 2.3 calls unreserved is written as `%XX`.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                into.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => drop(write!(into, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &str, arguments: Value) -> Result<String, String> {
        let Value::Object(mut arguments) = arguments else {
            panic!("not an object");
        };
        let template = Template::parse(template).expect("a template");
        template.fill(&mut arguments).map(String::from)
    }

    #[test]
    fn an_argument_stays_one_step_of_the_path() {
        let at = "https://shop.example.com/orders/{order}/lines";
        for (order, path) in [
            ("A 7", "A%207"),
            ("../../x?y", "..%2F..%2Fx%3Fy"),
            ("a#b%2e%2e", "a%23b%252e%252e"),
            ("\t\n\\", "%09%0A%5C"),
            ("ä@evil.com:1", "%C3%A4%40evil.com%3A1"),
        ] {
            let expected = format!("https://shop.example.com/orders/{path}/lines");
            assert_eq!(filled(at, json!({"order": order})), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_a_step_is_refused() {
        for order in [json!("."), json!(".."), json!(""), json!(null), json!([1])] {
            let arguments = json!({"order": order});
            assert!(filled("https://a.test/{order}", arguments).is_err());
        }
        let dots = json!({"a": ".", "b": "."});
        assert!(filled("https://a.test/{a}{b}", dots).is_err());
        assert!(filled("https://a.test/{order}", json!({})).is_err());
    }

    #[test]
    fn pieces_numbers_and_bare_hosts_are_taken() {
        let arguments = json!({"a": 7, "b": true, "c": "x"});
        assert_eq!(
            filled("http://127.0.0.1:80/v{a}-{b}.json", arguments).as_deref(),
            Ok("http://127.0.0.1/v7-true.json")
        );
        for bare in ["https://a.test", "https://a.test/"] {
            assert_eq!(filled(bare, json!({})).as_deref(), Ok("https://a.test/"));
        }
    }

    #[test]
    fn an_argument_that_stands_in_the_path_is_not_sent_again() {
        let template = Template::parse("https://a.test/{order}").expect("a template");
        let Value::Object(mut arguments) = json!({"order": "1", "all": true}) else {
            panic!("not an object");
        };
        template.fill(&mut arguments).expect("fills");
        assert_eq!(Value::from(arguments), json!({"all": true}));
    }

    #[test]
    fn a_template_that_is_none_says_so() {
        for wrong in [
            "https://{host}.test/x",
            "https://a.test/{x",
            "https://a.test/x}",
            "https://a.test/{}",
            "https://a.test/{{x}}",
            "https://a.test/../x",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}

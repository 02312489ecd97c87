//! Tells Twilio from everybody else who knows our address.
//!
//! `X-Twilio-Signature` is base64(HMAC-SHA1(auth token, S)), where S is the address as Twilio was told it, followed for
//! a form by every name and value in the order of the names. The address is put together from the configured public
//! one, never from `Host` or `X-Forwarded-*`, which anybody can write. A signature has no date in it and can be sent
//! again: that a call is offered only once is for those above to watch.

use super::webhook;
use crate::carrier::{Forged, Request};
use crate::units::Secret;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An address without path, in the two spellings Twilio may have signed.
///
/// Twilio's own validators try the address without its port and with one, where the port that stands for "none" is 443
/// for `https` and 80 for everything else, `wss` included. So a signature over `wss://host:443` fits nothing, there as here.
pub(super) struct Origin {
    url: String,
    bare: String,
    ported: String,
}

impl Origin {
    /// From an address such as `https://bot.example.com`, without a slash at the end.
    pub(super) fn new(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // A colon inside a user's password or an IPv6 address does not begin a port.
        let host = authority.rfind(['@', ']']).map_or(0, |at| at + 1);
        let colon = authority[host..].find(':').map(|at| host + at);
        let (name, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let port = if port.is_empty() { usual } else { port };
        Origin {
            url: url.to_string(),
            bare: format!("{scheme}://{name}{path}"),
            ported: format!("{scheme}://{name}{port}{path}"),
        }
    }

    /// The same place, reached by a WebSocket: `wss` for `https`, `ws` for `http`.
    pub(super) fn of_sockets(&self) -> Self {
        match self.url.strip_prefix("http") {
            Some(rest) => Origin::new(&format!("ws{rest}")),
            None => Origin::new(&self.url),
        }
    }

    /// The address as configured.
    pub(super) fn as_str(&self) -> &str {
        &self.url
    }
}

/// Checks that Twilio sent this request to this origin, in time that does not depend on what the signature should be.
pub(super) fn verify(token: &Secret, origin: &Origin, request: &Request<'_>) -> Result<(), Forged> {
    // The newer schemes announce themselves here (HMAC-SHA256 with a key of its own); to guess at them would be to trust them.
    if let Some(scheme) = (request.header)("x-twilio-webhooks-signature-settings")
        && !names_sha1(scheme)
    {
        return Err(Forged::UnknownScheme);
    }
    let signature = (request.header)("x-twilio-signature").unwrap_or_default();
    if signature.is_empty() {
        return Err(Forged::Unsigned);
    }
    let form = match body(request) {
        Body::Form => webhook::pairs(request.body),
        Body::Hashed(hash) if same(&hash, &hex(&Sha256::digest(request.body))) => Vec::new(),
        Body::Ignored => Vec::new(),
        Body::Hashed(_) | Body::Unprotected => return Err(Forged::WrongSignature),
    };
    let form = canonical(form);
    let sign = |origin: &str| sign(token, &[origin, request.path_and_query, &form]);
    let (Some(bare), Some(ported)) = (sign(&origin.bare), sign(&origin.ported)) else {
        return Err(Forged::WrongSignature);
    };
    if same(signature, &bare) | same(signature, &ported) {
        Ok(())
    } else {
        Err(Forged::WrongSignature)
    }
}

/// Whether `key=…,algorithm=…` names the one scheme that is verified here.
fn names_sha1(scheme: &str) -> bool {
    let algorithm = scheme
        .split(',')
        .find_map(|part| part.trim().strip_prefix("algorithm="));
    algorithm.is_some_and(|name| name.eq_ignore_ascii_case("HMAC_SHA1"))
}

/// How a request's body takes part in its signature.
enum Body {
    /// By its fields.
    Form,
    /// By its SHA-256, which the signed address carries in hexadecimal.
    Hashed(String),
    /// Not at all, for there is none or nobody will read it.
    Ignored,
    /// Not at all, although somebody might read it.
    Unprotected,
}

fn body(request: &Request<'_>) -> Body {
    if request.method != "POST" {
        return Body::Ignored;
    }
    if webhook::is_form(request) {
        return Body::Form;
    }
    let hash = webhook::pairs(webhook::query(request))
        .into_iter()
        .find(|(name, _)| name == "bodySHA256");
    hash.map_or(Body::Unprotected, |(_, hash)| {
        Body::Hashed(hash.into_owned())
    })
}

/// Names and values by the order of the names; a name that comes several times gives each of its values once, in order.
fn canonical(mut form: Vec<webhook::Pair<'_>>) -> String {
    form.sort_unstable();
    form.dedup();
    let parts = form.iter().flat_map(|(name, value)| [&**name, &**value]);
    parts.collect()
}

/// The signature of the parts put together; `None` when there is no token, for then anybody could make it.
fn sign(token: &Secret, parts: &[&str]) -> Option<String> {
    let token = token.reveal().as_bytes();
    if token.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token).ok()?;
    for part in parts {
        mac.update(part.as_bytes());
    }
    Some(base64_simd::STANDARD.encode_to_string(mac.finalize().into_bytes()))
}

fn same(theirs: &str, ours: &str) -> bool {
    theirs.as_bytes().ct_eq(ours.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Forged::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const FORM: &str = "application/x-www-form-urlencoded";

    /// One request of the test vectors; the expectation is told for each signature tried on it.
    struct Case {
        token: &'static str,
        origin: Origin,
        method: &'static str,
        path: &'static str,
        kind: Option<&'static str>,
        body: String,
        settings: Option<&'static str>,
    }

    impl Case {
        fn get(origin: &str, path: &'static str) -> Case {
            Case {
                token: TOKEN,
                origin: Origin::new(origin),
                method: "GET",
                path,
                kind: None,
                body: String::new(),
                settings: None,
            }
        }

        fn post(origin: &str, path: &'static str, fields: &[(&str, &str)]) -> Case {
            let mut body = form_urlencoded::Serializer::new(String::new());
            Case {
                method: "POST",
                kind: Some(FORM),
                body: body.extend_pairs(fields).finish(),
                ..Case::get(origin, path)
            }
        }

        fn try_with(&self, signature: Option<&str>) -> Result<(), Forged> {
            let header = |name: &str| match name {
                "x-twilio-signature" => signature,
                "x-twilio-webhooks-signature-settings" => self.settings,
                "content-type" => self.kind,
                _ => None,
            };
            let request = Request {
                method: self.method,
                path_and_query: self.path,
                body: self.body.as_bytes(),
                header: &header,
            };
            verify(
                &Secret::from(self.token.to_string()),
                &self.origin,
                &request,
            )
        }

        fn check(&self, expectations: &[(&str, Result<(), Forged>)]) {
            for (signature, expected) in expectations {
                assert_eq!(self.try_with(Some(signature)), *expected, "{signature}");
            }
        }
    }

    const VOICE: &[(&str, &str)] = &[
        ("AccountSid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", "CA00000000000000000000000000000001"),
        ("CallStatus", "ringing"),
        ("Called", "+15005550006"),
        ("Caller", "+14155550123"),
        ("CallerCity", ""),
        ("Direction", "inbound"),
        ("From", "+14155550123"),
        ("StirVerstat", "TN-Validation-Passed-A"),
        ("To", "+15005550006"),
    ];
    const PLAIN: &str = "12n6kxZJPd78p1Vn++SAgxP6VOw=";
    const WITH_443: &str = "2v4D1ydNWgjoYPvwSeEVIHBBYSw=";
    const WITH_SLASH: &str = "PELnvqRLusIamIo9BtzduNpyeu8=";
    const OVER_HTTP: &str = "oyv/TAaS/pecBC3vtn//aG+ETJ0=";
    const SHA256: &str = "0ZWIGFWo9HwMtFY36878LaHSmlZ3zwchX044TgD8VlQ=";

    #[test]
    fn a_webhook_fits_its_address_with_and_without_the_port_and_no_other_spelling() {
        let call = Case::post("https://bot.example.com", "/twilio/voice", VOICE);
        call.check(&[
            (PLAIN, Ok(())),
            (WITH_443, Ok(())),
            (WITH_SLASH, Err(WrongSignature)),
            (OVER_HTTP, Err(WrongSignature)),
            (SHA256, Err(WrongSignature)),
            ("", Err(Unsigned)),
            ("12n6kxZJPd78p1Vn++SAgxP6VOw", Err(WrongSignature)),
        ]);
        assert_eq!(call.try_with(None), Err(Unsigned));

        let with_port = Case::post("https://bot.example.com:443", "/twilio/voice", VOICE);
        with_port.check(&[(PLAIN, Ok(())), (WITH_443, Ok(()))]);
        let slash = Case::post("https://bot.example.com", "/twilio/voice/", VOICE);
        slash.check(&[(WITH_SLASH, Ok(())), (PLAIN, Err(WrongSignature))]);
        let http = Case::post("http://bot.example.com", "/twilio/voice", VOICE);
        http.check(&[(OVER_HTTP, Ok(())), (PLAIN, Err(WrongSignature))]);
    }

    #[test]
    fn a_field_changed_added_or_left_out_breaks_the_signature_and_their_order_does_not() {
        let post = |fields: &[_]| Case::post("https://bot.example.com", "/twilio/voice", fields);
        let mut turned = VOICE.to_vec();
        turned.reverse();
        post(&turned).check(&[(PLAIN, Ok(()))]);
        let mut changed = VOICE.to_vec();
        changed[8].1 = "+14155550124";
        post(&changed).check(&[(PLAIN, Err(WrongSignature))]);
        post(&VOICE[1..]).check(&[(PLAIN, Err(WrongSignature))]);
        let added = [VOICE, &[("Extra", "1")]].concat();
        post(&added).check(&[(PLAIN, Err(WrongSignature))]);
    }

    #[test]
    fn another_scheme_is_refused_by_its_name_and_not_tried() {
        let mut call = Case::post("https://bot.example.com", "/twilio/voice", VOICE);
        call.settings = Some("key=KY1,algorithm=HMAC_SHA256");
        call.check(&[(SHA256, Err(UnknownScheme)), (PLAIN, Err(UnknownScheme))]);
        call.settings = Some("");
        call.check(&[(PLAIN, Err(UnknownScheme))]);
        call.settings = Some("key=KY1, algorithm=HMAC_SHA1");
        call.check(&[(PLAIN, Ok(())), (SHA256, Err(WrongSignature))]);
    }

    #[test]
    fn without_a_token_nothing_is_believed() {
        let mut call = Case::post("https://bot.example.com", "/twilio/voice", VOICE);
        call.token = "";
        let mac = Hmac::<Sha1>::new_from_slice(b"").unwrap();
        let mut mac = mac.chain_update("https://bot.example.com/twilio/voice");
        let fields = VOICE
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        mac.update(canonical(fields.collect()).as_bytes());
        let forged = base64_simd::STANDARD.encode_to_string(mac.finalize().into_bytes());
        call.check(&[(&forged, Err(WrongSignature)), (PLAIN, Err(WrongSignature))]);
    }

    #[test]
    fn a_get_is_signed_over_its_query() {
        let signature = "jdbAC1rCiDmU6mrSHxpsAyyHlq4=";
        let path = "/twilio/status?tenant=acme&CallSid=CA00000000000000000000000000000001&CallStatus=completed&CallDuration=61";
        let mut status = Case::get("https://bot.example.com", path);
        status.check(&[(signature, Ok(()))]);
        status.path = "/twilio/status?tenant=acme&CallSid=CA00000000000000000000000000000001&CallStatus=completed&CallDuration=62";
        status.check(&[(signature, Err(WrongSignature))]);
    }

    #[test]
    fn a_json_body_is_covered_by_its_hash_in_the_address() {
        let signature = "FcXV0T20aAncX6cKIMdgYuLPZrU=";
        let path = "/twilio/json?bodySHA256=8a39d0eb3d7aabc83fe3449d77deb4f1773a68b59711b315d1248bd936d707c6";
        let mut json = Case {
            method: "POST",
            kind: Some("application/json; charset=utf-8"),
            body: r#"{"CallSid":"CA00000000000000000000000000000001","event":"x"}"#.to_string(),
            ..Case::get("https://bot.example.com", path)
        };
        json.check(&[(signature, Ok(())), (PLAIN, Err(WrongSignature))]);
        json.body.push(' ');
        json.check(&[(signature, Err(WrongSignature))]);

        // Without a hash the body is anybody's, even where the address alone is signed well.
        let mut bare = Case::get("https://bot.example.com", "/twilio/json");
        let parts = ["https://bot.example.com", "/twilio/json"];
        let signature = sign(&Secret::from(TOKEN.to_string()), &parts).unwrap();
        bare.check(&[(&signature, Ok(()))]);
        (bare.method, bare.kind) = ("POST", Some("application/json"));
        bare.check(&[(&signature, Err(WrongSignature))]);
    }

    #[test]
    fn a_handshake_fits_the_scheme_of_a_socket_and_never_port_443() {
        const MEDIA: &str = "N8NBTxScIsvr8ONZpYvtOS2P6fw=";
        const MEDIA_SLASH: &str = "aVFmw59krsHfzO2r8LgsWxSBUWY=";
        const HTTPS: &str = "8IwqM3PQAImGFlOY6lIEODzOXe0=";
        const MEDIA_443: &str = "yCa6LUX/TxxrKP7pqUEDIEvZgpA=";
        const NO_PATH: &str = "hkvXhTmbWAo2SKnYGYonJ3ShzPM=";
        const ROOT: &str = "P7z+QiaOhEe6bUDQLatZg6RYjaw=";
        let wrong = Err(WrongSignature);
        let dial = |origin: &str, path| Case {
            origin: Origin::new(origin).of_sockets(),
            ..Case::get(origin, path)
        };
        let all = [MEDIA, MEDIA_SLASH, HTTPS, MEDIA_443, NO_PATH, ROOT];
        for (origin, path, fit) in [
            ("https://bot.example.com", "/media", vec![MEDIA]),
            ("https://bot.example.com", "/media/", vec![MEDIA_SLASH]),
            ("https://bot.example.com", "/", vec![ROOT]),
            ("https://bot.example.com", "", vec![NO_PATH]),
            (
                "https://bot.example.com:443",
                "/media",
                vec![MEDIA, MEDIA_443],
            ),
            ("http://bot.example.com", "/media", vec![]),
        ] {
            let case = dial(origin, path);
            let expected = |signature: &&str| {
                if fit.contains(signature) {
                    Ok(())
                } else {
                    wrong
                }
            };
            case.check(&all.map(|signature| (signature, expected(&signature))));
        }
        Case::get("https://bot.example.com", "/media").check(&[(HTTPS, Ok(())), (MEDIA, wrong)]);
    }

    #[test]
    fn a_name_that_repeats_gives_each_value_once_and_text_is_signed_as_utf_8() {
        let fields = [
            ("Digits", "2"),
            ("Digits", "1"),
            ("Digits", "2"),
            ("SpeechResult", "café & co"),
        ];
        let call = Case::post("https://bot.example.com", "/x", &fields);
        assert!(call.body.contains("caf%C3%A9+%26+co"));
        call.check(&[("onz449Rto0vP6yx6mGseAYQdeK0=", Ok(()))]);
    }

    #[test]
    fn twilios_own_published_example_is_accepted() {
        let fields = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ];
        let mut call = Case::post("https://mycompany.com", "/myapp.php?foo=1&bar=2", &fields);
        call.check(&[("RSOYDt4T1cUTdK1PDd93/VVr8B8=", Err(WrongSignature))]);
        call.token = "12345";
        call.check(&[("RSOYDt4T1cUTdK1PDd93/VVr8B8=", Ok(()))]);
    }

    #[test]
    fn the_port_is_found_wherever_an_address_has_one() {
        for (url, bare, ported) in [
            ("https://h", "https://h", "https://h:443"),
            ("http://h", "http://h", "http://h:80"),
            ("wss://h", "wss://h", "wss://h:80"),
            ("https://h:8443/bot", "https://h/bot", "https://h:8443/bot"),
            ("http://[::1]:8080", "http://[::1]", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]", "http://[::1]:80"),
            ("https://u:p@h", "https://u:p@h", "https://u:p@h:443"),
        ] {
            let origin = Origin::new(url);
            assert_eq!((&*origin.bare, &*origin.ported), (bare, ported), "{url}");
        }
    }
}

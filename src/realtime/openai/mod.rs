//! OpenAI's Realtime protocol, as it is since its general availability.
//!
//! The wire tells far more than a call must know, and changes without notice: every field here is optional, every event
//! may be new. Only three things are asked of it without mercy: that a session runs by our settings before anything
//! billable is sent ([`echo`]), that a bill is never read as less than it says ([`usage`]), and that the provider's prose,
//! which may quote a key, goes nowhere ([`errors`]).

pub(super) mod echo;
mod errors;
pub(super) mod raw;
mod read;
mod shape;
mod sounds;
mod usage;
pub(super) mod write;

pub(super) use raw::Raw;
pub(super) use shape::Shape;

use super::{
    Address, Capabilities, Code, Command, Dialect, Event, Garbled, Loss, Profile, Session,
};
use crate::audio::Format;
use crate::units::Secret;
use sounds::Sounds;
use std::sync::Arc;

/// The dialect of OpenAI itself.
pub const PROFILE: Profile = Profile {
    name: "openai",
    about: "OpenAI's Realtime protocol",
    key_env: "OPENAI_API_KEY",
    url: Some("wss://api.openai.com/v1/realtime"),
    refuses: |_| None,
    versioned: |_| false,
    can: Capabilities::ALL,
    new: |session| Box::new(OpenAi::new(session)),
};

/// Today's names, at addresses of one kind.
pub(super) const fn today(address: fn(&Session) -> Address) -> Shape {
    Shape {
        address,
        event: |kind| kind,
        words: "output_text",
        configure: write::configure,
        compare: echo::compare,
        respond: write::respond,
    }
}

const TODAY: Shape = today(address);

/// The codec of one session.
pub struct OpenAi {
    session: Arc<Session>,
    shape: &'static Shape,
    sounds: Sounds,
    last_words: Option<LastWords>,
}

/// What an `error` announced about the close that follows it.
enum LastWords {
    /// Nobody of ours will be served.
    Refused(Code),
    /// The session is as old as a session may be.
    Expired,
}

impl OpenAi {
    /// The codec of a session that is yet to be opened.
    pub fn new(session: Arc<Session>) -> Self {
        OpenAi::speaking(session, &TODAY)
    }

    /// The same, spoken in another way.
    pub(super) fn speaking(session: Arc<Session>, shape: &'static Shape) -> Self {
        OpenAi {
            shape,
            sounds: Sounds::of(session.audio),
            session,
            last_words: None,
        }
    }
}

/// Where the provider itself is, with a model's name in the query and the key in a header.
pub(super) fn address(session: &Session) -> Address {
    let bearer = format!("Bearer {}", session.api_key.reveal());
    Address {
        url: format!("{}?model={}", session.url, encoded(&session.model)),
        headers: vec![("Authorization", Secret::from(bearer))],
    }
}

/// A name as it stands in a query.
pub(super) fn encoded(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

impl Dialect for OpenAi {
    fn address(&self) -> Address {
        (self.shape.address)(&self.session)
    }

    fn format(&self) -> Format {
        self.session.audio
    }

    fn read(&mut self, frame: &str, sound: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        self.read_frame(frame, sound)
    }

    /// The handshake proves nothing: a bad key or an unknown model is let in, told so in an `error`, and closed with 3000 or 4000
    /// and a reason `<type>.<code>` (facts: section 1.1). An `error` that announced the close outweighs the close.
    fn closed(&mut self, code: Option<u16>, reason: &str) -> Loss {
        match (self.last_words.take(), code) {
            (Some(LastWords::Refused(code)), _) => Loss::Refused(code),
            (Some(LastWords::Expired), _) | (None, Some(1001)) => Loss::Expired,
            (None, Some(code @ (3000 | 4000))) => {
                let said = reason.rsplit('.').next().and_then(errors::code);
                let whole = errors::code(reason).and(said);
                Loss::Refused(whole.unwrap_or_else(|| Code::new(&format!("close_{code}"))))
            }
            (None, _) => Loss::Dropped,
        }
    }

    fn refused(&self, http_status: u16) -> Loss {
        match http_status {
            400 | 401 | 403 => Loss::Refused(Code::new(&format!("http_{http_status}"))),
            _ => Loss::Unreachable(format!("HTTP {http_status}")),
        }
    }

    fn write(&mut self, command: &Command, sound: &[u8], out: &mut dyn FnMut(&str)) {
        self.write_frames(command, sound, out);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::realtime::{DIALECTS, Tool, TurnDetection};

    /// Settings that use every field there is.
    pub(in crate::realtime) fn session() -> Session {
        Session {
            url: "wss://api.openai.com/v1/realtime".into(),
            model: "gpt-realtime-2.1".into(),
            priced_as: "gpt-realtime-2.1".into(),
            can: Capabilities::ALL,
            api_key: Secret::from("sk-test".to_string()),
            voice: "marin".into(),
            instructions: "You answer the phone for \"Acme\".".into(),
            audio: Format::Pcm16 { rate: 24_000 },
            transcription: Some("gpt-4o-mini-transcribe".into()),
            max_output_tokens: 1024,
            post_instructions: Some(2000),
            tools: vec![Tool {
                name: "order-status".into(),
                description: "Look up an order by its number.".into(),
                parameters: serde_json::json!({"type": "object", "required": ["order"]}),
            }],
            turn_detection: TurnDetection {
                threshold_milli: 500,
                prefix_padding_ms: 300,
                silence_duration_ms: 500,
                interrupt_response: true,
            },
        }
    }

    pub(in crate::realtime) fn codec() -> OpenAi {
        OpenAi::new(Arc::new(session()))
    }

    /// A complaint of this kind, as the provider writes it.
    fn complain(codec: &mut OpenAi, code: &str) {
        let frame = format!(
            r#"{{"type":"error","error":{{"type":"invalid_request_error","code":"{code}","message":"Incorrect API key provided: sk-***abcd."}}}}"#
        );
        let event = codec.read(&frame, &mut Vec::new());
        assert!(matches!(event, Ok(Some(Event::Complained(_)))));
    }

    #[test]
    fn the_address_names_the_model_and_hides_the_key() {
        let mut session = session();
        session.model = "my model/v2&x=1".into();
        let address = (DIALECTS[0].new)(Arc::new(session)).address();
        assert_eq!(
            address.url,
            "wss://api.openai.com/v1/realtime?model=my+model%2Fv2%26x%3D1"
        );
        assert_eq!(address.headers[0].0, "Authorization");
        assert_eq!(address.headers[0].1.reveal(), "Bearer sk-test");
        assert!(!format!("{address:?}").contains("sk-test"));
    }

    #[test]
    fn a_close_says_whether_another_session_may_work() {
        let refused = |code| Loss::Refused(Code::new(code));
        for (code, reason, loss) in [
            (
                Some(3000),
                "invalid_request_error.invalid_api_key",
                refused("invalid_api_key"),
            ),
            (
                Some(4000),
                "invalid_request_error.invalid_model",
                refused("invalid_model"),
            ),
            (Some(4000), "invalid_model", refused("invalid_model")),
            (Some(3000), "", refused("close_3000")),
            (
                Some(3000),
                "Incorrect API key provided: sk-***.abcd",
                refused("close_3000"),
            ),
            (Some(1001), "Your session hit the maximum.", Loss::Expired),
            (Some(1000), "", Loss::Dropped),
            (Some(1011), "internal", Loss::Dropped),
            (None, "", Loss::Dropped),
        ] {
            assert_eq!(codec().closed(code, reason), loss, "{code:?} {reason}");
        }
    }

    #[test]
    fn a_fatal_error_outweighs_the_close_that_follows_it() {
        let mut codec = codec();
        complain(&mut codec, "insufficient_quota");
        complain(&mut codec, "item_not_found");
        let loss = codec.closed(Some(1000), "");
        assert_eq!(loss, Loss::Refused(Code::new("insufficient_quota")));
        assert_eq!(codec.closed(None, ""), Loss::Dropped, "once is enough");
    }

    #[test]
    fn an_announced_expiry_is_an_expiry_however_the_socket_ends() {
        let mut codec = codec();
        complain(&mut codec, "session_expired");
        assert_eq!(codec.closed(None, ""), Loss::Expired);
    }

    #[test]
    fn an_answer_other_than_101_is_a_refusal_or_an_outage() {
        for status in [400, 401, 403] {
            let code = Code::new(&format!("http_{status}"));
            assert_eq!(codec().refused(status), Loss::Refused(code));
        }
        let outage = Loss::Unreachable("HTTP 503".into());
        assert_eq!(codec().refused(503), outage);
    }
}

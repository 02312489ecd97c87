//! Who is let in, at which address, and in which words the session will be.
//!
//! The provider's own address accepts every upgrade and says afterwards why it will not serve. The cloud that serves the
//! same models under names of its customers' choosing has two more, one for each generation of the protocol, and
//! says no at once.

use super::wire::Fault;
use super::{Model, Out};

/// Whose address it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum House {
    /// The provider's own: `/v1/realtime?model=…`.
    #[default]
    OpenAi,
    /// The cloud's: `/openai/v1/realtime?model=…` and, in the older words, `/openai/realtime?api-version=…&deployment=…`.
    Azure,
}

/// What an address asks for.
#[derive(Debug)]
pub struct Request {
    house: House,
    older: bool,
    /// The model's name, or that of a deployment.
    named: String,
    key: String,
}

impl Request {
    /// Reads an address.
    ///
    /// # Errors
    /// The HTTP status that refuses the upgrade: 404 for another path, 401 without a key, 400 without an `api-version` where
    /// there must be one.
    pub fn read(path_and_query: &str, authorization: Option<&str>) -> Result<Request, u16> {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let (house, older) = match path {
            _ if path.ends_with("/openai/v1/realtime") => (House::Azure, false),
            _ if path.ends_with("/openai/realtime") => (House::Azure, true),
            _ if path.ends_with("/v1/realtime") => (House::OpenAi, false),
            _ => return Err(404),
        };
        let asked = |wanted: &str| {
            let mut all = form_urlencoded::parse(query.as_bytes());
            all.find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let key = authorization
            .ok_or(401_u16)?
            .trim_start_matches("Bearer ")
            .trim();
        if older && asked("api-version").is_none_or(|version| version.is_empty()) {
            return Err(400);
        }
        let named = asked(if older { "deployment" } else { "model" });
        Ok(Request {
            house,
            older,
            named: named.unwrap_or_default(),
            key: key.to_string(),
        })
    }
}

impl Model {
    /// Opens the session. Like the provider it accepts the upgrade first, and says afterwards why it will not serve; at the
    /// cloud's addresses it refuses the upgrade.
    ///
    /// # Errors
    /// The HTTP status that refuses the upgrade: 401 without a key, 404 for another path; at the cloud's addresses also 401
    /// for a wrong key and 400 for a model that is not deployed.
    pub fn connect(
        &mut self,
        now_ms: u64,
        path_and_query: &str,
        authorization: Option<&str>,
        beta_header: bool,
    ) -> Result<(), u16> {
        let request = Request::read(path_and_query, authorization)?;
        let accepted = match &self.setup.accept_key {
            Some(wanted) => request.key == *wanted,
            None => !request.key.is_empty(),
        };
        self.house = request.house;
        self.older = request.older || self.setup.behaviour.older && request.house == House::OpenAi;
        let model = self.deployed(&request.named);
        if self.house == House::Azure {
            match model {
                _ if !accepted => return Err(401),
                Some(_) => {}
                None => return Err(400),
            }
        }
        self.now = now_ms;
        self.over = false;
        if !accepted {
            // The provider quotes the end of the key; whoever logs its prose leaks it.
            let skipped = request.key.chars().count().saturating_sub(4);
            let tail: String = request.key.chars().skip(skipped).collect();
            let said = format!("Incorrect API key provided: ****{tail}.");
            self.turn_away(3000, &Fault::new("invalid_api_key", said));
        } else if beta_header && !self.older {
            let said = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.";
            self.turn_away(4000, &Fault::new("beta_api_shape_disabled", said));
        } else if let Some(model) = model {
            self.begin(&model);
        } else {
            let said = format!(
                "Model \"{}\" is not supported in realtime mode.",
                request.named
            );
            self.turn_away(4000, &Fault::new("invalid_model", said));
        }
        Ok(())
    }

    /// The model that a name stands for; `None`: there is none.
    fn deployed(&self, name: &str) -> Option<String> {
        let model = self.stands_for(name);
        self.setup.prices.has(model).then(|| model.to_string())
    }

    /// What a deployment of this name is, at the cloud's addresses; elsewhere a name is a name.
    pub(super) fn stands_for<'a>(&'a self, name: &'a str) -> &'a str {
        let deployments = &self.setup.behaviour.deployments;
        let found = deployments
            .iter()
            .find(|(own, _)| self.house == House::Azure && own == name);
        found.map_or(name, |(_, model)| model)
    }

    /// Whether it refuses `truncation`: the second generation does where the cloud serves it.
    pub(super) fn cannot_truncate(&self) -> bool {
        let model = self.invoice.model.strip_prefix("gpt-realtime-2");
        // The first generation's dated names begin with a 2 as well.
        let second = model.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        self.house == House::Azure && second
    }

    fn turn_away(&mut self, code: u16, fault: &Fault) {
        self.say(fault.event(None));
        let reason = format!(
            "invalid_request_error.{}",
            fault.code.unwrap_or("invalid_request")
        );
        self.end(Out::Close { code, reason });
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::model::talk::Talk;
    use crate::sim::model::{Model, Out, Setup, invoice};
    use serde_json::json;

    const CLOUD: &str = "/openai/v1/realtime?model=front";
    const OLDER: &str = "/openai/realtime?api-version=2025-04-01-preview&deployment=front";
    const DEPLOYS: &str = "deploys=front:gpt-realtime-2.1 deploys=scribe:whisper-1";

    /// What becomes of knocking there, and the first thing said if it is let in.
    fn knock(behaviour: &str, path: &str, key: &str, beta: bool) -> Result<String, u16> {
        let mut setup = Setup::parse(invoice::PRICES, behaviour).unwrap();
        setup.accept_key = Some("good".into());
        let mut model = Model::new(setup, 1);
        model.connect(0, path, Some(key), beta)?;
        match model.poll() {
            Some(Out::Text(text)) => Ok(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_cloud_says_no_before_the_upgrade() {
        for path in [CLOUD, OLDER] {
            assert!(knock(DEPLOYS, path, "good", false).is_ok());
            assert_eq!(knock(DEPLOYS, path, "evil", false), Err(401));
            assert_eq!(knock("", path, "good", false), Err(400));
        }
        let unversioned = "/openai/realtime?deployment=front";
        assert_eq!(knock(DEPLOYS, unversioned, "good", false), Err(400));
        // The cloud's names mean nothing to the provider.
        let own = "/v1/realtime?model=front";
        let said = knock(DEPLOYS, own, "good", false).unwrap();
        assert!(said.contains("invalid_model"));
    }

    #[test]
    fn the_older_words_are_spoken_where_they_still_are_and_nowhere_else() {
        let older = |said: &str| said.contains("\"input_audio_format\":\"pcm16\"");
        let own = "/v1/realtime?model=gpt-realtime-2.1";
        assert!(older(&knock(DEPLOYS, OLDER, "good", false).unwrap()));
        assert!(!older(&knock(DEPLOYS, CLOUD, "good", false).unwrap()));
        assert!(!older(&knock("", own, "good", false).unwrap()));
        assert!(older(&knock("older", own, "good", true).unwrap()));
        let refused = knock("", own, "good", true).unwrap();
        assert!(refused.contains("beta_api_shape_disabled"));
    }

    #[test]
    fn the_older_words_are_refused_when_they_are_wrong() {
        let mut talk = Talk::at("older", "/v1/realtime?model=gpt-realtime-2.1");
        assert_eq!(talk.kinds(), ["session.created", "conversation.created"]);
        for session in [
            json!({"type": "realtime"}),
            json!({"output_modalities": ["audio"]}),
            json!({"modalities": ["audio"]}),
            json!({"input_audio_format": "audio/pcm"}),
            json!({"turn_detection": {"type": "server_vad", "idle_timeout_ms": null}}),
            json!({"truncation": "auto"}),
            json!({"temperature": 0.2}),
        ] {
            talk.tell(&json!({"type": "session.update", "session": session}));
        }
        let said = json!([{"type": "output_text", "text": "Hello."}]);
        let item = json!({"type": "message", "role": "assistant", "content": said});
        talk.tell(&json!({"type": "conversation.item.create", "item": item}));
        assert_eq!(talk.faults().len(), 8);
        assert!(talk.all("session.updated").is_empty());
    }

    #[test]
    fn a_deployment_of_the_second_generation_refuses_truncation() {
        let mut talk = Talk::at(DEPLOYS, CLOUD);
        talk.play(r#"set {"type": "realtime", "truncation": "auto"}"#);
        assert_eq!(talk.faults(), ["unknown_parameter"]);
    }

    #[test]
    fn a_transcriber_that_is_not_deployed_is_taken_and_fails() {
        for (name, end) in [("scribe", "completed"), ("nobody", "failed")] {
            let mut talk = Talk::at(DEPLOYS, CLOUD);
            let session = json!({"type": "realtime", "audio": {"input": {
                "format": {"type": "audio/pcmu"}, "transcription": {"model": name}}}});
            talk.tell(&json!({"type": "session.update", "session": session}));
            talk.play(
                "speak 900
                 quiet 700
                 wait 2000",
            );
            let kind = format!("conversation.item.input_audio_transcription.{end}");
            let told = talk.one(&kind);
            if end == "failed" {
                assert_eq!(told["error"]["code"], "DeploymentNotFound");
            }
        }
    }
}

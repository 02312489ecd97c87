//! What a model's section becomes when it is not the provider's own: other names, other addresses, and fewer promises.

use super::*;
use crate::realtime::{Capabilities, Session};
use expect_test::Expect;

/// The minimal configuration with these lines in `[model.main]` instead of its model.
fn with_model(lines: &str) -> String {
    MINIMAL.replace("model = \"gpt-realtime-2.1\"", lines)
}

fn session(lines: &str) -> Session {
    let settings = loads(&with_model(lines), &[("AZURE_OPENAI_API_KEY", "azure-key")]);
    Session::clone(&settings.agents[0].models[0].session)
}

fn refuses(lines: &str, expected: Expect) {
    let key = [("AZURE_OPENAI_API_KEY", "azure-key")];
    let mistakes = with(&with_model(lines), &key).expect_err("is refused");
    expected.assert_eq(&told(&mistakes));
}

#[test]
fn a_deployment_may_be_called_anything_and_is_priced_as_what_it_is() {
    let lines = r#"
dialect = "azure"
url = "wss://acme.openai.azure.com/openai/v1/realtime"
model = "front"
priced_as = "gpt-realtime-2.1-mini"
transcription = "scribe"
transcription_priced_as = "whisper-1"
"#;
    let settings = loads(&with_model(lines), &[("AZURE_OPENAI_API_KEY", "azure-key")]);
    let model = &settings.agents[0].models[0];
    let session = &model.session;
    assert_eq!(
        (session.model.as_str(), session.priced_as.as_str()),
        ("front", "gpt-realtime-2.1-mini")
    );
    assert_eq!(session.transcription.as_deref(), Some("scribe"));
    assert_eq!(session.api_key.reveal(), "azure-key");
    assert_eq!(session.post_instructions, None);
    let mini = settings.prices.find_model("gpt-realtime-2.1-mini").copied();
    assert_eq!(Some(model.rules.model), mini);
    assert_eq!(
        model.rules.transcription,
        settings.prices.find_transcription("whisper-1").copied()
    );
}

#[test]
fn a_preview_address_carries_its_version() {
    let lines = r#"
dialect = "azure"
url = "wss://acme.openai.azure.com/openai/realtime"
api_version = "2024-12-17"
model = "gpt-realtime"
"#;
    let url = session(lines).url;
    assert_eq!(
        url,
        "wss://acme.openai.azure.com/openai/realtime?api-version=2024-12-17"
    );
}

#[test]
fn what_the_operator_takes_away_is_gone_and_the_rest_is_not() {
    let lines = "model = \"gpt-realtime-2.1\"\ncan = { usage = false, truncation = false }";
    let session = session(lines);
    let expected = Capabilities {
        usage: false,
        truncation: false,
        ..Capabilities::ALL
    };
    assert_eq!(session.can, expected);
    assert_eq!(session.post_instructions, None);
    let warnings = loads(&with_model(lines), &[]).warnings;
    assert_eq!(
        warnings,
        [
            "[model.main.can] usage: without reports of usage every answer is charged at its bound, which is always more than it cost"
        ]
    );
}

#[test]
fn a_server_that_cannot_be_held_to_a_cap_is_refused() {
    refuses(
        "model = \"gpt-realtime-2.1\"\n[model.main.can]\nown_responses = false",
        expect![[r#"
            ringfence.toml:7 [model.main.can] own_responses
              a server that answers by itself cannot be held to a cap on spending
              -> use another server: every call has such a cap"#]],
    );
    refuses(
        "model = \"gpt-realtime-2.1\"\n[model.main.can]\nmax_output = false",
        expect![[r#"
            ringfence.toml:7 [model.main.can] max_output
              a server that does not keep to the length of an answer cannot be held to a cap on spending
              -> use another server: every call has such a cap"#]],
    );
}

#[test]
fn a_dialect_is_refused_where_nobody_speaks_it() {
    refuses(
        r#"
dialect = "openai-beta"
url = "wss://eu.api.openai.com/v1/realtime"
model = "gpt-realtime"
"#,
        expect![[r#"
            ringfence.toml:7 [model.main] url
              OpenAI no longer speaks this dialect: it closes every session that begins in it
              -> write dialect = "openai", or the address of a server that still speaks it"#]],
    );
    refuses(
        r#"
dialect = "openai-beta"
model = "gpt-realtime"
can = { truncation = true }
"#,
        expect![[r#"
            ringfence.toml:4 [model.main] url
              is missing: openai-beta is at no common address
              -> write the server's own address
            ringfence.toml:8 [model.main.can] truncation
              the dialect openai-beta cannot do this
              -> take it out: only false can be added here"#]],
    );
    refuses(
        r#"
dialect = "azure"
url = "wss://acme.openai.azure.com/v1/realtime"
model = "gpt-realtime"
priced_as = "gpt-realtme"
"#,
        expect![[r#"
            ringfence.toml:9 [model.main] priced_as
              "gpt-realtme" has no price, so nobody could say what a call costs
              -> did you mean "gpt-realtime"? If not, add it to a copy of config/prices.toml and name that in [prices] file
            ringfence.toml:7 [model.main] url
              is not the address of a deployment
              -> write wss://RESOURCE.openai.azure.com/openai/v1/realtime, or …/openai/realtime for a preview"#]],
    );
    refuses(
        r#"
dialect = "azure"
url = "wss://acme.openai.azure.com/openai/v1/realtime"
api_version = "2024-12-17"
model = "gpt-realtime"
"#,
        expect![[r#"
            ringfence.toml:8 [model.main] api_version
              does not belong to this address
              -> take it out"#]],
    );
}

#[test]
fn a_key_is_looked_for_where_its_dialect_keeps_it() {
    let lines =
        "dialect = \"azure\"\nurl = \"wss://a.test/openai/v1/realtime\"\nmodel = \"gpt-realtime\"";
    let mistakes = with(&with_model(lines), &[]).expect_err("is refused");
    assert!(
        told(&mistakes).contains("AZURE_OPENAI_API_KEY"),
        "{}",
        told(&mistakes)
    );
}

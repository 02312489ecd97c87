//! What a configuration becomes: told on a minimal one and on the one that comes with the program.

mod dialects;
mod outbound;
mod refused;
mod tools;

use super::*;
use crate::audio::Format;
use crate::budget::OnStoreFailure;
use crate::call::rules::Edge;
use crate::ledger::Keeping;
use crate::units::Usd;
use expect_test::expect;

/// As little as a server can be started with.
const MINIMAL: &str = r#"
[server]
public_url = "https://bot.acme.test/"
[model.main]
model = "gpt-realtime-2.1"
[agent.front-desk]
numbers = ["*"]
instructions = "You answer the phone for Acme."
"#;

/// Words that must never be printed.
const SECRETS: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-very-secret"),
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "token-very-secret"),
    ("RINGFENCE_ADMIN_TOKEN", "admin-very-secret"),
];

fn with(text: &str, more: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    let all = SECRETS.iter().chain(more);
    let variables = all.map(|(name, value)| (name.to_string(), value.to_string()));
    read(Some(("ringfence.toml", text)), variables.collect())
}

fn loads(text: &str, more: &[(&str, &str)]) -> Settings {
    with(text, more).unwrap_or_else(|mistakes| panic!("{}", told(&mistakes)))
}

fn told(mistakes: &[Mistake]) -> String {
    let paragraphs: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    paragraphs.join("\n")
}

#[test]
fn a_minimal_configuration_loads_with_every_default() {
    let settings = loads(MINIMAL, &[]);
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.public_url, "https://bot.acme.test");
    assert_eq!(settings.log, LogFormat::Json);
    assert_eq!(settings.carriers[0].0, "twilio");
    assert_eq!(settings.limits.calls, 200);
    assert_eq!(settings.budget.caller_day, Usd::from_micros(3_000_000));
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
    let model = &settings.agents[0].models[0];
    assert_eq!(model.session.voice, "marin");
    assert_eq!(model.session.audio, Format::Pcm16 { rate: 24_000 });
    assert_eq!(model.rules.spend.end, Usd::from_micros(500_000));
    assert_eq!(model.rules.minute, Usd::from_micros(12_500));
    assert_eq!(model.rules.settings_tokens, 30);
    assert_eq!(model.rules.silence_ms.warn, 20_000);
    assert_eq!(model.rules.edge, Edge::default());
    assert_eq!(model.rules.keep_turns, 2);
    assert_eq!(settings.ledger.path, Path::new("data/ringfence.db"));
    assert_eq!(
        settings.budget.on_store_failure,
        OnStoreFailure::FinishWithinGrant
    );
}

#[test]
fn words_have_room_beside_sound_where_there_are_any() {
    let room = |lines: &str, variables: &[(&str, &str)]| {
        let text = format!("{MINIMAL}{lines}");
        let settings = loads(&text, variables);
        let model = &settings.agents[0].models[0];
        (model.rules.words_tokens, model.session.post_instructions)
    };
    assert_eq!(room("", &[]), (16_000, Some(18_000)));
    // More than fits into the older models is not asked for.
    let much = ("RINGFENCE__MODEL__MAIN__CONTEXT_TOKENS", "28000");
    assert_eq!(room("", &[much]), (16_000, Some(28_000)));
    let none = ("RINGFENCE__MODEL__MAIN__TRANSCRIPTION", "");
    assert_eq!(room("", &[none]), (0, Some(2_000)));
    let shrink = "[agent.front-desk.edge]\nshrink = false\n";
    assert_eq!(room(shrink, &[]), (0, Some(2_000)));
}

#[test]
fn each_rung_at_the_edge_of_the_budget_can_be_taken_out() {
    let text = format!(
        "{MINIMAL}{}",
        r#"
[agent.front-desk.edge]
tell = false
shorten = false
shrink = false
min_answer = "12s"
[budget]
on_store_failure = "hang_up"
"#
    );
    let settings = loads(&text, &[("RINGFENCE__MODEL__MAIN__KEEP_TURNS", "0")]);
    let rules = &settings.agents[0].models[0].rules;
    let edge = Edge {
        cheaper: true,
        tell: false,
        shorten: false,
        shrink: false,
        min_output_tokens: 240,
    };
    assert_eq!((rules.edge, rules.keep_turns), (edge, 0));
    assert_eq!(settings.budget.on_store_failure, OnStoreFailure::HangUp);
}

#[test]
fn the_shortest_answer_worth_asking_for_is_never_under_eight_seconds() {
    for (written, tokens) in [("8s", 160), ("8001ms", 161), ("20s", 400)] {
        let written = [("RINGFENCE__AGENT__FRONT_DESK__EDGE__MIN_ANSWER", written)];
        let settings = loads(MINIMAL, &written);
        let rules = &settings.agents[0].models[0].rules;
        assert_eq!(rules.edge.min_output_tokens, tokens);
        assert!(rules.edge.min_output_tokens >= rules.margins.min_output_tokens);
    }
}

#[test]
fn the_ledger_is_a_file_wherever_it_is_written() {
    for (url, path) in [
        ("sqlite:calls.db", "calls.db"),
        ("sqlite://data/calls.db", "data/calls.db"),
        ("sqlite:///var/lib/calls.db", "/var/lib/calls.db"),
    ] {
        let settings = loads(MINIMAL, &[("RINGFENCE__LEDGER__URL", url)]);
        assert_eq!(settings.ledger.path, Path::new(path));
    }
}

#[test]
fn the_smallest_cap_is_what_its_parts_cost() {
    let settings = loads(MINIMAL, &[]);
    let model = &settings.agents[0].models[0];
    // Millionths: text 4, audio 32, speech 64, transcription 8 for 100 ms; 14 tokens of audio, the dearer, for each item's borders.
    let minute = 12_500;
    let set_aside = model.rules.goodbye.len() as u64 * 4 + 14 * 32 + 200 * 64 + 5_000;
    let text = 30 + (model.rules.greeting.len() + "The caller is on the line now. ".len()) as u64;
    // What the caller says may hold 800 ms more than was sent: 300 of padding, 500 under way.
    let item = 14 + 8;
    // The settings, the note, and the item that the caller's next words may become.
    let greeting = text * 4 + (14 + 14 + item) * 32 + 160 * 64;
    let question = 10_800 / 100 * 8;
    // The same again, the greeting, ten seconds of question; and listening while it is answered, and ten seconds longer.
    let listening = 160 * 4 + 10_800 / 100 * 8;
    let answer = text * 4 + (14 + 14 + 160 + 14 + 100 + item + item) * 32 + 160 * 64 + listening;
    let spare = 8 * 8;
    let micros = minute + set_aside + greeting + question + answer + spare;
    assert_eq!(model.smallest_cap, Usd::from_micros(micros));
    assert_eq!(model.rules.goodbye_bound(), Usd::from_micros(set_aside));
}

#[test]
fn the_file_that_comes_with_ringfence_loads_once_the_secrets_are_set() {
    let text = include_str!("../../../config/ringfence.toml");
    let settings = loads(text, &[]);
    assert_eq!(&*settings.agents[0].name, "front-desk");
    // Everything that stands behind `# ` as a default is the default, so reading it changes nothing.
    let written: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key)
                if key
                    .split_once(" = ")
                    .is_some_and(|(name, _)| is_a_key(name)) =>
            {
                key
            }
            _ => line,
        })
        .filter(|line| !line.contains("_file") && !line.starts_with("redirect"))
        .collect();
    let explicit = loads(&written.join("\n"), &[]);
    assert_eq!(
        format!("{:?}", explicit.agents),
        format!("{:?}", settings.agents)
    );
    assert_eq!(
        format!("{:?}", explicit.limits),
        format!("{:?}", settings.limits)
    );
    assert_eq!(
        format!("{:?}", explicit.budget),
        format!("{:?}", settings.budget)
    );
    assert_eq!(explicit.ledger, settings.ledger);
    assert_eq!(explicit.listen, settings.listen);
    assert_eq!(explicit.warnings, settings.warnings);
}

fn is_a_key(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[test]
fn a_variable_overrides_the_file_and_finds_names_with_dashes() {
    let settings = loads(
        MINIMAL,
        &[
            ("RINGFENCE__AGENT__FRONT_DESK__VOICE", "cedar"),
            ("RINGFENCE__AGENT__FRONT_DESK__NUMBERS", "+15005550006"),
            ("RINGFENCE__AGENT__FRONT_DESK__CAP__SPEND__END", "0.75"),
            (
                "RINGFENCE__AGENT__front-desk__CAP__DURATION",
                "{ warn = '1m', end = '2m' }",
            ),
            ("RINGFENCE__LIMITS__CALLS", "7"),
            ("RINGFENCE__CARRIER__TWILIO__VERIFY_SIGNATURE", "true"),
            ("UNRELATED__THING", "1"),
        ],
    );
    let agent = &settings.agents[0];
    assert_eq!(settings.agents.len(), 1);
    assert_eq!(agent.numbers, ["+15005550006"]);
    assert_eq!(agent.models[0].session.voice, "cedar");
    assert_eq!(agent.models[0].rules.spend.end, Usd::from_micros(750_000));
    assert_eq!(agent.models[0].rules.duration_ms.end, 120_000);
    assert_eq!(settings.limits.calls, 7);
}

#[test]
fn variables_alone_are_a_configuration() {
    let all = SECRETS.iter().copied().chain([
        ("RINGFENCE__SERVER__PUBLIC_URL", "https://bot.acme.test"),
        ("RINGFENCE__MODEL__MAIN__MODEL", "gpt-realtime-2.1-mini"),
        ("RINGFENCE__AGENT__DESK__NUMBERS", "*"),
        ("RINGFENCE__AGENT__DESK__INSTRUCTIONS", "Be kind."),
    ]);
    let variables = all.map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = read(None, variables.collect()).expect("loads");
    assert_eq!(&*settings.agents[0].name, "desk");
}

#[test]
fn money_never_passes_through_a_float() {
    for (written, nanos) in [
        ("0.1", 100_000_000),
        ("0.500000001", 500_000_001),
        ("123.456789012", 123_456_789_012),
        ("\"0.300000003\"", 300_000_003),
        ("1_000.5", 1_000_500_000_000),
        ("2", 2_000_000_000),
    ] {
        let text = format!(
            "{MINIMAL}[budget]\nday_usd = {written}\nagent_day_usd = 0.1\ncaller_day_usd = 0.1"
        );
        assert_eq!(
            loads(&text, &[]).budget.day,
            Usd::from_nanos(nanos),
            "{written}"
        );
    }
}

#[test]
fn their_harmless_values_are_taken() {
    let harmless = r#"
tools = []
fallback = ""
[agent.front-desk.line]
barge_in = "at_once"
hold = false
transcript = "off"
[budget]
store = "memory"
on_store_failure = "finish_within_grant"
"#;
    assert!(
        loads(&format!("{MINIMAL}{harmless}"), &[])
            .warnings
            .is_empty()
    );
}

#[test]
fn what_is_said_is_kept_by_nobody_unless_it_is_written() {
    let kept = |more: &str| {
        let text = format!("{MINIMAL}[agent.front-desk.line]\n{more}");
        let agent = loads(&text, &[]).agents[0].clone();
        (agent.keeps, agent.models[0].rules.manner.transcript)
    };
    assert_eq!(kept(""), (Keeping::Nothing, false));
    assert_eq!(kept("transcript = \"memory\""), (Keeping::Memory, true));
    let usual = kept("transcript = \"ledger\"");
    assert_eq!(usual, (Keeping::Ledger { days: 30 }, true));
    let week = kept("transcript = \"ledger\"\ntranscript_days = 7");
    assert_eq!(week, (Keeping::Ledger { days: 7 }, true));
}

#[test]
fn on_this_machine_alone_plain_addresses_and_unsigned_requests_are_taken() {
    let text = r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://localhost:8080"
[carrier.twilio]
verify_signature = false
api_base = "http://127.0.0.1:9000"
[model.main]
model = "gpt-realtime-2.1"
url = "ws://[::1]:9001/v1/realtime"
[agent.a]
numbers = ["*"]
instructions = "Hello."
"#;
    let settings = loads(text, &[]);
    assert!(!settings.carriers[0].1.verify_signature);
}

#[test]
fn secrets_and_prices_may_stand_in_files_of_their_own() {
    let folder = std::env::temp_dir().join(format!("ringfence-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let key = file("key", "sk-from-a-file\n");
    let good = file("good.toml", include_str!("../../../config/prices.toml"));
    let bad = file("bad.toml", "[model.\"x\"]\nunit = \"minute\"");
    let settings = loads(
        MINIMAL,
        &[
            ("RINGFENCE__MODEL__MAIN__API_KEY_FILE", &key),
            ("RINGFENCE__PRICES__FILE", &good),
        ],
    );
    let session = &settings.agents[0].models[0].session;
    assert_eq!(session.api_key.reveal(), "sk-from-a-file");
    let refused = with(
        MINIMAL,
        &[
            (
                "RINGFENCE__CARRIER__TWILIO__AUTH_TOKEN_FILE",
                "/nowhere/at/all",
            ),
            ("RINGFENCE__PRICES__FILE", &bad),
        ],
    );
    let said = told(&refused.expect_err("is refused")).replace(&bad, "bad.toml");
    std::fs::remove_dir_all(&folder).expect("is removed");
    expect![[r#"
        RINGFENCE__CARRIER__TWILIO__AUTH_TOKEN_FILE
          cannot be read: No such file or directory (os error 2)
          -> mend the path or the file
        bad.toml
          [model."x"] unit: must be "1M tokens" for a model
          -> see config/prices.toml for how a price is written"#]]
    .assert_eq(&said);
}

#[test]
fn a_toll_free_number_costs_a_toll_free_minute() {
    let text = MINIMAL.replace("\"*\"", "\"+18885550100\", \"+15005550006\"");
    let minute = |text: &str, more: &[_]| loads(text, more).agents[0].models[0].rules.minute;
    assert_eq!(minute(&text, &[]), Usd::from_micros(26_000));
    let written = [(
        "RINGFENCE__CARRIER__TWILIO__TOLLFREE_PER_MINUTE_USD",
        "0.03",
    )];
    assert_eq!(minute(MINIMAL, &written), Usd::from_micros(34_000));
}

#[test]
fn no_secret_is_ever_printed() {
    let settings = loads(MINIMAL, &[]);
    let shown = format!("{settings:?}");
    for (name, secret) in SECRETS {
        assert!(name.ends_with("SID") || !shown.contains(secret), "{name}");
    }
}

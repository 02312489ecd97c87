//! `ringfence check`: what the configuration means, or everything that is wrong with it.
//!
//! A cap is a promise about money, so the person who sets it should see, before the first call, what a call costs at the
//! least, what is set aside for the goodbye, and which of the numbers work against each other. No secret is printed.

mod acts;

use crate::admission::{Agent, Model};
use crate::call::rules::{Edge, Rules};
use crate::config::{self, Mistake, Settings};
use crate::realtime;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What a bad configuration ends with.
pub const BAD_CONFIGURATION: u8 = 64;

/// Runs the command on this process's environment and prints to standard output.
pub fn run(path: Option<&Path>) -> ExitCode {
    let settings = config::load(path, config::environment());
    let code = report(&settings, &mut io::stdout().lock());
    ExitCode::from(code.unwrap_or(1))
}

/// Writes what `settings` mean, or what is wrong with them, and says what the command ends with.
///
/// # Errors
/// When `out` cannot be written to.
pub fn report(settings: &Result<Settings, Vec<Mistake>>, out: &mut dyn Write) -> io::Result<u8> {
    match settings {
        Ok(settings) => summary(settings, out).map(|()| 0),
        Err(all) => mistakes(all, out).map(|()| BAD_CONFIGURATION),
    }
}

/// Writes each mistake as a paragraph; `serve` says the same before it gives up.
///
/// # Errors
/// When `out` cannot be written to.
pub fn mistakes(all: &[Mistake], out: &mut dyn Write) -> io::Result<()> {
    for mistake in all {
        writeln!(out, "{mistake}\n")?;
    }
    let things = if all.len() == 1 { "thing" } else { "things" };
    writeln!(
        out,
        "{} {things} to mend before the server starts.",
        all.len()
    )
}

fn summary(settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    let file = settings.file.as_deref().unwrap_or("the environment");
    writeln!(out, "{file}: everything is understood.\n")?;
    writeln!(out, "listens on       {}", settings.listen)?;
    writeln!(out, "is reached at    {}", settings.public_url)?;
    for (name, carrier) in &settings.carriers {
        let signed = if carrier.verify_signature {
            "signed requests only"
        } else {
            "ANY request, signed or not"
        };
        writeln!(out, "takes calls of   {name}: {signed}")?;
    }
    let limits = &settings.limits;
    writeln!(
        out,
        "at once          {} calls; {} an hour from one caller",
        limits.calls, limits.per_caller_per_hour
    )?;
    let budget = &settings.budget;
    writeln!(
        out,
        "a day            {} USD in all, {} an agent, {} a caller",
        budget.day, budget.agent_day, budget.caller_day
    )?;
    writeln!(out, "writes calls to  {}", settings.ledger.path.display())?;
    for agent in &settings.agents {
        describe(agent, settings, out)?;
    }
    if !settings.warnings.is_empty() {
        writeln!(out, "\nWorks, and is probably not meant:")?;
    }
    for warning in &settings.warnings {
        writeln!(out, "  {warning}")?;
    }
    Ok(())
}

fn describe(agent: &Agent, settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{} answers {}", agent.name, agent.numbers.join(", "))?;
    if let Some(model) = agent.models.first() {
        let rules = &model.rules;
        let (spend, duration, silence) = (rules.spend, rules.duration_ms, rules.silence_ms);
        writeln!(
            out,
            "  a call         at most {} USD, told at {}",
            spend.end, spend.warn
        )?;
        writeln!(
            out,
            "                 at most {}, told at {}",
            Span(duration.end),
            Span(duration.warn)
        )?;
        writeln!(
            out,
            "                 at most {} of silence, told at {}",
            Span(silence.end),
            Span(silence.warn)
        )?;
        writeln!(
            out,
            "  carrier        {} USD a started minute; {} for a sentence of its own",
            rules.minute, rules.say
        )?;
    }
    if let Some(model) = agent.models.first() {
        let ladder = Ladder(&model.rules, agent.models.len() > 1);
        writeln!(out, "  near the end   {ladder}")?;
        acts::describe(agent, &model.rules, out)?;
    }
    match &agent.redirect {
        Some(url) => writeln!(out, "  no room        callers are sent to {url}")?,
        None => writeln!(
            out,
            "  no room        callers hear a busy tone, free of charge"
        )?,
    }
    for model in &agent.models {
        priced(model, settings, out)?;
    }
    Ok(())
}

fn priced(model: &Model, settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    let session = &model.session;
    let Rules { spend, .. } = *model.rules;
    let book = &settings.prices;
    let checked = book.models.get(&session.priced_as);
    let checked = checked.map_or("on an unknown day", |listing| listing.checked.as_str());
    let transcriber = session.transcription.as_deref().unwrap_or("nobody");
    let price = &model.rules.model;
    writeln!(out, "  model {}", model.name)?;
    writeln!(
        out,
        "    speaks       {} as {}; {transcriber} transcribes",
        session.model, session.voice
    )?;
    reached(model, out)?;
    writeln!(
        out,
        "    price        {} a million tokens heard, {} spoken, {} of text read (checked {checked})",
        per_million(price.audio_in),
        per_million(price.audio_out),
        per_million(price.text_in)
    )?;
    writeln!(
        out,
        "    smallest cap {} USD: a minute, a greeting, one answer and a goodbye",
        model.smallest_cap
    )?;
    writeln!(
        out,
        "    set aside    {} USD for the goodbye",
        model.rules.goodbye_bound()
    )?;
    writeln!(
        out,
        "    the cap      is {} the smallest",
        Times(spend.end.nanos(), model.smallest_cap.nanos())
    )
}

/// Where a model is that is not the provider's own, and what it cannot do there.
fn reached(model: &Model, out: &mut dyn Write) -> io::Result<()> {
    let session = &model.session;
    let Some(profile) = realtime::dialect(model.dialect) else {
        return Ok(());
    };
    if profile.url != Some(session.url.as_str()) {
        writeln!(
            out,
            "    through      {} ({}) at {}",
            profile.name, profile.about, session.url
        )?;
    }
    if session.priced_as != session.model {
        writeln!(out, "    priced as    {}", session.priced_as)?;
    }
    let lacks = [
        (
            session.can.usage,
            "it reports no usage: every answer is charged at its bound",
        ),
        (
            session.can.out_of_band,
            "it says no goodbye of its own: the carrier says a sentence",
        ),
        (
            session.can.truncation,
            "it keeps no limit on the conversation: context_tokens is held from here alone",
        ),
    ];
    for (_, lack) in lacks.iter().filter(|(can, _)| !can) {
        writeln!(out, "    lacks        {lack}")?;
    }
    Ok(())
}

/// A rate in nano-dollars a token as dollars a million tokens.
pub(super) fn per_million(rate: u64) -> String {
    crate::units::Usd::from_nanos(rate)
        .times(1_000_000)
        .to_string()
}

/// A length of time as it is written in the configuration.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// What is given up before the goodbye, in the order in which it is.
struct Ladder<'a>(&'a Rules, bool);

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edge {
            tell,
            shorten,
            shrink,
            cheaper,
            min_output_tokens,
        } = self.0.edge;
        if tell {
            f.write_str("the model is told; ")?;
        }
        if shorten {
            let shortest = u64::from(min_output_tokens) * MS_PER_TOKEN;
            write!(f, "answers become shorter, {} at least; ", Span(shortest))?;
        }
        if shrink {
            f.write_str("old sound becomes text; ")?;
        }
        if cheaper && self.1 {
            f.write_str("a cheaper model takes over; ")?;
        }
        if let Some(label) = &self.0.abilities.fallback {
            write!(f, "the caller is handed over to {label}; ")?;
        }
        f.write_str("goodbye")
    }
}

/// How long a token of the model's sound lasts (facts: section 5.1).
const MS_PER_TOKEN: u64 = 50;

/// How many times the second is the first, to a tenth.
struct Times(u64, u64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = u128::from(self.0) * 10 / u128::from(self.1.max(1));
        write!(f, "{}.{} times", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/ringfence.toml");
    const SECRETS: [(&str, &str); 4] = [
        ("OPENAI_API_KEY", "sk-very-secret"),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "token-very-secret"),
        ("RINGFENCE_ADMIN_TOKEN", "admin-very-secret"),
    ];

    fn check(variables: &[(&str, &str)]) -> (u8, String) {
        let pairs = variables.iter();
        let pairs = pairs.map(|(name, value)| (name.to_string(), value.to_string()));
        let settings = config::load(Some(Path::new(FILE)), pairs);
        let mut out = Vec::new();
        let code = report(&settings, &mut out).expect("is written");
        let text = String::from_utf8(out).expect("is text");
        (code, text.replace(FILE, "config/ringfence.toml"))
    }

    #[test]
    fn a_good_configuration_is_explained_and_its_secrets_are_not() {
        let (code, text) = check(&SECRETS);
        assert_eq!(code, 0, "{text}");
        assert!(!text.contains("secret"), "{text}");
        expect![[r#"
            config/ringfence.toml: everything is understood.

            listens on       0.0.0.0:8080
            is reached at    https://bot.example.com
            takes calls of   twilio: signed requests only
            at once          200 calls; 10 an hour from one caller
            a day            100.00 USD in all, 50.00 an agent, 3.00 a caller
            writes calls to  data/ringfence.db

            front-desk answers +15005550006
              a call         at most 0.50 USD, told at 0.40
                             at most 5m, told at 4m
                             at most 40s of silence, told at 20s
              carrier        0.0125 USD a started minute; 0.005 for a sentence of its own
              near the end   the model is told; answers become shorter, 8s at least; old sound becomes text; goodbye
              no room        callers hear a busy tone, free of charge
              model main
                speaks       gpt-realtime-2.1 as marin; gpt-4o-mini-transcribe transcribes
                price        32.00 a million tokens heard, 64.00 spoken, 4.00 of text read (checked 2026-11-22)
                smallest cap 0.068076 USD: a minute, a greeting, one answer and a goodbye
                set aside    0.01884 USD for the goodbye
                the cap      is 7.3 times the smallest

            Works, and is probably not meant:
              [server] public_url: is still the example; no carrier will find you there
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_deployment_elsewhere_is_described_with_all_that_it_cannot_do() {
        let mut variables = SECRETS.to_vec();
        variables.extend([
            ("AZURE_OPENAI_API_KEY", "azure-very-secret"),
            ("RINGFENCE__MODEL__MAIN__DIALECT", "azure"),
            (
                "RINGFENCE__MODEL__MAIN__URL",
                "wss://acme.openai.azure.com/openai/v1/realtime",
            ),
            ("RINGFENCE__MODEL__MAIN__MODEL", "front"),
            ("RINGFENCE__MODEL__MAIN__PRICED_AS", "gpt-realtime-2.1"),
            ("RINGFENCE__MODEL__MAIN__CAN__USAGE", "false"),
        ]);
        let (code, text) = check(&variables);
        assert_eq!(code, 0, "{text}");
        assert!(!text.contains("secret"), "{text}");
        let (_, model) = text.split_once("  model main\n").expect("is described");
        let (model, warned) = model.split_once("    price ").expect("is priced");
        let lines: Vec<&str> = model.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "speaks       front as marin; gpt-4o-mini-transcribe transcribes",
                "through      azure (a deployment in Azure) at wss://acme.openai.azure.com/openai/v1/realtime",
                "priced as    gpt-realtime-2.1",
                "lacks        it reports no usage: every answer is charged at its bound",
                "lacks        it keeps no limit on the conversation: context_tokens is held from here alone",
            ]
        );
        assert!(
            warned.contains("[model.main.can] usage: without reports"),
            "{warned}"
        );
    }

    /// A key, a value that cannot stand, and what is said of it.
    const WRONG: &[(&str, &str, &str)] = &[
        (
            "AGENT__FRONT_DESK__CAP__SPEND__WARN",
            "0.60",
            "0.60 USD must be less than end, 0.50 USD",
        ),
        (
            "AGENT__FRONT_DESK__CAP__DURATION__WARN",
            "6m",
            "360s must be less than end, 300s",
        ),
        (
            "AGENT__FRONT_DESK__CAP__SILENCE__END",
            "2s",
            "2s: must be from 5s",
        ),
        (
            "AGENT__FRONT_DESK__CAP__SPEND__END",
            "0",
            "0.00 USD cannot pay for a greeting",
        ),
        (
            "CARRIER__TWILIO__PER_MINUTE_USD",
            "-0.0085",
            "-0.0085: an amount of money cannot be negative",
        ),
        (
            "CARRIER__TWILIO__PER_MINUTE_USD",
            "1e30",
            "1e30: not an amount in US dollars",
        ),
        (
            "CARRIER__TWILIO__MEDIA_PER_MINUTE_USD",
            "NaN",
            "not an amount in US dollars",
        ),
        (
            "CARRIER__TWILIO__SAY_USD",
            "inf",
            "not an amount in US dollars",
        ),
        (
            "CARRIER__TWILIO__SAY_USD",
            "0.0000000001",
            "0.0000000001: finer than a billionth of a dollar",
        ),
        (
            "BUDGET__DAY_USD",
            "99999999999999",
            "99999999999999: too large an amount",
        ),
        (
            "MODEL__MAIN__MODEL",
            "gpt-realtime-9",
            "\"gpt-realtime-9\" has no price",
        ),
        (
            "AGENT__FRONT_DESK__MODELS",
            "other",
            "there is no [model.other]",
        ),
        (
            "MODEL__MAIN__CONTEXT_TOKENS",
            "0",
            "0: must be a whole number from 500 to 28000",
        ),
        ("LEDGER__URL", "", "is empty"),
    ];

    #[test]
    fn a_contradiction_or_an_absurd_price_names_its_value_and_what_to_do() {
        for (key, value, said) in WRONG {
            let name = format!("RINGFENCE__{key}");
            let mut variables = SECRETS.to_vec();
            variables.push((&name, value));
            let (code, text) = check(&variables);
            assert_eq!(code, BAD_CONFIGURATION, "{key} = {value}: {text}");
            assert!(text.contains(said), "{key} = {value}: {text}");
            assert!(text.contains("\n  -> "), "{text}");
        }
    }

    #[test]
    fn numbers_that_work_against_each_other_are_told() {
        let mut variables = SECRETS.to_vec();
        variables.extend([
            ("RINGFENCE__MODEL__MAIN__CONTEXT_TOKENS", "4000"),
            ("RINGFENCE__AGENT__FRONT_DESK__CAP__DURATION__END", "1h"),
            ("RINGFENCE__CARRIER__TWILIO__SAY_USD", "0"),
        ]);
        let (code, text) = check(&variables);
        assert_eq!(code, 0, "{text}");
        let (_, warned) = text.split_once("Works, and is ").expect("warns");
        expect![[r#"
            probably not meant:
              [server] public_url: is still the example; no carrier will find you there
              [carrier.twilio] say_usd: is 0: it counts as free, whatever the carrier bills for it
              [agent.front-desk.cap] spend.end: with model main, one answer may have to read 4000 tokens of sound again for 0.128 USD, more than a sixth of the cap; lower context_tokens or raise the cap
              [agent.front-desk.cap] duration.end: 60 minutes cost 0.75 USD at the carrier alone, so the cap on spend always ends the call first
        "#]].assert_eq(warned);
    }

    #[test]
    fn a_bad_configuration_ends_with_64_and_every_mistake() {
        let mut variables = SECRETS[..3].to_vec();
        variables.push(("RINGFENCE__AGENT__FRONT_DESK__CAP__SPEND__END", "0.03"));
        variables.push(("RINGFENCE__LOG__FORMAT", "jason"));
        let (code, text) = check(&variables);
        assert_eq!(code, BAD_CONFIGURATION);
        expect![[r#"
            RINGFENCE__LOG__FORMAT
              "jason" is not one of: json, text
              -> did you mean "json"?

            config/ringfence.toml:155 [agent.front-desk.cap] spend.warn
              0.40 USD must be less than end, 0.03 USD: the warning comes first
              -> lower it, or raise end

            RINGFENCE__AGENT__FRONT_DESK__CAP__SPEND__END
              0.03 USD cannot pay for a greeting, one answer and a goodbye with model main: that takes 0.068076 USD
              -> write at least 0.068076, or choose a cheaper model

            3 things to mend before the server starts.
        "#]].assert_eq(&text);
    }
}

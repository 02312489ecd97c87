//! What is said of a configuration that cannot stand, word for word: these texts are all its author gets.

use super::*;
use expect_test::Expect;

/// What is said of the minimal configuration with more lines, each `[section] key = value` in a section of its own.
pub(super) fn refuses(more: &str, expected: Expect) {
    refuses_all(&format!("{MINIMAL}{more}"), &[], expected);
}

fn refuses_all(text: &str, variables: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&told(&with(text, variables).expect_err("is refused")));
}

#[test]
fn several_mistakes_are_reported_at_once_each_with_its_line() {
    let text = r#"
[server]
listen = "everywhere"
[model.main]
model = "gpt-realtime-2.l"
[agent.front-desk]
numbers = ["555"]
voise = "marin"
[agent.front-desk.cap]
spend = { warn = 0.40, ned = 0.30 }
[agnet.sales]
"#;
    refuses_all(
        text,
        &[],
        expect![[r#"
            ringfence.toml:3 [server] listen
              "everywhere" is not an address and a port
              -> write it as "0.0.0.0:8080" or "[::]:8080"
            ringfence.toml:2 [server] public_url
              is missing: carriers must know how to reach this server
              -> write it as "https://bot.example.com"
            ringfence.toml:5 [model.main] model
              "gpt-realtime-2.l" has no price, so nobody could say what a call costs
              -> did you mean "gpt-realtime-2.1"? If not, add it to a copy of config/prices.toml and name that in [prices] file
            ringfence.toml:7 [agent.front-desk] numbers
              "555" is not a phone number
              -> write them as ["+15005550006"], or ["*"] for every number nobody else answers
            ringfence.toml:6 [agent.front-desk] instructions
              is missing
              -> say who the agent is and what it may do
            ringfence.toml:10 [agent.front-desk.cap] spend.ned
              there is no such key
              -> did you mean end?
            ringfence.toml:8 [agent.front-desk] voise
              there is no such key
              -> did you mean voice?
            ringfence.toml:11 agnet
              there is no such key
              -> did you mean agent?"#]],
    );
}

#[test]
fn a_mistake_in_a_variable_is_reported_under_its_name() {
    refuses_all(
        MINIMAL,
        &[
            ("RINGFENCE__LIMITS__CALLS", "many"),
            ("RINGFENCE__LIMTS__CALLS", "5"),
            ("RINGFENCE__LISTEN", "127.0.0.1:1"),
            ("RINGFENCE__SERVER__LISTEN__PORT", "1"),
            ("RINGFENCE__MODEL__MAIN__MODEL__NAME", "x"),
        ],
        expect![[r#"
            RINGFENCE__LISTEN
              does not name a section and a key
              -> name it RINGFENCE__SECTION__KEY, such as RINGFENCE__SERVER__LISTEN
            RINGFENCE__MODEL__MAIN__MODEL__NAME
              goes into a key that is a value, not a section
              -> name it RINGFENCE__SECTION__KEY, such as RINGFENCE__SERVER__LISTEN
            RINGFENCE__SERVER__LISTEN__PORT
              must be text
              -> put it in quotes
            RINGFENCE__LIMITS__CALLS
              must be a whole number from 1 to 100000
              -> write digits only
            RINGFENCE__LIMTS__CALLS
              there is no such key
              -> did you mean limits?"#]],
    );
}

#[test]
fn money_that_is_negative_or_no_amount_is_refused() {
    refuses(
        "[budget]\nday_usd = -5\nagent_day_usd = 1e2\ncaller_day_usd = true\n[carrier.twilio]\nsay_usd = 0.0000000001",
        expect![[r#"
            ringfence.toml:14 [carrier.twilio] say_usd
              0.0000000001: finer than a billionth of a dollar
              -> write dollars and cents, such as 0.50
            ringfence.toml:10 [budget] day_usd
              -5: an amount of money cannot be negative
              -> write dollars and cents, such as 0.50
            ringfence.toml:11 [budget] agent_day_usd
              1e2: not an amount in US dollars, such as 0.50
              -> write dollars and cents, such as 0.50
            ringfence.toml:12 [budget] caller_day_usd
              must be an amount in US dollars
              -> write dollars and cents, such as 0.50"#]],
    );
}

#[test]
fn a_cap_that_cannot_pay_for_a_call_is_refused_with_the_least_that_can() {
    refuses(
        "[agent.front-desk.cap]\nspend = { end = 0.05 }\n[budget]\ncaller_day_usd = 0.01",
        expect![[r#"
            ringfence.toml:10 [agent.front-desk.cap] spend.end
              0.05 USD cannot pay for a greeting, one answer and a goodbye with model main: that takes 0.067748 USD
              -> write at least 0.067748, or choose a cheaper model
            ringfence.toml:12 [budget] caller_day_usd
              0.01 USD cannot pay for one call to front-desk, which takes at least 0.067748 USD
              -> raise it"#]],
    );
}

#[test]
fn caps_out_of_order_or_out_of_reason_are_refused() {
    refuses(
        r#"
[agent.front-desk.cap]
spend = { warn = 0.60, end = 0.50 }
duration = { warn = "19s", end = "19s" }
silence = { warn = "20", end = "2s" }
[agent.front-desk.line]
lead = "500ms"
"#,
        expect![[r#"
            ringfence.toml:11 [agent.front-desk.cap] spend.warn
              0.60 USD must be less than end, 0.50 USD: the warning comes first
              -> lower it, or raise end
            ringfence.toml:12 [agent.front-desk.cap] duration.warn
              19s must be less than end, 19s: the warning comes first
              -> lower it, or raise end
            ringfence.toml:12 [agent.front-desk.cap] duration.end
              19s: must be from 20s to 24h
              -> write it as "5m"
            ringfence.toml:13 [agent.front-desk.cap] silence.warn
              20: must be a length of time
              -> write it as "300ms", "8s", "4m" or "1h"
            ringfence.toml:13 [agent.front-desk.cap] silence.end
              2s: must be from 5s to 24h
              -> write it as "5m"
            ringfence.toml:15 [agent.front-desk.line] lead
              must be from 200ms to 400ms
              -> write "300ms": less stutters, more makes an interrupted agent talk on"#]],
    );
}

#[test]
fn what_is_not_there_yet_is_refused_and_never_ignored() {
    refuses(
        r#"
[budget]
store = "valkey://localhost:6379"
[ledger]
url = "postgres://ringfence:very-secret@localhost/calls"
"#,
        expect![[r#"
            ringfence.toml:11 [budget] store
              not available yet in this version: budgets shared between processes; "memory" is
              -> take it out
            ringfence.toml:13 [ledger] url
              not available yet in this version: a ledger in PostgreSQL
              -> write "sqlite:data/ringfence.db", or leave the key out for that"#]],
    );
}

#[test]
fn addresses_must_be_safe() {
    let text = r#"
[server]
listen = "0.0.0.0:80"
public_url = "http://bot.acme.test"
[carrier.twilio]
verify_signature = false
api_base = "https://me:token-very-secret@api.twilio.com"
[model.main]
model = "gpt-realtime-2.1"
url = "ws://api.acme.test/v1/realtime"
[model.more]
model = "gpt-realtime-2.1"
url = "wss://api.acme.test/v1/realtime?model=x"
[agent.a]
numbers = ["*"]
instructions = "Hello."
redirect = "ftp://acme.test"
"#;
    refuses_all(
        text,
        &[],
        expect![[r#"
            ringfence.toml:4 [server] public_url
              http:// is accepted for this machine only: anybody on the way could listen
              -> use https://
            ringfence.toml:6 [carrier.twilio] verify_signature
              false would let anybody spend your money: this server is reached from beyond this machine
              -> take it out, or listen on 127.0.0.1 only, with a public_url of this machine
            ringfence.toml:7 [carrier.twilio] api_base
              an address must not hold a name or a password
              -> take them out
            ringfence.toml:10 [model.main] url
              ws:// is accepted for this machine only: anybody on the way could listen
              -> use wss://
            ringfence.toml:13 [model.more] url
              must end before any ? or #
              -> take the rest out
            ringfence.toml:17 [agent.a] redirect
              must begin with https://
              -> write it as https://host/path"#]],
    );
}

#[test]
fn two_agents_never_share_a_number_or_a_missing_model() {
    refuses(
        "[agent.sales]\nnumbers = [\"*\"]\nmodels = [\"man\"]\ninstructions = \"Sell.\"",
        expect![[r#"
            ringfence.toml:11 [agent.sales] models
              there is no [model.man]
              -> did you mean "main"?
            ringfence.toml:10 [agent.sales] numbers
              * is answered by front-desk already
              -> give each number to one agent"#]],
    );
}

#[test]
fn what_has_no_price_is_refused() {
    refuses(
        "[model.other]\nmodel = \"gpt-live-1\"\ntranscription = \"whisper-2\"",
        expect![[r#"
            ringfence.toml:10 [model.other] model
              "gpt-live-1" has no price, so nobody could say what a call costs
              -> add it to a copy of config/prices.toml and name that in [prices] file
            ringfence.toml:11 [model.other] transcription
              "whisper-2" has no price, so nobody could say what a call costs
              -> did you mean "whisper-1"? If not, add it to a copy of config/prices.toml and name that in [prices] file"#]],
    );
}

#[test]
fn missing_secrets_are_mistakes_too() {
    let variables = BTreeMap::from([("OPENAI_API_KEY".to_string(), "two words".to_string())]);
    let mistakes = read(Some(("ringfence.toml", MINIMAL)), variables).expect_err("is refused");
    expect![[r#"
        TWILIO_AUTH_TOKEN
          is not set
          -> set it, or name a file that holds it with auth_token_file
        TWILIO_ACCOUNT_SID
          is not set
          -> set it to the account's SID: AC and 32 hexadecimal digits
        OPENAI_API_KEY
          is not a secret: empty, or with spaces, breaks or letters beyond ASCII inside
          -> put the key there and nothing else"#]]
    .assert_eq(&told(&mistakes));
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    refuses(
        "[agent.front-desk\nvoice = 1",
        expect![[r#"
        ringfence.toml:9
          this is not TOML: unclosed table, expected `]`
          -> mend the line; the keys after it were not read"#]],
    );
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warned = |more: &str, expected: Expect| {
        let settings = loads(&format!("{MINIMAL}{more}"), &[]);
        expected.assert_eq(&settings.warnings.join("\n"));
    };
    warned(
        r#"
voice = "robot"
language = "German"
[agent.front-desk.cap]
spend = { end = 0.30 }
duration = { end = "30m" }
"#,
        expect![[r#"
            [agent.front-desk] voice: "robot" is not a voice we know: alloy, ash, ballad, coral, echo, sage, shimmer, verse, marin, cedar
            [agent.front-desk] goodbye_sentence: is still English, and the language is German
            [agent.front-desk] trouble_sentence: is still English, and the language is German
            [agent.front-desk.cap] spend.end: with model main, one answer may have to read 2000 tokens of sound again for 0.064 USD, more than a sixth of the cap; lower context_tokens or raise the cap
            [agent.front-desk.cap] duration.end: 30 minutes cost 0.375 USD at the carrier alone, so the cap on spend always ends the call first"#]],
    );
    warned(
        "[agent.front-desk.cap]\nspend = { end = 2000 }\n[carrier.twilio]\nper_minute_usd = 2",
        expect![[r#"
            [carrier.twilio] per_minute_usd: 2.00 USD is more than any carrier takes
            [agent.front-desk.cap] spend.end: one call may cost 2000.00 USD
            [budget] day_usd: 100.00 USD is less than the 2000.00 USD one call to front-desk may cost
            [budget] agent_day_usd: 50.00 USD is less than the 2000.00 USD one call to front-desk may cost
            [budget] caller_day_usd: 3.00 USD is less than the 2000.00 USD one call to front-desk may cost"#]],
    );
}

#[test]
fn a_file_that_is_not_there_is_the_only_mistake() {
    let missing = load(Some(Path::new("/nowhere/ringfence.toml")), []).expect_err("is refused");
    expect![[r#"
        /nowhere/ringfence.toml
          cannot be read: No such file or directory (os error 2)
          -> name another file with --config, or mend this one"#]]
    .assert_eq(&told(&missing));
}

#[test]
fn a_key_in_the_wrong_place_is_refused_and_not_repeated() {
    refuses_all(
        MINIMAL,
        &[
            ("RINGFENCE__MODEL__MAIN__API_KEY_ENV", "sk-very-secret"),
            ("RINGFENCE__MODEL__MAIN__API_KEY", "sk-very-secret"),
            (
                "RINGFENCE__CARRIER__TWILIO__AUTH_TOKEN_FILE",
                "token-very-secret",
            ),
        ],
        expect![[r#"
            RINGFENCE__CARRIER__TWILIO__AUTH_TOKEN_FILE
              cannot be read: No such file or directory (os error 2)
              -> mend the path or the file
            RINGFENCE__MODEL__MAIN__API_KEY_ENV
              is not the name of a variable: capital letters, digits and _
              -> name the variable that holds the key, never the key
            RINGFENCE__MODEL__MAIN__API_KEY
              there is no such key
              -> the keys here are: dialect, priced_as, model, api_version, url, can, api_key_env, api_key_file, audio, transcription, transcription_priced_as, max_output_tokens, context_tokens, words_tokens, keep_turns, answer_timeout, turn_detection"#]],
    );
}

#[test]
fn a_rung_that_makes_no_sense_is_refused() {
    refuses(
        r#"
[agent.front-desk.edge]
tell = "yes"
min_answer = "5s"
shrnik = true
[model.other]
model = "gpt-realtime"
keep_turns = 21
"#,
        expect![[r#"
            ringfence.toml:16 [model.other] keep_turns
              21: must be a whole number from 0 to 20
              -> write digits only
            ringfence.toml:11 [agent.front-desk.edge] tell
              must be true or false
              -> write it without quotes
            ringfence.toml:12 [agent.front-desk.edge] min_answer
              must be from 8s to 20s
              -> write "8s": a shorter answer stops in the middle of a sentence, a longer one leaves no room for it
            ringfence.toml:13 [agent.front-desk.edge] shrnik
              there is no such key
              -> did you mean shrink?"#]],
    );
    refuses_all(
        &MINIMAL.replace(
            "[agent.front-desk]",
            "max_output_tokens = 200\n[agent.front-desk]",
        ),
        &[("RINGFENCE__AGENT__FRONT_DESK__EDGE__MIN_ANSWER", "20s")],
        expect![[r#"
            RINGFENCE__AGENT__FRONT_DESK__EDGE__MIN_ANSWER
              asks for answers of 400 tokens, and max_output_tokens of model main is 200
              -> shorten it, or raise max_output_tokens: 20 tokens are a second"#]],
    );
}

#[test]
fn an_edge_that_does_not_fit_the_model_is_told() {
    let text = format!("{MINIMAL}[agent.front-desk.edge]\nshrink = true\nshorten = false\n");
    let warned = loads(&text, &[("RINGFENCE__MODEL__MAIN__TRANSCRIPTION", "")]).warnings;
    expect!["[agent.front-desk.edge] shrink: has no text to put in place of the caller's sound: nobody transcribes for model main"].assert_eq(&warned.join("\n"));
    // Whole answers of 1024 tokens, the greeting included, are what the cap must pay for then.
    refuses(
        "[agent.front-desk.edge]\nshorten = false\n[agent.front-desk.cap]\nspend = { end = 0.20 }",
        expect![[r#"
            ringfence.toml:12 [agent.front-desk.cap] spend.end
              0.20 USD cannot pay for a greeting, one answer and a goodbye with model main: that takes 0.209444 USD
              -> write at least 0.209444, or choose a cheaper model"#]],
    );
}

#[test]
fn a_ledger_that_would_forget_is_refused() {
    for (url, what) in [
        (
            "",
            "is empty: a server without a ledger would forget what was spent whenever it is started again",
        ),
        (
            "postgres://me:very-secret@db/calls",
            "not available yet in this version: a ledger in PostgreSQL",
        ),
        (
            "mysql://me:very-secret@db/calls",
            "is not the address of a ledger",
        ),
        ("data/ringfence.db", "is not the address of a ledger"),
        ("sqlite:", "names no file"),
        (
            "sqlite::memory:",
            "keeps the ledger in memory, where a crash loses it",
        ),
        (
            "sqlite://:memory:",
            "keeps the ledger in memory, where a crash loses it",
        ),
        ("sqlite:data/", "names a folder, not a file"),
        ("sqlite:calls.db?mode=memory", "must end before any ? or #"),
    ] {
        let text = format!("{MINIMAL}[ledger]\nurl = \"{url}\"");
        let said = told(&with(&text, &[]).expect_err("is refused"));
        let fix = "write \"sqlite:data/ringfence.db\", or leave the key out for that";
        assert_eq!(
            said,
            format!("ringfence.toml:10 [ledger] url\n  {what}\n  -> {fix}")
        );
    }
}

#[test]
fn what_is_not_kept_in_the_ledger_is_kept_for_no_number_of_days() {
    refuses(
        "[agent.front-desk.line]\ntranscript = \"memory\"\ntranscript_days = 7",
        expect![[r#"
            ringfence.toml:11 [agent.front-desk.line] transcript_days
              nothing is kept for days unless it is kept in the ledger
              -> take it out, or write transcript = "ledger""#]],
    );
    refuses(
        "[agent.front-desk.line]\ntranscript = \"disk\"",
        expect![[r#"
            ringfence.toml:10 [agent.front-desk.line] transcript
              "disk" is not one of: off, memory, ledger
              -> use one of them"#]],
    );
    refuses(
        "[agent.front-desk.line]\ntranscript = \"ledger\"\ntranscript_days = 0",
        expect![[r#"
            ringfence.toml:11 [agent.front-desk.line] transcript_days
              0: must be a whole number from 1 to 3650
              -> write digits only"#]],
    );
}

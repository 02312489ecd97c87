//! The house keeps its floors: what the design says about the source is true of every file in it.
//!
//! A rule that only a document knows is broken by the third change. Each rule here is a function from files to
//! complaints, asked twice: about the project, where it must find nothing, and about a few planted lines, where it
//! must find exactly what was planted. An exception is a line in [`EXCUSED`] with its reason, and one that is no
//! longer needed is a failure too.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::*;
use source::Source;

/// Exceptions: the rule, the start of the complaint, and why it is right this once.
const EXCUSED: &[(&str, &str, &str)] = &[(
    "function length",
    "src/realtime/openai/read/tests.rs",
    "one turn as it is on the wire, event by event: cutting it up would hide their order",
)];

/// The rules, by the name an excuse calls them.
const RULES: &[(&str, Rule)] = &[
    ("rooms", every_file_has_a_room),
    ("floors", imports_go_down),
    ("purity", low_floors_are_pure),
    ("floats", money_and_time_are_whole_numbers),
    ("idea", every_file_opens_with_its_idea),
    ("registry", a_dialect_is_named_by_one_line),
    ("file length", files_are_short),
    ("function length", functions_are_short),
    ("unfinished", nothing_is_unfinished),
];

/// What a rule says about the project, excuses granted.
fn complaints(name: &str) -> Vec<String> {
    let (_, rule) = RULES
        .iter()
        .find(|(rule, _)| *rule == name)
        .expect("a rule of that name");
    let mut files = Source::all("src");
    if matches!(
        name,
        "idea" | "file length" | "function length" | "unfinished"
    ) {
        files.extend(Source::all("tests"));
        files.extend(Source::all("benches"));
    }
    let excused = |said: &String| {
        EXCUSED
            .iter()
            .any(|(rule, start, _)| *rule == name && said.starts_with(start))
    };
    rule(&files)
        .into_iter()
        .filter(|said| !excused(said))
        .collect()
}

#[track_caller]
fn holds(name: &str) {
    let complaints = complaints(name);
    assert!(
        complaints.is_empty(),
        "{name}:\n  {}",
        complaints.join("\n  ")
    );
}

/// Plants files and expects a rule to say exactly this.
#[track_caller]
fn caught(rule: Rule, planted: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<Source> = planted
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    assert_eq!(rule(&files), expected);
}

#[test]
fn every_file_lives_on_a_floor() {
    holds("rooms");
    caught(
        every_file_has_a_room,
        &[("src/helpers/mod.rs", "")],
        &["src/helpers/mod.rs is on no floor"],
    );
}

#[test]
fn a_file_imports_only_from_lower_floors() {
    holds("floors");
    let planted = "use crate::{\n  units::Usd,\n  bridge::{self, Line},\n};\nfn f() { crate::http::serve(); }";
    caught(
        imports_go_down,
        &[("src/call/mod.rs", planted)],
        &[
            "src/call/mod.rs:1 call sees bridge: it is higher up",
            "src/call/mod.rs:1 call sees bridge: it is higher up",
            "src/call/mod.rs:5 call sees http: it is higher up",
        ],
    );
    let planted = "use super::super::app::App; use super::Limits;";
    let said = "src/http/doors.rs:1 http sees app: it is higher up";
    caught(imports_go_down, &[("src/http/doors.rs", planted)], &[said]);
}

#[test]
fn rooms_on_one_floor_never_import_each_other() {
    let said = "src/ledger/mod.rs:1 ledger sees budget: they share a floor";
    caught(
        imports_go_down,
        &[("src/ledger/mod.rs", "use crate::budget::Settings;")],
        &[said],
    );
    caught(
        imports_go_down,
        &[(
            "src/ledger/sqlite.rs",
            "use crate::ledger::Row; use super::Row;",
        )],
        &[],
    );
}

#[test]
fn the_top_floor_starts_things_in_the_order_written() {
    let planted = [
        ("src/main.rs", "ringfence::cli::run();"),
        ("src/app.rs", "use crate::{cli, config};"),
    ];
    caught(
        imports_go_down,
        &planted,
        &["src/app.rs:1 app sees cli: that is up the stairs"],
    );
}

#[test]
fn the_simulators_share_no_code_with_what_they_test() {
    let planted = [
        (
            "src/sim/phone.rs",
            "use crate::{audio::g711, carrier::Mark, units::Usd};",
        ),
        ("src/bridge/dial.rs", "use crate::sim::phone;"),
        ("src/cli/prove_cap.rs", "use crate::{call, carrier, sim};"),
    ];
    let expected = [
        "src/sim/phone.rs:1 sim sees carrier: it stands beside the house",
        "src/bridge/dial.rs:1 bridge sees sim: it stands beside the house",
    ];
    caught(imports_go_down, &planted, &expected);
}

#[test]
fn the_low_floors_know_no_runtime_no_clock_no_lock_and_no_chance() {
    holds("purity");
    let planted = "use std::time::Instant;\nuse tokio::sync::Mutex;\n// a Mutex\nlet operand = \"rand\";\n\
                   #[cfg(test)]\nmod tests { use rand::Rng; }";
    caught(
        low_floors_are_pure,
        &[
            ("src/call/timers.rs", planted),
            ("src/bridge/clock.rs", planted),
        ],
        &[
            "src/call/timers.rs:2 says tokio",
            "src/call/timers.rs:1 says Instant",
            "src/call/timers.rs:2 says Mutex",
        ],
    );
}

#[test]
fn money_and_call_time_are_never_floats() {
    holds("floats");
    let planted = [
        ("src/pricing.rs", "fn f(x: f64) {}"),
        ("src/audio/dtmf.rs", "fn f(x: f64) {}"),
    ];
    caught(
        money_and_time_are_whole_numbers,
        &planted,
        &["src/pricing.rs:1 says f64"],
    );
}

#[test]
fn every_file_opens_with_the_idea_it_holds() {
    holds("idea");
    let planted = [
        ("src/app.rs", "use x;\n//! Late."),
        ("src/units.rs", "//! Words."),
    ];
    caught(
        every_file_opens_with_its_idea,
        &planted,
        &["src/app.rs:1 does not open with its idea"],
    );
}

#[test]
fn a_new_carrier_or_dialect_is_one_file_and_one_line() {
    holds("registry");
    let planted = [
        (
            "src/carrier/mod.rs",
            "pub mod twilio;\nmake(twilio::A::new);\npub use twilio::A;",
        ),
        ("src/carrier/twilio.rs", "use crate::carrier::twilio;"),
        ("src/config.rs", "use crate::carrier::twilio::Settings;"),
        (
            "src/http/mod.rs",
            "// twilio\nuse crate::carrier::{Mark, twilio::A};\nlet path = \"/twilio/voice\";",
        ),
    ];
    let expected = [
        "src/carrier/mod.rs names twilio on 3 lines",
        "src/http/mod.rs:2 names carrier::twilio",
    ];
    caught(a_dialect_is_named_by_one_line, &planted, &expected);
}

#[test]
fn a_file_holds_one_idea() {
    holds("file length");
    let planted = "\n".repeat(FILE_LINES + 1);
    caught(
        files_are_short,
        &[("src/app.rs", &planted)],
        &["src/app.rs:1 has 501 lines"],
    );
}

#[test]
fn a_function_fits_on_a_page() {
    holds("function length");
    let body = "    step(\"}\"); // }\n".repeat(FUNCTION_LINES);
    let planted = format!(
        "type F = fn(u8);\ntrait T {{ fn short(); }}\nfn long() -> [u8; 2] {{\n{body}}}\nfn f() {{}}"
    );
    caught(
        functions_are_short,
        &[("src/app.rs", &planted)],
        &["src/app.rs:3 long has 72 lines"],
    );
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    holds("unfinished");
    let planted =
        "// todo!()\nfn f() { todo!() }\n#[cfg(test)]\nmod tests {\n#[ignore]\nfn g() {}\n}";
    let expected = ["src/app.rs:2 says todo!", "src/app.rs:5 says #[ignore"];
    caught(nothing_is_unfinished, &[("src/app.rs", planted)], &expected);
}

#[test]
fn every_excuse_is_needed_and_gives_its_reason() {
    let files = Source::all("src");
    for (name, start, reason) in EXCUSED {
        let (_, rule) = RULES
            .iter()
            .find(|(rule, _)| rule == name)
            .expect("an excuse names its rule");
        assert!(reason.split(' ').count() >= 4, "{start}: say why");
        assert!(
            rule(&files).iter().any(|said| said.starts_with(start)),
            "{start}: no longer needed"
        );
    }
}

#[test]
fn prose_and_quotations_are_not_code() {
    let text = r##"let a = 'x'; let b: &'static str = "tokio \" tokio"; /* tokio /* tokio */ */ r#"tokio " tokio"#; '"'; b"tokio"; f('\'')"##;
    let source = Source::new("src/units.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert!(!source.code.contains("tokio"), "{}", source.code);
    assert!(source.code.ends_with("f('  ')"), "{}", source.code);
}

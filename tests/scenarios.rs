//! Every call of `config/scenarios` is made twice, in virtual time and over real sockets, and comes out the same.
//!
//! A new file in that folder is a new test. Over sockets all calls go on at once, each in a world of its own, so that the test takes
//! as long as the longest of them.

use ringfence::cli::prove::judge::{broken_promises, course, judge};
use ringfence::cli::prove::{Outcome, Script, is_for_sockets, is_virtual};
use ringfence::units::Usd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How far apart the two may cost. Sound on a real clock is cut, forwarded and answered some milliseconds earlier or later: each answer
/// may read or speak one piece of sound more or less (250 ms: five tokens of 64 millionths, and two words), and the caller's last
/// words may be a frame longer. Four answers of that are $0.0015; anything that was billed twice, or not at all, is more.
const TOLERANCE: Usd = Usd::from_micros(1_500);

/// The scenarios, by name.
fn scripts() -> Vec<(String, Script)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/scenarios");
    let files = std::fs::read_dir(folder).expect("the folder of scenarios");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "call"));
    paths.sort();
    assert!(paths.len() >= 8, "only {} scenarios", paths.len());
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy();
        (
            name.into_owned(),
            Script::read(&path).expect("a scenario that is understood"),
        )
    };
    paths.into_iter().map(read).collect()
}

/// Everything that is wrong with a call.
fn faults(script: &Script, outcome: &Outcome) -> Vec<String> {
    let mut faults = judge(&script.scenario, outcome);
    faults.extend(broken_promises(outcome));
    faults
}

fn told(outcome: &Outcome) -> String {
    let mut text = String::new();
    for fact in &outcome.facts {
        text += &format!("    {} ${} {:?}\n", fact.at, fact.spent, fact.what);
    }
    for moment in &outcome.phone.timeline {
        text += &format!("    {moment}\n");
    }
    text
}

/// The outcome in virtual time of every scenario that makes sense there.
fn rehearsed() -> Vec<(String, Script, Outcome)> {
    let scripts = scripts()
        .into_iter()
        .filter(|(_, script)| is_virtual(&script.scenario));
    scripts
        .map(|(name, script)| {
            let outcome = script
                .rehearse()
                .unwrap_or_else(|why| panic!("{name}: {why}"));
            (name, script, outcome)
        })
        .collect()
}

/// Fails with everything that is wrong with any call, and with what happened in it.
#[track_caller]
fn all_well(calls: &[(String, Vec<String>, &Outcome)]) {
    let wrong: String = calls
        .iter()
        .filter(|(_, faults, _)| !faults.is_empty())
        .map(|(name, faults, outcome)| {
            format!("\n{name}:\n  {}\n{}", faults.join("\n  "), told(outcome))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_call_comes_out_as_its_scenario_expects_in_virtual_time() {
    let rehearsed = rehearsed();
    let calls: Vec<_> = rehearsed
        .iter()
        .map(|(name, script, outcome)| (name.clone(), faults(script, outcome), outcome))
        .collect();
    all_well(&calls);
}

#[test]
fn the_same_call_in_virtual_time_is_the_same_call_twice() {
    for ((name, _, first), (_, _, second)) in rehearsed().into_iter().zip(rehearsed()) {
        assert_eq!(first.facts, second.facts, "{name}");
        assert_eq!(first.phone.timeline, second.phone.timeline, "{name}");
        assert_eq!(first.invoices, second.invoices, "{name}");
    }
}

#[test]
fn virtual_time_passes_much_faster_than_real_time() {
    let began = Instant::now();
    let calls = rehearsed();
    let (took, lasted) = (began.elapsed(), calls.iter());
    let lasted_ms: u64 = lasted
        .map(|(_, _, outcome)| outcome.phone.duration_ms)
        .sum();
    assert!(
        took * 20 < Duration::from_millis(lasted_ms),
        "{lasted_ms} ms of talk took {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_over_sockets_is_the_call_in_virtual_time() {
    let mut running = tokio::task::JoinSet::new();
    for (name, script) in scripts() {
        if is_for_sockets(&script.scenario) {
            running.spawn(async move {
                let outcome = script.perform().await;
                let outcome = outcome.unwrap_or_else(|why| panic!("{name}: {why}"));
                (name, script, outcome)
            });
        }
    }
    let mut performed = running.join_all().await;
    performed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let rehearsed = rehearsed();
    let mut calls = Vec::new();
    for (name, script, outcome) in &performed {
        let mut faults = faults(script, outcome);
        let twin = rehearsed.iter().find(|(other, ..)| other == name);
        if let Some((_, _, twin)) = twin {
            faults.extend(differences(twin, outcome));
        }
        calls.push((name.clone(), faults, outcome));
    }
    all_well(&calls);
}

/// Where a call over sockets departs from the one in virtual time.
fn differences(rehearsed: &Outcome, performed: &Outcome) -> Vec<String> {
    let mut differences = Vec::new();
    let (expected, got) = (course(rehearsed), course(performed));
    if expected != got {
        differences.push(format!(
            "in virtual time: {}\n  over sockets: {}",
            expected.join(", "),
            got.join(", ")
        ));
    }
    let (expected, got) = (rehearsed.spent(), performed.spent());
    let apart = expected.less(got).plus(got.less(expected));
    if apart > TOLERANCE {
        differences.push(format!(
            "in virtual time it cost ${expected}, over sockets ${got}"
        ));
    }
    differences
}

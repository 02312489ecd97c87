//! The cap holds against models and callers that mean no good: a small part of what `ringfence prove` tries.
//!
//! Every hazard is met at least a few times, from a seed that never changes. The command itself makes thousands of calls with any seed.

use ringfence::cli::prove::command::{Proof, prove};
use ringfence::cli::prove::hazards::{self, HAZARDS};
use ringfence::cli::prove::kills;
use ringfence::cli::prove::tally::see;
use ringfence::cli::prove::usable::Case;
use ringfence::cli::prove::{sockets, usable};
use ringfence::pricing::PriceBook;
use std::path::Path;

/// The whole report, for the message of a test that fails.
fn told(proof: &Proof) -> String {
    let mut text = Vec::new();
    proof.tell(&mut text).expect("writing to memory");
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn no_call_costs_more_than_its_cap_or_than_it_was_charged() {
    let bound: Vec<_> = HAZARDS.iter().filter(|hazard| !hazard.breaks).collect();
    let proof = prove(&bound, 400, 1);
    assert!(proof.is_kept(), "{}", told(&proof));
    for (hazard, tally) in &proof.tallies {
        assert!(tally.calls >= 6, "{}", hazard.name);
        assert!(tally.over_cap.is_some_and(|worst| worst <= 0));
        assert!(tally.over_charged.is_some_and(|worst| worst <= 0));
    }
}

#[test]
fn what_is_called_a_hazard_is_really_met() {
    let met = [
        ("lost-anyhow", &["model-lost", "renewed lost"][..]),
        ("short-sessions", &["renewed age"]),
        ("cheaper", &["renewed cheaper"]),
        ("tools", &["tool done", "tool late", "tool misfit"]),
        ("ends-itself", &["agent-hung-up"]),
        (
            "transfers-silently",
            &["transferring", "transferred", "leg"],
        ),
        ("transfers-at-the-edge", &["transferred", "not-transferred"]),
        ("confirms", &["overheard"]),
        ("holds", &["held", "resumed"]),
    ];
    let named = met.map(|(name, _)| hazards::find(name).expect("is there"));
    let proof = prove(&named, 40 * 9, 1);
    for ((hazard, tally), (_, words)) in proof.tallies.iter().zip(met) {
        for word in words {
            let times = tally.happened.get(*word);
            assert!(times.is_some(), "{}: never {word}", hazard.name);
        }
    }
}

#[test]
fn a_model_that_breaks_an_assumption_is_told_apart_and_does_not_fail_the_run() {
    let overrun = hazards::find("overrun").expect("is there");
    let proof = prove(&[overrun], 8, 1);
    assert!(proof.is_kept());
    let told = told(&proof);
    assert!(
        told.contains("break an assumption") && !told.contains("FAILED"),
        "{told}"
    );
}

#[test]
fn a_seed_is_a_call() {
    let book = PriceBook::built_in();
    let hazard = hazards::find("answers-to-limit").expect("is there");
    let call = |seed| format!("{:?}", see(hazard, &book, seed));
    assert_eq!(call(5), call(5));
    assert_ne!(call(5), call(6));
}

#[test]
fn a_crowd_never_spends_more_than_the_budgets_hold() {
    let crowd = hazards::find("crowd").expect("is there");
    let proof = prove(&[crowd], 120, 1);
    let (_, tally) = &proof.tallies[0];
    assert!(proof.is_kept() && tally.calls >= 30, "{}", told(&proof));
    assert!(tally.silences().any(|(why, _)| why == "refused"));
}

#[test]
fn a_cap_is_good_for_what_is_wanted_of_it() {
    let cases = usable::measure(9);
    let mut text = Vec::new();
    usable::tell(&cases, &mut text).expect("writing to memory");
    let text = String::from_utf8_lossy(&text);
    assert!(cases.len() >= 11, "{text}");
    assert!(cases.iter().all(|case| case.failures.is_empty()), "{text}");
    assert!(cases.iter().all(Case::is_reached), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dozen_calls_over_sockets_keep_below_their_caps() {
    let tally = sockets::prove(24, 1).await;
    let failures: Vec<_> = tally.failures().collect();
    assert!(tally.is_kept() && tally.calls == 24, "{failures:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_no_call_and_no_cent() {
    let program = Path::new(env!("CARGO_BIN_EXE_ringfence"));
    let kills = kills::prove(program, 12, 1).await;
    assert!(kills.is_kept(), "{:#?}", kills.broken);
    assert!(kills.calls > 12 && kills.lost > 6, "{kills:?}");
}

//! What thirty minutes cost: the same conversation through the real core under each policy, by the provider's own invoice.
//!
//! What a policy saves is held against a conversation that is left untouched; that it forgets nothing, against what stands in the
//! model's memory when the caller hangs up.

use ringfence::cli::prove::bill::{Bill, MINUTES, POLICIES, USUAL, is_kept, measure, tell};
use ringfence::units::Usd;
use std::sync::LazyLock;

const LARGE: &str = "gpt-realtime-2.1";
const SMALL: &str = "gpt-realtime-2.1-mini";

static BILLS: LazyLock<[(&str, Vec<Bill>); 2]> =
    LazyLock::new(|| [LARGE, SMALL].map(|model| (model, measure(model))));

fn told(model: &str, bills: &[Bill]) -> String {
    let mut text = Vec::new();
    tell(model, bills, &mut text).expect("writing to memory");
    String::from_utf8_lossy(&text).into_owned()
}

/// The bill under a policy, of each model.
fn bills(policy: &'static str, cached: bool) -> impl Iterator<Item = (&'static Bill, String)> {
    BILLS.iter().map(move |(model, bills)| {
        let found = (bills.iter()).find(|bill| bill.policy == policy && bill.cached == cached);
        (found.expect("was measured"), told(model, bills))
    })
}

fn total(bill: &Bill) -> Usd {
    bill.after(MINUTES as usize)
}

/// The conversation as it is, and as an agent leaves it whose settings say nothing.
fn untouched_and_usual(
    cached: bool,
) -> impl Iterator<Item = (&'static Bill, &'static Bill, String)> {
    let pairs = bills(POLICIES[0].name, cached).zip(bills(USUAL, cached));
    pairs.map(|((untouched, told), (usual, _))| (untouched, usual, told))
}

#[test]
fn old_sound_in_words_is_the_cheapest_way_to_remember_every_word() {
    for (model, bills) in BILLS.iter() {
        assert!(is_kept(bills), "{}", told(model, bills));
    }
    for cached in [false, true] {
        for (untouched, usual, told) in untouched_and_usual(cached) {
            assert!(untouched.is_whole() && usual.is_whole(), "{told}");
            assert!(usual.turns >= 2 * 149, "{told}");
        }
    }
}

#[test]
fn where_nothing_is_cached_thirty_minutes_cost_an_eighth_of_the_untouched_conversation() {
    for (untouched, usual, told) in untouched_and_usual(false) {
        assert!(total(usual).times(8) <= total(untouched), "{told}");
    }
}

#[test]
fn where_all_is_cached_they_still_cost_less_though_most_of_it_is_speech() {
    for (untouched, usual, told) in untouched_and_usual(true) {
        let (usual, untouched) = (total(usual).nanos(), total(untouched).nanos());
        assert!(usual * 100 <= untouched * 90, "{told}");
    }
}

#[test]
fn with_a_cache_every_minute_after_the_tenth_costs_about_the_same() {
    for (usual, told) in bills(USUAL, true) {
        let (cheapest, mean, dearest) = usual.later();
        assert!(cheapest.times(100) >= mean.times(85), "{told}");
        assert!(dearest.times(100) <= mean.times(115), "{told}");
    }
}

#[test]
fn without_one_a_minute_grows_by_the_words_alone() {
    for (untouched, usual, told) in untouched_and_usual(false) {
        let growth = |bill: &Bill| bill.minutes[28].less(bill.minutes[10]);
        assert!(growth(usual).times(10) <= growth(untouched), "{told}");
    }
}

#[test]
fn a_limit_forgets_nearly_everything_and_saves_nothing_while_the_cache_serves() {
    for cached in [false, true] {
        for (limited, told) in bills("limit of 2000", cached) {
            assert!(limited.known * 10 < limited.turns, "{told}");
        }
    }
    for ((limited, told), (usual, _)) in bills("limit of 2000", true).zip(bills(USUAL, true)) {
        assert!(total(usual) < total(limited), "{told}");
    }
}

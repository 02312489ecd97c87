//! Keys that the agent presses, as whoever is at the other end hears them.

use super::agent::{agent, outcomes, says};
use super::house::{House, hangs_up_after};
use ringfence::call::tools::Outcome;
use ringfence::sim::voice::speech;
use std::f64::consts::TAU;

const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];

/// Samples of 30 ms: Goertzel's windows.
const WINDOW: usize = 240;

/// The share of a window's energy at one frequency (Goertzel's recurrence).
fn share(window: &[i16], hz: f64) -> f64 {
    let step = 2.0 * (TAU * hz / 8000.0).cos();
    let (mut last, mut before, mut energy) = (0.0, 0.0, 1.0);
    for sample in window {
        let sample = f64::from(*sample);
        energy += sample * sample;
        (last, before) = (sample + step * last - before, last);
    }
    2.0 * (last * last + before * before - step * last * before) / (energy * window.len() as f64)
}

/// The key whose two tones are nearly all there is in this window.
fn key(window: &[i16]) -> Option<char> {
    let loudest = |tones: [f64; 4]| {
        let shares = tones.map(|hz| share(window, hz));
        let most = (0..4).max_by(|a, b| shares[*a].total_cmp(&shares[*b]))?;
        (shares[most] > 0.3).then_some(most)
    };
    let loud = window.iter().any(|sample| sample.unsigned_abs() > 1_000);
    let (row, column) = (loudest(ROWS)?, loudest(COLUMNS)?);
    KEYS[row].chars().nth(column).filter(|_| loud)
}

/// The keys in a sound, each once.
fn decoded(heard: &[i16]) -> String {
    let mut keys = String::new();
    let mut held = None;
    for window in heard.chunks_exact(WINDOW) {
        let key = key(window);
        if key != held {
            keys.extend(key);
        }
        held = key;
    }
    keys
}

#[tokio::test]
async fn every_key_that_the_model_presses_is_heard_once_and_in_order() {
    let digits = "1590*2233#84";
    let words = format!("tool=send_digits:{{\"digits\":\"{digits}\"}}");
    let house = House::open(&agent(&words, "[\"send_digits\"]", &[], "")).await;
    let mut caller = house.world.phone();
    caller.script = vec![says(&speech(900, 3))];
    caller.script.extend(hangs_up_after(7_500));
    let (report, _) = house.call(caller).await;
    assert_eq!(decoded(&report.heard), digits, "{:#?}", report.timeline);
    let facts = house.facts.about(&report.call_sid);
    assert_eq!(
        outcomes(&facts),
        [("send_digits".to_string(), Outcome::Done)]
    );
    house.books_agree().await;
    assert_eq!(house.world.model.told(), ["The keys have been pressed."]);
}

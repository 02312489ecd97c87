//! Fifty people call at once, and each has a line of their own.

use super::house::{House, plan, says_and_hangs_up};
use super::sound::{FRAME, correlation, find, rms, through_telephone};
use ringfence::observe::path;
use ringfence::sim::phone::report::Report;
use ringfence::sim::voice::speech;

const CALLS: usize = 50;

/// As many voices, no two alike.
fn voices() -> Vec<Vec<i16>> {
    let mut voices: Vec<Vec<i16>> = Vec::new();
    for seed in 1.. {
        let voice = through_telephone(&speech(2600 + 20 * voices.len() as u64, seed));
        let alike = |other: &Vec<i16>| correlation(other, &voice[..other.len()]).abs() > 0.3;
        if !voices.iter().any(alike) {
            voices.push(voice);
        }
        if voices.len() == CALLS {
            break;
        }
    }
    voices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_at_once_lose_no_frame_and_hear_nobody_else() {
    let house = House::open(&plan("greeting=600ms latency=200ms", &[])).await;
    let voices = voices();
    let calls = voices.iter().map(|voice| {
        let mut setup = house.world.phone();
        setup.script = says_and_hangs_up(voice);
        house.call(setup)
    });
    let ended = futures_util::future::join_all(calls).await;
    for (number, (report, summary)) in ended.iter().enumerate() {
        assert!(
            report.violations.is_empty(),
            "{number}: {:#?}",
            report.timeline
        );
        assert!(report.clears.is_empty(), "{number} was cut short");
        assert_eq!(summary.turns, 2, "{number}: {:#?}", report.timeline);
        assert_eq!(summary.cost.carrier.nanos(), 12_500_000, "one minute");
        hears_itself_alone(number, report, &voices);
    }
    house.books_agree().await;
    assert_eq!(house.world.model.sessions(), CALLS as u64);
    assert_eq!(house.world.stop().await, 0);
    the_path_was_measured();
}

/// The metrics of the sound's path know of these calls, and of no memory that they have left behind.
fn the_path_was_measured() {
    let text = path::render();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.trim().parse().expect("a number")
    };
    for direction in ["up", "down"] {
        let of = |name: &str| value(&format!("ringfence_{name}{{direction=\"{direction}\"}}"));
        assert!(of("added_latency_seconds_count") > 1_000.0, "{text}");
        assert!(of("messages_total") > 1_000.0, "{text}");
    }
    let said_s = value("ringfence_sound_seconds_total{direction=\"up\"}");
    assert!(said_s > CALLS as f64 * 5.0, "{said_s} s of sound");
    assert_eq!(value("ringfence_call_memory_bytes"), 0.0);
}

fn hears_itself_alone(number: usize, report: &Report, voices: &[Vec<i16>]) {
    let (own, heard) = (&voices[number], &report.heard);
    let found = find(own, heard).expect("the answer is heard in full length");
    assert!(
        found.correlation >= 0.95,
        "{number}: {found:?}\n{:#?}",
        report.timeline
    );
    let answer = &heard[found.at..found.at + own.len()];
    for (frame, (said, back)) in own.chunks(FRAME).zip(answer.chunks(FRAME)).enumerate() {
        assert!(
            correlation(said, back) >= 0.8,
            "{number}: frame {frame} is not its own"
        );
    }
    for (other, voice) in voices
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != number)
    {
        let long = voice.len().min(own.len());
        let alike = correlation(&voice[..long], &answer[..long]);
        assert!(alike.abs() < 0.5, "{number} heard {other}: {alike}");
    }
    // Between the greeting and the answer, and after it, nobody is heard at all.
    let before = heard[..found.at]
        .iter()
        .rev()
        .take_while(|s| s.unsigned_abs() < 400)
        .count();
    assert!(
        before > 8 * own.len() / 10,
        "{number}: {before} quiet samples while the caller spoke"
    );
    let after = &heard[(found.at + own.len() + 4 * FRAME).min(heard.len())..];
    assert!(
        rms(after) < 50.0,
        "{number}: {} after the answer",
        rms(after)
    );
}

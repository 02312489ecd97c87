//! A hundred renewals under talk: sessions of a few seconds, one after the other, while caller and agent go on.

use super::losses::the_call_was_kept;
use super::party::{self, Figures, Ringing, Talked, hangs_up, item_of, says};
use audio_codec_algorithms::{decode_ulaw, encode_ulaw};
use ringfence::call::record::What as Wrote;
use ringfence::sim::dice::Dice;
use ringfence::sim::phone::{self, When};
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

/// Calls at once.
const CALLS: usize = 16;
/// How long each talks, in milliseconds.
const TALK_MS: u64 = 36_000;
/// The least that counts.
const RENEWALS: usize = 100;
/// How long an answer is, and the greeting.
const ANSWER_MS: u64 = 1_500;
/// Samples in a frame of the telephone.
const FRAME: usize = 160;
/// The longest gap within what the agent says.
const GAP_MS: i64 = 200;
/// What the caller says last may be under way when the call ends.
const LAST_MS: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_renewals_under_talk_lose_no_frame_and_leave_no_gap() {
    let began = Instant::now();
    let settings = [
        ("turn_detection.silence_duration_ms", "300"),
        // What goes through untouched can be compared bit by bit.
        ("audio", "pcmu"),
    ];
    let manners = "greeting=1500ms answer=1500ms latency=250ms expire=6s transcription=late:300ms";
    let house = party::house(manners, &settings, CALLS, MINUTES).await;
    let calls: Vec<Ringing> = (0..CALLS)
        .map(|agent| {
            let mut dice = Dice::new(400 + agent as u64);
            let mut setup = house.world.phone();
            for _ in 0..40 {
                // Longer than what is quiet within an answer, which ends as the caller's words do.
                let when = When::Replies { after_ms: 900 };
                let words = says(when, 600 + dice.up_to(1_200), dice.roll());
                setup.script.push(words);
            }
            setup.script.push(hangs_up(When::At { ms: TALK_MS }));
            Ringing::to(&house, agent, setup)
        })
        .collect();
    let (mut renewals, mut frames, mut twice_ms) = (0, 0, Vec::new());
    let (mut gaps, mut items) = (Vec::new(), 0);
    for (n, call) in calls.into_iter().enumerate() {
        let talked = call.over(&house).await;
        the_call_was_kept(n, &talked);
        assert!(talked.report.clears.is_empty(), "{n}: something was cut");
        let facts = house.facts.about(&talked.report.call_sid);
        for fact in &facts {
            assert!(!matches!(fact.what, Wrote::ModelLost(_)), "{n}: {fact:?}");
        }
        let renewed = facts.iter();
        let renewed = renewed.filter(|fact| matches!(fact.what, Wrote::Renewed { .. }));
        renewals += renewed.count();
        let (said, again_ms) = every_frame_was_heard(n, &talked);
        frames += said;
        twice_ms.push(again_ms);
        let (whole, within) = every_item_was_whole(n, &talked);
        items += whole;
        gaps.extend(within);
    }
    let gaps = Figures::of(gaps);
    let twice = Figures::of(twice_ms);
    println!(
        "{renewals} renewals in {CALLS} calls; {frames} frames of speech, all heard by a session"
    );
    println!("sound heard by two sessions, call by call: {twice}");
    println!("{items} items of the agent, all whole; between two pieces of one: {gaps}");
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
    assert!(renewals >= RENEWALS, "{renewals} renewals");
    assert!(gaps.most() <= GAP_MS, "{gaps}");
    house.world.stop().await;
}

/// The calls have minutes to talk.
pub const MINUTES: &str = r#"{ warn = "4m", end = "5m" }"#;

/// Each frame of speech that the phone sent is among the sound of a session, bit by bit. Tells how many there were, and how many
/// milliseconds were sent more than once.
fn every_frame_was_heard(n: usize, talked: &Talked) -> (usize, i64) {
    let opened = talked.report.timeline.iter();
    let opened = opened
        .filter(|moment| moment.what == phone::What::StreamOpened)
        .map(|moment| moment.at_ms as usize * 8)
        .next()
        .expect("a stream");
    let heard = || {
        let sessions = talked.diaries.iter();
        sessions.flat_map(|diary| diary.heard.chunks(FRAME))
    };
    let known: HashSet<&[i16]> = heard().collect();
    let spoken = &talked.report.spoken;
    let until = spoken.len().saturating_sub(LAST_MS * 8).max(opened);
    let (mut count, mut lost) = (0, Vec::new());
    for (place, frame) in spoken[opened..until].chunks_exact(FRAME).enumerate() {
        if frame.iter().all(|sample| sample.unsigned_abs() < 400) {
            continue;
        }
        count += 1;
        let sent: Vec<i16> = frame.iter().map(|s| decode_ulaw(encode_ulaw(*s))).collect();
        if !known.contains(&sent[..]) {
            lost.push(opened / 8 + place * 20);
        }
    }
    assert!(
        lost.is_empty(),
        "{n}: nobody heard the frames at {lost:?} ms"
    );
    let sent_ms = (spoken.len() - opened) / 8;
    let heard_ms = heard().map(<[i16]>::len).sum::<usize>() / 8;
    (count, heard_ms as i64 - sent_ms as i64)
}

/// No item was cut short, and its pieces follow each other. Tells how many there were, and the gaps between their pieces.
fn every_item_was_whole(n: usize, talked: &Talked) -> (usize, Vec<i64>) {
    let mut items: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut gaps = Vec::new();
    for stretch in &talked.report.stretches {
        let (Some(item), Some(from)) = (item_of(stretch), stretch.from) else {
            continue;
        };
        if let Some((until, played)) = items.get_mut(&item) {
            gaps.push((from as i64 - *until as i64) / 8);
            (*until, *played) = (from + stretch.played, *played + stretch.played);
        } else {
            items.insert(item, (from + stretch.played, stretch.played));
        }
    }
    // The caller may have hung up over the last.
    let last = items.pop_last();
    let short: Vec<_> = items
        .iter()
        .filter(|(_, (_, played))| *played < ANSWER_MS * 8)
        .collect();
    assert!(short.is_empty(), "{n}: cut short: {short:?}");
    assert!(last.is_some(), "{n}: nothing was heard");
    (items.len(), gaps)
}

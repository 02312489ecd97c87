//! Two hundred losses of the model at random moments of ordinary talk.

use super::party::{self, Figures, Ringing, Talked, hangs_up, item_of, millis, says};
use super::renewals::MINUTES;
use ringfence::audio::moment;
use ringfence::call::record::Ending;
use ringfence::sim::dice::Dice;
use ringfence::sim::model::diary::{Diary, Strike, What};
use ringfence::sim::phone::{self, Step, When};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Calls, and how often each loses its model.
const CALLS: usize = 25;
const LOSSES: usize = 8;
/// The time from one loss to the next, in milliseconds: from this on, and at most so much more.
const APART_MS: (u64, u64) = (2_000, 2_200);
/// The longest time to the first loss, which may come before the greeting.
const FIRST_MS: u64 = 1_500;
/// How long each call lasts: beyond the last loss there are turns to be answered.
const TALK_MS: u64 = 36_000;
/// The agent is heard again within.
const AGAIN_MS: i64 = 2_000;

/// The caller says something whenever the agent has finished.
fn script(dice: &mut Dice) -> Vec<Step> {
    let mut script: Vec<Step> = (0..40)
        .map(|_| {
            let when = When::Replies { after_ms: 700 };
            says(when, 500 + dice.up_to(900), dice.roll())
        })
        .collect();
    script.push(hangs_up(When::At { ms: TALK_MS }));
    script
}

/// Strikes the sessions of one call, and tells when.
async fn strikes(model: ringfence::sim::model::serve::ModelServer, agent: usize) -> Vec<Instant> {
    let mut dice = Dice::new(9_000 + agent as u64);
    let mut struck = Vec::new();
    let mut wait_ms = dice.up_to(FIRST_MS);
    while struck.len() < LOSSES {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let how = match dice.up_to(3) {
            0 => Strike::Close(1001),
            1 => Strike::Close(1011),
            _ => Strike::Drop,
        };
        let now = Instant::now();
        wait_ms = 20;
        if model.strike(&party::instructions(agent), how) {
            struck.push(now);
            wait_ms = APART_MS.0 + dice.up_to(APART_MS.1);
        }
    }
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_lost_models_are_replaced_in_two_seconds_and_the_talk_goes_on() {
    let began = Instant::now();
    let settings = [("turn_detection.silence_duration_ms", "300")];
    let manners = "greeting=1500ms answer=1500ms latency=250ms speed=1.5x transcription=late:400ms";
    let house = party::house(manners, &settings, CALLS, MINUTES).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|agent| {
            let mut setup: phone::Setup = house.world.phone();
            setup.script = script(&mut Dice::new(agent as u64 + 1));
            let strikes = tokio::spawn(strikes(house.world.model.clone(), agent));
            (Ringing::to(&house, agent, setup), strikes)
        })
        .collect();
    let (mut owed, mut speaking, mut silences) = (Vec::new(), Vec::new(), Vec::new());
    let (mut losses, mut turns, mut sessions, mut patience) = (0, 0, 0, 0);
    for (n, (call, strikes)) in calls.into_iter().enumerate() {
        let talked = call.over(&house).await;
        let strikes = strikes.await.expect("strikes");
        losses += strikes.len();
        sessions += talked.diaries.len();
        the_call_was_kept(n, &talked);
        the_context_was_kept(n, &talked);
        for struck in strikes {
            match after(&talked, struck) {
                After::Owed(ms) => owed.push(ms),
                After::Speaking(ms) => speaking.push(ms),
                After::Nothing => {}
                After::Never => panic!(
                    "{n}: not heard again after {}",
                    millis(talked.began, struck)
                ),
            }
        }
        let waits = waits(&talked);
        turns += waits.len();
        silences.extend(waits);
        patience += items(&talked).values().filter(|item| item.own).count();
    }
    let (owed, speaking) = (Figures::of(owed), Figures::of(speaking));
    let silences = Figures::of(silences);
    println!(
        "{losses} losses in {CALLS} calls, {sessions} sessions, {patience} times \"one moment\""
    );
    println!("from the loss to the agent, where it owed speech: {owed}");
    println!("from the caller's last word to the agent, where the caller was speaking: {speaking}");
    println!("every answer, from the caller's last word to the agent, {turns} turns: {silences}");
    println!("{:.1} s in all", began.elapsed().as_secs_f64());
    assert!(losses >= CALLS * LOSSES, "{losses} losses");
    assert!(owed.permille(980) <= AGAIN_MS, "{owed}");
    assert!(speaking.permille(980) <= AGAIN_MS, "{speaking}");
    house.world.stop().await;
}

/// It ended as the caller wanted, within its cap, and paid no less than it was billed.
pub fn the_call_was_kept(n: usize, talked: &Talked) {
    the_call_was_kept_until(n, talked, Ending::CallerHungUp);
    assert!(
        talked.report.says.is_empty(),
        "{n}: {:?}",
        talked.report.says
    );
}

/// The same, of a call that ends in another way.
pub fn the_call_was_kept_until(n: usize, talked: &Talked, ending: Ending) {
    let (report, summary) = (&talked.report, &talked.summary);
    let told = || {
        let moments = report.timeline.iter().map(ToString::to_string);
        moments.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(summary.ending, Some(ending), "{n}: {}", told());
    assert!(report.violations.is_empty(), "{n}: {}", told());
    let paid = summary.cost.model.plus(summary.cost.transcription);
    let billed: u64 = talked
        .diaries
        .iter()
        .map(|diary| diary.invoice.total().nanos())
        .sum();
    assert!(paid.nanos() >= billed, "{n}: paid {paid}, billed {billed}");
}

/// An item as the phone heard it.
struct Heard {
    from_ms: i64,
    /// A sound of the server's own.
    own: bool,
}

fn items(talked: &Talked) -> BTreeMap<u32, Heard> {
    let mut items: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for stretch in &talked.report.stretches {
        let (Some(number), Some(from)) = (item_of(stretch), stretch.from) else {
            continue;
        };
        let (_, sent) = items.entry(number).or_insert((from, 0));
        *sent += stretch.sent;
    }
    let clip = (moment::moment().len() as u64).div_ceil(160);
    let heard = items.into_iter().map(|(number, (from, sent))| {
        let own = (clip..=clip + 2).contains(&(sent / 160));
        let from_ms = (from / 8) as i64;
        (number, Heard { from_ms, own })
    });
    heard.collect()
}

enum After {
    /// The agent owed speech, and was heard again after so many milliseconds.
    Owed(i64),
    /// The caller was speaking, and was answered so long after the last word.
    Speaking(i64),
    /// Nobody owed anything.
    Nothing,
    /// It was never heard again.
    Never,
}

fn after(talked: &Talked, struck: Instant) -> After {
    let lost_ms = millis(talked.began, struck);
    let spoken = spoken(talked);
    let items = items(talked);
    let lost = talked
        .diaries
        .iter()
        .rfind(|diary| diary.began <= struck)
        .expect("the session that was struck");
    // Sound of a session that came later, as soon as the first of it can be heard.
    let again = talked
        .diaries
        .iter()
        .filter(|diary| diary.began > lost.began);
    let again = again.flat_map(|diary| diary.noted.iter().map(|note| (diary.began, note)));
    let again = again
        .filter(|(_, note)| matches!(note.what, What::Spoke { .. }))
        .map(|(began, note)| millis(talked.began, began) + note.at_ms as i64)
        .min();
    let heard = again.and_then(|again_ms| {
        let new = items.values().filter(|item| !item.own);
        new.map(|item| item.from_ms)
            .filter(|from| *from >= again_ms - 1)
            .min()
    });
    let last = spoken.iter().rev().find(|(from, _)| *from <= lost_ms);
    if let Some((_, until)) = last.filter(|(_, until)| *until + 300 > lost_ms) {
        return heard.map_or(After::Never, |heard| After::Speaking(heard - until));
    }
    let since = last.map_or(i64::MIN, |(_, until)| *until);
    let answered = items
        .values()
        .any(|item| (since..=lost_ms).contains(&item.from_ms));
    if answered && !is_answering(lost) {
        return After::Nothing;
    }
    heard.map_or(After::Never, |heard| After::Owed(heard - lost_ms))
}

/// Whether a session was struck in the middle of an answer.
fn is_answering(diary: &Diary) -> bool {
    let last = diary
        .noted
        .iter()
        .rev()
        .find(|note| matches!(note.what, What::Asked | What::Done(_)));
    last.is_some_and(|note| note.what == What::Asked)
}

/// When the caller spoke, from and until, in milliseconds.
fn spoken(talked: &Talked) -> Vec<(i64, i64)> {
    let moments = talked.report.timeline.iter();
    moments
        .filter_map(|moment| match moment.what {
            phone::What::CallerSpeaks { ms } => {
                Some((moment.at_ms as i64, (moment.at_ms + ms) as i64))
            }
            _ => None,
        })
        .collect()
}

/// How long the caller waited for each answer.
fn waits(talked: &Talked) -> Vec<i64> {
    let items = items(talked);
    let answers: Vec<i64> = items
        .values()
        .filter(|item| !item.own)
        .map(|item| item.from_ms)
        .collect();
    let waits = spoken(talked).into_iter().filter_map(|(_, until)| {
        let answer = answers.iter().find(|from| **from >= until)?;
        Some(answer - until)
    });
    waits.collect()
}

/// Each session was told, in order, what was said before it: all of it that was known in words, up to the newest.
fn the_context_was_kept(n: usize, talked: &Talked) {
    let mut known: Vec<(String, Instant, bool)> = Vec::new();
    for diary in &talked.diaries {
        let opening = diary
            .noted
            .iter()
            .take_while(|note| !matches!(note.what, What::Spoke { .. } | What::Committed { .. }));
        let told: Vec<String> = opening
            .filter_map(|note| match &note.what {
                What::Told { role, text } if role != "system" => item_in(text),
                _ => None,
            })
            .collect();
        // What was said in the very moment of the loss may not have arrived any more.
        let sure: Vec<&String> = known
            .iter()
            .filter(|(_, _, sure)| *sure)
            .map(|k| &k.0)
            .collect();
        let all: Vec<&String> = known.iter().map(|k| &k.0).collect();
        let first = told
            .first()
            .and_then(|first| all.iter().position(|id| *id == first));
        let owed: BTreeSet<&String> = match first {
            Some(first) => all[first..]
                .iter()
                .copied()
                .filter(|id| sure.contains(id))
                .collect(),
            None => sure.into_iter().collect(),
        };
        let missing: Vec<_> = owed.iter().filter(|id| !told.contains(**id)).collect();
        let places: Vec<_> = told
            .iter()
            .map(|id| all.iter().position(|own| *own == id))
            .collect();
        let lives = diary
            .noted
            .iter()
            .any(|note| matches!(note.what, What::Asked));
        assert!(
            !lives || missing.is_empty(),
            "{n}: {missing:?} of {all:?} were not told: {told:?}"
        );
        assert!(places.is_sorted(), "{n}: told {told:?} of {all:?}");
        known.extend(said_in(diary));
    }
}

/// What was said in a session and is known in words: the items, in order; and whether it was known in time.
fn said_in(diary: &Diary) -> Vec<(String, Instant, bool)> {
    let end_ms = diary.noted.last().map_or(0, |note| note.at_ms);
    let mut said = Vec::new();
    for note in &diary.noted {
        let at = diary.began + Duration::from_millis(note.at_ms);
        match &note.what {
            What::Spoke { item } => said.push((item.clone(), at, note.at_ms + 50 < end_ms)),
            What::Committed { item } => {
                let words = |note: &&ringfence::sim::model::diary::Noted| match &note.what {
                    What::Words { item: own, .. } => own == item,
                    _ => false,
                };
                if let Some(words) = diary.noted.iter().find(words) {
                    said.push((item.clone(), at, words.at_ms + 50 < end_ms));
                }
            }
            _ => {}
        }
    }
    said
}

/// The item that words name: every turn of a model that keeps a diary names its own.
fn item_in(text: &str) -> Option<String> {
    let word = text.split(' ').find(|word| word.starts_with("item_"))?;
    Some(word.trim_end_matches('…').to_string())
}

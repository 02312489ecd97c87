//! Sounds that are nobody speaking: music while one waits, and a cough over the agent's own words.

use super::agent::{agent, hangs_up, says};
use super::house::House;
use super::sound::{find, through_telephone};
use super::sounds::{at_level, begins, coughs, music, people, silence};
use futures_util::future::join_all;
use ringfence::call::record::{Fact, What};
use ringfence::sim::phone::timeline::What as Seen;
use ringfence::sim::phone::{Act, Step, When};
use ringfence::sim::voice::speech;

/// Milliseconds of music before somebody speaks.
const MUSIC_MS: usize = 7_000;

fn count(facts: &[Fact], is: impl Fn(&What) -> bool) -> usize {
    facts.iter().filter(|fact| is(&fact.what)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn music_makes_no_turns_and_the_first_words_after_it_are_heard_and_answered() {
    let (Some(pieces), Some(recordings)) = (music(), people()) else {
        return;
    };
    let house = House::open(&agent("", "[]", &[("line.hold", "true")], "")).await;
    let calls = (0..3).map(|n| {
        let (name, piece) = &pieces[n];
        let (_, words) = &recordings[n];
        let words = at_level(words, -18.0);
        // Their first two seconds and a half.
        let words = words[..words.len().min(8 * (begins(&words) as usize + 2_500))].to_vec();
        let from = 8_000 * 12;
        let sound = [&piece[from..from + 8 * MUSIC_MS], &silence(300), &words].concat();
        let mut caller = house.world.phone();
        caller.script = vec![says(&sound), hangs_up()];
        let house = &house;
        async move {
            let (report, summary) = house.call(caller).await;
            let facts = house.facts.about(&report.call_sid);
            let held = count(&facts, |what| matches!(what, What::Held(_)));
            let resumed = count(&facts, |what| matches!(what, What::Resumed { .. }));
            assert_eq!((held, resumed), (1, 1), "{name}: {:#?}", report.timeline);
            // The greeting, and one answer.
            assert_eq!(summary.turns, 2, "{name}: {:#?}", report.timeline);
            // Its first quarter of a second may be what woke the ear.
            let first = 8 * begins(&words) as usize + 2_000;
            let said = through_telephone(&words[first..words.len().min(first + 12_000)]);
            let back = find(&said, &report.heard).expect("an answer");
            println!("{name}: {back:?}");
            assert!(
                back.correlation >= 0.9 && back.louder_db.abs() <= 1.0,
                "{name}: {back:?}"
            );
        }
    });
    join_all(calls).await;
    house.books_agree().await;
}

/// Samples in which the first two coughs are over.
const TWO_COUGHS: usize = 8 * 3_400;

/// Speaks once, and makes this sound over the agent's answer.
fn over_the_answer(sound: &[i16]) -> Vec<Step> {
    let over = Step {
        when: When::Interrupts { after_ms: 700 },
        act: Act::Say(sound.into()),
    };
    vec![says(&speech(900, 3)), over, hangs_up()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cough_does_not_stop_an_agent_that_waits_for_words_and_words_do() {
    let Some(recordings) = people() else { return };
    let settings = [("barge_in", "confirm")];
    let house = House::open(&agent("answer=6s", "[]", &settings, "")).await;
    let words = at_level(&recordings[5].1, -18.0);
    let words = &words[8 * begins(&words) as usize..];
    let mut coughing = house.world.phone();
    coughing.script = over_the_answer(&coughs()[..TWO_COUGHS]);
    let mut speaking = house.world.phone();
    speaking.script = over_the_answer(words);
    let ((coughed, _), (spoke, summary)) = tokio::join!(house.call(coughing), house.call(speaking));
    let facts = house.facts.about(&coughed.call_sid);
    let overheard = count(&facts, |what| matches!(what, What::Overheard));
    assert!(overheard >= 1, "no cough was taken for a turn: {facts:#?}");
    assert!(coughed.clears.is_empty(), "{:#?}", coughed.timeline);
    let unheard = coughed.stretches.iter().filter(|s| s.played < s.sent);
    assert_eq!(unheard.count(), 0, "{:#?}", coughed.timeline);
    let turns = count(&facts, |what| matches!(what, What::Turn(_)));
    assert_eq!(turns, 2, "a cough is not answered: {:#?}", coughed.timeline);
    let last = |is: fn(&Seen) -> bool| {
        let moment = spoke.timeline.iter().rfind(|moment| is(&moment.what));
        moment.expect("a moment").at_ms
    };
    let began = last(|what| matches!(what, Seen::CallerSpeaks { .. }));
    let after_ms = spoke.clears[0].at_ms - began;
    println!("{overheard} coughs overheard; stopped {after_ms} ms after the first word");
    assert!(after_ms <= 800, "{:#?}", spoke.timeline);
    assert_eq!(summary.interruptions, 1);
    house.books_agree().await;
}

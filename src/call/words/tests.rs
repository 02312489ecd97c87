//! What is told in words, and what is not.

use super::*;

/// Three turns: the first two answered, the second answer cut short.
fn talk() -> Words {
    let mut words = Words::default();
    words.caller_spoke(&"you-1".into());
    words.agent_spoke(&"me-1".into(), 2_000);
    words.said(&"me-1".into(), "Good evening.");
    words.said(&"you-1".into(), " Hello? ");
    words.caller_spoke(&"you-2".into());
    words.said(&"you-2".into(), "Are you there?");
    words.agent_spoke(&"me-2".into(), 500);
    words.cut(&"me-2".into(), 400);
    words.agent_spoke(&"me-2".into(), 1_000);
    words.said(&"me-2".into(), "Of course I am here.");
    words.caller_spoke(&"you-3".into());
    words
}

#[test]
fn what_is_older_than_the_last_turns_becomes_one_note_and_is_taken_once() {
    let mut words = talk();
    assert_eq!((words.old_items(1), words.old_items(2)), (4, 2));
    assert_eq!(words.take_old(3), None);
    let old = words.take_old(2).unwrap();
    assert_eq!(old.items, ["you-1".into(), "me-1".into()]);
    assert_eq!(
        old.note,
        "Earlier in this call, in words:\nCaller: Hello?\nYou: Good evening."
    );
    assert_eq!(words.take_old(2), None);
}

#[test]
fn of_what_was_cut_short_only_the_words_that_were_heard_are_kept() {
    let mut words = talk();
    words.take_old(2);
    let old = words.take_old(1).unwrap();
    assert_eq!(
        old.note,
        "Earlier in this call, in words:\nCaller: Are you there?\nYou: Of…"
    );
}

#[test]
fn what_nobody_has_put_into_words_stays_sound() {
    let mut words = talk();
    words.caller_spoke(&"you-4".into());
    words.said(&"you-4".into(), "");
    words.forget(&"me-2".into());
    let old = words.take_old(0).unwrap();
    assert_eq!(
        old.items,
        [
            "you-1".into(),
            "me-1".into(),
            "you-2".into(),
            "you-4".into()
        ]
    );
    assert_eq!(words.take_old(0), None);
    let sounds: Vec<_> = (words.utterances.iter())
        .filter(|known| known.is_sound)
        .map(|known| known.item.as_str())
        .collect();
    assert_eq!(sounds, ["you-3"], "it has no words yet");
}

#[test]
fn a_text_is_clipped_between_words_and_never_inside_a_letter() {
    assert_eq!(clip("the Öl", 5), "the");
    assert_eq!(clip("ÖÖÖ", 3), "Ö");
    assert_eq!(clip("one two", 3), "one");
    assert_eq!(clip("one", 9), "one");
}

#[test]
fn the_first_words_of_an_answer_come_before_its_sound_and_are_kept() {
    let mut words = Words::default();
    words.saying(&"me-1".into(), "Good");
    words.saying(&"me-1".into(), " evening,");
    words.agent_spoke(&"me-1".into(), 250);
    words.saying(&"me-1".into(), " who");
    // Of one that never spoke, nothing was said.
    words.saying(&"me-2".into(), "Hello");
    let told = words.replay(1_000, true, |_| false);
    assert_eq!(told, [Item::Assistant("Good evening, who".into())]);
}

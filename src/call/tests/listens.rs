//! What the caller does besides speaking: pressing keys, coughing, playing music, and being a machine.

use super::acts::{able, act, act_with};
use super::script::{cents, play, rules};
use crate::call::rules::{Manner, OnMachine, Rules};
use expect_test::expect;

/// An agent that is not stopped by a noise.
fn steadfast() -> Rules {
    Rules {
        manner: Manner {
            confirm: true,
            ..Manner::default()
        },
        provider_interrupts: false,
        ..able()
    }
}

/// An agent that does not listen to music.
fn waits() -> Rules {
    Rules {
        manner: Manner {
            hold: true,
            ..Manner::default()
        },
        ..able()
    }
}

/// An agent that does this when a machine answers.
fn on_machine(on_machine: OnMachine) -> Rules {
    Rules {
        manner: Manner {
            on_machine,
            ..Manner::default()
        },
        ..able()
    }
}

/// The first answer has been given and heard.
const ANSWERED: &str = "
    0.6  realtime  spoke-all r1 me-1 0.5s
    0.7  realtime  done r1 completed 50 14 5 10
    1.1  carrier   played 1:500:g0
    1.2  carrier   played 1:520:g0
";

#[test]
fn keys_are_told_together_a_moment_after_the_last() {
    act(
        &format!(
            "{ANSWERED}
        2.0  carrier   digit 4
        3.0  carrier   digit 2
        6.0  wait
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            2.0    fact      digit
            3.0    fact      digit
            4.5    realtime  add User("(The caller pressed these keys: 4 2)")
            4.5    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_hash_ends_the_number_at_once() {
    act(
        &format!(
            "{ANSWERED}
        2.0  carrier   digit 4
        2.1  carrier   digit #
        2.2  wait
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            2.0    fact      digit
            2.1    fact      digit
            2.101  realtime  add User("(The caller pressed these keys: 4 #)")
            2.101  realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_thousand_keys_are_two_hundred_facts_at_the_most_and_few_words() {
    for (keys, pause_ms, most_told) in [("5", 10, 200), ("5", 2_000, 200), ("#", 10, 200)] {
        let mut script = String::from("0.0 carrier started\n0.2 realtime ready\n");
        for n in 0..1_000_u64 {
            let at = 1_000 + n * pause_ms;
            if at > 250_000 {
                break;
            }
            script += &format!("{}.{:03} carrier digit {keys}\n", at / 1_000, at % 1_000);
        }
        let told = play(rules(), cents(500), &script);
        let facts = told.lines().filter(|line| line.contains("fact      digit"));
        let told_of = told
            .lines()
            .filter(|line| line.contains("pressed these keys"));
        assert!(facts.count() <= 200, "{keys} each {pause_ms} ms");
        assert!(told_of.count() <= most_told, "{keys} each {pause_ms} ms");
        let longest = told.lines().map(str::len).max();
        assert!(longest < Some(250), "{longest:?}");
    }
}

#[test]
fn a_cough_does_not_stop_the_agent_and_is_forgotten() {
    act_with(
        steadfast(),
        cents(500),
        "
        0.6  realtime  spoke-all r1 me-1 3.0s
        0.7  realtime  done r1 completed 50 14 5 60
        1.5  realtime  caller-spoke
        1.6  carrier   heard 0.02s
        1.9  realtime  turn cough-1
        3.5  carrier   played 1:3000:g0
        3.7  carrier   played 1:3020:g0
        5.0  wait
    ",
        expect![[r#"
            0.6    carrier   play 1:3000:g0 3000ms
            0.6    fact      first-word
            0.7    fact      turn $0.004608
            1.6    realtime  append 20ms
            1.9    realtime  delete cough-1
            1.9    fact      overheard
            3.6    carrier   play 1:3020:g0 20ms
        "#]],
    );
}

#[test]
fn a_caller_whom_our_own_ear_hears_stops_the_agent_then() {
    act_with(
        steadfast(),
        cents(500),
        "
        0.6  realtime  spoke r1 me-1 3.0s
        1.5  realtime  caller-spoke
        1.6  carrier   heard 0.02s
        1.8  ear speech
        2.0  realtime  done r1 cancelled 50 14 5 60
        2.1  carrier   heard 0.02s
        2.5  realtime  turn you-2
        2.6  ear quiet
    ",
        expect![[r#"
            0.6    carrier   play 1:3000:g0 3000ms
            0.6    fact      first-word
            1.6    realtime  append 20ms
            1.8    realtime  cancel r1
            1.8    carrier   clear
            1.8    realtime  truncate me-1 at 1200ms
            1.8    fact      interrupted
            2.0    fact      turn $0.004608
            2.1    realtime  append 20ms
            2.5    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn nothing_of_the_music_is_sent_on_and_the_first_syllable_after_it_is() {
    let mut script = ANSWERED.to_string();
    script += "2.0 carrier heard 0.02s\n2.1 ear hold\n2.1 realtime caller-spoke\n";
    for n in 0..600_u64 {
        let at = 2_200 + n * 100;
        script += &format!("{}.{:03} carrier heard 0.1s\n", at / 1_000, at % 1_000);
    }
    script += "
        62.2 ear hold
        62.3 ear speech
        62.4 realtime  caller-spoke
        62.4 carrier   heard 0.1s
        62.8 realtime  turn you-2
    ";
    act_with(
        waits(),
        cents(500),
        &script,
        expect![[r#"
        0.6    carrier   play 1:500:g0 500ms
        0.6    fact      first-word
        0.7    fact      turn $0.001408
        1.1    carrier   play 1:520:g0 20ms
        2.0    realtime  append 20ms
        2.1    realtime  clear-input
        2.1    fact      held
        60.0   fact      minute $0.0125
        62.3   fact      resumed
        62.3   realtime  append 500ms
        62.4   realtime  append 100ms
        62.8   realtime  respond r2 max 1024
    "#]],
    );
}

#[test]
fn a_machine_that_answers_is_hung_up_on() {
    act_with(
        on_machine(OnMachine::HangUp),
        cents(500),
        "
        0.6  realtime  spoke r1 me-1 1.0s
        0.8  carrier   answered-by-machine
        0.9  realtime  done r1 cancelled 50 14 5 20
    ",
        expect![[r#"
            0.6    carrier   play 1:1000:g0 1000ms
            0.6    fact      first-word
            0.8    fact      answered-by
            0.8    realtime  cancel r1
            0.8    carrier   close
            0.9    fact      turn $0.002048
            2.8    fact      unreported $0.000064
            2.8    realtime  close
            2.8    budget    Settle(Usd(14612000))
            2.8    fact      ended
            2.8    over      AgentHungUp
        "#]],
    );
}

#[test]
fn a_machine_that_is_to_be_talked_to_is_told_of() {
    act_with(
        on_machine(OnMachine::Talk),
        cents(500),
        "
        0.6  realtime  spoke-all r1 me-1 0.5s
        0.8  carrier   answered-by-machine
        0.9  realtime  done r1 completed 50 14 5 10
    ",
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.8    fact      answered-by
            0.8    realtime  add System("A machine has answered, not a person. When it has finished speaking, leave one short message and end the call.")
            0.9    fact      turn $0.001408
        "#]],
    );
}

#[test]
fn a_machine_that_answers_while_the_model_is_away_is_told_of_when_it_is_back() {
    act_with(
        on_machine(OnMachine::Talk),
        cents(500),
        &format!(
            "{ANSWERED}
        2.0  realtime  lost
        2.1  carrier   answered-by-machine
        2.5  standby   ready
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            2.0    fact      model-lost
            2.0    fact      unreported $0.000064
            2.0    realtime  close
            2.0    standby   open
            2.1    fact      answered-by
            2.5    standby   configure
            2.5    standby   takes-over
            2.5    fact      renewed
            2.5    realtime  add System("A machine has answered, not a person. When it has finished speaking, leave one short message and end the call.")
        "#]],
    );
}

#[test]
fn a_machine_that_answers_before_the_model_is_there_is_told_of_with_the_greeting() {
    let told = play(
        on_machine(OnMachine::Talk),
        cents(500),
        "
        0.0  carrier   started
        0.1  carrier   answered-by-machine
        0.2  realtime  ready
    ",
    );
    assert!(
        told.contains("0.2    realtime  add System(\"A machine has answered"),
        "{told}"
    );
}

/// What an agent tells its model whose silence is sent on 100 ms at a time, from the moment that both sides are ready.
fn coalesced(script: &str) -> Vec<String> {
    let manner = Manner {
        coalesce_ms: 100,
        ..Manner::default()
    };
    let told = play(
        Rules { manner, ..rules() },
        cents(100),
        &format!(
            "
        0.1  carrier   started
        0.2  realtime  ready
        {script}"
        ),
    );
    let appends = told.lines().filter(|line| line.contains("append"));
    appends
        .map(|line| line.replace("realtime  append ", ""))
        .collect()
}

/// Frames of 20 ms, from this moment until that one, in milliseconds.
fn frames(from_ms: u64, until_ms: u64) -> String {
    let at = (from_ms..until_ms).step_by(20);
    at.map(|ms| format!("{}.{:03} carrier heard 0.02s\n", ms / 1000, ms % 1000))
        .collect()
}

#[test]
fn a_second_of_silence_is_sent_on_as_it_comes_and_what_follows_in_longer_pieces() {
    let told = coalesced(&format!("1.0 level silent\n{}", frames(1_000, 2_400)));
    let (at_once, together) = told.split_at(49);
    assert!(
        at_once.iter().all(|line| line.ends_with(" 20ms")),
        "{told:?}"
    );
    assert!(
        together.iter().all(|line| line.ends_with(" 100ms")),
        "{told:?}"
    );
    assert_eq!(together.len(), 4, "{told:?}");
}

#[test]
fn the_first_sound_takes_all_that_waits_with_it() {
    let told = coalesced(&format!(
        "1.0 level silent\n{}2.240 carrier heard 0.02s\n2.240 level sounding\n{}",
        frames(1_000, 2_240),
        frames(2_260, 2_300)
    ));
    let last: Vec<&str> = told[told.len() - 3..].iter().map(|line| &**line).collect();
    assert_eq!(last, ["2.24   80ms", "2.26   20ms", "2.28   20ms"]);
}

#[test]
fn while_the_provider_hears_the_caller_its_clock_is_the_sound_and_nothing_waits() {
    let told = coalesced(&format!(
        "1.0 level silent\n{}2.240 realtime caller-spoke\n{}",
        frames(1_000, 2_240),
        frames(2_260, 3_000)
    ));
    let after = told.iter().skip_while(|line| !line.starts_with("2.26"));
    assert!(
        after.clone().skip(1).all(|line| line.ends_with(" 20ms")),
        "{told:?}"
    );
    assert_eq!(after.count(), 37);
}

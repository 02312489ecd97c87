//! What is said, heard and interrupted.

use super::script::{check, check_with, rules};
use crate::call::rules::Rules;
use expect_test::expect;

#[test]
fn a_call_is_answered_heard_and_ended_by_the_caller() {
    check(
        "
        0.3  realtime  ready
        0.5  carrier   started
        0.6  carrier   heard 0.1s
        2.0  realtime  turn you-1
        2.2  realtime  began r1
        2.4  realtime  spoke-all r1 me-1 1.0s
        2.5  realtime  done r1 completed 50 14 5 20
        3.7  carrier   played 1:1020:g0
        9.0  carrier   stopped
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.3    realtime  configure
            0.3    fact      ready
            0.5    fact      answered
            0.5    carrier   limit 310s
            0.6    realtime  append 100ms
            2.0    realtime  respond r1 max 1024
            2.4    carrier   play 1:1000:g0 1000ms
            2.4    fact      first-word
            2.5    fact      turn $0.002048
            3.4    carrier   play 1:1020:g0 20ms
            9.0    carrier   close
            11.0   fact      unreported $0.000136
            11.0   realtime  close
            11.0   budget    Settle(Usd(14684000))
            11.0   fact      ended
            11.0   over      CallerHungUp
        "#]],
    );
}

#[test]
fn an_interrupted_agent_is_told_only_what_was_heard() {
    check(
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.9  realtime  began r1
        1.0  realtime  spoke r1 me-1 3.0s
        2.6  realtime  caller-spoke
        2.7  realtime  spoke r1 me-1 4.0s
        2.8  realtime  done r1 cancelled 50 14 5 60
        3.5  realtime  turn you-2
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    carrier   play 1:3000:g0 3000ms
            1.0    fact      first-word
            2.6    carrier   clear
            2.6    realtime  truncate me-1 at 1600ms
            2.6    fact      interrupted
            2.8    fact      turn $0.004608
            3.35   realtime  append-silence 1000ms
            3.5    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn sound_is_sent_only_a_little_ahead_so_that_a_clear_is_prompt() {
    let rules = Rules {
        lead_ms: 300,
        message_ms: 100,
        ..rules()
    };
    check_with(
        rules,
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.9  realtime  began r1
        1.0  realtime  spoke-all r1 me-1 0.61s
        1.12 carrier   played 1:100:g0
        1.22 carrier   played 1:200:g0
        1.25 realtime  caller-spoke
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    carrier   play 1:100:g0 100ms
            1.0    fact      first-word
            1.0    carrier   play 1:200:g0 100ms
            1.0    carrier   play 1:300:g0 100ms
            1.12   carrier   play 1:400:g0 100ms
            1.22   carrier   play 1:500:g0 100ms
            1.25   carrier   clear
            1.25   realtime  truncate me-1 at 250ms
            1.25   fact      interrupted
        "#]],
    );
}

#[test]
fn an_answer_that_was_not_heard_at_all_is_forgotten_whole() {
    check(
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.4  realtime  began r1
        1.0  realtime  spoke r1 me-1 1.0s
        1.0  realtime  caller-spoke
        1.1  realtime  done r1 cancelled 50 14 5 20
        1.2  carrier   played 1:1000:g0
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    carrier   play 1:1000:g0 1000ms
            1.0    fact      first-word
            1.0    carrier   clear
            1.0    realtime  delete me-1
            1.0    fact      interrupted
            1.1    fact      turn $0.002048
        "#]],
    );
}

#[test]
fn the_agent_has_the_first_word_and_the_caller_who_waits_for_it_is_buffered() {
    let rules = Rules {
        greeting: "Greet the caller.".into(),
        ..rules()
    };
    check_with(
        rules,
        "
        0.0  carrier   started
        0.1  carrier   heard 0.1s
        0.2  carrier   heard 0.1s
        0.3  realtime  created
        0.4  realtime  configured
        0.5  carrier   heard 0.02s
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.3    realtime  configure
            0.4    fact      ready
            0.4    realtime  add System("The caller is on the line now. Greet the caller.")
            0.4    realtime  append 200ms
            0.4    realtime  respond r1 max 1024
            0.5    realtime  append 20ms
        "#]],
    );
}

#[test]
fn a_failed_answer_is_asked_for_again_with_a_pause_and_not_for_ever() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  done r1 failed 0 0 0 0
        3.0  realtime  done r2 failed 0 0 0 0
        6.0  realtime  done r3 failed 0 0 0 0
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.1    fact      turn
            1.1    fact      complained
            2.1    realtime  respond r2 max 1024
            3.0    fact      turn
            3.0    fact      complained
            5.0    realtime  respond r3 max 1024
            6.0    fact      turn
            6.0    fact      complained
            6.0    fact      model-lost
            6.0    fact      unreported $0.000064
            6.0    realtime  close
            6.0    fact      sentence
            6.0    carrier   say "Sorry."
            6.0    carrier   close
            6.0    realtime  close
            6.0    budget    Settle(Usd(12564000))
            6.0    fact      ended
            6.0    over      Lost(Realtime)
        "#]],
    );
}

#[test]
fn an_answer_refused_because_another_is_running_is_asked_for_again() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  complained benign conversation_already_has_active_response 1
        1.2  realtime  complained benign response_cancel_not_active
        3.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.1    fact      complained
            2.1    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn speech_of_an_answer_given_up_before_it_began_is_forgotten_by_the_model_too() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.2  realtime  began r1
        1.3  realtime  caller-spoke
        1.35 realtime  spoke r1 me-1 0.5s
        1.4  realtime  spoke r1 me-1 0.7s
        1.4  realtime  done r1 cancelled 50 14 5 14
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.35   realtime  delete me-1
            1.4    fact      turn $0.001664
        "#]],
    );
}

#[test]
fn a_caller_whose_sound_stops_in_the_middle_of_a_word_is_not_waited_for_for_ever() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  carrier   heard 1.0s
        1.5  realtime  caller-spoke
        4.0  realtime  turn you-1
        4.1  realtime  began r1
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  append 1000ms
            2.25   realtime  append-silence 1000ms
            4.0    realtime  respond r1 max 1024
        "#]],
    );
}

#[test]
fn speech_that_was_heard_to_its_end_is_not_interrupted_however_late_its_marks_are() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        1.2  realtime  spoke-all r1 me-1 1.0s
        1.3  realtime  done r1 completed 50 14 5 20
        9.0  realtime  caller-spoke
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.2    carrier   play 1:1000:g0 1000ms
            1.2    fact      first-word
            1.3    fact      turn $0.002048
            2.2    carrier   play 1:1020:g0 20ms
            9.0    carrier   clear
        "#]],
    );
}

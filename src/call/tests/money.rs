//! What a call may spend, and what it does when there is little left.

use super::script::{cents, play, rules};
use crate::call::rules::{Cap, Rules};
use crate::units::Usd;
use expect_test::{Expect, expect};

pub fn check_with(rules: Rules, granted: Usd, script: &str, expected: Expect) {
    expected.assert_eq(&play(rules, granted, script));
}

pub fn capped(end: u64) -> Rules {
    Rules {
        spend: Cap {
            warn: cents(end - 1),
            end: cents(end),
        },
        ..rules()
    }
}

#[test]
fn an_answer_is_only_as_long_as_the_money_left_and_then_comes_the_goodbye() {
    check_with(
        capped(6),
        cents(6),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  carrier   heard 1.0s
        2.0  realtime  turn you-1
        2.1  realtime  began r1
        2.2  realtime  spoke-all r1 me-1 15.0s
        2.3  realtime  done r1 incomplete 60 10 75 320
       17.4  carrier   played 1:15020:g0
       18.0  carrier   heard 1.0s
       19.0  realtime  turn you-2
       19.1  realtime  began r2
       19.2  realtime  spoke-all r2 bye-1 2.0s
       19.3  realtime  done r2 completed 10 0 10 40
       21.3  carrier   played 2:2020:g0
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 240s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  append 1000ms
            2.0    realtime  respond r1 max 443
            2.2    carrier   play 1:15000:g0 15000ms
            2.2    fact      first-word
            2.3    fact      turn $0.02284
            2.3    fact      warned
            2.3    realtime  add System("This call must end soon. Answer in one or two sentences and bring it to a close.")
            17.2   carrier   play 1:15020:g0 20ms
            18.0   realtime  append 1000ms
            19.0   fact      wrapping-up
            19.0   realtime  goodbye r2 max 200
            19.2   carrier   play 2:2000:g0 2000ms
            19.3   fact      turn $0.00284
            21.2   carrier   play 2:2020:g0 20ms
            21.3   carrier   close
            23.3   fact      unreported $0.000352
            23.3   realtime  close
            23.3   budget    Settle(Usd(38532000))
            23.3   fact      ended
            23.3   over      SaidGoodbye(Spend)
        "#]],
    );
}

#[test]
fn a_minute_that_cannot_be_paid_for_does_not_begin() {
    check_with(
        Rules {
            transcription: None,
            silence_ms: Cap {
                warn: 100_000,
                end: 200_000,
            },
            ..capped(3)
        },
        cents(3),
        "
        0.0  carrier   started
        0.0  realtime  ready
       47.6  realtime  began r1
       47.8  realtime  spoke-all r1 bye-1 2.0s
       47.9  realtime  done r1 completed 10 0 10 40
       50.0  carrier   played 1:2020:g0
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 120s
            0.0    realtime  configure
            0.0    fact      ready
            47.5   fact      warned
            47.5   fact      wrapping-up
            47.5   realtime  goodbye r1 max 200
            47.8   carrier   play 1:2000:g0 2000ms
            47.8   fact      first-word
            47.9   fact      turn $0.00284
            49.8   carrier   play 1:2020:g0 20ms
            50.0   carrier   close
            50.0   realtime  close
            50.0   budget    Settle(Usd(15340000))
            50.0   fact      ended
            50.0   over      SaidGoodbye(Spend)
        "#]],
    );
}

#[test]
fn a_report_above_its_bound_ends_the_call() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        2.0  realtime  done r1 completed 60 10 75 9000
        2.1  realtime  done r1 completed 60 10 75 9000
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            2.0    fact      turn $0.57836
            2.0    fact      bound-broken
            2.0    fact      warned
            2.0    fact      wrapping-up
            2.0    realtime  goodbye r2 max 200
        "#]],
    );
}

#[test]
fn an_answer_nobody_asked_for_is_cancelled_charged_and_the_end() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  began stray
        1.1  realtime  spoke stray item 1.0s
        1.2  realtime  done stray completed 60 10 75 20
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  cancel stray
            1.0    fact      bound-broken
            1.0    fact      warned
            1.0    fact      wrapping-up
            1.0    realtime  cancel stray
            1.0    realtime  goodbye r2 max 200
            1.2    fact      turn $0.00364
        "#]],
    );
}

#[test]
fn what_is_never_reported_is_charged_at_its_bound() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        0.5  carrier   heard 0.5s
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        2.0  carrier   stopped
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            0.5    realtime  append 500ms
            1.0    realtime  respond r1 max 1024
            2.0    realtime  cancel r1
            2.0    carrier   close
            4.0    fact      unreported $0.06852
            4.0    realtime  close
            4.0    budget    Settle(Usd(81020000))
            4.0    fact      ended
            4.0    over      CallerHungUp
        "#]],
    );
}

#[test]
fn a_report_without_usage_is_charged_at_its_bound() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        0.5  carrier   heard 0.5s
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        2.0  realtime  done r1 completed
        3.0  realtime  transcribed you-1 5
        4.0  carrier   stopped
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            0.5    realtime  append 500ms
            1.0    realtime  respond r1 max 1024
            2.0    fact      turn $0.068352
            3.0    fact      transcribed $0.00004
            4.0    carrier   close
            4.0    realtime  close
            4.0    budget    Settle(Usd(80892000))
            4.0    fact      ended
            4.0    over      CallerHungUp
        "#]],
    );
}

#[test]
fn more_is_asked_for_at_half_of_the_grant_and_a_silent_budget_leaves_what_was_granted() {
    check_with(
        capped(40),
        cents(10),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        1.15 budget    granted 0.10
        2.0  realtime  done r1 completed 60 10 75 900
        3.0  realtime  turn you-2
        3.1  realtime  began r2
        4.0  realtime  done r2 completed 60 10 75 900
        5.0  realtime  turn you-3
       20.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.1    budget    TopUp(Usd(100000000))
            2.0    fact      turn $0.05996
            3.0    realtime  respond r2 max 1024
            3.1    budget    TopUp(Usd(100000000))
            4.0    fact      turn $0.05996
            5.1    realtime  respond r3 max 321
            13.1   fact      model-lost
            13.1   fact      unreported $0.052124
            13.1   realtime  close
            13.1   fact      warned
            13.1   fact      wrapping-up
            13.1   fact      sentence
            13.1   carrier   say "Goodbye."
            13.1   carrier   close
            13.1   realtime  close
            13.1   budget    Settle(Usd(184544000))
            13.1   fact      ended
            13.1   over      SaidGoodbye(Budget)
        "#]],
    );
}

#[test]
fn a_call_that_cannot_pay_for_its_own_goodbye_is_ended_at_once() {
    check_with(
        capped(2),
        cents(2),
        "
        0.0  carrier   started
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      warned
            0.0    fact      wrapping-up
            0.0    carrier   close
            0.0    realtime  close
            0.0    budget    Settle(Usd(12500000))
            0.0    fact      ended
            0.0    over      CutOff(Spend)
        "#]],
    );
}

#[test]
fn a_report_of_an_answer_that_was_never_computed_does_not_shrink_the_memory() {
    check_with(
        Rules {
            transcription: None,
            ..capped(19)
        },
        cents(19),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        2.0  realtime  done r1 completed 200 2000 10 20
        3.0  realtime  turn you-2
        3.1  realtime  began r2
        3.2  realtime  caller-spoke
        3.3  realtime  done r2 cancelled 0 0 0 0
        4.0  realtime  turn you-3
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            2.0    fact      turn $0.06632
            3.0    realtime  respond r2 max 477
            3.3    fact      turn
            3.95   realtime  append-silence 1000ms
            4.0    realtime  respond r3 max 454
        "#]],
    );
}

#[test]
fn two_turns_out_of_one_stretch_of_sound_are_both_paid_for() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.1  carrier   heard 8.0s
        0.2  realtime  ready
        0.5  realtime  turn you-1
        0.5  realtime  turn you-2
        0.7  realtime  transcribed you-1 20
        0.8  realtime  transcribed you-2 20
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.2    realtime  append 8000ms
            0.5    realtime  respond r1 max 1024
            0.7    fact      transcribed $0.00016
            0.8    fact      transcribed $0.00016
        "#]],
    );
}

#[test]
fn what_was_said_while_the_model_was_being_reached_may_become_nine_turns_at_once() {
    let told = play(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.1  carrier   heard 10.0s
        0.2  realtime  ready
        0.5  realtime  turn you-1
        0.5  realtime  turn you-2
        0.5  realtime  began r1
        0.9  realtime  done r1 completed 200 240 0 1024
    ",
    );
    // 14 for the settings' borders, 100 for ten seconds, and nine times 14 for the turns' borders.
    assert!(!told.contains("bound-broken"), "{told}");
}

#[test]
fn an_answer_that_has_begun_is_billed_by_its_report_whatever_errors_say() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.2  realtime  began r1
        1.3  realtime  spoke r1 me-1 1.0s
        1.4  realtime  complained retry server_error 1
        1.5  realtime  done r1 failed 600 100 5 200
        1.6  realtime  began r77
        1.7  realtime  done r77 completed 60 60 10 200
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.3    carrier   play 1:1000:g0 1000ms
            1.3    fact      first-word
            1.4    fact      complained
            1.5    fact      turn $0.01852
            1.5    fact      complained
            1.6    realtime  cancel r77
            1.6    fact      bound-broken
            1.6    fact      warned
            1.6    fact      wrapping-up
            1.6    realtime  cancel r77
            1.6    realtime  goodbye r3 max 200
            1.7    fact      turn $0.0152
        "#]],
    );
}

#[test]
fn a_goodbye_that_fails_late_is_not_followed_by_a_sentence_nobody_can_pay_for() {
    check_with(
        Rules {
            transcription: None,
            silence_ms: Cap {
                warn: 100_000,
                end: 200_000,
            },
            ..capped(3)
        },
        cents(3),
        "
        0.0  carrier   started
        0.0  realtime  ready
       45.0  operator  wraps-up
       45.5  realtime  began r1
       46.0  realtime  spoke r1 bye 1.0s
       54.5  realtime  lost
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 120s
            0.0    realtime  configure
            0.0    fact      ready
            45.0   fact      warned
            45.0   fact      wrapping-up
            45.0   realtime  goodbye r1 max 200
            46.0   carrier   play 1:1000:g0 1000ms
            46.0   fact      first-word
            54.5   fact      model-lost
            54.5   carrier   close
            54.5   fact      unreported $0.013296
            54.5   realtime  close
            54.5   budget    Settle(Usd(25796000))
            54.5   fact      ended
            54.5   over      CutOff(Drain)
        "#]],
    );
}

#[test]
fn what_the_carrier_takes_once_is_paid_before_the_first_minute_out_of_the_cap() {
    let fee = Usd::from_micros(7_500);
    let dear = Rules { fee, ..capped(50) };
    assert_eq!(dear.smallest_cap(), capped(50).smallest_cap().plus(fee));
    let told = play(dear, cents(50), "0.0  carrier   started");
    let place = |what: &str| told.find(what).expect(what);
    assert!(place("fee $0.0075") < place("minute $0.0125"), "{told}");
    assert_eq!(told.matches("fee").count(), 1, "{told}");
}

//! How calls end: by whom, how politely, and never too late.

use super::script::{check, check_with, rules};
use crate::call::rules::{Cap, Rules};
use expect_test::expect;

#[test]
fn nothing_is_sent_to_a_session_whose_settings_differ() {
    check(
        "
        0.0  carrier   started
        0.1  carrier   heard 0.1s
        0.2  realtime  created
        0.3  realtime  differs max_output_tokens
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.3    fact      model-lost
            0.3    realtime  close
            0.3    fact      sentence
            0.3    carrier   say "Sorry."
            0.3    carrier   close
            0.3    realtime  close
            0.3    budget    Settle(Usd(12500000))
            0.3    fact      ended
            0.3    over      Lost(Realtime)
        "#]],
    );
}

#[test]
fn a_model_that_cannot_be_reached_is_apologised_for_when_there_is_somebody_to_hear_it() {
    check(
        "
        0.1  realtime  refused invalid_api_key
        0.5  carrier   started
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.1    fact      model-lost
            0.1    realtime  close
            0.5    fact      answered
            0.5    carrier   limit 310s
            0.5    fact      sentence
            0.5    carrier   say "Sorry."
            0.5    carrier   close
            0.5    realtime  close
            0.5    budget    Settle(Usd(12500000))
            0.5    fact      ended
            0.5    over      Lost(Realtime)
        "#]],
    );
}

#[test]
fn a_model_lost_in_the_middle_is_apologised_for() {
    check(
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        1.0  realtime  lost
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    fact      model-lost
            1.0    fact      unreported $0.068256
            1.0    realtime  close
            1.0    standby   open
        "#]],
    );
}

#[test]
fn a_silent_caller_is_asked_once_and_then_told_goodbye() {
    let rules = Rules {
        silence_ms: Cap {
            warn: 5_000,
            end: 8_000,
        },
        ..rules()
    };
    check_with(
        rules,
        "
        0.0  carrier   started
        0.0  realtime  ready
        5.1  realtime  began r1
        5.2  realtime  spoke-all r1 me-1 1.0s
        5.3  realtime  done r1 completed 10 0 5 20
        6.3  carrier   played 1:1020:g0
        9.5  realtime  began r2
        9.6  realtime  spoke-all r2 me-2 1.0s
        9.7  realtime  done r2 completed 10 0 5 20
       10.8  carrier   played 2:1020:g0
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            5.0    fact      warned
            5.0    realtime  add System("The caller has been silent for a while. Ask briefly whether they are still there.")
            5.0    realtime  respond r1 max 1024
            5.2    carrier   play 1:1000:g0 1000ms
            5.2    fact      first-word
            5.3    fact      turn $0.00144
            6.2    carrier   play 1:1020:g0 20ms
            9.22   fact      wrapping-up
            9.22   realtime  goodbye r2 max 200
            9.6    carrier   play 2:1000:g0 1000ms
            9.7    fact      turn $0.00144
            10.6   carrier   play 2:1020:g0 20ms
            10.8   carrier   close
            10.8   realtime  close
            10.8   budget    Settle(Usd(15380000))
            10.8   fact      ended
            10.8   over      SaidGoodbye(Silence)
        "#]],
    );
}

#[test]
fn no_call_outlives_its_clock() {
    let rules = Rules {
        duration_ms: Cap {
            warn: 20_000,
            end: 30_000,
        },
        ..rules()
    };
    check_with(
        rules,
        "
        0.0  carrier   started
        0.0  realtime  ready
       18.5  realtime  began r1
       18.6  realtime  spoke r1 me-1 30.0s
       31.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 60s
            0.0    realtime  configure
            0.0    fact      ready
            18.0   fact      warned
            18.0   fact      wrapping-up
            18.0   realtime  goodbye r1 max 200
            18.6   carrier   play 1:30000:g0 30000ms
            18.6   fact      first-word
            28.0   carrier   close
            30.0   fact      unreported $0.013296
            30.0   realtime  close
            30.0   budget    Settle(Usd(25796000))
            30.0   fact      ended
            30.0   over      CutOff(Duration)
        "#]],
    );
}

#[test]
fn a_goodbye_that_never_comes_is_said_by_the_carrier() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  operator  wraps-up
        9.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    fact      warned
            1.0    fact      wrapping-up
            1.0    realtime  goodbye r1 max 200
            3.0    fact      sentence
            3.0    carrier   say "Goodbye."
            3.0    carrier   close
            5.0    fact      unreported $0.013296
            5.0    realtime  close
            5.0    budget    Settle(Usd(25796000))
            5.0    fact      ended
            5.0    over      SaidGoodbye(Drain)
        "#]],
    );
}

#[test]
fn an_operator_who_hangs_up_does_not_wait() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  operator  hangs-up
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    carrier   close
            1.0    realtime  close
            1.0    budget    Settle(Usd(12500000))
            1.0    fact      ended
            1.0    over      Stopped
        "#]],
    );
}

#[test]
fn a_stream_that_never_opens_ends_the_call() {
    check(
        "
        0.0  realtime  ready
       20.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    realtime  configure
            0.0    fact      ready
            15.0   carrier   close
            15.0   realtime  close
            15.0   budget    Settle(Usd(12500000))
            15.0   fact      ended
            15.0   over      Lost(Carrier)
        "#]],
    );
}

#[test]
fn a_goodbye_is_not_cut_short_by_the_report_of_the_answer_before_it() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        1.2  operator  wraps-up
        1.3  realtime  began r2
        1.4  realtime  spoke r2 bye 0.25s
        1.5  realtime  done r1 cancelled 50 14 5 14
        1.6  realtime  spoke-all r2 bye 2.0s
        1.7  realtime  done r2 completed 10 0 5 40
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  respond r1 max 1024
            1.2    fact      warned
            1.2    fact      wrapping-up
            1.2    realtime  cancel r1
            1.2    realtime  goodbye r2 max 200
            1.4    carrier   play 1:240:g0 240ms
            1.4    fact      first-word
            1.5    fact      turn $0.001664
            1.64   carrier   play 1:2020:g0 1780ms
            1.7    fact      turn $0.00272
        "#]],
    );
}

#[test]
fn a_goodbye_that_was_heard_was_said_however_late_its_report_is() {
    check(
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  operator  wraps-up
        1.3  realtime  began r1
        1.4  realtime  spoke-all r1 bye 2.0s
       12.0  wait
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    fact      warned
            1.0    fact      wrapping-up
            1.0    realtime  goodbye r1 max 200
            1.4    carrier   play 1:2000:g0 2000ms
            1.4    fact      first-word
            3.4    carrier   play 1:2020:g0 20ms
            11.0   carrier   close
            13.0   fact      unreported $0.013296
            13.0   realtime  close
            13.0   budget    Settle(Usd(25796000))
            13.0   fact      ended
            13.0   over      SaidGoodbye(Drain)
        "#]],
    );
}

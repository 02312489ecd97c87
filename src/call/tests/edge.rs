//! The edge of the budget, and what comes after the end: old sound becomes words, and late reports still count.

use super::money::{capped, check_with};
use super::script::{cents, outputs, play, rules};
use crate::call::invariants::Checker;
use crate::call::record::{Turn, What};
use crate::call::rules::{Cap, Edge, Rules};
use crate::call::{Call, Input, Output, Ticket};
use crate::carrier;
use crate::pricing::Usage;
use crate::realtime::{Event, Status};
use crate::units::{CallTime, Id, Usd};
use expect_test::expect;
use std::sync::Arc;

/// Two turns of talk: each a second of the caller, and an answer of two seconds whose report says what was read and from where.
const TWO_TURNS: &str = "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        1.2  realtime  spoke-all r1 me-1 2.0s
        1.3  realtime  said me-1 It is four o'clock.
        1.4  realtime  said you-1 What time is it?
        1.5  realtime  done r1 completed 140 10 10 40
        3.5  carrier   played 1:2020:g0
        4.0  realtime  turn you-2
        4.1  realtime  began r2
        4.2  realtime  spoke-all r2 me-2 2.0s
        4.3  realtime  said me-2 You are welcome.
        4.4  realtime  said you-2 Thank you.
";

fn keeps(keep_turns: u32) -> Rules {
    Rules {
        keep_turns,
        silence_ms: Cap {
            warn: 100_000,
            end: 200_000,
        },
        ..rules()
    }
}

/// What the call tells the model about its memory.
fn remembered(rules: Rules, granted: Usd, script: &str) -> String {
    let told = play(rules, granted, script);
    let about = |line: &&str| line.contains("insert") || line.contains("delete");
    told.lines()
        .filter(about)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn without_a_cache_old_sound_is_replaced_by_its_words_as_soon_as_there_is_enough() {
    let script = format!(
        "{TWO_TURNS}
        4.5  realtime  done r2 completed 150 60 10 40
        6.5  carrier   played 2:2020:g0
        "
    );
    let told = remembered(keeps(0), cents(500), &script);
    expect![[r#"
        4.5    realtime  insert behind me-2 System("Earlier in this call, in words:\nCaller: What time is it?\nYou: It is four o'clock.\nCaller: Thank you.\nYou: You are welcome.")
        4.5    realtime  delete you-1
        4.5    realtime  delete me-1
        4.5    realtime  delete you-2
        4.5    realtime  delete me-2
    "#]]
    .assert_eq(&told);
    assert_eq!(
        remembered(keeps(2), cents(500), &script),
        "",
        "two turns stay as they were said"
    );
}

#[test]
fn while_the_cache_serves_it_what_was_said_stays_as_it_was_until_the_money_runs_short() {
    let script = format!(
        "{TWO_TURNS}
        4.5  realtime  done r2 completed 150 60 10 40 cached 64 60
        6.5  carrier   played 2:2020:g0
        "
    );
    assert_eq!(remembered(keeps(0), cents(500), &script), "");
    let short = Rules {
        edge: Edge::default(),
        ..keeps(0)
    };
    let short = Rules {
        spend: capped(7).spend,
        ..short
    };
    assert!(remembered(short.clone(), cents(7), &script).contains("delete me-2"));
    let edge = Edge {
        shrink: false,
        ..Edge::default()
    };
    assert_eq!(remembered(Rules { edge, ..short }, cents(7), &script), "");
}

#[test]
fn words_do_not_count_as_sound_unless_no_room_is_kept_for_them() {
    let script = format!(
        "{TWO_TURNS}
        4.5  realtime  done r2 completed 5000 60 10 40 cached 4992 60
        6.5  carrier   played 2:2020:g0
        "
    );
    assert_eq!(remembered(keeps(0), cents(500), &script), "");
    let rules = Rules {
        words_tokens: 0,
        ..keeps(0)
    };
    assert!(remembered(rules, cents(500), &script).contains("delete me-2"));
}

#[test]
fn with_more_sound_than_there_may_be_the_last_turn_alone_stays_and_what_nobody_understood_goes_at_twice_as_much()
 {
    let script = |sound: u64| {
        format!(
            "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        1.2  realtime  spoke-all r1 me-1 2.0s
        1.3  realtime  said me-1 It is four o'clock.
        1.5  realtime  done r1 completed 140 10 10 40
        3.5  carrier   played 1:2020:g0
        4.0  realtime  turn you-2
        4.1  realtime  began r2
        4.5  realtime  done r2 completed 150 {sound} 10 40 cached 64 {sound}
        "
        )
    };
    assert_eq!(remembered(keeps(2), cents(900), &script(1_900)), "");
    let over = remembered(keeps(2), cents(900), &script(2_100));
    expect![[r#"
        4.5    realtime  insert behind me-1 System("Earlier in this call, in words:\nYou: It is four o'clock.")
        4.5    realtime  delete me-1
    "#]]
    .assert_eq(&over);
    let nobody_told = script(4_100).replace("said me-1 It is four o'clock.", "said me-9 Nothing.");
    expect![[r#"
        4.5    realtime  insert behind me-1 System("Earlier in this call, in words:\nCaller: (unclear)")
        4.5    realtime  delete you-1
        4.5    realtime  delete me-1
    "#]]
    .assert_eq(&remembered(keeps(2), cents(900), &nobody_told));
}

#[test]
fn a_report_that_comes_after_the_end_is_charged_instead_of_the_bound() {
    check_with(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  carrier   heard 1.0s
        1.1  realtime  turn you-1
        1.2  realtime  began r1
        2.0  carrier   stopped
        2.3  realtime  done r1 cancelled 60 10 5 20
        2.6  realtime  transcribed you-1 10
    ",
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.0    realtime  configure
            0.0    fact      ready
            1.0    realtime  append 1000ms
            1.1    realtime  respond r1 max 1024
            2.0    realtime  cancel r1
            2.0    carrier   close
            2.3    fact      turn $0.00196
            2.6    fact      transcribed $0.00008
            2.6    realtime  close
            2.6    budget    Settle(Usd(14540000))
            2.6    fact      ended
            2.6    over      CallerHungUp
        "#]],
    );
}

#[test]
fn a_second_report_after_the_end_changes_nothing() {
    let twice = play(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.1  realtime  turn you-1
        1.2  realtime  began r1
        2.0  carrier   stopped
        2.3  realtime  done r1 cancelled 60 10 5 20
        2.4  realtime  done r1 cancelled 60 10 5 20
        2.5  carrier   stopped
    ",
    );
    assert_eq!(twice.matches("fact      turn").count(), 1);
}

#[test]
fn an_operator_who_hangs_up_twice_does_not_wait_for_reports() {
    let told = play(
        rules(),
        cents(500),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.1  realtime  turn you-1
        2.0  operator  hangs-up
        2.1  operator  hangs-up
        2.2  operator  hangs-up
    ",
    );
    assert!(told.contains("2.1    fact      unreported"), "{told}");
    assert!(told.ends_with("2.1    over      Stopped\n"), "{told}");
}

/// A response of this name that repeats the number of our first request.
fn second(name: &str, done: bool) -> Input {
    let (response, nonce) = (Id::from(name), Some(1));
    Input::Realtime(match done {
        false => Event::ResponseStarted { response, nonce },
        true => Event::ResponseDone {
            response,
            nonce,
            status: Status::Completed,
            usage: Some(Usage {
                audio_out: 10,
                ..Usage::default()
            }),
        },
    })
}

#[test]
fn a_second_answer_under_a_number_of_ours_is_one_that_nobody_asked_for() {
    for between in [true, false] {
        let mut call = Call::new(Ticket {
            call: "rf-1".into(),
            rules: Arc::new(rules()),
            others: Vec::new(),
            began_unix_s: 0,
            granted: cents(500),
        });
        let turn = Event::Committed { item: "you".into() };
        let mut inputs = vec![
            Input::Carrier(carrier::Event::Started),
            Input::Realtime(Event::Configured(Ok(()))),
            Input::Realtime(turn),
            second("a", false),
            second("a", true),
            second("b", false),
            second("b", true),
            second("b", true),
            second("a", true),
        ];
        if between {
            inputs.swap(4, 5);
        }
        let (mut told, mut checker) = (Vec::new(), Checker::default());
        for input in inputs {
            let mut outputs = Vec::new();
            call.handle(CallTime::ZERO, input.clone(), &mut outputs);
            let fine = checker.check(&call, CallTime::ZERO, &input, &outputs);
            assert_eq!(fine, Ok(()));
            told.append(&mut outputs);
        }
        let count = |is: fn(&What) -> bool| {
            let facts = told
                .iter()
                .filter(|it| matches!(it, Output::Record(fact) if is(&fact.what)));
            facts.count()
        };
        assert_eq!(count(|what| matches!(what, What::Turn(_))), 2);
        assert!(count(|what| matches!(what, What::BoundBroken { .. })) > 0);
    }
}

#[test]
fn what_an_answer_wrote_is_remembered_however_little_its_report_says_it_read() {
    for (report, remembered) in [
        ("done r1 cancelled 0 0 0 300", 300),
        ("done r1 cancelled 10 10 0 300", 300),
        ("done r1 completed", 1024),
    ] {
        let script = format!(
            "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.1  realtime  began r1
        2.0  realtime  {report}
        3.0  realtime  turn you-2
        3.1  realtime  began r2
        4.0  realtime  done r2 completed 200 {} 0 1024
        ",
            14 + 2 * 22 + remembered + 14
        );
        let told = play(rules(), cents(500), &script);
        assert!(!told.contains("bound-broken"), "{told}");
    }
}

#[test]
fn an_agent_that_may_not_be_brief_says_goodbye_when_a_whole_answer_does_not_fit() {
    let edge = Edge {
        shorten: false,
        tell: false,
        ..Edge::default()
    };
    let told = play(
        Rules { edge, ..capped(6) },
        cents(6),
        "
        0.0  carrier   started
        0.0  realtime  ready
        1.0  realtime  turn you-1
        1.5  realtime  began r1
        1.6  realtime  spoke-all r1 bye-1 2.0s
        1.7  realtime  done r1 completed 10 0 10 40
        3.7  carrier   played 1:2020:g0
    ",
    );
    assert!(
        told.contains("goodbye r1 max 200") && !told.contains("respond"),
        "{told}"
    );
    assert!(!told.contains("add System"), "{told}");
}

#[test]
fn the_rate_tells_what_a_minute_costs_from_the_first_answer_on() {
    let script = format!(
        "{TWO_TURNS}
        4.5  realtime  done r2 completed 150 60 10 40
        6.5  carrier   played 2:2020:g0
        "
    );
    let outputs = outputs(keeps(2), cents(50), &script);
    let turn = |(_, output): &(_, Output)| match output {
        Output::Record(fact) => match &fact.what {
            What::Turn(Turn {
                burn_per_minute,
                seconds_left,
                ..
            }) => Some((*burn_per_minute, *seconds_left)),
            _ => None,
        },
        _ => None,
    };
    let told: Vec<_> = outputs.iter().filter_map(turn).collect();
    // An answer of $0.00368 in ten seconds, and a minute of $0.0125; then another of $0.00532, also within the first ten.
    let expected = [(34_580_000, 298), (66_500_000, 295)];
    let expected = expected.map(|(nanos, left)| (Usd::from_nanos(nanos), left));
    assert_eq!(told, expected);
}

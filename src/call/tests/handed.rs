//! A caller who is handed over to somebody else: to whom, with whose money, and what comes of it.

use super::acts::{able, act, act_with};
use super::script::{cents, play};
use crate::call::rules::{Cap, Rules};
use crate::units::Usd;
use expect_test::expect;

/// The caller is talked to, and then with sales.
const AWAY: &str = "
    0.6  realtime  spoke-all r1 me-1 0.5s
    0.7  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
    0.7  budget    granted 1.00
    0.8  realtime  done r1 completed 50 14 5 10
    1.1  carrier   played 1:500:g0
    1.2  carrier   played 1:520:g0
    1.4  carrier   stopped
";

/// An agent that hands callers over at the edge.
fn falls_back() -> Rules {
    let mut rules = able();
    rules.abilities.fallback = Some("help".into());
    rules.silence_ms = Cap {
        warn: 290_000,
        end: 295_000,
    };
    rules
}

#[test]
fn a_budget_that_has_no_money_for_a_transfer_leaves_the_caller_with_the_agent() {
    act(
        "
        0.6  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
        0.7  realtime  done r1 completed 50 14 20 0
        0.8  budget    refused
    ",
        expect![[r#"
            0.6    budget    TopUp(Usd(290000000))
            0.7    fact      turn $0.001128
            0.8    fact      not-transferred
            0.8    realtime  add ToolOutput { tool_call: Id("c1"), output: "There is no money for a transfer just now." }
            0.8    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_budget_that_does_not_answer_is_not_waited_for() {
    act(
        "
        0.6  realtime  spoke-all r1 me-1 0.5s
        0.6  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
        0.7  realtime  done r1 completed 50 14 5 10
        1.1  carrier   played 1:500:g0
        1.2  carrier   played 1:520:g0
        4.0  budget    granted 1.00
    ",
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.6    budget    TopUp(Usd(290000000))
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            2.6    fact      not-transferred
            2.6    realtime  add ToolOutput { tool_call: Id("c1"), output: "There is no money for a transfer just now." }
            2.6    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_caller_who_was_handed_over_is_charged_for_both_lines() {
    act(
        &format!(
            "{AWAY}
        100.0 carrier   leg-ended 65
        101.0 carrier   ended
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            1.2    fact      sentence
            1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
            1.4    fact      unreported $0.000064
            1.4    realtime  close
            1.4    carrier   close
            1.4    fact      transferred
            60.0   fact      minute $0.0125
            101.0  fact      leg $0.028
            101.0  realtime  close
            101.0  budget    Settle(Usd(54472000))
            101.0  fact      ended
            101.0  over      Transferred
        "#]],
    );
}

#[test]
fn a_leg_that_nobody_told_of_is_charged_as_long_as_it_can_have_been() {
    act(
        &format!("{AWAY} 130.0 carrier   ended"),
        expect![[r#"
        0.6    carrier   play 1:500:g0 500ms
        0.6    fact      first-word
        0.7    budget    TopUp(Usd(290000000))
        0.7    fact      transferring
        0.8    fact      turn $0.001408
        1.1    carrier   play 1:520:g0 20ms
        1.2    fact      sentence
        1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
        1.4    fact      unreported $0.000064
        1.4    realtime  close
        1.4    carrier   close
        1.4    fact      transferred
        60.0   fact      minute $0.0125
        120.0  fact      minute $0.0125
        130.0  fact      leg $0.042
        130.0  realtime  close
        130.0  budget    Settle(Usd(80972000))
        130.0  fact      ended
        130.0  over      Transferred
    "#]],
    );
}

#[test]
fn news_of_the_end_that_overtake_the_closing_stream_end_the_call_all_the_same() {
    let handed = AWAY.replace("1.4  carrier   stopped", "");
    act(
        &format!(
            "{handed}
        1.3  carrier   ended
        1.4  carrier   stopped
        60.0 wait
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            1.2    fact      sentence
            1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
            1.4    fact      unreported $0.000064
            1.4    realtime  close
            1.4    carrier   close
            1.4    fact      transferred
            1.4    fact      leg $0.014
            1.4    realtime  close
            1.4    budget    Settle(Usd(27972000))
            1.4    fact      ended
            1.4    over      Transferred
        "#]],
    );
}

#[test]
fn a_leg_that_ends_before_the_stream_has_closed_is_waited_for_no_longer() {
    let handed = AWAY.replace("1.4  carrier   stopped", "");
    act(
        &format!(
            "{handed}
        1.3  carrier   leg-ended 0
        1.4  carrier   stopped
        60.0 wait
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            1.2    fact      sentence
            1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
            1.4    fact      unreported $0.000064
            1.4    realtime  close
            1.4    carrier   close
            1.4    fact      transferred
            11.4   fact      leg
            11.4   realtime  close
            11.4   budget    Settle(Usd(13972000))
            11.4   fact      ended
            11.4   over      Transferred
        "#]],
    );
}

#[test]
fn a_carrier_that_cannot_dial_leaves_the_caller_with_the_agent() {
    let handed = AWAY.replace("1.4  carrier   stopped", "");
    act(
        &format!(
            "{handed}
        1.5  carrier   not-transferred
        2.0  realtime  began r2
        2.1  realtime  spoke-all r2 me-2 0.5s
        2.2  realtime  done r2 completed 50 14 5 10
        3.0  carrier   stopped
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            1.2    fact      sentence
            1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
            1.5    fact      not-transferred
            1.5    realtime  add ToolOutput { tool_call: Id("c1"), output: "The transfer did not work: nobody could be dialled." }
            1.5    realtime  respond r2 max 1024
            2.1    carrier   play 2:500:g0 500ms
            2.2    fact      turn $0.001408
            2.6    carrier   play 2:520:g0 20ms
            3.0    carrier   close
            5.0    fact      unreported $0.000064
            5.0    realtime  close
            5.0    budget    Settle(Usd(15380000))
            5.0    fact      ended
            5.0    over      CallerHungUp
        "#]],
    );
}

#[test]
fn a_refusal_that_comes_when_the_stream_has_closed_means_that_the_caller_left() {
    act(
        &format!(
            "{AWAY}
        1.5  carrier   not-transferred
        70.0 carrier   ended
    "
        ),
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            1.2    fact      sentence
            1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
            1.4    fact      unreported $0.000064
            1.4    realtime  close
            1.4    carrier   close
            1.4    fact      transferred
            1.5    fact      leg
            1.5    realtime  close
            1.5    budget    Settle(Usd(13972000))
            1.5    fact      ended
            1.5    over      CallerHungUp
        "#]],
    );
}

#[test]
fn a_caller_who_cuts_in_before_they_are_handed_over_stays() {
    act(
        "
        0.6  realtime  spoke-all r1 me-1 2.0s
        0.7  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
        0.7  budget    granted 1.00
        0.8  realtime  done r1 completed 50 14 5 40
        1.5  realtime  caller-spoke
        1.6  carrier   heard 0.02s
        2.0  realtime  turn you-2
    ",
        expect![[r#"
            0.6    carrier   play 1:2000:g0 2000ms
            0.6    fact      first-word
            0.7    budget    TopUp(Usd(290000000))
            0.7    fact      transferring
            0.8    fact      turn $0.003328
            1.5    carrier   clear
            1.5    realtime  truncate me-1 at 900ms
            1.5    fact      interrupted
            1.5    realtime  add ToolOutput { tool_call: Id("c1"), output: "Not done: the caller spoke. Listen to them." }
            1.6    realtime  append 20ms
            2.0    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn at_the_edge_of_the_time_somebody_takes_over_instead_of_a_goodbye() {
    act_with(
        falls_back(),
        cents(500),
        "
        0.6  realtime  spoke-all r1 me-1 0.5s
        0.7  realtime  done r1 completed 50 14 5 10
        1.2  carrier   played 1:520:g0
        288.5 budget   granted 1.00
        289.0 carrier  stopped
        330.0 carrier  leg-ended 30
        331.0 carrier  ended
    ",
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            60.0   fact      minute $0.0125
            120.0  fact      minute $0.0125
            180.0  fact      minute $0.0125
            240.0  fact      warned
            240.0  realtime  add System("The time for this call is nearly up. Answer briefly and bring it to a close.")
            240.0  fact      minute $0.0125
            288.0  fact      wrapping-up
            288.0  budget    TopUp(Usd(290000000))
            288.5  fact      transferring
            288.5  fact      sentence
            288.5  carrier   transfer to +15005550010 for 590s, whole call 924s, "One moment."
            289.0  fact      unreported $0.000064
            289.0  realtime  close
            289.0  carrier   close
            289.0  fact      transferred
            300.0  fact      minute $0.0125
            331.0  fact      leg $0.014
            331.0  realtime  close
            331.0  budget    Settle(Usd(90472000))
            331.0  fact      ended
            331.0  over      Transferred
        "#]],
    );
}

#[test]
fn at_the_edge_of_the_money_too() {
    let mut poor = falls_back();
    poor.spend.end = cents(10);
    poor.spend.warn = cents(9);
    act_with(
        poor,
        cents(10),
        "
        0.6  realtime  spoke-all r1 me-1 0.5s
        0.7  realtime  done r1 completed 2000 500 100 500
        1.2  carrier   played 1:520:g0
        2.0  realtime  turn you-2
        2.1  budget    granted 1.00
        2.3  carrier   stopped
        9.0  carrier   leg-ended 5
        9.1  carrier   ended
    ",
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.0584
            0.7    fact      warned
            0.7    realtime  add System("This call must end soon. Answer in one or two sentences and bring it to a close.")
            1.1    carrier   play 1:520:g0 20ms
            2.0    fact      wrapping-up
            2.0    budget    TopUp(Usd(290000000))
            2.1    fact      transferring
            2.1    fact      sentence
            2.1    carrier   transfer to +15005550010 for 590s, whole call 638s, "One moment."
            2.3    fact      unreported $0.000064
            2.3    realtime  close
            2.3    carrier   close
            2.3    fact      transferred
            9.1    fact      leg $0.014
            9.1    realtime  close
            9.1    budget    Settle(Usd(84964000))
            9.1    fact      ended
            9.1    over      Transferred
        "#]],
    );
}

#[test]
fn a_budget_that_refuses_the_handing_over_is_a_goodbye_after_all() {
    act_with(
        falls_back(),
        cents(500),
        "
        0.6  realtime  spoke-all r1 me-1 0.5s
        0.7  realtime  done r1 completed 50 14 5 10
        1.2  carrier   played 1:520:g0
        288.5 budget   refused
    ",
        expect![[r#"
            0.6    carrier   play 1:500:g0 500ms
            0.6    fact      first-word
            0.7    fact      turn $0.001408
            1.1    carrier   play 1:520:g0 20ms
            60.0   fact      minute $0.0125
            120.0  fact      minute $0.0125
            180.0  fact      minute $0.0125
            240.0  fact      warned
            240.0  realtime  add System("The time for this call is nearly up. Answer briefly and bring it to a close.")
            240.0  fact      minute $0.0125
            288.0  fact      wrapping-up
            288.0  budget    TopUp(Usd(290000000))
            288.5  fact      not-transferred
            288.5  realtime  goodbye r2 max 200
        "#]],
    );
}

#[test]
fn a_server_that_drains_leaves_the_two_to_the_carrier_and_charges_all_they_may_take() {
    act(
        &format!("{AWAY} 5.0 operator wraps-up"),
        expect![[r#"
        0.6    carrier   play 1:500:g0 500ms
        0.6    fact      first-word
        0.7    budget    TopUp(Usd(290000000))
        0.7    fact      transferring
        0.8    fact      turn $0.001408
        1.1    carrier   play 1:520:g0 20ms
        1.2    fact      sentence
        1.2    carrier   transfer to +15005550009 for 590s, whole call 637s, "One moment."
        1.4    fact      unreported $0.000064
        1.4    realtime  close
        1.4    carrier   close
        1.4    fact      transferred
        5.0    fact      leg $0.29
        5.0    realtime  close
        5.0    budget    Settle(Usd(303972000))
        5.0    fact      ended
        5.0    over      Transferred
    "#]],
    );
}

#[test]
fn whatever_is_set_aside_for_a_transfer_stays_free_for_nothing_else() {
    // The cap is nearly used up: the dollar for the transfer must not become answers.
    let mut poor = able();
    poor.spend.end = cents(8);
    poor.spend.warn = cents(7);
    let script = "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.4  realtime  began r1
        0.6  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
        0.7  budget    granted 1.00
        0.8  realtime  done r1 completed 50 14 20 0
    ";
    let told = play(poor, Usd::from_micros(80_000), script);
    let most = |line: &str| {
        line.rsplit_once("max ")
            .and_then(|(_, n)| n.split(' ').next()?.parse::<u64>().ok())
    };
    let asked: Vec<u64> = told.lines().filter_map(most).collect();
    assert_eq!(asked.len(), 2, "{told}");
    assert!(asked[1] <= asked[0], "{told}");
}

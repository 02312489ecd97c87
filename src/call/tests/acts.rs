//! What the agent does besides talking: the tools it calls, and the keys it presses.
//!
//! Every call here has begun: the caller has said something, and the model is answering as `r1`. What was told before half a second
//! had passed is left out of the expectations.

use super::script::{cents, play, rules};
use crate::call::rules::{Abilities, Destination, Rules, TransferCap};
use crate::call::tools::Tool;
use crate::units::Usd;
use expect_test::{Expect, expect};

/// An agent that may do everything, with two tools and two people to hand callers to.
pub fn able() -> Rules {
    let tool = |name: &str, price| Tool {
        name: name.into(),
        price,
        timeout_ms: 4_000,
    };
    let to = |label: &str, number: &str| Destination {
        label: label.into(),
        to: number.into(),
        minute: Usd::from_micros(14_000),
    };
    Rules {
        abilities: Abilities {
            tools: vec![tool("look-up", Usd::ZERO), tool("pay", cents(10))],
            end_call: true,
            send_digits: true,
            most_calls: 6,
            is_transfer_offered: true,
            destinations: vec![to("sales", "+15005550009"), to("help", "+15005550010")],
            transfer: TransferCap {
                minutes: 10,
                usd: cents(100),
            },
            fallback: None,
            transfer_sentence: "One moment.".into(),
        },
        ..rules()
    }
}

/// The same with another limit on how often it may call.
fn able_to_call(most_calls: u32) -> Rules {
    let mut rules = able();
    rules.abilities.most_calls = most_calls;
    rules
}

/// Plays a call that has begun, with this much granted.
pub fn act_with(rules: Rules, granted: Usd, script: &str, expected: Expect) {
    let began = "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.4  realtime  began r1
    ";
    let told = play(rules, granted, &format!("{began}{script}"));
    let begun = |line: &&str| {
        !line.starts_with("0.0") && !line.starts_with("0.2") && !line.starts_with("0.3")
    };
    let lines: Vec<&str> = told.lines().filter(begun).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

/// Plays a call that has begun, with all the money there is.
pub fn act(script: &str, expected: Expect) {
    act_with(able(), cents(500), script, expected);
}

#[test]
fn what_two_tools_of_one_answer_say_is_told_together_and_then_one_answer_is_asked_for() {
    act(
        "
        0.6  realtime  calls r1 c1 look-up {\"order\":1}
        0.6  realtime  calls r1 c2 look-up {\"order\":2}
        0.7  realtime  done r1 completed 50 14 20 0
        1.0  tool c2 done the second
        2.0  tool c1 done the first
        2.4  realtime  began r2
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{\"order\":1}" }
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c2"), name: "look-up", arguments: "{\"order\":2}" }
            0.7    fact      turn $0.001128
            1.0    fact      tool
            2.0    fact      tool
            2.0    realtime  add ToolOutput { tool_call: Id("c2"), output: "the second" }
            2.0    realtime  add ToolOutput { tool_call: Id("c1"), output: "the first" }
            2.0    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn an_answer_of_a_tool_that_comes_while_the_caller_speaks_waits_for_them() {
    act(
        "
        0.6  realtime  calls r1 c1 look-up {}
        0.7  realtime  done r1 completed 50 14 20 0
        1.0  realtime  caller-spoke
        1.2  carrier   heard 0.02s
        1.5  tool c1 done on its way
        1.7  carrier   heard 0.02s
        2.0  realtime  turn you-2
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{}" }
            0.7    fact      turn $0.001128
            1.2    realtime  append 20ms
            1.5    fact      tool
            1.5    realtime  add ToolOutput { tool_call: Id("c1"), output: "on its way" }
            1.7    realtime  append 20ms
            2.0    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_tool_that_never_answers_is_late_and_is_paid_for() {
    act(
        "
        0.6  realtime  calls r1 c1 pay {}
        0.7  realtime  done r1 completed 50 14 20 0
        5.9  realtime  began r2
        6.0  tool c1 done much too late
        6.1  realtime  done r2 completed 50 14 20 0
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "pay", arguments: "{}" }
            0.7    fact      turn $0.001128
            5.6    fact      tool $0.10
            5.6    realtime  add ToolOutput { tool_call: Id("c1"), output: "It did not answer in time." }
            5.6    realtime  respond r2 max 1024
            6.1    fact      turn $0.001128
        "#]],
    );
}

#[test]
fn a_tool_whose_price_does_not_fit_is_denied_in_words_and_not_called() {
    let mut poor = able();
    poor.spend.end = cents(20);
    poor.spend.warn = cents(19);
    act_with(
        poor,
        cents(20),
        "
        0.6  realtime  calls r1 c1 pay {}
        0.6  realtime  calls r1 c2 pay {}
        0.7  realtime  done r1 completed 50 14 20 0
        0.8  tool c1 done paid
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "pay", arguments: "{}" }
            0.6    fact      tool
            0.7    fact      turn $0.001128
            0.8    fact      tool $0.10
            0.8    realtime  add ToolOutput { tool_call: Id("c2"), output: "There is no money left in this call for that. Answer without it." }
            0.8    realtime  add ToolOutput { tool_call: Id("c1"), output: "paid" }
            0.8    realtime  respond r2 max 1015
        "#]],
    );
}

#[test]
fn the_last_call_that_is_allowed_leaves_an_answer_without_tools() {
    act_with(
        able_to_call(2),
        cents(500),
        "
        0.6  realtime  calls r1 c1 look-up {}
        0.7  realtime  done r1 completed 50 14 20 0
        0.8  tool c1 failed nothing there
        0.9  realtime  began r2
        1.0  realtime  calls r2 c2 look-up {}
        1.0  realtime  calls r2 c3 look-up {}
        1.1  realtime  done r2 completed 50 14 20 0
        1.2  tool c2 failed nothing there
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{}" }
            0.7    fact      turn $0.001128
            0.8    fact      tool
            0.8    realtime  add ToolOutput { tool_call: Id("c1"), output: "nothing there" }
            0.8    realtime  respond r2 max 1024
            1.0    fact      tool-called
            1.0    tool      ToolCall { tool_call: Id("c2"), name: "look-up", arguments: "{}" }
            1.0    fact      tool
            1.1    fact      turn $0.001128
            1.2    fact      tool
            1.2    realtime  add ToolOutput { tool_call: Id("c3"), output: "Nothing more can be called in this phone call. Answer with what you know." }
            1.2    realtime  add ToolOutput { tool_call: Id("c2"), output: "nothing there" }
            1.2    realtime  respond r3 max 1024 without tools
        "#]],
    );
}

#[test]
fn only_a_label_is_a_destination() {
    act(
        "
        0.6  realtime  calls r1 c1 transfer {\"to\":\"+19005551234\"}
        0.6  realtime  calls r1 c2 transfer {\"to\":\"+15005550009\"}
        0.6  realtime  calls r1 c3 transfer {\"to\":\"Sales\"}
        0.6  realtime  calls r1 c4 transfer {\"number\":\"sales\"}
        0.7  realtime  done r1 completed 50 14 20 0
    ",
        expect![[r#"
            0.6    fact      tool
            0.6    fact      tool
            0.6    fact      tool
            0.6    fact      tool
            0.7    fact      turn $0.001128
            0.7    realtime  add ToolOutput { tool_call: Id("c1"), output: "The caller cannot be handed over to that. You may say: sales, help." }
            0.7    realtime  add ToolOutput { tool_call: Id("c2"), output: "The caller cannot be handed over to that. You may say: sales, help." }
            0.7    realtime  add ToolOutput { tool_call: Id("c3"), output: "The caller cannot be handed over to that. You may say: sales, help." }
            0.7    realtime  add ToolOutput { tool_call: Id("c4"), output: "The caller cannot be handed over to that. You may say: sales, help." }
            0.7    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_cap_that_pays_for_no_minute_lets_nobody_be_handed_over() {
    let mut poor = able();
    poor.abilities.transfer.usd = cents(5);
    act_with(
        poor,
        cents(500),
        "
        0.6  realtime  calls r1 c1 transfer {\"to\":\"sales\"}
        0.7  realtime  done r1 completed 50 14 20 0
    ",
        expect![[r#"
            0.6    fact      tool
            0.7    fact      turn $0.001128
            0.7    realtime  add ToolOutput { tool_call: Id("c1"), output: "There is no money for a transfer in this call." }
            0.7    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_name_that_the_model_made_up_is_told_and_written_down_nowhere() {
    act(
        "
        0.6  realtime  calls r1 c1 drop_table {}
        0.7  realtime  done r1 completed 50 14 20 0
    ",
        expect![[r#"
            0.6    fact      tool
            0.7    fact      turn $0.001128
            0.7    realtime  add ToolOutput { tool_call: Id("c1"), output: "There is no function of that name." }
            0.7    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn a_long_answer_is_told_as_far_as_the_cap_can_have_it_read_again() {
    let mut poor = able();
    poor.spend.end = cents(12);
    poor.spend.warn = cents(11);
    let long = "word ".repeat(2_000);
    let script = format!(
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.4  realtime  began r1
        0.6  realtime  calls r1 c1 look-up {{}}
        0.7  realtime  done r1 completed 50 14 20 0
        0.8  tool c1 done {long}
    "
    );
    let told = play(poor, cents(12), &script);
    let line = told.lines().find(|line| line.contains("ToolOutput"));
    let line = line.expect("the answer is told");
    assert!(line.ends_with("… (shortened)\" }"), "{line}");
    assert!((300..9_500).contains(&line.len()), "{}", line.len());
    let asked = told.lines().filter(|line| line.contains("respond r2"));
    assert_eq!(asked.count(), 1, "and an answer to it still fits:\n{told}");
}

#[test]
fn an_answer_that_comes_when_another_session_holds_the_floor_is_told_with_its_call() {
    act(
        "
        0.6  realtime  calls r1 c1 look-up {\"order\":1}
        0.7  realtime  done r1 completed 50 14 20 0
        0.8  realtime  lost
        1.2  standby   ready
        2.0  tool c1 done sent
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{\"order\":1}" }
            0.7    fact      turn $0.001128
            0.8    fact      model-lost
            0.8    fact      unreported $0.000064
            0.8    realtime  close
            0.8    standby   open
            1.2    standby   configure
            1.2    standby   takes-over
            1.2    fact      renewed
            2.0    fact      tool
            2.0    realtime  add ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{\"order\":1}" }
            2.0    realtime  add ToolOutput { tool_call: Id("c1"), output: "sent" }
            2.0    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn keys_are_played_as_sound_and_told_when_they_were_heard() {
    act(
        "
        0.6  realtime  calls r1 c1 send_digits {\"digits\":\"12#\"}
        0.6  realtime  calls r1 c2 send_digits {\"digits\":\"call me\"}
        0.6  realtime  calls r1 c3 send_digits {\"digits\":\"9\"}
        0.7  realtime  done r1 completed 50 14 20 0
        1.2  carrier   played 1:600:g0
        1.3  carrier   played 1:620:g0
    ",
        expect![[r#"
            0.6    sound     1 Tones("12#")
            0.6    carrier   play 1:620:g0 620ms
            0.6    fact      first-word
            0.6    fact      tool
            0.6    fact      tool
            0.7    fact      turn $0.001128
            1.3    fact      tool
            1.3    realtime  add ToolOutput { tool_call: Id("c2"), output: "\"digits\" must be 1 to 32 of 0-9, * and #." }
            1.3    realtime  add ToolOutput { tool_call: Id("c3"), output: "Other keys are still being pressed. Wait for them." }
            1.3    realtime  add ToolOutput { tool_call: Id("c1"), output: "The keys have been pressed." }
            1.3    realtime  respond r2 max 1024
        "#]],
    );
}

#[test]
fn keys_that_the_other_end_spoke_over_may_not_have_been_heard() {
    act(
        "
        0.6  realtime  calls r1 c1 send_digits {\"digits\":\"123456\"}
        0.7  realtime  done r1 completed 50 14 20 0
        1.0  realtime  caller-spoke
        1.1  carrier   heard 0.02s
        1.5  realtime  turn you-2
    ",
        expect![[r#"
            0.6    sound     1 Tones("123456")
            0.6    carrier   play 1:1220:g0 1220ms
            0.6    fact      first-word
            0.7    fact      turn $0.001128
            1.0    carrier   clear
            1.0    fact      interrupted
            1.0    fact      tool
            1.0    realtime  add ToolOutput { tool_call: Id("c1"), output: "The other end spoke in between: the keys may not have been heard." }
            1.1    realtime  append 20ms
            1.5    realtime  respond r2 max 1024
        "#]],
    );
}

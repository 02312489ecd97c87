//! An agent that hangs up by itself: not before its last words were heard, and never without any.

use super::acts::act;
use expect_test::expect;

#[test]
fn the_agent_hangs_up_when_its_last_word_was_heard() {
    act(
        "
        0.6  realtime  spoke-all r1 me-1 1.0s
        0.7  realtime  calls r1 c1 end_call {}
        0.8  realtime  done r1 completed 50 14 5 20
        1.6  carrier   played 1:1000:g0
        1.7  carrier   played 1:1020:g0
    ",
        expect![[r#"
            0.6    carrier   play 1:1000:g0 1000ms
            0.6    fact      first-word
            0.8    fact      turn $0.002048
            1.6    carrier   play 1:1020:g0 20ms
            1.7    carrier   close
            3.7    fact      unreported $0.000064
            3.7    realtime  close
            3.7    budget    Settle(Usd(14612000))
            3.7    fact      ended
            3.7    over      AgentHungUp
        "#]],
    );
}

#[test]
fn the_agent_hangs_up_although_the_last_mark_never_comes() {
    act(
        "
        0.6  realtime  spoke-all r1 me-1 1.0s
        0.7  realtime  calls r1 c1 end_call {}
        0.8  realtime  done r1 completed 50 14 5 20
        9.0  wait
    ",
        expect![[r#"
            0.6    carrier   play 1:1000:g0 1000ms
            0.6    fact      first-word
            0.8    fact      turn $0.002048
            1.6    carrier   play 1:1020:g0 20ms
            2.62   carrier   close
            4.62   fact      unreported $0.000064
            4.62   realtime  close
            4.62   budget    Settle(Usd(14612000))
            4.62   fact      ended
            4.62   over      AgentHungUp
        "#]],
    );
}

#[test]
fn an_agent_that_hangs_up_without_a_word_is_asked_for_one() {
    act(
        "
        0.6  realtime  calls r1 c1 end_call {}
        0.7  realtime  done r1 completed 50 14 20 0
        1.0  realtime  began r2
        1.1  realtime  spoke-all r2 me-2 0.5s
        1.2  realtime  done r2 completed 50 14 5 10
        1.7  carrier   played 1:500:g0
        1.8  carrier   played 1:520:g0
    ",
        expect![[r#"
            0.7    fact      turn $0.001128
            0.7    realtime  add ToolOutput { tool_call: Id("c1"), output: "Say goodbye to the caller now, in one short sentence. Then the line closes." }
            0.7    realtime  respond r2 max 1024 without tools
            1.1    carrier   play 1:500:g0 500ms
            1.1    fact      first-word
            1.2    fact      turn $0.001408
            1.6    carrier   play 1:520:g0 20ms
            1.8    carrier   close
            3.8    fact      unreported $0.000064
            3.8    realtime  close
            3.8    budget    Settle(Usd(15100000))
            3.8    fact      ended
            3.8    over      AgentHungUp
        "#]],
    );
}

#[test]
fn an_agent_that_looks_something_up_and_hangs_up_in_one_answer_says_something_first() {
    act(
        "
        0.6  realtime  calls r1 c1 look-up {}
        0.6  realtime  calls r1 c2 end_call {}
        0.7  realtime  done r1 completed 50 14 20 0
        1.0  carrier   heard 0.02s
        2.0  tool c1 done sent
        2.1  realtime  began r2
        2.2  realtime  spoke-all r2 me-2 0.5s
        2.3  realtime  done r2 completed 50 14 5 10
        2.8  carrier   played 1:520:g0
    ",
        expect![[r#"
            0.6    fact      tool-called
            0.6    tool      ToolCall { tool_call: Id("c1"), name: "look-up", arguments: "{}" }
            0.7    fact      turn $0.001128
            1.0    realtime  append 20ms
            2.0    fact      tool
            2.0    realtime  add ToolOutput { tool_call: Id("c2"), output: "Say goodbye to the caller now, in one short sentence. Then the line closes." }
            2.0    realtime  add ToolOutput { tool_call: Id("c1"), output: "sent" }
            2.0    realtime  respond r2 max 1024 without tools
            2.2    carrier   play 1:500:g0 500ms
            2.2    fact      first-word
            2.3    fact      turn $0.001408
            2.7    carrier   play 1:520:g0 20ms
            2.8    carrier   close
            4.8    fact      unreported $0.000136
            4.8    realtime  close
            4.8    budget    Settle(Usd(15172000))
            4.8    fact      ended
            4.8    over      AgentHungUp
        "#]],
    );
}

#[test]
fn an_agent_whose_model_is_lost_before_its_last_words_says_them_with_the_next() {
    act(
        "
        0.6  realtime  calls r1 c1 end_call {}
        0.6  realtime  lost
        0.8  carrier   heard 0.02s
        1.2  standby   ready
        1.4  realtime  began r2
        1.5  realtime  spoke-all r2 me-2 0.5s
        1.6  realtime  done r2 completed 50 14 5 10
        2.1  carrier   played 1:520:g0
    ",
        expect![[r#"
            0.6    fact      model-lost
            0.6    fact      unreported $0.068256
            0.6    realtime  close
            0.6    standby   open
            1.2    standby   configure
            1.2    standby   takes-over
            1.2    fact      renewed
            1.2    realtime  append 20ms
            1.2    realtime  add ToolCall { tool_call: Id("c1"), name: "end_call", arguments: "{}" }
            1.2    realtime  add ToolOutput { tool_call: Id("c1"), output: "Say goodbye to the caller now, in one short sentence. Then the line closes." }
            1.2    realtime  respond r2 max 1024 without tools
            1.5    carrier   play 1:500:g0 500ms
            1.5    fact      first-word
            1.6    fact      turn $0.001408
            2.0    carrier   play 1:520:g0 20ms
            2.1    carrier   close
            2.1    fact      unreported $0.000072
            2.1    realtime  close
            2.1    budget    Settle(Usd(82236000))
            2.1    fact      ended
            2.1    over      AgentHungUp
        "#]],
    );
}

#[test]
fn a_caller_who_cuts_in_keeps_the_agent() {
    act(
        "
        0.6  realtime  spoke-all r1 me-1 3.0s
        0.7  realtime  calls r1 c1 end_call {}
        0.8  realtime  done r1 completed 50 14 5 60
        1.6  realtime  caller-spoke
        1.7  carrier   heard 0.02s
        2.0  realtime  turn you-2
        9.0  wait
    ",
        expect![[r#"
            0.6    carrier   play 1:3000:g0 3000ms
            0.6    fact      first-word
            0.8    fact      turn $0.004608
            1.6    carrier   clear
            1.6    realtime  truncate me-1 at 1000ms
            1.6    fact      interrupted
            1.6    realtime  add ToolOutput { tool_call: Id("c1"), output: "Not done: the caller spoke. Listen to them." }
            1.7    realtime  append 20ms
            2.0    realtime  respond r2 max 1024
        "#]],
    );
}

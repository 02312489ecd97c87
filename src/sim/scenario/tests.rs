//! Scenarios as people write them, with and without mistakes.

use super::*;

#[test]
fn a_scenario_is_read_as_plain_data() {
    let scenario = Scenario::parse(
        r#"# An ordinary call
           # with one interruption.
           agent   spend 0.50 warn 0.40
           agent   duration 5m
           agent   greeting "Greet the caller."   # and nobody else
           model   answer=4s latency=300ms
           model   usage=twice
           line    delay 40ms jitter 10ms
           caller  1.25  says speech 2.0s
           caller  interrupts after 800ms says hello.wav
           caller  replies after 1s presses #
           caller  20  hangs-up
           runs    sockets
           expect  ending caller-hung-up
           expect  turns 2..4
           expect  spent <= 0.50
           expect  said "Goodbye"
           expect  facts answered turn ended"#
            .replace("presses #", "presses \"#\"")
            .as_str(),
    )
    .expect("a scenario");
    assert_eq!(scenario.about, "An ordinary call with one interruption.");
    assert_eq!(scenario.runs, Runs::Sockets);
    let agent: Vec<String> = scenario
        .agent
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        agent.join(" "),
        "cap.spend.end=0.50 cap.spend.warn=0.40 cap.duration.end=5m greeting=Greet the caller."
    );
    assert_eq!(scenario.model, "answer=4s latency=300ms usage=twice");
    assert_eq!((scenario.line.delay_ms, scenario.line.jitter_ms), (40, 10));
    let at = |ms| When::At { ms };
    let caller = [
        (at(1250), What::Speech { ms: 2000 }),
        (
            When::Interrupts { after_ms: 800 },
            What::File("hello.wav".to_owned()),
        ),
        (When::Replies { after_ms: 1000 }, What::Press('#')),
        (at(20_000), What::HangUp),
    ];
    assert_eq!(
        scenario.caller,
        caller.map(|(when, what)| Planned { when, what })
    );
    assert_eq!(
        (scenario.expect[1].line, &scenario.expect[1].what),
        (15, &Expect::Turns(2..=4))
    );
    let script = scenario.script(&|_| Ok(vec![1, 2, 3])).expect("a script");
    assert!(matches!(&script[0].act, Act::Say(sound) if sound.len() == 16_000));
    assert_eq!(script[1].act, Act::Say(Arc::from(vec![1, 2, 3])));
    assert!(scenario.script(&|name| Err(name.to_owned())).is_err());
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let told = Scenario::parse(
        r#"agent spend lots

           agent grreting hello
           agent greeting hello world
           model
           line delay
           line speed 3s
           caller soon hangs-up
           caller 1.0 sings
           caller 1.0 presses 55
           caller 1.0 says speech 2
           caller 1.0 says speech 20m
           expect ending happily
           expect turns 4..2
           expect spent < 1
           expect said "Good
           weather fine"#,
    );
    let told: Vec<String> = told
        .expect_err("mistakes")
        .iter()
        .map(|m| format!("{m}\n"))
        .collect();
    expect_test::expect![[r#"
        line 1: `lots`: not an amount in US dollars, such as 0.50
        line 3: an agent has spend, duration, silence, greeting, goodbye, goodbye_sentence, trouble_sentence, max_output_tokens, context_tokens, transcription, answer_timeout, audio, barge_in, lead
        line 4: `greeting` takes one value, in quotes if it has spaces
        line 5: `model` says too little, or something unknown
        line 6: `delay` lacks a value
        line 7: a line has delay, jitter and lost, not `speed`
        line 8: `soon` is neither seconds such as 1.5, nor `interrupts after`, nor `replies after`
        line 9: a caller `says speech 2.0s`, `says file.wav`, `presses 5` or `hangs-up`
        line 10: `55` is not a key of a phone
        line 11: `2` is not a time such as 800ms, 2.5s or 5m
        line 12: nobody speaks longer than ten minutes
        line 13: `happily` is none of caller-hung-up, agent-hung-up, transferred, said-goodbye, cut-off, refused, stopped, lost
        line 14: nothing is within 4..2
        line 15: one can expect ending, cause, turns, interruptions, minutes, duration, spent <=, heard, said and facts
        line 16: a quotation mark is never closed
        line 17: `weather` is none of agent, model, line, caller, runs and expect
    "#]].assert_eq(&told.concat());
}

#[test]
fn the_scenarios_that_come_with_the_server_are_understood() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/scenarios");
    let files = std::fs::read_dir(folder).expect("the folder of scenarios");
    let mut count = 0;
    let files = files.map(|file| file.expect("a file").path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "call")) {
        let text = std::fs::read_to_string(&file).expect("text");
        let scenario = Scenario::parse(&text)
            .unwrap_or_else(|mistakes| panic!("{}: {mistakes:?}", file.display()));
        let file = file.display();
        assert!(
            !scenario.about.is_empty(),
            "{file} says nothing about itself"
        );
        assert!(!scenario.expect.is_empty(), "{file} expects nothing");
        count += 1;
    }
    assert!(count >= 8, "only {count} scenarios");
}

//! Functions that are called in the middle of a call, and the last words of an agent that hangs up.

use super::agent::{Shop, agent, hangs_up, outcomes, says};
use super::house::{House, says_and_hangs_up};
use super::sound::{find, longest_hole, through_telephone, trimmed};
use futures_util::future::join_all;
use ringfence::call::record::Ending;
use ringfence::call::tools::Outcome;
use ringfence::sim::phone;
use ringfence::sim::voice::speech;

/// What goes wrong, or does not: the path of the shop, the model's words, how it ends, and what the model is told.
const CASES: [(&str, &str, Outcome, &str); 5] = [
    (
        "/orders",
        "tool@2=orders:{\"order\":\"1\"}",
        Outcome::Done,
        "{\"state\":\"sent\"}",
    ),
    (
        "/hangs",
        "tool@2=orders:{\"order\":\"2\"}",
        Outcome::Late,
        "The tool did not answer in time.",
    ),
    (
        "/long",
        "tool@2=orders:{\"order\":\"3\"}",
        Outcome::Done,
        "x… (shortened)",
    ),
    (
        "/page",
        "tool@2=orders:{\"order\":\"4\"}",
        Outcome::Failed,
        "The tool answered with a web page instead of data.",
    ),
    (
        "/orders",
        "tool@2=orders:{\"order\":\"much too long\"}",
        Outcome::Misfit,
        ".",
    ),
];

async fn whatever_a_tool_does_the_model_is_told_and_nobody_else_notices() {
    join_all(CASES.map(|(path, words, outcome, told)| async move {
        let shop = Shop::open().await;
        let house = House::open(&agent(words, "[\"orders\"]", &[], &shop.tool(path))).await;
        let mut caller = house.world.phone();
        caller.script = vec![says(&speech(800, 3)), says(&speech(700, 4)), hangs_up()];
        let name = caller.call_sid.clone();
        // Says one long thing, and hears it back while the other's function is called.
        let mut neighbour = house.world.phone();
        let long = through_telephone(trimmed(&speech(3_000, 5)));
        neighbour.script = says_and_hangs_up(&long);
        let ((report, summary), (other, _)) =
            tokio::join!(house.call(caller), house.call(neighbour));
        let facts = house.facts.about(&name);
        assert_eq!(
            outcomes(&facts),
            [("orders".to_string(), outcome)],
            "{words}: {:#?}",
            report.timeline
        );
        assert_eq!(summary.ending, Some(Ending::CallerHungUp), "{words}");
        assert!(summary.turns >= 4, "{words}: it was answered: {summary:?}");
        assert_eq!(
            shop.asked().len(),
            usize::from(outcome.is_charged()),
            "{words}"
        );
        let back = find(&long, &other.heard).expect("the neighbour is heard");
        let own = &other.heard[back.at..back.at + long.len()];
        let hole = longest_hole(&long, own);
        println!("{path} {outcome:?}: neighbour {back:?}, hole {hole}");
        assert!(back.correlation >= 0.95 && hole < 80, "{words}: {back:?}");
        house.books_agree().await;
        let all = house.world.model.told();
        assert_eq!(all.len(), 1, "{words}: {all:?}");
        assert!(
            all[0].ends_with(told) && all[0].len() <= 4_096,
            "{:?}",
            all[0]
        );
    }))
    .await;
}

async fn a_model_in_love_with_a_tool_is_stopped_and_then_answers() {
    let shop = Shop::open().await;
    let settings = [("tool_calls", "3")];
    let words = "tool-loop=orders:{\"order\":\"1\"}";
    let house = House::open(&agent(
        words,
        "[\"orders\"]",
        &settings,
        &shop.tool("/orders"),
    ))
    .await;
    let mut caller = house.world.phone();
    caller.script = vec![says(&speech(800, 3)), hangs_up()];
    let (report, summary) = house.call(caller).await;
    let facts = house.facts.about(&report.call_sid);
    assert_eq!(
        outcomes(&facts),
        vec![("orders".to_string(), Outcome::Done); 3]
    );
    assert_eq!((shop.asked().len(), summary.turns), (3, 5), "{summary:?}");
    house.books_agree().await;
    assert_eq!(house.world.model.told().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_of_an_agent_that_hangs_up_are_heard_whole() {
    let said = through_telephone(trimmed(&speech(1_800, 6)));
    // A sentence and the call in one answer; the call alone, whereupon a sentence is asked for; and a line that is slow.
    let cases = [
        ("tool=end_call:{} tool-speech", 0),
        ("tool=end_call:{}", 0),
        ("tool=end_call:{} tool-speech", 150),
    ];
    join_all(cases.map(|(words, delay_ms)| {
        let said = &said;
        async move {
            let house = House::open(&agent(words, "[\"end_call\"]", &[], "")).await;
            let mut caller = house.world.phone();
            caller.script = vec![says(said)];
            caller.line = phone::Line {
                delay_ms,
                ..caller.line
            };
            let (report, summary) = house.call(caller).await;
            assert_eq!(summary.ending, Some(Ending::AgentHungUp), "{words}");
            assert!(report.violations.is_empty(), "{:#?}", report.timeline);
            assert!(report.clears.is_empty(), "{words}: {:#?}", report.timeline);
            let unheard = report.stretches.iter().filter(|s| s.played < s.sent);
            assert_eq!(unheard.count(), 0, "{words}: {:#?}", report.timeline);
            if words.contains("tool-speech") {
                let back = find(said, &report.heard).expect("its last words");
                println!("{words} after {delay_ms} ms: {back:?}");
                assert!(back.correlation >= 0.95, "{back:?}");
            }
            assert!(summary.unheard.is_zero(), "{words}: {summary:?}");
            house.books_agree().await;
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_tool_the_call_goes_on() {
    // At once, for both are mostly waiting.
    tokio::join!(
        whatever_a_tool_does_the_model_is_told_and_nobody_else_notices(),
        a_model_in_love_with_a_tool_is_stopped_and_then_answers(),
    );
}

//! The core under arbitrary inputs: whatever happens to a call, in whatever order, its promises hold.
//!
//! `RINGFENCE_SEQUENCES` says how many random calls to try (20,000 unless told); `RINGFENCE_SEED` where to begin. Each call is driven
//! twice, for the same inputs must have the same outputs; `RINGFENCE_TRACE` prints all that happens.

#[path = "invariants/rules.rs"]
mod rules;
#[path = "invariants/world.rs"]
mod world;

use ringfence::call::invariants::Checker;
use ringfence::call::rules::Rules;
use ringfence::call::{Call, Input, Order, Output, Phase, Ticket};
use ringfence::carrier::{self, Mark};
use ringfence::pricing::Usage;
use ringfence::realtime::{self, Loss, Status};
use ringfence::units::{CallTime, Id, Usd};
use rules::{Random, another, random_rules};
use std::sync::Arc;
use world::World;

/// One call from beginning to end. Every alarm is obeyed; between them anything may happen.
fn run(seed: u64) -> Result<Vec<Output>, String> {
    let mut random = Random(seed);
    let mut rules = random_rules(&mut random);
    // A call that cannot even be answered for its grant is refused before it begins.
    let least = rules.minute.plus(rules.say).plus(rules.fee);
    rules.spend.end = rules.spend.end.max(least);
    let cap = rules.spend.end;
    let granted = if random.chance(60) {
        cap
    } else {
        Usd::from_nanos(random.below(cap.nanos())).max(least)
    };
    let ticket = Ticket {
        call: "rf-0".into(),
        others: (0..random.below(3))
            .map(|_| Arc::new(another(&rules, &mut random)))
            .collect(),
        rules: Arc::new(rules),
        began_unix_s: 0,
        granted,
    };
    let (mut call, mut twin) = (Call::new(ticket.clone()), Call::new(ticket));
    let (mut world, mut checker, mut history) = (World::default(), Checker::default(), Vec::new());
    let (mut now, mut leap) = (CallTime::ZERO, CallTime::ZERO);
    let orderly = random.chance(80);
    let mut opening = vec![
        Input::Realtime(realtime::Event::Configured(Ok(()))),
        Input::Realtime(realtime::Event::Created {
            expires_at_s: random.chance(30).then(|| random.below(300)),
        }),
        Input::Carrier(carrier::Event::Started),
        Input::Wake,
    ];
    for _ in 0..500 {
        if matches!(call.phase(), Phase::Over(_)) && random.chance(80) {
            return Ok(history);
        }
        // Now and then straight to where a minute begins: that is where money runs out.
        if leap <= now && random.below(400) == 0 {
            leap =
                CallTime::from_millis((now.millis() / 60_000 + 1) * 60_000 - random.below(14_000));
        }
        let step = random.pick(&[0, 0, 5, 5, 20, 20, 20, 100, 100, 400, 400, 2_000]);
        let next = if leap > now { leap } else { now.plus(step) };
        let (at, input) = match call.deadline() {
            // The webhook is answered before anything else can happen.
            None if history.is_empty() => (now, Input::Wake),
            Some((due, _)) if due <= next => (due, Input::Wake),
            _ if orderly && !opening.is_empty() => (next, opening.pop().unwrap_or(Input::Wake)),
            _ => (next, world.input(&mut random)),
        };
        now = now.max(at);
        let (mut outputs, mut again) = (Vec::new(), Vec::new());
        call.handle(now, input.clone(), &mut outputs);
        twin.handle(now, input.clone(), &mut again);
        if std::env::var_os("RINGFENCE_TRACE").is_some() {
            eprintln!("{now} {input:?}\n      -> {outputs:?}");
        }
        if outputs != again {
            return Err(format!("9: {input:?} had two outcomes"));
        }
        checker
            .check(&call, now, &input, &outputs)
            .map_err(|broken| format!("{broken}, by {input:?} at {now}"))?;
        world.saw(&outputs);
        history.extend(outputs);
    }
    Ok(history)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn every_promise_holds_for_random_calls() {
    let (from, count) = (
        number("RINGFENCE_SEED", 0),
        number("RINGFENCE_SEQUENCES", 20_000),
    );
    let (mut talked, mut goodbyes, mut billed) = (0_u64, 0_u64, 0_u64);
    let mut broken_calls = Vec::new();
    for seed in from..from + count {
        let history = match run(seed) {
            Ok(history) => history,
            Err(broken) => {
                broken_calls.push(format!("seed {seed}: invariant {broken}"));
                continue;
            }
        };
        let has = |word: &str| {
            let facts = history.iter().filter_map(|output| match output {
                Output::Record(fact) => Some(fact.what.word()),
                _ => None,
            });
            u64::from(facts.into_iter().any(|fact| fact == word))
        };
        talked += has("first-word");
        goodbyes += has("wrapping-up");
        billed += has("turn");
    }
    broken_calls.truncate(12);
    assert!(broken_calls.is_empty(), "{}", broken_calls.join("\n"));
    println!(
        "{count} calls: {talked} talked, {billed} were billed for answers, {goodbyes} said goodbye"
    );
    // A generator that never gets anywhere would prove nothing.
    assert!(talked > count / 12 && billed > count / 8 && goodbyes > count / 8);
}

/// All of them in every order up to a length: small enough to try them all.
#[test]
fn every_promise_holds_for_every_short_sequence() {
    let alphabet = alphabet();
    let length = number("RINGFENCE_LENGTH", 4) as u32;
    let mut random = Random(7);
    let rules = Arc::new(Rules {
        greeting: "Greet.".into(),
        ..random_rules(&mut random)
    });
    let fresh = Call::new(Ticket {
        call: "rf-0".into(),
        granted: rules.spend.end,
        rules,
        others: Vec::new(),
        began_unix_s: 0,
    });
    for mut code in 0..alphabet.len().pow(length) {
        let (mut call, mut checker, mut now) = (fresh.clone(), Checker::default(), CallTime::ZERO);
        let mut played = Vec::new();
        for _ in 0..length {
            let input = alphabet[code % alphabet.len()].clone();
            code /= alphabet.len();
            // `Wake` lets time pass until the next alarm.
            if let (Input::Wake, Some((due, _))) = (&input, call.deadline()) {
                now = now.max(due);
            }
            let mut outputs = Vec::new();
            call.handle(now, input.clone(), &mut outputs);
            played.push(input.clone());
            checker
                .check(&call, now, &input, &outputs)
                .unwrap_or_else(|broken| panic!("invariant {broken} after {played:#?}"));
        }
    }
}

/// All inputs worth telling apart.
fn alphabet() -> Vec<Input> {
    let id = Id::from("i1");
    let response = Id::from("r1");
    let usage = Some(Usage {
        audio_in: 10,
        audio_out: 20,
        ..Usage::default()
    });
    use realtime::Event;
    vec![
        Input::Carrier(carrier::Event::Started),
        Input::Carrier(carrier::Event::Heard { ms: 400 }),
        Input::Carrier(carrier::Event::Played(Mark {
            item: 1,
            until_ms: 100,
            generation: 0,
        })),
        Input::Carrier(carrier::Event::Stopped),
        Input::Realtime(Event::Configured(Ok(()))),
        Input::Realtime(Event::SpeechStarted),
        Input::Realtime(Event::Committed { item: id.clone() }),
        Input::Realtime(Event::ResponseStarted {
            response: response.clone(),
            nonce: Some(1),
        }),
        Input::Realtime(Event::Spoke {
            response: response.clone(),
            item: id,
            until_ms: 500,
        }),
        Input::Realtime(Event::ResponseDone {
            response,
            nonce: Some(1),
            status: Status::Completed,
            usage,
        }),
        Input::Realtime(Event::Lost(Loss::Dropped)),
        Input::Standby(Event::Configured(Ok(()))),
        Input::Order(Order::WrapUp),
        Input::Wake,
    ]
}

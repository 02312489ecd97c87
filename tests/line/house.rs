//! A world that runs, and everything its server wrote down.

use ringfence::call::record::{Cost, Fact, Summary, What};
use ringfence::cli::world::{Plan, World};
use ringfence::observe::Live;
use ringfence::sim::phone::report::Report;
use ringfence::sim::phone::{Act, Setup, Step, When};
use ringfence::units::Usd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take that has nothing left to wait for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A world and the facts of its calls.
pub struct House {
    pub world: World,
    pub facts: Facts,
}

impl House {
    pub async fn open(plan: &Plan) -> House {
        let world = World::start(plan).await.expect("a world");
        let facts = Facts::of(&world);
        House { world, facts }
    }

    /// Rings, lets the call end, and tells both sides of it.
    pub async fn call(&self, setup: Setup) -> (Report, Summary) {
        let call = setup.call_sid.clone();
        let report = self.world.call(setup).await.expect("a call");
        (report, self.facts.summary(&call).await)
    }

    /// When all calls are over: what the server wrote down is what the model bills, and no budget holds anything back.
    ///
    /// Answers agree to the nano-dollar, and so do the transcriptions that were reported. Sound that was sent and never became a turn
    /// is charged on top, for nobody will ever say that it was free.
    pub async fn books_agree(&self) {
        until("the model's sessions are closed", || {
            self.world.model.live() == 0
        })
        .await;
        until("the lines are free", || self.world.server.calls() == 0).await;
        let mut written: Vec<(u64, u64)> = self
            .facts
            .ended()
            .iter()
            .map(|call| self.facts.reported(call))
            .collect();
        let mut billed: Vec<(u64, u64)> = self
            .world
            .model
            .invoices()
            .iter()
            .map(|bill| (bill.responses_nanos(), bill.transcription_nanos()))
            .collect();
        written.retain(|cost| *cost != (0, 0));
        billed.retain(|cost| *cost != (0, 0));
        written.sort_unstable();
        billed.sort_unstable();
        assert_eq!(written, billed, "answers and transcriptions, call by call");
        let all: Usd = self.facts.summaries().iter().map(|s| s.cost.total()).sum();
        let budget = &self.world.server.budget;
        assert_eq!((budget.spent(), budget.reserved()), (all, Usd::ZERO));
    }
}

/// Everything the server wrote down.
#[derive(Clone, Default)]
pub struct Facts(Arc<Mutex<Vec<Live>>>);

impl Facts {
    fn of(world: &World) -> Facts {
        let facts = Facts::default();
        let (mut live, kept) = (world.server.observer.watch(), facts.clone());
        tokio::spawn(async move {
            while let Ok(fact) = live.recv().await {
                kept.0.lock().expect("facts").push(fact);
            }
        });
        facts
    }

    /// The facts of a call, by the carrier's name for it.
    pub fn about(&self, carrier_call: &str) -> Vec<Fact> {
        let all = self.0.lock().expect("facts");
        let own = all
            .iter()
            .filter(|live| live.labels.carrier_call.as_str() == carrier_call);
        own.map(|live| live.fact.clone()).collect()
    }

    /// How a call ended; waits until it has. Checks on the way that its facts add up and that it never cost more than its cap.
    pub async fn summary(&self, carrier_call: &str) -> Summary {
        until("the call has its last fact", || {
            let own = self.about(carrier_call);
            own.iter().any(|fact| matches!(fact.what, What::Ended(_)))
        })
        .await;
        let facts = self.about(carrier_call);
        let Some(Fact {
            what: What::Ended(summary),
            spent,
            ..
        }) = facts.last()
        else {
            panic!("something was written after the end of {carrier_call}: {facts:?}");
        };
        let Cost {
            model,
            transcription,
            carrier,
            tools,
        } = summary.cost;
        let parts: Usd = facts.iter().map(|fact| fact.what.cost()).sum();
        assert_eq!(parts, summary.cost.total(), "{facts:#?}");
        assert_eq!(*spent, model.plus(transcription).plus(carrier).plus(tools));
        let all = self.0.lock().expect("facts");
        let cap = all
            .iter()
            .find(|live| live.labels.carrier_call.as_str() == carrier_call)
            .map(|live| live.labels.cap);
        assert!(Some(*spent) <= cap, "{spent} of {cap:?}");
        summary.clone()
    }

    /// The calls that have ended, by the carrier's names.
    fn ended(&self) -> Vec<String> {
        let all = self.0.lock().expect("facts");
        let ended = all
            .iter()
            .filter(|live| matches!(live.fact.what, What::Ended(_)));
        ended
            .map(|live| live.labels.carrier_call.as_str().to_string())
            .collect()
    }

    /// What a call paid for its answers, and for the transcriptions that were reported, in nano-dollars.
    fn reported(&self, carrier_call: &str) -> (u64, u64) {
        let facts = self.about(carrier_call);
        let transcribed = facts
            .iter()
            .filter(|fact| matches!(fact.what, What::Transcribed { .. }));
        let transcribed: Usd = transcribed.map(|fact| fact.what.cost()).sum();
        let answers: Usd = facts
            .iter()
            .map(|fact| match &fact.what {
                What::Turn(turn) => turn.cost,
                What::Unreported { model, .. } => *model,
                _ => Usd::ZERO,
            })
            .sum();
        (answers.nanos(), transcribed.nanos())
    }

    /// How every call ended that has.
    pub fn summaries(&self) -> Vec<Summary> {
        let all = self.0.lock().expect("facts");
        let ended = all.iter().filter_map(|live| match &live.fact.what {
            What::Ended(summary) => Some(summary.clone()),
            _ => None,
        });
        ended.collect()
    }
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never came to pass: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A plan with these manners of the model and these settings.
pub fn plan(model: &str, settings: &[(&str, &str)]) -> Plan {
    let settings = settings
        .iter()
        .map(|(key, value)| ((*key).to_string(), (*value).to_string()));
    Plan {
        model: model.to_string(),
        settings: settings.collect(),
        ..Plan::default()
    }
}

/// The caller waits for the greeting, says this, listens to the answer, and hangs up.
pub fn says_and_hangs_up(sound: &[i16]) -> Vec<Step> {
    vec![
        Step {
            when: When::Replies { after_ms: 400 },
            act: Act::Say(sound.into()),
        },
        Step {
            when: When::Replies { after_ms: 1500 },
            act: Act::HangUp,
        },
    ]
}

/// The same step for each time.
pub fn hangs_up_after(ms: u64) -> Vec<Step> {
    vec![Step {
        when: When::At { ms },
        act: Act::HangUp,
    }]
}

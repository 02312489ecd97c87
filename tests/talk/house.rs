//! A world that runs, and everything its server wrote down about each call.

use ringfence::call::record::{Fact, Summary, What};
use ringfence::cli::world::{Plan, World};
use ringfence::observe::Live;
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

    /// How a call ended; waits until it has. Checks on the way that it never cost more than its cap.
    pub async fn summary(&self, carrier_call: &str) -> Summary {
        until("the call has its last fact", || {
            let own = self.about(carrier_call);
            own.iter().any(|fact| matches!(fact.what, What::Ended(_)))
        })
        .await;
        let all = self.0.lock().expect("facts");
        let mut own = all
            .iter()
            .filter(|live| live.labels.carrier_call.as_str() == carrier_call);
        let last = own.next_back().expect("a fact");
        let What::Ended(summary) = &last.fact.what else {
            panic!("something was written after the end of {carrier_call}");
        };
        let (spent, cap) = (last.fact.spent, last.labels.cap);
        assert!(spent <= cap, "{spent} of {cap}");
        assert_eq!(spent, summary.cost.total());
        summary.clone()
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

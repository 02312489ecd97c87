//! A call over real sockets: the whole server on the loopback, between the two simulators, in real time.

use super::{Load, Outcome, cast, plan};
use crate::call::record::What;
use crate::cli::world::World;
use crate::observe::Live;
use crate::sim::phone::Report;
use crate::sim::scenario::Scenario;
use crate::units::Usd;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How long the server may take to end a call whose phone was put down: the longest wait for a stream that never opens, and more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the call of a scenario in a world of its own.
///
/// # Errors
/// Says what could not be started, or that the server never ended the call.
pub async fn perform(scenario: &Scenario, load: Load<'_>) -> Result<Outcome, String> {
    let world = World::start(&plan(scenario)).await?;
    let setup = cast(scenario, world.phone(), load)?;
    let mut facts = world.server.observer.watch();
    let mut collected = Collected::default();
    let phone = {
        let call = world.call(setup);
        tokio::pin!(call);
        loop {
            tokio::select! {
                report = &mut call => break report?,
                came = facts.recv() => collected.add(came)?,
            }
        }
    };
    wait_for_the_end(&world, &mut facts, &mut collected).await?;
    let outcome = collected.outcome(&world, phone);
    // What still runs has nothing more to say.
    world.stop().await;
    Ok(outcome)
}

/// Waits until the server has written down the call's end, or until there is nothing to wait for: it refused the call.
async fn wait_for_the_end(
    world: &World,
    facts: &mut Receiver<Live>,
    collected: &mut Collected,
) -> Result<(), String> {
    let ended = async {
        while !collected.ended && (!collected.facts.is_empty() || world.server.calls() > 0) {
            collected.add(facts.recv().await)?;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, ended).await;
    waited.map_err(|_| "the server never ended the call".to_string())?
}

/// The facts of the world's one call.
#[derive(Default)]
struct Collected {
    facts: Vec<crate::call::record::Fact>,
    cap: Usd,
    ended: bool,
}

impl Collected {
    fn add(&mut self, came: Result<Live, RecvError>) -> Result<(), String> {
        let Live { labels, fact } = came.map_err(|error| format!("facts were missed: {error}"))?;
        self.cap = labels.cap;
        self.ended |= matches!(fact.what, What::Ended(_));
        self.facts.push(fact);
        Ok(())
    }

    fn outcome(self, world: &World, phone: Report) -> Outcome {
        Outcome {
            facts: self.facts,
            cap: self.cap,
            settled: self.ended.then(|| world.server.budget.spent()),
            phone,
            requests: world.rest.requests(),
            invoices: world.model.invoices(),
            broken: Vec::new(),
        }
    }
}

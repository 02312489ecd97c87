//! A call over real sockets: the whole server on the loopback, between the two simulators, in real time.

use super::draw::Lot;
use super::hazards::{HAZARDS, Hazard};
use super::stage::Took;
use super::tally::{Seen, Tally, seen};
use super::{Load, Outcome, cast, plan};
use crate::call::record::What;
use crate::cli::world::{Plan, World};
use crate::observe::Live;
use crate::pricing::PriceBook;
use crate::sim::phone::{self, Report};
use crate::sim::scenario::Scenario;
use crate::units::Usd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

/// How long the server may take to end a call whose phone was put down: the longest wait for a stream that never opens, and more.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest that a call drawn by lot may last over sockets, in milliseconds: time there is real.
const LONGEST_MS: u64 = 20_000;

/// So many calls go on at the same time.
const AT_ONCE: usize = 12;

/// Makes the call of a scenario in a world of its own.
///
/// # Errors
/// Says what could not be started, or that the server never ended the call.
pub async fn perform(scenario: &Scenario, load: Load<'_>) -> Result<Outcome, String> {
    ring(&plan(scenario), |phone| cast(scenario, phone, load)).await
}

/// Makes `calls` calls, a dozen at a time, each with a server and a model of its own; the hazards take turns, and those that break an
/// assumption of the cap are left out.
pub async fn prove(calls: u64, seed: u64) -> Tally {
    let book = Arc::new(PriceBook::built_in());
    let lines = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let bound = || {
        HAZARDS
            .iter()
            .filter(|hazard| !hazard.breaks && hazard.is_for_sockets())
    };
    let turns = (0..calls).zip(bound().cycle());
    for (number, hazard) in turns {
        let (book, lines) = (book.clone(), lines.clone());
        running.spawn(async move {
            let _line = lines.acquire().await;
            let seed = seed.saturating_add(number);
            let made = drawn(hazard, &book, seed).await;
            let name = hazard.name;
            (number, made.map_err(|why| format!("{name}: {why}")), name)
        });
    }
    let mut tally = Tally::default();
    while let Some(made) = running.join_next().await {
        // A call that panics has no number any more.
        let (number, mut made, name) =
            made.unwrap_or_else(|error| (calls, Err(error.to_string()), ""));
        if let Ok(seen) = &mut made {
            let broken = seen.broken.iter_mut();
            broken.for_each(|broken| *broken = format!("{name}: {broken}"));
        }
        tally.add(seed.saturating_add(number), made.map(|seen| vec![seen]));
    }
    tally
}

/// Makes the call of this hazard and seed. The settings, the manners and the caller repeat; the moments do not.
async fn drawn(hazard: &Hazard, book: &PriceBook, seed: u64) -> Result<Seen, String> {
    let mut lot = Lot::new(hazard, book, seed, Some(LONGEST_MS))?;
    let plan = lot.whole_plan(hazard);
    let (minute, say) = (lot.minute, lot.say);
    let outcome = ring(&plan, |mut phone| {
        lot.caller(hazard, &mut phone);
        Ok(phone)
    });
    Ok(seen(&outcome.await?, minute, say))
}

/// Makes one call in a world of its own.
async fn ring(
    plan: &Plan,
    cast: impl FnOnce(phone::Setup) -> Result<phone::Setup, String>,
) -> Result<Outcome, String> {
    let world = World::start(plan).await?;
    let setup = cast(world.phone())?;
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
            invoices: world.invoices(),
            remembered: Vec::new(),
            took: Took::default(),
            broken: Vec::new(),
        }
    }
}

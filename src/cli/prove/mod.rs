//! A call that is made twice must come out the same: in virtual time, and over real sockets.
//!
//! In virtual time ([`stage`]) the two simulators meet the core through the real codecs, without a clock or a socket, so that minutes
//! pass in milliseconds and a seed means the same call for ever. Over sockets ([`sockets`]) the whole server stands between them. What
//! both are judged by ([`judge`]) is what a scenario expects, and what was promised of every call. Calls nobody wrote down are drawn by
//! lot, by the thousand, for the [`command`] of this name.

pub mod bill;
pub mod command;
pub mod crowd;
pub mod draw;
pub mod hazards;
pub mod judge;
pub mod kills;
pub mod sockets;
pub mod stage;
pub mod tally;
pub mod usable;

use super::world::Plan;
use crate::call::record::{Fact, Summary, What};
use crate::sim::model::Invoice;
use crate::sim::phone::{self, Report, rest::Recorded, wav};
use crate::sim::scenario::{Runs, Scenario};
use crate::units::Usd;
use std::path::{Path, PathBuf};

/// Reads the sound of a file, by its name, as samples of 8 kHz.
pub type Load<'a> = &'a (dyn Fn(&str) -> Result<Vec<i16>, String> + Sync);

/// What came of a call, seen from all sides.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the server wrote down; nothing, for a call that it refused.
    pub facts: Vec<Fact>,
    /// What the call was allowed to cost.
    pub cap: Usd,
    /// What the budgets were told that it cost; `None`: nothing yet.
    pub settled: Option<Usd>,
    /// What the phone saw and heard.
    pub phone: Report,
    /// What the carrier's REST API was asked until the phone was put down.
    pub requests: Vec<Recorded>,
    /// What the model bills, session by session.
    pub invoices: Vec<Invoice>,
    /// What the models remembered of the conversation in the end, in words; nobody looks at it over sockets.
    pub remembered: Vec<String>,
    /// What functions and a transfer took, by their own count.
    pub took: stage::Took,
    /// Invariants of the core that did not hold, in words; nobody looks at them over sockets.
    pub broken: Vec<String>,
}

impl Outcome {
    /// The call in numbers; `None` for one that never ended or never began.
    pub fn summary(&self) -> Option<&Summary> {
        self.facts.iter().rev().find_map(|fact| match &fact.what {
            What::Ended(summary) => Some(summary),
            _ => None,
        })
    }

    /// What the call cost by our own count.
    pub fn spent(&self) -> Usd {
        self.summary()
            .map_or(Usd::ZERO, |summary| summary.cost.total())
    }

    /// What it may have cost: its cap, and what a transfer may take beside that, where one was asked for.
    pub fn allowed(&self) -> Usd {
        self.cap.plus(self.took.apart)
    }

    /// What the model's side bills for it, by its own arithmetic.
    pub fn billed(&self) -> Usd {
        self.invoices.iter().map(Invoice::total).sum()
    }
}

/// Makes the call of a scenario in virtual time.
///
/// # Errors
/// Settings or sounds that make no sense, or a call that never ends.
pub fn rehearse(scenario: &Scenario, load: Load<'_>) -> Result<Outcome, String> {
    let stage = stage::Stage::new(&plan(scenario))?;
    let setup = cast(scenario, stage::Stage::phone(1), load)?;
    stage.call(setup)
}

/// The world a scenario wants.
fn plan(scenario: &Scenario) -> Plan {
    Plan {
        model: scenario.model.clone(),
        model_unreachable: scenario.model_unreachable,
        settings: scenario.agent.clone(),
        ..Plan::default()
    }
}

/// Gives a phone the scenario's caller and line. Nobody listens to the sound afterwards, so none is kept.
fn cast(
    scenario: &Scenario,
    mut setup: phone::Setup,
    load: Load<'_>,
) -> Result<phone::Setup, String> {
    setup.script = scenario.script(load)?;
    setup.line = scenario.line;
    setup.keep_sound = false;
    Ok(setup)
}

/// Whether a scenario makes sense in virtual time.
pub fn is_virtual(scenario: &Scenario) -> bool {
    scenario.runs != Runs::Sockets
}

/// Whether a scenario makes sense over sockets.
pub fn is_for_sockets(scenario: &Scenario) -> bool {
    scenario.runs != Runs::Virtual
}

/// A scenario's file: what it says, and the sounds that lie beside it.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it says.
    pub scenario: Scenario,
    folder: PathBuf,
}

impl Script {
    /// Reads a scenario's file.
    ///
    /// # Errors
    /// Everything in it that is not understood.
    pub fn read(path: &Path) -> Result<Script, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let scenario = Scenario::parse(&text).map_err(|mistakes| {
            let told = mistakes
                .iter()
                .map(|mistake| format!("{}: {mistake}", path.display()));
            told.collect::<Vec<_>>().join("\n")
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Script { scenario, folder })
    }

    /// The sound of a file beside the scenario.
    ///
    /// # Errors
    /// Says which file could not be read and why.
    pub fn load(&self, name: &str) -> Result<Vec<i16>, String> {
        wav::read(&self.folder.join(name))
    }

    /// Makes the call in virtual time.
    ///
    /// # Errors
    /// As [`rehearse`].
    pub fn rehearse(&self) -> Result<Outcome, String> {
        rehearse(&self.scenario, &|name| self.load(name))
    }

    /// Makes the call over sockets.
    ///
    /// # Errors
    /// As [`sockets::perform`].
    pub async fn perform(&self) -> Result<Outcome, String> {
        sockets::perform(&self.scenario, &|name| self.load(name)).await
    }
}

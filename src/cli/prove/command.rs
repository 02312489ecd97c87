//! `ringfence prove`: thousands of calls against models and callers that mean no good, and what they cost by their own invoices.
//!
//! A cap is a claim about the worst call, so it is the worst that is looked for and printed. Calls are made in virtual time, on all
//! cores; each has a seed, and a call that fails says how to make it again.

use super::crowd;
use super::draw::{BUNCHED, LINEAR};
use super::hazards::{self, HAZARDS, Hazard};
use super::tally::{Farewells, Tally, see};
use super::{bill, kills, sockets, usable};
use crate::pricing::PriceBook;
use clap::builder::PossibleValuesParser;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Calls in all, unless it is said: a few seconds on two cores.
const CALLS: u64 = 3_600;

/// Talks of each case, unless it is said.
const TALKS: u64 = 200;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct ProveArguments {
    /// How many calls to make in all, in equal parts.
    #[arg(long, value_name = "N", default_value_t = CALLS, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    calls: u64,
    /// The seed of the first call of each scenario; the next one has the next seed.
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1_000_000_000_000))]
    seed: u64,
    /// One scenario instead of all of them.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(HAZARDS.iter().map(|hazard| hazard.name)))]
    scenario: Option<String>,
    /// How many ordinary talks to make of each case of the table of what a cap is good for; none with --scenario.
    #[arg(long, value_name = "N", default_value_t = TALKS, value_parser = clap::value_parser!(u64).range(..=100_000))]
    talks: u64,
    /// How many calls to make over real sockets as well, in real time, against the whole server; twenty seconds for each dozen.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000))]
    sockets: u64,
    /// How many servers to kill in the middle of their calls, as processes of their own: some three seconds each, six at a time.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100_000))]
    kills: u64,
    /// Instead of all that: what thirty minutes of talk cost under each policy for what the model is left to remember.
    #[arg(long)]
    bill: bool,
}

/// The models whose bills are shown.
const BILLED: [&str; 2] = ["gpt-realtime-2.1", "gpt-realtime-2.1-mini"];

/// Makes the calls and prints what came of them; fails when a promise was not kept.
pub fn run(arguments: &ProveArguments) -> ExitCode {
    if arguments.bill {
        let kept = BILLED.map(|model| {
            let bills = bill::measure(model);
            let told = bill::tell(model, &bills, &mut io::stdout().lock());
            told.is_ok() && bill::is_kept(&bills)
        });
        let code = u8::from(kept.contains(&false));
        return ExitCode::from(code);
    }
    let chosen = match &arguments.scenario {
        Some(name) => hazards::find(name).into_iter().collect(),
        None => HAZARDS.iter().collect::<Vec<_>>(),
    };
    let began = Instant::now();
    let proof = prove(&chosen, arguments.calls, arguments.seed);
    let took_ms = began.elapsed().as_millis().max(1);
    let calls: u64 = proof.tallies.iter().map(|(_, tally)| tally.calls).sum();
    let lasted_ms: u64 = proof.tallies.iter().map(|(_, tally)| tally.lasted_ms).sum();
    let told = proof.tell(&mut io::stdout().lock()).and_then(|()| {
        let pace = u128::from(calls) * 1_000 / took_ms;
        writeln!(
            io::stdout(),
            "\n{calls} calls of {} s on the average in {} s, {pace} a second;\none in {} with frames of 20 ms, the others with five at once; one in {} with sound of 24 kHz, the others with the telephone's own",
            lasted_ms / calls.max(1) / 1_000,
            took_ms / 1_000,
            BUNCHED + 1,
            LINEAR + 1
        )
    });
    let talks = match arguments.scenario {
        None => arguments.talks,
        Some(_) => 0,
    };
    let cases = match talks {
        0 => Vec::new(),
        talks => usable::measure(talks),
    };
    let told = told.and_then(|()| match cases.len() {
        0 => Ok(()),
        _ => usable::tell(&cases, &mut io::stdout().lock()),
    });
    let performed = match arguments.sockets {
        0 => Some(Tally::default()),
        calls => perform(calls, arguments.seed),
    };
    let kept = performed.is_some_and(|tally| tally.is_kept());
    let killed = match arguments.kills {
        0 => true,
        kills => kill(kills, arguments.seed),
    };
    let kept = kept && killed && cases.iter().all(usable::Case::is_reached);
    match told {
        Ok(()) if kept && proof.is_kept() => ExitCode::SUCCESS,
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

/// Kills servers that are processes of this very program, and prints what came of it; tells whether every promise was kept.
fn kill(kills: u64, seed: u64) -> bool {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let (Ok(runtime), Ok(program)) = (runtime.enable_all().build(), std::env::current_exe()) else {
        return false;
    };
    let kills = runtime.block_on(kills::prove(&program, kills, seed));
    kills.tell(&mut io::stdout().lock()).is_ok() && kills.is_kept()
}

/// Makes calls over sockets and prints what came of them; `None` when there is nothing to make them with.
fn perform(calls: u64, seed: u64) -> Option<Tally> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().ok()?;
    let tally = runtime.block_on(sockets::prove(calls, seed));
    println!(
        "\nOver real sockets, against the whole server, in real time:\n\n{}",
        Tally::heads()
    );
    println!("{}", tally.row("sockets"));
    for (seed, why) in tally.failures() {
        println!("\nFAILED: call {seed}\n  {why}");
    }
    Some(tally)
}

/// What came of all calls, hazard by hazard.
#[derive(Debug)]
pub struct Proof {
    /// In the order they were asked for.
    pub tallies: Vec<(&'static Hazard, Tally)>,
}

/// Makes `calls` calls, the same number of each hazard and at least one.
pub fn prove(hazards: &[&'static Hazard], calls: u64, seed: u64) -> Proof {
    let kinds = u64::try_from(hazards.len()).unwrap_or(u64::MAX).max(1);
    let each = calls.div_ceil(kinds);
    let book = PriceBook::built_in();
    let jobs = each.saturating_mul(kinds);
    let counted = fold_in_parallel(jobs, |tallies: &mut BTreeMap<usize, Tally>, job| {
        let kind = usize::try_from(job / each).unwrap_or(usize::MAX);
        let Some(hazard) = hazards.get(kind) else {
            return;
        };
        let seed = seed.saturating_add(job % each);
        let tally = tallies.entry(kind).or_default();
        // A crowd is many calls.
        if !hazard.crowd || job % each < crowd::crowds(each) {
            tally.add(seed, see(hazard, &book, seed));
        }
    });
    let mut tallies: Vec<_> = hazards
        .iter()
        .map(|hazard| (*hazard, Tally::default()))
        .collect();
    for (kind, tally) in counted.into_iter().flatten() {
        tallies[kind].1.merge(tally);
    }
    Proof { tallies }
}

/// Does every job from zero on, on all cores, and gives what each worker made of its own.
fn fold_in_parallel<T: Default + Send>(jobs: u64, work: impl Fn(&mut T, u64) + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut made = T::default();
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                job if job < jobs => work(&mut made, job),
                _ => return made,
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        // A call that panics is caught and counted where it is made, so a worker has no reason to.
        let done = threads.into_iter().filter_map(|thread| thread.join().ok());
        done.collect()
    })
}

/// Does every job from zero on, on all cores; in no order.
pub(super) fn in_parallel<T: Send>(jobs: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let made = fold_in_parallel(jobs, |made: &mut Vec<T>, job| made.push(work(job)));
    made.into_iter().flatten().collect()
}

impl Proof {
    /// Whether every promise was kept by every call whose model keeps the assumptions.
    pub fn is_kept(&self) -> bool {
        let mut bound = self.tallies.iter().filter(|(hazard, _)| !hazard.breaks);
        bound.all(|(_, tally)| tally.is_kept()) && self.farewells().is_kept()
    }

    /// What became of the goodbyes, where the model serves them.
    pub fn farewells(&self) -> Farewells {
        let mut all = Farewells::default();
        let serving = (self.tallies.iter()).filter(|(hazard, _)| hazard.serves_goodbyes());
        serving.for_each(|(_, tally)| all.merge(tally.farewells.clone()));
        all
    }

    /// Writes both tables, and every failure with how to repeat it.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let (broken, kept): (Vec<_>, Vec<_>) =
            self.tallies.iter().partition(|(hazard, _)| hazard.breaks);
        if !kept.is_empty() {
            writeln!(
                out,
                "invoice: what model and carrier bill. Worst of all calls, in nano-dollars; \"used\" is the median part of the cap\ncharged to calls that the cap ended, \"of\" how many those were; then who said goodbye.\n"
            )?;
            writeln!(out, "{}", Tally::heads())?;
            for (hazard, tally) in &kept {
                writeln!(out, "{}", tally.row(hazard.name))?;
            }
            let mut all = Tally::default();
            kept.iter().for_each(|(_, tally)| all.merge(tally.clone()));
            writeln!(out, "{}\n\nno goodbye because:", all.row("all"))?;
            for (why, count) in all.silences() {
                writeln!(out, "  {why:<28}{count:>8}")?;
            }
            writeln!(out, "\nwhat happened besides talking:")?;
            for (word, count) in &all.happened {
                writeln!(out, "  {word:<28}{count:>8}")?;
            }
            writeln!(out, "\n{}", self.farewells().told())?;
        }
        if !broken.is_empty() {
            writeln!(
                out,
                "\nModels that break an assumption of the cap. Noticed after so many answers; beyond the cap and uncharged in dollars.\n"
            )?;
            writeln!(
                out,
                "{:<22}{:>7}{:>9}{:>8}{:>7}{:>11}{:>14}{:>13}{:>14}",
                "scenario",
                "calls",
                "noticed",
                "median",
                "worst",
                "above cap",
                "worst",
                "undercharged",
                "worst"
            )?;
            for (hazard, tally) in &broken {
                writeln!(out, "{}", tally.broken_row(hazard.name))?;
            }
        }
        self.tell_failures(out)
    }

    fn tell_failures(&self, out: &mut dyn Write) -> io::Result<()> {
        for (hazard, tally) in self.tallies.iter().filter(|(hazard, _)| !hazard.breaks) {
            for (seed, why) in tally.failures() {
                let name = hazard.name;
                writeln!(
                    out,
                    "\nFAILED: prove --scenario {name} --seed {seed} --calls 1\n  {why}"
                )?;
            }
        }
        Ok(())
    }
}

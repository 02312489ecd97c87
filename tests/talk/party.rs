//! Many calls at once, each with an agent of its own, so that every session of the model can be told whose it was.

use super::house::{Facts, House, until};
use ringfence::call::record::Summary;
use ringfence::cli::world::Plan;
use ringfence::sim::model::diary::{Diary, What};
use ringfence::sim::phone::playout::Stretch;
use ringfence::sim::phone::report::Report;
use ringfence::sim::phone::{Act, Setup, Step, When, call};
use ringfence::sim::voice::speech;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A house with so many agents, whose cap on duration is this.
pub async fn house(model: &str, settings: &[(&str, &str)], agents: usize, duration: &str) -> House {
    let settings = settings
        .iter()
        .map(|(key, value)| ((*key).to_string(), (*value).to_string()));
    let mut plan = Plan {
        model: format!("diary {model}"),
        settings: settings.collect(),
        ..Plan::default()
    };
    for agent in 0..agents {
        let (number, instructions) = (number(agent), instructions(agent));
        plan.more += &format!(
            r#"
[agent.c{agent}]
numbers = ["{number}"]
models = ["main"]
instructions = "{instructions}"
greeting = "Greet the caller and ask how you can help."
[agent.c{agent}.cap]
spend = {{ warn = 4.50, end = 5.00 }}
duration = {duration}
"#
        );
    }
    House::open(&plan).await
}

fn number(agent: usize) -> String {
    format!("+1500555{agent:04}")
}

/// What tells the sessions of an agent from all others.
pub fn instructions(agent: usize) -> String {
    format!("You answer the phone of number {agent}.")
}

/// A call that is over, from both sides.
pub struct Talked {
    /// When the phone began to ring: its millisecond zero.
    pub began: Instant,
    pub report: Report,
    pub summary: Summary,
    /// What the sessions of this call kept, in the order they were opened.
    pub diaries: Vec<Diary>,
}

/// A call that is being made.
pub struct Ringing {
    agent: usize,
    task: tokio::task::JoinHandle<(Instant, Report)>,
}

impl Ringing {
    /// The phone of this agent's caller rings, in a task of its own.
    pub fn to(house: &House, agent: usize, mut setup: Setup) -> Ringing {
        setup.to = number(agent);
        let wires = house.world.wires();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            (began, call::call(setup, &wires).await.expect("a call"))
        });
        Ringing { agent, task }
    }

    /// Waits until the call is over, on both sides.
    pub async fn over(self, house: &House) -> Talked {
        let (began, report) = self.task.await.expect("a phone");
        let summary = summary(&house.facts, &report).await;
        until("the model's sessions are closed", || {
            house.world.model.live() == 0 || house.world.server.calls() > 0
        })
        .await;
        let own = instructions(self.agent);
        let mut diaries = house.world.model.diaries();
        diaries.retain(|diary| diary.instructions == own);
        diaries.sort_by_key(|diary| diary.began);
        Talked {
            began,
            report,
            summary,
            diaries,
        }
    }
}

async fn summary(facts: &Facts, report: &Report) -> Summary {
    facts.summary(&report.call_sid).await
}

impl Talked {
    /// A moment of the phone's.
    pub fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    /// Everything that the sessions noted, with its moment, in order.
    pub fn noted(&self) -> Vec<(Instant, &What)> {
        let mut all: Vec<(Instant, &What)> = self
            .diaries
            .iter()
            .flat_map(|diary| {
                let noted = diary.noted.iter();
                noted.map(|note| (diary.began + Duration::from_millis(note.at_ms), &note.what))
            })
            .collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }
}

/// The number of the item that a stretch of sound belongs to: what its mark begins with.
pub fn item_of(stretch: &Stretch) -> Option<u32> {
    let (number, _) = stretch.mark.as_deref()?.split_once(':')?;
    number.parse().ok()
}

/// A step in which something is said, by a voice of its own.
pub fn says(when: When, ms: u64, seed: u64) -> Step {
    Step {
        when,
        act: Act::Say(speech(ms, seed).into()),
    }
}

/// The caller hangs up at this time.
pub fn hangs_up(when: When) -> Step {
    Step {
        when,
        act: Act::HangUp,
    }
}

/// How many milliseconds from one moment to another; less than nothing where it is the other way round.
pub fn millis(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(later) => later.as_millis() as i64,
        None => -((from - to).as_millis() as i64),
    }
}

/// Figures, to be printed.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<i64>);

impl Figures {
    /// Of all these.
    pub fn of(figures: impl IntoIterator<Item = i64>) -> Figures {
        let mut all: Vec<i64> = figures.into_iter().collect();
        all.sort_unstable();
        Figures(all)
    }

    /// What so many of a thousand do not exceed.
    pub fn permille(&self, permille: usize) -> i64 {
        let place = (self.0.len() * permille).div_ceil(1000).max(1) - 1;
        self.0.get(place).copied().unwrap_or(0)
    }

    /// The greatest.
    pub fn most(&self) -> i64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// The least.
    pub fn least(&self) -> i64 {
        self.0.first().copied().unwrap_or(0)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of them: least {}, p50 {}, p98 {}, p99 {}, most {} ms",
            self.count(),
            self.least(),
            self.permille(500),
            self.permille(980),
            self.permille(990),
            self.most()
        )
    }
}

/// A machine that did not run for longer than this has disturbed what was measured: a phone of the test was late itself.
const STALL: Duration = Duration::from_millis(15);

/// How long before and after a stall nothing is measured: what was queued then plays on.
const AROUND: Duration = Duration::from_millis(600);

/// Watches the machine, in a thread that does nothing else: when did it not run?
#[derive(Clone, Default)]
pub struct Watch {
    stalls: Arc<Mutex<Vec<(Instant, Instant)>>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to watch.
    pub fn begin() -> Watch {
        let watch = Watch::default();
        let own = watch.clone();
        std::thread::spawn(move || {
            while !own.over.load(Ordering::Relaxed) {
                let before = Instant::now();
                std::thread::sleep(Duration::from_millis(3));
                let now = Instant::now();
                if now - before > STALL {
                    own.stalls.lock().expect("stalls").push((before, now));
                }
            }
        });
        watch
    }

    /// Whether the machine did not run around this moment.
    pub fn stalled(&self, at: Instant) -> bool {
        let stalls = self.stalls.lock().expect("stalls");
        stalls
            .iter()
            .any(|(from, until)| at + AROUND > *from && at < *until + AROUND)
    }

    /// No more of it. How often it did not run.
    pub fn end(&self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.stalls.lock().expect("stalls").len()
    }
}

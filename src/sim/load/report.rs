//! What a run comes to: for programs as JSON, for people as a page.

use super::figures::{Ending, Histogram, Messages, Way};
use super::{Outcome, Plan};
use serde::Serialize;
use std::fmt;

/// Lengths of time, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Took {
    /// Half were not longer.
    pub p50: u64,
    /// All but one in a hundred.
    pub p99: u64,
    /// The longest.
    pub max: u64,
    /// How many there were.
    pub count: u64,
}

/// The same in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TookMs {
    /// Half were not longer.
    pub p50: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Frames of speech in one direction.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Frames {
    /// Sent while it was measured.
    pub sent: u64,
    /// Those that arrived.
    pub arrived: u64,
    /// Those that did not.
    pub lost: u64,
    /// Those that came later than a jitter buffer waits: 60 ms after the usual.
    pub late: u64,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Endings {
    /// The caller hung up, when the load was over.
    pub caller: u64,
    /// The server ended them.
    pub server: u64,
    /// They were never taken.
    pub refused: u64,
    /// Their connections broke.
    pub lost: u64,
}

/// What the watched process cost while it was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Its id.
    pub pid: u32,
    /// Time on a processor for each second of a call.
    pub cpu_us_per_call_s: u64,
    /// Memory that each call added, in the middle of what was measured.
    pub rss_kb_per_call: u64,
    /// Memory before the first call.
    pub rss_kb_before: u64,
    /// Memory after the last.
    pub rss_kb_after: u64,
    /// In its own code.
    pub user_us: u64,
    /// In the kernel.
    pub sys_us: u64,
}

/// What a run comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Calls that were wanted.
    pub calls: usize,
    /// How long they were measured, in seconds.
    pub for_s: f64,
    /// How much of the time each caller spoke.
    pub talk: f64,
    /// From the webhook to the open stream.
    pub setup_ms: TookMs,
    /// From the open stream to the agent's first sound.
    pub first_audio_ms: TookMs,
    /// From the caller to the model; `null` when the model was not ours.
    pub up_us: Option<Took>,
    /// From the model to the caller.
    pub down_us: Option<Took>,
    /// The caller's speech.
    pub frames_up: Option<Frames>,
    /// The agent's speech.
    pub frames_down: Option<Frames>,
    /// How late the load itself was.
    pub self_late_us: Took,
    /// Messages while it was measured.
    pub messages: Messages,
    /// Endings.
    pub endings: Endings,
    /// What the carrier or the model would have complained of.
    pub violations: u64,
    /// The first of those.
    pub first_violation: Option<String>,
    /// What the model bills, in dollars.
    pub spend_usd: Option<f64>,
    /// What the watched process cost.
    pub watched: Option<Cost>,
}

/// A load that is later than this measures itself.
const TOO_LATE_US: u64 = 5_000;

impl Report {
    /// From what was counted.
    pub fn new(plan: &Plan, outcome: &Outcome) -> Report {
        let tally = &outcome.tally;
        let has_model = plan.model_at.is_some();
        let ended = |ending: Ending| tally.endings[ending as usize];
        Report {
            calls: plan.calls,
            for_s: plan.lasts.as_secs_f64(),
            talk: plan.talk_milli as f64 / 1000.0,
            setup_ms: TookMs::of(&tally.setup),
            first_audio_ms: TookMs::of(&tally.first_audio),
            up_us: has_model.then(|| Took::of(&tally.up.took)),
            down_us: has_model.then(|| Took::of(&tally.down.took)),
            frames_up: has_model.then(|| Frames::of(&tally.up)),
            frames_down: has_model.then(|| Frames::of(&tally.down)),
            self_late_us: Took::of(&tally.self_late),
            messages: outcome.messages,
            endings: Endings {
                caller: ended(Ending::Caller),
                server: ended(Ending::Server),
                refused: ended(Ending::Refused),
                lost: ended(Ending::Lost),
            },
            violations: tally.violations,
            first_violation: tally.complaint.clone(),
            spend_usd: has_model.then_some(tally.nanos as f64 / 1e9),
            watched: outcome.watched,
        }
    }

    /// Whether the load itself was so late that its figures say nothing of the server.
    pub fn is_late(&self) -> bool {
        self.self_late_us.p99 > TOO_LATE_US
    }
}

impl Took {
    fn of(took: &Histogram) -> Took {
        Took {
            p50: took.at(500),
            p99: took.at(990),
            max: took.max(),
            count: took.count(),
        }
    }
}

impl TookMs {
    fn of(took: &Histogram) -> TookMs {
        let ms = |us: u64| us as f64 / 1000.0;
        TookMs {
            p50: ms(took.at(500)),
            p99: ms(took.at(990)),
            max: ms(took.max()),
        }
    }
}

impl Frames {
    fn of(way: &Way) -> Frames {
        Frames {
            sent: way.sent,
            arrived: way.arrived,
            lost: way.lost(),
            late: way.late(),
        }
    }
}

/// Microseconds as milliseconds.
fn ms(us: u64) -> String {
    format!("{}.{:02}", us / 1000, us % 1000 / 10)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} calls, measured for {} s, each caller speaks {:.0} % of the time",
            self.calls,
            self.for_s,
            self.talk * 100.0
        )?;
        writeln!(f, "{:<26}{:>10}{:>10}{:>10}   ms", "", "p50", "p99", "max")?;
        for (name, took) in [
            ("setup", self.setup_ms),
            ("first sound of the agent", self.first_audio_ms),
        ] {
            writeln!(
                f,
                "{name:<26}{:>10.2}{:>10.2}{:>10.2}",
                took.p50, took.p99, took.max
            )?;
        }
        self.sound(f)?;
        self.told(f)?;
        self.cost(f)
    }
}

impl Report {
    /// What became of the sound.
    fn sound(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = Some(self.self_late_us);
        for (name, took) in [
            ("caller to model", self.up_us),
            ("model to caller", self.down_us),
            ("the load's own lateness", late),
        ] {
            if let Some(took) = took {
                writeln!(
                    f,
                    "{name:<26}{:>10}{:>10}{:>10}",
                    ms(took.p50),
                    ms(took.p99),
                    ms(took.max)
                )?;
            }
        }
        for (name, frames) in [
            ("speech of callers", self.frames_up),
            ("speech of agents", self.frames_down),
        ] {
            if let Some(Frames {
                sent,
                arrived,
                lost,
                late,
            }) = frames
            {
                writeln!(
                    f,
                    "{name:<26}{sent} frames sent, {arrived} arrived, {lost} lost, {late} late"
                )?;
            }
        }
        if self.up_us.is_none() {
            writeln!(
                f,
                "no --model-at: only what a carrier can see was measured, and no frame was followed to its end"
            )?;
        }
        Ok(())
    }

    /// What was said, and how it ended.
    fn told(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Messages {
            to_server,
            from_server,
            to_model,
            from_model,
        } = self.messages;
        writeln!(
            f,
            "{:<26}{to_server} to the server, {from_server} from it; {to_model} to the model, {from_model} from it",
            "messages"
        )?;
        let Endings {
            caller,
            server,
            refused,
            lost,
        } = self.endings;
        writeln!(
            f,
            "{:<26}{caller} hung up, {server} ended by the server, {refused} refused, {lost} lost",
            "endings"
        )?;
        if let Some(first) = &self.first_violation {
            writeln!(
                f,
                "{:<26}{}, the first: {first}",
                "violations", self.violations
            )?;
        }
        Ok(())
    }

    /// What it cost, and whether to believe it.
    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(usd) = self.spend_usd {
            writeln!(f, "{:<26}${usd:.4}", "the model bills")?;
        }
        if let Some(cost) = self.watched {
            writeln!(
                f,
                "{:<26}{} us of processor for a second of a call; {} KB a call ({} KB before, {} KB after)",
                format!("process {}", cost.pid),
                cost.cpu_us_per_call_s,
                cost.rss_kb_per_call,
                cost.rss_kb_before,
                cost.rss_kb_after
            )?;
        }
        if self.is_late() {
            writeln!(
                f,
                "the load itself was late: these figures are of this machine, not of the server; use fewer calls or another processor"
            )?;
        }
        Ok(())
    }
}

//! The largest number of calls that a server carries without anybody hearing it: doubling, then halving the distance.
//!
//! Near its limit a server is not a little slower, it is suddenly much slower, so a short look at each number is enough, and the limit is
//! told to a twentieth of itself.

use super::report::Report;
use super::{Plan, Progress, code, run, watch};
use serde::Serialize;
use std::time::Duration;

/// How long each number is measured at the most.
const LOOK: Duration = Duration::from_secs(15);

/// One number that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// How many calls.
    pub calls: usize,
    /// Whether it was carried well.
    pub carried: bool,
    /// Why not, in words; empty when it was.
    pub because: String,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The report of the largest number that was carried; of the smallest that was tried when none was.
    pub best: Report,
    /// Everything that was tried, in order.
    pub steps: Vec<Step>,
}

/// Tries numbers, beginning with the plan's own.
///
/// # Errors
/// As [`run`].
pub fn largest(
    plan: &Plan,
    limit: Duration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Found, String> {
    let most = most_calls(plan);
    let limit_us = limit.as_micros() as u64;
    let mut good: Option<(usize, Report)> = None;
    let mut bad: Option<(usize, Report)> = None;
    let mut steps = Vec::new();
    let mut calls = plan.calls.clamp(1, most);
    loop {
        let step = Plan {
            calls,
            lasts: plan.lasts.min(LOOK),
            ..plan.clone()
        };
        let report = run(step, progress)?;
        let because = why_not(&report, limit_us);
        steps.push(Step {
            calls,
            carried: because.is_none(),
            because: because.clone().unwrap_or_default(),
        });
        match because {
            None => good = Some((calls, report)),
            Some(_) => bad = Some((calls, report)),
        }
        let lower = good.as_ref().map_or(0, |(calls, _)| *calls);
        let upper = bad.as_ref().map(|(calls, _)| *calls);
        calls = match upper {
            None if lower >= most => break,
            None => (lower * 2).min(most),
            Some(upper) if upper - lower <= (upper / 20).max(1) => break,
            Some(upper) => lower + (upper - lower) / 2,
        };
    }
    let best = good.or(bad).map(|(_, report)| report);
    let best = best.ok_or("no number of calls was tried")?;
    Ok(Found { best, steps })
}

/// How many calls there are numbers and files for.
fn most_calls(plan: &Plan) -> usize {
    let one = Plan {
        calls: 1,
        ..plan.clone()
    };
    let each = one.files() - Plan { calls: 0, ..one }.files();
    let most = watch::most_files().map_or(usize::MAX, |files| {
        (files.saturating_sub(128) / each) as usize
    });
    most.clamp(1, code::MOST_CALLS)
}

/// Why a server did not carry so many calls well.
fn why_not(report: &Report, limit_us: u64) -> Option<String> {
    let lost = |frames: Option<super::report::Frames>| frames.map_or(0, |frames| frames.lost);
    let p99 = |took: Option<super::report::Took>| took.map_or(0, |took| took.p99);
    let lost = lost(report.frames_up) + lost(report.frames_down);
    let p99 = p99(report.up_us).max(p99(report.down_us));
    let gone = report.endings.server + report.endings.refused + report.endings.lost;
    if report.is_late() {
        Some(format!(
            "the load itself was {} us late (p99)",
            report.self_late_us.p99
        ))
    } else if gone > 0 {
        Some(format!("{gone} calls were not carried to their end"))
    } else if lost > 0 {
        Some(format!("{lost} frames were lost"))
    } else if p99 >= limit_us {
        Some(format!("p99 of {p99} us"))
    } else {
        None
    }
}

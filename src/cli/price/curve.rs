//! The same talk under each policy, minute by minute: what it costs to remember it.
//!
//! How much of a talk a model is left with decides what a long one costs, and which way is the cheapest depends on a cache that nobody
//! promises. So each policy is shown twice, with nothing served from it and with all that can be, and of those under which the model
//! still knows every word the cheapest is named.

use super::page::{CACHED, LONGEST, Page, USUAL, shortly};
use super::talk::{self, Cache, Policy};
use crate::config::USUAL_CONTEXT_TOKENS;
use crate::units::Usd;
use std::io::{self, Write};

/// After so many minutes each policy has found its way.
const SETTLED: usize = 10;

/// The policies, by the names they have over the columns; the first is what the others are held against.
const POLICIES: [(&str, Policy); 5] = [
    ("all", Policy::Untouched),
    ("ratio", Policy::Limit(talk::WINDOW)),
    ("limit", Policy::Limit(USUAL_CONTEXT_TOKENS as u64)),
    ("turns", Policy::TurnByTurn),
    ("words", USUAL),
];

/// One policy's total, minute by minute.
struct Line {
    name: &'static str,
    policy: Policy,
    totals: Vec<Usd>,
}

impl Line {
    /// What the whole talk costs.
    fn total(&self) -> Usd {
        self.totals.last().copied().unwrap_or_default()
    }

    /// What each minute after the tenth costs: the cheapest, the mean and the dearest.
    fn later(&self) -> [Usd; 3] {
        let pairs = self.totals.get(SETTLED - 1..).unwrap_or_default();
        let costs = || pairs.windows(2).map(|pair| pair[1].less(pair[0]));
        let all: Usd = costs().sum();
        let mean = Usd::from_nanos(all.nanos() / costs().count().max(1) as u64);
        let (least, most) = (costs().min(), costs().max());
        [least.unwrap_or_default(), mean, most.unwrap_or_default()]
    }

    fn is_whole(&self) -> bool {
        self.policy.is_whole(LONGEST)
    }
}

/// Writes the curve of a page's model, and what follows from it.
pub(super) fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nThe same talk under each policy: what it has cost by then, with transcription and carrier\n\n  \
         all    everything stays as it was said\n  \
         ratio  beyond {} tokens, which the older models hold, the oldest fifth is forgotten (retention_ratio 0.8)\n  \
         limit  beyond {USUAL_CONTEXT_TOKENS} tokens the oldest fifth is forgotten (token_limits.post_instructions)\n  \
         turns  sound older than two turns is replaced by its words, turn by turn\n  \
         words  old sound is replaced by its words when that pays, as calls do it where nothing else is set\n",
        talk::WINDOW
    )?;
    let never = lines(page, Cache::Never);
    let always = lines(page, Cache::Always);
    minutes(&never, &always, out)?;
    summary(&never, &always, out)?;
    moral(page, &never, &always, out)
}

fn lines(page: &Page<'_>, cache: Cache) -> Vec<Line> {
    let line = |(name, policy): (&'static str, Policy)| {
        let model = talk::minutes(page.price, policy, cache, LONGEST);
        let totals = (1..).zip(model).map(|(minute, model)| {
            let (transcription, carrier) = page.beside(minute);
            model.plus(transcription).plus(carrier)
        });
        Line {
            name,
            policy,
            totals: totals.collect(),
        }
    };
    POLICIES.map(line).into()
}

fn minutes(never: &[Line], always: &[Line], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {:<10}{:<47}{CACHED}", "", "nothing cached")?;
    write!(out, "  minute")?;
    for lines in [never, always] {
        lines
            .iter()
            .try_for_each(|line| write!(out, "{:>9}", line.name))?;
        write!(out, "  ")?;
    }
    for minute in 0..LONGEST as usize {
        write!(out, "\n  {:>6}", minute + 1)?;
        for (place, lines) in [never, always].into_iter().enumerate() {
            write!(out, "{:place$}", "", place = 2 * place)?;
            for line in lines {
                let total = line.totals.get(minute).copied().unwrap_or_default();
                write!(out, "{:>9}", shortly(total))?;
            }
        }
    }
    writeln!(out)
}

fn summary(never: &[Line], always: &[Line], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n  {:<9}{:<37}{:<37}every word\n  {:<9}{:>8}{:>5}  {:<22}{:>8}{:>5}  {:<22}is known",
        "",
        "nothing cached",
        CACHED,
        "",
        "total",
        "",
        "a minute after 10",
        "total",
        "",
        "a minute after 10"
    )?;
    for (never_line, always_line) in never.iter().zip(always) {
        write!(out, "  {:<9}", never_line.name)?;
        for (line, lines) in [(never_line, never), (always_line, always)] {
            let [least, mean, most] = line.later().map(shortly);
            write!(
                out,
                "{:>8}{:>4}%  {:<22}",
                shortly(line.total()),
                percent(line, lines),
                format!("{mean} ({least}-{most})")
            )?;
        }
        writeln!(out, "{}", if never_line.is_whole() { "yes" } else { "no" })?;
    }
    Ok(())
}

/// A policy's total in hundredths of that of the first.
fn percent(line: &Line, lines: &[Line]) -> u64 {
    let all = lines.first().map_or(Usd::ZERO, Line::total);
    line.total().nanos().saturating_mul(100) / all.nanos().max(1)
}

fn moral(page: &Page<'_>, never: &[Line], always: &[Line], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nThe cheapest under which the model still knows every word:"
    )?;
    for (lines, how) in [(never, "with nothing cached"), (always, CACHED)] {
        if let Some(line) = cheapest(lines) {
            let (total, percent) = (shortly(line.total()), percent(line, lines));
            let [_, mean, _] = line.later().map(shortly);
            writeln!(
                out,
                "  {how}: {}, {total} after {LONGEST} minutes ({percent} % of all), {mean} a minute after the tenth",
                line.name
            )?;
        }
    }
    let (transcription, carrier) = page.beside(LONGEST);
    let once = talk::at_least(page.price, LONGEST);
    let least = once.plus(transcription).plus(carrier);
    writeln!(
        out,
        "Hearing and saying it once, transcription and carrier cost {} whatever is remembered.",
        shortly(least)
    )?;
    let half = (1..=LONGEST * talk::TURNS_PER_MINUTE).rev().find(|every| {
        let lines = lines(page, Cache::Missed(*every));
        let usual = lines.iter().find(|line| line.policy == USUAL);
        usual.is_some_and(|line| percent(line, &lines) < 50)
    });
    match half {
        Some(every) => writeln!(
            out,
            "If the cache fails to serve one answer in {every}, words cost half of all."
        ),
        None => Ok(()),
    }
}

/// The cheapest of those under which the model knows every word; of two that cost the same, what our calls do.
fn cheapest(lines: &[Line]) -> Option<&Line> {
    let whole = lines.iter().rev().filter(|line| line.is_whole());
    whole.min_by_key(|line| line.total())
}

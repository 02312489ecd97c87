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
    for (lines, gap) in [(never, ""), (always, "  ")] {
        write!(out, "{gap}")?;
        (lines.iter()).try_for_each(|line| write!(out, "{:>9}", line.name))?;
    }
    for minute in 0..LONGEST as usize {
        write!(out, "\n  {:>6}", minute + 1)?;
        for (lines, gap) in [(never, ""), (always, "  ")] {
            write!(out, "{gap}")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::PriceBook;

    fn told(id: &str) -> String {
        let book = PriceBook::built_in();
        let price = book.find_model(id).expect("is there");
        let mut out = Vec::new();
        write(&Page::new(&book, price), &mut out).expect("is written");
        String::from_utf8(out).expect("is text")
    }

    #[test]
    fn the_curve_is_a_line_a_minute_and_says_what_is_cheapest() {
        expect_test::expect![[r#"

            The same talk under each policy: what it has cost by then, with transcription and carrier

              all    everything stays as it was said
              ratio  beyond 28000 tokens, which the older models hold, the oldest fifth is forgotten (retention_ratio 0.8)
              limit  beyond 2000 tokens the oldest fifth is forgotten (token_limits.post_instructions)
              turns  sound older than two turns is replaced by its words, turn by turn
              words  old sound is replaced by its words when that pays, as calls do it where nothing else is set

                        nothing cached                                 cached where it can
              minute      all    ratio    limit    turns    words        all    ratio    limit    turns    words
                   1    0.102    0.102    0.102    0.090    0.094      0.061    0.061    0.061    0.074    0.061
                   2    0.307    0.307    0.307    0.196    0.211      0.122    0.122    0.122    0.169    0.122
                   3    0.617    0.617    0.580    0.308    0.329      0.183    0.183    0.219    0.263    0.191
                   4    1.032    1.032    0.844    0.424    0.455      0.245    0.245    0.351    0.358    0.253
                   5    1.551    1.551    1.112    0.546    0.581      0.306    0.306    0.484    0.454    0.323
                   6    2.175    2.175    1.385    0.673    0.716      0.367    0.367    0.580    0.550    0.385
                   7    2.903    2.903    1.649    0.806    0.851      0.432    0.432    0.713    0.647    0.456
                   8    3.735    3.735    1.917    0.943    0.994      0.504    0.504    0.845    0.744    0.519
                   9    4.673    4.673    2.190    1.086    1.138      0.575    0.575    0.942    0.842    0.590
                  10    5.714    5.714    2.454    1.234    1.289      0.647    0.647    1.074    0.940    0.654
                  11    6.860    6.860    2.722    1.387    1.442      0.719    0.719    1.206    1.039    0.726
                  12    8.111    8.111    2.995    1.545    1.602      0.790    0.790    1.303    1.138    0.791
                  13    9.466    9.466    3.259    1.709    1.763      0.862    0.862    1.435    1.238    0.864
                  14   10.926   10.926    3.527    1.877    1.932      0.944    0.944    1.567    1.339    0.929
                  15   12.490   12.490    3.800    2.051    2.101      1.026    1.026    1.664    1.439    1.002
                  16   14.158   14.158    4.064    2.231    2.279      1.108    1.108    1.797    1.541    1.068
                  17   15.932   15.932    4.332    2.415    2.457      1.190    1.190    1.929    1.643    1.143
                  18   17.809   17.809    4.605    2.604    2.643      1.272    1.272    2.025    1.745    1.209
                  19   19.791   19.791    4.869    2.799    2.829      1.354    1.354    2.158    1.848    1.284
                  20   21.878   21.878    5.137    2.999    3.024      1.442    1.442    2.290    1.952    1.352
                  21   24.069   24.069    5.409    3.204    3.219      1.535    1.535    2.387    2.056    1.427
                  22   26.365   26.365    5.674    3.414    3.423      1.627    1.627    2.519    2.160    1.496
                  23   28.765   28.765    5.942    3.630    3.627      1.720    1.720    2.651    2.265    1.572
                  24   31.269   31.269    6.214    3.851    3.839      1.812    1.812    2.748    2.371    1.641
                  25   33.878   33.878    6.479    4.077    4.051      1.905    1.905    2.880    2.477    1.718
                  26   36.592   36.592    6.747    4.308    4.272      1.999    1.999    3.013    2.583    1.788
                  27   39.410   39.410    7.019    4.544    4.493      2.102    2.102    3.109    2.690    1.865
                  28   42.333   42.333    7.284    4.786    4.722      2.205    2.205    3.242    2.798    1.936
                  29   45.360   45.360    7.552    5.032    4.951      2.308    2.308    3.374    2.906    2.014
                  30   48.492   48.492    7.824    5.284    5.189      2.411    2.411    3.471    3.015    2.085

                       nothing cached                       cached where it can                  every word
                          total       a minute after 10        total       a minute after 10     is known
              all        48.492 100%  2.139 (1.147-3.132)      2.411 100%  0.089 (0.072-0.104)   yes
              ratio      48.492 100%  2.139 (1.147-3.132)      2.411 100%  0.089 (0.072-0.104)   yes
              limit       7.824  16%  0.269 (0.265-0.273)      3.471 143%  0.120 (0.097-0.133)   no
              turns       5.284  10%  0.203 (0.154-0.252)      3.015 125%  0.104 (0.099-0.109)   yes
              words       5.189  10%  0.195 (0.153-0.238)      2.085  86%  0.072 (0.065-0.079)   yes

            The cheapest under which the model still knows every word:
              with nothing cached: words, 5.189 after 30 minutes (10 % of all), 0.195 a minute after the tenth
              cached where it can: words, 2.085 after 30 minutes (86 % of all), 0.072 a minute after the tenth
            Hearing and saying it once, transcription and carrier cost 1.474 whatever is remembered.
            If the cache fails to serve one answer in 21, words cost half of all.
        "#]].assert_eq(&told("gpt-realtime-2.1"));
    }

    #[test]
    fn the_end_of_a_cheaper_models_curve() {
        let told = told("gpt-realtime-2.1-mini");
        let (_, end) = told.split_once("is known\n").expect("a summary");
        expect_test::expect![[r#"
              all        15.101 100%  0.664 (0.360-0.969)      1.229 100%  0.046 (0.037-0.056)   yes
              ratio      15.101 100%  0.664 (0.360-0.969)      1.229 100%  0.046 (0.037-0.056)   yes
              limit       2.626  17%  0.090 (0.089-0.092)      1.350 109%  0.047 (0.040-0.051)   no
              turns       1.492   9%  0.054 (0.047-0.062)      1.150  93%  0.039 (0.039-0.040)   yes
              words       1.526  10%  0.055 (0.048-0.062)      0.898  73%  0.031 (0.029-0.032)   yes

            The cheapest under which the model still knows every word:
              with nothing cached: turns, 1.492 after 30 minutes (9 % of all), 0.054 a minute after the tenth
              cached where it can: words, 0.898 after 30 minutes (73 % of all), 0.031 a minute after the tenth
            Hearing and saying it once, transcription and carrier cost 0.726 whatever is remembered.
            If the cache fails to serve one answer in 21, words cost half of all.
        "#]].assert_eq(end);
    }

    #[test]
    fn with_words_a_minute_after_the_tenth_costs_about_what_every_other_costs() {
        let book = PriceBook::built_in();
        for id in ["gpt-realtime-2.1", "gpt-realtime-2.1-mini"] {
            let price = book.find_model(id).expect("is there");
            let lines = lines(&Page::new(&book, price), Cache::Always);
            let [least, mean, most] = lines[4].later().map(Usd::nanos);
            assert!(least * 100 >= mean * 85 && most * 100 <= mean * 115, "{id}");
        }
    }
}

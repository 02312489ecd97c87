//! One model's page: its prices, the arithmetic of one answer, and what a talk of some minutes costs with everything.
//!
//! Two columns matter, and no more: what is sure, which counts nothing as cached, and what is likely, which counts the
//! cache as it was seen to work. A cap must hold in the first; a bill looks like the second.

use super::talk::{self, Talk};
use crate::cli::check::per_million;
use crate::config::{USUAL_CONTEXT_TOKENS, USUAL_MINUTE, USUAL_TRANSCRIPTION};
use crate::pricing::{ModelPrice, PriceBook, Usage};
use crate::units::Usd;
use std::io::{self, Write};

/// The page of one model.
pub(super) struct Page<'a> {
    price: &'a ModelPrice,
    /// Transcribing the caller's part of one turn.
    transcription: Usd,
    /// Minute by minute, the first one first.
    minutes: Vec<Minute>,
}

/// What the model has cost when this minute is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    uncached: Usd,
    cached: Usd,
    /// Nothing cached and nothing forgotten.
    remembered: Usd,
}

/// How long the talk is, in minutes.
const LONGEST: u64 = 30;

/// What stands over the columns of a talk that the cache helps.
const CACHED: &str = "cached where it can";

/// The minutes of the short table.
const SHOWN: [usize; 5] = [1, 5, 10, 20, 30];

impl<'a> Page<'a> {
    /// The page of a model of this price; transcription is that of an agent whose settings are the usual ones.
    pub(super) fn new(book: &PriceBook, price: &'a ModelPrice) -> Self {
        let transcription = book.find_transcription(USUAL_TRANSCRIPTION);
        let limited = Talk::new(Some(u64::from(USUAL_CONTEXT_TOKENS)));
        let mut answers = limited.zip(Talk::new(None));
        let mut so_far = Minute::default();
        let minutes = (0..LONGEST).map(|_| {
            let turns = answers.by_ref().take(talk::TURNS_PER_MINUTE as usize);
            for (usage, all) in turns {
                so_far = Minute {
                    uncached: so_far.uncached.plus(price.cost(&talk::uncached(usage))),
                    cached: so_far.cached.plus(price.cost(&usage)),
                    remembered: so_far.remembered.plus(price.cost(&talk::uncached(all))),
                };
            }
            so_far
        });
        Page {
            price,
            transcription: transcription
                .map(|price| price.cost(&talk::TRANSCRIPTION))
                .unwrap_or_default(),
            minutes: minutes.collect(),
        }
    }

    /// Prices, one answer, and the short table.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.rates(out)?;
        self.example(out)?;
        self.table(out)
    }

    fn rates(&self, out: &mut dyn Write) -> io::Result<()> {
        let price = self.price;
        writeln!(out, "US dollars per million tokens")?;
        for (what, fresh, cached) in [
            ("text read", price.text_in, price.cached_text),
            ("sound heard", price.audio_in, price.cached_audio),
            ("images seen", price.image_in, price.cached_image),
        ] {
            if fresh > 0 {
                let (fresh, cached) = (per_million(fresh), per_million(cached));
                writeln!(out, "  {what:<14}{fresh:>8}   from the cache {cached:>6}")?;
            }
        }
        for (what, rate) in [
            ("text written", price.text_out),
            ("sound spoken", price.audio_out),
        ] {
            writeln!(out, "  {what:<14}{:>8}", per_million(rate))?;
        }
        writeln!(out, "\nA minute of sound, the first time it passes")?;
        for (what, rate, tokens) in [
            ("heard", price.audio_in, talk::TOKENS_HEARD),
            ("spoken", price.audio_out, talk::TOKENS_SPOKEN),
        ] {
            let minute = Usd::from_nanos(rate).times(tokens).to_string();
            writeln!(out, "  {what:<14}{minute:>8} ({tokens} tokens)")?;
        }
        Ok(())
    }

    /// The first answer, line by line, and what becomes of it later.
    fn example(&self, out: &mut dyn Write) -> io::Result<()> {
        let (share, words) = (talk::SHARE_PERCENT, talk::WORDS_PER_MINUTE);
        writeln!(
            out,
            "\nAn ordinary talk: a turn every 12 seconds, the caller and the agent speak {share} % of the time each, at \
             {words} words a\nminute. Before each answer the model reads its instructions ({} tokens) and the talk so \
             far again, of which it\nremembers {USUAL_CONTEXT_TOKENS} tokens at the most (context_tokens).\n\n\
             The first answer",
            talk::SETTINGS
        )?;
        let answers = || Talk::new(Some(u64::from(USUAL_CONTEXT_TOKENS)));
        let first = answers().next().unwrap_or_default();
        for (tokens, what, rate) in [
            (first.text_in, "of text read", self.price.text_in),
            (first.audio_in, "of sound heard", self.price.audio_in),
            (first.text_out, "of text written", self.price.text_out),
            (first.audio_out, "of sound spoken", self.price.audio_out),
        ] {
            let cost = Usd::from_nanos(rate).times(tokens).to_string();
            let rate = per_million(rate);
            writeln!(
                out,
                "  {tokens:>4} tokens {what:<16} x {rate:>6} a million  = {cost}"
            )?;
        }
        writeln!(out, "  {:<49}= {}", "", self.price.cost(&first))?;
        let nth = |n: usize| answers().nth(n - 1).unwrap_or_default();
        let cost = |usage: Usage| self.price.cost(&talk::uncached(usage));
        writeln!(
            out,
            "The second reads that again, with the answer and the next question: {}. The tenth costs {}.",
            cost(nth(2)),
            cost(nth(10))
        )
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "\nThe whole talk in US dollars, rounded up to a tenth of a cent; {USUAL_TRANSCRIPTION} transcribes, the carrier takes\n\
             {USUAL_MINUTE} a started minute.\n"
        )?;
        writeln!(out, "  {:<32}{:<27}{}", "", "nothing cached", CACHED)?;
        writeln!(
            out,
            "  minutes{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "transcr.", "carrier", "model", "total", "a minute", "model", "total", "a minute"
        )?;
        for shown in SHOWN {
            let Some(minute) = self.minutes.get(shown - 1) else {
                continue;
            };
            let (transcription, carrier) = self.beside(shown as u64);
            write!(
                out,
                "  {shown:>7}{:>12}{:>9}",
                shortly(transcription),
                shortly(carrier)
            )?;
            for model in [minute.uncached, minute.cached] {
                let total = model.plus(transcription).plus(carrier);
                let average = Usd::from_nanos(total.nanos() / shown as u64);
                write!(
                    out,
                    "{:>9}{:>9}{:>9}",
                    shortly(model),
                    shortly(total),
                    shortly(average)
                )?;
            }
            writeln!(out)?;
        }
        self.moral(out)
    }

    fn moral(&self, out: &mut dyn Write) -> io::Result<()> {
        let remembered = |minute: usize| {
            let minute = self.minutes.get(minute - 1).copied().unwrap_or_default();
            shortly(minute.remembered)
        };
        writeln!(
            out,
            "\nRingfence counts on nothing being cached. A model that remembered all of the talk would cost {} after 1 minute,\n\
             {} after 5 and {} after 30: each answer would read all of it again.",
            remembered(1),
            remembered(5),
            remembered(30)
        )
    }

    /// Each of the thirty minutes, a line each.
    pub(super) fn curve(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\nMinute by minute\n")?;
        writeln!(out, "  {:<10}{:<32}{}", "", "nothing cached", CACHED)?;
        writeln!(
            out,
            "  minute{:>10}{:>13}{:>9}{:>10}{:>13}{:>9}",
            "model", "this minute", "total", "model", "this minute", "total"
        )?;
        let mut before = Minute::default();
        for (number, minute) in (1..).zip(&self.minutes) {
            let (transcription, carrier) = self.beside(number);
            write!(out, "  {number:>6}")?;
            for (model, earlier) in [
                (minute.uncached, before.uncached),
                (minute.cached, before.cached),
            ] {
                let this = model.less(earlier).plus(self.minute_beside());
                let total = model.plus(transcription).plus(carrier);
                write!(
                    out,
                    "{:>10}{:>13}{:>9}",
                    shortly(model),
                    shortly(this),
                    shortly(total)
                )?;
            }
            writeln!(out)?;
            before = *minute;
        }
        Ok(())
    }

    /// Transcription and carrier after so many minutes.
    fn beside(&self, minutes: u64) -> (Usd, Usd) {
        let turns = minutes * talk::TURNS_PER_MINUTE;
        (self.transcription.times(turns), USUAL_MINUTE.times(minutes))
    }

    /// Transcription and carrier of one minute.
    fn minute_beside(&self) -> Usd {
        let (transcription, carrier) = self.beside(1);
        transcription.plus(carrier)
    }
}

/// Dollars to a tenth of a cent, rounded up: an example is not a bill, and should not look finer than it is.
fn shortly(amount: Usd) -> String {
    const MILL: u64 = 1_000_000;
    let mills = amount.nanos().div_ceil(MILL);
    format!("{}.{:03}", mills / 1000, mills % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(id: &str) -> Vec<Minute> {
        let book = PriceBook::built_in();
        let price = book.find_model(id).expect("is there");
        Page::new(&book, price).minutes
    }

    #[test]
    fn the_first_minute_is_five_answers_by_hand() {
        // In millionths: 510 tokens of text, 42 heard, 17 written, 84 spoken.
        let first = 510 * 4 + 42 * 32 + 17 * 24 + 84 * 64;
        // Each of four more answers reads 37 tokens of text and 126 of sound more than the one before.
        let growth = (1 + 2 + 3 + 4) * (37 * 4 + 126 * 32);
        let by_hand = Usd::from_micros(5 * first + growth);
        let minute = minutes("gpt-realtime-2.1")[0];
        assert_eq!((minute.uncached, minute.remembered), (by_hand, by_hand));
    }

    #[test]
    fn the_cache_never_makes_a_talk_dearer_and_neither_does_a_short_memory() {
        let book = PriceBook::built_in();
        for id in book.models.keys() {
            for minute in minutes(id) {
                assert!(minute.cached <= minute.uncached, "{id}");
                assert!(minute.uncached <= minute.remembered, "{id}");
            }
        }
    }

    #[test]
    fn with_a_limit_on_memory_the_last_minute_costs_about_what_the_tenth_costs() {
        let minutes = minutes("gpt-realtime-2.1");
        let cost = |n: usize| {
            minutes[n - 1]
                .uncached
                .less(minutes[n - 2].uncached)
                .nanos()
        };
        assert!(
            cost(30) < cost(10) * 12 / 10,
            "{} and {}",
            cost(30),
            cost(10)
        );
    }

    #[test]
    fn the_curve_is_a_line_a_minute() {
        let book = PriceBook::built_in();
        let price = book.find_model("gpt-realtime-2.1").expect("is there");
        let mut out = Vec::new();
        Page::new(&book, price).curve(&mut out).expect("is written");
        let text = String::from_utf8(out).expect("is text");
        expect_test::expect![[r#"

            Minute by minute

                        nothing cached                  cached where it can
              minute     model  this minute    total     model  this minute    total
                   1     0.088        0.102    0.102     0.048        0.061    0.061
                   2     0.280        0.206    0.307     0.095        0.062    0.122
                   3     0.539        0.273    0.580     0.178        0.097    0.219
                   4     0.790        0.265    0.844     0.297        0.133    0.351
                   5     1.045        0.269    1.112     0.416        0.133    0.484
                   6     1.304        0.273    1.385     0.499        0.097    0.580
                   7     1.554        0.265    1.649     0.618        0.133    0.713
                   8     1.809        0.269    1.917     0.737        0.133    0.845
                   9     2.068        0.273    2.190     0.820        0.097    0.942
                  10     2.319        0.265    2.454     0.939        0.133    1.074
                  11     2.574        0.269    2.722     1.058        0.133    1.206
                  12     2.833        0.273    2.995     1.141        0.097    1.303
                  13     3.084        0.265    3.259     1.260        0.133    1.435
                  14     3.338        0.269    3.527     1.379        0.133    1.567
                  15     3.597        0.273    3.800     1.462        0.097    1.664
                  16     3.848        0.265    4.064     1.581        0.133    1.797
                  17     4.103        0.269    4.332     1.700        0.133    1.929
                  18     4.362        0.273    4.605     1.783        0.097    2.025
                  19     4.613        0.265    4.869     1.902        0.133    2.158
                  20     4.867        0.269    5.137     2.021        0.133    2.290
                  21     5.126        0.273    5.409     2.104        0.097    2.387
                  22     5.377        0.265    5.674     2.223        0.133    2.519
                  23     5.632        0.269    5.942     2.341        0.133    2.651
                  24     5.891        0.273    6.214     2.425        0.097    2.748
                  25     6.142        0.265    6.479     2.543        0.133    2.880
                  26     6.396        0.269    6.747     2.662        0.133    3.013
                  27     6.655        0.273    7.019     2.745        0.097    3.109
                  28     6.906        0.265    7.284     2.864        0.133    3.242
                  29     7.161        0.269    7.552     2.983        0.133    3.374
                  30     7.420        0.273    7.824     3.066        0.097    3.471
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn amounts_are_rounded_up_to_a_tenth_of_a_cent() {
        for (nanos, shown) in [
            (0, "0.000"),
            (1, "0.001"),
            (1_000_000, "0.001"),
            (12_345_678_901, "12.346"),
        ] {
            assert_eq!(shortly(Usd::from_nanos(nanos)), shown);
        }
    }
}

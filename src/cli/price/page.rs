//! One model's page: its prices, the arithmetic of one answer, and what a talk of some minutes costs with everything.
//!
//! Two columns matter, and no more: what is sure, which counts nothing as cached, and what is likely, which counts the
//! cache as it was seen to work. A cap must hold in the first; a bill looks like the second.

use super::talk::{self, Cache, Policy, Talk};
use crate::cli::check::per_million;
use crate::config::{USUAL_CONTEXT_TOKENS, USUAL_MINUTE, USUAL_TRANSCRIPTION};
use crate::pricing::{ModelPrice, PriceBook, Usage};
use crate::units::Usd;
use std::io::{self, Write};

/// The page of one model.
pub(super) struct Page<'a> {
    pub(super) price: &'a ModelPrice,
    /// Transcribing the caller's part of one turn.
    transcription: Usd,
    /// What the model has cost minute by minute: nothing cached, cached where it can, and nothing cached and nothing forgotten.
    uncached: Vec<Usd>,
    cached: Vec<Usd>,
    remembered: Vec<Usd>,
}

/// How long the talk is, in minutes.
pub(super) const LONGEST: u64 = 30;

/// What stands over the columns of a talk that the cache helps.
pub(super) const CACHED: &str = "cached where it can";

/// What our calls do with old sound, where nobody says otherwise.
pub(super) const USUAL: Policy = Policy::Words(USUAL_CONTEXT_TOKENS as u64);

/// The minutes of the short table.
const SHOWN: [usize; 5] = [1, 5, 10, 20, 30];

impl<'a> Page<'a> {
    /// The page of a model of this price; transcription is that of an agent whose settings are the usual ones.
    pub(super) fn new(book: &PriceBook, price: &'a ModelPrice) -> Self {
        let transcription = book.find_transcription(USUAL_TRANSCRIPTION);
        let minutes = |policy, cache| talk::minutes(price, policy, cache, LONGEST);
        Page {
            price,
            transcription: transcription
                .map(|price| price.cost(&talk::TRANSCRIPTION))
                .unwrap_or_default(),
            uncached: minutes(USUAL, Cache::Never),
            cached: minutes(USUAL, Cache::Always),
            remembered: minutes(Policy::Untouched, Cache::Never),
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
             far again; old sound has\nbeen replaced by its words.\n\n\
             The first answer",
            talk::SETTINGS
        )?;
        let answers = || Talk::new(self.price, USUAL, Cache::Never);
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
        let cost = |usage: Usage| self.price.cost(&usage);
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
            let after = |minutes: &[Usd]| minutes.get(shown - 1).copied().unwrap_or_default();
            let (transcription, carrier) = self.beside(shown as u64);
            write!(
                out,
                "  {shown:>7}{:>12}{:>9}",
                shortly(transcription),
                shortly(carrier)
            )?;
            for model in [after(&self.uncached), after(&self.cached)] {
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
            let minute = self.remembered.get(minute - 1).copied();
            shortly(minute.unwrap_or_default())
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

    /// Transcription and carrier after so many minutes.
    pub(super) fn beside(&self, minutes: u64) -> (Usd, Usd) {
        let turns = minutes * talk::TURNS_PER_MINUTE;
        (self.transcription.times(turns), USUAL_MINUTE.times(minutes))
    }
}

/// Dollars to a tenth of a cent, rounded up: an example is not a bill, and should not look finer than it is.
pub(super) fn shortly(amount: Usd) -> String {
    const MILL: u64 = 1_000_000;
    let mills = amount.nanos().div_ceil(MILL);
    format!("{}.{:03}", mills / 1000, mills % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(id: &str, look: impl Fn(&Page<'_>)) {
        let book = PriceBook::built_in();
        look(&Page::new(&book, book.find_model(id).expect("is there")));
    }

    #[test]
    fn the_first_minute_is_five_answers_by_hand() {
        // In millionths: 510 tokens of text, 42 heard, 17 written, 84 spoken.
        let first = 510 * 4 + 42 * 32 + 17 * 24 + 84 * 64;
        // Each of four more answers reads 37 tokens of text and 126 of sound more than the one before.
        let growth = (1 + 2 + 3 + 4) * (37 * 4 + 126 * 32);
        page("gpt-realtime-2.1", |page| {
            assert_eq!(page.remembered[0], Usd::from_micros(5 * first + growth));
            // After the fourth, its second turn of old sound became a note of 18 tokens and four lines of 17.
            let less = 2 * (126 * 32 + 37 * 4) - (18 + 4 * 17) * 4;
            assert_eq!(
                page.uncached[0],
                Usd::from_micros(5 * first + growth - less)
            );
        });
    }

    #[test]
    fn the_cache_never_makes_a_talk_dearer_and_neither_does_a_short_memory() {
        let book = PriceBook::built_in();
        for id in book.models.keys() {
            page(id, |page| {
                let minutes = page.cached.iter().zip(&page.uncached);
                for ((cached, uncached), remembered) in minutes.zip(&page.remembered) {
                    assert!(cached <= uncached && uncached <= remembered, "{id}");
                }
            });
        }
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

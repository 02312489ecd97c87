//! `ringfence price`: what a talk costs, before anybody talks.
//!
//! A list of prices hides the thing that matters: every answer reads the whole conversation again, so the thirtieth minute
//! costs many times the first. The worked example shows that growth for an ordinary talk, with integers only.

use super::check::per_million;
use crate::config::nearest;
use crate::pricing::{ModelPrice, PriceBook, TranscriptionPrice, Usage};
use crate::units::Usd;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the command with the built-in price book and prints to standard output.
pub fn run(model: Option<&str>) -> ExitCode {
    let code = report(&PriceBook::built_in(), model, &mut io::stdout().lock());
    ExitCode::from(code.unwrap_or(1))
}

/// Writes the whole book, or one model's page of it, and says what the command ends with.
///
/// # Errors
/// When `out` cannot be written to.
pub fn report(book: &PriceBook, model: Option<&str>, out: &mut dyn Write) -> io::Result<u8> {
    let Some(id) = model else {
        return table(book, out).map(|()| 0);
    };
    if let Some(listing) = book.models.get(id) {
        writeln!(
            out,
            "{id}, checked {}\n{}\n",
            listing.checked, listing.source
        )?;
        return page(&listing.price, out).map(|()| 0);
    }
    if let Some(listing) = book.transcriptions.get(id) {
        writeln!(
            out,
            "{id}, checked {}\n{}\n",
            listing.checked, listing.source
        )?;
        let minute = listing.price.bound(60_000);
        writeln!(
            out,
            "transcribes a minute of the caller for at most {minute} USD"
        )?;
        return Ok(0);
    }
    let known = book.models.keys().chain(book.transcriptions.keys());
    write!(out, "There is no price for {id:?}.")?;
    match nearest(id, known.map(String::as_str)) {
        Some(near) => writeln!(out, " Did you mean {near}?")?,
        None => writeln!(out, " `ringfence price` lists those there are.")?,
    }
    Ok(1)
}

fn table(book: &PriceBook, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "US dollars per million tokens\n")?;
    writeln!(
        out,
        "{:<40}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}  checked",
        "model", "text", "cached", "written", "heard", "cached", "spoken", "images", "cached"
    )?;
    for (id, listing) in &book.models {
        let price = &listing.price;
        write!(out, "{id:<40}")?;
        for rate in [
            price.text_in,
            price.cached_text,
            price.text_out,
            price.audio_in,
            price.cached_audio,
            price.audio_out,
        ] {
            write!(out, "{:>8}", per_million(rate))?;
        }
        for rate in [price.image_in, price.cached_image] {
            let shown = if price.image_in == 0 {
                "-".to_string()
            } else {
                per_million(rate)
            };
            write!(out, "{shown:>8}")?;
        }
        writeln!(out, "  {}", listing.checked)?;
    }
    writeln!(out, "\n{:<40}{:<48}  checked", "transcription", "price")?;
    for (id, listing) in &book.transcriptions {
        let price = match listing.price {
            TranscriptionPrice::PerMinute(minute) => format!("{minute} a minute"),
            TranscriptionPrice::Tokens {
                text_in,
                audio_in,
                text_out,
            } => format!(
                "{} heard, {} read, {} written, a million",
                per_million(audio_in),
                per_million(text_in),
                per_million(text_out)
            ),
        };
        writeln!(out, "{id:<40}{price:<48}  {}", listing.checked)?;
    }
    Ok(())
}

fn page(price: &ModelPrice, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "US dollars per million tokens")?;
    for (what, fresh, cached) in [
        ("text read", price.text_in, price.cached_text),
        ("sound heard", price.audio_in, price.cached_audio),
        ("images seen", price.image_in, price.cached_image),
    ] {
        if fresh > 0 {
            writeln!(
                out,
                "  {what:<14}{:>8}   from the cache {:>6}",
                per_million(fresh),
                per_million(cached)
            )?;
        }
    }
    writeln!(
        out,
        "  {:<14}{:>8}",
        "text written",
        per_million(price.text_out)
    )?;
    writeln!(
        out,
        "  {:<14}{:>8}",
        "sound spoken",
        per_million(price.audio_out)
    )?;
    let heard = Usd::from_nanos(price.audio_in).times(TOKENS_HEARD);
    let spoken = Usd::from_nanos(price.audio_out).times(TOKENS_SPOKEN);
    writeln!(out, "\nA minute of sound, the first time it passes")?;
    writeln!(out, "  heard         {heard:>8} ({TOKENS_HEARD} tokens)")?;
    writeln!(out, "  spoken        {spoken:>8} ({TOKENS_SPOKEN} tokens)")?;
    writeln!(
        out,
        "\nAn ordinary talk: a turn every 12 seconds, the caller and the agent speak 35 % of the time each, and every\n\
         answer reads the whole talk again. Without transcription and without the carrier's minutes.\n"
    )?;
    writeln!(
        out,
        "  {:<14}{:>14}{:>20}",
        "", "nothing cached", "cached where it can"
    )?;
    for minutes in [1, 5, 30] {
        let (fresh, cached) = talk(price, minutes);
        let unit = if minutes == 1 { "minute" } else { "minutes" };
        let length = format!("{minutes} {unit}");
        writeln!(
            out,
            "  {length:<14}{:>14}{:>20}",
            cents(fresh),
            cents(cached)
        )?;
    }
    writeln!(
        out,
        "\nRingfence counts on nothing being cached, and keeps a talk short in the model's memory (context_tokens)."
    )
}

/// Tokens in a minute of the caller's sound and of the model's (facts: section 5.1).
const TOKENS_HEARD: u64 = 600;
const TOKENS_SPOKEN: u64 = 1200;

/// The ordinary talk: a turn every 12 seconds, of which either side speaks 35 %, 4.2 seconds.
const TURNS_PER_MINUTE: u64 = 5;
const SHARE_PERCENT: u64 = 35;
/// Text written beside each answer's sound, its transcript: about four tokens a second of speech (facts: section 5.1).
const TEXT_WRITTEN: u64 = 17;
/// What two items add to the memory beyond sound and words.
const TEXT_BESIDE: u64 = 2 * 10;
/// What instructions of a few paragraphs weigh.
const SETTINGS: u64 = 500;
/// Cached tokens come in multiples of this (facts: section 5.1).
const CACHE_BLOCK: u64 = 64;

/// What such a talk costs with nothing cached, and with every whole block of the answer before cached.
fn talk(price: &ModelPrice, minutes: u64) -> (Usd, Usd) {
    let heard = TOKENS_HEARD * SHARE_PERCENT / 100 / TURNS_PER_MINUTE;
    let spoken = TOKENS_SPOKEN * SHARE_PERCENT / 100 / TURNS_PER_MINUTE;
    let (mut fresh, mut cached) = (Usd::ZERO, Usd::ZERO);
    let mut usage = Usage {
        text_in: SETTINGS,
        text_out: TEXT_WRITTEN,
        audio_out: spoken,
        ..Usage::default()
    };
    let (mut text_before, mut audio_before) = (0, 0);
    for _ in 0..minutes * TURNS_PER_MINUTE {
        usage.audio_in += heard;
        usage.text_in += TEXT_BESIDE;
        fresh = fresh.plus(price.cost(&usage));
        cached = cached.plus(price.cost(&Usage {
            cached_text: text_before / CACHE_BLOCK * CACHE_BLOCK,
            cached_audio: audio_before / CACHE_BLOCK * CACHE_BLOCK,
            ..usage
        }));
        (text_before, audio_before) = (usage.text_in, usage.audio_in);
        usage.audio_in += spoken;
        usage.text_in += TEXT_WRITTEN;
    }
    (fresh, cached)
}

/// Dollars to the cent, rounded up: an example is not a bill, and should not look finer than it is.
fn cents(amount: Usd) -> String {
    const CENT: u64 = 10_000_000;
    let cents = amount.nanos().div_ceil(CENT);
    Usd::from_nanos(CENT).times(cents).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn prints(model: Option<&str>, code: u8, expected: Expect) {
        let mut out = Vec::new();
        let ended = report(&PriceBook::built_in(), model, &mut out).expect("is written");
        expected.assert_eq(&String::from_utf8(out).expect("is text"));
        assert_eq!(ended, code);
    }

    #[test]
    fn a_model_has_a_page_with_a_worked_example() {
        prints(
            Some("gpt-realtime-2.1"),
            0,
            expect![[r#"
            gpt-realtime-2.1, checked 2026-11-22
            https://platform.openai.com/docs/pricing

            US dollars per million tokens
              text read         4.00   from the cache   0.40
              sound heard      32.00   from the cache   0.40
              images seen       5.00   from the cache   0.50
              text written     24.00
              sound spoken     64.00

            A minute of sound, the first time it passes
              heard         0.0192 (600 tokens)
              spoken        0.0768 (1200 tokens)

            An ordinary talk: a turn every 12 seconds, the caller and the agent speak 35 % of the time each, and every
            answer reads the whole talk again. Without transcription and without the carrier's minutes.

                            nothing cached cached where it can
              1 minute                0.09                0.06
              5 minutes               1.49                0.30
              30 minutes             48.10                2.41

            Ringfence counts on nothing being cached, and keeps a talk short in the model's memory (context_tokens).
        "#]],
        );
    }

    #[test]
    fn a_model_without_images_has_no_price_for_them() {
        prints(
            Some("gpt-4o-mini-realtime-preview"),
            0,
            expect![[r#"
            gpt-4o-mini-realtime-preview, checked 2026-11-22
            OpenAI's announcement of 2024-12-17

            US dollars per million tokens
              text read         0.60   from the cache   0.30
              sound heard      10.00   from the cache   0.30
              text written      2.40
              sound spoken     20.00

            A minute of sound, the first time it passes
              heard         0.006 (600 tokens)
              spoken        0.024 (1200 tokens)

            An ordinary talk: a turn every 12 seconds, the caller and the agent speak 35 % of the time each, and every
            answer reads the whole talk again. Without transcription and without the carrier's minutes.

                            nothing cached cached where it can
              1 minute                0.03                0.02
              5 minutes               0.45                0.10
              30 minutes             14.70                1.06

            Ringfence counts on nothing being cached, and keeps a talk short in the model's memory (context_tokens).
        "#]],
        );
    }

    #[test]
    fn a_transcriber_has_a_price_for_a_minute() {
        prints(
            Some("gpt-realtime-whisper"),
            0,
            expect![[r#"
            gpt-realtime-whisper, checked 2026-11-22
            https://platform.openai.com/docs/pricing

            transcribes a minute of the caller for at most 0.017 USD
        "#]],
        );
    }

    #[test]
    fn a_misspelt_model_names_the_nearest() {
        prints(
            Some("gpt-realtime-2.1-mimi"),
            1,
            expect![[r#"
            There is no price for "gpt-realtime-2.1-mimi". Did you mean gpt-realtime-2.1-mini?
        "#]],
        );
        prints(
            Some("parrot"),
            1,
            expect![[r#"
            There is no price for "parrot". `ringfence price` lists those there are.
        "#]],
        );
    }

    #[test]
    fn the_book_is_a_table_with_the_days_it_was_checked() {
        prints(
            None,
            0,
            expect![[r#"
            US dollars per million tokens

            model                                       text  cached written   heard  cached  spoken  images  cached  checked
            gpt-4o-mini-realtime-preview                0.60    0.30    2.40   10.00    0.30   20.00       -       -  2026-11-22
            gpt-4o-mini-realtime-preview-2024-12-17     0.60    0.30    2.40   10.00    0.30   20.00       -       -  2026-11-22
            gpt-4o-realtime-preview                     5.00    2.50   20.00   40.00    2.50   80.00       -       -  2026-11-22
            gpt-4o-realtime-preview-2024-10-01          5.00    2.50   20.00  100.00   20.00  200.00       -       -  2026-11-22
            gpt-4o-realtime-preview-2024-12-17          5.00    2.50   20.00   40.00    2.50   80.00       -       -  2026-11-22
            gpt-4o-realtime-preview-2025-06-03          5.00    2.50   20.00   40.00    2.50   80.00       -       -  2026-11-22
            gpt-realtime                                4.00    0.40   16.00   32.00    0.40   64.00    5.00    0.50  2026-11-22
            gpt-realtime-1.5                            4.00    0.40   16.00   32.00    0.40   64.00    5.00    0.50  2026-11-22
            gpt-realtime-2                              4.00    0.40   24.00   32.00    0.40   64.00    5.00    0.50  2026-11-22
            gpt-realtime-2.1                            4.00    0.40   24.00   32.00    0.40   64.00    5.00    0.50  2026-11-22
            gpt-realtime-2.1-mini                       0.60    0.06    2.40   10.00    0.30   20.00    0.80    0.08  2026-11-22
            gpt-realtime-2025-08-28                     4.00    0.40   16.00   32.00    0.40   64.00    5.00    0.50  2026-11-22
            gpt-realtime-mini                           0.60    0.06    2.40   10.00    0.30   20.00    0.80    0.08  2026-11-22
            gpt-realtime-mini-2025-10-06                0.60    0.06    2.40   10.00    0.30   20.00    0.80    0.08  2026-11-22
            gpt-realtime-mini-2025-12-15                0.60    0.06    2.40   10.00    0.30   20.00    0.80    0.08  2026-11-22

            transcription                           price                                             checked
            gpt-4o-mini-transcribe                  3.00 heard, 1.25 read, 5.00 written, a million    2026-11-22
            gpt-4o-transcribe                       6.00 heard, 2.50 read, 10.00 written, a million   2026-11-22
            gpt-live-transcribe                     0.017 a minute                                    2026-11-22
            gpt-realtime-translate                  0.034 a minute                                    2026-11-22
            gpt-realtime-whisper                    0.017 a minute                                    2026-11-22
            gpt-transcribe                          0.0045 a minute                                   2026-11-22
            whisper-1                               0.006 a minute                                    2026-11-22
        "#]],
        );
    }

    #[test]
    fn the_first_turn_of_the_example_costs_what_its_tokens_cost() {
        let price = *PriceBook::built_in()
            .find_model("gpt-realtime-2.1")
            .expect("is there");
        // One turn is a fifth of a minute; by hand: 520 text, 42 heard, 17 written, 84 spoken, in millionths.
        let first = 520 * 4 + 42 * 32 + 17 * 24 + 84 * 64;
        let five_turns = talk(&price, 1).0;
        // Each of four more turns reads 37 tokens of text and 126 of sound more than the one before.
        let growth = (1 + 2 + 3 + 4) * (37 * 4 + 126 * 32);
        assert_eq!(five_turns, Usd::from_micros(5 * first + growth));
    }
}

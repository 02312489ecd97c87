//! `ringfence price`: what models cost, and what a talk costs before anybody talks.
//!
//! A list of prices hides the thing that matters: every answer reads the conversation again, so a later minute costs many
//! times the first. The list is here; the worked example that shows the growth is in [`page`], what each way to deal with it makes of
//! the same talk in [`curve`], and the talk itself in [`talk`].

mod curve;
mod page;
mod talk;

use super::check::per_million;
use crate::config::nearest;
use crate::pricing::{PriceBook, TranscriptionPrice};
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs the command with the built-in price book and prints to standard output.
pub fn run(model: Option<&str>, curve: bool) -> ExitCode {
    let book = PriceBook::built_in();
    let code = report(&book, model, curve, &mut io::stdout().lock());
    ExitCode::from(code.unwrap_or(1))
}

/// Writes the whole book, or one model's page of it, with its curve if that is wanted, and says what the command ends with.
///
/// # Errors
/// When `out` cannot be written to.
pub fn report(
    book: &PriceBook,
    model: Option<&str>,
    curve: bool,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let Some(id) = model else {
        return table(book, out).map(|()| 0);
    };
    if let Some(listing) = book.models.get(id) {
        writeln!(
            out,
            "{id}, checked {}\n{}\n",
            listing.checked, listing.source
        )?;
        let page = page::Page::new(book, &listing.price);
        page.write(out)?;
        if curve {
            curve::write(&page, out)?;
        }
        return Ok(0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn prints(model: Option<&str>, code: u8, expected: Expect) {
        let mut out = Vec::new();
        let ended = report(&PriceBook::built_in(), model, false, &mut out).expect("is written");
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
                  heard           0.0192 (600 tokens)
                  spoken          0.0768 (1200 tokens)

                An ordinary talk: a turn every 12 seconds, the caller and the agent speak 35 % of the time each, at 150 words a
                minute. Before each answer the model reads its instructions (500 tokens) and the talk so far again; old sound has
                been replaced by its words.

                The first answer
                   510 tokens of text read     x   4.00 a million  = 0.00204
                    42 tokens of sound heard   x  32.00 a million  = 0.001344
                    17 tokens of text written  x  24.00 a million  = 0.000408
                    84 tokens of sound spoken  x  64.00 a million  = 0.005376
                                                                   = 0.009168
                The second reads that again, with the answer and the next question: 0.013348. The tenth costs 0.02274.

                The whole talk in US dollars, rounded up to a tenth of a cent; gpt-4o-mini-transcribe transcribes, the carrier takes
                0.0125 a started minute.

                                                  nothing cached             cached where it can
                  minutes    transcr.  carrier    model    total a minute    model    total a minute
                        1       0.001    0.013    0.080    0.094    0.094    0.048    0.061    0.061
                        5       0.005    0.063    0.514    0.581    0.117    0.255    0.323    0.065
                       10       0.010    0.125    1.155    1.289    0.129    0.520    0.654    0.066
                       20       0.020    0.250    2.755    3.024    0.152    1.082    1.352    0.068
                       30       0.030    0.375    4.785    5.189    0.173    1.681    2.085    0.070

                Ringfence counts on nothing being cached. A model that remembered all of the talk would cost 0.088 after 1 minute,
                1.484 after 5 and 48.087 after 30: each answer would read all of it again.
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
                  heard            0.006 (600 tokens)
                  spoken           0.024 (1200 tokens)

                An ordinary talk: a turn every 12 seconds, the caller and the agent speak 35 % of the time each, at 150 words a
                minute. Before each answer the model reads its instructions (500 tokens) and the talk so far again; old sound has
                been replaced by its words.

                The first answer
                   510 tokens of text read     x   0.60 a million  = 0.000306
                    42 tokens of sound heard   x  10.00 a million  = 0.00042
                    17 tokens of text written  x   2.40 a million  = 0.0000408
                    84 tokens of sound spoken  x  20.00 a million  = 0.00168
                                                                   = 0.0024468
                The second reads that again, with the answer and the next question: 0.003729. The tenth costs 0.0064482.

                The whole talk in US dollars, rounded up to a tenth of a cent; gpt-4o-mini-transcribe transcribes, the carrier takes
                0.0125 a started minute.

                                                  nothing cached             cached where it can
                  minutes    transcr.  carrier    model    total a minute    model    total a minute
                        1       0.001    0.013    0.023    0.037    0.037    0.015    0.028    0.028
                        5       0.005    0.063    0.142    0.210    0.042    0.083    0.150    0.030
                       10       0.010    0.125    0.306    0.441    0.045    0.173    0.308    0.031
                       20       0.020    0.250    0.682    0.952    0.048    0.376    0.645    0.033
                       30       0.030    0.375    1.122    1.526    0.051    0.605    1.009    0.034

                Ringfence counts on nothing being cached. A model that remembered all of the talk would cost 0.026 after 1 minute,
                0.446 after 5 and 14.696 after 30: each answer would read all of it again.
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
    fn the_curve_follows_the_page() {
        let told = |curve| {
            let mut out = Vec::new();
            let book = PriceBook::built_in();
            let ended = report(&book, Some("gpt-realtime-2.1"), curve, &mut out);
            assert_eq!(ended.expect("is written"), 0);
            String::from_utf8(out).expect("is text")
        };
        let (page, with_curve) = (told(false), told(true));
        let curve = with_curve
            .strip_prefix(&page)
            .expect("the page comes first");
        assert_eq!(curve.lines().count(), 25 + 30);
    }
}

//! The price book: which model costs what, who said so, and when.
//!
//! A call can be capped only if everything in it has a price, so a model that is not in the book is not used. The book is
//! text that anybody can check against the provider's list; the built-in one is `config/prices.toml`.

use super::{ModelPrice, TranscriptionPrice};
use crate::units::Usd;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use toml::de::{DeTable, DeValue};

/// One price, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<P> {
    /// The price.
    pub price: P,
    /// The day somebody read it, as `2026-11-22`.
    pub checked: String,
    /// Where it was read.
    pub source: String,
}

/// Every price we know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceBook {
    /// Speech models by id.
    pub models: BTreeMap<String, Listing<ModelPrice>>,
    /// Models that transcribe the caller by id.
    pub transcriptions: BTreeMap<String, Listing<TranscriptionPrice>>,
}

/// The book that comes with the program.
/// The text of the price book that comes with the program.
pub const BUILT_IN: &str = include_str!("../../config/prices.toml");

/// What is wrong with a block of the book.
type Wrong = String;

impl PriceBook {
    /// The book that comes with the program.
    pub fn built_in() -> PriceBook {
        static BOOK: LazyLock<PriceBook> =
            LazyLock::new(|| PriceBook::parse(BUILT_IN).expect("a test reads the built-in book"));
        BOOK.clone()
    }

    /// Reads a book.
    ///
    /// # Errors
    /// Every mistake in it, each naming its block and key.
    pub fn parse(text: &str) -> Result<PriceBook, Vec<String>> {
        let document = DeTable::parse(text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            vec![format!("line {line}: {}", error.message())]
        })?;
        let mut book = PriceBook::default();
        let mut wrong = Vec::new();
        for (kind, blocks) in document.get_ref().iter() {
            let kind = kind.get_ref().as_ref();
            let Some(blocks) = blocks.get_ref().as_table() else {
                wrong.push(format!(
                    "{kind}: expected [model.\"…\"] or [transcription.\"…\"]"
                ));
                continue;
            };
            for (id, block) in blocks.iter() {
                let id = id.get_ref().to_string();
                let outcome = match (kind, Block::new(block.get_ref())) {
                    (_, Err(why)) => Err(why),
                    ("model", Ok(block)) => model(block).map(|listing| {
                        book.models.insert(id.clone(), listing);
                    }),
                    ("transcription", Ok(block)) => transcription(block).map(|listing| {
                        book.transcriptions.insert(id.clone(), listing);
                    }),
                    _ => Err("not a kind of price; there are model and transcription".to_string()),
                };
                if let Err(why) = outcome {
                    wrong.push(format!("[{kind}.\"{id}\"] {why}"));
                }
            }
        }
        if wrong.is_empty() {
            Ok(book)
        } else {
            Err(wrong)
        }
    }

    /// The price of a speech model.
    pub fn find_model(&self, id: &str) -> Option<&ModelPrice> {
        self.models.get(id).map(|listing| &listing.price)
    }

    /// The price of transcribing the caller with this model.
    pub fn find_transcription(&self, id: &str) -> Option<&TranscriptionPrice> {
        self.transcriptions.get(id).map(|listing| &listing.price)
    }
}

/// The keys of one block, each read once; what stays unread is unknown.
struct Block<'a> {
    left: BTreeMap<&'a str, &'a DeValue<'a>>,
}

impl<'a> Block<'a> {
    fn new(value: &'a DeValue<'a>) -> Result<Self, Wrong> {
        let table = value.as_table().ok_or("is not a block of keys")?;
        let left = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
        Ok(Block {
            left: left.collect(),
        })
    }

    fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    fn text(&mut self, key: &'static str) -> Result<String, Wrong> {
        let value = self.left.remove(key).ok_or(format!("{key}: is missing"))?;
        let text = value
            .as_str()
            .ok_or(format!("{key}: must be text in quotes"))?;
        Ok(text.to_string())
    }

    /// Dollars, from the digits as they stand in the file: never through a float.
    fn usd(&mut self, key: &'static str) -> Result<Usd, Wrong> {
        let value = self.left.remove(key).ok_or(format!("{key}: is missing"))?;
        let digits = match value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => return Err(format!("{key}: must be an amount in US dollars")),
        };
        Usd::parse(digits).map_err(|why| format!("{key} = {digits}: {why}"))
    }

    /// Nano-dollars per token, from dollars per million.
    fn rate(&mut self, key: &'static str) -> Result<u64, Wrong> {
        let nanos = self.usd(key)?.nanos();
        if nanos % 1_000_000 != 0 {
            return Err(format!(
                "{key}: finer than 0.001 dollars per million tokens; round it up"
            ));
        }
        Ok(nanos / 1_000_000)
    }

    fn listing<P>(mut self, price: P) -> Result<Listing<P>, Wrong> {
        let checked = self.text("checked")?;
        if checked.parse::<jiff::civil::Date>().is_err() {
            return Err("checked: must be a day, such as 2026-11-22".to_string());
        }
        let source = self.text("source")?;
        match self.left.keys().next() {
            Some(unknown) => Err(format!("{unknown}: is not a key of this block")),
            None => Ok(Listing {
                price,
                checked,
                source,
            }),
        }
    }
}

/// What costs nothing can be used without end, and no cap would notice.
fn free(key: &str) -> Wrong {
    format!("{key} = 0: what costs nothing cannot be capped; write its price")
}

fn model(mut block: Block<'_>) -> Result<Listing<ModelPrice>, Wrong> {
    if block.text("unit")? != "1M tokens" {
        return Err("unit: must be \"1M tokens\" for a model".to_string());
    }
    let mut price = ModelPrice {
        text_in: block.rate("text_in")?,
        cached_text: block.rate("cached_text")?,
        audio_in: block.rate("audio_in")?,
        cached_audio: block.rate("cached_audio")?,
        text_out: block.rate("text_out")?,
        audio_out: block.rate("audio_out")?,
        ..ModelPrice::default()
    };
    if block.has("image_in") || block.has("cached_image") {
        price.image_in = block.rate("image_in")?;
        price.cached_image = block.rate("cached_image")?;
    }
    for (key, fresh, cached) in [
        ("cached_text", price.text_in, price.cached_text),
        ("cached_audio", price.audio_in, price.cached_audio),
        ("cached_image", price.image_in, price.cached_image),
    ] {
        if cached > fresh {
            return Err(format!("{key}: dearer than the same thing uncached"));
        }
    }
    for (key, rate) in [
        ("text_in", price.text_in),
        ("audio_in", price.audio_in),
        ("text_out", price.text_out),
        ("audio_out", price.audio_out),
    ] {
        if rate == 0 {
            return Err(free(key));
        }
    }
    block.listing(price)
}

fn transcription(mut block: Block<'_>) -> Result<Listing<TranscriptionPrice>, Wrong> {
    let price = match block.text("unit")?.as_str() {
        "1M tokens" => TranscriptionPrice::Tokens {
            text_in: block.rate("text_in")?,
            audio_in: block.rate("audio_in")?,
            text_out: block.rate("text_out")?,
        },
        "minute" => TranscriptionPrice::PerMinute(block.usd("usd")?),
        _ => return Err("unit: must be \"1M tokens\" or \"minute\"".to_string()),
    };
    match price {
        TranscriptionPrice::Tokens { audio_in: 0, .. } => return Err(free("audio_in")),
        TranscriptionPrice::PerMinute(Usd::ZERO) => return Err(free("usd")),
        TranscriptionPrice::Tokens { .. } | TranscriptionPrice::PerMinute(_) => {}
    }
    block.listing(price)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_book_knows_every_listed_model() {
        let book = PriceBook::parse(BUILT_IN).expect("reads");
        assert_eq!((book.models.len(), book.transcriptions.len()), (15, 7));
        let main = book.find_model("gpt-realtime-2.1").expect("is there");
        assert_eq!((main.text_out, main.cached_audio), (24_000, 400));
        assert_eq!(
            book.find_transcription("gpt-transcribe"),
            Some(&TranscriptionPrice::PerMinute(Usd::from_micros(4_500)))
        );
        assert_eq!(book.find_model("gpt-live-1"), None);
    }

    #[test]
    fn every_mistake_in_a_book_is_named_with_its_block() {
        let text = r#"
            [model."a"]
            unit = "minute"
            [model."b"]
            unit = "1M tokens"
            text_in = "4.00"
            cached_text = "0.0004"
            [transcription."c"]
            unit = "minute"
            usd = 0.006
            checked = "yesterday"
            source = "a friend"
            [transcription."d"]
            unit = "minute"
            usd = 0.006
            usb = 1
            checked = "2026-11-22"
            source = "a friend"
            [voice."e"]
            [transcription."f"]
            unit = "minute"
            usd = 0.0
            [transcription."g"]
            unit = "minute"
            usd = -0.006
            [transcription."h"]
            unit = "minute"
            usd = nan
            [transcription."i"]
            unit = "1M tokens"
            text_in = inf
            [transcription."j"]
            unit = "1M tokens"
            text_in = 1e30
            [transcription."k"]
            unit = "minute"
            usd = "0.0060000001"
            [model."l"]
            unit = "1M tokens"
            text_in = "4.00"
            cached_text = 0
            audio_in = 0
            cached_audio = 0
            audio_out = 64
            text_out = 24
        "#;
        expect_test::expect![[r#"
            [model."a"] unit: must be "1M tokens" for a model
            [model."b"] cached_text: finer than 0.001 dollars per million tokens; round it up
            [model."l"] audio_in = 0: what costs nothing cannot be capped; write its price
            [transcription."c"] checked: must be a day, such as 2026-11-22
            [transcription."d"] usb: is not a key of this block
            [transcription."f"] usd = 0: what costs nothing cannot be capped; write its price
            [transcription."g"] usd = -0.006: an amount of money cannot be negative
            [transcription."h"] usd = nan: not an amount in US dollars, such as 0.50
            [transcription."i"] text_in = inf: not an amount in US dollars, such as 0.50
            [transcription."j"] text_in = 1e30: not an amount in US dollars, such as 0.50
            [transcription."k"] usd = 0.0060000001: finer than a billionth of a dollar
            [voice."e"] not a kind of price; there are model and transcription"#]]
        .assert_eq(&PriceBook::parse(text).expect_err("is wrong").join("\n"));
    }

    #[test]
    fn a_book_that_is_not_toml_says_where() {
        let wrong = PriceBook::parse("\n\n[model").expect_err("is wrong");
        assert!(wrong[0].starts_with("line 3: "), "{wrong:?}");
    }
}

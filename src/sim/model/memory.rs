//! What the model remembers, and what reading it again costs.
//!
//! Every response reads the whole conversation. So what a call costs is decided here: how much each item weighs, what is
//! left of one that was cut, which of the oldest are dropped, and how much of the beginning was the same last time and
//! came from the cache.

use super::invoice::Tokens;
use super::wire::Fault;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Special tokens around a message: up to 14 were measured, so it is always 14 here.
const PER_ITEM: u64 = 14;
/// What an image weighs. The provider does not say; this is what a picture of 512 pixels weighs in its other models.
const PER_IMAGE: u64 = 765;
/// What fits into the largest model beside its longest answer.
pub const CONTEXT_TOKENS: u64 = 96_000;

/// Tokens by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Text.
    pub text: u64,
    /// Audio.
    pub audio: u64,
    /// Images.
    pub image: u64,
}

impl Weight {
    fn total(self) -> u64 {
        self.text + self.audio + self.image
    }
}

/// Text weighs a token for every four bytes, rounded up.
pub fn text_tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

/// The heaviest text can be: a token a byte.
pub fn heavy_tokens(text: &str) -> u64 {
    text.len() as u64
}

/// How text is weighed.
pub type Scale = fn(&str) -> u64;

/// One item of the conversation.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// As it is sent.
    pub wire: Value,
    /// What reading it costs.
    pub weight: Weight,
    /// What the caller said in it, and at which rate, until it was answered.
    pub unanswered: Option<(Vec<i16>, u32)>,
    /// Sound of the model in it, in milliseconds; zero when it has none.
    pub spoken_ms: u64,
    /// Whether its words were forgotten because it was cut.
    pub cut: bool,
    /// Counts its changes: a changed item breaks the cache.
    pub edition: u32,
}

impl Item {
    /// An item as the client wrote it.
    pub fn written(id: String, wire: Value, scale: Scale) -> Self {
        let weight = weigh(&wire, scale);
        Item {
            id,
            wire,
            weight,
            unanswered: None,
            spoken_ms: 0,
            cut: false,
            edition: 0,
        }
    }

    /// A turn of the caller; `millis` of sound.
    pub fn heard(id: String, wire: Value, samples: Vec<i16>, rate: u32, millis: u64) -> Self {
        let weight = Weight {
            text: PER_ITEM,
            audio: millis / 100,
            image: 0,
        };
        Item {
            weight,
            unanswered: Some((samples, rate)),
            ..Item::written(id, wire, text_tokens)
        }
    }

    /// The model's own, still empty.
    pub fn begun(id: String, wire: Value) -> Self {
        Item {
            weight: Weight::default(),
            ..Item::written(id, wire, text_tokens)
        }
    }
}

/// What the client's own item weighs.
pub fn weigh(wire: &Value, scale: Scale) -> Weight {
    let mut weight = Weight {
        text: PER_ITEM,
        ..Weight::default()
    };
    for part in wire["content"].as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("input_image") => weight.image += PER_IMAGE,
            Some("input_audio") => {
                // Base64 of 16-bit sound at 24 kHz: 4,800 bytes in 100 ms.
                let bytes = part["audio"].as_str().map_or(0, str::len) * 3 / 4;
                weight.audio += (bytes / 4_800) as u64;
            }
            _ => weight.text += part["text"].as_str().map_or(0, scale),
        }
    }
    for key in ["output", "arguments", "name"] {
        weight.text += wire[key].as_str().map_or(0, scale);
    }
    weight
}

/// What one response reads, piece by piece; each piece has a name that changes with it.
pub type Prompt = Vec<(u64, Weight)>;

/// The beginning of a prompt: instructions and tools, at nothing when there are none.
pub fn opening(instructions: &str, tools: &Value, scale: Scale) -> (u64, Weight) {
    let tools = match tools.as_array() {
        Some(list) if !list.is_empty() => tools.to_string(),
        _ => String::new(),
    };
    let weight = Weight {
        text: scale(instructions) + scale(&tools),
        ..Weight::default()
    };
    (name(&(instructions, tools)), weight)
}

fn name(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The conversation.
#[derive(Debug, Default)]
pub struct Memory {
    items: Vec<Item>,
    last: Prompt,
}

impl Memory {
    /// The item of this id.
    pub fn find(&mut self, id: &str) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }

    /// Whether the model itself has spoken in it.
    pub fn spoken(&self) -> bool {
        self.items.iter().any(|item| item.spoken_ms > 0)
    }

    /// Whether anything in it is the model's.
    pub fn answered(&self) -> bool {
        self.items
            .iter()
            .any(|item| item.wire["role"] == "assistant" || item.wire["type"] == "function_call")
    }

    /// The id of the last item.
    pub fn last_id(&self) -> Option<String> {
        self.items.last().map(|item| item.id.clone())
    }

    /// Adds behind `after`: `None` is the end, `root` the beginning. Gives the id of the item before it.
    pub fn add(&mut self, item: Item, after: Option<&str>) -> Result<Option<String>, Fault> {
        if self.items.iter().any(|other| other.id == item.id) {
            let said = format!("Item with ID '{}' already exists.", item.id);
            return Err(Fault::new("item_create_duplicate_item_id", said).at("item.id"));
        }
        let place = match after {
            None => self.items.len(),
            Some("root") => 0,
            Some(id) => match self.items.iter().position(|other| other.id == id) {
                Some(place) => place + 1,
                None => return Err(not_found("item_not_found", id).at("previous_item_id")),
            },
        };
        self.items.insert(place, item);
        Ok(place
            .checked_sub(1)
            .map(|before| self.items[before].id.clone()))
    }

    /// Forgets an item.
    pub fn delete(&mut self, id: &str) -> Result<(), Fault> {
        let before = self.items.len();
        self.items.retain(|item| item.id != id);
        if self.items.len() == before {
            return Err(not_found("item_delete_invalid_item_id", id).at("item_id"));
        }
        Ok(())
    }

    /// Forgets what was said in an item after `audio_end_ms`, and all of its words.
    pub fn truncate(&mut self, id: &str, content: u64, audio_end_ms: u64) -> Result<(), Fault> {
        let Some(item) = self.find(id) else {
            return Err(not_found("item_truncate_invalid_item_id", id).at("item_id"));
        };
        if item.spoken_ms == 0 || content != 0 {
            let said = "Only model output audio messages can be truncated";
            return Err(Fault {
                code: None,
                ..Fault::new("", said)
            });
        }
        if audio_end_ms > item.spoken_ms {
            let said = format!(
                "Audio content of {}ms is already shorter than {audio_end_ms}ms",
                item.spoken_ms
            );
            return Err(Fault::new("invalid_value", said).at("audio_end_ms"));
        }
        item.spoken_ms = audio_end_ms;
        item.cut = true;
        item.edition += 1;
        item.weight = Weight {
            audio: audio_end_ms.div_ceil(50),
            ..Weight::default()
        };
        if let Some(part) = item.wire["content"].get_mut(0) {
            part["transcript"] = "".into();
        }
        Ok(())
    }

    /// Takes the sound of the caller's turns that were not answered yet; the last of them is what the answer is about.
    pub fn take_unanswered(&mut self) -> Option<(Vec<i16>, u32)> {
        self.items
            .iter_mut()
            .filter_map(|item| item.unanswered.take())
            .next_back()
    }

    /// Drops the oldest items when they weigh more than `limit`, until at most `keep` is left; never the newest.
    pub fn shrink(&mut self, limit: u64, keep: u64) {
        let mut total = self.total();
        if total <= limit {
            return;
        }
        while total > keep && self.items.len() > 1 {
            total -= self.items.remove(0).weight.total();
        }
    }

    /// What stands in the items, in words, oldest first: texts and transcripts.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let contents = self
            .items
            .iter()
            .map(|item| item.wire["content"].as_array());
        let parts = contents.flatten().flatten();
        parts.filter_map(|part| {
            part["text"]
                .as_str()
                .or_else(|| part["transcript"].as_str())
        })
    }

    /// What all items weigh.
    pub fn total(&self) -> u64 {
        self.items.iter().map(|item| item.weight.total()).sum()
    }

    /// What a response in the conversation reads.
    pub fn prompt(&self, opening: (u64, Weight)) -> Prompt {
        let items = self
            .items
            .iter()
            .map(|item| (name(&(&item.id, item.edition)), item.weight));
        std::iter::once(opening).chain(items).collect()
    }

    /// Counts a prompt. `cache`: what is the same as at the beginning of the last one comes from the cache, in whole
    /// blocks of 64 tokens of a kind, and the next prompt is compared to this one.
    pub fn read(&mut self, prompt: Prompt, cache: bool) -> Tokens {
        let sum = |pieces: &mut dyn Iterator<Item = &(u64, Weight)>| {
            pieces.fold(Weight::default(), |sum, (_, weight)| Weight {
                text: sum.text + weight.text,
                audio: sum.audio + weight.audio,
                image: sum.image + weight.image,
            })
        };
        let all = sum(&mut prompt.iter());
        let mut same = Weight::default();
        if cache {
            let both = prompt.iter().zip(&self.last);
            same = sum(&mut both
                .take_while(|(now, then)| now == then)
                .map(|(now, _)| now));
            self.last = prompt;
        }
        Tokens {
            text_in: all.text,
            audio_in: all.audio,
            image_in: all.image,
            cached_text: same.text / 64 * 64,
            cached_audio: same.audio / 64 * 64,
            cached_image: same.image / 64 * 64,
            ..Tokens::default()
        }
    }
}

/// There is no such item.
pub fn not_found(code: &'static str, id: &str) -> Fault {
    Fault::new(code, format!("Item with item_id '{id}' does not exist."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn note(id: &str, bytes: usize) -> Item {
        let text = "x".repeat(bytes);
        let wire = json!({"id": id, "type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]});
        Item::written(id.into(), wire, text_tokens)
    }

    #[test]
    fn what_was_read_before_comes_from_the_cache_in_blocks_until_it_changes() {
        let mut memory = Memory::default();
        let opening = opening(&"x".repeat(400), &json!([]), text_tokens);
        memory.add(note("a", 400), None).unwrap();
        let first = memory.read(memory.prompt(opening), true);
        assert_eq!((first.text_in, first.cached_text), (214, 0));
        memory.add(note("b", 4), None).unwrap();
        let second = memory.read(memory.prompt(opening), true);
        assert_eq!((second.text_in, second.cached_text), (229, 192));
        memory.delete("a").unwrap();
        let third = memory.read(memory.prompt(opening), true);
        assert_eq!((third.text_in, third.cached_text), (115, 64));
        assert_eq!(memory.read(memory.prompt(opening), false).cached_text, 0);
    }

    #[test]
    fn the_oldest_are_dropped_beyond_the_limit_but_never_the_newest() {
        let mut memory = Memory::default();
        for id in ["a", "b", "c"] {
            memory.add(note(id, 344), None).unwrap();
        }
        memory.shrink(300, 250);
        assert_eq!(memory.total(), 300);
        memory.shrink(299, 250);
        assert_eq!(memory.total(), 200);
        memory.shrink(10, 10);
        assert_eq!(memory.last_id().as_deref(), Some("c"));
        assert_eq!(memory.total(), 100);
    }
}

//! How much sound of each item has come.
//!
//! Sound is most of what comes, faster than anybody can hear it. What was generated of an item bounds what can be heard and
//! truncated of it, so its bytes are counted here, where they are decoded, straight from where they lie in the frame. Sound and words
//! come in pieces that all repeat whose they are, so the names are kept here as well.

use crate::audio::Format;
use crate::realtime::{Event, Garbled};
use crate::units::Id;
use base64_simd::STANDARD;

/// The sound that has come in this session.
pub(super) struct Sounds {
    format: Format,
    /// The latest items, the newest last.
    items: Vec<ItemSound>,
}

struct ItemSound {
    item: Id,
    response: Id,
    bytes: u64,
}

impl Sounds {
    /// Answers have one item with sound, rarely two at once: more than this many are never remembered.
    const LATEST: usize = 8;

    pub(super) fn of(format: Format) -> Self {
        Sounds {
            format,
            items: Vec::new(),
        }
    }

    /// Appends the sound of one delta, which is base64, to `sound`, and tells how much of its item has come.
    pub(super) fn read(
        &mut self,
        response: &str,
        item: &str,
        base64: &str,
        sound: &mut Vec<u8>,
    ) -> Result<Event, Garbled> {
        let bytes = decode(base64, sound)?;
        let format = self.format;
        let entry = self.entry(response, item);
        entry.bytes = entry.bytes.saturating_add(bytes);
        Ok(Event::Spoke {
            response: entry.response.clone(),
            item: entry.item.clone(),
            until_ms: format.ms(entry.bytes),
        })
    }

    /// The names of a response and its item. They come with each piece of it and are copied the first time only.
    pub(super) fn names(&mut self, response: &str, item: &str) -> (Id, Id) {
        let entry = self.entry(response, item);
        (entry.response.clone(), entry.item.clone())
    }

    fn entry(&mut self, response: &str, item: &str) -> &mut ItemSound {
        let is_it =
            |known: &ItemSound| known.item.as_str() == item && known.response.as_str() == response;
        let at = self.items.iter().rposition(is_it).unwrap_or_else(|| {
            if self.items.len() == Self::LATEST {
                self.items.remove(0);
            }
            self.items.push(ItemSound {
                item: Id::from(item),
                response: Id::from(response),
                bytes: 0,
            });
            self.items.len() - 1
        });
        &mut self.items[at]
    }
}

/// Appends the sound that these characters stand for to `sound` and tells how many bytes it was.
fn decode(base64: &str, sound: &mut Vec<u8>) -> Result<u64, Garbled> {
    let before = sound.len();
    // `decode_append` reserves no more than it needs, and a buffer that grows by that is copied every time.
    sound.reserve(base64.len() / 4 * 3);
    if STANDARD.decode_append(base64.as_bytes(), sound).is_err() {
        // Some servers leave out the padding.
        let patient = base64_simd::forgiving_decode_to_vec(base64.as_bytes());
        let bytes = patient.map_err(|_| Garbled("sound that is not base64"))?;
        sound.truncate(before);
        sound.extend_from_slice(&bytes);
    }
    Ok((sound.len() - before) as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::realtime::Dialect;
    use crate::realtime::openai::OpenAi;
    use crate::realtime::openai::tests::{codec, session};
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// `ms` milliseconds of linear silence at 24 kHz, and `extra` bytes.
    pub(in crate::realtime::openai) fn sound(ms: usize, extra: usize) -> String {
        STANDARD.encode_to_string(vec![0u8; ms * 48 + extra])
    }

    pub(in crate::realtime::openai) fn delta(item: &str, base64: &str) -> Value {
        json!({"type": "response.output_audio.delta", "event_id": "event_1", "response_id": "resp_1", "item_id": item,
        "output_index": 0, "content_index": 0, "delta": base64, "obfuscation": "kZ0"})
    }

    pub(in crate::realtime::openai) fn spoke(item: &str, until_ms: u64) -> Event {
        Event::Spoke {
            response: Id::from("resp_1"),
            item: Id::from(item),
            until_ms,
        }
    }

    #[test]
    fn each_item_has_a_count_of_its_own() {
        let (mut codec, mut heard) = (codec(), Vec::new());
        let mut read = |frame: Value| codec.read(&frame.to_string(), &mut heard).unwrap().unwrap();
        assert_eq!(read(delta("a", &sound(100, 47))), spoke("a", 100));
        assert_eq!(read(delta("a", &sound(0, 1))), spoke("a", 101));
        assert_eq!(read(delta("b", &sound(30, 0))), spoke("b", 30));
        assert_eq!(read(delta("a", &sound(9, 0))), spoke("a", 110));
        for item in 0..100 {
            let item = format!("item_{item}");
            assert_eq!(read(delta(&item, &sound(5, 0))), spoke(&item, 5));
        }
        assert_eq!(heard.len(), 639 * 48 + 48);
    }

    #[test]
    fn telephone_sound_lasts_a_millisecond_in_eight_bytes() {
        let mut session = session();
        session.audio = Format::Pcmu;
        let mut codec = OpenAi::new(Arc::new(session));
        let base64 = STANDARD.encode_to_string([0xFF; 805]);
        let event = codec.read(&delta("a", &base64).to_string(), &mut Vec::new());
        assert_eq!(event, Ok(Some(spoke("a", 100))));
    }

    #[test]
    fn sound_is_appended_whatever_way_it_is_escaped_or_padded() {
        for base64 in ["/38AgA==", r"\/38AgA==", "/38AgA"] {
            let frame = format!(r#"{{"type":"response.output_audio.delta","delta":"{base64}"}}"#);
            let mut heard = vec![1];
            assert!(codec().read(&frame, &mut heard).is_ok(), "{base64}");
            assert_eq!(heard, [1, 0xFF, 0x7F, 0x00, 0x80], "{base64}");
        }
    }

    #[test]
    fn sound_that_is_none_leaves_no_trace() {
        for delta in [json!("not base64!"), json!(7), json!(null), json!("A")] {
            let frame =
                json!({"type": "response.output_audio.delta", "item_id": "a", "delta": delta});
            let mut heard = vec![1];
            assert!(codec().read(&frame.to_string(), &mut heard).is_err());
            assert_eq!(heard, [1], "{frame}");
        }
    }
}

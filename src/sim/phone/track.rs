//! A track of sound on the phone's own time line, and an ear that tells talking from silence.
//!
//! Sample number `n` of a track is what sounded `n / 8` milliseconds after the phone began to ring, always: where nothing
//! sounded there are zeros. The ear knows no words; it hears an agent begin and stop, which is what callers react to.

/// Sound of 8 kHz that only grows.
#[derive(Clone, Debug, Default)]
pub struct Track {
    keep: bool,
    samples: Vec<i16>,
}

/// What a track that is not kept remembers, in samples: a few frames.
const TAIL: usize = 800;

impl Track {
    /// An empty track; one that is not kept remembers its last moments only.
    pub fn keeping(keep: bool) -> Self {
        Track {
            keep,
            samples: Vec::new(),
        }
    }

    /// Appends sound.
    pub fn push(&mut self, sound: &[i16]) {
        self.samples.extend_from_slice(sound);
        self.trim();
    }

    /// Appends so many samples of silence.
    pub fn silence(&mut self, count: u64) {
        let most = if self.keep { usize::MAX } else { TAIL };
        let count = usize::try_from(count).unwrap_or(most).min(most);
        self.samples.resize(self.samples.len() + count, 0);
        self.trim();
    }

    /// The last samples, as many of `count` as there are.
    pub fn last(&self, count: usize) -> &[i16] {
        &self.samples[self.samples.len().saturating_sub(count)..]
    }

    /// All that was kept.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    fn trim(&mut self) {
        if !self.keep && self.samples.len() > 4 * TAIL {
            self.samples.drain(..self.samples.len() - TAIL);
        }
    }
}

/// Louder than this is talking: -38 dB below full scale.
const LOUD: u16 = 400;

/// Quiet for less than this is still the same talk, in samples: 300 ms, which bridges the gaps between words.
const GAP: u64 = 2400;

/// Hears an agent begin and stop talking. All times are samples since the phone began to ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ear {
    onset: Option<u64>,
    last: Option<u64>,
    first: Option<u64>,
    told: bool,
}

impl Ear {
    /// Hears sound that began at `at`.
    pub fn hear(&mut self, at: u64, sound: &[i16]) {
        // In a piece shorter than a gap only its first and its last loud sample tell anything.
        for (at, piece) in (at..).step_by(GAP as usize).zip(sound.chunks(GAP as usize)) {
            let loud = |sample: &i16| sample.unsigned_abs() >= LOUD;
            let Some(first) = piece.iter().position(loud) else {
                continue;
            };
            let last = piece.iter().rposition(loud).unwrap_or(first);
            let (begin, end) = (at + first as u64, at + last as u64);
            if self.last.is_none_or(|last| begin - last >= GAP) {
                self.onset = Some(begin);
            }
            self.first = self.first.or(Some(begin));
            self.last = Some(end);
        }
    }

    /// When the talk began that is still going on at `now`; `None` in silence.
    pub fn talking_since(&self, now: u64) -> Option<u64> {
        let last = self.last?;
        (now.saturating_sub(last) < GAP).then_some(self.onset?)
    }

    /// When something was last heard.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// When something was first heard.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Tells once that talk began (`true`) or stopped (`false`), and when.
    pub fn news(&mut self, now: u64) -> Option<(u64, bool)> {
        let since = self.talking_since(now);
        if since.is_some() == self.told {
            return None;
        }
        self.told = since.is_some();
        since.or(self.last).map(|at| (at, self.told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ear_hears_talk_begin_and_stop_but_not_the_gaps_between_words() {
        let mut ear = Ear::default();
        ear.hear(0, &[0; 800]);
        assert_eq!(ear.news(800), None);
        ear.hear(800, &[5000; 800]);
        assert_eq!(ear.news(1600), Some((800, true)));
        ear.hear(1600, &[0; 1600]);
        ear.hear(3200, &[5000; 800]);
        assert_eq!(
            ear.talking_since(4000),
            Some(800),
            "a gap between two words"
        );
        assert_eq!(ear.news(4000), None);
        ear.hear(4000, &[0; 2400]);
        assert_eq!(ear.news(6400), Some((3999, false)));
        ear.hear(6400, &[-5000; 1]);
        assert_eq!(ear.talking_since(6401), Some(6400));
        assert_eq!(ear.first(), Some(800));
    }

    #[test]
    fn a_track_that_is_not_kept_stays_small() {
        let mut track = Track::keeping(false);
        (0..1000).for_each(|_| track.push(&[1; 160]));
        assert!(track.samples().len() <= 4 * TAIL);
        assert_eq!(track.last(160), [1; 160]);
    }
}

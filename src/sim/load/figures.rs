//! What is counted and how long things took, in memory that does not grow with the load.

/// Steps in each doubling: a value is told to less than 2 %.
const STEPS: u64 = 64;

/// How often each length of time was seen, in microseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    seen: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            seen: vec![0; (STEPS * 40) as usize],
            count: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Notes one.
    pub fn note(&mut self, us: u64) {
        let last = self.seen.len() - 1;
        self.seen[place(us).min(last)] += 1;
        self.count += 1;
        self.max = self.max.max(us);
    }

    /// The least that so many of a thousand were not above; 0 when there are none.
    pub fn at(&self, milli: u64) -> u64 {
        let wanted = (self.count * milli).div_ceil(1000).max(1);
        let mut sum = 0;
        for (place, seen) in self.seen.iter().enumerate() {
            sum += seen;
            if sum >= wanted {
                return upper(place as u64).min(self.max);
            }
        }
        0
    }

    /// How many were longer than this.
    pub fn above(&self, us: u64) -> u64 {
        self.seen[place(us)..].iter().skip(1).sum()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max(&self) -> u64 {
        self.max
    }
}

fn place(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doublings = u64::from(us.ilog2() - STEPS.ilog2());
    (doublings * STEPS + (us >> doublings)) as usize
}

/// The largest value of a place.
fn upper(place: u64) -> u64 {
    if place < 2 * STEPS {
        return place;
    }
    let doublings = place / STEPS - 1;
    let step = place % STEPS + STEPS;
    ((step + 1) << doublings) - 1
}

/// One direction of all calls.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Frames of speech that were sent.
    pub sent: u64,
    /// Those of them that arrived.
    pub arrived: u64,
    /// How long they took.
    pub took: Histogram,
}

impl Way {
    /// Frames that came later than a jitter buffer waits: 60 ms after the usual.
    pub fn late(&self) -> u64 {
        self.took.above(self.took.at(500) + 60_000)
    }

    /// Frames that never came.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.arrived)
    }
}

/// Messages, by who sent them to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Messages {
    /// From the callers to the server.
    pub to_server: u64,
    /// From the server to the callers.
    pub from_server: u64,
    /// From the server to the model.
    pub to_model: u64,
    /// From the model to the server.
    pub from_model: u64,
}

impl Messages {
    /// Those since.
    pub fn since(self, before: Messages) -> Messages {
        Messages {
            to_server: self.to_server - before.to_server,
            from_server: self.from_server - before.from_server,
            to_model: self.to_model - before.to_model,
            from_model: self.from_model - before.from_model,
        }
    }
}

/// How calls ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The caller hung up: the load was over.
    Caller,
    /// The server ended it.
    Server,
    /// It was never taken.
    Refused,
    /// Its connection broke.
    Lost,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// When counted frames were sent, from and until, in microseconds.
    pub window: Option<(u64, u64)>,
    /// From the callers to the model.
    pub up: Way,
    /// From the model to the callers.
    pub down: Way,
    /// How much later than due the load itself was.
    pub self_late: Histogram,
    /// From the webhook to the open stream.
    pub setup: Histogram,
    /// From the open stream to the agent's first sound.
    pub first_audio: Histogram,
    /// Messages.
    pub messages: Messages,
    /// Endings, by [`Ending`].
    pub endings: [u64; 4],
    /// What the carrier would have complained of.
    pub violations: u64,
    /// The first of those, in words.
    pub complaint: Option<String>,
    /// What the model bills.
    pub nanos: u64,
}

impl Tally {
    /// Whether what was sent then counts.
    pub fn counts(&self, sent_us: u64) -> bool {
        self.window
            .is_some_and(|(from, until)| (from..until).contains(&sent_us))
    }

    /// A call has ended.
    pub fn ended(&mut self, ending: Ending) {
        self.endings[ending as usize] += 1;
    }

    /// The server did what the carrier or the model does not allow.
    pub fn violated(&mut self, what: impl FnOnce() -> String) {
        self.violations += 1;
        if self.complaint.is_none() {
            self.complaint = Some(what());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_time_is_told_to_two_percent() {
        for us in (0..2_000).chain([65_535, 65_536, 1_000_003, 4_000_000_000]) {
            let told = upper(place(us) as u64);
            assert!(told >= us && told - us <= us / 60, "{us} is told as {told}");
        }
    }

    #[test]
    fn shares_and_stragglers_are_counted() {
        let mut way = Way::default();
        assert_eq!((way.took.at(500), way.took.above(0)), (0, 0));
        for us in 1..=1_000 {
            way.took.note(us);
        }
        way.took.note(90_000);
        assert!((498..=510).contains(&way.took.at(500)));
        assert!((985..=1_010).contains(&way.took.at(990)));
        assert_eq!((way.late(), way.took.max()), (1, 90_000));
    }
}

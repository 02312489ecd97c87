//! What the way of the sound costs: added latency, messages, queues, wakes and memory.
//!
//! These are counted fifty times a second for each call, so they are plain atomics that a call adds to where it stands; a recorder of
//! metrics that keeps every observation until somebody asks would be a leak. They are of the whole process.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the histogram's buckets, in microseconds. Below a frame's 20 ms nobody hears anything.
const BOUNDS_US: [u64; 12] = [
    50, 100, 200, 500, 1_000, 1_500, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];

/// One direction of the sound.
pub struct Way {
    name: &'static str,
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
    sound_ms: AtomicU64,
    messages: AtomicU64,
    late: AtomicU64,
    deepest: AtomicU64,
}

/// From the caller to the model.
pub static UP: Way = Way::new("up");

/// From the model to the caller.
pub static DOWN: Way = Way::new("down");

/// How often the threads that carry calls went to sleep.
static PARKS: AtomicU64 = AtomicU64::new(0);

/// How often they waited a little before that, so that more would be ready at once.
static WAITS: AtomicU64 = AtomicU64::new(0);

/// An estimate of what the live calls keep in memory, in bytes.
static MEMORY: AtomicI64 = AtomicI64::new(0);

impl Way {
    const fn new(name: &'static str) -> Self {
        Way {
            name,
            buckets: [const { AtomicU64::new(0) }; BOUNDS_US.len() + 1],
            total_us: AtomicU64::new(0),
            sound_ms: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            late: AtomicU64::new(0),
            deepest: AtomicU64::new(0),
        }
    }

    /// Sound was read from one socket and handed to the other so long after.
    pub fn carried(&self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < us)].fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
    }

    /// So much sound came, in milliseconds.
    pub fn came(&self, ms: u64) {
        self.sound_ms.fetch_add(ms, Relaxed);
    }

    /// A frame came later than its sound can wait for.
    pub fn came_late(&self) {
        self.late.fetch_add(1, Relaxed);
    }

    /// A message was queued, and so many now wait.
    pub fn queued(&self, waiting: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.deepest.fetch_max(waiting as u64, Relaxed);
    }
}

/// A thread that carries calls is about to sleep; whether it has waited before.
pub fn parked(waited: bool) {
    PARKS.fetch_add(1, Relaxed);
    if waited {
        WAITS.fetch_add(1, Relaxed);
    }
}

/// A call keeps so many bytes more, or less, than it did.
pub fn memory(change: i64) {
    MEMORY.fetch_add(change, Relaxed);
}

/// All of it in Prometheus' text format.
pub fn render() -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text);
    text
}

fn write(text: &mut String) -> fmt::Result {
    let ways = [&UP, &DOWN];
    writeln!(text, "# TYPE ringfence_added_latency_seconds histogram")?;
    for way in ways {
        way.write_latency(text)?;
    }
    let mut family = |name: &str, kind: &str, value: fn(&Way) -> String| {
        writeln!(text, "# TYPE ringfence_{name} {kind}")?;
        ways.iter().try_for_each(|way| {
            let direction = way.name;
            let value = value(way);
            writeln!(
                text,
                "ringfence_{name}{{direction=\"{direction}\"}} {value}"
            )
        })
    };
    family("sound_seconds_total", "counter", |way| {
        seconds(way.sound_ms.load(Relaxed) * 1_000)
    })?;
    family("messages_total", "counter", |way| {
        way.messages.load(Relaxed).to_string()
    })?;
    family("late_frames_total", "counter", |way| {
        way.late.load(Relaxed).to_string()
    })?;
    // The most since somebody asked last.
    family("queue_high_water", "gauge", |way| {
        way.deepest.swap(0, Relaxed).to_string()
    })?;
    let (parks, waits) = (PARKS.load(Relaxed), WAITS.load(Relaxed));
    writeln!(
        text,
        "# TYPE ringfence_parks_total counter\nringfence_parks_total {parks}"
    )?;
    writeln!(
        text,
        "# TYPE ringfence_batched_wakes_total counter\nringfence_batched_wakes_total {waits}"
    )?;
    let memory = MEMORY.load(Relaxed).max(0);
    writeln!(
        text,
        "# TYPE ringfence_call_memory_bytes gauge\nringfence_call_memory_bytes {memory}"
    )
}

impl Way {
    fn write_latency(&self, text: &mut String) -> fmt::Result {
        let direction = self.name;
        let mut count = 0;
        for (place, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            let bound = BOUNDS_US
                .get(place)
                .map_or("+Inf".to_string(), |us| seconds(*us));
            writeln!(
                text,
                "ringfence_added_latency_seconds_bucket{{direction=\"{direction}\",le=\"{bound}\"}} {count}"
            )?;
        }
        let total = seconds(self.total_us.load(Relaxed));
        writeln!(
            text,
            "ringfence_added_latency_seconds_sum{{direction=\"{direction}\"}} {total}"
        )?;
        writeln!(
            text,
            "ringfence_added_latency_seconds_count{{direction=\"{direction}\"}} {count}"
        )
    }
}

/// Microseconds as seconds.
fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_counted_in_every_bucket_that_is_not_below_it() {
        static WAY: Way = Way::new("test");
        for us in [0, 50, 51, 1_400, 3_000_000] {
            WAY.carried(Duration::from_micros(us));
        }
        let mut text = String::new();
        WAY.write_latency(&mut text).unwrap();
        let of = |le: &str| {
            let line = text
                .lines()
                .find(|line| line.contains(&format!("le=\"{le}\"")));
            line.unwrap().rsplit(' ').next().unwrap().to_string()
        };
        assert_eq!(
            [
                of("0.000050"),
                of("0.000100"),
                of("0.001500"),
                of("0.100000"),
                of("+Inf")
            ],
            ["2", "3", "4", "4", "5"]
        );
        assert!(text.contains("_sum{direction=\"test\"} 3.001501\n"));
    }
}

//! The only place where a clock is read on behalf of a call.
//!
//! The clock is monotonic and starts when the answer to the webhook left, which is never later than the moment the carrier begins to
//! bill: what it shows is at least what is billed.

use crate::units::CallTime;
use std::time::Duration;
use tokio::time::Instant;

/// A moment, to tell how long ago it was.
#[derive(Clone, Copy, Debug)]
pub struct Moment(std::time::Instant);

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Moment(std::time::Instant::now())
    }

    /// How long ago it was.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The time of one call.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Clock {
            origin: Instant::now(),
        }
    }

    /// A clock that was started so many milliseconds ago: for a call that the carrier began to bill before we heard of it.
    pub fn started_before(ms: u64) -> Self {
        let now = Instant::now();
        // A machine that was started less than that ago has no such instant; its clock cannot be earlier than its own beginning.
        let origin = now.checked_sub(Duration::from_millis(ms));
        Clock {
            origin: origin.unwrap_or(now),
        }
    }

    /// The call's time now.
    pub fn now(self) -> CallTime {
        CallTime::from(self.origin.elapsed())
    }

    /// The instant at which the clock shows `time`.
    pub fn instant(self, time: CallTime) -> Instant {
        // Nothing waits for longer than a day.
        self.origin + Duration::from_millis(time.millis().min(86_400_000))
    }
}

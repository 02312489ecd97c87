//! Serving many calls at a time instead of one after the other.
//!
//! With hundreds of calls there is always a frame that has just come, and a thread that asks for it at once asks ten thousand times a
//! second: most of what it does is to fall asleep and to be woken. When many calls are live, a thread that has served everybody waits
//! until a millisecond has passed since it asked last, and then finds the frames of many calls ready. Nobody hears a millisecond; with
//! few calls nobody waits.

use super::clock::Moment;
use crate::observe::path;
use std::cell::Cell;
use std::time::Duration;

/// From so many live calls on a thread on it pays to wait: two frames come in each millisecond.
const MANY: usize = 40;

thread_local! {
    /// Calls that are live on this thread.
    static LIVE: Cell<usize> = const { Cell::new(0) };

    /// When this thread asked last what is ready.
    static ASKED: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// A live call of this thread, as long as it is kept.
pub struct Live(());

impl Live {
    /// One more.
    pub fn begin() -> Self {
        LIVE.set(LIVE.get() + 1);
        Live(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.set(LIVE.get().saturating_sub(1));
    }
}

/// A thread that carries calls has nothing to do, and is about to ask what is ready; it waits first if that is worth it.
pub fn before_asking(at_most: Duration) {
    let mut waits = false;
    if !at_most.is_zero() && LIVE.get() >= MANY {
        let since = ASKED.get().map(Moment::elapsed);
        let left = since.and_then(|since| at_most.checked_sub(since));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            std::thread::sleep(left);
            waits = true;
        }
        ASKED.set(Some(Moment::now()));
    }
    path::parked(waits);
}

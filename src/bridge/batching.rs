//! Serving many calls at a time instead of one after the other.
//!
//! With hundreds of calls there is always a frame that has just come, and a thread that asks for it at once asks ten thousand times a
//! second: most of what it does is to fall asleep and to be woken. When many calls are live, a thread that has served everybody waits
//! until a millisecond has passed since it asked last, and then finds the frames of many calls ready. Nobody hears a millisecond; with
//! few calls nobody waits.

use super::clock::Moment;
use crate::observe::path;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// From so many live calls on it pays to wait: two frames come in each millisecond.
const MANY: usize = 40;

/// Calls that are live in this process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// When this thread asked last what is ready.
    static ASKED: Cell<Option<Moment>> = const { Cell::new(None) };
}

/// A live call, as long as it is kept.
pub struct Live(());

impl Live {
    /// One more.
    pub fn begin() -> Self {
        LIVE.fetch_add(1, Relaxed);
        Live(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Relaxed);
    }
}

/// A thread that carries calls has nothing to do, and is about to ask what is ready; it waits first if that is worth it.
pub fn before_asking(at_most: Duration) {
    let mut waits = false;
    if !at_most.is_zero() && LIVE.load(Relaxed) >= MANY {
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

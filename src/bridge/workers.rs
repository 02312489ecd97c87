//! The threads that carry calls.
//!
//! A call stays on one thread from its first frame to its last, and that thread does nothing else: no doors, no ledger. So the frames
//! of a call are never handed from one core to another, nothing that is said on a thread wakes another one, and whatever holds up the
//! rest of the server does not hold up sound. There is a thread for each core, with an event loop of its own.

use super::batching::before_asking;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads, as long as they are kept.
pub struct Workers {
    all: Vec<Worker>,
    next: AtomicUsize,
}

struct Worker {
    handle: Handle,
    /// The thread lives until this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Workers {
    /// A thread for each core that this process may use. With many calls each waits so long at most for more to be ready at once.
    ///
    /// # Errors
    /// When a thread or its event loop cannot be made.
    pub fn start(batching: Duration) -> io::Result<Workers> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let all: io::Result<Vec<Worker>> = (0..count).map(|_| Worker::start(batching)).collect();
        Ok(Workers {
            all: all?,
            next: AtomicUsize::new(0),
        })
    }

    /// Where the next call is carried: each thread in turn.
    pub fn next(&self) -> Handle {
        let turn = self.next.fetch_add(1, Relaxed);
        self.all[turn % self.all.len()].handle.clone()
    }
}

impl Worker {
    fn start(batching: Duration) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || before_asking(batching))
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("calls".to_string())
            .spawn(move || {
                runtime.block_on(async {
                    let _ = stopped.await;
                });
                // A task that waits in a library for a thread of its own is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Worker {
            handle,
            _stop: stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[tokio::test]
    async fn calls_are_dealt_to_all_threads_in_turn_and_stay_where_they_are() {
        let workers = Workers::start(Duration::ZERO).unwrap();
        let mut threads = HashSet::new();
        for _ in 0..workers.all.len() {
            let call = workers.next().spawn(async {
                let first = thread::current().id();
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert_eq!(first, thread::current().id());
                first
            });
            threads.insert(call.await.unwrap());
        }
        assert_eq!(threads.len(), workers.all.len());
        assert!(!threads.contains(&thread::current().id()));
    }
}

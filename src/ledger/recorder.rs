//! Writing down one call, from within its loop.
//!
//! Each line gets its place in the call's chain and goes into the journal before this returns, in microseconds. What must be on disk is
//! waited for by a future that borrows nothing, so that the loop can go on meanwhile.

use super::Salt;
use super::chain::Head;
use super::entries::{self, Line};
use super::journal::Journal;
use super::transcripts::Pages;
use super::trouble::Failing;
use crate::call::record::{Fact, What};
use crate::units::{Id, Usd};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long a grant may take to reach the disk; the call itself waits two seconds for a verdict.
const GRANT_PATIENCE: Duration = Duration::from_millis(1_900);

/// The chains of calls that somebody still writes.
type Heads = HashMap<Arc<str>, Weak<Mutex<Head>>>;

/// What those who write share with the one who carries it into the store.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) salt: Salt,
    pub(super) boot: String,
    pub(super) journal_id: String,
    journal: Mutex<Journal>,
    heads: Mutex<Heads>,
    /// Held while a line is added to a call that nobody carries any more.
    pub(super) after: tokio::sync::Mutex<()>,
    /// Up to which position of the journal the store has everything.
    pub(super) stored: watch::Sender<u64>,
    /// Whether the journal or the store cannot be written.
    pub(super) failing: watch::Sender<bool>,
    troubles: Mutex<Troubles>,
    /// There is something to carry.
    pub(super) some: Notify,
    /// Somebody waits for it.
    pub(super) urgent: Notify,
    pub(super) closing: AtomicBool,
    pub(super) closed: watch::Sender<bool>,
    /// What was said.
    pub(super) pages: Pages,
}

/// What cannot be written, and why.
#[derive(Debug, Default)]
struct Troubles {
    journal: Option<String>,
    store: Option<String>,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Journal,
    Store,
}

impl Shared {
    pub(super) fn new(path: &Path, salt: Salt, boot: String, journal: Journal) -> Shared {
        Shared {
            path: path.to_path_buf(),
            salt,
            boot,
            journal_id: journal.id.clone(),
            stored: watch::Sender::new(journal.end()),
            journal: Mutex::new(journal),
            heads: Mutex::default(),
            after: tokio::sync::Mutex::default(),
            failing: watch::Sender::new(false),
            troubles: Mutex::default(),
            some: Notify::new(),
            urgent: Notify::new(),
            closing: AtomicBool::new(false),
            closed: watch::Sender::new(false),
            pages: Pages::default(),
        }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        // Every change of it is complete before anything in it can panic.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position after everything that was recorded.
    pub(super) fn end(&self) -> u64 {
        self.journal().end()
    }

    /// Notes that a file cannot be written, or can be again; says so once.
    pub(super) fn note(&self, part: Part, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let was = troubles.journal.is_some() || troubles.store.is_some();
        match part {
            Part::Journal => troubles.journal = trouble,
            Part::Store => troubles.store = trouble,
        }
        let why = troubles.journal.as_ref().or(troubles.store.as_ref());
        match (was, why) {
            (false, Some(why)) => tracing::error!(
                event = "ledger.failing",
                path = %self.path.display(),
                why = why.as_str(),
                help = "no call is begun and no grant enlarged until this can be written: make room, or mend the disk. \
                        Nothing that was spent is forgotten meanwhile"
            ),
            (true, None) => tracing::info!(event = "ledger.recovered", path = %self.path.display()),
            _ => {}
        }
        let is_failing = why.is_some();
        if was != is_failing {
            metrics::gauge!("ringfence_ledger_failing").set(if is_failing { 1.0 } else { 0.0 });
            self.failing.send_replace(is_failing);
        }
    }

    /// Waits until the store has everything before this position.
    pub(super) async fn durable(&self, end: u64, patience: Duration) -> Result<(), Failing> {
        self.urgent.notify_one();
        let (mut stored, mut failing) = (self.stored.subscribe(), self.failing.subscribe());
        let waited = tokio::time::timeout(patience, async {
            tokio::select! {
                biased;
                done = stored.wait_for(|stored| *stored >= end) => done.map(|_| ()).map_err(|_| Failing),
                _ = failing.wait_for(|failing| *failing) => Err(Failing),
            }
        });
        waited.await.unwrap_or(Err(Failing))
    }

    /// Lets the carrying task end, and waits for that.
    pub(super) async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.urgent.notify_one();
        let mut closed = self.closed.subscribe();
        let _ = closed.wait_for(|closed| *closed).await;
    }
}

/// Writes down one call. A clone writes into the same chain.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    head: Arc<Mutex<Head>>,
}

impl Recorder {
    /// For a call that has no lines yet.
    pub(super) fn new(shared: Arc<Shared>, call: Arc<str>) -> Recorder {
        Recorder::after(shared, Head::new(call))
    }

    /// For a call whose chain ends here.
    pub(super) fn after(shared: Arc<Shared>, head: Head) -> Recorder {
        let call = head.call.clone();
        let head = Arc::new(Mutex::new(head));
        let mut heads = shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() == heads.capacity() {
            heads.retain(|_, head| head.strong_count() > 0);
        }
        heads.insert(call, Arc::downgrade(&head));
        drop(heads);
        Recorder { shared, head }
    }

    /// For a call that somebody still writes.
    pub(super) fn of_live(shared: &Arc<Shared>, call: &str) -> Option<Recorder> {
        let heads = shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = heads.get(call)?.upgrade()?;
        Some(Recorder {
            shared: shared.clone(),
            head,
        })
    }

    /// Writes a fact down. When this returns it survives the process; a moment later, the machine.
    pub fn record(&self, fact: &Fact) {
        self.put(entries::fact(fact));
        if matches!(fact.what, What::Ended(_)) {
            self.tell_hash();
        }
    }

    /// Writes down what the carrier calls a call that we placed.
    pub fn dialled(&self, carrier_call: &Id) {
        self.put(entries::dialled(carrier_call));
    }

    /// Closes a call that we placed and that never began, because of the carrier's word for it (`busy`, `no-answer`) or ours. It has
    /// cost nothing.
    pub fn unanswered(&self, cause: &str) {
        self.put(entries::unanswered(cause));
    }

    /// Writes down that the call was granted this much more, at once; the future is ready when that is on disk, and only then may
    /// it be spent.
    ///
    /// # Errors
    /// The grant must not be used; that it is withdrawn is written down too.
    pub fn granted(
        &self,
        amount: Usd,
    ) -> impl Future<Output = Result<(), Failing>> + Send + 'static {
        let recorder = self.clone();
        let is_failing = *self.shared.failing.borrow();
        let end = (!is_failing).then(|| self.put(entries::granted(amount)));
        async move {
            let end = end.ok_or(Failing)?;
            let durable = recorder.shared.durable(end, GRANT_PATIENCE).await;
            if durable.is_err() {
                recorder.put(entries::withdrawn(amount));
            }
            durable
        }
    }

    /// Adds a line; tells the position after it.
    pub(super) fn put(&self, (event, body): Line) -> u64 {
        let unix_ms = jiff::Timestamp::now().as_millisecond();
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = head.next(unix_ms, event, body.to_string());
        // JSON that we made is JSON.
        let line = entry.to_line().unwrap_or_default();
        // The chain stays locked: of two lines, the first is written first.
        let (end, result) = self.shared.journal().append(line);
        drop(head);
        self.shared
            .note(Part::Journal, result.err().map(|error| error.to_string()));
        self.shared.some.notify_one();
        end
    }

    /// With the last hash in the log, a chain that was made anew from its beginning can be told from the one that was written.
    fn tell_hash(&self) {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::info!(
            event = "ledger.closed",
            call = &*head.call,
            lines = head.seq,
            hash = head.hash.as_str()
        );
    }
}

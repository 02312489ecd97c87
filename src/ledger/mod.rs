//! What we will be asked about in a year: every call's facts, in one file, added to and never changed.
//!
//! Two things are asked of it that do not go together by themselves: a dollar may be spent only when the grant it comes from is on disk,
//! and a call's loop must never wait for a disk. So a line is first one plain write into a [`journal`], which survives the process; one
//! task carries it from there into the [`store`], which survives the machine. Who needs the second waits for it, beside the loop.
//!
//! | file | what it holds |
//! |---|---|
//! | [`chain`] | a line, and the hash that ties it to the line before it |
//! | [`entries`] | what a line says |
//! | [`journal`] | the file that a call writes to |
//! | [`store`] | the file that is kept; its tables are in `schema/` |
//! | [`writer`] | the way from one to the other |
//! | [`recovery`] | what a call is charged whose process died |
//! | [`books`] | reading: calls, one call, what was spent |
//! | [`statement`] | what a call has cost, line by line |
//! | [`paper`], [`csv`] | the books as others read them |
//! | [`reconcile`] | the books beside somebody else's |
//! | [`transcripts`] | what was said, where an agent has it kept: deleted in time, and no part of the chain |
//! | [`mod@verify`] | making a call's bill again out of its lines |
//! | [`trouble`] | why a ledger cannot be opened or written |

pub mod books;
pub mod chain;
pub mod csv;
pub mod entries;
mod journal;
pub mod paper;
pub mod reconcile;
mod recorder;
pub mod recovery;
pub mod statement;
mod store;
pub mod transcripts;
mod trouble;
pub mod verify;
mod writer;

pub use books::Books;
pub use chain::Entry;
pub use entries::{CarrierRecord, Opened, Turned};
pub use recorder::Recorder;
pub use recovery::{Lost, OpenCall};
pub use transcripts::{Keeping, Said, Scribe};
pub use trouble::{Failing, OpenError};
pub use verify::{Finding, verify};

use crate::units::{CallId, Id, Usd};
use chain::Head;
use journal::{Journal, Locked};
use rand::Rng;
use recorder::Shared;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;

/// Where the ledger is, from `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file. Beside it stand its journal (`.journal`) and, while it is open, SQLite's own `-wal` and `-shm`.
    pub path: PathBuf,
}

/// What callers' numbers are mixed with before they become the names of accounts: without it, whoever has the ledger could try all
/// numbers there are.
#[derive(Clone, Debug, Default)]
pub struct Salt(Arc<str>);

impl Salt {
    /// The account of a number: half of a SHA-256, in hexadecimal digits.
    pub fn account(&self, number: &str) -> Arc<str> {
        let mut sum = Sha256::new();
        sum.update(self.0.as_bytes());
        sum.update(b"\n");
        sum.update(number.as_bytes());
        chain::hex(&sum.finalize()[..8]).into()
    }
}

/// How long a call's beginning may take to reach the disk: carriers wait 15 seconds for an answer.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);

/// How long everything recorded may take to reach the disk when the server stops.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// The ledger, open for writing. A clone is the same one.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

impl Ledger {
    /// Opens the ledger, or makes it; takes over what a killed process left in the journal; and tells which calls were open then. Each of
    /// them must be [closed](Ledger::close_lost).
    ///
    /// # Errors
    /// [`OpenError`] says what to do. Nothing was changed then.
    pub async fn open(settings: &Settings) -> Result<(Ledger, Vec<OpenCall>), OpenError> {
        let path = settings.path.as_path();
        store::look(path)?;
        store::folder(path)?;
        let locked = Locked::open(&journal::path_of(path))?;
        if !path.exists() && locked.has_lines() {
            return Err(OpenError::Foreign(journal::path_of(path)));
        }
        let names = [new_name(), new_name()];
        let mut store = match Store::open(path, [&names[0], &names[1]]).await {
            Ok(store) => store,
            Err(error) => {
                locked.give_up();
                return Err(error);
            }
        };
        // What was said and has had its time is gone before anybody can ask for it.
        if let Err(error) = store.forget_expired("TRUNCATE").await {
            locked.give_up();
            return Err(OpenError::store(path, &error));
        }
        let (journal, whole) = locked.of(&store.id, &new_name())?;
        let whole = replay(path, &journal, &mut store).await? && whole;
        let salt = Salt(store.salt.as_str().into());
        let shared = Shared::new(path, salt, boot(), journal);
        let open = recovery::open_calls(path, &shared.boot, &shared.journal_id, whole).await?;
        let shared = Arc::new(shared);
        writer::start(shared.clone(), store);
        Ok((Ledger(shared), open))
    }

    /// What callers' numbers are mixed with.
    pub fn salt(&self) -> Salt {
        self.0.salt.clone()
    }

    /// Where it is, for [`Books::open`].
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Writes down that a call begins and what it was granted. On disk when this returns: before that, nothing may be spent.
    ///
    /// # Errors
    /// The call must not begin; that it did not is written down too.
    pub async fn begin(&self, opened: &Opened) -> Result<Recorder, Failing> {
        if *self.0.failing.borrow() {
            return Err(Failing);
        }
        let recorder = Recorder::new(self.0.clone(), opened.call.as_str().into());
        let line = entries::opened(opened, &self.0.boot, &self.0.journal_id);
        let end = recorder.put(line);
        match self.0.durable(end, BEGIN_PATIENCE).await {
            Ok(()) => Ok(recorder),
            Err(failing) => {
                recorder.put(entries::unbegun());
                Err(failing)
            }
        }
    }

    /// Writes down that a call was turned away. Costs nothing, so nobody waits for it, and a ledger that fails does without it.
    pub fn refused(&self, turned: &Turned) {
        if !*self.0.failing.borrow() {
            Recorder::new(self.0.clone(), turned.call.as_str().into())
                .put(entries::refused(turned));
        }
    }

    /// Takes down what is said in a call, if anybody keeps it.
    pub fn scribe(&self, call: &CallId, keeping: Keeping) -> Scribe {
        Scribe::new(self.0.clone(), call, keeping)
    }

    /// What this process remembers of what was said in a call, by our name for it.
    pub fn remembered(&self, call: &str) -> Vec<Said> {
        self.0.pages.remembered(call)
    }

    /// Adds what the carrier says to a call that may long be over. `false`: there is no such call.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn carrier_record(
        &self,
        call: &CallId,
        record: &CarrierRecord,
    ) -> Result<bool, Failing> {
        self.append_after(call, entries::carrier_record(record))
            .await
    }

    /// Our name for the call that the carrier knows by this one.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn call_of(&self, carrier_call: &Id) -> Result<Option<CallId>, OpenError> {
        let mut books = Books::open(&self.0.path).await?;
        books.call_of(carrier_call.as_str()).await
    }

    /// Whether the call that the carrier knows by this name came to an end of its own, and is settled. A ledger that cannot be read
    /// does not know of it.
    pub async fn has_ended(&self, carrier_call: &Id) -> bool {
        let ended = async {
            let mut books = Books::open(&self.0.path).await.ok()?;
            let entries = books.call(carrier_call.as_str()).await.ok()?;
            Some(entries.iter().any(|entry| entry.event == "call.ended"))
        };
        ended.await.unwrap_or(false)
    }

    /// Closes a call whose process died: charged for what it spent, for what it may owe, and for the carrier's minutes until the
    /// carrier ended it, which is when its own limit was reached unless it says how long the call lasted. Told in [`Lost`].
    ///
    /// # Errors
    /// It is not on disk. The call is still open then.
    pub async fn close_lost(
        &self,
        call: &OpenCall,
        duration_s: Option<u64>,
    ) -> Result<Lost, Failing> {
        let lost = recovery::charge(&call.entries, call.is_whole, duration_s);
        let added = self.append_after(&call.call, lost.line()).await?;
        tracing::warn!(
            event = "call.lost",
            call = call.call.as_str(),
            carrier_call = call.carrier_call.as_str(),
            agent = call.agent.as_str(),
            spent_usd = %lost.spent(),
            cap_usd = %call.cap,
            left_usd = %call.cap.less(lost.spent()),
            unreported_usd = %lost.unreported,
            ran_on_minutes = lost.ran_on_minutes,
            ran_on_usd = %lost.ran_on,
            help = "the process that carried this call is gone; it is charged what it may have cost at the most",
        );
        if added { Ok(lost) } else { Err(Failing) }
    }

    /// Closes a call of this process that ended without saying so: charged its whole grant.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn give_up(&self, call: &CallId) -> Result<Lost, Failing> {
        self.close_own(call, false, None).await
    }

    /// Closes a call that we placed and that nobody carries, because its webhook never came: charged for the minutes that the carrier
    /// says it lasted, or for one, should it not say.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn close_placed(
        &self,
        call: &CallId,
        duration_s: Option<u64>,
    ) -> Result<Lost, Failing> {
        self.close_own(call, true, duration_s).await
    }

    async fn close_own(
        &self,
        call: &CallId,
        is_whole: bool,
        duration_s: Option<u64>,
    ) -> Result<Lost, Failing> {
        self.flush().await?;
        let mut books = Books::open(&self.0.path).await.map_err(|_| Failing)?;
        let entries = books.call(call.as_str()).await.map_err(|_| Failing)?;
        let open = OpenCall::new(entries, is_whole).ok_or(Failing)?;
        self.close_lost(&open, duration_s).await
    }

    /// Adds a line to a call's chain, live or long over; one after the other.
    async fn append_after(&self, call: &CallId, line: entries::Line) -> Result<bool, Failing> {
        let _alone = self.0.after.lock().await;
        let recorder = match Recorder::of_live(&self.0, call.as_str()) {
            Some(recorder) => recorder,
            None => {
                self.flush().await?;
                let mut books = Books::open(&self.0.path).await.map_err(|_| Failing)?;
                let last = books.last_of(call.as_str()).await.map_err(|_| Failing)?;
                let Some(last) = last else {
                    return Ok(false);
                };
                Recorder::after(self.0.clone(), Head::after(&last))
            }
        };
        let end = recorder.put(line);
        self.0.durable(end, BEGIN_PATIENCE).await.map(|()| true)
    }

    /// Waits until everything recorded so far is on disk.
    ///
    /// # Errors
    /// It is not, and may not be for a while.
    pub async fn flush(&self) -> Result<(), Failing> {
        let end = self.0.end();
        self.0.durable(end, FLUSH_PATIENCE).await
    }

    /// Whether it cannot be written now, and news of that.
    pub fn failing(&self) -> watch::Receiver<bool> {
        self.0.failing.subscribe()
    }

    /// What calls that were over today (UTC) have cost, by agent and by the caller's account.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn spent_today(&self) -> Result<Vec<(Arc<str>, Arc<str>, Usd)>, OpenError> {
        Books::open(&self.0.path).await?.spent_today().await
    }

    /// Writes what is left and lets go of the files. What is recorded afterwards goes into the journal, if anywhere.
    pub async fn close(&self) {
        if self.flush().await.is_err() {
            tracing::error!(
                event = "ledger.unflushed",
                help = "what is missing is in the journal beside the ledger, and is taken over at the next start"
            );
        }
        self.0.close().await;
    }
}

/// Carries what the journal has into the store. `false`: some of it makes no sense.
async fn replay(path: &Path, journal: &Journal, store: &mut Store) -> Result<bool, OpenError> {
    let (mut from, mut lines, mut is_whole) = (journal.start(), 0, true);
    loop {
        let (piece, to) = journal
            .read(from)
            .map_err(|error| OpenError::unusable(path, &error))?;
        if piece.is_empty() {
            break;
        }
        let (entries, garbled) = writer::parse(&piece);
        is_whole &= garbled == 0;
        lines += entries.len();
        store
            .write(&entries)
            .await
            .map_err(|error| OpenError::store(path, &error))?;
        from = to;
    }
    if lines > 0 {
        tracing::info!(event = "ledger.replayed", lines);
    }
    Ok(is_whole)
}

/// Changes with every start of the machine; empty where the system does not say, which is no start that we know.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_string())
        .unwrap_or_default()
}

/// A random name.
fn new_name() -> String {
    let mut random = [0; 16];
    rand::rng().fill(&mut random);
    chain::hex(&random)
}

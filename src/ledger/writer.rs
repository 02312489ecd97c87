//! The one task that carries lines from the journal into the store.
//!
//! It does so in batches: at once when somebody waits for the disk, else a few times a second, so that a busy server syncs a few times a
//! second and not for every fact. When the store fails, the journal keeps everything, and it is tried again every second.

use super::chain::Entry;
use super::recorder::{Part, Shared};
use super::store::Store;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How long a fact that nobody waits for may stay in the journal alone.
const LEISURE: Duration = Duration::from_millis(200);

/// Between two tries of something that failed.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is looked for what was said and has had its time.
const FORGETTING: Duration = Duration::from_secs(3600);

/// Starts the task. It ends when the ledger is closed.
pub(super) fn start(shared: Arc<Shared>, store: Store) {
    tokio::spawn(carry(shared, store));
}

async fn carry(shared: Arc<Shared>, mut store: Store) {
    // The first time was when the ledger was opened.
    let mut forget_at = Instant::now() + FORGETTING;
    loop {
        tokio::select! {
            () = wait(&shared) => {}
            () = tokio::time::sleep_until(forget_at) => {}
        }
        let is_closing = shared.closing.load(Ordering::Acquire);
        carry_all(&shared, &mut store).await;
        let is_failing = *shared.failing.borrow();
        // What was said waits for better times, as long as there is room for it, and is lost when there are none.
        if !is_failing || is_closing {
            write_down(&shared, &mut store).await;
        }
        if !is_failing && Instant::now() >= forget_at {
            forget_at = Instant::now() + FORGETTING;
            if let Err(error) = store.forget_expired("PASSIVE").await {
                let why = error.to_string();
                tracing::warn!(
                    event = "transcript.kept_too_long",
                    why,
                    help = "it is tried again within the hour"
                );
            }
        }
        if is_closing {
            break;
        }
    }
    store.close().await;
    shared.journal().unlock();
    shared.closed.send_replace(true);
}

/// Until there is something to carry.
async fn wait(shared: &Shared) {
    let leisurely = async {
        if *shared.failing.borrow() {
            tokio::time::sleep(RETRY).await;
        } else {
            shared.some.notified().await;
            tokio::time::sleep(LEISURE).await;
        }
    };
    tokio::select! {
        () = shared.urgent.notified() => {}
        () = leisurely => {}
    }
}

async fn carry_all(shared: &Shared, store: &mut Store) {
    let retried = {
        let mut journal = shared.journal();
        let lost = journal.lost();
        journal.retry().map_err(|error| match lost {
            0 => error.to_string(),
            lost => format!("{error}; {lost} facts found no place even in memory"),
        })
    };
    shared.note(Part::Journal, retried.err());
    loop {
        let from = *shared.stored.borrow();
        let read = shared.journal().read(from);
        let (piece, to) = match read {
            Ok((piece, _)) if piece.is_empty() => break,
            Ok(read) => read,
            Err(error) => return shared.note(Part::Store, Some(error.to_string())),
        };
        let (entries, garbled) = parse(&piece);
        if garbled > 0 {
            tracing::error!(event = "ledger.garbled", lines = garbled);
        }
        if let Err(error) = store.write(&entries).await {
            return shared.note(Part::Store, Some(error.to_string()));
        }
        shared.note(Part::Store, None);
        shared.stored.send_replace(to);
    }
    let stored = *shared.stored.borrow();
    shared.journal().shorten(stored);
}

/// Writes down what was said. What cannot be written is lost, and no call notices.
async fn write_down(shared: &Shared, store: &mut Store) {
    let (lines, lost) = shared.pages.take();
    let written = match lines.is_empty() {
        true => Ok(()),
        false => store.write_down(&lines).await,
    };
    let (lost, why) = match written {
        Ok(()) => (lost, "too many waited to be written".to_string()),
        Err(error) => (lost + lines.len(), error.to_string()),
    };
    if lost > 0 {
        tracing::warn!(
            event = "transcript.lost",
            lines = lost,
            why,
            help =
                "lines of transcripts were not kept; calls and their costs are not touched by it"
        );
    }
}

/// The facts in a piece of the journal, and how many of its lines are none.
pub(super) fn parse(piece: &[u8]) -> (Vec<Entry>, usize) {
    let mut garbled = 0;
    let lines = piece.split(|byte| *byte == b'\n');
    let entries = lines
        .filter(|line| !line.is_empty())
        .filter_map(|line| {
            let entry = std::str::from_utf8(line).ok().and_then(Entry::from_line);
            garbled += usize::from(entry.is_none());
            entry
        })
        .collect();
    (entries, garbled)
}

//! What was recorded and may not be in the store yet: a file that only grows.
//!
//! A call's loop must not wait for a disk, and a killed process must not forget what it had recorded. Both hold when a line is one plain
//! write into the system's page cache: microseconds, and it survives the process. The store follows at its own pace. Where the write
//! itself fails, for the disk is full, the lines wait in memory and a mark in the file's first line says that its tail is missing.

use super::OpenError;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most that waits in memory while the file cannot be written, in bytes. New calls are refused by then, and what is granted
/// to the others is bounded.
const MOST_WAITING: usize = 64 * 1024 * 1024;

/// A file that is longer begins anew when all of it is in the store.
const LONG: u64 = 1024 * 1024;

/// The most that is read at once.
const PIECE: usize = 256 * 1024;

/// The first line, always as long: `{"ringfence_journal":1,"id":"…","ledger":"…","tail":"whole  "}`.
const WHOLE: &str = "whole  ";
const BROKEN: &str = "missing";

/// The journal of one ledger, held by one process.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Changes when the file is made anew.
    pub(super) id: String,
    ledger: String,
    header: u64,
    /// Bytes of the file that are whole lines.
    len: u64,
    /// What was before the file last began anew: with it, positions only grow.
    base: u64,
    waiting: VecDeque<String>,
    waiting_bytes: usize,
    /// The file may hold part of a line beyond `len`.
    torn: bool,
    /// The first line says that the tail is missing.
    marked: bool,
    /// Lines that found no place even in memory.
    lost: u64,
}

/// Where the journal of this ledger is.
pub(super) fn path_of(ledger: &Path) -> PathBuf {
    let mut name = ledger.as_os_str().to_os_string();
    name.push(".journal");
    PathBuf::from(name)
}

fn header(id: &str, ledger: &str, tail: &str) -> String {
    format!(
        "{{\"ringfence_journal\":1,\"id\":\"{id}\",\"ledger\":\"{ledger}\",\"tail\":\"{tail}\"}}\n"
    )
}

/// Id, ledger and tail out of a first line.
fn read_header(line: &str) -> Option<(String, String, bool)> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    if value.get("ringfence_journal")?.as_u64()? != 1 {
        return None;
    }
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_string());
    Some((text("id")?, text("ledger")?, text("tail")? == WHOLE))
}

/// A journal that is locked and has not been read yet.
pub(super) struct Locked {
    file: File,
    path: PathBuf,
    text: Vec<u8>,
    made: bool,
}

impl Locked {
    /// Opens and locks the file, and looks whether it is a journal. One that is not ours is left as it is.
    pub(super) fn open(path: &Path) -> Result<Locked, OpenError> {
        let made = !path.exists();
        let wrong = |error| OpenError::unusable(path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path).map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_path_buf())),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let length = file.metadata().map_err(wrong)?.len();
        let mut text = vec![0; usize::try_from(length.min(4096)).unwrap_or(4096)];
        file.read_exact_at(&mut text, 0).map_err(wrong)?;
        let locked = Locked {
            file,
            path: path.to_path_buf(),
            text,
            made,
        };
        if !locked.text.is_empty() && locked.first_line().is_none() {
            return Err(OpenError::NotOurs(path.to_path_buf()));
        }
        Ok(locked)
    }

    /// Takes back what opening has made.
    pub(super) fn give_up(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Whether there is anything after the first line.
    pub(super) fn has_lines(&self) -> bool {
        let first = self.text.iter().position(|byte| *byte == b'\n');
        first.is_some_and(|end| self.text.len() > end + 1)
    }

    fn first_line(&self) -> Option<(String, String, bool)> {
        let end = self.text.iter().position(|byte| *byte == b'\n')?;
        read_header(std::str::from_utf8(&self.text[..end]).ok()?)
    }

    /// The journal of this ledger, cut after its last whole line. Tells whether nothing can be missing at its end.
    pub(super) fn of(self, ledger: &str, new_id: &str) -> Result<(Journal, bool), OpenError> {
        let wrong = |error| OpenError::unusable(&self.path, &error);
        let known = self.first_line();
        let length = self.file.metadata().map_err(wrong)?.len();
        let (id, whole) = match known {
            Some((id, of, whole)) if of == ledger => (id, whole),
            // Lines of another ledger may be all there is of somebody's calls.
            Some((id, of, _)) if length > header(&id, &of, WHOLE).len() as u64 => {
                return Err(OpenError::Foreign(self.path.clone()));
            }
            Some(_) | None => (new_id.to_string(), true),
        };
        let first = header(&id, ledger, if whole { WHOLE } else { BROKEN });
        let mut journal = Journal {
            header: first.len() as u64,
            len: first.len() as u64,
            file: self.file,
            id,
            ledger: ledger.to_string(),
            base: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            torn: false,
            marked: !whole,
            lost: 0,
        };
        let wrong = |error| OpenError::unusable(&self.path, &error);
        journal
            .file
            .write_all_at(first.as_bytes(), 0)
            .map_err(wrong)?;
        journal.len = journal.last_line_end(length).map_err(wrong)?;
        journal.file.set_len(journal.len).map_err(wrong)?;
        // Once, so that a power cut soon after leaves a first line that is read again, and not zeros.
        journal.file.sync_all().map_err(wrong)?;
        Ok((journal, whole))
    }
}

impl Journal {
    /// Where the last whole line ends.
    fn last_line_end(&self, length: u64) -> io::Result<u64> {
        let mut piece = vec![0; PIECE];
        let mut end = length;
        while end > self.header {
            let start = end.saturating_sub(PIECE as u64).max(self.header);
            let part = &mut piece[..usize::try_from(end - start).unwrap_or(PIECE)];
            self.file.read_exact_at(part, start)?;
            if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + at as u64 + 1);
            }
            end = start;
        }
        Ok(self.header)
    }

    /// Writes a line, or keeps it in memory until [`Journal::retry`]. Tells the position after it.
    ///
    /// # Errors
    /// Why it is only in memory.
    pub(super) fn append(&mut self, line: String) -> (u64, io::Result<()>) {
        if self.waiting_bytes.saturating_add(line.len()) > MOST_WAITING {
            self.lost += 1;
            return (self.end(), Err(io::Error::other("too much waits already")));
        }
        self.waiting_bytes += line.len();
        self.waiting.push_back(line);
        let result = self.retry();
        (self.end(), result)
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Why some of it still does.
    pub(super) fn retry(&mut self) -> io::Result<()> {
        while let Some(line) = self.waiting.front() {
            if let Err(error) = self.write(line.len() as u64) {
                if !self.marked {
                    // In place, so that a full disk does not stand in the way.
                    self.marked = self.mark(BROKEN).is_ok();
                }
                return Err(error);
            }
            if let Some(line) = self.waiting.pop_front() {
                self.waiting_bytes -= line.len();
            }
        }
        if self.marked && self.lost == 0 && self.mark(WHOLE).is_ok() {
            self.marked = false;
        }
        Ok(())
    }

    fn write(&mut self, bytes: u64) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        let Some(line) = self.waiting.front() else {
            return Ok(());
        };
        self.torn = true;
        self.file.write_all_at(line.as_bytes(), self.len)?;
        self.torn = false;
        self.len += bytes;
        Ok(())
    }

    fn mark(&self, tail: &str) -> io::Result<()> {
        let first = header(&self.id, &self.ledger, tail);
        self.file.write_all_at(first.as_bytes(), 0)
    }

    /// The position after everything that was recorded, written or waiting.
    pub(super) fn end(&self) -> u64 {
        self.base + self.len + self.waiting_bytes as u64
    }

    /// The position of the first line.
    pub(super) fn start(&self) -> u64 {
        self.base + self.header
    }

    /// Whether something waits in memory.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Lines that found no place even in memory.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Written lines from this position on, and the position after them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&self, from: u64) -> io::Result<(Vec<u8>, u64)> {
        let offset = from.saturating_sub(self.base).max(self.header);
        let mut want = PIECE;
        loop {
            let there = self.len.saturating_sub(offset);
            let mut piece = vec![0; want.min(usize::try_from(there).unwrap_or(want))];
            self.file.read_exact_at(&mut piece, offset)?;
            match piece.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => piece.truncate(at + 1),
                // A line longer than the piece.
                None if (piece.len() as u64) < there => {
                    want *= 2;
                    continue;
                }
                None => piece.clear(),
            }
            let to = self.base + offset + piece.len() as u64;
            return Ok((piece, to));
        }
    }

    /// Begins the file anew if it is long and everything up to its end is in the store.
    pub(super) fn shorten(&mut self, stored: u64) {
        if self.len < LONG || self.is_behind() || stored < self.end() {
            return;
        }
        if self.file.set_len(self.header).is_ok() {
            self.base += self.len - self.header;
            self.len = self.header;
        }
    }

    /// Lets another process have it.
    pub(super) fn unlock(&self) {
        let _ = self.file.unlock();
    }
}

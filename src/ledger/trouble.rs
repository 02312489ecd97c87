//! Why a ledger cannot be opened, in words that say what to do.
//!
//! Each of these is found before a port is open and before anything is written, so that whoever reads it has lost nothing yet.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A ledger that cannot be used. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is a file, and it is something else.
    NotOurs(PathBuf),
    /// A newer version of this program has written it.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The newest version we know.
        known: u32,
    },
    /// It may not be written.
    ReadOnly(PathBuf),
    /// There is no room.
    Full(PathBuf),
    /// Another server writes it.
    InUse(PathBuf),
    /// The journal is another ledger's.
    Foreign(PathBuf),
    /// There is none, and it was to be read only.
    Missing(PathBuf),
    /// Anything else.
    Unusable {
        /// The file.
        path: PathBuf,
        /// The system's or the store's own words.
        why: String,
    },
}

impl OpenError {
    pub(super) fn unusable(path: &Path, error: &io::Error) -> OpenError {
        use io::ErrorKind;
        let path = path.to_path_buf();
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly(path)
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                OpenError::Full(path)
            }
            _ => OpenError::Unusable {
                path,
                why: error.to_string(),
            },
        }
    }

    /// By the store's result code (sqlite.org/rescode.html), whose lowest byte is the kind.
    pub(super) fn store(path: &Path, error: &sqlx::Error) -> OpenError {
        let code = error
            .as_database_error()
            .and_then(|error| error.code())
            .and_then(|code| code.parse::<u32>().ok());
        let path = path.to_path_buf();
        match code.map(|code| code & 0xff) {
            Some(3 | 8) => OpenError::ReadOnly(path),
            Some(5 | 6) => OpenError::InUse(path),
            _ if code == Some(4874) => OpenError::Full(path), // the index of its log cannot be made longer
            Some(13) => OpenError::Full(path),
            Some(26) => OpenError::NotOurs(path),
            _ => OpenError::Unusable {
                path,
                why: error.to_string(),
            },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotOurs(path) => write!(
                f,
                "{} is not a ledger of Ringfence and was left as it is. Name another path, or move that file away",
                path.display()
            ),
            OpenError::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer version of Ringfence (version {found} of its tables; this program knows {known}). \
                 Run that version, or name another path",
                path.display()
            ),
            OpenError::ReadOnly(path) => write!(
                f,
                "{} may not be written. Give the user that runs this server the right to write it and its folder",
                path.display()
            ),
            OpenError::Full(path) => write!(
                f,
                "{} cannot grow: the disk, or its quota, is full. Make room",
                path.display()
            ),
            OpenError::InUse(path) => write!(
                f,
                "{} is in use by another server. Two cannot share a ledger: stop that one, or name another path",
                path.display()
            ),
            OpenError::Foreign(path) => write!(
                f,
                "{} holds facts of another ledger than the one beside it. They may be all there is of some calls: \
                 put back the ledger they belong to, or move this file away",
                path.display()
            ),
            OpenError::Missing(path) => write!(
                f,
                "there is no ledger at {} yet: `ringfence serve` makes it",
                path.display()
            ),
            OpenError::Unusable { path, why } => {
                write!(f, "{} cannot be used: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// What was to be recorded is not on disk, and may not be for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing;

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ledger cannot be written")
    }
}

impl std::error::Error for Failing {}

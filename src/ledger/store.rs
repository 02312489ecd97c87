//! The ledger's file: SQLite, opened with suspicion and written in batches.
//!
//! A file that is not ours, that a newer version has written, or that cannot be written is left exactly as it is: it is looked at before
//! SQLite may touch it. Facts come in from the journal and may come twice; the second time changes nothing.

use super::OpenError;
use super::chain::Entry;
use super::transcripts::Line;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The migrations, in order; the version of a ledger is how many of them it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

/// What the file says of itself, where `file` and others look: "Rfnc".
const APPLICATION: u32 = 0x5266_6e63;

/// How every SQLite file begins (its file format, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long somebody else, such as a backup, may keep the file locked before it counts as failing.
const BUSY: Duration = Duration::from_secs(2);

/// The newest version that this program knows.
pub(super) fn version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The file, open for writing: of these there is one.
pub(super) struct Store {
    connection: SqliteConnection,
    /// Its own name, which its journal carries too.
    pub(super) id: String,
    /// What callers' numbers are mixed with.
    pub(super) salt: String,
}

/// What stands at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A ledger.
    Ledger,
}

/// Looks at what stands at the path, and touches nothing.
pub(super) fn look(path: &Path) -> Result<Found, OpenError> {
    let unusable = |error| OpenError::unusable(path, &error);
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(unusable(error)),
    };
    if !about.is_file() {
        return Err(OpenError::NotOurs(path.to_path_buf()));
    }
    if about.len() > 0 {
        let mut head = [0; 100];
        let mut file = std::fs::File::open(path).map_err(unusable)?;
        file.read_exact(&mut head)
            .map_err(|_| OpenError::NotOurs(path.to_path_buf()))?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if &head[..16] != MAGIC || word(68) != APPLICATION {
            return Err(OpenError::NotOurs(path.to_path_buf()));
        }
        is_known(path, word(60))?;
    }
    // Even where the system would let us, as it lets root: somebody has said no.
    if about.permissions().readonly() {
        return Err(OpenError::ReadOnly(path.to_path_buf()));
    }
    OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(unusable)?;
    if about.len() == 0 {
        return Ok(Found::Nothing);
    }
    Ok(Found::Ledger)
}

fn is_known(path: &Path, found: u32) -> Result<(), OpenError> {
    if found > version() {
        return Err(OpenError::Newer {
            path: path.to_path_buf(),
            found,
            known: version(),
        });
    }
    Ok(())
}

/// The folder of the file: made if it is missing, and writable.
pub(super) fn folder(path: &Path) -> Result<(), OpenError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| OpenError::unusable(folder, &error))?;
    let about = std::fs::metadata(folder).map_err(|error| OpenError::unusable(folder, &error))?;
    if about.permissions().readonly() {
        return Err(OpenError::ReadOnly(folder.to_path_buf()));
    }
    Ok(())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

/// A connection that only reads.
pub(super) async fn reader(path: &Path) -> Result<SqliteConnection, OpenError> {
    let wrong = |error| OpenError::store(path, &error);
    if look_read(path)? == Found::Nothing {
        return Err(OpenError::Missing(path.to_path_buf()));
    }
    options(path).read_only(true).connect().await.map_err(wrong)
}

/// As [`look`], by somebody who will only read.
fn look_read(path: &Path) -> Result<Found, OpenError> {
    match look(path) {
        Err(OpenError::ReadOnly(_)) => Ok(Found::Ledger),
        found => found,
    }
}

impl Store {
    /// Opens the file, or makes it; `new_names` are an id and a salt in case it is new.
    pub(super) async fn open(path: &Path, new_names: [&str; 2]) -> Result<Store, OpenError> {
        let found = look(path)?;
        let is_there = path.exists();
        let opened = Store::open_found(path, found, new_names).await;
        if opened.is_err() && !is_there {
            for part in ["", "-wal", "-shm", "-journal"] {
                let _ = std::fs::remove_file(beside(path, part));
            }
        }
        opened
    }

    async fn open_found(
        path: &Path,
        found: Found,
        new_names: [&str; 2],
    ) -> Result<Store, OpenError> {
        if found == Found::Nothing {
            // Made here, because only so nobody else may read it.
            let mut new = OpenOptions::new();
            new.write(true).create(true).truncate(false).mode(0o600);
            new.open(path)
                .map_err(|error| OpenError::unusable(path, &error))?;
        }
        let wrong = |error| OpenError::store(path, &error);
        let mut connection = options(path).connect().await.map_err(wrong)?;
        let seen: u32 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut connection)
            .await
            .map_err(wrong)?;
        is_known(path, seen)?;
        migrate(&mut connection, seen, new_names)
            .await
            .map_err(wrong)?;
        for pragma in [
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = OFF",
            // What is deleted is overwritten.
            "PRAGMA secure_delete = ON",
        ] {
            sqlx::raw_sql(pragma)
                .execute(&mut connection)
                .await
                .map_err(wrong)?;
        }
        // Something is written, so that a disk that takes nothing more is noticed now.
        set_version(&mut connection, version())
            .await
            .map_err(wrong)?;
        let id = meta(&mut connection, "id").await.map_err(wrong)?;
        let salt = meta(&mut connection, "salt").await.map_err(wrong)?;
        Ok(Store {
            connection,
            id,
            salt,
        })
    }

    /// Writes facts down for good; those that are there already stay as they are.
    pub(super) async fn write(&mut self, entries: &[Entry]) -> Result<(), sqlx::Error> {
        let mut all = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for entry in entries {
            sqlx::query(
                "INSERT OR IGNORE INTO facts (call, seq, unix_ms, event, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(&*entry.call)
            .bind(i64::try_from(entry.seq).unwrap_or(i64::MAX))
            .bind(entry.unix_ms)
            .bind(entry.event.as_str())
            .bind(entry.body.as_str())
            .bind(entry.hash.as_str())
            .execute(&mut *all)
            .await?;
        }
        all.commit().await
    }

    /// Writes down what was said.
    pub(super) async fn write_down(&mut self, lines: &[Line]) -> Result<(), sqlx::Error> {
        let mut all = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for line in lines {
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            sqlx::query("INSERT OR IGNORE INTO transcripts VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(&*line.call)
                .bind(whole(line.n))
                .bind(line.said.unix_ms)
                .bind(whole(line.said.at_ms))
                .bind(line.said.who.as_str())
                .bind(line.said.heard.as_str())
                .bind(line.said.unheard.as_str())
                .bind(line.expires_unix_ms)
                .execute(&mut *all)
                .await?;
        }
        all.commit().await
    }

    /// Deletes what was said and has had its time; tells how many lines. SQLite's own log is folded into the file after it in this
    /// `manner`, or it would still hold them: `TRUNCATE` waits for readers, `PASSIVE` does what it can.
    pub(super) async fn forget_expired(&mut self, manner: &str) -> Result<u64, sqlx::Error> {
        let now = jiff::Timestamp::now().as_millisecond();
        let deleted = sqlx::query("DELETE FROM transcripts WHERE expires_unix_ms <= ?")
            .bind(now)
            .execute(&mut self.connection)
            .await?
            .rows_affected();
        if deleted > 0 {
            let fold = format!("PRAGMA wal_checkpoint({manner})");
            sqlx::raw_sql(AssertSqlSafe(fold))
                .execute(&mut self.connection)
                .await?;
            tracing::info!(event = "transcript.expired", lines = deleted);
        }
        Ok(deleted)
    }

    /// Closes the file, which folds SQLite's own log into it.
    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
    }
}

/// The path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(end);
    PathBuf::from(name)
}

async fn migrate(
    connection: &mut SqliteConnection,
    seen: u32,
    [id, salt]: [&str; 2],
) -> Result<(), sqlx::Error> {
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if version <= seen {
            continue;
        }
        let mut all = connection.begin_with("BEGIN EXCLUSIVE").await?;
        let now: u32 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *all)
            .await?;
        // Somebody else was faster.
        if now >= version {
            continue;
        }
        sqlx::raw_sql(*migration).execute(&mut *all).await?;
        if version == 1 {
            let mark = format!("PRAGMA application_id = {APPLICATION}");
            sqlx::raw_sql(AssertSqlSafe(mark))
                .execute(&mut *all)
                .await?;
            for (key, value) in [("id", id), ("salt", salt)] {
                sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?)")
                    .bind(key)
                    .bind(value)
                    .execute(&mut *all)
                    .await?;
            }
        }
        set_version(&mut all, version).await?;
        all.commit().await?;
    }
    Ok(())
}

async fn set_version(connection: &mut SqliteConnection, version: u32) -> Result<(), sqlx::Error> {
    let set = format!("PRAGMA user_version = {version}");
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn meta(
    connection: &mut SqliteConnection,
    key: &str,
) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
        .bind(key)
        .fetch_one(connection)
        .await
}

//! A ledger that cannot be used is said to be so at the start, and is left as it was.

use super::shelf::{Call, Shelf, opened};
use ringfence::ledger::{Ledger, OpenError};
use std::os::unix::fs::PermissionsExt;

async fn refused(shelf: &Shelf) -> OpenError {
    match Ledger::open(&shelf.settings()).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// Everything in the folder, by name and content.
fn everything(shelf: &Shelf) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(&shelf.folder).expect("a folder");
    let mut all: Vec<_> = files
        .map(|file| {
            let path = file.expect("a file").path();
            (
                path.display().to_string(),
                std::fs::read(&path).expect("its content"),
            )
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn somebody_elses_file_is_refused_and_left_as_it_is() {
    let shelf = Shelf::new();
    std::fs::write(shelf.path(), "Dear diary, ".repeat(100)).expect("a file");
    let before = everything(&shelf);
    assert_eq!(refused(&shelf).await, OpenError::NotOurs(shelf.path()));
    assert_eq!(everything(&shelf), before);
    let other = Shelf::new();
    other
        .sql("CREATE TABLE songs (name TEXT); PRAGMA user_version = 7;")
        .await
        .expect("a database");
    let before = everything(&other);
    assert_eq!(refused(&other).await, OpenError::NotOurs(other.path()));
    assert_eq!(everything(&other), before);
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_refused_and_left_as_it_is() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    ledger.close().await;
    shelf
        .sql("PRAGMA user_version = 99")
        .await
        .expect("a version");
    std::fs::remove_file(shelf.journal()).expect("a journal");
    let before = everything(&shelf);
    let said = refused(&shelf).await;
    assert!(
        matches!(
            said,
            OpenError::Newer {
                found: 99,
                known: 3,
                ..
            }
        ),
        "{said}"
    );
    assert_eq!(everything(&shelf), before);
}

#[tokio::test]
async fn a_ledger_that_may_not_be_written_is_refused() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    ledger.close().await;
    let before = everything(&shelf);
    let mut rights = std::fs::metadata(shelf.path())
        .expect("a file")
        .permissions();
    rights.set_mode(0o444);
    std::fs::set_permissions(shelf.path(), rights.clone()).expect("rights");
    assert_eq!(refused(&shelf).await, OpenError::ReadOnly(shelf.path()));
    assert_eq!(everything(&shelf), before);
    let folder = Shelf::new();
    rights.set_mode(0o555);
    std::fs::set_permissions(&folder.folder, rights).expect("rights");
    assert_eq!(
        refused(&folder).await,
        OpenError::ReadOnly(folder.folder.clone())
    );
}

#[tokio::test]
async fn two_servers_never_share_a_ledger() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let call = Call::begin(&ledger, "rf-1").await;
    assert_eq!(refused(&shelf).await, OpenError::InUse(shelf.journal()));
    drop(call);
    ledger.close().await;
    assert_eq!(
        shelf.open().await.1.len(),
        1,
        "the first one's call was not closed by the second"
    );
}

#[tokio::test]
async fn a_journal_of_another_ledger_is_not_thrown_away() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    Call::whole(&ledger, "rf-1").await;
    ledger.close().await;
    std::fs::remove_file(shelf.path()).expect("a ledger");
    let before = everything(&shelf);
    assert_eq!(refused(&shelf).await, OpenError::Foreign(shelf.journal()));
    assert_eq!(everything(&shelf), before);
    std::fs::write(shelf.journal(), "a shopping list\n").expect("a file");
    assert_eq!(refused(&shelf).await, OpenError::NotOurs(shelf.journal()));
}

#[tokio::test]
async fn a_grant_is_on_disk_when_the_call_may_begin() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let recorder = ledger.begin(&opened("rf-1")).await.expect("a call");
    // Read past our own connection, as if this process were gone.
    let lines = shelf.lines("rf-1").await;
    assert_eq!(lines[0].json()["granted_nanos"], 125_000_000);
    drop(recorder);
}

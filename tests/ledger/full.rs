//! A disk that is full: said at the start, survived by a call, and nothing of it forgotten.

use super::shelf::{Call, Shelf, opened};
use ringfence::ledger::{Books, Ledger, OpenError, Settings, verify};
use ringfence::units::Usd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A small disk of our own; `None` where we may not have one.
struct Disk(PathBuf);

impl Disk {
    fn mount(shelf: &Shelf, size: &str) -> Option<Disk> {
        let folder = shelf.folder.join("disk");
        std::fs::create_dir_all(&folder).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk(folder)),
            other => {
                eprintln!("not tried: only root may mount a small disk to fill ({other:?})");
                None
            }
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            path: self.0.join("ringfence.db"),
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes every last byte.
    fn fill(&self) {
        use std::io::Write;
        let mut filler = std::fs::File::create(self.filler()).expect("a file");
        for piece in [65_536, 4096, 1] {
            while filler.write(&vec![0; piece]).is_ok_and(|n| n > 0) {}
        }
    }

    fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("a filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("a folder");
    files
        .map(|file| file.expect("a file").file_name().to_string_lossy().into())
        .collect()
}

#[tokio::test]
async fn a_full_disk_is_said_at_the_start_whether_the_ledger_is_new_or_not() {
    let shelf = Shelf::new();
    let Some(disk) = Disk::mount(&shelf, "1m") else {
        return;
    };
    disk.fill();
    let path = disk.settings().path;
    let refused = Ledger::open(&disk.settings()).await.err();
    assert_eq!(refused, Some(OpenError::Full(path.clone())));
    assert_eq!(names(&disk.0), ["filler"], "nothing was left behind");
    disk.clear();
    let (ledger, _) = Ledger::open(&disk.settings()).await.expect("a ledger");
    ledger.close().await;
    disk.fill();
    let refused = Ledger::open(&disk.settings()).await.err();
    assert!(matches!(refused, Some(OpenError::Full(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_spent_while_the_disk_is_full_is_written_down_when_there_is_room() {
    let shelf = Shelf::new();
    let Some(disk) = Disk::mount(&shelf, "2m") else {
        return;
    };
    let (ledger, _) = Ledger::open(&disk.settings()).await.expect("a ledger");
    let mut call = Call::begin(&ledger, "rf-1").await;
    call.asks();
    ledger.flush().await.expect("on disk");
    disk.fill();
    let mut failing = ledger.failing();
    for _ in 0..1_000 {
        call.listens();
    }
    assert!(*failing.borrow_and_update());
    let journal = std::fs::read(disk.0.join("ringfence.db.journal")).expect("a journal");
    let first = String::from_utf8_lossy(&journal[..150]).into_owned();
    assert!(first.contains(r#""tail":"missing""#), "{first}");
    assert!(ledger.begin(&opened("rf-2")).await.is_err());
    assert!(call.recorder.granted(Usd::from_micros(1)).await.is_err());
    call.hears();
    call.ends();
    disk.clear();
    let recovered = failing.wait_for(|failing| !failing);
    let recovered = tokio::time::timeout(Duration::from_secs(10), recovered).await;
    assert!(recovered.is_ok_and(|waited| waited.is_ok()), "it recovers");
    ledger.flush().await.expect("on disk");
    let mut books = Books::open(&disk.settings().path).await.expect("books");
    let lines = books.call("rf-1").await.expect("lines");
    assert_eq!(lines.len(), 1_006);
    assert_eq!(verify(&lines), []);
    ledger.close().await;
    let (_, open) = Ledger::open(&disk.settings()).await.expect("a ledger");
    assert!(open.is_empty());
}

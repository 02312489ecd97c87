//! What was recorded is there tomorrow, whatever became of the process.

use super::shelf::{Call, Shelf, opened};
use jiff::tz::TimeZone;
use ringfence::ledger::books::{By, Filter};
use ringfence::ledger::{Books, CarrierRecord, verify};
use ringfence::units::{CallId, Usd};
use std::io::Write;

#[tokio::test]
async fn a_call_is_there_after_a_restart_and_its_bill_can_be_made_again() {
    let shelf = Shelf::new();
    let (ledger, open) = shelf.open().await;
    assert!(open.is_empty());
    let spent = Call::whole(&ledger, "rf-1").await;
    ledger.close().await;
    let (ledger, open) = shelf.open().await;
    assert!(open.is_empty(), "it had ended");
    let lines = shelf.lines("rf-1").await;
    let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(
        events,
        [
            "call.opened",
            "call.minute",
            "call.answered",
            "call.asked",
            "call.turn",
            "call.ended"
        ]
    );
    assert_eq!(verify(&lines), []);
    assert_eq!(
        shelf.lines("CA-rf-1").await,
        lines,
        "the carrier's name finds it too"
    );
    let today = ledger.spent_today().await.expect("books");
    assert_eq!(today, [("desk".into(), "0011223344556677".into(), spent)]);
    assert!(!lines[0].body.contains("4155550171"), "numbers are masked");
}

#[tokio::test]
async fn the_books_list_calls_and_add_up_what_they_cost() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let spent = Call::whole(&ledger, "rf-1")
        .await
        .plus(Call::whole(&ledger, "rf-2").await);
    let open = Call::begin(&ledger, "rf-3").await;
    let mut books = Books::open(&shelf.path()).await.expect("books");
    let calls = books.calls(&Filter::default()).await.expect("calls");
    assert_eq!(calls.len(), 3);
    assert_eq!((calls[0].call.as_str(), &calls[0].ending), ("rf-3", &None));
    assert_eq!(calls[2].ending.as_deref(), Some("caller-hung-up"));
    assert_eq!(
        (calls[2].minutes, calls[2].from.as_str()),
        (1, "+1415•••0171")
    );
    let cost = calls[2].cost;
    assert_eq!(cost.spent, cost.model.plus(cost.carrier));
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    for (by, key) in [
        (By::Day, today.to_string()),
        (By::Agent, "desk".to_string()),
        (By::Caller, "0011223344556677".to_string()),
    ] {
        let rows = books.spend(by, Some((today, today))).await.expect("rows");
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0].key, rows[0].calls, rows[0].cost.spent),
            (&key, 2, spent)
        );
    }
    let yesterday = today.yesterday().expect("a day");
    let filter = Filter {
        days: Some((yesterday, yesterday)),
        ..Filter::default()
    };
    assert_eq!(books.calls(&filter).await.expect("calls"), []);
    drop(open);
}

#[tokio::test]
async fn what_only_the_journal_has_is_taken_over_once_at_the_next_start() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    Call::whole(&ledger, "rf-1").await;
    ledger.close().await;
    let journal = std::fs::read(shelf.journal()).expect("a journal");
    // The store is lost; what the journal holds makes it whole again, and a second time changes nothing.
    let lines = shelf.lines("rf-1").await;
    for _ in 0..2 {
        std::fs::write(shelf.journal(), &journal).expect("the old journal");
        let (ledger, open) = shelf.open().await;
        assert!(open.is_empty());
        assert_eq!(shelf.lines("rf-1").await, lines);
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_line_that_was_torn_by_a_crash_is_cut_off_and_what_was_before_it_counts() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let mut call = Call::begin(&ledger, "rf-1").await;
    call.asks();
    ledger.close().await;
    let mut journal = std::fs::OpenOptions::new()
        .append(true)
        .open(shelf.journal())
        .expect("a journal");
    journal
        .write_all(br#"{"call":"rf-1","seq":5,"ms":17"#)
        .expect("half a line");
    let (ledger, open) = shelf.open().await;
    assert_eq!(open.len(), 1);
    assert!(open[0].is_whole, "same machine, same journal");
    assert_eq!(open[0].entries.len(), 4);
    Call::whole(&ledger, "rf-2").await;
    ledger.close().await;
    assert_eq!(verify(&shelf.lines("rf-2").await), []);
}

#[tokio::test]
async fn a_call_that_was_left_open_is_charged_once_what_it_may_have_cost() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let mut call = Call::begin(&ledger, "rf-1").await;
    let bound = call.asks();
    ledger.close().await;
    let (ledger, open) = shelf.open().await;
    let lost = ledger.close_lost(&open[0], None).await.expect("closed");
    let say = super::shelf::rules().say;
    let minute = super::shelf::rules().minute;
    assert_eq!(lost.unreported, bound.plus(say));
    // 311 seconds are six minutes.
    assert_eq!((lost.ran_on_minutes, lost.ran_on), (5, minute.times(5)));
    assert_eq!(lost.spent(), minute.times(6).plus(bound).plus(say));
    ledger.close().await;
    let (ledger, open) = shelf.open().await;
    assert!(open.is_empty(), "closed once");
    assert_eq!(verify(&shelf.lines("rf-1").await), []);
    let spent = ledger.spent_today().await.expect("books")[0].2;
    assert_eq!(spent, lost.spent());
}

#[tokio::test]
async fn without_the_journal_a_lost_call_is_charged_all_it_was_granted() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    let mut call = Call::begin(&ledger, "rf-1").await;
    call.asks();
    let more = Usd::from_micros(50_000);
    call.recorder.granted(more).await.expect("on disk");
    ledger.close().await;
    std::fs::remove_file(shelf.journal()).expect("a journal");
    let (ledger, open) = shelf.open().await;
    assert!(!open[0].is_whole);
    let lost = ledger.close_lost(&open[0], Some(1)).await.expect("closed");
    assert_eq!(lost.spent(), opened("rf-1").granted.plus(more));
}

#[tokio::test]
async fn the_carriers_own_account_is_added_to_a_call_that_is_long_over() {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    Call::whole(&ledger, "rf-1").await;
    ledger.close().await;
    let (ledger, _) = shelf.open().await;
    let record = CarrierRecord {
        duration_s: Some(61),
        minutes: Some(2),
        price: Some(Usd::from_micros(17_000)),
    };
    let call = CallId::from("rf-1");
    for _ in 0..2 {
        assert_eq!(ledger.carrier_record(&call, &record).await, Ok(true));
    }
    let nobody = CallId::from("rf-none");
    assert_eq!(ledger.carrier_record(&nobody, &record).await, Ok(false));
    let lines = shelf.lines("rf-1").await;
    assert_eq!(lines.len(), 8);
    assert_eq!(verify(&lines), []);
}

//! What is changed afterwards is noticed.

use super::shelf::{Call, Shelf};
use ringfence::ledger::verify;

/// A shelf with one whole call, and nobody who holds it.
async fn shelf() -> Shelf {
    let shelf = Shelf::new();
    let (ledger, _) = shelf.open().await;
    Call::whole(&ledger, "rf-1").await;
    ledger.close().await;
    shelf
}

async fn said(shelf: &Shelf) -> Vec<String> {
    let findings = verify(&shelf.lines("rf-1").await);
    findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn facts_cannot_be_changed_removed_or_replaced() {
    let shelf = shelf().await;
    let lines = shelf.lines("rf-1").await;
    for sql in [
        "UPDATE facts SET body = '{}' WHERE seq = 2",
        "DELETE FROM facts",
    ] {
        let error = shelf.sql(sql).await.expect_err("refused");
        assert!(error.to_string().contains("only grows"), "{error}");
    }
    shelf
        .sql("INSERT OR REPLACE INTO facts SELECT call, seq, unix_ms, event, '{}', hash FROM facts")
        .await
        .expect("nothing to do");
    assert_eq!(shelf.lines("rf-1").await, lines);
}

#[tokio::test]
async fn a_line_that_was_altered_in_spite_of_that_is_named() {
    let shelf = shelf().await;
    shelf
        .sql(
            "DROP TRIGGER facts_are_not_changed;
             UPDATE facts SET body = replace(body, '\"audio_out\":98', '\"audio_out\":8') WHERE seq = 5",
        )
        .await
        .expect("done");
    let said = said(&shelf).await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("rf-1 line 5 (call.turn): was altered"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("rf-1 line 5 (call.turn): costs 0.00"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_line_that_was_removed_is_missed() {
    let shelf = shelf().await;
    shelf
        .sql("DROP TRIGGER facts_are_not_removed; DELETE FROM facts WHERE seq = 3")
        .await
        .expect("done");
    assert_eq!(
        said(&shelf).await,
        ["rf-1 line 4 (call.asked): line 3 before it is missing"]
    );
}

#[tokio::test]
async fn a_line_that_was_put_in_stands_out() {
    let shelf = shelf().await;
    shelf
        .sql(
            "INSERT INTO facts SELECT call, 7, unix_ms, event, body, hash FROM facts WHERE seq = 5",
        )
        .await
        .expect("done");
    let said = said(&shelf).await;
    assert!(
        said[0].starts_with("rf-1 line 7 (call.turn): was altered"),
        "{said:?}"
    );
    assert!(
        said[1].ends_with("comes after the end of the call"),
        "{said:?}"
    );
}

//! dummy
use super::desk::Desk;

#[tokio::test]
async fn look() {
    let desk = Desk::new();
    let _ledger = desk.day().await;
    for words in [
        &["calls", "list"][..],
        &["calls", "list", "--json", "--limit", "1"],
        &["calls", "show", "rf-talk"],
        &["calls", "show", "CA-rf-dead"],
        &["calls", "show", "rf-live"],
        &["calls", "show", "rf-late"],
        &["calls", "show", "rf-live", "--json"],
        &["calls", "export", "--csv"],
        &["calls", "verify"],
        &["calls", "verify", "rf-x"],
        &["spend", "--by", "day"],
        &["spend", "--by", "caller"],
        &["spend", "--by", "agent", "--json"],
    ] {
        let (code, out, err) = desk.run(words);
        println!("$ ringfence {} => {code}\n{out}{err}", words.join(" "));
    }
}

//! What an operator sees, as the installed program prints it.

use super::desk::{Desk, program};
use expect_test::{Expect, expect};

#[track_caller]
fn prints(desk: &Desk, words: &[&str], code: i32, expected: &Expect) {
    let (ended, out, err) = desk.run(words);
    expected.assert_eq(&desk.timeless(&(out + &err)));
    assert_eq!(ended, code, "{words:?}");
}

#[tokio::test]
async fn calls_are_listed_with_what_they_cost_and_how_they_ended() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["calls", "list"],
        0,
        &expect![[r#"
          begun (UTC)          call     agent  from          length  minutes  spent USD  of cap  ran on  ending
          YYYY-MM-DD hh:mm:ss  rf-live  desk   +1415•••0171    0:05        1   0.01732     0.50          on the line
          YYYY-MM-DD hh:mm:ss  rf-late  desk   +1415•••0199                                              refused (over-budget)
          YYYY-MM-DD hh:mm:ss  rf-dear  desk   +1415•••0171    1:08        2   0.08938     0.50          said-goodbye (spend)
          YYYY-MM-DD hh:mm:ss  rf-dead  desk   +1415•••0171    0:05        6   0.12482     0.50  0.0625  lost (server)
          YYYY-MM-DD hh:mm:ss  rf-talk  desk   +1415•••0171    0:08        1   0.028367    0.50          caller-hung-up

        3 calls over: 0.242567 USD; 1 on the line: 0.01732 so far; 1 refused, free of charge.
    "#]],
    );
    prints(
        &desk,
        &["calls", "list", "--live", "--limit", "3"],
        0,
        &expect![[r#"
              begun (UTC)          call     agent  from          length  minutes  spent USD  of cap  ending
              YYYY-MM-DD hh:mm:ss  rf-live  desk   +1415•••0171    0:05        1    0.01732    0.50  on the line

            1 on the line: 0.01732 so far.
        "#]],
    );
    prints(
        &desk,
        &["calls", "list", "--limit", "1"],
        0,
        &expect![[r#"
          begun (UTC)          call     agent  from          length  minutes  spent USD  of cap  ending
          YYYY-MM-DD hh:mm:ss  rf-live  desk   +1415•••0171    0:05        1    0.01732    0.50  on the line

        1 on the line: 0.01732 so far.
        There are more: these are the latest, by --limit 1.
    "#]],
    );
    prints(
        &desk,
        &["calls", "list", "--agent", "nobody"],
        0,
        &expect![[r#"
            No calls.
        "#]],
    );
    prints(
        &desk,
        &["calls", "list", "--until", "2020-01-01"],
        0,
        &expect![[r#"
            No calls.
        "#]],
    );
}

#[tokio::test]
async fn one_call_is_shown_line_by_line() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["calls", "show", "rf-talk"],
        0,
        &expect![[r#"
        rf-talk, CA-rf-talk at the carrier
          begun    YYYY-MM-DD hh:mm:ss UTC, from +1415•••0171 to +1500•••0006
          over     YYYY-MM-DD hh:mm:ss UTC, after 0:08
          agent    desk with gpt-realtime-2.1 ([model.main])
          ending   caller-hung-up

              at  event           cost USD  spent USD  what
          0:00.0  opened                     0.00      may cost 0.50, 0.125 granted; a minute costs 0.0125
          0:00.0  minute          0.0125     0.0125    minute 1 begins
          0:00.0  answered                   0.0125    the carrier ends the call by itself after 310 s
          0:01.2  asked                      0.0125    for at most 500 tokens, which can cost 0.04
          0:03.5  turn            0.00482    0.01732   answer 1: read 63 text, 0 sound (0 cached); wrote 17 text, 65 sound
          0:03.7  transcribed     0.000147   0.017467  34 tokens of the caller's sound, 9 of text
          0:04.9  asked                      0.017467  for at most 500 tokens, which can cost 0.04
          0:07.2  turn            0.0109     0.028367  answer 2: read 63 text, 124 sound (0 cached); wrote 17 text, 98 sound
          0:07.6  interrupted                0.028367  3.400 s were heard, 1.500 s were not
          0:08.5  ended                      0.028367  caller-hung-up
          0:00.0  carrier-record             0.028367  9 s, 1 minute, 0.0085 for the connection

          total               USD
          model          0.01572   2 answers
            heard        0.0138
            unheard      0.00192   12 % of the model's share paid for speech that nobody heard
          transcription  0.000147
          carrier        0.0125    1 minute
          tools          0.00
          spent          0.028367  of 0.50, 0.125 granted

          The carrier says: 9 s, 1 minute, 0.0085 for the connection.
    "#]],
    );
}

#[tokio::test]
async fn of_a_lost_call_what_it_may_owe_and_what_ran_on_stand_apart() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["calls", "show", "CA-rf-dead"],
        0,
        &expect![[r#"
        rf-dead, CA-rf-dead at the carrier
          begun    YYYY-MM-DD hh:mm:ss UTC, from +1415•••0171 to +1500•••0006
          closed   YYYY-MM-DD hh:mm:ss UTC, last heard of after 0:05
          agent    desk with gpt-realtime-2.1 ([model.main])
          ending   lost (server)

              at  event     cost USD  spent USD  what
          0:00.0  opened                0.00     may cost 0.50, 0.125 granted; a minute costs 0.0125
          0:00.0  minute     0.0125     0.0125   minute 1 begins
          0:00.0  answered              0.0125   the carrier ends the call by itself after 310 s
          0:01.2  asked                 0.0125   for at most 500 tokens, which can cost 0.04
          0:03.5  turn       0.00482    0.01732  answer 1: read 63 text, 0 sound (0 cached); wrote 17 text, 65 sound
          0:05.5  asked                 0.01732  for at most 500 tokens, which can cost 0.04
          0:00.0  lost       0.1075     0.12482  the server died: 0.045 it may owe, 0.0625 for 5 minutes that ran on

          total              USD
          model          0.00482  1 answer
            heard        0.00482
            unheard      0.00
          transcription  0.00
          carrier        0.0125   1 minute
          tools          0.00
          unreported     0.045    what the call may owe besides, within its grant
          ran on         0.0625   5 minutes after its last line, until the carrier ended it
          spent          0.12482  of 0.50, 0.125 granted
    "#]],
    );
}

#[tokio::test]
async fn a_call_on_the_line_is_shown_with_what_it_has_spent_so_far() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["calls", "show", "rf-live"],
        0,
        &expect![[r#"
        rf-live, CA-rf-live at the carrier
          begun    YYYY-MM-DD hh:mm:ss UTC, from +1415•••0171 to +1500•••0006
          agent    desk with gpt-realtime-2.1 ([model.main])
          ending   on the line

              at  event     cost USD  spent USD  what
          0:00.0  opened                0.00     may cost 0.50, 0.125 granted; a minute costs 0.0125
          0:00.0  minute     0.0125     0.0125   minute 1 begins
          0:00.0  answered              0.0125   the carrier ends the call by itself after 310 s
          0:01.2  asked                 0.0125   for at most 500 tokens, which can cost 0.04
          0:03.5  turn       0.00482    0.01732  answer 1: read 63 text, 0 sound (0 cached); wrote 17 text, 65 sound
          0:05.5  asked                 0.01732  for at most 500 tokens, which can cost 0.04

          total              USD
          model          0.00482  1 answer
          transcription  0.00
          carrier        0.0125   1 minute
          tools          0.00
          spent so far   0.01732  of 0.50, 0.125 granted
    "#]],
    );
}

#[tokio::test]
async fn refused_calls_and_names_of_no_call_cost_nothing() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["calls", "show", "rf-late"],
        0,
        &expect![[r#"
        rf-late, CA-rf-late at the carrier
          offered  YYYY-MM-DD hh:mm:ss UTC, from +1415•••0199 to +1500•••0006
          agent    desk
          ending   refused (over-budget)

              at  event    cost USD  spent USD  what
          0:00.0  refused                 0.00  over-budget

          Refused before it was answered: it cost nothing.
    "#]],
    );
    prints(
        &desk,
        &["calls", "show", "rf-none"],
        1,
        &expect![[r#"
        ringfence: no call of this ledger is named "rf-none", by us or by the carrier
    "#]],
    );
}

#[tokio::test]
async fn an_export_has_a_row_for_each_call_and_its_dollars_are_exact() {
    let desk = Desk::new();
    let _open = desk.day().await;
    let (code, out, _) = desk.run(&["calls", "export", "--csv"]);
    let plain = out.replace("\r\n", "\n");
    assert_eq!(
        out.len(),
        plain.len() + 6,
        "each record ends as RFC 4180 has it"
    );
    let rows = expect![[r#"
        call,carrier_call,opened,over,agent,model,from,to,account,ending,cause,duration_s,minutes,cap_usd,spent_usd,model_usd,transcription_usd,carrier_usd,tools_usd,unreported_usd,ran_on_usd,unheard_usd
        rf-talk,CA-rf-talk,YYYY-MM-DDThh:mm:ss.mmmZ,YYYY-MM-DDThh:mm:ss.mmmZ,desk,main,+1415•••0171,+1500•••0006,0011223344556677,caller-hung-up,,8.590,1,0.50,0.028367,0.01572,0.000147,0.0125,0.00,0.00,0.00,0.00192
        rf-dead,CA-rf-dead,YYYY-MM-DDThh:mm:ss.mmmZ,YYYY-MM-DDThh:mm:ss.mmmZ,desk,main,+1415•••0171,+1500•••0006,0011223344556677,lost,server,5.588,6,0.50,0.12482,0.00482,0.00,0.0125,0.00,0.045,0.0625,0.00
        rf-dear,CA-rf-dear,YYYY-MM-DDThh:mm:ss.mmmZ,YYYY-MM-DDThh:mm:ss.mmmZ,desk,main,+1415•••0171,+1500•••0006,0011223344556677,said-goodbye,spend,68.605,2,0.50,0.08938,0.06438,0.00,0.025,0.00,0.00,0.00,0.00
        rf-late,CA-rf-late,YYYY-MM-DDThh:mm:ss.mmmZ,YYYY-MM-DDThh:mm:ss.mmmZ,desk,,+1415•••0199,+1500•••0006,,refused,over-budget,0.000,0,0.00,0.00,0.00,0.00,0.00,0.00,0.00,0.00,0.00
        rf-live,CA-rf-live,YYYY-MM-DDThh:mm:ss.mmmZ,,desk,main,+1415•••0171,+1500•••0006,0011223344556677,,,5.588,1,0.50,0.01732,0.00482,0.00,0.0125,0.00,0.00,0.00,0.00
    "#]];
    rows.assert_eq(&desk.timeless(&plain));
    assert_eq!(code, 0);
    let (code, out, _) = desk.run(&["calls", "export", "--json"]);
    assert_eq!(code, 0);
    assert!(out.contains("\"spent_usd\": 0.028367,"), "{out}");
    let calls: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(calls.as_array().expect("calls").len(), 5);
    let (code, _, err) = desk.run(&["calls", "export"]);
    assert_eq!(code, 2, "a form is needed: {err}");
}

#[tokio::test]
async fn spend_adds_up_by_day_agent_and_caller() {
    let desk = Desk::new();
    let _open = desk.day().await;
    prints(
        &desk,
        &["spend"],
        0,
        &expect![[r#"
          day (UTC)   calls  spent USD    model  transcription  carrier  unreported  ran on  unheard
          YYYY-MM-DD      3   0.242567  0.08492       0.000147     0.05       0.045  0.0625  0.00192
          all             3   0.242567  0.08492       0.000147     0.05       0.045  0.0625  0.00192

        0.00192 USD of the model's share paid for speech that nobody heard.

        from YYYY-MM-DD to YYYY-MM-DD
    "#]],
    );
    prints(
        &desk,
        &["spend", "--by", "caller", "--days", "1"],
        0,
        &expect![[r#"
              caller            calls  spent USD    model  transcription  carrier  unreported  ran on  unheard
              0011223344556677      3   0.242567  0.08492       0.000147     0.05       0.045  0.0625  0.00192
              all                   3   0.242567  0.08492       0.000147     0.05       0.045  0.0625  0.00192

            0.00192 USD of the model's share paid for speech that nobody heard.

            from YYYY-MM-DD to YYYY-MM-DD
        "#]],
    );
    let (_, out, _) = desk.run(&["spend", "--by", "agent", "--json"]);
    assert!(out.contains("\"spent_usd\": 0.242567,"), "{out}");
    let empty = Desk::new();
    empty.open().await.close().await;
    let (code, out, _) = empty.run(&["spend"]);
    assert!(code == 0 && out.starts_with("Nothing was spent"), "{out}");
}

#[tokio::test]
async fn every_cent_is_verified_and_an_altered_line_is_named() {
    let desk = Desk::new();
    desk.day().await.close().await;
    prints(
        &desk,
        &["calls", "verify"],
        0,
        &expect![[r#"
        5 calls, 38 lines: every hash fits, and every cent.
    "#]],
    );
    prints(
        &desk,
        &["calls", "verify", "CA-rf-talk"],
        0,
        &expect![[r#"
        1 call, 11 lines: every hash fits, and every cent.
    "#]],
    );
    // Somebody with an editor for databases makes an answer cheaper.
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(desk.path());
    let mut connection = options.connect().await.expect("a database");
    sqlx::raw_sql(
        "DROP TRIGGER facts_are_not_changed;
         UPDATE facts SET body = replace(body, '\"cost_nanos\":10900000', '\"cost_nanos\":1090000') WHERE call = 'rf-talk'",
    )
    .execute(&mut connection)
    .await
    .expect("altered");
    connection.close().await.expect("closed");
    prints(
        &desk,
        &["calls", "verify", "--all"],
        1,
        &expect![[r#"
        rf-talk line 8 (call.turn): was altered, or the hash of the line before it was: its hash does not fit
        rf-talk line 8 (call.turn): costs 0.0109 USD, and 0.00109 was recorded
        rf-talk line 8 (call.turn): says that 0.028367 USD were spent: it was 0.017467 before, and 0.018557 with this line
        rf-talk line 9 (call.interrupted): says that 0.028367 USD were spent: it was 0.018557 before, and 0.018557 with this line
        rf-talk line 10 (call.ended): says 0.01572 USD for model, and the lines say 0.00591
        rf-talk line 10 (call.ended): says that 0.028367 USD were spent: it was 0.018557 before, and 0.018557 with this line

        5 calls, 38 lines: 6 things wrong, in 1 call.
    "#]],
    );
}

#[tokio::test]
async fn the_ledger_is_found_by_the_configuration_without_any_secret() {
    let desk = Desk::new();
    desk.day().await.close().await;
    let url = format!("sqlite:{}", desk.path().display());
    let config = desk.file("ringfence.toml", &format!("[ledger]\nurl = \"{url}\"\n"));
    let (code, out, err) = program(&["calls", "list", "--config", &config], &[]);
    assert!(code == 0 && out.contains("rf-talk"), "{out}{err}");
    let (code, out, _) = program(&["spend"], &[("RINGFENCE__LEDGER__URL", &url)]);
    assert!(code == 0 && out.contains("0.242567"), "{out}");
    let config = desk.file("bad.toml", "[ledger]\nurl = \"paper:\"\n");
    let (code, _, err) = program(&["calls", "list", "--config", &config], &[]);
    assert_eq!(code, 64, "{err}");
}

#[tokio::test]
async fn a_ledger_that_is_not_there_is_told_by_its_path() {
    let desk = Desk::new();
    let said = expect![[r#"
        ringfence: there is no ledger at ~/ringfence.db yet: `ringfence serve` makes it
    "#]];
    prints(&desk, &["calls", "list"], 1, &said);
    let (code, _, err) = desk.run(&["calls", "list", "--day", "yesterday"]);
    assert_eq!(code, 2, "{err}");
    desk.file("ringfence.db", "Dear diary, ");
    let (code, _, err) = desk.run(&["spend"]);
    assert!(code == 1 && err.contains("is not a ledger"), "{err}");
}

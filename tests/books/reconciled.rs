//! The ledger beside the exports of others: what is the same is said to be, and what is not is named.

use super::desk::Desk;
use expect_test::{Expect, expect};
use jiff::Timestamp;

/// What the provider would list for the desk's day, if it agreed.
const ROWS: &str = "\
response_id,model,input_text_tokens,input_audio_tokens,input_cached_tokens,output_text_tokens,output_audio_tokens,region
resp_talk_1,gpt-realtime-2.1,63,0,0,17,65,eu
resp_talk_2,gpt-realtime-2.1,63,124,0,17,98,eu
resp_dead_1,gpt-realtime-2.1,63,0,0,17,65,eu
resp_dear_1,gpt-realtime-2.1,63,0,0,17,65,eu
resp_dear_2,gpt-realtime-2.1,63,700,0,17,160,eu
resp_dear_3,gpt-realtime-2.1,63,720,0,17,40,eu
resp_live_1,gpt-realtime-2.1,63,0,0,17,65,eu
";

const CALLS: &str = "\
Call Sid,From,To,Status,Start Time,Duration,Price,Price Unit\r
CA-rf-talk,+14155550171,+15005550006,Completed,,9,-0.0085,USD\r
CA-rf-dead,+14155550171,+15005550006,Completed,,310,-0.0510,USD\r
CA-rf-dear,+14155550171,+15005550006,Completed,,69,-0.0170,USD\r
CA-rf-late,+14155550199,+15005550006,Busy,,0,,USD\r
";

async fn reconciled(kind: &str, name: &str, text: &str, code: i32, expected: &Expect) {
    let desk = Desk::new();
    let _open = desk.day().await;
    let file = desk.file(name, text);
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let (ended, out, err) = desk.run(&["calls", "reconcile", kind, &file, "--day", &today]);
    let shown = desk.timeless(&(out + &err));
    expected.assert_eq(&shown);
    assert_eq!(ended, code);
}

#[tokio::test]
async fn a_provider_that_lists_the_same_answers_agrees() {
    let agrees = expect![[r#"
        7 answers of the ledger beside 7 entries of ~/usage.csv.
        All agree.
    "#]];
    reconciled("--provider", "usage.csv", ROWS, 0, &agrees).await;
}

#[tokio::test]
async fn every_answer_that_differs_is_named_with_both_figures() {
    let rows = ROWS
        // Dearer, unlisted, and nobody's.
        .replace(
            "resp_talk_2,gpt-realtime-2.1,63,124,0,17,98",
            "resp_talk_2,gpt-realtime-2.1,63,124,0,17,120",
        )
        .replace("resp_dead_1", "resp_elsewhere");
    let differs = expect![[r#"
        7 answers of the ledger beside 6 entries of ~/usage.csv.

          call     part                  what                           theirs               ours          more USD
          ?        resp_elsewhere        is in no call of ours          63 read, 82 written  nothing      +0.00482
          rf-dead  answer 1 resp_dead_1  is not listed by the provider  nothing              0.00482 USD  -0.00482
          rf-talk  answer 2 resp_talk_2  sound spoken                   120                  98           +0.001408

        3 things differ; the provider bills 0.001408 USD more than the ledger has, as far as that is known.
    "#]];
    reconciled("--provider", "usage.csv", &rows, 1, &differs).await;
}

#[tokio::test]
async fn events_of_the_wire_are_an_export_too() {
    let line = |response: &str, sound: u64| {
        format!(
            r#"{{"type":"response.done","event_id":"event_1","response":{{"object":"realtime.response","id":"{response}","usage":{{"total_tokens":145,"input_tokens":63,"output_tokens":{},"input_token_details":{{"text_tokens":63,"audio_tokens":0,"cached_tokens":0}},"output_token_details":{{"text_tokens":17,"audio_tokens":{sound}}}}}}}}}"#,
            17 + sound
        )
    };
    let lines = ["resp_talk_1", "resp_dead_1", "resp_dear_1"].map(|name| line(name, 65));
    let text = lines.join("\n") + "\n" + &line("resp_live_1", 66);
    let differs = expect![[r#"
        7 answers of the ledger beside 4 entries of ~/events.jsonl.

          call     part                  what                           theirs   ours          more USD
          rf-dear  answer 2 resp_dear_2  is not listed by the provider  nothing  0.0333 USD   -0.0333
          rf-dear  answer 3 resp_dear_3  is not listed by the provider  nothing  0.02626 USD  -0.02626
          rf-live  answer 1 resp_live_1  tokens written, sound spoken   83, 66   82, 65       +0.000064
          rf-talk  answer 2 resp_talk_2  is not listed by the provider  nothing  0.0109 USD   -0.0109

        4 things differ; the provider bills 0.070396 USD less than the ledger has, as far as that is known.
    "#]];
    reconciled("--provider", "events.jsonl", &text, 1, &differs).await;
}

/// A page of the provider's usage, with one bucket for today.
fn page(audio_out: u64) -> String {
    let day = 86_400;
    let start = Timestamp::now().as_second() / day * day;
    format!(
        r#"{{"object":"page","has_more":false,"data":[{{"object":"bucket","start_time":{start},"end_time":{},"results":[
        {{"object":"organization.usage.completions.result","model":"gpt-realtime-2.1-2026-08-01","num_model_requests":7,"input_tokens":{},"input_cached_tokens":0,"input_audio_tokens":1544,"output_tokens":{},"output_audio_tokens":{audio_out},"project_id":null}},
        {{"object":"organization.usage.completions.result","model":"gpt-5","num_model_requests":3,"input_tokens":99,"output_tokens":99}}]}}]}}"#,
        start + day,
        63 * 7 + 1544,
        17 * 7 + audio_out,
    )
}

#[tokio::test]
async fn a_bucket_with_the_same_sums_agrees_and_other_models_are_left_out() {
    let agrees = expect![[r#"
        7 answers of the ledger beside 1 entry of ~/usage.json; 1 of other days or models left out.
        All agree.
    "#]];
    reconciled("--provider", "usage.json", &page(558), 0, &agrees).await;
}

#[tokio::test]
async fn of_a_bucket_that_differs_the_calls_in_it_are_named() {
    let differs = expect![[r#"
        7 answers of the ledger beside 1 entry of ~/usage.json; 1 of other days or models left out.

          call     part                                                              what                          theirs    ours       more USD
          4 calls  YYYY-MM-DD hh:mm to YYYY-MM-DD hh:mm gpt-realtime-2.1-YYYY-MM-DD  tokens written, sound spoken  719, 600  677, 558  +0.002688

          YYYY-MM-DD hh:mm to YYYY-MM-DD hh:mm gpt-realtime-2.1-YYYY-MM-DD: rf-dead rf-dear rf-live rf-talk

        1 thing differs; the provider bills 0.002688 USD more than the ledger has, as far as that is known.
    "#]];
    reconciled("--provider", "usage.json", &page(600), 1, &differs).await;
}

#[tokio::test]
async fn the_older_activity_file_is_understood() {
    let text = "date,model,n_requests,n_context_tokens_total,n_generated_tokens_total\nDAY,gpt-realtime-2.1,7,1985,677\n";
    let text = text.replace("DAY", &Timestamp::now().strftime("%Y-%m-%d").to_string());
    let agrees = expect![[r#"
        7 answers of the ledger beside 1 entry of ~/activity.csv.
        All agree.
    "#]];
    reconciled("--provider", "activity.csv", &text, 0, &agrees).await;
}

#[tokio::test]
async fn an_export_without_what_is_needed_says_what_it_has() {
    let text = "when,tokens\n1,2\n";
    let said = expect![[r#"
        ringfence: ~/usage.csv: columns are missing. Found: tokens, when. Needed: a response id (response_id) or a span of time (start_time and end_time), with counts of tokens (input_tokens and output_tokens, or input_audio_tokens and output_audio_tokens)
    "#]];
    reconciled("--provider", "usage.csv", text, 1, &said).await;
    let text = "Sid,Price\nCA1,1\n";
    let said = expect![[r#"
        ringfence: ~/calls.csv: columns are missing. Found: price, sid. Needed: Call Sid, and Duration in seconds; Price, if the prices are to be compared
    "#]];
    reconciled("--carrier", "calls.csv", text, 1, &said).await;
}

#[tokio::test]
async fn a_carrier_that_billed_the_same_minutes_agrees() {
    let agrees = expect![[r#"
        4 calls of the ledger beside 4 entries of ~/calls.csv.
        All agree.
    "#]];
    reconciled("--carrier", "calls.csv", CALLS, 0, &agrees).await;
}

#[tokio::test]
async fn every_call_that_the_carrier_bills_otherwise_is_named() {
    let log = CALLS
        .replace(
            "CA-rf-talk,+14155550171,+15005550006,Completed,,9,-0.0085",
            "CA-rf-talk,+14155550171,+15005550006,Completed,,61,-0.0170",
        )
        .replace("-0.0510", "-0.1320")
        .replace("CA-rf-dear", "CA-of-somebody");
    let differs = expect![[r#"
        4 calls of the ledger beside 3 entries of ~/calls.csv.

          call     part            what                          theirs                ours                  more USD
          ?        CA-of-somebody  is no call of ours            2 minutes             nothing                +0.017
          rf-dead  CA-rf-dead      price                         0.132 USD             0.051 USD              +0.081
          rf-dear  CA-rf-dear      is not listed by the carrier  nothing               2 minutes              -0.017
          rf-talk  CA-rf-talk      minutes                       2 minutes, 0.017 USD  1 minute, 0.0085 USD   +0.0085

        4 things differ; the carrier bills 0.0895 USD more than the ledger has, as far as that is known.
    "#]];
    reconciled("--carrier", "calls.csv", &log, 1, &differs).await;
}

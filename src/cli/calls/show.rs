//! `ringfence calls show`: one call, line by line, with what each line cost.

use super::list::ending;
use super::table::{Stand, Table};
use super::verify::unknown;
use super::{Clock, Failed, Open, Which, count, json, moment};
use crate::ledger::books::CallRow;
use crate::ledger::paper::{StatementPaper, seconds};
use crate::ledger::statement::{self, SoFar};
use crate::ledger::{Entry, Said};
use crate::units::Usd;
use serde_json::Value;
use std::io::{self, Write};

/// What `calls show` takes.
#[derive(Debug, clap::Args)]
pub struct ShowArguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// The call, by our name for it or the carrier's.
    #[arg(value_name = "ID")]
    call: String,
    /// With what was said, where the agent has it kept in the ledger.
    #[arg(long)]
    transcript: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(own: &ShowArguments, mut open: Open) -> Result<bool, Failed> {
    let entries = open.books.call(&own.call).await?;
    let first = entries.first().ok_or_else(|| unknown(&own.call))?;
    // Without its first line a call is in no list; what is left of it is for `verify` to judge.
    let row = open.books.row(&first.call).await?.ok_or_else(|| {
        let call = &first.call;
        Failed::Told(format!(
            "the first line of {call} is missing: `ringfence calls verify {call}` says what else is"
        ))
    })?;
    let said = match own.transcript {
        true => open.books.transcript(&row.call).await?,
        false => Vec::new(),
    };
    let out = &mut io::stdout().lock();
    if own.json {
        json(
            out,
            &StatementPaper::new(&row, &entries).with_transcript(said),
        )?;
        return Ok(true);
    }
    head(&row, first, out)?;
    lines(&entries, out)?;
    totals(&row, &entries, out)?;
    if own.transcript {
        transcript(&said, out)?;
    }
    Ok(true)
}

/// What was said, and, in brackets, what was not heard of it.
fn transcript(said: &[Said], out: &mut dyn Write) -> io::Result<()> {
    if said.is_empty() {
        return writeln!(out, "\n  Nothing that was said is kept in the ledger.");
    }
    writeln!(out)?;
    let mut table = Table::new(&[
        ("at", Stand::Right),
        ("who", Stand::Left),
        ("said, and [not heard]", Stand::Left),
    ]);
    for line in said {
        let unheard = match line.unheard.is_empty() {
            true => String::new(),
            false => format!("[{}]", line.unheard),
        };
        let words = [line.heard.as_str(), &unheard].join(" ");
        table.row([
            format!("{}.{}", Clock(line.at_ms), line.at_ms / 100 % 10),
            line.who.clone(),
            one_line(words.trim()),
        ]);
    }
    table.write(out)
}

/// Words of strangers, without what could steer a terminal.
fn one_line(words: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    words.chars().map(plain).collect()
}

fn head(row: &CallRow, first: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let body = first.json();
    writeln!(out, "{}, {} at the carrier", row.call, row.carrier_call)?;
    let from_to = format!("from {} to {}", row.from, row.to);
    match row.over_ms {
        None => writeln!(out, "  begun    {} UTC, {from_to}", moment(row.opened_ms))?,
        Some(_) if row.model.is_empty() => {
            writeln!(out, "  offered  {} UTC, {from_to}", moment(row.opened_ms))?;
        }
        Some(over) => {
            let over = match row.ending.as_deref() {
                Some("lost") => format!("closed   {} UTC, last heard of after", moment(over)),
                _ => format!("over     {} UTC, after", moment(over)),
            };
            let begun = moment(row.opened_ms);
            writeln!(out, "  begun    {begun} UTC, {from_to}")?;
            writeln!(out, "  {over} {}", Clock(row.duration_ms))?;
        }
    }
    if !row.agent.is_empty() {
        let model = match word(&body, "model_id") {
            "" => String::new(),
            id => format!(" with {id} ([model.{}])", row.model),
        };
        writeln!(out, "  agent    {}{model}", row.agent)?;
    }
    writeln!(out, "  ending   {}\n", ending(row))
}

/// The time in the call; of lines that the call's own loop did not write, the time since the first.
fn at(entry: &Entry, body: &Value, first_ms: i64) -> String {
    let since = u64::try_from(entry.unix_ms.saturating_sub(first_ms)).unwrap_or_default();
    let at_ms = number(body, "at_ms").unwrap_or(since);
    let tenths = at_ms / 100 % 10;
    format!("{}.{tenths}", Clock(at_ms))
}

fn lines(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        ("at", Stand::Right),
        ("event", Stand::Left),
        ("cost USD", Stand::Point),
        ("spent USD", Stand::Point),
        ("what", Stand::Left),
    ]);
    let first_ms = entries.first().map_or(0, |first| first.unix_ms);
    let mut so_far = SoFar::default();
    for entry in entries {
        so_far.take(entry);
        let body = entry.json();
        let cost = statement::cost(entry);
        table.row([
            at(entry, &body, first_ms),
            entry.event.trim_start_matches("call.").replace('_', "-"),
            cost.map_or_else(String::new, |cost| cost.to_string()),
            so_far.cost.spent.to_string(),
            what(&entry.event, &body),
        ]);
    }
    table.write(out)
}

fn number(body: &Value, key: &str) -> Option<u64> {
    body.get(key)?.as_u64()
}

fn word<'b>(body: &'b Value, key: &str) -> &'b str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn usd(body: &Value, key: &str) -> Usd {
    Usd::from_nanos(number(body, key).unwrap_or_default())
}

/// What a line says beside its cost.
fn what(event: &str, body: &Value) -> String {
    let whole = |key: &str| number(body, key).unwrap_or_default();
    match event {
        "call.opened" => format!(
            "may cost {}, {} granted; a minute costs {}",
            usd(body, "cap_nanos"),
            usd(body, "granted_nanos"),
            usd(body.get("prices").unwrap_or(&Value::Null), "minute_nanos"),
        ),
        "call.dialled" => format!("{} at the carrier", word(body, "carrier_call")),
        "call.granted" => format!("{} more", usd(body, "amount_nanos")),
        "call.withdrawn" => format!("{} came too late", usd(body, "amount_nanos")),
        "call.answered" => format!(
            "the carrier ends the call by itself after {} s",
            whole("limit_s")
        ),
        "call.first_word" => format!("after {} ms", whole("after_ms")),
        "call.asked" => format!(
            "for at most {} tokens, which can cost {}",
            whole("max_output_tokens"),
            usd(body, "bound_nanos"),
        ),
        "call.turn" => turn(body),
        "call.transcribed" => transcribed(body),
        "call.minute" => format!("minute {} begins", whole("minute")),
        "call.sentence" => "said by the carrier".to_string(),
        "call.unreported" => "charged at the most it could cost".to_string(),
        "call.interrupted" => format!(
            "{} s were heard, {} s were not",
            seconds(whole("heard_ms")),
            seconds(whole("unheard_ms")),
        ),
        "call.condensed" => format!("{} items of sound became text", whole("items")),
        "call.bound_broken" => format!(
            "{} reported, {} was the most possible",
            usd(body, "cost_nanos"),
            usd(body, "bound_nanos"),
        ),
        "call.warned" | "call.wrapping_up" | "call.refused" => word(body, "cause").to_string(),
        "call.complained" => word(body, "code").to_string(),
        "call.model_lost" => format!("{} {}", word(body, "reason"), word(body, "code")),
        "call.ended" => [word(body, "ending"), word(body, "cause")].join(" "),
        "call.lost" => lost(body),
        "call.carrier_record" => record(body),
        _ => act(event, body),
    }
    .trim_end()
    .to_string()
}

/// The same, of what a call does besides talking.
fn act(event: &str, body: &Value) -> String {
    let whole = |key: &str| number(body, key).unwrap_or_default();
    match event {
        "call.fee" => "once, for listening who answered".to_string(),
        "call.answered_by" => word(body, "answerer").to_string(),
        "call.overheard" => "a turn that was none: nobody had spoken long enough".to_string(),
        "call.held" => format!("nobody is at the other end: {}", word(body, "hold")),
        "call.resumed" => resumed(body),
        "call.renewed" => renewed(body),
        "call.tool_called" => format!(
            "{}, which costs {}",
            word(body, "name"),
            usd(body, "bound_nanos")
        ),
        "call.tool" => format!(
            "{}: {} after {} s",
            word(body, "name"),
            word(body, "outcome"),
            seconds(whole("took_ms")),
        ),
        "call.transferring" => format!(
            "to {}, for at most {} s, which can cost {}",
            word(body, "label"),
            whole("limit_s"),
            usd(body, "bound_nanos"),
        ),
        "call.transferred" => "the caller talks with somebody else".to_string(),
        "call.not_transferred" => "the caller stays with the agent".to_string(),
        "call.leg" => match number(body, "talked_s") {
            Some(talked_s) => format!("they talked for {talked_s} s"),
            None => "nobody told how long they talked, charged at its bound".to_string(),
        },
        _ => String::new(),
    }
}

fn turn(body: &Value) -> String {
    let kind = match body.get("goodbye").and_then(Value::as_bool) {
        Some(true) => "goodbye",
        _ => "answer",
    };
    let number_of = number(body, "turn").unwrap_or_default();
    let Some(usage) = body.get("usage").filter(|usage| !usage.is_null()) else {
        return format!("{kind} {number_of}: not reported, charged at its bound");
    };
    let sum = |keys: &[&str]| -> u64 {
        let numbers = keys.iter().filter_map(|key| number(usage, key));
        numbers.fold(0, u64::saturating_add)
    };
    let mut said = format!(
        "{kind} {number_of}: read {} text, {} sound ({} cached); wrote {} text, {} sound",
        sum(&["text_in"]),
        sum(&["audio_in"]),
        sum(&["cached_text", "cached_audio", "cached_image"]),
        sum(&["text_out"]),
        sum(&["audio_out"]),
    );
    let other = sum(&["image_in", "unknown_in", "unknown_out"]);
    if other > 0 {
        said += &format!("; {other} other");
    }
    said
}

fn transcribed(body: &Value) -> String {
    let usage = body.get("usage").unwrap_or(&Value::Null);
    match (number(usage, "millis"), number(usage, "audio_in")) {
        (Some(millis), _) => format!("{} s of the caller", seconds(millis)),
        (None, Some(audio)) => format!(
            "{audio} tokens of the caller's sound, {} of text",
            number(usage, "text_out").unwrap_or_default()
        ),
        (None, None) => "not reported, charged at its bound".to_string(),
    }
}

fn resumed(body: &Value) -> String {
    let held = seconds(number(body, "held_ms").unwrap_or_default());
    let turns = number(body, "turns_spared").unwrap_or_default();
    let turns = count(turns, "turn", "turns");
    format!("somebody is there again after {held} s; {turns} spared")
}

fn renewed(body: &Value) -> String {
    let why = match word(body, "why") {
        "lost" => "the one before was lost",
        "age" => "the one before was old",
        "cheaper" => "the one before was too dear",
        other => other,
    };
    format!(
        "another session of [model.{}]: {why}; told {} bytes, {} s without one",
        word(body, "model"),
        number(body, "replayed_bytes").unwrap_or_default(),
        seconds(number(body, "gap_ms").unwrap_or_default()),
    )
}

fn lost(body: &Value) -> String {
    let minutes = number(body, "ran_on_minutes").unwrap_or_default();
    format!(
        "the server died: {} it may owe, {} for {} that ran on",
        usd(body, "unreported_nanos"),
        usd(body, "ran_on_nanos"),
        count(minutes, "minute", "minutes"),
    )
}

fn record(body: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(duration_s) = number(body, "duration_s") {
        parts.push(format!("{duration_s} s"));
    }
    if let Some(minutes) = number(body, "minutes") {
        parts.push(count(minutes, "minute", "minutes"));
    }
    if let Some(price) = number(body, "price_nanos") {
        parts.push(format!("{} for the connection", Usd::from_nanos(price)));
    }
    parts.join(", ")
}

fn totals(row: &CallRow, entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    if row.ending.as_deref() == Some("refused") {
        return writeln!(out, "\n  Refused before it was answered: it cost nothing.");
    }
    let so_far = SoFar::of(entries);
    let cost = &row.cost;
    let mut table = Table::new(&[
        ("total", Stand::Left),
        ("USD", Stand::Point),
        ("", Stand::Left),
    ]);
    let mut add = |name: &str, amount: Usd, note: String| {
        table.row([name.to_string(), amount.to_string(), note]);
    };
    let answers = count(so_far.turns, "answer", "answers");
    add("model", cost.model, answers);
    if !row.is_live() {
        let heard = cost.model.less(cost.unheard);
        add("  heard", heard, String::new());
        add("  unheard", cost.unheard, unheard(cost.unheard, cost.model));
    }
    add("transcription", cost.transcription, String::new());
    let ran_on_minutes = ran_on_minutes(entries);
    let minutes = row.minutes.saturating_sub(ran_on_minutes);
    add("carrier", cost.carrier, count(minutes, "minute", "minutes"));
    add("tools", cost.tools, String::new());
    if !cost.unreported.is_zero() {
        let note = "what the call may owe besides, within its grant".to_string();
        add("unreported", cost.unreported, note);
    }
    if !cost.ran_on.is_zero() {
        let minutes = count(ran_on_minutes, "minute", "minutes");
        let note = format!("{minutes} after its last line, until the carrier ended it");
        add("ran on", cost.ran_on, note);
    }
    let name = if row.is_live() {
        "spent so far"
    } else {
        "spent"
    };
    add(
        name,
        cost.spent,
        format!("of {}, {} granted", row.cap, so_far.granted),
    );
    writeln!(out)?;
    table.write(out)?;
    if let Some(last) = entries
        .iter()
        .rfind(|entry| entry.event == "call.carrier_record")
    {
        writeln!(out, "\n  The carrier says: {}.", record(&last.json()))?;
    }
    Ok(())
}

fn ran_on_minutes(entries: &[Entry]) -> u64 {
    let lost = entries.iter().find(|entry| entry.event == "call.lost");
    lost.and_then(|lost| number(&lost.json(), "ran_on_minutes"))
        .unwrap_or_default()
}

fn unheard(unheard: Usd, model: Usd) -> String {
    if unheard.is_zero() {
        return String::new();
    }
    let percent = u128::from(unheard.nanos()) * 100 / u128::from(model.nanos().max(1));
    format!("{percent} % of the model's share paid for speech that nobody heard")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_call_does_besides_talking_is_told_in_words() {
        let told = [
            ("call.fee", json!({"cost_nanos": 7_500_000})),
            ("call.answered_by", json!({"answerer": "person"})),
            ("call.overheard", json!({})),
            ("call.held", json!({"hold": "music"})),
            (
                "call.resumed",
                json!({"held_ms": 61_250, "turns_spared": 1}),
            ),
            (
                "call.renewed",
                json!({"why": "lost", "model": "mini", "replayed_bytes": 512, "gap_ms": 830}),
            ),
            (
                "call.tool_called",
                json!({"name": "look_up", "bound_nanos": 20_000_000}),
            ),
            (
                "call.tool",
                json!({"name": "look_up", "outcome": "ok", "took_ms": 340}),
            ),
            (
                "call.transferring",
                json!({"label": "sales", "limit_s": 1_790, "bound_nanos": 500_000_000}),
            ),
            ("call.transferred", json!({})),
            ("call.not_transferred", json!({})),
            ("call.leg", json!({"talked_s": 75})),
            ("call.leg", json!({"talked_s": null})),
        ]
        .map(|(event, body)| what(event, &body))
        .join("\n");
        expect_test::expect![[r#"
            once, for listening who answered
            person
            a turn that was none: nobody had spoken long enough
            nobody is at the other end: music
            somebody is there again after 61.250 s; 1 turn spared
            another session of [model.mini]: the one before was lost; told 512 bytes, 0.830 s without one
            look_up, which costs 0.02
            look_up: ok after 0.340 s
            to sales, for at most 1790 s, which can cost 0.50
            the caller talks with somebody else
            the caller stays with the agent
            they talked for 75 s
            nobody told how long they talked, charged at its bound"#]].assert_eq(&told);
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}

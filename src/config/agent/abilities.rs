//! What an agent may do besides talking: the tools it may call, whom it may hand callers to, and how it listens.
//!
//! A model can be talked into anything, so nothing that it may do is left to it: tools by name, people by label, and a number for every
//! label, whose price must be known.

use super::super::carrier::Line;
use super::super::outside;
use super::super::section::{Section, nearest};
use crate::audio::moment;
use crate::call::rules::{Abilities, Destination, Manner, OnMachine, Renewal, TransferCap};
use crate::call::tools::{BUILT_IN, END_CALL, SEND_DIGITS, TRANSFER};
use crate::ledger::Keeping;
use crate::tools;
use crate::units::{Phone, Usd};
use std::path::Path;
use std::sync::Arc;

/// How often tools may be called in one call, unless the agent says otherwise.
const USUAL_CALLS: u64 = 20;

/// What a transfer may take unless the agent says otherwise.
const USUAL_TRANSFER: TransferCap = TransferCap {
    minutes: 30,
    usd: Usd::from_micros(1_000_000),
};

/// What the carrier says before it dials.
const SENTENCE: &str = "I am connecting you now. One moment, please.";

/// The longest sentence before a transfer, in bytes: the carrier takes a document of 4,000 characters in a request, and each byte may
/// become six of them there.
const LONGEST_SENTENCE: usize = 500;

/// Everything an agent may do, and the names of the tools it was given.
pub(super) fn abilities(
    section: &Section<'_>,
    line: &Line,
    tools: &tools::Settings,
) -> (Abilities, Vec<String>) {
    let named = section.texts("tools").unwrap_or_default();
    let may = |name: &str| named.iter().any(|named| named == name);
    for (place, name) in named.iter().enumerate() {
        if named[..place].contains(name) {
            section.mistake("tools", &format!("names {name:?} twice"), "once is enough");
        } else if !BUILT_IN.contains(&name.as_str()) && !tools.may_offer(name) {
            let all = tools.names();
            let known = BUILT_IN.into_iter().chain(all.iter().map(String::as_str));
            let fix = match nearest(name, known) {
                Some(known) => format!("did you mean {known:?}?"),
                None => format!("add [tool.{name}], or name one of: {}", BUILT_IN.join(", ")),
            };
            section.mistake("tools", &format!("there is no tool {name:?}"), &fix);
        }
    }
    let destinations = destinations(&section.section("transfer"), line);
    if may(TRANSFER) && destinations.is_empty() {
        let what = "names \"transfer\", and there is nobody to transfer to";
        let fix = "add [agent.NAME.transfer] with a label and a number";
        section.mistake("tools", what, fix);
    }
    let fallback = section.text("fallback").filter(|label| !label.is_empty());
    if let Some(label) = &fallback
        && !destinations.iter().any(|to| *to.label == **label)
    {
        let what = format!("there is no {label:?} in the agent's [transfer]");
        section.mistake("fallback", &what, "name one of its labels, or \"\"");
    }
    let abilities = Abilities {
        tools: Vec::new(),
        end_call: may(END_CALL),
        send_digits: may(SEND_DIGITS),
        most_calls: section
            .whole("tool_calls", 1, 1_000)
            .unwrap_or(USUAL_CALLS)
            .try_into()
            .unwrap_or(u32::MAX),
        is_transfer_offered: may(TRANSFER),
        destinations,
        transfer: transfer_cap(&section.section("cap")),
        fallback: fallback.map(Into::into),
        transfer_sentence: section
            .text("transfer_sentence")
            .unwrap_or_else(|| SENTENCE.to_string())
            .into(),
    };
    if abilities.transfer_sentence.len() > LONGEST_SENTENCE {
        let what = format!("is longer than {LONGEST_SENTENCE} bytes");
        section.mistake("transfer_sentence", &what, "shorten it");
    }
    let others = named
        .into_iter()
        .filter(|name| !BUILT_IN.contains(&name.as_str()));
    (abilities, others.collect())
}

/// `[agent.NAME.transfer]`: labels, each with a number that has a price.
fn destinations(section: &Section<'_>, line: &Line) -> Vec<Destination> {
    let mut destinations = Vec::new();
    for (label, number) in section.all_texts() {
        let to = Phone::from(number.as_str());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > 64 || !label.bytes().all(plain) {
            let what = "a label is letters, digits, - and _ only";
            section.mistake(label, what, "rename it");
        } else if !to.is_e164() {
            section.mistake(
                label,
                "is not a phone number",
                "write it as \"+15005550009\"",
            );
        } else if let Some(minute) = line.outbound.prices.price_of(&to) {
            destinations.push(Destination {
                label: label.into(),
                to,
                minute,
            });
        } else {
            let fix = "add what its number begins with to [carrier.twilio.outbound_per_minute_usd]";
            section.mistake(
                label,
                "nobody has said what a minute to this number costs",
                fix,
            );
        }
    }
    destinations
}

/// `cap.transfer`.
fn transfer_cap(cap: &Section<'_>) -> TransferCap {
    let section = cap.inline("transfer");
    let read = TransferCap {
        minutes: section
            .whole("minutes", 1, 240)
            .unwrap_or(USUAL_TRANSFER.minutes),
        usd: section.money("usd").unwrap_or(USUAL_TRANSFER.usd),
    };
    section.finish();
    read
}

/// `[agent.NAME.line]`: how far ahead to send, and how to listen.
pub(super) fn manner(
    section: &Section<'_>,
    on_machine: OnMachine,
    keeps: Keeping,
) -> (u64, Manner) {
    let lead = section.time("lead").unwrap_or(300);
    if !(200..=400).contains(&lead) {
        let fix = "write \"300ms\": less stutters, more makes an interrupted agent talk on";
        section.mistake("lead", "must be from 200ms to 400ms", fix);
    }
    let ways = [("at_once", false), ("confirm", true)];
    let manner = Manner {
        confirm: section.choice("barge_in", &ways).unwrap_or(false),
        hold: section.flag("hold").unwrap_or(false),
        on_machine,
        transcript: keeps != Keeping::Nothing,
        coalesce_ms: coalesce(section),
    };
    (lead, manner)
}

/// How much of a silent caller's silence is sent on at a time.
fn coalesce(section: &Section<'_>) -> u64 {
    let coalesce = section.time("coalesce").unwrap_or(100);
    if coalesce > 100 {
        let fix = "write \"100ms\", or \"0ms\" to send every frame as it comes";
        section.mistake("coalesce", "must be at most 100ms", fix);
    }
    coalesce
}

/// Who keeps what was said, and for how long.
pub(super) fn keeping(section: &Section<'_>) -> Keeping {
    let days = section.whole("transcript_days", 1, 3_650).unwrap_or(30);
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    let ways = [
        ("off", Keeping::Nothing),
        ("memory", Keeping::Memory),
        ("ledger", Keeping::Ledger { days }),
    ];
    let keeps = section.choice("transcript", &ways).unwrap_or_default();
    let is_in_ledger = matches!(keeps, Keeping::Ledger { .. });
    if section.has("transcript_days") && !is_in_ledger {
        let what = "nothing is kept for days unless it is kept in the ledger";
        let fix = "take it out, or write transcript = \"ledger\"";
        section.mistake("transcript_days", what, fix);
    }
    keeps
}

/// What to do when a machine answers a call that we placed.
pub(super) fn on_machine(section: &Section<'_>) -> OnMachine {
    let ways = [("hang_up", OnMachine::HangUp), ("talk", OnMachine::Talk)];
    section.choice("on_machine", &ways).unwrap_or_default()
}

/// `[agent.NAME.renewal]`.
pub(super) fn renewal(section: &Section<'_>) -> Renewal {
    let usual = Renewal::default();
    let after_ms = section.time("after");
    if after_ms.is_some_and(|ms| ms < 10_000) {
        section.mistake("after", "must be at least 10s", "write it as \"50m\"");
    }
    let renewal = Renewal {
        after_ms,
        max_tokens: section
            .whole("max_tokens", 100, 8_000)
            .unwrap_or(usual.max_tokens),
    };
    section.finish();
    renewal
}

/// What the caller hears while nobody holds the floor: the agent's own recording, or ours.
pub(super) fn moment(section: &Section<'_>) -> Arc<[u8]> {
    let ours = || Arc::from(moment::moment());
    let Some(path) = section.text("moment_file") else {
        return ours();
    };
    if path.is_empty() {
        return Arc::from([]);
    }
    let read = outside::read_bytes(Path::new(&path), outside::LARGEST_FILE);
    match read.and_then(|bytes| moment::from_wav(&bytes)) {
        Ok(sound) => sound.into(),
        Err(why) => {
            let fix = "name a WAV file of at most five seconds, or \"\" for silence";
            section.mistake("moment_file", &why, fix);
            ours()
        }
    }
}

//! What a call is charged whose process died.
//!
//! Nobody knows what became of it, so it is charged the most that it may have cost: what it had spent, what it had asked for and not been
//! billed, a sentence that the carrier may have said at its end, and the carrier's minutes until the carrier ended the call by itself. All
//! of that but the last was set aside in its grant, so a call whose last lines are missing is charged the whole of it.

use super::OpenError;
use super::books::Books;
use super::chain::Entry;
use super::entries::{Line, money, nanos, number, word};
use crate::units::{CallId, Id, Usd};
use serde_json::{Value, json};
use std::path::Path;

/// Milliseconds in a carrier's minute.
const MINUTE_MS: u64 = 60_000;

/// A call that was opened and is not over.
#[derive(Clone, Debug)]
pub struct OpenCall {
    /// Our name for it.
    pub call: CallId,
    /// Whose call it is, one of [`crate::carrier::CARRIERS`].
    pub carrier: String,
    /// The carrier's name for it; empty for one that we placed and whose name never came.
    pub carrier_call: Id,
    /// Who answered.
    pub agent: String,
    /// What it might have cost.
    pub cap: Usd,
    /// All its lines.
    pub entries: Vec<Entry>,
    /// No line can be missing at the end.
    pub is_whole: bool,
}

impl OpenCall {
    /// A call out of its lines; `None`: there are none.
    pub(super) fn new(entries: Vec<Entry>, is_whole: bool) -> Option<OpenCall> {
        let first = entries.first()?;
        let body = first.json();
        // A call that we placed was named by the carrier afterwards, or not at all.
        let dialled = entries.iter().find(|entry| entry.event == "call.dialled");
        let named = dialled.map_or_else(|| body.clone(), Entry::json);
        Some(OpenCall {
            call: CallId::from(&*first.call),
            carrier: word(&body, "carrier").to_string(),
            carrier_call: Id::from(word(&named, "carrier_call")),
            agent: word(&body, "agent").to_string(),
            cap: money(&body, "cap_nanos"),
            is_whole,
            entries,
        })
    }
}

/// The calls that are open in the ledger, with all their lines. Those of another start of the machine, or of a journal that is gone or
/// torn, may lack some.
pub(super) async fn open_calls(
    path: &Path,
    boot: &str,
    journal: &str,
    is_whole: bool,
) -> Result<Vec<OpenCall>, OpenError> {
    let mut books = Books::open(path).await?;
    let mut open = Vec::new();
    for call in books.open_calls().await? {
        let entries = books.call(&call).await?;
        let first = entries.first().map(Entry::json).unwrap_or_default();
        let is_here =
            !boot.is_empty() && word(&first, "boot") == boot && word(&first, "journal") == journal;
        open.extend(OpenCall::new(entries, is_whole && is_here));
    }
    Ok(open)
}

/// What a call is charged that was lost with its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its lines were all there; if not, its whole grant is charged.
    pub is_whole: bool,
    /// How long it was, by its last line, in milliseconds.
    pub duration_ms: u64,
    /// Answers that were reported.
    pub model: Usd,
    /// Transcriptions that were reported.
    pub transcription: Usd,
    /// Minutes, sentences and lines to others that were recorded.
    pub carrier: Usd,
    /// Tools that were recorded.
    pub tools: Usd,
    /// How many minutes those were.
    pub minutes: u64,
    /// The most that it may owe besides, within its grant.
    pub unreported: Usd,
    /// Minutes after the last one recorded, until the carrier ended the call.
    pub ran_on_minutes: u64,
    /// What those cost; the grant did not know of them.
    pub ran_on: Usd,
    /// What the carrier says, if it was asked: how long the call lasted, in seconds.
    pub carrier_duration_s: Option<u64>,
}

impl Lost {
    /// All of it.
    pub fn spent(&self) -> Usd {
        self.within_grant().plus(self.ran_on)
    }

    /// All of it but the minutes that ran on.
    pub fn within_grant(&self) -> Usd {
        self.model
            .plus(self.transcription)
            .plus(self.carrier)
            .plus(self.tools)
            .plus(self.unreported)
    }

    pub(super) fn line(&self) -> Line {
        let body = json!({
            "cause": "server",
            "is_whole": self.is_whole,
            "duration_ms": self.duration_ms,
            "minutes": self.minutes,
            "model_nanos": nanos(self.model),
            "transcription_nanos": nanos(self.transcription),
            "carrier_nanos": nanos(self.carrier),
            "tools_nanos": nanos(self.tools),
            "unreported_nanos": nanos(self.unreported),
            "ran_on_minutes": self.ran_on_minutes,
            "ran_on_nanos": nanos(self.ran_on),
            "carrier_duration_s": self.carrier_duration_s,
            "spent_nanos": nanos(self.spent()),
        });
        ("call.lost".to_string(), body)
    }
}

/// What a call's lines say of it so far.
#[derive(Clone, Debug, Default)]
struct Tally {
    model: Usd,
    transcription: Usd,
    carrier: Usd,
    tools: Usd,
    granted: Usd,
    spent: Usd,
    reserved: Usd,
    minutes: u64,
    at_ms: u64,
    /// When the carrier ends the call by itself, in the call's own time.
    limit_ms: Option<u64>,
    has_sentence: bool,
    has_fee: bool,
}

impl Tally {
    fn take(&mut self, event: &str, body: &Value) {
        let cost = money(body, "cost_nanos");
        match event {
            "call.opened" => self.granted = money(body, "granted_nanos"),
            "call.granted" => self.granted = self.granted.plus(money(body, "amount_nanos")),
            "call.withdrawn" => self.granted = self.granted.less(money(body, "amount_nanos")),
            "call.turn" => self.model = self.model.plus(cost),
            "call.transcribed" => self.transcription = self.transcription.plus(cost),
            "call.minute" => {
                self.carrier = self.carrier.plus(cost);
                self.minutes += 1;
            }
            "call.fee" => {
                self.carrier = self.carrier.plus(cost);
                self.has_fee = true;
            }
            "call.leg" => self.carrier = self.carrier.plus(cost),
            "call.tool" => self.tools = self.tools.plus(cost),
            "call.sentence" => {
                self.carrier = self.carrier.plus(cost);
                self.has_sentence = true;
            }
            "call.unreported" => {
                self.model = self.model.plus(money(body, "model_nanos"));
                self.transcription = self.transcription.plus(money(body, "transcription_nanos"));
            }
            "call.answered" => {
                let limit_ms = number(body, "limit_s")
                    .unwrap_or_default()
                    .saturating_mul(1000);
                let at_ms = number(body, "at_ms").unwrap_or_default();
                self.limit_ms = Some(at_ms.saturating_add(limit_ms));
            }
            _ => {}
        }
        if let Some(at_ms) = number(body, "at_ms") {
            self.at_ms = at_ms;
            self.spent = money(body, "spent_nanos");
            self.reserved = money(body, "reserved_nanos");
        }
    }
}

/// What a call is charged of which these lines are there. `duration_s` is how long it lasted, if the carrier says.
pub(super) fn charge(entries: &[Entry], is_whole: bool, duration_s: Option<u64>) -> Lost {
    let mut tally = Tally::default();
    for entry in entries {
        tally.take(&entry.event, &entry.json());
    }
    let prices = entries.first().map(Entry::json).unwrap_or_default();
    let prices = prices.get("prices").cloned().unwrap_or_default();
    let say = match tally.has_sentence {
        true => Usd::ZERO,
        false => money(&prices, "say_nanos"),
    };
    let talk = tally.model.plus(tally.transcription);
    let known = talk.plus(tally.carrier).plus(tally.tools);
    let spent = known.max(tally.spent);
    // The webhook may have been answered before the first minute was written down.
    let first = match (tally.minutes, duration_s) {
        (0, None) => money(&prices, "minute_nanos"),
        _ => Usd::ZERO,
    };
    // What the carrier takes once, it takes from the answer on.
    let fee = match tally.has_fee || duration_s == Some(0) {
        true => Usd::ZERO,
        false => money(&prices, "fee_nanos"),
    };
    let owed = match is_whole {
        true => {
            let besides = tally.reserved.plus(say).plus(first).plus(fee);
            (tally.granted).min(spent.plus(besides))
        }
        false => tally.granted,
    };
    let ended_ms = match (duration_s, tally.limit_ms) {
        (Some(seconds), _) => seconds.saturating_mul(1000),
        (None, Some(limit_ms)) => limit_ms,
        // The stream never opened, and without it the carrier does not keep a call.
        (None, None) => 0,
    };
    let ran_on_minutes = ended_ms.div_ceil(MINUTE_MS).saturating_sub(tally.minutes);
    Lost {
        is_whole,
        duration_ms: tally.at_ms,
        model: tally.model,
        transcription: tally.transcription,
        carrier: tally.carrier,
        tools: tally.tools,
        minutes: tally.minutes,
        unreported: owed.max(spent).less(known),
        ran_on_minutes,
        ran_on: money(&prices, "minute_nanos").times(ran_on_minutes),
        carrier_duration_s: duration_s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::chain::Head;

    /// The lines of a call with a minute for 10, a sentence for 5 and 1000 granted.
    fn lines(more: &[(&str, Value)]) -> Vec<Entry> {
        let opened = json!({
            "carrier": "twilio", "carrier_call": "CA1", "agent": "desk", "granted_nanos": 1000,
            "prices": { "minute_nanos": 10, "say_nanos": 5 },
        });
        let mut head = Head::new("rf-1".into());
        let mut entries = vec![head.next(0, "call.opened".to_string(), opened.to_string())];
        for (event, body) in more {
            entries.push(head.next(1, (*event).to_string(), body.to_string()));
        }
        entries
    }

    fn minute() -> (&'static str, Value) {
        (
            "call.minute",
            json!({"minute": 1, "cost_nanos": 10, "at_ms": 0, "spent_nanos": 10, "reserved_nanos": 0}),
        )
    }

    fn asked() -> (&'static str, Value) {
        (
            "call.asked",
            json!({"bound_nanos": 300, "at_ms": 9_000, "spent_nanos": 10, "reserved_nanos": 320}),
        )
    }

    fn answered() -> (&'static str, Value) {
        (
            "call.answered",
            json!({"limit_s": 130, "at_ms": 2_000, "spent_nanos": 10, "reserved_nanos": 0}),
        )
    }

    #[test]
    fn what_was_asked_for_and_the_sentence_are_charged_and_the_minutes_until_the_limit() {
        let lost = charge(&lines(&[minute(), answered(), asked()]), true, None);
        assert_eq!(lost.unreported, Usd::from_nanos(320 + 5));
        // 132 seconds are three minutes, one of them recorded.
        assert_eq!((lost.ran_on_minutes, lost.ran_on), (2, Usd::from_nanos(20)));
        assert_eq!(lost.spent(), Usd::from_nanos(10 + 325 + 20));
    }

    #[test]
    fn a_call_whose_end_may_be_missing_is_charged_its_whole_grant() {
        let lost = charge(&lines(&[minute(), answered(), asked()]), false, None);
        assert_eq!(lost.within_grant(), Usd::from_nanos(1000));
        let more = ("call.granted", json!({"amount_nanos": 50}));
        let late = ("call.withdrawn", json!({"amount_nanos": 20}));
        let lost = charge(&lines(&[more, late]), false, None);
        assert_eq!(lost.spent(), Usd::from_nanos(1030));
    }

    #[test]
    fn never_more_than_the_grant_and_never_less_than_what_was_spent() {
        let dear = json!({"at_ms": 1, "cost_nanos": 10, "spent_nanos": 990, "reserved_nanos": 320});
        let lost = charge(&lines(&[("call.asked", dear)]), true, None);
        assert_eq!(lost.spent(), Usd::from_nanos(1000));
        let broken =
            json!({"at_ms": 1, "cost_nanos": 1200, "spent_nanos": 1200, "reserved_nanos": 0});
        let lost = charge(&lines(&[("call.turn", broken)]), true, None);
        assert_eq!(
            (lost.spent(), lost.unreported),
            (Usd::from_nanos(1200), Usd::ZERO)
        );
    }

    #[test]
    fn what_the_carrier_says_of_the_length_counts_instead_of_its_limit() {
        let call = lines(&[minute(), answered()]);
        assert_eq!(charge(&call, true, Some(61)).ran_on_minutes, 1);
        assert_eq!(charge(&call, true, Some(3)).ran_on_minutes, 0);
        assert_eq!(charge(&lines(&[minute()]), true, None).ran_on_minutes, 0);
    }

    #[test]
    fn a_call_that_we_placed_has_the_name_that_the_carrier_gave_it_later() {
        let first = lines(&[]);
        assert_eq!(
            OpenCall::new(first, true).unwrap().carrier_call.as_str(),
            "CA1"
        );
        let dialled = lines(&[("call.dialled", json!({"carrier_call": "CA2"}))]);
        assert_eq!(
            OpenCall::new(dialled, true).unwrap().carrier_call.as_str(),
            "CA2"
        );
    }

    #[test]
    fn what_the_carrier_takes_once_is_charged_unless_it_was_or_nobody_answered() {
        let opened = json!({
            "granted_nanos": 1000, "prices": { "minute_nanos": 10, "say_nanos": 5, "fee_nanos": 7 },
        });
        let spent = |more: &[(&str, Value)], duration_s| {
            let mut head = Head::new("rf-1".into());
            let mut entries = vec![head.next(0, "call.opened".to_string(), opened.to_string())];
            for (event, body) in more {
                entries.push(head.next(1, (*event).to_string(), body.to_string()));
            }
            let lost = charge(&entries, true, duration_s);
            (lost.carrier.nanos(), lost.spent().nanos())
        };
        assert_eq!(spent(&[], None), (0, 10 + 5 + 7));
        assert_eq!(spent(&[], Some(3)), (0, 5 + 7 + 10));
        assert_eq!(spent(&[], Some(0)), (0, 5));
        let fee = json!({"cost_nanos": 7, "at_ms": 0, "spent_nanos": 7, "reserved_nanos": 0});
        assert_eq!(spent(&[("call.fee", fee)], None), (7, 7 + 10 + 5));
    }

    #[test]
    fn a_call_that_was_answered_the_moment_its_process_died_is_charged_its_first_minute() {
        let spent = |duration_s| charge(&lines(&[]), true, duration_s).spent();
        assert_eq!(spent(None), Usd::from_nanos(10 + 5));
        assert_eq!(spent(Some(0)), Usd::from_nanos(5));
    }
}

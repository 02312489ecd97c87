//! One section, read key by key: each value gets its type, and each mistake its place.
//!
//! Nothing here stops at the first mistake, because whoever mends a configuration wants the whole list. A key that is
//! wrong is noted and reads as absent. What nobody asked for is a misspelling, and a misspelt cap is no cap, so
//! [`Section::finish`] reports it together with the key that was probably meant.

use super::Mistake;
use super::tree::{Node, Place, Table, Value};
use crate::units::Usd;
use std::cell::RefCell;

/// The mistakes and the warnings found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) mistakes: RefCell<Vec<Mistake>>,
    pub(super) warnings: RefCell<Vec<String>>,
}

impl Findings {
    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }
}

/// A section that is being read.
pub(super) struct Section<'a> {
    /// `None`: it was not written, and every key has its default.
    table: Option<&'a Table>,
    place: Place,
    /// The name between brackets: `agent.front-desk.cap`.
    header: String,
    /// What stands before a key inside an inline table: `spend.`.
    prefix: String,
    asked: RefCell<Vec<&'static str>>,
    findings: &'a Findings,
}

/// A value of the configuration that one key may take: its name there, and ours.
pub(super) type Choice<T> = (&'static str, T);

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(node: &'a Node, findings: &'a Findings) -> Self {
        Section {
            table: match &node.value {
                Value::Table(table) => Some(table),
                _ => None,
            },
            place: node.place.clone(),
            header: String::new(),
            prefix: String::new(),
            asked: RefCell::default(),
            findings,
        }
    }

    /// `[this.key]`.
    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        let header = match self.header.as_str() {
            "" => key.to_string(),
            above => format!("{above}.{key}"),
        };
        self.below(key, header, String::new())
    }

    /// `key = { … }` in this section.
    pub(super) fn inline(&self, key: &'static str) -> Section<'a> {
        let prefix = format!("{}{key}.", self.prefix);
        self.below(key, self.header.clone(), prefix)
    }

    fn below(&self, key: &'static str, header: String, prefix: String) -> Section<'a> {
        let node = self.get(key);
        let table = node.and_then(|node| match &node.value {
            Value::Table(table) => Some(table),
            _ => {
                self.mistake(key, "must be a section", &format!("write it as [{header}]"));
                None
            }
        });
        Section {
            table,
            place: node.map_or_else(|| self.place.clone(), |node| node.place.clone()),
            header,
            prefix,
            asked: RefCell::default(),
            findings: self.findings,
        }
    }

    /// The sections of a family: for `agent`, each `[agent.NAME]` by its name.
    pub(super) fn family(&self, key: &'static str) -> Vec<(&'a str, Section<'a>)> {
        let all = self.section(key);
        let members = all.table.into_iter().flatten().filter_map(|(name, node)| {
            let Value::Table(table) = &node.value else {
                self.mistake(
                    key,
                    "must be a family of sections",
                    &format!("write [{key}.NAME]"),
                );
                return None;
            };
            let section = Section {
                table: Some(table),
                place: node.place.clone(),
                header: format!("{key}.{name}"),
                prefix: String::new(),
                asked: RefCell::default(),
                findings: self.findings,
            };
            Some((name.as_str(), section))
        });
        members.collect()
    }

    fn get(&self, key: &'static str) -> Option<&'a Node> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table?.get(key)
    }

    /// A key whose value is read elsewhere, as it was written.
    pub(super) fn written(&self, key: &'static str) -> Option<&'a Node> {
        self.get(key)
    }

    /// The name between brackets: `agent.front-desk.cap`.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// Whether a key was written. Does not count as asking for it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Notes a mistake at a key of this section; at the section itself where the key was not written, or is empty.
    pub(super) fn mistake(&self, key: &str, what: &str, fix: &str) {
        let name = format!("{}{key}", self.prefix);
        let place = self.table.and_then(|table| table.get(key));
        let place = place.map_or(&self.place, |node| &node.place);
        let place = match place {
            Place::Variable(variable) if self.has(key) => variable.to_string(),
            _ if self.header.is_empty() => format!("{place} {name}"),
            _ => format!("{place} [{}] {name}", self.header)
                .trim_end()
                .to_string(),
        };
        self.findings.mistakes.borrow_mut().push(Mistake {
            place,
            what: what.to_string(),
            fix: fix.to_string(),
        });
    }

    /// Notes something that works and is probably not meant.
    pub(super) fn warn(&self, key: &str, warning: &str) {
        let name = format!("{}{key}", self.prefix);
        self.findings
            .warn(format!("[{}] {name}: {warning}", self.header));
    }

    /// Text.
    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        match &self.get(key)?.value {
            Value::Text(text) | Value::Bare(text) => Some(text.clone()),
            _ => {
                self.mistake(key, "must be text", "put it in quotes");
                None
            }
        }
    }

    /// A list of texts; a bare word of the environment is a list of one.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let all: Option<Vec<String>> = match &self.get(key)?.value {
            Value::Bare(text) => return Some(vec![text.trim().to_string()]),
            Value::List(items) => items.iter().map(text_of).collect(),
            _ => None,
        };
        if all.is_none() {
            self.mistake(key, "must be a list of texts", "write it as [\"…\", \"…\"]");
        }
        all
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let flag = match &self.get(key)?.value {
            Value::Flag(flag) => Some(*flag),
            Value::Bare(text) => text.trim().parse().ok(),
            _ => None,
        };
        if flag.is_none() {
            self.mistake(key, "must be true or false", "write it without quotes");
        }
        flag
    }

    /// A whole number within limits, both included.
    pub(super) fn whole(&self, key: &'static str, least: u64, most: u64) -> Option<u64> {
        let number = match &self.get(key)?.value {
            Value::Number(digits) | Value::Bare(digits) => digits.trim().parse::<u64>().ok(),
            _ => None,
        };
        let within = number.filter(|number| (least..=most).contains(number));
        if within.is_none() {
            let value = self.get(key).map_or_else(String::new, shown);
            let what = format!("{value}must be a whole number from {least} to {most}");
            self.mistake(key, &what, "write digits only");
        }
        within
    }

    /// US dollars, as a number or as text, exactly.
    pub(super) fn money(&self, key: &'static str) -> Option<Usd> {
        self.amount(key, self.get(key)?)
    }

    /// Every key of this section with its amount in US dollars: for a section whose keys are not ours to name.
    pub(super) fn all_texts(&self) -> Vec<(&'a str, String)> {
        let all = self.table.into_iter().flatten();
        let texts = all.filter_map(|(key, node)| match &node.value {
            Value::Text(text) | Value::Bare(text) => Some((key.as_str(), text.trim().to_string())),
            _ => {
                self.mistake(key, "must be text", "put it in quotes");
                None
            }
        });
        texts.collect()
    }

    /// Amounts of money by names that anybody may choose.
    pub(super) fn amounts(&self) -> Vec<(&'a str, Usd)> {
        let all = self.table.into_iter().flatten();
        all.filter_map(|(key, node)| Some((key.as_str(), self.amount(key, node)?)))
            .collect()
    }

    fn amount(&self, key: &str, node: &Node) -> Option<Usd> {
        match &node.value {
            Value::Number(digits) | Value::Text(digits) | Value::Bare(digits) => {
                match Usd::parse(digits.trim().trim_start_matches('+')) {
                    Ok(amount) => return Some(amount),
                    Err(why) => {
                        let what = format!("{}{why}", shown(node));
                        self.mistake(key, &what, "write dollars and cents, such as 0.50");
                    }
                }
            }
            _ => self.mistake(
                key,
                "must be an amount in US dollars",
                "write dollars and cents, such as 0.50",
            ),
        }
        None
    }

    /// A length of time in milliseconds, written `300ms`, `8s`, `4m` or `1h`.
    pub(super) fn time(&self, key: &'static str) -> Option<u64> {
        let node = self.get(key)?;
        let millis = match &node.value {
            Value::Text(text) | Value::Bare(text) => millis(text.trim()),
            _ => None,
        };
        if millis.is_none() {
            self.mistake(
                key,
                &format!("{}must be a length of time", shown(node)),
                "write it as \"300ms\", \"8s\", \"4m\" or \"1h\"",
            );
        }
        millis
    }

    /// One word of a closed list.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, among: &[Choice<T>]) -> Option<T> {
        let word = self.text(key)?;
        if let Some((_, ours)) = among.iter().find(|(name, _)| *name == word) {
            return Some(*ours);
        }
        let names: Vec<&str> = among.iter().map(|(name, _)| *name).collect();
        let what = format!("{word:?} is not one of: {}", names.join(", "));
        let fix = match nearest(&word, names.iter().copied()) {
            Some(name) => format!("did you mean {name:?}?"),
            None => "use one of them".to_string(),
        };
        self.mistake(key, &what, &fix);
        None
    }

    /// A key of a feature that is not there yet: only its harmless values are taken.
    pub(super) fn later(&self, key: &'static str, feature: &str, harmless: fn(&Value) -> bool) {
        if let Some(node) = self.get(key)
            && !harmless(&node.value)
        {
            self.not_yet(key, feature);
        }
    }

    /// Refuses what a later version will do, rather than let anybody rely on it.
    pub(super) fn not_yet(&self, key: &str, feature: &str) {
        self.mistake(
            key,
            &format!("not available yet in this version: {feature}"),
            "take it out",
        );
    }

    /// Reports every key nobody asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(Table::keys) {
            if asked.contains(&key.as_str()) {
                continue;
            }
            let fix = match nearest(key, asked.iter().copied()) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("the keys here are: {}", asked.join(", ")),
            };
            self.mistake(key, "there is no such key", &fix);
        }
    }
}

/// A value at the head of a sentence about it, if it can only be a number or a measure: what was pasted into the wrong key may
/// be a secret.
fn shown(node: &Node) -> String {
    const LONGEST: usize = 24;
    let (Value::Number(text) | Value::Text(text) | Value::Bare(text)) = &node.value else {
        return String::new();
    };
    let text = text.trim();
    let counts = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
    let number = matches!(node.value, Value::Number(_)); // nan and inf
    if text.len() <= LONGEST && plain && (counts || number) {
        format!("{text}: ")
    } else {
        String::new()
    }
}

fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// Whole milliseconds; `None` when it is not a number and a unit.
fn millis(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

/// The name that was probably meant: at most a third of its letters wrong.
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.map(|name| (distance(word, name), name));
    let (wrong, name) = scored.min_by_key(|(wrong, _)| *wrong)?;
    let letters = word.chars().count().max(name.chars().count());
    (wrong * 3 <= letters).then_some(name)
}

/// Letters to change, add, take away or swap with their neighbour until one word is the other, case aside.
fn distance(one: &str, other: &str) -> usize {
    // Nobody's key is longer, and the work grows with the square.
    const LONGEST: usize = 64;
    let letters = |word: &str| {
        let lower = word.to_lowercase();
        lower.chars().take(LONGEST).collect::<Vec<_>>()
    };
    let (one, other) = (letters(one), letters(other));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let change = last[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = change.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped =
                i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
            if swapped {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("300ms", Some(300)),
            ("8s", Some(8_000)),
            ("4m", Some(240_000)),
            ("1h", Some(3_600_000)),
            ("8", None),
            ("1.5s", None),
            ("-1s", None),
            ("s", None),
            ("99999999999999999999h", None),
            ("9999999999999999h", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_one_that_could_have_been_meant() {
        let keys = ["instructions", "voice", "numbers"];
        assert_eq!(
            nearest("instruction", keys.into_iter()),
            Some("instructions")
        );
        assert_eq!(nearest("Voise", keys.into_iter()), Some("voice"));
        assert_eq!(nearest("vioce", keys.into_iter()), Some("voice"));
        assert_eq!(nearest("colour", keys.into_iter()), None);
        assert_eq!(nearest("", keys.into_iter()), None);
    }
}

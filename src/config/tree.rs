//! What was written, and where: the file and the environment laid over one another before anybody asks what it means.
//!
//! Every value remembers its place, because a mistake is mended where it was made: on a line of a file or in a
//! variable. Numbers stay the digits that were written, so that money never passes through a float.

use super::Mistake;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What variables that override the file begin with.
pub(super) const PREFIX: &str = "RINGFENCE__";

/// Where something was written.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A line of a file, counted from one.
    Line(Arc<str>, usize),
    /// A variable of the environment.
    Variable(Arc<str>),
    /// Nowhere: there is no file.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(file, line) => write!(f, "{file}:{line}"),
            Place::Variable(name) => f.write_str(name),
            Place::Nowhere => f.write_str("environment"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// Sections and their keys.
pub(super) type Table = BTreeMap<String, Node>;

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A section, or an inline table.
    Table(Table),
    /// A list.
    List(Vec<Node>),
    /// Text in quotes.
    Text(String),
    /// A number: its digits.
    Number(String),
    /// `true` or `false`.
    Flag(bool),
    /// A word of the environment without quotes: whatever the reader of the key takes it for.
    Bare(String),
    /// Something no key takes: a date, or a number that is not decimal.
    Other,
}

/// Reads a file.
///
/// # Errors
/// Where and why it is not TOML.
pub(super) fn from_file(name: &str, text: &str) -> Result<Node, Mistake> {
    let file: Arc<str> = name.into();
    let lines = Lines::of(&file, text);
    match DeTable::parse(text) {
        Ok(document) => Ok(Node {
            place: lines.place(0),
            value: Value::Table(table(document.get_ref(), &|at| lines.place(at))),
        }),
        Err(error) => Err(Mistake {
            place: lines
                .place(error.span().map_or(0, |span| span.start))
                .to_string(),
            what: format!("this is not TOML: {}", error.message()),
            fix: "mend the line; the keys after it were not read".to_string(),
        }),
    }
}

/// Where the lines of a file begin.
struct Lines<'a> {
    file: &'a Arc<str>,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(file: &'a Arc<str>, text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            file,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        Place::Line(self.file.clone(), line)
    }
}

fn table(from: &DeTable<'_>, place: &dyn Fn(usize) -> Place) -> Table {
    let pairs = from.iter().map(|(key, value)| {
        // The place of a key is better than the place of its value, which may begin lines below it.
        let node = Node {
            place: place(key.span().start),
            value: convert(value.get_ref(), place),
        };
        (key.get_ref().to_string(), node)
    });
    pairs.collect()
}

fn convert(from: &DeValue<'_>, place: &dyn Fn(usize) -> Place) -> Value {
    match from {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => {
            Value::Number(number.as_str().to_string())
        }
        DeValue::Integer(_) => Value::Other,
        DeValue::Float(number) => Value::Number(number.as_str().to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other,
        DeValue::Array(items) => {
            let items = items.iter().map(|item| Node {
                place: place(item.span().start),
                value: convert(item.get_ref(), place),
            });
            Value::List(items.collect())
        }
        DeValue::Table(pairs) => Value::Table(table(pairs, place)),
    }
}

/// Lays the variables that begin with [`PREFIX`] over `root`, which must be a table.
///
/// `__` goes one section down. A name finds a key that is there whatever its case and whether it is spelt with `-` or
/// `_`, for a variable can hold no dash; a name that finds none is a new key in lower case.
pub(super) fn overlay(root: &mut Node, variables: &BTreeMap<String, String>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let place = Place::Variable(name.as_str().into());
        let wrong = |what: &str| Mistake {
            place: name.clone(),
            what: what.to_string(),
            fix: format!("name it {PREFIX}SECTION__KEY, such as {PREFIX}SERVER__LISTEN"),
        };
        let steps: Vec<&str> = path.split("__").collect();
        if steps.len() < 2 || steps.iter().any(|step| step.is_empty()) {
            mistakes.push(wrong("does not name a section and a key"));
            continue;
        }
        let node = Node {
            value: from_variable(text, &place),
            place,
        };
        if !set(root, &steps, node) {
            mistakes.push(wrong("goes into a key that is a value, not a section"));
        }
    }
    mistakes
}

fn set(into: &mut Node, steps: &[&str], node: Node) -> bool {
    let Value::Table(table) = &mut into.value else {
        return false;
    };
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    let found = table.keys().find(|key| same_name(key, step)).cloned();
    let key = found.unwrap_or_else(|| step.to_lowercase());
    if rest.is_empty() {
        table.insert(key, node);
        return true;
    }
    let place = node.place.clone();
    let next = table.entry(key).or_insert_with(|| Node {
        place,
        value: Value::Table(Table::new()),
    });
    set(next, rest, node)
}

fn same_name(key: &str, step: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    plain(key) == plain(step)
}

/// Lists, inline tables and quoted text are TOML; any other text is a bare word, so that a phone number is not a sum.
fn from_variable(text: &str, place: &Place) -> Value {
    let trimmed = text.trim();
    if trimmed.starts_with(['[', '{', '"', '\''])
        && let Ok(value) = DeValue::parse(trimmed)
    {
        return convert(value.get_ref(), &|_| place.clone());
    }
    Value::Bare(text.to_string())
}

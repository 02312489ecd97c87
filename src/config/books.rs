//! The few settings that reading the ledger needs: where it is, and what a connection costs a minute.
//!
//! Whoever reads what was spent need not hold the keys that spend it. So these sections are read alone: a configuration whose secrets are
//! elsewhere, or whose agents do not make sense, still tells where its ledger is.

use super::section::{Findings, Section};
use super::{Mistake, Node, Place, Table, Value, carrier, opened, server, tree};
use crate::units::Usd;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What reading the ledger needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooksSettings {
    /// The ledger's file.
    pub ledger: PathBuf,
    /// A started minute of a call to a local number, without the media stream.
    pub minute: Usd,
    /// The same for toll-free numbers.
    pub tollfree_minute: Usd,
}

/// Reads them from the same file and variables as [`super::load`] reads everything; no secret is asked for.
///
/// # Errors
/// What is wrong with these settings, or with the file as a whole.
pub fn load_books(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<BooksSettings, Vec<Mistake>> {
    let variables: BTreeMap<String, String> = environment.into_iter().collect();
    let file = opened(path, &variables)?;
    let mut root = match &file {
        Some((name, text)) => tree::from_file(name, text).map_err(|mistake| vec![mistake])?,
        None => Node {
            place: Place::Nowhere,
            value: Value::Table(Table::new()),
        },
    };
    let findings = Findings::default();
    let wrong = tree::overlay(&mut root, &variables);
    findings.mistakes.borrow_mut().extend(wrong);
    let section = Section::root(&root, &findings);
    let ledger = server::ledger(&section.section("ledger")).path;
    let [minute, tollfree_minute] = carrier::minutes(&section.section("carrier"));
    match findings.mistakes.take() {
        mistakes if mistakes.is_empty() => Ok(BooksSettings {
            ledger,
            minute,
            tollfree_minute,
        }),
        mistakes => Err(mistakes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/ringfence.toml");

    fn read(variables: &[(&str, &str)]) -> Result<BooksSettings, Vec<Mistake>> {
        let pairs = variables.iter();
        let pairs = pairs.map(|(name, value)| (name.to_string(), value.to_string()));
        load_books(Some(Path::new(FILE)), pairs)
    }

    #[test]
    fn where_the_ledger_is_can_be_known_without_any_secret() {
        let settings = read(&[]).expect("settings");
        assert_eq!(settings.ledger, Path::new("data/ringfence.db"));
        assert_eq!(settings.minute, Usd::from_micros(8_500));
        let elsewhere = read(&[("RINGFENCE__LEDGER__URL", "sqlite:/var/lib/x.db")]);
        assert_eq!(
            elsewhere.expect("settings").ledger,
            Path::new("/var/lib/x.db")
        );
    }

    #[test]
    fn a_ledger_that_cannot_be_is_a_mistake() {
        let mistakes = read(&[("RINGFENCE__LEDGER__URL", "sqlite::memory:")]);
        assert_eq!(mistakes.expect_err("a mistake").len(), 1);
    }
}

//! What the settings point at: secrets, files and addresses.
//!
//! A secret is read here and nowhere else, it is never part of a message, and what was read wrong is described by its
//! place alone.

use super::Mistake;
use super::section::{Findings, Section};
use crate::units::Secret;
use reqwest::Url;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// Settings and price books are smaller than this many bytes.
pub(super) const LARGEST_FILE: u64 = 1 << 20;

/// A secret is shorter than this many bytes.
const LARGEST_SECRET: u64 = 8 << 10;

/// The environment, and where to note what is wrong with it.
pub(super) struct Outside<'a> {
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) findings: &'a Findings,
}

/// The text of a file of at most `most` bytes.
pub(super) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    match read.map_err(unreadable)? as u64 {
        read if read > most => Err(format!("is larger than {most} bytes")),
        _ => Ok(bytes),
    }
}

/// The same for a text.
pub(super) fn read_file(path: &Path, most: u64) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    let read = file.take(most + 1).read_to_string(&mut text);
    match read.map_err(unreadable)? as u64 {
        bytes if bytes > most => Err(format!("is larger than {most} bytes")),
        _ => Ok(text),
    }
}

impl Outside<'_> {
    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let text = self.variables.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// A secret, from the file that `file_key` names or else from a variable.
    pub(super) fn secret(
        &self,
        section: &Section<'_>,
        file_key: &'static str,
        variable: &str,
    ) -> Option<Secret> {
        // Neither what was read nor the path is repeated: people paste keys where a path belongs.
        let text = match section.text(file_key) {
            Some(path) => match read_file(Path::new(&path), LARGEST_SECRET) {
                Ok(text) => text.trim().to_string(),
                Err(why) => {
                    section.mistake(file_key, &why, "mend the path or the file");
                    return None;
                }
            },
            None => self.variable(variable)?.to_string(),
        };
        // Whatever goes into a header or a signature is one visible word.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what =
                "is not a secret: empty, or with spaces, breaks or letters beyond ASCII inside";
            let fix = "put the key there and nothing else";
            match section.has(file_key) {
                true => section.mistake(file_key, what, fix),
                false => self.mistake(variable, what, fix),
            }
            return None;
        }
        Some(Secret::from(text))
    }

    /// A secret that must be there.
    pub(super) fn required_secret(
        &self,
        section: &Section<'_>,
        file_key: &'static str,
        variable: &str,
    ) -> Option<Secret> {
        let secret = self.secret(section, file_key, variable);
        if secret.is_none() && !section.has(file_key) && self.variable(variable).is_none() {
            let fix = format!("set it, or name a file that holds it with {file_key}");
            self.mistake(variable, "is not set", &fix);
        }
        secret
    }

    /// Notes a mistake in a variable, or in the file a secret was read from.
    pub(super) fn mistake(&self, place: &str, what: &str, fix: &str) {
        self.findings.mistakes.borrow_mut().push(Mistake {
            place: place.to_string(),
            what: what.to_string(),
            fix: fix.to_string(),
        });
    }
}

/// An address whose scheme is `secure`; `plain` is taken only where the host is this machine.
///
/// Returns it without slashes at its end.
pub(super) fn address(
    section: &Section<'_>,
    key: &'static str,
    text: &str,
    (secure, plain): (&str, &str),
) -> Option<String> {
    let example = format!("write it as {secure}://host/path");
    let Ok(url) = Url::parse(text) else {
        section.mistake(key, &format!("{text:?} is not an address"), &example);
        return None;
    };
    // A password would be printed with the address, so the address itself is not repeated here.
    if !url.username().is_empty() || url.password().is_some() {
        section.mistake(
            key,
            "an address must not hold a name or a password",
            "take them out",
        );
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        section.mistake(key, "must end before any ? or #", "take the rest out");
        return None;
    }
    if url.scheme() == plain && !is_this_machine(&url) {
        let what = format!(
            "{plain}:// is accepted for this machine only: anybody on the way could listen"
        );
        section.mistake(key, &what, &format!("use {secure}://"));
        return None;
    }
    if url.scheme() != secure && url.scheme() != plain || url.host_str().is_none() {
        section.mistake(key, &format!("must begin with {secure}://"), &example);
        return None;
    }
    Some(text.trim_end_matches('/').to_string())
}

/// Whether the host of an address is a loopback one.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

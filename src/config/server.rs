//! The sections that are about the whole server: its port, its logs, its limits, its budgets and its prices.

use super::LogFormat;
use super::outside::{LARGEST_FILE, Outside, address, read_file};
use super::section::Section;
use crate::admission::Limits;
use crate::budget::{self, OnStoreFailure};
use crate::ledger;
use crate::pricing::{Allowed, Prefix, PriceBook};
use crate::units::{Secret, Usd};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// `[server]`.
pub(super) struct Server {
    pub(super) listen: SocketAddr,
    pub(super) public_url: String,
    pub(super) admin_token: Option<Secret>,
    pub(super) batching: Duration,
}

/// A token shorter than this can be guessed.
const SHORT_TOKEN: usize = 16;

pub(super) fn server(section: &Section<'_>, outside: &Outside<'_>) -> Server {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 8080));
    let listen = section.text("listen").and_then(|text| {
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            let what = format!("{text:?} is not an address and a port");
            section.mistake(
                "listen",
                &what,
                "write it as \"0.0.0.0:8080\" or \"[::]:8080\"",
            );
        }
        parsed
    });
    let public_url = match section.text("public_url") {
        Some(text) => address(section, "public_url", text.trim(), ("https", "http")),
        None => {
            section.mistake(
                "public_url",
                "is missing: carriers must know how to reach this server",
                "write it as \"https://bot.example.com\"",
            );
            None
        }
    };
    let public_url = public_url.unwrap_or_default();
    if public_url.ends_with("example.com") {
        section.warn(
            "public_url",
            "is still the example; no carrier will find you there",
        );
    }
    let admin_token = outside.secret(section, "admin_token_file", "RINGFENCE_ADMIN_TOKEN");
    if admin_token
        .as_ref()
        .is_some_and(|token| token.reveal().len() < SHORT_TOKEN)
    {
        outside.findings.warn(format!(
            "RINGFENCE_ADMIN_TOKEN is shorter than {SHORT_TOKEN} characters and can be guessed"
        ));
    }
    let batching = batching(section);
    section.finish();
    Server {
        listen: listen.unwrap_or(everywhere),
        public_url,
        admin_token,
        batching,
    }
}

/// How long frames may wait for those of other calls, when there are many.
fn batching(section: &Section<'_>) -> Duration {
    let ways = [("1ms", Duration::from_millis(1)), ("off", Duration::ZERO)];
    section.choice("batching", &ways).unwrap_or(ways[0].1)
}

pub(super) fn log(section: Section<'_>) -> LogFormat {
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let format = section.choice("format", &formats);
    section.finish();
    format.unwrap_or(LogFormat::Json)
}

pub(super) fn limits(section: Section<'_>) -> Limits {
    let number = |key, most, default: u32| {
        let written = section.whole(key, 1, most);
        written
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(default)
    };
    let limits = Limits {
        calls: number("calls", 100_000, 200) as usize,
        per_caller_per_hour: number("per_caller_per_hour", 1_000_000, 10),
        pending_streams: number("pending_streams", 100_000, 32) as usize,
        dial_prefixes: dial_prefixes(&section),
    };
    section.finish();
    limits
}

/// Where it is allowed to dial.
fn dial_prefixes(section: &Section<'_>) -> Allowed {
    let written = section.texts("dial_prefixes").unwrap_or_default();
    let prefixes = written.iter().filter_map(|text| {
        let prefix = Prefix::parse(text);
        if prefix.is_none() {
            section.mistake(
                "dial_prefixes",
                &format!("{text:?} is not what an international number begins with"),
                "write + and digits, such as [\"+1415\", \"+4930\"]",
            );
        }
        prefix
    });
    Allowed::new(prefixes.collect())
}

pub(super) fn budget(section: Section<'_>) -> budget::Settings {
    let store = section
        .text("store")
        .unwrap_or_else(|| "memory".to_string());
    if store.starts_with("valkey:") || store.starts_with("redis:") || store.starts_with("postgres")
    {
        section.not_yet("store", "budgets shared between processes; \"memory\" is");
    } else if store != "memory" {
        section.mistake("store", "is not a store", "write \"memory\"");
    }
    let ways = [
        ("finish_within_grant", OnStoreFailure::FinishWithinGrant),
        ("hang_up", OnStoreFailure::HangUp),
    ];
    let dollars = |key, default| section.money(key).unwrap_or(Usd::from_micros(default));
    let settings = budget::Settings {
        day: dollars("day_usd", 100_000_000),
        agent_day: dollars("agent_day_usd", 50_000_000),
        caller_day: dollars("caller_day_usd", 3_000_000),
        on_store_failure: section
            .choice("on_store_failure", &ways)
            .unwrap_or_default(),
    };
    for (key, part) in [
        ("agent_day_usd", settings.agent_day),
        ("caller_day_usd", settings.caller_day),
    ] {
        if part > settings.day && section.has(key) {
            section.warn(
                key,
                &format!("is more than the whole day may cost, {} USD", settings.day),
            );
        }
    }
    section.finish();
    settings
}

/// The file of a server whose configuration names none.
const LEDGER_FILE: &str = "data/ringfence.db";

/// What a ledger's address begins with.
const SQLITE: &str = "sqlite:";

pub(super) fn ledger(section: &Section<'_>) -> ledger::Settings {
    let written = section.text("url");
    let path = written.as_deref().and_then(|url| sqlite_file(section, url));
    section.finish();
    ledger::Settings {
        path: path.unwrap_or(LEDGER_FILE).into(),
    }
}

/// The file an address stands for. The address itself is not repeated: one of a database may hold a password.
fn sqlite_file<'u>(section: &Section<'_>, url: &'u str) -> Option<&'u str> {
    let url = url.trim();
    let fix = format!("write \"{SQLITE}{LEDGER_FILE}\", or leave the key out for that");
    let refuse = |what: &str| {
        section.mistake("url", what, &fix);
        None
    };
    if url.is_empty() {
        return refuse(
            "is empty: a server without a ledger would forget what was spent whenever it is started again",
        );
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        return refuse("not available yet in this version: a ledger in PostgreSQL");
    }
    let Some(rest) = url.strip_prefix(SQLITE) else {
        return refuse("is not the address of a ledger");
    };
    // `sqlite://data/x.db` names the same file as `sqlite:data/x.db`, as database tools write it.
    let path = rest.strip_prefix("//").unwrap_or(rest);
    match path {
        "" => refuse("names no file"),
        _ if path.starts_with(":memory:") => {
            refuse("keeps the ledger in memory, where a crash loses it")
        }
        _ if path.ends_with('/') => refuse("names a folder, not a file"),
        _ if path.contains(['?', '#']) => refuse("must end before any ? or #"),
        _ => Some(path),
    }
}

pub(super) fn prices(section: Section<'_>, outside: &Outside<'_>) -> PriceBook {
    let path = section.text("file");
    section.finish();
    let Some(path) = path else {
        return PriceBook::built_in();
    };
    let text = match read_file(Path::new(&path), LARGEST_FILE) {
        Ok(text) => text,
        Err(why) => {
            section.mistake(
                "file",
                &format!("{path} {why}"),
                "mend the path, or leave it out",
            );
            return PriceBook::built_in();
        }
    };
    PriceBook::parse(&text).unwrap_or_else(|all| {
        for wrong in all {
            outside.mistake(
                &path,
                &wrong,
                "see config/prices.toml for how a price is written",
            );
        }
        PriceBook::built_in()
    })
}

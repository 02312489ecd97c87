//! `[carrier.NAME]`: how to reach a phone company, and what its minutes cost.

use super::outside::{Outside, address};
use super::section::Section;
use crate::carrier::{CARRIERS, Settings};
use crate::ledger::reconcile::CallRates;
use crate::pricing::{Outbound, Prefix, PrefixPrices};
use crate::units::{Phone, Usd};

/// A carrier's settings and its prices.
pub(super) struct Line {
    /// `None` where a mistake was noted.
    pub(super) settings: Option<Settings>,
    per_minute: Usd,
    tollfree_per_minute: Option<Usd>,
    media_per_minute: Usd,
    /// Calls that go out.
    pub(super) outbound: Outbound,
    /// Who answers a number while this server does not.
    pub(super) fallback_url: Option<String>,
    /// One sentence in the carrier's voice.
    pub(super) say: Usd,
}

/// Dearer minutes than this are probably a slip of the decimal point.
const ABSURD_MINUTE: Usd = Usd::from_micros(1_000_000);

/// US prices of Twilio (facts: carriers, section 4): local and toll-free calls coming in, and media streams.
const LOCAL: Usd = Usd::from_micros(8_500);
const TOLL_FREE: Usd = Usd::from_micros(22_000);
const MEDIA: Usd = Usd::from_micros(4_000);

/// What connections cost where no prices are configured.
pub const USUAL_RATES: CallRates = CallRates {
    minute: LOCAL,
    tollfree_minute: TOLL_FREE,
    media_minute: MEDIA,
};

/// A started minute, voice and media, of a call to a local number, where no prices are configured.
pub const USUAL_MINUTE: Usd = LOCAL.plus(MEDIA);

/// Listening who answered, for a whole call (facts: carriers, section 4).
const DETECTION: Usd = Usd::from_micros(7_500);

/// A sentence of the carrier's is charged by its letters and its voice; this covers the dear voices.
const SAY: Usd = Usd::from_micros(5_000);

pub(super) fn twilio(
    carriers: &Section<'_>,
    public_url: &str,
    listens_here_only: bool,
    outside: &Outside<'_>,
) -> Line {
    debug_assert!(CARRIERS.iter().any(|(name, _)| *name == "twilio"));
    let section = carriers.section("twilio");
    let verify_signature = section.flag("verify_signature").unwrap_or(true);
    let behind_a_proxy = !public_url.is_empty() && !is_this_machine(public_url);
    if !verify_signature && (!listens_here_only || behind_a_proxy) {
        section.mistake(
            "verify_signature",
            "false would let anybody spend your money: this server is reached from beyond this machine",
            "take it out, or listen on 127.0.0.1 only, with a public_url of this machine",
        );
    }
    let api_base = section
        .text("api_base")
        .unwrap_or_else(|| "https://api.twilio.com".to_string());
    let api_base = address(&section, "api_base", api_base.trim(), ("https", "http"));
    let auth_token = outside.required_secret(&section, "auth_token_file", "TWILIO_AUTH_TOKEN");
    let account = outside.variable("TWILIO_ACCOUNT_SID");
    match account {
        None => outside.mistake(
            "TWILIO_ACCOUNT_SID",
            "is not set",
            "set it to the account's SID: AC and 32 hexadecimal digits",
        ),
        // It becomes part of addresses, so nothing else may be in it.
        Some(sid) if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) => outside.mistake(
            "TWILIO_ACCOUNT_SID",
            "is not an account's SID",
            "set it to AC and 32 hexadecimal digits",
        ),
        Some(sid) if !sid.starts_with("AC") => outside
            .findings
            .warn("TWILIO_ACCOUNT_SID does not begin with AC, as accounts do".to_string()),
        Some(_) => {}
    }
    let settings = account.zip(auth_token).zip(api_base);
    let settings = settings.map(|((account, auth_token), api_base)| Settings {
        public_url: public_url.to_string(),
        api_base,
        account: account.to_string(),
        auth_token,
        verify_signature,
    });
    let media_per_minute = minute(&section, "media_per_minute_usd").unwrap_or(MEDIA);
    let line = Line {
        settings,
        outbound: outbound(&section, media_per_minute),
        fallback_url: fallback(&section, public_url),
        per_minute: minute(&section, "per_minute_usd").unwrap_or(LOCAL),
        tollfree_per_minute: minute(&section, "tollfree_per_minute_usd"),
        media_per_minute,
        say: minute(&section, "say_usd").unwrap_or(SAY),
    };
    section.finish();
    line
}

/// `outbound_per_minute_usd` and what belongs to it.
fn outbound(section: &Section<'_>, media: Usd) -> Outbound {
    let table = section.section("outbound_per_minute_usd");
    let mut prices = Vec::new();
    for (digits, price) in table.amounts() {
        match Prefix::parse(digits) {
            Some(prefix) => {
                if price.is_zero() || price > ABSURD_MINUTE {
                    table.warn(digits, &format!("{price} USD a minute is no usual price"));
                }
                prices.push((prefix, price));
            }
            None => table.mistake(
                digits,
                "is not what an international number begins with",
                "write + and digits in quotes, such as \"+1\" = 0.0140",
            ),
        }
    }
    let detects = section.flag("machine_detection").unwrap_or(true);
    let detection = minute(section, "machine_detection_usd").unwrap_or(DETECTION);
    Outbound {
        prices: PrefixPrices::new(prices),
        media,
        detection: detects.then_some(detection),
    }
}

/// `fallback_url`. One on the host that it should stand in for is of no use.
fn fallback(section: &Section<'_>, public_url: &str) -> Option<String> {
    let url = section.text("fallback_url").filter(|url| !url.is_empty())?;
    let url = address(section, "fallback_url", url.trim(), ("https", "http"))?;
    if host(&url) == host(public_url) {
        section.warn(
            "fallback_url",
            "is on the same host as public_url: it will be gone when this server is",
        );
    }
    Some(url)
}

/// The name of the machine in an address, without its port.
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A minute of the connection alone. Nothing else of the section is read.
pub(super) fn rates(carriers: &Section<'_>) -> CallRates {
    let section = carriers.section("twilio");
    let price = |key, usual| section.money(key).unwrap_or(usual);
    CallRates {
        minute: price("per_minute_usd", LOCAL),
        tollfree_minute: price("tollfree_per_minute_usd", TOLL_FREE),
        media_minute: price("media_per_minute_usd", MEDIA),
    }
}

/// Whether an address leads to this very machine.
fn is_this_machine(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|name| host.starts_with(name))
}

fn minute(section: &Section<'_>, key: &'static str) -> Option<Usd> {
    let price = section.money(key)?;
    if price.is_zero() {
        section.warn(
            key,
            "is 0: it counts as free, whatever the carrier bills for it",
        );
    }
    if price > ABSURD_MINUTE {
        section.warn(key, &format!("{price} USD is more than any carrier takes"));
    }
    Some(price)
}

impl Line {
    /// A started minute of a call to a toll-free number, voice and media.
    pub(super) fn tollfree_minute(&self) -> Usd {
        let voice = self.tollfree_per_minute.unwrap_or(TOLL_FREE);
        voice.plus(self.media_per_minute)
    }

    /// A started minute of a call to any of these numbers: the dearest of them, voice and media.
    ///
    /// `*` may be a toll-free number too, so it costs what one costs where that price was written.
    pub(super) fn minute(&self, numbers: &[String]) -> Usd {
        let voice = numbers.iter().map(|number| {
            if number == "*" {
                self.per_minute
                    .max(self.tollfree_per_minute.unwrap_or(Usd::ZERO))
            } else if Phone::from(number.as_str()).is_toll_free() {
                self.tollfree_per_minute.unwrap_or(TOLL_FREE)
            } else {
                self.per_minute
            }
        });
        voice
            .max()
            .unwrap_or(self.per_minute)
            .plus(self.media_per_minute)
    }
}

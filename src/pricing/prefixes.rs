//! What numbers begin with: where it is allowed to dial, and what a minute there costs.
//!
//! Whoever can make this server dial can make it dial numbers that share their price with the one who asked (facts: section 7.2), so
//! nothing is dialled but what somebody has allowed and priced by its first digits. The longest prefix wins, as in any carrier's list.

use crate::units::{Phone, Usd};
use std::collections::BTreeMap;

/// The first digits of numbers in their E.164 form: `+`, then at least one digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// Reads one; `None` when no number begins like this.
    pub fn parse(text: &str) -> Option<Prefix> {
        let digits = text.strip_prefix('+')?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        ((1..=15).contains(&digits.len()) && plain && !digits.starts_with('0'))
            .then(|| Prefix(text.to_string()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it speaks of this number: it begins like that, and is no place apart that the prefix does not name.
    fn covers(&self, number: &str) -> bool {
        number.starts_with(&self.0) && apart(number).is_none_or(|code| self.0.len() >= code.len())
    }
}

/// Area codes that share `+1` with the mainland of the United States and Canada and not its prices: islands of the Caribbean and the
/// Pacific, Alaska and Hawaii, and the personal and premium ranges. Dialled for the price of a local call, they are the oldest trick
/// there is, so `+1` alone neither allows nor prices them: each must be written out.
const APART: [&str; 47] = [
    "+1242", "+1246", "+1264", "+1268", "+1284", "+1340", "+1345", "+1441", "+1473", "+1500",
    "+1521", "+1522", "+1523", "+1524", "+1525", "+1526", "+1527", "+1528", "+1529", "+1533",
    "+1544", "+1566", "+1577", "+1588", "+1649", "+1658", "+1664", "+1670", "+1671", "+1684",
    "+1700", "+1721", "+1758", "+1767", "+1784", "+1787", "+1808", "+1809", "+1829", "+1849",
    "+1868", "+1869", "+1876", "+1900", "+1907", "+1939", "+1976",
];

/// The place apart that this number is in.
fn apart(number: &str) -> Option<&'static str> {
    APART.into_iter().find(|code| number.starts_with(code))
}

/// Where it is allowed to dial; nowhere unless somebody says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Prefix>);

impl Allowed {
    /// Numbers that begin like one of these.
    pub fn new(prefixes: Vec<Prefix>) -> Allowed {
        Allowed(prefixes)
    }

    /// Whether this number may be dialled.
    pub fn allows(&self, to: &Phone) -> bool {
        is_number(to) && self.0.iter().any(|prefix| prefix.covers(to.reveal()))
    }

    /// Whether nothing at all may be dialled.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a started minute of a call that goes out costs, by the first digits of the number that is dialled: the connection alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixPrices(BTreeMap<Prefix, Usd>);

impl PrefixPrices {
    /// A list of prices.
    pub fn new(prices: impl IntoIterator<Item = (Prefix, Usd)>) -> PrefixPrices {
        PrefixPrices(prices.into_iter().collect())
    }

    /// What a started minute to this number costs; `None`: nobody has named a price, and so it must not be dialled.
    pub fn price_of(&self, to: &Phone) -> Option<Usd> {
        if !is_number(to) {
            return None;
        }
        let fitting = (self.0.iter()).filter(|(prefix, _)| prefix.covers(to.reveal()));
        let longest = fitting.max_by_key(|(prefix, _)| prefix.0.len());
        longest.map(|(_, price)| *price)
    }

    /// Whether there is no price at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The prefixes and their prices, in the order of the digits.
    pub fn iter(&self) -> impl Iterator<Item = (&Prefix, Usd)> {
        self.0.iter().map(|(prefix, price)| (prefix, *price))
    }
}

/// What calls that we place cost, and how they are placed, from `[carrier.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// A started minute of the connection, by the number that is dialled.
    pub prices: PrefixPrices,
    /// A started minute of the media stream, beside it.
    pub media: Usd,
    /// The carrier listens who answers, and takes this much a call for it; `None`: it does not.
    pub detection: Option<Usd>,
}

impl Outbound {
    /// A started minute of a call that we place, voice and media; `None`: nobody has named a price for this number.
    pub fn minute(&self, to: &Phone) -> Option<Usd> {
        Some(self.prices.price_of(to)?.plus(self.media))
    }
}

/// Short codes, emergency numbers and everything else that is no international number can never be dialled.
fn is_number(to: &Phone) -> bool {
    to.is_e164() && !to.reveal().starts_with("+0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).expect("a prefix")
    }

    fn prices() -> PrefixPrices {
        let cents = |n: u64| Usd::from_micros(n * 10_000);
        PrefixPrices::new([
            (prefix("+1"), cents(1)),
            (prefix("+49"), cents(2)),
            (prefix("+4915"), cents(9)),
            (prefix("+1876"), cents(30)),
        ])
    }

    #[test]
    fn the_longest_prefix_names_the_price_and_none_is_no_price() {
        for (number, cents) in [
            ("+14155550123", Some(1)),
            ("+493012345678", Some(2)),
            ("+4915112345678", Some(9)),
            ("+33123456789", None),
            ("911", None),
            ("+1911", None),
            ("", None),
            ("+0014155550123", None),
        ] {
            let price = prices().price_of(&Phone::from(number));
            assert_eq!(
                price,
                cents.map(|n| Usd::from_micros(n * 10_000)),
                "{number}"
            );
        }
    }

    #[test]
    fn islands_and_premium_numbers_are_not_priced_or_allowed_as_the_mainland_is() {
        let jamaica = Phone::from("+18765550123");
        assert_eq!(prices().price_of(&jamaica), Some(Usd::from_micros(300_000)));
        let grenada = Phone::from("+14735550123");
        assert_eq!(prices().price_of(&grenada), None);
        let mainland = Allowed::new(vec![prefix("+1")]);
        assert!(mainland.allows(&Phone::from("+14155550123")));
        for number in ["+18765550123", "+19005550123", "+14735550123"] {
            assert!(!mainland.allows(&Phone::from(number)), "{number}");
        }
        assert!(Allowed::new(vec![prefix("+1876")]).allows(&jamaica));
    }

    #[test]
    fn nothing_is_allowed_unless_somebody_says_so() {
        let number = Phone::from("+14155550123");
        assert!(!Allowed::default().allows(&number));
        assert!(Allowed::default().is_empty() && PrefixPrices::default().is_empty());
        let germany = Allowed::new(vec![prefix("+49")]);
        assert!(!germany.allows(&number) && !germany.allows(&Phone::from("+49")));
    }

    #[test]
    fn a_prefix_is_a_plus_and_digits() {
        for text in ["+1", "+4930", "+123456789012345"] {
            assert!(Prefix::parse(text).is_some(), "{text}");
        }
        for text in ["", "+", "1", "+1a", "+0", "+01", "+1234567890123456", "*"] {
            assert!(Prefix::parse(text).is_none(), "{text}");
        }
    }
}

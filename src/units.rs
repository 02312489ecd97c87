//! The words every file may use: time inside a call, money, ids, phone numbers, secrets.
//!
//! A unit that lives in a type cannot be mistaken for another one. Money is a whole number of nano-dollars because a
//! cap that is compared as a float is a cap that is sometimes wrong; time inside a call is counted from the moment
//! the carrier began to bill, because that is the clock the owner pays by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since the carrier began to bill this call. The only time the core knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallTime(u64);

impl CallTime {
    /// The moment our answer to the webhook left.
    pub const ZERO: CallTime = CallTime(0);
    /// Later than anything that happens.
    pub const NEVER: CallTime = CallTime(u64::MAX);

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        CallTime(millis)
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This much later. Saturates at [`CallTime::NEVER`].
    pub const fn plus(self, millis: u64) -> Self {
        CallTime(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` until this moment; zero when `earlier` is later.
    pub const fn since(self, earlier: CallTime) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<Duration> for CallTime {
    fn from(duration: Duration) -> Self {
        CallTime(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for CallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Billionths of a US dollar. Never a float; arithmetic is checked or says that it saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

/// Nano-dollars in one dollar.
const NANOS: u64 = 1_000_000_000;

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);
    /// More than any call can cost: what "no limit" compares as.
    pub const MAX: Usd = Usd(u64::MAX);

    /// From billionths of a dollar.
    pub const fn from_nanos(nanos: u64) -> Self {
        Usd(nanos)
    }

    /// From millionths of a dollar.
    pub const fn from_micros(micros: u64) -> Self {
        Usd(micros.saturating_mul(1000))
    }

    /// In billionths of a dollar.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Usd) -> Option<Usd> {
        self.0.checked_add(other.0).map(Usd)
    }

    /// The difference, or `None` when `other` is more.
    pub fn checked_sub(self, other: Usd) -> Option<Usd> {
        self.0.checked_sub(other.0).map(Usd)
    }

    /// The sum; [`Usd::MAX`] when it does not fit, which no cap allows.
    pub const fn plus(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }

    /// What is left after taking `other` away; nothing when `other` is more.
    pub const fn less(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }

    /// This much, `count` times; [`Usd::MAX`] when it does not fit.
    pub const fn times(self, count: u64) -> Usd {
        Usd(self.0.saturating_mul(count))
    }

    /// Reads a plain decimal such as `0.50` or `12`, exactly.
    ///
    /// # Errors
    /// Says what is wrong when the text is not a decimal, is negative, is finer than a nano-dollar, or is too large.
    pub fn parse(text: &str) -> Result<Usd, &'static str> {
        if text.starts_with('-') {
            return Err("an amount of money cannot be negative");
        }
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return Err("not an amount in US dollars, such as 0.50");
        }
        if part.trim_end_matches('0').len() > 9 {
            return Err("finer than a billionth of a dollar");
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| "too large an amount")?
        };
        let part: u64 = format!("{part:0<9}")[..9]
            .parse()
            .map_err(|_| "too large an amount")?;
        let nanos = whole.checked_mul(NANOS).and_then(|n| n.checked_add(part));
        nanos.map(Usd).ok_or("too large an amount")
    }
}

impl std::iter::Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Usd::plus)
    }
}

/// Prints the exact decimal, without trailing zeros beyond the cents: `0.50`, `0.0142616`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:09}", self.0 % NANOS);
        let kept = part.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / NANOS, &part[..kept])
    }
}

/// A short name given by somebody else: an item, a response, a carrier's call. Cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Id(text.into())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our own name for a call, the one in every log line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(Arc<str>);

impl CallId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CallId {
    fn from(text: &str) -> Self {
        CallId(text.into())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A phone number as a carrier wrote it, or whatever stands in its place (`anonymous`, an empty string).
///
/// Printing it masks it; only [`Phone::reveal`] gives the digits, to those who must dial or compare them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(Arc<str>);

impl Phone {
    /// The number as written.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is a number in the E.164 form: `+` and 7 to 15 digits.
    pub fn is_e164(&self) -> bool {
        self.0.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        })
    }
}

/// What toll-free numbers of North America begin with: whoever is called pays for these calls, and dearly.
const TOLL_FREE_CODES: [&str; 7] = [
    "+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888",
];

impl Phone {
    /// Whether calls to it are paid for by whoever is called.
    pub fn is_toll_free(&self) -> bool {
        TOLL_FREE_CODES.iter().any(|code| self.0.starts_with(code))
    }
}

impl From<&str> for Phone {
    fn from(text: &str) -> Self {
        Phone(text.into())
    }
}

/// Masked: the country and area are kept, the middle is not, and the last two to four digits are.
impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_e164() {
            return f.write_str(if self.0.is_empty() {
                "withheld"
            } else {
                "not a number"
            });
        }
        let tail = if self.0.len() >= 12 { 4 } else { 2 };
        let head = self.0.len().saturating_sub(tail + 3).min(5);
        write!(
            f,
            "{}•••{}",
            &self.0[..head],
            &self.0[self.0.len() - tail..]
        )
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({self})")
    }
}

/// A key or a token. Never printed; wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(secrecy::SecretString);

impl Secret {
    /// The secret itself, for the one place that must send or compare it.
    pub fn reveal(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_printed_exactly() {
        for (text, nanos) in [
            ("0.50", 500_000_000),
            ("12", 12_000_000_000),
            (".000000001", 1),
            ("0.0085", 8_500_000),
        ] {
            assert_eq!(Usd::parse(text), Ok(Usd::from_nanos(nanos)), "{text}");
        }
        for wrong in [
            "",
            ".",
            "-1",
            "1e3",
            "0.0000000001",
            "1.2.3",
            "99999999999999",
            "NaN",
        ] {
            assert!(Usd::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Usd::from_nanos(14_261_600).to_string(), "0.0142616");
        assert_eq!(Usd::from_nanos(3_000_000_000).to_string(), "3.00");
    }

    #[test]
    fn a_printed_number_never_tells_who_called() {
        let number = Phone::from("+14155550123");
        assert_eq!(number.to_string(), "+1415•••0123");
        assert_eq!(format!("{number:?}"), "Phone(+1415•••0123)");
        assert_eq!(Phone::from("+4930123").to_string(), "+49•••23");
        assert_eq!(Phone::from("anonymous").to_string(), "not a number");
        assert_eq!(Phone::from("").to_string(), "withheld");
    }

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(
            format!("{:?}", Secret::from("sk-live".to_string())),
            "Secret(…)"
        );
    }
}

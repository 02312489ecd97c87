//! Where a server may dial, and for how much.

use super::refused::refuses;
use super::*;
use crate::units::Phone;

#[test]
fn nothing_is_allowed_and_nothing_is_priced_unless_it_is_written() {
    let settings = loads(include_str!("../../../config/ringfence.toml"), &[]);
    assert!(settings.limits.dial_prefixes.is_empty());
    assert!(settings.outbound.prices.is_empty());
    assert_eq!(settings.outbound.detection, Some(Usd::from_micros(7_500)));
}

#[test]
fn a_minute_that_goes_out_is_the_connection_and_the_stream() {
    let text = include_str!("../../../config/ringfence.toml");
    let prices = "{ \"+1\" = 0.0140, \"+49\" = 0.02 }";
    let settings = loads(
        text,
        &[
            (
                "RINGFENCE__CARRIER__TWILIO__OUTBOUND_PER_MINUTE_USD",
                prices,
            ),
            ("RINGFENCE__CARRIER__TWILIO__MACHINE_DETECTION", "false"),
            ("RINGFENCE__LIMITS__DIAL_PREFIXES", "[\"+1\"]"),
        ],
    );
    let callee = Phone::from("+14155550123");
    assert_eq!(
        settings.outbound.minute(&callee),
        Some(Usd::from_micros(18_000))
    );
    assert!(settings.limits.dial_prefixes.allows(&callee));
    assert_eq!(settings.outbound.minute(&Phone::from("+33123456789")), None);
    assert_eq!(settings.outbound.detection, None);
}

#[test]
fn where_it_dials_and_for_how_much_must_be_prefixes() {
    refuses(
        r#"
[limits]
dial_prefixes = ["+1415", "415"]
[carrier.twilio.outbound_per_minute_usd]
"+1" = 0.014
"49" = 0.02
"+44" = "cheap"
"#,
        expect![[r#"
            ringfence.toml:15 [carrier.twilio.outbound_per_minute_usd] +44
              not an amount in US dollars, such as 0.50
              -> write dollars and cents, such as 0.50
            ringfence.toml:14 [carrier.twilio.outbound_per_minute_usd] 49
              is not what an international number begins with
              -> write + and digits in quotes, such as "+1" = 0.0140
            ringfence.toml:11 [limits] dial_prefixes
              "415" is not what an international number begins with
              -> write + and digits, such as ["+1415", "+4930"]"#]],
    );
}

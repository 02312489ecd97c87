//! What was heard when the caller cuts in on a line that jitters, or stands still.

use super::script::{check_with, rules};
use crate::call::rules::Rules;
use expect_test::expect;

fn paced() -> Rules {
    Rules {
        lead_ms: 300,
        message_ms: 100,
        ..rules()
    }
}

#[test]
fn an_echo_that_is_a_little_late_does_not_make_less_of_what_was_heard() {
    check_with(
        paced(),
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.9  realtime  began r1
        1.0  realtime  spoke r1 me-1 3.0s
        1.2  carrier   played 1:100:g0
        1.34 carrier   played 1:200:g0
        1.4  realtime  caller-spoke
    ",
        expect![[]],
    );
}

#[test]
fn a_line_that_stood_still_for_long_shows_in_the_echoes() {
    check_with(
        paced(),
        "
        0.0  carrier   started
        0.2  realtime  ready
        0.3  realtime  turn you-1
        0.9  realtime  began r1
        1.0  realtime  spoke r1 me-1 3.0s
        1.2  carrier   played 1:100:g0
        1.8  carrier   played 1:200:g0
        1.9  realtime  caller-spoke
    ",
        expect![[]],
    );
}

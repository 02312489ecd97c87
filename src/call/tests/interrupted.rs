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
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    carrier   play 1:100:g0 100ms
            1.0    fact      first-word
            1.0    carrier   play 1:200:g0 100ms
            1.0    carrier   play 1:300:g0 100ms
            1.12   carrier   play 1:400:g0 100ms
            1.2    carrier   play 1:500:g0 100ms
            1.32   carrier   play 1:600:g0 100ms
            1.4    carrier   clear
            1.4    realtime  truncate me-1 at 400ms
            1.4    fact      interrupted
        "#]],
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
        expect![[r#"
            0.0    realtime  open
            0.0    fact      minute $0.0125
            0.0    fact      answered
            0.0    carrier   limit 310s
            0.2    realtime  configure
            0.2    fact      ready
            0.3    realtime  respond r1 max 1024
            1.0    carrier   play 1:100:g0 100ms
            1.0    fact      first-word
            1.0    carrier   play 1:200:g0 100ms
            1.0    carrier   play 1:300:g0 100ms
            1.12   carrier   play 1:400:g0 100ms
            1.2    carrier   play 1:500:g0 100ms
            1.32   carrier   play 1:600:g0 100ms
            1.42   carrier   play 1:700:g0 100ms
            1.52   carrier   play 1:800:g0 100ms
            1.62   carrier   play 1:900:g0 100ms
            1.72   carrier   play 1:1000:g0 100ms
            1.8    carrier   play 1:1100:g0 100ms
            1.9    carrier   clear
            1.9    realtime  truncate me-1 at 460ms
            1.9    fact      interrupted
        "#]],
    );
}

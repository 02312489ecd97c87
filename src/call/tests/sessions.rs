//! How sessions are lost and replaced, and what the caller hears meanwhile.

use super::script::check;
use expect_test::expect;

#[test]
fn a_caller_whose_model_never_came_is_asked_for_patience_and_then_told() {
    check(
        "
        0.0   carrier   started
        30.0  wait
    ",
        expect![[r#""#]],
    );
}

#[test]
fn nobody_is_asked_for_patience_before_the_call_is_answered() {
    check(
        "
        0.1  realtime  lost
        3.0  carrier   started
        4.5  standby   ready
        4.6  carrier   stopped
    ",
        expect![[r#""#]],
    );
}

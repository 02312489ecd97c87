//! How sessions are lost and replaced, and what the caller hears meanwhile.

use super::script::{cents, play, rules};

#[test]
fn a_caller_whose_model_never_came_is_asked_for_patience_and_then_told() {
    let told = play(
        rules(),
        cents(500),
        "
        0.0   carrier   started
        30.0  wait
    ",
    );
    assert!(told.contains("9.2    sound     1 Moment"), "{told}");
    assert!(told.contains("12.0   carrier   say \"Sorry.\""), "{told}");
}

#[test]
fn nobody_is_asked_for_patience_before_the_call_is_answered() {
    let told = play(
        rules(),
        cents(500),
        "
        0.1  realtime  lost
        3.0  carrier   started
        4.0  standby   ready
        4.6  carrier   stopped
    ",
    );
    assert!(told.contains("3.7    sound     1 Moment"), "{told}");
    assert_eq!(told.matches("Moment").count(), 1, "{told}");
    assert!(told.contains("4.0    standby   takes-over"), "{told}");
}

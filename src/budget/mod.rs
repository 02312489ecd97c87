//! (to come)
use crate::units::Usd;

/// What all calls together may cost, from `[budget]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every call of a day (UTC) together.
    pub day: Usd,
    /// Every call of one agent in a day.
    pub agent_day: Usd,
    /// Every call of one caller in a day.
    pub caller_day: Usd,
}

//! (to come)
pub mod rules;

//! (to come)

pub mod dial;

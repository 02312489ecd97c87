//! The other sides of a call, for tests, demonstrations and proofs: none of them shares code with the server.
//!
//! They see only [`crate::units`] and [`crate::audio`]: two sides that share code are wrong together.

pub mod model;

//! The other two parties of a call, shipped in the binary: a phone at a carrier, and a speech model.
//!
//! Each is a pure value (bytes in, bytes out, a deadline) with a thin shell around it that owns the sockets, so the same
//! caller can ring a `Call` in virtual time or a server on the loopback. They share no code with the server but
//! [`crate::units`] and [`crate::audio`]: they build, read, sign and price everything by arithmetic of their own, for two
//! sides that share code are wrong together and nobody notices.

pub mod dice;
pub mod load;
pub mod model;
pub mod phone;
pub mod scenario;
pub mod voice;

//! Calls that go out, and the numbers that calls come in on: the real server and the real program, with the carrier's API and whoever is
//! called simulated on the loopback.
//!
//! What is shown here is that nobody is dialled who must not be, that nobody is dialled twice, and that a call which nobody answers
//! costs nothing.

#[path = "outbound/desk.rs"]
mod desk;
#[path = "outbound/dialled.rs"]
mod dialled;
#[path = "line/house.rs"]
mod house;
#[path = "outbound/number.rs"]
mod number;
#[path = "outbound/refused.rs"]
mod refused;

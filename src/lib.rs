//! Ringfence answers phone calls with a speech-to-speech model and never spends more on a call than you allowed.
//!
//! The house has floors, and a file imports only from floors below its own; `tests/architecture.rs` holds it to that.
//!
//! | floor | rooms | what they do |
//! |---|---|---|
//! | 7 | `main`, [`cli`], [`app`], [`config`] | start things |
//! | 6 | [`http`] | doors |
//! | 5 | [`admission`], [`bridge`] | begin a call, carry a call |
//! | 4 | [`budget`], [`ledger`], [`observe`], [`tools`], [`requests`] | remember things, act |
//! | 3 | [`call`] | decide things: pure, total, deterministic |
//! | 2 | [`carrier`], [`realtime`] | translate things: pure |
//! | 1 | [`audio`], [`page`], [`plain`], [`pricing`] | compute things: pure |
//! | 0 | [`units`] | name things |
//!
//! [`sim`] stands beside them: it sees only [`units`] and [`audio`], for two sides that share code are wrong together.

pub mod admission;
pub mod app;
pub mod audio;
pub mod bridge;
pub mod budget;
pub mod call;
pub mod carrier;
pub mod cli;
pub mod config;
pub mod http;
pub mod ledger;
pub mod observe;
pub mod page;
pub mod plain;
pub mod pricing;
pub mod realtime;
pub mod requests;
pub mod sim;
pub mod tools;
pub mod units;

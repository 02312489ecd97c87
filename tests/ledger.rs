//! The ledger: what is recorded is there tomorrow, what is changed is noticed, and what cannot be written is not spent.
//!
//! Everything here is done to real files, each in a folder of its own: a ledger that is only imagined to be full, locked or torn proves
//! nothing about the one on the disk.

#[path = "ledger/altered.rs"]
mod altered;
#[path = "ledger/files.rs"]
mod files;
#[path = "ledger/full.rs"]
mod full;
#[path = "ledger/kept.rs"]
mod kept;
#[path = "ledger/served.rs"]
mod served;
#[path = "ledger/shelf.rs"]
mod shelf;

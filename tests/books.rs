//! Reading what was spent: the commands as they are installed, the API over a socket, and the bills of others.

#[path = "books/api.rs"]
mod api;
#[path = "books/commands.rs"]
mod commands;
#[path = "books/desk.rs"]
mod desk;
#[path = "books/reconciled.rs"]
mod reconciled;
#[path = "books/transcripts.rs"]
mod transcripts;
#[path = "books/trued_up.rs"]
mod trued_up;

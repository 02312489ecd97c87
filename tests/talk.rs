//! Talk under stress, over real sockets: callers who cut in, models that are lost, sessions that grow old.
//!
//! Both simulators keep a record of what was true: the phone of every sample that its speaker played, the model of everything that it
//! heard, was told and said. What the server believed is held against both. Each test prints its figures.

#[path = "talk/house.rs"]
mod house;
#[path = "talk/interruptions.rs"]
mod interruptions;
#[path = "talk/last_words.rs"]
mod last_words;
#[path = "talk/losses.rs"]
mod losses;
#[path = "talk/party.rs"]
mod party;
#[path = "talk/renewals.rs"]
mod renewals;

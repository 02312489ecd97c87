//! Calls over real sockets: the real server on the loopback, with a simulated phone at one end and a simulated model at the other.
//!
//! What a claim about one file cannot show is shown here: that a caller's voice survives both directions of the line, that fifty callers
//! do not hear each other, that strangers are turned away without a neighbour noticing, and that the bill is the model's own.

#[path = "line/client.rs"]
mod client;
#[path = "line/crowd.rs"]
mod crowd;
#[path = "line/endings.rs"]
mod endings;
#[path = "line/frames.rs"]
mod frames;
#[path = "line/house.rs"]
mod house;
#[path = "line/program.rs"]
mod program;
#[path = "line/sound.rs"]
mod sound;
#[path = "line/strangers.rs"]
mod strangers;
#[path = "line/voices.rs"]
mod voices;

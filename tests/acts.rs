//! The agent's hands, over real sockets: what it may do besides talking, and how it listens to what is no speech.
//!
//! The server is configured as anybody would configure it. What counts here is what comes out at the other ends: at the caller's ear,
//! in the model's conversation, at the carrier's door, and on the bill.

#[path = "acts/agent.rs"]
mod agent;
#[path = "acts/handed.rs"]
mod handed;
#[path = "line/house.rs"]
mod house;
#[path = "acts/keys.rs"]
mod keys;
#[path = "acts/listens.rs"]
mod listens;
#[path = "line/sound.rs"]
mod sound;
#[expect(
    dead_code,
    reason = "the ear's own tests use all of these sounds, and these tests some"
)]
#[path = "ear/sounds.rs"]
mod sounds;
#[path = "acts/words.rs"]
mod words;

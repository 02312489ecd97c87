//! The media path cut into its stages, each of which can be walked by itself as often as one likes.
//!
//! One list for three questions: how long a stage takes (`stages`), how many instructions it is (`paths`, counted by
//! `benches/guard`), and how often it asks for memory (`tests/frugal.rs`). A stage is prepared once, with its buffers, and then
//! walked step by step, as a live call does; its sound is a voice, for silence is cheaper than most sound.

#![allow(dead_code, reason = "each of the three uses its own part of this")]

pub mod house;
pub mod sound;
pub mod talk;
pub mod wires;

/// One walk along a stage, again and again.
pub type Step = Box<dyn FnMut()>;

/// A stage of the media path.
#[derive(Clone, Copy)]
pub struct Stage {
    /// What it is called, in every table.
    pub name: &'static str,
    /// What one step does.
    pub about: &'static str,
    /// Prepares it.
    pub new: fn() -> Step,
}

const fn stage(name: &'static str, about: &'static str, new: fn() -> Step) -> Stage {
    Stage { name, about, new }
}

/// Every stage, in the order in which sound meets them.
pub const STAGES: &[Stage] = &[
    stage(
        "base64.decode",
        "20 ms of the telephone's sound, out of base64",
        wires::decode,
    ),
    stage(
        "base64.encode",
        "20 ms of linear sound at 24 kHz, into base64",
        wires::encode,
    ),
    stage("mulaw.decode", "20 ms from mu-law", sound::mulaw_decode),
    stage("mulaw.encode", "20 ms to mu-law", sound::mulaw_encode),
    stage("filter.up", "20 ms from 8 to 24 kHz", sound::up),
    stage("filter.down", "20 ms from 24 to 8 kHz", sound::down),
    stage(
        "transcode.up",
        "20 ms from the telephone's bytes to the model's",
        sound::transcode_up,
    ),
    stage(
        "transcode.down",
        "100 ms from the model's bytes to the telephone's",
        sound::transcode_down,
    ),
    stage(
        "media.read",
        "a frame of the caller's, 20 ms",
        wires::media_read,
    ),
    stage("mark.read", "a mark that comes back", wires::mark_read),
    stage(
        "media.write",
        "100 ms for the caller, and its mark",
        wires::media_write,
    ),
    stage("delta.read", "100 ms of the model's", wires::delta_read),
    stage(
        "words.read",
        "a few words of the model's",
        wires::words_read,
    ),
    stage("append.write", "20 ms for the model", wires::append_write),
    stage(
        "core.frame",
        "the core, told of 20 ms of the caller's",
        talk::frame,
    ),
    stage(
        "core.delta",
        "the core, told of 100 ms of the model's and of the mark behind it: two inputs",
        talk::delta,
    ),
    stage(
        "line.frame",
        "the whole line, for 20 ms of the caller's",
        house::frame,
    ),
    stage(
        "line.delta",
        "the whole line, for 100 ms of the model's and the mark behind it",
        house::delta,
    ),
];

/// The stage of this name.
pub fn named(name: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.name == name)
}

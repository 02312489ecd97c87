//! What our own ear makes of the caller's sound.

/// What the caller's sound has turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Somebody speaks, and has for long enough to mean it.
    Speech,
    /// They have stopped.
    Quiet,
    /// Nobody is at the other end for now.
    Hold(Hold),
}

/// What is on a line that nobody speaks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Music.
    Music,
    /// The other end is ringing.
    Ringback,
    /// A fax machine.
    Fax,
}

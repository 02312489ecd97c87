//! Sound, and only sound: formats, frames, and one direction of one call turned from one format into another.
//!
//! No sockets and no time here. A [`Transcoder`] is a stream: bytes in, bytes out, in pieces of any size, with the
//! state of its filters kept between them, so that nobody can hear where one piece ended and the next began.

pub mod dtmf;
pub mod g711;
pub mod resample;

/// How long a frame lasts: the telephone's own packet.
pub const FRAME_MS: u64 = 20;

/// How samples become bytes on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// G.711 mu-law at 8 kHz, a byte a sample.
    Pcmu,
    /// G.711 A-law at 8 kHz, a byte a sample.
    Pcma,
    /// Signed 16-bit little-endian, mono.
    Pcm16 {
        /// Samples per second.
        rate: u32,
    },
}

impl Format {
    /// Samples per second.
    pub fn rate(self) -> u32 {
        match self {
            Format::Pcmu | Format::Pcma => 8000,
            Format::Pcm16 { rate } => rate,
        }
    }

    /// Bytes that one sample takes.
    pub fn sample_bytes(self) -> u64 {
        match self {
            Format::Pcmu | Format::Pcma => 1,
            Format::Pcm16 { .. } => 2,
        }
    }

    /// Bytes that this many milliseconds take.
    pub fn bytes(self, ms: u64) -> u64 {
        ms * u64::from(self.rate()) / 1000 * self.sample_bytes()
    }

    /// Whole milliseconds in this many bytes; a started millisecond does not count.
    pub fn ms(self, bytes: u64) -> u64 {
        bytes / self.sample_bytes() * 1000 / u64::from(self.rate())
    }

    /// The byte that sounds like nothing, repeated.
    pub fn silence(self) -> u8 {
        match self {
            Format::Pcmu => 0xFF,
            Format::Pcma => 0xD5,
            Format::Pcm16 { .. } => 0,
        }
    }
}

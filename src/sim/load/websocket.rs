//! The little of WebSocket (RFC 6455) that a load needs: whole frames out, frames in, in place.
//!
//! A client must mask what it sends, but may choose a mask of zeros, and then masking is the identity (section 5.3). That
//! and a shared read buffer are most of why one thread can be a thousand callers.

use base64_simd::STANDARD;
use sha1::{Digest, Sha1};
use std::ops::Range;

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More of the message before.
    More,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// The end.
    Close,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
}

impl Kind {
    fn opcode(self) -> u8 {
        match self {
            Kind::More => 0,
            Kind::Text => 1,
            Kind::Binary => 2,
            Kind::Close => 8,
            Kind::Ping => 9,
            Kind::Pong => 10,
        }
    }

    fn read(opcode: u8) -> Option<Kind> {
        let all = [
            Kind::More,
            Kind::Text,
            Kind::Binary,
            Kind::Close,
            Kind::Ping,
            Kind::Pong,
        ];
        all.into_iter().find(|kind| kind.opcode() == opcode)
    }
}

/// A frame in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Whether the message ends with it.
    pub last: bool,
    /// Where its payload stands, unmasked.
    pub payload: Range<usize>,
}

/// What came is not WebSocket, or longer than anything that is sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// The longest frame that is read.
const LONGEST: usize = 1 << 20;

/// The frame that begins at `from`, unmasked in place; `None` while it is not whole.
///
/// # Errors
/// [`Broken`] when it cannot be a frame.
pub fn next(buffer: &mut [u8], from: usize) -> Result<Option<Frame>, Broken> {
    let Some(&[first, second]) = buffer.get(from..from + 2) else {
        return Ok(None);
    };
    let kind = Kind::read(first & 0x0F).ok_or(Broken)?;
    if first & 0x70 != 0 {
        return Err(Broken);
    }
    let (length, mut at) = match second & 0x7F {
        126 => match buffer.get(from + 2..from + 4) {
            Some(&[a, b]) => (usize::from(u16::from_be_bytes([a, b])), from + 4),
            _ => return Ok(None),
        },
        127 => match buffer.get(from + 2..from + 10) {
            Some(bytes) => {
                let bytes = bytes.try_into().map_err(|_| Broken)?;
                let length = u64::from_be_bytes(bytes);
                (usize::try_from(length).map_err(|_| Broken)?, from + 10)
            }
            None => return Ok(None),
        },
        short => (usize::from(short), from + 2),
    };
    if length > LONGEST {
        return Err(Broken);
    }
    let mask = match second & 0x80 {
        0 => [0; 4],
        _ => match buffer.get(at..at + 4) {
            Some(&[a, b, c, d]) => {
                at += 4;
                [a, b, c, d]
            }
            _ => return Ok(None),
        },
    };
    let Some(payload) = buffer.get_mut(at..at + length) else {
        return Ok(None);
    };
    unmask(payload, mask);
    Ok(Some(Frame {
        kind,
        last: first & 0x80 != 0,
        payload: at..at + length,
    }))
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    let mut wide = [0; 16];
    for (place, byte) in wide.iter_mut().enumerate() {
        *byte = mask[place % 4];
    }
    let (chunks, rest) = payload.as_chunks_mut::<16>();
    for chunk in chunks {
        for (byte, mask) in chunk.iter_mut().zip(wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in rest.iter_mut().zip(wide) {
        *byte ^= mask;
    }
}

/// Appends a whole frame. `masked`: from a client.
pub fn write(out: &mut Vec<u8>, kind: Kind, masked: bool, payload: &[u8]) {
    let mask_bit = if masked { 0x80 } else { 0 };
    out.push(0x80 | kind.opcode());
    match payload.len() {
        short @ 0..126 => out.push(mask_bit | short as u8),
        middle @ 126..=0xFFFF => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    if masked {
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(payload);
}

/// What a server answers a handshake's key with (section 4.2.2).
pub fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode_to_string(hash.finalize())
}

/// A key for a handshake; it proves nothing to us, so it need not be random.
pub const KEY: &str = "cmluZ2ZlbmNlIGxvYWQhIQ==";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_read_as_they_were_written_and_not_before_they_are_whole() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
            for masked in [false, true] {
                let mut wire = vec![9];
                write(&mut wire, Kind::Text, masked, &payload);
                let short = wire.len() - 1;
                assert_eq!(next(&mut wire[..short], 1), Ok(None));
                let frame = next(&mut wire, 1).expect("a frame").expect("whole");
                assert!(frame.last && frame.kind == Kind::Text);
                assert_eq!(wire[frame.payload], payload);
            }
        }
    }

    #[test]
    fn a_mask_is_taken_off_and_the_standards_own_examples_are_understood() {
        // Section 5.7.
        let mut hello = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        let frame = next(&mut hello, 0).expect("a frame").expect("whole");
        assert_eq!(&hello[frame.payload], b"Hello");
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(next(&mut [0x83, 0], 0), Err(Broken));
        assert_eq!(next(&mut [0xC1, 0], 0), Err(Broken));
        assert_eq!(
            next(&mut [0x81, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0], 0),
            Err(Broken)
        );
    }
}

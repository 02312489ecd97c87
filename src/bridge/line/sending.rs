//! The caller's sound on its way to the model: in pieces, so that no buffer on the way grows by how much of it has waited.

use super::{Line, Outside};
use crate::realtime;

/// How much of the caller's sound one message to the model holds at most, in milliseconds.
const PIECE_MS: u64 = 100;

impl Line {
    /// Sends on the last of the caller's sound, in pieces: however much of it has waited, no buffer on the way grows by that.
    pub(super) fn append(
        &mut self,
        command: &realtime::Command,
        ms: u64,
        outside: &mut dyn Outside,
    ) {
        let telephone = self.telephone();
        let want = telephone.bytes(ms) as usize;
        let most = telephone.bytes(PIECE_MS) as usize;
        let mut room = most;
        self.piece.clear();
        for mut sound in self.ear.last(want) {
            while !sound.is_empty() {
                let (now, later) = sound.split_at(room.min(sound.len()));
                self.up.push(now, &mut self.piece);
                (room, sound) = (room - now.len(), later);
                if room == 0 {
                    let mut out = |frame: &str| outside.to_model(frame);
                    self.dialect.write(command, &self.piece, &mut out);
                    self.piece.clear();
                    room = most;
                }
            }
        }
        if room < most {
            let mut out = |frame: &str| outside.to_model(frame);
            self.dialect.write(command, &self.piece, &mut out);
        }
        self.forget_heard();
    }

    pub(super) fn append_silence(
        &mut self,
        command: &realtime::Command,
        ms: u64,
        outside: &mut dyn Outside,
    ) {
        let format = self.dialect.format();
        let mut left = format.bytes(ms) as usize;
        self.piece.clear();
        self.piece
            .resize(left.min(format.bytes(PIECE_MS) as usize), format.silence());
        while left > 0 {
            let now = left.min(self.piece.len());
            let mut out = |frame: &str| outside.to_model(frame);
            self.dialect.write(command, &self.piece[..now], &mut out);
            left -= now;
        }
    }

    /// Keeps of the caller's sound what another session may have to hear again.
    fn forget_heard(&mut self) {
        let kept = self.telephone().bytes(self.call.kept_ms()) as usize;
        self.ear.keep(kept);
    }
}

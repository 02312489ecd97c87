//! The session on standby, as a line carries it: words, and no sound until it holds the floor.

use super::{Line, Outside};
use crate::audio::Transcoder;
use crate::call::Input;
use crate::realtime::{self, Loss};
use crate::units::CallTime;

impl Line {
    /// A text frame from the model on standby.
    pub fn standby_frame(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        self.with_pages(|line| line.read_standby(now, frame, outside));
    }

    fn read_standby(&mut self, now: CallTime, frame: &str, outside: &mut dyn Outside) {
        let Some(standby) = &mut self.standby else {
            return;
        };
        self.fresh.clear();
        match standby.read(frame, &mut self.fresh) {
            Ok(Some(event)) => self.handle(now, Input::Standby(event), outside),
            Ok(None) => {}
            Err(realtime::Garbled(what)) => {
                tracing::warn!(event = "model.garbled", what);
                self.standby_lost(now, Loss::Garbled, outside);
            }
        }
    }

    /// Its socket closed, with these words.
    pub fn standby_closed(
        &mut self,
        now: CallTime,
        code: Option<u16>,
        reason: &str,
        outside: &mut dyn Outside,
    ) {
        if let Some(standby) = &mut self.standby {
            let loss = standby.closed(code, reason);
            self.standby_lost(now, loss, outside);
        }
    }

    /// Its server answered the handshake with an HTTP status.
    pub fn standby_refused(&mut self, now: CallTime, status: u16, outside: &mut dyn Outside) {
        if let Some(standby) = &self.standby {
            let loss = standby.refused(status);
            self.standby_lost(now, loss, outside);
        }
    }

    /// The standby's side is gone.
    pub fn standby_lost(&mut self, now: CallTime, loss: Loss, outside: &mut dyn Outside) {
        self.handle(now, Input::Standby(realtime::Event::Lost(loss)), outside);
    }

    pub(super) fn tell_standby(&mut self, command: &realtime::Command, outside: &mut dyn Outside) {
        match command {
            realtime::Command::Open { model } => {
                if let Some(model) = self.models.get(*model) {
                    let codec = model.codec();
                    outside.open_standby(codec.address());
                    self.standby = Some(codec);
                }
            }
            realtime::Command::Close => {
                self.standby = None;
                outside.close_standby();
            }
            _ => {
                if let Some(standby) = &mut self.standby {
                    standby.write(command, &[], &mut |frame| outside.to_standby(frame));
                }
            }
        }
    }

    /// The session on standby holds the floor. Its sound begins with clean filters; what the one before had said is in the mouth.
    pub(super) fn take_over(&mut self, outside: &mut dyn Outside) {
        let Some(codec) = self.standby.take() else {
            return;
        };
        let telephone = self.telephone();
        self.up = Transcoder::new(telephone, codec.format());
        self.down = Transcoder::new(codec.format(), telephone);
        self.speaking = None;
        self.dialect = codec;
        outside.take_over();
    }
}

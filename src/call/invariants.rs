//! What must be true of every call, whatever happens to it.
//!
//! One checker, shared by the random tests, the exhaustive test of short sequences and whoever proves the cap: it looks at what went in
//! and what came out, and names the promise that was broken.

use super::record::{Cause, What};
use super::{Ask, Call, Input, Output, Phase};
use crate::units::{CallTime, Usd};
use crate::{carrier, realtime};

/// Outputs that one input may have: alarms that ring together, a cut, a replay, a goodbye, a close.
const MAX_OUTPUTS: usize = 192;

/// Watches one call from its first input to its last.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    configured: bool,
    /// The session on standby is open, and its settings are confirmed.
    standby: Option<bool>,
    closed: bool,
    ended: u32,
    settled: u32,
    clears: u32,
    last_play: Option<carrier::Mark>,
    cut_item: u32,
    warned: Vec<Cause>,
    charged: Usd,
    /// What the last fact covers, should the process die now.
    covered: Usd,
    /// What the provider billed beyond what it could: the only excuse for a cap that did not hold.
    excess: Usd,
    /// How much of the caller's sound is still there to be sent, by what the call has said must be kept.
    kept_ms: u64,
}

impl Checker {
    /// Looks at one input and what came of it.
    ///
    /// # Errors
    /// Says which invariant is broken, in words.
    pub fn check(
        &mut self,
        call: &Call,
        now: CallTime,
        input: &Input,
        outputs: &[Output],
    ) -> Result<(), String> {
        if *input == Input::Realtime(realtime::Event::Configured(Ok(()))) {
            self.configured = true;
        }
        if *input == Input::Standby(realtime::Event::Configured(Ok(())))
            && let Some(confirmed) = &mut self.standby
        {
            *confirmed = true;
        }
        if let Input::Carrier(carrier::Event::Heard { ms }) = input {
            self.kept_ms = (self.kept_ms + ms).min(call.rules.margins.ear_ms);
        }
        if outputs.len() > MAX_OUTPUTS {
            return Err(format!("3: {} outputs of one input", outputs.len()));
        }
        for output in outputs {
            if self.closed {
                return Err(format!("1: after the end came {output:?}"));
            }
            self.look_at(call, output)?;
        }
        self.look_at_call(call, now)
    }

    fn look_at_call(&self, call: &Call, now: CallTime) -> Result<(), String> {
        let over = matches!(call.phase(), Phase::Over(_));
        // A call that is over may wait for reports before it is closed.
        let open = !self.closed && (self.ended > 0 || self.settled > 0);
        let closed = self.closed && (!over || self.ended != 1 || self.settled != 1);
        if open || closed {
            return Err(format!(
                "1: over: {over}, closed: {}, ended: {}",
                self.closed, self.ended
            ));
        }
        if now.millis() >= call.end_ms && !over {
            return Err(format!("2: alive at {now}, after the cap on duration"));
        }
        if let Some((at, timer)) = call.deadline()
            && at <= now
        {
            return Err(format!("3: {timer:?} was due at {at} and it is {now}"));
        }
        if !self.closed && call.deadline().is_none() {
            return Err("2: nothing would ever end this call".into());
        }
        if !self.closed && call.meter.committed() > self.covered {
            let committed = call.meter.committed();
            return Err(format!(
                "11: {committed} is committed, the facts cover {}",
                self.covered
            ));
        }
        match call
            .playback
            .progress()
            .find(|(sent_ms, heard_ms)| heard_ms > sent_ms)
        {
            Some((sent_ms, heard_ms)) => Err(format!("4: heard {heard_ms} of {sent_ms} ms")),
            None => Ok(()),
        }
    }

    fn look_at(&mut self, call: &Call, output: &Output) -> Result<(), String> {
        match output {
            Output::Carrier(command) => self.look_at_carrier(call, command),
            Output::Standby(command) => self.look_at_standby(command),
            Output::TakeOver => match self.standby.take() {
                Some(true) => {
                    self.configured = true;
                    Ok(())
                }
                other => Err(format!("12: took over from a standby that is {other:?}")),
            },
            Output::Realtime(command) => self.look_at_realtime(call, command),
            Output::Sound { .. } | Output::Tool(_) | Output::Transcript(_) => Ok(()),
            Output::Budget(Ask::TopUp(more)) if more.is_zero() => {
                Err("8: asked for nothing".into())
            }
            Output::Budget(Ask::TopUp(_)) => Ok(()),
            Output::Budget(Ask::Settle(used)) => {
                self.settled += 1;
                if *used == self.charged {
                    Ok(())
                } else {
                    Err(format!("7: settled {used}, recorded {}", self.charged))
                }
            }
            Output::Record(fact) => {
                self.charged = self.charged.plus(fact.what.cost());
                if fact.spent != self.charged {
                    return Err(format!(
                        "7: spent {}, recorded {}",
                        fact.spent, self.charged
                    ));
                }
                self.covered = fact.spent.plus(fact.reserved);
                self.look_at_fact(call, &fact.what)
            }
            Output::Close(_) => {
                self.closed = true;
                Ok(())
            }
        }
    }

    fn look_at_carrier(&mut self, call: &Call, command: &carrier::Command) -> Result<(), String> {
        match command {
            carrier::Command::Clear => {
                self.clears += 1;
                self.cut_item = self.last_play.map_or(self.cut_item, |mark| mark.item);
                Ok(())
            }
            carrier::Command::Play { mark, ms } => {
                let follows = self.last_play.is_none_or(|last| {
                    mark.item > last.item
                        || (mark.item == last.item && mark.until_ms == last.until_ms + ms)
                });
                self.last_play = Some(*mark);
                if mark.generation != self.clears || mark.item <= self.cut_item || !follows {
                    return Err(format!("4: {mark} was played after {} clears", self.clears));
                }
                Ok(())
            }
            carrier::Command::Limit { seconds } if *seconds < 60 => {
                Err(format!("2: a carrier's limit of {seconds} s"))
            }
            carrier::Command::Transfer(transfer) => {
                let known = &call.rules.abilities.destinations;
                if known.iter().any(|known| known.to == transfer.to) {
                    Ok(())
                } else {
                    Err("13: a transfer to somebody who is not in the configuration".into())
                }
            }
            carrier::Command::Limit { .. }
            | carrier::Command::LastWords(_)
            | carrier::Command::Close
            | carrier::Command::Complete { .. } => Ok(()),
        }
    }

    /// A session that does not hold the floor hears nobody and is asked for nothing.
    fn look_at_standby(&mut self, command: &realtime::Command) -> Result<(), String> {
        use realtime::Command;
        match command {
            Command::Open { .. } if self.standby.is_none() => {
                self.standby = Some(false);
                Ok(())
            }
            Command::Close => {
                self.standby = None;
                Ok(())
            }
            Command::Configure | Command::Cancel { .. } if self.standby.is_some() => Ok(()),
            Command::Add(_) if self.standby == Some(true) => Ok(()),
            _ => Err(format!(
                "12: {command:?} to a standby that is {:?}",
                self.standby
            )),
        }
    }

    fn look_at_realtime(&mut self, call: &Call, command: &realtime::Command) -> Result<(), String> {
        use realtime::Command;
        if matches!(command, Command::Close) {
            self.configured = false;
        }
        let billable = matches!(
            command,
            Command::Append { .. }
                | Command::AppendSilence { .. }
                | Command::Add(_)
                | Command::Respond(_)
        );
        if billable && !self.configured {
            return Err(format!(
                "10: {command:?} before the settings were confirmed"
            ));
        }
        if let Command::Append { ms } = command {
            if *ms > self.kept_ms {
                let kept_ms = self.kept_ms;
                return Err(format!("14: {ms} ms to be sent, {kept_ms} are kept"));
            }
            self.kept_ms = self.kept_ms.min(call.kept_ms());
        }
        let begins = billable && !matches!(command, Command::Add(_));
        if begins && !matches!(call.phase(), Phase::Over(_)) && !call.fits(Usd::ZERO) {
            return Err(format!("5: {command:?} is not covered"));
        }
        Ok(())
    }

    fn look_at_fact(&mut self, call: &Call, what: &What) -> Result<(), String> {
        match what {
            What::Warned(cause) if self.warned.contains(cause) => {
                Err(format!("6: warned of {} twice", cause.word()))
            }
            What::Warned(cause) => {
                self.warned.push(*cause);
                Ok(())
            }
            What::WrappingUp(cause) if !self.warned.contains(cause) => {
                Err(format!("6: {} ended the call unannounced", cause.word()))
            }
            What::BoundBroken { cost, bound } => {
                self.excess = self.excess.plus(cost.less(*bound));
                Ok(())
            }
            What::Ended(summary) => {
                self.ended += 1;
                if summary.cost.total() != self.charged {
                    return Err(format!(
                        "7: {} is not {}",
                        summary.cost.total(),
                        self.charged
                    ));
                }
                if self.charged > call.allowance.limit().plus(self.excess) {
                    return Err(format!("8: {} of {}", self.charged, call.allowance.limit()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

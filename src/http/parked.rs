//! Calls that were placed and are not yet answered.
//!
//! Such a call has its line, its part of the budgets and its first line in the ledger, and nobody carries it: there is nothing to carry
//! until somebody answers. Whatever comes first takes it out of here, once: its webhook, the carrier's word that nobody answered, or
//! the end of our patience.

use crate::admission::Admitted;
use crate::carrier::Answerer;
use crate::ledger::Recorder;
use crate::units::{CallId, Id};
use dashmap::DashMap;
use tokio::sync::watch;

/// A call that was placed.
pub struct Parked {
    /// What it may do, its part of the budgets, and its line.
    pub admitted: Admitted,
    /// Where its lines are written.
    pub recorder: Recorder,
    /// Who answered, should the carrier have said so before it asked what to do.
    pub answerer: Option<Answerer>,
    /// The carrier's name for it, once it is known.
    pub carrier_call: Option<Id>,
}

impl Parked {
    fn name(&mut self, carrier_call: &Id) {
        if self.carrier_call.is_none() {
            self.recorder.dialled(carrier_call);
            self.carrier_call = Some(carrier_call.clone());
        }
    }
}

/// All of them.
#[derive(Default)]
pub struct Parking {
    calls: DashMap<CallId, Parked>,
    closing: watch::Sender<bool>,
}

impl Parking {
    /// Keeps a call that is about to be placed.
    pub fn park(&self, parked: Parked) {
        let call = parked.admitted.ticket.call.clone();
        self.calls.insert(call, parked);
    }

    /// The carrier has named the call. It may have been answered already.
    pub fn name(&self, call: &CallId, carrier_call: &Id) {
        if let Some(mut parked) = self.calls.get_mut(call) {
            parked.name(carrier_call);
        }
    }

    /// The carrier has made up its mind about who answered. `false`: the call is not here any more.
    pub fn note(&self, call: &CallId, answerer: Answerer) -> bool {
        match self.calls.get_mut(call) {
            Some(mut parked) => {
                parked.answerer = Some(answerer);
                true
            }
            None => false,
        }
    }

    /// Takes a call out, whatever became of it.
    pub fn take(&self, call: &CallId) -> Option<Parked> {
        self.calls.remove(call).map(|(_, parked)| parked)
    }

    /// Takes out the call that the carrier speaks of, unless it is known there by another name.
    pub fn collect(&self, call: &CallId, carrier_call: &Id) -> Option<Parked> {
        let fits = |known: &Option<Id>| known.as_ref().is_none_or(|known| known == carrier_call);
        let taken = (self.calls).remove_if(call, |_, parked| fits(&parked.carrier_call));
        let (_, mut parked) = taken?;
        parked.name(carrier_call);
        Some(parked)
    }

    /// From now on nobody waits for an answer any more.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether that is so.
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Resolves when it is.
    pub async fn closing(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as this.
        let _ = closing.wait_for(|closing| *closing).await;
    }
}

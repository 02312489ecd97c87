//! Everything a call touches, and what waits to be told to it.

use super::clock::{Clock, Moment};
use super::line::{Line, Outside};
use super::side::Side;
use super::switchboard::{Aside, Opened, Seat};
use super::wire::{Came, Wire};
use super::{News, World};
use crate::budget::Grant;
use crate::call::record::{Ending, Fact};
use crate::call::tools::{ToolCall, ToolResult};
use crate::call::words::Told;
use crate::call::{Ask, Verdict};
use crate::carrier::{self, Carrier, RestRequest};
use crate::ledger::{Failing, Recorder, Scribe};
use crate::observe::path::{self, UP};
use crate::observe::{Labels, Observer};
use crate::realtime::Address;
use crate::requests::Requests;
use crate::tools::{Caller, Toolbox};
use crate::units::{CallTime, Usd};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::Instrument;

/// The close code for "done".
const NORMAL: u16 = 1000;

/// A frame that comes so much later than the promptest one is late, in milliseconds: a player of ours would have run dry.
const LATE_MS: u64 = 60;

/// How often it is looked at what a call keeps in memory, in milliseconds of the caller's sound.
const MEASURED_MS: u64 = 1_000;

/// A call's task, its timers and its entries elsewhere, in bytes: measured, not counted.
const TASK_BYTES: usize = 8 * 1024;

/// One call's desk.
pub(super) struct Desk {
    observer: Observer,
    labels: Arc<Labels>,
    carrier_side: Arc<dyn Carrier>,
    requests: Requests,
    grant: Option<Grant>,
    door: Option<oneshot::Receiver<Opened>>,
    asides: mpsc::Receiver<Aside>,
    last_words: Arc<OnceLock<Option<String>>>,
    pub(super) carrier: Option<Wire<TcpStream>>,
    carrier_close: (u16, &'static str),
    /// The session that holds the floor.
    pub(super) model: Side,
    /// The one that may take it over.
    pub(super) standby: Side,
    recorder: Recorder,
    scribe: Scribe,
    clock: Clock,
    /// Grants on their way to the disk.
    granting: FuturesUnordered<BoxFuture<'static, (Usd, Result<(), Failing>)>>,
    verdicts: VecDeque<Verdict>,
    toolbox: Arc<Toolbox>,
    caller: Caller,
    /// Functions that were called and have not answered.
    calling: FuturesUnordered<BoxFuture<'static, ToolResult>>,
    /// The request that hands the caller over.
    transferring: Option<BoxFuture<'static, bool>>,
    alarm: Pin<Box<Sleep>>,
    /// In this wake, what is said beside the sockets has been asked for.
    swept: bool,
    performing: JoinSet<()>,
    pub(super) ending: Option<Ending>,
    /// When the frame was read that is being dealt with.
    pub(super) read: Option<Moment>,
    /// How far the caller's sound was behind the clock when it was least.
    promptest_ms: Option<u64>,
    heard_ms: u64,
    measured_ms: u64,
    /// What it was last said to keep in memory.
    memory: usize,
}

impl Desk {
    pub(super) fn new(seat: Seat, world: World, clock: Clock) -> Self {
        Desk {
            observer: world.observer,
            labels: world.labels,
            carrier_side: world.carrier,
            requests: world.requests,
            grant: Some(world.grant),
            door: Some(seat.door),
            asides: seat.asides,
            last_words: seat.last_words,
            carrier: None,
            carrier_close: (NORMAL, ""),
            model: Side::default(),
            standby: Side::default(),
            recorder: world.recorder,
            scribe: world.scribe,
            clock,
            granting: FuturesUnordered::new(),
            verdicts: VecDeque::new(),
            toolbox: world.toolbox,
            caller: world.caller,
            calling: FuturesUnordered::new(),
            transferring: None,
            alarm: Box::pin(tokio::time::sleep(Duration::MAX)),
            swept: false,
            performing: JoinSet::new(),
            ending: None,
            read: None,
            promptest_ms: None,
            heard_ms: 0,
            measured_ms: 0,
            memory: 0,
        }
    }

    /// Waits for whatever comes first, and meanwhile sends what waits on either wire.
    pub(super) async fn next(&mut self, due: Option<Instant>) -> News {
        // A deadline moves fifty times a second, mostly away: an alarm that rings too early is set again then, and that is cheaper.
        if let Some(due) = due
            && (due < self.alarm.deadline() || self.alarm.is_elapsed())
        {
            self.alarm.as_mut().reset(due);
        }
        poll_fn(|cx| self.poll(due, cx)).await
    }

    /// Whether the alarm rings for this deadline.
    fn rings(&mut self, due: Instant, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.alarm.deadline() >= due {
                return true;
            }
            self.alarm.as_mut().reset(due);
        }
        false
    }

    fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<News> {
        // What seldom comes is asked for once in a wake, and not again after each frame that is found in it.
        if !self.swept {
            if let Poll::Ready(Some(aside)) = self.asides.poll_recv(cx) {
                return Poll::Ready(News::Aside(aside));
            }
            self.swept = true;
        }
        // Before the frames: a caller who talks without pause must not keep the clock from being looked at.
        if let Some(due) = due
            && self.rings(due, cx)
        {
            return Poll::Ready(News::Wake);
        }
        if let Some(door) = &mut self.door
            && let Poll::Ready(opened) = door.poll_unpin(cx)
        {
            self.door = None;
            return Poll::Ready(match opened {
                Ok(opened) => News::Opened(Box::new(opened)),
                // The place was taken by a stream that did not prove to be of this call, and no other can come.
                Err(_) => News::Carrier(Came::Gone),
            });
        }
        if let Poll::Ready(reached) = self.model.poll(cx) {
            return Poll::Ready(News::Model(reached));
        }
        if let Some(wire) = &mut self.carrier
            && let Poll::Ready(came) = wire.poll(cx)
        {
            return Poll::Ready(News::Carrier(came));
        }
        if let Poll::Ready(reached) = self.standby.poll(cx) {
            return Poll::Ready(News::Standby(reached));
        }
        // Asking an empty set registers with it all the same.
        if !self.granting.is_empty()
            && let Poll::Ready(Some((more, durable))) = self.granting.poll_next_unpin(cx)
        {
            return Poll::Ready(News::Verdict(self.granted(more, durable)));
        }
        if !self.calling.is_empty()
            && let Poll::Ready(Some(result)) = self.calling.poll_next_unpin(cx)
        {
            return Poll::Ready(News::Tool(result));
        }
        if let Some(transferring) = &mut self.transferring
            && let Poll::Ready(certainly_not) = transferring.poll_unpin(cx)
        {
            self.transferring = None;
            // A request whose answer was lost may have been obeyed: then the stream closes, or the core runs out of patience.
            if certainly_not {
                return Poll::Ready(News::Aside(Aside::Carrier(carrier::Event::NotTransferred)));
            }
        }
        if let Some(verdict) = self.verdicts.pop_front() {
            return Poll::Ready(News::Verdict(verdict));
        }
        self.swept = false;
        Poll::Pending
    }

    /// What the budgets granted may be spent once it is on disk, and is theirs again if it cannot be written.
    fn granted(&mut self, more: Usd, durable: Result<(), Failing>) -> Verdict {
        if durable.is_ok() {
            return Verdict::Granted(more);
        }
        if let Some(grant) = &mut self.grant {
            grant.give_back(more);
        }
        Verdict::Refused
    }

    /// The carrier's socket is of no more use; says why it will be closed.
    pub(super) fn carrier_gone(&mut self, came: &Came) {
        match came {
            Came::Message(Message::Binary(_)) => {
                tracing::warn!(event = "carrier.garbled", what = "a binary frame");
                self.carrier_close = (1003, "binary frames are not part of a media stream");
            }
            Came::Slow => self.carrier_close = (1008, "too much sound waits to be read"),
            Came::TooLarge => {
                tracing::warn!(
                    event = "carrier.garbled",
                    what = "a frame that is too large"
                );
                self.carrier_close = (1009, "larger than any frame of a media stream");
            }
            Came::Message(_) | Came::Gone => self.carrier = None,
        }
    }

    /// The caller's sound has come, up to here: was it in time, and what does the call keep by now?
    pub(super) fn heard(&mut self, now: CallTime, line: &Line) {
        let heard_ms = line.call().heard_ms();
        if heard_ms == self.heard_ms {
            return;
        }
        UP.came(heard_ms - self.heard_ms);
        self.heard_ms = heard_ms;
        let behind_ms = now.millis().saturating_sub(heard_ms);
        let promptest_ms = self.promptest_ms.map_or(behind_ms, |ms| ms.min(behind_ms));
        self.promptest_ms = Some(promptest_ms);
        if behind_ms > promptest_ms + LATE_MS {
            UP.came_late();
        }
        if heard_ms >= self.measured_ms {
            self.measured_ms = heard_ms + MEASURED_MS;
            let wires = self.carrier.as_ref().map_or(0, Wire::memory);
            let memory = wires + self.model.memory() + self.standby.memory() + line.memory();
            self.keeps(memory + TASK_BYTES);
        }
    }

    fn keeps(&mut self, memory: usize) {
        path::memory(memory as i64 - self.memory as i64);
        self.memory = memory;
    }

    /// Sends what is still to be sent, closes what is open, and sees the carrier's requests through.
    pub(super) async fn finish(&mut self) {
        self.close_carrier();
        self.close_model();
        self.close_standby();
        while self.performing.join_next().await.is_some() {}
    }
}

impl Outside for Desk {
    fn to_carrier(&mut self, frame: &str) {
        if let Some(wire) = &mut self.carrier {
            wire.send(frame, self.read);
        }
    }

    fn to_model(&mut self, frame: &str) {
        self.model.send(frame, self.read);
    }

    fn open_model(&mut self, address: Address) {
        self.model.open(address);
    }

    fn close_model(&mut self) {
        if let Some(closing) = self.model.close() {
            self.performing.spawn(closing);
        }
    }

    fn open_standby(&mut self, address: Address) {
        self.standby.open(address);
    }

    fn to_standby(&mut self, frame: &str) {
        self.standby.send(frame, None);
    }

    fn close_standby(&mut self) {
        if let Some(closing) = self.standby.close() {
            self.performing.spawn(closing);
        }
    }

    fn take_over(&mut self) {
        self.close_model();
        self.model = std::mem::take(&mut self.standby);
    }

    fn transfer(&mut self, request: RestRequest) {
        let (requests, carrier) = (self.requests.clone(), self.carrier_side.clone());
        let work = async move {
            let asked = requests.ask(request, &*carrier).await;
            asked.is_err_and(|unanswered| unanswered.had_no_effect)
        };
        self.transferring = Some(work.in_current_span().boxed());
    }

    fn tool(&mut self, call: ToolCall) {
        let (toolbox, caller) = (self.toolbox.clone(), self.caller.clone());
        let work = async move { toolbox.call(call, &caller).await };
        self.calling.push(work.in_current_span().boxed());
    }

    fn transcript(&mut self, told: Told) {
        self.scribe.take_down(self.clock.now().millis(), told);
    }

    fn close_carrier(&mut self) {
        let (code, reason) = self.carrier_close;
        // A stream that opens only now finds nobody, and is told so at once.
        self.door = None;
        // What the carrier asks for when the stream has closed must be decided before it closes.
        let _ = self.last_words.set(None);
        if let Some(wire) = self.carrier.take() {
            let code = code.into();
            let reason = reason.into();
            self.performing
                .spawn(wire.close(Some(CloseFrame { code, reason })));
        }
    }

    fn carrier_garbled(&mut self, what: &'static str) {
        tracing::warn!(event = "carrier.garbled", what);
        self.carrier_close = (1007, what);
    }

    fn rest(&mut self, request: RestRequest, after_ms: u64) {
        let (requests, carrier) = (self.requests.clone(), self.carrier_side.clone());
        let work = async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            requests.perform(request, &*carrier).await;
        };
        self.performing.spawn(work.in_current_span());
    }

    fn last_words(&mut self, sentence: String) {
        let _ = self.last_words.set(Some(sentence));
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::TopUp(more) => {
                let verdict = self
                    .grant
                    .as_mut()
                    .map_or(Verdict::Refused, |grant| grant.top_up(more));
                match verdict {
                    Verdict::Granted(more) => {
                        let durable = self.recorder.granted(more);
                        let granting = async move { (more, durable.await) };
                        self.granting.push(granting.boxed());
                    }
                    Verdict::Refused => self.verdicts.push_back(Verdict::Refused),
                }
            }
            Ask::Settle(used) => {
                if let Some(grant) = self.grant.take() {
                    grant.settle(used);
                }
            }
        }
    }

    fn record(&mut self, fact: Fact) {
        // First of all, and before any frame that follows from it: what a killed process has not written down, nobody is charged.
        self.recorder.record(&fact);
        self.observer.record(&self.labels, fact);
    }

    fn over(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.keeps(0);
    }
}

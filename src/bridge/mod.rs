//! Where the outside touches the core: one call is one task is one loop, and the loop makes no decisions.
//!
//! It waits for whatever comes first (an operator's wish, a frame from either socket, the budgets, the core's own deadline), hands it
//! to the [`Line`], and does what comes out. Nothing in it awaits a slow peer: what is said is queued (see [`wire`]).

pub mod clock;
pub mod dial;
pub mod line;
pub mod side;
pub mod switchboard;
pub mod wire;

use crate::budget::Grant;
use crate::call::record::{Ending, Fact};
use crate::call::tools::{ToolCall, ToolResult};
use crate::call::words::Told;
use crate::call::{Ask, Input, Order, Verdict};
use crate::carrier::{self, Carrier, RestRequest};
use crate::ledger::{Failing, Recorder, Scribe};
use crate::observe::{Labels, Observer};
use crate::realtime::{Address, Loss};
use crate::requests::Requests;
use crate::tools::{Caller, Toolbox};
use crate::units::{CallTime, Usd};
use axum::extract::ws::{self, WebSocket};
use clock::Clock;
use dial::DialError;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use line::{Line, Outside};
use side::{Reached, Side};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use switchboard::{Opened, Seat};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite;
use tracing::Instrument;
use wire::{Came, Wire};

/// The close code for "done".
const NORMAL: u16 = 1000;

/// What a call needs of the world, besides its [`Line`].
pub struct World {
    /// Where facts go.
    pub observer: Observer,
    /// What every fact carries.
    pub labels: Arc<Labels>,
    /// The carrier whose requests are performed.
    pub carrier: Arc<dyn Carrier>,
    /// What performs them.
    pub requests: Requests,
    /// The call's part of the budgets.
    pub grant: Grant,
    /// Where its facts are kept.
    pub recorder: Recorder,
    /// Where what is said is kept, if anybody keeps it.
    pub scribe: Scribe,
    /// What the model may call.
    pub toolbox: Arc<Toolbox>,
    /// What those functions are told about the call.
    pub caller: Caller,
}

/// Carries a call from its webhook to its end. Dropping the returned future ends it rudely.
pub async fn carry(mut line: Line, clock: Clock, seat: Seat, world: World) {
    let mut desk = Desk::new(seat, world, clock);
    line.handle(clock.now(), Input::Wake, &mut desk);
    while desk.ending.is_none() {
        let due = line.deadline().map(|at| clock.instant(at));
        let news = desk.next(due).await;
        deliver(&mut line, clock, news, &mut desk);
    }
    desk.finish().await;
}

/// What can come first.
enum News {
    Order(Order),
    Opened(Box<Opened>),
    Carrier(Came<ws::Message>),
    Model(Reached),
    Standby(Reached),
    Verdict(Verdict),
    Tool(ToolResult),
    Told(carrier::Event),
    Wake,
}

fn deliver(line: &mut Line, clock: Clock, news: News, desk: &mut Desk) {
    let now = clock.now();
    match news {
        News::Order(order) => line.handle(now, Input::Order(order), desk),
        News::Opened(opened) => {
            desk.carrier = Some(Wire::new(opened.socket));
            line.stream_opened(now, opened.stream, desk);
        }
        News::Carrier(Came::Message(ws::Message::Text(text))) => {
            line.carrier_frame(now, &text, desk)
        }
        News::Carrier(Came::Message(ws::Message::Ping(_) | ws::Message::Pong(_))) => {}
        News::Carrier(came) => {
            desk.carrier_gone(&came);
            line.handle(now, Input::Carrier(carrier::Event::Lost), desk);
        }
        News::Model(reached) => model_reached(line, now, reached, desk),
        News::Standby(reached) => standby_reached(line, now, reached, desk),
        News::Verdict(verdict) => line.handle(now, Input::Budget(verdict), desk),
        News::Tool(result) => line.handle(now, Input::Tool(result), desk),
        News::Told(event) => line.handle(now, Input::Carrier(event), desk),
        News::Wake => line.handle(now, Input::Wake, desk),
    }
}

fn model_reached(line: &mut Line, now: CallTime, reached: Reached, desk: &mut Desk) {
    match read(reached) {
        Read::Nothing => {}
        Read::Text(text) => line.model_frame(now, &text, desk),
        Read::Closed(code, reason) => {
            desk.model.forget();
            line.model_closed(now, code, &reason, desk);
        }
        Read::Refused(status) => line.model_refused(now, status, desk),
        Read::Lost(loss) => line.model_lost(now, loss, desk),
    }
}

fn standby_reached(line: &mut Line, now: CallTime, reached: Reached, desk: &mut Desk) {
    match read(reached) {
        Read::Nothing => {}
        Read::Text(text) => line.standby_frame(now, &text, desk),
        Read::Closed(code, reason) => {
            desk.standby.forget();
            line.standby_closed(now, code, &reason, desk);
        }
        Read::Refused(status) => line.standby_refused(now, status, desk),
        Read::Lost(loss) => line.standby_lost(now, loss, desk),
    }
}

/// What a model's side said, in the words of the line.
enum Read {
    Nothing,
    Text(tungstenite::Utf8Bytes),
    Closed(Option<u16>, String),
    Refused(u16),
    Lost(Loss),
}

fn read(reached: Reached) -> Read {
    use tungstenite::Message;
    match reached {
        Reached::Open => Read::Nothing,
        Reached::Failed(DialError::Answered(status)) => Read::Refused(status),
        Reached::Failed(error) => Read::Lost(Loss::Unreachable(error.to_string())),
        Reached::Came(Came::Message(message)) => match message {
            Message::Text(text) => Read::Text(text),
            Message::Close(None) => Read::Closed(None, String::new()),
            Message::Close(Some(frame)) => {
                Read::Closed(Some(frame.code.into()), frame.reason.as_str().to_string())
            }
            Message::Binary(_) => Read::Lost(Loss::Garbled),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Read::Nothing,
        },
        Reached::Came(Came::Gone | Came::TooLarge) => Read::Closed(None, String::new()),
        Reached::Came(Came::Slow) => Read::Lost(Loss::Slow),
    }
}

/// Everything a call touches, and what waits to be told to it.
struct Desk {
    observer: Observer,
    labels: Arc<Labels>,
    carrier_side: Arc<dyn Carrier>,
    requests: Requests,
    grant: Option<Grant>,
    door: Option<oneshot::Receiver<Opened>>,
    orders: mpsc::Receiver<Order>,
    told: mpsc::Receiver<carrier::Event>,
    last_words: Arc<OnceLock<Option<String>>>,
    carrier: Option<Wire<WebSocket, ws::Message>>,
    carrier_close: (u16, &'static str),
    /// The session that holds the floor.
    model: Side,
    /// The one that may take it over.
    standby: Side,
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
    performing: JoinSet<()>,
    ending: Option<Ending>,
}

impl Desk {
    fn new(seat: Seat, world: World, clock: Clock) -> Self {
        Desk {
            observer: world.observer,
            labels: world.labels,
            carrier_side: world.carrier,
            requests: world.requests,
            grant: Some(world.grant),
            door: Some(seat.door),
            orders: seat.orders,
            told: seat.told,
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
            performing: JoinSet::new(),
            ending: None,
        }
    }

    /// Waits for whatever comes first, and meanwhile sends what waits on either wire.
    async fn next(&mut self, due: Option<tokio::time::Instant>) -> News {
        if let Some(due) = due
            && self.alarm.deadline() != due
        {
            self.alarm.as_mut().reset(due);
        }
        poll_fn(|cx| self.poll(due.is_some(), cx)).await
    }

    fn poll(&mut self, alarmed: bool, cx: &mut Context<'_>) -> Poll<News> {
        if let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            return Poll::Ready(News::Order(order));
        }
        // Before the frames: a caller who talks without pause must not keep the clock from being looked at.
        if alarmed && self.alarm.as_mut().poll(cx).is_ready() {
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
        if let Poll::Ready(Some((more, durable))) = self.granting.poll_next_unpin(cx) {
            return Poll::Ready(News::Verdict(self.granted(more, durable)));
        }
        if let Poll::Ready(Some(result)) = self.calling.poll_next_unpin(cx) {
            return Poll::Ready(News::Tool(result));
        }
        if let Poll::Ready(Some(event)) = self.told.poll_recv(cx) {
            return Poll::Ready(News::Told(event));
        }
        if let Some(transferring) = &mut self.transferring
            && let Poll::Ready(certainly_not) = transferring.poll_unpin(cx)
        {
            self.transferring = None;
            // A request whose answer was lost may have been obeyed: then the stream closes, or the core runs out of patience.
            if certainly_not {
                return Poll::Ready(News::Told(carrier::Event::NotTransferred));
            }
        }
        match self.verdicts.pop_front() {
            Some(verdict) => Poll::Ready(News::Verdict(verdict)),
            None => Poll::Pending,
        }
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
    fn carrier_gone(&mut self, came: &Came<ws::Message>) {
        match came {
            Came::Message(ws::Message::Binary(_)) => {
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

    /// Sends what is still to be sent, closes what is open, and sees the carrier's requests through.
    async fn finish(mut self) {
        self.close_carrier();
        self.close_model();
        self.close_standby();
        while self.performing.join_next().await.is_some() {}
    }
}

impl Outside for Desk {
    fn to_carrier(&mut self, frame: &str) {
        if let Some(wire) = &mut self.carrier {
            wire.send(ws::Message::text(frame));
        }
    }

    fn to_model(&mut self, frame: &str) {
        self.model.send(frame);
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
        self.standby.send(frame);
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
            self.performing
                .spawn(wire.close(ws::Message::Close(Some(ws::CloseFrame {
                    code,
                    reason: reason.into(),
                }))));
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

//! Where the outside touches the core: one call is one task is one loop, and the loop makes no decisions.
//!
//! It waits for whatever comes first (an operator's wish, a frame from either socket, the budgets, the core's own deadline), hands it
//! to the [`Line`], and does what comes out. Nothing in it awaits a slow peer: what is said is queued (see [`wire`]). Both sockets of
//! a call are served by its one task, so a frame is read, turned, judged and written without waiting for anybody in between.

pub mod batching;
pub mod clock;
mod desk;
pub mod dial;
pub mod line;
pub mod side;
pub mod switchboard;
pub mod wire;
pub mod workers;

use crate::budget::Grant;
use crate::call::tools::ToolResult;
use crate::call::{Input, Verdict};
use crate::carrier::{self, Carrier};
use crate::ledger::{Recorder, Scribe};
use crate::observe::{Labels, Observer};
use crate::realtime::Loss;
use crate::requests::Requests;
use crate::tools::{Caller, Toolbox};
use crate::units::CallTime;
use batching::Live;
use clock::{Clock, Moment};
use desk::Desk;
use dial::DialError;
use line::Line;
use side::Reached;
use std::sync::Arc;
use switchboard::{Aside, Opened, Seat};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wire::Came;

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
pub async fn carry(mut line: Box<Line>, clock: Clock, seat: Seat, world: World) {
    let _live = Live::begin();
    // Boxed, as the line is: a future keeps room for all that is moved on its way into it.
    let mut desk = Box::new(Desk::new(seat, world, clock));
    line.handle(clock.now(), Input::Wake, &mut *desk);
    while desk.ending.is_none() {
        let due = line.deadline().map(|at| clock.instant(at));
        let news = desk.next(due).await;
        deliver(&mut line, clock, news, &mut desk);
    }
    desk.finish().await;
}

/// What can come first.
enum News {
    Aside(Aside),
    Opened(Box<Opened>),
    Carrier(Came),
    Model(Reached),
    Standby(Reached),
    Verdict(Verdict),
    Tool(ToolResult),
    Wake,
}

fn deliver(line: &mut Line, clock: Clock, news: News, desk: &mut Desk) {
    let now = clock.now();
    desk.read = match news {
        News::Carrier(_) | News::Model(_) => Some(Moment::now()),
        _ => None,
    };
    match news {
        News::Aside(Aside::Order(order)) => line.handle(now, Input::Order(order), desk),
        News::Aside(Aside::Carrier(event)) => line.handle(now, Input::Carrier(event), desk),
        News::Opened(opened) => {
            desk.carrier = Some(opened.wire);
            line.stream_opened(now, opened.stream, desk);
        }
        News::Carrier(Came::Message(Message::Text(text))) => {
            line.carrier_frame(now, &text, desk);
            desk.heard(now, line);
        }
        News::Carrier(Came::Message(Message::Ping(_) | Message::Pong(_))) => {}
        News::Carrier(came) => {
            desk.carrier_gone(&came);
            line.handle(now, Input::Carrier(carrier::Event::Lost), desk);
        }
        News::Model(reached) => model_reached(line, now, reached, desk),
        News::Standby(reached) => standby_reached(line, now, reached, desk),
        News::Verdict(verdict) => line.handle(now, Input::Budget(verdict), desk),
        News::Tool(result) => line.handle(now, Input::Tool(result), desk),
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
    Text(Utf8Bytes),
    Closed(Option<u16>, String),
    Refused(u16),
    Lost(Loss),
}

fn read(reached: Reached) -> Read {
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

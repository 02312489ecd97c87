//! Who is on the line now.
//!
//! A webhook, a media stream, a callback and an operator all speak of the same call, each at its own door; here they find it. A call
//! stays listed for a little while after its end, because the carrier asks what to say only when the stream has closed.

use super::wire::Wire;
use crate::call::Order;
use crate::carrier::{self, Document};
use crate::observe::Labels;
use crate::units::Id;
use dashmap::DashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How long a media stream may take to open after its token was made.
const TOKEN_LIFE: Duration = Duration::from_secs(30);

/// Refused calls that are remembered. A carrier asks again within seconds; who was refused long ago may be decided anew.
const MOST_REFUSED: usize = 1_024;

/// How long a call is remembered after its end.
const MEMORY: Duration = Duration::from_secs(60);

/// News of the carrier's that may wait for one call: there are three kinds of them, and each may come twice.
const TOLD: usize = 8;

/// Orders that may wait for one call.
const ORDERS: usize = 4;

/// A media stream that has named its call.
pub struct Opened {
    /// Its wire.
    pub wire: Wire<TcpStream>,
    /// Its codec, which has read the first frames.
    pub stream: Box<dyn carrier::Stream>,
}

/// What is said to a call at another door than its sockets'.
pub enum Aside {
    /// What an operator wishes.
    Order(Order),
    /// What the carrier says beside the stream: who answered, that a transfer is over, that the call is over.
    Carrier(carrier::Event),
}

/// A call, as everybody but itself sees it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What every line about it carries.
    pub labels: Arc<Labels>,
    /// What its webhook is answered, and answered again: `None` until that is decided. Before its grant is on disk a call must not be
    /// answered by anybody, for the carrier bills from its answer on.
    pub answer: watch::Receiver<Option<Document>>,
    /// What the carrier is to say after the stream, once that is decided: by the call, before it closes the stream.
    pub last_words: Arc<OnceLock<Option<String>>>,
    asides: mpsc::Sender<Aside>,
}

impl Listed {
    /// Hands what the carrier says of the call, at another door than its stream's, to the call itself. `false`: nobody listens any more.
    pub fn tell(&self, event: carrier::Event) -> bool {
        self.asides.try_send(Aside::Carrier(event)).is_ok()
    }
}

/// The call's own ends of what the switchboard gave others.
pub struct Seat {
    /// Where its media stream will come from.
    pub door: oneshot::Receiver<Opened>,
    /// What is said to it beside them.
    pub asides: mpsc::Receiver<Aside>,
    /// See [`Listed::last_words`].
    pub last_words: Arc<OnceLock<Option<String>>>,
}

/// A place kept for a media stream.
pub struct Kept {
    /// The call it must be of.
    pub carrier_call: Id,
    /// Where to hand it.
    pub door: oneshot::Sender<Opened>,
    /// The thread that carries the call.
    pub worker: Handle,
    until: Instant,
}

/// The calls of this process.
#[derive(Default)]
pub struct Switchboard {
    calls: DashMap<Id, Listed>,
    refused: DashMap<Id, (Document, Instant)>,
    answering: Mutex<()>,
    tokens: DashMap<String, Kept>,
}

impl Switchboard {
    /// Held while a webhook is answered, which takes microseconds: of two that offer the same call at once, the second finds the first.
    pub fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The call that the carrier knows by this name, if it is on the line or was a moment ago.
    pub fn find(&self, carrier_call: &Id) -> Option<Listed> {
        self.calls.get(carrier_call).map(|listed| listed.clone())
    }

    /// What a call that was refused a moment ago was answered.
    pub fn find_refused(&self, carrier_call: &Id) -> Option<Document> {
        let known = self.refused.get(carrier_call)?;
        let (document, until) = known.value();
        (*until > Instant::now()).then(|| document.clone())
    }

    /// Remembers what a refused call was answered, so that the same call is answered the same again.
    pub fn refuse(&self, carrier_call: Id, document: Document) {
        let now = Instant::now();
        if self.refused.len() >= MOST_REFUSED {
            self.refused.retain(|_, (_, until)| *until > now);
        }
        if self.refused.len() < MOST_REFUSED {
            self.refused.insert(carrier_call, (document, now + MEMORY));
        }
    }

    /// Lists a call whose webhook will be answered as `answer` tells, and keeps a place for its media stream that only `token` finds. `worker` carries it.
    pub fn seat(
        &self,
        labels: Arc<Labels>,
        token: String,
        answer: watch::Receiver<Option<Document>>,
        worker: &Handle,
    ) -> Seat {
        let carrier_call = labels.carrier_call.clone();
        let (to_door, door) = oneshot::channel();
        let (to_asides, asides) = mpsc::channel(TOLD + ORDERS);
        let last_words = Arc::new(OnceLock::new());
        let listed = Listed {
            labels,
            answer,
            last_words: last_words.clone(),
            asides: to_asides,
        };
        let until = Instant::now() + TOKEN_LIFE;
        self.tokens.retain(|_, kept| kept.until > Instant::now());
        self.tokens.insert(
            token,
            Kept {
                carrier_call: carrier_call.clone(),
                door: to_door,
                worker: worker.clone(),
                until,
            },
        );
        self.calls.insert(carrier_call, listed);
        Seat {
            door,
            asides,
            last_words,
        }
    }

    /// Takes the place that a token stands for: once, and only while it is fresh.
    pub fn take(&self, token: &str) -> Option<Kept> {
        let (_, kept) = self.tokens.remove(token)?;
        (kept.until > Instant::now()).then_some(kept)
    }

    /// Takes a call off the list whose beginning could not be written down; nobody carries it.
    pub fn unseat(&self, carrier_call: &Id) {
        self.tokens
            .retain(|_, kept| kept.carrier_call != *carrier_call);
        self.calls.remove(carrier_call);
    }

    /// Tells every call the same.
    pub fn order_all(&self, order: Order) {
        for listed in &self.calls {
            // A call that has so many waiting, or is over, needs no other; and the carrier's news always have their room.
            if listed.asides.capacity() > TOLD {
                let _ = listed.asides.try_send(Aside::Order(order));
            }
        }
    }

    /// Forgets a call that is over, after a while.
    pub async fn forget(&self, carrier_call: &Id) {
        tokio::time::sleep(MEMORY).await;
        self.calls.remove(carrier_call);
    }
}

//! One model's side of a call: its socket, being dialled or open.

use super::clock::Moment;
use super::dial::{self, DialError, ModelSocket};
use super::wire::{Came, Wire};
use crate::observe::path::UP;
use crate::realtime::Address;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::MaybeTlsStream;

/// How long reaching the model may take: the core gives up earlier.
const DIAL_LIMIT: Duration = Duration::from_secs(10);

/// A model's side.
#[derive(Default)]
pub struct Side {
    dialling: Option<BoxFuture<'static, Result<ModelSocket, DialError>>>,
    wire: Option<Wire<MaybeTlsStream<TcpStream>>>,
}

/// What came from a model's side.
pub enum Reached {
    /// Its socket is open.
    Open,
    /// It could not be reached.
    Failed(DialError),
    /// A message, or the end of them.
    Came(Came),
}

impl Side {
    /// Begins to reach a model.
    pub fn open(&mut self, address: Address) {
        self.wire = None;
        self.dialling = Some(async move { dial::dial(&address, DIAL_LIMIT).await }.boxed());
    }

    /// Queues a text frame that follows from what was `read` then.
    pub fn send(&mut self, frame: &str, read: Option<Moment>) {
        if let Some(wire) = &mut self.wire {
            wire.send(frame, read);
        }
    }

    /// Sends what waits, and gives what has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reached> {
        if let Some(wire) = &mut self.wire {
            let came = std::task::ready!(wire.poll(cx));
            if matches!(came, Came::Gone | Came::TooLarge | Came::Slow) {
                self.wire = None;
            }
            return Poll::Ready(Reached::Came(came));
        }
        let Some(dialling) = &mut self.dialling else {
            return Poll::Pending;
        };
        let dialled = std::task::ready!(dialling.poll_unpin(cx));
        self.dialling = None;
        Poll::Ready(match dialled {
            Ok(socket) => {
                self.wire = Some(Wire::new(socket, &UP));
                Reached::Open
            }
            Err(error) => Reached::Failed(error),
        })
    }

    /// The peer has said its last word.
    pub fn forget(&mut self) {
        self.wire = None;
    }

    /// Nothing more of it is wanted. What is to be seen through: the close.
    pub fn close(&mut self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.dialling = None;
        let wire = self.wire.take()?;
        Some(wire.close(None))
    }

    /// What it keeps in memory, about, in bytes.
    pub fn memory(&self) -> usize {
        self.wire.as_ref().map_or(0, Wire::memory)
    }
}

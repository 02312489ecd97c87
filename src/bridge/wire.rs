//! One socket with its outbox.
//!
//! A call must never wait for a peer that reads slowly, so what it says is queued and sent whenever the socket takes it. The queue is
//! bounded: a peer that lets it fill up has stopped listening, and is treated as gone.

use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_tungstenite::tungstenite;

/// Frames that may wait: ten seconds of sound in frames of 20 ms.
const MOST_WAITING: usize = 512;

/// How long a peer may take to answer our close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A socket that carries messages of type `M`.
pub struct Wire<S, M> {
    socket: S,
    waiting: VecDeque<M>,
    unflushed: bool,
    overflowed: bool,
}

/// What came over the wire.
#[derive(Debug)]
pub enum Came<M> {
    /// A message.
    Message(M),
    /// Nothing more will come: the socket is closed or broken.
    Gone,
    /// The peer has stopped reading.
    Slow,
    /// The peer sent more than is taken at a time.
    TooLarge,
}

impl<S, M, E> Wire<S, M>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + 'static,
{
    /// A wire over an open socket.
    pub fn new(socket: S) -> Self {
        Wire {
            socket,
            waiting: VecDeque::new(),
            unflushed: false,
            overflowed: false,
        }
    }

    /// Queues a message. It leaves while [`Wire::poll`] is being polled.
    pub fn send(&mut self, message: M) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(message);
        } else {
            self.overflowed = true;
        }
    }

    /// Sends what waits, and gives what has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Came<M>> {
        if self.overflowed {
            return Poll::Ready(Came::Slow);
        }
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            tracing::debug!(event = "socket.broken", error = %error);
            return Poll::Ready(Came::Gone);
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => Poll::Ready(Came::Message(message)),
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(event = "socket.broken", error = %error);
                Poll::Ready(if is_too_large(&error) {
                    Came::TooLarge
                } else {
                    Came::Gone
                })
            }
            Poll::Ready(None) => Poll::Ready(Came::Gone),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut socket = Pin::new(&mut self.socket);
        while !self.waiting.is_empty() {
            std::task::ready!(socket.as_mut().poll_ready(cx))?;
            if let Some(message) = self.waiting.pop_front() {
                socket.as_mut().start_send(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed {
            std::task::ready!(socket.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says this last, and waits a little until the peer has closed too.
    pub async fn close(mut self, last: M) {
        if std::mem::take(&mut self.overflowed) {
            self.waiting.clear();
        }
        self.send(last);
        let closed = poll_fn(|cx| {
            loop {
                match self.poll(cx) {
                    Poll::Ready(Came::Message(_)) => {}
                    Poll::Ready(Came::Gone | Came::Slow | Came::TooLarge) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let _ = tokio::time::timeout(CLOSE_PATIENCE, closed).await;
    }
}

/// Whether a message was larger than is taken at a time. Either library's error is, or contains, the same one.
pub fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tungstenite::Error::Capacity(_)) = error.downcast_ref() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::fmt;
    use std::task::Waker;

    /// A peer that takes nothing and says nothing.
    struct Deaf;

    #[derive(Debug)]
    struct Never(Infallible);

    impl fmt::Display for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }

    impl Error for Never {}

    impl Stream for Deaf {
        type Item = Result<u32, Never>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }

    impl Sink<u32> for Deaf {
        type Error = Never;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, _: u32) -> Result<(), Never> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_peer_that_stops_reading_is_given_up_when_its_queue_is_full_and_not_before() {
        let mut wire = Wire::new(Deaf);
        let mut cx = Context::from_waker(Waker::noop());
        for message in 0..MOST_WAITING as u32 {
            wire.send(message);
        }
        assert!(wire.poll(&mut cx).is_pending());
        wire.send(0);
        assert!(matches!(wire.poll(&mut cx), Poll::Ready(Came::Slow)));
    }
}

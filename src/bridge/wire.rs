//! One socket with its outbox.
//!
//! A call must never wait for a peer that reads slowly, so what it says is queued and sent whenever the socket takes it. The queue is
//! bounded: a peer that lets it fill up has stopped listening, and is treated as gone. Whatever is said in one go leaves in one write.

use super::clock::Moment;
use crate::observe::path::Way;
use bytes::BytesMut;
use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// Frames that may wait: ten seconds of sound in frames of 20 ms.
const MOST_WAITING: usize = 512;

/// How long a peer may take to answer our close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What a socket reads at a time, in bytes. The library's default, 128 KB, is zeroed for every read and kept for every call.
const READ_BUFFER: usize = 8 * 1024;

/// What a socket collects before it writes, in bytes.
const WRITE_BUFFER: usize = 8 * 1024;

/// How thousands of sockets are set that have little to say each: small buffers, made to grow only for the rare large message, of
/// which none may be larger than this.
pub fn limits(largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        // Twice the largest frame that we write.
        .max_write_buffer_size(2 << 20)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// A WebSocket over some stream.
pub struct Wire<S> {
    socket: WebSocketStream<S>,
    way: &'static Way,
    waiting: VecDeque<Message>,
    /// Where the next message is written: the memory of those before it, once they have left.
    page: BytesMut,
    /// Of the sound that waits, when the oldest was read.
    since: Option<Moment>,
    unflushed: bool,
    overflowed: bool,
}

/// What came over the wire.
#[derive(Debug)]
pub enum Came {
    /// A message.
    Message(Message),
    /// Nothing more will come: the socket is closed or broken.
    Gone,
    /// The peer has stopped reading.
    Slow,
    /// The peer sent more than is taken at a time.
    TooLarge,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A wire over an open socket, by which sound goes this way.
    pub fn new(socket: WebSocketStream<S>, way: &'static Way) -> Self {
        Wire {
            socket,
            way,
            waiting: VecDeque::new(),
            page: BytesMut::new(),
            since: None,
            unflushed: false,
            overflowed: false,
        }
    }

    /// Queues a text frame that follows from what was `read` then. It leaves while [`Wire::poll`] is being polled.
    pub fn send(&mut self, frame: &str, read: Option<Moment>) {
        self.page.extend_from_slice(frame.as_bytes());
        // It was text a moment ago; the library wants to see that for itself.
        let Ok(text) = Utf8Bytes::try_from(self.page.split().freeze()) else {
            return;
        };
        self.since = self.since.or(read);
        self.queue(Message::Text(text));
        self.way.queued(self.waiting.len());
    }

    fn queue(&mut self, message: Message) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(message);
        } else {
            self.overflowed = true;
        }
    }

    /// Sends what waits, and gives what has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
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

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
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
            if let Some(since) = self.since.take() {
                self.way.carried(since.elapsed());
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says this last, and waits a little until the peer has closed too.
    pub async fn close(mut self, last: Option<CloseFrame>) {
        if std::mem::take(&mut self.overflowed) {
            self.waiting.clear();
        }
        self.queue(Message::Close(last));
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

    /// What it keeps in memory, about, in bytes.
    pub fn memory(&self) -> usize {
        READ_BUFFER + WRITE_BUFFER + self.page.capacity() + self.waiting.len() * WRITE_BUFFER
    }
}

/// Whether a message was larger than is taken at a time.
pub fn is_too_large(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Capacity(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::path::UP;
    use std::io;
    use std::task::Waker;
    use tokio::io::ReadBuf;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// A peer that takes nothing and says nothing.
    struct Deaf;

    impl AsyncRead for Deaf {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    async fn wire() -> Wire<Deaf> {
        let config = limits(64 * 1024);
        let socket = WebSocketStream::from_raw_socket(Deaf, Role::Client, Some(config)).await;
        Wire::new(socket, &UP)
    }

    #[tokio::test]
    async fn a_peer_that_stops_reading_is_given_up_when_its_queue_is_full_and_not_before() {
        let mut wire = wire().await;
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..MOST_WAITING {
            wire.send("frame", None);
        }
        assert!(wire.poll(&mut cx).is_pending());
        // What the library has taken from the queue into its own buffer makes room for as many again.
        let taken = MOST_WAITING - wire.waiting.len();
        for _ in 0..taken {
            wire.send("frame", None);
        }
        assert!(wire.poll(&mut cx).is_pending());
        for _ in 0..=MOST_WAITING {
            wire.send("frame", None);
        }
        assert!(matches!(wire.poll(&mut cx), Poll::Ready(Came::Slow)));
    }

    #[tokio::test]
    async fn messages_are_written_where_those_before_them_were() {
        let mut wire = wire().await;
        let frame = "x".repeat(1_300);
        let mut pages = Vec::new();
        for _ in 0..100 {
            wire.send(&frame, None);
            if let Some(Message::Text(text)) = wire.waiting.pop_front() {
                pages.push(text.as_str().as_ptr());
            }
        }
        pages.sort_unstable();
        pages.dedup();
        assert!(pages.len() < 5, "{} places for 100 frames", pages.len());
    }
}

//! One socket with its outbox.
//!
//! A call must never wait for a peer that reads slowly, so what it says is queued and sent whenever the socket takes it. The queue is
//! bounded: a peer that lets it fill up has stopped listening, and is treated as gone. Whatever is said in one go leaves in one write.

use super::clock::Moment;
use crate::observe::path::Way;
use bytes::BytesMut;
use futures_util::{Sink, Stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Frames that may wait: ten seconds of sound in frames of 20 ms.
const MOST_WAITING: usize = 512;

/// How long a peer may take to answer our close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What a socket collects before it writes, in bytes.
const WRITE_BUFFER: usize = 4 * 1024;

thread_local! {
    /// Where the next message of any call is written: the memory of those before it, which have left by then.
    static PAGE: RefCell<BytesMut> = RefCell::default();
}

/// How thousands of sockets are set that have little to say each: small buffers, made to grow only for the rare large message.
/// `largest` is the largest that is taken; `usual`, the largest that comes often, is what is read at a time. The library's default,
/// 128 KB, is zeroed for every read and kept for every call.
pub fn limits(largest: usize, usual: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(usual)
        .write_buffer_size(WRITE_BUFFER)
        // Twice the largest frame that we write.
        .max_write_buffer_size(2 << 20)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// A stream that knows, without being read, whether there is anything to read.
pub trait Readable: AsyncRead + AsyncWrite + Unpin {
    /// Ready when there may be; else the task is woken when there is.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Readable for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is there to be read, too.
        self.poll_read_ready(cx).map(|_| ())
    }
}

impl Readable for MaybeTlsStream<TcpStream> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            MaybeTlsStream::Plain(stream) => stream.poll_readable(cx),
            MaybeTlsStream::Rustls(stream) => stream.get_ref().0.poll_readable(cx),
            _ => Poll::Ready(()),
        }
    }
}

/// A WebSocket over some stream.
pub struct Wire<S> {
    socket: WebSocketStream<S>,
    way: &'static Way,
    waiting: VecDeque<Message>,
    /// Of the sound that waits, when the oldest was read.
    since: Option<Moment>,
    unflushed: bool,
    overflowed: bool,
    /// All that had come was read: nothing is left in anybody's buffer.
    drained: bool,
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

impl<S: Readable> Wire<S> {
    /// A wire over an open socket, by which sound goes this way.
    pub fn new(socket: WebSocketStream<S>, way: &'static Way) -> Self {
        Wire {
            socket,
            way,
            waiting: VecDeque::new(),
            since: None,
            unflushed: false,
            overflowed: false,
            drained: false,
        }
    }

    /// Queues a text frame that follows from what was `read` then. It leaves while [`Wire::poll`] is being polled.
    pub fn send(&mut self, frame: &str, read: Option<Moment>) {
        let bytes = PAGE.with_borrow_mut(|page| {
            page.extend_from_slice(frame.as_bytes());
            page.split().freeze()
        });
        // It was text a moment ago; the library wants to see that for itself.
        let Ok(text) = Utf8Bytes::try_from(bytes) else {
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
        // A read that finds nothing costs as much as one that finds a frame, and a call is asked far oftener than it has any.
        if self.drained && self.socket.get_ref().poll_readable(cx).is_pending() {
            return Poll::Pending;
        }
        let came = Pin::new(&mut self.socket).poll_next(cx);
        self.drained = came.is_pending();
        match came {
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
        let config = self.socket.get_config();
        config.read_buffer_size + (1 + self.waiting.len()) * WRITE_BUFFER
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

    impl Readable for Deaf {
        fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    async fn wire() -> Wire<Deaf> {
        let config = limits(64 * 1024, 2 * 1024);
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

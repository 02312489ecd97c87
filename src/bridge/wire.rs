//! One socket with its outbox.
//!
//! A call must never wait for a peer that reads slowly, so what it says is queued and sent whenever the socket takes it. The queue is
//! bounded: a peer that lets it fill up has stopped listening, and is treated as gone. Whatever is said in one go leaves in one write.

use super::clock::Moment;
use crate::observe::path::Way;
use bytes::BytesMut;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

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

/// A stream as the library reads and writes it, which knows of no tasks: what would have to wait says so, and the task that asked last
/// is woken. One task has both directions, so one waker is enough, and a frame wakes it once.
pub struct Pipe<S> {
    stream: S,
    waker: Waker,
}

impl<S> Pipe<S> {
    /// A pipe that nobody waits for yet.
    pub fn new(stream: S) -> Self {
        Pipe {
            stream,
            waker: Waker::noop().clone(),
        }
    }

    /// The stream itself.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// From now on this task is woken.
    pub fn wakes(&mut self, cx: &Context<'_>) {
        self.waker.clone_from(cx.waker());
    }
}

/// What is done without waiting, or has to wait.
fn at_once<T>(done: Poll<io::Result<T>>) -> io::Result<T> {
    match done {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> io::Read for Pipe<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        let cx = &mut Context::from_waker(&self.waker);
        at_once(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        Ok(into.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Pipe<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(&self.waker);
        at_once(Pin::new(&mut self.stream).poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let cx = &mut Context::from_waker(&self.waker);
        at_once(Pin::new(&mut self.stream).poll_flush(cx))
    }
}

/// A WebSocket over some stream.
pub type Socket<S> = WebSocket<Pipe<S>>;

/// The server's end of a WebSocket whose handshake is over; so much of what follows it was read already.
pub fn accepted<S>(stream: S, read: Vec<u8>, config: WebSocketConfig) -> Socket<S> {
    WebSocket::from_partially_read(Pipe::new(stream), read, Role::Server, Some(config))
}

/// A WebSocket with its outbox.
pub struct Wire<S> {
    socket: Socket<S>,
    way: &'static Way,
    waiting: VecDeque<Message>,
    /// Of the sound that waits, when the oldest was read.
    since: Option<Moment>,
    unflushed: bool,
    /// The socket takes no more for now.
    blocked: bool,
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
    pub fn new(socket: Socket<S>, way: &'static Way) -> Self {
        Wire {
            socket,
            way,
            waiting: VecDeque::new(),
            since: None,
            unflushed: false,
            blocked: false,
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
        self.since = self.since.or(read);
        // It was text a moment ago; as a frame that is made already, it need not be looked at again.
        let text = OpCode::Data(Data::Text);
        self.queue(Message::Frame(Frame::message(bytes, text, true)));
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
        self.socket.get_mut().wakes(cx);
        if let Err(error) = self.send_waiting()
            && !is_blocked(&error)
        {
            tracing::debug!(event = "socket.broken", error = %error);
            return Poll::Ready(Came::Gone);
        }
        // A read that finds nothing costs as much as one that finds a frame, and a call is asked far oftener than it has any.
        if self.drained && self.socket.get_ref().stream.poll_readable(cx).is_pending() {
            return Poll::Pending;
        }
        let came = self.socket.read();
        self.drained = false;
        Poll::Ready(match came {
            Ok(message) => Came::Message(message),
            Err(error) if is_blocked(&error) => {
                self.drained = true;
                return Poll::Pending;
            }
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                Came::Gone
            }
            Err(error) => {
                tracing::debug!(event = "socket.broken", error = %error);
                match error {
                    tungstenite::Error::Capacity(_) => Came::TooLarge,
                    _ => Came::Gone,
                }
            }
        })
    }

    /// The next that comes, and meanwhile sends what waits.
    pub async fn next(&mut self) -> Came {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Sends what waits, until the socket takes no more for now.
    fn send_waiting(&mut self) -> Result<(), tungstenite::Error> {
        while !self.waiting.is_empty() {
            // What the socket did not take last time goes first: else the library would collect all that waits.
            if self.blocked {
                self.socket.flush()?;
                self.blocked = false;
            }
            if let Some(message) = self.waiting.pop_front() {
                self.unflushed = true;
                match self.socket.write(message) {
                    // The library has it, and writes it with the next.
                    Err(error) if is_blocked(&error) => self.blocked = true,
                    written => written?,
                }
            }
        }
        if self.unflushed {
            self.socket.flush()?;
            (self.unflushed, self.blocked) = (false, false);
            if let Some(since) = self.since.take() {
                self.way.carried(since.elapsed());
            }
        }
        Ok(())
    }

    /// Says this last, and waits a little until the peer has closed too.
    pub async fn close(mut self, last: Option<CloseFrame>) {
        if std::mem::take(&mut self.overflowed) {
            self.waiting.clear();
        }
        self.queue(Message::Close(last));
        let closed = async { while let Came::Message(_) = self.next().await {} };
        let _ = tokio::time::timeout(CLOSE_PATIENCE, closed).await;
    }

    /// What it keeps in memory, about, in bytes.
    pub fn memory(&self) -> usize {
        let config = self.socket.get_config();
        config.read_buffer_size + (1 + self.waiting.len()) * WRITE_BUFFER
    }
}

/// Whether nothing is wrong, but for the time being.
fn is_blocked(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::path::UP;

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

    fn wire() -> Wire<Deaf> {
        let config = limits(64 * 1024, 2 * 1024);
        Wire::new(accepted(Deaf, Vec::new(), config), &UP)
    }

    #[test]
    fn a_peer_that_stops_reading_is_given_up_when_its_queue_is_full_and_not_before() {
        let mut wire = wire();
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

    #[test]
    fn messages_are_written_where_those_before_them_were() {
        let mut wire = wire();
        let frame = "x".repeat(1_300);
        let mut pages = Vec::new();
        for _ in 0..100 {
            wire.send(&frame, None);
            if let Some(Message::Frame(frame)) = wire.waiting.pop_front() {
                pages.push(frame.payload().as_ptr());
            }
        }
        pages.sort_unstable();
        pages.dedup();
        assert!(pages.len() < 5, "{} places for 100 frames", pages.len());
    }
}

//! One connection: bytes in and out of a socket that never waits, with or without TLS between.
//!
//! Nothing is kept per connection but what did not fit: what was read is parsed in a buffer that all connections share, and
//! what is written goes straight to the socket.

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

/// What one pass reads at most, and the longest message that can be put together.
const ROOM: usize = 256 * 1024;
/// A connection that lets so much pile up is not read by anybody any more.
const MOST_UNSENT: usize = 8 << 20;

/// Buffers that all connections share.
#[derive(Debug)]
pub struct Room {
    /// What came, as it is meant.
    pub plain: Vec<u8>,
    raw: Vec<u8>,
}

impl Room {
    /// Empty.
    pub fn new() -> Self {
        Room {
            plain: vec![0; ROOM],
            raw: vec![0; ROOM / 4],
        }
    }
}

/// What a pass brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Bytes in the room, those kept from before included.
    pub bytes: usize,
    /// There is more to read.
    pub more: bool,
    /// The other side has nothing more to say, or the connection broke.
    pub over: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    socket: TcpStream,
    tls: Option<Box<Connection>>,
    /// The beginning of what has not come whole.
    rest: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
    broken: bool,
    /// Close when everything is sent.
    closing: bool,
}

impl Line {
    /// Begins to connect.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn dial(
        address: SocketAddr,
        tls: Option<Connection>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Line> {
        Line::new(TcpStream::connect(address)?, tls, registry, token)
    }

    /// Takes a connection that was accepted or is being made.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn new(
        mut socket: TcpStream,
        tls: Option<Connection>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Line> {
        // Sound is many small frames, each of them due now. A connection that refuses this still works.
        let _ = socket.set_nodelay(true);
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Line {
            socket,
            tls: tls.map(Box::new),
            rest: Vec::new(),
            unsent: Vec::new(),
            broken: false,
            closing: false,
        })
    }

    /// Reads what there is into the room, behind what was kept.
    pub fn fill(&mut self, room: &mut Room) -> Came {
        let kept = self.rest.len();
        if kept >= ROOM {
            self.broken = true;
        }
        if self.broken {
            return Came {
                bytes: 0,
                more: false,
                over: true,
            };
        }
        room.plain[..kept].copy_from_slice(&self.rest);
        self.rest.clear();
        let read = match &mut self.tls {
            None => read(&mut self.socket, &mut room.plain[kept..]),
            Some(tls) => decrypt(
                &mut self.socket,
                tls,
                &mut room.raw,
                &mut room.plain[kept..],
            ),
        };
        // Alerts and handshakes are answered by the library.
        if self.tls.is_some() {
            self.flush();
        }
        let (bytes, more, over) = read.unwrap_or((0, false, true));
        self.broken |= over;
        Came {
            bytes: kept + bytes,
            more,
            over: self.broken,
        }
    }

    /// Keeps the beginning of what has not come whole.
    pub fn keep(&mut self, rest: &[u8]) {
        self.rest.extend_from_slice(rest);
    }

    /// Sends, now or as soon as the socket takes it.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.broken || self.closing {
            return;
        }
        if let Some(tls) = &mut self.tls {
            // The library takes what fits its buffer, which has no limit here.
            let _ = tls.writer().write_all(bytes);
            return self.flush();
        }
        let sent = match self.unsent.is_empty() {
            true => self.write(bytes),
            false => 0,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        self.broken |= self.unsent.len() > MOST_UNSENT;
    }

    /// Sends what waits; to be called when the socket can be written again.
    pub fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() && tls.write_tls(&mut self.unsent).is_ok_and(|n| n > 0) {}
            self.broken |= self.unsent.len() > MOST_UNSENT;
        }
        if !self.unsent.is_empty() {
            let waiting = std::mem::take(&mut self.unsent);
            let sent = self.write(&waiting);
            self.unsent = waiting;
            self.unsent.drain(..sent);
            if self.unsent.capacity() > ROOM && self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
        }
        if self.closing && self.unsent.is_empty() {
            let _ = self.socket.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Says no more: what waits is sent first.
    pub fn close(&mut self) {
        if !self.closing {
            if let Some(tls) = &mut self.tls {
                tls.send_close_notify();
            }
            self.closing = true;
            self.flush();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() && !self.broken {
            match self.socket.write(&bytes[sent..]) {
                Ok(0) => self.broken = true,
                Ok(more) => sent += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that is still being made says NotConnected.
                Err(error) if is_early(&error) => break,
                Err(_) => self.broken = true,
            }
        }
        sent
    }
}

fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}

/// Reads until there is nothing more. A read that does not fill its room has drained the socket: asking again would cost
/// a call to the kernel for each frame (epoll(7), question 9).
fn read(socket: &mut TcpStream, into: &mut [u8]) -> io::Result<(usize, bool, bool)> {
    let mut bytes = 0;
    loop {
        let space = &mut into[bytes..];
        let room = space.len();
        if room == 0 {
            return Ok((bytes, true, false));
        }
        match socket.read(space) {
            Ok(0) => return Ok((bytes, false, true)),
            Ok(came) => {
                bytes += came;
                if came < room {
                    return Ok((bytes, false, false));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_early(&error) => return Ok((bytes, false, false)),
            Err(error) if bytes == 0 => return Err(error),
            Err(_) => return Ok((bytes, false, true)),
        }
    }
}

fn decrypt(
    socket: &mut TcpStream,
    tls: &mut Connection,
    raw: &mut [u8],
    into: &mut [u8],
) -> io::Result<(usize, bool, bool)> {
    // So that what is read here is never more than there is room for.
    let most = raw.len().min(into.len());
    let (came, mut more, mut over) = read(socket, &mut raw[..most])?;
    let (mut coming, mut bytes) = (&raw[..came], 0);
    loop {
        if !coming.is_empty() {
            tls.read_tls(&mut coming)?;
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        loop {
            match tls.reader().read(&mut into[bytes..]) {
                Ok(0) if bytes == into.len() => {
                    more = true;
                    break;
                }
                Ok(0) => {
                    over = true;
                    break;
                }
                Ok(plain) => bytes += plain,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if coming.is_empty() {
            return Ok((bytes, more, over));
        }
    }
}

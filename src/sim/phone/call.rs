//! One call over real sockets: the shell around a [`Phone`], which owns the clock and decides nothing.

use super::rest::RestServer;
use super::{Order, Out, Phone, Report, Setup};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How phones reach the server. One is enough for any number of calls.
#[derive(Clone)]
pub struct Wires {
    http: reqwest::Client,
    rest: Option<RestServer>,
    door: Option<Arc<Door>>,
}

/// A server whose public address is not where it can be reached: signatures are made over the public one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// How the server calls itself: `https://bot.example.com`.
    pub public: String,
    /// Where it really listens: `http://127.0.0.1:8080`.
    pub local: String,
}

impl Wires {
    /// Straight to the addresses as written, with no REST API.
    ///
    /// # Errors
    /// Says why no HTTP client could be made.
    pub fn new() -> Result<Self, String> {
        // Fails when the program has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Wires {
            http,
            rest: None,
            door: None,
        })
    }

    /// Orders of this API happen to the phones.
    #[must_use]
    pub fn with_rest(mut self, rest: RestServer) -> Self {
        self.rest = Some(rest);
        self
    }

    /// The server's public address is reached through this door.
    #[must_use]
    pub fn with_door(mut self, door: Door) -> Self {
        self.door = Some(Arc::new(door));
        self
    }

    fn real(&self, url: &str) -> String {
        self.door
            .as_ref()
            .map_or_else(|| url.to_owned(), |door| door.real(url))
    }
}

impl Door {
    /// Where the public address `url` really is, for `http` and for the `ws` that belongs to it.
    fn real(&self, url: &str) -> String {
        let bare = |base: &str| {
            base.split_once("://")
                .map_or(base, |(_, rest)| rest)
                .trim_end_matches('/')
                .to_owned()
        };
        let (public, local) = (bare(&self.public), bare(&self.local));
        let secure = self.local.starts_with("https");
        let Some((scheme, rest)) = url.split_once("://") else {
            return url.to_owned();
        };
        let path = rest
            .strip_prefix(&public)
            .filter(|path| path.is_empty() || path.starts_with('/'));
        match path {
            None => url.to_owned(),
            Some(path) => {
                let scheme = if scheme.starts_with("ws") {
                    "ws"
                } else {
                    "http"
                };
                format!("{scheme}{}://{local}{path}", if secure { "s" } else { "" })
            }
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The largest message a server may send.
const LARGEST: usize = 4 << 20;

/// How long a server may take to read one frame before it counts as gone.
const SLOW: Duration = Duration::from_secs(5);

/// Something that happened outside.
enum News {
    Answer(Option<(u16, String)>),
    Opening(Result<Box<Socket>, u16>),
    Frame(Option<Result<Message, Error>>),
    Order(Order),
    Wake,
}

/// Calls, and tells what happened when it is over.
///
/// # Errors
/// Says which address made no sense; a server that misbehaves is no error but part of the report.
pub async fn call(setup: Setup, wires: &Wires) -> Result<Report, String> {
    let sid = setup.call_sid.clone();
    let orders = wires.rest.as_ref().map(|rest| rest.enter(&sid));
    let mut shell = Shell {
        phone: Phone::new(setup),
        wires: wires.clone(),
        began: Instant::now(),
        orders,
        answer: None,
        opening: None,
        socket: None,
    };
    let report = shell.run().await;
    if let Some(rest) = &wires.rest {
        rest.leave(&sid);
    }
    report
}

struct Shell {
    phone: Phone,
    wires: Wires,
    began: Instant,
    orders: Option<mpsc::Receiver<Order>>,
    answer: Option<BoxFuture<'static, Option<(u16, String)>>>,
    opening: Option<BoxFuture<'static, Result<Box<Socket>, u16>>>,
    socket: Option<Box<Socket>>,
}

impl Shell {
    async fn run(&mut self) -> Result<Report, String> {
        self.phone.start(self.now_ms());
        loop {
            // What becomes of the call is known to the API at once; its end before the last requests are made, as at
            // the carrier.
            if let Some(rest) = &self.wires.rest {
                rest.follow(&self.phone);
            }
            while let Some(out) = self.phone.poll() {
                if out == Out::Done {
                    return Ok(Report::of(&self.phone));
                }
                self.perform(out).await?;
            }
            let news = self.news().await;
            self.tell(news);
        }
    }

    async fn news(&mut self) -> News {
        let deadline = self
            .phone
            .deadline()
            .map(|ms| self.began + Duration::from_millis(ms));
        tokio::select! {
            biased;
            Some(order) = next_order(&mut self.orders) => News::Order(order),
            answer = running(&mut self.answer) => News::Answer(answer),
            opening = running(&mut self.opening) => News::Opening(opening),
            frame = next_frame(&mut self.socket) => News::Frame(frame),
            () = until(deadline) => News::Wake,
        }
    }

    fn tell(&mut self, news: News) {
        let now_ms = self.now_ms();
        match news {
            News::Wake => self.phone.wake(now_ms),
            News::Order(order) => self.phone.order(now_ms, order),
            News::Answer(answer) => {
                self.answer = None;
                match answer {
                    Some((status, body)) => self.phone.http_answered(now_ms, status, &body),
                    None => self.phone.unanswered(now_ms),
                }
            }
            News::Opening(opened) => {
                self.opening = None;
                match opened {
                    Ok(socket) => {
                        self.socket = Some(socket);
                        self.phone.opened(now_ms);
                    }
                    Err(status) => self.phone.refused(now_ms, status),
                }
            }
            News::Frame(Some(Ok(Message::Text(text)))) => self.phone.receive(now_ms, &text),
            News::Frame(Some(Ok(Message::Binary(_)))) => self.phone.receive_binary(now_ms),
            News::Frame(Some(Ok(Message::Close(frame)))) => {
                self.socket = None;
                self.phone
                    .closed(now_ms, Some(frame.map_or(1005, |frame| frame.code.into())));
            }
            News::Frame(Some(Ok(_))) => self.phone.wake(now_ms),
            News::Frame(None | Some(Err(_))) => {
                self.socket = None;
                self.phone.closed(now_ms, None);
            }
        }
    }

    async fn perform(&mut self, out: Out) -> Result<(), String> {
        match out {
            Out::Http { url, headers, body } => {
                let mut request = self.wires.http.post(self.wires.real(&url)).body(body);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let request = request
                    .build()
                    .map_err(|_| format!("{url} is not an address"))?;
                self.answer = Some(Box::pin(post(self.wires.http.clone(), request)));
            }
            Out::Tell { url, headers, body } => {
                let mut request = self.wires.http.post(self.wires.real(&url)).body(body);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                // One that nobody takes is lost, as at the carrier.
                tokio::spawn(async move { drop(request.send().await) });
            }
            Out::Open { url, headers } => {
                let wrong = |_| format!("{url} is not an address");
                let mut request = self.wires.real(&url).into_client_request().map_err(wrong)?;
                for (name, value) in headers {
                    let value = value
                        .parse()
                        .map_err(|_| format!("{name} is not a header"))?;
                    request.headers_mut().insert(name, value);
                }
                self.opening = Some(Box::pin(open(request)));
            }
            Out::Text(text) => self.send(text).await,
            Out::Close => {
                self.opening = None;
                if let Some(socket) = self.socket.take() {
                    tokio::spawn(leave(socket));
                }
            }
            Out::Done => {}
        }
        Ok(())
    }

    async fn send(&mut self, text: String) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let sent = tokio::time::timeout(SLOW, socket.send(Message::text(text))).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.socket = None;
            self.phone.closed(self.now_ms(), None);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Posts, and reads as much of the answer as a document may be long.
async fn post(http: reqwest::Client, request: reqwest::Request) -> Option<(u16, String)> {
    let mut response = http.execute(request).await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > 128 * 1024 {
            break;
        }
    }
    Some((
        response.status().as_u16(),
        String::from_utf8_lossy(&body).into_owned(),
    ))
}

async fn open(
    request: tokio_tungstenite::tungstenite::handshake::client::Request,
) -> Result<Box<Socket>, u16> {
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST));
    match connect_async_with_config(request, Some(config), true).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(_) => Err(0),
    }
}

/// Closes politely: what was sent last is lost when a socket is dropped with something unread in it.
async fn leave(mut socket: Box<Socket>) {
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    if socket.send(Message::Close(Some(normal))).await.is_ok() {
        let drained = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = tokio::time::timeout(SLOW, drained).await; // a server that never closes is left
    }
}

async fn running<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn next_frame(socket: &mut Option<Box<Socket>>) -> Option<Result<Message, Error>> {
    match socket {
        Some(socket) => socket.next().await,
        None => pending().await,
    }
}

async fn next_order(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => None,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

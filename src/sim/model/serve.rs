//! The simulated model behind a WebSocket: a task a session, in real time.
//!
//! No decisions here: the sessions are [`Model`]s, and this only carries frames and time to them and back.

use super::diary::{Diary, Strike};
use super::{Invoice, Model, Out, Setup};
use crate::units::Usd;
use futures_util::{SinkExt, StreamExt};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Invoices kept in full; the sums count every session there ever was.
const KEPT_INVOICES: usize = 10_000;
/// The provider takes 15 MiB of base64 in one event.
const FRAME_BYTES: usize = 16 << 20;

/// Serves sessions until `stop` is ready; see [`ModelServer`] for one that can be asked what it billed.
pub async fn serve(listener: TcpListener, setup: Setup, stop: impl Future<Output = ()>) {
    ModelServer::new(setup, false).serve(listener, stop).await;
}

/// Many sessions, and the sum of their invoices. Cheap to clone: every clone is the same server.
#[derive(Clone, Debug)]
pub struct ModelServer {
    setup: Setup,
    verbose: bool,
    books: Arc<Mutex<Books>>,
}

/// A session that runs.
#[derive(Clone, Debug)]
struct Live {
    model: Arc<Mutex<Model>>,
    began: Instant,
    /// Something was done to it from outside.
    touched: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Books {
    /// Connections, upgraded or not: what a session is numbered by, and seeded with.
    knocked: u64,
    sessions: u64,
    live: BTreeMap<u64, Live>,
    /// The diaries of sessions that ended, where any are kept.
    diaries: Vec<Diary>,
    closed: VecDeque<Invoice>,
    /// What the sessions that ended were told of their functions, the latest last.
    told: VecDeque<String>,
    closed_total: Usd,
}

impl ModelServer {
    /// A server that opens every session with this setup; `verbose` prints each session's invoice when it ends.
    pub fn new(setup: Setup, verbose: bool) -> Self {
        ModelServer {
            setup,
            verbose,
            books: Arc::default(),
        }
    }

    /// Accepts sessions until `stop` is ready. Those that run are dropped with the future of this call.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut tasks = tokio::task::JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => {
                        let server = self.clone();
                        tasks.spawn(async move { server.session(socket).await });
                    }
                    // Out of file descriptors, most likely: let some sessions end first.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    /// The invoices of the sessions that ended, oldest first (the last 10,000), then of those that run.
    pub fn invoices(&self) -> Vec<Invoice> {
        let books = locked(&self.books);
        let live = books.live.values();
        let live = live.map(|live| locked(&live.model).invoice());
        books.closed.iter().cloned().chain(live).collect()
    }

    /// What the sessions that ended were told that their functions answered (the last 10,000), session by session.
    pub fn told(&self) -> Vec<String> {
        locked(&self.books).told.iter().cloned().collect()
    }

    /// What all sessions are billed so far.
    pub fn total(&self) -> Usd {
        let books = locked(&self.books);
        let live: Usd = books
            .live
            .values()
            .map(|live| locked(&live.model).invoice().total())
            .sum();
        books.closed_total.plus(live)
    }

    /// How many sessions were opened.
    pub fn sessions(&self) -> u64 {
        locked(&self.books).sessions
    }

    /// How many sessions are open.
    pub fn live(&self) -> usize {
        locked(&self.books).live.len()
    }

    /// The diaries that were kept: of the sessions that ended, then of those that run.
    pub fn diaries(&self) -> Vec<Diary> {
        let books = locked(&self.books);
        let live = books.live.values();
        let live = live.map(|live| locked(&live.model).diary(live.began));
        books.diaries.iter().cloned().chain(live).collect()
    }

    /// Strikes the oldest session that is well and was given these instructions; `false`: there is none.
    pub fn strike(&self, instructions: &str, how: Strike) -> bool {
        let books = locked(&self.books);
        let struck = books.live.values().find(|live| {
            let model = locked(&live.model);
            model.is_well() && model.instructions() == instructions
        });
        let Some(live) = struck else { return false };
        locked(&live.model).strike(millis(live.began), how);
        live.touched.notify_one();
        true
    }

    async fn session(&self, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let began = Instant::now();
        let mut setup = self.setup.clone();
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        setup.unix_s = since.as_secs();
        let number = {
            let mut books = locked(&self.books);
            books.knocked += 1;
            books.knocked
        };
        let mut model = Model::new(setup, number);
        let config = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES))
            .max_frame_size(Some(FRAME_BYTES));
        #[allow(clippy::result_large_err)] // as in `admit`
        let greet = |request: &Request, response: Response| admit(&mut model, request, response);
        let shaken =
            tokio_tungstenite::accept_hdr_async_with_config(socket, greet, Some(config)).await;
        let Ok(socket) = shaken else { return };
        let live = Live {
            model: Arc::new(Mutex::new(model)),
            began,
            touched: Arc::default(),
        };
        {
            let mut books = locked(&self.books);
            books.sessions += 1;
            books.live.insert(number, live.clone());
        }
        // Leaves the books even when the task is dropped.
        let _leave = Leave {
            server: self,
            number,
        };
        carry(&live, socket).await;
        locked(&live.model).hang_up(millis(began));
    }
}

struct Leave<'a> {
    server: &'a ModelServer,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut books = locked(&self.server.books);
        let Some(live) = books.live.remove(&self.number) else {
            return;
        };
        let invoice = locked(&live.model).invoice();
        if self.server.setup.behaviour.diary {
            let diary = locked(&live.model).diary(live.began);
            books.diaries.push(diary);
        }
        if self.server.verbose {
            println!("{invoice}");
        }
        books.closed_total = books.closed_total.plus(invoice.total());
        books.closed.push_back(invoice);
        if books.closed.len() > KEPT_INVOICES {
            books.closed.pop_front();
        }
        let told = std::mem::take(&mut locked(&live.model).told);
        books.told.extend(told);
        let surplus = books.told.len().saturating_sub(KEPT_INVOICES);
        books.told.drain(..surplus);
    }
}

/// Shows the request to the model, which answers like the provider: with an upgrade whenever it can.
#[allow(clippy::result_large_err)] // the shape of this answer is the WebSocket library's
fn admit(
    model: &mut Model,
    request: &Request,
    response: Response,
) -> Result<Response, ErrorResponse> {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    // The cloud's clients may bring their key in a header of its own.
    let own = header("api-key").filter(|_| request.uri().path().starts_with("/openai/"));
    let key = header("authorization").or(own);
    let beta = header("openai-beta").is_some();
    model.connect(0, path, key, beta).map_err(|status| {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        refusal
    })?;
    Ok(response)
}

async fn carry(live: &Live, mut socket: WebSocketStream<TcpStream>) {
    let (model, began) = (&*live.model, live.began);
    loop {
        let mut out = Vec::new();
        let (over, deadline) = {
            let mut model = locked(model);
            out.extend(std::iter::from_fn(|| model.poll()));
            (model.is_over(), model.deadline())
        };
        for out in out {
            let sent = match out {
                Out::Text(text) => socket.send(Message::text(text)).await,
                Out::Close { code, reason } => {
                    let frame = CloseFrame {
                        code: CloseCode::from(code),
                        reason: Utf8Bytes::from(reason),
                    };
                    let sent = socket.close(Some(frame)).await;
                    // The client's own close frame ends the handshake; it has a second for it.
                    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
                    let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
                    sent
                }
                Out::Drop => return,
            };
            if sent.is_err() {
                return;
            }
        }
        if over {
            return;
        }
        let wait = deadline.map_or(Duration::from_secs(3_600), |due| {
            Duration::from_millis(due.saturating_sub(millis(began)))
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => locked(model).wake(millis(began)),
            () = live.touched.notified() => {}
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => locked(model).receive(millis(began), &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // Pings are answered by the library; binary frames mean nothing here.
                Some(Ok(_)) => {}
            },
        }
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A lock whose holder panicked still guards whole values: sums and invoices are replaced, never half written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio_tungstenite::connect_async;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;

    async fn events(
        socket: &mut (
                 impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin
             ),
        until: &str,
    ) -> Vec<Value> {
        let mut seen = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let event: Value = serde_json::from_str(&text).unwrap();
            seen.push(event);
            if seen.last().unwrap()["type"] == until {
                break;
            }
        }
        seen
    }

    #[tokio::test]
    async fn a_client_on_a_real_socket_is_greeted_and_billed() {
        let setup = Setup::parse(super::super::invoice::PRICES, "latency=1ms speed=100x").unwrap();
        let server = ModelServer::new(setup, false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = server.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            running.serve(listener, stopped).await;
        });
        let url = format!("ws://{address}/v1/realtime?model=gpt-realtime-2.1");
        // Without a key there is no upgrade at all.
        assert!(connect_async(&url).await.is_err());

        let mut request = url.into_client_request().unwrap();
        let key = "Bearer sk-test".parse().unwrap();
        request.headers_mut().insert("authorization", key);
        let (mut socket, _) = connect_async(request).await.unwrap();
        assert_eq!(events(&mut socket, "session.created").await.len(), 1);
        let ask = json!({"type": "response.create"}).to_string();
        socket.send(Message::text(ask)).await.unwrap();
        let seen = events(&mut socket, "response.done").await;
        assert_eq!(seen[0]["type"], "response.created");
        let done = &seen.last().unwrap()["response"];
        assert_eq!(done["usage"]["output_token_details"]["audio_tokens"], 30);
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}

        drop(stop);
        task.await.unwrap();
        assert_eq!(server.invoices().len(), 1);
        assert_eq!((server.sessions(), server.live()), (1, 0));
        assert!(server.total() > Usd::from_nanos(30 * 64_000));
        assert_eq!(server.total(), server.invoices()[0].total());
    }
}

//! Reaching the model.
//!
//! A caller is waiting, so every step has to end: the name, the line, the encryption and the handshake share one limit. What
//! went wrong is told as the step it went wrong in, for an error of a library may quote the request, and the request holds the key.

use super::wire::{Pipe, Socket, limits};
use crate::realtime::Address;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::handshake::client::{ClientHandshake, Request};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The largest event that is taken, in bytes.
const LARGEST: usize = 16 << 20;

/// What is read of it at a time, in bytes. A delta of 100 ms takes four reads, which cost little; but what a socket reads at a time it
/// keeps several times over, for each call.
const USUAL: usize = 2 * 1024;

/// The model's socket, open.
pub type ModelSocket = Socket<MaybeTlsStream<TcpStream>>;

/// Why the model was not reached. Holds no part of the address and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    /// The server answered with this HTTP status where 101 was wanted.
    Answered(u16),
    /// This step failed.
    Failed(Step),
    /// This step was not over in time.
    Late(Step),
}

/// The steps to an open socket, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Understanding the address and the headers.
    Address,
    /// Looking the host up.
    Dns,
    /// Connecting to one of its addresses.
    Tcp,
    /// Agreeing on encryption.
    Tls,
    /// Agreeing on a WebSocket.
    Handshake,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Answered(status) => write!(f, "HTTP {status}"),
            DialError::Failed(step) => write!(f, "{step} failed"),
            DialError::Late(step) => write!(f, "{step} took too long"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Address => "address",
            Step::Dns => "dns",
            Step::Tcp => "tcp",
            Step::Tls => "tls",
            Step::Handshake => "handshake",
        })
    }
}

/// Opens a socket to `address`, by `ws://` or `wss://`, or tells within `limit` why not.
///
/// # Errors
/// [`DialError`] says how far it came.
pub async fn dial(address: &Address, limit: Duration) -> Result<ModelSocket, DialError> {
    let deadline = Instant::now() + limit;
    let request = request(address).ok_or(DialError::Failed(Step::Address))?;
    let peers = timeout_at(deadline, look_up(&request))
        .await
        .map_err(|_| DialError::Late(Step::Dns))??;
    let stream = connect(&peers, deadline).await?;
    let stream = match request.uri().scheme_str() {
        Some("wss") => timeout_at(deadline, encrypt(stream, &request))
            .await
            .map_err(|_| DialError::Late(Step::Tls))??,
        _ => MaybeTlsStream::Plain(stream),
    };
    timeout_at(deadline, shake_hands(stream, request))
        .await
        .map_err(|_| DialError::Late(Step::Handshake))?
}

/// The handshake's request; `None` when the address or a header is not one.
fn request(address: &Address) -> Option<Request> {
    let mut request = address.url.as_str().into_client_request().ok()?;
    for (name, value) in &address.headers {
        let mut value = HeaderValue::from_str(value.reveal()).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(*name, value);
    }
    Some(request)
}

/// An IPv6 address stands in brackets in an address, and without them everywhere else.
fn host(request: &Request) -> Option<&str> {
    let host = request.uri().host()?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

async fn look_up(request: &Request) -> Result<Vec<SocketAddr>, DialError> {
    let uri = request.uri();
    let port = match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), Some("ws" | "wss")) => port,
        (None, Some("ws")) => 80,
        (None, Some("wss")) => 443,
        _ => return Err(DialError::Failed(Step::Address)),
    };
    let host = host(request).ok_or(DialError::Failed(Step::Address))?;
    let peers = tokio::net::lookup_host((host, port)).await;
    peers
        .map(Iterator::collect)
        .map_err(|_| DialError::Failed(Step::Dns))
}

/// Tries one address after the other. Each gets its share of the time, so that one which swallows packets, as a broken IPv6 route
/// does, leaves time for the next.
async fn connect(peers: &[SocketAddr], deadline: Instant) -> Result<TcpStream, DialError> {
    let mut last = DialError::Failed(Step::Dns);
    for (tried, peer) in peers.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(peers.len() - tried).unwrap_or(u32::MAX);
        last = match timeout_at(Instant::now() + share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => {
                // Sound is many small frames, each of them due now. A line that refuses this still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(_)) => DialError::Failed(Step::Tcp),
            Err(_) => DialError::Late(Step::Tcp),
        };
    }
    Err(last)
}

/// How we encrypt, made once: reading the machine's certificates takes milliseconds, and what is shared lets a second call resume
/// the session of the first. `None` on a machine without certificates to trust.
static TLS: LazyLock<Option<Arc<ClientConfig>>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return None;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // A WebSocket is opened in HTTP/1.1; a server that is offered HTTP/2 as well answers 405.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
});

async fn encrypt(
    stream: TcpStream,
    request: &Request,
) -> Result<MaybeTlsStream<TcpStream>, DialError> {
    let failed = DialError::Failed(Step::Tls);
    let config = TLS.clone().ok_or(failed)?;
    let name = host(request).and_then(|host| ServerName::try_from(host.to_string()).ok());
    let connector = TlsConnector::from(config);
    let encrypted = connector.connect(name.ok_or(failed)?, stream).await;
    encrypted.map(MaybeTlsStream::Rustls).map_err(|_| failed)
}

/// Asks for a WebSocket. The library goes as far as it can, and is asked to go on when there is more to read or room to write.
async fn shake_hands(
    stream: MaybeTlsStream<TcpStream>,
    request: Request,
) -> Result<ModelSocket, DialError> {
    let failed = DialError::Failed(Step::Handshake);
    let config = Some(limits(LARGEST, USUAL));
    let begun = ClientHandshake::start(Pipe::new(stream), request, config).map_err(|_| failed)?;
    let mut handshake = Some(Box::new(begun));
    poll_fn(|cx| {
        let Some(mut begun) = handshake.take() else {
            return Poll::Pending;
        };
        begun.get_mut().get_mut().wakes(cx);
        Poll::Ready(match begun.handshake() {
            Ok((socket, _)) => Ok(socket),
            Err(HandshakeError::Interrupted(begun)) => {
                handshake = Some(Box::new(begun));
                return Poll::Pending;
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                Err(DialError::Answered(answer.status().as_u16()))
            }
            Err(HandshakeError::Failure(_)) => Err(failed),
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Came, Wire};
    use super::*;
    use crate::observe::path::UP;
    use crate::units::Secret;
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::handshake::server;

    /// Long enough for a busy machine; no test waits for it to pass.
    const LONG: Duration = Duration::from_secs(20);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        (listener, at)
    }

    fn address(url: String) -> Address {
        Address {
            url,
            headers: vec![("Authorization", Secret::from("Bearer sk-test".to_string()))],
        }
    }

    /// A server that reads one request and gives this answer, whatever it was asked.
    async fn answering(answer: &'static [u8]) -> SocketAddr {
        let (listener, at) = listener().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.read(&mut request).await;
        });
        at
    }

    #[tokio::test]
    async fn a_server_that_answers_gets_the_key_and_a_socket_without_delay() {
        let (listener, at) = listener().await;
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut asked = String::new();
            #[allow(clippy::result_large_err)] // the library's own signature
            let see = |request: &server::Request, response: server::Response| {
                let key = request.headers()["authorization"].to_str().unwrap();
                asked = format!("{} {key}", request.uri());
                assert!(request.headers().get("sec-websocket-extensions").is_none());
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, see).await.unwrap();
            let heard = socket.next().await.unwrap().unwrap();
            socket.send(heard).await.unwrap();
            asked
        });
        let url = format!("ws://localhost:{}/v1/realtime?model=m", at.port());
        let socket = dial(&address(url), LONG).await.unwrap();
        let MaybeTlsStream::Plain(stream) = socket.get_ref().stream() else {
            panic!("ws:// is not encrypted");
        };
        assert!(stream.nodelay().unwrap());
        let mut wire = Wire::new(socket, &UP);
        wire.send("hello", None);
        let echoed = wire.next().await;
        assert!(matches!(echoed, Came::Message(Message::Text(text)) if text == "hello"));
        assert_eq!(server.await.unwrap(), "/v1/realtime?model=m Bearer sk-test");
    }

    #[tokio::test]
    async fn an_answer_other_than_101_is_told_by_its_status() {
        let at = answering(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        let dialled = dial(&address(format!("ws://{at}/")), LONG).await;
        assert_eq!(dialled.err(), Some(DialError::Answered(401)));
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_fails_the_step_it_failed() {
        for (scheme, step) in [("ws", Step::Handshake), ("wss", Step::Tls)] {
            let at = answering(b"220 mail.example.com ESMTP ready\r\n\r\n").await;
            let dialled = dial(&address(format!("{scheme}://{at}/")), LONG).await;
            assert_eq!(dialled.err(), Some(DialError::Failed(step)), "{scheme}");
        }
    }

    #[tokio::test]
    async fn a_closed_door_is_told_at_once() {
        let (listener, at) = listener().await;
        drop(listener);
        let dialled = dial(&address(format!("ws://{at}/")), LONG).await;
        assert_eq!(dialled.err(), Some(DialError::Failed(Step::Tcp)));
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let (_listener, at) = listener().await;
        let short = Duration::from_millis(50);
        let dialled = dial(&address(format!("ws://{at}/")), short).await;
        assert_eq!(dialled.err(), Some(DialError::Late(Step::Handshake)));
    }

    #[tokio::test]
    async fn what_is_no_address_is_never_dialled() {
        for url in [
            "",
            "bot",
            "http://127.0.0.1/",
            "ws://",
            "ws:///x",
            "ws://a b/",
        ] {
            let dialled = dial(&address(url.into()), LONG).await;
            assert_eq!(
                dialled.err(),
                Some(DialError::Failed(Step::Address)),
                "{url}"
            );
        }
        let mut broken = address("ws://127.0.0.1/".into());
        broken.headers[0].1 = Secret::from("Bearer sk\n".to_string());
        let dialled = dial(&broken, LONG).await;
        assert_eq!(dialled.err(), Some(DialError::Failed(Step::Address)));
    }

    #[test]
    fn an_error_says_where_it_happened_and_nothing_else() {
        assert_eq!(DialError::Answered(503).to_string(), "HTTP 503");
        assert_eq!(DialError::Failed(Step::Tls).to_string(), "tls failed");
        assert_eq!(DialError::Late(Step::Tcp).to_string(), "tcp took too long");
    }
}

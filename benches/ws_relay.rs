//! What tokio and tungstenite cost by themselves: the same calls as `relay.c`, carried message by message.
//!
//! Between the raw relay and a voice server stands what every Rust program on these crates pays: a runtime, the WebSocket's framing and
//! masking, a buffer for each message. One thread, no parsing of what the messages say. The size of the read buffer is an argument,
//! because tungstenite's own (128 KB a socket) is most of what a call weighs.
//!
//! `ws_relay LISTEN_PORT TARGET_PORT [READ_BUFFER_BYTES]`, both ports on 127.0.0.1; runs until it is terminated.

use futures_util::{SinkExt, StreamExt};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};

/// What every call needs to know.
struct Relay {
    target_port: u16,
    sockets: WebSocketConfig,
}

fn main() -> ExitCode {
    let numbers: Option<Vec<usize>> = std::env::args()
        .skip(1)
        .map(|text| text.parse().ok())
        .collect();
    let (listen, target, buffer) = match numbers.as_deref() {
        Some([listen, target]) => (*listen, *target, None),
        Some([listen, target, buffer]) => (*listen, *target, Some(*buffer)),
        _ => {
            eprintln!("usage: ws_relay LISTEN_PORT TARGET_PORT [READ_BUFFER_BYTES]");
            return ExitCode::from(2);
        }
    };
    let (Ok(listen), Ok(target_port)) = (u16::try_from(listen), u16::try_from(target)) else {
        eprintln!("ws_relay: not a port");
        return ExitCode::from(2);
    };
    let mut sockets = WebSocketConfig::default();
    if let Some(bytes) = buffer {
        sockets = sockets.read_buffer_size(bytes);
    }
    let relay = Arc::new(Relay {
        target_port,
        sockets,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(serve(listen, relay))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ws_relay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16, relay: Arc<Relay>) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (caller, _) = listener.accept().await?;
        let relay = Arc::clone(&relay);
        tokio::spawn(async move {
            // A call that breaks is the load's to count; the others go on.
            let _ = carry(caller, &relay).await;
        });
    }
}

/// One call, from its handshake to its end: whatever one side sends, the other one gets.
#[allow(
    clippy::result_large_err,
    reason = "tungstenite's callback wants its own response as the error"
)]
async fn carry(caller: TcpStream, relay: &Relay) -> Result<(), Error> {
    caller.set_nodelay(true)?;
    let mut path = String::new();
    let remember = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().to_string();
        Ok(response)
    };
    let caller = accept_hdr_async_with_config(caller, remember, Some(relay.sockets)).await?;
    let model = TcpStream::connect(("127.0.0.1", relay.target_port)).await?;
    model.set_nodelay(true)?;
    let address = format!("ws://127.0.0.1:{}{path}", relay.target_port);
    let (model, _) = client_async_with_config(address, model, Some(relay.sockets)).await?;

    let (mut to_caller, mut from_caller) = caller.split();
    let (mut to_model, mut from_model) = model.split();
    loop {
        tokio::select! {
            Some(message) = from_caller.next() => match message? {
                Message::Close(_) => return to_model.close().await,
                message => to_model.send(message).await?,
            },
            Some(message) = from_model.next() => match message? {
                Message::Close(_) => return to_caller.close().await,
                message => to_caller.send(message).await?,
            },
            else => return Ok(()),
        }
    }
}

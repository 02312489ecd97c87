//! Where media streams come in.
//!
//! A stream proves itself three times before it reaches a call: its handshake is signed, its token was made for one call and is used
//! once, and its first frames name that call. Until then it holds one of a few places and a few seconds, no more.

use super::{Doors, as_arrived, why_forged};
use crate::bridge::switchboard::{Kept, Opened};
use crate::bridge::wire::{Came, Wire, accepted, limits};
use crate::carrier::{Event, Garbled};
use crate::observe::path::DOWN;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// How long a stream may take to name its call.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// How long a stream may wait for one of the few places.
const PLACE_PATIENCE: Duration = Duration::from_secs(1);

/// The largest frame: carriers send a few hundred bytes for 20 ms.
const MAX_FRAME: usize = 64 * 1024;

/// Room for several such frames of 20 ms, in bytes.
const USUAL_FRAMES: usize = 2 * 1024;

/// "Done".
const NORMAL: u16 = 1000;

/// "Policy violation": the peer is not what it said it was.
const POLICY: u16 = 1008;

/// `GET /{carrier}/media/{token}`: a stream opens.
pub async fn opened(
    State(doors): State<Arc<Doors>>,
    Path(token): Path<String>,
    mut request: Request,
) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let signed = as_arrived(method, uri, headers, &[], |request| {
        doors.carrier.handshake(request)
    });
    if let Err(forged) = signed {
        let (what, help) = why_forged(forged);
        tracing::warn!(event = "request.refused", door = "media", what, help);
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(answer) = create_response_with_body(&request, Body::empty) else {
        return (StatusCode::UPGRADE_REQUIRED, "a WebSocket is expected here").into_response();
    };
    let upgrade = on(&mut request);
    // A crowd that calls at the same moment names its calls within milliseconds; refusing one of them would cost its caller the call.
    let place = tokio::time::timeout(PLACE_PATIENCE, doors.pending.clone().acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        tracing::warn!(
            event = "request.refused",
            door = "media",
            what = "limits.pending_streams is reached"
        );
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Some(kept) = doors.switchboard.take(&token) else {
        tracing::warn!(
            event = "request.refused",
            door = "media",
            what = "the token is unknown, used or too old"
        );
        return StatusCode::FORBIDDEN.into_response();
    };
    tokio::spawn(async move {
        let Some((stream, read)) = upgraded(upgrade).await else {
            return;
        };
        let worker = kept.worker.clone();
        worker.spawn(async move {
            // From here on it is that thread's.
            if let Ok(stream) = TcpStream::from_std(stream) {
                let socket = accepted(stream, read, limits(MAX_FRAME, USUAL_FRAMES));
                prove(&doors, Wire::new(socket, &DOWN), kept).await;
            }
            drop(place);
        });
    });
    answer
}

/// The bare connection, once the answer has left, and what of it was read already. What stood between, made for HTTP, has buffers of its
/// own and would copy every frame once more.
async fn upgraded(upgrade: OnUpgrade) -> Option<(std::net::TcpStream, Vec<u8>)> {
    let parts = downcast::<TokioIo<TcpStream>>(upgrade.await.ok()?).ok()?;
    let stream = parts.io.into_inner().into_std().ok()?;
    Some((stream, parts.read_buf.to_vec()))
}

/// Reads until the stream names its call, and hands it over.
async fn prove(doors: &Doors, mut wire: Wire<TcpStream>, kept: Kept) {
    let mut stream = doors.carrier.stream(&kept.carrier_call);
    let mut sound = Vec::new();
    let started = async {
        loop {
            match wire.next().await {
                Came::Message(Message::Text(frame)) => match stream.read(&frame, &mut sound) {
                    Ok(Some(Event::Started)) => return Ok(()),
                    Ok(_) => {}
                    Err(Garbled(what)) => return Err(what),
                },
                Came::Message(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Came::Message(Message::Binary(_)) => return Err("a binary frame"),
                Came::TooLarge => return Err("a frame over 64 KiB"),
                Came::Message(Message::Close(_)) | Came::Gone | Came::Slow => {
                    return Err("it closed before its start");
                }
            }
        }
    };
    let what = match tokio::time::timeout(START_PATIENCE, started).await {
        Ok(Ok(())) => {
            if let Err(Opened { wire, .. }) = kept.door.send(Opened { wire, stream }) {
                let over = CloseFrame {
                    code: NORMAL.into(),
                    reason: "the call is over".into(),
                };
                wire.close(Some(over)).await;
            }
            return;
        }
        Ok(Err(what)) => what,
        Err(_) => "no start within 5 s",
    };
    let carrier_call = kept.carrier_call.as_str();
    tracing::warn!(event = "stream.refused", carrier_call, what);
    let refused = CloseFrame {
        code: POLICY.into(),
        reason: what.into(),
    };
    wire.close(Some(refused)).await;
}

//! Where media streams come in.
//!
//! A stream proves itself three times before it reaches a call: its handshake is signed, its token was made for one call and is used
//! once, and its first frames name that call. Until then it holds one of a few places and a few seconds, no more.

use super::{Doors, as_arrived, why_forged};
use crate::bridge::switchboard::{Kept, Opened};
use crate::bridge::wire::is_too_large;
use crate::carrier::{Event, Garbled};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;

/// How long a stream may take to name its call.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// How long a stream may wait for one of the few places.
const PLACE_PATIENCE: Duration = Duration::from_secs(1);

/// The largest frame: carriers send a few hundred bytes for 20 ms.
const MAX_FRAME: usize = 64 * 1024;

/// What a socket reads at a time. The library's default, 128 KB, is zeroed for every read and kept for every call.
const READ_BUFFER: usize = 8 * 1024;

/// "Done".
const NORMAL: u16 = 1000;

/// "Policy violation": the peer is not what it said it was.
const POLICY: u16 = 1008;

/// `GET /{carrier}/media/{token}`: a stream opens.
pub async fn opened(
    State(doors): State<Arc<Doors>>,
    Path(token): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let signed = as_arrived(&method, &uri, &headers, &[], |request| {
        doors.carrier.handshake(request)
    });
    if let Err(forged) = signed {
        let (what, help) = why_forged(forged);
        tracing::warn!(event = "request.refused", door = "media", what, help);
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(upgrade) = upgrade else {
        return (StatusCode::UPGRADE_REQUIRED, "a WebSocket is expected here").into_response();
    };
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
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(move |socket| async move {
            prove(&doors, socket, kept).await;
            drop(place);
        })
}

/// Reads until the stream names its call, and hands it over.
async fn prove(doors: &Doors, mut socket: WebSocket, kept: Kept) {
    let mut stream = doors.carrier.stream(&kept.carrier_call);
    let mut sound = Vec::new();
    let started = async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(frame))) => match stream.read(&frame, &mut sound) {
                    Ok(Some(Event::Started)) => return Ok(()),
                    Ok(_) => {}
                    Err(Garbled(what)) => return Err(what),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err("a binary frame"),
                Some(Err(error)) if is_too_large(&error) => return Err("a frame over 64 KiB"),
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    return Err("it closed before its start");
                }
            }
        }
    };
    let what = match tokio::time::timeout(START_PATIENCE, started).await {
        Ok(Ok(())) => {
            if let Err(Opened { mut socket, .. }) = kept.door.send(Opened { socket, stream }) {
                let over = CloseFrame {
                    code: NORMAL,
                    reason: "the call is over".into(),
                };
                let _ = socket.send(Message::Close(Some(over))).await;
            }
            return;
        }
        Ok(Err(what)) => what,
        Err(_) => "no start within 5 s",
    };
    let carrier_call = kept.carrier_call.as_str();
    tracing::warn!(event = "stream.refused", carrier_call, what);
    let _ = socket
        .send(Message::Close(Some(CloseFrame {
            code: POLICY,
            reason: what.into(),
        })))
        .await;
}

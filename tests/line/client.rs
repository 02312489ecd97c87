//! A carrier made by hand: it can sign, and it can say what no carrier would.

use futures_util::{SinkExt, StreamExt};
use ringfence::cli::world::{ACCOUNT, AUTH_TOKEN, World};
use ringfence::sim::phone::sign::signature;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Nothing here waits longer for a server than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The carrier.
    Well,
    /// Somebody who does not know the token.
    Wrongly,
    /// Nobody.
    Not,
}

impl Signed {
    fn header(self, url: &str, fields: &[(String, String)]) -> Option<String> {
        match self {
            Signed::Well => Some(signature(AUTH_TOKEN, url, fields)),
            Signed::Wrongly => Some(signature("ffffffffffffffffffffffffffffffff", url, fields)),
            Signed::Not => None,
        }
    }
}

/// The fields of a webhook that offers a call.
pub fn offer(call_sid: &str, to: &str) -> Vec<(String, String)> {
    [
        ("AccountSid", ACCOUNT),
        ("CallSid", call_sid),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+14155550123"),
        ("To", to),
        ("StirVerstat", "TN-Validation-Passed-A"),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()))
    .to_vec()
}

/// A carrier that calls one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    pub fn of(world: &World) -> Client {
        Client {
            base: format!("http://{}", world.server.address),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .expect("a client"),
        }
    }

    /// Posts a form to a path, and gives the status and the body of the answer.
    pub async fn post(
        &self,
        path: &str,
        fields: &[(String, String)],
        signed: Signed,
    ) -> (u16, String) {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.post(&url).form(fields);
        if let Some(signature) = signed.header(&url, fields) {
            request = request.header("X-Twilio-Signature", signature);
        }
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    }

    /// What the server answers to a plain request.
    pub async fn get(&self, path: &str) -> u16 {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        answer.expect("an answer").status().as_u16()
    }

    /// Offers a call; the address of its media stream.
    pub async fn connect(&self, call_sid: &str) -> String {
        let (status, document) = self
            .post(
                "/twilio/voice",
                &offer(call_sid, "+15005550006"),
                Signed::Well,
            )
            .await;
        assert_eq!(status, 200, "{document}");
        let (_, rest) = document.split_once("<Stream url=\"").expect("a stream");
        rest.split_once('"').expect("its address").0.to_string()
    }

    /// The address of a stream with this token.
    pub fn media(&self, token: &str) -> String {
        format!(
            "{}/twilio/media/{token}",
            self.base.replacen("http", "ws", 1)
        )
    }
}

/// A media stream.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// Opens a stream; the HTTP status where that is refused.
pub async fn open(url: &str, signed: Signed) -> Result<Socket, u16> {
    let mut request = url.into_client_request().expect("an address");
    if let Some(signature) = signed.header(url, &[]) {
        request
            .headers_mut()
            .insert("X-Twilio-Signature", signature.parse().expect("a header"));
    }
    let opening = tokio::time::timeout(PATIENCE, connect_async(request));
    match opening.await.expect("an answer in time") {
        Ok((socket, _)) => Ok(Socket(socket)),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{url}: {error}"),
    }
}

impl Socket {
    pub async fn say(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.expect("an open socket");
    }

    /// Names the call, as every stream must begin.
    pub async fn start(&mut self, call_sid: &str) {
        self.say(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
            .await;
        self.say(start(ACCOUNT, call_sid)).await;
    }

    /// Reads until the server closes; its code and reason.
    pub async fn closed(mut self) -> (u16, String) {
        let reading = async {
            while let Some(message) = self.0.next().await {
                if let Message::Close(frame) = message.expect("a close before the socket breaks") {
                    let frame = frame.expect("a close with a reason");
                    return (frame.code.into(), frame.reason.to_string());
                }
            }
            panic!("the socket broke without a close");
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("a close in time")
    }

    /// Reads until the server sends a frame with this word in it.
    pub async fn hears(&mut self, word: &str) {
        let reading = async {
            while let Some(Ok(message)) = self.0.next().await {
                if message.to_text().is_ok_and(|text| text.contains(word)) {
                    return;
                }
            }
            panic!("closed before {word}");
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("heard in time");
    }
}

/// The frame that names a call.
pub fn start(account: &str, call_sid: &str) -> String {
    let start = json!({
        "streamSid": "MZ1", "accountSid": account, "callSid": call_sid, "tracks": ["inbound"], "customParameters": {},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    });
    json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start}).to_string()
}

/// A frame of silence.
pub fn media(timestamp: u64) -> String {
    let payload = "/".repeat(213) + "/8="; // 161 bytes of 0xFF
    json!({
        "event": "media", "sequenceNumber": "2", "streamSid": "MZ1",
        "media": {"track": "inbound", "chunk": "1", "timestamp": timestamp.to_string(), "payload": payload}
    })
    .to_string()
}

//! The little of HTTP/1.1 that a carrier and a model need on one connection: heads, and bodies of a known length.

use std::ops::Range;

/// A request or an answer that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
    /// Where what follows begins.
    pub end: usize,
}

/// The longest head or body that is read.
const LONGEST: usize = 128 * 1024;

impl Message {
    /// Reads one; `None` while it is not whole. `is_over`: nothing more will come, so a body without a length is whole.
    ///
    /// # Errors
    /// When it can never become one.
    pub fn read(bytes: &[u8], is_over: bool) -> Result<Option<Message>, String> {
        let Some(blank) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return match bytes.len() > LONGEST || is_over {
                true => Err("an answer that is not HTTP".to_owned()),
                false => Ok(None),
            };
        };
        let head = String::from_utf8_lossy(&bytes[..blank]).into_owned();
        let from = blank + 4;
        let body = match (
            header(&head, "content-length"),
            header(&head, "transfer-encoding"),
        ) {
            (Some(length), _) => {
                let length: usize = length.parse().map_err(|_| "a length that is no number")?;
                if length > LONGEST {
                    return Err("a body of more than 128 KiB".to_owned());
                }
                bytes
                    .get(from..from + length)
                    .map(|body| (body.to_vec(), from + length))
            }
            (None, Some(_)) => chunks(bytes, from)?,
            // An upgrade, a request without a body, or an answer that ends with its connection.
            (None, None) if !head.starts_with("HTTP/") || head.contains(" 101 ") => {
                Some((Vec::new(), from))
            }
            (None, None) => is_over.then(|| (bytes[from..].to_vec(), bytes.len())),
        };
        Ok(body.map(|(body, end)| Message {
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
            end,
        }))
    }

    /// The status of an answer; 0 when there is none.
    pub fn status(&self) -> u16 {
        let mut words = self.head.split(' ');
        words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// The method and the path of a request.
    pub fn asked(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (words.next().unwrap_or(""), words.next().unwrap_or("/"))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// A body in chunks (RFC 9112, section 7.1), and where it ends.
fn chunks(bytes: &[u8], mut at: usize) -> Result<Option<(Vec<u8>, usize)>, String> {
    let mut body = Vec::new();
    loop {
        let line: Range<usize> = match memchr::memmem::find(&bytes[at..], b"\r\n") {
            Some(length) => at..at + length,
            None => return Ok(None),
        };
        let size = String::from_utf8_lossy(&bytes[line.clone()]).into_owned();
        let size = size.split(';').next().unwrap_or("").trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk without a size")?;
        if size > LONGEST || body.len() > LONGEST {
            return Err("a body of more than 128 KiB".to_owned());
        }
        let from = line.end + 2;
        let Some(chunk) = bytes.get(from..from + size + 2) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some((body, from + 2)));
        }
        body.extend_from_slice(&chunk[..size]);
        at = from + size + 2;
    }
}

/// An answer with a body.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    let word = if status < 300 { "OK" } else { "No" };
    format!(
        "HTTP/1.1 {status} {word}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellorest";
        assert_eq!(Message::read(&wire[..42], false), Ok(None));
        let read = Message::read(wire, false).expect("HTTP").expect("whole");
        assert_eq!((read.status(), &*read.body, read.end), (200, "hello", 43));
        let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n";
        for short in 0..wire.len() {
            assert_eq!(Message::read(&wire[..short], false), Ok(None), "{short}");
        }
        assert_eq!(
            Message::read(wire, false)
                .expect("HTTP")
                .expect("whole")
                .body,
            "hello"
        );
        let wire = b"HTTP/1.0 404 Not Found\r\n\r\ngone";
        assert_eq!(Message::read(wire, false), Ok(None));
        assert_eq!(
            Message::read(wire, true)
                .expect("HTTP")
                .expect("whole")
                .body,
            "gone"
        );
    }

    #[test]
    fn a_request_tells_what_it_asks_for() {
        let wire = b"GET /v1/realtime?model=m HTTP/1.1\r\nSec-WebSocket-Key:  abc \r\n\r\n";
        let read = Message::read(wire, false).expect("HTTP").expect("whole");
        assert_eq!(read.asked(), ("GET", "/v1/realtime?model=m"));
        assert_eq!(read.header("sec-websocket-key"), Some("abc"));
        assert!(Message::read(b"junk", true).is_err());
        assert!(Message::read(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false).is_err());
    }
}

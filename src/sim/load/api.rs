//! The carrier's REST API, as far as a server needs it to end its calls: everything is granted.

use super::hall::Hall;
use super::http::{self, Message};
use super::line::{Line, Room};
use serde_json::json;

/// A connection to it.
#[derive(Debug)]
pub struct Api {
    line: Option<Line>,
}

impl Api {
    /// A connection that was accepted.
    pub fn new(line: Line) -> Api {
        Api { line: Some(line) }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.line.is_none()
    }

    /// Something happened to its socket; tells which calls must end.
    pub fn ready(&mut self, hall: &Hall, room: &mut Room) -> Vec<u32> {
        let mut ended = Vec::new();
        let Some(mut line) = self.line.take() else {
            return ended;
        };
        line.flush();
        loop {
            let came = line.fill(room);
            let mut at = 0;
            loop {
                match Message::read(&room.plain[at..came.bytes], false) {
                    Ok(Some(request)) => {
                        at += request.end;
                        ended.extend(answer(hall, &mut line, &request));
                    }
                    Ok(None) => break,
                    Err(_) => return ended,
                }
            }
            if came.over {
                return ended;
            }
            line.keep(&room.plain[at..came.bytes]);
            if !came.more {
                break;
            }
        }
        self.line = Some(line);
        ended
    }
}

/// Grants a request; tells which call it ends.
fn answer(hall: &Hall, line: &mut Line, request: &Message) -> Option<u32> {
    let (method, path) = request.asked();
    let path = path.split('?').next().unwrap_or(path);
    let account = format!("/2010-04-01/Accounts/{}/Calls/", hall.plan.account);
    let sid = path
        .strip_prefix(&account)
        .and_then(|name| name.strip_suffix(".json"));
    let index = sid.filter(|sid| sid.len() == 34 && sid.is_ascii());
    let index = index.and_then(|sid| u32::from_str_radix(&sid[26..], 16).ok());
    let index = index.filter(|index| (*index as usize) < hall.plan.calls);
    let Some(index) = index else {
        let missing = json!({"status": 404, "code": 20404, "message": "The requested resource was not found"});
        line.send(&http::answer(404, &missing.to_string()));
        return None;
    };
    let ends = method == "POST" && request.body.contains("Status=completed");
    let status = if ends || method == "GET" {
        "completed"
    } else {
        "in-progress"
    };
    let record = json!({"sid": sid, "account_sid": hall.plan.account, "api_version": "2010-04-01",
        "direction": "inbound", "status": status, "duration": "1", "price": "-0.0085", "price_unit": "USD"});
    line.send(&http::answer(200, &record.to_string()));
    ends.then_some(index)
}

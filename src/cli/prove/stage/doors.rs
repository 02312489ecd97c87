//! The doors of the server, in virtual time: the carrier's webhooks, and the handshake of a media stream.

use super::Show;
use super::house::BEGAN_UNIX_S;
use crate::admission::{self, Admitted, Refused, new_token};
use crate::bridge::line::{self, Line};
use crate::call::Input;
use crate::carrier::{self, Document, Garbled, Request, Unwelcome};

impl Show<'_> {
    /// Answers the carrier's request, as the doors of the server do.
    pub(super) fn http(
        &mut self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> (u16, String) {
        let Some(door) = self.door(url) else {
            return (404, String::new());
        };
        let header = |name: &str| find(headers, name);
        let request = Request {
            method: "POST",
            path_and_query: path_of(url),
            body: body.as_bytes(),
            header: &header,
        };
        let carrier = self.stage.carrier.clone();
        let answer = match door.as_str() {
            "voice" => carrier.offer(request).map(|offer| self.offered(&offer)),
            "ended" => carrier
                .ended(request)
                .map(|_| carrier.farewell(self.desk.last_words.as_deref())),
            "status" => {
                return match carrier.status(request) {
                    Ok(_) => (204, String::new()),
                    Err(unwelcome) => turned_away(&unwelcome),
                };
            }
            _ => return (404, String::new()),
        };
        match answer {
            Ok(document) => (200, document.body),
            Err(unwelcome) => turned_away(&unwelcome),
        }
    }

    fn door(&self, url: &str) -> Option<String> {
        let own = format!("/{}/", self.stage.name);
        path_of(url).strip_prefix(&own).map(str::to_owned)
    }

    fn offered(&mut self, offer: &carrier::Offer) -> Document {
        if let Some(document) = &self.document {
            return document.clone();
        }
        let carrier = self.stage.carrier.clone();
        let document = match self.stage.admission.admit(offer) {
            Ok(admitted) => self.begin(admitted),
            Err(Refused {
                redirect: Some(url),
                ..
            }) => carrier.redirect(&url),
            Err(Refused { redirect: None, .. }) => carrier.reject(),
        };
        self.document = Some(document.clone());
        document
    }

    /// The call begins: its time zero is the answer to its webhook.
    fn begin(&mut self, admitted: Admitted) -> Document {
        let Admitted {
            mut ticket,
            agent,
            model,
            grant,
            slot,
            ..
        } = admitted;
        let carrier = self.stage.carrier.clone();
        self.token = new_token();
        let document = carrier.connect(&self.token);
        self.desk.cap = ticket.rules.spend.end;
        self.desk.grant = Some(grant);
        self.desk.slot = Some(slot);
        self.began_ms = self.desk.now_ms;
        ticket.began_unix_s = BEGAN_UNIX_S;
        self.desk.house.begin(self.began_ms);
        let call = self.carrier_call.clone();
        let of_model = |model: &admission::Model| line::Model::of(&model.session, model.dialect);
        let Some(first) = of_model(&model) else {
            return carrier.reject();
        };
        let others = agent.models[1..].iter().filter_map(of_model).collect();
        let moment = agent.moment.clone();
        self.line = Some(Line::new(ticket, carrier, call, first, others, moment));
        self.tell(Input::Wake);
        document
    }

    /// The HTTP status that the handshake of a media stream is answered with.
    pub(super) fn handshake(&self, url: &str, headers: &[(&'static str, String)]) -> u16 {
        let header = |name: &str| find(headers, name);
        let request = Request {
            method: "GET",
            path_and_query: path_of(url),
            body: &[],
            header: &header,
        };
        let named = self.door(url);
        let named = named
            .as_deref()
            .and_then(|door| door.strip_prefix("media/"));
        let fits = named == Some(&*self.token) && self.is_live() && self.stream.is_none();
        match self.stage.carrier.handshake(request) {
            Ok(()) if fits => 101,
            _ => 403,
        }
    }
}

fn turned_away(unwelcome: &Unwelcome) -> (u16, String) {
    match unwelcome {
        Unwelcome::Forged(_) => (403, String::new()),
        Unwelcome::Garbled(Garbled(what)) => (400, (*what).to_string()),
    }
}

fn find<'a>(headers: &'a [(&'static str, String)], wanted: &str) -> Option<&'a str> {
    let named = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    named.map(|(_, value)| value.as_str())
}

/// Everything from the first `/` behind the host.
pub(super) fn path_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or("/", |at| &url[host + at..])
}

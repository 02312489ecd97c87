//! Twilio: signed webhooks, TwiML, Media Streams and the few REST requests that a call needs.
//!
//! Whatever arrives here was sent by somebody who found our address; only the signature tells Twilio from the rest, so
//! nothing is read out of a request before its signature was checked. What Twilio adds to its forms without notice is
//! no reason to refuse a call: unknown fields and values are let through everywhere.

mod dial;
mod number;
mod record;
mod rest;
mod signature;
mod state;
mod stream;
mod twiml;
mod webhook;

use super::*;
use signature::Origin;

/// Our side of one Twilio account.
pub struct Twilio {
    settings: Settings,
    /// `settings.public_url`: where webhooks go.
    pages: Origin,
    /// The same, with the scheme of a WebSocket: where media streams go.
    sockets: Origin,
}

impl Twilio {
    /// Takes the settings as the configuration read them; a slash at the end of an address is dropped.
    pub fn new(mut settings: Settings) -> Self {
        for url in [&mut settings.public_url, &mut settings.api_base] {
            url.truncate(url.trim_end_matches('/').len());
        }
        let pages = Origin::new(&settings.public_url);
        let sockets = pages.of_sockets();
        Twilio {
            settings,
            pages,
            sockets,
        }
    }

    /// Where our account's own resources are.
    fn account(&self) -> rest::Account<'_> {
        rest::Account {
            api_base: &self.settings.api_base,
            sid: &self.settings.account,
        }
    }

    /// Checks the signature, unless the configuration waived it.
    fn verify(&self, origin: &Origin, request: &Request<'_>) -> Result<(), Forged> {
        if self.settings.verify_signature {
            signature::verify(&self.settings.auth_token, origin, request)
        } else {
            Ok(())
        }
    }

    /// The fields of a webhook that is signed and about our account.
    fn fields<'a>(&self, request: &Request<'a>) -> Result<webhook::Fields<'a>, Unwelcome> {
        self.verify(&self.pages, request)
            .map_err(Unwelcome::Forged)?;
        let fields = webhook::Fields::of(request);
        let account = fields.get("AccountSid");
        if self.is_ours(account) {
            Ok(fields)
        } else {
            Err(Unwelcome::Forged(Forged::ForeignAccount))
        }
    }

    /// Without an account of our own (as in a demonstration) any will do.
    fn is_ours(&self, account: Option<&str>) -> bool {
        self.settings.account.is_empty() || account == Some(&self.settings.account)
    }
}

impl Carrier for Twilio {
    fn offer(&self, request: Request<'_>) -> Result<Offer, Unwelcome> {
        self.fields(&request)?.offer().map_err(Unwelcome::Garbled)
    }

    fn ended(&self, request: Request<'_>) -> Result<Ended, Unwelcome> {
        self.fields(&request)?.ended().map_err(Unwelcome::Garbled)
    }

    fn status(&self, request: Request<'_>) -> Result<Status, Unwelcome> {
        self.fields(&request)?.status().map_err(Unwelcome::Garbled)
    }

    fn handshake(&self, request: Request<'_>) -> Result<(), Forged> {
        self.verify(&self.sockets, &request)
    }

    fn connect(&self, token: &str) -> Document {
        twiml::connect(self.pages.as_str(), self.sockets.as_str(), token)
    }

    fn reject(&self) -> Document {
        twiml::reject()
    }

    fn redirect(&self, url: &str) -> Document {
        twiml::redirect(url)
    }

    fn farewell(&self, sentence: Option<&str>) -> Document {
        twiml::farewell(sentence)
    }

    fn rest(&self, carrier_call: &Id, command: &Command) -> Option<RestRequest> {
        rest::request(&self.account(), self.pages.as_str(), carrier_call, command)
    }

    fn rest_outcome(&self, status: u16, body: &str) -> RestOutcome {
        rest::outcome(status, body)
    }

    fn dial(&self, dial: &Dial) -> RestRequest {
        dial::request(&self.account(), self.pages.as_str(), dial)
    }

    fn dialled(&self, body: &str) -> Result<Id, Garbled> {
        dial::read(body)
    }

    fn placed(&self, request: Request<'_>) -> Option<CallId> {
        dial::placed(&request)
    }

    fn complaint(&self, body: &str) -> Option<String> {
        rest::complaint(body)
    }

    fn ask_number(&self, number: &Phone) -> RestRequest {
        number::ask(&self.account(), number)
    }

    fn number(&self, number: &Phone, body: &str) -> Result<Option<Number>, Garbled> {
        number::read(number, body)
    }

    fn wire_number(&self, number: &Id, wiring: &Wiring) -> RestRequest {
        number::wire(&self.account(), number, wiring)
    }

    fn own_wiring(&self, fallback: &str) -> Wiring {
        number::own(self.pages.as_str(), fallback)
    }

    fn ask_record(&self, carrier_call: &Id) -> RestRequest {
        record::request(&self.account(), carrier_call)
    }

    fn record(&self, carrier_call: &Id, body: &str) -> Result<CallRecord, Garbled> {
        record::read(carrier_call, body)
    }

    fn stream(&self, carrier_call: &Id) -> Box<dyn Stream> {
        Box::new(stream::Media::new(
            self.settings.account.clone(),
            carrier_call.clone(),
        ))
    }
}

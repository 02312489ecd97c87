//! The numbers of the simulated account, and whom each of them asks.

use super::{Answer, refusal};
use serde_json::json;

/// A number of the account's. An empty text is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnNumber {
    /// Its name.
    pub sid: String,
    /// The number itself.
    pub number: String,
    /// `VoiceUrl`.
    pub voice_url: String,
    /// `VoiceMethod`.
    pub voice_method: String,
    /// `VoiceFallbackUrl`.
    pub fallback_url: String,
    /// `StatusCallback`.
    pub status_callback: String,
    /// `VoiceApplicationSid`: asked instead of `voice_url`.
    pub application: String,
    /// `TrunkSid`: the same.
    pub trunk: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<OwnNumber>);

impl Numbers {
    pub(super) fn own(&mut self, number: OwnNumber) {
        self.0.retain(|known| known.number != number.number);
        self.0.push(number);
    }

    pub(super) fn find(&self, number: &str) -> Option<&OwnNumber> {
        self.0.iter().find(|known| known.number == number)
    }

    /// The numbers that contain the one asked for, as at the carrier.
    pub(super) fn list(&self, query: &[(String, String)]) -> Answer {
        let asked = query.iter().find(|(name, _)| name == "PhoneNumber");
        let asked = asked.map_or("", |(_, number)| number.as_str());
        let fitting = self.0.iter().filter(|known| known.number.contains(asked));
        let all: Vec<_> = fitting.map(paper).collect();
        Answer {
            status: 200,
            body: json!({ "incoming_phone_numbers": all, "page": 0 }).to_string(),
            order: None,
            placed: None,
        }
    }

    /// Changes what a form names.
    pub(super) fn change(&mut self, sid: &str, form: &[(String, String)]) -> Answer {
        let Some(known) = self.0.iter_mut().find(|known| known.sid == sid) else {
            return refusal(404, 20404, "The requested resource was not found");
        };
        let mut changed = known.clone();
        for (name, value) in form {
            let field = match name.as_str() {
                "VoiceUrl" => &mut changed.voice_url,
                "VoiceMethod" => &mut changed.voice_method,
                "VoiceFallbackUrl" => &mut changed.fallback_url,
                "StatusCallback" => &mut changed.status_callback,
                "VoiceApplicationSid" => &mut changed.application,
                "TrunkSid" => &mut changed.trunk,
                "VoiceFallbackMethod" | "StatusCallbackMethod" => continue,
                _ => return refusal(400, 20001, "a field that is not known here"),
            };
            field.clone_from(value);
        }
        if changed.voice_url.is_empty() && !changed.fallback_url.is_empty() {
            return refusal(400, 21405, "VoiceFallbackUrl without VoiceUrl");
        }
        *known = changed;
        Answer {
            status: 200,
            body: paper(known).to_string(),
            order: None,
            placed: None,
        }
    }
}

fn paper(number: &OwnNumber) -> serde_json::Value {
    let or_null = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "sid": number.sid,
        "phone_number": number.number,
        "voice_url": or_null(&number.voice_url),
        "voice_method": or_null(&number.voice_method),
        "voice_fallback_url": or_null(&number.fallback_url),
        "status_callback": or_null(&number.status_callback),
        "voice_application_sid": or_null(&number.application),
        "trunk_sid": or_null(&number.trunk),
    })
}

//! Knocking at our own door from outside: is it there, and does it turn strangers away?
//!
//! A webhook that nobody signed must be answered with 403. Anything else means that the carrier would talk to nobody, to somebody
//! else, or to a server that believes everybody.

use std::time::Duration;

/// What a knock found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// There is a server, and it refuses what nobody signed: 403.
    Protected,
    /// Somebody answers, with this status.
    Strange(u16),
    /// Nobody answers; why.
    Unreachable(&'static str),
}

impl Probed {
    /// What it means, in a line.
    pub fn words(&self) -> String {
        match self {
            Probed::Protected => "reached from here, and refuses strangers".to_string(),
            Probed::Strange(status @ 200..=299) => format!(
                "!  the public address answers a stranger with {status}: it is another server, or one that does not verify signatures"
            ),
            Probed::Strange(status) => format!(
                "!  the public address answers {status} where 403 is expected: does it lead to this server?"
            ),
            Probed::Unreachable(why) => format!(
                "!  the public address cannot be reached from here ({why}): is the server running, and the address right?"
            ),
        }
    }
}

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts a webhook that nobody signed.
pub async fn probe(webhook: &str) -> Probed {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let Ok(client) = client else {
        return Probed::Unreachable("no request can be made");
    };
    let request = client.post(webhook).form(&[("CallSid", "CAprobe")]);
    match request.send().await {
        Ok(answer) if answer.status().as_u16() == 403 => Probed::Protected,
        Ok(answer) => Probed::Strange(answer.status().as_u16()),
        Err(error) if error.is_timeout() => Probed::Unreachable("no answer in time"),
        Err(error) if error.is_connect() => {
            Probed::Unreachable("no connection, or no certificate that is believed")
        }
        Err(_) => Probed::Unreachable("no answer"),
    }
}

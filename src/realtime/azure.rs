//! The same models in Azure: another address, another key, and names of the customer's own choosing.
//!
//! A resource there speaks one of the two generations of the protocol, and which one is in its address. What is called a
//! model elsewhere is a deployment, and may have any name, so its price stands under another one (facts: section 1.4).

use super::openai::{OpenAi, Shape, encoded, today};
use super::{Address, Capabilities, Profile, Session, beta};
use crate::units::Secret;

/// The dialect of Azure's resources.
pub const PROFILE: Profile = Profile {
    name: "azure",
    about: "a deployment in Azure",
    key_env: "AZURE_OPENAI_API_KEY",
    url: None,
    refuses,
    versioned: is_older,
    can: CAN,
    new: |session| {
        let shape = if is_older(&session.url) {
            &OLDER
        } else {
            &TODAY
        };
        Box::new(OpenAi::speaking(session, shape))
    },
};

/// Deployments of the second generation refuse `truncation`, and with it all of the settings.
const CAN: Capabilities = Capabilities {
    truncation: false,
    ..Capabilities::ALL
};

const TODAY: Shape = today(address);
const OLDER: Shape = beta::shape(older_address);

/// Where today's names are spoken, and where the older ones are.
const PATHS: (&str, &str) = ("/openai/v1/realtime", "/openai/realtime");

/// The version of the older address, where nobody says: the last one there was.
const API_VERSION: &str = "2025-04-01-preview";

fn path(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

fn is_older(url: &str) -> bool {
    path(url).ends_with(PATHS.1)
}

fn refuses(url: &str) -> Option<(&'static str, &'static str)> {
    let path = path(url);
    let known = path.ends_with(PATHS.0) || path.ends_with(PATHS.1);
    (!known).then_some((
        "is not the address of a deployment",
        "write wss://RESOURCE.openai.azure.com/openai/v1/realtime, or …/openai/realtime for a preview",
    ))
}

fn address(session: &Session) -> Address {
    Address {
        url: format!("{}?model={}", session.url, encoded(&session.model)),
        headers: key(session),
    }
}

fn older_address(session: &Session) -> Address {
    let deployment = encoded(&session.model);
    let url = match session.url.contains('?') {
        true => format!("{}&deployment={deployment}", session.url),
        false => format!(
            "{}?api-version={API_VERSION}&deployment={deployment}",
            session.url
        ),
    };
    Address {
        url,
        headers: key(session),
    }
}

fn key(session: &Session) -> Vec<(&'static str, Secret)> {
    vec![("api-key", session.api_key.clone())]
}

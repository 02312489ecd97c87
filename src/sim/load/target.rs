//! Where the load goes: an address, and whether it may be aimed there.
//!
//! A thousand calls are an attack on whoever did not ask for them. So every address that a name stands for must be this
//! machine's own, and so must every address that a server's documents lead to, unless the user says that it is theirs.

use super::text::quoted;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Webhooks of a carrier first.
    Http,
    /// The same, encrypted.
    Https,
    /// The media stream at once.
    Ws,
    /// The same, encrypted.
    Wss,
}

impl Scheme {
    /// Whether it is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Wss)
    }
}

/// An address that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was written, which is what is signed.
    pub url: String,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Host and port, as written.
    pub host: String,
    /// From the first slash on.
    pub path: String,
    /// The first address the name stands for.
    pub address: SocketAddr,
}

/// Why it is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no address.
    NoUrl(String),
    /// The name stands for nothing.
    Unknown(String),
    /// It is somebody else's, or may be: the name, and the address that is not this machine's own.
    Foreign(String, SocketAddr),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoUrl(url) => write!(
                f,
                "{} is not an address to call: give http(s)://HOST/PATH of a carrier's webhook, or ws(s)://HOST/PATH of a media stream",
                quoted(url)
            ),
            Unfit::Unknown(host) => write!(f, "the name {host} cannot be looked up"),
            Unfit::Foreign(host, address) => write!(
                f,
                "{host} is {}, which is not this machine: load is aimed at the loopback only. If that machine is yours and may be loaded, say so with --i-own-this-target",
                address.ip()
            ),
        }
    }
}

impl Target {
    /// Reads an address and looks it up. `anywhere`: it need not be this machine.
    ///
    /// # Errors
    /// [`Unfit`] says why nobody is called.
    pub fn find(url: &str, anywhere: bool) -> Result<Target, Unfit> {
        let no_url = || Unfit::NoUrl(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(no_url)?;
        let (scheme, port) = match scheme {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "ws" => (Scheme::Ws, 80),
            "wss" => (Scheme::Wss, 443),
            _ => return Err(no_url()),
        };
        let slash = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(slash);
        let is_plain = |c: char| c.is_ascii_graphic() && !"@\"<>\\^`{|}".contains(c);
        if host.is_empty() || !url.chars().all(is_plain) {
            return Err(no_url());
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
            && !host.ends_with(']');
        let named = match has_port {
            true => host.to_owned(),
            false => format!("{host}:{port}"),
        };
        let addresses: Vec<SocketAddr> = named
            .to_socket_addrs()
            .map_err(|_| Unfit::Unknown(host.to_owned()))?
            .collect();
        let foreign = addresses.iter().find(|address| !is_own(address));
        if let Some(foreign) = foreign.filter(|_| !anywhere) {
            return Err(Unfit::Foreign(host.to_owned(), *foreign));
        }
        Ok(Target {
            url: url.to_owned(),
            scheme,
            host: host.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            address: *addresses
                .first()
                .ok_or_else(|| Unfit::Unknown(host.to_owned()))?,
        })
    }
}

/// Whether an address is this machine's own, however it is written.
fn is_own(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_its_parts() {
        let target = Target::find("http://127.0.0.1:8080/twilio/voice", false).expect("loopback");
        assert_eq!(target.scheme, Scheme::Http);
        assert_eq!(
            (&*target.host, &*target.path),
            ("127.0.0.1:8080", "/twilio/voice")
        );
        let target = Target::find("wss://[::1]", false).expect("loopback");
        assert_eq!(target.address, "[::1]:443".parse().expect("an address"));
        assert_eq!(target.path, "/");
    }

    #[test]
    fn nobody_elses_machine_is_loaded_and_the_refusal_says_what_to_do() {
        for url in [
            "http://192.0.2.7/twilio/voice",
            "ws://[2001:db8::1]:80/x",
            "ws://0.0.0.0:1/",
        ] {
            let said = Target::find(url, false).expect_err(url).to_string();
            assert!(said.contains("not this machine"), "{said}");
            assert!(said.contains("--i-own-this-target"), "{said}");
            assert!(Target::find(url, true).is_ok(), "{url}");
        }
        assert!(Target::find("ws://[::ffff:127.0.0.1]:9/", false).is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused_in_words() {
        for url in [
            "",
            "bot",
            "ftp://127.0.0.1/",
            "http://",
            "http:///x",
            "http://a b/",
            "ws://u@127.0.0.1/",
        ] {
            let said = Target::find(url, true).expect_err(url).to_string();
            assert!(
                said.contains("not an address") || said.contains("looked up"),
                "{said}"
            );
        }
    }
}

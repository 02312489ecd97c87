//! `ringfence healthcheck`: is the server of this configuration alive? For a container that holds nothing but this program.

use super::failed;
use crate::config;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command: exit code 0 when `/healthz` says 200.
pub fn run(config: Option<&Path>) -> ExitCode {
    let Ok(settings) = config::load(config, config::environment()) else {
        return failed("the configuration is not understood; `ringfence check` says why");
    };
    match ask(reachable(settings.listen)) {
        Ok(line) if line.contains(" 200 ") => ExitCode::SUCCESS,
        Ok(line) => failed(&format!("unhealthy: {}", line.trim())),
        Err(error) => failed(&format!("no answer on {}: {error}", settings.listen)),
    }
}

/// Where a server that listens on every address of the machine can be reached from the machine itself.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The first line of the answer.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1024).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_string())
}

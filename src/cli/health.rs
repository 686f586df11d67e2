//! `scopegate health`: asks the admin listener whether the proxy is ready, for containers without a shell or curl.

use super::{CommandError, print, serve};
use crate::config::{WithoutSecrets, parse_duration};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Maximum size of a response. `/readyz` has one line per mapping that is not ready.
const MAX_ANSWER: usize = 64 * 1024;

/// The arguments of `health`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 ready; 1 not ready, or no answer; 2 wrong usage; 78 bad configuration, or one \
    without [admin]\n\n\
    Example, in a Containerfile:\n  HEALTHCHECK CMD [\"/usr/local/bin/scopegate\", \"health\", \"--config\", \"/etc/scopegate/proxy.toml\"]"
)]
pub struct Args {
    /// Path of the configuration, which contains the address of the admin listener
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE", conflicts_with = "address")]
    pub config: PathBuf,
    /// Address of the admin listener, such as 127.0.0.1:9180, instead of the configured one
    #[arg(long, value_name = "ADDRESS", env = "SCOPEGATE_ADMIN_ADDRESS")]
    pub address: Option<String>,
    /// Check only that the process responds (/livez), not that it is ready (/readyz)
    #[arg(long)]
    pub live: bool,
    /// Maximum time for the response
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub timeout: String,
}

/// Asks for the health and prints the response.
///
/// # Errors
/// When the proxy is not ready or does not respond in time.
pub fn run(args: &Args) -> Result<(), CommandError> {
    let patience = parse_duration(&args.timeout).filter(|patience| !patience.is_zero()).ok_or_else(|| {
        CommandError::usage(format!("--timeout: {:?} is not a duration: write 3s or 500ms", args.timeout))
    })?;
    let address = match &args.address {
        Some(address) => address.clone(),
        None => configured(args)?,
    };
    let path = if args.live { "/livez" } else { "/readyz" };
    let (status, body) = ask(&address, path, patience).map_err(|error| {
        CommandError::failed(format!(
            "no answer from http://{address}{path}: {error}\n  check that `scopegate serve` runs here, with this [admin] address"
        ))
    })?;
    match status {
        200 => print(&body),
        _ => Err(CommandError::failed(format!("not ready (status {status})\n{}", body.trim_end()))),
    }
}

/// Returns the address of the configured admin listener, as this machine reaches it.
fn configured(args: &Args) -> Result<String, CommandError> {
    let config = serve::load_with(&args.config, &WithoutSecrets)?;
    let bad = |why: &str| CommandError::configuration(format!("{}: {why}", args.config.display()));
    let admin = config.admin.ok_or_else(|| {
        bad("there is no [admin] listener to ask\n  add [admin] with address = \"127.0.0.1:9180\"")
    })?;
    if admin.address.port() == 0 {
        return Err(bad(
            "[admin] has port 0, so its port is chosen at startup\n  set a port, or use --address",
        ));
    }
    Ok(reachable(admin.address).to_string())
}

/// Returns an address at which this machine can reach a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Sends a GET and returns status and body, within `patience`.
fn ask(address: &str, path: &str, patience: Duration) -> io::Result<(u16, String)> {
    let end = Instant::now() + patience;
    let left = || match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let target = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&target, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let (mut answer, mut block) = (Vec::new(), [0; 4096]);
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(block.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Unix reports a read timeout as `WouldBlock`, whose message would not help.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
        if answer.len() > MAX_ANSWER {
            break;
        }
    }
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the response does not come from a Scopegate admin listener",
        )
    })
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn wildcard_addresses_are_reached_at_loopback() {
        for (bound, asked) in [
            ("0.0.0.0:9180", "127.0.0.1:9180"),
            ("[::]:9180", "[::1]:9180"),
            ("127.0.0.1:9180", "127.0.0.1:9180"),
            ("10.0.0.7:9180", "10.0.0.7:9180"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn gives_up_on_silent_slow_and_endless_peers() {
        let patience = Duration::from_millis(300);
        for piece in [&b""[..], b"H", b"HTTP/1.1 200 OK\r\nX: "] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let peer = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Ends when the other side closes the connection.
                while piece.is_empty() || stream.write_all(piece).is_ok() {
                    if piece.is_empty() {
                        let _ = stream.read_to_end(&mut Vec::new());
                        break;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let began = Instant::now();
            assert!(ask(&address, "/readyz", patience).is_err());
            assert!(began.elapsed() < Duration::from_secs(20));
            peer.join().unwrap();
        }
    }

    #[test]
    fn rejects_responses_of_other_servers() {
        for bad in ["", "HTTP/1.1 200 OK", "HTTP/1.1 ü\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 2x0\r\n\r\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse("HTTP/1.1 503 x\r\na: b\r\n\r\ntext\n"), Some((503, "text\n".to_owned())));
    }
}

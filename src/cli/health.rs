//! `scopegate health`: asks the admin listener whether the proxy is ready, for containers without a shell or curl.

use super::{CommandError, print, serve};
use crate::config::{WithoutSecrets, parse_duration};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest answer that is read: `/readyz` has a line for each mapping that is not ready.
const MAX_ANSWER: usize = 64 * 1024;

/// What `health` is told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 ready; 1 not ready, or no answer; 2 wrong usage; 78 bad configuration, or one \
    without [admin]\n\n\
    Example, in a Containerfile:\n  HEALTHCHECK CMD [\"/usr/local/bin/scopegate\", \"health\", \"--config\", \"/etc/scopegate/proxy.toml\"]"
)]
pub struct Args {
    /// The configuration, which names the address of the admin listener
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE", conflicts_with = "address")]
    pub config: PathBuf,
    /// The admin listener's address, as in 127.0.0.1:9180, in place of the configuration's
    #[arg(long, value_name = "ADDRESS", env = "SCOPEGATE_ADMIN_ADDRESS")]
    pub address: Option<String>,
    /// Ask whether the process answers at all (/livez), not whether it is ready (/readyz)
    #[arg(long)]
    pub live: bool,
    /// How long the answer may take
    #[arg(long, default_value = "3s", value_name = "DURATION")]
    pub timeout: String,
}

/// Asks, and prints the answer.
///
/// # Errors
/// When the proxy is not ready or does not answer in time.
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

/// Returns where the configured admin listener is asked from this machine.
fn configured(args: &Args) -> Result<String, CommandError> {
    let config = serve::load_with(&args.config, &WithoutSecrets)?;
    let bad = |why: &str| CommandError::configuration(format!("{}: {why}", args.config.display()));
    let admin = config.admin.ok_or_else(|| {
        bad("there is no [admin], which answers about health\n  add [admin] with address = \"127.0.0.1:9180\"")
    })?;
    if admin.address.port() == 0 {
        return Err(bad(
            "[admin] takes a free port, which is not known here\n  give it a port, or use --address",
        ));
    }
    Ok(reachable(admin.address).to_string())
}

/// Returns an address of this machine at which a listener is reached.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Asks for a path and returns status and body, all within `patience`.
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
            // What a read timeout is called on Unix says nothing.
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
        io::Error::new(io::ErrorKind::InvalidData, "the answer is not one of Scopegate's admin listener")
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
    fn every_address_of_this_machine_is_asked_at_loopback() {
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
    fn a_peer_that_is_silent_slow_or_endless_ends_in_an_error_in_time() {
        let patience = Duration::from_millis(300);
        for piece in [&b""[..], b"H", b"HTTP/1.1 200 OK\r\nX: "] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let peer = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Ends when the other side has gone.
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
    fn answers_of_others_are_none() {
        for bad in ["", "HTTP/1.1 200 OK", "HTTP/1.1 ü\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 2x0\r\n\r\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse("HTTP/1.1 503 x\r\na: b\r\n\r\ntext\n"), Some((503, "text\n".to_owned())));
    }
}

//! Clients behind load balancers: PROXY headers and `X-Forwarded-For`, believed from the right peers alone.

mod forwarded;
mod headers;
mod programs;
mod secured;

use crate::support::http::{Connection, Response};
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::world;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// The address of the load balancer in these tests, which is the only one that is believed.
const BALANCER: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// An address that is not believed.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);

const OBJECT: &str = "/tmp/media/hello.txt";

/// A store, and a proxy whose listener `web` is behind a load balancer.
struct Balanced {
    _minio: Minio,
    proxy: Proxy,
}

impl Balanced {
    /// Starts both. `lines` belong to the listener and `sections` to the configuration. The mapping `client` is for
    /// `203.0.113.0/24` and `2001:db8::/32`.
    fn start(lines: &str, sections: &str) -> Self {
        Self::start_at("127.0.0.1:0", lines, sections)
    }

    fn start_at(address: &str, lines: &str, sections: &str) -> Self {
        let (minio, issuer) = Minio::start_seeded();
        let mut config = format!(
            "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{}\"]\n[issuer]\n\
             access_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n\
             [[listener]]\nname = \"web\"\naddress = \"{address}\"\nhosts = [\"s3.example.test\"]\n{lines}\n{sections}\n",
            minio.address
        );
        for (name, client) in [
            ("client", "network = [\"203.0.113.0/24\", \"2001:db8::/32\"]"),
            // Programs name the real address of a client, which is one of this machine's.
            ("machine", "network = \"127.0.0.7\""),
        ] {
            let _ = write!(
                config,
                "[[mapping]]\nname = \"{name}\"\nclient = {{ {client} }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
                 prefix = \"media/\"\nallow = [\"read\", \"list\"]\n"
            );
        }
        let proxy = world::start(&config, &issuer);
        Self { _minio: minio, proxy }
    }

    fn address(&self) -> SocketAddr {
        self.proxy.address("web")
    }

    /// Connects from the load balancer.
    fn connect(&self) -> Connection {
        self.connect_from(BALANCER)
    }

    fn connect_from(&self, from: Ipv4Addr) -> Connection {
        Connection::over(connect(from, self.address())).unwrap()
    }

    /// Returns how many connections were closed because of their header, for this reason.
    fn refused(&self, reason: &str) -> u64 {
        let text = crate::support::http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let series = format!("scopegate_proxy_headers_refused_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }
}

/// Connects from an address of this machine.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0)))).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.into()
}

/// Returns the bytes of a GET of [`OBJECT`].
fn get(headers: &str) -> Vec<u8> {
    format!("GET {OBJECT} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

/// Returns whether a connection was closed without a response.
fn is_closed(answer: &io::Result<Response>) -> bool {
    let closed = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    answer.as_ref().is_err_and(|error| closed.contains(&error.kind()))
}

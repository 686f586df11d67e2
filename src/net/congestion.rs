//! Congestion control of connections that stay within the host.
//!
//! BBR sends at the rate that it estimates for the network, with a timer for each burst. A connection over the loopback
//! interface has no network: there the timers are most of the cost of a body (docs/performance.md, "Connections within
//! the host are not paced"). Reno sends what the window allows, and every process may choose it (tcp(7)).

use socket2::SockRef;
use std::fs;
use std::net::IpAddr;
use std::sync::LazyLock;
use tokio::net::TcpStream;

/// The name of the system's default.
const DEFAULT: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Sends without pacing if the peer is on this host.
pub(crate) fn skip_pacing(stream: &TcpStream, peer: IpAddr) {
    static PACES: LazyLock<bool> =
        LazyLock::new(|| fs::read_to_string(DEFAULT).is_ok_and(|name| is_paced(&name)));
    if peer.to_canonical().is_loopback() && *PACES {
        // If it fails, the connection is only slower.
        let _ = SockRef::from(stream).set_tcp_congestion(b"reno");
    }
}

fn is_paced(name: &str) -> bool {
    name.trim_start().starts_with("bbr")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn only_bbr_paces() {
        for (name, paced) in
            [("bbr\n", true), ("bbr3\n", true), ("cubic\n", false), ("reno\n", false), ("", false)]
        {
            assert_eq!(is_paced(name), paced, "{name:?}");
        }
    }

    #[tokio::test]
    async fn connections_within_the_host_are_not_paced() {
        let default = fs::read_to_string(DEFAULT).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        for (peer, unpaced) in [("192.0.2.1", false), ("::ffff:192.0.2.1", false), ("::ffff:127.0.0.1", true)]
        {
            skip_pacing(&stream, peer.parse().unwrap());
            let name = SockRef::from(&stream).tcp_congestion().unwrap();
            let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
            let expected = if unpaced && is_paced(&default) { "reno" } else { default.trim() };
            assert_eq!(name, expected, "{peer}");
        }
    }
}

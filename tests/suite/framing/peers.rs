//! nginx and `HAProxy` as second parsers of forwarded messages.

use crate::support::process::{Killed, wait_for};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A running proxy, killed on drop.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    _process: Killed,
    _folder: TempDir,
}

/// Returns whether a program is installed. With `CI` set, a missing program is a failure.
pub(super) fn is_installed(name: &str) -> bool {
    let found = search_path().split(':').any(|folder| Path::new(folder).join(name).is_file());
    let must = std::env::var_os("CI").is_some();
    assert!(found || !must, "{name} is needed here: apt-get install nginx-light haproxy");
    if !found {
        eprintln!("left out: {name} is not installed (apt-get install nginx-light haproxy)");
    }
    found
}

/// Debian installs both in root's search path only.
fn search_path() -> String {
    format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Starts nginx in front of `store`.
pub(super) fn nginx(store: SocketAddr) -> Peer {
    start("nginx", |folder, port| {
        let at = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;\n\
             uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; large_client_header_buffers 4 64k; client_header_buffer_size 64k;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{store}; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; }} }}\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command
    })
}

/// Starts `HAProxy` in front of `store`.
pub(super) fn haproxy(store: SocketAddr) -> Peer {
    start("haproxy", |folder, port| {
        let config = format!(
            "defaults\n mode http\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n\
             frontend in\n bind 127.0.0.1:{port}\n default_backend out\nbackend out\n server store {store}\n"
        );
        fs::write(folder.join("haproxy.cfg"), config).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
        command
    })
}

fn start(name: &'static str, command: impl Fn(&Path, u16) -> Command) -> Peer {
    // Neither reports the port it was given, so a port that was free a moment ago must do. Tries another if it is
    // taken.
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let child = command(folder.path(), address.port())
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name} is needed here (apt-get install nginx-light haproxy): {error}")
            });
        let mut process = Killed(child);
        let up = wait_for(|| {
            if TcpStream::connect(address).is_ok() {
                return Some(true);
            }
            process.has_ended().then_some(false)
        });
        if up == Some(true) {
            return Peer { name, address, _process: process, _folder: folder };
        }
    }
    panic!("{name} does not start");
}

/// Returns `METHOD target [body]` of every request on a connection to the recording store.
pub(super) fn requests(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes;
    let mut requests = Vec::new();
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let first = head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let body_end = end + 4 + length.unwrap_or(0);
        requests.push(format!("{first} [{}]", String::from_utf8_lossy(&rest[end + 4..body_end])));
        rest = &rest[body_end..];
    }
    requests
}

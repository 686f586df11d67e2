//! From one process to the next: inherited sockets, notifications to a service manager, and crashes.

use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::{Killed, wait_for};
use crate::support::proxy::Proxy;
use crate::support::scopegate::{binary, scopegate};
use crate::support::world::{config, corner};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const READER: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];

/// A new process takes over while a client keeps sending requests, each on a new connection.
#[test]
fn a_restart_on_inherited_sockets_fails_no_request() {
    let (minio, issuer) = Minio::start_seeded();
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let text = config(minio.address, minio.address, &[corner("reader", READER)], "[limits]\nworkers = 2\n");
    let start = || {
        let socket = socket.try_clone().unwrap().into();
        Proxy::start_inheriting(binary(), ("reader", socket), &text, &env)
    };
    let mut serving = start();
    assert_eq!(serving.address("reader"), address, "not the inherited socket");

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let client = thread::spawn({
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        move || {
            while !stop.load(Ordering::SeqCst) {
                let answer = http::get(address, "/tmp/media/hello.txt").map(|answer| answer.status());
                assert!(matches!(answer, Ok(200)), "{answer:?}");
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let more = || {
        let seen = answered.load(Ordering::SeqCst);
        let going =
            wait_for(|| (answered.load(Ordering::SeqCst) > seen + 20 || client.is_finished()).then_some(()));
        assert!(going.is_some(), "no more responses");
    };
    for _ in 0..3 {
        more();
        let next = start();
        let (code, log) = std::mem::replace(&mut serving, next).terminate();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped cut_short=false"), "{log}");
    }
    more();
    stop.store(true, Ordering::SeqCst);
    client.join().unwrap();
}

#[test]
fn an_inherited_socket_must_match_the_configuration() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let text = config(address, address, &[corner("reader", READER)], "");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    let serve = |name: &str, text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut child = Killed(
            Command::new("sh")
                .args(["-c", r#"exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec "$0" serve --config "$1""#])
                .args([binary(), &file])
                .env("LISTEN_FDS", "1")
                .env("LISTEN_FDNAMES", name)
                .env("ISSUER_KEY", "issuer")
                .env("ISSUER_SECRET", "not-for-the-log")
                .stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()))
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let status = wait_for(|| child.0.try_wait().unwrap()).expect("it serves");
        assert_eq!(status.code(), Some(1));
        let mut said = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    };
    let other = serve("raeder", &text);
    assert!(other.contains("was handed over, but there is no listener of this name"), "{other}");
    // The listener's own address is the socket's, so the reported cause must not be that it is in use.
    let here = text.replacen("\"127.0.0.1:0\"\n[[mapping", &format!("\"{address}\"\n[[mapping"), 1);
    for name in ["raeder", "scopegate.socket", ""] {
        let other = serve(name, &here);
        assert!(other.contains(&format!("the socket {name:?} at {address} was handed over")), "{other}");
        assert!(other.contains("to one of: reader, admin") && !other.contains("in use"), "{other}");
    }
    let elsewhere =
        serve("reader", &text.replacen("\"127.0.0.1:0\"\n[[mapping", "\"127.0.0.2:0\"\n[[mapping", 1));
    assert!(
        elsewhere.contains("was opened at 127.0.0.1:") && elsewhere.contains("127.0.0.2:0"),
        "{elsewhere}"
    );
}

#[test]
fn notifies_the_service_manager() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_owned()).unwrap()
    };
    let nobody = "127.0.0.1:9".parse().unwrap();
    let text = config(nobody, nobody, &[corner("reader", READER)], "");
    let env = [
        ("ISSUER_KEY", "issuer"),
        ("ISSUER_SECRET", "not-for-the-log"),
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
    ];
    let proxy = Proxy::start(&text, &env);
    assert_eq!(told(), "READY=1\n");
    for config in ["[[listener]", &text] {
        proxy.reload(config);
        let reloading = told();
        let since =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
        assert!(since.trim_end().parse::<u64>().is_ok(), "{reloading}");
        assert_eq!(told(), "READY=1\n");
    }
    proxy.terminate();
    assert_eq!(told(), "STOPPING=1\n");
}

#[test]
fn starts_again_after_a_crash() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s3.sock");
    let nobody = "127.0.0.1:9".parse().unwrap();
    let text = config(nobody, nobody, &[corner("reader", READER)], "")
        .replacen("\"127.0.0.1:0\"\n[[mapping", &format!("\"unix:{}\"\n[[mapping", path.display()), 1)
        .replace("network = \"127.0.0.0/8\", ", "");
    let env = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "not-for-the-log")];
    let mut proxy = Proxy::start(&text, &env);
    for _ in 0..2 {
        proxy.signal("KILL");
        drop(proxy);
        assert!(path.exists());
        proxy = Proxy::start(&text, &env);
        let mut client = http::Connection::open_unix(&path).unwrap();
        assert_eq!(client.request("GET", "/tmp/other", &[], b"").unwrap().status(), 403);
    }
}

/// Keys come from the environment and files, because every process on the machine can read arguments.
#[test]
fn no_secret_is_taken_as_an_argument() {
    for command in ["token", "ls", "get", "serve", "check", "explain"] {
        for argument in ["--secret-key", "--secret", "--access-key", "--session-token"] {
            let output = scopegate(&[command, argument, "hush-hush"], &[], b"");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {argument}: {said}");
            assert!(!said.contains("hush-hush"), "{command} {argument}: {said}");
        }
    }
}

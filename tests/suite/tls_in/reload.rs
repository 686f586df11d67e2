//! Certificates that change while the server runs.

use super::{ONE, Secure, configuration, get};
use crate::support::authority::{Authority, Client, Issued};
use crate::support::http;
use crate::support::process::wait_for;
use crate::support::world::{config, corner};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const IN_EFFECT: &str = "scopegate_tls_last_read_successful{listener=\"door\"}";

/// Returns whether a new connection is shown this certificate.
fn shows(secure: &Secure, client: &Client, issued: &Issued) -> bool {
    let stream = client.connect(secure.address(), "localhost").unwrap();
    issued.is(&stream.conn.peer_certificates().unwrap()[0])
}

/// Returns a client that resumes no session: a resumed one shows no certificate.
fn stranger(secure: &Secure) -> Client {
    secure.authority.trusting(None)
}

#[test]
fn a_new_certificate_takes_effect_without_a_failed_request() {
    let secure = Secure::start(ONE);
    let mut kept = secure.open(&stranger(&secure));
    assert_eq!(get(&mut kept), "200");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = |keeps: bool| {
            let (secure, is_over) = (&secure, &is_over);
            move || {
                let (mut done, mut connection) = (0, secure.open(&stranger(secure)));
                while !is_over.load(Ordering::Relaxed) {
                    if !keeps {
                        connection = secure.open(&stranger(secure));
                    }
                    assert_eq!(get(&mut connection), "200");
                    done += 1;
                }
                done
            }
        };
        let loads = [scope.spawn(load(true)), scope.spawn(load(false))];
        for _ in 0..3 {
            let next = secure.authority.server(&["localhost"]);
            next.write(secure.folder.path(), "one");
            let shown = wait_for(|| shows(&secure, &stranger(&secure), &next).then_some(()));
            if shown.is_none() {
                is_over.store(true, Ordering::Relaxed);
                panic!("{}", secure.proxy.stderr());
            }
        }
        let by_signal = secure.authority.server(&["localhost"]);
        by_signal.write(secure.folder.path(), "one");
        secure.hang_up(&secure.configuration(ONE, ""));
        assert!(shows(&secure, &stranger(&secure), &by_signal));
        is_over.store(true, Ordering::Relaxed);
        for load in loads {
            assert!(load.join().unwrap() > 3);
        }
    });
    assert_eq!(get(&mut kept), "200", "no connection ends because of a new certificate");
    assert_eq!(secure.metric(IN_EFFECT), 1);
}

#[test]
fn a_bad_certificate_changes_nothing_and_is_logged_once() {
    let secure = Secure::start(ONE);
    let good = fs::read_to_string(secure.path("one.crt")).unwrap();
    let client = stranger(&secure);
    assert_eq!(get(&mut secure.open(&client)), "200");
    // The key does not fit.
    fs::write(secure.path("one.crt"), secure.authority.server(&["localhost"]).chain).unwrap();
    let noticed = wait_for(|| (secure.metric(IN_EFFECT) == 0).then_some(()));
    assert!(noticed.is_some(), "{}", secure.proxy.stderr());
    assert_eq!(get(&mut secure.open(&stranger(&secure))), "200");
    secure.said("certificates not read again");
    let failed = "scopegate_config_reloads_total{result=\"failed\"}";
    secure.proxy.reload(&secure.configuration(ONE, ""));
    secure.counts(failed, 1);
    assert_eq!(get(&mut secure.open(&stranger(&secure))), "200");
    fs::write(secure.path("one.crt"), good).unwrap();
    let mended = wait_for(|| (secure.metric(IN_EFFECT) == 1).then_some(()));
    assert!(mended.is_some(), "{}", secure.proxy.stderr());
    let told = secure.proxy.stderr().matches("certificates not read again").count();
    assert_eq!(told, 1, "{}", secure.proxy.stderr());
    // The certificate is the same as before, and so the session is resumed.
    let resumed = "scopegate_tls_connections_total{version=\"1.3\",resumed=\"true\"}";
    let before = secure.metric(resumed);
    assert_eq!(get(&mut secure.open(&client)), "200");
    assert_eq!(secure.metric(resumed), before + 1);
}

#[test]
fn sessions_outlive_a_reload_that_changes_no_file() {
    let secure = Secure::start(ONE);
    let client = stranger(&secure);
    assert_eq!(get(&mut secure.open(&client)), "200");
    secure.hang_up(&secure.configuration(ONE, "[limits]\nheader_bytes = 8192\n"));
    assert_eq!(get(&mut secure.open(&client)), "200");
    assert_eq!(secure.metric("scopegate_tls_connections_total{version=\"1.3\",resumed=\"true\"}"), 1);
}

/// Kubernetes mounts `one.crt -> ..data/one.crt` and `..data -> ..1`, and swaps `..data`.
#[test]
fn a_swapped_folder_takes_effect() {
    let secure = Secure::start(ONE);
    let at = |name: &str| secure.folder.path().join(name);
    let versions = ["..1", "..2"].map(|version| {
        let issued = secure.authority.server(&["localhost"]);
        fs::create_dir(at(version)).unwrap();
        issued.write(&at(version), "one");
        issued
    });
    symlink("..1", at("..data")).unwrap();
    for file in ["one.crt", "one.key"] {
        symlink(format!("..data/{file}"), at("new")).unwrap();
        fs::rename(at("new"), at(file)).unwrap();
    }
    let [first, second] = &versions;
    let seen = |issued| wait_for(|| shows(&secure, &stranger(&secure), issued).then_some(())).is_some();
    assert!(seen(first), "{}", secure.proxy.stderr());
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert!(seen(second), "{}", secure.proxy.stderr());
}

#[test]
fn a_reload_adds_and_removes_tls() {
    let secure = Secure::start(ONE);
    let mut kept = secure.open(&stranger(&secure));
    assert_eq!(get(&mut kept), "200");
    let address = secure.address();
    let plain = config(secure.minio.address, secure.minio.address, &[corner("door", super::SCOPES)], "");
    secure.hang_up(&plain);
    assert_eq!(http::get(address, super::HELLO).unwrap().status(), 200);
    assert_eq!(get(&mut kept), "200", "a connection goes on as it began");
    let text = configuration(secure.minio.address, secure.folder.path(), ONE, "");
    secure.hang_up(&text);
    assert_eq!(get(&mut secure.open(&stranger(&secure))), "200");
    assert_eq!(http::get(address, super::HELLO).unwrap().status(), 400);
}

#[test]
fn certificates_and_their_ends_are_shown() {
    let soon = |authority: &Authority, folder: &std::path::Path| {
        let in_a_week = std::time::SystemTime::now() + std::time::Duration::from_hours(168);
        let usage = rcgen::ExtendedKeyUsagePurpose::ServerAuth;
        let issued = authority.issue(&["localhost"], usage, |params| {
            params.not_before = (in_a_week - std::time::Duration::from_hours(1920)).into();
            params.not_after = in_a_week.into();
        });
        issued.write(folder, "one");
    };
    let secure = Secure::start_with(ONE, soon, "");
    let file = secure.path("one.crt");
    let series =
        format!("scopegate_certificate_expiry_timestamp_seconds{{listener=\"door\",file=\"{file}\"}}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let left = secure.metric(&series).saturating_sub(now);
    assert!((6 * 24 * 60 * 60..8 * 24 * 60 * 60).contains(&left), "{left}");
    secure.said("expires in 6 days");
    let ready = http::get(secure.proxy.address("admin"), "/readyz").unwrap();
    assert_eq!(ready.status(), 200);
    assert!(
        ready.text().contains("tls: listener \"door\": ") && ready.text().contains("expires in 6 days"),
        "{}",
        ready.text()
    );
}

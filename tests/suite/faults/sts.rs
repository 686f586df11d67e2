//! An STS that fails: requests get an error without a session, and are served as soon as there is one.

use super::{ALL, ASKS, LIMITS, SESSION, good, open_files, send, settled};
use crate::support::faults::{Scripted, Step};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::world::{self, config, corner};

#[test]
fn failed_mints_leave_no_session() {
    let store = Scripted::start(good());
    let whole =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SESSION}", SESSION.len());
    let sts = Scripted::start(vec![Step::Head, Step::Body, Step::Send(whole.clone().into_bytes())]);
    let text = config(store.address(), sts.address(), &[corner("all", ALL)], LIMITS);
    let taken = |then: &[Step]| [&[Step::Head, Step::Body], then].concat();
    let answer = |text: &str| taken(&[Step::Send(text.as_bytes().to_vec())]);
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let cases = [
        ("reset", vec![Step::Reset]),
        ("reset after the request", taken(&[Step::Reset])),
        ("closed", taken(&[])),
        ("half-closed", taken(&[Step::HalfClose])),
        ("silent", taken(&[Step::Stall])),
        ("cut off in the head", answer(&whole[..20])),
        ("cut off in the body", answer(&whole[..whole.len() - 10])),
        ("longer than it is", answer(&(head(SESSION.len() + 100) + SESSION))),
        ("shorter than it is", answer(&(head(SESSION.len() - 100) + SESSION))),
        ("garbage", answer("220 smtp.example\r\n\r\n")),
        ("no session in it", answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
        (
            "chunks cut off",
            answer(&format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{SESSION}\r\n",
                SESSION.len()
            )),
        ),
        ("busy", answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")),
        (
            "refused early",
            vec![Step::Head, Step::Send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec())],
        ),
    ];
    for (name, script) in cases {
        sts.play(script);
        let proxy = world::start(&text, &Keys::random("issuer"));
        let before = store.requests();
        for ask in [ASKS[0], ASKS[3]] {
            let (seen, _) = send(proxy.address("all"), ask);
            assert_eq!(seen, "503 ServiceUnavailable no-session", "{name}, {}", ask.name);
        }
        assert_eq!(store.requests(), before, "{name}: the store was asked without a session");
        sts.play(taken(&[Step::Send(whole.clone().into_bytes())]));
        let served = wait_for(|| (send(proxy.address("all"), ASKS[0]).0 == "200").then_some(()));
        assert!(served.is_some(), "{name}: {}", proxy.stderr());
        // One or two files for STS may stay open. Failures leave none.
        let few = settled(&proxy);
        for _ in 0..20 {
            assert_eq!(send(proxy.address("all"), ASKS[0]).0, "200");
        }
        assert!(
            wait_for(|| (settled(&proxy) <= few).then_some(())).is_some(),
            "{name}: {few}, {}",
            open_files(&proxy)
        );
        assert!(!proxy.stderr().contains("panicked"), "{name}: {}", proxy.stderr());
    }
}

//! Tests that no secret is logged.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::Demo;
use super::client::{Call, Key};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const HELLO: &str = "/tmp/media/hello.txt";

impl Log {
    /// Records all events of this thread until the guard is dropped.
    fn listen(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn no_key_token_or_signature_is_logged_at_any_level() {
    let log = Log::default();
    let demo = Demo::start().await;
    let at = demo.store.address();
    // Signed before recording starts, because aws-sigv4 logs at TRACE itself.
    let form = Call::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=AssumeRole&Version=2011-06-15")
        .service("sts")
        .signed(at, &demo.issuer());
    let listening = log.listen();
    let minted = form.send(at).await;
    drop(listening);

    let told = |name| minted.element(name).unwrap();
    let (access, secret, token) = (told("AccessKeyId"), told("SecretAccessKey"), told("SessionToken"));
    let session = Key::new(&access, &secret, Some(&token));
    for target in [HELLO, "/tmp/media/../other/secret.txt"] {
        let call = Call::new("GET", target).signed(at, &session);
        let _listening = log.listen();
        call.send(at).await;
    }

    let text = log.text();
    assert!(text.contains("the demo store answered"), "{text}");
    for secret in [demo.store.secret_key(), &secret, &token, "Signature="] {
        assert!(!text.contains(secret), "{text}");
    }
}

//! Reads the files of TLS towards the store and STS again when they change.

use crate::net::connect::{FollowedTls, TlsMistake, read_tls_file};
use crate::net::terminal::plain;
use crate::proxy::generation::Shared;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// The result of a look: whether the content changed, or what is wrong with it.
type Looked = Result<bool, Vec<String>>;

/// The mistakes in the files of one section.
#[derive(Debug, Default)]
struct Mistakes {
    /// What was wrong at the last look.
    found: Vec<String>,
    /// What is wrong, as the log says.
    logged: Vec<String>,
}

/// Looks at the files of the current generation from time to time.
pub(super) async fn follow(shared: Arc<Shared>) {
    let mut mistakes: HashMap<&'static str, Mistakes> = HashMap::new();
    loop {
        sleep(INTERVAL).await;
        let generation = shared.generation.load_full();
        for (section, tls) in generation.client_tls() {
            if tls.files().next().is_none() {
                continue;
            }
            let tls = tls.clone();
            // Files may be slow, and this thread refreshes the sessions.
            let looked = spawn_blocking(move || look(&tls)).await;
            let looked = looked.unwrap_or_else(|_| Err(vec!["reading the files panicked".to_owned()]));
            shared.metrics.credentials.read(section, looked.is_ok());
            mistakes.entry(section).or_default().note(section, looked);
        }
    }
}

fn look(tls: &FollowedTls) -> Looked {
    let line = |TlsMistake { message, help, .. }| plain(&format!("{message}; {help}")).into_owned();
    let read = |path: &Path, kind| read_tls_file(path, kind).map(Some);
    tls.read_again(&read).map_err(|mistakes| mistakes.into_iter().map(line).collect())
}

impl Mistakes {
    /// Logs a change, and mistakes when they are new and when they are gone.
    ///
    /// A certificate and its key may be written one after the other. The next look shows whether they fit then.
    fn note(&mut self, section: &str, looked: Looked) {
        if looked == Ok(true) {
            tracing::info!(section, "files of TLS read again: new connections use them");
        }
        let found = looked.err().unwrap_or_default();
        let is_certain = found.is_empty() || found == self.found;
        if is_certain && found != self.logged {
            for error in &found {
                tracing::error!(section, %error, "files of TLS not read again: those before stay in effect");
            }
            if found.is_empty() {
                tracing::info!(section, "the files of TLS have no mistakes any more");
            }
            self.logged.clone_from(&found);
        }
        self.found = found;
    }
}

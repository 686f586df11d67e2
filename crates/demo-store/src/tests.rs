//! Tests of the store over a socket: sessions are minted with aws-sdk-sts, and requests are signed with aws-sigv4.

mod client;
mod logs;
mod s3;
mod sts;
mod uploads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use client::Key;

use super::store::{Store, StoreConfig, start_at};

/// A policy that allows reading and listing `media/`, and writing and deleting below `inbox/`.
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::tmp/media/*"]},
    {"Effect":"Allow","Action":["s3:PutObject","s3:DeleteObject","s3:AbortMultipartUpload"],
     "Resource":["arn:aws:s3:::tmp/inbox/*"]},
    {"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::tmp"],
     "Condition":{"StringLike":{"s3:prefix":["media/*"]}}}]}"#;

/// A seeded store with a clock that tests can advance.
struct Demo {
    store: Store,
    /// The number of seconds that the clock of the sessions is ahead.
    ahead: Arc<AtomicU64>,
}

impl Demo {
    async fn start() -> Self {
        Self::start_in(None).await
    }

    async fn start_in(data: Option<std::path::PathBuf>) -> Self {
        let ahead = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&ahead);
        let clock = move || SystemTime::now() + Duration::from_secs(told.load(Ordering::Relaxed));
        let config = StoreConfig { listen: "127.0.0.1:0".parse().unwrap(), data, seed: true };
        Self { store: start_at(config, Arc::new(clock)).await.unwrap(), ahead }
    }

    fn wait(&self, time: Duration) {
        self.ahead.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    fn issuer(&self) -> Key {
        Key::new(self.store.access_key(), self.store.secret_key(), None)
    }

    /// Mints a session of 15 minutes with [`POLICY`].
    async fn session(&self) -> Key {
        sts::mint(&self.store, self.issuer(), Some(POLICY), 900).await.unwrap()
    }
}

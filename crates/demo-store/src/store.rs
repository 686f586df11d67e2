//! The running store: its start, its address and its end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::access::{Clock, Gate};
use super::session::{KeyPair, Sessions};
use super::sts::Sts;
use super::{seed, serve};

/// The region that the store names if asked (`?location`). It accepts signatures for any region.
pub const REGION: &str = "us-east-1";

/// The bucket that seeding creates.
pub const BUCKET: &str = seed::BUCKET;

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 256;
/// The maximum size of an XML body, such as that of a completed multipart upload, in bytes.
const MAX_XML: usize = 4 * 1024 * 1024;
/// The maximum size of an HTML form upload, in bytes and parts. No session may make one.
const MAX_FORM: usize = 64 * 1024;

/// The configuration of a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// A loopback address. Port 0 takes a free port.
    pub listen: SocketAddr,
    /// The folder of the objects, created if missing. `None` means a temporary folder, removed at the end.
    pub data: Option<PathBuf>,
    /// Whether to write some objects to [`BUCKET`]. Nothing is written if there is a bucket already.
    pub seed: bool,
}

/// A running store. Dropping it ends it and its connections.
pub struct Store {
    address: SocketAddr,
    issuer: KeyPair,
    server: JoinHandle<()>,
    /// Declared last, so dropped last.
    folder: Folder,
}

/// Starts a store on the runtime of the caller.
///
/// # Errors
/// When the address is not a loopback address or cannot be bound, when the folder cannot be used, or when
/// the operating system has no randomness for the keys.
pub async fn start(config: StoreConfig) -> io::Result<Store> {
    start_at(config, Arc::new(SystemTime::now)).await
}

/// Starts a store like [`start`], with another clock for its sessions.
pub(super) async fn start_at(config: StoreConfig, clock: Clock) -> io::Result<Store> {
    if !config.listen.ip().is_loopback() {
        let why =
            format!("{}: this store is for trying out only and listens on loopback only", config.listen);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let folder = Folder::open(config.data)?;
    let root = folder.path().canonicalize()?;
    let objects = FileSystem::new(&root).map_err(|error| io::Error::other(format!("{error:?}")))?;
    if config.seed && !seed::is_in_use(&root)? {
        seed::seed(&objects).await.map_err(io::Error::other)?;
    }
    let listener = TcpListener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    let issuer = KeyPair::random()?;
    let gate = Gate { issuer: issuer.clone(), sessions: Arc::new(Sessions::default()), clock, root };
    let server = tokio::spawn(serve::serve(listener, service(objects, gate), MAX_CONNECTIONS));
    Ok(Store { address, issuer, server, folder })
}

impl Store {
    /// Returns the address, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of S3 and STS, without a slash at the end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the issuer's access key, which differs at each start.
    pub fn access_key(&self) -> &str {
        &self.issuer.access_key
    }

    /// Returns the issuer's secret key, which differs at each start.
    pub fn secret_key(&self) -> &str {
        self.issuer.secret_key.expose()
    }

    /// Returns the folder of the objects: a folder for each bucket, a file for each object.
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Stops the store. When this returns, the address is free and a temporary folder is removed.
    pub async fn shutdown(mut self) {
        self.server.abort();
        // Awaiting an aborted task returns that it was aborted.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn service(objects: FileSystem, gate: Gate) -> S3Service {
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML;
    config.post_object_max_file_size = MAX_FORM as u64;
    config.form_max_field_size = MAX_FORM;
    config.form_max_fields_size = MAX_FORM;
    let mut builder = S3ServiceBuilder::new(objects);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.set_route(Sts(gate.clone()));
    builder.set_access(gate.clone());
    builder.set_auth(gate);
    builder.build()
}

/// The folder of the objects.
enum Folder {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn open(given: Option<PathBuf>) -> io::Result<Self> {
        match given {
            Some(path) => std::fs::create_dir_all(&path).map(|()| Self::Given(path)),
            None => tempfile::Builder::new().prefix("scopegate-demo-").tempdir().map(Self::Temporary),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    async fn empty() -> Store {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        start(StoreConfig { listen, data: None, seed: false }).await.unwrap()
    }

    #[tokio::test]
    async fn each_store_has_keys_of_its_own() {
        let (one, other) = (empty().await, empty().await);
        assert_ne!(one.access_key(), other.access_key());
        assert_ne!(one.secret_key(), other.secret_key());
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_store_that_ended() {
        let store = empty().await;
        let (address, path) = (store.address(), store.data().to_owned());
        assert!(path.is_dir());
        store.shutdown().await;
        assert!(!path.exists());
        assert!(TcpStream::connect(address).await.is_err());

        let dropped = empty().await;
        let path = dropped.data().to_owned();
        drop(dropped);
        assert!(!path.exists());
    }
}

//! `scopegate demo`: an embedded store, some objects, and the proxy in front, on this machine alone.

use super::{CommandError, print, serve};
use crate::config::{Config, Environment};
use crate::net::guarded::ReadError;
use crate::server::{Inherited, Server};
use crate::sigv4::secret::Secret;
use crate::telemetry::log;
use scopegate_demo_store::{BUCKET, REGION, Store, StoreConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the proxy listens; a loopback address
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where the store keeps its objects; a temporary folder when not given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Runs the demo until SIGINT or SIGTERM.
///
/// # Errors
/// When an address cannot be bound or is not a loopback address.
pub fn run(args: &Args) -> Result<(), CommandError> {
    if !args.listen.ip().is_loopback() {
        let message = format!(
            "--listen {}: the demo is for trying out and listens on loopback only, as in 127.0.0.1:8080",
            args.listen
        );
        return Err(CommandError::usage(message));
    }
    let failed = |error: std::io::Error| CommandError::failed(error.to_string());
    // The store has threads of its own, so that the proxy deals with it like any other server.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let store = runtime
        .block_on(scopegate_demo_store::start(StoreConfig { listen, data: args.data.clone(), seed: true }))
        .map_err(|error| match &args.data {
            Some(data) => CommandError::failed(format!(
                "the store cannot keep its objects in {} (--data): {error}",
                data.display()
            )),
            None => failed(error),
        })?;
    let config = config(args.listen, &store)?;
    let _flush = log::start(&config.log);
    let served = serve::serve(config, Inherited::default(), None, |server| announce(server, &store));
    runtime.block_on(store.shutdown());
    served
}

/// Builds the demo's configuration from text in the format of `proxy.toml`.
fn config(listen: SocketAddr, store: &Store) -> Result<Config, CommandError> {
    let (endpoint, region, bucket) = (store.endpoint(), REGION, BUCKET);
    let source = format!(
        r#"
        [[listener]]
        name = "demo"
        address = "{listen}"
        [admin]
        address = "127.0.0.1:0"
        [upstream]
        store = "s3"
        endpoints = ["{endpoint}"]
        region = "{region}"
        [issuer]
        access_key = {{ env = "access" }}
        secret_key = {{ env = "secret" }}
        [log]
        level = "warn"
        [[mapping]]
        name = "demo"
        client = {{ network = ["127.0.0.0/8", "::1/128"] }}
        [[mapping.scope]]
        bucket = "{bucket}"
        prefix = "media/"
        allow = ["read", "list"]
        [[mapping.scope]]
        bucket = "{bucket}"
        prefix = "inbox/"
        allow = ["read", "list", "write", "delete"]
        "#
    );
    Config::parse(&source, &Keys(store)).map_err(|mistakes| CommandError::failed(format!("{mistakes:?}")))
}

struct Keys<'s>(&'s Store);

impl Environment for Keys<'_> {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        let key = if name == "access" { self.0.access_key() } else { self.0.secret_key() };
        Ok(Secret::new(key.to_owned()))
    }

    fn file(&self, _: &Path) -> Result<Secret, ReadError> {
        Err(ReadError { message: "the demo reads no files".to_owned(), help: String::new() })
    }
}

fn announce(server: &Server, store: &Store) {
    let address =
        server.listeners().next().map(|listener| listener.address().to_string()).unwrap_or_default();
    let data = store.data().display().to_string();
    let admin = server.admin_address().map(|admin| admin.to_string()).unwrap_or_default();
    let _ = print(&greeting((&address, &admin), BUCKET, &store.endpoint(), &data));
}

/// Returns the greeting with commands to try. It has no `#` comments: an interactive zsh takes `#` for a command.
fn greeting((address, admin): (&str, &str), bucket: &str, endpoint: &str, data: &str) -> String {
    format!(
        "Scopegate demo, for trying out: an embedded S3 store with STS at {endpoint}\n\
         (objects in {data}), and in front of it the proxy at http://{address}\n\
         Every client on this machine may read and list {bucket}/media/, and also write below {bucket}/inbox/.\n\
         \n\
         In another terminal, get an object (no key, no token, no signature), its headers alone, and a range of it:\n\
         \n\
         curl http://{address}/{bucket}/media/hello.txt\n\
         curl -I http://{address}/{bucket}/media/hello.txt\n\
         curl -r 0-4 http://{address}/{bucket}/media/hello.txt\n\
         \n\
         List what is there, put an object where that is allowed, and read it back:\n\
         \n\
         curl 'http://{address}/{bucket}?list-type=2&prefix=media/'\n\
         echo Hello | curl -T - http://{address}/{bucket}/inbox/hello.txt\n\
         curl http://{address}/{bucket}/inbox/hello.txt\n\
         \n\
         This one is refused, since it is outside the scope:\n\
         \n\
         curl -i http://{address}/{bucket}/other/secret.txt\n\
         \n\
         In a browser: http://{address}/{bucket}/media/\n\
         What Scopegate is doing: http://{admin}/status\n\
         Ctrl-C ends it.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeting_contains_no_comments() {
        let text = greeting(("127.0.0.1:8080", "127.0.0.1:9180"), "tmp", "http://127.0.0.1:9000", "/tmp/x");
        assert!(!text.contains('#') && text.contains("\ncurl -i http://127.0.0.1:8080/tmp/other/"), "{text}");
    }
}

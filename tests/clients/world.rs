//! The set-up of every test: a store with a few objects, the proxy over HTTP, over HTTPS and as a static host, and files
//! to send.

use crate::client::{Scheme, Signs};
use crate::support::http::Response;
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::sigv4::direct;
use crate::support::tls::terminate_tls;
use crate::support::world::{Corner, config, corner, start};
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};
use tokio::runtime::Runtime;

/// A number of keys that fills more than two pages of an S3 list.
pub(crate) const MANY: usize = 2501;

pub(crate) const HELLO: &[u8] = b"hello, client\n";

/// A store and a proxy with the listeners that the scripts use.
pub(crate) struct World {
    pub(crate) minio: Minio,
    pub(crate) proxy: Proxy,
    /// The access key that the proxy's listener `identified` demands.
    pub(crate) key: Keys,
    pub(crate) authority: NamedTempFile,
    pub(crate) folder: TempDir,
    pub(crate) small: Vec<u8>,
    pub(crate) large: Vec<u8>,
    secure: SocketAddr,
    /// The sockets on which viewers serve their pages, by the viewer's name.
    pages: Vec<(&'static str, TcpListener)>,
    /// Runs the TLS terminator.
    _runtime: Runtime,
}

impl World {
    /// Starts a store and a proxy without pages of other origins.
    pub(crate) fn start() -> Self {
        Self::start_with_pages(&[])
    }

    /// Starts the same with a socket for the page of each of these viewers. The port is part of the page's origin, so it must
    /// be bound before the configuration that lists the origin is written.
    pub(crate) fn start_with_pages(viewers: &[&'static str]) -> Self {
        let bind = |name: &&'static str| (*name, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let pages: Vec<_> = viewers.iter().map(bind).collect();
        let (minio, issuer) = Minio::start_seeded();
        minio.put("tmp/inbox/hello.txt", HELLO);
        let cors = cors(&pages);
        let app = format!("{cors}methods = [\"GET\", \"HEAD\", \"PUT\", \"POST\", \"DELETE\"]\n");
        let mut corners = vec![
            corner("all", &[("tmp", "inbox/", "read,list,write,delete")]),
            corner("site", &[("tmp", "inbox/", "read,list,write,delete@/")]),
        ];
        if !pages.is_empty() {
            let writes = corner("app", &[("tmp", "inbox/", "read,list,write,delete")]);
            corners.push(Corner { more: &cors, ..corner("viewer", &[("tmp", "inbox/", "read")]) });
            corners.push(Corner { more: &app, ..writes });
        }
        let config = config(minio.address, minio.address, &corners, "");
        let config = config.replace("mount = \"/\"\n", "mount = \"/\"\nindex = \"index.html\"\n");
        let folder = TempDir::new().unwrap();
        let key = Keys::random("SGCLIENTS");
        let config = config + &identified(&key, &folder.path().join("secret"));
        let proxy = start(&config, &issuer);
        let runtime = Runtime::new().unwrap();
        let (secure, authority) = terminate_tls(&runtime, proxy.address("all"));
        let (small, large) = (b"a small file\n".to_vec(), large());
        let world =
            Self { minio, proxy, key, authority, folder, small, large, secure, pages, _runtime: runtime };
        fs::write(world.path("small"), &world.small).unwrap();
        fs::write(world.path("large"), &world.large).unwrap();
        fs::write(world.path("medium"), &world.large[..12_000_000]).unwrap();
        world
    }

    /// Stores the keys of a list of many pages.
    pub(crate) fn store_many(&self) {
        let many = self.path("many");
        fs::create_dir(&many).unwrap();
        for number in 0..MANY {
            fs::write(many.join(format!("k{number:04}")), b"one of many").unwrap();
        }
        self.minio.mc(&["mirror", "--quiet", many.to_str().unwrap(), "local/tmp/inbox/many"]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn endpoint(&self, signs: Signs, scheme: Scheme) -> String {
        match scheme {
            Scheme::Http if signs == Signs::Local => format!("http://{}", self.proxy.address("identified")),
            Scheme::Http => format!("http://{}", self.proxy.address("all")),
            Scheme::Https => format!("https://{}", self.secure),
        }
    }

    /// Returns the URL of the folder that clients write to, on this listener.
    pub(crate) fn url(&self, listener: &str) -> String {
        let path = if listener == "site" { "/" } else { "/tmp/inbox/" };
        format!("http://{}{path}", self.proxy.address(listener))
    }

    /// Returns the socket on which this viewer serves its page.
    pub(crate) fn page_socket(&self, viewer: &str) -> &TcpListener {
        self.pages.iter().find(|(name, _)| *name == viewer).map(|(_, socket)| socket).unwrap()
    }

    /// Reads an object from the store itself.
    pub(crate) fn stored(&self, key: &str) -> Response {
        direct(&self.minio, &self.minio.root, "GET", &format!("/tmp/{key}"), &[], b"")
    }
}

/// Returns a mapping for this key alone. Its secret is written to a file.
fn identified(key: &Keys, secret: &Path) -> String {
    fs::write(secret, &key.secret_key).unwrap();
    fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    format!(
        "[[listener]]\nname = \"identified\"\naddress = \"127.0.0.1:0\"\nunknown_keys = \"refuse\"\n\
         [[key]]\naccess_key = \"{0}\"\nsecret_key = {{ file = \"{1}\" }}\n\
         [[mapping]]\nname = \"identified\"\nclient = {{ key = \"{0}\", listener = \"identified\" }}\n\
         [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"read\", \"list\", \"write\", \"delete\"]\n",
        key.access_key,
        secret.display()
    )
}

/// Returns the section of a mapping that lists the origins of these pages.
fn cors(pages: &[(&'static str, TcpListener)]) -> String {
    let origin = |(_, page): &(_, TcpListener)| {
        format!("\"http://listed.localhost:{}\"", page.local_addr().unwrap().port())
    };
    let origins: Vec<String> = pages.iter().map(origin).collect();
    format!("[mapping.cors]\norigins = [{}]\n", origins.join(", "))
}

/// Returns a little more than 64 MiB, of which no two MiB are equal. It is lines of text, since `DuckDB` writes only text.
fn large() -> Vec<u8> {
    let line = || std::iter::repeat_with(fastrand::alphanumeric).take(127).chain(['\n']).collect::<String>();
    let block: String = std::iter::repeat_with(line).take(8192).collect();
    (0..64).flat_map(|number| [format!("{number}\n"), block.clone()]).collect::<String>().into_bytes()
}

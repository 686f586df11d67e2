//! A MinIO, its issuer and a proxy in front of it, with which most tests begin.

use super::http::{self, Response};
use super::keys::Keys;
use super::minio::Minio;
use super::proxy::Proxy;
use std::fmt::Write;
use std::net::SocketAddr;

/// A mapping of a test's configuration, with its own listener.
pub(crate) struct Corner<'a> {
    /// The name of the mapping and of its listener.
    pub(crate) name: &'a str,
    /// Bucket, prefix and rights of each scope. A mount follows the rights after an `@`.
    pub(crate) scopes: &'a [(&'a str, &'a str, &'a str)],
    /// Further lines of the mapping.
    pub(crate) more: &'a str,
}

/// Returns a corner with one scope.
pub(crate) fn corner<'a>(name: &'a str, scopes: &'a [(&'a str, &'a str, &'a str)]) -> Corner<'a> {
    Corner { name, scopes, more: "" }
}

/// Returns a configuration with a listener per corner, so that the port of a request identifies its client.
pub(crate) fn config(upstream: SocketAddr, sts: SocketAddr, corners: &[Corner<'_>], more: &str) -> String {
    let mut text = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{upstream}\"]\n\
         [issuer]\nendpoint = \"http://{sts}\"\naccess_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n{more}\n"
    );
    for Corner { name, scopes, more } in corners {
        let _ = write!(text, "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\n");
        let _ = write!(
            text,
            "[[mapping]]\nname = \"{name}\"\nclient = {{ network = \"127.0.0.0/8\", listener = \"{name}\" }}\n{more}\n"
        );
        for (bucket, prefix, allow) in *scopes {
            let (allow, mount) =
                allow.split_once('@').map_or((*allow, None), |(allow, mount)| (allow, Some(mount)));
            let mount = mount.map(|mount| format!("mount = \"{mount}\"\n")).unwrap_or_default();
            let allow = allow.split(',').map(|right| format!("\"{right}\"")).collect::<Vec<_>>().join(", ");
            let _ = write!(
                text,
                "[[mapping.scope]]\nbucket = \"{bucket}\"\nprefix = \"{prefix}\"\nallow = [{allow}]\n{mount}"
            );
        }
    }
    text
}

/// Starts a proxy with these keys for its issuer.
pub(crate) fn start(config: &str, issuer: &Keys) -> Proxy {
    Proxy::start(config, &[("ISSUER_KEY", &issuer.access_key), ("ISSUER_SECRET", &issuer.secret_key)])
}

pub(crate) struct World {
    pub(crate) minio: Minio,
    pub(crate) issuer: Keys,
    pub(crate) proxy: Proxy,
}

impl World {
    pub(crate) fn start(corners: &[Corner<'_>]) -> Self {
        Self::start_with(corners, "")
    }

    pub(crate) fn start_with(corners: &[Corner<'_>], more: &str) -> Self {
        let (minio, issuer) = Minio::start_seeded();
        let proxy = start(&config(minio.address, minio.address, corners, more), &issuer);
        Self { minio, issuer, proxy }
    }

    /// Sends a request as the client of a corner.
    pub(crate) fn ask(
        &self,
        corner: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        http::request(self.proxy.address(corner), method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.proxy.stderr()))
    }

    pub(crate) fn get(&self, corner: &str, target: &str) -> Response {
        self.ask(corner, "GET", target, &[], b"")
    }

    /// Returns the value of a series, 0 if it does not exist.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// Returns the status and, if there are any, the S3 code and the rule: `200`, `403 AccessDenied outside-scope`.
pub(crate) fn outcome(answer: &Response) -> String {
    let parts = [
        Some(answer.status().to_string()),
        answer.code(),
        answer.header("x-scopegate-rule").map(str::to_owned),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

//! The keys of `[upstream]` and `[issuer]`, and of the tables in them.

use super::{Key, Layout, Section};

/// `[upstream]`.
pub(in crate::config) static UPSTREAM: Section = Section {
    name: "[upstream]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("endpoints", "the URL of every node: `http://HOST:PORT` or `https://HOST:PORT`"),
        Key::defaulting("region", "\"us-east-1\"", "the region for signatures"),
        Key::defaulting(
            "store",
            "\"minio\"",
            "`\"minio\"`, or `\"s3\"` for another store. Scopegate then treats version ids, upload ids \
             and tokens as opaque",
        ),
        Key::optional("tls", "the system's CAs", "[TLS towards `https://` endpoints](#tls-towards-servers)"),
    ],
};

/// `[issuer]`.
pub(in crate::config) static ISSUER: Section = Section {
    name: "[issuer]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("access_key", "a [secret](#secrets)"),
        Key::required("secret_key", "a [secret](#secrets)"),
        Key::optional("endpoint", "the upstream", "the URL of STS, if it is elsewhere"),
        Key::optional("role_arn", "none", "for stores that require one. MinIO ignores it"),
        Key::optional("tls", "that of `[upstream]`", "[TLS towards STS](#tls-towards-servers)"),
    ],
};

/// `tls` towards servers.
pub(in crate::config) static CLIENT_TLS: Section = Section {
    name: "tls",
    layout: Layout::Defaults,
    keys: &[
        Key::optional(
            "ca",
            "the system's",
            "PEM files with the only CAs to trust. Without it, those of the system count, or of \
             `SSL_CERT_FILE` and `SSL_CERT_DIR`",
        ),
        Key::optional(
            "certificate",
            "none",
            "the [certificate](#certificate) for servers that ask for one. `chain` begins with the \
             certificate and holds the CAs between",
        ),
        Key::optional(
            "server_name",
            "the endpoint's host",
            "the name that certificates must have, and that SNI says. `Host` remains the endpoint's",
        ),
    ],
};

/// A certificate with its key.
pub(in crate::config) static CERTIFICATE: Section = Section {
    name: "certificate",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "chain",
            "a PEM file with the certificate, followed by those of its intermediate authorities",
        ),
        Key::required(
            "key",
            "a PEM file with the certificate's private key, without a passphrase. Its mode must be like \
             that of a secret's file",
        ),
    ],
};

/// Where a secret is. One of them is written.
pub(in crate::config) static SECRET: Section = Section {
    name: "a secret",
    layout: Layout::Defaults,
    keys: &[
        Key::optional("env", "none", "the name of an environment variable"),
        Key::optional("file", "none", "the path of a file that others cannot read"),
        Key::optional(
            "credential",
            "none",
            "the name of a credential that systemd loads for the unit (`LoadCredential=NAME:/path`)",
        ),
    ],
};

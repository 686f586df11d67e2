//! The keys of `[[user]]`, `[[token]]`, `[[key]]` and `[[jwt]]`, and of the tables in them.

use super::{Key, Layout, Section};
use std::time::Duration;

/// `[[user]]`.
pub(in crate::config) static USER: Section = Section {
    name: "[[user]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "name",
            "the name that the user types: up to 256 bytes, without `:` and control characters",
        ),
        Key::required(
            "password",
            "a hash from `scopegate hash-password`, or up to 4 while one password replaces another",
        ),
    ],
};

/// `[[token]]`.
pub(in crate::config) static TOKEN: Section = Section {
    name: "[[token]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("name", "a name, unique among tokens. It appears in the log and in metrics"),
        Key::required(
            "sha256",
            "the SHA-256 of the token, as `scopegate new-token NAME` prints it, in 64 hexadecimal digits",
        ),
        Key::optional(
            "not_before",
            "none",
            "the time from which it is valid, with a zone: `2027-01-01T00:00:00Z`",
        ),
        Key::optional("not_after", "none", "the time until which it is valid"),
    ],
};

/// `users` and `tokens`.
pub(in crate::config) static DECLARATIONS: Section = Section {
    name: "a file of declarations",
    layout: Layout::Defaults,
    keys: &[Key::required("file", "the path of the file")],
};

/// `[[key]]`.
pub(in crate::config) static KEY: Section = Section {
    name: "[[key]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "access_key",
            "the access key: 3 to 128 letters, digits and `/ + = _ -`. It appears in the log",
        ),
        Key::required(
            "secret_key",
            "a [secret](#secrets) of at least 16 characters. It is read at the start and at each reload; \
             a file also when it changes. `scopegate new-key NAME` makes one",
        ),
        Key::defaulting(
            "unsigned_payload",
            "false",
            "whether a body that the client does not sign (`UNSIGNED-PAYLOAD`, \
             `STREAMING-UNSIGNED-PAYLOAD-TRAILER`) is accepted over plain TCP from other machines. Over \
             loopback and unix sockets, and with a presigned URL, it always is",
        ),
    ],
};

/// `[[jwt]]`.
pub(in crate::config) static JWT: Section = Section {
    name: "[[jwt]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("name", "a name, unique among issuers. Mappings, the log and metrics use it"),
        Key::optional(
            "issuer",
            "required; with `kubernetes` `\"https://kubernetes.default.svc.cluster.local\"`",
            "the `iss` of its tokens, unique among issuers",
        ),
        Key::required(
            "audience",
            "a list of audiences, one of which a token's `aud` must contain. `\"none\"` accepts tokens \
             without `aud` alone",
        ),
        Key::defaulting(
            "algorithms",
            "[\"RS256\", \"PS256\", \"ES256\", \"EdDSA\"]",
            "a list of the algorithms that tokens may use",
        )
        .otherwise("with `secret` `[\"HS256\"]`"),
        Key::optional(
            "jwks",
            "discovery",
            "[where the public keys are](#jwks): `{ url = \"https://...\" }` or `{ file = \"jwks.json\" \
             }`",
        ),
        Key::optional(
            "secret",
            "none",
            "a [secret](#secrets) that the issuer shares, in place of public keys. It has 32 bytes or \
             more; 48 for HS384, 64 for HS512",
        ),
        Key::defaulting(
            "kubernetes",
            "false",
            "take the keys from the API server of the cluster that Scopegate runs in",
        ),
        Key::defaulting("leeway", "\"1m\"", "the difference that clocks may have, {range}")
            .times(Duration::ZERO..=Duration::from_mins(5)),
        Key::optional("max_lifetime", "none", "the longest time from `iat` to `exp`, {range}")
            .times(Duration::from_mins(1)..=Duration::from_hours(24 * 366)),
        Key::defaulting(
            "max_stale",
            "\"24h\"",
            "the time for which keys serve that cannot be read again, {range}",
        )
        .times(Duration::from_mins(1)..=Duration::from_hours(24 * 7)),
    ],
};

/// `jwks` of a `[[jwt]]`.
pub(in crate::config) static JWKS: Section = Section {
    name: "jwks",
    layout: Layout::Defaults,
    keys: &[
        Key::optional(
            "url",
            "discovery",
            "the URL of a JWK Set. Without `url` and `file`, `/.well-known/openid-configuration` below \
             `issuer` names it",
        ),
        Key::optional("file", "none", "the path of a JWK Set. It excludes all other keys"),
        Key::optional(
            "ca",
            "the system's",
            "as for [TLS towards servers](#tls-towards-servers). The files are read for each fetch",
        ),
        Key::optional("certificate", "none", "as for TLS towards servers"),
        Key::optional("server_name", "the URL's host", "as for TLS towards servers"),
        Key::optional("bearer_file", "none", "a file with a token to send"),
    ],
};

//! The keys of `[[listener]]` and `[admin]`, and of the tables in them.

use super::{Key, Layout, Section};

/// `[[listener]]`.
pub(in crate::config) static LISTENER: Section = Section {
    name: "[[listener]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("name", "a name, unique among listeners"),
        Key::required(
            "address",
            "an address and a port, `127.0.0.1:8080` (port 0 takes a free one), or a unix socket, \
             `unix:/run/scopegate/s3.sock`",
        ),
        Key::optional(
            "hosts",
            "none",
            "the names that clients use for it. IP addresses, `localhost` and names below `domain` need \
             no entry. Any other `Host` is refused",
        ),
        Key::optional(
            "domain",
            "none",
            "the domain for virtual-host style: `s3.example.test` makes `BUCKET.s3.example.test` a bucket",
        ),
        Key::optional(
            "tls",
            "none: plain HTTP",
            "[TLS](#tls-of-a-listener): `{ certificates = [{ chain = \"tls.crt\", key = \"tls.key\" }] }`",
        ),
        Key::defaulting(
            "unknown_keys",
            "\"ignore\"",
            "what a signature with an access key means that no [`[[key]]`](#key) has: `ignore` it like no \
             credentials, as meaningless keys of S3 clients are, or `refuse` it",
        ),
        Key::optional(
            "proxy_protocol",
            "none",
            "the load balancers whose connections begin with a [PROXY \
             header](#load-balancers-of-a-listener): `{ from = [\"10.0.0.1\"], versions = [\"v2\"] }`",
        ),
        Key::optional(
            "forwarded",
            "none",
            "the load balancers that name the client of each request [in a \
             header](#load-balancers-of-a-listener): `{ header = \"X-Forwarded-For\", from = \
             [\"10.0.0.1\"] }`",
        ),
        Key::optional(
            "mode",
            "by the umask",
            "the permissions of a unix socket: `\"0660\"`. Connecting needs the right to write ([unix \
             sockets](../identity/unix.md))",
        ),
        Key::optional("owner", "the user of the process", "the owner of a unix socket, by name or by number"),
        Key::optional(
            "group",
            "the group of the process",
            "the group of a unix socket, by name or by number",
        ),
    ],
};

/// `tls` of a listener.
pub(in crate::config) static LISTENER_TLS: Section = Section {
    name: "tls",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "certificates",
            "up to 100 [pairs of files](#certificate). The name that a client asks for (SNI) decides: a \
             certificate for exactly this name, else one for `*.` and the rest, else the first",
        ),
        Key::optional(
            "client_ca",
            "none: no client certificates",
            "files of authorities whose client certificates are accepted",
        ),
        Key::defaulting(
            "client_certificate",
            "\"required\"",
            "with `client_ca`: whether a client must have a certificate, or may (`optional`). A \
             certificate that does not verify always ends the handshake",
        ),
        Key::optional(
            "client_crl",
            "none",
            "files of revocation lists. With them, each authority in a client's chain needs a list that \
             is not past its next update",
        ),
        Key::defaulting("http2", "true", "whether clients may use HTTP/2"),
    ],
};

/// `proxy_protocol` of a listener.
pub(in crate::config) static PROXY_PROTOCOL: Section = Section {
    name: "proxy_protocol",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "from",
            "1 to 10,000 networks, or `uid:` with users of a unix socket. Other peers may not connect \
             ([load balancers](../load-balancers.md#proxy-protocol))",
        ),
        Key::required("versions", "`\"v1\"`, `\"v2\"` or both"),
    ],
};

/// `forwarded` of a listener.
pub(in crate::config) static FORWARDED: Section = Section {
    name: "forwarded",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "header",
            "the header with the address of the client, such as `\"X-Forwarded-For\"` ([load \
             balancers](../load-balancers.md#x-forwarded-for))",
        ),
        Key::required("from", "as for `proxy_protocol`. From other peers the headers mean nothing"),
        Key::optional("scheme", "none", "the header with `http` or `https`, such as `\"X-Forwarded-Proto\"`"),
    ],
};

/// `[admin]`.
pub(in crate::config) static ADMIN: Section = Section {
    name: "[admin]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("address", "an address and a port, `127.0.0.1:9180`"),
        Key::optional("hosts", "none", "as for a listener"),
    ],
};

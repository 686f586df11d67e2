//! The keys of `[[mapping]]`, and of the tables in it.

use super::{Key, Layout, Section};
use crate::s3::limits::MAX_OBJECT;
use std::time::Duration;

/// `[[mapping]]`.
pub(in crate::config) static MAPPING: Section = Section {
    name: "[[mapping]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("name", "a name, unique among mappings. It appears in the log and in metrics"),
        Key::required("client", "a table of [matchers](#client), which must all match"),
        Key::required("scope", "its [scopes](#mappingscope)"),
        Key::defaulting("session", "\"15m\"", "the lifetime of a session, {range}")
            .times(Duration::from_mins(15)..=Duration::from_hours(12)),
        Key::defaulting(
            "identities",
            "1000",
            "how many identities have sessions at once, {range}, if a prefix has a placeholder. The least \
             recently used idle one gives way to another. All mappings together have at most 20,000",
        )
        .numbers(1..=10_000),
        Key::defaulting(
            "shared_cache",
            "false",
            "whether shared caches may keep responses although the mapping knows its clients by more than \
             their addresses ([caches](../browsing.md#caches))",
        ),
        Key::optional(
            "sessions",
            "`\"split\"` with MinIO, else `\"one\"`",
            "whether the operations of the mapping have separate [sessions](../running.md#sessions): \
             `\"split\"`, so that a read is signed with a session that can only read; `\"one\"`, a \
             session for all of them. `\"split\"` is for MinIO only",
        ),
        Key::defaulting(
            "mint",
            "\"lazy\"",
            "when sessions are minted for the first time: `\"lazy\"`, each with the first request that \
             needs it; `\"start\"`, those for reads, lists, writes and deletes when the proxy starts",
        ),
        Key::optional("cors", "none", "the [web pages of other origins](#mappingcors) that may use it"),
    ],
};

/// `client` of a mapping.
pub(in crate::config) static CLIENT: Section = Section {
    name: "client",
    layout: Layout::Conditions,
    keys: &[
        Key::condition("network", "its address is in one of these networks: `\"10.0.0.0/8\"`, `\"::1/128\"`"),
        Key::condition("listener", "it connects to the listener of this name"),
        Key::condition(
            "uid",
            "it connects to a unix socket, and its process has one of these users, by name or by number \
             ([unix sockets](../identity/unix.md))",
        ),
        Key::condition(
            "gid",
            "it connects to a unix socket, and its process has one of these primary groups, by name or by \
             number",
        ),
        Key::condition(
            "certificate",
            "it shows a certificate that meets these [conditions](#client-certificates), at a listener \
             with `client_ca`; `\"*\"` is any",
        ),
        Key::condition(
            "user",
            "it sends the password of one of these users; `\"*\"` is any \
             ([passwords](../identity/basic.md))",
        ),
        Key::condition(
            "token",
            "it sends one of these bearer tokens, by name; `\"*\"` is any ([bearer \
             tokens](../identity/bearer.md))",
        ),
        Key::condition(
            "key",
            "it signs with one of these local access keys, by id; `\"*\"` is any ([access \
             keys](../identity/keys.md))",
        ),
        Key::condition("jwt", "it sends a JWT that meets these [conditions](#jwts)"),
    ],
};

/// `certificate` of a client.
pub(in crate::config) static CLIENT_CERTIFICATE: Section = Section {
    name: "certificate",
    layout: Layout::Certificates,
    keys: &[
        Key::condition(
            "spiffe",
            "has one of these SPIFFE ids: the URI is the only one in the certificate, and follows the \
             [standard](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md) to the letter. \
             `/*` at the end stands for every id below: `spiffe://td/ns/a/*` matches \
             `spiffe://td/ns/a/sa/b`, and neither `spiffe://td/ns/a` nor `spiffe://td/ns/ab`",
        ),
        Key::condition(
            "dns",
            "has one of these DNS names. Upper and lower case are the same, and nothing is a wildcard",
        ),
        Key::condition("uri", "has one of these URIs, compared to the letter"),
        Key::condition(
            "cn",
            "has one of these common names, and no subject alternative name of any kind: those replace \
             it. `\"*\"` is any. `check` warns of it",
        ),
        Key::condition(
            "sha256",
            "or its public key has one of these SHA-256 digests, in 64 hexadecimal digits with or without \
             colons",
        ),
    ],
};

/// `jwt` of a client.
pub(in crate::config) static CLIENT_JWT: Section = Section {
    name: "jwt",
    layout: Layout::Defaults,
    keys: &[
        Key::required("issuer", "the name of the `[[jwt]]` whose tokens are meant"),
        Key::optional(
            "claims",
            "all tokens of the issuer",
            "a list of conditions on claims, which must all hold \
             ([JWTs](../identity/jwt.md#which-tokens-a-mapping-is-for))",
        ),
        Key::optional(
            "service_account",
            "none",
            "a list of Kubernetes service accounts, `NAMESPACE/NAME`, of which the token is one",
        ),
    ],
};

/// An entry of `claims`.
pub(in crate::config) static CLAIM: Section = Section {
    name: "claims",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "path",
            "the names of the members from the outermost object to the claim: `[\"realm_access\", \
             \"roles\"]`",
        ),
        Key::optional("is", "none", "the string, boolean or whole number that the claim is"),
        Key::optional("has", "none", "what the claim, a list, contains"),
        Key::optional("starts", "none", "what the claim, a string, begins with. It ends in `/`"),
    ],
};

/// `[[mapping.scope]]`.
pub(in crate::config) static SCOPE: Section = Section {
    name: "[[mapping.scope]]",
    layout: Layout::Defaults,
    keys: &[
        Key::required("bucket", "the bucket"),
        Key::required(
            "prefix",
            "the prefix of the keys, ending in `/`. `\"\"` is the whole bucket. Segments can be \
             placeholders for a part of the client's identity, as in `\"home/{user}/\"`: `{user}`, \
             `{token}`, `{key}`, `{uid}`, `{cn}`, `{spiffe:N}`, `{sub}`, `{sub:sha256}`, `{claim:NAME}`, \
             `{service_account}` (two segments, namespace and name) and `{issuer}`. Each identity then \
             has its own sessions",
        ),
        Key::required(
            "allow",
            "a list of rights: `read`, `list`, `write`, `delete`, `versions` ([what each \
             allows](../../README.md#rights))",
        ),
        Key::optional(
            "mount",
            "none",
            "the path at which clients see the scope instead of `/BUCKET/PREFIX`: `\"/\"`, `\"/pub/\"` \
             ([mounts](../mounts.md))",
        ),
        Key::optional(
            "index",
            "none",
            "the object that is shown as the page of each folder: `\"index.html\"`",
        ),
        Key::optional(
            "error_page",
            "`\"404.html\"` with `index`, else none",
            "the object that browsers get, with status 404, when an object does not exist. It is relative to \
             `prefix`: `\"errors/404.html\"`",
        ),
        Key::optional(
            "site",
            "`true` with `index`, else `false`",
            "whether browsers run its objects. If not, browsers show them in a sandbox ([objects in a \
             browser](../browsing.md#objects-in-a-browser))",
        ),
        Key::optional("max_object_size", "none", "the largest upload, copy or part, {range}")
            .sizes(1..=MAX_OBJECT),
    ],
};

/// `[mapping.cors]`.
pub(in crate::config) static CORS: Section = Section {
    name: "[mapping.cors]",
    layout: Layout::Defaults,
    keys: &[
        Key::required(
            "origins",
            "a list of origins, exactly as browsers send them. `\"https://*.example.org\"` matches every \
             name below that domain. `\"*\"` is for objects that anyone may read: only with GET and HEAD, \
             without `credentials`, and for clients of all networks",
        ),
        Key::defaulting(
            "methods",
            "[\"GET\", \"HEAD\"]",
            "a list of `GET`, `HEAD`, `PUT`, `POST` and `DELETE`. Each must be useful for a right of the \
             mapping",
        ),
        Key::optional("headers", "all", "a list of request headers that pages may set. A `*` may end a name"),
        Key::optional(
            "expose",
            "all",
            "a list of response headers that scripts may read. `\"*\"` is all, but not with `credentials`",
        ),
        Key::defaulting("max_age", "\"1h\"", "how long browsers may cache a preflight response, {range}")
            .times(Duration::ZERO..=Duration::from_hours(24)),
        Key::defaulting("credentials", "false", "whether pages may send requests with credentials"),
    ],
};

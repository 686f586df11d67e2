//! Reads `[[jwt]]`: the issuers of signed tokens.

use super::Environment;
use super::client_tls;
use super::clients::NameList;
use super::reader::{At, Reader};
use super::schema::{JWKS, JWT};
use super::secrets::read_secret;
use super::source::Span;
use super::spelling::nearest;
use super::table::Table;
use crate::authenticate::jwt::{
    Access, Algorithm, Audience, JwtSettings, KeyOrigin, KeySet, KeyUrl, algorithm_names,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum number of issuers. Each has a task that reads its keys.
const MAX_ISSUERS: usize = 100;
/// Maximum number of audiences.
const MAX_NAMES: usize = 100;
/// Maximum length of an issuer or an audience, in bytes.
const MAX_TEXT: usize = 1024;
const DEFAULT_LEEWAY: Duration = Duration::from_mins(1);
const DEFAULT_STALE: Duration = Duration::from_hours(24);

/// Where pods find the keys, the authority and their own token.
/// <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>
const CLUSTER_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const CLUSTER_KEYS: &str = "https://kubernetes.default.svc/openid/v1/jwks";
const CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const CLUSTER_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Reads the issuers. Returns `None` if one has a mistake, and the names of those without one.
pub(super) fn read_jwt(
    root: &Table<'_>,
    environment: &dyn Environment,
) -> (Option<Vec<JwtSettings>>, NameList) {
    let tables = root.tables("jwt", &JWT);
    let (reader, count) = (root.reader(), tables.len());
    if count > MAX_ISSUERS {
        root.error(format!("there are {count} sections [[jwt]]"), format!("write at most {MAX_ISSUERS}"));
    }
    let (mut names, mut issuers) = (HashSet::new(), HashSet::new());
    let mut read = Vec::new();
    for table in tables.into_iter().take(MAX_ISSUERS) {
        let (name, issuer) = (table.string("name"), table.string("issuer"));
        if let Some(name) = name.filter(|name| !names.insert(name.value.to_owned())) {
            reader.wrong(name, "is the name of another [[jwt]]", "give each issuer its own name");
        }
        if let Some(issuer) = issuer.filter(|issuer| !issuers.insert(issuer.value.to_owned())) {
            let help = "a token's iss decides which section it is checked by, so write one section with all audiences, and tell its \
                        tokens apart by claims";
            reader.wrong(issuer, "is the issuer of another [[jwt]]", help);
        }
        read.push(read_issuer(table, environment));
    }
    let is_open = read.iter().any(Option::is_none) || count > MAX_ISSUERS;
    let names = read.iter().flatten().map(|settings| settings.name.clone()).collect();
    (read.into_iter().collect(), NameList { names, is_open })
}

fn read_issuer(table: Table<'_>, environment: &dyn Environment) -> Option<JwtSettings> {
    let name = table.name();
    let is_cluster = table.boolean("kubernetes").unwrap_or_default();
    let issuer = read_iss(&table, is_cluster);
    let audience = read_audience(&table, issuer.map(|issuer| issuer.value), is_cluster);
    let secret = table.span_of("secret");
    let algorithms = read_algorithms(&table, secret.is_some());
    let keys = match secret {
        Some(span) => read_shared_secret(&table, span, algorithms.as_deref(), environment),
        None => read_keys(&table, issuer, is_cluster, environment),
    };
    let leeway = table.duration("leeway");
    let max_lifetime = table.duration("max_lifetime");
    let max_stale = table.duration("max_stale");
    table.finish();
    Some(JwtSettings {
        name: name?.value.into(),
        issuer: issuer?.value.into(),
        audience: audience?,
        algorithms: algorithms?,
        keys: keys?,
        leeway: leeway.unwrap_or(DEFAULT_LEEWAY),
        max_lifetime,
        max_stale: max_stale.unwrap_or(DEFAULT_STALE),
    })
}

fn read_iss<'t>(table: &Table<'t>, is_cluster: bool) -> Option<At<&'t str>> {
    if is_cluster && table.span_of("issuer").is_none() {
        return table.span().map(|span| At { value: CLUSTER_ISSUER, span });
    }
    let issuer = table.required("issuer", "\"https://id.example.test/\", the iss of its tokens")?;
    check_text(issuer, table).then_some(issuer)
}

/// Notes text that no token should have as its issuer or audience.
fn check_text(text: At<&str>, table: &Table<'_>) -> bool {
    let is_valid =
        (1..=MAX_TEXT).contains(&text.value.len()) && !text.value.chars().any(|c| c.is_control() || c == ' ');
    if !is_valid {
        let help = format!("write 1 to {MAX_TEXT} bytes without spaces and control characters");
        table.reader().wrong(text, "is not an issuer or audience", help);
    }
    is_valid
}

fn read_audience(table: &Table<'_>, issuer: Option<&str>, is_cluster: bool) -> Option<Audience> {
    let help = "write the names by which tokens mean this service, such as audience = [\"scopegate\"]";
    table.require("audience", help);
    let list = table.strings("audience")?;
    let reader = table.reader();
    if let [only] = &list.value[..]
        && only.value == "none"
    {
        let help = "tokens of this issuer are accepted that were made for no particular service: every service that receives one can use it here";
        reader.warn(only.span, "audience = \"none\" accepts tokens without aud", help);
        return Some(Audience::None);
    }
    if !(1..=MAX_NAMES).contains(&list.value.len()) {
        let message = format!("audience has {} entries; 1 to {MAX_NAMES} are allowed", list.value.len());
        reader.error(list.span, message, help);
        return None;
    }
    let mut is_valid = true;
    for name in &list.value {
        if name.value == "none" {
            let message = "\"none\" accepts tokens without aud, and cannot be combined with audiences";
            reader.error(name.span, message, help);
            is_valid = false;
        } else if is_api_server(name.value, issuer, is_cluster) {
            let help = "pods send such tokens to the API server, and a service that receives one here could use it there: have pods \
                        project a token with an audience of its own, such as \"scopegate\", and write that";
            reader.wrong(*name, "is an audience of the Kubernetes API server", help);
            is_valid = false;
        } else {
            is_valid &= check_text(*name, table);
        }
    }
    is_valid.then(|| Audience::AnyOf(list.value.iter().map(|name| name.value.into()).collect()))
}

/// Returns whether the API server accepts tokens with this audience. By default it accepts its issuer.
fn is_api_server(audience: &str, issuer: Option<&str>, is_cluster: bool) -> bool {
    let host = audience.strip_prefix("https://").unwrap_or(audience);
    let is_host = host
        .strip_prefix("kubernetes.default")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', ':']));
    is_host || is_cluster && (audience == "api" || Some(audience) == issuer)
}

fn read_algorithms(table: &Table<'_>, is_secret: bool) -> Option<Vec<Algorithm>> {
    let (allowed, default): (&[Algorithm], &[Algorithm]) = if is_secret {
        (&Algorithm::SECRET, &[Algorithm::Hs256])
    } else {
        (&Algorithm::PUBLIC, &Algorithm::DEFAULT)
    };
    let Some(list) = table.strings("algorithms") else {
        return table.span_of("algorithms").is_none().then(|| default.to_vec());
    };
    let reader = table.reader();
    let mut read = Vec::new();
    for name in &list.value {
        match Algorithm::parse(name.value) {
            Some(algorithm) if read.contains(&algorithm) => {
                reader.wrong(*name, "is listed twice", "remove one");
            }
            Some(algorithm) if allowed.contains(&algorithm) => read.push(algorithm),
            Some(_) if is_secret => {
                let help = "a secret and public keys need a [[jwt]] each: otherwise a public key could pass as the secret";
                reader.wrong(*name, "does not use a secret", help);
            }
            Some(_) => {
                let help = "it needs secret = { file = \"...\" }, and excludes public keys: their issuers use RS256, ES256 or EdDSA";
                reader.wrong(*name, "uses a shared secret", help);
            }
            None => {
                let names: Vec<&str> = allowed.iter().map(|algorithm| algorithm.name()).collect();
                let help = nearest(name.value, &names).map_or_else(
                    || format!("write one or more of: {}", algorithm_names(allowed)),
                    |near| format!("did you mean {near:?}?"),
                );
                reader.wrong(*name, "is not an algorithm for signatures", help);
            }
        }
    }
    if list.value.is_empty() {
        let help = format!("write one or more of: {}", algorithm_names(allowed));
        reader.error(list.span, "algorithms is empty", help);
    }
    (!read.is_empty() && read.len() == list.value.len()).then_some(read)
}

fn read_shared_secret(
    table: &Table<'_>,
    span: Span,
    algorithms: Option<&[Algorithm]>,
    environment: &dyn Environment,
) -> Option<KeyOrigin> {
    let reader = table.reader();
    for key in ["jwks", "max_stale", "kubernetes"] {
        if let Some(other) = table.span_of(key) {
            let help = "with a secret, the issuer has no other keys: remove one of them";
            reader.error(other, format!("{key} has no meaning beside secret"), help);
            return None;
        }
    }
    let secret = read_secret(table, "secret", environment)?;
    let least = algorithms?.iter().map(|algorithm| algorithm.min_secret()).max().unwrap_or_default();
    let length = secret.reveal().len();
    if length < least {
        let message = format!("secret has {length} bytes; its algorithms need {least} or more");
        reader.error(span, message, format!("make one with `openssl rand -hex {}`", least / 2));
        return None;
    }
    Some(KeyOrigin::Secret(secret))
}

fn read_keys(
    table: &Table<'_>,
    issuer: Option<At<&str>>,
    is_cluster: bool,
    environment: &dyn Environment,
) -> Option<KeyOrigin> {
    let jwks = table.table("jwks", &JWKS);
    if table.span_of("jwks").is_some() && !jwks.is_present() {
        return None;
    }
    let span = jwks.span();
    let (url, file) = (jwks.string("url"), jwks.string("file"));
    let access = read_access(&jwks, is_cluster, environment);
    let (has_url, has_file) = (jwks.span_of("url").is_some(), jwks.span_of("file").is_some());
    let tls_keys =
        ["ca", "certificate", "server_name"].into_iter().find_map(|key| Some((key, jwks.span_of(key)?)));
    let has_access = tls_keys.is_some() || jwks.span_of("bearer_file").is_some();
    let reader = table.reader();
    jwks.finish();
    if has_file {
        if has_url || has_access {
            reader.error(
                span,
                "jwks has file and other keys",
                "a file needs no url and nothing that reaches one",
            );
            return None;
        }
        return read_file(file?, table, environment);
    }
    let access = access?;
    if has_url {
        let url = url?;
        let parsed =
            KeyUrl::parse(url.value).map_err(|help| wrong_url(url, "is not a URL of keys", help, reader));
        let url = parsed.ok().filter(|url| may_use_tls(url, tls_keys, reader))?;
        return Some(KeyOrigin::Url(url, access));
    }
    if is_cluster {
        return KeyUrl::parse(CLUSTER_KEYS).ok().map(|url| KeyOrigin::Url(url, access));
    }
    let issuer = issuer?;
    let discovery = KeyUrl::of_discovery(issuer.value).map_err(|help| {
        let help = format!("{help}; or name its keys: jwks = {{ url = \"...\" }}");
        wrong_url(issuer, "cannot be asked for its keys", &help, reader);
    });
    let url = discovery.ok().filter(|url| may_use_tls(url, tls_keys, reader))?;
    Some(KeyOrigin::Discovery(url, access))
}

/// Returns whether a URL uses TLS, or no key of TLS is given. Otherwise, notes the mistake.
fn may_use_tls(url: &KeyUrl, tls_keys: Option<(&str, Span)>, reader: &Reader<'_>) -> bool {
    let Some((key, span)) = tls_keys.filter(|_| !url.endpoint().tls()) else { return true };
    let message = format!("{key} is given, and {url} does not use TLS");
    reader.error(span, message, format!("write the URL with https://, or remove {key}"));
    false
}

/// Notes a wrong URL. The text before an `@` may be a password, and is not shown.
fn wrong_url(url: At<&str>, what: &str, help: &str, reader: &Reader<'_>) {
    if url.value.contains('@') {
        reader.error(url.span, format!("the URL {what}"), help);
    } else {
        reader.wrong(url, what, help);
    }
}

fn read_access(jwks: &Table<'_>, is_cluster: bool, environment: &dyn Environment) -> Option<Access> {
    let mut bearer_file = jwks.string("bearer_file").map(|path| PathBuf::from(path.value));
    let read = client_tls::read_keys(jwks)?;
    let mut tls = read.settings.clone();
    // Each fetch reads the files. This finds mistakes before anything starts.
    client_tls::load(read, jwks, environment)?;
    if is_cluster {
        if tls.ca.is_empty() {
            tls.ca.push(PathBuf::from(CLUSTER_CA));
        }
        bearer_file.get_or_insert_with(|| PathBuf::from(CLUSTER_TOKEN));
    }
    Some(Access { tls, bearer_file })
}

/// Reads a file of keys once, so that mistakes in it are noted before anything starts.
fn read_file(file: At<&str>, table: &Table<'_>, environment: &dyn Environment) -> Option<KeyOrigin> {
    let (path, reader) = (Path::new(file.value), table.reader());
    let document = environment
        .public_keys(path)
        .map_err(|error| reader.error(file.span, format!("jwks: {}", error.message), error.help))
        .ok()?;
    if let Some(document) = document {
        let help = "write a JWK Set, an object such as {\"keys\":[{\"kty\":\"RSA\",\"kid\":\"...\",\"n\":\"...\",\"e\":\"AQAB\"}]}";
        let set = KeySet::parse(document.as_bytes())
            .map_err(|why| reader.error(file.span, format!("jwks: {}: {why}", path.display()), help))
            .ok()?;
        let skipped = set.skipped();
        if set.len() == 0 {
            let why = if skipped.is_empty() { String::new() } else { format!(" ({})", skipped.join("; ")) };
            reader.error(file.span, format!("jwks: {} has no usable key{why}", path.display()), help);
            return None;
        }
        if !skipped.is_empty() {
            let message = format!("jwks: keys of {} are not usable: {}", path.display(), skipped.join("; "));
            reader.warn(file.span, message, "tokens that they sign are refused");
        }
    }
    Some(KeyOrigin::File(path.to_owned()))
}

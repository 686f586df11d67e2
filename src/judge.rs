//! Trying a session at the store: one request that its mapping grants and that changes nothing.

use crate::amz_date::AmzDate;
use crate::connect::Connector;
use crate::endpoint::Endpoint;
use crate::http1::Fields;
use crate::list_uploads::Listing;
use crate::mapping::Mapping;
use crate::nodes::NodeIndex;
use crate::operation::SessionKind;
use crate::operation::grammar::Dialect;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::resign::{Authority, SignedRequest, resign};
use crate::s3_error::{self, MAX_ERROR_BODY};
use crate::scope::{Right, Rights, Scope};
use crate::session::Session;
use crate::session_table::{Clock, Judge, Verdict};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// An upload id as MinIO writes it, with nothing but zeros in it.
pub const ABSENT_UPLOAD: &str =
    "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

/// The nodes of a store, to try sessions at.
#[derive(Debug)]
pub struct Nodes(Vec<(Connector, Authority)>);

impl Nodes {
    /// The nodes at `endpoints`; nothing is connected yet.
    ///
    /// # Errors
    /// When one speaks TLS and no trusted certificates can be loaded, or its name cannot be a `Host`.
    pub fn new(endpoints: &[Endpoint], timeout: Duration) -> io::Result<Self> {
        let node = |endpoint: &Endpoint| {
            let authority = Authority::new(&endpoint.authority()).map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok((Connector::new(endpoint.clone(), timeout)?, authority))
        };
        endpoints.iter().map(node).collect::<io::Result<_>>().map(Self)
    }
}

/// A judge over one kind of a mapping's sessions.
#[derive(Debug)]
pub struct StoreJudge {
    nodes: Arc<ArcSwap<Nodes>>,
    trial: Option<Trial>,
    clock: Clock,
}

/// A request to try a session with.
#[derive(Debug)]
struct Trial {
    outgoing: Outgoing,
    proves: Proves,
}

/// What it proves that the store denies a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proves {
    /// The issuer may not do what the mapping grants.
    Denial,
    /// That the session lives: its own policy may deny the trial, or the store denies a key that does not exist to those
    /// who may not list, as AWS does.
    Life,
}

/// The answer to a trial.
#[derive(Clone, Debug, Default)]
struct Said {
    status: u16,
    code: Option<String>,
}

impl StoreJudge {
    /// A judge over the sessions of `mapping` of this kind at these nodes.
    pub fn new(nodes: Arc<ArcSwap<Nodes>>, mapping: &Mapping, kind: SessionKind, clock: Clock) -> Self {
        Self { nodes, trial: Trial::of_kind(kind, mapping), clock }
    }

    async fn try_at(&self, trial: &Trial, session: &Session, node: NodeIndex) -> Verdict {
        let nodes = self.nodes.load_full();
        let Some((connector, authority)) = nodes.0.get(node.0).or(nodes.0.first()) else {
            return Verdict::Unknown;
        };
        let date = AmzDate::new(self.clock.now());
        let Ok(signed) = resign(&trial.outgoing, (), session, authority, &date) else {
            return Verdict::Unknown;
        };
        match ask(connector, &signed).await {
            Ok(said) => trial.verdict(said),
            Err(error) => {
                tracing::debug!(%error, "a session cannot be tried");
                Verdict::Unknown
            }
        }
    }
}

impl Judge for StoreJudge {
    /// Dead at one node is dead: nodes learn of it one after the other.
    async fn judge(&self, session: &Session, nodes: &[NodeIndex]) -> Verdict {
        let Some(trial) = &self.trial else { return Verdict::Unknown };
        let mut all = Verdict::Unknown;
        for node in nodes {
            all = match (all, self.try_at(trial, session, *node).await) {
                (_, Verdict::Dead) => return Verdict::Dead,
                (Verdict::Denied(code), _) => Verdict::Denied(code),
                (known, Verdict::Unknown) => known,
                (_, new) => new,
            };
        }
        all
    }
}

impl Trial {
    fn of_kind(kind: SessionKind, mapping: &Mapping) -> Option<Self> {
        match kind {
            SessionKind::Scopes => Self::of(mapping),
            SessionKind::Uploads => Self::of_uploads(mapping),
        }
    }

    /// A list of the uploads of one key, which costs the store little.
    fn of_uploads(mapping: &Mapping) -> Option<Self> {
        let outgoing = mapping.scopes.iter().find_map(|scope| list_of_no_uploads(mapping, scope))?;
        Some(Self { outgoing, proves: Proves::Denial })
    }

    fn of(mapping: &Mapping) -> Option<Self> {
        let granted = mapping.scopes.iter().find_map(|scope| {
            let (method, target) = target(scope, scope.allow)?;
            let outgoing = outgoing(mapping, &method, &target)?;
            let is_clear = scope.allow.has(Right::List) || mapping.dialect == Dialect::Minio;
            Some(Self { outgoing, proves: if is_clear { Proves::Denial } else { Proves::Life } })
        });
        if granted.is_some() {
            return granted;
        }
        // Every delete changes something. The store says whether it knows the session, whatever is asked.
        let first = mapping.scopes.first()?;
        let read = Rights::default().with(Right::Read);
        let scope = Scope::new(first.bucket.clone(), first.prefix.clone(), read);
        let (method, target) = target(&scope, read)?;
        let reading = Mapping { dialect: mapping.dialect, ..Mapping::of_scopes(&mapping.name, vec![scope]) };
        let outgoing = outgoing(&reading, &method, &target)?;
        Some(Self { outgoing, proves: Proves::Life })
    }

    fn verdict(&self, said: Said) -> Verdict {
        let proves_denial = self.proves == Proves::Denial;
        match said.code {
            Some(code) if s3_error::is_dead_session(&code) => Verdict::Dead,
            Some(code) if code == s3_error::ACCESS_DENIED && !proves_denial => Verdict::Works,
            Some(code) if s3_error::is_denial(&code) => Verdict::Denied(code.into()),
            None if said.status == 403 && proves_denial => Verdict::Denied("403".into()),
            _ if said.status >= 500 => Verdict::Unknown,
            _ => Verdict::Works,
        }
    }
}

/// A request that one of `rights` allows in a scope, that changes nothing, and that costs the store little.
fn target(scope: &Scope, rights: Rights) -> Option<(Method, String)> {
    let (base, prefix) = place(scope);
    let absent = absent(prefix);
    if rights.has(Right::Read) {
        Some((Method::GET, format!("{base}/{absent}")))
    } else if rights.has(Right::List) {
        Some((Method::GET, format!("{base}/?location")))
    } else if rights.has(Right::Write) {
        // The parts of an upload that does not exist.
        Some((Method::GET, format!("{base}/{absent}?uploadId={ABSENT_UPLOAD}")))
    } else {
        None
    }
}

/// A question for the uploads of a key in a scope that has none, if the scope grants it.
pub fn list_of_no_uploads(mapping: &Mapping, scope: &Scope) -> Option<Outgoing> {
    let (base, prefix) = place(scope);
    let (fields, path) = (Fields::default(), format!("{base}/"));
    let query = format!("uploads&prefix={}", absent(prefix));
    let grant = mapping.grant(&Method::GET, &path, Some(&query), &fields).ok()?;
    // The last is about the key alone.
    let listing = Listing::new(mapping, &grant);
    let question = listing.questions().pop()?;
    Some(Outgoing::list_of_uploads(&listing, &question))
}

/// The path of a scope's bucket and the beginning of its keys, as a client names them who may see it at a path of its own.
fn place(scope: &Scope) -> (String, &str) {
    let (base, prefix) = match &scope.view {
        Some(view) => (view.mount().as_str().trim_matches('/'), ""),
        None => (scope.bucket.as_str(), scope.prefix.as_str()),
    };
    (if base.is_empty() { String::new() } else { format!("/{base}") }, prefix)
}

/// A key below a prefix that no object has.
fn absent(prefix: &str) -> String {
    let key = format!("{prefix}scopegate-check-{:016x}", fastrand::u64(..));
    utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string()
}

fn outgoing(mapping: &Mapping, method: &Method, target: &str) -> Option<Outgoing> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let fields = Fields::default();
    let grant = mapping.grant(method, path, query, &fields).ok()?;
    Outgoing::rebuild(grant, &fields, Payload::Empty).ok()
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request over a connection of its own.
async fn ask(connector: &Connector, signed: &SignedRequest<()>) -> Result<Said, AnyError> {
    let request = request(signed.head())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connector.connect().await?)).await?;
    // Ends the connection together with this.
    let mut running = JoinSet::new();
    running.spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let mut said = Said { status: status.as_u16(), code: None };
    if status.is_client_error() || status.is_server_error() {
        let body = Limited::new(answer.into_body(), MAX_ERROR_BODY).collect().await?.to_bytes();
        said.code = s3_error::element(&String::from_utf8_lossy(&body), "Code");
    }
    Ok(said)
}

/// The same request for hyper.
fn request(head: &[u8]) -> Result<Request<Empty<Bytes>>, AnyError> {
    let head = str::from_utf8(head)?;
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a field without a value")?;
        request = request.header(name, value);
    }
    Ok(request.header(header::CONNECTION, "close").body(Empty::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{BucketName, Prefix};

    fn trial(rights: &[Right], dialect: Dialect) -> Trial {
        let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse("media/").unwrap());
        let scope = Scope::new(bucket, prefix, rights.iter().copied().collect());
        Trial::of(&Mapping { dialect, ..Mapping::of_scopes("m", vec![scope]) }).unwrap()
    }

    #[test]
    fn every_mapping_has_a_trial_that_changes_nothing() {
        const OBJECT: &str = "/tmp/media/scopegate-check-";
        for (rights, path, query, at_minio, elsewhere) in [
            (&[Right::Read, Right::List][..], OBJECT, "", Proves::Denial, Proves::Denial),
            (&[Right::Read, Right::Write], OBJECT, "", Proves::Denial, Proves::Life),
            (&[Right::List, Right::Write], "/tmp", "location=", Proves::Denial, Proves::Denial),
            (&[Right::Write], OBJECT, "uploadId=", Proves::Denial, Proves::Life),
            (&[Right::Delete], OBJECT, "", Proves::Life, Proves::Life),
        ] {
            for (dialect, proves) in [(Dialect::Minio, at_minio), (Dialect::S3, elsewhere)] {
                let trial = trial(rights, dialect);
                let Trial { outgoing, proves: proved } = &trial;
                assert_eq!((outgoing.method(), *proved), (&Method::GET, proves), "{rights:?}");
                assert!(outgoing.path().starts_with(path), "{}", outgoing.path());
                assert!(outgoing.query().starts_with(query), "{}", outgoing.query());
            }
        }
    }

    #[test]
    fn verdicts() {
        let denied = |code: &str| Verdict::Denied(code.into());
        let said = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            Said { status, code }
        };
        let [denial, life] = [Right::Read, Right::Delete].map(|right| trial(&[right], Dialect::Minio));
        for (status, code, where_denied, where_alive) in [
            (403, "InvalidAccessKeyId", Verdict::Dead, Verdict::Dead),
            (400, "ExpiredToken", Verdict::Dead, Verdict::Dead),
            (403, "AccessDenied", denied("AccessDenied"), Verdict::Works),
            (403, "", denied("403"), Verdict::Works),
            (403, "RequestTimeTooSkewed", denied("RequestTimeTooSkewed"), denied("RequestTimeTooSkewed")),
            (404, "NoSuchKey", Verdict::Works, Verdict::Works),
            (200, "", Verdict::Works, Verdict::Works),
            (503, "SlowDown", Verdict::Unknown, Verdict::Unknown),
        ] {
            assert_eq!(denial.verdict(said(status, code)), where_denied, "{code}");
            assert_eq!(life.verdict(said(status, code)), where_alive, "{code}");
        }
    }

    #[test]
    fn a_signed_head_becomes_the_same_request() {
        let request = request(b"GET /a%20b?c= HTTP/1.1\r\nhost: h:1\r\nx-amz-date: d\r\n").unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("GET", "/a%20b?c="));
        assert_eq!(request.headers().get("host").unwrap(), "h:1");
        assert_eq!(
            (request.headers().get("x-amz-date").unwrap(), request.headers().len()),
            ("d".try_into().as_ref().unwrap(), 3)
        );
    }
}

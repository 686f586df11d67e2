//! Requests on their way through the pure part of the proxy, for the benches and for the test that counts allocations.

#![allow(clippy::unwrap_used, reason = "without its set-up nothing can be measured")]

pub(crate) mod login;

use http::{HeaderValue, Method, header};
use http1::{Fields, HeadLimits, RequestHead};
use scopegate::internals::{
    AmzDate, Authority, BucketName, Client, Condition, Connection, Credentials, Grant, ListenerRegistry,
    LogFormat, Mapping, MappingIndex, Matcher, Minted, Outgoing, Payload, Prefix, RecordedGet, Right, Scope,
    Secret, Session, SignedRequest, resign,
};
use std::hint::black_box;
use std::time::{Duration, SystemTime};

/// The number of mappings, of which the last is the client's.
const MAPPINGS: usize = 16;
const LISTENER: &str = "main";
/// The length of MinIO's session tokens.
const TOKEN: usize = 700;

/// An absent body.
pub(crate) struct NoBody;

/// The state of a worker and a request.
pub(crate) struct Example {
    mappings: Vec<Mapping>,
    index: MappingIndex,
    connection: Connection,
    path: &'static str,
    query: Option<&'static str>,
    fields: Fields,
    session: Session,
    node: Authority,
    now: SystemTime,
}

impl Example {
    /// Returns the request of `curl http://proxy/tmp/media/hello.txt`.
    pub(crate) fn plain_get() -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_001);
        let keys = Credentials {
            access_key: Secret::new("AKIDEXAMPLE".to_owned()),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        };
        let expiration = now + Duration::from_mins(15);
        let minted = Minted { keys, token: Secret::new("t".repeat(TOKEN)), expiration };
        let fields = [
            (header::HOST, HeaderValue::from_static("127.0.0.1:8080")),
            (header::USER_AGENT, HeaderValue::from_static("curl/8.5.0")),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
        ];
        let mut listeners = ListenerRegistry::default();
        let listener = listeners.register(&LISTENER.into());
        let mappings: Vec<Mapping> = (0..MAPPINGS).map(mapping_of).collect();
        Self {
            index: MappingIndex::new(mappings.iter().map(|mapping| &*mapping.client), &listeners),
            mappings,
            connection: Connection::tcp([10, 0, 0, 15].into(), listener),
            path: "/tmp/media/hello.txt",
            query: None,
            fields: fields.into_iter().collect(),
            session: Session::new(minted, "us-east-1".into(), now).unwrap(),
            node: Authority::new("127.0.0.1:9000").unwrap(),
            now,
        }
    }

    /// Returns a list of the client's scope, encoded as SDKs do.
    pub(crate) fn list() -> Self {
        let query = Some("list-type=2&prefix=media%2F&delimiter=%2F&max-keys=1000");
        Self { path: "/tmp", query, ..Self::plain_get() }
    }

    /// Returns a GET of a key with characters that need encoding.
    pub(crate) fn escaped_get() -> Self {
        Self { path: "/tmp/media/r%C3%A9sum%C3%A9%20(final)+1.txt", ..Self::plain_get() }
    }

    /// Finds the client's mapping.
    pub(crate) fn mapping(&self) -> &Mapping {
        let found = self.index.find(&Client::of_connection(black_box(&self.connection)));
        self.mappings.get(found.unwrap()).unwrap()
    }

    /// Routes and authorizes the request.
    pub(crate) fn grant<'e>(&'e self, mapping: &Mapping) -> Grant<'e> {
        mapping.grant(&Method::GET, black_box(self.path), self.query, &self.fields).unwrap()
    }

    /// Rebuilds headers, path and query.
    pub(crate) fn rebuild(&self, grant: Grant<'_>) -> Outgoing {
        let payload = Payload::classify(grant.spec(), &self.fields).unwrap();
        Outgoing::rebuild(grant, &self.fields, payload).unwrap()
    }

    /// Signs the request.
    pub(crate) fn sign(&self, outgoing: &Outgoing) -> SignedRequest<NoBody> {
        resign(outgoing, NoBody, &self.session, &self.node, &AmzDate::new(black_box(self.now))).unwrap()
    }

    /// Prepares the record of the request as it arrives, with lines in this format if there is one.
    pub(crate) fn recorded(&self, format: Option<LogFormat>) -> RecordedGet {
        let mut head = format!("GET {} HTTP/1.1\r\n", self.path).into_bytes();
        for (name, value) in self.fields.iter() {
            head.extend([name, b": ", value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        let limits = HeadLimits { bytes: head.len(), fields: 16 };
        let request = RequestHead::parse(head.into(), limits).unwrap().request;
        RecordedGet::new(self.connection.clone(), request, format).unwrap()
    }

    /// Does all of it, from the client to the signed request.
    pub(crate) fn whole(&self) -> SignedRequest<NoBody> {
        self.sign(&self.rebuild(self.grant(self.mapping())))
    }
}

fn mapping_of(number: usize) -> Mapping {
    let scope = |bucket, prefix| {
        let allow = [Right::Read, Right::List].into_iter().collect();
        Scope::new(BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap(), allow)
    };
    let scopes = vec![scope("archive", "2026/"), scope("tmp", "media/")];
    let network = format!("10.0.0.{number}/32").parse().unwrap();
    let client = Matcher::new(vec![Condition::Network(vec![network]), Condition::Listener(LISTENER.into())]);
    Mapping { client: client.into(), ..Mapping::of_scopes(&format!("mapping-{number}"), scopes) }
}

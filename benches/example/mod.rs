//! A plain GET on its way through the pure part of the proxy, for the benches and for the test that counts its
//! allocations.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use http::{HeaderValue, Method, header};
use http1::Fields;
use scopegate::amz_date::AmzDate;
use scopegate::client::{Client, Connection, ListenerRegistry};
use scopegate::mapping::{Grant, Mapping};
use scopegate::matcher::{Condition, MappingIndex, Matcher};
use scopegate::names::{BucketName, Prefix};
use scopegate::outgoing::Outgoing;
use scopegate::payload::Payload;
use scopegate::resign::{Authority, SignedRequest, resign};
use scopegate::rights::Right;
use scopegate::scope::Scope;
use scopegate::secret::{Credentials, Secret};
use scopegate::session::{Minted, Session};
use std::hint::black_box;
use std::time::{Duration, SystemTime};

/// How many mappings are looked through; the last is the client's.
const MAPPINGS: usize = 16;
const LISTENER: &str = "main";
/// As long as those of MinIO are.
const TOKEN: usize = 700;

/// The body of a request without one.
pub(crate) struct NoBody;

/// What a worker has when a request comes in.
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
    /// `curl http://proxy/tmp/media/hello.txt`
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
            index: MappingIndex::new(mappings.iter().map(|mapping| &mapping.client), &listeners),
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

    /// A list of the client's corner, with `path` and `query` as SDKs write them.
    pub(crate) fn list() -> Self {
        let query = Some("list-type=2&prefix=media%2F&delimiter=%2F&max-keys=1000");
        Self { path: "/tmp", query, ..Self::plain_get() }
    }

    /// A GET of a key with characters that are encoded again.
    pub(crate) fn escaped_get() -> Self {
        Self { path: "/tmp/media/r%C3%A9sum%C3%A9%20(final)+1.txt", ..Self::plain_get() }
    }

    /// Which mapping the client has.
    pub(crate) fn mapping(&self) -> &Mapping {
        let found = self.index.find(&Client::of_connection(black_box(&self.connection)));
        self.mappings.get(found.unwrap()).unwrap()
    }

    /// What the request means, and that it may be.
    pub(crate) fn grant<'e>(&'e self, mapping: &Mapping) -> Grant<'e> {
        mapping.grant(&Method::GET, black_box(self.path), self.query, &self.fields).unwrap()
    }

    /// Writes its headers, path and query again.
    pub(crate) fn rebuild(&self, grant: Grant<'_>) -> Outgoing {
        let payload = Payload::classify(grant.spec(), &self.fields).unwrap();
        Outgoing::rebuild(grant, &self.fields, payload).unwrap()
    }

    /// Its signature.
    pub(crate) fn sign(&self, outgoing: &Outgoing) -> SignedRequest<NoBody> {
        resign(outgoing, NoBody, &self.session, &self.node, &AmzDate::new(black_box(self.now))).unwrap()
    }

    /// All of it: from the client to what is sent.
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
    Mapping { client, ..Mapping::of_scopes(&format!("mapping-{number}"), scopes) }
}

//! The library behind the `scopegate` command. Scopegate gives clients that cannot sign S3 requests access to exactly
//! their own part of a MinIO.
//!
//! ARCHITECTURE.md describes the layers. Decisions need neither a socket nor a clock, for example:
//!
//! ```
//! use http::Method;
//! use http1::Fields;
//! use scopegate::internals::{BucketName, Mapping, Prefix, Right, Rule, Scope};
//!
//! let rights = [Right::Read, Right::List].into_iter().collect();
//! let scope = Scope::new(BucketName::parse("tmp")?, Prefix::parse("media/")?, rights);
//! let mapping = Mapping::of_scopes("media-reader", vec![scope]);
//! let fields = Fields::default();
//!
//! let granted = mapping.grant(&Method::GET, "/tmp/media/a%20b", None, &fields).unwrap();
//! assert_eq!(granted.into_canonical().0, "/tmp/media/a%20b");
//!
//! let refused = mapping.grant(&Method::GET, "/tmp/media/%2e%2e/secret", None, &fields).unwrap_err();
//! assert_eq!(refused.rule, Rule::BadTarget);
//! # Ok::<(), &str>(())
//! ```

mod answer;
mod authenticate;
mod authorize;
mod bounds;
pub mod cli;
mod config;
mod identify;
mod mint;
mod net;
mod outgoing;
mod proxy;
mod refusal;
mod resign;
mod s3;
mod server;
mod sessions;
mod sigv4;
mod store;
mod telemetry;
mod trace;

/// Items that the tests, benches and fuzz targets of this repository use. They are not an API.
#[doc(hidden)]
pub mod internals {
    pub use crate::authorize::mapping::{Grant, Mapping};
    pub use crate::authorize::operations::grammar::{Dialect, Form};
    pub use crate::authorize::operations::{SessionKind, SessionPlan, Spec, TABLE};
    pub use crate::authorize::policy::SessionPolicy;
    pub use crate::authorize::rights::Right;
    pub use crate::authorize::scope::Scope;
    pub use crate::bounds::memory::{MemoryBudget, Payer, Share};
    pub use crate::config::{Config, ConfigError, Diagnostic, Environment, LogFormat, Place};
    pub use crate::identify::client::{Client, Connection, ListenerRegistry, PeerUser};
    pub use crate::identify::identity::{Identity, JwtIdentity, Names};
    pub use crate::identify::matcher::{
        CertificateCondition, ClaimCondition, ClaimTest, Condition, JwtCondition, MappingIndex, Matcher,
    };
    pub use crate::net::guarded::ReadError;
    pub use crate::outgoing::document::{Completion, Tagging};
    pub use crate::outgoing::multi_delete::Deletion;
    pub use crate::outgoing::payload::Payload;
    pub use crate::outgoing::request::Outgoing;
    pub use crate::refusal::{Refusal, Rule};
    pub use crate::resign::{Authority, SignedRequest, resign};
    pub use crate::s3::aws_chunked::{Decoder, Envelope, EnvelopeError};
    pub use crate::s3::checksum::{Algorithm, Checksum, Hasher};
    pub use crate::s3::names::{BucketName, Prefix, check_key};
    pub use crate::s3::operation::Operation;
    pub use crate::server::entrance::Entrance;
    pub use crate::sessions::session::{Minted, Session};
    pub use crate::sigv4::amz_date::AmzDate;
    pub use crate::sigv4::secret::{Credentials, Secret};
    pub use crate::store::judge::ABSENT_UPLOAD;
    pub use crate::telemetry::access::example::RecordedGet;
    #[cfg(feature = "otlp")]
    pub use crate::telemetry::traces::messages as otlp;
}

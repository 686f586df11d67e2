//! Scopegate gives clients that cannot sign S3 requests access to exactly their own part of a MinIO.
//!
//! This library contains everything that the `scopegate` command does. ARCHITECTURE.md describes it. Decisions need
//! neither a socket nor a clock, for example:
//!
//! ```
//! use http::Method;
//! use scopegate::http1::Fields;
//! use scopegate::authorize::mapping::Mapping;
//! use scopegate::refusal::Rule;
//! use scopegate::s3::names::{BucketName, Prefix};
//! use scopegate::authorize::rights::Right;
//! use scopegate::authorize::scope::Scope;
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

pub mod answer;
pub mod authorize;
pub mod bounds;
pub mod cli;
pub mod config;
pub mod identify;
pub mod mint;
pub mod net;
pub mod outgoing;
pub mod proxy;
pub mod refusal;
pub mod resign;
pub mod s3;
pub mod server;
pub mod sessions;
pub mod sigv4;
pub mod store;
pub mod telemetry;
pub mod trace;

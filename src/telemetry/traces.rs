//! Traces of requests for a collector of OpenTelemetry (OTLP over HTTP). A request hands its spans over without waiting;
//! one task sends them. A collector that is slow or gone costs spans, which are counted, and never a request.

#[cfg(not(feature = "otlp"))]
mod absent;
mod counts;
#[cfg(feature = "otlp")]
mod encode;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
pub mod messages;
#[cfg(feature = "otlp")]
mod outlet;
#[cfg(feature = "otlp")]
mod record;
#[cfg(feature = "otlp")]
mod sampler;
#[cfg(feature = "otlp")]
mod spans;
#[cfg(feature = "otlp")]
mod tracer;

#[cfg(not(feature = "otlp"))]
pub(crate) use absent::{Traced, Tracer};
pub(crate) use counts::TraceCounts;
#[cfg(feature = "otlp")]
pub(crate) use record::{Facts, Traced};
#[cfg(feature = "otlp")]
pub(crate) use tracer::Tracer;

//! Encodes the state of the keys of JWT issuers for Prometheus.

use super::samples::counter;
use crate::authenticate::jwt::{IssuerStatus, Issuers};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::time::SystemTime;

pub(super) fn encode_issuers(
    issuers: &Issuers,
    now: SystemTime,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let statuses: Vec<IssuerStatus> = issuers.statuses(now).collect();
    let help = "Attempts to read the keys of a JWT issuer, by result";
    let mut family = encoder.encode_descriptor("jwt_key_reads", help, None, MetricType::Counter)?;
    for IssuerStatus { name, ok, failed, .. } in &statuses {
        for (result, count) in [("ok", *ok), ("failed", *failed)] {
            counter(&mut family.encode_family(&[("issuer", &**name), ("result", result)])?, count)?;
        }
    }
    let help = "Time since the keys of a JWT issuer were last read";
    let mut family = encoder.encode_descriptor("jwt_key_age_seconds", help, None, MetricType::Gauge)?;
    for IssuerStatus { name, age, .. } in &statuses {
        if let Some(age) = age {
            let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            family.encode_family(&[("issuer", &**name)])?.encode_gauge(&seconds)?;
        }
    }
    let help = "Whether the tokens of a JWT issuer can be verified";
    let mut family = encoder.encode_descriptor("jwt_keys_usable", help, None, MetricType::Gauge)?;
    for IssuerStatus { name, is_usable, .. } in &statuses {
        family.encode_family(&[("issuer", &**name)])?.encode_gauge(&i64::from(*is_usable))?;
    }
    let help = "Whether the last attempt to read the keys of a JWT issuer succeeded";
    let mut family =
        encoder.encode_descriptor("jwt_keys_last_read_successful", help, None, MetricType::Gauge)?;
    for IssuerStatus { name, error, .. } in &statuses {
        family.encode_family(&[("issuer", &**name)])?.encode_gauge(&i64::from(error.is_none()))?;
    }
    Ok(())
}

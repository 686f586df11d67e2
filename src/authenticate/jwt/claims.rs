//! The claims that every token must have.

use super::settings::{Audience, JwtSettings};
use super::shown;
use crate::authenticate::failure::{Cause, Failure};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// The end of the year 9999. A later date was written in milliseconds.
const LAST: f64 = 253_402_300_799.0;

type Claims = Map<String, Value>;

/// Checks the claims of a token whose signature is verified. Returns when the token expires.
///
/// A claim of another type than the standard gives it is a mistake, and never the same as an absent claim.
///
/// # Errors
/// When the token is not for this service, not from its issuer, or not valid at `now`.
pub(super) fn check(claims: &Claims, settings: &JwtSettings, now: SystemTime) -> Result<SystemTime, Failure> {
    for name in ["sub", "jti"] {
        if claims.get(name).is_some_and(|value| !value.is_string()) {
            return Err(bad(format!("{name} is not a string")));
        }
    }
    check_issuer(claims, settings)?;
    check_audience(claims, &settings.audience)?;
    check_times(claims, settings, now)
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::wrong(Cause::BadClaim, detail)
}

fn check_issuer(claims: &Claims, settings: &JwtSettings) -> Result<(), Failure> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if **issuer == *settings.issuer => Ok(()),
        Some(Value::String(issuer)) => {
            let detail = format!("iss is {}, and {} is wanted", shown(issuer), shown(&settings.issuer));
            Err(Failure::wrong(Cause::UnknownIssuer, detail))
        }
        Some(_) => Err(bad("iss is not a string")),
        None => Err(bad("the token has no iss")),
    }
}

fn check_audience(claims: &Claims, wanted: &Audience) -> Result<(), Failure> {
    let found: Vec<&str> = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            let several: Option<Vec<&str>> = several.iter().map(Value::as_str).collect();
            several.ok_or_else(|| bad("aud contains something other than strings"))?
        }
        Some(_) => return Err(bad("aud is neither a string nor an array of strings")),
    };
    let is_present = claims.contains_key("aud");
    let detail = match wanted {
        Audience::None if !is_present => return Ok(()),
        Audience::AnyOf(names) if names.iter().any(|name| found.contains(&&**name)) => return Ok(()),
        Audience::None => {
            format!("aud is {}, and audience = \"none\" accepts tokens without aud", listed(&found))
        }
        Audience::AnyOf(names) => {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            let found = if is_present {
                format!("aud is {}", listed(&found))
            } else {
                "the token has no aud".to_owned()
            };
            format!("{found}, and {} is wanted", listed(&names))
        }
    };
    Err(Failure::wrong(Cause::Audience, detail))
}

fn listed(names: &[&str]) -> String {
    match names {
        [one] => shown(one),
        several => {
            let shown: Vec<String> = several.iter().take(10).map(|name| shown(name)).collect();
            format!("[{}]", shown.join(", "))
        }
    }
}

fn check_times(claims: &Claims, settings: &JwtSettings, now: SystemTime) -> Result<SystemTime, Failure> {
    let expires = date(claims, "exp")?.ok_or_else(|| bad("the token has no exp"))?;
    let (not_before, issued) = (date(claims, "nbf")?, date(claims, "iat")?);
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let leeway = settings.leeway.as_secs_f64();
    if since >= expires + leeway {
        let detail = format!("exp is {expires}, {} before now", ago(since - expires));
        return Err(Failure::wrong(Cause::Expired, detail));
    }
    for (name, date) in [("nbf", not_before), ("iat", issued)] {
        if let Some(date) = date
            && date > since + leeway
        {
            let detail = format!("{name} is {date}, {} after now: compare the clocks", ago(date - since));
            return Err(Failure::wrong(Cause::NotYetValid, detail));
        }
    }
    if let Some(longest) = settings.max_lifetime {
        let issued = issued.ok_or_else(|| bad("the token has no iat, which max_lifetime needs"))?;
        if expires - issued > longest.as_secs_f64() {
            let detail = format!(
                "the token lives for {}, and max_lifetime is {}",
                ago(expires - issued),
                ago(longest.as_secs_f64())
            );
            return Err(Failure::wrong(Cause::Lifetime, detail));
        }
    }
    let expires = Duration::try_from_secs_f64(expires).unwrap_or_default();
    Ok(SystemTime::UNIX_EPOCH.checked_add(expires).unwrap_or(now))
}

/// Returns a date, in seconds since 1970.
fn date(claims: &Claims, name: &str) -> Result<Option<f64>, Failure> {
    let value = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(_) => return Err(bad(format!("{name} is not a number"))),
    };
    match value.filter(|date| (0.0..=LAST).contains(date)) {
        Some(date) => Ok(Some(date)),
        None => Err(bad(format!("{name} is not a time in seconds since 1970"))),
    }
}

fn ago(seconds: f64) -> String {
    format!("{seconds:.0} s")
}

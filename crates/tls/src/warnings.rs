//! What an operator must know although TLS works.

use crate::clients::Clients;
use crate::key_pair::CertificateInfo;
use crate::problem::Problem;
use crate::server::ServerTls;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);
/// The time before its end at which a certificate should have been renewed. A shorter one for short lives: a third.
const RENEWAL: Duration = Duration::from_hours(21 * 24);
/// The time before its end at which a revocation list should have been replaced.
const REPLACEMENT: Duration = DAY;

impl ServerTls {
    /// Returns what an operator must know although TLS works: what has expired or will soon, and what clients will refuse.
    pub fn warnings(&self, now: SystemTime) -> Vec<Problem> {
        let mut warnings = self.oddities.clone();
        warnings.extend(self.certificates.iter().filter_map(|certificate| check_validity(certificate, now)));
        warnings.extend(find_twins(&self.certificates));
        if let Some(clients) = &self.clients {
            warnings.extend(check_clients(clients, now));
        }
        warnings
    }
}

pub(crate) fn check_validity(certificate: &CertificateInfo, now: SystemTime) -> Option<Problem> {
    let CertificateInfo { file, not_before, not_after, .. } = certificate;
    if now < *not_before {
        let what = format!("is not valid before {} from now", in_days(*not_before, now));
        return Some(Problem::new(file, what, "check the clock, or use the former certificate until then"));
    }
    let life = not_after.duration_since(*not_before).unwrap_or_default();
    let margin = RENEWAL.min(life / 3);
    let help = "renew it, and replace the files: they are read again when they change";
    expires(file, "", *not_after, now, margin, help)
}

/// Returns the problem of what ends, or has ended, at `end`.
fn expires(
    file: &Path,
    subject: &str,
    end: SystemTime,
    now: SystemTime,
    margin: Duration,
    help: &str,
) -> Option<Problem> {
    let what = if end <= now {
        format!("{subject}expired {} ago", in_days(now, end))
    } else if end <= now + margin {
        format!("{subject}expires in {}", in_days(end, now))
    } else {
        return None;
    };
    Some(Problem::new(file, what, help))
}

/// Returns the time from `earlier` to `later`, in whole days, or hours if it is short.
fn in_days(later: SystemTime, earlier: SystemTime) -> String {
    let span = later.duration_since(earlier).unwrap_or_default();
    let (count, unit) = if span < 2 * DAY {
        (span.as_secs() / 3600, "hour")
    } else {
        (span.as_secs() / DAY.as_secs(), "day")
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Finds names that two certificates with the same kind of key list. The second is never used for them.
fn find_twins(certificates: &[CertificateInfo]) -> Vec<Problem> {
    let mut twins = Vec::new();
    for (position, later) in certificates.iter().enumerate() {
        for earlier in certificates.iter().take(position).filter(|earlier| earlier.key_type == later.key_type)
        {
            if let Some(name) = later.names.iter().find(|name| earlier.names.contains(name)) {
                let what = format!("lists {name}, as does {}, which is used for it", earlier.file.display());
                let help = "leave one of them out, or use different kinds of keys";
                twins.push(Problem::new(&later.file, what, help));
            }
        }
    }
    twins
}

fn check_clients(clients: &Clients, now: SystemTime) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for authority in &clients.authorities {
        let subject = format!("holds the authority {}, which ", authority.name);
        let help =
            "add its successor; client certificates of an authority are accepted as long as it is named here";
        warnings.extend(expires(&authority.file, &subject, authority.not_after, now, RENEWAL, help));
        let has_list = clients.revocations.iter().any(|list| list.issuer == authority.name);
        if !authority.is_authority {
            let what = format!("holds {}, which is not the certificate of an authority", authority.name);
            let help = "name the authority that issues the client certificates";
            warnings.push(Problem::new(&authority.file, what, help));
        } else if !has_list && !clients.revocations.is_empty() {
            let what = format!("holds the authority {}, which has no revocation list here", authority.name);
            let help = "add its list: without it, no certificate that this authority issued is accepted";
            warnings.push(Problem::new(&authority.file, what, help));
        }
    }
    for list in &clients.revocations {
        let subject = format!("holds the revocation list of {}, which ", list.issuer);
        let help = "fetch the next one: past that time no certificate of this authority is accepted";
        warnings.extend(expires(&list.file, &subject, list.next_update, now, REPLACEMENT, help));
    }
    warnings
}

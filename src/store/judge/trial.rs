//! Trials: requests that show whether a session works. Its mapping grants them, and they change nothing.

use super::Reply;
use crate::authorize::list_uploads::Listing;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::SessionKind;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use crate::outgoing::payload::Payload;
use crate::outgoing::request::Outgoing;
use crate::s3::error as s3_error;
use crate::sessions::table::Verdict;
use http::Method;
use http1::Fields;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// An upload id in MinIO's form that belongs to no upload: all of its numbers are zero.
pub const ABSENT_UPLOAD: &str =
    "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

/// A request that a session is tried with.
#[derive(Debug)]
pub(crate) struct Trial {
    outgoing: Outgoing,
    proves: Proves,
}

/// What the denial of a trial proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proves {
    /// The issuer may not do what the mapping grants.
    Denial,
    /// The session lives. Its own policy may deny the trial. AWS also denies a missing key to clients that may not
    /// list.
    Life,
}

impl Trial {
    /// Makes the trial of this kind of session, if its mapping grants anything to try.
    pub(crate) fn of_kind(kind: SessionKind, mapping: &Mapping) -> Option<Self> {
        match kind {
            SessionKind::Uploads => Self::of_uploads(mapping),
            _ => Self::of_scopes(kind, mapping).or_else(|| Self::of_life(mapping)),
        }
    }

    /// Lists the uploads of one key, which costs the store little.
    fn of_uploads(mapping: &Mapping) -> Option<Self> {
        let outgoing = mapping.scopes.iter().find_map(|scope| list_of_no_uploads(mapping, scope))?;
        Some(Self { outgoing, proves: Proves::Denial })
    }

    /// Makes a trial of a request that a scope grants and that this kind of session signs, if there is one.
    fn of_scopes(kind: SessionKind, mapping: &Mapping) -> Option<Self> {
        // These can also read objects: for the sources of copies, for attributes, and for versions. Tags show nothing,
        // because MinIO looks for their object before it judges the request.
        let also_reads = |scope: &Scope| match kind {
            SessionKind::Copy | SessionKind::Other => true,
            SessionKind::Versions => scope.allow.has(Right::Versions),
            _ => false,
        };
        mapping.scopes.iter().find_map(|scope| {
            let of_row = |row| kind.signs(row) || (row == SessionKind::Get && also_reads(scope));
            let granted = harmless(scope)
                .into_iter()
                .filter_map(|(method, target)| outgoing(mapping, &method, &target));
            let outgoing = granted.into_iter().find(|outgoing| outgoing.session().is_some_and(of_row))?;
            let is_clear = scope.allow.has(Right::List) || mapping.dialect == Dialect::Minio;
            Some(Self { outgoing, proves: if is_clear { Proves::Denial } else { Proves::Life } })
        })
    }

    /// Makes a trial that shows only whether the session lives: a read, which its policy denies. Whatever the session can
    /// do would change something.
    fn of_life(mapping: &Mapping) -> Option<Self> {
        let first = mapping.scopes.first()?;
        let read = Rights::default().with(Right::Read);
        let scope = Scope::new(first.bucket.clone(), first.prefix.clone(), read);
        let [(method, target), ..] = harmless(&scope);
        let reading = Mapping { dialect: mapping.dialect, ..Mapping::of_scopes(&mapping.name, vec![scope]) };
        let outgoing = outgoing(&reading, &method, &target)?;
        Some(Self { outgoing, proves: Proves::Life })
    }

    /// Returns the request.
    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Judges the response.
    pub(super) fn verdict(&self, reply: Reply) -> Verdict {
        let proves_denial = self.proves == Proves::Denial;
        match reply.code {
            Some(code) if s3_error::is_dead_session(&code) => Verdict::Dead,
            Some(code) if code == s3_error::ACCESS_DENIED && !proves_denial => Verdict::Works,
            Some(code) if s3_error::is_denial(&code) => Verdict::Denied(code.into()),
            None if reply.status == 403 && proves_denial => Verdict::Denied("403".into()),
            _ if reply.status >= 500 => Verdict::Unknown,
            _ => Verdict::Works,
        }
    }
}

/// Returns requests in a scope that change nothing and cost the store little, a read first.
fn harmless(scope: &Scope) -> [(Method, String); 6] {
    let (base, prefix) = place(scope);
    // The store checks the right to list and looks for no key.
    let list_of_nothing = format!("max-keys=0&prefix={}", utf8_percent_encode(prefix, NON_ALPHANUMERIC));
    let absent = format!("{base}/{}", absent(prefix));
    // Its parts are listed, or it is completed.
    let absent_upload = format!("{absent}?uploadId={ABSENT_UPLOAD}");
    [
        (Method::GET, absent),
        (Method::GET, format!("{base}/?location")),
        (Method::GET, format!("{base}/?list-type=2&{list_of_nothing}")),
        (Method::GET, format!("{base}/?versions&{list_of_nothing}")),
        (Method::GET, absent_upload.clone()),
        (Method::POST, absent_upload),
    ]
}

/// Returns a request for the uploads of a key that has none, if the scope grants such lists.
pub(crate) fn list_of_no_uploads(mapping: &Mapping, scope: &Scope) -> Option<Outgoing> {
    let (base, prefix) = place(scope);
    let (fields, path) = (Fields::default(), format!("{base}/"));
    let query = format!("uploads&prefix={}", absent(prefix));
    let grant = mapping.grant(&Method::GET, &path, Some(&query), &fields).ok()?;
    // The last question asks about this key only.
    let listing = Listing::new(mapping, &grant);
    let question = listing.questions().pop()?;
    Some(Outgoing::list_of_uploads(&listing, &question))
}

/// Returns a scope's path and the prefix of its keys as clients write them: at its mount, if it has one.
fn place(scope: &Scope) -> (String, &str) {
    let (base, prefix) = match &scope.view {
        Some(view) => (view.mount().as_str().trim_matches('/'), ""),
        None => (scope.bucket.as_str(), scope.prefix.as_str()),
    };
    (if base.is_empty() { String::new() } else { format!("/{base}") }, prefix)
}

/// Returns a key below a prefix that belongs to no object, percent-encoded.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::names::{BucketName, Prefix};

    const OBJECT: &str = "/tmp/media/scopegate-check-";

    fn trial(kind: SessionKind, rights: &[Right], dialect: Dialect) -> Trial {
        let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse("media/").unwrap());
        let scope = Scope::new(bucket, prefix, rights.iter().copied().collect());
        Trial::of_kind(kind, &Mapping { dialect, ..Mapping::of_scopes("m", vec![scope]) }).unwrap()
    }

    #[test]
    fn each_kind_is_tried_with_what_it_signs() {
        for (kind, method, path, query, proves) in [
            (SessionKind::Get, Method::GET, OBJECT, "", Proves::Denial),
            (
                SessionKind::List,
                Method::GET,
                "/tmp",
                "list-type=2&max-keys=0&prefix=media%2F",
                Proves::Denial,
            ),
            (SessionKind::Bucket, Method::GET, "/tmp", "location=", Proves::Denial),
            (SessionKind::Versions, Method::GET, OBJECT, "", Proves::Denial),
            (SessionKind::Put, Method::POST, OBJECT, "uploadId=", Proves::Denial),
            (SessionKind::Copy, Method::GET, OBJECT, "", Proves::Denial),
            (SessionKind::Other, Method::GET, OBJECT, "", Proves::Denial),
            (SessionKind::Delete, Method::GET, OBJECT, "", Proves::Life),
            (SessionKind::Uploads, Method::GET, "/tmp", "", Proves::Denial),
        ] {
            let Trial { outgoing, proves: proved } = trial(kind, &Right::ALL, Dialect::Minio);
            assert_eq!((outgoing.method(), proved), (&method, proves), "{kind}");
            assert!(outgoing.path().starts_with(path), "{kind}: {}", outgoing.path());
            assert!(outgoing.query().starts_with(query), "{kind}: {}", outgoing.query());
        }
        let versions = trial(SessionKind::Versions, &[Right::List, Right::Versions], Dialect::Minio);
        assert_eq!(versions.outgoing.query(), "max-keys=0&prefix=media%2F&versions=");
        let parts = trial(SessionKind::Other, &[Right::Write], Dialect::Minio);
        assert!(parts.outgoing.query().starts_with("uploadId="), "{}", parts.outgoing.query());
    }

    /// A session for versions reads nothing in a scope without the right to versions.
    #[test]
    fn versions_are_tried_where_the_session_may_read() {
        let scope = |prefix: &str, rights: &[Right]| {
            let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse(prefix).unwrap());
            Scope::new(bucket, prefix, rights.iter().copied().collect())
        };
        let scopes = vec![scope("plain/", &[Right::Read]), scope("old/", &[Right::Read, Right::Versions])];
        let trial = Trial::of_kind(SessionKind::Versions, &Mapping::of_scopes("m", scopes)).unwrap();
        assert!(trial.outgoing.path().starts_with("/tmp/old/"), "{}", trial.outgoing.path());
    }

    #[test]
    fn every_mapping_has_a_trial_that_changes_nothing() {
        for (rights, path, query, at_minio, elsewhere) in [
            (&[Right::Read, Right::List][..], OBJECT, "", Proves::Denial, Proves::Denial),
            (&[Right::Read, Right::Write], OBJECT, "", Proves::Denial, Proves::Life),
            (&[Right::List, Right::Write], "/tmp", "location=", Proves::Denial, Proves::Denial),
            (&[Right::Write], OBJECT, "uploadId=", Proves::Denial, Proves::Life),
            (&[Right::Delete], OBJECT, "", Proves::Life, Proves::Life),
        ] {
            for (dialect, proves) in [(Dialect::Minio, at_minio), (Dialect::S3, elsewhere)] {
                let trial = trial(SessionKind::All, rights, dialect);
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
        let reply = |status, code: &str| {
            let code = Some(code.to_owned()).filter(|code| !code.is_empty());
            Reply { status, code }
        };
        let [denial, life] =
            [Right::Read, Right::Delete].map(|right| trial(SessionKind::All, &[right], Dialect::Minio));
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
            assert_eq!(denial.verdict(reply(status, code)), where_denied, "{code}");
            assert_eq!(life.verdict(reply(status, code)), where_alive, "{code}");
        }
    }
}

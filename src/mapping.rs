//! Mappings: which client gets which scopes, and the decision on a request.

use crate::client::{Client, Matcher};
use crate::operation::{Operation, Spec, Unknown};
use crate::policy::SessionPolicy;
use crate::refusal::{Refusal, Rule};
use crate::scope::{IndexName, Right, Rights, Scope, check_segments};
use crate::target::{BadTarget, CopySource, Query, Resource};
use http::{HeaderMap, Method};
use std::time::Duration;

/// When a mapping's session is minted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MintWhen {
    /// When the first request needs it; refreshed as long as it is used.
    #[default]
    Lazy,
    /// When the proxy starts; refreshed always.
    Start,
}

/// A client's scopes and the session they share.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name.
    pub name: Box<str>,
    /// Who is meant.
    pub client: Matcher,
    /// What they get.
    pub scopes: Vec<Scope>,
    /// The policy that cuts the session down to the scopes.
    pub policy: SessionPolicy,
    /// How long a session is asked for.
    pub duration: Duration,
    /// When it is minted.
    pub mint: MintWhen,
}

/// The first mapping that admits `client`.
pub fn find<'m>(mappings: &'m [Mapping], client: &Client) -> Option<(usize, &'m Mapping)> {
    mappings.iter().enumerate().find(|(_, mapping)| mapping.client.admits(client))
}

/// A request that a mapping allows. Only [`Mapping::grant`] makes one, and only of this can a request to the
/// store be made.
#[derive(Debug)]
pub struct Grant<'r> {
    spec: &'static Spec,
    resource: Resource<'r>,
    query: Query<'r>,
    copy_source: Option<CopySource<'r>>,
    max_size: Option<u64>,
}

impl<'r> Grant<'r> {
    /// The operation's row.
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// The operation.
    pub fn operation(&self) -> Operation {
        self.spec.operation
    }

    /// What is addressed.
    pub fn resource(&self) -> &Resource<'r> {
        &self.resource
    }

    /// The most that its body may hold, where the scopes bound that; for a body whose length is not known before it
    /// ends.
    pub fn max_object_size(&self) -> Option<u64> {
        self.max_size
    }

    /// Whether the scopes take a body of so many bytes.
    ///
    /// # Errors
    /// When it is larger than their `max_object_size`.
    pub fn check_size(&self, bytes: u64) -> Result<(), Refusal> {
        check_size(bytes, self.max_size)
    }

    /// The copy's source, spelled canonically.
    pub fn copy_source(&self) -> Option<String> {
        self.copy_source.as_ref().map(CopySource::canonical)
    }

    /// Path and query as they are to be signed and sent.
    pub fn into_canonical(self) -> (String, String) {
        (self.resource.canonical_path(), self.query.canonical())
    }
}

/// Whether a body of so many bytes, or of which so many have come, is within `most`.
pub(crate) fn check_size(bytes: u64, most: Option<u64>) -> Result<(), Refusal> {
    match most {
        Some(most) if bytes > most => {
            let message =
                format!("an upload here is at most {most} bytes (max_object_size), this one has {bytes}");
            Err(Refusal::new(Rule::TooLarge, message))
        }
        _ => Ok(()),
    }
}

impl Mapping {
    /// A mapping of these scopes that matches every client, with a session of 15 minutes.
    pub fn of_scopes(name: &str, scopes: Vec<Scope>) -> Self {
        let policy = SessionPolicy::compile(&scopes);
        let (client, mint) = (Matcher::default(), MintWhen::Lazy);
        Self { name: name.into(), client, scopes, policy, duration: Duration::from_mins(15), mint }
    }

    /// Whether any of its scopes has an index.
    pub fn has_index(&self) -> bool {
        self.scopes.iter().any(|scope| scope.index.is_some())
    }

    /// The name of the index of a folder.
    pub fn index(&self, bucket: &str, prefix: &str) -> Option<&str> {
        let here = |scope: &&Scope| scope.bucket.as_str() == bucket && scope.prefix.covers(prefix);
        self.scopes.iter().filter(here).find_map(|scope| scope.index.as_ref()).map(IndexName::as_str)
    }

    /// Decides on a request: what it means, and whether one of the scopes allows that.
    ///
    /// # Errors
    /// The refusal, which names the rule.
    pub fn grant<'r>(
        &self,
        method: &Method,
        path: &'r str,
        query: Option<&'r str>,
        headers: &'r HeaderMap,
    ) -> Result<Grant<'r>, Refusal> {
        let bad_target = |BadTarget(why)| Refusal::new(Rule::BadTarget, why);
        let resource = Resource::parse(path).map_err(bad_target)?;
        self.check_bucket(&resource)?;
        let query = Query::parse(query).map_err(bad_target)?;
        let copy_source = copy_source(headers)?;
        let spec = Spec::find(method, &resource, &query, copy_source.is_some())
            .map_err(|unknown| refuse_unknown(method, &unknown))?;
        let max_size = self.check_scope(spec, &resource, &query)?;
        if let Some(source) = &copy_source {
            self.check_copy_source(source)?;
        }
        Ok(Grant { spec, resource, query, copy_source, max_size })
    }

    fn check_bucket(&self, resource: &Resource<'_>) -> Result<(), Refusal> {
        match resource.bucket() {
            Some(bucket) if self.scopes.iter().any(|scope| scope.bucket.as_str() == bucket) => Ok(()),
            Some(_) => Err(self.outside("this bucket")),
            None => Err(self.outside("the list of buckets")),
        }
    }

    /// Whether a scope allows the operation; with the largest upload that one of those takes, if all have a bound.
    fn check_scope(
        &self,
        spec: &Spec,
        resource: &Resource<'_>,
        query: &Query<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let needs = spec.rights(query);
        let bucket = resource.bucket().unwrap_or_default();
        let named = named_key(spec, resource, query)?;
        let mut within = self
            .scopes
            .iter()
            .filter(|scope| {
                scope.bucket.as_str() == bucket && named.is_none_or(|key| scope.prefix.covers(key))
            })
            .peekable();
        if within.peek().is_none() {
            return Err(self.outside(match (resource, named) {
                (Resource::Bucket(_), Some("")) => "the whole bucket: ask for a prefix, as in ?prefix=media/",
                (Resource::Bucket(_), _) => "this prefix",
                _ => "this key",
            }));
        }
        let allowing = within.filter(|scope| scope.allow.has_all(needs));
        if let Some(most) = allowing.map(|scope| scope.max_object_size.unwrap_or(u64::MAX)).max() {
            return Ok((most < u64::MAX).then_some(most));
        }
        Err(Refusal::new(
            Rule::RightNotGranted,
            format!("mapping {:?} does not grant {}, which needs: {needs}", self.name, spec.operation.name()),
        ))
    }

    fn check_copy_source(&self, source: &CopySource<'_>) -> Result<(), Refusal> {
        let read = Rights::default().with(Right::Read);
        let needs = if source.version_id.is_some() { read.with(Right::Versions) } else { read };
        let (bucket, key) = (source.resource.bucket(), source.resource.key().unwrap_or_default());
        let allowed = self.scopes.iter().any(|scope| {
            Some(scope.bucket.as_str()) == bucket && scope.prefix.covers(key) && scope.allow.has_all(needs)
        });
        if allowed {
            return Ok(());
        }
        let message = format!(
            "mapping {:?} does not grant to read the source of the copy, which needs: {needs}",
            self.name
        );
        Err(Refusal::new(Rule::CopySource, message))
    }

    fn outside(&self, what: &str) -> Refusal {
        Refusal::new(Rule::OutsideScope, format!("mapping {:?} does not cover {what}", self.name))
    }
}

/// The key, or the beginning of keys, that must lie in a scope; `None` where the bucket alone is asked about.
fn named_key<'q>(
    spec: &Spec,
    resource: &'q Resource<'_>,
    query: &'q Query<'_>,
) -> Result<Option<&'q str>, Refusal> {
    if !spec.operation.lists() {
        return Ok(resource.key());
    }
    let prefix = query.get("prefix").unwrap_or_default();
    check_segments(prefix).map_err(|why| Refusal::new(Rule::BadTarget, format!("prefix: {why}")))?;
    Ok(Some(prefix))
}

fn copy_source(headers: &HeaderMap) -> Result<Option<CopySource<'_>>, Refusal> {
    let mut values = headers.get_all("x-amz-copy-source").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |why| Refusal::new(Rule::BadHeader, why);
    if values.next().is_some() {
        return Err(bad("x-amz-copy-source is given twice"));
    }
    let text = value.to_str().map_err(|_| bad("x-amz-copy-source is not percent-encoded ASCII"))?;
    CopySource::parse(text).map(Some).map_err(|BadTarget(why)| bad(why))
}

fn refuse_unknown(method: &Method, unknown: &Unknown) -> Refusal {
    match unknown {
        // A preflight is answered only where CORS is configured; S3 answers 403 as well.
        Unknown::Operation if *method == Method::OPTIONS => {
            Refusal::new(Rule::RightNotGranted, "cross-origin requests are not allowed here")
        }
        Unknown::Operation => Refusal::new(Rule::UnknownOperation, "this operation is not supported"),
        Unknown::Query(name) => {
            let shown: String = name.chars().take(64).collect();
            Refusal::new(Rule::UnknownQuery, format!("the query parameter {shown:?} is not supported here"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ListenerId;
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake};
    use http::HeaderValue;
    use proptest::prelude::*;

    /// `tmp/media/` with read and list, and `tmp/inbox/` with write.
    fn mapping() -> Mapping {
        let more = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"write\"]\n";
        Config::parse(&format!("{EXAMPLE}{more}"), &Fake).unwrap().mappings.remove(0)
    }

    fn decide(method: &Method, target: &str, source: Option<&str>) -> Result<(), Rule> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        if let Some(source) = source {
            headers.insert("x-amz-copy-source", HeaderValue::from_str(source).unwrap());
        }
        mapping().grant(method, path, query, &headers).map(|_| ()).map_err(|refusal| refusal.rule)
    }

    #[test]
    fn each_refusal_names_its_rule() {
        let cases = [
            (Method::GET, "/tmp/media/a", Ok(())),
            (Method::PUT, "/tmp/inbox/a", Ok(())),
            (Method::GET, "/tmp?prefix=media/", Ok(())),
            (Method::GET, "/tmp?location", Ok(())),
            (Method::GET, "/tmp/other/a", Err(Rule::OutsideScope)),
            (Method::GET, "/other/media/a", Err(Rule::OutsideScope)),
            (Method::GET, "/", Err(Rule::OutsideScope)),
            (Method::POST, "/", Err(Rule::OutsideScope)),
            (Method::OPTIONS, "/", Err(Rule::OutsideScope)),
            (Method::GET, "/minio/health/live", Err(Rule::OutsideScope)),
            (Method::GET, "/minio/admin/v3/accountinfo?x=1", Err(Rule::OutsideScope)),
            (Method::GET, "/tmp", Err(Rule::OutsideScope)),
            (Method::GET, "/tmp?prefix=med", Err(Rule::OutsideScope)),
            (Method::GET, "/tmp?prefix=inbox/", Err(Rule::RightNotGranted)),
            (Method::GET, "/tmp/inbox/a", Err(Rule::RightNotGranted)),
            (Method::PUT, "/tmp/media/a", Err(Rule::RightNotGranted)),
            (Method::DELETE, "/tmp/inbox/a", Err(Rule::RightNotGranted)),
            (Method::GET, "/tmp/media/a?versionId=1", Err(Rule::RightNotGranted)),
            (Method::OPTIONS, "/tmp/media/a", Err(Rule::RightNotGranted)),
            (Method::GET, "/tmp/media/../a", Err(Rule::BadTarget)),
            (Method::GET, "/tmp?prefix=media/../", Err(Rule::BadTarget)),
            (Method::POST, "/tmp/media/a?delete", Err(Rule::UnknownOperation)),
            (Method::GET, "/tmp/media/a?acl", Err(Rule::UnknownQuery)),
        ];
        for (method, target, expected) in cases {
            assert_eq!(decide(&method, target, None), expected, "{method} {target}");
        }
        for (source, expected) in [
            ("/tmp/media/a", Ok(())),
            ("/tmp/inbox/a", Err(Rule::CopySource)),
            ("/tmp/other/a", Err(Rule::CopySource)),
            ("/tmp/media/a?versionId=1", Err(Rule::CopySource)),
            ("/tmp/media/../other/a", Err(Rule::BadHeader)),
        ] {
            assert_eq!(decide(&Method::PUT, "/tmp/inbox/b", Some(source)), expected, "{source}");
        }
    }

    #[test]
    fn scopes_bound_the_size_of_uploads() {
        let bounded = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\nallow = [\"write\"]\nmax_object_size = \"1KiB\"\n";
        let wider = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/large/\"\nallow = [\"write\"]\n";
        let mapping = Config::parse(&format!("{EXAMPLE}{bounded}{wider}"), &Fake).unwrap().mappings.remove(0);
        let headers = HeaderMap::new();
        let fits = |path, bytes| {
            let grant = mapping.grant(&Method::PUT, path, None, &headers).unwrap();
            grant.check_size(bytes).map_err(|refusal| refusal.rule)
        };
        assert_eq!(fits("/tmp/inbox/a", 1024), Ok(()));
        assert_eq!(fits("/tmp/inbox/a", 1025), Err(Rule::TooLarge));
        assert_eq!(fits("/tmp/inbox/large/a", u64::MAX), Ok(()), "both scopes allow it, one without a bound");
    }

    #[test]
    fn the_first_mapping_that_matches_wins() {
        let mappings = [mapping(), mapping()];
        let here = Client::identify("127.0.0.1".parse().ok(), ListenerId(0));
        assert_eq!(find(&mappings, &here).map(|(index, _)| index), Some(0));
        let there = Client::identify("10.0.0.1".parse().ok(), ListenerId(0));
        assert!(find(&mappings, &there).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// For any target at all: a refusal, or a request that decodes to a key in scope, and to the one decided on.
        #[test]
        fn what_is_sent_is_in_scope(target in prop_oneof![
            "/(tmp|other|%74mp)(/|%2f|//)(media|inbox|other|%6dedia|\\.\\.|%2e%2e|\\.)(/|%2F|%5c|\\\\)[a-z%./]{0,12}(\\?[a-z=&/%.]{0,20})?",
            "\\PC{0,60}",
        ], verb in 0..4_usize) {
            let method = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE][verb].clone();
            let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
            let headers = HeaderMap::new();
            let mapping = mapping();
            if let Ok(grant) = mapping.grant(&method, path, query, &headers) {
                let decided = grant.resource().clone();
                let named = grant.query.get("prefix").map(str::to_owned);
                let operation = grant.operation();
                let (sent, _) = grant.into_canonical();
                let decoded = Resource::parse(&sent);
                prop_assert_eq!(decoded.as_ref(), Ok(&decided));
                prop_assert_eq!(decided.bucket(), Some("tmp"));
                let key = if operation.lists() { named.as_deref() } else { decided.key() };
                let within = key.is_none_or(|key| key.starts_with("media/") || key.starts_with("inbox/"));
                prop_assert!(within, "{operation:?} {sent}");
            }
        }
    }
}

//! Mappings: which client gets which scopes, and the decision on a request.

mod methods;

use crate::authorize::homes::{HomeScope, Homes};
use crate::authorize::mount::View;
use crate::authorize::operations::grammar::{Dialect, Grammar};
use crate::authorize::operations::values::{Quote, refuse};
use crate::authorize::operations::{SessionKind, SessionPlan, Spec, is_read_parameter, is_subresource};
use crate::authorize::policy::SessionPolicy;
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use crate::authorize::template::Values;
use crate::identify::browser::{Cors, check_overrides};
use crate::identify::client::Client;
use crate::identify::matcher::Matcher;
use crate::refusal::{Refusal, Rule};
use crate::s3::names::{IndexName, Prefix, check_key, check_segments};
use crate::s3::operation::Operation;
use crate::s3::target::{BadTarget, CopySource, Query, Resource, Spelling, decode_path};
use http::{HeaderName, Method};
use http1::{Fields, visible};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The header that names the source of a copy.
pub(crate) const X_AMZ_COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

/// When a mapping's sessions are minted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MintWhen {
    /// When the first request needs it; refreshed as long as it is used.
    #[default]
    Lazy,
    /// The common ones when the proxy starts; refreshed always.
    Start,
}

/// A client's scopes, and how sessions for them are minted.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The name.
    pub name: Box<str>,
    /// Selects the clients that the mapping applies to.
    pub client: Arc<Matcher>,
    /// The scopes that they get. Empty if each identity gets `Homes` instead.
    pub scopes: Vec<Scope>,
    /// How its operations are divided among sessions.
    pub sessions: SessionPlan,
    /// The requested duration of a session.
    pub duration: Duration,
    /// When the sessions are minted.
    pub mint: MintWhen,
    /// The kind of store that the requests go to.
    pub dialect: Dialect,
    /// What pages of other origins may do: nothing if it is absent.
    pub cors: Option<Box<Cors>>,
    /// Whether caches may keep responses as their own `Cache-Control` says, although the mapping knows its clients by more
    /// than their addresses.
    pub shared_cache: bool,
    /// The scopes of each identity, if prefixes contain parts of it.
    pub homes: Option<Arc<Homes>>,
}

/// Returns the first mapping that admits `client`, with its position.
pub(crate) fn find<'m>(mappings: &'m [Mapping], client: &Client<'_>) -> Option<(usize, &'m Mapping)> {
    mappings.iter().enumerate().find(|(_, mapping)| mapping.client.admits(client))
}

/// A request that a mapping allows. Only [`Mapping::grant`] makes one, and requests to the store are made from grants
/// only.
#[derive(Clone, Debug)]
pub struct Grant<'r> {
    spec: &'static Spec,
    needs: Rights,
    resource: Resource<'r>,
    query: Query<'r>,
    copy_source: Option<CopySource<'r>>,
    allowed: Allowed,
    dialect: Dialect,
    view: Option<Arc<View>>,
}

/// The limits of the scopes that grant a request.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    /// The largest upload in bytes, if there is a bound.
    max_size: Option<u64>,
    /// Whether old versions may be reached, and so be lost.
    versions: bool,
}

impl<'r> Grant<'r> {
    /// Returns the operation's row.
    pub fn spec(&self) -> &'static Spec {
        self.spec
    }

    /// Returns the operation.
    pub fn operation(&self) -> Operation {
        self.spec.operation
    }

    /// Returns the rights that the request required and the mapping grants.
    pub fn needs(&self) -> Rights {
        self.needs
    }

    /// Returns the rights that the source of a copy required, if the request is a copy.
    pub fn source_needs(&self) -> Option<Rights> {
        let (row, source) = self.spec.source.zip(self.copy_source.as_ref())?;
        Some(source_needs(row, source))
    }

    /// Returns what the client sees instead of bucket and prefix, if the path lies below a mount.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// Returns the query, with prefix and markers as the store knows them.
    pub fn query(&self) -> &Query<'r> {
        &self.query
    }

    /// Returns the resource, as the store knows it.
    pub fn resource(&self) -> &Resource<'r> {
        &self.resource
    }

    /// Returns the largest body that the scopes allow, for a body whose length is unknown before its end.
    pub fn max_object_size(&self) -> Option<u64> {
        self.allowed.max_size
    }

    /// Checks a body's length against the scopes.
    ///
    /// # Errors
    /// When it is larger than their `max_object_size`.
    pub fn check_size(&self, bytes: u64) -> Result<(), Refusal> {
        check_size(bytes, self.allowed.max_size)
    }

    /// Checks that a key that ends in `/` gets no content. MinIO keeps such objects outside of versioning and object
    /// lock, so an overwrite could not be undone. Empty folder objects are allowed.
    ///
    /// `is_empty` says whether the request's body is known to be empty.
    ///
    /// # Errors
    /// When content would be written there without the right `versions`.
    pub fn check_folder(&self, is_empty: bool) -> Result<(), Refusal> {
        let is_folder = |key: Option<&str>| key.is_some_and(|key| key.ends_with('/'));
        if self.allowed.versions || !is_folder(self.resource.key()) {
            return Ok(());
        }
        let holds_content = match self.operation() {
            Operation::PutObject => !is_empty,
            Operation::CopyObject => {
                !is_folder(self.copy_source.as_ref().and_then(|source| source.resource.key()))
            }
            Operation::CreateMultipartUpload => true,
            _ => false,
        };
        if !holds_content {
            return Ok(());
        }
        let why = "the key ends in '/', where MinIO keeps no versions: only an empty object can be written there, \
                   or choose a key without the slash";
        Err(Refusal::new(Rule::BadArgument, why))
    }

    /// Returns the kind of store that the request goes to.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the copy's source, spelled canonically.
    pub fn copy_source(&self) -> Option<String> {
        self.copy_source.as_ref().map(CopySource::canonical)
    }

    /// Returns path and query of a copy's source, spelled canonically.
    pub fn copy_source_target(&self) -> Option<(String, String)> {
        let CopySource { resource, version_id } = self.copy_source.as_ref()?;
        let mut query = Query::default();
        if let Some(version_id) = version_id {
            query.set("versionId", version_id.to_string());
        }
        Some((resource.canonical_path(), query.canonical()))
    }

    /// Returns the same grant without borrows from the request.
    pub fn into_owned(self) -> Grant<'static> {
        Grant {
            spec: self.spec,
            needs: self.needs,
            resource: self.resource.into_owned(),
            query: self.query.into_owned(),
            copy_source: self.copy_source.map(CopySource::into_owned),
            allowed: self.allowed,
            dialect: self.dialect,
            view: self.view,
        }
    }

    /// Returns path and query as they are signed and sent.
    pub fn into_canonical(self) -> (String, String) {
        (self.resource.canonical_path(), self.query.canonical())
    }
}

/// Checks a body's length (announced, or received so far) against `most`.
pub(crate) fn check_size(bytes: u64, most: Option<u64>) -> Result<(), Refusal> {
    match most {
        Some(most) if bytes > most => {
            let message = format!("the scope allows objects of at most {most} bytes, this one has {bytes}");
            Err(Refusal::new(Rule::TooLarge, message))
        }
        _ => Ok(()),
    }
}

/// An operation with the resources that a request names for it, before any decision.
struct Named<'r, 'm> {
    spec: &'static Spec,
    resource: Resource<'r>,
    query: Query<'r>,
    copy_source: Option<Located<'m, CopySource<'r>>>,
    view: Option<&'m Arc<View>>,
}

/// A named resource, and the mount that it lies below.
type Located<'m, T> = (T, Option<&'m Arc<View>>);

impl Mapping {
    /// Makes a mapping of these scopes that matches every client, with a session of 15 minutes.
    pub fn of_scopes(name: &str, scopes: Vec<Scope>) -> Self {
        let (client, mint) = (Arc::new(Matcher::default()), MintWhen::Lazy);
        let (duration, dialect) = (Duration::from_mins(15), Dialect::default());
        Self {
            name: name.into(),
            client,
            scopes,
            sessions: SessionPlan::default(),
            duration,
            mint,
            dialect,
            cors: None,
            shared_cache: false,
            homes: None,
        }
    }

    /// Returns the mapping as the client sees it: with the scopes of its identity, if each identity has its own.
    ///
    /// # Errors
    /// When the identity cannot name a segment of a prefix.
    pub fn of_client(&self, client: &Client<'_>) -> Result<Cow<'_, Self>, Refusal> {
        let Some(homes) = &self.homes else { return Ok(Cow::Borrowed(self)) };
        self.of_identity(homes, &homes.values(client)?).map(Cow::Owned)
    }

    /// Returns the mapping of the identity with these values of its `homes`.
    pub(crate) fn of_identity(&self, homes: &Homes, values: &Values) -> Result<Self, Refusal> {
        let scopes = homes.expand(values).map_err(|why| {
            let message = "the identity of this client cannot name a folder of its own";
            Refusal::new(Rule::IdentityNotAName, message).caused_by(&why)
        })?;
        Ok(Self { scopes, homes: None, ..self.clone() })
    }

    /// Returns the scopes as the configuration shows them, each with its prefix, which may have placeholders.
    pub(crate) fn written_scopes(&self) -> impl Iterator<Item = (&Scope, String)> {
        let homes =
            self.homes.iter().flat_map(|homes| homes.scopes()).map(|HomeScope { scope, template }| {
                let prefix = template.as_ref().map_or_else(|| scope.prefix.to_string(), ToString::to_string);
                (scope, prefix)
            });
        self.scopes.iter().map(|scope| (scope, scope.prefix.to_string())).chain(homes)
    }

    /// Returns the mapping of an identity with the longest names that its clients can have.
    pub(crate) fn of_longest_identity(&self) -> Cow<'_, Self> {
        let longest = |homes: &Arc<Homes>| self.of_identity(homes, &homes.longest(&self.client)).ok();
        self.homes.as_ref().and_then(longest).map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// Returns the buckets of the scopes, as the clients know them.
    pub fn buckets(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter(|scope| scope.view.is_none()).map(|scope| scope.bucket.as_str())
    }

    /// Returns the policy of the session of this kind, if the mapping has one.
    pub fn policy_of(&self, kind: SessionKind) -> Option<SessionPolicy> {
        let is_planned = self.sessions.kinds().any(|planned| planned == kind);
        if is_planned { SessionPolicy::of(kind, &self.scopes) } else { None }
    }

    /// Returns the kinds of its sessions.
    pub fn session_kinds(&self) -> impl Iterator<Item = SessionKind> {
        self.sessions.kinds().filter(|kind| SessionPolicy::is_needed(*kind, &self.scopes))
    }

    /// Returns the kinds of its sessions, with their policies.
    pub fn policies(&self) -> impl Iterator<Item = (SessionKind, SessionPolicy)> {
        let kinds = self.sessions.kinds();
        kinds.filter_map(|kind| Some((kind, SessionPolicy::of(kind, &self.scopes)?)))
    }

    /// Returns the kind of the session that signs a request for an operation with these rights.
    pub fn session_for(&self, spec: &Spec, needs: Rights) -> SessionKind {
        self.sessions.kind_for(spec.session_with(needs))
    }

    /// Checks whether a path without a trailing slash has as many segments as a mount, and so may be one.
    pub fn may_be_mount(&self, path: &str) -> bool {
        let depth = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        let mut mounts = self.scopes.iter().filter_map(|scope| scope.view.as_ref()).peekable();
        mounts.peek().is_some() && {
            let depth_of_path = depth(path);
            mounts.any(|view| depth(view.mount().as_str()) == depth_of_path + 1)
        }
    }

    /// Returns the index name of a folder: below a mount, or in a bucket below this prefix.
    pub fn index(&self, view: Option<&Arc<View>>, bucket: &str, prefix: &str) -> Option<&str> {
        let here = |scope: &&Scope| {
            scope.is_seen_as(view)
                && (view.is_some() || (scope.bucket.as_str() == bucket && scope.prefix.covers(prefix)))
        };
        self.scopes.iter().filter(here).find_map(|scope| scope.index.as_ref()).map(IndexName::as_str)
    }

    /// Returns the key prefixes that a granted list of multipart uploads may show.
    pub fn prefixes_of_uploads(&self, grant: &Grant<'_>) -> Vec<Prefix> {
        let (needs, bucket) = (grant.spec.needs(), grant.resource.bucket());
        let shown = |scope: &&Scope| {
            Some(scope.bucket.as_str()) == bucket
                && scope.is_seen_as(grant.view())
                && scope.allow.has_all(needs)
        };
        self.scopes.iter().filter(shown).map(|scope| scope.prefix.clone()).collect()
    }

    /// Checks whether a grant reads an object of a site. The scope with the longest prefix of the key decides.
    pub fn is_site(&self, grant: &Grant<'_>) -> bool {
        let reads = matches!(grant.operation(), Operation::GetObject | Operation::HeadObject);
        if !reads || !self.scopes.iter().any(|scope| scope.site) {
            return false;
        }
        let (bucket, key) = (grant.resource.bucket(), grant.resource.key().unwrap_or_default());
        let around = self.scopes.iter().filter(|scope| {
            Some(scope.bucket.as_str()) == bucket
                && scope.is_seen_as(grant.view())
                && scope.prefix.covers(key)
                && scope.allow.has(Right::Read)
        });
        around.max_by_key(|scope| (scope.prefix.as_str().len(), scope.site)).is_some_and(|scope| scope.site)
    }

    /// Decides which operation an S3 request is, and whether a scope allows it.
    ///
    /// # Errors
    /// The refusal names the rule.
    pub fn grant<'r>(
        &self,
        method: &Method,
        path: &'r str,
        query: Option<&'r str>,
        fields: &'r Fields,
    ) -> Result<Grant<'r>, Refusal> {
        let path = decode_path(path).map_err(bad_target)?;
        let view = self.mount_of(&path);
        if view.is_none() && !path.is_empty() && self.scopes.iter().all(|scope| scope.view.is_some()) {
            return Err(self.outside("this path"));
        }
        let resource = locate(path, view).map_err(bad_target)?;
        self.check_bucket(&resource, view)?;
        let mut query = Query::parse(query).map_err(bad_target)?;
        let is_read = matches!(*method, Method::GET | Method::HEAD) && resource.key().is_some();
        if is_read && !query.names().any(is_subresource) {
            query.retain(is_read_parameter);
        }
        let copy_source = self.copy_source(fields)?;
        if copy_source.is_some() && *method != Method::PUT {
            return Err(Refusal::new(Rule::BadHeader, "x-amz-copy-source belongs to a PUT"));
        }
        let spec = Spec::find(method, &resource, &query, copy_source.is_some())
            .map_err(|unknown| self.refuse_unknown(method, &resource, &query, view, unknown))?;
        let named = Named { spec, resource, query, copy_source, view };
        self.decide(named, fields).map_err(|refusal| refusal.of(spec.operation))
    }

    /// Decides on a recognised operation.
    fn decide<'r>(&self, named: Named<'r, '_>, fields: &Fields) -> Result<Grant<'r>, Refusal> {
        let Named { spec, resource, mut query, copy_source, view } = named;
        if let Some(view) = view {
            view.bring_inward(spec.operation, &mut query).map_err(bad_target)?;
        }
        let needs = spec.rights(&query);
        let allowed = self.check_scope(spec, needs, &resource, &query, view)?;
        // Below a mount a value contains the scope's prefix, which the client must not learn.
        spec.spell_query(&mut query, self.dialect, if view.is_some() { Quote::No } else { Quote::Value })?;
        let copy_source = match copy_source.zip(spec.source) {
            Some(((source, view), row)) => Some(self.check_copy_source(row, source, view)?),
            None => None,
        };
        check_overrides(&query, fields)?;
        let dialect = self.dialect;
        Ok(Grant { spec, needs, resource, query, copy_source, allowed, dialect, view: view.cloned() })
    }

    /// Decides on one key of a multi-object delete as on a DELETE of it, and returns the store's names of the key and the
    /// version.
    ///
    /// # Errors
    /// The refusal names the rule.
    pub fn grant_delete<'k>(
        &self,
        request: &Grant<'_>,
        key: &'k str,
        version_id: Option<&str>,
    ) -> Result<(Cow<'k, str>, Option<String>), Refusal> {
        let key = match request.view() {
            Some(view) => Cow::Owned(view.inward(key)),
            None => Cow::Borrowed(key),
        };
        check_key(&key).map_err(|why| bad_target(BadTarget(why)))?;
        let spec = request.spec.each.ok_or_else(|| {
            let why = format!("{} names no keys in a document", request.operation().name());
            Refusal::new(Rule::Internal, why)
        })?;
        let bucket = request.resource.bucket().unwrap_or_default();
        let resource = Resource::Object(bucket.into(), Cow::Borrowed(&key));
        let mut query = Query::default();
        if let Some(version_id) = version_id {
            query.set("versionId", version_id.to_owned());
        }
        self.check_scope(spec, spec.rights(&query), &resource, &query, request.view())?;
        spec.spell_query(&mut query, self.dialect, Quote::Value)?;
        Ok((key, query.get("versionId").map(str::to_owned)))
    }

    /// Returns the mount that a decoded path lies below.
    pub(crate) fn mount_of(&self, path: &str) -> Option<&Arc<View>> {
        self.scopes.iter().filter_map(|scope| scope.view.as_ref()).find(|view| view.below(path).is_some())
    }

    fn check_bucket(&self, resource: &Resource<'_>, view: Option<&Arc<View>>) -> Result<(), Refusal> {
        match resource.bucket() {
            Some(bucket)
                if !self
                    .scopes
                    .iter()
                    .any(|scope| scope.bucket.as_str() == bucket && scope.is_seen_as(view)) =>
            {
                Err(self.outside(&format!("the bucket {bucket:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a scope grants the operation, and returns what such scopes allow of it.
    fn check_scope(
        &self,
        spec: &Spec,
        needs: Rights,
        resource: &Resource<'_>,
        query: &Query<'_>,
        view: Option<&Arc<View>>,
    ) -> Result<Allowed, Refusal> {
        let named = named_key(spec, resource, query)?;
        let mut within = self
            .scopes
            .iter()
            .filter(|scope| match resource.bucket() {
                Some(bucket) => scope.bucket.as_str() == bucket && scope.is_seen_as(view),
                // A request without a bucket is about everything that the client has.
                None => true,
            })
            .filter(|scope| named.is_none_or(|key| scope.prefix.covers(key) || reaches(spec, scope, key)))
            .peekable();
        if within.peek().is_none() {
            return Err(self.outside(match (resource, named) {
                (Resource::Bucket(_), Some("")) => "the whole bucket: ask for a prefix, as in ?prefix=media/",
                (Resource::Bucket(_), _) => "this prefix",
                _ => "this key",
            }));
        }
        let mut allowing = within.filter(|scope| scope.allow.has_all(needs)).peekable();
        if allowing.peek().is_some() {
            let (most, versions) = allowing.fold((0, false), |(most, versions), scope| {
                let own = scope.max_object_size.unwrap_or(u64::MAX);
                (own.max(most), versions || scope.allow.has(Right::Versions))
            });
            return Ok(Allowed { max_size: (most < u64::MAX).then_some(most), versions });
        }
        Err(Refusal::new(
            Rule::RightNotGranted,
            format!("mapping {:?} does not grant {}, which needs: {needs}", self.name, spec.operation.name()),
        ))
    }

    /// Checks that the mapping grants the source of a copy, which `row` judges, and spells its version for the store.
    fn check_copy_source<'r>(
        &self,
        row: &Spec,
        mut source: CopySource<'r>,
        view: Option<&Arc<View>>,
    ) -> Result<CopySource<'r>, Refusal> {
        let needs = source_needs(row, &source);
        let (bucket, key) = (source.resource.bucket(), source.resource.key().unwrap_or_default());
        let allowed = self.scopes.iter().any(|scope| {
            Some(scope.bucket.as_str()) == bucket
                && scope.is_seen_as(view)
                && scope.prefix.covers(key)
                && scope.allow.has_all(needs)
        });
        if allowed {
            if let Some(id) = &source.version_id {
                let bad = |why| refuse("the header x-amz-copy-source:", "versionId", Some(id), why);
                if let Spelling::As(id) = Grammar::VersionId.read(id, self.dialect).map_err(bad)? {
                    source.version_id = Some(Cow::Owned(id));
                }
            }
            return Ok(source);
        }
        let message = format!(
            "mapping {:?} does not grant to read the source of the copy, which needs: {needs}",
            self.name
        );
        Err(Refusal::new(Rule::CopySource, message))
    }

    /// Reads the source of a copy, as the client names it.
    fn copy_source<'r>(&self, fields: &'r Fields) -> Result<Option<Located<'_, CopySource<'r>>>, Refusal> {
        let name = X_AMZ_COPY_SOURCE;
        let mut values = fields.all(name.as_str());
        let Some(value) = values.next() else { return Ok(None) };
        let bad = |why| Refusal::new(Rule::BadHeader, why);
        if values.next().is_some() {
            return Err(bad("x-amz-copy-source is given twice"));
        }
        let text = visible(value).ok_or_else(|| bad("x-amz-copy-source is not percent-encoded ASCII"))?;
        let mut seen = None;
        let source = CopySource::parse(text, |path| {
            seen = self.mount_of(&path);
            locate(path, seen)
        });
        source.map(|source| Some((source, seen))).map_err(|BadTarget(why)| bad(why))
    }

    fn outside(&self, what: &str) -> Refusal {
        Refusal::new(Rule::OutsideScope, format!("mapping {:?} does not cover {what}", self.name))
    }
}

/// Returns the rights that the source of a copy requires, which `row` judges.
const fn source_needs(row: &Spec, source: &CopySource<'_>) -> Rights {
    let needs = row.needs();
    if source.version_id.is_some() { needs.with(Right::Versions) } else { needs }
}

/// Returns the resource of a decoded path: below a mount a key of its scope, else bucket and key.
fn locate<'r>(path: Cow<'r, str>, view: Option<&Arc<View>>) -> Result<Resource<'r>, BadTarget> {
    let Some(view) = view else { return Resource::of_decoded(path) };
    let bucket = Cow::Owned(view.bucket().to_owned());
    let rest = view.below(&path).unwrap_or_default();
    if rest.is_empty() {
        return Ok(Resource::Bucket(bucket));
    }
    let key = view.inward(rest);
    check_key(&key).map_err(BadTarget)?;
    Ok(Resource::Object(bucket, Cow::Owned(key)))
}

/// Returns the key or the prefix that must lie in a scope; `None` for a request about the bucket alone.
fn named_key<'q>(
    spec: &Spec,
    resource: &'q Resource<'_>,
    query: &'q Query<'_>,
) -> Result<Option<&'q str>, Refusal> {
    if !spec.operation.lists() && !spec.operation.is_filtered() {
        return Ok(resource.key());
    }
    let prefix = query.get("prefix").unwrap_or_default();
    check_segments(prefix).map_err(|why| Refusal::new(Rule::BadTarget, format!("prefix: {why}")))?;
    Ok(Some(prefix))
}

/// Checks whether a filtered list includes a scope although its prefix is shorter than the scope's.
fn reaches(spec: &Spec, scope: &Scope, prefix: &str) -> bool {
    spec.operation.is_filtered() && scope.prefix.as_str().starts_with(prefix)
}

fn bad_target(BadTarget(why): BadTarget) -> Refusal {
    Refusal::new(Rule::BadTarget, why)
}

#[cfg(test)]
mod tests;

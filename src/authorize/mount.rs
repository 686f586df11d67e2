//! Mounts: scopes that clients see at a path of their own instead of at bucket and prefix.
//!
//! Names from a client get the prefix added, names from the store get it removed. Clients never see the bucket or the
//! prefix.

use crate::authorize::operations::grammar::key_of_position;
use crate::s3::limits::MAX_KEY_BYTES;
use crate::s3::names::{BucketName, Prefix, check_bucket, check_segments};
use crate::s3::operation::Operation;
use crate::s3::target::{BadTarget, Query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The path at which clients see a scope: `/`, or a path that begins and ends with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount(Box<str>);

impl Mount {
    /// Checks `mount`.
    ///
    /// # Errors
    /// Says what is wrong and how to fix it.
    pub fn parse(mount: &str) -> Result<Self, &'static str> {
        if !mount.starts_with('/') || !mount.ends_with('/') {
            return Err("a mount begins and ends with '/', as in \"/\" or \"/pub/\"");
        }
        if mount.chars().any(|c| c.is_control() || c == '\\') {
            return Err("a mount holds no control characters and no '\\'");
        }
        if mount.split('/').any(|segment| segment.starts_with('{') && segment.ends_with('}')) {
            return Err("a mount has no placeholders: it is the same path for every client");
        }
        if mount.len() > MAX_KEY_BYTES {
            return Err("a mount is at most 1024 bytes long");
        }
        check_segments(mount.get(1..).unwrap_or_default())
            .map_err(|_| "a mount has no '//', '.' or '..' segments")?;
        Ok(Self(mount.into()))
    }

    /// Returns the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether some path could lie below both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&*other.0) || other.0.starts_with(&*self.0)
    }

    /// Returns whether it takes over paths that name `bucket`.
    pub fn hides(&self, bucket: &BucketName) -> bool {
        let first = self.0.split('/').nth(1).unwrap_or_default();
        first.is_empty() || first == bucket.as_str()
    }

    /// Returns the bucket that the mount looks like to S3 clients: a mount of one segment that is a valid bucket
    /// name.
    pub fn as_bucket(&self) -> Option<&str> {
        let name = self.name();
        check_bucket(name).is_ok().then_some(name)
    }

    /// Returns the path without its outer slashes. S3 clients see it as the bucket's name.
    fn name(&self) -> &str {
        self.0.trim_matches('/')
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mounted scope's names, to the store and to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    mount: Mount,
    bucket: BucketName,
    prefix: Prefix,
}

impl View {
    /// Returns the view of the keys of `bucket` below `prefix`, mounted at `mount`.
    pub fn new(mount: Mount, bucket: BucketName, prefix: Prefix) -> Self {
        Self { mount, bucket, prefix }
    }

    /// Returns the mount.
    pub fn mount(&self) -> &Mount {
        &self.mount
    }

    /// Returns the store's bucket.
    pub fn bucket(&self) -> &str {
        self.bucket.as_str()
    }

    /// Returns the prefix of the store's keys.
    pub fn prefix(&self) -> &str {
        self.prefix.as_str()
    }

    /// Returns the bucket name that clients see. It is empty at `/`.
    pub fn bucket_shown(&self) -> &str {
        self.mount.name()
    }

    /// Returns the part of a decoded path, without its first slash, that follows the mount. It is empty for the mount
    /// itself.
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mount = self.mount.as_str().get(1..).unwrap_or_default();
        if mount.strip_suffix('/') == Some(path) { Some("") } else { path.strip_prefix(mount) }
    }

    /// Returns the store's key for a client's key.
    pub fn inward(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns the client's key for a store's key, if it lies in the scope.
    pub fn outward<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(self.prefix.as_str())
    }

    /// Translates the names in a list's query to the store's: the prefix, even if absent, and the position. Their
    /// grammars are checked afterwards.
    ///
    /// # Errors
    /// When a token was not issued by Scopegate.
    pub fn bring_inward(&self, operation: Operation, query: &mut Query<'_>) -> Result<(), BadTarget> {
        if !operation.lists() && !operation.is_filtered() {
            return Ok(());
        }
        let prefix = self.inward(query.get("prefix").unwrap_or_default());
        query.set("prefix", prefix);
        for name in ["marker", "start-after", "key-marker"] {
            if let Some(key) = query.get(name).filter(|key| !key.is_empty()) {
                let key = self.inward(key);
                query.set(name, key);
            }
        }
        if let Some(token) = query.get("continuation-token").filter(|token| !token.is_empty()) {
            let token = self.open_token(token).ok_or(BadTarget(
                "the continuation token is not one that this list returned: start the list again without it",
            ))?;
            query.set("continuation-token", token);
        }
        Ok(())
    }

    /// Returns whether a text reveals the store's bucket or prefix.
    pub fn shows(&self, text: &str) -> bool {
        let prefix = self.prefix().trim_end_matches('/');
        (!prefix.is_empty() && text.contains(prefix)) || text.contains(self.bucket())
    }

    /// Returns a continuation token for clients. MinIO's token is the base64 of a key with a note: the client gets it
    /// without prefix and note. Another store's token is passed on unless it reveals the prefix.
    pub fn seal_token(&self, token: &str) -> Option<String> {
        let decoded = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let key = decoded.as_deref().and_then(|position| key_of_position(position).ok());
        if let Some(rest) = key.and_then(|key| self.outward(key)) {
            return Some(format!("k{}", STANDARD.encode(rest)));
        }
        let tells = self.shows(token) || decoded.is_some_and(|text| self.shows(&text));
        (!tells).then(|| format!("o{token}"))
    }

    /// Returns the store's token for one that [`Self::seal_token`] made. A forged token cannot leave the scope: the
    /// prefix is added to its key, and the grammar of tokens applies.
    pub fn open_token(&self, token: &str) -> Option<String> {
        if let Some(other) = token.strip_prefix('o') {
            return Some(other.to_owned());
        }
        let rest = String::from_utf8(STANDARD.decode(token.strip_prefix('k')?).ok()?).ok()?;
        Some(STANDARD.encode(self.inward(&rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view(mount: &str, prefix: &str) -> View {
        View::new(
            Mount::parse(mount).unwrap(),
            BucketName::parse("tmp").unwrap(),
            Prefix::parse(prefix).unwrap(),
        )
    }

    #[test]
    fn mounts() {
        for good in ["/", "/pub/", "/a/b/", "/ü b/", "/a{b}/"] {
            assert!(Mount::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "pub",
            "/pub",
            "pub/",
            "//",
            "/a//b/",
            "/../",
            "/a/./",
            "/a\\b/",
            "/a\n/",
            "/{user}/",
            "/a/{sub}/",
        ] {
            assert!(Mount::parse(bad).is_err(), "{bad}");
        }
        let mount = |text| Mount::parse(text).unwrap();
        assert!(mount("/").overlaps(&mount("/pub/")) && mount("/pub/").overlaps(&mount("/pub/a/")));
        assert!(!mount("/pub/").overlaps(&mount("/public/")));
        let tmp = BucketName::parse("tmp").unwrap();
        assert!(mount("/").hides(&tmp) && mount("/tmp/a/").hides(&tmp) && !mount("/pub/").hides(&tmp));
        assert_eq!(mount("/pub/").as_bucket(), Some("pub"));
        assert_eq!((mount("/").as_bucket(), mount("/a/b/").as_bucket()), (None, None));
    }

    #[test]
    fn paths_below_a_mount() {
        let public = view("/pub/", "media/");
        let cases =
            [("pub", Some("")), ("pub/", Some("")), ("pub/a/b", Some("a/b")), ("public/a", None), ("", None)];
        for (path, below) in cases {
            assert_eq!(public.below(path), below, "{path}");
        }
        assert_eq!((view("/", "").below(""), view("/", "").below("a/b")), (Some(""), Some("a/b")));
    }

    #[test]
    fn list_queries_are_translated_to_the_stores_names() {
        let public = view("/pub/", "media/");
        let inward = |query: &'static str| {
            let mut query = Query::parse(Some(query)).unwrap();
            public.bring_inward(Operation::ListObjectsV2, &mut query).map(|()| query.canonical())
        };
        assert_eq!(inward("list-type=2").unwrap(), "list-type=2&prefix=media%2F");
        assert_eq!(inward("prefix=a&start-after=b").unwrap(), "prefix=media%2Fa&start-after=media%2Fb");
        assert_eq!(inward("marker=").unwrap(), "marker=&prefix=media%2F");
        assert!(inward("continuation-token=bWVkaWEv").is_err());
        let mut other = Query::parse(Some("versionId=1")).unwrap();
        public.bring_inward(Operation::GetObject, &mut other).unwrap();
        assert_eq!(other.canonical(), "versionId=1");
    }

    #[test]
    fn tokens_hide_the_prefix_and_round_trip() {
        let public = view("/pub/", "media/deep/");
        let stores = STANDARD.encode("media/deep/k3[minio_cache:v2,return:]");
        let sealed = public.seal_token(&stores).unwrap();
        assert_eq!(sealed, format!("k{}", STANDARD.encode("k3")));
        assert_eq!(public.open_token(&sealed).unwrap(), STANDARD.encode("media/deep/k3"));
        for opaque in ["1-opaque", "!!", &STANDARD.encode("elsewhere")] {
            assert_eq!(public.open_token(&public.seal_token(opaque).unwrap()).unwrap(), opaque);
        }
        for shows in ["x media/deep/ x", &STANDARD.encode("x media/deep/"), "tmp"] {
            assert_eq!(public.seal_token(shows), None, "{shows}");
        }
        for made_up in ["", "x", "k!", "kbWVk\n", &stores] {
            assert_eq!(public.open_token(made_up), None, "{made_up}");
        }
    }

    proptest! {
        /// Translating a name to the store's and back is lossless.
        #[test]
        fn names_translate_losslessly(key in "\\PC{0,40}", prefix in "([a-z]{1,6}/){0,3}") {
            let view = view("/pub/", &prefix);
            let inward = view.inward(&key);
            prop_assert!(inward.starts_with(&prefix));
            prop_assert_eq!(view.outward(&inward), Some(&*key));
        }

        /// No forged token reaches a key outside the scope.
        #[test]
        fn no_token_leaves_the_scope(token in prop_oneof!["k[A-Za-z0-9+/=]{0,24}", "\\PC{0,24}"]) {
            let view = view("/pub/", "media/");
            if let Some(opened) = view.open_token(&token) && !token.starts_with('o') {
                let key = String::from_utf8(STANDARD.decode(&opened).unwrap()).unwrap();
                prop_assert!(key.starts_with("media/"), "{}", key);
            }
        }
    }
}

//! Conditions of reads that no store evaluates as HTTP defines them: lists of entity tags, and conditions of both
//! kinds.
//!
//! MinIO compares one tag only, and responds with 304 where 412 takes precedence. So these conditions are removed
//! from the request. The current state of the object decides which single condition the store gets instead.

use super::Outgoing;
use crate::authorize::operations::grammar::{NO_TAG, tags_of_store};
use crate::outgoing::payload::Payload;
use crate::s3::operation::Operation;
use http::Method;
use http::header::{
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
};
use std::time::SystemTime;

/// The conditions of a read, in the store's spelling.
#[derive(Debug, Default)]
pub struct Conditions {
    /// `If-Match`
    matching: Option<HeaderValue>,
    /// `If-Unmodified-Since`
    unmodified_since: Option<HeaderValue>,
    /// `If-None-Match`
    not_matching: Option<HeaderValue>,
    /// `If-Modified-Since`
    modified_since: Option<HeaderValue>,
}

/// The state of an object, as far as conditions concern it.
#[derive(Clone, Debug)]
pub struct ObjectState {
    /// Its entity tag.
    pub etag: HeaderValue,
    /// The time of the last write.
    pub modified: Option<SystemTime>,
}

impl Outgoing {
    /// Removes conditions that the store cannot evaluate. Few requests have any.
    pub fn take_conditions(&mut self) -> Option<Box<Conditions>> {
        if self.headers.is_empty() || !self.has_conditions_to_decide() {
            return None;
        }
        let mut conditions = Box::new(Conditions::default());
        let own = self.is_range_conditional;
        self.headers.retain(|(name, value)| {
            let place = match *name {
                // The conditions of a range stay with the range.
                IF_MATCH if !own => &mut conditions.matching,
                IF_UNMODIFIED_SINCE if !own => &mut conditions.unmodified_since,
                IF_NONE_MATCH => &mut conditions.not_matching,
                IF_MODIFIED_SINCE => &mut conditions.modified_since,
                _ => return true,
            };
            *place = Some(value.clone());
            false
        });
        Some(conditions)
    }

    fn has_conditions_to_decide(&self) -> bool {
        let has = |wanted: [&HeaderName; 2]| self.headers.iter().any(|(name, _)| wanted.contains(&name));
        let is_list = |(name, value): &(HeaderName, HeaderValue)| {
            (*name == IF_MATCH || *name == IF_NONE_MATCH) && value.as_bytes().contains(&b',')
        };
        let reads = matches!(
            self.operation,
            Operation::GetObject | Operation::HeadObject | Operation::GetObjectAttributes
        );
        let has_both = || has([&IF_MATCH, &IF_UNMODIFIED_SINCE]) && has([&IF_NONE_MATCH, &IF_MODIFIED_SINCE]);
        reads && (self.headers.iter().any(is_list) || (!self.is_range_conditional && has_both()))
    }

    /// Returns the request that asks for the current state of this read's object.
    #[must_use]
    pub fn object_state_request(&self) -> Self {
        Self {
            operation: Operation::HeadObject,
            max_size: None,
            method: Method::HEAD,
            path: self.path.clone(),
            query: self.version().unwrap_or_default().to_owned(),
            headers: Vec::new(),
            payload: Payload::Empty,
            is_range_conditional: false,
        }
    }

    /// Returns the same read with the one condition that has the effect of its conditions for this object. Without an
    /// object, the store responds that it does not exist.
    #[must_use]
    pub fn on(mut self, conditions: &Conditions, object: Option<&ObjectState>) -> Self {
        self.headers.extend(conditions.for_store(object));
        self.sort();
        self
    }
}

impl Conditions {
    /// Returns the conditions for the store: the object's own tag, so that they hold for the object that was seen, or
    /// a tag that no object has. The order of evaluation is that of RFC 9110, section 13.2.2.
    fn for_store(&self, object: Option<&ObjectState>) -> Vec<(HeaderName, HeaderValue)> {
        let failed = || vec![(IF_MATCH, HeaderValue::from_static(NO_TAG))];
        let Some(object) = object else {
            return if self.matching.is_some() { failed() } else { Vec::new() };
        };
        let may_proceed = match (&self.matching, &self.unmodified_since) {
            (Some(tags), _) => object.matches_any(tags),
            (None, Some(time)) => !object.is_newer_than(time),
            (None, None) => true,
        };
        if !may_proceed {
            return failed();
        }
        let is_known = match (&self.not_matching, &self.modified_since) {
            (Some(tags), _) => object.matches_any(tags),
            (None, Some(time)) => !object.is_newer_than(time),
            (None, None) => false,
        };
        let same = |name| (name, object.etag.clone());
        let pinned = self.matching.as_ref().map(|_| same(IF_MATCH));
        is_known.then(|| same(IF_NONE_MATCH)).into_iter().chain(pinned).collect()
    }
}

impl ObjectState {
    /// Returns whether the object has one of these tags. They are in the store's spelling, so all are strong.
    fn matches_any(&self, tags: &HeaderValue) -> bool {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let (own, tags) = (text(&self.etag), text(tags));
        tags == "*" || tags_of_store(&tags).any(|tag| tag == own.trim_matches('"'))
    }

    fn is_newer_than(&self, time: &HeaderValue) -> bool {
        let time = time.to_str().ok().and_then(|time| httpdate::parse_http_date(time).ok());
        self.modified.zip(time).is_some_and(|(modified, time)| modified > time)
    }
}

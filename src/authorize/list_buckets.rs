//! `ListBuckets`, answered from the client's scopes. The store is not asked, because it would list other buckets too.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>

use crate::authorize::mapping::Mapping;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::refusal::{Refusal, Rule};
use crate::s3::limits::MAX_BUCKETS;
use crate::s3::target::Query;
use crate::s3::xml::Document;
use std::collections::BTreeSet;

const ROOT: &str = "ListAllMyBucketsResult";
/// S3 clients require a creation date. The real one is unknown here; this one is recognisably made up.
const CREATED: &str = "1970-01-01T00:00:00.000Z";
/// Returns the buckets that a mapping may list: those of its scopes, and mounts that look like a bucket.
fn buckets(mapping: &Mapping) -> BTreeSet<&str> {
    mapping.scopes.iter().filter(|scope| scope.allow.has(Right::List)).filter_map(seen_as).collect()
}

/// Returns the name that clients see for a scope's bucket.
fn seen_as(scope: &Scope) -> Option<&str> {
    match &scope.view {
        Some(view) => view.mount().as_bucket(),
        None => Some(scope.bucket.as_str()),
    }
}

/// Returns the response document.
///
/// # Errors
/// When `max-buckets` is not a number from 1 to 10,000.
pub(crate) fn document(mapping: &Mapping, query: &Query<'_>) -> Result<String, Refusal> {
    let prefix = query.get("prefix").unwrap_or_default();
    let after = query.get("continuation-token").unwrap_or_default();
    let most = match query.get("max-buckets") {
        None => MAX_BUCKETS,
        Some(number) => {
            number.parse().ok().filter(|most| (1..=MAX_BUCKETS).contains(most)).ok_or_else(|| {
                Refusal::new(Rule::BadArgument, "max-buckets is not a number from 1 to 10000")
            })?
        }
    };
    let all = buckets(mapping);
    let mut left = all.iter().filter(|name| name.starts_with(prefix) && **name > after);
    let shown: Vec<_> = left.by_ref().take(most).collect();
    let mut xml = Document::response(ROOT);
    xml.open("Owner");
    xml.element("ID", "scopegate");
    xml.element("DisplayName", "scopegate");
    xml.close("Owner");
    xml.open("Buckets");
    for name in &shown {
        xml.open("Bucket");
        xml.element("Name", name);
        xml.element("CreationDate", CREATED);
        xml.close("Bucket");
    }
    xml.close("Buckets");
    if let (Some(last), Some(_)) = (shown.last(), left.next()) {
        xml.element("ContinuationToken", last);
    }
    if !prefix.is_empty() {
        xml.element("Prefix", prefix);
    }
    Ok(xml.finish(ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mount::Mount;
    use crate::s3::names::{BucketName, Prefix};

    fn mapping() -> Mapping {
        let scope = |bucket, prefix, rights: &[Right]| {
            let (bucket, prefix) = (BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap());
            Scope::new(bucket, prefix, rights.iter().copied().collect())
        };
        let list = [Right::List];
        let scopes = vec![
            scope("zoo", "", &list),
            scope("alpha", "a/", &list),
            scope("alpha", "b/", &list),
            scope("blind", "", &[Right::Read]),
            scope("hidden", "media/", &list).mounted(Mount::parse("/pub/").unwrap()),
            scope("hidden", "deep/", &list).mounted(Mount::parse("/a/b/").unwrap()),
        ];
        Mapping::of_scopes("all", scopes)
    }

    fn list(query: &str) -> (Vec<String>, Option<String>) {
        let text = document(&mapping(), &Query::parse(Some(query)).unwrap()).unwrap();
        let values = |name: &str| -> Vec<String> {
            let (start, end) = (format!("<{name}>"), format!("</{name}>"));
            text.split(&start).skip(1).map(|rest| rest.split(&end).next().unwrap().to_owned()).collect()
        };
        assert!(!text.contains("hidden") && !text.contains("media"), "{text}");
        (values("Name"), values("ContinuationToken").pop())
    }

    #[test]
    fn lists_the_buckets_of_scopes_with_list() {
        assert_eq!(list(""), (vec!["alpha".into(), "pub".into(), "zoo".into()], None));
        assert_eq!(list("prefix=p"), (vec!["pub".into()], None));
        assert_eq!(list("max-buckets=2"), (vec!["alpha".into(), "pub".into()], Some("pub".into())));
        assert_eq!(list("max-buckets=2&continuation-token=pub"), (vec!["zoo".into()], None));
        for bad in ["0", "10001", "x", "-1"] {
            let query = format!("max-buckets={bad}");
            assert!(document(&mapping(), &Query::parse(Some(&query)).unwrap()).is_err(), "{bad}");
        }
    }
}

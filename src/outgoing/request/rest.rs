//! The request for the rest of a response that broke off.

use super::Outgoing;
use crate::outgoing::continuation::Rest;
use crate::outgoing::payload::Payload;
use http::header;

impl Outgoing {
    /// Returns the same read for the missing bytes of the same object, or `None` if no byte is missing.
    ///
    /// The client's conditions held when its response began, so they are left out. A part of a multipart object is
    /// requested by its range.
    pub fn rest(&self, rest: &Rest) -> Option<Self> {
        let headers = vec![(header::IF_MATCH, rest.etag()), (header::RANGE, rest.range()?)];
        let names = self.query.split('&').filter(|pair| !pair.starts_with("partNumber="));
        Some(Self {
            operation: self.operation,
            max_size: self.max_size,
            method: self.method.clone(),
            path: self.path.clone(),
            query: names.collect::<Vec<_>>().join("&"),
            headers,
            payload: Payload::Empty,
            is_range_conditional: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::mapping::Mapping;
    use crate::authorize::rights::Right;
    use crate::authorize::scope::Scope;
    use crate::s3::names::{BucketName, Prefix};
    use http::{HeaderName, HeaderValue, Method, StatusCode};
    use http1::Fields;

    #[test]
    fn requests_the_rest_by_range_and_entity_tag() {
        let rights = Right::ALL.into_iter().collect();
        let scope = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("in/").unwrap(), rights);
        let mapping = Mapping::of_scopes("all", vec![scope]);
        let field = |(name, value): (&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let asked: Fields = [
            ("if-none-match", "\"other\""),
            ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("range", "bytes=2-"),
        ]
        .map(field)
        .into_iter()
        .collect();
        let answered: Fields =
            [("etag", "\"0123\""), ("content-range", "bytes 2-9/10")].map(field).into_iter().collect();
        let mut rest = Rest::of(StatusCode::PARTIAL_CONTENT, &answered, 8).unwrap();
        rest.advance(3);
        let version = "versionId=00000000-0000-4000-8000-000000000000";
        for (query, expected) in [
            ("", ""),
            ("partNumber=2", ""),
            (version, version),
            (&*format!("partNumber=2&{version}"), version),
        ] {
            let query = Some(query).filter(|query| !query.is_empty());
            let grant = mapping.grant(&Method::GET, "/tmp/in/a", query, &asked).unwrap();
            let sent = Outgoing::rebuild(grant, &asked, Payload::Empty).unwrap().rest(&rest).unwrap();
            assert_eq!((sent.method(), sent.path(), sent.query()), (&Method::GET, "/tmp/in/a", expected));
            let headers: Vec<_> = sent.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
            assert_eq!(
                headers,
                [
                    ("if-match", &HeaderValue::from_static("\"0123\"")),
                    ("range", &HeaderValue::from_static("bytes=5-9"))
                ]
            );
        }
        rest.advance(5);
        let grant = mapping.grant(&Method::GET, "/tmp/in/a", None, &asked).unwrap();
        assert!(Outgoing::rebuild(grant, &asked, Payload::Empty).unwrap().rest(&rest).is_none());
    }
}

//! Virtual-host style: `Host: bucket.domain` names the bucket, and the path the key alone.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>

use crate::http1::Host;
use crate::refusal::{Refusal, Rule};
use crate::scope::check_bucket;
use std::borrow::Cow;

/// The path of a request as path style has it: with the bucket of its Host in front, if the Host lies below `domain`.
/// The domain itself, any other name and an address mean path style.
///
/// # Errors
/// When the Host lies below the domain and what stands before it can be no bucket.
pub fn path_style<'p>(domain: &str, host: Option<Host<'_>>, path: &'p str) -> Result<Cow<'p, str>, Refusal> {
    let Some(host) = host else { return Ok(path.into()) };
    let host = String::from_utf8_lossy(host.name()).to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let below = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    match below {
        Some(bucket) if path.starts_with('/') => {
            check_bucket(bucket).map_err(|why| Refusal::new(Rule::BadHost, format!("the Host: {why}")))?;
            Ok(format!("/{bucket}{path}").into())
        }
        _ => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(host: &str, path: &str) -> Result<String, Rule> {
        path_style("s3.example.test", Host::parse(host.as_bytes()).ok(), path)
            .map(Cow::into_owned)
            .map_err(|refusal| refusal.rule)
    }

    #[test]
    fn the_host_names_the_bucket() {
        let cases = [
            ("media.s3.example.test", "/a%2Fb", "/media/a%2Fb"),
            ("Media.S3.example.TEST:8080", "/", "/media/"),
            ("a.b.s3.example.test.", "/a", "/a.b/a"),
            ("s3.example.test", "/media/a", "/media/a"),
            ("s3.example.test:80", "/media/a", "/media/a"),
            ("elsewhere.test", "/media/a", "/media/a"),
            ("xs3.example.test", "/media/a", "/media/a"),
            ("127.0.0.1:8080", "/media/a", "/media/a"),
            ("[::1]:8080", "/media/a", "/media/a"),
        ];
        for (host, asked, expected) in cases {
            assert_eq!(path(host, asked).as_deref(), Ok(expected), "{host}");
        }
        for bad in [".s3.example.test", "ab.s3.example.test", "a_b.s3.example.test", "a..b.s3.example.test"] {
            assert_eq!(path(bad, "/a"), Err(Rule::BadHost), "{bad}");
        }
    }

    #[test]
    fn without_a_host_the_path_is_all() {
        assert_eq!(path_style("s3.example.test", None, "/media/a").unwrap(), "/media/a");
    }
}

//! Tokens: a session with its endpoint and scope, as `scopegate token` writes and `ls` and `get` read it.

use crate::authorize::rights::Rights;
use crate::authorize::scope::Scope;
use crate::s3::names::{BucketName, Prefix};
use crate::sessions::session::Minted;
use crate::sigv4::amz_date::rfc3339;
use crate::sigv4::secret::{Credentials, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::SystemTime;

/// The longest token that is read, in bytes.
pub(crate) const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The JSON of a token. `Version` to `Expiration` are the fields of a `credential_process`.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the AWS CLI names the fields")]
pub(crate) struct Token {
    /// The version of the format, which is 1.
    pub version: u32,
    /// The session's access key id.
    pub access_key_id: String,
    /// The session's secret key.
    pub secret_access_key: String,
    /// The session's token.
    pub session_token: String,
    /// The end of the session, RFC 3339 in UTC.
    pub expiration: String,
    /// The URL of the store.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket of its scope.
    pub bucket: String,
    /// The prefix of its scope.
    pub prefix: String,
    /// The rights of its scope.
    pub allow: Vec<String>,
}

impl Token {
    /// Makes the token of a session that was minted for `scope`.
    pub(crate) fn new(minted: &Minted, endpoint: &str, region: &str, scope: &Scope) -> Self {
        Self {
            version: 1,
            access_key_id: minted.keys.access_key.reveal().to_owned(),
            secret_access_key: minted.keys.secret_key.reveal().to_owned(),
            session_token: minted.token.reveal().to_owned(),
            expiration: rfc3339(minted.expiration),
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            bucket: scope.bucket.to_string(),
            prefix: scope.prefix.to_string(),
            allow: scope.allow.iter().map(|right| right.name().to_owned()).collect(),
        }
    }

    /// Reads a token's JSON.
    ///
    /// # Errors
    /// Returns what is wrong, without quoting the token.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        if json.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        let token: Self = serde_json::from_str(json).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "it lacks a field or has one of a wrong type",
                _ => "it is not JSON",
            };
            let (line, column) = (error.line(), error.column());
            format!("{what} (line {line}, column {column}): make a token with scopegate token --format json")
        })?;
        if token.version != 1 {
            return Err(format!("its Version is {}, not 1", token.version));
        }
        token.expires().ok_or("its Expiration is not a time")?;
        Ok(token)
    }

    /// Returns the token's credentials.
    pub(crate) fn minted(&self) -> Minted {
        Minted {
            keys: Credentials {
                access_key: Secret::new(self.access_key_id.clone()),
                secret_key: Secret::new(self.secret_access_key.clone()),
            },
            token: Secret::new(self.session_token.clone()),
            expiration: self.expires().unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// Returns the end of the session.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.expiration.parse::<Timestamp>().ok().and_then(|end| SystemTime::try_from(end).ok())
    }

    /// Describes the token's scope for people.
    pub(crate) fn place(&self) -> String {
        format!("{}/{} ({})", self.bucket, self.prefix, self.allow.join(","))
    }

    /// Returns the command that makes another token for the same scope.
    pub(crate) fn command(&self) -> String {
        format!(
            "scopegate token --endpoint {} --bucket {} --prefix {} --allow {}",
            self.endpoint,
            self.bucket,
            shell_quoted(&self.prefix),
            self.allow.join(",")
        )
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

/// Quotes `text` for a POSIX shell, if that is needed.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Reads a scope from command-line arguments.
///
/// # Errors
/// Returns which argument is wrong, and why.
pub(crate) fn typed_scope(bucket: &str, prefix: &str, allow: Rights) -> Result<Scope, String> {
    let bucket = BucketName::parse(bucket).map_err(|why| format!("--bucket: {why}"))?;
    let prefix = Prefix::parse_typed(prefix).map_err(|why| format!("--prefix: {why}"))?;
    Ok(Scope::new(bucket, prefix, allow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::rights::Right;
    use crate::sessions::session::tests::minted;
    use std::time::Duration;

    fn token() -> Token {
        let scope = typed_scope("tmp", "media/*", [Right::Read, Right::List].into_iter().collect()).unwrap();
        let minted = minted(SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636));
        Token::new(&minted, "http://127.0.0.1:9000", "us-east-1", &scope)
    }

    #[test]
    fn the_json_has_the_documented_fields() {
        let json: serde_json::Value = serde_json::to_value(token()).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "Version",
            "AccessKeyId",
            "SecretAccessKey",
            "SessionToken",
            "Expiration",
            "Endpoint",
            "Region",
            "Bucket",
            "Prefix",
            "Allow",
        ];
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(json["Expiration"], "2015-08-30T12:36:00Z");
        assert_eq!(json["Prefix"], "media/");
        let read = Token::parse(&json.to_string()).unwrap();
        assert_eq!(read.minted().expiration, SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636));
    }

    #[test]
    fn invalid_tokens_are_refused_without_being_shown() {
        let good = serde_json::to_string(&token()).unwrap();
        for bad in [
            "",
            " ",
            "{}",
            "hush",
            "\"hush\"",
            "{\"hush\":1}",
            &good.replace("\"Version\":1", "\"Version\":2"),
            &good.replace("2015-", "hush-"),
        ] {
            let error = Token::parse(bad).unwrap_err();
            assert!(!error.contains("hush"), "{bad}: {error}");
        }
        assert!(!format!("{:?}", token()).contains("AKID"));
    }

    #[test]
    fn shell_words() {
        for (text, word) in
            [("media/", "media/"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(shell_quoted(text), word);
        }
    }
}

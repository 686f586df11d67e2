//! A token's store: `ls` and `get` send requests, and the store decides on them.

use super::CommandError;
use super::direct::{self, Direct};
use super::tls::TlsArgs;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::bounds::limits::Limits;
use crate::net::connect::Trouble;
use crate::net::endpoint::Endpoint;
use crate::net::guarded::read_guarded;
use crate::net::terminal::plain;
use crate::s3::error as s3_error;
use crate::s3::names::{BucketName, Prefix};
use crate::sessions::session::Session;
use crate::sessions::token::{MAX_TOKEN_BYTES, Token};
use crate::store::pool::Download;
use http::Method;
use http1::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The source of the token.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// File that contains the token [default: standard input]
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// The authorities of the store
    #[command(flatten)]
    pub tls: TlsArgs,
}

impl TokenArgs {
    /// Reads the token.
    ///
    /// # Errors
    /// When there is no valid token (exit code 2).
    pub(super) fn read(&self) -> Result<Token, CommandError> {
        let bad = |why: &str| {
            CommandError::usage(format!(
                "no token: {why}\n  make one with `scopegate token` and pipe it in, or name its file with --token FILE"
            ))
        };
        let json = match self.token.as_deref().filter(|path| *path != Path::new("-")) {
            Some(path) => {
                // The file decides which server is contacted, so others must not be able to change it.
                let help = "make a token with `scopegate token` and name its file with --token FILE";
                Ok(read_guarded(path, MAX_TOKEN_BYTES, help).map_err(|failed| {
                    CommandError::usage(format!("no token: {}\n  {}", failed.message, failed.help))
                })?)
            }
            None if io::stdin().is_terminal() => return Err(bad("standard input is a terminal")),
            None => read_bounded(io::stdin()),
        };
        Token::parse(&json.map_err(|error| bad(&error.to_string()))?).map_err(|why| bad(&why))
    }
}

fn read_bounded(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(MAX_TOKEN_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Splits a path into a bucket and a key (or a key's beginning), as in `tmp/media/hello.txt`.
///
/// # Errors
/// When the path names no bucket (exit code 2).
pub(super) fn split_path(path: &str) -> Result<(&str, &str), CommandError> {
    let path = path.strip_prefix("s3://").unwrap_or(path).trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return Err(CommandError::usage(
            "the path names no bucket: write BUCKET/KEY, as in tmp/media/hello.txt",
        ));
    }
    Ok((bucket, key))
}

/// A requested right on a key, or on all keys with a common prefix.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) bucket: &'a str,
    pub(super) path: &'a str,
    pub(super) right: Right,
}

impl Wanted<'_> {
    /// Returns whether the token's own scope covers the request.
    fn is_within(&self, token: &Token) -> bool {
        self.bucket == token.bucket
            && self.path.starts_with(&*token.prefix)
            && token.allow.iter().any(|right| right == self.right.name())
    }
}

/// The store of a token.
pub(super) struct Store {
    token: Token,
    direct: Direct,
    session: Session,
}

impl Store {
    /// Opens the token's store.
    ///
    /// # Errors
    /// When the token does not name a valid store.
    pub(super) fn open(args: &TokenArgs) -> Result<Self, CommandError> {
        let token = args.read()?;
        let usage = |why: &str| CommandError::usage(format!("the token's Endpoint or SessionToken: {why}"));
        let endpoint = Endpoint::parse(&token.endpoint).map_err(usage)?;
        let direct = Direct::new(&endpoint, &args.tls.load(&endpoint)?, &Limits::default())
            .map_err(|error| CommandError::failed(error.to_string()))?;
        let session = Session::new(token.minted(), token.region.as_str().into(), SystemTime::now())
            .map_err(|_| usage("not usable in a header"))?;
        Ok(Self { token, direct, session })
    }

    /// Returns the token.
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Gets a target of a bucket. The store alone judges whether the token allows it.
    ///
    /// # Errors
    /// When the store refuses the request. The message says what to do next.
    pub(super) async fn get(
        &self,
        wanted: Wanted<'_>,
        target: &str,
    ) -> Result<Response<Download>, CommandError> {
        let asked = anything_in(wanted.bucket)?;
        let outgoing = direct::outgoing(&asked, &Method::GET, target).map_err(|refusal| {
            CommandError::usage(format!("this path cannot be requested: {}", refusal.message))
        })?;
        let answer = self.direct.send(&outgoing, &self.session).await.map_err(|error| {
            let help = direct::trouble(&error)
                .map_or("check that the token's Endpoint is right and the server up", Trouble::help);
            CommandError::failed(format!("no response from {}: {error}\n  {help}", self.token.endpoint))
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let (status, is_bare) = (answer.status.as_u16(), answer.fields.iter().next().is_none());
        let body = direct::error_body(answer).await;
        let Some(code) = s3_error::element(&body, "Code") else {
            let help = Trouble::of_answer(status, is_bare, &body)
                .map_or("check that the token's Endpoint is an S3 store's", Trouble::help);
            return Err(CommandError::failed(format!(
                "{} answered with status {status} and no S3 error\n  {help}",
                self.token.endpoint
            )));
        };
        let message = s3_error::element(&body, "Message").unwrap_or_default();
        Err(CommandError::failed(self.explain(wanted, &code, &message, SystemTime::now())))
    }

    /// Describes a store's error and what to do next.
    fn explain(&self, wanted: Wanted<'_>, code: &str, message: &str, now: SystemTime) -> String {
        let token = &self.token;
        let next = match code {
            "AccessDenied" if wanted.is_within(token) => format!(
                "the token covers this request ({}), but the store denied it: the token's issuer is disabled or removed, \
                 or its own policy does not allow the request\n  see `mc admin user info ALIAS USER`, and enable it \
                 with `mc admin user enable ALIAS USER`",
                token.place()
            ),
            "AccessDenied" => format!(
                "the token covers only {}\n  \
                 for another place, make another token: scopegate token --bucket ... --prefix ...",
                token.place()
            ),
            code if s3_error::is_dead_session(code) => {
                let when = match token.expires() {
                    Some(end) if end <= now => format!("the token expired at {}", token.expiration),
                    _ => format!(
                        "the token was revoked, or the store does not know it (it was valid until {})",
                        token.expiration
                    ),
                };
                format!("{when}\n  make a new one: {}", token.command())
            }
            "NoSuchKey" | "NoSuchBucket" => "list what exists with `scopegate ls`".to_owned(),
            "RequestTimeTooSkewed" => "set this machine's clock (NTP)".to_owned(),
            "AuthorizationHeaderMalformed" => "make a token with the server's --region".to_owned(),
            "SignatureDoesNotMatch" => "the token was changed or is incomplete: make a new one".to_owned(),
            _ => "the store refused the request".to_owned(),
        };
        format!("{}: {}\n  {next}", printable(code, MAX_CODE), printable(message, MAX_MESSAGE))
    }
}

/// Maximum number of characters of a store's code and message that are printed.
pub(super) const MAX_CODE: usize = 64;
pub(super) const MAX_MESSAGE: usize = 200;

/// Makes a store's text safe to print and cuts it to `max` characters.
pub(super) fn printable(text: &str, max: usize) -> String {
    let start: String = text.chars().take(max).collect();
    plain(&start).into_owned()
}

/// Returns a mapping that allows everything in a bucket, so that only the store judges whether the token allows a
/// request.
fn anything_in(bucket: &str) -> Result<Mapping, CommandError> {
    let bad = |why| CommandError::usage(format!("{bucket:?}: {why}"));
    let bucket = BucketName::parse(bucket).map_err(bad)?;
    let allow = [Right::Read, Right::List].into_iter().collect();
    let scope = Scope::new(bucket, Prefix::parse("").map_err(bad)?, allow);
    // The token does not record the kind of store.
    Ok(Mapping { dialect: Dialect::S3, ..Mapping::of_scopes("token", vec![scope]) })
}

/// Percent-encodes a part of a target.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_paths() {
        for (path, parts) in [
            ("tmp/media/hello.txt", ("tmp", "media/hello.txt")),
            ("/tmp/media/", ("tmp", "media/")),
            ("s3://tmp/a", ("tmp", "a")),
            ("tmp", ("tmp", "")),
        ] {
            assert_eq!(split_path(path).unwrap(), parts);
        }
        assert_eq!(split_path("/").unwrap_err().exit_code(), 2);
    }
}

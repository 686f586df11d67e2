//! `scopegate token`: mints a session for a bucket and a prefix, and prints it.

use super::tls::TlsArgs;
use super::{CommandError, print};
use crate::authorize::policy::{MAX_POLICY_BYTES, SessionPolicy};
use crate::authorize::rights::{Right, Rights};
use crate::config::{Environment, SystemEnvironment, parse_duration};
use crate::mint::StsMint;
use crate::net::endpoint::Endpoint;
use crate::net::guarded::ReadError;
use crate::sessions::minting::{Mint, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::Minted;
use crate::sessions::token::{Token, shell_quoted, typed_scope};
use crate::sigv4::secret::{Credentials, Secret};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// The arguments of `token`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The issuer's keys come from SCOPEGATE_ACCESS_KEY and SCOPEGATE_SECRET_KEY, or from files.\n\n\
    Use a separate issuer for sessions that you hand out, never the one of a proxy. With MinIO, the holder of a \
    session can end all sessions of its issuer, read the issuer's name and policy, and send requests that the proxy \
    refuses because MinIO misinterprets them.\n\n\
    Example:\n  scopegate token --endpoint http://127.0.0.1:9000 --bucket tmp --prefix media/ | scopegate ls tmp/media/"
)]
pub struct Args {
    /// The store's URL.
    #[arg(
        long,
        value_name = "URL",
        env = "SCOPEGATE_ENDPOINT",
        help = "URL of the store, such as http://127.0.0.1:9000"
    )]
    pub endpoint: String,
    /// Bucket of the session
    #[arg(long)]
    pub bucket: String,
    /// Prefix of the session, such as media/ ('media/*' means the same, '' the whole bucket)
    #[arg(long)]
    pub prefix: String,
    /// Region of the store
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// Rights of the session: read, list, write, delete, versions
    #[arg(long, default_value = "read,list", value_delimiter = ',', value_name = "RIGHTS")]
    pub allow: Vec<String>,
    /// Lifetime of the session, from 15m to 12h
    #[arg(long, default_value = "15m")]
    pub duration: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// File that contains the issuer's access key
    #[arg(long, value_name = "FILE")]
    pub access_key_file: Option<PathBuf>,
    /// File that contains the issuer's secret key
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// The authorities of the store
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// The output formats of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// All fields, as `ls` and `get` read them
    Json,
    /// Lines for a shell to evaluate
    Env,
    /// The response of a `credential_process` for AWS SDKs
    Process,
}

/// Mints a session and prints it.
///
/// # Errors
/// When an argument is invalid (exit code 2) or the store grants no session (exit code 1).
pub async fn run(args: Args) -> Result<(), CommandError> {
    let endpoint = endpoint(&args.endpoint)?;
    let rights = rights(&args.allow)?;
    let scope = typed_scope(&args.bucket, &args.prefix, rights).map_err(CommandError::usage)?;
    let duration = duration(&args.duration)?;
    let policy = SessionPolicy::compile(std::slice::from_ref(&scope));
    if policy.size() > MAX_POLICY_BYTES {
        let message = format!(
            "--prefix: its policy has {} bytes, MinIO takes {MAX_POLICY_BYTES}: shorten the prefix, or allow less",
            policy.size()
        );
        return Err(CommandError::usage(message));
    }
    let tls = args.tls.load(&endpoint)?;
    let keys = Credentials {
        access_key: key(args.access_key_file, "SCOPEGATE_ACCESS_KEY", "--access-key-file")?,
        secret_key: key(args.secret_key_file, "SCOPEGATE_SECRET_KEY", "--secret-key-file")?,
    };
    let servers = (std::slice::from_ref(&endpoint), &tls);
    let mint = StsMint::new(servers, &args.region, &keys, None, Duration::from_secs(30))
        .map_err(|error| CommandError::failed(format!("no token from {error}")))?;
    let request = MintRequest { name: "token".to_owned(), policy, duration };
    let minted = mint.mint(&request, Reason::Missing).await.map_err(|error| {
        let help = error.help().map(|help| format!("\n  {help}")).unwrap_or_default();
        CommandError::failed(format!("no token from {endpoint}: {error}{help}"))
    })?;
    warn(&minted, duration);
    let token = Token::new(&minted, &endpoint.to_string(), &args.region, &scope);
    print(&write(&token, args.format))
}

/// Parses `--endpoint`. The message does not quote a URL that may contain a password.
fn endpoint(url: &str) -> Result<Endpoint, CommandError> {
    let quoted = if url.contains('@') { String::new() } else { format!("{url:?}: ") };
    Endpoint::parse(url).map_err(|why| CommandError::usage(format!("--endpoint: {quoted}{why}")))
}

/// Parses `--allow`.
fn rights(names: &[String]) -> Result<Rights, CommandError> {
    let right = |name: &String| {
        Right::parse(name.trim()).ok_or_else(|| {
            let known = Right::ALL.map(Right::name).join(", ");
            CommandError::usage(format!("--allow: {name:?} is not a right; the rights are: {known}"))
        })
    };
    let rights: Rights = names.iter().map(right).collect::<Result<_, _>>()?;
    if rights == Rights::default().with(Right::Versions) {
        return Err(CommandError::usage(
            "--allow: \"versions\" alone allows nothing: name read, list, write or delete too",
        ));
    }
    Ok(rights)
}

fn duration(text: &str) -> Result<Duration, CommandError> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| parse_duration(text))
        .filter(|duration| (900..=43_200).contains(&duration.as_secs()))
        .ok_or_else(|| {
            let help = "write a duration from 15m to 12h, as in 15m, 1h30m or 3600";
            CommandError::usage(format!("--duration: {text:?}: {help}"))
        })
}

fn key(file: Option<PathBuf>, variable: &str, option: &str) -> Result<Secret, CommandError> {
    let place = file.as_ref().map_or_else(|| variable.to_owned(), |path| path.display().to_string());
    let read = match file {
        Some(path) => SystemEnvironment.file(&path),
        None => SystemEnvironment
            .variable(variable)
            .map_err(|failed| ReadError { help: format!("set {variable}, or give {option}"), ..failed }),
    };
    match read {
        Ok(key) if key.is_empty() => {
            Err(CommandError::usage(format!("{place} is empty\n  put the issuer's key there")))
        }
        Ok(key) => Ok(key),
        Err(failed) => Err(CommandError::usage(format!("{}\n  {}", failed.message, failed.help))),
    }
}

fn warn(minted: &Minted, asked: Duration) {
    let mut stderr = io::stderr();
    if io::stdout().is_terminal() {
        let _ = writeln!(stderr, "scopegate: the output is secret until it expires");
    }
    let life = minted.expiration.duration_since(SystemTime::now()).unwrap_or_default();
    if life.abs_diff(asked) > Duration::from_mins(1) {
        let _ = writeln!(
            stderr,
            "scopegate: the store granted {} s instead of the requested {} s",
            life.as_secs(),
            asked.as_secs()
        );
    }
}

fn write(token: &Token, format: Format) -> String {
    let json = serde_json::to_value(token).unwrap_or_default();
    match format {
        Format::Json => serde_json::to_string_pretty(token).unwrap_or_default() + "\n",
        Format::Process => {
            let names = ["Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
            let subset: serde_json::Map<_, _> = names
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), json.get(name)?.clone())))
                .collect();
            serde_json::to_string(&subset).unwrap_or_default() + "\n"
        }
        Format::Env => [
            ("AWS_ACCESS_KEY_ID", &token.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &token.secret_access_key),
            ("AWS_SESSION_TOKEN", &token.session_token),
            // The name that `aws configure export-credentials --format env` uses.
            ("AWS_CREDENTIAL_EXPIRATION", &token.expiration),
            ("AWS_REGION", &token.region),
            ("AWS_ENDPOINT_URL", &token.endpoint),
        ]
        .iter()
        .fold(String::new(), |text, (name, value)| {
            text + &format!("export {name}={}\n", shell_quoted(value))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations() {
        for (text, seconds) in [("15m", 900), ("900", 900), ("1h30m", 5400), ("12h", 43_200)] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in ["14m", "899", "13h", "", "soon", "-1"] {
            let error = duration(bad).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_quoted_without_a_password() {
        let told = |url| endpoint(url).unwrap_err().to_string();
        assert!(told("minio:9000").contains("--endpoint: \"minio:9000\""), "{}", told("minio:9000"));
        assert!(!told("http://me:hush@minio:9000").contains("hush"));
    }

    #[test]
    fn rejects_unknown_and_useless_rights() {
        assert!(rights(&["read".into(), " list".into()]).is_ok());
        for bad in [&["raed"][..], &["versions"], &[""]] {
            let bad: Vec<String> = bad.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(rights(&bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}

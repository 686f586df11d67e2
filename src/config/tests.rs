mod client_tls;
mod drawn;
mod jwt;
mod many;
mod mistakes;
mod tls;

use super::account::{self, Account};
use super::*;
use crate::authorize::mapping::MintWhen;
use crate::authorize::operations::SessionPlan;
use crate::bounds::limits::Limits;
use crate::identify::browser::AllowedHosts;
use crate::net::guarded::ReadError;
use crate::sigv4::secret::Secret;
use std::num::NonZeroU32;
use std::path::Path;

/// A configuration that remains valid when the format grows.
pub(crate) const EXAMPLE: &str = r#"[[listener]]
name    = "sidecar"
address = "127.0.0.1:8080"            # or "unix:/run/scopegate/s3.sock"

[admin]
address = "127.0.0.1:9180"            # health, metrics, status; leave out for none

[upstream]
endpoints = ["http://127.0.0.1:9000"] # every node of a distributed MinIO
region    = "us-east-1"

[issuer]
# endpoint = "http://..."             # only where STS is not served by the upstream
access_key = { env = "SCOPEGATE_ACCESS_KEY" }        # or { file = "..." }
secret_key = { file = "/run/secrets/scopegate" }

[[mapping]]
name    = "media-reader"
client  = { network = ["127.0.0.0/8", "::1/128"], listener = "sidecar" }
session = "15m"

[[mapping.scope]]
bucket = "tmp"
prefix = "media/"
allow  = ["read", "list"]             # each named, none implied
"#;

pub(crate) struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        match name {
            "SCOPEGATE_ACCESS_KEY" => Ok(Secret::new("stsadmin".into())),
            "EMPTY" => Ok(Secret::new(String::new())),
            _ => Err(ReadError { message: format!("{name} is not set"), help: "set it".into() }),
        }
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        match path.to_str() {
            Some("/run/secrets/scopegate") => Ok(Secret::new("hush".into())),
            Some("/run/secrets/long") => Ok(Secret::new("a secret that is long enough".into())),
            _ => Err(ReadError { message: "cannot read it".into(), help: "write it".into() }),
        }
    }

    fn user(&self, name: &str) -> Result<u32, ReadError> {
        match name {
            "app" => Ok(1000),
            "nobody" => Ok(65_534),
            _ => Err(ReadError { message: account::unknown(Account::User, name), help: "add it".into() }),
        }
    }

    fn group(&self, name: &str) -> Result<u32, ReadError> {
        match name {
            "storage" => Ok(2000),
            _ => Err(ReadError { message: account::unknown(Account::Group, name), help: "add it".into() }),
        }
    }
}

pub(crate) fn mistakes(source: &str) -> Vec<String> {
    match Config::parse(source, &Fake) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics
            .into_iter()
            .map(|Diagnostic { place, message, help, .. }| match place {
                Some(Place { line, column, .. }) => format!("{line}:{column} {message} | {help}"),
                None => format!("{message} | {help}"),
            })
            .collect(),
    }
}

#[test]
fn the_example_is_valid() {
    let config = Config::parse(EXAMPLE, &Fake).unwrap();
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.as_ref().unwrap().address.port(), 9180);
    assert_eq!(config.upstream.endpoints[0].to_string(), "http://127.0.0.1:9000");
    assert_eq!((config.mappings[0].mint, config.mappings[0].duration.as_secs()), (MintWhen::Lazy, 900));
    assert_eq!(config.mappings[0].scopes[0].allow.to_string(), "read,list");
    assert_eq!(config.limits, Limits::default());
    assert!(!format!("{config:?}").contains("hush"));
}

/// A key that is commented out there shows its default, or an example if it has none.
#[test]
fn proxy_toml_shows_the_defaults() {
    let shown = include_str!("../../proxy.toml");
    let uncommented: String = shown
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')))
        .zip(shown.lines())
        .map(|(uncommented, line)| uncommented.unwrap_or(line).to_owned() + "\n")
        .collect();
    let environment =
        &Env(&["SCOPEGATE_ACCESS_KEY", "SCOPEGATE_SECRET_KEY", "SGREPORTS_SECRET", "OTLP_AUTHORIZATION"]);
    let config = Config::parse(&uncommented, environment).unwrap();
    let examples = Limits { requests_per_second: NonZeroU32::new(1000), ..Limits::default() };
    assert_eq!(config.limits, examples);
    let hosts = AllowedHosts::new(vec!["s3.example.test".into()], Some("s3.example.test".into()));
    assert_eq!(config.listeners[0].hosts, hosts);
    assert_eq!(config.mappings[0].scopes[0].max_object_size, Some(100 << 20));
    assert_eq!(config.log, Log::default());
    let traces = config.traces.unwrap();
    assert_eq!((&*traces.service_name, traces.propagate, traces.queue), ("scopegate", false, 2048));
}

/// `scopegate token` parses prefixes in the same way.
#[test]
fn a_final_star_in_a_prefix_is_ignored() {
    for (written, meant) in [("media/*", "media/"), ("*", ""), ("media/", "media/")] {
        let source = EXAMPLE.replace("\"media/\"", &format!("\"{written}\""));
        let config = Config::parse(&source, &Fake).unwrap();
        assert_eq!(config.mappings[0].scopes[0].prefix.as_str(), meant, "{written}");
        let other = Config::parse(&EXAMPLE.replace("media/", meant), &Fake).unwrap();
        let policies = |config: &Config| config.mappings[0].policies().collect::<Vec<_>>();
        assert_eq!(policies(&config), policies(&other), "{written}");
    }
}

#[test]
fn sessions_are_split_at_minio_and_only_there() {
    use SessionPlan::{One, Split};
    for (store, written, plan) in [
        ("minio", "", Some(Split)),
        ("minio", "sessions = \"split\"", Some(Split)),
        ("minio", "sessions = \"one\"", Some(One)),
        ("s3", "", Some(One)),
        ("s3", "sessions = \"one\"", Some(One)),
        ("s3", "sessions = \"split\"", None),
    ] {
        let source = EXAMPLE.replacen("[upstream]", &format!("[upstream]\nstore = \"{store}\""), 1).replacen(
            "session = ",
            &format!("{written}\nsession = "),
            1,
        );
        let read = Config::parse(&source, &Fake).map(|config| config.mappings[0].sessions);
        assert_eq!(read.as_ref().ok(), plan.as_ref(), "{store} {written}: {read:?}");
        let told = read.err().is_none_or(|wrong| wrong[0].message.contains("\"split\" is for MinIO"));
        assert!(told, "{store} {written}");
    }
}

/// A credential is a file in the folder that systemd names.
#[test]
fn reads_credentials_of_systemd() {
    struct Unit;
    impl Environment for Unit {
        fn variable(&self, name: &str) -> Result<Secret, ReadError> {
            assert_eq!(name, "CREDENTIALS_DIRECTORY");
            Ok(Secret::new("/run/credentials/scopegate.service".into()))
        }

        fn file(&self, path: &Path) -> Result<Secret, ReadError> {
            Ok(Secret::new(path.display().to_string()))
        }
    }
    let source = EXAMPLE
        .replace("{ env = \"SCOPEGATE_ACCESS_KEY\" }", "{ credential = \"access\" }")
        .replace("{ file = \"/run/secrets/scopegate\" }", "{ credential = \"secret\" }");
    let keys = Config::parse(&source, &Unit).unwrap().issuer.keys;
    assert_eq!(keys.access_key.reveal(), "/run/credentials/scopegate.service/access");
    assert_eq!(keys.secret_key.reveal(), "/run/credentials/scopegate.service/secret");
    assert!(Config::parse(&source, &WithoutSecrets).is_ok());
}

struct Env(&'static [&'static str]);

impl Environment for Env {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        assert!(self.0.contains(&name), "{name}");
        Ok(Secret::new("a-secret-of-the-environment".into()))
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        panic!("{}", path.display());
    }
}

#[test]
fn an_index_comes_with_a_default_error_page() {
    let page = |more: &str| {
        let config = Config::parse(&format!("{EXAMPLE}{more}"), &Fake).unwrap();
        config.mappings[0].scopes[0].error_page().map(str::to_owned)
    };
    assert_eq!(page(""), None);
    assert_eq!(page("error_page = \"errors/none.html\"\n").as_deref(), Some("errors/none.html"));
    assert_eq!(page("index = \"index.html\"\n").as_deref(), Some("404.html"));
    assert_eq!(page("index = \"index.html\"\nerror_page = \"a\"\n").as_deref(), Some("a"));
}

#[test]
fn an_index_makes_a_scope_a_site() {
    let config = Config::parse(&format!("{EXAMPLE}index = \"index.html\"\n"), &Fake).unwrap();
    assert_eq!(config.mappings[0].index(None, "tmp", "media/a/"), Some("index.html"));
    assert_eq!(config.mappings[0].index(None, "tmp", "other/"), None);
    let site = |more: &str| {
        let config = Config::parse(&format!("{EXAMPLE}{more}"), &Fake).unwrap();
        config.mappings[0].scopes[0].site
    };
    assert!(!site("") && site("index = \"index.html\"\n") && site("site = true\n"));
    assert!(!site("index = \"index.html\"\nsite = false\n"), "pages may be shown and not run");
}

#[test]
fn rejects_secret_files_that_others_can_access() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hush\n").unwrap();
    for (mode, good) in [(0o600, true), (0o440, true), (0o644, false), (0o660, false), (0o604, false)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let read = SystemEnvironment.file(file.path());
        assert_eq!(read.is_ok(), good, "{mode:o}");
        match read {
            Ok(secret) => assert_eq!(secret.reveal(), "hush"),
            Err(failed) => assert!(failed.help.contains("chmod 640"), "{failed:?}"),
        }
    }
}

#[test]
fn rejects_a_configuration_that_every_user_can_change() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    // The file is readable, and wrong for another reason.
    std::fs::write(file.path(), "nothing = 1\n").unwrap();
    for (mode, good) in [(0o600, true), (0o644, true), (0o664, true), (0o666, false), (0o602, false)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        match Config::load(file.path()).unwrap_err() {
            ConfigError::Wrong(..) => assert!(good, "{mode:o}"),
            ConfigError::Unreadable(failed) => {
                assert!(!good && failed.message.contains(&format!("has mode 0{mode:o}")), "{failed:?}");
                assert!(failed.help.contains("chmod o-w "), "{failed:?}");
            }
        }
    }
}

#[test]
fn rejects_large_files_with_their_size() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(MAX_CONFIG_BYTES + 1).unwrap();
    let error = Config::load(file.path()).unwrap_err().to_string();
    assert!(error.contains("has 33554433 bytes; at most 33554432 (32MiB) are read"), "{error}");
    assert!(!error.contains("scopegate init"), "{error}");
}

#[test]
fn uploads_have_half_of_the_memory_by_default() {
    let limits = |limits: &str| {
        let source = EXAMPLE.replacen("[admin]", &format!("[limits]\n{limits}\n[admin]"), 1);
        let limits = Config::parse(&source, &Fake).unwrap().limits;
        (limits.memory >> 20, limits.upload_buffer >> 20)
    };
    assert_eq!(limits(""), (128, 64));
    assert_eq!(limits("memory = \"1GiB\""), (1024, 512));
    assert_eq!(limits("memory = \"40MiB\""), (40, 8));
    assert_eq!(limits("upload_buffer = \"16MiB\""), (128, 16));
    let least = Limits { memory: 40 << 20, upload_buffer: 8 << 20, ..Limits::default() };
    assert!(least.shared_memory() >= 16 << 20, "{}", least.shared_memory());
}

/// Returns the maximum memory of a proxy in bytes, including the kernel's buffers. docs/running.md has the sum.
fn footprint(config: &Config) -> u64 {
    let Limits { connections, requests_per_mapping, queue_per_mapping, memory, .. } = config.limits;
    let (process, connection, kernel) = (20 << 20, 3 << 10, 128 << 10);
    let mapping = (requests_per_mapping as u64) * (24 << 10) + (queue_per_mapping as u64) * (8 << 10);
    memory + process + (connections as u64) * (connection + kernel) + config.mappings.len() as u64 * mapping
}

#[test]
fn shipped_configurations_fit_their_memory() {
    for (source, given, mebibytes) in [
        (
            include_str!("../../deploy/kubernetes/proxy.toml"),
            include_str!("../../deploy/kubernetes/sidecar.yaml").contains("memory: 256Mi }"),
            256,
        ),
        (
            include_str!("../../deploy/compose/proxy.toml"),
            include_str!("../../deploy/compose/compose.yaml").contains("mem_limit: 384m"),
            // The folder for spooled parts of uploads is in memory.
            384 - 128,
        ),
        (
            include_str!("../../deploy/systemd/proxy.toml"),
            include_str!("../../deploy/systemd/scopegate.service").contains("MemoryMax=1536M"),
            1536,
        ),
    ] {
        let config = Config::parse(source, &WithoutSecrets).unwrap();
        assert!(given, "{mebibytes} MiB");
        assert!(footprint(&config) <= mebibytes << 20, "{} MiB of {mebibytes}", footprint(&config) >> 20);
        assert_eq!(config.warnings(), [] as [Diagnostic; 0]);
    }
}

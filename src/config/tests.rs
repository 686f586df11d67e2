use super::*;
use crate::mapping::MintWhen;
use crate::secret::Secret;
use proptest::prelude::*;
use std::num::NonZeroU32;

/// The shape that a configuration always has; additions to the format keep it valid.
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
    fn variable(&self, name: &str) -> Result<Secret, Failed> {
        match name {
            "SCOPEGATE_ACCESS_KEY" => Ok(Secret::new("stsadmin".into())),
            "EMPTY" => Ok(Secret::new(String::new())),
            _ => Err(Failed { message: format!("{name} is not set"), help: "set it".into() }),
        }
    }

    fn file(&self, path: &Path) -> Result<Secret, Failed> {
        match path.to_str() {
            Some("/run/secrets/scopegate") => Ok(Secret::new("hush".into())),
            _ => Err(Failed { message: "cannot read it".into(), help: "write it".into() }),
        }
    }
}

pub(crate) fn mistakes(source: &str) -> Vec<String> {
    match Config::parse(source, &Fake) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics
            .into_iter()
            .map(|Diagnostic { line, column, message, help }| format!("{line}:{column} {message} | {help}"))
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

/// Each case changes the example in one place; the mistake is told with its place.
#[test]
fn one_mistake_each() {
    let cases = [
        (
            "name    = \"sidecar\"",
            "nmae = \"sidecar\"",
            &[
                "1:1 [[listener]] has no \"name\"",
                "2:1 unknown key \"nmae\" in [[listener]] | did you mean \"name\"?",
            ][..],
        ),
        ("\"127.0.0.1:8080\"", "\"localhost\"", &["3:11 \"localhost\" is not an address to listen on"]),
        ("\"127.0.0.1:8080\"", "8080", &["3:11 address is of type integer | address is a string"]),
        (
            "address = \"127.0.0.1:9180\"",
            "address = \"9180\"",
            &["6:11 \"9180\" is not an address to listen on"],
        ),
        ("\"http://127.0.0.1:9000\"", "\"127.0.0.1:9000\"", &["9:14 \"127.0.0.1:9000\" is not an endpoint"]),
        (
            "\"http://127.0.0.1:9000\"",
            "\"http://me:hush@127.0.0.1:9000\"",
            &["9:14 not an endpoint | an endpoint holds no user or password"],
        ),
        ("[\"http://127.0.0.1:9000\"]", "[]", &["9:13 endpoints is empty"]),
        ("\"us-east-1\"", "\"us east\"", &["10:13 \"us east\" is not usable as a region"]),
        (
            "region    =",
            "somewhere =",
            &["10:1 unknown key \"somewhere\" in [upstream] | [upstream] knows: endpoints, region, store"],
        ),
        (
            "[\"http://127.0.0.1:9000\"]",
            "[\"http://127.0.0.1:9000\", \"http://127.0.0.1:9000/\"]",
            &["9:39 the endpoint http://127.0.0.1:9000 is there twice"],
        ),
        (
            "address = \"127.0.0.1:9180\"",
            "address = \"127.0.0.1:8080\"",
            &["6:11 the listener \"sidecar\" has this address already"],
        ),
        ("{ env = \"SCOPEGATE_ACCESS_KEY\" }", "\"AKIAOPEN\"", &["14:14 access_key is written in the open"]),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ env = \"NOPE\" }",
            &["14:14 access_key: NOPE is not set | set it"],
        ),
        ("{ env = \"SCOPEGATE_ACCESS_KEY\" }", "{ env = \"EMPTY\" }", &["14:14 access_key is empty"]),
        ("{ env = \"SCOPEGATE_ACCESS_KEY\" }", "{}", &["14:14 access_key names not exactly one"]),
        (
            "secret_key =",
            "secretkey =",
            &[
                "12:1 [issuer] has no \"secret_key\"",
                "15:1 unknown key \"secretkey\" in [issuer] | did you mean \"secret_key\"?",
            ],
        ),
        ("\"media-reader\"", "\"media reader\"", &["18:11 \"media reader\" is not usable as a name"]),
        (
            "\"127.0.0.0/8\"",
            "\"127.0.0.1/8\"",
            &[
                "19:24 \"127.0.0.1/8\" is not a network | the address has bits beyond its prefix length: write \"127.0.0.0/8\"",
            ],
        ),
        (
            "listener = \"sidecar\"",
            "listener = \"sidcar\"",
            &["19:62 \"sidcar\" is not the name of a listener | did you mean \"sidecar\"?"],
        ),
        (
            "{ network = [\"127.0.0.0/8\", \"::1/128\"], listener = \"sidecar\" }",
            "{}",
            &["19:11 client has no matcher and would match everyone"],
        ),
        ("[\"127.0.0.0/8\", \"::1/128\"]", "[]", &["19:23 network has 0 entries, and 1 to"]),
        (
            "\"15m\"",
            "\"14m\"",
            &["20:11 session = \"14m\" is out of range | write a duration from 15m to 12h"],
        ),
        (
            "\"15m\"",
            "900",
            &["20:11 session is of type integer | session is a duration in quotes, as in \"15m\""],
        ),
        (
            "session = ",
            "mint = \"never\"\nsession = ",
            &["20:8 \"never\" is not a value of mint | write one of: lazy, start"],
        ),
        ("\"tmp\"", "\"TMP\"", &["23:10 \"TMP\" is not a bucket"]),
        ("\"tmp\"", "\"minio\"", &["23:10 \"minio\" is not a bucket"]),
        ("prefix = \"media/\"", "", &["22:1 [[mapping.scope]] has no \"prefix\""]),
        ("\"media/\"", "\"media\"", &["24:10 \"media\" is not a prefix | a prefix ends in '/'"]),
        ("\"media/\"", "\"me*ia/\"", &["24:10 \"me*ia/\" is not a prefix | '*' and '?' are wildcards"]),
        ("\"media/\"", "\"media/**\"", &["24:10 \"media/**\" is not a prefix | '*' and '?' are wildcards"]),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ credential = \"../key\" }",
            &["14:29 \"../key\" is not the name of a credential | write the name alone"],
        ),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ credential = \"access_key\" }",
            &[
                "14:14 access_key: there is no credential \"access_key\": CREDENTIALS_DIRECTORY is not set | systemd sets it",
            ],
        ),
        ("\"media/\"", "\"me?ia/\"", &["24:10 \"me?ia/\" is not a prefix | '*' and '?' are wildcards"]),
        (
            "\"media/\"",
            "\"${aws:username}/\"",
            &["24:10 \"${aws:username}/\" is not a prefix | '${' begins a variable"],
        ),
        ("\"media/\"", "\"a/../b/\"", &["24:10 \"a/../b/\" is not a prefix"]),
        ("\"media/\"", "\"a//b/\"", &["24:10 \"a//b/\" is not a prefix"]),
        ("[\"read\", \"list\"]", "[\"raed\"]", &["25:11 \"raed\" is not a right | did you mean \"read\"?"]),
        ("[\"read\", \"list\"]", "[\"read\", \"read\"]", &["25:19 \"read\" is there twice"]),
        ("[\"read\", \"list\"]", "[]", &["25:10 allow is empty"]),
        ("[\"read\", \"list\"]", "[\"versions\"]", &["25:10 \"versions\" alone allows nothing"]),
        (
            "allow  =",
            "allow  = [\"read\"]\nmnt  = \"/\" #",
            &["26:1 unknown key \"mnt\" in [[mapping.scope]]"],
        ),
        ("allow  =", "index  = \"a/b\"\nallow  =", &["25:10 \"a/b\" is not an index | an index is the name"]),
        ("allow  =", "index  = \"..\"\nallow  =", &["25:10 \"..\" is not an index | an index is one name"]),
        ("allow  =", "index  = 1\nallow  =", &["25:10 index is of type integer"]),
        (
            "allow  =",
            "error_page = \"/404.html\"\nallow  =",
            &["25:14 \"/404.html\" is not an error page | an error page is the name"],
        ),
        (
            "allow  =",
            "error_page = \"a/../b\"\nallow  =",
            &["25:14 \"a/../b\" is not an error page | an error page is the name"],
        ),
        (
            "[\"read\", \"list\"]",
            "[\"list\"]\nindex  = \"index.html\"",
            &["26:10 index without the right to read it | add \"read\" to allow"],
        ),
        (
            "[\"read\", \"list\"]",
            "[\"list\"]\nerror_page = \"404.html\"",
            &["26:14 error_page without the right to read it | add \"read\" to allow"],
        ),
        ("allow  =", "site   = \"yes\"\nallow  =", &["25:10 site is of type string"]),
        (
            "[\"read\", \"list\"]",
            "[\"list\"]\nsite   = true",
            &["26:10 site without the right to read it | add \"read\" to allow"],
        ),
        (
            "[upstream]",
            "[upstrem]",
            &[
                "1:1 there is no [upstream]",
                "8:2 unknown key \"upstrem\" in the file | did you mean \"upstream\"?",
            ],
        ),
        (
            "[admin]",
            "[limits]\nconnections = 0\nheader_timeout = \"2h\"\nworkers = 0\n[admin]",
            &[
                "6:15 connections = 0 is out of range",
                "7:18 header_timeout = \"2h\" is out of range",
                "8:11 workers = 0 is out of range",
            ],
        ),
        (
            "[admin]",
            "[limits]\nconnections_per_client = 0\nidle_timeout = \"1d\"\nrequest_timeout = \"0s\"\n\
             header_bytes = 4095\nheaders = 1001\nrequests_per_mapping = 0\nqueue_per_mapping = -1\n\
             queue_timeout = 10\nrequests_per_second = 0\n[admin]",
            &[
                "6:26 connections_per_client = 0 is out of range",
                "7:16 idle_timeout = \"1d\" is not a duration",
                "8:19 request_timeout = \"0s\" is out of range | write a duration from 1s to 168h",
                "9:16 header_bytes = 4095 is out of range | write a number from 4096 to 131072",
                "10:11 headers = 1001 is out of range",
                "11:24 requests_per_mapping = 0 is out of range",
                "12:21 queue_per_mapping = -1 is out of range",
                "13:17 queue_timeout is of type integer",
                "14:23 requests_per_second = 0 is out of range",
            ],
        ),
        (
            "[admin]",
            "[limits]\nmemory = \"39MiB\"\nminimum_rate = \"0B\"\n[admin]",
            &[
                "6:10 memory = \"39MiB\" is out of range | write a size from 40MiB to 1TiB",
                "7:16 minimum_rate = \"0B\" is out of range | write a size from 1B to 1GiB",
            ],
        ),
        (
            "[admin]",
            "[limits]\nmemory = \"64MiB\"\nupload_buffer = \"33MiB\"\n[admin]",
            &["7:17 upload_buffer is 33MiB and does not fit into memory, which is 64MiB | memory holds \
               upload_buffer and 32MiB besides: write memory = \"65MiB\" or more"],
        ),
        (
            "[admin]",
            "[limits]\nupload_buffer = \"7MiB\"\n[admin]",
            &["6:17 upload_buffer = \"7MiB\" is out of range | write a size from 8MiB to 1TiB"],
        ),
        (
            "[admin]",
            "[limits]\nupload_spool = \"2PiB\"\n[admin]",
            &["6:16 upload_spool = \"2PiB\" is not a size | write a size of at most 1024TiB"],
        ),
        (
            "[admin]",
            "hosts = [\"S3.test\", \"s3.test\", \"a:80\"]\ndomain = \"10.0.0.1\"\n[admin]",
            &[
                "5:21 the host \"s3.test\" is there twice",
                "5:32 \"a:80\" is not a host",
                "6:10 \"10.0.0.1\" is not a domain",
            ],
        ),
        (
            "allow  =",
            "mount = \"/pub\"\nallow  =",
            &["25:9 \"/pub\" is not a mount | a mount begins and ends with '/'"],
        ),
        (
            "allow  =",
            "mount = \"/pub/\"\nallow = [\"list\"]\n[[mapping.scope]]\nbucket = \"other\"\nprefix = \"\"\nmount = \"/pub/a/\"\nallow  =",
            &["30:9 the mounts /pub/a/ and /pub/ overlap | give each scope of a mapping a mount of its own"],
        ),
        (
            "allow  =",
            "mount = \"/pub/\"\nallow = [\"list\"]\n[[mapping.scope]]\nbucket = \"pub\"\nprefix = \"a/\"\nallow  =",
            &["25:9 the mount /pub/ takes the paths of the scope pub/a/ | mount that scope as well"],
        ),
        (
            "allow  =",
            "mount = \"/\"\nallow = [\"list\"]\n[[mapping.scope]]\nbucket = \"other\"\nprefix = \"\"\nallow  =",
            &["25:9 the mount / takes the paths of the scope other/ |"],
        ),
        (
            "allow  =",
            "max_object_size = \"100MB\"\nallow  =",
            &["25:19 max_object_size = \"100MB\" is not a size | write a size from 1B to 5TiB"],
        ),
        (
            "[admin]",
            "[log]\nformat = \"xml\"\naccess = \"yes\"\n[admin]",
            &["6:10 \"xml\" is not a value of format", "7:10 access is of type string"],
        ),
        ("region    = \"us-east-1\"", "region    = \"us-east-1", &["10:", "not TOML"]),
    ];
    for (from, to, expected) in cases {
        assert!(EXAMPLE.contains(from), "{from}");
        let found = mistakes(&EXAMPLE.replacen(from, to, 1));
        for part in expected {
            assert!(found.iter().any(|line| line.contains(part)), "{to}: no {part:?} in {found:#?}");
        }
        assert!(!found.concat().contains("hush") && !found.concat().contains("AKIAOPEN"), "{found:#?}");
        assert!(found.len() <= expected.len(), "{to}: {found:#?}");
    }
}

/// Messages quote the beginning of a value, escaped: it may be long, and may hold what moves a cursor.
#[test]
fn values_in_messages_are_escaped_and_short() {
    let source = EXAMPLE.replace("\"us-east-1\"", &format!("\"\\u001b[2J{}\"", "x".repeat(10_000)));
    let told = mistakes(&source).concat();
    assert!(told.contains("\"\\u{1b}[2Jxxx") && told.contains("xxx\"... is not usable"), "{told}");
    assert!(told.len() < 250, "{told}");
}

/// What is commented out there is the default, or an example where nothing is.
#[test]
fn the_file_that_shows_every_key_says_the_defaults() {
    let shown = include_str!("../../proxy.toml");
    let uncommented: String = shown
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')))
        .zip(shown.lines())
        .map(|(uncommented, line)| uncommented.unwrap_or(line).to_owned() + "\n")
        .collect();
    let environment = &Env(&["SCOPEGATE_ACCESS_KEY", "SCOPEGATE_SECRET_KEY"]);
    let config = Config::parse(&uncommented, environment).unwrap();
    let examples = Limits { requests_per_second: NonZeroU32::new(1000), ..Limits::default() };
    assert_eq!(config.limits, examples);
    let hosts = AllowedHosts::new(vec!["s3.example.test".into()], Some("s3.example.test".into()));
    assert_eq!(config.listeners[0].hosts, hosts);
    assert_eq!(config.mappings[0].scopes[0].max_object_size, Some(100 << 20));
    assert_eq!(config.log, Log::default());
}

/// A prefix means the same here and for `scopegate token`.
#[test]
fn a_star_at_the_end_of_a_prefix_means_everything_below() {
    for (written, meant) in [("media/*", "media/"), ("*", ""), ("media/", "media/")] {
        let source = EXAMPLE.replace("\"media/\"", &format!("\"{written}\""));
        let config = Config::parse(&source, &Fake).unwrap();
        assert_eq!(config.mappings[0].scopes[0].prefix.as_str(), meant, "{written}");
        let policy =
            Config::parse(&EXAMPLE.replace("media/", meant), &Fake).unwrap().mappings[0].policy.clone();
        assert_eq!(config.mappings[0].policy, policy, "{written}");
    }
}

#[test]
fn too_many_scopes_are_answered_with_what_one_client_can_do() {
    let scope = |number: usize| {
        let prefix = format!("{number}{}/", "x".repeat(60));
        format!("[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"{prefix}\"\nallow = [\"read\"]\n")
    };
    let many = |count: usize| EXAMPLE.to_owned() + &(0..count).map(scope).collect::<String>();
    assert!(
        mistakes(&many(30))[0]
            .contains("MinIO takes 2048 | give scopes that lie beside each other one prefix")
    );
    assert!(mistakes(&many(64))[0].contains("1 to 64 scopes, and this one has 65 | give scopes"));
    assert!(mistakes(&many(64)).concat().contains("one prefix above them"));
}

/// A credential is a file in the folder that systemd names.
#[test]
fn a_credential_of_systemd_is_read() {
    struct Unit;
    impl Environment for Unit {
        fn variable(&self, name: &str) -> Result<Secret, Failed> {
            assert_eq!(name, "CREDENTIALS_DIRECTORY");
            Ok(Secret::new("/run/credentials/scopegate.service".into()))
        }

        fn file(&self, path: &Path) -> Result<Secret, Failed> {
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
    fn variable(&self, name: &str) -> Result<Secret, Failed> {
        assert!(self.0.contains(&name), "{name}");
        Ok(Secret::new("stsadmin".into()))
    }

    fn file(&self, path: &Path) -> Result<Secret, Failed> {
        panic!("{}", path.display());
    }
}

#[test]
fn an_error_page_is_read_and_usual_beside_an_index() {
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
fn an_index_is_read() {
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
fn every_mistake_at_once_in_the_order_of_their_places() {
    let source = EXAMPLE
        .replace("8080\"", "port\"")
        .replace("us-east-1", "us east")
        .replace("\"media/\"", "\"media\"");
    let lines: Vec<String> =
        mistakes(&source).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["3:11", "10:13", "24:10"]);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let found = mistakes("");
    assert_eq!(found.len(), 4, "{found:#?}");
}

fn with_mappings(listeners: &str, mappings: &[&str]) -> String {
    let head = EXAMPLE.split("[[mapping]]").next().unwrap().replace(
        "[[listener]]\nname    = \"sidecar\"\naddress = \"127.0.0.1:8080\"            # or \"unix:/run/scopegate/s3.sock\"",
        listeners,
    );
    let mapping = |(index, client): (usize, &&str)| {
        format!(
            "[[mapping]]\nname = \"m{index}\"\nclient = {client}\n[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"a/\"\nallow = [\"read\"]\n"
        )
    };
    head + &mappings.iter().enumerate().map(mapping).collect::<String>()
}

#[test]
fn mappings_that_cannot_be_reached() {
    let one = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"";
    let two = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"u\"\naddress = \"unix:/run/s\"";
    let all = "{ network = [\"0.0.0.0/0\", \"::/0\"] }";
    let cases: [(&str, &[&str], &str); 11] = [
        (one, &["{ network = \"10.1.0.0/16\" }", "{ network = \"10.0.0.0/8\" }"], ""),
        (
            one,
            &["{ network = \"10.0.0.0/8\" }", "{ network = \"10.1.0.0/16\" }"],
            "\"m1\" can never be reached: \"m0\" matches its clients first",
        ),
        (
            one,
            &["{ network = [\"10.0.0.0/9\", \"10.128.0.0/9\"] }", "{ network = \"10.0.0.0/8\" }"],
            "\"m1\" can never be reached",
        ),
        (
            one,
            &[
                "{ network = \"10.0.0.0/9\" }",
                "{ network = \"10.128.0.0/9\" }",
                "{ network = \"10.0.0.0/8\" }",
            ],
            "\"m2\" can never be reached: \"m0\", \"m1\" match its clients first",
        ),
        (one, &["{ listener = \"a\" }", "{ network = \"10.0.0.0/8\" }"], "\"m1\" can never be reached"),
        (one, &[all, "{ listener = \"a\" }"], "\"m1\" can never be reached"),
        (two, &[all, "{ listener = \"u\" }"], ""),
        (two, &["{ listener = \"u\" }", "{ listener = \"a\" }", all], "\"m2\" can never be reached"),
        (
            two,
            &["{ listener = \"a\" }", "{ listener = \"u\", network = \"10.0.0.0/8\" }"],
            "\"m1\" can never match",
        ),
        (two, &["{ listener = \"u\" }", "{ listener = \"u\" }", all], "\"m1\" can never be reached"),
        (two, &[all], "no mapping can match a client of the listener \"u\""),
    ];
    for (listeners, clients, expected) in cases {
        let found = mistakes(&with_mappings(listeners, clients));
        if expected.is_empty() {
            assert_eq!(found, Vec::<String>::new(), "{clients:?}");
        } else {
            assert!(found.iter().any(|line| line.contains(expected)), "{clients:?}: {found:#?}");
        }
    }
}

#[test]
fn a_policy_too_large_for_minio_is_refused() {
    let long = format!("prefix = \"{}\"", format!("{}/", "x".repeat(249)).repeat(4));
    let source = EXAMPLE.replace("prefix = \"media/\"", &long);
    assert!(
        mistakes(&source)
            .iter()
            .any(|line| line.contains("the session policy has 2") && line.contains("MinIO takes 2048"))
    );
}

#[test]
fn names_are_unique() {
    let listener = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"\n";
    let found = mistakes(&with_mappings(&listener.repeat(2), &["{ listener = \"a\" }"]));
    assert!(found.iter().any(|line| line.contains("the listener \"a\" is there twice")), "{found:#?}");
    let source = EXAMPLE.to_owned()
        + EXAMPLE
            .split_once("\n\n[[mapping]]")
            .map(|(_, rest)| "[[mapping]]".to_owned() + rest)
            .unwrap()
            .as_str();
    assert!(
        mistakes(&source).iter().any(|line| line.contains("the mapping \"media-reader\" is there twice"))
    );
}

#[test]
fn secret_files_are_for_their_owner() {
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
fn a_configuration_that_everybody_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    // Read, and wrong for another reason.
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

proptest! {
    #[test]
    fn nothing_panics(source in "\\PC{0,200}") {
        let _ = Config::parse(&source, &Fake);
    }

    /// Wherever in [issuer] somebody pastes a secret, no message shows it.
    #[test]
    fn a_pasted_secret_is_never_shown(secret in "[A-Za-z0-9/+]{20,40}", place in 0..7_usize) {
        let line = [
            format!("access_key = \"{secret}\""),
            format!("access_key = {secret}"),
            format!("access_key = '{secret}"),
            format!("access_key = {{ value = \"{secret}\" }}"),
            format!("access_key = [\"{secret}\"]"),
            format!("acces_key = \"{secret}\""),
            format!("access_key = {{ env = [\"{secret}\"] }}"),
        ][place].clone();
        let source = EXAMPLE.replace("access_key = { env = \"SCOPEGATE_ACCESS_KEY\" }", &line);
        for message in mistakes(&source) {
            prop_assert!(!message.contains(&secret), "{message}");
        }
    }
}

/// A configuration that says how much memory there is need not say how much of it uploads have.
#[test]
fn uploads_have_half_of_the_memory_where_nothing_else_is_said() {
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

/// The most memory that a proxy takes, in bytes, with the kernel's buffers: docs/running.md sums it up.
fn footprint(config: &Config) -> u64 {
    let Limits { connections, requests_per_mapping, queue_per_mapping, memory, .. } = config.limits;
    let (process, connection, kernel) = (20 << 20, 3 << 10, 128 << 10);
    let mapping = (requests_per_mapping as u64) * (24 << 10) + (queue_per_mapping as u64) * (8 << 10);
    memory + process + (connections as u64) * (connection + kernel) + config.mappings.len() as u64 * mapping
}

#[test]
fn what_is_shipped_fits_the_memory_that_it_is_given() {
    for (source, given, mebibytes) in [
        (
            include_str!("../../deploy/kubernetes/proxy.toml"),
            include_str!("../../deploy/kubernetes/sidecar.yaml").contains("memory: 256Mi }"),
            256,
        ),
        (
            include_str!("../../deploy/compose/proxy.toml"),
            include_str!("../../deploy/compose/compose.yaml").contains("mem_limit: 384m"),
            // The folder for parts of uploads is in memory.
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
        assert_eq!(config.warnings(), []);
    }
}

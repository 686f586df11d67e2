//! Tests of the mistakes in each table, with their locations.

use super::*;

/// A replacement in the example, and the mistakes that it causes.
type Case<'c> = (&'c str, &'c str, &'c [&'c str]);

/// Checks that each case causes exactly its mistakes.
fn check(cases: &[Case<'_>]) {
    for (from, to, expected) in cases {
        assert!(EXAMPLE.contains(from), "{from}");
        let found = mistakes(&EXAMPLE.replacen(from, to, 1));
        for part in *expected {
            assert!(found.iter().any(|line| line.contains(part)), "{to}: no {part:?} in {found:#?}");
        }
        assert!(!found.concat().contains("hush") && !found.concat().contains("AKIAOPEN"), "{found:#?}");
        assert!(found.len() <= expected.len(), "{to}: {found:#?}");
    }
}

#[test]
fn finds_mistakes_in_listeners_upstream_and_issuer() {
    check(&[
        (
            "name    = \"sidecar\"",
            "nmae = \"sidecar\"",
            &[
                "1:1 [[listener]] has no \"name\"",
                "2:1 unknown key \"nmae\" in [[listener]] | did you mean \"name\"?",
            ],
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
        ("\"us-east-1\"", "\"us east\"", &["10:13 \"us east\" is not a valid region"]),
        (
            "region    =",
            "somewhere =",
            &[
                "10:1 unknown key \"somewhere\" in [upstream] | [upstream] has the keys: endpoints, region, store",
            ],
        ),
        (
            "[\"http://127.0.0.1:9000\"]",
            "[\"http://127.0.0.1:9000\", \"http://127.0.0.1:9000/\"]",
            &["9:39 the endpoint http://127.0.0.1:9000 is listed twice"],
        ),
        (
            "address = \"127.0.0.1:9180\"",
            "address = \"127.0.0.1:8080\"",
            &["6:11 the listener \"sidecar\" already has this address"],
        ),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "\"AKIAOPEN\"",
            &["14:14 access_key is in plain text: put it in"],
        ),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ env = \"NOPE\" }",
            &["14:14 access_key: NOPE is not set | set it"],
        ),
        ("{ env = \"SCOPEGATE_ACCESS_KEY\" }", "{ env = \"EMPTY\" }", &["14:14 access_key is empty"]),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{}",
            &["14:14 access_key needs exactly one of env, file and credential"],
        ),
        (
            "secret_key =",
            "secretkey =",
            &[
                "12:1 [issuer] has no \"secret_key\"",
                "15:1 unknown key \"secretkey\" in [issuer] | did you mean \"secret_key\"?",
            ],
        ),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ credential = \"../key\" }",
            &["14:14 access_key: \"../key\" is not the name of a credential | write the name alone"],
        ),
        (
            "{ env = \"SCOPEGATE_ACCESS_KEY\" }",
            "{ credential = \"access_key\" }",
            &[
                "14:14 access_key: there is no credential \"access_key\": CREDENTIALS_DIRECTORY is not set | systemd sets it",
            ],
        ),
        (
            "[upstream]",
            "[upstrem]",
            &[
                "there is no [upstream]",
                "8:2 unknown key \"upstrem\" in the file | did you mean \"upstream\"?",
            ],
        ),
        (
            "[admin]",
            "hosts = [\"S3.test\", \"s3.test\", \"a:80\"]\ndomain = \"10.0.0.1\"\n[admin]",
            &[
                "5:21 the host \"s3.test\" is listed twice",
                "5:32 \"a:80\" is not a host",
                "6:10 \"10.0.0.1\" is not a domain",
            ],
        ),
        ("region    = \"us-east-1\"", "region    = \"us-east-1", &["10:", "invalid TOML"]),
        // The sections after a broken line cannot be seen, so they are not reported as missing.
        ("[upstream]", "[upstream", &["8:10 invalid TOML: unclosed table"]),
        ("[issuer]", "[issuer", &["12:8 invalid TOML: unclosed table"]),
    ]);
}

#[test]
fn finds_mistakes_in_mappings() {
    check(&[
        ("\"media-reader\"", "\"media reader\"", &["18:11 \"media reader\" is not a valid name"]),
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
            &["19:11 client has no condition and would match every client"],
        ),
        ("[\"127.0.0.0/8\", \"::1/128\"]", "[]", &["19:23 network has 0 entries; 1 to 1000 are allowed"]),
        (
            "\"15m\"",
            "\"14m\"",
            &["20:11 session = \"14m\" is out of range | write a duration from 15m to 12h"],
        ),
        (
            "\"15m\"",
            "900",
            &["20:11 session is of type integer | session is a duration in quotes, such as \"15m\""],
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
        ("\"media/\"", "\"me?ia/\"", &["24:10 \"me?ia/\" is not a prefix | '*' and '?' are wildcards"]),
        (
            "\"media/\"",
            "\"${aws:username}/\"",
            &["24:10 \"${aws:username}/\" is not a prefix | '${' begins a variable"],
        ),
        ("\"media/\"", "\"a/../b/\"", &["24:10 \"a/../b/\" is not a prefix"]),
        ("\"media/\"", "\"a//b/\"", &["24:10 \"a//b/\" is not a prefix"]),
        ("[\"read\", \"list\"]", "[\"raed\"]", &["25:11 \"raed\" is not a right | did you mean \"read\"?"]),
        ("[\"read\", \"list\"]", "[\"read\", \"read\"]", &["25:19 \"read\" is listed twice"]),
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
            &["26:10 index needs the right to read, which the scope does not allow | add \"read\" to allow"],
        ),
        (
            "[\"read\", \"list\"]",
            "[\"list\"]\nerror_page = \"404.html\"",
            &[
                "26:14 error_page needs the right to read, which the scope does not allow | add \"read\" to allow",
            ],
        ),
        ("allow  =", "site   = \"yes\"\nallow  =", &["25:10 site is of type string"]),
        (
            "[\"read\", \"list\"]",
            "[\"list\"]\nsite   = true",
            &["26:10 site needs the right to read, which the scope does not allow | add \"read\" to allow"],
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
            &["25:9 the mount /pub/ hides the paths of the scope pub/a/ | mount that scope as well"],
        ),
        (
            "allow  =",
            "mount = \"/\"\nallow = [\"list\"]\n[[mapping.scope]]\nbucket = \"other\"\nprefix = \"\"\nallow  =",
            &["25:9 the mount / hides the paths of the scope other/ |"],
        ),
        (
            "allow  =",
            "max_object_size = \"100MB\"\nallow  =",
            &["25:19 max_object_size = \"100MB\" is not a size | write a size from 1B to 5TiB"],
        ),
    ]);
}

#[test]
fn finds_mistakes_in_limits_and_log() {
    check(&[
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
            &["6:16 upload_spool = \"2PiB\" is not a size | write a size from 0B to 1024TiB"],
        ),
        (
            "[admin]",
            "[log]\nformat = \"xml\"\naccess = \"yes\"\n[admin]",
            &["6:10 \"xml\" is not a value of format", "7:10 \"yes\" is not a value of access"],
        ),
        ("[admin]", "[log]\naccess = 1\n[admin]", &["6:10 access is of type integer"]),
    ]);
}

/// A value may be long and contain control characters.
#[test]
fn values_in_messages_are_escaped_and_short() {
    let source = EXAMPLE.replace("\"us-east-1\"", &format!("\"\\u001b[2J{}\"", "x".repeat(10_000)));
    let told = mistakes(&source).concat();
    assert!(told.contains("\"\\u{1b}[2Jxxx") && told.contains("xxx\"... is not a valid"), "{told}");
    assert!(told.len() < 250, "{told}");
}

#[test]
fn too_many_scopes_are_refused_with_alternatives() {
    let scope = |number: usize| {
        let prefix = format!("{number}{}/", "x".repeat(60));
        format!("[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"{prefix}\"\nallow = [\"read\"]\n")
    };
    let many = |count: usize| EXAMPLE.to_owned() + &(0..count).map(scope).collect::<String>();
    assert!(
        mistakes(&many(30))[0].contains("MinIO takes 2048 at most | give neighbouring scopes one prefix")
    );
    assert!(
        mistakes(&many(64))[0]
            .contains("the mapping has 65 scopes; at most 64 are allowed | give neighbouring scopes")
    );
    assert!(mistakes(&many(64)).concat().contains("one prefix above them"));
}

#[test]
fn reports_every_mistake_in_the_order_of_the_file() {
    let source = EXAMPLE
        .replace("8080\"", "port\"")
        .replace("us-east-1", "us east")
        .replace("\"media/\"", "\"media\"");
    let lines: Vec<String> =
        mistakes(&source).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["3:11", "10:13", "24:10"]);
}

#[test]
fn an_empty_file_lacks_four_tables() {
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
fn finds_mappings_that_cannot_be_reached() {
    let one = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"";
    let two = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"u\"\naddress = \"unix:/run/s\"";
    let all = "{ network = [\"0.0.0.0/0\", \"::/0\"] }";
    let cases: [(&str, &[&str], &str); 17] = [
        (one, &["{ network = \"10.1.0.0/16\" }", "{ network = \"10.0.0.0/8\" }"], ""),
        (
            one,
            &["{ network = \"10.0.0.0/8\" }", "{ network = \"10.1.0.0/16\" }"],
            "\"m1\" can never be reached: \"m0\" matches all of its clients first",
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
            "\"m2\" can never be reached: \"m0\", \"m1\" match all of its clients first",
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
        (two, &["{ uid = 1000 }", "{ gid = 2000 }", "{ listener = \"u\" }", all], ""),
        (one, &[all, "{ uid = 1000 }"], "\"m1\" can never match: only clients of unix sockets have a uid"),
        (two, &[all, "{ listener = \"a\", gid = 1 }"], "only clients of unix sockets have a gid"),
        (
            two,
            &[all, "{ uid = 1, network = \"10.0.0.0/8\" }"],
            "uid is for clients of unix sockets, and network",
        ),
        (two, &[all, "{ uid = [1, \"app\"] }", "{ uid = 1000 }"], "\"m2\" can never be reached"),
        (two, &["{ listener = \"u\" }", "{ uid = 1000 }", all], "\"m1\" can never be reached"),
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
    assert_eq!(mistakes(&source), [""; 0], "no session needs as much as one for everything");
    let scope = &source[source.find("[[mapping.scope]]").unwrap()..];
    for (source, kind) in [
        (source.replacen("session = ", "sessions = \"one\"\nsession = ", 1), "all"),
        (format!("{source}{}", scope.replace("xxx/", "xxy/")), "other"),
    ] {
        let told = mistakes(&source);
        let start = format!("the policy of the session {kind} has 2");
        assert!(
            told.len() == 1 && told[0].contains(&start) && told[0].contains("MinIO takes 2048"),
            "{told:?}"
        );
    }
}

#[test]
fn names_are_unique() {
    let listener = "[[listener]]\nname = \"a\"\naddress = \"127.0.0.1:0\"\n";
    let found = mistakes(&with_mappings(&listener.repeat(2), &["{ listener = \"a\" }"]));
    assert!(found.iter().any(|line| line.contains("another listener has the name \"a\"")), "{found:#?}");
    let source = EXAMPLE.to_owned()
        + EXAMPLE
            .split_once("\n\n[[mapping]]")
            .map(|(_, rest)| "[[mapping]]".to_owned() + rest)
            .unwrap()
            .as_str();
    assert!(
        mistakes(&source).iter().any(|line| line.contains("another mapping has the name \"media-reader\""))
    );
}

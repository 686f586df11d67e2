use super::*;
use crate::cli::explain::fields;
use crate::config::Config;
use crate::config::tests::{EXAMPLE, Fake};

/// A request that was served, as its line tells.
const SERVED: &str = "2026-11-30T00:53:20.000042Z  INFO access: id=\"0123456789ABCDEF\" client=127.0.0.1 listener=\"sidecar\" \
    mapping=\"media-reader\" operation=\"GetObject\" method=GET protocol=\"HTTP/1.1\" path=\"/tmp/media/a\" bucket=\"tmp\" \
    key=\"media/a\" status=200 received=0 sent=5 node=\"10.0.0.9:9000\" attempts=2 upstream_id=\"FF00\" queue_us=1500 \
    session_us=20000 first_byte_us=30000 total_us=31002";

/// Returns the line with texts replaced.
fn line(changes: &[(&str, &str)]) -> LogLine {
    let mut text = SERVED.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    LogLine::parse(&text).unwrap()
}

/// The change that makes a rule refuse the request.
macro_rules! refused_by {
    ($rule:literal) => {
        ("status=200", concat!("status=403 rule=\"", $rule, "\" reason=\"no\""))
    };
}

fn judged(config: &str, line: &LogLine, headers: &[&str]) -> Judged {
    let config = Config::parse(config, &Fake).unwrap();
    let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
    Judged::of(&config, line, &fields(&headers).unwrap(), false)
}

#[test]
fn the_line_is_told_in_plain_words() {
    let told = told::of(&line(&[]));
    assert_eq!(
        told,
        "request 0123456789ABCDEF was over at 2026-11-30T00:53:20.000042Z\n  GET /tmp/media/a\n  \
         client: 127.0.0.1, at listener \"sidecar\" over HTTP/1.1 without TLS\n  \
         identity: not known: the client proved none, or [log] leaves it out\n  mapping: \"media-reader\"\n  \
         operation: GetObject, bucket \"tmp\", key \"media/a\"\n  decision: allowed; the response had status 200\n  \
         store: sent to 10.0.0.9:9000 as the last of 2 attempts\n    \
         its own request id, which the store's log has: FF00\n  \
         bodies: 0 bytes from the client, 5 bytes to the client\n  \
         time: 31.002 ms in all: 1.500 ms in the queue, 20.000 ms waiting for a session, \
         8.500 ms more until the response's head, 1.002 ms for the rest of the response\n  \
         not in the log: the query, the headers and the body\n"
    );
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("mapping=\"media-reader\"", "mapping=\"-\"")], "mapping: no mapping matched"),
        (&[("operation=\"GetObject\"", "operation=\"-\"")], "operation: not known"),
        (&[("status=200", "status=0")], "the client left before there was a response"),
        (&[("listener=", "peer=unix listener=")], "127.0.0.1, named by the load balancer unix, at"),
        (
            &[("protocol=", "tls=\"1.3\" identity=\"alice\" protocol=")],
            "over HTTP/1.1 and TLS 1.3\n  identity: alice",
        ),
        (&[("status=200", "status=404 store_code=\"NoSuchKey\"")], "; its error code was NoSuchKey"),
        (&[(" total_us=31002", "")], "the line is cut off: what it told after this is lost"),
        (
            &[refused_by!("right-not-granted")],
            "refused by rule right-not-granted: 403 AccessDenied: no\n    help: add the right to allow of the scope\n    \
          the client was told: Ask the operator of this service for this right.",
        ),
        (&[refused_by!("of-the-future")], "refused by rule of-the-future: 403: no\n    more"),
    ];
    for (changes, expected) in cases {
        let told = told::of(&line(changes));
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

/// What a client sends, with line feeds, escape sequences and text that reorders, stays within its line.
#[test]
fn hostile_text_stays_in_its_place() {
    let hostile = "/tmp/a\\n  decision: allowed\\u001b[2J\\u202e";
    let line = line(&[("path=\"/tmp/media/a\"", &format!("path=\"{hostile}\""))]);
    assert_eq!(line.get("path"), Some("/tmp/a\n  decision: allowed\u{1b}[2J\u{202e}"));
    let told = told::of(&line);
    assert!(told.contains("\n  GET /tmp/a␊  decision: allowed␛[2J\\u{202e}\n"), "{told}");
    let judged = judged(EXAMPLE, &line, &[]).text();
    assert!(!plain_lines(&judged).contains(['\u{1b}', '\u{202e}']), "{judged}");
    assert!(!judged.contains("\n  decision: allowed"), "{judged}");
}

/// A change of the line.
type Change<'c> = (&'c str, &'c str);

/// A configuration, changes of the line, the verdict, and a part of its reason.
type Case<'c> = (&'c str, &'c str, Vec<Change<'c>>, &'c str, &'c str);

fn check(cases: Vec<Case<'_>>) {
    for (what, config, changes, verdict, reason) in cases {
        let judged = judged(config, &line(&changes), &[]);
        assert_eq!(judged.verdict.name(), verdict, "{what}: {}", judged.text());
        assert!(judged.verdict.reason().contains(reason), "{what}: {}", judged.text());
        assert!(judged.text().contains(reason), "{what}");
        // What could not be judged has no explanation.
        assert!(judged.explanation.is_some() || verdict == "unknown", "{what}");
    }
}

#[test]
fn the_present_configuration_judges_the_request_again() {
    let narrower = EXAMPLE.replace("\"media/\"", "\"photos/\"");
    let renamed = EXAMPLE.replace("\"media-reader\"", "\"others\"");
    let moved = EXAMPLE.replace("\"sidecar\"", "\"front\"");
    let at_people = ("client=127.0.0.1", "client=10.0.0.1");
    let list = |method: &'static str| {
        [("operation=\"GetObject\"", method), ("path=\"/tmp/media/a\"", "path=\"/tmp\" prefix=\"media/b c\"")]
    };
    let put = ("operation=\"GetObject\" method=GET", "operation=\"PutObject\" method=PUT");
    check(vec![
        ("served", EXAMPLE, vec![], "same", "allowed; what the store"),
        (
            "refused then and now",
            EXAMPLE,
            vec![put, refused_by!("right-not-granted")],
            "same",
            "refused by rule right-not-granted",
        ),
        (
            "allowed since",
            EXAMPLE,
            vec![refused_by!("outside-scope")],
            "different",
            "it was refused by rule outside-scope, and is allowed now",
        ),
        (
            "refused since",
            &narrower,
            vec![],
            "different",
            "it was allowed, and is refused by rule outside-scope now",
        ),
        (
            "another mapping",
            &renamed,
            vec![],
            "different",
            "by the mapping \"others\" instead of the mapping \"media-reader\"",
        ),
        ("no listener", &moved, vec![], "unknown", "has no listener \"sidecar\""),
        ("another client", EXAMPLE, vec![at_people], "different", "is refused by rule no-mapping now"),
        ("a list", EXAMPLE, list("operation=\"ListObjectsV2\"").to_vec(), "same", "allowed"),
        ("an old list", EXAMPLE, list("operation=\"ListObjects\"").to_vec(), "same", "allowed"),
        (
            "uploads",
            EXAMPLE,
            vec![("operation=\"GetObject\"", "operation=\"ListParts\""), refused_by!("right-not-granted")],
            "same",
            "right-not-granted",
        ),
        (
            "a version",
            EXAMPLE,
            vec![("bucket=", "version=\"null\" bucket="), refused_by!("right-not-granted")],
            "same",
            "right-not-granted",
        ),
        (
            "a copy",
            EXAMPLE,
            vec![("operation=\"GetObject\" method=GET", "operation=\"CopyObject\" method=PUT")],
            "unknown",
            "the source of the copy",
        ),
        (
            "a preflight",
            EXAMPLE,
            vec![("operation=\"GetObject\" method=GET", "operation=\"Preflight\" method=OPTIONS")],
            "unknown",
            "the headers decide on Preflight",
        ),
    ]);
}

#[test]
fn what_the_line_does_not_hold_is_not_guessed() {
    check(vec![
        (
            "credentials",
            EXAMPLE,
            vec![refused_by!("bad-credentials")],
            "unknown",
            "depends on the client's credentials, which the log does not hold; without it, the request is allowed",
        ),
        (
            "headers",
            EXAMPLE,
            vec![refused_by!("foreign-host")],
            "unknown",
            "depends on the query, a header or the body",
        ),
        ("load", EXAMPLE, vec![refused_by!("queue-full")], "unknown", "depends on the load"),
        ("a newer rule", EXAMPLE, vec![refused_by!("of-the-future")], "unknown", "no rule \"of-the-future\""),
        ("no request", EXAMPLE, vec![("method=GET", "method=-")], "unknown", "were not a request"),
        (
            "a secret in the path",
            EXAMPLE,
            vec![("/tmp/media/a", "/tmp/a?X-Amz-Signature=***")],
            "unknown",
            "the whole path",
        ),
        (
            "cut before the rule",
            EXAMPLE,
            vec![(&SERVED[SERVED.find(" status").unwrap()..], "")],
            "unknown",
            "cut off before the rule",
        ),
        (
            "cut before the path",
            EXAMPLE,
            vec![(&SERVED[SERVED.find(" path").unwrap()..], "")],
            "unknown",
            "does not hold the path",
        ),
        (
            "another operation",
            EXAMPLE,
            vec![("operation=\"GetObject\" method=GET", "operation=\"GetObject\" method=HEAD")],
            "unknown",
            "what the log holds of it is for HeadObject",
        ),
    ]);
}

#[test]
fn identities_are_taken_from_the_configuration() {
    let user = format!(
        "{EXAMPLE}[[user]]\nname = \"alice\"\npassword = [\"$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6\"]\n\
         [[mapping]]\nname = \"people\"\nclient = {{ user = [\"alice\"] }}\n\
         [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"people/\"\nallow = [\"read\"]\n"
    );
    let at_people = ("client=127.0.0.1", "client=10.0.0.1");
    let of_people = ("mapping=\"media-reader\"", "mapping=\"people\" identity=\"alice\"");
    let in_people = ("path=\"/tmp/media/a\"", "path=\"/tmp/people/a\"");
    check(vec![
        ("a user", &user, vec![at_people, of_people, in_people], "same", "allowed"),
        (
            "a user without a name",
            &user,
            vec![at_people, ("media-reader", "people"), in_people],
            "same",
            "allowed",
        ),
        (
            "a hashed user",
            &user,
            vec![at_people, ("mapping=\"media-reader\"", "mapping=\"people\" identity=\"00aa\""), in_people],
            "same",
            "allowed",
        ),
        (
            "a mapping that is gone",
            EXAMPLE,
            vec![("mapping=\"media-reader\"", "mapping=\"people\" identity=\"00aa\"")],
            "unknown",
            "has no mapping \"people\"",
        ),
    ]);
}

#[test]
fn what_the_line_lacks_is_assumed_aloud_and_can_be_given() {
    let told = judged(EXAMPLE, &line(&[]), &[]).text();
    assert!(told.contains("assumed: the query was none, for the log has no queries"), "{told}");
    assert!(told.contains("assumed: the request was for the listener's own address"), "{told}");
    let told = judged(EXAMPLE, &line(&[refused_by!("foreign-host")]), &["Host: evil.test"]).text();
    assert!(!told.contains("own address") && told.contains("refused by rule foreign-host"), "{told}");
    let unix = line(&[("client=127.0.0.1", "client=unix identity=\"uid:7\"")]);
    let told = judged(EXAMPLE, &unix, &[]).text();
    assert!(told.contains("assumed: the client's group id is 7, as its user id"), "{told}");
}

#[test]
fn json_has_the_line_and_the_judgement() {
    let line = line(&[]);
    let judged = judged(EXAMPLE, &line, &[]);
    let told = object(&line, Some(&judged));
    assert_eq!(told["line"]["id"], "0123456789ABCDEF");
    assert_eq!((&told["line"]["total_us"], &told["is_cut"]), (&31002.into(), &false.into()));
    assert_eq!((&told["would_be"], &told["now"]["mapping"]), (&"same".into(), &"media-reader".into()));
    let alone = object(&line, None);
    assert!(
        alone["now"].is_null() && alone["would_be"].is_null() && alone["line"]["status"] == 200,
        "{alone}"
    );
}

//! Tests of the settings of load balancers.

use crate::config::tests::{EXAMPLE, Fake, mistakes};
use crate::config::{Config, Listener};

const TCP: &str = "0.0.0.0:8080";
const UNIX: &str = "unix:/run/s3.sock";

/// Returns the example with these lines of its listener, whose networks hold every address.
fn example(address: &str, lines: &str) -> String {
    let listener = format!("address = \"{address}\"\n{lines}\n");
    EXAMPLE.replace("network = [\"127.0.0.0/8\", \"::1/128\"], ", "").replacen(
        "address = \"127.0.0.1:8080\"",
        &listener,
        1,
    )
}

fn listener(address: &str, lines: &str) -> Listener {
    Config::parse(&example(address, lines), &Fake).unwrap().listeners.remove(0)
}

#[test]
fn load_balancers_are_named_by_network_or_user() {
    use crate::identify::client::tests::{connection, listener as at};
    use crate::identify::client::{Connection, PeerUser};
    use proxy_protocol::{Version, Versions};
    let proxied = "proxy_protocol = { from = [\"10.0.0.0/8\", \"fd00::1\"], versions = [\"v1\", \"v2\"] }";
    let settings = listener(TCP, proxied).proxy_protocol.unwrap();
    assert_eq!(settings.versions, Versions::Both);
    let tcp = |address| connection(Some(address), at("main"));
    assert!(settings.from.trust_peer(&tcp("10.1.2.3")) && settings.from.trust_peer(&tcp("fd00::1")));
    assert!(!settings.from.trust_peer(&tcp("127.0.0.1")) && !settings.from.trust_peer(&tcp("fd00::2")));
    let unix = "proxy_protocol = { from = [\"uid:7\", \"uid:app\"], versions = \"v2\" }";
    let settings = listener(UNIX, unix).proxy_protocol.unwrap();
    assert_eq!(settings.versions, Versions::Only(Version::V2));
    let user = |uid| Connection::unix(Some(PeerUser { uid, gid: 0 }), at("main"));
    for (uid, trusted) in [(1000, true), (7, true), (1001, false)] {
        assert_eq!(settings.from.trust_peer(&user(uid)), trusted, "{uid}");
    }
    let forwarded = "forwarded = { header = \"X-Real-IP\", scheme = \"X-Forwarded-Proto\", from = [\"uid:1000\", \"10.0.0.0/8\"] }";
    let settings = listener(UNIX, forwarded).forwarded.unwrap();
    assert_eq!((&*settings.address, settings.scheme.as_deref()), ("x-real-ip", Some("x-forwarded-proto")));
    assert!(settings.from.trust_peer(&user(1000)) && settings.from.trust_address([10, 0, 0, 1].into()));
    let plain = listener(TCP, "");
    assert!(plain.proxy_protocol.is_none() && plain.forwarded.is_none());
}

#[test]
fn each_mistake_in_a_proxy_header_has_its_place_and_help() {
    for (address, lines, told) in [
        (
            TCP,
            "proxy_protocol = true",
            "4:18 proxy_protocol is of type boolean | proxy_protocol is a table, such as",
        ),
        (
            TCP,
            "proxy_protocol = { versions = \"v1\" }",
            "4:18 proxy_protocol has no \"from\" | write the peers",
        ),
        (
            TCP,
            "proxy_protocol = { from = \"10.0.0.1\" }",
            "4:18 proxy_protocol has no \"versions\" | write those",
        ),
        (
            TCP,
            "proxy_protocol = { from = \"10.0.0.1\", versions = [\"v1\", \"V2\"] }",
            "4:57 \"V2\" is not a version of the PROXY protocol | write \"v1\" or",
        ),
        (TCP, "proxy_protocol = { from = \"10.0.0.1\", versions = [] }", "4:50 versions is empty"),
        (
            TCP,
            "proxy_protocol = { from = \"10.0.0.1\", versions = [\"v1\", \"v1\"] }",
            "4:50 a version is listed twice",
        ),
        (TCP, "proxy_protocol = { from = [], versions = \"v1\" }", "4:27 from has 0 entries; 1 to 10000"),
        (
            TCP,
            "proxy_protocol = { from = [\"lb.test\"], versions = \"v1\" }",
            "4:28 \"lb.test\" is not a network | write a network",
        ),
        (
            TCP,
            "proxy_protocol = { from = [\"10.1.2.3/8\"], versions = \"v1\" }",
            "4:28 \"10.1.2.3/8\" is not a network | the address has bits beyond",
        ),
        (
            TCP,
            "proxy_protocol = { from = [\"uid:0\"], versions = \"v1\" }",
            "4:28 \"uid:0\" is for unix sockets",
        ),
        (
            TCP,
            "proxy_protocol = { from = \"10.0.0.1\", versions = \"v1\", only = true }",
            "4:56 unknown key \"only\" in proxy_protocol",
        ),
        (
            UNIX,
            "proxy_protocol = { from = [\"10.0.0.0/8\"], versions = \"v1\" }",
            "4:28 \"10.0.0.0/8\" is not a peer of a unix socket",
        ),
        (
            UNIX,
            "proxy_protocol = { from = [\"uid:no-one\"], versions = \"v1\" }",
            "4:28 \"uid:no-one\" is not a user",
        ),
        (UNIX, "proxy_protocol = { from = [\"uid:\"], versions = \"v1\" }", "4:28 \"uid:\" is not a user"),
        (
            UNIX,
            "proxy_protocol = { from = [\"uid:-1\"], versions = \"v1\" }",
            "4:28 \"uid:-1\" is not a user",
        ),
        (
            UNIX,
            "proxy_protocol = { from = [\"uid:4294967296\"], versions = \"v1\" }",
            "4:28 \"uid:4294967296\" is not a user",
        ),
    ] {
        let found = mistakes(&example(address, lines));
        assert!(found.len() == 1 && found[0].starts_with(told), "{lines}: {found:?}");
    }
}

#[test]
fn each_mistake_in_a_forwarded_header_has_its_place_and_help() {
    let many = format!("forwarded = {{ header = \"X-A\", from = {:?} }}", vec!["10.0.0.1"; 10_001]);
    for (address, lines, told) in [
        (
            UNIX,
            "forwarded = { header = \"X-Forwarded-For\", from = [\"10.0.0.0/8\"] }",
            "4:50 from names no user, and the peers of a unix socket have no address",
        ),
        (TCP, "forwarded = { from = \"10.0.0.1\" }", "4:13 forwarded has no \"header\" | write the header"),
        (TCP, "forwarded = { header = \"X-A\" }", "4:13 forwarded has no \"from\" | write the peers"),
        (TCP, &many, "4:38 from has 10001 entries; 1 to 10000"),
        (
            TCP,
            "forwarded = { header = \"X-A:\", from = \"10.0.0.1\" }",
            "4:24 \"X-A:\" is not a header that a load balancer can set | write the name",
        ),
        (TCP, "forwarded = { header = \"Forwarded\", from = \"10.0.0.1\" }", "4:24 \"Forwarded\" is not"),
        (TCP, "forwarded = { header = \"Host\", from = \"10.0.0.1\" }", "4:24 \"Host\" is not"),
        (TCP, "forwarded = { header = \"x-amz-date\", from = \"10.0.0.1\" }", "4:24 \"x-amz-date\" is not"),
        (
            TCP,
            "forwarded = { header = \"X-A\", scheme = \"x-a\", from = \"10.0.0.1\" }",
            "4:40 header and scheme are the same header",
        ),
    ] {
        let found = mistakes(&example(address, lines));
        assert!(found.len() == 1 && found[0].starts_with(told), "{lines}: {found:?}");
    }
}

#[test]
fn warns_of_load_balancers_that_are_everyone() {
    let warned = |lines: &str| {
        let config = Config::parse(&example(TCP, lines), &Fake).unwrap();
        config.warnings().iter().filter(|told| told.message.contains("can claim any address")).count()
    };
    for (from, count) in [
        ("[\"0.0.0.0/0\"]", 1),
        ("[\"::/0\", \"10.0.0.0/8\"]", 1),
        ("[\"0.0.0.0/1\", \"128.0.0.0/1\"]", 1),
        ("[\"10.0.0.0/8\"]", 0),
    ] {
        assert_eq!(
            warned(&format!("proxy_protocol = {{ from = {from}, versions = \"v2\" }}")),
            count,
            "{from}"
        );
        assert_eq!(warned(&format!("forwarded = {{ from = {from}, header = \"X-A\" }}")), count, "{from}");
    }
}

#[test]
fn networks_match_wherever_a_load_balancer_names_the_client() {
    let proxied = "proxy_protocol = { from = \"uid:1000\", versions = \"v2\" }";
    let network = "network = \"203.0.113.0/24\", ";
    let with = |address: &str, lines: &str| {
        example(address, lines).replace("client  = { ", &format!("client  = {{ {network}"))
    };
    let found = mistakes(&with(UNIX, ""));
    assert!(found[1].contains("clients of a unix socket have no address"), "{found:?}");
    assert_eq!(mistakes(&with(UNIX, proxied)), [""; 0]);
    let loopback = "forwarded = { from = \"127.0.0.1\", header = \"X-A\" }";
    for (lines, warnings) in [("", 2), (loopback, 0)] {
        let config = Config::parse(&with("127.0.0.1:8080", lines), &Fake).unwrap();
        assert_eq!(config.warnings().len(), warnings, "{:?}", config.warnings());
    }
}

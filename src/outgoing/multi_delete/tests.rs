use super::*;
use crate::authorize::mount::Mount;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::s3::names::{BucketName, Prefix};
use http::Method;
use http1::Fields;
use proptest::prelude::*;

fn scope(prefix: &str, rights: &[Right]) -> Scope {
    let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse(prefix).unwrap());
    Scope::new(bucket, prefix, rights.iter().copied().collect())
}

fn mapping() -> Mapping {
    let scopes = vec![
        scope("media/", &[Right::Delete]),
        scope("old/", &[Right::Delete, Right::Versions]),
        scope("read/", &[Right::Read]),
        scope("deep/", &[Right::Delete]).mounted(Mount::parse("/pub/").unwrap()),
    ];
    Mapping::of_scopes("deleter", scopes)
}

fn judged(path: &str, document: &str) -> Judged {
    let (mapping, fields) = (mapping(), Fields::default());
    let grant = mapping.grant(&Method::POST, path, Some("delete"), &fields).unwrap();
    judge(Deletion::parse(document.as_bytes()).unwrap(), &mapping, &grant)
}

fn sent(judged: &Judged) -> Vec<&str> {
    judged.groups.iter().map(|group| str::from_utf8(&group.document).unwrap()).collect()
}

fn objects(keys: &[&str]) -> String {
    format!("<Delete><Object>{}</Object></Delete>", keys.join("</Object><Object>"))
}

#[test]
fn documents() {
    let document = "<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n \
        <Quiet>true</Quiet><Object><Key>a&amp;b&#x41;&lt;<![CDATA[<c>]]></Key><VersionId>1</VersionId></Object>\
        <Object><VersionId></VersionId><Key> d </Key><ETag>\"e\"</ETag></Object></Delete>\n";
    let read = Deletion::parse(document.as_bytes()).unwrap();
    let named = |key: &str, version_id: Option<&str>, conditional| Named {
        key: key.into(),
        version_id: version_id.map(Into::into),
        conditional,
    };
    let objects = vec![named("a&bA<<c>", Some("1"), false), named(" d ", None, true)];
    assert_eq!(read, Deletion { quiet: true, objects });
}

#[test]
fn malformed_documents_are_refused() {
    let many = objects(&vec!["<Key>a</Key>"; crate::s3::limits::MAX_PAGE + 1]);
    let long = objects(&[&format!("<Key>{}</Key>", "a".repeat(5000))]);
    for bad in [
        "",
        "text",
        "<Delete/>",
        "<Delete></Delete>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><Key/></Object></Delete>",
        "<Delete><Object><Key></Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><Unknown/></Object></Delete>",
        "<Delete><Object><Key>a<b/></Key></Object></Delete>",
        "<Delete><Key>a</Key></Delete>",
        "<Delete>text<Object><Key>a</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object>",
        "<Delete><Object><Key>a</Key></Delete></Object>",
        "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
        "<Delete><Object><Key>a</Key></Object><Quiet>maybe</Quiet></Delete>",
        "<Other><Object><Key>a</Key></Object></Other>",
        "<!DOCTYPE Delete [<!ENTITY k \"media/a\">]><Delete><Object><Key>&k;</Key></Object></Delete>",
        "<Delete><Object><Key>&k;</Key></Object></Delete>",
        "<Delete><!-- c --><Object><Key>a</Key></Object></Delete>",
        "<Delete a=\"b\"><Object><Key>a</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object><Quiet/><Quiet/></Delete>",
        "<?php x?><Delete><Object><Key>a</Key></Object></Delete>",
        &many,
        &long,
    ] {
        let refused = Deletion::parse(bad.as_bytes()).map_err(|refusal| refusal.rule);
        assert_eq!(refused, Err(Rule::MalformedDocument), "{}", bad.get(..bad.len().min(80)).unwrap());
    }
    assert!(Deletion::parse(b"<Delete><Object><Key>\xff</Key></Object></Delete>").is_err());
}

#[test]
fn every_key_is_judged_as_a_delete_of_it() {
    let judged = judged(
        "/tmp",
        &objects(&[
            "<Key>media/a&amp;b</Key>",
            "<Key>other/a</Key>",
            "<Key>old/a</Key><VersionId>0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a</VersionId>",
            "<Key>media/a</Key><VersionId>7</VersionId>",
            "<Key>media/../other/a</Key>",
            "<Key>read/a</Key>",
            "<Key>deep/a</Key>",
            "<Key>media/c</Key><ETag>e</ETag>",
            "<Key>media/&#1;</Key>",
        ]),
    );
    assert_eq!(
        sent(&judged),
        ["<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>false</Quiet>\
         <Object><Key>media/a&amp;b</Key></Object><Object><Key>old/a</Key><VersionId>0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a</VersionId></Object></Delete>"]
    );
    let refused = result(&judged.refused);
    let codes: Vec<_> = refused
        .split("<Error><Key>")
        .skip(1)
        .map(|error| (error.split('<').next().unwrap(), error.split("<Code>").nth(1).unwrap()))
        .map(|(key, rest)| (key, rest.split('<').next().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ("other/a", "AccessDenied"),
            ("media/a", "AccessDenied"),
            ("media/../other/a", "InvalidURI"),
            ("read/a", "AccessDenied"),
            ("deep/a", "AccessDenied"),
            ("media/c", "NotImplemented"),
            ("media/\u{fffd}", "InvalidURI"),
        ]
    );
}

#[test]
fn mounted_clients_see_their_own_keys() {
    let judged = judged("/pub", &objects(&["<Key>a</Key>", "<Key>../media/a</Key>"]));
    assert!(sent(&judged).concat().contains("<Key>deep/a</Key>"));
    assert!(
        result(&judged.refused).contains("<Key>../media/a</Key>")
            && !result(&judged.refused).contains("deep")
    );
}

#[test]
fn nothing_is_sent_without_an_allowed_key() {
    let judged = judged("/tmp", &objects(&["<Key>other/a</Key>"]));
    assert_eq!(sent(&judged), [""; 0]);
    assert!(
        result(&judged.refused).contains("<DeleteResult xmlns=")
            && result(&judged.refused).contains("<Key>other/a</Key>")
    );
}

#[test]
fn many_keys_are_sent_in_small_groups_in_their_order() {
    let keys: Vec<String> = (0..=2 * GROUP).map(|number| format!("<Key>media/{number}</Key>")).collect();
    let document = objects(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let judged = judged("/tmp", &document);
    assert_eq!(judged.groups.iter().map(|group| group.named.len()).collect::<Vec<_>>(), [GROUP, GROUP, 1]);
    let read = sent(&judged).into_iter().flat_map(|sent| Deletion::parse(sent.as_bytes()).unwrap().objects);
    assert!(read.map(|named| named.key).eq((0..=2 * GROUP).map(|number| format!("media/{number}"))));
}

proptest! {
    /// The store receives only keys in scope, and reads exactly the keys that were judged.
    #[test]
    fn only_keys_in_scope_are_sent(key in prop_oneof!["(media/|old/|other/|)[a-z&<>\"'./\\\\]{0,12}", "media/\\PC{1,20}"]) {
        let document = objects(&[&format!("<Key>{}</Key>", quick_xml::escape::escape(&key))]);
        prop_assume!(Deletion::parse(document.as_bytes()).is_ok());
        for sent in sent(&judged("/tmp", &document)) {
            let sent = Deletion::parse(sent.as_bytes()).unwrap();
            prop_assert!(key.starts_with("media/") || key.starts_with("old/"), "{}", key);
            prop_assert_eq!(&sent.objects[0].key, &key);
        }
    }

    /// No document makes the parser panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[<>/&;a-zA-Z \"!\\[\\]-]{0,80}") {
        let _ = (Deletion::parse(&bytes), Deletion::parse(text.as_bytes()));
    }
}

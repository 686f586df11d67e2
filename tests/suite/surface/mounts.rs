//! Mounted scopes: clients use their own paths, and never see the bucket or the prefix.

use super::elements;
use crate::support::http::{Connection, Response};
use crate::support::world::{Corner, World, outcome};
use aws_smithy_types::base64;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeSet;

const BUCKET: &str = "hidden-bucket";
const RIGHTS: &str = "read,list,write,delete,versions";

/// Texts that no response may contain.
const SECRETS: [&str; 4] = [BUCKET, "geheim", "tief", "stsadmin"];

/// Four clients that see the scope at `/`, at `/pub/`, at `/a/b/`, and unmounted.
fn world() -> World {
    let scopes: Vec<[(&str, &str, &str); 1]> = ["@/", "@/pub/", "@/a/b/", ""]
        .map(|mount| {
            let rights: &'static str = format!("{RIGHTS}{mount}").leak();
            [(BUCKET, "geheim ü/tief/", rights)]
        })
        .into();
    let corners: Vec<Corner<'_>> = ["root", "pub", "deep", "plain"]
        .into_iter()
        .zip(&scopes)
        .map(|(name, scopes)| Corner { name, scopes, more: "" })
        .collect();
    let world = World::start(&corners);
    world.minio.mc(&["mb", &format!("local/{BUCKET}")]);
    world
}

/// Fails if a response reveals the bucket or the prefix as plain text, URL-encoded or in base64.
fn assert_hidden(what: &str, answer: &Response) {
    let head: String =
        answer.head.headers.iter().map(|(name, value)| name.clone() + ": " + value + "\n").collect();
    let all = format!("{head}\n{}", answer.text());
    let decoded = percent_decode_str(&all).decode_utf8_lossy().into_owned();
    let words = all.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c));
    let tokens = words
        .flat_map(|word| [word, word.get(1..).unwrap_or_default()])
        .filter_map(|word| base64::decode(word).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for text in [all.clone(), decoded].into_iter().chain(tokens) {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{what} shows {secret}: {all}");
        }
    }
}

/// Decodes names in XML, with `encoding-type=url` if `url` is set.
fn decoded(names: Vec<String>, url: bool) -> Vec<String> {
    names
        .into_iter()
        .map(|name| {
            let name = quick_xml::escape::unescape(&name).unwrap().into_owned();
            if !url {
                return name;
            }
            percent_decode_str(&name.replace('+', " ")).decode_utf8().unwrap().into_owned()
        })
        .collect()
}

/// Returns the keys and common prefixes of all pages.
fn list(connection: &mut Connection, path: &str, v2: bool, query: &str) -> (Vec<String>, Vec<String>) {
    let url = query.contains("encoding-type=url");
    let (mut keys, mut prefixes, mut next) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..100 {
        let kind = if v2 { "list-type=2" } else { "max-keys=400" };
        let target = format!("{path}?{kind}&{query}{next}");
        let page = connection.request("GET", &target, &[], b"").unwrap();
        assert_eq!(page.status(), 200, "{target}: {}", page.text());
        assert_hidden(&target, &page);
        keys.extend(decoded(elements(&page, "Key"), url));
        let common = elements(&page, "CommonPrefixes");
        let common = common.iter().map(|element| element.replace("<Prefix>", "").replace("</Prefix>", ""));
        prefixes.extend(decoded(common.collect(), url));
        let token = page.element(if v2 { "NextContinuationToken" } else { "NextMarker" });
        let Some(token) = token else { return (keys, prefixes) };
        // A token is opaque, a marker is a name.
        let token = decoded(vec![token], url && !v2).remove(0);
        let name = if v2 { "continuation-token" } else { "marker" };
        next = format!("&{name}={}", utf8_percent_encode(&token, NON_ALPHANUMERIC));
    }
    panic!("the list does not end")
}

#[test]
fn lists_of_2500_keys_use_the_clients_names() {
    let world = world();
    let mut root = Connection::open(world.proxy.address("root")).unwrap();
    let keys: BTreeSet<String> = (0..2500)
        .map(|number| match number % 5 {
            0 => format!("d{:02}/k & \"{number:04}\"", number % 50),
            1 => format!("ü {number:04}+%"),
            _ => format!("k{number:04}"),
        })
        .collect();
    for key in &keys {
        let target = format!("/{}", utf8_percent_encode(key, NON_ALPHANUMERIC));
        assert_eq!(root.request("PUT", &target, &[], b"x").unwrap().status(), 200, "{key}");
    }
    let mut public = Connection::open(world.proxy.address("pub")).unwrap();
    let mut plain = Connection::open(world.proxy.address("plain")).unwrap();
    let all: Vec<String> = keys.iter().cloned().collect();
    let flat: Vec<String> = keys.iter().filter(|key| !key.contains('/')).cloned().collect();
    let folders: Vec<String> = (0..10).map(|number| format!("d{:02}/", number * 5)).collect();
    for v2 in [true, false] {
        for url in ["", "&encoding-type=url"] {
            for (corner, path) in [("root", "/"), ("pub", "/pub"), ("pub", "/pub/"), ("deep", "/a/b/")] {
                let connection = &mut Connection::open(world.proxy.address(corner)).unwrap();
                assert_eq!(
                    list(connection, path, v2, &format!("prefix={url}")),
                    (all.clone(), vec![]),
                    "{path}"
                );
                let folded = list(connection, path, v2, &format!("delimiter=/{url}"));
                assert_eq!(folded, (flat.clone(), folders.clone()), "{path}");
                let of_folder = list(connection, path, v2, &format!("prefix=d05/{url}"));
                let expected: Vec<String> =
                    keys.iter().filter(|key| key.starts_with("d05/")).cloned().collect();
                assert_eq!(of_folder.0, expected, "{path}");
            }
        }
    }
    // The same as without a mount, except for the prefix.
    let named =
        format!("/{BUCKET}?list-type=2&prefix={}", utf8_percent_encode("geheim ü/tief/", NON_ALPHANUMERIC));
    let page = plain.request("GET", &named, &[], b"").unwrap();
    let inner: Vec<String> =
        elements(&page, "Key").iter().map(|key| key.replace("geheim ü/tief/", "")).collect();
    let seen = root.request("GET", "/?list-type=2", &[], b"").unwrap();
    assert_eq!(elements(&seen, "Key"), inner);
    assert_eq!((seen.element("Name").as_deref(), seen.element("Prefix").as_deref()), (Some(""), Some("")));
    let seen =
        public.request("GET", "/pub?list-type=2&prefix=k0&start-after=k0500&max-keys=1", &[], b"").unwrap();
    let shown = ["Name", "Prefix", "StartAfter", "Key"].map(|name| seen.element(name).unwrap());
    assert_eq!(shown, ["pub", "k0", "k0500", "k0502"]);
    let seen = public.request("GET", "/pub?prefix=k0&marker=k0500&max-keys=1", &[], b"").unwrap();
    assert_eq!(["Marker", "Key"].map(|name| seen.element(name).unwrap()), ["k0500", "k0502"]);
    let seen =
        public.request("GET", "/pub?versions&prefix=k0&key-marker=k0500&max-keys=1", &[], b"").unwrap();
    assert_hidden("versions", &seen);
    assert_eq!(["KeyMarker", "Key"].map(|name| seen.element(name).unwrap()), ["k0500", "k0502"]);
}

#[test]
fn forged_tokens_stay_in_scope() {
    let world = world();
    for key in ["a", "b"] {
        assert_eq!(world.ask("pub", "PUT", &format!("/pub/{key}"), &[], b"x").status(), 200);
    }
    world.minio.put(&format!("{BUCKET}/other/a"), b"x");
    for token in [
        base64::encode("other/"),
        base64::encode("geheim ü/tief/a"),
        format!("k{}", base64::encode("../../other/")),
        format!("k{}", base64::encode("a")),
        format!("o{}", base64::encode("other/")),
        "k".to_owned(),
        "o".to_owned(),
        "!".to_owned(),
    ] {
        let encoded = utf8_percent_encode(&token, NON_ALPHANUMERIC);
        let answer = world.get("pub", &format!("/pub?list-type=2&continuation-token={encoded}"));
        assert_hidden(&token, &answer);
        let keys = elements(&answer, "Key");
        assert!(
            answer.status() >= 400 || keys.iter().all(|key| key == "a" || key == "b"),
            "{token}: {keys:?}"
        );
    }
}

/// Every operation and every kind of refusal, through a mount.
#[test]
fn every_operation_works_below_a_mount_and_hides_the_bucket() {
    let world = world();
    for (corner, base, list) in [("root", "", "/"), ("pub", "/pub", "/pub"), ("deep", "/a/b", "/a/b")] {
        let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
            let target = format!("{base}{target}");
            let answer = world.ask(corner, method, &target, headers, body);
            assert_hidden(&format!("{method} {target}"), &answer);
            answer
        };
        let ok = |answer: &Response| assert!(answer.status() < 300, "{corner}: {}", outcome(answer));
        ok(&ask("PUT", "/d/a%20b", &[("x-amz-meta-a", "b")], b"content"));
        assert_eq!(ask("GET", "/d/a%20b", &[], b"").text(), "content");
        assert_eq!(ask("HEAD", "/d/a%20b", &[], b"").header("x-amz-meta-a"), Some("b"));
        ok(&ask("GET", "/d/a%20b?attributes", &[("x-amz-object-attributes", "ETag")], b""));
        let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
        ok(&ask("PUT", "/d/a%20b?tagging", &[], tags));
        assert_eq!(ask("GET", "/d/a%20b?tagging", &[], b"").element("Key").as_deref(), Some("k"));
        ok(&ask("DELETE", "/d/a%20b?tagging", &[], b""));
        let source = format!("{base}/d/a%20b");
        ok(&ask("PUT", "/copy", &[("x-amz-copy-source", &source)], b""));
        assert_eq!(ask("GET", "/copy", &[], b"").text(), "content");

        let created = ask("POST", "/large?uploads", &[], b"");
        let shown = ["Bucket", "Key"].map(|name| created.element(name).unwrap());
        assert_eq!(shown, [base.trim_start_matches('/'), "large"]);
        let upload = created.element("UploadId").unwrap();
        let first = ask("PUT", &format!("/large?partNumber=1&uploadId={upload}"), &[], &vec![7; 5 << 20]);
        let second = ask(
            "PUT",
            &format!("/large?partNumber=2&uploadId={upload}"),
            &[("x-amz-copy-source", &source)],
            b"",
        );
        let parts = ask("GET", &format!("/large?uploadId={upload}"), &[], b"");
        assert_eq!(parts.element("Key").as_deref(), Some("large"));
        let body = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             <Part><PartNumber>2</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
            first.header("etag").unwrap(),
            second.element("ETag").unwrap()
        );
        let done = ask("POST", &format!("/large?uploadId={upload}"), &[], body.as_bytes());
        assert_eq!(done.element("Location").unwrap(), format!("http://localhost{base}/large"));
        assert_eq!(done.element("Key").as_deref(), Some("large"));
        let again = ask("POST", "/gone?uploads", &[], b"").element("UploadId").unwrap();
        ok(&ask("DELETE", &format!("/gone?uploadId={again}"), &[], b""));
        ok(&ask("DELETE", "/large", &[], b""));

        let at_root = |query: &str| {
            let answer = world.ask(corner, "GET", &format!("{list}{query}"), &[], b"");
            assert_hidden(query, &answer);
            answer
        };
        assert_eq!(elements(&at_root("?list-type=2"), "Key"), ["copy", "d/a b"]);
        assert_eq!(elements(&at_root("?versions"), "Key"), ["copy", "d/a b"]);
        assert_eq!(at_root("?location").status(), 200);
        assert_eq!(world.ask(corner, "HEAD", list, &[], b"").status(), 200);

        for (method, target, headers, expected) in [
            ("GET", "/none", &[][..], "404 NoSuchKey"),
            ("GET", "/none?tagging", &[], "404 NoSuchKey"),
            ("GET", "/d/a%20b", &[("Range", "bytes=99-")], "416 InvalidRange"),
            ("GET", "/d/a%20b", &[("If-Match", "\"x\"")], "412 PreconditionFailed"),
            ("GET", "/d/a%20b?versionId=x", &[], "400 InvalidArgument"),
            ("GET", "/none?uploadId=x", &[], "404 NoSuchUpload"),
            ("PUT", "/x", &[("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")], "400 BadDigest"),
            ("PUT", "/x", &[("x-amz-copy-source", "/hidden-bucket/other/a")], "403"),
            ("PUT", "/x", &[("x-amz-copy-source", "/pub/../../other/a")], "400 InvalidArgument bad-header"),
            ("GET", "/../other/a", &[], "400 InvalidURI bad-target"),
            ("GET", "/a//b", &[], "400 InvalidURI bad-target"),
            ("GET", "/a?acl", &[], "501 NotImplemented unknown-operation"),
            ("OPTIONS", "/a", &[], "204"),
        ] {
            let answer = ask(method, target, headers, b"");
            let expected = if corner == "root" && expected == "403" { "404 NoSuchKey" } else { expected };
            assert!(
                outcome(&answer).starts_with(expected),
                "{corner} {method} {target}: {}",
                outcome(&answer)
            );
        }
        let delete = b"<Delete><Object><Key>copy</Key></Object><Object><Key>../x</Key></Object></Delete>";
        let deleted = world.ask(corner, "POST", &format!("{list}?delete"), &[], delete);
        assert_hidden("delete", &deleted);
        assert_eq!(elements(&deleted, "Deleted"), ["<Key>copy</Key>"], "{}", deleted.text());
        ok(&ask("DELETE", "/d/a%20b", &[], b""));
    }
    // Nothing exists outside a mount, and the hidden names do not lead into it.
    for (corner, target) in
        [("pub", "/hidden-bucket/geheim%20%C3%BC/tief/a"), ("pub", "/public/a"), ("deep", "/a/x")]
    {
        let answer = world.get(corner, target);
        assert_eq!(outcome(&answer), "403 AccessDenied outside-scope", "{target}");
    }
    let buckets = |corner: &str| elements(&world.get(corner, "/"), "Name");
    assert_eq!((buckets("pub"), buckets("plain")), (vec!["pub".to_owned()], vec![BUCKET.to_owned()]));
    assert_eq!(buckets("deep"), [""; 0]);
}

/// Lists for people and index pages also use the client's names, over several pages.
#[test]
fn lists_for_people_hide_the_bucket_behind_a_mount() {
    let world = world();
    let mut connection = Connection::open(world.proxy.address("root")).unwrap();
    for number in 0..1203 {
        let put = connection.request("PUT", &format!("/folder/k{number:04}"), &[], b"x").unwrap();
        assert_eq!(put.status(), 200, "{}", put.text());
    }
    assert_eq!(connection.request("PUT", "/hello.txt", &[], b"hello").unwrap().status(), 200);
    for (corner, root) in [("root", "/"), ("pub", "/pub/"), ("deep", "/a/b/")] {
        for form in ["text/html", "application/json", "text/plain"] {
            let top = world.ask(corner, "GET", root, &[("Accept", form)], b"");
            assert_eq!(top.status(), 200, "{corner} {form}: {}", top.text());
            assert!(top.text().contains("folder") && top.text().contains("hello.txt"), "{}", top.text());
            assert_hidden(&format!("{corner} {form}"), &top);
            let folder = world.ask(corner, "GET", &format!("{root}folder/"), &[("Accept", form)], b"");
            assert_hidden(&format!("{corner} {form} folder"), &folder);
            // JSON and text are complete. An HTML page has a thousand names and a link to the rest.
            let names = folder.text().matches("k1202").count();
            assert_eq!(names == 0, form == "text/html", "{corner} {form}");
            let nothing = world.ask(corner, "GET", &format!("{root}nothing/"), &[("Accept", form)], b"");
            assert_eq!(nothing.status(), 404, "{corner} {form}: {}", nothing.text());
            assert_hidden(&format!("{corner} {form} nothing"), &nothing);
        }
        let next =
            world.ask(corner, "GET", &format!("{root}folder/?after=k0999"), &[("Accept", "text/html")], b"");
        assert!(next.text().contains("k1202") && !next.text().contains("k0999<"), "{}", next.text());
        assert_hidden("the next page", &next);
    }
}

use super::read::NoList;
use super::*;
use crate::authorize::mount::Mount;
use crate::authorize::rights::{Right, Rights};
use crate::authorize::scope::Scope;
use crate::s3::names::BucketName;
use base64::Engine as _;
use http::Method;
use http1::Fields;
use proptest::prelude::*;

const BOTH: [Right; 2] = [Right::List, Right::Write];

fn scope(bucket: &str, prefix: &str, rights: &[Right]) -> Scope {
    let rights: Rights = rights.iter().copied().collect();
    Scope::new(BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap(), rights)
}

fn mapping() -> Mapping {
    let scopes = vec![
        scope("tmp", "media/", &BOTH),
        scope("tmp", "zoo/", &BOTH),
        scope("tmp", "read/", &[Right::List]),
        scope("tmp", "deep/er/", &BOTH).mounted(Mount::parse("/pub/").unwrap()),
    ];
    Mapping::of_scopes("all", scopes)
}

fn listing_of(mapping: &Mapping, target: &str) -> Listing {
    let (path, query) = target.split_once('?').unwrap();
    let fields = Fields::default();
    Listing::new(mapping, &mapping.grant(&Method::GET, path, Some(query), &fields).unwrap())
}

fn listing(target: &str) -> Listing {
    listing_of(&mapping(), target)
}

fn elsewhere(target: &str) -> Listing {
    listing_of(&Mapping { dialect: Dialect::S3, ..mapping() }, target)
}

/// Returns the id of an upload that began at this time.
fn id(time: u64) -> String {
    let deployment = "0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a";
    let text = format!("{deployment}.{deployment}x{time}");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn upload(key: &str, time: u64) -> Upload {
    Upload { key: key.to_owned(), id: id(time), initiated: 0 }
}

/// Returns the page's keys, its common prefixes, and the start of the next page.
fn page(listing: &Listing, uploads: &[Upload]) -> (Vec<String>, Vec<String>, Option<Marker>) {
    let mut selection = Selection::new(listing);
    for entry in uploads.iter().filter_map(|upload| listing.entry(upload)) {
        selection.offer(entry);
    }
    let text = listing.page(selection);
    let all = |start: &str, end: &str| -> Vec<String> {
        text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap().to_owned()).collect()
    };
    let one = |name: &str| all(&format!("<{name}>"), &format!("</{name}>")).remove(0);
    let next = (one("IsTruncated") == "true").then(|| (one("NextKeyMarker"), one("NextUploadIdMarker")));
    (all("<Key>", "</Key>"), all("<CommonPrefixes><Prefix>", "</Prefix>"), next)
}

#[test]
fn only_uploads_in_the_scopes_are_shown() {
    let uploads: Vec<Upload> = [
        "media/a",
        "media",
        "media2/a",
        "media-private/a",
        "other/a",
        "read/a",
        "deep/er/a",
        "zoo/\u{1}",
        "media/../other/a",
        "media//a",
        "zoo/b&<c>",
        "",
    ]
    .into_iter()
    .map(|key| upload(key, 1))
    .collect();
    let keys = |target: &str| page(&listing(target), &uploads).0;
    assert_eq!(keys("/tmp?uploads"), ["media/a", "zoo/b&amp;&lt;c&gt;"]);
    assert_eq!(keys("/tmp?uploads&encoding-type=url"), ["media/a", "zoo/b%26%3Cc%3E"]);
    assert_eq!(keys("/tmp/?uploads&prefix=me"), ["media/a"]);
    assert_eq!(keys("/tmp/?uploads&prefix=zoo/b"), ["zoo/b&amp;&lt;c&gt;"]);
    assert_eq!(keys("/pub?uploads"), ["a"]);
    let mapping = mapping();
    let fields = Fields::default();
    for outside in ["uploads&prefix=other/", "uploads&prefix=media2/", "uploads&prefix=read/"] {
        assert!(mapping.grant(&Method::GET, "/tmp", Some(outside), &fields).is_err(), "{outside}");
    }
}

#[test]
fn malformed_upload_ids_are_left_out() {
    let odd = Upload { key: "media/a".to_owned(), id: "eC4".to_owned(), initiated: 0 };
    assert_eq!(listing("/tmp?uploads").entry(&odd), None);
    assert!(elsewhere("/tmp?uploads").entry(&odd).is_some());
}

#[test]
fn uploads_are_in_the_order_of_their_keys_and_then_of_their_times() {
    let uploads = [upload("media/b", 1), upload("media/a", 20), upload("media/a", 3), upload("media/a", 3)];
    let listing = listing("/tmp?uploads&prefix=media/&max-uploads=2");
    let (keys, _, next) = page(&listing, &uploads);
    assert_eq!((keys.len(), next), (2, Some(("media/a".to_owned(), id(20)))), "the same upload counts once");
    assert_eq!(page(&listing_of(&mapping(), "/tmp?uploads&max-uploads=0"), &uploads), (vec![], vec![], None));
}

#[test]
fn keys_are_grouped_after_the_prefix() {
    let uploads: Vec<Upload> =
        ["media/a", "media/b/1", "media/b/2", "media/c"].into_iter().map(|key| upload(key, 1)).collect();
    let at = |query: &str| page(&listing(&format!("/tmp?uploads&delimiter=/&{query}")), &uploads);
    assert_eq!(
        at("prefix=media/"),
        (vec!["media/a".into(), "media/c".into()], vec!["media/b/".into()], None)
    );
    assert_eq!(at("prefix="), (vec![], vec!["media/".into()], None));
    let second = at("prefix=media/&max-uploads=2");
    assert_eq!(second.2, Some(("media/b/".into(), String::new())));
    assert_eq!(at("prefix=media/&key-marker=media/b/").0, ["media/c"]);
    assert_eq!(
        at("prefix=media/&key-marker=media/b/1").1,
        ["media/b/"],
        "there are others behind the marker"
    );
}

#[test]
fn a_mount_shows_neither_bucket_nor_prefix() {
    let marker = id(5);
    let target =
        format!("/pub?uploads&prefix=x&key-marker=x1&upload-id-marker={marker}&max-uploads=1&delimiter=/");
    let listing = listing(&target);
    let mut selection = Selection::new(&listing);
    for key in ["deep/er/x1", "deep/er/x2/y", "deep/er/x3"] {
        listing.entry(&upload(key, 9)).map(|entry| selection.offer(entry));
    }
    let text = listing.page(selection);
    assert!(!text.contains("deep") && !text.contains("tmp"), "{text}");
    for element in
        ["<Bucket>pub</Bucket>", "<Key>x1</Key>", "<Prefix>x</Prefix>", "<KeyMarker>x1</KeyMarker>"]
    {
        assert!(text.contains(element), "{element} in {text}");
    }
}

#[test]
fn minio_is_asked_for_all_and_for_a_whole_key() {
    let queries =
        |target: &str| -> Vec<String> { listing(target).questions().iter().map(Question::query).collect() };
    let all = "encoding-type=url&max-uploads=1000000&uploads=";
    assert_eq!(queries("/tmp?uploads"), [all]);
    assert_eq!(queries("/tmp?uploads&prefix=me"), [all], "a prefix outside of the scopes is no question");
    let by_key = "encoding-type=url&max-uploads=1000000&prefix=media%2Fa%20b&uploads=";
    assert_eq!(queries("/tmp?uploads&prefix=media/a%20b&key-marker=media/a&max-uploads=3"), [all, by_key]);
}

#[test]
fn another_store_is_asked_scope_by_scope() {
    let queries =
        |target: &str| -> Vec<String> { elsewhere(target).questions().iter().map(Question::query).collect() };
    let of = |prefix: &str| format!("encoding-type=url&max-uploads=1000&prefix={prefix}&uploads=");
    assert_eq!(queries("/tmp?uploads"), [of("media%2F"), of("zoo%2F")]);
    assert_eq!(queries("/tmp?uploads&prefix=media/a"), [of("media%2Fa")]);
    assert_eq!(
        queries("/tmp?uploads&key-marker=media/x&upload-id-marker=i"),
        [
            "encoding-type=url&key-marker=media%2Fx&max-uploads=1000&prefix=media%2F&upload-id-marker=i&uploads=".to_owned(),
            of("zoo%2F")
        ]
    );
    let next = elsewhere("/tmp?uploads").questions().remove(1).from(("zoo/k".into(), "j".into()));
    assert!(next.query().contains("key-marker=zoo%2Fk") && next.query().contains("upload-id-marker=j"));
}

#[test]
fn a_page_keeps_only_its_entries() {
    let listing = listing("/tmp?uploads&max-uploads=10");
    let mut selection = Selection::new(&listing);
    for number in (0..100_000_u64).rev() {
        listing.entry(&upload(&format!("media/{number:06}"), number)).map(|entry| selection.offer(entry));
        assert!(selection.entries.len() <= 11 && selection.bytes() <= 11 * (ENTRY + 12 + 128));
    }
    assert!(listing.page(selection).contains("<NextKeyMarker>media/000009</NextKeyMarker>"));
}

proptest! {
    /// Pages of any size show every upload of the scope once, in S3's order, even if uploads end meanwhile.
    #[test]
    fn pages_are_the_list(
        found in prop::collection::vec(("(media|zoo|other)/[ab/]{1,3}", 1_u64..4), 0..24),
        most in 1_usize..5,
        delimiter in prop::sample::select(vec!["", "/"]),
    ) {
        let uploads: Vec<Upload> = found.iter().map(|(key, time)| upload(key, *time)).collect();
        let query = format!("/tmp?uploads&delimiter={}", delimiter.replace('/', "%2F"));
        let (keys, groups, next) = page(&listing(&query), &uploads);
        prop_assert_eq!(next, None);
        let (mut paged, mut marker) = ((Vec::new(), Vec::new()), String::new());
        for _ in 0..100 {
            let (keys, groups, next) = page(&listing(&format!("{query}&max-uploads={most}{marker}")), &uploads);
            paged.0.extend(keys);
            paged.1.extend(groups);
            let Some((key, id)) = next else { break };
            marker = format!("&key-marker={}&upload-id-marker={id}", encode_query(&key));
        }
        prop_assert_eq!(paged, (keys, groups));
    }
}

fn read(chunks: &[&str]) -> Result<(Vec<Upload>, Option<Marker>), NoList> {
    let (mut reader, mut found) = (Reader::default(), Vec::new());
    for chunk in chunks {
        reader.feed(chunk.as_bytes(), |upload| found.push(upload.clone()))?;
    }
    reader.finish().map(|next| (found, next))
}

const LIST: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListMultipartUploadsResult xmlns=\"x\"><Bucket>tmp</Bucket>\
    <NextKeyMarker>a%2Fb</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker><EncodingType>url</EncodingType>\
    <IsTruncated>false</IsTruncated><Upload><Key>media/a%26+b</Key><UploadId>one</UploadId><Initiator><ID></ID></Initiator>\
    <Initiated>1970-01-01T00:00:01.500Z</Initiated></Upload><Upload><Key>c</Key><UploadId>two</UploadId></Upload>\
    </ListMultipartUploadsResult>";

#[test]
fn lists_are_read_in_any_chunks() {
    let first = Upload { key: "media/a& b".into(), id: "one".into(), initiated: 1_500_000_000 };
    let second = Upload { key: "c".into(), id: "two".into(), initiated: 0 };
    for at in 0..LIST.len() {
        let (start, end) = LIST.split_at(at);
        assert_eq!(read(&[start, end]), Ok((vec![first.clone(), second.clone()], None)), "{at}");
    }
    let truncated = LIST.replace("false", "true").replace("url", "other");
    assert_eq!(read(&[&truncated]).unwrap().1, Some(("a%2Fb".into(), "i".into())), "names are as they are");
    assert_eq!(read(&["<ListMultipartUploadsResult/>"]), Ok((vec![], None)));
}

#[test]
fn other_documents_are_refused() {
    let without = |element: &str| LIST.replacen(element, "", 1);
    for bad in [
        "",
        "text",
        "<Error/>",
        "<Error><Code>x</Code></Error>",
        "<ListBucketResult></ListBucketResult>",
        "<!DOCTYPE a><ListMultipartUploadsResult/>",
        &LIST[..LIST.len() - 5],
        &without("<Key>c</Key>"),
        &without("<UploadId>two</UploadId>"),
        &LIST.replace("1970-01-01T00:00:01.500Z", "yesterday"),
        &LIST.replace("<Key>c<", "<Key>&unknown;<"),
        &LIST.replace("<Key>c<", &format!("<Key>{}<", "c".repeat(5000))),
        &LIST.replace("a%26", "%ff"),
        &LIST.replace("false", "true").replace("a%2Fb", ""),
    ] {
        assert!(read(&[bad]).is_err(), "{bad}");
    }
}

use super::*;
use crate::authorize::mapping::Mapping;
use crate::authorize::mount::Mount;
use crate::authorize::policy::SessionPolicy;
use crate::authorize::rights::Right;
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::certificate::tests::certificate;
use crate::identify::client::tests::{connection, listener, with_certificate};
use crate::identify::client::{Connection, PeerUser};
use crate::identify::identity::{Identity, JwtIdentity, Names};
use crate::identify::matcher::CertificateCondition;
use crate::s3::names::BucketName;
use http::Method;
use http1::Fields;
use serde_json::{Value, json};
use std::sync::Arc;

/// Returns homes with a scope for each template. `/` mounts a scope there.
fn homes(templates: &[&str]) -> Homes {
    let scope = |text: &&str| {
        let (text, mount) = text.split_once('@').map_or((*text, None), |(text, mount)| (text, Some(mount)));
        let template = Template::parse(text, Some("corp")).unwrap();
        let prefix = template.as_ref().map_or_else(|| Prefix::parse(text), Template::example).unwrap();
        let rights = [Right::Read, Right::List, Right::Write].into_iter().collect();
        let scope = Scope::new(BucketName::parse("home").unwrap(), prefix, rights);
        let scope = mount.map_or(scope.clone(), |mount| scope.mounted(Mount::parse(mount).unwrap()));
        HomeScope { scope, template }
    };
    let scopes = templates.iter().map(scope).collect();
    Homes::new(scopes, &Matcher::default(), NonZeroUsize::new(10).unwrap())
}

fn prefixes(homes: &Homes, client: &Client<'_>) -> Result<Vec<String>, String> {
    let values = homes.values(client).map_err(|refusal| {
        assert_eq!(refusal.rule, Rule::IdentityNotAName);
        assert!(!refusal.message.contains("alice"), "clients learn nothing: {}", refusal.message);
        refusal.cause().unwrap().to_owned()
    })?;
    let scopes = homes.expand(&values).unwrap();
    Ok(scopes.iter().map(|scope| scope.prefix.to_string()).collect())
}

fn of(template: &str, identity: Identity) -> Result<String, String> {
    let connection = connection(Some("10.0.0.1"), listener("main"));
    let client = Client::proved(&connection, Arc::new(identity));
    prefixes(&homes(&[template]), &client).map(|all| all.concat())
}

fn jwt(claims: &Value) -> Identity {
    Identity::Jwt(JwtIdentity { issuer: "corp".into(), claims: claims.as_object().unwrap().clone() })
}

#[test]
fn each_source_gives_its_part_of_the_identity() {
    assert_eq!(of("{user}/", Identity::User("alice".into())), Ok("alice/".into()));
    assert_eq!(of("{token}/", Identity::Token("ci".into())), Ok("ci/".into()));
    assert_eq!(of("{key}/", Identity::Key("SGREPORTS".into())), Ok("SGREPORTS/".into()));
    let claims =
        json!({ "iss": "https://id.test/", "sub": "alice", "https://a/b": "x", "n": 7, "o": { "p": "q" } });
    assert_eq!(of("{issuer}/{sub}/", jwt(&claims)), Ok("corp/alice/".into()));
    assert_eq!(of("{claim:https://a/b}/", jwt(&claims)), Ok("x/".into()));
    let verified = json!({ "email": "a@b.test", "email_verified": true });
    let unverified = json!({ "email": "a@b.test", "email_verified": "true" });
    assert_eq!(of("{claim:email}/", jwt(&verified)), Ok("a@b.test/".into()));
    // printf 'https://id.test/\0alice' | sha256sum
    let hash = "371de35853f2ee25acf0d26c07580ed23590b63d0564692724711dc48cbb5c75/";
    assert_eq!(of("{sub:sha256}/", jwt(&claims)), Ok(hash.into()));
    let account = json!({ "sub": "system:serviceaccount:data:reader" });
    assert_eq!(of("{service_account}/", jwt(&account)), Ok("data/reader/".into()));
    for (template, claims, told) in [
        ("{claim:n}/", &claims, "{claim:n}: the claim is not a string"),
        ("{claim:o}/", &claims, "{claim:o}: the claim is not a string"),
        ("{claim:x}/", &claims, "{claim:x}: the claim is missing"),
        ("{claim:email}/", &unverified, "{claim:email}: email_verified is not true"),
        ("{service_account}/", &claims, "{service_account}: the subject is not a service account"),
        ("{sub:sha256}/", &account, "{sub:sha256}: the claim is missing"),
        ("{user}/", &claims, "{user}: the client did not prove such an identity"),
        ("{uid}/", &claims, "{uid}: the user is not known"),
    ] {
        assert_eq!(of(template, jwt(claims)), Err(told.to_owned()));
    }
    assert_eq!(of("{sub}/", Identity::User("alice".into())), Err("{sub}: the client sent no JWT".into()));
    let told = of("{user}/", Identity::User("../alice".into())).unwrap_err();
    assert!(told.starts_with("{user}: \"../alice\" is not a name: it begins with"), "{told}");
    let told = of("{sub}/", jwt(&json!({ "sub": "a".repeat(10_000) }))).unwrap_err();
    assert!(told.len() < 250 && told.contains("aaa\"... is not a name: it has 1 to 128"), "{told}");
}

#[test]
fn user_ids_of_other_namespaces_are_no_names() {
    let homes = homes(&["{uid}/"]);
    let of = |uid: Option<u32>| {
        let peer = Connection::unix(uid.map(|uid| PeerUser { uid, gid: 1 }), listener("main"));
        prefixes(&homes, &Client::of_connection(&peer))
    };
    assert_eq!(of(Some(0)), Ok(vec!["0/".into()]));
    assert_eq!(of(Some(1000)), Ok(vec!["1000/".into()]));
    for unknown in [None, Some(65_534), Some(u32::MAX)] {
        assert!(of(unknown).is_err(), "{unknown:?}");
    }
}

fn mapping(templates: &[&str]) -> Mapping {
    Mapping { homes: Some(Arc::new(homes(templates))), ..Mapping::of_scopes("homes", Vec::new()) }
}

/// Returns what the mapping of a user decides on a request.
fn decide(mapping: &Mapping, user: &str, path: &str, query: Option<&str>) -> Result<String, Rule> {
    let connection = connection(Some("10.0.0.1"), listener("main"));
    let client = Client::proved(&connection, Arc::new(Identity::User(user.into())));
    let mapping = mapping.of_client(&client).map_err(|refusal| refusal.rule)?;
    let fields = Fields::default();
    let granted = mapping.grant(&Method::GET, path, query, &fields).map_err(|refusal| refusal.rule)?;
    let (path, query) = granted.into_canonical();
    Ok(format!("{path}?{query}"))
}

#[test]
fn each_identity_has_its_own_scopes() {
    let homes = mapping(&["home/{user}/", "shared/"]);
    assert_eq!(decide(&homes, "alice", "/home/home/alice/a", None), Ok("/home/home/alice/a?".into()));
    for path in
        ["/home/home/bob/a", "/home/home/alice2/a", "/home/home/alicea", "/home/home/identity/a", "/home/a"]
    {
        assert_eq!(decide(&homes, "alice", path, None), Err(Rule::OutsideScope), "{path}");
    }
    assert_eq!(
        decide(&homes, "alice", "/home/home/Alice/a", None),
        Err(Rule::OutsideScope),
        "names have a case"
    );
    for user in ["alice", "bob"] {
        assert_eq!(decide(&homes, user, "/home/shared/a", None), Ok("/home/shared/a?".into()));
    }
    assert_eq!(decide(&homes, "../bob", "/home/home/bob/a", None), Err(Rule::IdentityNotAName));
}

#[test]
fn each_identity_has_its_own_root_at_a_mount() {
    let homes = mapping(&["{user}/@/"]);
    assert_eq!(decide(&homes, "alice", "/bob/a", None), Ok("/home/alice/bob/a?".into()));
    assert_eq!(decide(&homes, "bob", "/bob/a", None), Ok("/home/bob/bob/a?".into()));
    let list = decide(&homes, "alice", "/", Some("list-type=2&prefix=a")).unwrap();
    assert!(list.contains("prefix=alice%2Fa"), "{list}");
}

#[test]
fn without_an_identity_nothing_is_granted() {
    let homes = mapping(&["home/{user}/"]);
    for path in ["/", "/home/", "/home/home/", "/home/home/identity/a", "/home/home/alice/a"] {
        assert!(homes.grant(&Method::GET, path, Some("list-type=2"), &Fields::default()).is_err(), "{path}");
    }
    let stranger = connection(Some("10.0.0.1"), listener("main"));
    assert!(homes.of_client(&Client::of_connection(&stranger)).is_err());
}

fn policy(mapping: &Mapping) -> SessionPolicy {
    SessionPolicy::compile(&mapping.scopes)
}

#[test]
fn the_policy_holds_the_prefix_of_the_identity_alone() {
    let mapping = mapping(&["home/{user}/"]);
    let homes = mapping.homes.as_ref().unwrap();
    let alice = Values::new([IdentityName::parse("alice").unwrap()]);
    let alice = mapping.of_identity(homes, &alice).unwrap();
    let literal = Scope::new(
        BucketName::parse("home").unwrap(),
        Prefix::parse("home/alice/").unwrap(),
        [Right::Read, Right::List, Right::Write].into_iter().collect(),
    );
    assert_eq!(policy(&alice), policy(&Mapping::of_scopes("x", vec![literal])));
    let longest = mapping.of_longest_identity();
    assert_eq!(policy(&longest).size() - policy(&alice).size(), 2 * (IdentityName::MAX - "alice".len()));
    let only = |names: &[&str]| {
        let names = Names::Of(names.iter().map(|name| (*name).into()).collect());
        Mapping { client: Arc::new(Matcher::new(vec![Condition::User(names)])), ..mapping.clone() }
    };
    let longest = only(&["bob", "alice"]);
    assert_eq!(
        policy(&longest.of_longest_identity()).size(),
        policy(&alice).size(),
        "no other name can match"
    );
}

#[test]
fn certificates_give_their_common_name_or_segments_of_their_spiffe_id() {
    const ID: &[&str] = &["spiffe://td/ns/data/sa/reader"];
    let of = |template: &str, uris: &[&str], cn: Option<&str>| {
        let bears = with_certificate(
            connection(Some("10.0.0.1"), listener("main")),
            Some(certificate(uris, &[], cn)),
        );
        prefixes(&homes(&[template]), &Client::of_connection(&bears)).map(|all| all.concat())
    };
    for (template, uris, cn, expected) in [
        ("{cn}/", &[][..], Some("alice"), Ok("alice/")),
        ("{cn}/", ID, Some("alice"), Err("{cn}: the certificate has subject alternative names")),
        ("{cn}/", &[], Some("../alice"), Err("{cn}: \"../alice\" is not a name")),
        ("{cn}/", &[], None, Err("{cn}: the certificate has not exactly one common name")),
        ("{spiffe:2}/{spiffe:4}/", ID, None, Ok("data/reader/")),
        ("{spiffe:5}/", ID, None, Err("{spiffe:5}: the SPIFFE id has fewer segments")),
        ("{spiffe:1}/", &["spiffe://td/_a"], None, Err("{spiffe:1}: \"_a\" is not a name")),
        (
            "{spiffe:1}/",
            &["spiffe://td/a", "urn:b"],
            None,
            Err("{spiffe:1}: the certificate has no SPIFFE id"),
        ),
        ("{spiffe:1}/", &[], Some("alice"), Err("{spiffe:1}: the certificate has no SPIFFE id")),
        ("{user}/", &[], Some("alice"), Err("{user}: the client did not prove such an identity")),
    ] {
        match (of(template, uris, cn), expected) {
            (Ok(found), Ok(prefix)) => assert_eq!(found, prefix, "{template}"),
            (Err(why), Err(told)) => assert!(why.starts_with(told), "{template}: {why}"),
            (found, expected) => panic!("{template} {uris:?} {cn:?}: {found:?}, not {expected:?}"),
        }
    }
    let plain = connection(Some("10.0.0.1"), listener("main"));
    let told = prefixes(&homes(&["{cn}/"]), &Client::of_connection(&plain)).unwrap_err();
    assert_eq!(told, "{cn}: the client has no certificate");
}

/// Sessions are kept for the identities of a former configuration only if its values mean the same.
#[test]
fn segments_mean_the_same_only_below_the_same_ids() {
    let homes = |pattern: &str| {
        let spiffe = vec![SpiffePattern::parse(pattern).unwrap()];
        let condition = CertificateCondition { spiffe, ..CertificateCondition::default() };
        let matcher = Matcher::new(vec![Condition::Certificate(condition)]);
        let scopes = homes(&["{spiffe:2}/"]).scopes().to_vec();
        Homes::new(scopes, &matcher, NonZeroUsize::new(10).unwrap())
    };
    let before = homes("spiffe://td/ns/*");
    for (pattern, expected) in
        [("spiffe://td/ns/*", true), ("spiffe://other/ns/*", false), ("spiffe://td/vm/*", false)]
    {
        assert_eq!(homes(pattern).identify_as(&before), expected, "{pattern}");
    }
}

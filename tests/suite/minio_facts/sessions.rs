//! Events that end a session, and events that do not.

use scopegate::internals::ABSENT_UPLOAD;

use crate::support::{
    http,
    keys::Keys,
    minio::{ALLOW_ALL, Minio, READ_ONLY},
    sigv4::direct,
    sts::{assume_role, scoped},
};

use super::{allowing, outcome};

fn reading(minio: &Minio, issuer: &Keys) -> Keys {
    scoped(minio, issuer, &allowing(&["s3:GetObject"], &["tmp/media/*"]))
}

fn get(minio: &Minio, keys: &Keys) -> String {
    outcome(&direct(minio, keys, "GET", "/tmp/media/hello.txt", &[], b""))
}

const DENIED: &str = "403 AccessDenied";
const UNKNOWN: &str = "403 InvalidAccessKeyId";

#[test]
fn a_session_follows_its_issuer() {
    let (minio, issuer) = Minio::start_seeded();
    let session = reading(&minio, &issuer);
    assert_eq!(get(&minio, &session), "200");

    minio.disable_user("stsadmin");
    assert_eq!(get(&minio, &session), DENIED);
    minio.enable_user("stsadmin");
    assert_eq!(get(&minio, &session), "200", "the same session works again");

    minio.revoke_sessions("stsadmin");
    assert_eq!(get(&minio, &session), UNKNOWN);
    let session = reading(&minio, &issuer);
    assert_eq!(get(&minio, &session), "200", "only existing sessions are revoked");

    minio.remove_user("stsadmin");
    assert_eq!(get(&minio, &session), DENIED);
}

#[test]
fn a_session_outlives_a_restart_but_not_the_root_password() {
    let (mut minio, issuer) = Minio::start_seeded();
    let session = reading(&minio, &issuer);
    minio.restart();
    assert_eq!(get(&minio, &session), "200");
    minio.change_root_password();
    assert_eq!(get(&minio, &session), UNKNOWN);
    assert_eq!(get(&minio, &reading(&minio, &issuer)), "200", "the issuer itself is unaffected");
}

#[test]
fn a_session_cannot_exceed_its_issuer() {
    let (minio, _issuer) = Minio::start_seeded();
    let issuer = minio.add_user("reader", READ_ONLY);
    let session = scoped(&minio, &issuer, ALLOW_ALL);
    assert_eq!(get(&minio, &session), "200");
    assert_eq!(outcome(&direct(&minio, &session, "PUT", "/tmp/media/new", &[], b"x")), DENIED);

    // A server that is down for a while keeps its sessions and its port.
    let mut minio = minio;
    minio.stop();
    assert!(http::get(minio.address, "/").is_err());
    minio.restart();
    assert_eq!(get(&minio, &session), "200");
}

#[test]
fn refused_mints_and_their_codes() {
    let (minio, issuer) = Minio::start_seeded();
    let refusal = |keys: &Keys| {
        let answer = assume_role(&minio, keys, None).err().expect("a refusal");
        (outcome(&answer), answer.element("Message").unwrap_or_default())
    };
    let denied = |keys: &Keys, words: &str| {
        let (outcome, message) = refusal(keys);
        assert_eq!(outcome, DENIED);
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    };
    denied(&Keys::random("nobody"), "The Access Key Id you provided does not exist");
    denied(&Keys::random("stsadmin"), "The request signature we calculated does not match");

    let Ok(session) = assume_role(&minio, &issuer, None) else {
        panic!("the issuer gets no session with its own rights")
    };
    assert!(session.expiration.ends_with('Z'), "{}", session.expiration);
    assert_eq!(get(&minio, &session.keys), "200");
    assert_eq!(refusal(&session.keys).0, DENIED, "a session cannot mint");

    minio.disable_user("stsadmin");
    denied(&issuer, "Your account is disabled");
}

/// So sessions that are handed out should have an issuer of their own.
#[test]
fn a_session_can_end_all_sessions_of_its_issuer() {
    let (minio, issuer) = Minio::start_seeded();
    let other = minio.add_user("other", ALLOW_ALL);
    let (holder, neighbour) = (reading(&minio, &issuer), reading(&minio, &issuer));
    let elsewhere = reading(&minio, &other);
    let target = "/minio/admin/v3/revoke-tokens/builtin?fullRevoke=true";
    assert_eq!(direct(&minio, &holder, "POST", target, &[], b"").status(), 204);
    for session in [&holder, &neighbour] {
        assert_eq!(get(&minio, session), UNKNOWN);
    }
    assert_eq!(get(&minio, &elsewhere), "200");
}

/// The request with which the proxy checks a session. Its outcome tells a dead session from a missing key, whatever
/// the session may do.
#[test]
fn a_check_tells_whether_a_session_lives() {
    let (minio, issuer) = Minio::start_seeded();
    let parts = format!("/tmp/media/absent?uploadId={ABSENT_UPLOAD}");
    let cases = [
        (&["s3:GetObject"][..], "/tmp/media/absent", "404 NoSuchKey"),
        (&["s3:ListMultipartUploadParts"], &*parts, "404 NoSuchUpload"),
        (&["s3:DeleteObject"], "/tmp/media/absent", DENIED),
    ];
    for (actions, target, alive) in cases {
        let session = scoped(&minio, &issuer, &allowing(actions, &["tmp/media/*"]));
        let ask = || outcome(&direct(&minio, &session, "GET", target, &[], b""));
        assert_eq!(ask(), alive, "{target}");
        minio.disable_user("stsadmin");
        assert_eq!(ask(), DENIED, "{target}");
        minio.enable_user("stsadmin");
        minio.revoke_sessions("stsadmin");
        assert_eq!(ask(), UNKNOWN, "{target}");
    }
}

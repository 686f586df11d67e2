//! Each way in which a signature is not accepted, with the rule that clients see.

use super::*;

fn rule(result: Result<Option<SignedBody>, Failure>) -> Result<bool, Rule> {
    result.map(|body| body.is_some()).map_err(|failure| failure.rule)
}

fn put() -> Sent {
    Sent::new("PUT", "/tmp/a", &[HOST, ("x-amz-content-sha256", HASH), ("content-length", "5")])
}

fn get() -> Sent {
    Sent::new("GET", "/tmp/a", &[HOST])
}

fn good() -> Sent {
    signed(&put(), "REPORTS", SECRET, None, now())
}

#[test]
fn unknown_keys_are_ignored_unless_the_listener_refuses_them() {
    for sent in [
        signed(&put(), "NOBODY", SECRET, None, now()),
        signed(&put(), "NOBODY", SECRET, None, SystemTime::UNIX_EPOCH),
        signed(&get(), "NOBODY", SECRET, Some(1), SystemTime::UNIX_EPOCH),
        put().with("authorization", "AWS NOBODY:c2lnbmF0dXJl"),
        put().with("authorization", "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=, Signature=x"),
        Sent::new("GET", "/tmp/a?AWSAccessKeyId=NOBODY&Signature=x&Expires=1", &[HOST]),
    ] {
        assert_eq!(rule(verify(&sent)), Ok(false), "{sent:?}");
        assert_eq!(rule(verify_at(&sent, "strict", now())), Err(Rule::UnknownKey), "{sent:?}");
    }
}

#[test]
fn a_known_key_with_a_wrong_signature_is_refused() {
    for listener in ["public", "strict"] {
        let sent = signed(&put(), "REPORTS", "another secret of 32 characters", None, now());
        assert_eq!(rule(verify_at(&sent, listener, now())), Err(Rule::WrongSignature));
        let sent = signed(&get(), "REPORTS", "another secret of 32 characters", Some(9), now());
        assert_eq!(rule(verify_at(&sent, listener, now())), Err(Rule::WrongSignature));
    }
    // The case of the digits could make a second spelling of the same signature.
    let authorization = good().header("authorization");
    let (head, signature) = authorization.rsplit_once('=').unwrap();
    let sent = good().with("authorization", &format!("{head}={}", signature.to_uppercase()));
    assert_eq!(rule(verify(&sent)), Err(Rule::WrongSignature));
}

#[test]
fn the_time_of_a_signature_is_bounded() {
    let second = Duration::from_secs(1);
    let skew = Duration::from_mins(15);
    for (time, expected) in [
        (now() - skew, Ok(true)),
        (now() + skew, Ok(true)),
        (now() - skew - second, Err(Rule::RequestTimeSkewed)),
        (now() + skew + second, Err(Rule::RequestTimeSkewed)),
    ] {
        assert_eq!(rule(verify(&signed(&put(), "REPORTS", SECRET, None, time))), expected);
    }
    for (time, expires, expected) in [
        (now() - Duration::from_hours(1), 3600, Ok(true)),
        (now() - Duration::from_hours(1), 3599, Err(Rule::ExpiredSignature)),
        (now() - Duration::from_hours(24 * 7), 604_800, Ok(true)),
        (now() + skew, 1, Ok(true)),
        (now() + skew + second, 600, Err(Rule::RequestTimeSkewed)),
    ] {
        let sent = signed(&get(), "REPORTS", SECRET, Some(expires), time);
        assert_eq!(rule(verify(&sent)), expected, "{expires}");
    }
}

#[test]
fn malformed_headers_are_refused() {
    let authorization = good().header("authorization");
    let change = |from: &str, to: &str| {
        assert!(authorization.contains(from), "{authorization}");
        good().with("authorization", &authorization.replacen(from, to, 1))
    };
    let malformed = Err(Rule::MalformedSignature);
    for (sent, expected) in [
        (change("us-east-1", "eu-west-1"), malformed),
        (change("/s3/", "/sts/"), malformed),
        (change("aws4_request", "aws5_request"), malformed),
        (change("REPORTS/2", "REPORTS/3"), malformed),
        (change(", Signature", ", Extra=1, Signature"), malformed),
        (change(", Signature", ", SignedHeaders=host, Signature"), malformed),
        (change("Signature=", "Sig="), malformed),
        (change("content-length;host", "host;content-length"), malformed),
        (change("content-length;host", "content-length;Host"), malformed),
        (change("content-length;host", "content-length;host;host"), malformed),
        (change("content-length;host", "content-length;;host"), malformed),
        (change("content-length;host", "content-length"), malformed),
        (good().with("x-amz-date", "2023"), malformed),
        (change("x-amz-date", "x-amz-dats"), Err(Rule::HeaderNotSigned)),
        (change("content-length;host", "absent;content-length;host"), Err(Rule::WrongSignature)),
        (good().with("x-amz-security-token", "t"), Err(Rule::UnexpectedToken)),
        (good().with("authorization", "AWS REPORTS:c2lnbmF0dXJl"), Err(Rule::UnsupportedSignature)),
        (change("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"), Err(Rule::UnsupportedSignature)),
        (
            good().with(
                "authorization",
                "AWS4-ECDSA-P256-SHA256 Credential=REPORTS/20231114/s3/aws4_request, SignedHeaders=host, Signature=00",
            ),
            Err(Rule::UnsupportedSignature),
        ),
        (good().with("x-amz-content-sha256", "x"), Err(Rule::PayloadForm)),
        (
            good().with("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
            Err(Rule::UnsupportedSignature),
        ),
    ] {
        // Some of these fail because "absent" sorts first.
        assert_eq!(rule(verify(&sent)), expected, "{sent:?}");
    }
    let mut without = good();
    without.headers.retain(|(name, _)| name != "x-amz-content-sha256");
    assert_eq!(rule(verify(&without)), Err(Rule::PayloadForm));
}

#[test]
fn malformed_presigned_urls_are_refused() {
    let target = signed(&get(), "REPORTS", SECRET, Some(600), now()).target;
    let change = |from: &str, to: &str| {
        assert!(target.contains(from), "{target}");
        Sent { target: target.replacen(from, to, 1), ..get() }
    };
    let malformed = Err(Rule::MalformedPresigned);
    for (sent, expected) in [
        (change("X-Amz-Expires=600", "X-Amz-Expires=0"), malformed),
        (change("X-Amz-Expires=600", "X-Amz-Expires=604801"), malformed),
        (change("X-Amz-Expires=600", "X-Amz-Expires=%2B600"), malformed),
        (change("X-Amz-Expires=600", "X-Amz-Expires=NaN"), malformed),
        (change("X-Amz-Expires=600", "x-amz-expires=600"), malformed),
        (change("X-Amz-Expires=600", "X-Amz-Expires=600&X-Amz-Expires=601"), malformed),
        (change("X-Amz-Expires=600", "X-Amz-Expires=601"), Err(Rule::WrongSignature)),
        (change("X-Amz-Date=2023", "X-Amz-Date=NaN3"), malformed),
        (change("X-Amz-Signature", "X-Amz-Signatur"), malformed),
        (change("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=date"), malformed),
        (change("us-east-1", "eu-west-1"), malformed),
        (change("X-Amz-Expires", "X-Amz-Security-Token=t&X-Amz-Expires"), Err(Rule::UnexpectedToken)),
        (
            Sent::new("GET", "/tmp/a?AWSAccessKeyId=REPORTS&Signature=x", &[HOST]),
            Err(Rule::UnsupportedSignature),
        ),
        (Sent { method: "HEAD".to_owned(), ..change("X", "X") }, Err(Rule::WrongSignature)),
        (change("X", "X").with("x-amz-content-sha256", HASH), Err(Rule::WrongSignature)),
        (
            change("X-Amz-Expires", "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Expires")
                .with("x-amz-content-sha256", HASH),
            malformed,
        ),
    ] {
        assert_eq!(rule(verify(&sent)), expected, "{sent:?}");
    }
}

/// The signer decided on these headers, so the user of the URL must not replace them.
#[test]
fn headers_do_not_replace_those_of_a_presigned_url() {
    let put = Sent::new("PUT", "/tmp/a?If-None-Match=%2A&Content-Type=text%2Fcsv", &[HOST]);
    let url = signed(&put, "REPORTS", SECRET, Some(600), now());
    assert_eq!(rule(verify(&url)), Ok(true));
    assert_eq!(rule(verify(&url.clone().with("content-type", "text/csv"))), Ok(true));
    for (name, value) in [("content-type", "text/html"), ("if-none-match", "\"x\"")] {
        assert_eq!(rule(verify(&url.clone().with(name, value))), Err(Rule::HeaderNotSigned), "{name}");
    }
}

#[test]
fn unsigned_bodies_need_a_private_connection_or_the_operators_leave() {
    let open = Sent::new(
        "PUT",
        "/tmp/a",
        &[HOST, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("content-length", "5")],
    );
    let remote = signed(&open, "REPORTS", SECRET, None, now());
    assert_eq!(rule(verify(&remote)), Err(Rule::UnsignedBody));
    assert_eq!(rule(verify(&signed(&open, "a/b+c=", SECRET, None, now()))), Ok(true));
    let chunked = open.clone().with("transfer-encoding", "chunked").with("content-length", "0");
    assert_eq!(rule(verify(&signed(&chunked, "REPORTS", SECRET, None, now()))), Err(Rule::UnsignedBody));
    let empty = open.with("content-length", "0");
    assert_eq!(rule(verify(&signed(&empty, "REPORTS", SECRET, None, now()))), Ok(true));
    let checksummed = Sent::new(
        "PUT",
        "/tmp/a",
        &[HOST, ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), ("content-length", "50")],
    );
    assert_eq!(rule(verify(&signed(&checksummed, "REPORTS", SECRET, None, now()))), Err(Rule::UnsignedBody));
    assert_eq!(rule(verify(&signed(&checksummed, "a/b+c=", SECRET, None, now()))), Ok(true));
    let request = remote.arrived().unwrap();
    let authorization = remote.header("authorization");
    let listener = ListenerRegistry::default().register(&"public".into());
    let private = [
        Connection::unix(None, listener.clone()),
        Connection::tcp("127.0.0.1".parse().unwrap(), listener.clone()),
        Connection::tcp("::1".parse().unwrap(), listener),
    ];
    for connection in private {
        let verified = keys().verify(&request, SignatureIn::Header(&authorization), &connection, now());
        assert!(matches!(verified, Ok(Some(_))), "{connection}");
    }
}

#[test]
fn only_uploads_come_in_chunks() {
    let sent = Sent::new("GET", "/tmp/a", &[HOST, ("x-amz-content-sha256", SEEDED)]);
    assert_eq!(rule(verify(&signed(&sent, "REPORTS", SECRET, None, now()))), Err(Rule::PayloadForm));
    let sent = Sent::new("PUT", "/tmp/a", &[HOST, ("x-amz-content-sha256", SEEDED)]);
    assert_eq!(rule(verify(&signed(&sent, "REPORTS", SECRET, Some(9), now()))), Err(Rule::PayloadForm));
}

#[test]
fn a_signed_date_header_counts_if_there_is_no_x_amz_date() {
    let good = good();
    let date = httpdate::fmt_http_date(now());
    let mut sent = good.clone().with("date", &date);
    sent.headers.retain(|(name, _)| name != "x-amz-date");
    // Not signed, it does not count.
    assert_eq!(rule(verify(&sent)), Err(Rule::MalformedSignature));
    let key = LocalKey::new("REPORTS", Secret::new(SECRET.to_owned()), false);
    let names = "content-length;date;host;x-amz-content-sha256";
    let canonical = format!(
        "PUT\n/tmp/a\n\ncontent-length:5\ndate:{date}\nhost:{}\nx-amz-content-sha256:{HASH}\n\n{names}\n{HASH}",
        HOST.1
    );
    let mut mac = key.of_day("20231114", "us-east-1").unwrap();
    let hash = hex(&Sha256::digest(canonical.as_bytes()).into());
    mac.update(b"AWS4-HMAC-SHA256\n20231114T221320Z\n20231114/us-east-1/s3/aws4_request\n");
    mac.update(&hash);
    let signature = hex(&mac.finalize().into_bytes().into());
    let sent = sent.with(
        "authorization",
        &format!(
            "AWS4-HMAC-SHA256 Credential=REPORTS/20231114/us-east-1/s3/aws4_request, SignedHeaders={names}, Signature={}",
            str::from_utf8(&signature).unwrap()
        ),
    );
    assert_eq!(rule(verify(&sent)), Ok(true));
}

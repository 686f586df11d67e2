//! Users of HTTP Basic.

use super::declare::{config, hash, replace, user};
use crate::support::http::{self, Connection, Response};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::scopegate::{binary, scopegate};
use crate::support::world::{outcome, start};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HELLO: &str = "/tmp/media/hello.txt";
const SECRET: &str = "/tmp/other/secret.txt";

/// Hashes of "alice's" and "bob's" by `htpasswd -nbB -C 4`, which are quick to check.
const ALICE: &str = "$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6";
const BOB: &str = "$2y$04$P1m6p1xXGbugfMFr0YWNEu1Ufe.cNV62M1F0xt/QpJPKj1Mu3mi.G";

/// Returns the value of `Authorization`.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn get(address: SocketAddr, path: &str, authorization: &[&str]) -> Response {
    let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("Authorization", *value)).collect();
    http::request(address, "GET", path, &headers, b"").unwrap()
}

fn login(address: SocketAddr, user: &str, password: &str) -> String {
    outcome(&get(address, SECRET, &[&basic(user, password)]))
}

const REFUSED: &str = "401 AccessDenied bad-credentials";

#[test]
fn the_right_password_opens_its_mapping_and_a_wrong_one_opens_none() {
    let (minio, issuer) = Minio::start_seeded();
    let password = "pässword: with a colon";
    let users = user("alice", &[&hash(password)]) + &user("bob", &[BOB]);
    let mappings =
        [("alice", "user = \"alice\"", "other/"), ("everyone", "network = \"127.0.0.0/8\"", "media/")];
    let proxy = start(&config(&minio, "", &users, &mappings), &issuer);
    let web = proxy.address("web");
    assert_eq!(get(web, HELLO, &[]).status(), 200);
    assert_eq!(login(web, "alice", password), "200");
    let answer = get(web, SECRET, &[&basic("alice", password).replace("Basic", "bAsIc")]);
    assert_eq!(answer.text(), "not for everyone\n");
    // Bob is a user, and his mapping is everyone's.
    assert_eq!(outcome(&get(web, HELLO, &[&basic("bob", "bob's")])), "200");
    assert_eq!(login(web, "bob", "bob's"), "403 AccessDenied outside-scope");
    // Wrong credentials do not fall through to the mapping of everyone.
    let answers: Vec<Response> =
        [("alice", "wrong"), ("mallory", "wrong"), ("Alice", password), ("bob", password)]
            .iter()
            .map(|(user, password)| get(web, HELLO, &[&basic(user, password)]))
            .collect();
    for answer in &answers {
        assert_eq!(outcome(answer), REFUSED);
        let challenges: Vec<&str> = answer.head.all("www-authenticate").collect();
        assert_eq!(challenges, ["Basic realm=\"scopegate\", charset=\"UTF-8\""]);
        assert_eq!(
            answer.element("Message"),
            answers[0].element("Message"),
            "it tells nothing about the user"
        );
    }
    for malformed in ["Basic", "Basic !!!!", "Basic YWxpY2U=", "Basic OnB3", "Basic YWxpY2U6"] {
        assert_eq!(outcome(&get(web, HELLO, &[malformed])), REFUSED, "{malformed}");
    }
    let right = basic("alice", password);
    for two in [&[&*right, &*right][..], &[&*right, "Bearer x"], &[&*format!("{right}, Bearer x")]] {
        assert_eq!(outcome(&get(web, HELLO, two)), "400 InvalidRequest ambiguous-credentials", "{two:?}");
    }
    let (_, log) = proxy.terminate();
    assert!(log.contains("the password of the user \\\"alice\\\" is wrong"), "{log}");
    assert!(!log.contains("mallory") && !log.contains("pässword") && !log.contains("wrong:"), "{log}");
}

#[test]
fn a_reload_ends_remembered_passwords_of_changed_users() {
    let (minio, issuer) = Minio::start_seeded();
    let mappings = [("users", "user = \"*\"", "other/")];
    let with = |users: &str| config(&minio, "", users, &mappings);
    let proxy = start(&with(&(user("alice", &[ALICE]) + &user("bob", &[BOB]))), &issuer);
    let web = proxy.address("web");
    assert_eq!([login(web, "alice", "alice's"), login(web, "bob", "bob's")], ["200", "200"]);
    // While one password replaces another, both are right.
    let new = hash("new");
    proxy.reload(&with(&(user("alice", &[ALICE, &new]) + &user("bob", &[BOB]))));
    wait_for(|| (login(web, "alice", "new") == "200").then_some(())).unwrap();
    assert_eq!(login(web, "alice", "alice's"), "200");
    proxy.reload(&with(&user("alice", &[&new])));
    wait_for(|| (login(web, "alice", "alice's") == REFUSED).then_some(())).unwrap();
    assert_eq!(login(web, "bob", "bob's"), REFUSED);
    assert_eq!(login(web, "alice", "new"), "200");
}

#[test]
fn a_file_of_users_takes_effect_when_it_changes_and_a_wrong_one_does_not() {
    let (minio, issuer) = Minio::start_seeded();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users");
    replace(&file, &format!("alice:{ALICE}\n"));
    let root = format!("users = {{ file = \"{}\" }}", file.display());
    let limits = "[limits]\nfailed_attempts_per_client = 100000\n";
    let proxy =
        start(&config(&minio, &root, limits, &[("users", "user = [\"alice\", \"bob\"]", "other/")]), &issuer);
    let (web, admin) = (proxy.address("web"), proxy.address("admin"));
    let is_in_effect = |wanted: &str| {
        let metrics = http::get(admin, "/metrics").unwrap().text();
        metrics
            .contains(&format!("\nscopegate_file_last_read_successful{{file=\"users\"}} {wanted}\n"))
            .then_some(())
    };
    is_in_effect("1").unwrap();
    assert_eq!([login(web, "alice", "alice's"), login(web, "bob", "bob's")], ["200", REFUSED]);
    replace(&file, &format!("alice:{ALICE}\nbob:hush\n"));
    wait_for(|| is_in_effect("0")).unwrap();
    assert_eq!([login(web, "alice", "alice's"), login(web, "bob", "bob's")], ["200", REFUSED]);
    replace(&file, &format!("bob:{BOB}\n"));
    wait_for(|| (login(web, "bob", "bob's") == "200").then_some(())).unwrap();
    wait_for(|| is_in_effect("1")).unwrap();
    assert_eq!(login(web, "alice", "alice's"), REFUSED, "the remembered password has ended");
    let (_, log) = proxy.terminate();
    assert!(log.contains("line 2: the hash of the user") && log.contains("file read again"), "{log}");
    assert!(!log.contains("hush") && !log.contains("$2y$"), "{log}");
}

#[test]
fn too_many_wrong_passwords_are_refused_and_remembered_ones_pass() {
    let (minio, issuer) = Minio::start_seeded();
    let sections = format!("[limits]\nfailed_attempts_per_client = 3\n{}", user("alice", &[ALICE]));
    let proxy = start(&config(&minio, "", &sections, &[("users", "user = \"*\"", "other/")]), &issuer);
    let web = proxy.address("web");
    assert_eq!(login(web, "alice", "alice's"), "200");
    for _ in 0..3 {
        assert_eq!(login(web, "alice", "wrong"), REFUSED);
    }
    for credentials in [basic("alice", "wrong"), basic("bob", "x"), "Basic !".to_owned()] {
        let answer = get(web, SECRET, &[&credentials]);
        assert_eq!(outcome(&answer), "429 TooManyRequests too-many-failures");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait) && answer.header("www-authenticate").is_none(), "{wait}");
    }
    assert_eq!(login(web, "alice", "alice's"), "200");
}

/// Logs each user in with a wrong password in turns, and returns the times of each. Taking turns, what else the machine
/// does affects all alike.
fn time_logins(web: SocketAddr, users: &[&str], turns: usize, client: usize) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::new(); users.len()];
    for turn in 0..turns * users.len() {
        let at = (turn + client) % users.len();
        let mut connection = Connection::open(web).unwrap();
        let credentials = basic(users[at], &format!("wrong {turn}"));
        let begin = Instant::now();
        let answer = connection.request("GET", SECRET, &[("Authorization", &credentials)], b"").unwrap();
        times[at].push(begin.elapsed());
        assert_eq!(outcome(&answer), REFUSED);
    }
    times
}

/// Returns the time that a tenth of the logins were quicker than. What else the machine does makes a login slower and none
/// quicker, so this differs less from run to run than the median does.
fn undisturbed(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 10].as_secs_f64()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Users with a quick hash, a slow one and several, and none: what the check of a password costs does not tell.
#[test]
fn the_time_of_wrong_logins_does_not_tell_which_users_there_are() {
    let (minio, issuer) = Minio::start_seeded();
    let (slow, other) = (hash("bob's"), hash("other"));
    let users = user("quick", &[ALICE]) + &user("slow", &[&slow]) + &user("several", &[&slow, &other]);
    let limits = "[limits]\nfailed_attempts = 1000000\nfailed_attempts_per_client = 1000000\n";
    let sections = format!("{limits}{users}");
    let proxy = start(&config(&minio, "", &sections, &[("users", "user = \"*\"", "other/")]), &issuer);
    let web = proxy.address("web");
    let names = ["quick", "slow", "several", "unknown"];
    let is_even = |times: &Vec<f64>| {
        let (least, most) =
            times.iter().fold((f64::MAX, 0.0_f64), |(least, most), it| (least.min(*it), most.max(*it)));
        assert!(least > 0.005, "a hash takes longer: {times:?}");
        // One hash more or less makes a factor of two or more.
        most < least * 1.5
    };
    // A difference between users shows in each measurement, one that the machine makes does not.
    let mut measured = Vec::new();
    while measured.len() < 4 && !measured.last().is_some_and(is_even) {
        measured.push(measure_logins(web, &names));
    }
    assert!(measured.last().is_some_and(is_even), "{names:?} {measured:?}");
}

/// Returns the undisturbed time of a wrong login of each user. Two clients log in at once, so that checks of several users
/// run at the same time.
fn measure_logins(web: SocketAddr, users: &[&str]) -> Vec<f64> {
    let of_clients: Vec<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..2).map(|client| scope.spawn(move || time_logins(web, users, 10, client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let times = |at: usize| of_clients.iter().flat_map(|times| times[at].clone()).collect();
    (0..users.len()).map(|at| undisturbed(times(at))).collect()
}

/// Returns a line of `/proc/PID/status` in KiB.
fn memory(proxy: &Proxy, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
    let value = status.lines().find_map(|one| one.strip_prefix(line)).unwrap();
    value.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

/// Two passwords are hashed at once, so the memory grows by twice 19 MiB, and clients without passwords go on.
#[test]
fn three_hundred_wrong_logins_at_once_take_bounded_memory_and_delay_nobody_else() {
    let (minio, issuer) = Minio::start_seeded();
    let limits = "[limits]\nworkers = 2\nfailed_attempts = 1000000\nfailed_attempts_per_client = 1000000\n";
    let sections = format!(
        "{limits}{}[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n",
        user("alice", &[&hash("alice's")])
    );
    let mappings = [
        ("users", "user = \"*\", listener = \"web\"", "other/"),
        ("everyone", "network = \"127.0.0.0/8\", listener = \"plain\"", "media/"),
    ];
    let proxy = start(&config(&minio, "", &sections, &mappings), &issuer);
    let (web, plain) = (proxy.address("web"), proxy.address("plain"));
    assert_eq!([login(web, "alice", "alice's"), outcome(&get(plain, HELLO, &[]))], ["200", "200"]);
    let before = memory(&proxy, "VmRSS");
    fs::write(format!("/proc/{}/clear_refs", proxy.id()), "5").unwrap();
    // What else the machine does affects both kinds of turns.
    let (mut undisturbed, mut disturbed) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let over = AtomicBool::new(false);
        undisturbed.extend(times_of_others(plain, |count| count >= 100));
        let (statuses, others) = thread::scope(|scope| {
            let others = scope.spawn(|| times_of_others(plain, |_| over.load(Ordering::Relaxed)));
            let wrong =
                |number: usize| get(web, SECRET, &[&basic("alice", &format!("wrong {number}"))]).status();
            let logins: Vec<_> = (0..300).map(|number| scope.spawn(move || wrong(number))).collect();
            let statuses: Vec<u16> = logins.into_iter().map(|login| login.join().unwrap()).collect();
            over.store(true, Ordering::Relaxed);
            (statuses, others.join().unwrap())
        });
        let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
        // A busy machine hashes few of them in the time that the others wait.
        assert!(count(401) >= 10 && count(401) + count(503) == 300, "{} of 300", count(401));
        assert!(others.len() > 50, "{}", others.len());
        disturbed.extend(others);
    }
    let growth = memory(&proxy, "VmHWM").saturating_sub(before) >> 10;
    // Two hashes take 19 MiB each, and the allocator returns the memory of finished ones with some delay.
    assert!(growth <= 2 * 2 * 19 + 20, "{growth} MiB");
    let longest = disturbed.iter().max().copied().unwrap();
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    // Half a hash takes longer than the tolerance.
    let (undisturbed, disturbed) = (median(undisturbed), median(disturbed));
    assert!(disturbed <= 2.0 * undisturbed + 0.003, "{disturbed} s instead of {undisturbed} s");
}

/// Sends requests without credentials one after the other until `is_over`, which gets their number. Returns their times.
fn times_of_others(address: SocketAddr, is_over: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut connection = Connection::open(address).unwrap();
    let mut times = Vec::new();
    while !is_over(times.len()) {
        let begin = Instant::now();
        assert_eq!(connection.request("GET", HELLO, &[], b"").unwrap().status(), 200);
        times.push(begin.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    times
}

#[test]
fn a_password_is_typed_twice_on_a_terminal_and_not_shown() {
    let type_in = |typed: &str| {
        let line = format!("{} hash-password", binary().display());
        let mut script = Command::new("script");
        let script = script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (is_ok, shown) = type_in("s3cret\ns3cret\n");
    assert!(is_ok && shown.contains("Password: ") && shown.contains("$argon2id$v=19$"), "{shown}");
    let (is_ok, shown) = type_in("s3cret\nanother\n");
    assert!(!is_ok && shown.contains("the two passwords differ") && !shown.contains("$argon2id$"), "{shown}");
}

#[test]
fn a_password_that_no_client_can_send_is_refused() {
    for (input, why) in [
        (&b""[..], "the password is empty"),
        (b"\n", "the password is empty"),
        (b"a\nb\n", "more than one line"),
        (b"a\x07b\n", "control character"),
        (b"\xff\n", "not UTF-8"),
        (&[b'x'; 1025][..], "more than 1024 bytes"),
    ] {
        let output = scopegate(&["hash-password"], &[], input);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty() && told.contains(why), "{told}");
    }
}

//! Tests of logins: what is remembered, what is limited, and what the file changes.

use super::*;
use crate::authenticate::attempts::AttemptLimits;
use crate::identify::identity::Scheme;
use crate::refusal::Rule;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;
use std::time::SystemTime;
use tokio::task::JoinSet;

const CLIENT: ClientKey = ClientKey::User(Some(1));

/// The time of all tests.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn user(name: &str, hashes: &[String]) -> User {
    let hashes = hashes.iter().map(|hash| PasswordHash::parse(hash).unwrap()).collect();
    User { name: name.into(), hashes }
}

struct Setup {
    users: Users,
    proofs: Proofs,
    attempts: Attempts,
    hashing: Hashing,
}

impl Setup {
    fn new(list: &UserList, per_client: u32) -> Self {
        Self::limited(list, 1000, per_client)
    }

    fn limited(list: &UserList, all: u32, per_client: u32) -> Self {
        let limits = AttemptLimits {
            all: NonZeroU32::new(all).unwrap(),
            per_client: NonZeroU32::new(per_client).unwrap(),
        };
        Self {
            users: Users::new(list, None).unwrap(),
            proofs: Proofs::new(100).unwrap(),
            attempts: Attempts::new(limits),
            hashing: Hashing::new(4),
        }
    }

    fn of(users: &[User]) -> Self {
        Self::new(&UserList { configured: users.into(), file: None }, 5)
    }

    fn key(&self, credentials: &str) -> ProofKey {
        self.proofs.key(Scheme::Basic, credentials.as_bytes())
    }

    fn is_remembered(&self, credentials: &str) -> bool {
        self.proofs.find(&self.key(credentials), now()).is_some()
    }

    async fn login(&self, credentials: &str) -> Result<Arc<Identity>, Failure> {
        let login = Login {
            client: CLIENT,
            key: self.key(credentials),
            proofs: &self.proofs,
            attempts: &self.attempts,
            hashing: &self.hashing,
            clock: WallClock::new(now),
        };
        self.users.verify(BasicCredentials::parse(&STANDARD.encode(credentials))?, login).await
    }
}

fn secret_of(name: &str) -> User {
    user(name, &[quick(&format!("{name}'s"))])
}

#[tokio::test]
async fn the_right_password_proves_the_user_and_is_remembered() {
    let setup = Setup::of(&[secret_of("alice"), secret_of("bob")]);
    let identity = setup.login("alice:alice's").await.unwrap();
    assert_eq!(*identity, Identity::User("alice".into()));
    assert!(setup.is_remembered("alice:alice's") && !setup.is_remembered("bob:bob's"));
    assert!(setup.proofs.find(&setup.key("alice:alice's"), now() + REMEMBERED).is_none());
}

#[tokio::test]
async fn a_wrong_password_is_not_remembered_and_the_client_learns_nothing() {
    let setup = Setup::of(&[secret_of("alice")]);
    let wrong = setup.login("alice:hush").await.unwrap_err();
    let unknown = setup.login("mallory:hush").await.unwrap_err();
    assert_eq!((wrong.cause, unknown.cause), (Cause::WrongPassword, Cause::UnknownUser));
    assert_eq!(wrong.detail, "the password of the user \"alice\" is wrong");
    assert!(!unknown.detail.contains("mallory"), "it may be a password");
    assert!(!setup.is_remembered("alice:hush") && !setup.is_remembered("mallory:hush"));
    let told = |failure: Failure| {
        let refusal = failure.into_refusal(Vec::new());
        (refusal.rule, refusal.message, refusal.retry_after)
    };
    assert_eq!(told(wrong), told(unknown));
}

#[tokio::test]
async fn only_failures_count_and_too_many_are_refused_before_they_are_hashed() {
    let setup = Setup::of(&[secret_of("alice")]);
    for _ in 0..20 {
        setup.login("alice:alice's").await.unwrap();
    }
    for _ in 0..5 {
        assert_eq!(setup.login("alice:hush").await.unwrap_err().rule, Rule::BadCredentials);
    }
    let failure = setup.login("alice:hush").await.unwrap_err();
    assert_eq!((failure.rule, failure.cause), (Rule::TooManyFailures, Cause::TooManyFailures));
    assert_eq!(failure.retry_after, Some(12));
    assert!(setup.is_remembered("alice:alice's"), "a remembered login is not affected");
}

/// 100 wrong logins at once make no more attempts than one after the other.
#[tokio::test]
async fn parallel_failures_do_not_exceed_the_limit() {
    let setup = Arc::new(Setup::of(&[secret_of("alice")]));
    let mut logins = JoinSet::new();
    for number in 0..100 {
        let setup = Arc::clone(&setup);
        logins.spawn(async move { setup.login(&format!("alice:{number}")).await.unwrap_err().cause });
    }
    let causes = logins.join_all().await;
    let hashed = causes.iter().filter(|cause| **cause == Cause::WrongPassword).count();
    assert_eq!(hashed, 5);
    assert!(causes.iter().all(|cause| matches!(cause, Cause::WrongPassword | Cause::TooManyFailures)));
}

/// More right logins at once than failures are allowed: none is refused.
#[tokio::test]
async fn parallel_right_logins_all_pass() {
    let setup = Arc::new(Setup::of(&[secret_of("alice")]));
    let mut logins = JoinSet::new();
    for _ in 0..100 {
        let setup = Arc::clone(&setup);
        logins.spawn(async move { setup.login("alice:alice's").await.map(drop) });
    }
    assert!(logins.join_all().await.iter().all(Result::is_ok));
}

/// A login waits for the only attempt that the client, or all clients together, may still make. It is refused only if that
/// attempt fails.
#[tokio::test]
async fn a_login_waits_for_pending_attempts() {
    let list = UserList { configured: [secret_of("alice")].into(), file: None };
    for (all, per_client, pending) in [(1000, 1, CLIENT), (1, 1000, ClientKey::User(Some(2)))] {
        for has_failed in [false, true] {
            let setup = Arc::new(Setup::limited(&list, all, per_client));
            let attempt = setup.attempts.reserve(pending, now()).unwrap().unwrap();
            let login = tokio::spawn({
                let setup = Arc::clone(&setup);
                async move { setup.login("alice:alice's").await.map(drop).map_err(|failure| failure.cause) }
            });
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(!login.is_finished(), "of all: {all}, per client: {per_client}");
            assert_eq!(setup.hashing.running(), 0, "it takes no place from others");
            if has_failed {
                drop(attempt);
            } else {
                attempt.give_back();
            }
            let expected = if has_failed { Err(Cause::TooManyFailures) } else { Ok(()) };
            assert_eq!(login.await.unwrap(), expected, "of all: {all}, per client: {per_client}");
        }
    }
}

/// The wait for pending attempts is part of the wait for a place.
#[tokio::test(start_paused = true)]
async fn a_login_does_not_wait_for_ever() {
    let list = UserList { configured: [secret_of("alice")].into(), file: None };
    let setup = Setup::new(&list, 1);
    let _pending = setup.attempts.reserve(CLIENT, now()).unwrap().unwrap();
    let failure = setup.login("alice:alice's").await.unwrap_err();
    assert_eq!((failure.cause, failure.retry_after), (Cause::Busy, Some(1)));
}

#[tokio::test]
async fn a_reload_keeps_the_proofs_of_unchanged_users_alone() {
    let mut setup = Setup::of(&[secret_of("alice"), secret_of("bob"), secret_of("carol")]);
    for name in ["alice", "bob", "carol"] {
        setup.login(&format!("{name}:{name}'s")).await.unwrap();
    }
    let changed = user("bob", &[quick("bob's"), quick("other")]);
    let list = UserList { configured: [secret_of("alice"), changed].into(), file: None };
    let next = Users::new(&list, Some(&setup.users)).unwrap();
    assert!(setup.is_remembered("bob:bob's"), "the reload has not taken effect");
    setup.users.give_way_to(&next);
    setup.users = next;
    assert!(setup.is_remembered("alice:alice's"));
    assert!(!setup.is_remembered("bob:bob's") && !setup.is_remembered("carol:carol's"));
    assert!(setup.login("bob:other").await.is_ok());
    assert_eq!(setup.login("carol:carol's").await.unwrap_err().cause, Cause::UnknownUser);
}

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_wrong_one_does_not() {
    let path: Box<Path> = Path::new("/run/users").into();
    let list = UserList {
        configured: [secret_of("alice")].into(),
        file: Some((path, [secret_of("bob"), secret_of("carol")].into())),
    };
    let setup = Setup::new(&list, 50);
    for name in ["alice", "bob", "carol"] {
        setup.login(&format!("{name}:{name}'s")).await.unwrap();
    }
    for wrong in ["bob:hush".to_owned(), format!("alice:{}", quick("other"))] {
        let mistakes = setup.users.follow_file(&wrong).unwrap_err();
        assert!(mistakes.len() == 1 && !mistakes[0].contains("hush"), "{mistakes:?}");
    }
    assert!(setup.is_remembered("bob:bob's") && setup.login("carol:carol's").await.is_ok());
    let text = format!("bob:{}\ncarol:{}\n", quick("new"), quick("carol's"));
    assert_eq!(setup.users.follow_file(&text), Ok(Some(3)));
    assert_eq!(setup.users.follow_file(&text), Ok(None));
    assert!(setup.is_remembered("alice:alice's") && setup.is_remembered("carol:carol's"));
    assert!(!setup.is_remembered("bob:bob's"));
    assert_eq!(setup.login("bob:bob's").await.unwrap_err().cause, Cause::WrongPassword);
    assert!(setup.login("bob:new").await.is_ok());
}

/// A login whose check began before a reload is not remembered beyond it.
#[tokio::test]
async fn a_proof_of_a_replaced_user_is_not_remembered() {
    let setup = Setup::of(&[secret_of("alice")]);
    let next = Users::new(&UserList::default(), Some(&setup.users)).unwrap();
    setup.users.give_way_to(&next);
    assert!(setup.login("alice:alice's").await.is_ok(), "its request belongs to the configuration before");
    assert!(!setup.is_remembered("alice:alice's"));
}

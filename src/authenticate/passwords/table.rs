//! The users of a configuration, and the work that every check of a password takes.
//!
//! An attacker who guesses a name must not learn from the time whether there is such a user. So every check that fails
//! does the same work, whichever user it names and whether there is one: for each cost that occurs, as many hashes as
//! the user with the most of that cost has. A user with fewer is topped up with hashes of nothing.

use super::credentials::BasicCredentials;
use super::hash::{Cost, NotComputed, PasswordHash};
use crate::authenticate::proofs::Source;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

/// Maximum number of hashes of a user.
pub(crate) const MAX_HASHES: usize = 4;
/// Maximum number of costs among the hashes of all users.
const MAX_COSTS: usize = 4;
/// Maximum number of users.
pub(crate) const MAX_USERS: usize = 10_000;

/// A user of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The name.
    pub name: Box<str>,
    /// The hashes of the passwords that the user may send: one, or several while one replaces another.
    pub hashes: Vec<PasswordHash>,
}

/// The users that can log in.
#[derive(Debug, Default)]
pub(super) struct UserTable {
    users: HashMap<Box<str>, Record>,
    work: Vec<(Cost, usize)>,
}

#[derive(Debug)]
struct Record {
    hashes: Vec<PasswordHash>,
    source: Source,
}

/// The result of checking credentials.
#[derive(Debug)]
pub(super) enum Verdict {
    /// They are those of the user whom this source vouches for.
    Right(Source),
    /// The user exists, and the password is wrong.
    WrongPassword,
    /// There is no such user.
    UnknownUser,
    /// There is no memory to check them.
    NotComputed,
}

impl UserTable {
    /// Builds the table. A user that is in `previous` with the same hashes keeps the proofs of its passwords.
    ///
    /// # Errors
    /// When the users are too many, or their hashes have too many costs.
    pub(super) fn new(users: &[User], previous: Option<&Self>) -> Result<Self, String> {
        check(users)?;
        let record = |user: &User| {
            let unchanged = previous
                .and_then(|table| table.users.get(&user.name))
                .filter(|old| old.hashes == user.hashes);
            // The file may have changed since `previous` was read.
            let unchanged = unchanged.filter(|old| !old.source.has_ended());
            let source = unchanged.map_or_else(Source::default, |record| record.source.clone());
            (user.name.clone(), Record { hashes: user.hashes.clone(), source })
        };
        Ok(Self { users: users.iter().map(record).collect(), work: work(users) })
    }

    /// Ends the proofs of users that `next` does not have with the same hashes.
    pub(super) fn end_all_but(&self, next: &Self) {
        for (name, record) in &self.users {
            let is_kept = next.users.get(name).is_some_and(|kept| kept.hashes == record.hashes);
            if !is_kept {
                record.source.end();
            }
        }
    }

    /// Checks credentials. Only right ones take less than the whole work.
    pub(super) fn check(&self, credentials: &BasicCredentials) -> Verdict {
        let record = self.users.get(credentials.user());
        let hashes = record.map_or(&[][..], |record| &record.hashes);
        match self.is_right(hashes, credentials.password()) {
            Ok(true) => record.map_or(Verdict::UnknownUser, |record| Verdict::Right(record.source.clone())),
            Ok(false) if record.is_some() => Verdict::WrongPassword,
            Ok(false) => Verdict::UnknownUser,
            Err(NotComputed) => Verdict::NotComputed,
        }
    }

    fn is_right(&self, hashes: &[PasswordHash], password: &str) -> Result<bool, NotComputed> {
        for (cost, count) in &self.work {
            let mut of_cost = hashes.iter().filter(|hash| hash.cost() == *cost);
            for _ in 0..*count {
                match of_cost.next() {
                    Some(hash) if hash.is_of(password)? => return Ok(true),
                    Some(_) => {}
                    None => cost.spend(password)?,
                }
            }
        }
        Ok(false)
    }

    /// Returns the number of users.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// Returns whether both tables have the same users with the same hashes.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let has = |name: &str, hashes: &[PasswordHash]| {
            other.users.get(name).is_some_and(|record| record.hashes == hashes)
        };
        self.users.len() == other.users.len()
            && self.users.iter().all(|(name, record)| has(name, &record.hashes))
    }
}

/// Checks that the users are not too many, and that checking a password of theirs does not cost too much.
///
/// # Errors
/// When it does.
pub(crate) fn check(users: &[User]) -> Result<(), String> {
    if users.len() > MAX_USERS {
        return Err(format!("there are {} users; at most {MAX_USERS} are allowed", users.len()));
    }
    let work = work(users);
    if work.len() > MAX_COSTS {
        return Err(format!(
            "the password hashes have {} different costs ({}); at most {MAX_COSTS} are allowed, because every login takes \
             the work of all of them",
            work.len(),
            show(&work)
        ));
    }
    Ok(())
}

/// Describes the work of a login if it is more than that of one hash.
pub(crate) fn dear(users: &[User]) -> Option<String> {
    let work = work(users);
    (work.iter().map(|(_, count)| count).sum::<usize>() > 1).then(|| show(&work))
}

/// Returns the work of a check: each cost, with the most hashes of it that a user has.
fn work(users: &[User]) -> Vec<(Cost, usize)> {
    let mut work: BTreeMap<Cost, usize> = BTreeMap::new();
    for user in users {
        let mut own: BTreeMap<Cost, usize> = BTreeMap::new();
        for hash in &user.hashes {
            *own.entry(hash.cost()).or_default() += 1;
        }
        for (cost, count) in own {
            let most = work.entry(cost).or_default();
            *most = count.max(*most);
        }
    }
    work.into_iter().collect()
}

fn show(work: &[(Cost, usize)]) -> String {
    let mut shown = String::new();
    for (cost, count) in work {
        // Writing to a string cannot fail.
        let _ = write!(shown, "{}{count} x {cost}", if shown.is_empty() { "" } else { ", " });
    }
    shown
}

/// The users of a table and those that a file adds, each name once.
///
/// # Errors
/// Names a user that occurs twice.
pub(super) fn joined(one: &[User], other: &[User]) -> Result<Arc<[User]>, String> {
    let names: HashSet<&str> = one.iter().map(|user| &*user.name).collect();
    if let Some(twice) = other.iter().find(|user| names.contains(&*user.name)) {
        return Err(format!("the user {:?} is in the file and in a section [[user]]", twice.name));
    }
    Ok(one.iter().chain(other).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::{argon2id, bcrypt, computed_by, quick};
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::slice::from_ref;

    fn user(name: &str, hashes: &[String]) -> User {
        let hashes = hashes.iter().map(|hash| PasswordHash::parse(hash).unwrap()).collect();
        User { name: name.into(), hashes }
    }

    fn verdict(table: &UserTable, credentials: &str) -> &'static str {
        let credentials = BasicCredentials::parse(&STANDARD.encode(credentials)).unwrap();
        match table.check(&credentials) {
            Verdict::Right(_) => "right",
            Verdict::WrongPassword => "wrong",
            Verdict::UnknownUser => "unknown",
            Verdict::NotComputed => "not computed",
        }
    }

    #[test]
    fn every_password_of_a_user_is_right_and_no_other() {
        let users = [
            user("alice", &[quick("old"), quick("new")]),
            user("bob", &[bcrypt("bobs", 4)]),
            user("carol", &[argon2id("carols", 128, 1), bcrypt("second", 5)]),
        ];
        let table = UserTable::new(&users, None).unwrap();
        for right in ["alice:old", "alice:new", "bob:bobs", "carol:carols", "carol:second"] {
            assert_eq!(verdict(&table, right), "right", "{right}");
        }
        for wrong in ["alice:bobs", "bob:old", "carol:x", "alice:old "] {
            assert_eq!(verdict(&table, wrong), "wrong", "{wrong}");
        }
        for unknown in ["Alice:old", "alice :old", "dave:old"] {
            assert_eq!(verdict(&table, unknown), "unknown", "{unknown}");
        }
        assert_eq!(verdict(&UserTable::default(), "alice:old"), "unknown");
    }

    /// The work is counted, not timed. Without the hashes of nothing an unknown user is quicker than a known one.
    #[test]
    fn every_failure_takes_the_work_of_the_dearest_user() {
        let users = [
            user("alice", &[quick("a"), quick("b"), argon2id("c", 128, 1)]),
            user("bob", &[bcrypt("d", 4)]),
            user("carol", &[quick("e")]),
        ];
        let work = work(&users);
        let shown = "2 x argon2id m=64 t=1 p=1, 1 x argon2id m=128 t=1 p=1, 1 x bcrypt 4";
        assert_eq!(show(&work), shown);
        assert_eq!(dear(&users).as_deref(), Some(shown));
        let table = UserTable::new(&users, None).unwrap();
        let all = computed_by(|| assert_eq!(verdict(&table, "alice:wrong"), "wrong"));
        assert_eq!(all.len(), 4);
        for (credentials, expected) in [("bob:x", "wrong"), ("carol:x", "wrong"), ("dave:x", "unknown")] {
            let computed = computed_by(|| assert_eq!(verdict(&table, credentials), expected));
            assert_eq!(computed, all, "{credentials}");
        }
        assert_eq!(dear(&users[2..]), None);
        assert_eq!(dear(&[]), None);
    }

    #[test]
    fn the_costs_of_all_hashes_are_bounded() {
        let of_cost = |cost| user(&format!("user{cost}"), &[bcrypt("x", cost)]);
        let users: Vec<User> = (4..9).map(of_cost).collect();
        assert!(UserTable::new(&users[..4], None).is_ok());
        let error = UserTable::new(&users, None).unwrap_err();
        assert!(error.contains("5 different costs") && error.contains("1 x bcrypt 8"), "{error}");
        let many = vec![users[0].clone(); MAX_USERS + 1];
        assert!(UserTable::new(&many, None).unwrap_err().contains("10001 users"));
    }

    #[test]
    fn proofs_of_changed_and_removed_users_end_and_those_of_others_stay() {
        let (alice, bob) = (user("alice", &[quick("a")]), user("bob", &[quick("b")]));
        let before =
            UserTable::new(&[alice.clone(), bob.clone(), user("carol", &[quick("c")])], None).unwrap();
        let source = |name: &str| before.users[name].source.clone();
        let after = UserTable::new(&[alice, user("bob", &[quick("other")])], Some(&before)).unwrap();
        assert!(!source("bob").has_ended(), "the reload may still fail");
        before.end_all_but(&after);
        assert!(!source("alice").has_ended() && source("alice").is(&after.users["alice"].source));
        assert!(source("bob").has_ended() && source("carol").has_ended());
        assert!(!after.users["bob"].source.has_ended());
    }

    #[test]
    fn a_user_in_two_places_is_named() {
        let (alice, bob) = (user("alice", &[quick("a")]), user("bob", &[quick("b")]));
        assert_eq!(joined(from_ref(&alice), &[bob]).unwrap().len(), 2);
        assert!(joined(from_ref(&alice), from_ref(&alice)).unwrap_err().contains("\"alice\" is in the file"));
    }
}

//! HTTP Basic: verifies passwords of users.
//!
//! What the time of a login tells: nothing about which users there are, how many passwords they have, or how their
//! passwords are hashed. Each failed check does the same work (see [`table`]), alone on its thread, and nothing is
//! shared between checks that run at the same time. A remembered login is quick, and only the right password makes one.

mod credentials;
mod file;
mod hash;
mod hashing;
mod table;

pub(crate) use credentials::{BasicCredentials, MAX_PASSWORD};
pub(crate) use file::{MAKE_HASH, check_name, lines, parse as parse_users};
pub(crate) use hash::PasswordHash;
#[cfg(test)]
use hash::tests::quick;
pub(crate) use hashing::Hashing;
pub(crate) use table::{MAX_HASHES, User, check as check_users, dear};

use super::attempts::{Attempts, QueueFull, Reservation};
use super::failure::{Cause, Failure};
use super::proofs::{Proof, ProofKey, Proofs};
use crate::bounds::places::Place;
use crate::identify::client::ClientKey;
use crate::identify::identity::Identity;
use crate::net::wall_clock::WallClock;
use arc_swap::ArcSwap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use table::{UserTable, Verdict, joined};

/// The time for which a verified password is remembered.
const REMEMBERED: Duration = Duration::from_mins(5);

/// The users of a configuration: those in it, and those of the file that it names.
#[derive(Debug)]
pub(crate) struct Users {
    configured: Arc<[User]>,
    file: Option<Box<Path>>,
    table: ArcSwap<UserTable>,
}

/// What a login needs besides its credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// The client that sends them.
    pub client: ClientKey,
    /// The key of their proof.
    pub key: ProofKey,
    /// The memory of verified passwords.
    pub proofs: &'a Proofs,
    /// The limit of failed attempts.
    pub attempts: &'a Attempts,
    /// The places for hashing.
    pub hashing: &'a Hashing,
    /// The clock. A login may wait for a place.
    pub clock: WallClock,
}

/// What a login does when its turn comes.
enum Turn<'a> {
    /// Nothing: its password was verified meanwhile.
    Remembered(Arc<Identity>),
    /// Hashes the password.
    Attempt(Place, Reservation<'a>),
}

/// The users that a configuration declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserList {
    /// The users of the sections `[[user]]`.
    pub configured: Arc<[User]>,
    /// The file of other users, with those that were in it when the configuration was read.
    pub file: Option<(Box<Path>, Arc<[User]>)>,
}

impl Users {
    /// Makes the users of a configuration. The proofs of users that are unchanged since `previous` stay.
    ///
    /// # Errors
    /// When the users in the configuration and those of the file do not go together.
    pub(crate) fn new(list: &UserList, previous: Option<&Self>) -> Result<Self, String> {
        let of_file = list.file.as_ref().map_or(&[][..], |(_, users)| users);
        let users = joined(&list.configured, of_file)?;
        let previous = previous.map(|users| users.table.load_full());
        let table = UserTable::new(&users, previous.as_deref())?;
        let file = list.file.as_ref().map(|(path, _)| path.clone());
        Ok(Self { configured: Arc::clone(&list.configured), file, table: ArcSwap::from_pointee(table) })
    }

    /// Ends the proofs of the users that `next` does not have. Called when `next` takes effect.
    pub(crate) fn give_way_to(&self, next: &Self) {
        self.table.load().end_all_but(&next.table.load());
    }

    /// Returns the path of the file of users.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Replaces the users of the file by those in its new text. Returns the number of all users, unless nothing changed.
    ///
    /// # Errors
    /// Lists the mistakes. The users before stay.
    pub(crate) fn follow_file(&self, text: &str) -> Result<Option<usize>, Vec<String>> {
        let users = joined(&self.configured, &file::parse(text)?).map_err(|why| vec![why])?;
        let before = self.table.load_full();
        let next = Arc::new(UserTable::new(&users, Some(&before)).map_err(|why| vec![why])?);
        if next.is_like(&before) {
            return Ok(None);
        }
        self.table.store(Arc::clone(&next));
        before.end_all_but(&next);
        Ok(Some(next.len()))
    }

    /// Verifies a password, and remembers it if it is right.
    ///
    /// # Errors
    /// When it is wrong, or cannot be verified at the moment.
    pub(crate) async fn verify(
        &self,
        credentials: BasicCredentials,
        login: Login<'_>,
    ) -> Result<Arc<Identity>, Failure> {
        let (place, attempt) = match hashing::in_time(login.turn()).await? {
            Turn::Remembered(identity) => return Ok(identity),
            Turn::Attempt(place, attempt) => (place, attempt),
        };
        let Login { key, proofs, clock, .. } = login;
        let table = self.table.load_full();
        let identity = Arc::new(Identity::User(credentials.user().into()));
        let (verdict, _place) = match Hashing::run(place, move || table.check(&credentials)).await {
            Ok(checked) => checked,
            Err(failure) => {
                attempt.give_back();
                return Err(failure);
            }
        };
        match verdict {
            Verdict::Right(source) => {
                let since = clock.now();
                let proof =
                    Proof { identity: Arc::clone(&identity), since, until: since + REMEMBERED, source };
                // Before the attempts that wait are woken: they may have the same password.
                proofs.remember(key, proof);
                attempt.give_back();
                Ok(identity)
            }
            Verdict::WrongPassword => {
                let detail = format!("the password of the user {:?} is wrong", identity.name());
                Err(Failure::wrong(Cause::WrongPassword, detail))
            }
            // People type passwords into the field for the name, so it is not logged.
            Verdict::UnknownUser => {
                Err(Failure::wrong(Cause::UnknownUser, "there is no user of the name that was sent"))
            }
            Verdict::NotComputed => {
                attempt.give_back();
                Err(Failure::unavailable(Cause::Busy, "there is no memory to verify a password")
                    .retry_after(1))
            }
        }
    }
}

impl<'a> Login<'a> {
    /// Waits until the password may be hashed.
    ///
    /// # Errors
    /// When the client, or all clients together, failed too often, or too many wait.
    async fn turn(self) -> Result<Turn<'a>, Failure> {
        let Self { client, key, proofs, attempts, hashing, clock } = self;
        loop {
            attempts.wait_for_chance(client, clock).await.map_err(|QueueFull| hashing::too_many())?;
            attempts.check(client, clock.now())?;
            let place = hashing.place(client).await?;
            // A client that logs in over several connections at once has its password hashed once or twice.
            if let Some(identity) = proofs.find(&key, clock.now()) {
                return Ok(Turn::Remembered(identity));
            }
            if let Some(attempt) = attempts.reserve(client, clock.now())? {
                return Ok(Turn::Attempt(place, attempt));
            }
        }
    }
}

#[cfg(test)]
mod tests;

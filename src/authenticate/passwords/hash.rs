//! Hashes of passwords: argon2id in the form of PHC strings, and bcrypt as htpasswd writes it.

use argon2::password_hash::phc::PasswordHash as PhcString;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use bcrypt::HashParts;
use std::fmt;
use std::io;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Maximum memory of a hash, in KiB.
const MAX_MEMORY: u32 = 64 * 1024;
/// Maximum number of passes.
const MAX_PASSES: u32 = 10;
/// Maximum number of lanes.
const MAX_LANES: u32 = 4;
/// The lengths of a salt and of an output, in bytes.
const MIN_SALT: usize = 8;
const MIN_OUTPUT: usize = 16;
/// Maximum length of an output, which PHC strings have.
const MAX_OUTPUT: usize = 64;
/// Maximum cost of bcrypt.
const MAX_BCRYPT: u32 = 14;
/// The bytes of a password that bcrypt reads.
const BCRYPT_READS: usize = 72;

/// The hash of a password. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Argon2id { cost: Argon2Cost, salt: Box<[u8]>, output: Box<[u8]> },
    Bcrypt { cost: u32, text: Box<str> },
}

/// The work that it takes to check a password. Hashes of one cost take the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// Argon2id.
    Argon2id(Argon2Cost),
    /// Bcrypt with this cost.
    Bcrypt(u32),
}

/// The parameters of argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Argon2Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// The hash could not be computed, because there is no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotComputed;

impl PasswordHash {
    /// Parses a hash. Errors say what is wrong and never quote it.
    ///
    /// # Errors
    /// When it is neither argon2id nor bcrypt, or costs more than the bounds allow.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("$argon2") {
            return parse_argon2(text);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) {
            return parse_bcrypt(text);
        }
        let what = match text {
            _ if text.starts_with("$apr1$") => "an MD5 hash of Apache ($apr1$)",
            _ if text.starts_with("{SHA}") => "an unsalted SHA-1 hash ({SHA})",
            _ if text.starts_with("$1$") => "an MD5 hash ($1$)",
            _ if text.starts_with("$5$") || text.starts_with("$6$") => "a SHA-2 hash of crypt",
            _ if text.starts_with("$2x$") => "a hash of a broken bcrypt ($2x$)",
            _ => "not a hash that Scopegate knows",
        };
        Err(format!("it is {what}"))
    }

    /// Makes the hash of a password, with the parameters that OWASP recommends: 19 MiB, two passes and one lane.
    ///
    /// # Errors
    /// When there is no memory for it, or the system has no random numbers.
    pub(crate) fn make(password: &str) -> io::Result<String> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(io::Error::other)
    }

    /// Returns the work that it takes to check a password.
    pub(crate) fn cost(&self) -> Cost {
        match &self.0 {
            Kind::Argon2id { cost, .. } => Cost::Argon2id(*cost),
            Kind::Bcrypt { cost, .. } => Cost::Bcrypt(*cost),
        }
    }

    /// Returns whether this is the hash of a password.
    ///
    /// # Errors
    /// When there is no memory to compute it.
    pub(crate) fn is_of(&self, password: &str) -> Result<bool, NotComputed> {
        #[cfg(test)]
        tests::note(self.cost());
        match &self.0 {
            Kind::Argon2id { cost, salt, output } => {
                let mut computed = [0; MAX_OUTPUT];
                let computed = computed.get_mut(..output.len()).ok_or(NotComputed)?;
                cost.compute(password, salt, computed)?;
                Ok(output.ct_eq(computed).into())
            }
            Kind::Bcrypt { text, .. } => {
                // Bcrypt would accept anything that begins with these bytes. The hash is computed all the same, so
                // that the time does not tell whether the user has one.
                let is_whole = password.len() <= BCRYPT_READS;
                bcrypt::verify(password, text).map(|same| same && is_whole).map_err(|_| NotComputed)
            }
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(redacted, {:?})", self.cost())
    }
}

impl Cost {
    /// Does the work of checking a password against a hash of this cost, without one.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn spend(self, password: &str) -> Result<(), NotComputed> {
        #[cfg(test)]
        tests::note(self);
        match self {
            Self::Argon2id(cost) => cost.compute(password, &[0; 16], &mut [0; 32]),
            Self::Bcrypt(cost) => {
                bcrypt::hash_with_salt(password, cost, [0; 16]).map(drop).map_err(|_| NotComputed)
            }
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2id(Argon2Cost { memory, passes, lanes }) => {
                write!(f, "argon2id m={memory} t={passes} p={lanes}")
            }
            Self::Bcrypt(cost) => write!(f, "bcrypt {cost}"),
        }
    }
}

impl Argon2Cost {
    fn compute(self, password: &str, salt: &[u8], output: &mut [u8]) -> Result<(), NotComputed> {
        let params = Params::new(self.memory, self.passes, self.lanes, Some(output.len()));
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| NotComputed)?);
        argon2.hash_password_into(password.as_bytes(), salt, output).map_err(|_| NotComputed)
    }
}

fn parse_argon2(text: &str) -> Result<PasswordHash, String> {
    let hash = PhcString::new(text).map_err(|_| "it is not a complete argon2id hash".to_owned())?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(format!("it is made with {}, not with argon2id", hash.algorithm.as_str()));
    }
    if hash.version != Some(19) {
        return Err("it is of an old version of argon2id, not of v=19".to_owned());
    }
    let number = |name: &str| hash.params.get_decimal(name).filter(|_| hash.params.iter().count() == 3);
    let (Some(memory), Some(passes), Some(lanes)) = (number("m"), number("t"), number("p")) else {
        return Err("its parameters are not exactly m, t and p".to_owned());
    };
    for (name, value, most) in [("m", memory, MAX_MEMORY), ("t", passes, MAX_PASSES), ("p", lanes, MAX_LANES)]
    {
        if !(1..=most).contains(&value) {
            return Err(format!("its {name} is {value}; at most {most} is accepted"));
        }
    }
    let (Some(salt), Some(output)) = (hash.salt, hash.hash) else {
        return Err("it has no salt or no hash: it is cut off".to_owned());
    };
    if salt.len() < MIN_SALT || !(MIN_OUTPUT..=MAX_OUTPUT).contains(&output.len()) {
        return Err(format!(
            "its salt has {} bytes and its hash {}; at least {MIN_SALT} and {MIN_OUTPUT} are needed",
            salt.len(),
            output.len()
        ));
    }
    let cost = Argon2Cost { memory, passes, lanes };
    Params::new(memory, passes, lanes, Some(output.len()))
        .map_err(|_| format!("its m is {memory}, too little for p={lanes}"))?;
    let (salt, output) = (salt.as_ref().into(), output.as_bytes().into());
    Ok(PasswordHash(Kind::Argon2id { cost, salt, output }))
}

fn parse_bcrypt(text: &str) -> Result<PasswordHash, String> {
    let cost =
        HashParts::from_str(text).map_err(|_| "it is not a complete bcrypt hash".to_owned())?.get_cost();
    if !(4..=MAX_BCRYPT).contains(&cost) {
        return Err(format!("its cost is {cost}; 4 to {MAX_BCRYPT} is accepted"));
    }
    Ok(PasswordHash(Kind::Bcrypt { cost, text: text.into() }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;

    thread_local! {
        static COMPUTED: RefCell<Vec<Cost>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes that a hash of this cost is computed.
    pub(super) fn note(cost: Cost) {
        COMPUTED.with_borrow_mut(|computed| computed.push(cost));
    }

    /// Returns the costs of the hashes that `work` computes on this thread.
    pub(crate) fn computed_by(work: impl FnOnce()) -> Vec<Cost> {
        COMPUTED.take();
        work();
        COMPUTED.take()
    }

    /// Returns a hash of this password that is quick to compute.
    pub(crate) fn quick(password: &str) -> String {
        argon2id(password, 64, 1)
    }

    /// Returns a hash with this memory and number of passes.
    pub(crate) fn argon2id(password: &str, memory: u32, passes: u32) -> String {
        let params = Params::new(memory, passes, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_with_salt(password.as_bytes(), b"some salt").unwrap().to_string()
    }

    /// Returns a hash as htpasswd writes it.
    pub(crate) fn bcrypt(password: &str, cost: u32) -> String {
        bcrypt::hash_with_salt(password, cost, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY)
    }

    fn is_of(hash: &str, password: &str) -> bool {
        PasswordHash::parse(hash).unwrap().is_of(password).unwrap()
    }

    #[test]
    fn passwords_are_checked_against_both_kinds() {
        for hash in [quick("sécret"), bcrypt("sécret", 4)] {
            assert!(is_of(&hash, "sécret"), "{hash}");
            for wrong in ["secret", "sécre", "sécret ", "Sécret", "x"] {
                assert!(!is_of(&hash, wrong), "{hash} {wrong}");
            }
        }
    }

    /// From the test vectors of the reference implementations: `echo -n password | argon2 somesalt`, and `htpasswd -B`.
    #[test]
    fn hashes_of_other_programs_are_read() {
        let argon2 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(is_of(argon2, "password") && !is_of(argon2, "passwort"));
        let bcrypt = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy";
        assert!(is_of(bcrypt, "") && !is_of(bcrypt, "x"));
    }

    #[test]
    fn hashes_that_are_made_here_are_salted_and_accepted() {
        let hashes = [(); 2].map(|()| PasswordHash::make("sécret").unwrap());
        assert_ne!(hashes[0], hashes[1]);
        for hash in hashes {
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
            assert!(is_of(&hash, "sécret") && !is_of(&hash, "secret"));
        }
    }

    #[test]
    fn a_password_longer_than_bcrypt_reads_is_not_right() {
        let exact = "x".repeat(BCRYPT_READS);
        let hash = bcrypt(&exact, 4);
        assert!(is_of(&hash, &exact));
        assert!(!is_of(&hash, &format!("{exact}y")) && !is_of(&hash, &format!("{exact}x")));
    }

    #[test]
    fn refuses_hashes_that_are_weak_dear_or_incomplete() {
        let good = argon2id("secret", 64, 1);
        let swap = |from: &str, to: &str| {
            assert!(good.contains(from));
            good.replacen(from, to, 1)
        };
        let cases = [
            (swap("argon2id", "argon2i"), "with argon2i, not"),
            (swap("argon2id", "argon2d"), "with argon2d, not"),
            (swap("v=19", "v=16"), "old version"),
            (swap("v=19$", ""), "old version"),
            (swap("m=64", "m=65537"), "m is 65537; at most 65536"),
            (swap("t=1", "t=11"), "t is 11; at most 10"),
            (swap("t=1", "t=0"), "t is 0"),
            (swap("p=1", "p=5"), "p is 5; at most 4"),
            (swap("m=64", "m=7"), "m is 7, too little"),
            (swap("p=1", "p=1,data=AAAA"), "exactly m, t and p"),
            (swap(",t=1", ""), "exactly m, t and p"),
            (good[..good.rfind('$').unwrap()].to_owned(), "cut off"),
            (format!("{good}$"), "not a complete"),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA".to_owned(), "hash 12; at least"),
            (bcrypt("secret", 4).replacen("$04$", "$15$", 1), "cost is 15; 4 to 14"),
            (bcrypt("secret", 4).replacen("$04$", "$03$", 1), "cost is 3"),
            (bcrypt("secret", 4)[..59].to_owned(), "not a complete bcrypt"),
            ("$apr1$salt$secret".to_owned(), "MD5 hash of Apache"),
            ("{SHA}secret".to_owned(), "unsalted SHA-1"),
            ("$2x$05$secret".to_owned(), "broken bcrypt"),
            ("secret".to_owned(), "not a hash"),
            (String::new(), "not a hash"),
        ];
        for (text, why) in cases {
            let error = PasswordHash::parse(&text).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
        assert!(PasswordHash::parse(&bcrypt("secret", 4).replacen("$04$", "$14$", 1)).is_ok());
        assert!(PasswordHash::parse(&swap("m=64,t=1,p=1", "m=65536,t=10,p=4")).is_ok());
    }

    #[test]
    fn debug_shows_the_cost_alone() {
        let shown = format!("{:?}", PasswordHash::parse(&quick("secret")).unwrap());
        assert!(shown.contains("memory: 64") && !shown.contains('$'), "{shown}");
    }
}

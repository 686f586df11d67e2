//! Files of users: lines of a name, a colon and a hash, as `htpasswd -B` writes them.

use super::credentials::MAX_USER;
use super::hash::PasswordHash;
use super::table::{self, MAX_USERS, User};
use crate::net::terminal::is_unseen;
use std::collections::HashSet;

/// Maximum number of mistakes that are reported.
const MAX_MISTAKES: usize = 20;

/// The command that makes a hash that is accepted.
pub(crate) const MAKE_HASH: &str = "make a new hash with `scopegate hash-password`";

/// Parses a file. Mistakes name the line and the user, and never quote a hash.
///
/// # Errors
/// Lists the mistakes.
pub(crate) fn parse(text: &str) -> Result<Vec<User>, Vec<String>> {
    let (mut users, mut names, mut mistakes) = (Vec::new(), HashSet::new(), Vec::new());
    for (number, line) in lines(text) {
        match parse_line(line) {
            Ok(user) if !names.insert(user.name.clone()) => {
                mistakes.push(format!("line {number}: the user {:?} is listed twice", user.name));
            }
            Ok(user) => users.push(user),
            Err(why) => mistakes.push(format!("line {number}: {why}")),
        }
        if mistakes.len() >= MAX_MISTAKES || users.len() > MAX_USERS {
            break;
        }
    }
    if let Err(why) = table::check(&users) {
        mistakes.push(why);
    }
    if mistakes.is_empty() { Ok(users) } else { Err(mistakes) }
}

/// Returns the lines of a file that declare something, with their numbers from 1. Empty lines and those that begin with
/// `#` declare nothing.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.trim_start_matches('\u{feff}');
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

fn parse_line(line: &str) -> Result<User, String> {
    let Some((name, hash)) = line.split_once(':') else {
        return Err("there is no colon; write NAME:HASH, as `htpasswd -B` does".to_owned());
    };
    check_name(name).map_err(|why| format!("the name of the user {why}"))?;
    let hash = PasswordHash::parse(hash)
        .map_err(|why| format!("the hash of the user {name:?} is not accepted: {why}; {MAKE_HASH}"))?;
    Ok(User { name: name.into(), hashes: vec![hash] })
}

/// Checks the name of a user.
///
/// # Errors
/// Says what is wrong with it, after its name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    match () {
        () if name.is_empty() => Err("is empty".to_owned()),
        () if name.len() > MAX_USER => Err(format!("has more than {MAX_USER} bytes")),
        () if name.contains(':') => Err("contains a colon, which ends a name in HTTP Basic".to_owned()),
        () if name.contains(|c: char| c.is_control() || is_unseen(c)) => {
            Err("contains a character that cannot be seen".to_owned())
        }
        () if name.trim() != name => Err("begins or ends with a space".to_owned()),
        () if name == "*" => Err("is \"*\", which stands for any user in a mapping".to_owned()),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::tests::{bcrypt, quick};
    use super::*;

    #[test]
    fn reads_what_htpasswd_writes() {
        let (alice, bob) = (bcrypt("a", 4), quick("b"));
        let text = format!("\u{feff}# users of the archive\n\nalice:{alice}\r\nb@example.test:{bob}\n");
        let users = parse(&text).unwrap();
        let names: Vec<&str> = users.iter().map(|user| &*user.name).collect();
        assert_eq!(names, ["alice", "b@example.test"]);
        assert!(users[0].hashes[0].is_of("a").unwrap() && users[1].hashes[0].is_of("b").unwrap());
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn mistakes_have_their_line_and_never_show_a_hash() {
        let good = bcrypt("a", 4);
        let text = format!(
            "alice:{good}\nhush\nalice:{good}\nbob:$apr1$hush$hush\n:{good}\ncarol:hush\n a:{good}\n*:{good}\nx\u{7f}:{good}\n\
             y\u{200b}:{good}\n{}:{good}",
            "n".repeat(257)
        );
        let mistakes = parse(&text).unwrap_err();
        let expected = [
            "line 2: there is no colon",
            "line 3: the user \"alice\" is listed twice",
            "line 4: the hash of the user \"bob\" is not accepted: it is an MD5 hash of Apache ($apr1$); make a new hash",
            "line 5: the name of the user is empty",
            "line 6: the hash of the user \"carol\" is not accepted: it is not a hash",
            "line 7: the name of the user begins",
            "line 8: the name of the user is \"*\"",
            "line 9: the name of the user contains a character",
            "line 10: the name of the user contains a character",
            "line 11: the name of the user has more than 256 bytes",
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
        for (mistake, expected) in mistakes.iter().zip(expected) {
            assert!(mistake.starts_with(expected) && !mistake.contains("hush"), "{mistake}");
        }
    }

    #[test]
    fn the_number_of_reported_mistakes_is_bounded() {
        assert_eq!(parse(&"x\n".repeat(100_000)).unwrap_err().len(), MAX_MISTAKES);
    }
}

//! Reads `[[user]]` and `users`: the users of HTTP Basic, with hashes of their passwords.

use super::Environment;
use super::clients::NameList;
use super::declarations::read_declarations;
use super::reader::{At, quoted};
use super::schema::USER;
use super::table::Table;
use crate::authenticate::passwords::{
    MAKE_HASH, MAX_HASHES, PasswordHash, User, UserList, check_name, check_users, dear, parse_users,
};
use std::sync::Arc;

/// Reads the users. Returns `None` if they have a mistake; their names are there all the same.
pub(super) fn read_users(root: &Table<'_>, environment: &dyn Environment) -> (Option<UserList>, NameList) {
    let mut names = NameList::default();
    let tables = root.tables("user", &USER);
    let (count, span) = (tables.len(), tables.first().and_then(Table::span));
    let users: Vec<User> = tables.into_iter().filter_map(|table| read_user(table, &mut names)).collect();
    let declarations = read_declarations(root, "users", parse_users, environment);
    names.is_open = users.len() < count || declarations.is_some();
    let (file, is_read) = match &declarations {
        Some(At { value, .. }) => (value.clone(), value.is_some()),
        None => (None, true),
    };
    let of_file = file.as_ref().map_or(&[][..], |(_, users)| users);
    let twice = of_file.iter().find(|user| users.iter().any(|other| other.name == user.name));
    if let (Some(user), Some(declarations)) = (twice, &declarations) {
        let message = format!("the file has the user {:?}, as a section [[user]] has", user.name);
        root.reader().error(declarations.span, message, "remove one of them");
    }
    let all: Vec<User> = users.iter().chain(of_file).cloned().collect();
    let span = declarations.map(|declarations| declarations.span).or(span);
    if let Err(why) = check_users(&all) {
        root.reader().error(
            span,
            why,
            "hash the passwords of all users alike, with `scopegate hash-password`",
        );
    } else if let Some(work) = dear(&all) {
        let message = format!("every login takes the work of several password hashes: {work}");
        let help = "it must not tell which users there are; hash the passwords of all users alike, and remove old hashes";
        root.reader().warn(span, message, help);
    }
    let is_whole = is_read && users.len() == count && twice.is_none();
    (is_whole.then(|| UserList { configured: Arc::from(users), file }), names)
}

fn read_user(table: Table<'_>, names: &mut NameList) -> Option<User> {
    let reader = table.reader();
    let name = table.required("name", "\"...\"").filter(|name| {
        let checked = check_name(name.value);
        if let Err(why) = &checked {
            reader.error(
                name.span,
                format!("the name of the user {why}"),
                "write a name as its user types it",
            );
        }
        checked.is_ok()
    });
    if let Some(name) = name {
        if names.names.iter().any(|other| **other == *name.value) {
            let help = "give a user several passwords with password = [\"...\", \"...\"]";
            reader.error(name.span, format!("another user has the name {}", quoted(name.value)), help);
        } else {
            names.names.push(name.value.into());
        }
    }
    table.require("password", "add password = [\"...\"] with a hash from `scopegate hash-password`");
    let hashes = table.strings("password").and_then(|list| read_hashes(&list, name, &table));
    table.finish();
    Some(User { name: name?.value.into(), hashes: hashes? })
}

/// Reads the hashes of a user. Messages quote the name of the user, never a hash.
fn read_hashes(
    list: &At<Vec<At<&str>>>,
    name: Option<At<&str>>,
    table: &Table<'_>,
) -> Option<Vec<PasswordHash>> {
    let (reader, count) = (table.reader(), list.value.len());
    let of = name.map(|name| format!(" of the user {}", quoted(name.value))).unwrap_or_default();
    if !(1..=MAX_HASHES).contains(&count) {
        let message = format!("password{of} has {count} hashes; 1 to {MAX_HASHES} are allowed");
        reader.error(list.span, message, "keep the hashes of the passwords that are in use");
        return None;
    }
    let read = |text: &At<&str>| match PasswordHash::parse(text.value) {
        Ok(hash) => Some(hash),
        Err(why) => {
            reader.error(text.span, format!("a password hash{of} is not accepted: {why}"), MAKE_HASH);
            None
        }
    };
    let hashes: Vec<Option<PasswordHash>> = list.value.iter().map(read).collect();
    hashes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::{EXAMPLE, Fake, mistakes};
    use super::*;
    use crate::net::guarded::ReadError;
    use crate::sigv4::secret::Secret;
    use std::path::Path;

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    const BCRYPT: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy";

    /// An environment with a file of users.
    struct WithFile(&'static str);

    impl Environment for WithFile {
        fn variable(&self, name: &str) -> Result<Secret, ReadError> {
            Fake.variable(name)
        }

        fn file(&self, path: &Path) -> Result<Secret, ReadError> {
            if path == Path::new("users") { Ok(Secret::new(self.0.into())) } else { Fake.file(path) }
        }
    }

    #[test]
    fn reads_users_of_sections_and_of_a_file() {
        let source = format!(
            "users = {{ file = \"users\" }}\n{EXAMPLE}[[user]]\nname = \"alice\"\npassword = [\"{HASH}\", \"{HASH}\"]\n\
             [[user]]\nname = \"b@example.test\"\npassword = \"{HASH}\"\n"
        )
        .replace("listener = \"sidecar\" }", "listener = \"sidecar\", user = [\"alice\", \"later\"] }");
        let config = Config::parse(
            &source,
            &WithFile("carol:$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy\n"),
        );
        let config = config.unwrap();
        let names: Vec<&str> = config.users.configured.iter().map(|user| &*user.name).collect();
        assert_eq!(names, ["alice", "b@example.test"]);
        let (path, of_file) = config.users.file.clone().unwrap();
        assert_eq!((&*path, &*of_file[0].name), (Path::new("users"), "carol"));
        let work = "2 x argon2id m=19456 t=2 p=1, 1 x bcrypt 5";
        assert!(config.warnings().iter().any(|warning| warning.message.contains(work)));
        assert!(!format!("{config:?}").contains("c29tZXNhbHQ"));
    }

    #[test]
    fn finds_mistakes_in_users_and_never_shows_a_hash() {
        for (users, expected) in [
            ("[[user]]\nname = \"a\"", "has no \"password\" | add password"),
            ("[[user]]\npassword = []", "[[user]] has no \"name\""),
            ("[[user]]\nname = \"a\"\npassword = []", "password of the user \"a\" has 0 hashes; 1 to 4"),
            ("[[user]]\nname = \"a\"\npassword = [1]", "password is of type"),
            (
                "[[user]]\nname = \"a\"\npassword = \"$apr1$hush\"",
                "a password hash of the user \"a\" is not accepted: it is an MD5 hash of Apache ($apr1$) | make a new hash",
            ),
            ("[[user]]\nname = \"a\"\npassword = \"hush\"", "not a hash"),
            ("[[user]]\nname = \"a:b\"\npassword = \"HASH\"", "the name of the user contains a colon"),
            ("[[user]]\nname = \"*\"\npassword = \"HASH\"", "the name of the user is \"*\""),
            (
                "[[user]]\nname = \"a\"\npassword = \"HASH\"\n[[user]]\nname = \"a\"\npassword = \"HASH\"",
                "another user has the name \"a\" | give a user several passwords",
            ),
            ("[[user]]\nname = \"a\"\npasword = \"HASH\"", "unknown key \"pasword\""),
        ] {
            let found = mistakes(&format!("{EXAMPLE}{users}").replace("HASH", HASH));
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{users}: {found:#?}");
            assert!(!found.concat().contains("hush") && !found.concat().contains(HASH), "{found:#?}");
        }
        let user = format!("[[user]]\nname = \"a\"\npassword = [\"{HASH}\", \"hush\"]\n");
        let wrong = Config::parse(&format!("{EXAMPLE}{user}"), &Fake).unwrap_err();
        let drawn = wrong[0].draw(Path::new("proxy.toml"));
        assert!(
            drawn.contains("password") && !drawn.contains("hush") && !drawn.contains("argon2"),
            "{drawn}"
        );
    }

    #[test]
    fn finds_mistakes_in_a_file_of_users() {
        let found = |file, users: &str, sections: &str| -> Vec<String> {
            let wrong = Config::parse(&format!("{users}\n{EXAMPLE}{sections}"), &WithFile(file)).unwrap_err();
            wrong.into_iter().map(|mistake| mistake.message).collect()
        };
        let named = "users = { file = \"users\" }";
        assert_eq!(
            found("a:hush\nb", named, ""),
            [
                "users: line 1: the hash of the user \"a\" is not accepted: it is not a hash that Scopegate knows; make a new \
                 hash with `scopegate hash-password`",
                "users: line 2: there is no colon; write NAME:HASH, as `htpasswd -B` does"
            ]
        );
        assert_eq!(found("", "users = { file = \"other\" }", ""), ["users: cannot read it"]);
        assert_eq!(found("", "users = \"users\"", ""), ["users is of type string"]);
        assert_eq!(found("", "users = {}", ""), ["users has no \"file\""]);
        let section = format!("[[user]]\nname = \"a\"\npassword = \"{BCRYPT}\"");
        let file = "a:$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy";
        assert_eq!(found(file, named, &section), ["the file has the user \"a\", as a section [[user]] has"]);
    }
}

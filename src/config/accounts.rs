//! Reads users and groups of this machine: by number, or by name, which is resolved when the configuration is loaded.

use super::Environment;
use super::account::Account;
use super::reader::{At, Reader};
use super::source::Span;
use super::table::Table;
use std::collections::HashSet;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

/// Maximum number of users or groups in a matcher.
const MAX_ACCOUNTS: usize = 1000;
/// The id that the kernel shows for every user and group of another user namespace that has no id in this one.
/// <https://man7.org/linux/man-pages/man7/user_namespaces.7.html>
const OVERFLOW: u32 = 65_534;

/// Reads one user or group, such as the owner of a socket.
pub(super) fn read_account(
    table: &Table<'_>,
    key: &'static str,
    account: Account,
    environment: &dyn Environment,
) -> Option<u32> {
    read_id(table.get(key)?, key, account, table.reader(), environment).map(|id| id.value)
}

/// Reads the users or groups of a matcher: 1 to [`MAX_ACCOUNTS`] different ones. A single one is a list of one.
pub(super) fn read_accounts(
    table: &Table<'_>,
    key: &'static str,
    account: Account,
    environment: &dyn Environment,
) -> Option<Vec<u32>> {
    let (reader, value) = (table.reader(), table.get(key)?);
    let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    let count = items.len();
    if !(1..=MAX_ACCOUNTS).contains(&count) {
        let message = format!("{key} has {count} entries; 1 to {MAX_ACCOUNTS} are allowed");
        reader.error(Span::from(value.span()), message, account.expected());
        return None;
    }
    let mut seen = HashSet::new();
    let read = |item| {
        let id = read_id(item, key, account, reader, environment)?;
        check_provable(&id, account, reader)?;
        if !seen.insert(id.value) {
            let message = format!("the {} {} is listed twice in {key}", account.noun(), id.value);
            reader.error(id.span, message, "remove one");
        }
        Some(id.value)
    };
    // Collected first, so that the mistakes in all entries are noted.
    let ids: Vec<Option<u32>> = items.into_iter().map(read).collect();
    ids.into_iter().collect()
}

fn read_id(
    item: &Spanned<DeValue<'_>>,
    key: &str,
    account: Account,
    reader: &Reader<'_>,
    environment: &dyn Environment,
) -> Option<At<u32>> {
    let span = Span::from(item.span());
    let id = match item.get_ref() {
        DeValue::Integer(number) => read_number(number, span, key, reader)?,
        DeValue::String(name) => read_name(&At { value: name, span }, account, reader, environment)?,
        other => {
            let message = format!("{key} holds a value of type {}", other.type_str());
            reader.error(span, message, account.expected());
            return None;
        }
    };
    if id == u32::MAX {
        let message = format!("{key} = {id} is no {}", account.noun());
        reader.error(span, message, "the kernel uses this number for \"none\" and \"unchanged\"");
        return None;
    }
    Some(At { value: id, span })
}

fn read_number(number: &DeInteger<'_>, span: Span, key: &str, reader: &Reader<'_>) -> Option<u32> {
    let digits = number.as_str().replace('_', "");
    let id = u32::from_str_radix(&digits, number.radix()).ok();
    if id.is_none() {
        let message = format!("{key} = {} is out of range", number.as_str());
        reader.error(span, message, format!("write a number from 0 to {}", u32::MAX - 1));
    }
    id
}

fn read_name(
    name: &At<&str>,
    account: Account,
    reader: &Reader<'_>,
    environment: &dyn Environment,
) -> Option<u32> {
    let found = match account {
        Account::User => environment.user(name.value),
        Account::Group => environment.group(name.value),
    };
    found
        .map_err(|error| {
            let is_number = !name.value.is_empty() && name.value.bytes().all(|b| b.is_ascii_digit());
            let help =
                if is_number { format!("write a number without quotes: {}", name.value) } else { error.help };
            reader.error(name.span, error.message, help);
        })
        .ok()
}

/// Returns whether an id stands for one account.
pub(super) const fn is_provable(id: u32) -> bool {
    id != OVERFLOW && id != u32::MAX
}

/// Checks that an id stands for one account. A process of another user namespace, such as a container, appears as
/// [`OVERFLOW`] whichever account it has.
fn check_provable(id: &At<u32>, account: Account, reader: &Reader<'_>) -> Option<()> {
    if id.value != OVERFLOW {
        return Some(());
    }
    let noun = account.noun();
    let message = format!(
        "the {noun} {OVERFLOW} proves nothing: every {noun} of a foreign user namespace appears as it"
    );
    let help = format!("give these clients a {noun} of their own, or match them by listener");
    reader.error(id.span, message, help);
    None
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{EXAMPLE, mistakes};
    use crate::config::{Environment, SystemEnvironment, WithoutSecrets};

    /// Returns the mistakes in the example with a unix listener that has this line.
    fn wrong(line: &str) -> Vec<String> {
        let listener = format!("address = \"unix:/run/s3.sock\"\n{line}");
        let unix = EXAMPLE.replace("network = [\"127.0.0.0/8\", \"::1/128\"], ", "");
        mistakes(&unix.replacen("address = \"127.0.0.1:8080\"", &listener, 1))
    }

    #[test]
    fn owners_are_names_or_numbers() {
        for good in ["owner = 0", "owner = 1_000", "owner = \"app\"", "group = \"storage\"", "group = 0x10"] {
            assert_eq!(wrong(good), [""; 0], "{good}");
        }
        for (bad, told) in [
            ("owner = \"nobody-here\"", "4:9 there is no user \"nobody-here\" on this machine | "),
            ("group = \"app\"", "4:9 there is no group \"app\" on this machine | "),
            (
                "owner = \"1000\"",
                "4:9 there is no user \"1000\" on this machine | write a number without quotes: 1000",
            ),
            ("owner = \"\"", "4:9 there is no user \"\" on this machine | "),
            ("owner = -1", "4:9 owner = -1 is out of range | write a number from 0 to 4294967294"),
            ("owner = 4294967296", "4:9 owner = 4294967296 is out of range | "),
            ("group = 4294967295", "4:9 group = 4294967295 is no group | "),
            (
                "owner = true",
                "4:9 owner holds a value of type boolean | write the name or the number of a user",
            ),
            ("owner = [1000]", "4:9 owner holds a value of type array | "),
        ] {
            let found = wrong(bad);
            assert!(found.len() == 1 && found[0].starts_with(told), "{bad}: {found:?}");
        }
    }

    /// Returns the mistakes in the example with a unix listener and this condition.
    fn wrong_client(condition: &str) -> Vec<String> {
        let unix = EXAMPLE.replace("network = [\"127.0.0.0/8\", \"::1/128\"]", condition);
        mistakes(&unix.replacen("127.0.0.1:8080", "unix:/run/s3.sock", 1))
    }

    #[test]
    fn matchers_name_users_and_groups() {
        for good in ["uid = 0", "uid = [0, \"app\", 65533]", "gid = [\"storage\", 5]", "uid = 7, gid = 7"] {
            assert_eq!(wrong_client(good), [""; 0], "{good}");
        }
        let many = format!("uid = {:?}", (0..=1000).collect::<Vec<u32>>());
        for (bad, told) in [
            ("uid = []", "uid has 0 entries; 1 to 1000 are allowed | write the name"),
            (&*many, "uid has 1001 entries; 1 to 1000 are allowed"),
            ("uid = [1000, \"app\"]", "the user 1000 is listed twice in uid | remove one"),
            (
                "uid = 65534",
                "the user 65534 proves nothing: every user of a foreign user namespace appears as it",
            ),
            ("uid = [\"nobody\"]", "the user 65534 proves nothing"),
            ("gid = 65534", "the group 65534 proves nothing"),
            ("uid = [4294967295]", "uid = 4294967295 is no user"),
            ("gid = [\"app\"]", "there is no group \"app\" on this machine"),
            ("uid = [[1]]", "uid holds a value of type array"),
            ("uid = 1.5", "uid holds a value of type float"),
        ] {
            let found = wrong_client(bad);
            assert!(found.len() == 1 && found[0].contains(told), "{bad}: {found:?}");
        }
        assert_eq!(wrong_client("uid = [65534, \"x\", -1]").len(), 3, "every mistake is noted");
    }

    #[test]
    fn names_of_another_machine_get_ids_that_differ() {
        let id = |name| WithoutSecrets.user(name).unwrap();
        assert_eq!((id("root"), id("no-such-user-1")), (0, id("no-such-user-1")));
        assert_ne!(id("no-such-user-1"), id("no-such-user-2"));
        assert!(id("no-such-user-1") > 65_534 && id("no-such-user-1") < u32::MAX);
        let told = SystemEnvironment.user("no-such-user-1").unwrap_err();
        assert_eq!(told.message, "there is no user \"no-such-user-1\" on this machine");
        assert_eq!(SystemEnvironment.group("root"), Ok(0));
        assert!(SystemEnvironment.group("no\0group").is_err(), "no name contains this");
    }
}

//! Users and groups of this machine.

use super::reader::quoted;

/// A kind of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    User,
    Group,
}

impl Account {
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// Returns the help for a value of the wrong type.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::User => "write the name or the number of a user: \"app\" or 1000",
            Self::Group => "write the name or the number of a group: \"app\" or 1000",
        }
    }
}

/// Returns the message about a name that no account has.
pub(super) fn unknown(account: Account, name: &str) -> String {
    format!("there is no {} {} on this machine", account.noun(), quoted(name))
}

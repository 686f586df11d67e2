//! The credentials of HTTP Basic (RFC 7617): a user and a password.

use crate::authenticate::failure::{Cause, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Maximum length of a user's name, in bytes.
pub(crate) const MAX_USER: usize = 256;
/// Maximum length of a password, in bytes.
pub(crate) const MAX_PASSWORD: usize = 1024;
/// Maximum length of both with the colon, in base64.
const MAX_TEXT: usize = (MAX_USER + 1 + MAX_PASSWORD).div_ceil(3) * 4;

/// A user and a password that a client sent. They are unverified, and erased from memory when dropped.
pub(crate) struct BasicCredentials {
    text: Zeroizing<String>,
    /// The index of the colon between both.
    colon: usize,
}

impl BasicCredentials {
    /// Parses what follows the name of the scheme.
    ///
    /// # Errors
    /// When it is not the base64 of a user, a colon and a password, or either is empty, too long or has control
    /// characters.
    pub(crate) fn parse(base64: &str) -> Result<Self, Failure> {
        if base64.len() > MAX_TEXT {
            return Err(malformed(format!("longer than {MAX_TEXT} bytes")));
        }
        let mut bytes = Zeroizing::new(vec![0; MAX_TEXT / 4 * 3]);
        let length = STANDARD.decode_slice(base64, &mut bytes).map_err(|_| malformed("not base64"))?;
        bytes.truncate(length);
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
            error.into_bytes().zeroize();
            malformed("not UTF-8")
        })?;
        let text = Zeroizing::new(text);
        let Some((user, password)) = text.split_once(':') else {
            return Err(malformed("no colon between user and password"));
        };
        match () {
            () if user.is_empty() => return Err(malformed("the name of the user is empty")),
            () if password.is_empty() => return Err(malformed("the password is empty")),
            () if user.len() > MAX_USER => {
                return Err(malformed(format!("the name of the user has more than {MAX_USER} bytes")));
            }
            () if password.len() > MAX_PASSWORD => {
                return Err(malformed(format!("the password has more than {MAX_PASSWORD} bytes")));
            }
            () if text.contains(char::is_control) => return Err(malformed("a control character")),
            () => {}
        }
        let colon = user.len();
        Ok(Self { text, colon })
    }

    /// Returns the name of the user.
    pub(crate) fn user(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// Returns the password.
    pub(crate) fn password(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredentials(redacted)")
    }
}

fn malformed(why: impl fmt::Display) -> Failure {
    let expected = "expected the base64 of user:password";
    Failure::wrong(Cause::Malformed, format!("the Basic credentials are malformed: {why}; {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<(String, String), String> {
        let credentials =
            BasicCredentials::parse(&STANDARD.encode(text)).map_err(|failure| failure.detail)?;
        Ok((credentials.user().to_owned(), credentials.password().to_owned()))
    }

    #[test]
    fn the_first_colon_ends_the_name() {
        let longest = format!("{}:{}", "u".repeat(MAX_USER), "p".repeat(MAX_PASSWORD));
        for (text, user, password) in [
            ("alice:secret", "alice", "secret"),
            ("alice:a:b:", "alice", "a:b:"),
            ("jürgen:pässwörd€", "jürgen", "pässwörd€"),
            ("a b: c ", "a b", " c "),
            (&*longest, &longest[..MAX_USER], &longest[MAX_USER + 1..]),
        ] {
            assert_eq!(parsed(text).unwrap(), (user.to_owned(), password.to_owned()));
        }
    }

    #[test]
    fn refuses_what_is_not_a_user_and_a_password() {
        let long_user = format!("{}:p", "u".repeat(MAX_USER + 1));
        let long_password = format!("u:{}", "p".repeat(MAX_PASSWORD + 1));
        for (text, why) in [
            ("alice", "no colon"),
            (":secret", "name of the user is empty"),
            ("alice:", "password is empty"),
            ("al\u{0}ice:secret", "control character"),
            ("alice:sec\nret", "control character"),
            ("alice:sec\u{7f}ret", "control character"),
            ("alice:sec\u{85}ret", "control character"),
            (&*long_user, "more than 256 bytes"),
            (&*long_password, "more than 1024 bytes"),
        ] {
            let detail = parsed(text).unwrap_err();
            assert!(detail.contains(why) && !detail.contains("sec"), "{detail}");
        }
        for (base64, why) in [
            ("", "no colon"),
            ("YWxpY2U6c2VjcmV0IA", "not base64"),
            ("YWxpY2U6c2VjcmV0\n", "not base64"),
            ("YWxp Y2U6c2VjcmV0", "not base64"),
            ("_-8=", "not base64"),
            // The bits after the last byte are not zero: two texts would be the same credentials.
            ("YTpiYh==", "not base64"),
            ("/////w==", "not UTF-8"),
            (&*"YWFh".repeat(MAX_TEXT / 4 + 1), "longer than"),
        ] {
            let failure = BasicCredentials::parse(base64).unwrap_err();
            assert!(failure.cause == Cause::Malformed && failure.detail.contains(why), "{}", failure.detail);
        }
    }

    #[test]
    fn debug_redacts() {
        let credentials = BasicCredentials::parse(&STANDARD.encode("alice:secret")).unwrap();
        assert_eq!(format!("{credentials:?}"), "BasicCredentials(redacted)");
    }

    proptest! {
        #[test]
        fn every_text_has_one_meaning(text in "\\PC{0,40}(:\\PC{0,40}){0,2}") {
            match (parsed(&text), text.split_once(':')) {
                (Ok((user, password)), Some(halves)) => {
                    prop_assert_eq!((&*user, &*password), halves);
                }
                (Err(_), halves) => {
                    let is_good = |(user, password): (&str, &str)| !user.is_empty() && !password.is_empty();
                    prop_assert!(!halves.is_some_and(is_good), "{text:?} is good");
                }
                (Ok(_), None) => prop_assert!(false, "{text:?} has no colon"),
            }
        }
    }
}

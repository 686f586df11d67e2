//! Keys of a MinIO user or a session.

/// An access key with its secret and, for a session, its token.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: Option<String>,
}

impl Keys {
    /// Creates long-lived keys with this name and a random secret.
    pub(crate) fn random(access_key: &str) -> Self {
        Self { access_key: access_key.to_owned(), secret_key: random_word(), token: None }
    }
}

/// Returns 32 letters and digits.
fn random_word() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(32).collect()
}

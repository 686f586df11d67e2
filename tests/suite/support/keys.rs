//! The keys of a MinIO user or of a session.

/// An access key with its secret and, of a session, its token.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: Option<String>,
}

impl Keys {
    /// Long-lived keys of this name, with a random secret.
    pub(crate) fn random(access_key: &str) -> Self {
        Self { access_key: access_key.to_owned(), secret_key: random_word(), token: None }
    }
}

/// 32 letters and digits.
fn random_word() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(32).collect()
}

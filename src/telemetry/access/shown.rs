//! The form in which the access log shows the identities of clients: by name or as a hash.

use crate::config::IdentityForm;
use crate::identify::client::Connection;
use crate::identify::identity::Identity;
use hmac::{Hmac, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

/// The key of hashes. It is new for each process and never leaves it, so nobody can try names.
static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
    let mut key = [0; 32];
    let filled = getrandom(&mut key, GetRandomFlags::empty());
    filled.is_ok_and(|filled| filled == key.len()).then_some(key)
});

/// The bytes of a hash that are shown.
const HASH: usize = 8;

/// Returns the identity of a request's client as the log shows it: what its credentials prove, else its certificate, else
/// the user of a unix socket.
pub(super) fn identity<'i>(
    form: IdentityForm,
    proved: Option<&'i Identity>,
    connection: &'i Connection,
) -> Option<Cow<'i, str>> {
    let of_user = || connection.user().map(|user| Cow::from(format!("uid:{}", user.uid)));
    let of_peer = || connection.certificate().map(|certificate| certificate.name()).or_else(of_user);
    match form {
        IdentityForm::Off => None,
        IdentityForm::Name => proved.map(|identity| Cow::from(identity.name())).or_else(of_peer),
        IdentityForm::Hash => {
            let whole = proved.map(|identity| Cow::from(identity.describe())).or_else(of_peer)?;
            Some(hash(KEY.as_ref()?, &whole)?.into())
        }
    }
}

fn hash(key: &[u8], text: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    let mut shown = String::new();
    for byte in mac.finalize().into_bytes().iter().take(HASH) {
        let _ = write!(shown, "{byte:02x}");
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::certificate::tests::certificate;
    use crate::identify::client::PeerUser;
    use crate::identify::client::tests::{connection, listener, with_certificate};

    #[test]
    fn identities_are_shown_by_name_as_a_hash_or_not_at_all() {
        let tcp = connection(Some("10.0.0.1"), listener("main"));
        let unix = Connection::unix(Some(PeerUser { uid: 1000, gid: 5 }), listener("main"));
        let (alice, token) = (Identity::User("alice".into()), Identity::Token("alice".into()));
        let shown = |form, identity, connection| identity_of(form, identity, connection);
        assert_eq!(shown(IdentityForm::Name, Some(&alice), &tcp).as_deref(), Some("alice"));
        assert_eq!(shown(IdentityForm::Name, Some(&alice), &unix).as_deref(), Some("alice"));
        assert_eq!(shown(IdentityForm::Name, None, &unix).as_deref(), Some("uid:1000"));
        assert_eq!(shown(IdentityForm::Name, None, &tcp), None);
        assert_eq!(shown(IdentityForm::Off, Some(&alice), &unix), None);
        let hashed = shown(IdentityForm::Hash, Some(&alice), &tcp).unwrap();
        assert!(hashed.len() == 16 && hashed.bytes().all(|b| b.is_ascii_hexdigit()), "{hashed}");
        assert_eq!(shown(IdentityForm::Hash, Some(&alice), &unix).unwrap(), hashed);
        assert_ne!(shown(IdentityForm::Hash, Some(&token), &tcp).unwrap(), hashed);
        assert_ne!(shown(IdentityForm::Hash, None, &unix).unwrap(), hashed);
        let named = |cn| with_certificate(unix.clone(), Some(certificate(&[], &[], Some(cn))));
        let bears = named("alice");
        assert_eq!(shown(IdentityForm::Name, None, &bears).as_deref(), Some("cn:alice"));
        assert_eq!(shown(IdentityForm::Name, Some(&alice), &bears).as_deref(), Some("alice"));
        assert_eq!(shown(IdentityForm::Off, None, &bears), None);
        let of_certificate = shown(IdentityForm::Hash, None, &bears).unwrap();
        assert!(!of_certificate.contains("alice") && of_certificate != hashed, "{of_certificate}");
        assert_ne!(shown(IdentityForm::Hash, None, &named("bob")).unwrap(), of_certificate);
        assert_ne!(hash(&[0; 32], "alice"), hash(&[1; 32], "alice"), "the key of the process counts");
    }

    fn identity_of(form: IdentityForm, proved: Option<&Identity>, from: &Connection) -> Option<String> {
        identity(form, proved, from).map(Cow::into_owned)
    }
}

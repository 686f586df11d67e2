//! The authenticator of a configuration, which identifies the client of each request.

use super::counts::AuthenticationCounts;
use super::failure::{Cause, Failure, challenges};
use super::followed::Followed;
use super::keys::{Keys, VerifiedKey, unknown_key};
use super::verifiers::{Recalled, Verifiers};
use crate::identify::client::{
    Client, ClientCertificates, ClientKey, ListenerId, ListenerName, ListenerRegistry,
};
use crate::identify::credentials::{Presented, presented};
use crate::identify::identity::{Identity, Scheme, Schemes};
use crate::identify::matcher::Matcher;
use crate::net::wall_clock::WallClock;
use crate::refusal::{Refusal, Rule};
use crate::s3::form::is_form_upload;
use crate::s3::signed_body::SignedBody;
use http1::Request;
use std::sync::Arc;

/// The proofs that listeners use, and the credentials that verify.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    /// The proofs that each listener's mappings use, by the listener's id.
    by_listener: Vec<Proofs>,
    /// The matchers that need credentials or a certificate.
    matchers: Vec<Matcher>,
    /// The local access keys.
    keys: Arc<Keys>,
    /// `None` where nothing is verified, as in `explain`.
    verifiers: Option<Verifiers>,
}

/// The proofs of identity that the mappings at a listener use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proofs {
    /// The schemes of credentials.
    pub(crate) schemes: Schemes,
    /// Whether there are mappings for client certificates.
    pub(crate) certificates: bool,
}

impl Proofs {
    /// Returns whether every mapping knows its clients by their connection alone.
    pub(crate) const fn are_none(self) -> bool {
        self.schemes.is_empty() && !self.certificates
    }
}

/// The client of a request, and how its signature covers the body.
pub(crate) struct Identified<'c> {
    pub(crate) client: Client<'c>,
    /// The body must still be verified against it.
    pub(crate) body: SignedBody,
    /// Whether the request is signed with an unknown key, which counts as no credentials.
    pub(crate) is_key_unknown: bool,
}

impl<'c> Identified<'c> {
    fn without_credentials(client: Client<'c>) -> Self {
        Self { client, body: SignedBody::Open, is_key_unknown: false }
    }

    fn with_key(client: Client<'c>, verified: Option<VerifiedKey>) -> Self {
        match verified {
            Some(VerifiedKey { identity, body }) => {
                Self { client: client.identified(identity), body, is_key_unknown: false }
            }
            None => Self { is_key_unknown: true, ..Self::without_credentials(client) },
        }
    }
}

impl Authenticator {
    /// Makes the authenticator of mappings with these matchers. `asks` says whether a listener asks for certificates.
    pub(crate) fn new<'m>(
        matchers: impl Iterator<Item = &'m Matcher>,
        listeners: &ListenerRegistry,
        asks: impl Fn(&ListenerName) -> ClientCertificates,
    ) -> Self {
        let matchers: Vec<Matcher> = matchers.filter(|matcher| matcher.needs_proof()).cloned().collect();
        let at = |name| {
            let here = || matchers.iter().filter(|matcher| matcher.is_for(name));
            Proofs {
                schemes: here().fold(Schemes::default(), |all, matcher| all.union(matcher.schemes())),
                certificates: asks(name) != ClientCertificates::Never
                    && here().any(|matcher| matcher.on_certificate().is_some()),
            }
        };
        Self {
            by_listener: listeners.names().iter().map(at).collect(),
            matchers,
            verifiers: None,
            keys: Arc::default(),
        }
    }

    /// Adds what verifies credentials.
    pub(crate) fn verifying(self, verifiers: Verifiers) -> Self {
        Self { verifiers: Some(verifiers), ..self }
    }

    /// Adds the local access keys.
    pub(crate) fn with_keys(self, keys: Arc<Keys>) -> Self {
        Self { keys, ..self }
    }

    /// Returns what verifies credentials.
    pub(crate) fn verifiers(&self) -> Option<&Verifiers> {
        self.verifiers.as_ref()
    }

    /// Ends the proofs of all credentials that `next` does not accept. Called when `next` takes effect.
    pub(crate) fn give_way_to(&self, next: &Self) {
        if let (Some(verifiers), Some(next)) = (&self.verifiers, &next.verifiers) {
            verifiers.give_way_to(next);
        }
    }

    /// Returns the files that declare credentials.
    pub(crate) fn files(&self) -> Vec<Followed<'_>> {
        let declared = self.verifiers.iter().flat_map(Verifiers::files);
        declared.chain(self.keys.files()).collect()
    }

    /// Returns the proofs of identity that mappings at a listener use.
    pub(crate) fn proofs(&self, listener: ListenerId) -> Proofs {
        self.by_listener.get(listener.index()).copied().unwrap_or_default()
    }

    /// Returns the schemes that mappings at a listener use.
    pub(crate) fn schemes(&self, listener: ListenerId) -> Schemes {
        self.proofs(listener).schemes
    }

    /// Identifies the client of a request, which its connection describes, by its credentials.
    ///
    /// # Errors
    /// When the request carries credentials that do not verify, or more than one. They never count as absent: a
    /// client must not get the rights of another mapping because its password is wrong.
    pub(crate) async fn identify<'c>(
        &self,
        client: &Client<'c>,
        request: &Request,
        clock: WallClock,
        counts: &AuthenticationCounts,
    ) -> Result<Identified<'c>, Refusal> {
        let schemes = self.schemes(client.connection().listener().id());
        if schemes.is_empty() {
            return Ok(Identified::without_credentials(client.clone()));
        }
        let presented = presented(request, schemes)?;
        let Some(scheme) = presented.scheme() else {
            return Ok(Identified::without_credentials(client.clone()));
        };
        if let Presented::Signature(signature) = presented {
            let verified = self.keys.verify(request, signature, client.connection(), clock.now());
            let failed = match &verified {
                Ok(Some(_)) => None,
                Ok(None) => Some(Cause::UnknownKey),
                Err(failure) => Some(failure.cause),
            };
            counts.count(scheme, failed);
            let refuse = |failure| self.spend(failure, client.key(), clock).into_refusal(Vec::new());
            return verified.map(|verified| Identified::with_key(client.clone(), verified)).map_err(refuse);
        }
        let verified = self.verify(presented, client.key(), clock).await;
        counts.count(scheme, verified.as_ref().err().map(|failure| failure.cause));
        match verified {
            Ok(identity) => Ok(Identified::without_credentials(client.clone().identified(identity))),
            Err(failure) => Err(failure.into_refusal(challenges(schemes, Some(scheme)))),
        }
    }

    async fn verify(
        &self,
        presented: Presented<'_>,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        let Some(verifiers) = &self.verifiers else {
            return Err(Failure::unavailable(Cause::Busy, "there is nothing to verify credentials with"));
        };
        match verifiers.recall(presented, client, clock) {
            Recalled::Decided(verified) => verified,
            // Boxed, since few requests come here, and each request's future has room for it otherwise.
            Recalled::Unknown(unverified) => Box::pin(verifiers.verify(unverified, client, clock)).await,
        }
    }

    /// Counts a signature that the key did not make. Beyond the limit the client learns that instead.
    fn spend(&self, failure: Failure, client: ClientKey, clock: WallClock) -> Failure {
        match &self.verifiers {
            Some(verifiers) if matches!(failure.rule, Rule::WrongSignature | Rule::UnknownKey) => {
                verifiers.spend(failure, client, clock)
            }
            _ => failure,
        }
    }

    /// Returns the refusal of a request whose client is identified, and that no mapping admits.
    pub(crate) fn refuse_identified(&self, identified: &Identified<'_>, request: &Request) -> Refusal {
        if identified.is_key_unknown {
            return unknown_key().into_refusal(Vec::new());
        }
        self.refuse(&identified.client, is_form_upload(&request.method, request.fields()))
    }

    /// Returns the refusal of a client that no mapping admits. `is_form` says that it uploads with a form.
    pub(crate) fn refuse(&self, client: &Client<'_>, is_form: bool) -> Refusal {
        let schemes = self.helpful(client);
        // The signature in the form cannot help.
        if is_form && schemes.has(Scheme::SigV4) && client.identity().is_none() {
            let message = "uploads by an HTML form (a presigned POST) are not offered: presign a PUT, or sign the request";
            return Refusal::new(Rule::NotOffered, message);
        }
        let challenges = challenges(schemes, None);
        if !challenges.is_empty() && client.identity().is_none() {
            let message = "this client must prove who it is: send credentials";
            return Refusal::new(Rule::CredentialsRequired, message).challenging(challenges);
        }
        if self.lacks_certificate(client) {
            let message = "this client must prove who it is: connect with a client certificate";
            return Refusal::new(Rule::CertificateRequired, message);
        }
        Refusal::new(Rule::NoMapping, "this client matches no mapping")
    }

    /// Returns whether a client without a certificate could match a mapping with one.
    fn lacks_certificate(&self, client: &Client<'_>) -> bool {
        let connection = client.connection();
        let could_help =
            |matcher: &Matcher| matcher.on_certificate().is_some() && matcher.could_admit(client);
        connection.certificate().is_none()
            && self.proofs(connection.listener().id()).certificates
            && self.matchers.iter().any(could_help)
    }

    /// Returns the schemes by which a client could match a mapping that its connection alone does not match.
    pub(crate) fn helpful(&self, client: &Client<'_>) -> Schemes {
        let all = self.schemes(client.connection().listener().id());
        let mut found = Schemes::default();
        for matcher in &self.matchers {
            // Usually the first matcher decides. There may be 10,000.
            if found == all {
                break;
            }
            if matcher.admits_connection(client) {
                found = found.union(matcher.schemes());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::certificate::tests::certificate as certificate_of;
    use crate::identify::client::ListenerRef;
    use crate::identify::client::tests::{connection, with_certificate};
    use crate::identify::identity::Names;
    use crate::identify::matcher::{CertificateCondition, Condition};

    fn matcher(conditions: Vec<Condition>) -> Matcher {
        Matcher::new(conditions)
    }

    #[test]
    fn a_form_is_refused_with_advice_where_a_key_would_help() {
        let mut registry = ListenerRegistry::default();
        let [keys, tokens] = ["keys", "tokens"].map(|name| registry.register(&name.into()));
        let at = |condition, name: &str| matcher(vec![condition, Condition::Listener(name.into())]);
        let matchers = [at(Condition::Key(Names::Any), "keys"), at(Condition::Token(Names::Any), "tokens")];
        let authenticator = Authenticator::new(matchers.iter(), &registry, |_| ClientCertificates::Never);
        for (listener, is_form, rule) in [
            (&keys, true, Rule::NotOffered),
            (&keys, false, Rule::NoMapping),
            (&tokens, true, Rule::CredentialsRequired),
        ] {
            let connection = connection(Some("10.0.0.1"), listener.clone());
            let refusal = authenticator.refuse(&Client::of_connection(&connection), is_form);
            assert_eq!(refusal.rule, rule, "{}", listener.name());
            assert_eq!(refusal.message.contains("presign a PUT"), rule == Rule::NotOffered);
        }
    }

    #[test]
    fn schemes_help_only_where_the_conditions_on_the_connection_hold() {
        let mut registry = ListenerRegistry::default();
        let [here, there] = ["here", "there"].map(|name| registry.register(&name.into()));
        let network = || Condition::Network(vec!["10.0.0.0/8".parse().unwrap()]);
        let matchers = [
            matcher(vec![Condition::User(Names::Any), network(), Condition::Listener("here".into())]),
            matcher(vec![Condition::Token(Names::Any), Condition::Listener("here".into())]),
            matcher(vec![network()]),
        ];
        let authenticator = Authenticator::new(matchers.iter(), &registry, |_| ClientCertificates::Never);
        let schemes = |schemes: &[Scheme]| schemes.iter().copied().collect::<Schemes>();
        assert_eq!(authenticator.schemes(here.id()), schemes(&[Scheme::Basic, Scheme::Bearer]));
        assert_eq!(authenticator.schemes(there.id()), Schemes::default());
        for (address, listener, helpful, rule) in [
            ("10.0.0.1", &here, schemes(&[Scheme::Basic, Scheme::Bearer]), Rule::CredentialsRequired),
            ("11.0.0.1", &here, schemes(&[Scheme::Bearer]), Rule::CredentialsRequired),
            ("10.0.0.1", &there, Schemes::default(), Rule::NoMapping),
        ] {
            let connection = connection(Some(address), listener.clone());
            let client = Client::of_connection(&connection);
            assert_eq!(authenticator.helpful(&client), helpful, "{address}");
            assert_eq!(authenticator.refuse(&client, true).rule, rule, "no key helps: {address}");
            assert_eq!(authenticator.refuse(&client, false).rule, rule, "{address}");
            let known = Client::proved(&connection, Arc::new(Identity::User("a".into())));
            assert_eq!(
                authenticator.refuse(&known, true).rule,
                Rule::NoMapping,
                "{address}: other credentials help nobody"
            );
        }
    }

    #[test]
    fn a_certificate_is_asked_of_clients_whom_it_could_help() {
        let mut registry = ListenerRegistry::default();
        let [asks, plain] = ["asks", "plain"].map(|name| registry.register(&name.into()));
        let network = || Condition::Network(vec!["10.0.0.0/8".parse().unwrap()]);
        let certificate = || Condition::Certificate(CertificateCondition::default());
        let alice = || Condition::User(Names::Of(vec!["alice".into()]));
        let [only, both] = [vec![certificate(), network()], vec![certificate(), network(), alice()]];
        let (missing, none) = (Rule::CertificateRequired, Rule::NoMapping);
        let tls = |address: &str, listener: &ListenerRef| {
            with_certificate(connection(Some(address), listener.clone()), None)
        };
        let (inside, outside, elsewhere) =
            (tls("10.0.0.1", &asks), tls("11.0.0.1", &asks), tls("10.0.0.1", &plain));
        for (conditions, connection, user, rule) in [
            (&only, &inside, None, missing),
            (&only, &outside, None, none),
            (&only, &elsewhere, None, none),
            (&only, &inside, Some("alice"), missing),
            // Credentials do not help before the certificate is there.
            (&both, &inside, None, missing),
            (&both, &inside, Some("alice"), missing),
            (&both, &inside, Some("bob"), none),
        ] {
            let matchers = [matcher(conditions.clone())];
            let of = |name: &ListenerName| {
                if **name == *"asks" { ClientCertificates::Optional } else { ClientCertificates::Never }
            };
            let authenticator = Authenticator::new(matchers.iter(), &registry, of);
            let client = match user {
                Some(user) => Client::proved(connection, Arc::new(Identity::User(user.into()))),
                None => Client::of_connection(connection),
            };
            assert_eq!(authenticator.refuse(&client, false).rule, rule, "{conditions:?} {client:?}");
        }
        let matchers = [matcher(both)];
        let authenticator = Authenticator::new(matchers.iter(), &registry, |_| ClientCertificates::Optional);
        let bears = with_certificate(inside, Some(certificate_of(&[], &[], None)));
        let refused = authenticator.refuse(&Client::of_connection(&bears), false);
        assert_eq!(refused.rule, Rule::CredentialsRequired, "with the certificate, credentials help");
    }
}

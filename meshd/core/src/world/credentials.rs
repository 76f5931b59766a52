//! Secrets that gateways serve with. Only those that a Gateway or an Ingress names are held.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::v1::{Credential, Problem, Severity};

use super::Inner;
use super::objects::Objects;
use crate::model::{CredentialName, GatewayServer, Object};

/// End of the name of a Secret with the roots for clients of another one's server.
const ROOTS_SUFFIX: &str = "-cacert";

/// A Secret that a server can be made of, or not.
pub(crate) enum CredentialState {
    /// It can.
    Usable(Credential),
    /// A certificate is there, but nothing to check clients by.
    NoRoots(Credential, String),
    /// It cannot: why.
    Unusable(String),
}

/// Takes the Secrets that are named, and drops what was found in others: they are nothing to a
/// mesh.
pub(super) fn keep_named(inner: &mut Inner, objects: &Objects, problems: &mut Vec<Problem>) {
    let servers = objects.gateways.iter().flat_map(|gateway| &gateway.servers);
    let mut names: BTreeSet<String> = BTreeSet::new();
    for rule in &objects.destination_rules {
        for name in rule.credentials() {
            names.insert(format!("{name}{ROOTS_SUFFIX}"));
            names.insert(name.to_owned());
        }
    }
    for name in servers.flat_map(GatewayServer::credentials) {
        names.insert(format!("{}{ROOTS_SUFFIX}", name.name));
        names.insert(name.name.clone());
    }
    let is_secret = |problem: &Problem| {
        problem
            .origin
            .as_ref()
            .is_some_and(|origin| origin.kind == "Secret")
    };
    problems.retain(|problem| {
        !is_secret(problem)
            || problem
                .origin
                .as_ref()
                .is_some_and(|origin| names.contains(&origin.name))
    });
    for secret in &objects.secrets {
        if names.contains(secret.meta.name()) {
            let key = (
                secret.meta.namespace().to_owned(),
                secret.meta.name().to_owned(),
            );
            inner.secrets.insert(key, Arc::clone(secret));
        }
    }
    for problem in problems.iter().filter(|problem| is_secret(problem)) {
        if let (Some(origin), Severity::Error) = (&problem.origin, problem.severity()) {
            let key = (origin.namespace.clone(), origin.name.clone());
            inner
                .broken_secrets
                .entry(key)
                .or_insert_with(|| problem.message.clone());
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Whether an object can mean anything: a Secret only if a gateway names it.
    pub(super) fn counts(&self, object: &Object) -> bool {
        let Object::Secret(secret) = object else {
            return true;
        };
        let (namespace, name) = (secret.meta.namespace(), secret.meta.name());
        self.secrets
            .contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// What a client in this namespace has of a Secret: roots for a server, and a certificate of
    /// its own if there is one. None: there is no such Secret, or nothing of use in it.
    pub(crate) fn client_credential(&self, namespace: &str, name: &str) -> Option<Credential> {
        let find = |name: &str| self.secrets.get(&(namespace.to_owned(), name.to_owned()));
        let secret = find(name);
        let companion = find(&format!("{name}{ROOTS_SUFFIX}"));
        let roots = companion
            .filter(|companion| !companion.client_roots.is_empty())
            .or(secret)?;
        let certificate = secret.and_then(|secret| secret.certificate.as_ref());
        let credential = Credential {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            certificate_chain: certificate
                .map(|certificate| certificate.chain.clone())
                .unwrap_or_default(),
            private_key: certificate
                .map(|certificate| certificate.private_key.to_vec())
                .unwrap_or_default(),
            client_roots: roots.client_roots.clone(),
            client_crls: roots.client_crls.clone(),
        };
        let of_use = certificate.is_some() || !credential.client_roots.is_empty();
        of_use.then_some(credential)
    }

    /// What a gateway in this namespace serves with for a server that names a Secret (Istio: the
    /// Secret must be in the gateway's own namespace).
    pub(crate) fn credential(
        &self,
        namespace: &str,
        named: &CredentialName,
        checks_clients: bool,
    ) -> CredentialState {
        let name = named.name.as_str();
        let namespace = named.namespace(namespace);
        if let Some(other) = named
            .namespace
            .as_deref()
            .filter(|other| *other != namespace)
        {
            return CredentialState::Unusable(format!(
                "Secret {other}/{name} is not in the gateway's namespace {namespace}"
            ));
        }
        let find = |name: &str| self.secrets.get(&(namespace.to_owned(), name.to_owned()));
        let broken = |name: &str| {
            self.broken_secrets
                .get(&(namespace.to_owned(), name.to_owned()))
        };
        let Some(secret) = find(name) else {
            return CredentialState::Unusable(match broken(name) {
                Some(why) => format!("Secret {namespace}/{name} cannot be used: {why}"),
                None => format!("Secret {namespace}/{name} not found"),
            });
        };
        let Some(certificate) = &secret.certificate else {
            return CredentialState::Unusable(format!(
                "Secret {namespace}/{name} holds no certificate with its key (tls.crt and tls.key, or cert and key)"
            ));
        };
        // Istio: the companion comes first.
        let companion = format!("{name}{ROOTS_SUFFIX}");
        let roots = find(&companion)
            .filter(|companion| !companion.client_roots.is_empty())
            .unwrap_or(secret);
        let credential = Credential {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            certificate_chain: certificate.chain.clone(),
            private_key: certificate.private_key.to_vec(),
            client_roots: roots.client_roots.clone(),
            client_crls: roots.client_crls.clone(),
        };
        if checks_clients && credential.client_roots.is_empty() {
            let why = match broken(&companion) {
                Some(why) => format!("Secret {namespace}/{companion} cannot be used: {why}"),
                None => format!(
                    "no roots for client certificates: Secret {namespace}/{name} has no ca.crt (or cacert), and there is no Secret {namespace}/{companion}"
                ),
            };
            return CredentialState::NoRoots(credential, why);
        }
        CredentialState::Usable(credential)
    }
}

// === impl CredentialState ===

impl CredentialState {
    /// What is to be sent to the gateway, and why the server cannot serve.
    pub(crate) fn into_parts(self) -> (Option<Credential>, Option<String>) {
        match self {
            Self::Usable(credential) => (Some(credential), None),
            Self::NoRoots(credential, why) => (Some(credential), Some(why)),
            Self::Unusable(why) => (None, Some(why)),
        }
    }
}

//! What the Secrets of the authority hold, and what is to be done about it. Pure.

mod rotation;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use mesh_ca::rotation::RotationRecord;
use mesh_ca::{
    AuthorityError, AuthorityMaterial, AuthorityOptions, InvalidTokenKey, JoinTokens, JwtPublicKey,
    KeyError, Layout,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::pem;
use crate::clock::unix_seconds;

pub(super) use rotation::{RotationWriteError, steps, with_generation, with_record};

/// Our own Secret: the authority in our own layout, the token key, and the roots of before.
pub(super) const OWN: &str = "mesh-ca";
/// Istio's plugged-in authority; it goes before ours if it is there.
pub(super) const CACERTS: &str = "cacerts";

const TOKEN_KEY: &str = "token.key";
// What signed when the Secret was written last.
const ACTIVE_ROOTS: &str = "active-roots.pem";
// Each is followed by the time (seconds since the Unix epoch) and `.pem`.
const RETIRED_ROOTS: &str = "retired-roots-";

/// The two Secrets as they were read; `None` if there is none.
#[derive(Default, Clone)]
pub(super) struct Found {
    pub(super) own: Option<Secret>,
    pub(super) cacerts: Option<Secret>,
}

/// What a replica serves by.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) material: AuthorityMaterial,
    pub(super) token_key: TokenKey,
    /// Roots to trust besides those of the material: of leaves that may still be in use.
    pub(super) more_roots: Vec<Vec<u8>>,
    /// Keys of tokens to be known besides that of the material.
    pub(super) more_jwt_keys: Vec<JwtPublicKey>,
    /// Tells proxies to renew their certificates at once when it changes.
    pub(super) renewal: String,
    /// How far a rotation of the root is.
    pub(super) record: RotationRecord,
    /// Whether the keys are those of the Secret `cacerts`.
    pub(super) plugged_in: bool,
}

/// Never printed.
pub(super) struct TokenKey(pub(super) Vec<u8>);

/// What is to be done next.
pub(super) enum Plan {
    /// Nothing: serve by this.
    Use(Box<Loaded>),
    /// Our Secret is not there: create it, then look again.
    Create(Box<Secret>),
    /// Something in our Secret is to be changed: replace this version of it, then look again.
    Replace(Box<Secret>, &'static str),
}

/// Why nothing can be served by the Secrets.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritySecretError {
    /// A part is missing, damaged, expired, or does not belong to the others.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The token key has another length.
    #[error("token.key of Secret {place}: {source}")]
    TokenKey {
        /// The Secret.
        place: String,
        /// What is wrong.
        source: InvalidTokenKey,
    },
    /// The record of the rotation cannot be read.
    #[error("rotation.json of {place} cannot be read: {why}; restore it: it says which keys sign")]
    Record {
        /// The Secret.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// A key cannot be made or encoded.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Decides what to do about the Secrets of `namespace`.
///
/// `memory` is what our Secret held when it was read last: a deleted one is restored from it, so
/// that what was issued stays good.
pub(super) fn plan(
    namespace: &str,
    found: &Found,
    memory: Option<&Secret>,
    options: &AuthorityOptions,
    now: SystemTime,
) -> Result<Plan, AuthoritySecretError> {
    let plugged_in = plugged_in(namespace, found, options)?;
    let Some(own) = &found.own else {
        let secret = match memory {
            Some(memory) => restored(namespace, memory),
            None => first(namespace, plugged_in.is_none(), options, now)?,
        };
        return Ok(Plan::Create(Box::new(secret)));
    };
    let replaced = |changes, why| Ok(Plan::Replace(Box::new(changed(own, changes)), why));
    let held = data(own);
    let Some(token_key) = held.get(TOKEN_KEY) else {
        let key = JoinTokens::new_key()?.to_vec();
        return replaced(
            [(TOKEN_KEY.to_owned(), Some(key))].into(),
            "it has no token key",
        );
    };
    JoinTokens::from_key(token_key).map_err(|source| AuthoritySecretError::TokenKey {
        place: format!("{namespace}/{OWN}"),
        source,
    })?;
    let ours = has_authority(&held).then(|| {
        let place = place(namespace, OWN);
        AuthorityMaterial::from_data(Layout::Mesh, &held, &place, options)
    });
    let is_plugged_in = plugged_in.is_some();
    let (material, ours) = match (plugged_in, ours) {
        // While another one signs, ours only has to be trusted, as far as it can be read.
        (Some(plugged_in), ours) => (plugged_in, ours.and_then(Result::ok)),
        (None, Some(ours)) => {
            let ours = ours?;
            (ours.clone(), Some(ours))
        }
        (None, None) => {
            return replaced(
                authority_changes(&AuthorityMaterial::generate(options, now)?)?,
                "it has no authority",
            );
        }
    };
    if let Some(renewed) = renewed(&material, options, now) {
        let changes = authority_changes(&renewed)?;
        return replaced(changes, "its intermediate certificate is due");
    }
    let (retired, forgotten) = retired(&held, options.max_ttl, now);
    if !is_plugged_in && let Some(rotating) = rotation::rotating(namespace, &held, options)? {
        let loaded = rotating.loaded(material, token_key, &retired)?;
        return Ok(Plan::Use(Box::new(loaded)));
    }
    let active = union([
        material.roots_der(),
        ours.as_ref().map_or(&[], AuthorityMaterial::roots_der),
    ]);
    let before = held.get(ACTIVE_ROOTS).map(|text| certificates(text));
    if before.as_ref() != Some(&active) || !forgotten.is_empty() {
        let changes = bookkeeping(
            &active,
            before.unwrap_or_default(),
            &retired,
            forgotten,
            now,
        );
        return replaced(changes, "its roots have changed");
    }
    // What a rotation has signed before it was interrupted may be in use.
    let next = rotation::rotating(namespace, &held, options).ok().flatten();
    let next = next.map(|rotating| rotating.next.roots_der().to_vec());
    Ok(Plan::Use(Box::new(Loaded {
        more_roots: union([&active, &retired, &next.unwrap_or_default()]),
        record: rotation::record(namespace, &held)?,
        plugged_in: is_plugged_in,
        ..Loaded::new(material, token_key)
    })))
}

fn plugged_in(
    namespace: &str,
    found: &Found,
    options: &AuthorityOptions,
) -> Result<Option<AuthorityMaterial>, AuthorityError> {
    let read = |secret| {
        let place = place(namespace, CACERTS);
        AuthorityMaterial::from_data(Layout::Cacerts, &data(secret), &place, options)
    };
    found.cacerts.as_ref().map(read).transpose()
}

fn renewed(
    material: &AuthorityMaterial,
    options: &AuthorityOptions,
    now: SystemTime,
) -> Option<AuthorityMaterial> {
    material.renewed(options, now).unwrap_or_else(|error| {
        // It still has time; if not, that is said when it is used.
        tracing::warn!(%error, "the intermediate certificate of the authority cannot be renewed yet");
        None
    })
}

/// The changes to remember which roots sign, and which did until now.
fn bookkeeping(
    active: &[Vec<u8>],
    mut before: Vec<Vec<u8>>,
    retired: &[Vec<u8>],
    forgotten: Vec<String>,
    now: SystemTime,
) -> Changes {
    before.retain(|root| !active.contains(root) && !retired.contains(root));
    let mut changes: Changes = forgotten.into_iter().map(|name| (name, None)).collect();
    changes.insert(
        ACTIVE_ROOTS.to_owned(),
        Some(pem::certificates(active).into_bytes()),
    );
    if !before.is_empty() {
        changes.insert(
            format!("{RETIRED_ROOTS}{}.pem", unix_seconds(now)),
            Some(pem::certificates(&before).into_bytes()),
        );
    }
    changes
}

/// The roots that signed before, and the names of those that nothing can be in use of any more.
fn retired(
    held: &BTreeMap<String, Vec<u8>>,
    longest: Duration,
    now: SystemTime,
) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut retired, mut forgotten) = (Vec::new(), Vec::new());
    for (name, text) in held {
        let Some(time) = name.strip_prefix(RETIRED_ROOTS) else {
            continue;
        };
        let since = time.strip_suffix(".pem").and_then(|time| time.parse().ok());
        let over = since.is_some_and(|since: i64| {
            let age = unix_seconds(now).saturating_sub(since);
            u64::try_from(age).is_ok_and(|age| age > longest.as_secs())
        });
        match over {
            true => forgotten.push(name.clone()),
            false => retired.extend(certificates(text)),
        }
    }
    (retired, forgotten)
}

/// Values by name; `None` removes.
type Changes = BTreeMap<String, Option<Vec<u8>>>;

fn authority_changes(material: &AuthorityMaterial) -> Result<Changes, KeyError> {
    let data = material.to_data()?;
    Ok(data
        .into_iter()
        .map(|(name, value)| (name, Some(value.to_vec())))
        .collect())
}

/// The first version of our Secret.
fn first(
    namespace: &str,
    with_authority: bool,
    options: &AuthorityOptions,
    now: SystemTime,
) -> Result<Secret, AuthoritySecretError> {
    let mut changes = match with_authority {
        true => authority_changes(&AuthorityMaterial::generate(options, now)?)?,
        false => Changes::new(),
    };
    changes.insert(TOKEN_KEY.to_owned(), Some(JoinTokens::new_key()?.to_vec()));
    let empty = restored(namespace, &Secret::default());
    Ok(changed(&empty, changes))
}

/// The same data in a new object.
fn restored(namespace: &str, memory: &Secret) -> Secret {
    let labels = [("app.kubernetes.io/managed-by", "meshd")];
    Secret {
        metadata: ObjectMeta {
            name: Some(OWN.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(
                labels
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        data: memory.data.clone(),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// The same object, its version included, with other data.
fn changed(secret: &Secret, changes: Changes) -> Secret {
    let mut secret = secret.clone();
    // Else every change would carry the history of the fields along.
    secret.metadata.managed_fields = None;
    let data = secret.data.get_or_insert_default();
    for (name, value) in changes {
        match value {
            Some(value) => data.insert(name, ByteString(value)),
            None => data.remove(&name),
        };
    }
    secret
}

fn data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.map(|(name, value)| (name.clone(), value.0.clone()))
        .collect()
}

/// A part of it is enough: what misses then must be told, not be replaced.
fn has_authority(held: &BTreeMap<String, Vec<u8>>) -> bool {
    [
        "root.pem",
        "root.key",
        "intermediate.pem",
        "intermediate.key",
    ]
    .iter()
    .any(|name| held.contains_key(*name))
}

fn place(namespace: &str, name: &str) -> String {
    format!("Secret {namespace}/{name}")
}

fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .map(|der| der.to_vec())
        .collect()
}

fn union<const N: usize>(lists: [&[Vec<u8>]; N]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for der in lists.into_iter().flatten() {
        if !all.contains(der) {
            all.push(der.clone());
        }
    }
    all
}

// === impl Loaded ===

impl Loaded {
    /// This material alone.
    fn new(material: AuthorityMaterial, token_key: &[u8]) -> Self {
        Self {
            material,
            token_key: TokenKey(token_key.to_vec()),
            more_roots: Vec::new(),
            more_jwt_keys: Vec::new(),
            renewal: String::new(),
            record: RotationRecord::default(),
            plugged_in: false,
        }
    }
}

// === impl TokenKey ===

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(elided)")
    }
}

#[cfg(test)]
mod tests;

//! The rotation of the root in our Secret. Pure.
//!
//! `rotation.json` says how far it is. The keys that are to sign next stand beside those of now,
//! each name led by `generation-<number>.`; the write that ends the rotation puts them in their
//! place. One object holds everything, so that each step is one write.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use mesh_ca::rotation::{RotationRecord, RotationRefusal};
use mesh_ca::{AuthorityMaterial, AuthorityOptions, Charge, Fingerprint, Layout};

use super::{
    ACTIVE_ROOTS, AuthoritySecretError, Changes, Loaded, OWN, changed, data, pem, place, union,
};

const RECORD: &str = "rotation.json";
const GENERATION: &str = "generation-";
/// All that a generation may hold.
const PARTS: [&str; 5] = [
    "root.pem",
    "root.key",
    "intermediate.pem",
    "intermediate.key",
    "crl.pem",
];

/// What a rotation under way makes of the Secret.
pub(super) struct Rotating {
    pub(super) record: RotationRecord,
    /// What is to sign next.
    pub(super) next: AuthorityMaterial,
}

/// What is written down; nothing before the first rotation.
pub(super) fn record(
    namespace: &str,
    held: &BTreeMap<String, Vec<u8>>,
) -> Result<RotationRecord, AuthoritySecretError> {
    let Some(text) = held.get(RECORD) else {
        return Ok(RotationRecord::default());
    };
    serde_json::from_slice(text).map_err(|error| AuthoritySecretError::Record {
        place: place(namespace, OWN),
        why: error.to_string(),
    })
}

/// How many steps are written down.
pub(in crate::kubernetes::ca) fn steps(namespace: &str, own: &Secret) -> Option<u64> {
    record(namespace, &data(own))
        .ok()
        .map(|record| record.steps)
}

/// The rotation under way, if one is.
pub(super) fn rotating(
    namespace: &str,
    held: &BTreeMap<String, Vec<u8>>,
    options: &AuthorityOptions,
) -> Result<Option<Rotating>, AuthoritySecretError> {
    let record = record(namespace, held)?;
    let Some(rotation) = &record.rotation else {
        return Ok(None);
    };
    let next = generation(namespace, held, rotation.next, options)?;
    Ok(Some(Rotating { record, next }))
}

fn generation(
    namespace: &str,
    held: &BTreeMap<String, Vec<u8>>,
    number: u64,
    options: &AuthorityOptions,
) -> Result<AuthorityMaterial, AuthoritySecretError> {
    let lead = lead(number);
    let parts = held.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(&lead)?;
        Some((name.to_owned(), value.clone()))
    });
    let place = format!("{lead}* of {}", place(namespace, OWN));
    Ok(AuthorityMaterial::from_data(
        Layout::Mesh,
        &parts.collect(),
        &place,
        options,
    )?)
}

fn lead(number: u64) -> String {
    format!("{GENERATION}{number}.")
}

/// Names of all generations but this one.
fn others(held: &BTreeMap<String, Vec<u8>>, but: Option<u64>) -> Changes {
    let but = but.map(lead);
    held.keys()
        .filter(|name| name.starts_with(GENERATION))
        .filter(|name| {
            but.as_ref()
                .is_none_or(|but| !name.starts_with(but.as_str()))
        })
        .map(|name| (name.clone(), None))
        .collect()
}

/// The Secret with the keys of a generation that nothing refers to yet.
pub(in crate::kubernetes::ca) fn with_generation(
    namespace: &str,
    own: &Secret,
    number: u64,
    material: &AuthorityMaterial,
) -> Result<Secret, RotationWriteError> {
    let held = data(own);
    // Its keys are in use.
    if record(namespace, &held)?.rotation.is_some() {
        return Err(RotationRefusal::Overtaken.into());
    }
    let mut changes = others(&held, None);
    let parts = material.to_data().map_err(AuthoritySecretError::from)?;
    for (name, value) in parts {
        changes.insert(format!("{}{name}", lead(number)), Some(value.to_vec()));
    }
    Ok(changed(own, changes))
}

/// The Secret after a step; `None` if it was taken before.
pub(in crate::kubernetes::ca) fn with_record(
    namespace: &str,
    own: &Secret,
    (before, next): (&RotationRecord, &RotationRecord),
    options: &AuthorityOptions,
) -> Result<Option<Secret>, RotationWriteError> {
    let held = data(own);
    let written = record(namespace, &held)?;
    if written == *next {
        return Ok(None);
    }
    if written != *before {
        return Err(RotationRefusal::Overtaken.into());
    }
    if let Some(rotation) = &next.rotation {
        let made = generation(namespace, &held, rotation.next, options)?;
        let roots = made.roots_der().iter().map(|der| Fingerprint::of(der));
        // Two who begin at the same time make keys of the same number.
        if roots.collect::<BTreeSet<_>>() != rotation.new_roots {
            return Err(RotationRefusal::Overtaken.into());
        }
    }
    let kept = next.rotation.as_ref().map(|rotation| rotation.next);
    let mut changes = others(&held, kept);
    if next.current != written.current {
        let made = generation(namespace, &held, next.current, options)?;
        let lead = lead(next.current);
        for part in PARTS {
            let value = held.get(&format!("{lead}{part}")).cloned();
            changes.insert(part.to_owned(), value);
        }
        let roots = pem::certificates(made.roots_der()).into_bytes();
        changes.insert(ACTIVE_ROOTS.to_owned(), Some(roots));
    }
    let text = serde_json::to_vec_pretty(next).map_err(|error| AuthoritySecretError::Record {
        place: place(namespace, OWN),
        why: error.to_string(),
    })?;
    changes.insert(RECORD.to_owned(), Some(text));
    Ok(Some(changed(own, changes)))
}

/// Why a step is not written.
#[derive(Debug, thiserror::Error)]
pub(in crate::kubernetes::ca) enum RotationWriteError {
    /// It does not fit what is written down.
    #[error(transparent)]
    Refused(#[from] RotationRefusal),
    /// The Secret does not hold what it should.
    #[error(transparent)]
    Secret(#[from] AuthoritySecretError),
}

// === impl Rotating ===

impl Rotating {
    /// What a replica serves by, given what signs when nothing is under way, and roots of before.
    pub(super) fn loaded(
        self,
        current: AuthorityMaterial,
        token_key: &[u8],
        retired: &[Vec<u8>],
    ) -> Result<Loaded, AuthoritySecretError> {
        let duty = self.record.duty();
        let (signs, other) = match duty.signs == self.record.current {
            true => (current, self.next),
            false => (self.next, current),
        };
        let mut loaded = Loaded::new(signs, token_key);
        loaded.more_roots = retired.to_vec();
        if duty.trusted.len() > 1 {
            loaded.more_roots = union([other.roots_der(), retired]);
            loaded.more_jwt_keys.push(other.jwt_public_key()?);
        }
        loaded.renewal = duty.renewal;
        loaded.record = self.record;
        Ok(loaded)
    }
}

// === impl Loaded ===

impl Loaded {
    /// What the authority does by it.
    pub(in crate::kubernetes::ca) fn charge(&self) -> Charge {
        let mut charge = Charge::new(self.material.clone());
        charge.more_roots = union([&self.more_roots]);
        charge.more_jwt_keys.clone_from(&self.more_jwt_keys);
        charge
            .former_jwt_keys
            .clone_from(&self.record.signed_tokens);
        charge.renewal.clone_from(&self.renewal);
        charge
    }
}

//! What a rotation of the root does next. Pure: the phase that is written down and what holders of
//! leaves have acknowledged go in, the next phase or who holds it up comes out.
//!
//! ```text
//!              all trust the new            no leaf of the old        nobody trusts the old
//! Distributing ─────────────────► Signing ───────────────────► Retiring ──────────────────► done
//!      │ abort: nobody has a leaf     │ abort                       abort is refused:
//!      ▼ of the new yet               ▼                             only the new is in use
//!    undone ◄──────────────────── Unwinding
//!              no leaf of the new
//! ```
//!
//! At every moment each holder of a leaf trusts a root that vouches for every other's leaf:
//! whoever signs by a root does so only after all who live have said that they trust it, and a
//! root is trusted until all have said that they present nothing by it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::jwt::FormerJwtKey;
use crate::ledger::Holder;

/// What is written down of an authority's roots, so that a rotation survives its process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationRecord {
    /// The generation of keys that signs when nothing is under way.
    pub current: u64,
    /// The last generation that was ever made: no two rotations have the same.
    pub made: u64,
    /// Steps that were ever taken: of two records the one with more is the newer.
    #[serde(default)]
    pub steps: u64,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Keys that had signed tokens when the last step was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_tokens: Vec<FormerJwtKey>,
}

/// A rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Which one: no two have the same.
    pub id: String,
    /// How far it is.
    pub phase: Phase,
    /// The generation of keys that is to sign.
    pub next: u64,
    /// The roots of the current generation.
    pub old_roots: BTreeSet<Fingerprint>,
    /// Those of the next one.
    pub new_roots: BTreeSet<Fingerprint>,
    /// When it began, seconds since the Unix epoch.
    pub begun: i64,
    /// When it came to this phase.
    pub since: i64,
    /// How long the new root is published before it signs, in seconds: other trust domains fetch
    /// it, and say nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub notice: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_none(notice: &i64) -> bool {
    *notice == 0
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Both are trusted, the old one signs. Waits until all trust the new one.
    Distributing,
    /// Both are trusted, the new one signs. Waits until no leaf of the old one is left.
    Signing,
    /// Only the new one is trusted. Waits until nobody trusts the old one any more.
    Retiring,
    /// Both are trusted, the old one signs again. Waits until no leaf of the new one is left.
    Unwinding,
}

/// What an authority does by a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// The generation that signs.
    pub signs: u64,
    /// The generations that are trusted.
    pub trusted: Vec<u64>,
    /// What tells proxies to renew at once; empty if they need not.
    pub renewal: String,
}

/// Why a holder of a leaf holds a rotation up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// It has not said that it trusts the new root.
    NotTrusting,
    /// It presents, or may present, a leaf of the root that goes.
    OldLeaf,
    /// It has not said that it trusts the old root no more.
    StillTrusting,
    /// It may not have fetched the new root yet.
    Notice,
    /// It is no holder but signs, and has not said that it follows the last step.
    StillSigning,
}

/// Who holds a rotation up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// `<namespace>/<name>` of the workload, or as far as it is known.
    pub name: String,
    /// Its identity.
    pub identity: String,
    /// Whether it is connected now. If not, it can say nothing.
    pub connected: bool,
    /// Why.
    pub reason: Reason,
    /// When its leaf expires, after which it holds nothing up; seconds since the Unix epoch.
    pub not_after: i64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it waits for these.
    Wait(Vec<Blocker>),
    /// Go on: this is to be written down, then done.
    Go(RotationRecord),
    /// Nothing is under way.
    Rest,
}

/// Why a rotation does not begin or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationRefusal {
    /// One is under way.
    #[error("a rotation is under way: `ca status` shows how far it is")]
    UnderWay,
    /// None is under way.
    #[error("no rotation is under way")]
    NoneUnderWay,
    /// The keys are the operator's.
    #[error(
        "the keys of this mesh are in the Secret cacerts, which is yours and which the mesh never changes: to replace the root, put a new ca-cert.pem, ca-key.pem and cert-chain.pem there, and the old and the new root together into root-cert.pem; when every proxy has a new certificate, take the old root out"
    )]
    PluggedIn,
    /// Another process was faster.
    #[error("another replica has taken a step at the same time: `ca status` shows how far it is")]
    Overtaken,
    /// The old root is being retired.
    #[error(
        "the old root is being retired and nothing is signed by it any more: let this rotation end, then begin another"
    )]
    TooLate,
}

// === impl RotationRecord ===

impl RotationRecord {
    /// Begins a rotation to a generation that is already written down. `notice` is how long its
    /// root is published before it signs, in seconds.
    ///
    /// # Errors
    /// If one is under way.
    pub fn begin(
        &self,
        id: String,
        old_roots: BTreeSet<Fingerprint>,
        new_roots: BTreeSet<Fingerprint>,
        (now, notice): (i64, i64),
    ) -> Result<Self, RotationRefusal> {
        if self.rotation.is_some() {
            return Err(RotationRefusal::UnderWay);
        }
        Ok(Self {
            current: self.current,
            made: self.next_generation(),
            steps: self.steps + 1,
            rotation: Some(Rotation {
                id,
                phase: Phase::Distributing,
                next: self.next_generation(),
                old_roots,
                new_roots,
                begun: now,
                since: now,
                notice,
            }),
            signed_tokens: self.signed_tokens.clone(),
        })
    }

    /// The generation that the next rotation makes.
    pub fn next_generation(&self) -> u64 {
        self.made.max(self.current) + 1
    }

    /// Takes a rotation back.
    ///
    /// # Errors
    /// If none is under way, or the old root is being retired.
    pub fn abort(&self, now: i64) -> Result<Self, RotationRefusal> {
        let rotation = self
            .rotation
            .as_ref()
            .ok_or(RotationRefusal::NoneUnderWay)?;
        match rotation.phase {
            // Nothing is signed by the new one yet.
            Phase::Distributing => Ok(self.at_rest(self.current)),
            Phase::Signing => Ok(self.in_phase(rotation, Phase::Unwinding, now)),
            Phase::Unwinding => Ok(self.clone()),
            Phase::Retiring => Err(RotationRefusal::TooLate),
        }
    }

    /// What the authority does by this record.
    pub fn duty(&self) -> Duty {
        let Some(rotation) = &self.rotation else {
            return Duty {
                signs: self.current,
                trusted: vec![self.current],
                renewal: String::new(),
            };
        };
        let both = vec![self.current, rotation.next];
        let (signs, trusted, renewal) = match rotation.phase {
            Phase::Distributing => (self.current, both, String::new()),
            Phase::Signing => (rotation.next, both, format!("{}-new", rotation.id)),
            Phase::Retiring => (
                rotation.next,
                vec![rotation.next],
                format!("{}-new", rotation.id),
            ),
            Phase::Unwinding => (self.current, both, format!("{}-old", rotation.id)),
        };
        Duty {
            signs,
            trusted,
            renewal,
        }
    }

    /// What is to be done now, given everybody who may present a leaf.
    pub fn next(&self, holders: &[Holder], now: i64) -> Next {
        let Some(rotation) = &self.rotation else {
            return Next::Rest;
        };
        let blockers: Vec<Blocker> = holders
            .iter()
            .filter_map(|holder| rotation.blocker(holder))
            .chain(rotation.notice(now))
            .collect();
        if !blockers.is_empty() {
            return Next::Wait(blockers);
        }
        Next::Go(match rotation.phase {
            Phase::Distributing => self.in_phase(rotation, Phase::Signing, now),
            Phase::Signing => self.in_phase(rotation, Phase::Retiring, now),
            Phase::Retiring => self.at_rest(rotation.next),
            Phase::Unwinding => self.at_rest(self.current),
        })
    }

    fn at_rest(&self, current: u64) -> Self {
        Self {
            current,
            made: self.made,
            steps: self.steps + 1,
            rotation: None,
            signed_tokens: self.signed_tokens.clone(),
        }
    }

    fn in_phase(&self, rotation: &Rotation, phase: Phase, now: i64) -> Self {
        Self {
            current: self.current,
            made: self.made,
            steps: self.steps + 1,
            rotation: Some(Rotation {
                phase,
                since: now,
                ..rotation.clone()
            }),
            signed_tokens: self.signed_tokens.clone(),
        }
    }
}

// === impl Rotation ===

impl Rotation {
    /// The other trust domains, while the new root is too young to sign what they are to take.
    fn notice(&self, now: i64) -> Option<Blocker> {
        let over = self.since.saturating_add(self.notice);
        let young = self.phase == Phase::Distributing && now < over;
        young.then(|| Blocker {
            name: "other trust domains".to_owned(),
            identity: String::new(),
            connected: false,
            reason: Reason::Notice,
            not_after: over,
        })
    }

    /// Why this one holds the rotation up, if it does.
    fn blocker(&self, holder: &Holder) -> Option<Blocker> {
        let trusts = |roots: &BTreeSet<Fingerprint>| {
            holder
                .trusted
                .as_ref()
                .is_some_and(|trusted| roots.is_subset(trusted))
        };
        let vouched = |roots: &BTreeSet<Fingerprint>| {
            let mut leaves = holder.leaves.iter();
            leaves.all(|by| !by.is_disjoint(roots))
        };
        let forgot = |roots: &BTreeSet<Fingerprint>| {
            let gone: BTreeSet<_> = roots.difference(&self.new_roots).copied().collect();
            holder
                .trusted
                .as_ref()
                .is_some_and(|trusted| trusted.is_disjoint(&gone))
        };
        let (clear, reason) = match self.phase {
            Phase::Distributing => (trusts(&self.new_roots), Reason::NotTrusting),
            // Whoever came meanwhile must trust the new one, too.
            Phase::Signing if !trusts(&self.new_roots) => (false, Reason::NotTrusting),
            Phase::Signing => (vouched(&self.new_roots), Reason::OldLeaf),
            Phase::Retiring => (forgot(&self.old_roots), Reason::StillTrusting),
            Phase::Unwinding => (vouched(&self.old_roots), Reason::OldLeaf),
        };
        (!clear).then(|| Blocker {
            name: holder.name.clone(),
            identity: holder.identity.to_string(),
            connected: holder.connected,
            reason,
            not_after: holder.not_after,
        })
    }
}

// === impl Phase ===

impl Phase {
    /// The name, as it stands in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distributing => "distributing",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
            Self::Unwinding => "unwinding",
        }
    }

    /// What it waits for.
    pub fn waits_for(self) -> &'static str {
        match self {
            Self::Distributing => "every live proxy to trust the new root",
            Self::Signing => "every live proxy to present a certificate of the new root",
            Self::Retiring => "every live proxy to trust the old root no more",
            Self::Unwinding => "every live proxy to present a certificate of the old root again",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTrusting => "has not said that it trusts the new root",
            Self::OldLeaf => "may present a certificate of the root that goes",
            Self::StillTrusting => "has not said that it trusts the old root no more",
            Self::Notice => "may not have fetched the new root from the bundle endpoint yet",
            Self::StillSigning => "is cut off, and may sign by keys of an earlier step",
        }
    }
}

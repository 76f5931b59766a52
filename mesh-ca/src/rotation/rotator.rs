//! Does what the machine decides: writes it down first, then makes the authority follow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::machine::{Blocker, Next, Phase, RotationRecord, RotationRefusal};
use super::{RotationPeers, RotationStore, StoreError};
use crate::authority::{Authority, AuthorityError, Charge};
use crate::clock;
use crate::fingerprint::Fingerprint;
use crate::ledger::{Holder, Ledger};
use crate::storage::FileError;

/// So often it looks although nothing was heard: the wall clock may be set.
const LOOK: Duration = Duration::from_secs(30);
/// So often it looks what others say who serve with the same keys.
const CONFER: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(5);

/// Carries rotations out, one at a time.
#[derive(Debug)]
pub struct Rotator {
    authority: Arc<Authority>,
    ledger: Arc<Ledger>,
    store: Arc<dyn RotationStore>,
    // Held over every step, so that there is one at a time.
    record: Mutex<RotationRecord>,
    commands: watch::Sender<u64>,
    peers: Option<Arc<dyn RotationPeers>>,
    // What all of them said last.
    conferred: std::sync::Mutex<Vec<Blocker>>,
    // Seconds for which a new root is published before it signs.
    notice: AtomicI64,
}

/// Why a command is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// It does not fit what is under way.
    #[error(transparent)]
    Refused(#[from] RotationRefusal),
    /// It cannot be written down; nothing has changed.
    #[error("the rotation cannot be written down: {0}")]
    Store(StoreError),
    /// The authority cannot use what was made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The record cannot be written.
    #[error(transparent)]
    Ledger(#[from] FileError),
    /// There is nobody of that name.
    #[error("nobody of the name `{0}` holds a certificate: `ca status` names those who do")]
    Unknown(String),
}

/// How an authority stands; the form of `ca status -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// What it certifies.
    pub trust_domain: String,
    /// The root that vouches for what it signs now.
    pub signing_root: Fingerprint,
    /// All roots that it tells proxies to trust.
    pub trusted_roots: Vec<Fingerprint>,
    /// When what it signs with expires, seconds since the Unix epoch.
    pub not_after: i64,
    /// Proxies and others that may present a certificate now.
    pub holders: usize,
    /// Those of them that are connected.
    pub connected: usize,
    /// The rotation under way.
    pub rotation: Option<RotationProgress>,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationProgress {
    /// Which one.
    pub id: String,
    /// How far it is.
    pub phase: Phase,
    /// What it waits for.
    pub waits_for: String,
    /// The roots that go.
    pub old_roots: Vec<Fingerprint>,
    /// The roots that come.
    pub new_roots: Vec<Fingerprint>,
    /// When it began, seconds since the Unix epoch.
    pub begun: i64,
    /// When it came to this phase.
    pub since: i64,
    /// Who holds it up, at most 1000 of them.
    pub blockers: Vec<Blocker>,
    /// How many do.
    pub blocked_by: usize,
}

// === impl RotateError ===

impl RotateError {
    fn from_store(error: StoreError) -> Self {
        match error.downcast::<RotationRefusal>() {
            Ok(refusal) => Self::Refused(*refusal),
            Err(error) => Self::Store(error),
        }
    }
}

// === impl Rotator ===

impl Rotator {
    /// Goes on with what is written down.
    ///
    /// # Errors
    /// If that cannot be read.
    pub async fn open(
        authority: Arc<Authority>,
        ledger: Arc<Ledger>,
        store: Arc<dyn RotationStore>,
    ) -> Result<Self, StoreError> {
        let record = store.record().await?;
        Ok(Self::new(authority, ledger, store, record))
    }

    /// Goes on with what was read.
    pub fn new(
        authority: Arc<Authority>,
        ledger: Arc<Ledger>,
        store: Arc<dyn RotationStore>,
        record: RotationRecord,
    ) -> Self {
        Self {
            record: Mutex::new(record),
            authority,
            ledger,
            store,
            commands: watch::Sender::new(0),
            peers: None,
            conferred: std::sync::Mutex::default(),
            notice: AtomicI64::new(0),
        }
    }

    /// Publishes the root of every rotation that begins from now on for this long before it
    /// signs: for those who fetch it and say nothing.
    pub fn publish_ahead(&self, notice: Duration) {
        let seconds = i64::try_from(notice.as_secs()).unwrap_or(i64::MAX);
        self.notice.store(seconds, Ordering::Relaxed);
    }

    /// Shares the work with others who serve with the same keys.
    #[must_use]
    pub fn with_peers(mut self, peers: Arc<dyn RotationPeers>) -> Self {
        self.peers = Some(peers);
        self
    }

    /// Takes the steps that have become possible. Runs until dropped; a step that was begun is
    /// either written down or was none.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.ledger.changes();
        let mut commands = self.commands.subscribe();
        loop {
            let begun = clock::instant();
            let (moved, under_way) = match self.step().await {
                Ok(moved) => moved,
                Err(error) => {
                    tracing::error!(%error, "the rotation of the root cannot go on; trying again");
                    sleep(RETRY).await;
                    continue;
                }
            };
            if moved {
                continue;
            }
            // Thousands report at the same time, and each report is a reason to look.
            sleep(begun.elapsed().saturating_mul(4)).await;
            tokio::select! {
                // Without a rotation nobody waits for the fleet.
                changed = changes.changed(), if under_way => if changed.is_err() {
                    return;
                },
                changed = commands.changed() => if changed.is_err() {
                    return;
                },
                () = sleep(self.pause(under_way)) => {}
            }
        }
    }

    fn pause(&self, under_way: bool) -> Duration {
        let noticed = under_way && self.notice.load(Ordering::Relaxed) > 0;
        if self.peers.is_some() || noticed {
            return CONFER;
        }
        let now = clock::unix_seconds(clock::now());
        let left = self.ledger.next_expiry().map(|at| at.saturating_sub(now));
        let left = left.and_then(|left| u64::try_from(left.max(1)).ok());
        left.map_or(LOOK, |left| LOOK.min(Duration::from_secs(left)))
    }

    // Whether a step was taken, and whether a rotation is under way.
    async fn step(&self) -> Result<(bool, bool), RotateError> {
        let mut record = self.record.lock().await;
        let now = clock::now();
        let holders = self.ledger.holders(now);
        let next = record.next(&holders, clock::unix_seconds(now));
        let next = match &self.peers {
            Some(peers) => self.confer(&**peers, &record, &holders, next).await?,
            None => next,
        };
        match next {
            Next::Rest => Ok((false, false)),
            Next::Wait(_) => Ok((false, true)),
            Next::Go(next) => {
                self.make_step(&mut record, next, now).await?;
                Ok((true, record.rotation.is_some()))
            }
        }
    }

    // What is to be done, given what all know.
    async fn confer(
        &self,
        peers: &dyn RotationPeers,
        record: &RotationRecord,
        holders: &[Holder],
        next: Next,
    ) -> Result<Next, RotateError> {
        let own = match &next {
            Next::Wait(blockers) => blockers.as_slice(),
            Next::Go(_) | Next::Rest => &[],
        };
        let all = peers.confer(record, holders, own).await;
        let all = all.map_err(RotateError::from_store)?;
        self.said().clone_from(&all.blockers);
        Ok(match next {
            Next::Rest => Next::Rest,
            _ if !all.leads || !all.blockers.is_empty() => Next::Wait(all.blockers),
            // Of those that only this process waited for all the others know better.
            Next::Wait(_) => match record.next(&[], clock::unix_seconds(clock::now())) {
                Next::Go(next) => Next::Go(next),
                other => other,
            },
            go @ Next::Go(_) => go,
        })
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Vec<Blocker>> {
        // What is in there is whole after every statement.
        self.conferred
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Follows a step that another process has written down.
    ///
    /// # Errors
    /// If the authority cannot use what was made.
    pub async fn follow(
        &self,
        record: RotationRecord,
        charge: Charge,
    ) -> Result<(), AuthorityError> {
        let mut known = self.record.lock().await;
        // It was read before this process wrote.
        if record.steps < known.steps {
            return Ok(());
        }
        let moved = *known != record;
        {
            let _guard = self.ledger.changing_signer();
            self.authority.take_charge(charge, clock::now())?;
        }
        if moved {
            let step = record.rotation.as_ref();
            let step = step.map_or("none", |rotation| rotation.phase.as_str());
            tracing::info!(step, "followed a step of the rotation of the root");
            *known = record;
            drop(known);
            self.said().clear();
            self.wake();
        }
        Ok(())
    }

    /// Knows this record from now on, by which nothing is under way; the authority stays as it is.
    pub async fn rest(&self, record: RotationRecord) {
        let mut known = self.record.lock().await;
        if record.steps >= known.steps {
            *known = record;
            self.said().clear();
        }
    }

    /// Whether a rotation is under way, as far as this process knows.
    pub async fn is_under_way(&self) -> bool {
        self.record.lock().await.rotation.is_some()
    }

    /// How many steps were ever taken, as far as this process follows them.
    pub async fn steps(&self) -> u64 {
        self.record.lock().await.steps
    }

    async fn make_step(
        &self,
        record: &mut RotationRecord,
        next: RotationRecord,
        now: SystemTime,
    ) -> Result<(), RotateError> {
        let next = RotationRecord {
            signed_tokens: self.authority.signed_before(now),
            ..next
        };
        let charge = self
            .store
            .save(record, &next, self.authority.options())
            .await
            .map_err(RotateError::from_store)?;
        let id = next.rotation.as_ref().or(record.rotation.as_ref());
        let id = id.map(|rotation| rotation.id.clone()).unwrap_or_default();
        let step = match &next.rotation {
            Some(rotation) => rotation.phase.as_str(),
            None if next.current == record.current => "aborted",
            None => "done",
        };
        {
            let _guard = self.ledger.changing_signer();
            self.authority.take_charge(charge.clone(), now)?;
        }
        *record = next;
        self.said().clear();
        self.ledger.rotation(&id, step, now);
        tracing::info!(id, step, signing_root = %charge.material.anchor(), "the rotation of the root has taken a step");
        if let Err(error) = self.store.tidy(record, &charge).await {
            tracing::warn!(%error, "what the rotation left behind cannot be removed yet");
        }
        Ok(())
    }

    /// Begins a rotation to new keys, made here.
    ///
    /// # Errors
    /// A [`RotateError`]; nothing has changed then.
    pub async fn begin(&self) -> Result<RotationStatus, RotateError> {
        let mut record = self.record.lock().await;
        if record.rotation.is_some() {
            return Err(RotationRefusal::UnderWay.into());
        }
        let options = self.authority.options();
        let material = self
            .store
            .make(record.next_generation(), options)
            .await
            .map_err(RotateError::from_store)?;
        let now = clock::now();
        let prints = |ders: &[Vec<u8>]| -> BTreeSet<_> {
            ders.iter().map(|der| Fingerprint::of(der)).collect()
        };
        let next = record.begin(
            material.anchor().short(),
            prints(self.authority.material().roots_der()),
            prints(material.roots_der()),
            (
                clock::unix_seconds(now),
                self.notice.load(Ordering::Relaxed),
            ),
        )?;
        self.make_step(&mut record, next, now).await?;
        drop(record);
        self.wake();
        Ok(self.status().await)
    }

    /// Takes a rotation back.
    ///
    /// # Errors
    /// A [`RotateError`]; nothing has changed then.
    pub async fn abort(&self) -> Result<RotationStatus, RotateError> {
        let mut record = self.record.lock().await;
        let now = clock::now();
        let next = record.abort(clock::unix_seconds(now))?;
        if next != *record {
            self.make_step(&mut record, next, now).await?;
        }
        drop(record);
        self.wake();
        Ok(self.status().await)
    }

    /// Waits no longer for somebody who will not come back.
    ///
    /// # Errors
    /// If there is nobody of that name, or it cannot be written down.
    pub async fn forget(&self, name: &str) -> Result<RotationStatus, RotateError> {
        let mut known = self.ledger.forget(name)?;
        let rotation = self.record.lock().await.rotation.clone();
        if let (Some(peers), Some(rotation)) = (&self.peers, rotation) {
            let forgotten = peers.forget(&rotation.id, name).await;
            known |= forgotten.map_err(RotateError::from_store)?;
            self.wake();
        }
        if !known {
            return Err(RotateError::Unknown(name.to_owned()));
        }
        Ok(self.status().await)
    }

    /// How it stands.
    pub async fn status(&self) -> RotationStatus {
        let record = self.record.lock().await.clone();
        let now = clock::now();
        let holders = self.ledger.holders(now);
        let blockers = match record.next(&holders, clock::unix_seconds(now)) {
            _ if self.peers.is_some() => self.said().clone(),
            Next::Wait(blockers) => blockers,
            Next::Go(_) | Next::Rest => Vec::new(),
        };
        let material = self.authority.material();
        RotationStatus {
            trust_domain: self.authority.trust_domain().to_string(),
            signing_root: material.anchor(),
            trusted_roots: self
                .authority
                .roots_der()
                .iter()
                .map(|der| Fingerprint::of(der))
                .collect(),
            not_after: clock::unix_seconds(material.not_after()),
            connected: holders.iter().filter(|holder| holder.connected).count(),
            holders: holders.len(),
            rotation: record.rotation.map(|rotation| RotationProgress {
                waits_for: rotation.phase.waits_for().to_owned(),
                id: rotation.id,
                phase: rotation.phase,
                old_roots: rotation.old_roots.into_iter().collect(),
                new_roots: rotation.new_roots.into_iter().collect(),
                begun: rotation.begun,
                since: rotation.since,
                blocked_by: blockers.len(),
                blockers: blockers.into_iter().take(1000).collect(),
            }),
        }
    }

    fn wake(&self) {
        self.commands.send_modify(|number| *number += 1);
    }
}

//! What the authority has done: the append-only record, and who may hold which leaf.
//!
//! The record outlives the process; what leaves may be in use is read from it again. So the
//! rotation of roots knows of every leaf that the old root vouches for, whatever crashed.

mod audit;
mod fleet;
mod refusals;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use mesh_api::SpiffeId;
use tokio::sync::watch;

use crate::clock;
use crate::jwt::IssuedJwt;
use crate::storage::FileError;
use audit::Audit;
use refusals::Refusals;

pub use audit::{AuditEvent, Entry};
pub use fleet::{Fleet, Holder, IssuedLeaf, Report};
pub use refusals::{RefusedCall, Times};

/// The record and the fleet. Shared between threads.
#[derive(Debug)]
pub struct Ledger {
    inner: Mutex<Inner>,
    // Held while a leaf is signed and written down, and for writing while the signer changes: so
    // every leaf of the old signer is in the fleet once there is a new one.
    signing: RwLock<()>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    // None: nothing outlives the process.
    audit: Option<Audit>,
    fleet: Fleet,
    refusals: Refusals,
    broken: bool,
}

// === impl Ledger ===

impl Ledger {
    /// Opens the record `audit.jsonl` in a directory, or begins it.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(directory: &Path, now: SystemTime) -> Result<Self, FileError> {
        let now = clock::unix_seconds(now);
        let (audit, entries) = Audit::open(directory, now)?;
        let mut fleet = Fleet::default();
        for entry in entries {
            match entry.event {
                AuditEvent::Issued { caller, leaf } if caller != OWN => fleet.issued(leaf),
                AuditEvent::Left { workload } | AuditEvent::Forgotten { workload } => {
                    fleet.left(&workload);
                }
                _ => {}
            }
        }
        fleet.expire(now);
        Ok(Self::new(Some(audit), fleet))
    }

    /// A ledger that is gone with its process.
    pub fn in_memory() -> Self {
        Self::new(None, Fleet::default())
    }

    fn new(audit: Option<Audit>, fleet: Fleet) -> Self {
        Self {
            inner: Mutex::new(Inner {
                audit,
                fleet,
                refusals: Refusals::default(),
                broken: false,
            }),
            signing: RwLock::new(()),
            changed: watch::Sender::new(0),
        }
    }

    /// To be held from before a leaf is signed until it is written down.
    pub(crate) fn signing(&self) -> RwLockReadGuard<'_, ()> {
        self.signing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while the signer changes.
    pub(crate) fn changing_signer(&self) -> RwLockWriteGuard<'_, ()> {
        self.signing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down a leaf, before anybody gets it.
    ///
    /// # Errors
    /// If it cannot be written: then nobody may get the leaf.
    pub(crate) fn issued(
        &self,
        caller: &str,
        leaf: IssuedLeaf,
        now: SystemTime,
    ) -> Result<(), FileError> {
        let event = AuditEvent::Issued {
            caller: caller.to_owned(),
            leaf: leaf.clone(),
        };
        let mut inner = self.inner();
        inner.append(now, event)?;
        if caller != OWN {
            inner.fleet.issued(leaf);
        }
        Ok(())
    }

    /// Writes down a token, before anybody gets it.
    ///
    /// # Errors
    /// If it cannot be written: then nobody may get the token.
    pub(crate) fn jwt_issued(
        &self,
        identity: &SpiffeId,
        audience: &[String],
        issued: &IssuedJwt,
        certificate: String,
    ) -> Result<(), FileError> {
        let event = AuditEvent::JwtIssued {
            identity: identity.to_string(),
            audience: audience.to_vec(),
            id: issued.id.clone(),
            certificate,
            not_after: clock::unix_seconds(issued.not_after),
        };
        self.inner().append(issued.issued_at, event)
    }

    /// Writes down a refusal: at once, or, of very many in a second, in one line with those like
    /// it when that second is over.
    pub(crate) fn refused(&self, call: RefusedCall, now: SystemTime) {
        let mut inner = self.inner();
        if inner.refusals.begins_another(now) {
            inner.write_refusals();
        }
        let Some(call) = inner.refusals.take(call, now) else {
            return;
        };
        let event = AuditEvent::Refused {
            call: call.clone(),
            times: None,
        };
        // A refusal stands, whether it can be written or not; it is written when it can.
        if inner.append(now, event).is_err() {
            inner.refusals.fold(call, Times::once(now));
        }
    }

    /// Writes down a step of a rotation.
    pub(crate) fn rotation(&self, id: &str, step: &str, now: SystemTime) {
        let event = AuditEvent::Rotation {
            id: id.to_owned(),
            step: step.to_owned(),
        };
        let _ = self.inner().append(now, event);
        self.touch();
    }

    /// A proxy says what it presents and trusts. `stream` rises from one of its streams to the
    /// next.
    pub fn reported(&self, workload: &str, identity: &SpiffeId, report: Report, stream: u64) {
        self.inner()
            .fleet
            .reported(workload, identity, report, stream);
        self.touch();
    }

    /// A proxy has said that it goes; it is gone when its stream ends.
    pub fn leaving(&self, workload: &str, stream: u64) {
        self.inner().fleet.leaving(workload, stream);
    }

    /// The stream of a proxy has ended.
    pub fn disconnected(&self, workload: &str, stream: u64) {
        let mut inner = self.inner();
        if inner.fleet.disconnected(workload, stream) {
            let workload = workload.to_owned();
            // Unwritten, it would be waited for after a restart: no harm.
            let _ = inner.append(clock::now(), AuditEvent::Left { workload });
        }
        drop(inner);
        self.touch();
    }

    /// The operator says that somebody will not come back. Returns whether it was known.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn forget(&self, name: &str) -> Result<bool, FileError> {
        let mut inner = self.inner();
        if !inner.fleet.left(name) {
            return Ok(false);
        }
        let workload = name.to_owned();
        inner.append(clock::now(), AuditEvent::Forgotten { workload })?;
        drop(inner);
        self.touch();
        Ok(true)
    }

    /// Everybody who may present a leaf now.
    pub fn holders(&self, now: SystemTime) -> Vec<Holder> {
        let mut inner = self.inner();
        inner.fleet.expire(clock::unix_seconds(now));
        inner.fleet.holders()
    }

    /// When something expires next, seconds since the Unix epoch.
    pub fn next_expiry(&self) -> Option<i64> {
        self.inner().fleet.next_expiry()
    }

    /// Whose the certificate of a serial number is: all that were renewed one from the other are
    /// the same one's.
    pub(crate) fn lineage(&self, serial: &str) -> String {
        let inner = self.inner();
        inner.fleet.lineage(serial).unwrap_or(serial).to_owned()
    }

    /// Counts what may let a rotation go on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Writes down what is still to be written, and makes the record outlive a power cut. Blocks.
    pub fn sync(&self) {
        let mut inner = self.inner();
        inner.write_refusals();
        let file = inner.audit.as_ref().map(Audit::file);
        drop(inner);
        if let Some(file) = file
            && let Err(error) = file.and_then(|file| file.sync_data())
        {
            tracing::warn!(%error, "the audit record cannot be written to the disk");
        }
    }

    fn touch(&self) {
        self.changed.send_modify(|number| *number += 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // What is in there is whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.inner().write_refusals();
    }
}

/// How the server's own certificates are entered. Who serves follows the authority at once.
pub(crate) const OWN: &str = "self";

// === impl Inner ===

impl Inner {
    /// Writes down the refusals that wait. Those that cannot be written wait on.
    fn write_refusals(&mut self) {
        while let Some(line) = self.refusals.pop() {
            let event = AuditEvent::Refused {
                call: line.call.clone(),
                times: Some(line.times.clone()),
            };
            if self.append(line.times.last(), event).is_err() {
                return self.refusals.put_back(line);
            }
        }
    }

    fn append(&mut self, now: SystemTime, event: AuditEvent) -> Result<(), FileError> {
        let Some(audit) = &mut self.audit else {
            return Ok(());
        };
        let time = clock::unix_seconds(now);
        let written = audit.append(&Entry { time, event });
        if let Err(error) = &written
            && !self.broken
        {
            tracing::error!(%error, "the audit record cannot be written: no certificate is issued until it can");
        }
        self.broken = written.is_err();
        written
    }
}

//! What a World has in common with those before it, so that whoever has seen one of them can tell
//! what is new without looking at everything.
//!
//! Pods come and go by the second, services and rules by the hour. So a World tells apart what is
//! compiled from endpoints, each with the number of the World that brought it, and everything
//! else, of which it only says since when it is the same.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Inner, ServiceId, WorkloadId, WorkloadRecord, World};

/// A World's place among those that were built one from another.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The number of the newest World of the line: one object in all of them.
    line: Arc<AtomicU64>,
    /// Rises by one from World to World.
    pub(crate) number: u64,
    /// Digest of everything but pods, their slices and nodes.
    configuration: [u8; 32],
    /// The World since which that is the same.
    pub(crate) configured: u64,
    /// The World that brought the last change of any workload.
    pub(crate) populated: u64,
}

/// Backends that left a service lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departures {
    /// Number of the World that each left with, and its uid; in order.
    left: Arc<VecDeque<(u64, String)>>,
    /// Those that left with this World or before are not known.
    unknown: u64,
}

/// Departures that a service remembers: more than a rolling update takes at once.
const REMEMBERED: usize = 64;

// === impl History ===

impl History {
    /// Whether both belong to one line, so that their numbers can be compared.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.line, &other.line)
    }

    /// Whether nothing at all changed after the World of this number.
    pub(crate) fn unchanged_since(&self, number: u64) -> bool {
        self.configured <= number && self.populated <= number
    }

    /// Digest of everything but endpoints.
    pub(super) fn configuration(&self) -> [u8; 32] {
        self.configuration
    }

    /// The place of the World after one of this place.
    pub(super) fn next(before: Option<&World>, configuration: [u8; 32]) -> Self {
        let new = Self {
            configuration,
            ..Self::default()
        };
        let Some(before) = before.map(|world| &world.inner.history) else {
            return new;
        };
        let number = before.number + 1;
        let (old, relaxed) = (before.number, Ordering::Relaxed);
        // A line has no branches: the second World after the same one begins a new line.
        let newest = before.line.compare_exchange(old, number, relaxed, relaxed);
        if newest.is_err() {
            return new;
        }
        let same = before.configuration == configuration;
        Self {
            line: Arc::clone(&before.line),
            number,
            configuration,
            configured: if same { before.configured } else { number },
            populated: before.populated,
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Whether the backends of a service changed after the World of this number.
    pub(crate) fn service_changed(&self, id: ServiceId, number: u64) -> bool {
        let service = self.services.get(id);
        service.is_none_or(|service| service.since > number)
    }

    /// Whether a workload is behind any of these services.
    pub(crate) fn backs_any(&self, uid: &str, services: &[ServiceId]) -> bool {
        let record = self.workloads_by_uid.get(uid);
        let record = record.and_then(|id| self.workloads.get(*id));
        record.is_some_and(|record| record.backs.iter().any(|(id, _)| services.contains(id)))
    }

    /// Says of everything that depends on endpoints since when it is as it is, and takes over
    /// what was compiled of what did not change. To be called when all is linked.
    pub(super) fn compare(&mut self, before: Option<&World>) {
        let now = self.history.number;
        let same = before
            .map(|world| &*world.inner)
            .filter(|before| self.history.continues(&before.history))
            .filter(|_| self.history.configured < now);
        let Some(before) = same else {
            // Ids of services mean others now.
            self.history.populated = now;
            self.workloads
                .iter_mut()
                .for_each(|record| record.since = now);
            for service in &mut self.services {
                service.since = now;
                service.departures.unknown = now;
            }
            return;
        };
        self.compiled = Arc::clone(&before.compiled);
        let mut changed = self.workloads.len() != before.workloads.len();
        for record in &mut self.workloads {
            let held = before.workloads_by_uid.get(&record.base.uid);
            let held = held.and_then(|id| before.workloads.get(*id));
            match held.filter(|held| record.equals(held)) {
                Some(held) => {
                    record.since = held.since;
                    record.compiled = Arc::clone(&held.compiled);
                }
                None => {
                    record.since = now;
                    changed = true;
                }
            }
        }
        if changed {
            self.history.populated = now;
        }
        for (service, held) in self.services.iter_mut().zip(&before.services) {
            service.departures = held.departures.clone();
            let same = service.backends.len() == held.backends.len()
                && service
                    .backends
                    .iter()
                    .zip(&held.backends)
                    .all(|(id, old)| {
                        let new = self.workloads.get(*id);
                        let old = before.workloads.get(*old);
                        new.zip(old)
                            .is_some_and(|(new, old)| new.since < now && new.uid == old.uid)
                    });
            if same {
                service.since = held.since;
                continue;
            }
            service.since = now;
            let staying: HashSet<&str> = uids(&self.workloads, &service.backends).collect();
            for uid in uids(&before.workloads, &held.backends) {
                if !staying.contains(uid) {
                    service.departures.add(now, uid);
                }
            }
        }
    }
}

fn uids<'r>(records: &'r [WorkloadRecord], ids: &'r [WorkloadId]) -> impl Iterator<Item = &'r str> {
    let records = ids.iter().filter_map(|id| records.get(*id));
    records.map(|record| record.uid.as_str())
}

// === impl Departures ===

impl Departures {
    fn add(&mut self, world: u64, uid: &str) {
        let left = Arc::make_mut(&mut self.left);
        left.push_back((world, uid.to_owned()));
        while left.len() > REMEMBERED
            && let Some((forgotten, _)) = left.pop_front()
        {
            self.unknown = forgotten;
        }
    }

    /// Who left after a World; none if that is not known any more.
    pub(crate) fn after(&self, world: u64) -> Option<impl Iterator<Item = &str>> {
        let left = self.left.iter().rev();
        let left = left.take_while(move |(number, _)| *number > world);
        (self.unknown <= world).then(|| left.map(|(_, uid)| uid.as_str()))
    }
}

// === impl WorkloadRecord ===

impl WorkloadRecord {
    fn equals(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.base, &other.base) || self.base == other.base)
            && self.backs == other.backs
            && self.fronts == other.fronts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(departures: &Departures, world: u64) -> Option<Vec<&str>> {
        departures.after(world).map(Iterator::collect)
    }

    #[test]
    fn departures_are_told_in_part_never() {
        let mut departures = Departures::default();
        departures.add(1, "a");
        departures.add(3, "b");
        departures.add(3, "c");
        assert_eq!(after(&departures, 0), Some(vec!["c", "b", "a"]));
        assert_eq!(after(&departures, 1), Some(vec!["c", "b"]));
        assert_eq!(after(&departures, 3), Some(vec![]));
        for _ in 0..REMEMBERED - 2 {
            departures.add(4, "d");
        }
        // `a` is forgotten: who has seen nothing since before it left has to look at everything.
        assert_eq!(after(&departures, 0), None);
        assert_eq!(after(&departures, 1).unwrap().len(), REMEMBERED);
        departures.add(5, "e");
        // Of those that left with 3 only one is forgotten; that is enough.
        assert_eq!(after(&departures, 2), None);
        assert_eq!(after(&departures, 3).unwrap().len(), REMEMBERED - 1);
    }
}

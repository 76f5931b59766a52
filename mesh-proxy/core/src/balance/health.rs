//! Active health checks of one cluster: whom to check when, and what came of it.
//!
//! An endpoint is good until checks say otherwise: with configuration on demand the first request
//! comes before the first check.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::ir::{Cluster, Endpoint, Endpoints, Health, HealthCheck};

/// The checks of one cluster.
#[derive(Debug)]
pub struct Checks {
    policy: Arc<HealthCheck>,
    // Those that were there at the last update.
    known: Endpoints,
    endpoints: HashMap<Arc<str>, Checked>,
    // Those that are not checked just now, by the time of their next check.
    waiting: BTreeSet<(Instant, Arc<str>)>,
    down: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Checked {
    // Results in a row that speak against what it is held to be.
    streak: u32,
    // None while a check is under way.
    next: Option<Instant>,
}

// === impl Checks ===

impl Checks {
    /// For nobody yet.
    pub fn new(policy: Arc<HealthCheck>) -> Self {
        Self {
            policy,
            known: Endpoints::default(),
            endpoints: HashMap::new(),
            waiting: BTreeSet::new(),
            down: BTreeSet::new(),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<HealthCheck> {
        &self.policy
    }

    /// Follows the endpoints of the cluster that are not known to be unhealthy already. New ones
    /// are checked soon, not all at once. Whether anybody who was down is gone. Costs as much as
    /// there are changes.
    pub fn update(
        &mut self,
        policy: &Arc<HealthCheck>,
        cluster: &Cluster,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        self.policy = Arc::clone(policy);
        let soon = policy.interval.min(Duration::from_secs(1));
        let before = std::mem::replace(&mut self.known, cluster.endpoints.clone());
        let mut relieved = false;
        cluster.endpoints.changes_since(&before, |old, new| {
            let is_checked = |new: &&Arc<Endpoint>| self.endpoints.contains_key(&new.uid);
            match (old, new.filter(|new| new.health == Health::Healthy)) {
                (_, Some(new)) if is_checked(&new) => {}
                (_, Some(new)) => {
                    let next = now + soon.mul_f64(rng.random_range(0.0..1.0));
                    let checked = Checked {
                        streak: 0,
                        next: Some(next),
                    };
                    self.endpoints.insert(Arc::clone(&new.uid), checked);
                    self.waiting.insert((next, Arc::clone(&new.uid)));
                }
                (Some(old), None) => relieved |= self.forget(&old.uid),
                (None, None) => {}
            }
        });
        relieved
    }

    /// Whether it was down.
    fn forget(&mut self, uid: &Arc<str>) -> bool {
        let gone = self.endpoints.remove(uid);
        if let Some(next) = gone.and_then(|gone| gone.next) {
            self.waiting.remove(&(next, Arc::clone(uid)));
        }
        self.down.remove(uid)
    }

    /// Who is to be checked now; each is under way until [`Self::observe`] hears of it.
    pub fn due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while self.next_due().is_some_and(|next| next <= now)
            && let Some((_, uid)) = self.waiting.pop_first()
        {
            if let Some(checked) = self.endpoints.get_mut(&uid) {
                checked.next = None;
            }
            due.push(uid);
        }
        due
    }

    /// When somebody is due next.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(next, _)| *next)
    }

    /// A check has ended. Gives whether the endpoint is up, if that changed.
    pub fn observe(
        &mut self,
        uid: &str,
        good: bool,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<bool> {
        let next = now + self.pause(rng);
        let (uid, _) = self.endpoints.get_key_value(uid)?;
        let uid = Arc::clone(uid);
        let is_down = self.down.contains(&uid);
        let checked = self.endpoints.get_mut(&uid)?;
        if let Some(before) = checked.next.replace(next) {
            self.waiting.remove(&(before, Arc::clone(&uid)));
        }
        self.waiting.insert((next, Arc::clone(&uid)));
        if good != is_down {
            checked.streak = 0;
            return None;
        }
        checked.streak += 1;
        let threshold = if good {
            self.policy.healthy_threshold
        } else {
            self.policy.unhealthy_threshold
        };
        if checked.streak < threshold {
            return None;
        }
        checked.streak = 0;
        if good {
            self.down.remove(&uid);
        } else {
            self.down.insert(uid);
        }
        Some(good)
    }

    /// Uids of endpoints that are out.
    pub fn down(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.down.iter()
    }

    fn pause(&self, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let part = f64::from(self.policy.jitter_percent.min(100)) / 100.0;
        let factor = 1.0 + part * rng.random_range(-1.0..=1.0);
        self.policy
            .interval
            .mul_f64(factor.max(0.0))
            .max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{self, REVIEWS};
    use crate::ir::Probe;

    fn policy(unhealthy: u32, healthy: u32, jitter: u32) -> Arc<HealthCheck> {
        Arc::new(HealthCheck {
            policy: "a/b".into(),
            origin: None,
            probe: Probe::Tcp,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            jitter_percent: jitter,
            unhealthy_threshold: unhealthy,
            healthy_threshold: healthy,
        })
    }

    fn cluster(uids: &[&str]) -> Cluster {
        let workload = |(uid, number): (&&str, u32)| {
            let backs = (REVIEWS, 9080, 9080);
            let workload = fixtures::workload(uid, "v1", &format!("10.0.0.{number}"), backs);
            fixtures::workload_resource(workload)
        };
        let service = fixtures::service(REVIEWS, 9080, &[]);
        let mut resources = vec![fixtures::service_resource(service)];
        resources.extend(uids.iter().zip(1..).map(workload));
        let snapshot = fixtures::snapshot(resources);
        let found = snapshot.clusters().next();
        Cluster::clone(found.unwrap())
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        let (now, mut rng) = (Instant::now(), fixtures::rng());
        let policy = policy(3, 2, 0);
        let mut checks = Checks::new(Arc::clone(&policy));
        assert!(!checks.update(&policy, &cluster(&["one"]), now, &mut rng));
        let mut told = Vec::new();
        for good in [
            false, false, true, false, false, false, false, true, false, true, true, true,
        ] {
            told.push(checks.observe("default/one", good, now, &mut rng));
        }
        let changes: Vec<_> = told
            .iter()
            .enumerate()
            .filter_map(|(n, c)| Some((n, (*c)?)))
            .collect();
        assert_eq!(changes, [(5, false), (10, true)]);
        assert_eq!(checks.down().count(), 0);
    }

    #[test]
    fn everybody_is_checked_in_turn() {
        let (mut now, mut rng) = (Instant::now(), fixtures::rng());
        let policy = policy(1, 1, 20);
        let mut checks = Checks::new(Arc::clone(&policy));
        let both = cluster(&["one", "two"]);
        checks.update(&policy, &both, now, &mut rng);
        assert!(checks.next_due().unwrap() <= now + Duration::from_secs(1));
        now += Duration::from_secs(1);
        assert_eq!(checks.due(now).len(), 2);
        assert_eq!(checks.due(now).len(), 0, "not twice at a time");
        assert_eq!(checks.next_due(), None);
        checks.observe("default/one", false, now, &mut rng);
        let next = checks.next_due().unwrap();
        assert!((now + Duration::from_secs(8)..=now + Duration::from_secs(12)).contains(&next));
        assert_eq!(checks.down().count(), 1);
        assert!(
            checks.update(&policy, &cluster(&["two"]), now, &mut rng),
            "one that was down left"
        );
        assert_eq!(checks.down().count(), 0);
    }

    proptest! {
        // Whatever comes, goes and is heard, everybody who is there is either waiting or under
        // way, and only those are down who are there.
        #[test]
        fn changes_are_followed(
            steps in prop::collection::vec((prop::collection::vec(0..5_usize, 0..5), 0..5_usize, any::<bool>()), 1..20),
        ) {
            let (mut now, mut rng) = (Instant::now(), fixtures::rng());
            let policy = policy(1, 1, 0);
            let mut checks = Checks::new(Arc::clone(&policy));
            let names = ["a", "b", "c", "d", "e"];
            for (there, heard, good) in steps {
                let mut uids: Vec<&str> = there.iter().map(|n| names[*n]).collect();
                uids.sort_unstable();
                uids.dedup();
                let before: Vec<_> = checks.down().cloned().collect();
                let gone = before.iter().any(|uid| !uids.iter().any(|there| uid.ends_with(there)));
                prop_assert_eq!(checks.update(&policy, &cluster(&uids), now, &mut rng), gone);
                now += Duration::from_secs(1);
                let due = checks.due(now);
                prop_assert!(due.iter().all(|uid| checks.endpoints[uid].next.is_none()));
                checks.observe(&format!("default/{}", names[heard]), good, now, &mut rng);
                prop_assert_eq!(checks.endpoints.len(), uids.len());
                let waiting = checks.endpoints.values().filter(|one| one.next.is_some());
                prop_assert_eq!(waiting.count(), checks.waiting.len());
                prop_assert!(checks.down().all(|uid| checks.endpoints.contains_key(uid)));
            }
        }

        #[test]
        fn nobody_is_out_without_enough_failures(
            results in prop::collection::vec(any::<bool>(), 0..60),
            unhealthy in 1u32..6,
            healthy in 1u32..6,
        ) {
            let (now, mut rng) = (Instant::now(), fixtures::rng());
            let policy = policy(unhealthy, healthy, 0);
            let mut checks = Checks::new(Arc::clone(&policy));
            checks.update(&policy, &cluster(&["one"]), now, &mut rng);
            let mut row = 0;
            for good in results {
                row = if good { 0 } else { row + 1 };
                if let Some(up) = checks.observe("default/one", good, now, &mut rng) {
                    prop_assert_eq!(up, good);
                    prop_assert!(up || row >= unhealthy);
                }
            }
        }
    }
}

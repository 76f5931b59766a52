//! Active health checks of one cluster: whom to check when, and what came of it.
//!
//! An endpoint is good until checks say otherwise: with configuration on demand the first request
//! comes before the first check.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::ir::{Cluster, Health, HealthCheck};

/// The checks of one cluster.
#[derive(Debug)]
pub struct Checks {
    policy: Arc<HealthCheck>,
    endpoints: BTreeMap<Arc<str>, Checked>,
}

#[derive(Debug)]
struct Checked {
    down: bool,
    // Results in a row that speak against what it is held to be.
    streak: u32,
    next: Instant,
    under_way: bool,
}

// === impl Checks ===

impl Checks {
    /// For nobody yet.
    pub fn new(policy: Arc<HealthCheck>) -> Self {
        Self {
            policy,
            endpoints: BTreeMap::new(),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<HealthCheck> {
        &self.policy
    }

    /// Follows the endpoints of the cluster that are not known to be unhealthy already. New ones
    /// are checked soon, not all at once. Whether anybody who was down is gone.
    pub fn update(
        &mut self,
        policy: &Arc<HealthCheck>,
        cluster: &Cluster,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        self.policy = Arc::clone(policy);
        let mut old = std::mem::take(&mut self.endpoints);
        let soon = policy.interval.min(Duration::from_secs(1));
        for endpoint in &cluster.endpoints {
            if endpoint.health != Health::Healthy {
                continue;
            }
            let checked = old.remove(&endpoint.uid).unwrap_or_else(|| Checked {
                down: false,
                streak: 0,
                next: now + soon.mul_f64(rng.random_range(0.0..1.0)),
                under_way: false,
            });
            self.endpoints.insert(Arc::clone(&endpoint.uid), checked);
        }
        old.values().any(|checked| checked.down)
    }

    /// Who is to be checked now; each is under way until [`Self::observe`] hears of it.
    pub fn due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        for (uid, checked) in &mut self.endpoints {
            if !checked.under_way && checked.next <= now {
                checked.under_way = true;
                due.push(Arc::clone(uid));
            }
        }
        due
    }

    /// When somebody is due next.
    pub fn next_due(&self) -> Option<Instant> {
        let waiting = self.endpoints.values().filter(|one| !one.under_way);
        waiting.map(|checked| checked.next).min()
    }

    /// A check has ended. Gives whether the endpoint is up, if that changed.
    pub fn observe(
        &mut self,
        uid: &str,
        good: bool,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<bool> {
        let pause = self.pause(rng);
        let checked = self.endpoints.get_mut(uid)?;
        checked.under_way = false;
        checked.next = now + pause;
        if good != checked.down {
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
        checked.down = !good;
        Some(good)
    }

    /// Uids of endpoints that are out.
    pub fn down(&self) -> impl Iterator<Item = &Arc<str>> {
        let down = self.endpoints.iter().filter(|(_, checked)| checked.down);
        down.map(|(uid, _)| uid)
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

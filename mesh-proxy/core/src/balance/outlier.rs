//! Ejection as a DestinationRule asks for it (Istio: OutlierDetection; Envoy:
//! `Outlier::DetectorImpl`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Outcome;
use crate::ir::OutlierPolicy;

/// Nobody rests for longer than this, unless the base itself is longer (Envoy:
/// `max_ejection_time`, which Istio leaves at its default).
const LONGEST: Duration = Duration::from_secs(300);

/// What is held against the endpoints of one cluster. One for all workers: errors in a row are
/// counted wherever they happen.
#[derive(Debug)]
pub struct Detector {
    policy: OutlierPolicy,
    // Endpoints against which something is held.
    hosts: HashMap<Arc<str>, Host>,
    // Endpoints there are.
    total: usize,
    ejected: usize,
    next_look: Instant,
}

#[derive(Debug, Default)]
struct Host {
    errors: u32,
    gateway: u32,
    local: u32,
    // Falls by one with every look that finds it well.
    ejections: u32,
    ejected: Option<Instant>,
}

// === impl Detector ===

impl Detector {
    /// For a cluster with so many endpoints.
    pub fn new(policy: OutlierPolicy, total: usize, now: Instant) -> Self {
        Self {
            policy,
            hosts: HashMap::new(),
            total,
            ejected: 0,
            next_look: now + policy.interval,
        }
    }

    /// Takes a new policy and the endpoints that there are now. Whether anybody's ejection
    /// changed.
    pub fn update(
        &mut self,
        policy: OutlierPolicy,
        total: usize,
        has: impl Fn(&str) -> bool,
    ) -> bool {
        self.policy = policy;
        self.total = total;
        let before = self.ejected;
        self.hosts.retain(|uid, _| has(uid));
        self.ejected = self.ejected_hosts().count();
        self.ejected != before
    }

    /// Learns from a try. Whether the endpoint is ejected for it.
    pub fn observe(&mut self, uid: &Arc<str>, outcome: Outcome, now: Instant) -> bool {
        if outcome == Outcome::Cancelled {
            return false;
        }
        if !self.hosts.contains_key(uid) {
            if !counts_against(outcome) {
                return false;
            }
            self.hosts.insert(Arc::clone(uid), Host::default());
        }
        let policy = self.policy;
        let Some(host) = self.hosts.get_mut(uid) else {
            return false;
        };
        let over = |count: u32, limit: u32| limit > 0 && count >= limit;
        let enough = host.count(outcome, policy.split_local)
            && (over(host.errors, policy.consecutive_5xx)
                || over(host.gateway, policy.consecutive_gateway)
                || policy.split_local && over(host.local, policy.consecutive_local));
        let room = self.ejected * 100 < self.total * policy.max_ejection_percent as usize;
        if !enough || host.ejected.is_some() || !room {
            return false;
        }
        host.ejections = host.ejections.saturating_add(1);
        host.ejected = Some(now);
        self.ejected += 1;
        true
    }

    /// Looks at everybody, if it is time to. Whether anybody came back.
    pub fn look(&mut self, now: Instant) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + self.policy.interval;
        let base = self.policy.base_ejection;
        let before = self.ejected;
        let mut ejected = 0;
        self.hosts.retain(|_, host| {
            let Some(since) = host.ejected else {
                host.ejections = host.ejections.saturating_sub(1);
                return host.ejections > 0 || host.is_suspect();
            };
            let rest = base.saturating_mul(host.ejections).min(LONGEST.max(base));
            if now.saturating_duration_since(since) >= rest {
                *host = Host {
                    ejections: host.ejections,
                    ..Host::default()
                };
            } else {
                ejected += 1;
            }
            true
        });
        self.ejected = ejected;
        ejected != before
    }

    /// When to look next.
    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Uids of the endpoints that are out of the choice.
    pub fn ejected_hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.hosts
            .iter()
            .filter(|(_, host)| host.ejected.is_some())
            .map(|(uid, _)| uid)
    }
}

fn counts_against(outcome: Outcome) -> bool {
    outcome.is_failure() || outcome == Outcome::ServerError
}

// === impl Host ===

impl Host {
    fn is_suspect(&self) -> bool {
        self.errors > 0 || self.gateway > 0 || self.local > 0
    }

    // Whether it counts against the endpoint.
    fn count(&mut self, outcome: Outcome, split: bool) -> bool {
        match outcome {
            Outcome::Success | Outcome::Overloaded => {
                (self.errors, self.gateway, self.local) = (0, 0, 0);
                false
            }
            Outcome::ServerError => {
                self.errors = self.errors.saturating_add(1);
                (self.gateway, self.local) = (0, 0);
                true
            }
            Outcome::GatewayError => {
                self.errors = self.errors.saturating_add(1);
                self.gateway = self.gateway.saturating_add(1);
                self.local = 0;
                true
            }
            Outcome::ConnectFailure | Outcome::Reset | Outcome::Timeout if split => {
                self.local = self.local.saturating_add(1);
                true
            }
            Outcome::ConnectFailure | Outcome::Reset | Outcome::Timeout => {
                self.errors = self.errors.saturating_add(1);
                self.gateway = self.gateway.saturating_add(1);
                true
            }
            Outcome::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Istio's defaults.
    const POLICY: OutlierPolicy = OutlierPolicy {
        consecutive_5xx: 5,
        consecutive_gateway: 0,
        consecutive_local: 5,
        split_local: false,
        interval: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        max_ejection_percent: 10,
        min_health_percent: 0,
    };

    fn uid(n: usize) -> Arc<str> {
        format!("default/w{n}").into()
    }

    fn fail(detector: &mut Detector, n: usize, outcome: Outcome, times: u32, now: Instant) -> bool {
        (0..times).any(|_| detector.observe(&uid(n), outcome, now))
    }

    #[test]
    fn trap_23_defaults_are_five_errors_ten_seconds_thirty_seconds_ten_percent() {
        let start = Instant::now();
        let mut detector = Detector::new(POLICY, 10, start);
        assert!(!fail(&mut detector, 0, Outcome::ServerError, 4, start));
        detector.observe(&uid(0), Outcome::Success, start);
        assert!(!fail(&mut detector, 0, Outcome::ServerError, 4, start));
        assert!(
            fail(&mut detector, 0, Outcome::Timeout, 1, start),
            "timeouts are errors, too"
        );
        assert!(
            !fail(&mut detector, 1, Outcome::ServerError, 50, start),
            "one of ten is ten percent"
        );
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!detector.look(at(10)) && !detector.look(at(20)));
        assert!(detector.look(at(30)), "30 s later");
        assert_eq!(detector.ejected_hosts().count(), 0);
        assert!(fail(&mut detector, 0, Outcome::GatewayError, 5, at(30)));
        assert!(!detector.look(at(60)) && !detector.look(at(80)));
        assert!(detector.look(at(90)), "the second time twice as long");
    }

    #[test]
    fn ejections_are_forgotten_one_by_one() {
        let start = Instant::now();
        let mut detector = Detector::new(POLICY, 1, start);
        let mut now = start;
        for times in 1..=3 {
            assert!(fail(&mut detector, 0, Outcome::ServerError, 5, now));
            now += Duration::from_secs(30 * times);
            assert!(detector.look(now));
        }
        for _ in 0..3 {
            now += Duration::from_secs(10);
            detector.look(now);
        }
        assert!(detector.hosts.is_empty());
    }

    #[test]
    fn kinds_of_errors_count_by_themselves() {
        let now = Instant::now();
        let gateway = OutlierPolicy {
            consecutive_5xx: 0,
            consecutive_gateway: 3,
            max_ejection_percent: 100,
            ..POLICY
        };
        let mut detector = Detector::new(gateway, 3, now);
        assert!(!fail(&mut detector, 0, Outcome::ServerError, 20, now));
        assert!(!fail(&mut detector, 0, Outcome::GatewayError, 2, now));
        assert!(!fail(&mut detector, 0, Outcome::ServerError, 1, now));
        assert!(!fail(&mut detector, 0, Outcome::GatewayError, 2, now));
        assert!(fail(&mut detector, 0, Outcome::ConnectFailure, 1, now));
        let split = OutlierPolicy {
            split_local: true,
            consecutive_local: 2,
            max_ejection_percent: 100,
            ..POLICY
        };
        let mut detector = Detector::new(split, 3, now);
        assert!(!fail(&mut detector, 0, Outcome::ServerError, 4, now));
        assert!(!fail(&mut detector, 0, Outcome::ConnectFailure, 1, now));
        assert!(fail(&mut detector, 0, Outcome::ConnectFailure, 1, now));
        assert!(fail(&mut detector, 1, Outcome::ServerError, 5, now));
    }

    #[test]
    fn those_who_left_take_up_no_room() {
        let now = Instant::now();
        let mut detector = Detector::new(POLICY, 10, now);
        assert!(fail(&mut detector, 0, Outcome::ServerError, 5, now));
        assert!(detector.update(POLICY, 9, |host| host != &*uid(0)));
        assert!(fail(&mut detector, 1, Outcome::ServerError, 5, now));
    }
}

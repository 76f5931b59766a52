//! How near endpoints are (Istio: pilot/pkg/networking/core/loadbalancer).

use std::cmp::Reverse;
use std::sync::Arc;

use crate::ir::{LocalityPolicy, LocalityShares, Place, Workload, Zones};

/// Where an endpoint stands for one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Lower ones are used first.
    pub(crate) priority: u32,
    /// Index of its group's share.
    pub(crate) group: u32,
}

/// The policy of one cluster, for the client that this proxy is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearness<'a> {
    policy: Option<&'a LocalityPolicy>,
    shares: Option<&'a LocalityShares>,
    client: &'a Place,
}

// === impl Nearness ===

impl<'a> Nearness<'a> {
    /// Without a policy, or if nobody knows where the client is, all endpoints are alike; labels
    /// say how near they are in any case.
    pub(crate) fn new(policy: Option<&'a LocalityPolicy>, client: &'a Place) -> Self {
        let by_labels = |policy: &LocalityPolicy| {
            policy.distribute.is_empty() && !policy.failover_priority.is_empty()
        };
        let policy = policy.filter(|policy| !client.locality.is_empty() || by_labels(policy));
        let shares = policy.and_then(|policy| {
            let mut shares = policy.distribute.iter();
            shares.find(|shares| fits(&client.locality, &shares.from))
        });
        Self {
            policy,
            shares,
            client,
        }
    }

    /// The groups' shares, in percent; none unless traffic is distributed.
    pub(crate) fn shares(&self) -> Vec<u32> {
        let to = self.shares.map(|shares| &shares.to);
        to.into_iter()
            .flatten()
            .map(|(_, percent)| *percent)
            .collect()
    }

    /// The zones that groups are, if zones matter: those that had numbers before keep them.
    pub(crate) fn zones(&self, before: Option<&Arc<Zones>>) -> Option<Arc<Zones>> {
        let minimum = self.policy?.zone_aware?;
        if self.client.locality.is_empty() {
            return None;
        }
        let own = zone(&self.client.locality);
        let fits = |zones: &&Arc<Zones>| {
            zones.minimum == minimum && zones.names.first().is_some_and(|first| **first == *own)
        };
        let new = || {
            Arc::new(Zones {
                minimum,
                names: vec![own.into()],
            })
        };
        Some(before.filter(fits).map_or_else(new, Arc::clone))
    }

    /// Where an endpoint stands; nothing if it gets no traffic at all. A zone that is new gets a
    /// number.
    pub(crate) fn of(
        &self,
        workload: &Workload,
        zones: &mut Option<Arc<Zones>>,
    ) -> Option<Standing> {
        let Some(policy) = self.policy else {
            return Some(Standing::default());
        };
        if let Some(shares) = self.shares {
            // Of several that fit the most specific one.
            let group = shares
                .to
                .iter()
                .enumerate()
                .filter(|(_, (locality, percent))| {
                    *percent > 0 && fits(&workload.locality, locality)
                })
                .min_by_key(|(index, (locality, _))| (Reverse(exactness(locality)), *index))?;
            let group = u32::try_from(group.0).ok()?;
            return Some(Standing { priority: 0, group });
        }
        if !policy.distribute.is_empty() {
            return Some(Standing::default());
        }
        let by_labels = self.by_labels(policy, workload);
        if let Some(zones) = zones {
            // Regions within each step of labels; in the client's region the zones are groups
            // (Istio: applyZoneAwareRegionalFailover).
            let step = self.by_region(policy, &workload.locality);
            return Some(Standing {
                priority: by_labels * 3 + step,
                group: if step == 0 {
                    number_of(zone(&workload.locality), zones)
                } else {
                    0
                },
            });
        }
        let by_locality = || self.by_locality(policy, &workload.locality);
        let priority = match (
            policy.failover_priority.is_empty(),
            policy.failover.is_empty(),
        ) {
            (true, _) => by_locality(),
            (false, true) => by_labels,
            // At most five steps of locality within each step of labels.
            (false, false) => by_labels * 5 + by_locality(),
        };
        Some(Standing { priority, group: 0 })
    }

    fn by_locality(&self, policy: &LocalityPolicy, endpoint: &str) -> u32 {
        let [region, zone, subzone] = parts(&self.client.locality);
        let [other_region, other_zone, other_subzone] = parts(endpoint);
        if region != other_region {
            let mut rules = policy.failover.iter();
            return match rules.find(|(from, _)| **from == *region) {
                Some((_, to)) if **to != *other_region => 4,
                _ => 3,
            };
        }
        match (zone == other_zone, subzone == other_subzone) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        }
    }

    fn by_region(&self, policy: &LocalityPolicy, endpoint: &str) -> u32 {
        let [region, ..] = parts(&self.client.locality);
        let [other, ..] = parts(endpoint);
        if region == other {
            return 0;
        }
        let mut rules = policy.failover.iter();
        match rules.find(|(from, _)| **from == *region) {
            Some((_, to)) if **to == *other => 1,
            _ => 2,
        }
    }

    /// Labels that do not agree, from the first one that does not.
    fn by_labels(&self, policy: &LocalityPolicy, workload: &Workload) -> u32 {
        let agreed = policy
            .failover_priority
            .iter()
            .take_while(|(name, value)| {
                let own = || {
                    let client = self.client;
                    let place = (&*client.locality, &*client.node, &*client.cluster);
                    label(name, place, client.labels.get(&**name))
                };
                let theirs = {
                    let place = (
                        &*workload.locality,
                        &*workload.node,
                        &*workload.peer.cluster,
                    );
                    label(name, place, workload.labels.get(&**name))
                };
                match value {
                    Some(value) => **value == *theirs,
                    None => own() == theirs,
                }
            })
            .count();
        u32::try_from(policy.failover_priority.len() - agreed).unwrap_or(u32::MAX)
    }
}

/// The value of a label; those of topology come from where a workload is.
fn label<'a>(
    name: &str,
    (locality, node, cluster): (&'a str, &'a str, &'a str),
    of_workload: Option<&'a String>,
) -> &'a str {
    let [region, zone, subzone] = parts(locality);
    let known = match name {
        "topology.kubernetes.io/region" => region,
        "topology.kubernetes.io/zone" => zone,
        "topology.istio.io/subzone" => subzone,
        "topology.istio.io/cluster" => cluster,
        "kubernetes.io/hostname" => node,
        _ => "",
    };
    if known.is_empty() {
        of_workload.map_or("", String::as_str)
    } else {
        known
    }
}

/// Region and zone.
fn zone(locality: &str) -> &str {
    let mut slashes = locality.match_indices('/').skip(1);
    match slashes.next() {
        Some((end, _)) => locality.get(..end).unwrap_or_default(),
        None => locality,
    }
}

fn number_of(zone: &str, zones: &mut Arc<Zones>) -> u32 {
    let known = zones.names.iter().position(|name| **name == *zone);
    let number = known.unwrap_or_else(|| {
        let names = &mut Arc::make_mut(zones).names;
        names.push(zone.into());
        names.len() - 1
    });
    u32::try_from(number).unwrap_or_default()
}

fn parts(locality: &str) -> [&str; 3] {
    let mut parts = locality.splitn(3, '/');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Whether a locality is the one of a rule, where `*` or nothing takes the rest.
fn fits(locality: &str, rule: &str) -> bool {
    let pairs = parts(locality).into_iter().zip(parts(rule)).enumerate();
    let mut open = false;
    pairs.into_iter().all(|(index, (own, wanted))| {
        open |= wanted == "*" || wanted.is_empty() && index > 0;
        open || own == wanted
    })
}

fn exactness(rule: &str) -> usize {
    let parts = parts(rule);
    parts
        .iter()
        .filter(|part| !part.is_empty() && **part != "*")
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localities_fit_rules() {
        for (locality, rule, want) in [
            ("us/a/1", "us/a/1", true),
            ("us/a/1", "us/a/*", true),
            ("us/a/1", "us/*", true),
            ("us/a/1", "us", true),
            ("us/a/1", "*", true),
            ("us/a/1", "us/b/*", false),
            ("us/a", "us/a/1", false),
            ("us", "eu", false),
            ("", "us", false),
        ] {
            assert_eq!(fits(locality, rule), want, "{locality} {rule}");
        }
    }
}

//! Which leaves may be in use, and what proxies say of themselves. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mesh_api::SpiffeId;
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;

/// A leaf still counts for so long after its end: the clocks of peers may be behind.
const GRACE: i64 = 120;

/// A leaf that was issued. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedLeaf {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Whom it names.
    #[serde(with = "spiffe_id")]
    pub identity: SpiffeId,
    /// `<namespace>/<name>` of the workload, if the caller's credential says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Serial number of the certificate that it was asked for with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The root that vouches for it.
    pub root: Fingerprint,
    /// When it expires.
    pub not_after: i64,
}

/// An identity as text.
mod spiffe_id {
    use mesh_api::SpiffeId;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        id: &SpiffeId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SpiffeId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What a proxy says of its own mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The roots that it checks peers by.
    pub trusted: BTreeSet<Fingerprint>,
    /// Those of them that vouch for its own certificate.
    pub vouching: BTreeSet<Fingerprint>,
    /// Serial number of its certificate, hexadecimal.
    pub serial: String,
    /// When that expires.
    pub not_after: i64,
}

/// Somebody who may present a leaf that is still good: a proxy that reports, or the holder of a
/// leaf that no proxy has reported (yet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `<namespace>/<name>` of the workload; for an unknown one, its identity and serial number.
    pub name: String,
    /// Its identity.
    pub identity: SpiffeId,
    /// Whether it is connected now.
    pub connected: bool,
    /// Whom it trusts; `None` if it has not said.
    pub trusted: Option<BTreeSet<Fingerprint>>,
    /// For each leaf that it may present, the roots that vouch for it.
    pub leaves: Vec<BTreeSet<Fingerprint>>,
    /// When the last of its leaves expires.
    pub not_after: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Fleet {
    issued: u64,
    known: HashMap<String, Known>,
    lineages: HashMap<String, BTreeSet<String>>,
    proxies: BTreeMap<String, Proxy>,
}

// A leaf, and which of its holder's it is.
#[derive(Debug)]
struct Known {
    leaf: IssuedLeaf,
    sequence: u64,
    lineage: String,
    // Its holder presents it, or a later one.
    settled: bool,
}

#[derive(Debug)]
struct Proxy {
    identity: SpiffeId,
    report: Report,
    // Number of the stream; a later one takes the place of an earlier one.
    stream: Option<u64>,
    // It has said that it goes; until its stream ends it still serves.
    leaving: bool,
}

// === impl Fleet ===

impl Fleet {
    /// A leaf is about to be given out.
    pub fn issued(&mut self, leaf: IssuedLeaf) {
        let before = leaf
            .previous
            .as_ref()
            .and_then(|serial| self.known.get(serial));
        let lineage = match (&leaf.workload, before) {
            (Some(workload), _) => workload.clone(),
            (None, Some(before)) => before.lineage.clone(),
            (None, None) => leaf.serial.clone(),
        };
        self.issued += 1;
        let serials = self.lineages.entry(lineage.clone()).or_default();
        serials.insert(leaf.serial.clone());
        let known = Known {
            sequence: self.issued,
            lineage,
            settled: false,
            leaf,
        };
        self.known.insert(known.leaf.serial.clone(), known);
    }

    /// A proxy says what it presents and trusts. It vouches for leaves of its own identity only.
    pub fn reported(&mut self, workload: &str, identity: &SpiffeId, report: Report, stream: u64) {
        // What an older stream says was said before, whenever it is heard.
        let newest = self.proxies.get(workload).and_then(|proxy| proxy.stream);
        if newest.is_some_and(|newest| newest > stream) {
            return;
        }
        if let Some(known) = self.known.get(&report.serial)
            && known.leaf.identity == *identity
        {
            let (sequence, lineage) = (known.sequence, known.lineage.clone());
            self.settle(&lineage, sequence, Some(workload));
            if lineage != workload {
                self.settle(workload, sequence, None);
            }
        }
        let proxy = Proxy {
            identity: identity.clone(),
            report,
            stream: Some(stream),
            leaving: false,
        };
        self.proxies.insert(workload.to_owned(), proxy);
    }

    // Leaves of a lineage up to a number are presented no more, or reported on from now on.
    fn settle(&mut self, lineage: &str, sequence: u64, name: Option<&str>) {
        let Some(serials) = self.lineages.get(lineage) else {
            return;
        };
        let serials = serials.clone();
        for serial in &serials {
            let Some(known) = self.known.get_mut(serial) else {
                continue;
            };
            known.settled |= known.sequence <= sequence;
            if let Some(name) = name {
                name.clone_into(&mut known.lineage);
            }
        }
        if let Some(name) = name
            && name != lineage
        {
            self.lineages.remove(lineage);
            self.lineages
                .entry(name.to_owned())
                .or_default()
                .extend(serials);
        }
    }

    /// A proxy says that it goes once its stream ends.
    pub fn leaving(&mut self, workload: &str, stream: u64) {
        if let Some(proxy) = self.proxies.get_mut(workload)
            && proxy.stream == Some(stream)
        {
            proxy.leaving = true;
        }
    }

    /// The stream of a proxy has ended. Returns whether it is gone for good.
    pub fn disconnected(&mut self, workload: &str, stream: u64) -> bool {
        let Some(proxy) = self.proxies.get_mut(workload) else {
            return false;
        };
        if proxy.stream != Some(stream) {
            return false;
        }
        proxy.stream = None;
        let gone = proxy.leaving;
        if gone {
            self.left(workload);
        }
        gone
    }

    /// A proxy, or the holder of a leaf, is gone for good: it said so, or the operator does.
    /// Returns whether there was one of that name.
    pub fn left(&mut self, name: &str) -> bool {
        let mut found = self.proxies.remove(name).is_some();
        for serial in self.lineages.get(name).cloned().unwrap_or_default() {
            if let Some(known) = self.known.get_mut(&serial) {
                found |= !known.settled;
                known.settled = true;
            }
        }
        found
    }

    /// Forgets what has expired.
    pub fn expire(&mut self, now: i64) {
        let over = |not_after: i64| not_after.saturating_add(GRACE) < now;
        self.proxies
            .retain(|_, proxy| proxy.stream.is_some() || !over(proxy.report.not_after));
        let lineages = &mut self.lineages;
        self.known.retain(|serial, known| {
            let keep = !over(known.leaf.not_after);
            if !keep && let Some(serials) = lineages.get_mut(&known.lineage) {
                serials.remove(serial);
                if serials.is_empty() {
                    lineages.remove(&known.lineage);
                }
            }
            keep
        });
    }

    /// When something expires next.
    pub fn next_expiry(&self) -> Option<i64> {
        let leaves = self.known.values().map(|known| known.leaf.not_after);
        let away = self.proxies.values().filter(|proxy| proxy.stream.is_none());
        leaves
            .chain(away.map(|proxy| proxy.report.not_after))
            .min()
            .map(|at| at.saturating_add(GRACE + 1))
    }

    /// Whose leaf it is, if it is known.
    pub(crate) fn lineage(&self, serial: &str) -> Option<&str> {
        let known = self.known.get(serial)?;
        Some(&known.lineage)
    }

    /// Everybody who may present a leaf now, by name.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders: BTreeMap<&str, Holder> = BTreeMap::new();
        for (name, proxy) in &self.proxies {
            let holder = Holder {
                name: name.clone(),
                identity: proxy.identity.clone(),
                connected: proxy.stream.is_some(),
                trusted: Some(proxy.report.trusted.clone()),
                leaves: vec![proxy.report.vouching.clone()],
                not_after: proxy.report.not_after,
            };
            holders.insert(name, holder);
        }
        for known in self.known.values().filter(|known| !known.settled) {
            let leaf = &known.leaf;
            let holder = holders.entry(&known.lineage).or_insert_with(|| Holder {
                name: known.lineage.clone(),
                identity: leaf.identity.clone(),
                connected: false,
                trusted: None,
                leaves: Vec::new(),
                not_after: leaf.not_after,
            });
            holder.leaves.push(BTreeSet::from([leaf.root]));
            holder.not_after = holder.not_after.max(leaf.not_after);
        }
        holders.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(n: u8) -> Fingerprint {
        Fingerprint::of(&[n])
    }

    fn leaf(serial: &str, workload: Option<&str>, previous: Option<&str>, by: u8) -> IssuedLeaf {
        IssuedLeaf {
            serial: serial.to_owned(),
            identity: identity(),
            workload: workload.map(str::to_owned),
            previous: previous.map(str::to_owned),
            root: root(by),
            not_after: 1000,
        }
    }

    fn identity() -> SpiffeId {
        "spiffe://cluster.local/ns/default/sa/a".parse().unwrap()
    }

    fn report(serial: &str, by: u8) -> Report {
        Report {
            trusted: [root(1), root(2)].into(),
            vouching: [root(by)].into(),
            serial: serial.to_owned(),
            not_after: 1000,
        }
    }

    fn leaves(fleet: &Fleet) -> Vec<(String, usize, bool)> {
        let holders = fleet.holders().into_iter();
        holders
            .map(|holder| (holder.name, holder.leaves.len(), holder.trusted.is_some()))
            .collect()
    }

    #[test]
    fn a_report_settles_what_came_before_and_nothing_after() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", Some("default/a"), None, 1));
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 1, false)]);
        fleet.issued(leaf("2", None, Some("1"), 1));
        fleet.issued(leaf("3", None, Some("2"), 2));
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 3, false)]);
        fleet.reported("default/a", &identity(), report("2", 1), 1);
        // The third may be on its way.
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 2, true)]);
        fleet.reported("default/a", &identity(), report("3", 2), 1);
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 1, true)]);
    }

    #[test]
    fn a_chain_of_renewals_belongs_to_who_reports_one_of_them() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", None, None, 1));
        fleet.issued(leaf("2", None, Some("1"), 1));
        fleet.reported("default/a", &identity(), report("2", 1), 1);
        fleet.issued(leaf("3", None, Some("2"), 2));
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 2, true)]);
    }

    #[test]
    fn nobody_settles_leaves_of_another_identity() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", Some("default/a"), None, 1));
        let other = "spiffe://cluster.local/ns/default/sa/b".parse().unwrap();
        fleet.reported("default/b", &other, report("1", 2), 1);
        assert_eq!(leaves(&fleet).len(), 2);
    }

    #[test]
    fn who_is_gone_is_forgotten_when_the_leaf_is_over() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", Some("default/a"), None, 1));
        fleet.reported("default/a", &identity(), report("1", 1), 1);
        fleet.reported("default/a", &identity(), report("1", 1), 2);
        fleet.disconnected("default/a", 1);
        assert!(fleet.holders()[0].connected, "an older stream has ended");
        fleet.disconnected("default/a", 2);
        assert!(!fleet.holders()[0].connected);
        fleet.expire(1000 + GRACE);
        assert_eq!(fleet.holders().len(), 1);
        let next = fleet.next_expiry().unwrap();
        fleet.expire(next);
        assert_eq!((fleet.holders().len(), fleet.next_expiry()), (0, None));
        assert!(fleet.lineages.is_empty());
    }

    #[test]
    fn who_drains_counts_until_its_stream_ends() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", Some("default/a"), None, 1));
        fleet.reported("default/a", &identity(), report("1", 1), 1);
        fleet.leaving("default/a", 1);
        assert!(fleet.holders()[0].connected, "it still serves");
        assert!(fleet.disconnected("default/a", 1));
        assert!(fleet.holders().is_empty());
    }

    #[test]
    fn who_says_goodbye_holds_nobody_up() {
        let mut fleet = Fleet::default();
        fleet.issued(leaf("1", Some("default/a"), None, 1));
        assert!(fleet.left("default/a") && fleet.holders().is_empty());
        assert!(!fleet.left("default/a"));
        fleet.issued(leaf("2", Some("default/a"), None, 2));
        assert_eq!(leaves(&fleet), [("default/a".to_owned(), 1, false)]);
    }
}

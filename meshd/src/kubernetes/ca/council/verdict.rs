//! What one replica knows, and what follows from all of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ca::rotation::{Blocker, Phase, Reason};
use mesh_ca::{Fingerprint, Holder};
use serde::{Deserialize, Serialize};

/// Blockers that one entry names.
const MOST_NAMED: usize = 300;
/// Digits of what a name is known by.
const DIGITS: usize = 16;

/// What one replica says of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// Of which step: [`mesh_ca::rotation::RotationRecord::steps`].
    pub(super) steps: u64,
    /// Who is connected to it and holds nothing up; as digests, since there may be thousands.
    clear: BTreeSet<String>,
    /// Who was connected to it, and holds nothing up.
    away: BTreeSet<String>,
    /// Who holds it up, as far as they are named.
    blockers: Vec<Blocker>,
    /// How many do.
    blocked_by: usize,
}

/// Who is declared.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Names of all workloads.
    declared: BTreeSet<String>,
    /// Those with a sidecar, with their identities.
    sidecars: BTreeMap<String, String>,
}

// === impl Verdict ===

impl Verdict {
    pub(super) fn new(steps: u64, holders: &[Holder], blockers: &[Blocker]) -> Self {
        let blocking: BTreeSet<&str> = blockers.iter().map(|one| one.name.as_str()).collect();
        let (mut clear, mut away) = (BTreeSet::new(), BTreeSet::new());
        for holder in holders {
            if !blocking.contains(holder.name.as_str()) {
                let known = match holder.connected {
                    true => &mut clear,
                    false => &mut away,
                };
                known.insert(digest(&holder.name));
            }
        }
        Self {
            steps,
            clear,
            away,
            blockers: blockers.iter().take(MOST_NAMED).cloned().collect(),
            blocked_by: blockers.len(),
        }
    }
}

fn digest(name: &str) -> String {
    let mut digits = Fingerprint::of(name.as_bytes()).to_string();
    digits.truncate(DIGITS);
    digits
}

// === impl Expected ===

impl Expected {
    /// Of names, identities, and whether there is a sidecar.
    pub(super) fn new(workloads: impl Iterator<Item = (String, String, bool)>) -> Self {
        let mut expected = Self::default();
        for (name, identity, sidecar) in workloads {
            if sidecar {
                expected.sidecars.insert(name.clone(), identity);
            }
            expected.declared.insert(name);
        }
        expected
    }

    /// Whether its key went with it. Who has no name of a workload may be anywhere.
    fn is_gone(&self, name: &str) -> bool {
        !name.starts_with("spiffe:") && !self.declared.contains(name)
    }
}

/// Who holds a step up, by what all replicas say of it.
pub(super) fn conclude(
    phase: Phase,
    verdicts: &[Verdict],
    expected: &Expected,
    forgotten: &[String],
) -> Vec<Blocker> {
    let clear: BTreeSet<&String> = verdicts.iter().flat_map(|one| &one.clear).collect();
    let away: BTreeSet<&String> = verdicts.iter().flat_map(|one| &one.away).collect();
    let mut blockers: BTreeMap<&str, Blocker> = BTreeMap::new();
    for verdict in verdicts {
        for blocker in &verdict.blockers {
            // It has gone to another replica, which knows better; or it is no more.
            let over = !blocker.connected
                && blocker.reason != Reason::Notice
                && (clear.contains(&digest(&blocker.name)) || expected.is_gone(&blocker.name));
            if over {
                continue;
            }
            let known = blockers.get(blocker.name.as_str());
            if known.is_none_or(|known| blocker.connected && !known.connected) {
                blockers.insert(&blocker.name, blocker.clone());
            }
        }
    }
    for (name, identity) in &expected.sidecars {
        let digest = digest(name);
        if clear.contains(&digest) || away.contains(&digest) {
            continue;
        }
        blockers.entry(name).or_insert_with(|| Blocker {
            name: name.clone(),
            identity: identity.clone(),
            connected: false,
            reason: match phase {
                Phase::Distributing => Reason::NotTrusting,
                Phase::Signing | Phase::Unwinding => Reason::OldLeaf,
                Phase::Retiring => Reason::StillTrusting,
            },
            not_after: 0,
        });
    }
    blockers.retain(|name, blocker| blocker.connected || !forgotten.iter().any(|one| one == name));
    let mut blockers: Vec<Blocker> = blockers.into_values().collect();
    // Some of whom nothing is known but that they are.
    for verdict in verdicts {
        let unnamed = verdict.blocked_by.saturating_sub(verdict.blockers.len());
        if unnamed > 0 && blockers.is_empty() {
            blockers.push(Blocker {
                name: format!("{unnamed} more"),
                identity: String::new(),
                connected: true,
                reason: Reason::OldLeaf,
                not_after: 0,
            });
        }
    }
    blockers
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "spiffe://cluster.local/ns/default/sa/a";

    fn holder(name: &str, connected: bool) -> Holder {
        Holder {
            name: name.to_owned(),
            identity: ID.parse().unwrap(),
            connected,
            trusted: None,
            leaves: Vec::new(),
            not_after: 1000,
        }
    }

    fn blocker(name: &str, connected: bool) -> Blocker {
        Blocker {
            name: name.to_owned(),
            identity: ID.to_owned(),
            connected,
            reason: Reason::OldLeaf,
            not_after: 1000,
        }
    }

    fn verdict(clear: &[&str], blockers: &[(&str, bool)]) -> Verdict {
        let mut holders: Vec<_> = clear.iter().map(|name| holder(name, true)).collect();
        holders.extend(blockers.iter().map(|(name, on)| holder(name, *on)));
        let blockers: Vec<_> = blockers
            .iter()
            .map(|(name, on)| blocker(name, *on))
            .collect();
        Verdict::new(7, &holders, &blockers)
    }

    fn pods(names: &[&str]) -> Expected {
        let pods = names
            .iter()
            .map(|name| (name.to_string(), ID.to_owned(), true));
        Expected::new(pods)
    }

    fn names(verdicts: &[Verdict], expected: &Expected, forgotten: &[&str]) -> Vec<String> {
        let forgotten: Vec<_> = forgotten.iter().map(ToString::to_string).collect();
        let blockers = conclude(Phase::Signing, verdicts, expected, &forgotten);
        blockers.into_iter().map(|blocker| blocker.name).collect()
    }

    #[test]
    fn all_pods_must_be_heard_of_by_one() {
        let all = pods(&["d/a", "d/b", "d/c"]);
        assert_eq!(names(&[], &all, &[]), ["d/a", "d/b", "d/c"]);
        let (one, two) = (verdict(&["d/a"], &[]), verdict(&["d/b"], &[]));
        let both = [one, two];
        assert_eq!(names(&both, &all, &[]), ["d/c"]);
        assert_eq!(names(&both, &pods(&["d/a", "d/b"]), &[]), [""; 0]);
        assert_eq!(
            names(&both, &all, &["d/c"]),
            [""; 0],
            "the operator says so"
        );
        // Without a sidecar there is nothing to wait for.
        let bare = [("d/x".to_owned(), ID.to_owned(), false)];
        assert_eq!(names(&both, &Expected::new(bare.into_iter()), &[]), [""; 0]);
    }

    #[test]
    fn who_has_gone_to_another_replica_is_judged_there() {
        let all = pods(&["d/a"]);
        let before = verdict(&[], &[("d/a", false)]);
        assert_eq!(names(std::slice::from_ref(&before), &all, &[]), ["d/a"]);
        let after = verdict(&["d/a"], &[]);
        assert_eq!(names(&[before.clone(), after.clone()], &all, &[]), [""; 0]);
        let still = verdict(&[], &[("d/a", true)]);
        assert_eq!(names(&[before, still.clone()], &all, &[]), ["d/a"]);
        // What is connected and holds it up is never passed over.
        assert_eq!(names(&[after, still.clone()], &all, &[]), ["d/a"]);
        assert_eq!(names(&[still], &all, &["d/a"]), ["d/a"]);
    }

    #[test]
    fn who_is_gone_holds_nothing_up_unless_it_may_be_anywhere() {
        let gone = verdict(&[], &[("d/gone", false)]);
        assert_eq!(names(&[gone], &pods(&[]), &[]), [""; 0]);
        let name = format!("{ID} 4af1");
        let nameless = verdict(&[], &[(&name, false)]);
        assert_eq!(names(&[nameless], &pods(&[]), &[]), [name.as_str()]);
    }

    #[test]
    fn more_than_can_be_named_hold_it_up_too() {
        let many: Vec<String> = (0..MOST_NAMED + 5).map(|n| format!("d/gone{n}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), false)).collect();
        assert_eq!(names(&[verdict(&[], &many)], &pods(&[]), &[]), ["5 more"]);
    }

    #[test]
    fn an_entry_of_thousands_fits() {
        let names: Vec<String> = (0..10_000).map(|n| format!("shop/web-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = serde_json::to_string(&verdict(&names, &[])).unwrap();
        assert!(text.len() < 200_000, "{}", text.len());
    }
}

//! What the replicas of the control plane say together.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::{ControlPlaneStatus, Problem, ProxyStatus};
use serde::Serialize;

use super::ReplicaReport;

/// All replicas summed up. Each proxy is connected to one of them, and each counts the
/// revisions of its own life; the content's digest is what they have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// As one control plane would say it; none if no replica answers. `revision` is the only
    /// replica's, or 0 if there are several; `digest` is empty if they do not agree.
    pub status: Option<ControlPlaneStatus>,
    /// Replicas that answer.
    pub answering: usize,
    /// Contents that replicas have published; one, unless they are about to agree.
    pub digests: BTreeSet<String>,
    /// Every proxy, by workload.
    pub proxies: BTreeMap<String, SeenProxy>,
    /// Every problem, once.
    pub problems: Vec<Problem>,
}

/// A proxy, and who sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenProxy {
    /// The replica that it is, or was last, connected to.
    pub replica: String,
    /// That replica's newest revision.
    pub newest: u64,
    /// What that replica says.
    #[serde(flatten)]
    pub status: ProxyStatus,
}

// === impl Overview ===

impl Overview {
    /// Sums up.
    pub fn new(reports: &[ReplicaReport]) -> Self {
        let answering = reports
            .iter()
            .filter_map(|report| Some((report, report.status.as_ref()?)))
            .collect::<Vec<_>>();
        let mut overview = Self {
            answering: answering.len(),
            digests: answering
                .iter()
                .map(|(_, status)| status.digest.clone())
                .collect(),
            ..Self::default()
        };
        for (report, status) in &answering {
            for proxy in &report.proxies {
                let seen = SeenProxy {
                    replica: report.replica.clone(),
                    newest: status.revision,
                    status: proxy.clone(),
                };
                match overview.proxies.get(&proxy.workload) {
                    // It has moved: the replica that it left remembers it for a while.
                    Some(other) if other.status.connected || !proxy.connected => {}
                    _ => {
                        overview.proxies.insert(proxy.workload.clone(), seen);
                    }
                }
            }
            for problem in &report.problems {
                if !overview.problems.contains(problem) {
                    overview.problems.push(problem.clone());
                }
            }
        }
        overview.status = answering.first().map(|(_, first)| ControlPlaneStatus {
            revision: if answering.len() == 1 {
                first.revision
            } else {
                0
            },
            digest: if overview.digests.len() == 1 {
                first.digest.clone()
            } else {
                String::new()
            },
            connected: answering.iter().map(|(_, status)| status.connected).sum(),
            current: answering.iter().map(|(_, status)| status.current).sum(),
            errors: largest(&answering, |status| status.errors),
            warnings: largest(&answering, |status| status.warnings),
            trust_domain: first.trust_domain.clone(),
            build_version: first.build_version.clone(),
        });
        overview
    }

    /// Whether all replicas have published the same.
    pub fn agrees(&self) -> bool {
        self.digests.len() <= 1
    }
}

/// Replicas that agree count the same; of others, the worst counts.
fn largest(
    answering: &[(&ReplicaReport, &ControlPlaneStatus)],
    number: impl Fn(&ControlPlaneStatus) -> u32,
) -> u32 {
    let all = answering.iter().map(|(_, status)| number(status));
    all.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(workload: &str, connected: bool, acked: u64) -> ProxyStatus {
        ProxyStatus {
            workload: workload.to_owned(),
            connected,
            acked_revision: acked,
            ..ProxyStatus::default()
        }
    }

    fn problem(message: &str) -> Problem {
        Problem {
            message: message.to_owned(),
            ..Problem::default()
        }
    }

    fn report(
        replica: &str,
        revision: u64,
        digest: &str,
        proxies: Vec<ProxyStatus>,
    ) -> ReplicaReport {
        let connected = proxies.iter().filter(|proxy| proxy.connected).count();
        ReplicaReport {
            replica: replica.to_owned(),
            status: Some(ControlPlaneStatus {
                revision,
                digest: digest.to_owned(),
                connected: u32::try_from(connected).unwrap(),
                current: 1,
                errors: 1,
                ..ControlPlaneStatus::default()
            }),
            proxies,
            problems: vec![problem("p")],
            ..ReplicaReport::default()
        }
    }

    #[test]
    fn sums_up_replicas() {
        let reports = [
            report(
                "m1",
                7,
                "d",
                vec![proxy("n/a", true, 7), proxy("n/b", false, 3)],
            ),
            report(
                "m2",
                2,
                "d",
                vec![proxy("n/a", false, 1), proxy("n/b", true, 2)],
            ),
            ReplicaReport {
                replica: "m3".to_owned(),
                error: Some("Pending".to_owned()),
                ..ReplicaReport::default()
            },
        ];
        let overview = Overview::new(&reports);
        let status = overview.status.clone().unwrap();
        assert_eq!((status.connected, status.current, status.errors), (2, 2, 1));
        assert_eq!((status.revision, status.digest.as_str()), (0, "d"));
        assert_eq!(overview.answering, 2);
        assert!(overview.agrees());
        assert_eq!(overview.problems, [problem("p")]);
        let seen = |name: &str| {
            let seen = &overview.proxies[name];
            (
                seen.replica.as_str(),
                seen.newest,
                seen.status.acked_revision,
            )
        };
        assert_eq!(seen("n/a"), ("m1", 7, 7));
        assert_eq!(seen("n/b"), ("m2", 2, 2));
    }

    #[test]
    fn one_replica_is_what_it_is_and_several_may_disagree() {
        let one = Overview::new(&[report("m", 7, "d", vec![])]);
        assert_eq!(one.status.unwrap().revision, 7);
        let two = Overview::new(&[report("a", 1, "d", vec![]), report("b", 1, "e", vec![])]);
        assert!(!two.agrees());
        assert_eq!(two.status.unwrap().digest, "");
        assert_eq!(Overview::new(&[]).status, None);
    }
}

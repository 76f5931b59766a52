//! Pods by the names that people use for them.

use std::collections::BTreeSet;

use super::PodInfo;

/// What was typed: `NAME`, `NAMESPACE/NAME`, `deploy/NAME` or `NAMESPACE/deploy/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As it was typed.
    pub text: String,
    /// The namespace, if it was named.
    pub namespace: Option<String>,
    kind: Option<&'static str>,
    name: String,
}

/// Why no pod was found.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// None fits.
    #[error("no workload is called `{asked}` {place}{known}")]
    None {
        /// What was asked for.
        asked: String,
        /// Where.
        place: String,
        /// `; there are a, b`, or nothing.
        known: String,
    },
    /// Several fit.
    #[error("`{asked}` fits several workloads, {candidates}: name one of them in full")]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// Which.
        candidates: String,
    },
}

/// Kinds of controllers, with what kubectl calls them for short.
const KINDS: [(&str, &[&str]); 7] = [
    ("Pod", &["pod", "pods", "po"]),
    ("Deployment", &["deployment", "deployments", "deploy"]),
    ("StatefulSet", &["statefulset", "statefulsets", "sts"]),
    ("DaemonSet", &["daemonset", "daemonsets", "ds"]),
    ("ReplicaSet", &["replicaset", "replicasets", "rs"]),
    ("Job", &["job", "jobs"]),
    (
        "ReplicationController",
        &["replicationcontroller", "replicationcontrollers", "rc"],
    ),
];

// === impl Asked ===

impl Asked {
    /// Takes it apart.
    pub fn parse(text: &str) -> Self {
        let kind_of = |word: &str| {
            KINDS
                .iter()
                .find(|(_, short)| short.contains(&word.to_ascii_lowercase().as_str()))
                .map(|(kind, _)| *kind)
        };
        let parts = text.split('/').collect::<Vec<_>>();
        let (namespace, kind, name) = match parts.as_slice() {
            [namespace, kind, name] => (Some(*namespace), kind_of(kind), *name),
            [first, name] => match kind_of(first) {
                Some(kind) => (None, Some(kind), *name),
                None => (Some(*first), None, *name),
            },
            _ => (None, None, text),
        };
        Self {
            text: text.to_owned(),
            namespace: namespace.map(str::to_owned),
            kind,
            name: name.to_owned(),
        }
    }

    /// The same, in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    fn fits(&self, pod: &PodInfo, how: How) -> bool {
        match how {
            How::Pod => self.kind.is_none_or(|kind| kind == "Pod") && pod.name == self.name,
            How::Controller => {
                self.kind.is_none_or(|kind| kind == pod.controller.0)
                    && pod.controller.1 == self.name
            }
            How::App => {
                self.kind.is_none()
                    && ["app", "app.kubernetes.io/name"]
                        .iter()
                        .any(|label| pod.labels.get(*label) == Some(&self.name))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum How {
    Pod,
    Controller,
    App,
}

/// The pod that is meant: by its name, else by what made it, else by its `app` label. Of the
/// pods of one controller the first that is ready will do; of several controllers none will.
///
/// # Errors
/// If none fits, or pods of several controllers.
pub fn find<'a>(pods: &'a [PodInfo], asked: &Asked) -> Result<&'a PodInfo, LookupError> {
    let here = |pod: &&PodInfo| {
        asked
            .namespace
            .as_ref()
            .is_none_or(|namespace| pod.namespace == *namespace)
    };
    for how in [How::Pod, How::Controller, How::App] {
        let mut fitting = pods
            .iter()
            .filter(here)
            .filter(|pod| asked.fits(pod, how))
            .collect::<Vec<_>>();
        // What has ended is meant only if nothing else is.
        if fitting.iter().any(|pod| pod.alive()) {
            fitting.retain(|pod| pod.alive());
        }
        let made_by = fitting
            .iter()
            .map(|pod| (&pod.namespace, &pod.controller))
            .collect::<BTreeSet<_>>();
        if made_by.len() > 1 {
            return Err(LookupError::Ambiguous {
                asked: asked.text.clone(),
                candidates: names(fitting.iter().copied()),
            });
        }
        fitting.sort_by_key(|pod| (!pod.ready, &pod.name));
        if let Some(first) = fitting.first() {
            return Ok(first);
        }
    }
    let known = names(pods.iter().filter(here));
    Err(LookupError::None {
        asked: asked.text.clone(),
        place: asked.namespace.as_ref().map_or_else(
            || "in the cluster".to_owned(),
            |namespace| format!("in namespace {namespace}"),
        ),
        known: if known.is_empty() {
            String::new()
        } else {
            format!("; there are {known}")
        },
    })
}

/// At most this many names fit a message.
const NAMED: usize = 20;

fn names<'a>(pods: impl Iterator<Item = &'a PodInfo>) -> String {
    let all = pods
        .map(|pod| match pod.controller.0.as_str() {
            "Deployment" => format!("{}/deploy/{}", pod.namespace, pod.controller.1),
            _ => pod.uid(),
        })
        .collect::<BTreeSet<_>>();
    let more = all.len().saturating_sub(NAMED);
    let mut text = all.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::PodKind;
    use super::*;

    fn pod(namespace: &str, deployment: &str, suffix: &str, app: &str, ready: bool) -> PodInfo {
        PodInfo {
            namespace: namespace.to_owned(),
            name: format!("{deployment}-{suffix}"),
            controller: ("Deployment".to_owned(), deployment.to_owned()),
            labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
            kind: PodKind::Sidecar,
            ready,
            phase: if suffix == "gone" {
                "Terminating"
            } else {
                "Running"
            }
            .to_owned(),
            ..PodInfo::default()
        }
    }

    fn pods() -> Vec<PodInfo> {
        vec![
            pod("default", "reviews-v1", "a1", "reviews", false),
            pod("default", "reviews-v1", "b2", "reviews", true),
            pod("default", "reviews-v2", "c3", "reviews", true),
            pod("default", "ratings-v1", "gone", "ratings", false),
            pod("default", "ratings-v1", "d4", "ratings", false),
            pod("other", "ratings-v1", "e5", "ratings", true),
            pod(
                "istio-system",
                "gateway",
                "f6",
                "istio-ingressgateway",
                true,
            ),
        ]
    }

    #[test]
    fn finds_pods_by_any_clear_name() {
        let pods = pods();
        for (asked, found) in [
            ("reviews-v1-a1", "default/reviews-v1-a1"),
            ("default/reviews-v1-a1", "default/reviews-v1-a1"),
            ("pod/reviews-v2-c3", "default/reviews-v2-c3"),
            ("reviews-v1", "default/reviews-v1-b2"),
            ("deploy/reviews-v1", "default/reviews-v1-b2"),
            ("default/deployment/reviews-v2", "default/reviews-v2-c3"),
            ("other/ratings", "other/ratings-v1-e5"),
            ("default/ratings", "default/ratings-v1-d4"),
            ("default/ratings-v1-gone", "default/ratings-v1-gone"),
            ("istio-ingressgateway", "istio-system/gateway-f6"),
        ] {
            assert_eq!(
                find(&pods, &Asked::parse(asked)).map(PodInfo::uid),
                Ok(found.to_owned()),
                "{asked}"
            );
        }
    }

    #[test]
    fn says_what_there_is_when_it_is_not_clear() {
        let pods = pods();
        for (asked, part) in [
            (
                "reviews",
                "default/deploy/reviews-v1, default/deploy/reviews-v2",
            ),
            (
                "ratings",
                "default/deploy/ratings-v1, other/deploy/ratings-v1",
            ),
            ("nobody", "no workload is called `nobody`"),
            (
                "other/nobody",
                "in namespace other; there are other/deploy/ratings-v1",
            ),
            ("sts/reviews-v1", "no workload"),
            ("deploy/reviews", "no workload"),
        ] {
            let error = find(&pods, &Asked::parse(asked)).unwrap_err().to_string();
            assert!(error.contains(part), "{asked}: {error}");
        }
    }
}

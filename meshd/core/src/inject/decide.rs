//! Whether a pod gets a proxy.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::settings::InjectSettings;
use super::{PROXY_CONTAINER, STATUS_ANNOTATION};

/// Namespaces of Kubernetes itself, where nothing is injected (Istio: `IgnoredNamespaces`).
const IGNORED_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
const INJECT: &str = "sidecar.istio.io/inject";
const REVISION: &str = "istio.io/rev";
const NAMESPACE_INJECTION: &str = "istio-injection";
/// The name by which the default revision is asked for.
const DEFAULT_REVISION: &str = "default";

/// Whether a pod gets a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These templates are applied, in order.
    Inject(Vec<String>),
    /// It stays as it is.
    Skip(SkipReason),
}

/// Why a pod gets no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It uses the network of its node; capture would change the node's.
    HostNetwork,
    /// It lives in a namespace of Kubernetes itself.
    IgnoredNamespace,
    /// Its namespace has `istio-injection` with another value than `enabled`.
    NamespaceDisabled,
    /// Its namespace or itself asks for another revision.
    OtherRevision(String),
    /// Neither it nor its namespace asks for a proxy.
    NotSelected,
    /// Its label or annotation says `sidecar.istio.io/inject: "false"`.
    PodDisabled,
    /// A selector of the installation excludes it.
    NeverSelector,
    /// It has one.
    AlreadyInjected,
    /// The object makes no pods.
    NoPod,
}

/// Decides by the labels of the namespace and the pod, with Istio's precedence: the namespace's
/// `istio-injection` beats its `istio.io/rev`, any of the two beats the pod's labels except
/// `sidecar.istio.io/inject: "false"`, and that label beats the annotation of the same name.
pub fn decide(
    pod: &Value,
    namespace: &str,
    namespace_labels: &BTreeMap<String, String>,
    settings: &InjectSettings,
) -> Decision {
    // What cannot have a proxy is told first: it is the more useful answer.
    if let Decision::Skip(
        reason @ (SkipReason::HostNetwork
        | SkipReason::IgnoredNamespace
        | SkipReason::AlreadyInjected),
    ) = decide_selected(pod, namespace, settings)
    {
        return Decision::Skip(reason);
    }
    match selected(pod, namespace_labels, settings) {
        Ok(()) => decide_selected(pod, namespace, settings),
        Err(reason) => Decision::Skip(reason),
    }
}

/// Decides about a pod that the selectors of the webhook configuration have let through: they
/// compare the labels with the revision as [`decide`] does. The API server applies them to the
/// labels of this very moment, which a watch may not have seen yet.
pub fn decide_selected(pod: &Value, namespace: &str, settings: &InjectSettings) -> Decision {
    let host_network = pod
        .pointer("/spec/hostNetwork")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    if host_network {
        return Decision::Skip(SkipReason::HostNetwork);
    }
    if IGNORED_NAMESPACES.contains(&namespace) {
        return Decision::Skip(SkipReason::IgnoredNamespace);
    }
    if is_injected(pod) {
        return Decision::Skip(SkipReason::AlreadyInjected);
    }
    match asked(pod) {
        Some(false) => return Decision::Skip(SkipReason::PodDisabled),
        Some(true) => {}
        None => {
            let matches = |selector: &super::LabelSelector| selector.matches(|key| label(pod, key));
            if settings.never_inject_selector.iter().any(matches) {
                return Decision::Skip(SkipReason::NeverSelector);
            }
            if !settings.auto_inject && !settings.always_inject_selector.iter().any(matches) {
                return Decision::Skip(SkipReason::NotSelected);
            }
        }
    }
    Decision::Inject(templates(pod, settings))
}

/// Istio's four webhooks, one after the other.
fn selected(
    pod: &Value,
    namespace_labels: &BTreeMap<String, String>,
    settings: &InjectSettings,
) -> Result<(), SkipReason> {
    if label(pod, INJECT) == Some("false") {
        return Err(SkipReason::PodDisabled);
    }
    let is_ours = |revision: &str| {
        revision == settings.revision
            || settings.tags.iter().any(|tag| tag == revision)
            || (settings.default_revision && revision == DEFAULT_REVISION)
    };
    let by_revision = |revision: &str| {
        if is_ours(revision) {
            Ok(())
        } else {
            Err(SkipReason::OtherRevision(revision.to_owned()))
        }
    };
    let by_default = |asked: bool| match (asked, settings.default_revision) {
        (false, _) => Err(SkipReason::NotSelected),
        (true, true) => Ok(()),
        (true, false) => Err(SkipReason::OtherRevision(DEFAULT_REVISION.to_owned())),
    };
    match (
        namespace_labels
            .get(NAMESPACE_INJECTION)
            .map(String::as_str),
        namespace_labels.get(REVISION),
    ) {
        (Some("enabled"), _) => by_default(true),
        (Some(_), _) => Err(SkipReason::NamespaceDisabled),
        (None, Some(revision)) => by_revision(revision),
        (None, None) => match label(pod, REVISION) {
            Some(revision) => by_revision(revision),
            None => match label(pod, INJECT) {
                Some("true") => by_default(true),
                Some(_) => by_default(false),
                None => by_default(settings.enable_namespaces_by_default),
            },
        },
    }
}

/// What the pod itself says. Values other than `true` and `false` say nothing.
fn asked(pod: &Value) -> Option<bool> {
    let said = label(pod, INJECT).or_else(|| annotation(pod, INJECT))?;
    match said {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn templates(pod: &Value, settings: &InjectSettings) -> Vec<String> {
    let Some(list) = annotation(pod, "inject.istio.io/templates") else {
        return settings.default_templates.clone();
    };
    let names = list.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether everything is there that the annotation of an earlier injection lists. The annotation
/// alone may have been copied.
fn is_injected(pod: &Value) -> bool {
    let Some(status) = annotation(pod, STATUS_ANNOTATION)
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return false;
    };
    let listed = ["initContainers", "containers"]
        .iter()
        .filter_map(|list| status.get(list).and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str);
    let there: Vec<&str> = ["/spec/initContainers", "/spec/containers"]
        .iter()
        .filter_map(|list| pod.pointer(list).and_then(Value::as_array))
        .flatten()
        .filter_map(|container| container.get("name").and_then(Value::as_str))
        .collect();
    let mut names = listed.peekable();
    // A status without names is of a tool that lists nothing: then the proxy must be there.
    if names.peek().is_none() {
        return there.contains(&PROXY_CONTAINER);
    }
    names.all(|name| there.contains(&name))
}

/// A label of a pod.
pub(super) fn label<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    pod.pointer("/metadata/labels")?.get(name)?.as_str()
}

/// An annotation of a pod.
pub(super) fn annotation<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    pod.pointer("/metadata/annotations")?.get(name)?.as_str()
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostNetwork => "it uses the network of its node (hostNetwork)",
            Self::IgnoredNamespace => "its namespace belongs to Kubernetes itself",
            Self::NamespaceDisabled => {
                "its namespace has the label istio-injection with another value than `enabled`"
            }
            Self::OtherRevision(revision) => {
                return write!(
                    f,
                    "it is asked for by the revision `{revision}`, not by this one"
                );
            }
            Self::NotSelected => "neither it nor its namespace has a label that asks for a proxy",
            Self::PodDisabled => "its label or annotation says sidecar.istio.io/inject: \"false\"",
            Self::NeverSelector => "a neverInjectSelector of the installation excludes it",
            Self::AlreadyInjected => "it has a proxy already",
            Self::NoPod => "it makes no pods",
        })
    }
}

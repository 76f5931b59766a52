//! Injection into pods and into objects that make pods.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use super::decide::{Decision, SkipReason, decide_selected};
use super::finish::{Added, finish};
use super::merge::merge;
use super::options::Options;
use super::settings::InjectSettings;
use super::template::Input;
use super::{PROXY_CONTAINER, container, owner, workload_api};
use crate::ProxyConfigs;

/// Where a pod is injected.
#[derive(Clone, Copy, Debug)]
pub struct InjectContext<'a> {
    /// Namespace of objects that name none.
    pub namespace: &'a str,
    /// Labels of the namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// Whether all nodes can run native sidecars.
    pub native_sidecars: bool,
    /// Name of the cluster, if it is another than the settings say.
    pub cluster: Option<&'a str>,
    /// Name of the network, if it is another than the settings say.
    pub network: Option<&'a str>,
    /// What ProxyConfigs say ([`World::proxy_configs`](crate::World::proxy_configs)).
    pub proxy_configs: &'a ProxyConfigs,
    /// Name of the object that makes the pods, if the pod does not know it yet.
    pub workload: Option<&'a str>,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// `Kind namespace/name`.
    pub object: String,
    /// Whether it has a proxy now.
    pub decision: Decision,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// Why an object cannot be injected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {}", reasons.join("; "))]
pub struct InjectError {
    /// `Kind namespace/name`.
    pub object: String,
    /// Everything that is wrong.
    pub reasons: Vec<String>,
}

/// Injects a proxy into a pod, or into the pods that an object makes (Deployment, StatefulSet,
/// DaemonSet, ReplicaSet, ReplicationController, Job, CronJob, PodTemplate; each item of a List).
/// Tells of each object what became of it. Who selects pods by namespace labels has done so
/// before, see [`decide_selected`].
///
/// # Errors
/// If an annotation makes no sense, a template is missing or the object is misshapen: with
/// everything that is wrong. The object is as before then.
pub fn inject(
    object: &mut Value,
    settings: &InjectSettings,
    context: &InjectContext<'_>,
) -> Result<Vec<Injection>, InjectError> {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind.ends_with("List")
        && let Some(items) = object.get("items").and_then(Value::as_array)
    {
        let mut items = items.clone();
        let mut outcomes = Vec::new();
        for item in &mut items {
            outcomes.extend(inject(item, settings, context)?);
        }
        if let Value::Object(object) = object {
            object.insert("items".to_owned(), items.into());
        }
        return Ok(outcomes);
    }
    let name = full_name(object, context);
    let skipped = |object: String| Injection {
        object,
        decision: Decision::Skip(SkipReason::NoPod),
        warnings: Vec::new(),
    };
    let Some(path) = pod_path(object) else {
        return Ok(vec![skipped(name)]);
    };
    let workload = metadata_text(object, "name").to_owned();
    let namespace = namespace(object, context).to_owned();
    let makes_jobs = matches!(kind, "Job" | "CronJob");
    let Some(pod) = object.pointer_mut(path) else {
        return Ok(vec![skipped(name)]);
    };
    let own = InjectContext {
        namespace: &namespace,
        // A pod's name says nothing about what made it.
        workload: (!path.is_empty())
            .then_some(workload.as_str())
            .or(context.workload),
        ..*context
    };
    inject_pod(pod, settings, &own, makes_jobs)
        .map(|(decision, warnings)| {
            vec![Injection {
                object: name.clone(),
                decision,
                warnings,
            }]
        })
        .map_err(|reasons| InjectError {
            object: name,
            reasons,
        })
}

fn inject_pod(
    pod: &mut Value,
    settings: &InjectSettings,
    context: &InjectContext<'_>,
    makes_jobs: bool,
) -> Result<(Decision, Vec<String>), Vec<String>> {
    check_shape(pod)?;
    let decision = decide_selected(pod, context.namespace, settings);
    let Decision::Inject(names) = &decision else {
        return Ok((decision, Vec::new()));
    };
    let mut options = Options::read(pod, settings, context)?;
    // A gateway is the pod's application, not something beside it.
    options.native &= !names.iter().any(|name| name == "gateway");
    let input = Input {
        pod,
        options: &options,
        settings,
        context,
    };
    let parts = names
        .iter()
        .map(|name| input.render(name))
        .collect::<Result<Vec<Value>, String>>()
        .map_err(|error| vec![error])?;
    let mut warnings = options.warnings.clone();
    warnings.extend(advice(pod, &options, makes_jobs));
    let mut changed = pod.clone();
    let mut added = Added::default();
    for part in &parts {
        added.note(part);
        let native_proxy = has(part, "initContainers", PROXY_CONTAINER);
        if native_proxy {
            move_to_init(&mut changed);
        }
        merge(&mut changed, part.clone());
    }
    for part in &parts {
        reapply(&mut changed, pod, part);
    }
    if options.workload_api {
        workload_api::give(&mut changed);
    }
    warnings.extend(finish(&mut changed, &added, &options, settings).map_err(|error| vec![error])?);
    *pod = changed;
    Ok((decision, warnings))
}

/// Puts the pod's own containers that have the name of an injected one over it: so its author
/// overrides single fields. The image `auto` stands for the injected one.
fn reapply(changed: &mut Value, original: &Value, part: &Value) {
    for list in ["containers", "initContainers"] {
        let path = format!("/spec/{list}");
        for name in super::template::names(part, &path) {
            let own = ["/spec/containers", "/spec/initContainers"]
                .iter()
                .filter_map(|list| original.pointer(list).and_then(Value::as_array))
                .flatten()
                .find(|own| own.get("name").and_then(Value::as_str) == Some(name));
            let Some(Value::Object(own)) = own else {
                continue;
            };
            let mut own = own.clone();
            if matches!(own.get("image"), Some(Value::String(image)) if image == "auto" || image.is_empty())
            {
                own.shift_remove("image");
            }
            merge(changed, json!({"spec": {list: [own]}}));
        }
    }
}

/// A proxy's container that the pod's author has written among the applications.
fn move_to_init(pod: &mut Value) {
    let containers = pod
        .pointer_mut("/spec/containers")
        .and_then(Value::as_array_mut);
    let Some(containers) = containers else { return };
    let at = containers
        .iter()
        .position(|item| item.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER));
    if let Some(at) = at {
        let own = containers.remove(at);
        merge(pod, json!({"spec": {"initContainers": [own]}}));
    }
}

fn has(part: &Value, list: &str, name: &str) -> bool {
    super::template::names(part, &format!("/spec/{list}")).any(|known| known == name)
}

/// What usually goes wrong.
fn advice(pod: &Value, options: &Options, makes_jobs: bool) -> Vec<String> {
    let mut advice = Vec::new();
    let text = |path: &str| {
        pod.pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let asked = super::decide::label(pod, "sidecar.istio.io/inject")
        .or_else(|| super::decide::annotation(pod, "sidecar.istio.io/inject"));
    if asked.is_some_and(|asked| !matches!(asked, "true" | "false" | "")) {
        advice.push("sidecar.istio.io/inject: write \"true\" or \"false\"".to_owned());
    }
    if !matches!(text("/spec/dnsPolicy"), "" | "ClusterFirst") {
        advice.push(
            "dnsPolicy is not ClusterFirst: the proxy may not find the control plane".to_owned(),
        );
    }
    let grace = number(pod.pointer("/spec/terminationGracePeriodSeconds")).unwrap_or(30);
    if options.config.drain >= grace.saturating_mul(1000) {
        advice.push(format!(
            "terminationDrainDuration is not shorter than terminationGracePeriodSeconds ({grace} s): connections are cut"
        ));
    }
    let ends = matches!(text("/spec/restartPolicy"), "Never" | "OnFailure");
    if !options.native && (makes_jobs || ends || owner::is_job(pod)) {
        advice.push(
            "a pod that ends needs a native sidecar; with this one the application must POST http://127.0.0.1:15020/quitquitquit at its end"
                .to_owned(),
        );
    }
    let users = [
        pod.pointer("/spec/containers"),
        pod.pointer("/spec/initContainers"),
    ];
    for item in users
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
    {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let user = number(item.pointer("/securityContext/runAsUser"))
            .or_else(|| number(pod.pointer("/spec/securityContext/runAsUser")));
        if name != PROXY_CONTAINER && user == Some(container::USER) {
            advice.push(format!(
                "the container {name} runs as user 1337, the proxy's: its traffic is not captured"
            ));
        }
    }
    advice
}

/// Checks the parts of a pod that are read and changed. What else is wrong the API server says.
fn check_shape(pod: &Value) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let mut expect = |path: &str, what: &str, fits: &dyn Fn(&Value) -> bool| {
        let field = path.trim_start_matches('/').replace('/', ".");
        if let Some(value) = pod.pointer(path)
            && !value.is_null()
            && !fits(value)
        {
            wrong.push(format!("{field} is not {what}"));
        }
    };
    let texts = |value: &Value| {
        let object = value.as_object();
        object.is_some_and(|object| object.values().all(Value::is_string))
    };
    let named = |value: &Value| {
        let list = value.as_array();
        list.is_some_and(|list| {
            list.iter().all(|item| {
                item.get("name").is_some_and(Value::is_string)
                    && ["env", "ports", "volumeMounts"].iter().all(|list| {
                        item.get(list)
                            .is_none_or(|list| list.is_null() || list.is_array())
                    })
            })
        })
    };
    expect("/metadata", "an object", &Value::is_object);
    expect("/metadata/labels", "an object of texts", &texts);
    expect("/metadata/annotations", "an object of texts", &texts);
    expect("/spec", "an object", &Value::is_object);
    expect("/spec/securityContext", "an object", &Value::is_object);
    expect("/spec/containers", "a list of named containers", &named);
    expect("/spec/initContainers", "a list of named containers", &named);
    expect("/spec/volumes", "a list of named volumes", &named);
    if pod.pointer("/spec/containers").is_none_or(Value::is_null) {
        wrong.push("spec.containers is required".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Where the pod stands in an object: its path, if its kind has one.
fn pod_path(object: &Value) -> Option<&'static str> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group);
    match (group, text("kind")) {
        ("", "Pod") => Some(""),
        ("", "PodTemplate") => Some("/template"),
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")
        | ("batch", "Job") => Some("/spec/template"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

fn metadata_text<'a>(object: &'a Value, key: &str) -> &'a str {
    let metadata: Option<&Map<String, Value>> = object.get("metadata").and_then(Value::as_object);
    metadata
        .and_then(|metadata| metadata.get(key)?.as_str())
        .unwrap_or_default()
}

fn namespace<'a>(object: &'a Value, context: &InjectContext<'a>) -> &'a str {
    match metadata_text(object, "namespace") {
        "" => context.namespace,
        namespace => namespace,
    }
}

fn full_name(object: &Value, context: &InjectContext<'_>) -> String {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("object");
    let name = match metadata_text(object, "name") {
        "" => metadata_text(object, "generateName"),
        name => name,
    };
    format!("{kind} {}/{name}", namespace(object, context))
}

// === impl InjectContext ===

impl Default for InjectContext<'_> {
    /// The namespace `default`, of which nothing is known, on nodes that can run native sidecars,
    /// without ProxyConfigs.
    fn default() -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        static NO_CONFIGS: ProxyConfigs = ProxyConfigs::NONE;
        Self {
            namespace: "default",
            namespace_labels: &NONE,
            native_sidecars: true,
            cluster: None,
            network: None,
            proxy_configs: &NO_CONFIGS,
            workload: None,
        }
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Inject(templates) => {
                write!(f, "{}: injected ({})", self.object, templates.join(", "))
            }
            Decision::Skip(reason) => write!(f, "{}: not injected: {reason}", self.object),
        }
    }
}

//! Sidecar injection: which pods get a proxy, and what is added to them.
//!
//! ```text
//! pod JSON ──► decide ──► options (annotations) ──► templates ──► merge ──► finish ──► pod JSON
//! ```
//!
//! - [`decide`](fn@decide) says whether a pod gets a proxy, by Istio's labels and their precedence.
//! - [`inject`](fn@inject) changes a pod, or the pod template of an object that makes pods. The
//!   admission webhook and the offline command call it alike, so both give the same pod.
//! - [`InjectSettings`] is what the installation says; annotations on the pod override it.
//!
//! It works on JSON, so that fields of Kubernetes that this version does not know survive.

mod apply;
mod capture;
mod container;
mod decide;
mod environment;
mod finish;
mod merge;
mod options;
mod owner;
mod probes;
mod prometheus;
mod proxy_config;
mod selector;
mod settings;
mod template;
mod values;
mod workload_api;

pub use apply::{InjectContext, InjectError, Injection, inject};
pub use decide::{Decision, SkipReason, decide, decide_selected};
pub use selector::{LabelSelector, Operator, Requirement};
pub use settings::{
    CaptureMethod, InjectSettings, InjectSettingsError, InterceptionMode, NativeSidecars,
    ReadinessProbe, StartupProbe, Template,
};

/// The proxy's container (Istio's name, so that its tools find it).
const PROXY_CONTAINER: &str = "istio-proxy";
/// The container that redirects a pod's traffic to the proxy.
const INIT_CONTAINER: &str = "istio-init";
/// The annotation that lists what was injected.
const STATUS_ANNOTATION: &str = "sidecar.istio.io/status";

#[cfg(test)]
mod tests;

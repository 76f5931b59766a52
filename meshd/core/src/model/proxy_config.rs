//! ProxyConfig.

use super::Meta;
use crate::yaml::Labels;

/// A ProxyConfig: how proxies are started.
#[derive(Debug)]
pub(crate) struct ProxyConfigObject {
    pub(crate) meta: Meta,
    /// Absent holds for the namespace, or in the root namespace for the mesh. One without labels
    /// selects nothing (Istio: mergedWorkloadConfig).
    pub(crate) selector: Option<Labels>,
    /// Data threads, 0 as many as the CPU limit. Absent inherits.
    pub(crate) concurrency: Option<u32>,
    /// `environmentVariables`, laid over those of the levels above.
    pub(crate) environment: Labels,
}

//! The container that redirects a pod's traffic to its proxy.

use serde_json::{Value, json};

use super::INIT_CONTAINER;
use super::options::Options;
use super::settings::InjectSettings;

/// It runs as root with the two capabilities that changing the pod's netfilter rules takes, and
/// with nothing else.
pub(super) fn container(options: &Options, settings: &InjectSettings, uid: u64) -> Value {
    let mut arguments = vec!["capture".to_owned(), "install".to_owned()];
    if uid != super::container::USER {
        arguments.push(format!("--uid={uid}"));
    }
    if options.dns_capture {
        arguments.push("--dns".to_owned());
    }
    let given = options.capture.iter();
    arguments.extend(given.map(|(option, value)| format!("--{option}={value}")));
    let resources = options
        .resources
        .clone()
        .unwrap_or_else(|| settings.init_resources.clone());
    let mut container = json!({
        "name": INIT_CONTAINER,
        "image": settings.image(&settings.init_image),
        "args": arguments,
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    super::container::set_pull_policy(&mut container, settings);
    container
}

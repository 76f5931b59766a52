//! The status of routes, Gateways and GatewayClasses of the Gateway API. What it should say is
//! the compiler's to know; here it is compared with what is there, and written.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use meshd_core::{ObjectKey, World};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Subject;
use super::writer::ANSWER;
use crate::kubernetes::client::words;
use crate::kubernetes::source::GATEWAY_API;

/// What an object shows on the API server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shown {
    version: String,
    status: Value,
}

/// What was written last, and what the API server has made of it: it may add defaults.
#[derive(Debug)]
pub(super) struct Settled {
    due: Value,
    shown: Value,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Write {
    Taken(Shown),
    /// For good: there is no such object, or the API server does not take it.
    Refused,
    /// The object has changed meanwhile.
    Outdated,
    Later,
}

// === impl Shown ===

impl Shown {
    /// Of an object of the Gateway API; of others nothing is kept.
    pub(crate) fn of(object: &Value) -> Self {
        let group = object.get("apiVersion").and_then(Value::as_str);
        let group = group.and_then(|version| version.split_once('/'));
        if group.is_none_or(|(group, _)| group != GATEWAY_API) {
            return Self::default();
        }
        let version = object.pointer("/metadata/resourceVersion");
        Self {
            version: version
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            status: object.get("status").cloned().unwrap_or_default(),
        }
    }
}

// === impl Settled ===

impl Settled {
    pub(super) fn new(due: Value, shown: &Shown) -> Self {
        Self {
            due: timeless(due),
            shown: shown.status.clone(),
        }
    }
}

// === impl Write ===

impl Write {
    /// Whether the API server has taken it, if it has said anything final.
    pub(super) fn taken(&self) -> Option<bool> {
        match self {
            Self::Taken(_) => Some(true),
            Self::Refused | Self::Later => Some(false),
            Self::Outdated => None,
        }
    }
}

/// The status that is to be written, if it is not there already.
pub(super) fn due(
    world: &World,
    (key, subject): (&ObjectKey, &Subject),
    (settled, now): (Option<&Settled>, &str),
) -> Option<Value> {
    let shown = &subject.shown.status;
    let due = world.gateway_api_status(key, subject.generation, (shown, now))?;
    let mut fields = due.as_object()?.iter();
    if fields.all(|(name, value)| shown.get(name) == Some(value)) {
        return None;
    }
    // Written already: the API server says it in its own words, or another control plane of the
    // same name says something else, and two that correct each other would never end.
    let same = |settled: &Settled| {
        settled.due == timeless(due.clone())
            && (settled.shown == *shown || is_told(&due, shown) == Some(true))
    };
    (!settled.is_some_and(same)).then_some(due)
}

/// Whether the object shows something in all the places where something is to be said.
fn is_told(due: &Value, shown: &Value) -> Option<bool> {
    let Some(parents) = due.get("parents") else {
        return Some(!shown.get("conditions")?.as_array()?.is_empty());
    };
    let shown = shown.get("parents")?.as_array()?;
    let place = |entry: &Value| {
        let part = |name: &str| entry.get(name).cloned();
        (part("parentRef"), part("controllerName"))
    };
    let mut parents = parents.as_array()?.iter();
    Some(parents.all(|wanted| shown.iter().any(|entry| place(entry) == place(wanted))))
}

/// Without when conditions came.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.remove("lastTransitionTime");
            for field in fields.values_mut() {
                *field = timeless(std::mem::take(field));
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = timeless(std::mem::take(item));
            }
        }
        _ => {}
    }
    value
}

/// Writes it, unless the object is another by now: entries of other controllers are in the same
/// list.
pub(super) async fn write(
    client: &Client,
    (key, resource): (&ObjectKey, &ApiResource),
    subject: &Subject,
    due: &Value,
) -> Write {
    let client = client.clone();
    let api: Api<DynamicObject> = match key.namespace.as_str() {
        "" => Api::all_with(client, resource),
        namespace => Api::namespaced_with(client, namespace, resource),
    };
    let patch = json!({
        "metadata": { "uid": subject.uid, "resourceVersion": subject.shown.version },
        "status": due,
    });
    let params = PatchParams::default();
    let patch = Patch::Merge(&patch);
    match timeout(ANSWER, api.patch_status(&key.name, &params, &patch)).await {
        Ok(Ok(object)) => Write::Taken(Shown {
            version: object.metadata.resource_version.unwrap_or_default(),
            status: object.data.get("status").cloned().unwrap_or_default(),
        }),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Write::Outdated,
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() || status.is_invalid() => {
            tracing::warn!(object = %key, reason = %status.message, "its status is refused; not written");
            Write::Refused
        }
        Ok(Err(error)) => {
            tracing::warn!(object = %key, reason = %words(&error), "cannot write its status; trying again");
            Write::Later
        }
        Err(_) => Write::Later,
    }
}

#[cfg(test)]
mod tests;

//! The status of objects on the API server: whether they are in force, and what is wrong.
//!
//! Every replica follows what is to be said; only the leader writes it. Istio's objects have one
//! condition of ours, `Accepted`; those of the Gateway API have the conditions that it describes. What other controllers have written stays: where they own the
//! same field, nothing is written. Ingresses that the mesh serves show where its gateways are
//! reached.

mod gateway_api;
mod ingress;
mod ingress_writer;
mod verdict;
mod writer;

use std::collections::BTreeMap;

use meshd_core::ObjectKey;
use serde_json::Value;
use tokio::sync::mpsc;

pub(crate) use self::gateway_api::Shown;
use self::ingress::Fact;
pub(crate) use self::ingress_writer::IngressWriter;
use self::ingress_writer::Seen;
pub(crate) use self::verdict::Written;
pub(crate) use self::writer::StatusWriter;

/// An object whose status is written.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) api_version: String,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) written: Written,
    /// Of objects of the Gateway API: all of it is looked at.
    pub(crate) shown: Shown,
}

/// What the source tells of objects.
#[derive(Debug)]
pub(crate) enum Input {
    /// These versions are published.
    Applied(BTreeMap<ObjectKey, Subject>),
    /// Nothing that means something has changed, but perhaps the status.
    Seen(ObjectKey, Box<Subject>),
    Gone(ObjectKey),
}

/// Takes what the source sees to the writer. Nowhere, if status is not written.
#[derive(Debug)]
pub(crate) struct Subjects {
    inputs: Option<mpsc::UnboundedSender<Input>>,
    ingresses: Option<mpsc::UnboundedSender<Seen>>,
    unpublished: BTreeMap<ObjectKey, Subject>,
}

/// Objects that are published together.
#[derive(Debug)]
pub(crate) struct Batch {
    inputs: Option<mpsc::UnboundedSender<Input>>,
    subjects: BTreeMap<ObjectKey, Subject>,
}

// === impl Subject ===

impl Subject {
    pub(crate) fn of(object: &Value) -> Self {
        let text = |pointer: &str| {
            let value = object.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Self {
            api_version: text("/apiVersion"),
            uid: text("/metadata/uid"),
            generation: object
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or(0),
            written: Written::of(object.get("status")),
            shown: Shown::of(object),
        }
    }
}

// === impl Subjects ===

impl Subjects {
    /// Told on to the writers of Istio's objects and of Ingresses.
    pub(crate) fn new(
        inputs: mpsc::UnboundedSender<Input>,
        ingresses: mpsc::UnboundedSender<Seen>,
    ) -> Self {
        Self {
            inputs: Some(inputs),
            ingresses: Some(ingresses),
            unpublished: BTreeMap::new(),
        }
    }

    /// Told to nobody.
    pub(crate) fn unwritten() -> Self {
        Self {
            inputs: None,
            ingresses: None,
            unpublished: BTreeMap::new(),
        }
    }

    /// An object comes from the API server, whole.
    pub(crate) fn received(&self, key: &ObjectKey, object: &Value) {
        if self.ingresses.is_some()
            && let Some(fact) = Fact::of(key, object)
        {
            tell(self.ingresses.as_ref(), (key.clone(), Some(fact)));
        }
    }

    /// An object is new or changed, and will be published.
    pub(crate) fn changed(&mut self, key: ObjectKey, subject: Subject) {
        if self.inputs.is_some() {
            self.unpublished.insert(key, subject);
        }
    }

    /// An object has changed in nothing that means something.
    pub(crate) fn seen(&mut self, key: ObjectKey, subject: Subject) {
        if let Some(unpublished) = self.unpublished.get_mut(&key) {
            *unpublished = subject;
        } else {
            tell(self.inputs.as_ref(), Input::Seen(key, Box::new(subject)));
        }
    }

    /// An object is gone.
    pub(crate) fn gone(&mut self, key: ObjectKey) {
        self.unpublished.remove(&key);
        tell(self.ingresses.as_ref(), (key.clone(), None));
        tell(self.inputs.as_ref(), Input::Gone(key));
    }

    /// What is published now.
    pub(crate) fn batch(&mut self) -> Batch {
        Batch {
            inputs: self.inputs.clone(),
            subjects: std::mem::take(&mut self.unpublished),
        }
    }
}

// === impl Batch ===

impl Batch {
    /// It is published.
    pub(crate) fn applied(self) {
        if !self.subjects.is_empty() {
            tell(self.inputs.as_ref(), Input::Applied(self.subjects));
        }
    }
}

/// A writer ends with the control plane.
fn tell<T>(inputs: Option<&mpsc::UnboundedSender<T>>, input: T) {
    if let Some(inputs) = inputs {
        let _ = inputs.send(input);
    }
}

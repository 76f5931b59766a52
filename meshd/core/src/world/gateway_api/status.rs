//! What the status of routes, Gateways and GatewayClasses should say (Gateway API: conditions).

use mesh_api::v1::{Problem, Severity};
use serde_json::{Value, json};

use super::Trouble;
use super::classes::CONTROLLER;
use super::listeners::{GatewayVerdict, ListenerVerdict};
use super::parents::{ParentVerdict, RouteVerdict};
use crate::model::{GATEWAY_API, Kind, Listener, ObjectId, ParentRef};
use crate::{ObjectKey, World};

/// Longest message (Gateway API: 32 KiB; readable: less).
const LONGEST: usize = 4096;

/// The version of an object that is spoken of, and when.
#[derive(Clone, Copy)]
struct Moment<'a> {
    /// `metadata.generation`.
    generation: i64,
    /// RFC 3339.
    now: &'a str,
}

/// A condition, without times.
struct Condition<'a> {
    kind: &'a str,
    status: bool,
    reason: &'a str,
    message: String,
}

// === impl World ===

impl World {
    /// The `status` that an object of the Gateway API should have: the parts that are the mesh's.
    /// None if the object is not the mesh's, and was not.
    ///
    /// `generation` is that of the version in force or in quarantine, `shown` the status that the
    /// object has, and `now` the time (RFC 3339), which is when a condition changes. What says the
    /// same already comes back as it is.
    pub fn gateway_api_status(
        &self,
        key: &ObjectKey,
        generation: i64,
        (shown, now): (&Value, &str),
    ) -> Option<Value> {
        let moment = Moment { generation, now };
        let api = &self.inner().gateway_api;
        let id = |kind| ObjectId {
            kind,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        };
        if key.group != GATEWAY_API {
            return None;
        }
        match key.kind.as_str() {
            "HTTPRoute" | "GRPCRoute" => {
                let kind = match key.kind.as_str() {
                    "HTTPRoute" => Kind::HttpRoute,
                    _ => Kind::GrpcRoute,
                };
                let refused = refused(self.problems(), key);
                let verdict = api.routes.get(&id(kind));
                route(verdict, refused.as_deref(), (shown, moment))
            }
            "Gateway" => {
                let verdict = api.gateways.get(&id(Kind::ApiGateway))?;
                Some(gateway(verdict, (shown, moment)))
            }
            "GatewayClass" => {
                let trouble = api.classes.get(&key.name)?;
                let condition = match trouble {
                    None => Condition::good("Accepted", "served by this mesh"),
                    Some(why) => Condition {
                        status: false,
                        reason: "InvalidParameters",
                        ..Condition::good("Accepted", why)
                    },
                };
                Some(
                    json!({ "conditions": conditions([condition], shown.get("conditions"), moment) }),
                )
            }
            _ => None,
        }
    }
}

/// What keeps the last version of an object out of force.
fn refused(problems: &[Problem], key: &ObjectKey) -> Option<String> {
    let mut problems = problems.iter();
    let problem = problems.find(|problem| {
        problem.severity() == Severity::Error
            && problem.origin.as_ref().is_some_and(|origin| {
                origin.kind == key.kind
                    && origin.namespace == key.namespace
                    && origin.name == key.name
            })
    })?;
    Some(problem.message.clone())
}

fn route(
    verdict: Option<&RouteVerdict>,
    refused: Option<&str>,
    (shown, moment): (&Value, Moment<'_>),
) -> Option<Value> {
    let parents = shown.get("parents").and_then(Value::as_array);
    let shown: Vec<&Value> = parents.into_iter().flatten().collect();
    let is_ours = |entry: &&Value| entry.get("controllerName") == Some(&CONTROLLER.into());
    let own = verdict.map_or(&[][..], |verdict| &verdict.parents);
    if own.is_empty() && !shown.iter().any(is_ours) {
        return None;
    }
    // Other controllers' entries stay in front as they are.
    let others = shown.iter().filter(|entry| !is_ours(entry));
    let mut entries: Vec<Value> = others.map(|entry| (*entry).clone()).collect();
    for told in own {
        let reference = reference(&told.parent);
        let mut ours = shown.iter().filter(|entry| is_ours(entry));
        let before = ours.find(|entry| entry.get("parentRef") == Some(&reference));
        let before = before.and_then(|entry| entry.get("conditions"));
        let list = route_conditions(told, verdict, refused);
        entries.push(json!({
            "parentRef": reference,
            "controllerName": CONTROLLER,
            "conditions": conditions(list, before, moment),
        }));
    }
    Some(json!({ "parents": entries }))
}

fn route_conditions(
    told: &ParentVerdict,
    verdict: Option<&RouteVerdict>,
    refused: Option<&str>,
) -> Vec<Condition<'static>> {
    let unusable = verdict.and_then(|verdict| verdict.unusable.as_ref());
    let accepted = match (refused, &told.accepted, unusable) {
        (Some(why), ..) => Condition {
            status: false,
            reason: "UnsupportedValue",
            ..Condition::good("Accepted", why)
        },
        (None, Err(trouble), _) => Condition::bad("Accepted", trouble),
        (None, Ok(()), Some(unusable)) if unusable.all => Condition {
            status: false,
            reason: "UnsupportedValue",
            ..Condition::good("Accepted", &unusable.why)
        },
        (None, Ok(()), _) => Condition::good("Accepted", "in force"),
    };
    let refs = match &told.refs {
        None => Condition {
            reason: "ResolvedRefs",
            ..Condition::good("ResolvedRefs", "all references resolved")
        },
        Some(trouble) => Condition::bad("ResolvedRefs", trouble),
    };
    let mut list = vec![accepted, refs];
    if let Some(unusable) = unusable.filter(|unusable| !unusable.all) {
        list.push(Condition {
            kind: "PartiallyInvalid",
            status: true,
            reason: "UnsupportedValue",
            message: format!("Dropped Rule: {}; it answers with 500", unusable.why),
        });
    }
    list
}

/// As it was written.
fn reference(parent: &ParentRef) -> Value {
    let reference = &parent.reference;
    let mut value = json!({ "name": reference.name });
    let texts = [
        ("group", &reference.group),
        ("kind", &reference.kind),
        ("namespace", &reference.namespace),
        ("sectionName", &parent.section),
    ];
    if let Some(fields) = value.as_object_mut() {
        for (name, text) in texts {
            if let Some(text) = text {
                fields.insert(name.to_owned(), text.clone().into());
            }
        }
        if let Some(port) = parent.port {
            fields.insert("port".to_owned(), port.into());
        }
    }
    value
}

fn gateway(verdict: &GatewayVerdict, (shown, moment): (&Value, Moment<'_>)) -> Value {
    let some_invalid = verdict.listeners().any(|(_, told)| told.accepted.is_err());
    let accepted = match &verdict.accepted {
        Err(trouble) => Condition::bad("Accepted", trouble),
        Ok(()) if some_invalid => Condition {
            reason: "ListenersNotValid",
            ..Condition::good("Accepted", "some of the listeners are not accepted")
        },
        Ok(()) => Condition::good("Accepted", "in force"),
    };
    let programmed = match (&verdict.accepted, &verdict.programmed) {
        (Err(trouble), _) => Condition {
            status: false,
            reason: "Invalid",
            ..Condition::good("Programmed", &trouble.message)
        },
        (Ok(()), Err(trouble)) => Condition::bad("Programmed", trouble),
        (Ok(()), Ok(host)) => Condition {
            reason: "Programmed",
            ..Condition::good("Programmed", &format!("served by the gateways of {host}"))
        },
    };
    let before = |name: &str| {
        let listeners = shown.get("listeners").and_then(Value::as_array);
        let mut listeners = listeners.into_iter().flatten();
        let found = listeners.find(|entry| entry.get("name") == Some(&name.into()));
        found.and_then(|entry| entry.get("conditions"))
    };
    let listeners: Vec<Value> = verdict
        .listeners()
        .map(|(listener, told)| listener_status(listener, told, (before(&listener.name), moment)))
        .collect();
    let addresses: Vec<Value> = verdict
        .programmed
        .iter()
        .map(|host| json!({ "type": "Hostname", "value": host }))
        .collect();
    json!({
        "addresses": addresses,
        "conditions": conditions([accepted, programmed], shown.get("conditions"), moment),
        "listeners": listeners,
    })
}

fn listener_status(
    listener: &Listener,
    told: &ListenerVerdict,
    (before, moment): (Option<&Value>, Moment<'_>),
) -> Value {
    let good = |kind: &'static str, outcome: &Result<(), Trouble>| match outcome {
        Ok(()) => Condition {
            reason: kind,
            ..Condition::good(kind, "no trouble found")
        },
        Err(trouble) => Condition::bad(kind, trouble),
    };
    let conflicted = match &told.conflict {
        None => Condition {
            kind: "Conflicted",
            status: false,
            reason: "NoConflicts",
            message: "no trouble found".to_owned(),
        },
        Some(trouble) => Condition {
            status: true,
            ..Condition::bad("Conflicted", trouble)
        },
    };
    let list = [
        good("Accepted", &told.accepted),
        conflicted,
        good("Programmed", &told.programmed),
        good("ResolvedRefs", &told.refs),
    ];
    let kinds: Vec<Value> = told
        .kinds
        .iter()
        .map(|kind| json!({ "group": GATEWAY_API, "kind": kind.name() }))
        .collect();
    json!({
        "name": listener.name,
        "supportedKinds": kinds,
        "attachedRoutes": told.attached.len(),
        "conditions": conditions(list, before, moment),
    })
}

/// With times: of a status that stays, when it came.
fn conditions<'a>(
    list: impl IntoIterator<Item = Condition<'a>>,
    before: Option<&Value>,
    moment: Moment<'_>,
) -> Vec<Value> {
    let before: Vec<&Value> = before
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    list.into_iter()
        .map(|condition| {
            let status = if condition.status { "True" } else { "False" };
            let mut shown = before.iter();
            let shown = shown.find(|old| old.get("type") == Some(&condition.kind.into()));
            let since = shown
                .filter(|old| old.get("status") == Some(&status.into()))
                .and_then(|old| old.get("lastTransitionTime"))
                .and_then(Value::as_str)
                .unwrap_or(moment.now);
            let mut message = condition.message;
            if message.len() > LONGEST {
                message.truncate(message.floor_char_boundary(LONGEST));
                message.push('…');
            }
            json!({
                "type": condition.kind,
                "status": status,
                "reason": condition.reason,
                "message": message,
                "observedGeneration": moment.generation,
                "lastTransitionTime": since,
            })
        })
        .collect()
}

// === impl Condition ===

impl<'a> Condition<'a> {
    fn good(kind: &'a str, message: &str) -> Self {
        Self {
            kind,
            status: true,
            reason: "Accepted",
            message: message.to_owned(),
        }
    }

    fn bad(kind: &'a str, trouble: &Trouble) -> Self {
        Self {
            kind,
            status: false,
            reason: trouble.reason,
            message: trouble.message.clone(),
        }
    }
}

//! `/validate`: configuration is compiled before it is stored, by the compiler itself, and looked
//! at beside what is in force.

use mesh_api::v1::{Problem, Severity};
use meshd_core::{Store, World, code};
use serde_json::Value;

use super::review::{Request, Verdict};

/// Findings about what is not there. Where only the object is compiled, nothing else is.
const REFERENCES: [&str; 7] = [
    code::REFERENCED_RESOURCE_NOT_FOUND,
    code::DESTINATION_PORT_REQUIRED,
    code::NO_MATCHING_WORKLOADS,
    code::HOST_NOT_IN_GATEWAY,
    code::INEFFECTIVE_POLICY,
    code::EMPTY_SUBSET,
    code::UNKNOWN_RULE_HOST,
];

/// Warnings of one answer: people read them in a terminal, and the API server cuts off at 4 KiB.
const MOST: usize = 10;

/// Compiles an object. Errors refuse it, warnings go to its author: also those about what it
/// refers to, which may come yet, for the order in which objects are created is free.
pub(super) fn review(request: &Request, world: &World) -> Verdict {
    let mut verdict = compile(request, world);
    if verdict.warnings.len() > MOST {
        let more = verdict.warnings.split_off(MOST).len();
        verdict
            .warnings
            .push(format!("and {more} more; `meshctl analyze` names all"));
    }
    verdict
}

fn compile(request: &Request, current: &World) -> Verdict {
    let object = named(&request.object, &request.namespace);
    let mut store = Store::new();
    store.set_object(&object);
    let world = store.world(current.settings());
    let of = |severity: Severity| -> Vec<String> {
        let problems = world.problems().iter();
        problems
            .filter(|problem| {
                problem.severity() == severity && !REFERENCES.contains(&problem.code.as_str())
            })
            .map(words)
            .collect()
    };
    let (errors, mut warnings) = (of(Severity::Error), of(Severity::Warning));
    if errors.is_empty() {
        let findings = current.findings_of(&object);
        let shown = findings
            .iter()
            .filter(|found| found.severity() == Severity::Warning);
        warnings.extend(shown.map(words));
        return Verdict {
            warnings,
            ..Verdict::default()
        };
    }
    // What was stored before it could be checked must stay deletable, and its labels editable.
    if is_old(request) {
        warnings.splice(0..0, errors);
        return Verdict {
            warnings,
            ..Verdict::default()
        };
    }
    Verdict {
        warnings,
        ..Verdict::refuse(errors.join("; "))
    }
}

fn words(problem: &Problem) -> String {
    if problem.code.is_empty() {
        problem.message.clone()
    } else {
        format!("{} [{}]", problem.message, problem.code)
    }
}

/// Whether what is wrong was there before.
fn is_old(request: &Request) -> bool {
    request.operation == "UPDATE" && request.object.get("spec") == request.old_object.get("spec")
}

/// The object with the names that the API server will give it.
fn named(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let text = |key: &str| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("name").is_empty() {
            let name = format!("{}x", text("generateName"));
            metadata.insert("name".to_owned(), name.into());
        }
        let text = |key: &str| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("namespace").is_empty() && !namespace.is_empty() {
            metadata.insert("namespace".to_owned(), namespace.into());
        }
    }
    object
}

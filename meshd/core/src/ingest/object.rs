//! Objects of an API server: the same path as files, without lines.

use mesh_api::v1::{Origin, Problem};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Entry, Outcome, SOURCE, read_object};
use crate::ObjectKey;
use crate::yaml::{self, Node, Place, Report};

/// What became of one object.
#[derive(Debug, Default)]
pub(crate) struct ParsedObject {
    /// The object, if it is one of the mesh's and can be used.
    pub(crate) entry: Option<Entry>,
    /// It is one of the mesh's and cannot be used.
    pub(crate) refused: bool,
    pub(crate) problems: Vec<Problem>,
}

/// Reads an object. What changes without meaning anything is left out before: it gives no other
/// digest.
pub(crate) fn parse_object(object: &Value) -> ParsedObject {
    let pod = object.get("kind").and_then(Value::as_str) == Some("Pod");
    let root = yaml::from_json(object, &|path, key| keeps(pod, path, key));
    let key = ObjectKey::of(object);
    let mut report = Report::new(Origin {
        source: SOURCE.to_owned(),
        kind: key.kind,
        namespace: key.namespace,
        name: key.name,
        ..Origin::default()
    });
    let mut parsed = ParsedObject::default();
    match read_object(SOURCE, &root, &mut report) {
        Outcome::Object(object) => {
            let digest = object.content().unwrap_or_else(|| {
                let mut hash = Sha256::new();
                root.hash(&mut hash);
                hash.finalize().into()
            });
            parsed.entry = Some(Entry { object, digest });
        }
        Outcome::Refused(_) | Outcome::Nameless => parsed.refused = true,
        Outcome::Skipped => {}
    }
    parsed.problems = report.into_problems();
    for problem in &mut parsed.problems {
        name_field(&root, problem);
    }
    parsed
}

/// Whether a field can mean anything to the mesh. The rest is bookkeeping of the API server and
/// of controllers.
fn keeps(pod: bool, path: &str, key: &str) -> bool {
    match path {
        "" => pod || key != "status",
        "metadata" => {
            matches!(key, "name" | "namespace" | "labels" | "annotations")
                || (pod
                    && matches!(
                        key,
                        "generateName" | "ownerReferences" | "deletionTimestamp"
                    ))
        }
        // Those of pods are many, and change.
        "metadata.annotations" if pod => super::pod::ANNOTATIONS.contains(&key),
        "metadata.annotations" => {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            domain == "istio.io"
                || domain.ends_with(".istio.io")
                || domain == "mesh.dev"
                || key == "kubernetes.io/ingress.class"
        }
        _ => true,
    }
}

/// Lets a message begin with the path of its field, if it does not name it.
fn name_field(root: &Node, problem: &mut Problem) {
    let Some(origin) = &mut problem.origin else {
        return;
    };
    let place = Place {
        line: origin.line,
        column: std::mem::take(&mut origin.column),
    };
    if let Some(path) = root.path_to(place)
        && !path.is_empty()
        && !problem.message.contains(&path)
    {
        problem.message = format!("{path}: {}", problem.message);
    }
}

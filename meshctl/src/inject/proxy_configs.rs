//! ProxyConfigs among the files that are injected.

use mesh_api::v1::Severity;
use meshd_core::inject::InjectSettings;
use meshd_core::{MeshSettings, ProblemLine, ProxyConfigs, Store, World};
use serde_json::Value;

use super::{InjectFileError, documents, parse};

const KIND: &str = "ProxyConfig";
const GROUP: &str = "networking.istio.io/";

/// What the ProxyConfigs of some files say.
#[derive(Debug)]
pub struct FileConfigs {
    world: World,
}

// === impl FileConfigs ===

impl FileConfigs {
    /// Reads those of `files`, each with its name and its text: the objects of an installation
    /// whose control plane has these settings. Those that name no namespace are of `namespace`.
    /// Among several `creationTimestamp` counts, then the name, as on the API server. Everything
    /// else in the files is left alone.
    ///
    /// # Errors
    /// At the first document that is no YAML, or holds a ProxyConfig that cannot be used.
    pub fn read(
        files: &[(String, String)],
        settings: &InjectSettings,
        namespace: &str,
    ) -> Result<Self, InjectFileError> {
        let mesh = MeshSettings {
            root_namespace: settings.mesh_namespace.clone(),
            ..MeshSettings::default()
        };
        let mut store = Store::new();
        for (file, text) in files.iter().filter(|(_, text)| text.contains(KIND)) {
            for (index, chunk) in documents::split(text).into_iter().enumerate() {
                let failed = |reason: String| InjectFileError {
                    file: file.clone(),
                    document: index + 1,
                    line: chunk.line,
                    reason,
                };
                let document = parse(&chunk).map_err(failed)?;
                for mut object in document.into_iter().flat_map(objects) {
                    name_namespace(&mut object, namespace);
                    check(&object, &mesh).map_err(failed)?;
                    store.set_object(&object);
                }
            }
        }
        let world = store.world(&mesh);
        Ok(Self { world })
    }

    /// What they say.
    pub fn configs(&self) -> &ProxyConfigs {
        self.world.proxy_configs()
    }

    /// What their authors should know, line by line.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let problems = self.world.problems().iter();
        problems.map(|problem| ProblemLine(problem).to_string())
    }
}

/// The ProxyConfigs of a document: itself, or items of a List.
fn objects(mut document: Value) -> Vec<Value> {
    let text = |key: &str| {
        let value = document.get(key).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    if text("kind") == KIND && text("apiVersion").starts_with(GROUP) {
        return vec![document];
    }
    let is_list = text("kind").ends_with("List");
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items.into_iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

fn name_namespace(object: &mut Value, namespace: &str) {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let Some(metadata) = metadata else { return };
    let named = metadata.get("namespace").and_then(Value::as_str);
    if named.unwrap_or_default().is_empty() {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
}

/// Whether an object can be used; with everything that is wrong.
fn check(object: &Value, mesh: &MeshSettings) -> Result<(), String> {
    let mut alone = Store::new();
    alone.set_object(object);
    let world = alone.world(mesh);
    let errors: Vec<String> = world
        .problems()
        .iter()
        .filter(|problem| problem.severity() == Severity::Error)
        .map(|problem| problem.message.clone())
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default();
    Err(format!("{KIND} {name}: {}", errors.join("; ")))
}

//! Names of objects of an API server.

use std::fmt;

use serde_json::Value;

/// What names an object of an API server for good: its group, kind, namespace and name. Versions
/// of one group hold the same objects and do not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    pub group: String,
    /// Kind, as in `kind`.
    pub kind: String,
    /// Namespace, empty for what belongs to the cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
}

// === impl ObjectKey ===

impl ObjectKey {
    /// The key of an object as the API server gives it. Missing parts are empty.
    pub fn of(object: &Value) -> Self {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let metadata = object.get("metadata");
        let part = |name: &str| text(metadata.and_then(|metadata| metadata.get(name)));
        let version = text(object.get("apiVersion"));
        Self {
            group: version
                .split_once('/')
                .map(|(group, _)| group.to_owned())
                .unwrap_or_default(),
            kind: text(object.get("kind")),
            namespace: part("namespace"),
            name: part("name"),
        }
    }
}

impl fmt::Display for ObjectKey {
    /// `<kind>[.<group>] [<namespace>/]<name>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        f.write_str(" ")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_and_writes_keys() {
        for (object, want) in [
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "p"}}),
                "Pod a/p",
            ),
            (
                json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"namespace": "a", "name": "g"}}),
                "Gateway.networking.istio.io a/g",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}),
                "Node n",
            ),
            (json!({"kind": 1}), " "),
        ] {
            assert_eq!(ObjectKey::of(&object).to_string(), want);
        }
    }
}

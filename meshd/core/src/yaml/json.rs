//! Values of JSON as nodes. They have no lines; each node has a number of its own, so that a
//! finding can name its field.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::node::Key;
use super::{Node, Place, Value};

/// Whether to take a field: of which map (the root is empty, else `metadata` or
/// `metadata.annotations`), and its name. All other fields are taken.
type Keep<'k> = &'k dyn Fn(&str, &str) -> bool;

const ANNOTATIONS: &str = "metadata.annotations";

/// An object as a node, with the fields that are wanted.
pub(crate) fn node(object: &Json, keep: Keep<'_>) -> Node {
    build(object, Some(""), &mut 0, keep)
}

fn build(value: &Json, path: Option<&str>, count: &mut u32, keep: Keep<'_>) -> Node {
    *count = count.saturating_add(1);
    let place = Place {
        line: 0,
        column: *count,
    };
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::INFINITY)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => {
            let items = items.iter().map(|item| build(item, None, count, keep));
            Value::List(items.collect())
        }
        Json::Object(entries) => {
            let kept = entries.iter().filter_map(|(name, value)| {
                if path.is_some_and(|path| !keep(path, name)) {
                    return None;
                }
                let path = match (path, name.as_str()) {
                    (Some(""), "metadata") => Some("metadata"),
                    (Some("metadata"), "annotations") => Some(ANNOTATIONS),
                    _ => None,
                };
                let node = build(value, path, count, keep);
                let key = Key {
                    name: name.clone(),
                    place: node.place,
                };
                // None that is wanted is as good as none at all.
                let nothing = path == Some(ANNOTATIONS) && node.value == Value::Map(Vec::new());
                (!nothing).then_some((key, node))
            });
            Value::Map(kept.collect())
        }
    };
    Node { value, place }
}

// === impl Node ===

impl Node {
    /// The path of the field at a place of a node without lines; empty for the root.
    pub(crate) fn path_to(&self, place: Place) -> Option<String> {
        if self.place == place {
            return Some(String::new());
        }
        match &self.value {
            Value::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                item.path_to(place)
                    .map(|rest| join(&format!("[{index}]"), &rest))
            }),
            Value::Map(entries) => entries
                .iter()
                .find_map(|(key, node)| node.path_to(place).map(|rest| join(&key.name, &rest))),
            _ => None,
        }
    }

    /// Adds the content to a hash: places and the order of keys do not count.
    pub(crate) fn hash(&self, hash: &mut Sha256) {
        let mut part = |tag: u8, bytes: &[u8]| {
            hash.update([tag]);
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        match &self.value {
            Value::Null => part(0, &[]),
            Value::Bool(value) => part(1, &[u8::from(*value)]),
            Value::Int(value) => part(2, &value.to_be_bytes()),
            Value::Float(value) => part(3, &value.to_be_bytes()),
            Value::Text(text) => part(4, text.as_bytes()),
            Value::List(items) => {
                part(5, &items.len().to_be_bytes());
                items.iter().for_each(|item| item.hash(hash));
            }
            Value::Map(entries) => {
                part(6, &entries.len().to_be_bytes());
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
                for (key, node) in entries {
                    hash.update(key.name.len().to_be_bytes());
                    hash.update(key.name.as_bytes());
                    node.hash(hash);
                }
            }
        }
    }
}

fn join(first: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('[') {
        format!("{first}{rest}")
    } else {
        format!("{first}.{rest}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_field_of_every_node() {
        let root = node(
            &json!({"a": [{"b": 1}, {"c": [true]}], "d": null}),
            &|_, _| true,
        );
        let paths: Vec<String> = (1..=8)
            .map(|column| root.path_to(Place { line: 0, column }).unwrap_or_default())
            .collect();
        assert_eq!(
            paths,
            [
                "",
                "a",
                "a[0]",
                "a[0].b",
                "a[1]",
                "a[1].c",
                "a[1].c[0]",
                "d"
            ]
        );
    }

    #[test]
    fn the_order_of_keys_does_not_count() {
        let hash = |value| {
            let mut hash = Sha256::new();
            node(&value, &|_, _| true).hash(&mut hash);
            hash.finalize()
        };
        assert_eq!(hash(json!({"a": 1, "b": 2})), hash(json!({"b": 2, "a": 1})));
        assert_ne!(hash(json!({"a": 1, "b": 2})), hash(json!({"b": 1, "a": 2})));
        assert_ne!(hash(json!(["a", "b"])), hash(json!(["ab", ""])));
    }
}

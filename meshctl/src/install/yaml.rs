//! YAML, written: as people write it, and such that a reader of YAML 1.1 (kubectl) and one of 1.2
//! read the same.

use serde_json::{Map, Value};

/// A value as a block of lines, maps in the order of their keys (as Helm's `toYaml`).
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => fields(map, 0, &mut out),
        Value::Array(list) if !list.is_empty() => elements(list, 0, &mut out),
        other => {
            out.push_str(&scalar(other, 0));
            out.push('\n');
        }
    }
    out
}

/// Objects as documents of one text.
pub fn documents<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    objects
        .into_iter()
        .map(|object| format!("---\n{}", text(object)))
        .collect()
}

fn fields(map: &Map<String, Value>, depth: usize, out: &mut String) {
    let mut all: Vec<_> = map.iter().collect();
    all.sort_by_key(|(key, _)| *key);
    for (at, (key, value)) in all.into_iter().enumerate() {
        // The first field of a map in a list stands behind the dash.
        if at > 0 || out.is_empty() || out.ends_with('\n') {
            out.push_str(&"  ".repeat(depth));
        }
        out.push_str(&plain_or_quoted(key));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                fields(map, depth + 1, out);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                elements(list, depth, out);
            }
            other => {
                out.push(' ');
                out.push_str(&scalar(other, depth + 1));
                out.push('\n');
            }
        }
    }
}

fn elements(list: &[Value], depth: usize, out: &mut String) {
    for value in list {
        out.push_str(&"  ".repeat(depth));
        out.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => fields(map, depth + 1, out),
            Value::Array(_) => {
                // A list in a list, in JSON's form, which is YAML too.
                out.push_str(&value.to_string());
                out.push('\n');
            }
            other => {
                out.push_str(&scalar(other, depth + 1));
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Value, depth: usize) -> String {
    match value {
        Value::String(text) if text.contains('\n') && readable(text) => block(text, depth),
        Value::String(text) => plain_or_quoted(text),
        other => other.to_string(),
    }
}

/// Lines that a literal block keeps as they are.
fn readable(text: &str) -> bool {
    !text.starts_with([' ', '\n'])
        && !text
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{feff}')
}

fn block(text: &str, depth: usize) -> String {
    let (body, end) = match text.strip_suffix('\n') {
        None => (text, "-"),
        Some(body) if body.ends_with('\n') => (text, "+"),
        Some(body) => (body, ""),
    };
    let body = if end == "+" {
        body.strip_suffix('\n').unwrap_or(body)
    } else {
        body
    };
    let pad = "  ".repeat(depth);
    let lines: Vec<String> = body
        .split('\n')
        .map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("{pad}{line}")
            }
        })
        .collect();
    format!("|{end}\n{}", lines.join("\n"))
}

/// Without quotes only where no reader could take it for anything else.
fn plain_or_quoted(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let safe = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text.chars().all(|c| word(c) || " :@=+,()".contains(c))
        && !text.contains(": ")
        && !text.ends_with([':', ' ']);
    let constant = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf"
    );
    if safe && !constant {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_as_people_write_it() {
        let value = json!({
            "metadata": {"name": "x", "labels": {"istio.io/rev": "1-2", "on": "yes"}},
            "rules": [{"verbs": ["get", "list"], "empty": []}, "text", {}],
            "data": {"config.yaml": "a: 1\n\n  b: 2\n", "last": "x\ny"},
            "none": null,
        });
        let want = "\
data:
  config.yaml: |
    a: 1

      b: 2
  last: |-
    x
    y
metadata:
  labels:
    istio.io/rev: \"1-2\"
    \"on\": \"yes\"
  name: x
none: null
rules:
- empty: []
  verbs:
  - get
  - list
- text
- {}
";
        assert_eq!(text(&value), want);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~\n]{0,12}".prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
            prop_oneof![
                Just("1e3"),
                Just("0x1"),
                Just("~"),
                Just("- a"),
                Just("2001-01-01"),
                Just("1:30")
            ]
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z.:/ 0-9]{1,6}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_reader_reads_what_was_written(value in any_value()) {
            let written = text(&value);
            let read: Value = serde_saphyr::from_str(&written)
                .map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
            prop_assert_eq!(read, value, "{}", written);
        }
    }
}

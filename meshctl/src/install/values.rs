//! Values as users set them: files and `--set`, later over earlier.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::InstallError;

/// Lays `over` over `base`: maps are merged, `null` removes, anything else replaces.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.shift_remove(key);
                } else {
                    merge(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// What files and `--set` say together, without any defaults.
///
/// # Errors
/// If a file cannot be read or is no map, or an assignment has no meaning.
pub fn collect(files: &[PathBuf], assignments: &[String]) -> Result<Value, InstallError> {
    let mut all = Value::Object(Map::new());
    for file in files {
        let unusable = |message: String| InstallError::ValuesFile {
            file: file.clone(),
            message,
        };
        let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
        let read: Value =
            serde_saphyr::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        match read {
            Value::Null => {}
            Value::Object(_) => lay(&mut all, &read),
            _ => return Err(unusable("is no map of values".to_owned())),
        }
    }
    for assignment in assignments {
        for (path, value) in parse_set(assignment).map_err(|message| InstallError::Assignment {
            assignment: assignment.clone(),
            message,
        })? {
            assign(&mut all, &path, value).map_err(|message| InstallError::Assignment {
                assignment: assignment.clone(),
                message,
            })?;
        }
    }
    Ok(all)
}

/// As [`merge`], but keeps `null`, which removes a default later on.
fn lay(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                lay(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// A step of the path to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Longest list that `--set a[N]=…` makes.
const LONGEST: usize = 1000;

/// `a.b=1,c[0]=x,d={x,y}` as Helm reads it: `\` before `.`, `,`, `=` and brackets makes them
/// plain; whole numbers, `true`, `false` and `null` are not strings.
fn parse_set(text: &str) -> Result<Vec<(Vec<Step>, Value)>, String> {
    let mut all = Vec::new();
    for part in split(text, ',') {
        if part.is_empty() {
            continue;
        }
        let sides = split(&part, '=');
        let [path, value @ ..] = sides.as_slice() else {
            return Err("write it as key=value".to_owned());
        };
        if value.is_empty() {
            return Err(format!("`{part}` has no `=`: write it as key=value"));
        }
        all.push((steps(path)?, parse_value(&value.join("="))));
    }
    Ok(all)
}

/// Cuts at a sign that is neither escaped nor in braces. Escapes stay.
fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0usize;
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if c == at && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in split(path.trim(), '.') {
        let (name, mut rest) = match part.find('[') {
            Some(at) if !part.get(..at).is_some_and(|before| before.ends_with('\\')) => {
                part.split_at(at)
            }
            _ => (part.as_str(), ""),
        };
        if name.is_empty() {
            return Err(format!("`{path}` has an empty name"));
        }
        steps.push(Step::Key(unescape(name)));
        while let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside
                .split_once(']')
                .ok_or_else(|| format!("`{path}` has a `[` without `]`"))?;
            let index = index
                .parse()
                .ok()
                .filter(|index| *index < LONGEST)
                .ok_or_else(|| format!("`{index}` is no index of a list"))?;
            steps.push(Step::Index(index));
            rest = after;
        }
        if !rest.is_empty() {
            return Err(format!("`{rest}` does not belong behind an index"));
        }
    }
    Ok(steps)
}

fn parse_value(text: &str) -> Value {
    if let Some(inside) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        return split(inside, ',')
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| parse_value(part))
            .collect();
    }
    match text {
        "true" => true.into(),
        "false" => false.into(),
        "null" => Value::Null,
        // A leading zero is no number, as in file modes and identifiers.
        _ if text == "0" || !text.starts_with('0') => match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => unescape(text).into(),
        },
        _ => unescape(text).into(),
    }
}

fn assign(root: &mut Value, path: &[Step], value: Value) -> Result<(), String> {
    let mut place = root;
    for step in path {
        place = match step {
            Step::Key(key) => {
                if place.is_null() {
                    *place = Value::Object(Map::new());
                }
                place
                    .as_object_mut()
                    .ok_or_else(|| format!("`{key}` is set in something that is no map"))?
                    .entry(key.clone())
                    .or_insert(Value::Null)
            }
            Step::Index(index) => {
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let list = place
                    .as_array_mut()
                    .ok_or_else(|| format!("[{index}] of something that is no list"))?;
                if list.len() <= *index {
                    list.resize(index + 1, Value::Null);
                }
                list.get_mut(*index).ok_or("no such index")?
            }
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_null_removes() {
        let mut base = json!({"a": {"b": 1, "c": 2}, "d": [1], "e": 3});
        merge(
            &mut base,
            &json!({"a": {"b": null, "x": {"y": 1}}, "d": [2], "e": {"f": 1}}),
        );
        assert_eq!(
            base,
            json!({"a": {"c": 2, "x": {"y": 1}}, "d": [2], "e": {"f": 1}})
        );
    }

    #[test]
    fn assignments_are_read_as_helm_does() {
        for (text, want) in [
            ("a=1", json!({"a": 1})),
            ("a.b=x,a.c=true", json!({"a": {"b": "x", "c": true}})),
            ("a=null", json!({"a": null})),
            ("a=007", json!({"a": "007"})),
            ("a=", json!({"a": ""})),
            ("a=b=c", json!({"a": "b=c"})),
            ("a={x,1}", json!({"a": ["x", 1]})),
            ("a={}", json!({"a": []})),
            ("a[1].b=x", json!({"a": [null, {"b": "x"}]})),
            (
                r"a.kubernetes\.io/os=linux",
                json!({"a": {"kubernetes.io/os": "linux"}}),
            ),
            (r"a=x\,y", json!({"a": "x,y"})),
        ] {
            assert_eq!(collect(&[], &[text.to_owned()]).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (text, want) in [
            ("a", "has no `=`"),
            ("a..b=1", "empty name"),
            ("a[x]=1", "no index"),
            ("a[1=1", "without `]`"),
            ("a=1,a.b=2", "no map"),
            ("a[9999]=1", "no index"),
        ] {
            let error = collect(&[], &[text.to_owned()]).unwrap_err().to_string();
            assert!(
                error.contains(want) && error.contains(text),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn later_files_win_and_assignments_over_all() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = write("one.yaml", "a: 1\nb: {c: 2}\n");
        let two = write("two.yaml", "b: {d: 3}\na: null\n");
        let empty = write("empty.yaml", "# nothing\n");
        let all = collect(&[one, two, empty], &["b.c=4".to_owned()]).unwrap();
        assert_eq!(all, json!({"a": null, "b": {"c": 4, "d": 3}}));
        let bad = write("bad.yaml", "- 1\n");
        let error = collect(&[bad], &[]).unwrap_err().to_string();
        assert!(
            error.contains("bad.yaml") && error.contains("no map"),
            "{error}"
        );
    }
}

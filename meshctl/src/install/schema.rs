//! Checking values: the part of JSON Schema that the charts' schemas use (`type`, `properties`,
//! `additionalProperties`, `required`, `items`, `enum`, `pattern` of names, `minimum`, `maximum`).

use serde_json::Value;

/// What is wrong with a value, each with its path; empty if nothing is.
pub fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    node(schema, value, "", &mut problems);
    problems
}

fn node(schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    let shown = if path.is_empty() { "the values" } else { path };
    if let Some(kinds) = schema.get("type")
        && !allowed(kinds, value)
    {
        problems.push(format!("{shown} must be {}, not {value}", words(kinds)));
        return;
    }
    if let Some(Value::Array(choices)) = schema.get("enum")
        && !choices.contains(value)
    {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        problems.push(format!(
            "{shown} must be one of {}, not {value}",
            choices.join(", ")
        ));
    }
    // The only pattern of the schemas is that of a name in Kubernetes (RFC 1123, label).
    if schema.get("pattern").is_some() && value.as_str().is_some_and(|text| !is_name(text)) {
        problems.push(format!(
            "{shown} must be a name of lower-case letters, digits and `-`, not {value}"
        ));
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let Some(number) = value.as_f64()
        && (bound("minimum").is_some_and(|least| number < least)
            || bound("maximum").is_some_and(|most| number > most))
    {
        problems.push(format!("{shown} is out of range: {value}"));
    }
    match value {
        Value::Object(_) => fields(schema, value, path, problems),
        Value::Array(list) => {
            for (at, element) in list.iter().enumerate() {
                if let Some(items) = schema.get("items") {
                    node(items, element, &format!("{path}[{at}]"), problems);
                }
            }
        }
        _ => {}
    }
}

fn fields(schema: &Value, value: &Value, path: &str, problems: &mut Vec<String>) {
    let join = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    let known = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    for (name, inner) in value.as_object().into_iter().flatten() {
        match (known.and_then(|known| known.get(name)), others) {
            (Some(schema), _) => node(schema, inner, &join(name), problems),
            (None, Some(Value::Bool(false))) => {
                let mut names: Vec<&str> = known
                    .into_iter()
                    .flatten()
                    .map(|(n, _)| n.as_str())
                    .collect();
                names.sort_unstable();
                problems.push(format!(
                    "there is no value {}; there are: {}",
                    join(name),
                    names.join(", ")
                ));
            }
            (None, Some(schema @ Value::Object(_))) => node(schema, inner, &join(name), problems),
            (None, _) => {}
        }
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(name) = name.as_str()
            && value.get(name).is_none()
        {
            problems.push(format!("{} is missing", join(name)));
        }
    }
}

fn allowed(kinds: &Value, value: &Value) -> bool {
    match kinds {
        Value::Array(kinds) => kinds.iter().any(|kind| allowed(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            _ => false,
        },
        _ => false,
    }
}

fn words(kinds: &Value) -> String {
    match kinds {
        Value::Array(kinds) => kinds.iter().map(words).collect::<Vec<_>>().join(" or "),
        Value::String(kind) => match kind.as_str() {
            "object" => "a map",
            "array" => "a list",
            "string" => "a string",
            "boolean" => "true or false",
            "integer" => "a whole number",
            _ => "a number",
        }
        .to_owned(),
        _ => "something else".to_owned(),
    }
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_is_wrong_and_where() {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": {
            "a": {"type": "integer", "minimum": 1},
            "b": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
            "c": {"type": "array", "items": {"type": "object", "required": ["n"], "properties": {}}},
            "d": {"type": "string", "enum": ["x", "y"]},
            "e": {"type": "string", "pattern": "^[a-z]$"},
        }});
        let none: [&str; 0] = [];
        let problems = |value: Value| check(&schema, &value);
        assert_eq!(
            problems(
                json!({"a": 1, "b": {"x": 1, "y": "z"}, "c": [{"n": 1}], "d": "x", "e": "a-1"})
            ),
            none
        );
        for (value, want) in [
            (json!({"a": 0}), "a is out of range: 0"),
            (json!({"a": "1"}), "a must be a whole number, not \"1\""),
            (
                json!({"A": 1}),
                "there is no value A; there are: a, b, c, d, e",
            ),
            (
                json!({"b": {"x": []}}),
                "b.x must be a string or a number, not []",
            ),
            (json!({"c": [{"n": 1}, {}]}), "c[1].n is missing"),
            (
                json!({"d": "z"}),
                "d must be one of \"x\", \"y\", not \"z\"",
            ),
            (
                json!({"e": "A_b"}),
                "e must be a name of lower-case letters, digits and `-`, not \"A_b\"",
            ),
            (json!([]), "the values must be a map, not []"),
        ] {
            assert_eq!(problems(value), [want]);
        }
    }
}

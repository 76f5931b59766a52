//! The functions of Go's templates and Sprig that the charts use, with their meaning there.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::install::yaml;

/// Calls a function. `include` is the renderer's.
///
/// # Errors
/// What is wrong with the name or the arguments.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let wrong = || format!("{name}: wrong arguments");
    match (name, arguments) {
        ("and", [.., last]) => Ok(arguments.iter().find(|v| !truth(v)).unwrap_or(last).clone()),
        ("or", [.., last]) => Ok(arguments.iter().find(|v| truth(v)).unwrap_or(last).clone()),
        ("not", [value]) => Ok((!truth(value)).into()),
        ("eq", [first, rest @ ..]) if !rest.is_empty() => {
            for other in rest {
                if comparable(first, other).ok_or_else(wrong)? {
                    return Ok(true.into());
                }
            }
            Ok(false.into())
        }
        ("ne", [left, right]) => Ok((!comparable(left, right).ok_or_else(wrong)?).into()),
        ("gt", [left, right]) => {
            let order = order(left, right).ok_or_else(wrong)?;
            Ok((order == Ordering::Greater).into())
        }
        ("default", [fallback, value]) => Ok(if truth(value) { value } else { fallback }.clone()),
        ("int", [value]) => Ok(whole(value).into()),
        ("quote", values) => quote(values),
        ("printf", [Value::String(format), rest @ ..]) => printf(format, rest).map(Value::String),
        ("toYaml", [value]) => Ok(yaml::text(value).trim_end_matches('\n').into()),
        ("indent", [Value::Number(by), Value::String(text)]) => {
            Ok(indent(by.as_u64().ok_or_else(wrong)?, text).into())
        }
        ("nindent", [Value::Number(by), Value::String(text)]) => {
            Ok(format!("\n{}", indent(by.as_u64().ok_or_else(wrong)?, text)).into())
        }
        ("trim", [Value::String(text)]) => Ok(text.trim().into()),
        ("list", values) => Ok(values.to_vec().into()),
        ("append", [Value::Array(list), value]) => Ok(list
            .iter()
            .chain([value])
            .cloned()
            .collect::<Vec<_>>()
            .into()),
        ("uniq", [Value::Array(list)]) => {
            let mut seen: Vec<Value> = Vec::new();
            for value in list {
                if !seen.contains(value) {
                    seen.push(value.clone());
                }
            }
            Ok(seen.into())
        }
        ("dict", pairs) if pairs.len() % 2 == 0 => dict(pairs).ok_or_else(wrong),
        (
            "and" | "or" | "not" | "eq" | "ne" | "gt" | "default" | "int" | "printf" | "toYaml"
            | "indent" | "nindent" | "trim" | "append" | "uniq" | "dict",
            _,
        ) => Err(wrong()),
        _ => Err(format!("there is no function `{name}`")),
    }
}

/// Go's truth: everything but false, 0, nothing and what is empty.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// As Helm prints it.
///
/// # Errors
/// For lists and maps, whose form in Go is of no use in YAML.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("{} cannot be printed: use toYaml", kind(value)))
        }
    }
}

/// What kind of value it is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Equality of basic values of the same kind; Go refuses others.
fn comparable(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(left.as_f64() == right.as_f64()),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {
            Some(left == right)
        }
        _ => None,
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Sprig's `int`: 0 for what is no number.
fn whole(value: &Value) -> i64 {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or_default(),
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        Value::Bool(value) => i64::from(*value),
        _ => 0,
    }
}

fn quote(values: &[Value]) -> Result<Value, String> {
    let mut quoted = Vec::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        quoted.push(Value::String(text(value)?).to_string());
    }
    Ok(quoted.join(" ").into())
}

fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('s' | 'd' | 'v') => {
                let value = arguments.next().ok_or("printf: an argument is missing")?;
                out.push_str(&text(value)?);
            }
            _ => return Err("printf: only %s, %d, %v and %% are supported".to_owned()),
        }
    }
    match arguments.next() {
        None => Ok(out),
        Some(_) => Err("printf: an argument too many".to_owned()),
    }
}

fn indent(by: u64, text: &str) -> String {
    let pad = " ".repeat(usize::try_from(by).unwrap_or_default());
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}

fn dict(pairs: &[Value]) -> Option<Value> {
    let mut map = Map::new();
    for pair in pairs.chunks_exact(2) {
        let [Value::String(key), value] = pair else {
            return None;
        };
        map.insert(key.clone(), value.clone());
    }
    Some(map.into())
}

//! Claims as text.

use serde_json::Value;

/// A claim as the value of a header: texts, whole numbers and truth values (Istio:
/// outputClaimToHeaders).
pub(super) fn as_header(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

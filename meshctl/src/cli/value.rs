//! Values of arguments.

use std::time::Duration;

pub(super) fn parse_header(text: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{}` is no header name", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the value has characters that no header may have".to_owned())?;
    Ok((name, value))
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write 500ms, 30s, 5m or 1h");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let milliseconds = milliseconds
        .and_then(|unit| number.checked_mul(unit))
        .ok_or_else(wrong)?;
    Ok(Duration::from_millis(milliseconds))
}

//! Units as Istio writes them.

/// Milliseconds of a duration in Go's form: `7s`, `0.5s`, `1h10m`. Parts below a millisecond
/// are refused, as Istio does.
pub(super) fn duration_ms(text: &str) -> Result<u64, &'static str> {
    const SHAPE: &str = "a duration is written like `7s`, `0.5s` or `1h10m`";
    let mut rest = text;
    let mut nanos: u128 = 0;
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(SHAPE);
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or(SHAPE)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(SHAPE),
        };
        nanos = nanos
            .checked_add(scaled(number, scale).ok_or(SHAPE)?)
            .ok_or(SHAPE)?;
        rest = tail;
    }
    if !nanos.is_multiple_of(1_000_000) {
        return Err("only durations to ms precision are supported");
    }
    u64::try_from(nanos / 1_000_000).map_err(|_| "the duration is too long")
}

/// A decimal number times a scale, exact.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 || whole.len() > 12 {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let parts: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let unit = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(whole.checked_mul(scale)? + parts.checked_mul(scale)? / unit)
}

#[cfg(test)]
mod tests {
    use super::duration_ms;

    #[test]
    fn reads_go_durations() {
        for (text, want) in [
            ("7s", 7_000),
            ("0.5s", 500),
            (".5s", 500),
            ("1h10m", 4_200_000),
            ("1m30.5s", 90_500),
            ("25ms", 25),
            ("1500us", 0),
            ("0s", 0),
            ("0", 0),
        ] {
            let got = duration_ms(text);
            if text == "1500us" {
                assert!(got.is_err());
            } else {
                assert_eq!(got, Ok(want), "{text}");
            }
        }
        for text in [
            "",
            "7",
            "s",
            "7x",
            "-1s",
            "1s ",
            ".s",
            "99999999999999999999h",
            "1.2.3s",
            "1e3s",
        ] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }
}

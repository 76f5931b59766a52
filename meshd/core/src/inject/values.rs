//! Values of annotations.

use std::sync::LazyLock;

use ipnet::IpNet;
use regex::Regex;

/// Kubernetes' `resource.Quantity`.
static QUANTITY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$").ok()
});

/// Go's `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// A comma separated list of ports, as it stands.
pub(super) fn ports(text: &str) -> Result<(), String> {
    list(text).try_for_each(|item| match item.parse::<u16>() {
        Ok(port) if port != 0 => Ok(()),
        _ => Err(format!("`{item}` is no port from 1 to 65535")),
    })
}

/// `*` or a list of ports.
pub(super) fn any_ports(text: &str) -> Result<(), String> {
    if text.trim() == "*" {
        Ok(())
    } else {
        ports(text)
    }
}

/// A comma separated list of CIDRs.
pub(super) fn ranges(text: &str) -> Result<(), String> {
    list(text).try_for_each(|item| match item.parse::<IpNet>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{item}` is no CIDR such as 10.0.0.0/8")),
    })
}

/// `*` or a list of CIDRs.
pub(super) fn any_ranges(text: &str) -> Result<(), String> {
    if text.trim() == "*" {
        Ok(())
    } else {
        ranges(text)
    }
}

/// A comma separated list of network interfaces (15 bytes each, IFNAMSIZ).
pub(super) fn interfaces(text: &str) -> Result<(), String> {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+' | b'*');
    list(text).try_for_each(|item| {
        if item.len() <= 15 && item.bytes().all(allowed) {
            Ok(())
        } else {
            Err(format!("`{item}` is no network interface"))
        }
    })
}

/// A quantity of a resource, such as `100m` or `128Mi`.
pub(super) fn quantity(text: &str) -> Result<(), String> {
    match &*QUANTITY {
        Some(quantity) if !quantity.is_match(text) => {
            Err("write a quantity such as 100m or 128Mi".to_owned())
        }
        _ => Ok(()),
    }
}

/// A whole number.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "write a whole number from 0".to_owned())
}

/// A port, or 0 for none.
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.trim()
        .parse()
        .map_err(|_| "write a port from 0 to 65535".to_owned())
}

/// A duration of Go (`1m30s`, `250ms`) in milliseconds.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration such as 250ms, 5s or 1m30s");
    let mut rest = text.trim();
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = tail;
    }
    // A week is more than any pod gets to end.
    if total > 604_800_000.0 {
        return Err(format!("`{text}` is longer than a week"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and a week in milliseconds"
    )]
    Ok(total.round() as u64)
}

/// Writes milliseconds as the proxy reads them.
pub(super) fn write_duration(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}

/// Whether a text can stand as path and query in a request.
pub(super) fn is_path(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'`' | b'#'))
}

/// Envoy's log levels as the proxy names them.
pub(super) fn log_level(text: &str) -> Result<&'static str, String> {
    Ok(match text {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warning" | "warn" => "warn",
        "error" | "critical" => "error",
        "off" => "off",
        _ => return Err("write trace, debug, info, warning, error or off".to_owned()),
    })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        for (text, want) in [
            ("5s", "5s"),
            ("1m30s", "90s"),
            ("250ms", "250ms"),
            ("1.5s", "1500ms"),
            ("0s", "0s"),
            ("1h", "3600s"),
        ] {
            assert_eq!(duration(text).map(write_duration).as_deref(), Ok(want));
        }
        for text in ["", "5", "s", "5 s", "-5s", "5d", "1..5s", "9999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_kubernetes() {
        for text in ["1", "100m", "128Mi", "1.5Gi", ".5", "1e3", "1E"] {
            assert_eq!(quantity(text), Ok(()), "{text}");
        }
        for text in ["", "Mi", "1 Gi", "1KiB", "1\n", "abc"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists() {
        assert!(ports("").is_ok() && ports("80, 443,").is_ok());
        assert!(ports("0").is_err() && ports("*").is_err() && ports("80;81").is_err());
        assert!(any_ports("*").is_ok() && any_ranges("*").is_ok());
        assert!(ranges("10.0.0.0/8,fd00::/8").is_ok() && ranges("10.0.0.0").is_err());
        assert!(interfaces("eth0,br-*").is_ok() && interfaces("a b").is_err());
        assert_eq!(log_level("warning"), Ok("warn"));
    }
}

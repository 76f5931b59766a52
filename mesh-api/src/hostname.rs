//! Host names.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A host name or an IP address as a client writes it: lower case, without port and without
/// trailing dot, at most 253 bytes (RFC 1035 section 2.3.4). A leading `*.` label and `*`
/// alone are valid: Istio names hosts so.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(Arc<str>);

/// Why a string is no host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no host name: {why}")]
pub struct InvalidHostname {
    name: String,
    why: &'static str,
}

// === impl Hostname ===

impl Hostname {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `*` or begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether this name, taken as a pattern, covers `other`: equal, or `*`, or `*.suffix` where
    /// `other` ends with `.suffix`. `*.example.com` does not cover `example.com`.
    pub fn covers(&self, other: &str) -> bool {
        match self.0.strip_prefix('*') {
            None => &*self.0 == other,
            Some(suffix) => other.len() > suffix.len() && other.ends_with(suffix),
        }
    }
}

impl FromStr for Hostname {
    type Err = InvalidHostname;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| InvalidHostname {
            name: text.chars().take(64).collect(),
            why,
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(fail("it is empty"));
        }
        if name.len() > 253 {
            return Err(fail("it is longer than 253 bytes"));
        }
        let name = name.to_ascii_lowercase();
        if name == "*" {
            return Ok(Self(name.into()));
        }
        // An IPv6 address is a host, too, with or without brackets.
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() {
            return Ok(Self(bare.into()));
        }
        for label in name.strip_prefix("*.").unwrap_or(&name).split('.') {
            if label.is_empty() {
                return Err(fail("it has an empty label"));
            }
            if label.len() > 63 {
                return Err(fail("it has a label longer than 63 bytes"));
            }
            if !label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return Err(fail(
                    "only letters, digits, `-`, `_` and `.` may stand in it",
                ));
            }
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Hostname {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_normalises() {
        for (text, want) in [
            ("reviews", "reviews"),
            (
                "Reviews.Default.SVC.cluster.local.",
                "reviews.default.svc.cluster.local",
            ),
            ("*", "*"),
            ("*.example.com", "*.example.com"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(text.parse::<Hostname>().unwrap().as_str(), want);
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            "*a.b",
            "a.*.b",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            assert!(text.parse::<Hostname>().is_err(), "{text}");
        }
    }

    #[test]
    fn wildcards_cover_names_below() {
        let wildcard: Hostname = "*.example.com".parse().unwrap();
        assert!(wildcard.covers("a.example.com"));
        assert!(wildcard.covers("a.b.example.com"));
        assert!(!wildcard.covers("example.com"));
        assert!(!wildcard.covers("aexample.com"));
        assert!("*".parse::<Hostname>().unwrap().covers("anything"));
    }
}

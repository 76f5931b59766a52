//! Names of workloads.

use std::fmt;
use std::str::FromStr;

/// `<namespace>/<name>` of a workload. Both parts are DNS labels or dot-separated DNS labels
/// (RFC 1123), at most 253 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadName {
    namespace: String,
    name: String,
}

/// Why a string names no workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no workload: write <namespace>/<name> in lower-case letters, digits, `-` and `.`"
)]
pub struct InvalidWorkloadName(String);

// === impl WorkloadName ===

impl WorkloadName {
    /// Joins the parts.
    ///
    /// # Errors
    /// If either part is no DNS name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, InvalidWorkloadName> {
        if is_dns_name(namespace) && is_dns_name(name) {
            Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        } else {
            Err(InvalidWorkloadName(
                format!("{namespace}/{name}").chars().take(128).collect(),
            ))
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name in its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

pub(crate) fn is_dns_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

impl FromStr for WorkloadName {
    type Err = InvalidWorkloadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) => Self::new(namespace, name),
            None => Err(InvalidWorkloadName(text.chars().take(128).collect())),
        }
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_or_refuses() {
        let name: WorkloadName = "default/reviews-v1".parse().unwrap();
        assert_eq!((name.namespace(), name.name()), ("default", "reviews-v1"));
        assert_eq!(name.to_string(), "default/reviews-v1");
        for text in [
            "", "reviews", "/a", "a/", "a/b/c", "A/b", "a/-b", "a/b ", "a/b..c",
        ] {
            assert!(text.parse::<WorkloadName>().is_err(), "{text}");
        }
    }
}

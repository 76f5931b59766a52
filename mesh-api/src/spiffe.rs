//! Identities.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::workload_name::is_dns_name;

/// A trust domain: the authority part of a SPIFFE ID. Lower-case letters, digits, `.`, `-` and
/// `_`, at most 255 bytes (SPIFFE ID specification, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

/// `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`: Istio's form of a SPIFFE ID.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    // Ends of the trust domain and of the namespace in `text`.
    domain_end: u16,
    namespace_end: u16,
}

/// Why a string is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no identity: {why}")]
pub struct InvalidSpiffeId {
    text: String,
    why: &'static str,
}

const SCHEME: &str = "spiffe://";
const LONGEST: usize = 2048;

fn invalid(text: &str, why: &'static str) -> InvalidSpiffeId {
    InvalidSpiffeId {
        text: text.chars().take(128).collect(),
        why,
    }
}

// === impl TrustDomain ===

impl TrustDomain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    /// Istio's default, `cluster.local`.
    fn default() -> Self {
        Self("cluster.local".into())
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > 255 || !text.bytes().all(valid) {
            return Err(invalid(
                text,
                "a trust domain is 1 to 255 lower-case letters, digits, `.`, `-` and `_`",
            ));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SpiffeId ===

impl SpiffeId {
    /// Joins the parts.
    ///
    /// # Errors
    /// If the namespace or the service account is no DNS name.
    pub fn new(
        domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, InvalidSpiffeId> {
        format!("{SCHEME}{domain}/ns/{namespace}/sa/{service_account}").parse()
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI without `spiffe://`: what Istio calls a principal.
    pub fn principal(&self) -> &str {
        self.text.get(SCHEME.len()..).unwrap_or_default()
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &str {
        self.text
            .get(SCHEME.len()..usize::from(self.domain_end))
            .unwrap_or_default()
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        let start = usize::from(self.domain_end) + "/ns/".len();
        self.text
            .get(start..usize::from(self.namespace_end))
            .unwrap_or_default()
    }

    /// The service account.
    pub fn service_account(&self) -> &str {
        let start = usize::from(self.namespace_end) + "/sa/".len();
        self.text.get(start..).unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(invalid(text, "it is longer than 2048 bytes"));
        }
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| invalid(text, "it does not begin with spiffe://"))?;
        let shape = || {
            invalid(
                text,
                "it is not spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>",
            )
        };
        let (domain, rest) = rest.split_once("/ns/").ok_or_else(shape)?;
        let (namespace, service_account) = rest.split_once("/sa/").ok_or_else(shape)?;
        domain.parse::<TrustDomain>().map_err(|_| shape())?;
        if !is_dns_name(namespace) || !is_dns_name(service_account) {
            return Err(shape());
        }
        let domain_end = SCHEME.len() + domain.len();
        let namespace_end = domain_end + "/ns/".len() + namespace.len();
        let short = |n: usize| u16::try_from(n).map_err(|_| shape());
        Ok(Self {
            text: text.into(),
            domain_end: short(domain_end)?,
            namespace_end: short(namespace_end)?,
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_apart() {
        let id: SpiffeId = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
            .parse()
            .unwrap();
        assert_eq!(id.trust_domain(), "cluster.local");
        assert_eq!(id.namespace(), "default");
        assert_eq!(id.service_account(), "bookinfo-reviews");
        assert_eq!(
            id.principal(),
            "cluster.local/ns/default/sa/bookinfo-reviews"
        );
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "spiffe://",
            "spiffe://cluster.local",
            "spiffe://cluster.local/ns/a/sa/",
            "spiffe://cluster.local/ns//sa/b",
            "spiffe://cluster.local/ns/a/sa/b/c",
            "spiffe://cluster.local/ns/a/sa/b?x",
            "spiffe://Cluster.Local/ns/a/sa/b",
            "spiffe://u@cluster.local/ns/a/sa/b",
            "spiffe://cluster.local:1/ns/a/sa/b",
            "https://cluster.local/ns/a/sa/b",
        ] {
            assert!(text.parse::<SpiffeId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_round_trips(text in "\\PC{0,80}|spiffe://[a-z.]{1,9}/ns/[a-z-]{1,9}/sa/[a-z-]{1,9}") {
            if let Ok(id) = text.parse::<SpiffeId>() {
                prop_assert_eq!(id.as_str(), &text);
                let domain: TrustDomain = id.trust_domain().parse().unwrap();
                let again = SpiffeId::new(&domain, id.namespace(), id.service_account()).unwrap();
                prop_assert_eq!(again, id);
            }
        }
    }
}

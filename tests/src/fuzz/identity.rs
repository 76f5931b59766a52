//! Who somebody says to be.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use mesh_api::{ResourceName, SpiffeId};
use mesh_ca::{Authority, AuthorityOptions, Issue, JoinTokens, WorkloadBinding};
use mesh_proxy::tls::Leaf;

use super::client;

/// A certificate signing request: refused, or certified for the caller and nobody else.
pub fn csr(data: &[u8]) {
    static AUTHORITY: OnceLock<Option<(tempfile::TempDir, Authority)>> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let authority = Authority::open(directory.path(), &AuthorityOptions::default()).ok()?;
        Some((directory, authority))
    });
    let Some((_, authority)) = authority else {
        return;
    };
    let Some(identity) = client() else { return };
    let request = Issue {
        identity: identity.clone(),
        csr_der: data.to_vec(),
        ttl: None,
        dns_names: Vec::new(),
        binding: None,
    };
    if let Ok(issued) = authority.issue(&request, mesh_ca::now()) {
        let leaf = issued
            .chain_der
            .first()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let certified = mesh_ca::certificate_identity(leaf).map(|(identity, _)| identity);
        assert_eq!(certified.ok(), Some(identity));
        assert_eq!(mesh_ca::certificate_binding(leaf), Ok(None));
    }
}

/// A join token of a stranger is never taken.
pub fn join_token(data: &[u8]) {
    static TOKENS: OnceLock<Option<(tempfile::TempDir, JoinTokens)>> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let tokens = JoinTokens::open(directory.path()).ok()?;
        Some((directory, tokens))
    });
    let Some((_, tokens)) = tokens else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert!(tokens.check(&String::from_utf8_lossy(data), now).is_err());
}

/// An identity: refused, or written back as it came.
pub fn spiffe_id(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(id) = text.parse::<SpiffeId>()
    {
        assert_eq!(id.as_str(), text);
    }
}

/// A resource name: refused, or stable under printing and parsing.
pub fn resource_name(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = text.parse::<ResourceName>()
    {
        assert_eq!(name.to_string().parse::<ResourceName>().ok(), Some(name));
    }
}

/// A peer's certificate: the authority and the proxy read the same identity in it. What it says
/// of its workload, or what the whole input says as the value of that extension, is refused or
/// written back as it came.
pub fn certificate(data: &[u8]) {
    if let Ok(binding) = WorkloadBinding::decode(data) {
        assert_eq!(binding.encode().as_deref(), Ok(data));
    }
    if let Ok(Some(binding)) = mesh_ca::certificate_binding(data) {
        let value = binding.encode().unwrap_or_default();
        let holds = data.windows(value.len().max(1)).any(|part| part == value);
        assert!(holds, "the certificate does not say {binding:?}");
    }
    let leaf = Leaf::parse(data).and_then(|leaf| leaf.identity());
    if let Ok((identity, _)) = mesh_ca::certificate_identity(data) {
        assert_eq!(leaf, Ok(identity));
    }
}

//! Keys of one issuer: found where they are, fetched, and checked to be keys.

use meshd_core::KeySource;

use crate::https::{GetError, HttpClient};

/// Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Fetches keys. Cheap to clone.
#[derive(Clone)]
pub(super) struct Fetcher(HttpClient);

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Get(#[from] GetError),
    #[error("`{0}` is no URI of http or https")]
    Issuer(String),
    #[error("{0} is no JSON Web Key Set with a key")]
    NoKeys(String),
    #[error("{0} names no `jwks_uri` that can be used")]
    NoDiscovery(String),
}

/// Whether it is a JSON Web Key Set (RFC 7517) with a key.
pub(super) fn is_key_set(text: &[u8]) -> bool {
    let set = serde_json::from_slice::<serde_json::Value>(text).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    keys.is_some_and(|keys| !keys.is_empty())
}

// === impl Fetcher ===

impl Fetcher {
    pub(super) fn new() -> Self {
        Self(HttpClient::new())
    }

    /// A key set as text, checked to be one.
    pub(super) async fn fetch(&self, source: &KeySource) -> Result<String, FetchError> {
        let uri = match source {
            KeySource::Uri(uri) => uri.clone(),
            KeySource::Issuer(issuer) => self.discover(issuer).await?,
        };
        let body = self.0.get(&uri).await?;
        let text = std::str::from_utf8(&body).ok();
        text.filter(|_| is_key_set(&body))
            .map(str::to_owned)
            .ok_or(FetchError::NoKeys(uri))
    }

    async fn discover(&self, issuer: &str) -> Result<String, FetchError> {
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(FetchError::Issuer(issuer.to_owned()));
        }
        let document = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
        let body = self.0.get(&document).await?;
        let described = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let uri = described
            .as_ref()
            .and_then(|described| described.get("jwks_uri")?.as_str());
        // What comes over TLS does not lead to what comes without.
        let safe = |uri: &&str| uri.starts_with("https://") || issuer.starts_with("http://");
        uri.filter(safe)
            .map(str::to_owned)
            .ok_or(FetchError::NoDiscovery(document))
    }
}

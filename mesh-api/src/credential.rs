//! Forms of credentials and tokens that do not tell what is secret.

use std::fmt;

use pbjson::private::BytesDeserialize;
use pbjson::private::base64::Engine as _;
use pbjson::private::base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::envoy_secret::DataSource;
use crate::spiffe_workload::{Jwtsvid, ValidateJwtsvidRequest, X509svid};
use crate::v1::{Credential, SignJwtResponse};

const REDACTED: &str = "redacted";

// === impl Credential ===

impl fmt::Debug for Credential {
    /// Names the Secret and counts the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("certificate_chain", &self.certificate_chain.len())
            .field("private_key", &REDACTED)
            .field("client_roots", &self.client_roots.len())
            .field("client_crls", &self.client_crls.len())
            .finish()
    }
}

// === impl X509svid ===

impl fmt::Debug for X509svid {
    /// Names the identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509svid")
            .field("spiffe_id", &self.spiffe_id)
            .field("x509_svid_key", &REDACTED)
            .finish_non_exhaustive()
    }
}

// === impl Jwtsvid ===

impl fmt::Debug for Jwtsvid {
    /// Names the identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwtsvid")
            .field("spiffe_id", &self.spiffe_id)
            .field("svid", &REDACTED)
            .finish_non_exhaustive()
    }
}

// === impl ValidateJwtsvidRequest ===

impl fmt::Debug for ValidateJwtsvidRequest {
    /// Names the audience.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateJwtsvidRequest")
            .field("audience", &self.audience)
            .field("svid", &REDACTED)
            .finish()
    }
}

// === impl SignJwtResponse ===

impl fmt::Debug for SignJwtResponse {
    /// Names the identity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignJwtResponse")
            .field("token", &REDACTED)
            .field("identity", &self.identity)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

// === impl DataSource ===

impl fmt::Debug for DataSource {
    /// It may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSource")
            .field("inline_bytes", &REDACTED)
            .finish()
    }
}

fn encode(list: &[Vec<u8>]) -> Vec<String> {
    list.iter().map(|bytes| STANDARD.encode(bytes)).collect()
}

impl Serialize for Credential {
    /// Everything but the key, in whose place stands `redacted`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("mesh.v1.Credential", 6)?;
        fields.serialize_field("namespace", &self.namespace)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("certificate_chain", &encode(&self.certificate_chain))?;
        fields.serialize_field("private_key", REDACTED)?;
        fields.serialize_field("client_roots", &encode(&self.client_roots))?;
        fields.serialize_field("client_crls", &encode(&self.client_crls))?;
        fields.end()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Readable {
    namespace: String,
    name: String,
    certificate_chain: Vec<BytesDeserialize<Vec<u8>>>,
    #[serde(rename = "private_key")]
    _private_key: serde::de::IgnoredAny,
    client_roots: Vec<BytesDeserialize<Vec<u8>>>,
    client_crls: Vec<BytesDeserialize<Vec<u8>>>,
}

impl<'de> Deserialize<'de> for Credential {
    /// Reads what [`Serialize`] writes: a credential without a key.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |list: Vec<BytesDeserialize<Vec<u8>>>| list.into_iter().map(|item| item.0);
        let read = Readable::deserialize(deserializer)?;
        Ok(Self {
            namespace: read.namespace,
            name: read.name,
            certificate_chain: bytes(read.certificate_chain).collect(),
            private_key: Vec::new(),
            client_roots: bytes(read.client_roots).collect(),
            client_crls: bytes(read.client_crls).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_json_tells_the_key() {
        let credential = Credential {
            namespace: "istio-system".into(),
            name: "shop-tls".into(),
            certificate_chain: vec![vec![1, 2, 3]],
            private_key: b"private key bytes".to_vec(),
            client_roots: vec![vec![4]],
            client_crls: Vec::new(),
        };
        let resource = crate::v1::Resource {
            name: "credential/istio-system/shop-tls".into(),
            version: "1".into(),
            body: Some(crate::v1::resource::Body::Credential(credential.clone())),
        };
        let json = serde_json::to_string(&resource).unwrap();
        let debug = format!("{resource:?}");
        for text in [&json, &debug] {
            assert!(
                text.contains("shop-tls") && text.contains("redacted"),
                "{text}"
            );
            for secret in [
                "private key bytes".to_owned(),
                STANDARD.encode(&credential.private_key),
                format!("{:?}", credential.private_key),
            ] {
                assert!(!text.contains(&secret), "{text}");
            }
        }
        let read: crate::v1::Resource = serde_json::from_str(&json).unwrap();
        let Some(crate::v1::resource::Body::Credential(read)) = read.body else {
            panic!("{read:?}");
        };
        assert!(read.private_key.is_empty());
        assert_eq!(read.certificate_chain, credential.certificate_chain);
        assert_eq!(read.client_roots, credential.client_roots);
    }
}

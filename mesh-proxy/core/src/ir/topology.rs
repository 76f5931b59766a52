//! What stands between clients and a gateway.

use std::str::FromStr;

/// What stands between clients and a gateway (Istio: ProxyConfig.gatewayTopology).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayTopology {
    /// Proxies before the gateway whose word on the client's address is taken.
    pub trusted_proxies: u32,
    /// What becomes of `x-forwarded-client-cert`.
    pub forward_client_cert: ForwardClientCert,
    /// Connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// What a gateway does with `x-forwarded-client-cert` (Istio: ForwardClientCertDetails). All but
/// [`Self::AlwaysForwardOnly`] drop what a client without a certificate sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardClientCert {
    /// Dropped.
    Sanitize,
    /// Passed on as it comes.
    ForwardOnly,
    /// Passed on with the client's certificate added.
    AppendForward,
    /// Replaced by the client's certificate.
    #[default]
    SanitizeSet,
    /// Passed on as it comes, whoever sends it.
    AlwaysForwardOnly,
}

/// What becomes of the field in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateField {
    /// It stays as it came.
    Keep,
    /// It goes.
    Remove,
    /// The client's certificate is added to it.
    Append,
    /// The client's certificate takes its place.
    Replace,
}

// === impl ForwardClientCert ===

impl ForwardClientCert {
    /// Istio's names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("SANITIZE", Self::Sanitize),
        ("FORWARD_ONLY", Self::ForwardOnly),
        ("APPEND_FORWARD", Self::AppendForward),
        ("SANITIZE_SET", Self::SanitizeSet),
        ("ALWAYS_FORWARD_ONLY", Self::AlwaysForwardOnly),
    ];

    /// What becomes of the field, for a client with or without a certificate.
    pub const fn field(self, has_certificate: bool) -> CertificateField {
        match (self, has_certificate) {
            (Self::AlwaysForwardOnly, _) | (Self::ForwardOnly, true) => CertificateField::Keep,
            (Self::Sanitize, _) | (_, false) => CertificateField::Remove,
            (Self::AppendForward, true) => CertificateField::Append,
            (Self::SanitizeSet, true) => CertificateField::Replace,
        }
    }
}

impl FromStr for ForwardClientCert {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("write one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_mode_believes_clients_without_a_certificate() {
        use CertificateField::{Append, Keep, Remove, Replace};
        let fields: Vec<_> = ForwardClientCert::ALL
            .iter()
            .map(|(name, mode)| (*name, mode.field(false), mode.field(true)))
            .collect();
        assert_eq!(
            fields,
            [
                ("SANITIZE", Remove, Remove),
                ("FORWARD_ONLY", Remove, Keep),
                ("APPEND_FORWARD", Remove, Append),
                ("SANITIZE_SET", Remove, Replace),
                ("ALWAYS_FORWARD_ONLY", Keep, Keep),
            ]
        );
    }
}

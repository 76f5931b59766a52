//! What stands before a gateway, as its own settings say.

use mesh_proxy_core::ir::{ForwardClientCert, GatewayTopology};

use super::SettingsSource;
use super::parse::Reader;

/// What one gateway is told of those before it; what is absent the control plane says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnTopology {
    /// Every connection begins with a header of the PROXY protocol that says who the client is
    /// (Istio: `gatewayTopology.proxyProtocol`); others are refused.
    pub proxy_protocol: Option<bool>,
    /// Proxies whose word in `x-forwarded-for` is taken (Istio:
    /// `gatewayTopology.numTrustedProxies`).
    pub trusted_proxies: Option<u32>,
    /// What becomes of `x-forwarded-client-cert` (Istio:
    /// `gatewayTopology.forwardClientCertDetails`).
    pub forward_client_cert: Option<ForwardClientCert>,
}

// === impl OwnTopology ===

impl OwnTopology {
    pub(super) fn read(source: &SettingsSource, reader: &mut Reader) -> Self {
        Self {
            proxy_protocol: source.gateway_proxy_protocol,
            trusted_proxies: reader.optional(
                "gateway-trusted-proxies",
                source.gateway_trusted_proxies.as_deref(),
            ),
            forward_client_cert: reader.optional(
                "gateway-forward-client-cert",
                source.gateway_forward_client_cert.as_deref(),
            ),
        }
    }

    /// With what the control plane says.
    pub fn over(&self, told: GatewayTopology) -> GatewayTopology {
        GatewayTopology {
            trusted_proxies: self.trusted_proxies.unwrap_or(told.trusted_proxies),
            forward_client_cert: self.forward_client_cert.unwrap_or(told.forward_client_cert),
            proxy_protocol: self.proxy_protocol.unwrap_or(told.proxy_protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_here_counts_more() {
        let told = GatewayTopology {
            trusted_proxies: 2,
            forward_client_cert: ForwardClientCert::Sanitize,
            proxy_protocol: true,
        };
        assert_eq!(OwnTopology::default().over(told), told);
        let own = OwnTopology {
            proxy_protocol: Some(false),
            trusted_proxies: Some(0),
            forward_client_cert: Some(ForwardClientCert::SanitizeSet),
        };
        assert_eq!(own.over(told), GatewayTopology::default());
    }
}

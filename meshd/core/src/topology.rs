//! `gatewayTopology` of a ProxyConfig (Istio: mesh/v1alpha1/proxy.proto): mesh-wide in
//! `defaultConfig`, of one proxy in the annotation `proxy.istio.io/config`.

use mesh_api::v1::{ForwardClientCert, GatewayTopology};
use serde_json::Value;

/// Istio's names.
const FORWARD: [(&str, ForwardClientCert); 6] = [
    ("UNDEFINED", ForwardClientCert::Unspecified),
    ("SANITIZE", ForwardClientCert::Sanitize),
    ("FORWARD_ONLY", ForwardClientCert::ForwardOnly),
    ("APPEND_FORWARD", ForwardClientCert::AppendForward),
    ("SANITIZE_SET", ForwardClientCert::SanitizeSet),
    ("ALWAYS_FORWARD_ONLY", ForwardClientCert::AlwaysForwardOnly),
];

/// Reads it. Names of fields that mean nothing come beside it.
///
/// # Errors
/// In one line, what in it cannot be used.
pub fn gateway_topology(value: &Value) -> Result<(GatewayTopology, Vec<String>), String> {
    let fields = value
        .as_object()
        .ok_or("gatewayTopology: write an object")?;
    let mut topology = GatewayTopology::default();
    let mut unknown = Vec::new();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "numTrustedProxies" => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                topology.trusted_proxies = number
                    .ok_or("gatewayTopology.numTrustedProxies: write a whole number from 0")?;
            }
            "forwardClientCertDetails" => {
                let known = FORWARD
                    .iter()
                    .find(|(name, _)| value.as_str() == Some(name));
                let (_, mode) = known.ok_or_else(|| {
                    let names = FORWARD.map(|(name, _)| name).join(", ");
                    format!("gatewayTopology.forwardClientCertDetails: write one of {names}")
                })?;
                topology.set_forward_client_cert(*mode);
            }
            // A message without fields: that it is there is all it says.
            "proxyProtocol" => {
                value
                    .as_object()
                    .ok_or("gatewayTopology.proxyProtocol: write {}")?;
                topology.proxy_protocol = true;
            }
            _ => unknown.push(format!("gatewayTopology.{key}")),
        }
    }
    Ok((topology, unknown))
}

/// Istio's name of a mode.
pub(crate) fn forward_name(topology: &GatewayTopology) -> &'static str {
    let wanted = topology.forward_client_cert();
    let found = FORWARD.iter().find(|(_, mode)| *mode == wanted);
    match found {
        Some((name, mode)) if *mode != ForwardClientCert::Unspecified => name,
        _ => "SANITIZE_SET",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_istios_form() {
        let read = |value| gateway_topology(&value);
        let whole = json!({
            "numTrustedProxies": 2,
            "forwardClientCertDetails": "APPEND_FORWARD",
            "proxyProtocol": {},
            "other": 1,
        });
        let (topology, unknown) = read(whole).unwrap();
        assert_eq!(topology.trusted_proxies, 2);
        assert_eq!(forward_name(&topology), "APPEND_FORWARD");
        assert!(topology.proxy_protocol);
        assert_eq!(unknown, ["gatewayTopology.other"]);
        let (nothing, _) = read(json!({"proxyProtocol": null})).unwrap();
        assert_eq!(nothing, GatewayTopology::default());
        assert_eq!(forward_name(&nothing), "SANITIZE_SET");
        for bad in [
            json!(1),
            json!({"numTrustedProxies": -1}),
            json!({"forwardClientCertDetails": "NO"}),
            json!({"proxyProtocol": true}),
        ] {
            read(bad.clone()).expect_err(&bad.to_string());
        }
    }
}

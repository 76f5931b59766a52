//! Gateways for tests: objects, Secrets, and what a gateway is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_api::v1::resource::Body;
use mesh_api::v1::{self, TlsServer};
use meshd_core::{Scope, World};

use crate::mesh::{gateway, gateway_of, problems, resources};

pub(crate) const EC_CERT: &str = include_str!("pem/ec-cert.pem");
pub(crate) const EC_KEY: &str = include_str!("pem/ec-key.pem");
pub(crate) const RSA_CERT: &str = include_str!("pem/rsa-cert.pem");

/// The gateway `edge/ingress`, declared.
pub(crate) const WORKLOAD: &str = "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ingress, namespace: edge }
spec: { address: 10.1.0.1, serviceAccount: client, labels: { istio: ingress } }
";

pub(crate) fn ingress(world: &World) -> Scope {
    gateway(world, "edge/ingress", &[("istio", "ingress")])
}

pub(crate) fn gateway_object(name: &str, servers: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ istio: ingress }}, servers: [{servers}] }}\n"
    )
}

pub(crate) fn https(port: u16, hosts: &str, tls: &str) -> String {
    format!(
        "{{ port: {{ number: {port}, name: 'https-{port}-{}', protocol: HTTPS }}, hosts: [{hosts}], tls: {{ {tls} }} }}",
        hosts.replace(['*', '.', '\'', '/', ' ', ','], "-")
    )
}

pub(crate) fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> String {
    let data: Vec<String> = data
        .iter()
        .map(|(key, value)| format!("{key}: {}", STANDARD.encode(value)))
        .collect();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{ name: {name}, namespace: {namespace} }}\ndata: {{ {} }}\n",
        data.join(", ")
    )
}

pub(crate) fn pair(namespace: &str, name: &str) -> String {
    secret(
        namespace,
        name,
        &[("tls.crt", EC_CERT), ("tls.key", EC_KEY)],
    )
}

pub(crate) fn tls_servers(world: &World) -> Vec<TlsServer> {
    let found = gateway_of(world, &ingress(world));
    found
        .listeners
        .into_iter()
        .flat_map(|listener| listener.tls)
        .collect()
}

pub(crate) fn credentials(world: &World, scope: &Scope) -> Vec<v1::Credential> {
    resources(world, scope, &["gateway/self"])
        .into_values()
        .filter_map(|resource| match &resource.body {
            Some(Body::Credential(credential)) => Some(credential.clone()),
            _ => None,
        })
        .collect()
}

pub(crate) fn about(world: &World, code: &str) -> Vec<String> {
    let end = format!("[{code}]");
    problems(world)
        .into_iter()
        .filter(|line| line.ends_with(&end))
        .collect()
}

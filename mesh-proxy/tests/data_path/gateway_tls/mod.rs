//! TLS at the ingress gateway, with rustls, curl and openssl as clients.

mod clients;
mod peers;
mod servers;
mod streams;

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_api::v1::{
    AuthorizationAction, AuthorizationPolicy, AuthorizationRule, AuthorizationSource, Credential,
    Destination, GatewayHost, GatewayListener, MtlsMode, Protocol, ServerTlsFiles, TcpRoute,
    TlsServer, TlsServerMode, TlsVersion, http_route::Action,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Config, forward, route, service};
use crate::peers::{App, NAME, until, within};
use crate::proxy::{Proxy, Spec, Vacant, proxy, vacant};

const PORT: u16 = 443;

/// An authority of the world outside.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

/// A certificate with its key.
struct Leaf {
    der: Vec<u8>,
    key: Vec<u8>,
    pem: String,
    key_pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap();
        Self {
            der: root.der().to_vec(),
            pem: root.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(&self, names: Vec<SanType>) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        params
            .distinguished_name
            .push(DnType::OrganizationName, "a, b");
        params.distinguished_name.push(DnType::CommonName, "test");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            der: leaf.der().to_vec(),
            key: key.serialize_der(),
            pem: leaf.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    fn server(&self, names: &[&str]) -> Leaf {
        let dns = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
        self.leaf(names.iter().map(dns).collect())
    }

    fn client(&self, config: impl FnOnce(&mut ClientConfig), leaf: Option<&Leaf>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.der.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut client = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from(leaf.der.clone())],
                    PrivateKeyDer::try_from(leaf.key.clone()).unwrap(),
                )
                .unwrap(),
        };
        config(&mut client);
        client
    }
}

fn credential(name: &str, leaf: &Leaf, roots: &[&Authority]) -> Credential {
    Credential {
        namespace: "default".into(),
        name: name.into(),
        certificate_chain: vec![leaf.der.clone()],
        private_key: leaf.key.clone(),
        client_roots: roots.iter().map(|root| root.der.clone()).collect(),
        client_crls: Vec::new(),
    }
}

/// HTTP inside of TLS for these names, sent to this service.
fn https(names: &[&str], credential: &str, to: &str) -> TlsServer {
    TlsServer {
        sni_hosts: names.iter().map(|name| (*name).to_owned()).collect(),
        mode: TlsServerMode::Simple.into(),
        protocol: Protocol::Http.into(),
        credential: format!("default/{credential}"),
        hosts: names
            .iter()
            .map(|name| GatewayHost {
                domain: (*name).to_owned(),
                http: vec![route(Action::Forward(forward(to, 80)))],
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

/// `a.example.com` ends at the gateway, and the app answers.
fn a_example_com(app: &App, leaf: &Leaf) -> Config {
    Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", leaf, &[]))
        .listener(listener(vec![https(&["a.example.com"], "cert", "app")]))
}

fn to(host: &str, port: u16) -> Vec<TcpRoute> {
    vec![TcpRoute {
        destinations: vec![Destination {
            host: host.into(),
            port: port.into(),
            weight: 100,
            ..Default::default()
        }],
        ..Default::default()
    }]
}

fn listener(tls: Vec<TlsServer>) -> GatewayListener {
    GatewayListener {
        port: PORT.into(),
        protocol: Protocol::Tls.into(),
        tls,
        ..Default::default()
    }
}

/// The offset that makes the gateway's port a free one.
fn at(spec: Spec, port: &Vacant) -> Proxy {
    spec.gateway(port.address.port() - PORT).start()
}

async fn tcp(address: SocketAddr) -> TcpStream {
    within(async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

async fn connect(
    address: SocketAddr,
    name: &str,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = tcp(address).await;
    within(connector.connect(name, stream)).await
}

/// Sends a request over HTTP/1.1 and reads everything.
async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> std::io::Result<String> {
    let request = format!(
        "GET /x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Client-Cert: forged\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    let _ = within(stream.read_to_end(&mut text)).await;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn peer_der(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates.first().unwrap().to_vec()
}

fn h2(config: &mut ClientConfig) {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
}

fn nothing(_: &mut ClientConfig) {}

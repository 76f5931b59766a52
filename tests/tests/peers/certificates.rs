//! Certificates for peers: of an authority of their own, and of the mesh's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use mesh_ca::{Authority, AuthorityOptions, Issue};
use mesh_tests::LaptopMesh;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};

/// An authority outside of the mesh, with a server certificate for each name:
/// `<name>.crt` and `<name>.key`.
pub(crate) struct Own {
    directory: tempfile::TempDir,
}

/// A leaf of the mesh's authority in files.
pub(crate) struct Leaf {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) roots: PathBuf,
}

fn name_of(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

// === impl Own ===

impl Own {
    pub(crate) fn new(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = name_of("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.path().join("root.crt"), root.pem()).unwrap();
        for name in names {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![(*name).to_owned()]).unwrap();
            params.distinguished_name = name_of(name);
            let leaf = params.signed_by(&key, &root).unwrap();
            fs::write(directory.path().join(format!("{name}.crt")), leaf.pem()).unwrap();
            fs::write(
                directory.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Self { directory }
    }

    /// The root's certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.file("root.crt")
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

// === impl Leaf ===

impl Leaf {
    /// A certificate of the mesh's authority for a service account of the namespace `default`,
    /// written into `directory`.
    pub(crate) fn issue(mesh: &LaptopMesh, account: &str, directory: &Path) -> Self {
        let directory_of_keys = mesh.state().join("ca");
        let authority = Authority::open(&directory_of_keys, &AuthorityOptions::default()).unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let issued = authority
            .issue(
                &Issue {
                    identity: format!("spiffe://cluster.local/ns/default/sa/{account}")
                        .parse()
                        .unwrap(),
                    csr_der: request.der().to_vec(),
                    ttl: Some(Duration::from_secs(3600)),
                    dns_names: Vec::new(),
                    binding: None,
                },
                mesh_ca::now(),
            )
            .unwrap();
        let leaf = Self {
            chain: directory.join(format!("{account}.crt")),
            key: directory.join(format!("{account}.key")),
            roots: mesh.state().join("ca/root.pem"),
        };
        let chain: String = issued.chain_der.iter().map(|der| pem(der)).collect();
        fs::write(&leaf.chain, chain).unwrap();
        fs::write(&leaf.key, key.serialize_pem()).unwrap();
        leaf
    }
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

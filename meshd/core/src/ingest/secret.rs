//! Secret of Kubernetes, as far as a gateway can serve with it (Istio: credential controller).

mod key_pair;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_api::v1::Severity;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::model::{Certificate, Meta, SecretObject};
use crate::problem::code;
use crate::yaml::{Node, Place, Report, Value};

// Istio's generic names come before those of kubernetes.io/tls.
const PAIRS: [(&str, &str); 2] = [("cert", "key"), ("tls.crt", "tls.key")];
const ROOTS: [&str; 2] = ["cacert", "ca.crt"];
const CRLS: [&str; 2] = ["crl", "ca.crl"];

/// Reads what there is. An error never quotes what stands in the Secret.
pub(super) fn read(meta: Meta, root: &Node, r: &mut Report) -> SecretObject {
    let data = Data::read(root, r);
    let pair = PAIRS
        .iter()
        .find(|(certificate, key)| data.has(certificate) && data.has(key));
    let certificate = pair.and_then(|(certificate, key)| read_pair(&data, (certificate, key), r));
    let first = |names: &[&'static str]| names.iter().copied().find(|name| data.has(name));
    let client_roots = first(&ROOTS)
        .map(|name| items::<CertificateDer<'_>>(&data, name, "certificate", r))
        .unwrap_or_default();
    for root in &client_roots {
        if key_pair::public_key(root).is_none() {
            let name = first(&ROOTS).unwrap_or_default();
            data.invalid(name, "holds a certificate that cannot be read", r);
        }
    }
    let client_crls = first(&CRLS)
        .map(|name| items::<CertificateRevocationListDer<'_>>(&data, name, "revocation list", r))
        .unwrap_or_default();
    SecretObject {
        meta,
        certificate,
        client_roots,
        client_crls,
    }
}

fn read_pair(
    data: &Data,
    (certificate, key): (&'static str, &'static str),
    r: &mut Report,
) -> Option<Certificate> {
    let chain = items::<CertificateDer<'_>>(data, certificate, "certificate", r);
    let Ok(private_key) = PrivateKeyDer::from_pem_slice(data.get(key)) else {
        data.invalid(
            key,
            "holds no private key in PEM (an encrypted one cannot be used)",
            r,
        );
        return None;
    };
    let leaf = chain.first()?;
    match key_pair::belongs(leaf, &private_key) {
        Ok(true) => {}
        Ok(false) => {
            let message = format!("is not the key of the certificate in {certificate}");
            data.invalid(key, &message, r);
        }
        Err(key_pair::Unreadable::Certificate) => {
            data.invalid(certificate, "holds a certificate that cannot be read", r);
        }
        Err(key_pair::Unreadable::Key) => {
            data.invalid(key, "holds a private key that cannot be read", r);
        }
    }
    Some(Certificate {
        chain,
        private_key: private_key.secret_der().into(),
    })
}

/// DER of all PEM sections of a kind.
fn items<'a, T: PemObject + AsRef<[u8]> + 'a>(
    data: &Data,
    name: &'static str,
    what: &str,
    r: &mut Report,
) -> Vec<Vec<u8>> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(data.get(name)).collect();
    let found = found.unwrap_or_default();
    if found.is_empty() {
        data.invalid(name, &format!("holds no {what} in PEM"), r);
    }
    found.iter().map(|item| item.as_ref().to_vec()).collect()
}

/// `data` and `stringData`.
struct Data {
    values: BTreeMap<String, (Vec<u8>, Place)>,
    place: Place,
}

// === impl Data ===

impl Data {
    fn read(root: &Node, r: &mut Report) -> Self {
        let mut this = Self {
            values: BTreeMap::new(),
            place: root.place,
        };
        let names: Vec<&str> = PAIRS
            .iter()
            .flat_map(|(certificate, key)| [*certificate, *key])
            .chain(ROOTS)
            .chain(CRLS)
            .collect();
        let texts = |field: &'static str| {
            let entries = match root.get(field).map(|node| &node.value) {
                Some(Value::Map(entries)) => entries.as_slice(),
                _ => &[],
            };
            let names = &names;
            entries.iter().filter_map(move |(key, node)| {
                names.contains(&key.name.as_str()).then_some((
                    key.name.as_str(),
                    node.text()?,
                    node.place,
                ))
            })
        };
        for (name, text, place) in texts("data") {
            let text: String = text.split_whitespace().collect();
            match STANDARD.decode(text) {
                Ok(bytes) => {
                    this.values.insert(name.to_owned(), (bytes, place));
                }
                Err(_) => {
                    let message = format!("data.{name} is no base64");
                    r.push(
                        Severity::Error,
                        place,
                        message,
                        code::INVALID_GATEWAY_CREDENTIAL,
                    );
                }
            }
        }
        for (name, text, place) in texts("stringData") {
            this.values
                .insert(name.to_owned(), (text.as_bytes().to_vec(), place));
        }
        this
    }

    fn get(&self, name: &str) -> &[u8] {
        self.values
            .get(name)
            .map_or(&[][..], |(bytes, _)| bytes.as_slice())
    }

    fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    fn invalid(&self, name: &str, what: &str, r: &mut Report) {
        let place = self
            .values
            .get(name)
            .map_or(self.place, |(_, place)| *place);
        r.push(
            Severity::Error,
            place,
            format!("data.{name} {what}"),
            code::INVALID_GATEWAY_CREDENTIAL,
        );
    }
}

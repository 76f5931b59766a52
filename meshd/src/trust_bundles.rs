//! `caCertificates` of the mesh configuration: the roots of other trust domains.

use std::collections::BTreeMap;

use mesh_api::TrustDomain;
use meshd_core::TrustBundle;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

/// Reads the list. Roots vouch for the trust domains that their entry names, and for no others.
///
/// # Errors
/// With the field and what is wrong with it.
pub(crate) fn read(value: &Value) -> Result<Vec<TrustBundle>, String> {
    let entries = value
        .as_array()
        .ok_or("caCertificates: it must be a list")?;
    let mut bundles: BTreeMap<String, TrustBundle> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        let at = |field: &str| format!("caCertificates[{number}].{field}");
        if entry.get("spiffeBundleUrl").is_some() {
            let field = at("spiffeBundleUrl");
            return Err(format!(
                "{field}: bundles are not fetched; write the roots as `pem`"
            ));
        }
        let text = entry
            .get("pem")
            .and_then(Value::as_str)
            .ok_or_else(|| format!("{}: it must hold certificates in PEM", at("pem")))?;
        let roots_der = certificates(text).map_err(|why| format!("{}: {why}", at("pem")))?;
        let domains = entry
            .get("trustDomains")
            .and_then(Value::as_array)
            .filter(|domains| !domains.is_empty())
            .ok_or_else(|| {
                let field = at("trustDomains");
                format!("{field}: name the trust domains that these roots may vouch for")
            })?;
        for domain in domains {
            let trust_domain: TrustDomain = domain
                .as_str()
                .unwrap_or_default()
                .parse()
                .map_err(|error| format!("{}: {error}", at("trustDomains")))?;
            let bundle = bundles
                .entry(trust_domain.as_str().to_owned())
                .or_insert_with(|| TrustBundle {
                    trust_domain,
                    roots_der: Vec::new(),
                    jwks: String::new(),
                });
            bundle.roots_der.extend(roots_der.iter().cloned());
        }
    }
    Ok(bundles.into_values().collect())
}

fn certificates(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .map(|der| der.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let mut store = rustls::RootCertStore::empty();
    for der in &found {
        store
            .add(CertificateDer::from(der.as_slice()))
            .map_err(|error| format!("a certificate cannot be a root: {error}"))?;
    }
    match found.is_empty() {
        true => Err("it holds no certificate in PEM".to_owned()),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn roots_are_read_for_the_domains_that_they_name() {
        let dir = tempfile::tempdir().unwrap();
        mesh_ca::Authority::open(dir.path(), &mesh_ca::AuthorityOptions::default()).unwrap();
        let pem = std::fs::read_to_string(dir.path().join("root.pem")).unwrap();
        let bundles = read(&json!([
            {"pem": pem, "trustDomains": ["a.example", "b.example"]},
            {"pem": pem, "trustDomains": ["a.example"]},
        ]))
        .unwrap();
        let found: Vec<_> = bundles
            .iter()
            .map(|bundle| (bundle.trust_domain.as_str(), bundle.roots_der.len()))
            .collect();
        assert_eq!(found, [("a.example", 2), ("b.example", 1)]);
        for (value, words) in [
            (json!({}), "must be a list"),
            (json!([{"trustDomains": ["a"]}]), "caCertificates[0].pem"),
            (
                json!([{"pem": "x", "trustDomains": ["a"]}]),
                "no certificate",
            ),
            (json!([{"pem": pem}]), "caCertificates[0].trustDomains"),
            (
                json!([{"pem": pem, "trustDomains": []}]),
                "name the trust domains",
            ),
            (
                json!([{"pem": pem, "trustDomains": ["a/b"]}]),
                "trustDomains",
            ),
            (json!([{"spiffeBundleUrl": "https://a"}]), "not fetched"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

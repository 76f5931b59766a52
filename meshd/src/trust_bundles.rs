//! `caCertificates` of the mesh configuration: the roots of other trust domains, or where their
//! bundles are.

use std::collections::BTreeMap;

use mesh_api::TrustDomain;
use mesh_ca::SpiffeBundle;
use meshd_core::{BundleEndpoint, EndpointProfile, TrustBundle};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

/// The fields of an entry.
const FIELDS: [&str; 5] = [
    "pem",
    "trustDomains",
    "spiffeBundleUrl",
    "bundleEndpointProfile",
    "trustDomainBundle",
];

/// Whom to trust besides ourselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Federation {
    /// By roots that stand here.
    pub(crate) bundles: Vec<TrustBundle>,
    /// By what is fetched.
    pub(crate) endpoints: Vec<BundleEndpoint>,
}

/// Reads the list. Roots vouch for the trust domains that their entry names, and for no others.
///
/// # Errors
/// With the field and what is wrong with it.
pub(crate) fn read(value: &Value) -> Result<Federation, String> {
    let entries = value
        .as_array()
        .ok_or("caCertificates: it must be a list")?;
    let mut bundles: BTreeMap<String, TrustBundle> = BTreeMap::new();
    let mut endpoints: Vec<BundleEndpoint> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let at = |why: String| format!("caCertificates[{number}].{why}");
        let members = entry.as_object();
        let members = members.ok_or_else(|| format!("caCertificates[{number}]: write fields"))?;
        if let Some(unknown) = members.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let known = FIELDS.join(", ");
            return Err(at(format!(
                "{unknown}: it is not known here; known are {known}"
            )));
        }
        let domains = trust_domains(entry).map_err(at)?;
        if entry.get("spiffeBundleUrl").is_some() {
            let endpoint = endpoint(entry, domains).map_err(at)?;
            let same = |other: &BundleEndpoint| other.trust_domain == endpoint.trust_domain;
            if endpoints.iter().any(same) {
                let domain = endpoint.trust_domain.as_str();
                return Err(at(format!("trustDomains: {domain} has two bundle URLs")));
            }
            endpoints.push(endpoint);
            continue;
        }
        let roots_der = pem(entry, "pem").map_err(at)?;
        for trust_domain in domains {
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
    Ok(Federation {
        bundles: bundles.into_values().collect(),
        endpoints,
    })
}

fn trust_domains(entry: &Value) -> Result<Vec<TrustDomain>, String> {
    let domains = entry
        .get("trustDomains")
        .and_then(Value::as_array)
        .filter(|domains| !domains.is_empty())
        .ok_or("trustDomains: name the trust domains that these roots may vouch for")?;
    let domains = domains.iter().map(|domain| {
        let parsed = domain.as_str().unwrap_or_default().parse();
        parsed.map_err(|error| format!("trustDomains: {error}"))
    });
    domains.collect()
}

/// An entry with a URL (SPIFFE Federation, section 5.1). A bundle is that of one trust domain:
/// it must not vouch for another besides.
fn endpoint(entry: &Value, domains: Vec<TrustDomain>) -> Result<BundleEndpoint, String> {
    let [trust_domain]: [TrustDomain; 1] = domains
        .try_into()
        .map_err(|_| "trustDomains: a bundle is that of one trust domain; name one")?;
    let url = entry.get("spiffeBundleUrl").and_then(Value::as_str);
    let url = url.ok_or("spiffeBundleUrl: it must be text")?;
    let parsed = url.parse::<hyper::Uri>().ok();
    let parsed = parsed.filter(|uri| uri.scheme_str() == Some("https"));
    let authority = parsed.as_ref().and_then(hyper::Uri::authority);
    if authority.is_none_or(|authority| authority.as_str().contains('@')) {
        return Err("spiffeBundleUrl: it must be https://..., without a user".to_owned());
    }
    if entry.get("pem").is_some() {
        return Err(
            "pem: roots of the trust domain come with its bundle; those of the server stand in \
             `bundleEndpointProfile.roots`"
                .to_owned(),
        );
    }
    let profile = profile(entry, &trust_domain)?;
    Ok(BundleEndpoint {
        trust_domain,
        url: url.to_owned(),
        profile,
    })
}

fn profile(entry: &Value, trust_domain: &TrustDomain) -> Result<EndpointProfile, String> {
    let profile = entry.get("bundleEndpointProfile").unwrap_or(&Value::Null);
    let kind = match profile.get("type") {
        None => "https_web",
        Some(kind) => kind.as_str().unwrap_or_default(),
    };
    let given = |name: &str| entry.get(name).is_some() || profile.get(name).is_some();
    match kind {
        "https_web" => {
            if given("endpointSPIFFEID") || given("trustDomainBundle") {
                return Err(
                    "bundleEndpointProfile: `endpointSPIFFEID` and `trustDomainBundle` \
                            are for the type https_spiffe"
                        .to_owned(),
                );
            }
            let roots_der = match profile.get("roots") {
                None => Vec::new(),
                Some(_) => {
                    pem(profile, "roots").map_err(|why| format!("bundleEndpointProfile.{why}"))?
                }
            };
            Ok(EndpointProfile::Web { roots_der })
        }
        "https_spiffe" => {
            if given("roots") {
                return Err("bundleEndpointProfile.roots: they are for the type https_web".into());
            }
            let id = profile.get("endpointSPIFFEID").and_then(Value::as_str);
            let domain = id.and_then(|id| id.strip_prefix("spiffe://")?.split('/').next());
            let (Some(id), Some(domain)) = (id, domain) else {
                return Err(
                    "bundleEndpointProfile.endpointSPIFFEID: name the identity of the \
                            server, spiffe://..."
                        .to_owned(),
                );
            };
            let first = match entry.get("trustDomainBundle") {
                Some(text) => Some(first_bundle(text, trust_domain)?),
                // It proves itself by another trust domain, which is known in its own right.
                None if domain != trust_domain.as_str() => None,
                None => {
                    return Err(format!(
                        "trustDomainBundle: the first bundle of {domain} must be given, as PEM or \
                         as a SPIFFE bundle: it is what its server is known by"
                    ));
                }
            };
            Ok(EndpointProfile::Spiffe {
                id: id.to_owned(),
                first,
            })
        }
        _ => Err("bundleEndpointProfile.type: write https_web or https_spiffe".to_owned()),
    }
}

/// PEM, or a SPIFFE bundle in JSON.
fn first_bundle(value: &Value, trust_domain: &TrustDomain) -> Result<TrustBundle, String> {
    let text = value.as_str().ok_or("trustDomainBundle: it must be text")?;
    let (roots_der, jwks) = if text.trim_start().starts_with('{') {
        let bundle = SpiffeBundle::parse(text.as_bytes())
            .map_err(|error| format!("trustDomainBundle: {error}"))?;
        (bundle.roots_der, bundle.jwks)
    } else {
        let roots = certificates(text).map_err(|why| format!("trustDomainBundle: {why}"))?;
        (roots, String::new())
    };
    if roots_der.is_empty() {
        return Err("trustDomainBundle: it holds no root".to_owned());
    }
    Ok(TrustBundle {
        trust_domain: trust_domain.clone(),
        roots_der,
        jwks,
    })
}

fn pem(entry: &Value, name: &str) -> Result<Vec<Vec<u8>>, String> {
    let text = entry.get(name).and_then(Value::as_str);
    let text = text.ok_or_else(|| format!("{name}: it must hold certificates in PEM"))?;
    certificates(text).map_err(|why| format!("{name}: {why}"))
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
        .unwrap()
        .bundles;
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
            (
                json!([{"pem": pem, "trustDomains": ["a"], "cert": 1}]),
                "cert",
            ),
            (json!([7]), "write fields"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn urls_are_read_with_how_their_server_is_known() {
        let dir = tempfile::tempdir().unwrap();
        mesh_ca::Authority::open(dir.path(), &mesh_ca::AuthorityOptions::default()).unwrap();
        let pem = std::fs::read_to_string(dir.path().join("root.pem")).unwrap();
        let entry = |more: Value| {
            let mut entry = json!({"spiffeBundleUrl": "https://b/x", "trustDomains": ["b"]});
            let members = entry.as_object_mut().unwrap();
            members.extend(more.as_object().unwrap().clone());
            json!([entry])
        };
        let spiffe = |id: &str| json!({"type": "https_spiffe", "endpointSPIFFEID": id});
        let profiles = [
            (json!({}), "Web { roots_der: [] }"),
            (
                json!({"bundleEndpointProfile": {"roots": pem}}),
                "Web { roots_der: [[",
            ),
            (
                json!({"bundleEndpointProfile": spiffe("spiffe://b/s"), "trustDomainBundle": pem}),
                r#"id: "spiffe://b/s", first: Some"#,
            ),
            (
                json!({"bundleEndpointProfile": spiffe("spiffe://c/s")}),
                r#"id: "spiffe://c/s", first: None"#,
            ),
        ];
        for (more, words) in profiles {
            let read = read(&entry(more)).unwrap();
            assert!(read.bundles.is_empty());
            let found = format!("{:?}", read.endpoints[0].profile);
            assert!(found.contains(words), "{found}");
        }
        let two = json!([
            {"spiffeBundleUrl": "https://b/x", "trustDomains": ["b"]},
            {"spiffeBundleUrl": "https://b/y", "trustDomains": ["b"]},
        ]);
        assert!(read(&two).unwrap_err().contains("two bundle URLs"));
        for (more, words) in [
            (json!({"spiffeBundleUrl": "http://b/x"}), "https"),
            (
                json!({"spiffeBundleUrl": "https://u:p@b/x"}),
                "without a user",
            ),
            (json!({"trustDomains": ["a", "b"]}), "one trust domain"),
            (json!({"pem": pem}), "bundleEndpointProfile.roots"),
            (json!({"trustDomainBundle": pem}), "https_spiffe"),
            (
                json!({"bundleEndpointProfile": {"type": "http"}}),
                "https_web or",
            ),
            (
                json!({"bundleEndpointProfile": {"type": "https_spiffe"}}),
                "endpointSPIFFEID",
            ),
            (
                json!({"bundleEndpointProfile": spiffe("spiffe://b/s")}),
                "first bundle of b",
            ),
            (
                json!({"bundleEndpointProfile": spiffe("spiffe://b/s"), "trustDomainBundle": "{}"}),
                "`keys`",
            ),
        ] {
            let error = read(&entry(more)).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

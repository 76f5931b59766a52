//! Material that others made: what is taken, and what is refused by which name.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::*;
use crate::secret_key::SecretKey;

const PLACE: &str = "Secret istio-system/cacerts";

struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

type Data = BTreeMap<String, Vec<u8>>;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = Default::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (SystemTime::now() - HOUR).into();
    params.not_after = (SystemTime::now() + DAY * 30).into();
    params
}

fn root(name: &str, algorithm: &'static SignatureAlgorithm) -> Made {
    let (params, key) = (params(name), KeyPair::generate_for(algorithm).unwrap());
    let pem = params.self_signed(&key).unwrap().pem();
    Made { params, key, pem }
}

fn below(above: &Made, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Made {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let issuer = Issuer::from_params(&above.params, &above.key);
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    Made { params, key, pem }
}

fn data<const N: usize>(entries: [(&str, &str); N]) -> Data {
    entries
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .into()
}

fn load(data: &Data) -> Result<Authority, AuthorityError> {
    let options = AuthorityOptions::default();
    let material = AuthorityMaterial::from_data(Layout::Cacerts, data, PLACE, &options)?;
    Authority::from_material(material, &options)
}

/// Root, intermediate, signing certificate; each of its own kind of key.
fn three() -> (Made, Made, Made) {
    let top = root("root", &PKCS_RSA_SHA256);
    let middle = below(&top, params("middle"), &PKCS_ECDSA_P384_SHA384);
    let signer = below(&middle, params("signer"), &PKCS_ECDSA_P256_SHA256);
    (top, middle, signer)
}

fn good() -> (Data, (Made, Made, Made)) {
    let (top, middle, signer) = three();
    let chain = format!("{}{}{}", signer.pem, middle.pem, top.pem);
    let data = data([
        ("root-cert.pem", &top.pem),
        ("ca-cert.pem", &signer.pem),
        ("ca-key.pem", &signer.key.serialize_pem()),
        ("cert-chain.pem", &chain),
    ]);
    (data, (top, middle, signer))
}

fn issue(authority: &Authority) -> Vec<Vec<u8>> {
    let request = Issue {
        identity: "spiffe://cluster.local/ns/a/sa/b".parse().unwrap(),
        csr_der: SecretKey::generate()
            .unwrap()
            .certificate_request()
            .unwrap(),
        ttl: None,
        dns_names: Vec::new(),
        binding: None,
    };
    // It is probed when it is opened: peers take what it signs.
    authority
        .issue(&request, SystemTime::now())
        .unwrap()
        .chain_der
}

fn der(pem: &str) -> Vec<u8> {
    use rustls_pki_types::pem::PemObject;
    rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

#[test]
fn a_whole_authority_may_be_on_p384() {
    let options = AuthorityOptions {
        key_type: crate::secret_key::KeyType::P384,
        ..AuthorityOptions::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let authority = super::Authority::open(dir.path(), &options).unwrap();
    let made = AuthorityMaterial::generate(&options, crate::clock::now()).unwrap();
    made.check(&options, crate::clock::now()).unwrap();
    // An uncompressed point of two times 48 octets.
    for material in [&made, &authority.material()] {
        assert_eq!(material.key.public_key().len(), 97);
    }
    // It opens again, whatever is to be made from now on.
    super::Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
}

#[test]
fn a_chain_is_found_in_any_order_and_sent_in_the_right_one() {
    let (good, (top, middle, signer)) = good();
    let expected = [der(&signer.pem), der(&middle.pem)];
    for chain in [
        format!("{}{}{}", signer.pem, middle.pem, top.pem),
        format!("{}{}{}", top.pem, middle.pem, signer.pem),
        middle.pem.clone(),
    ] {
        let mut data = good.clone();
        data.insert("cert-chain.pem".to_owned(), chain.into_bytes());
        let authority = load(&data).unwrap();
        assert_eq!(issue(&authority)[1..], expected);
        assert_eq!(*authority.roots_der(), [der(&top.pem)]);
    }
    // All of it in the one file.
    let mut data = good;
    data.remove("cert-chain.pem");
    data.insert(
        "ca-cert.pem".to_owned(),
        format!("{}{}", signer.pem, middle.pem).into(),
    );
    assert_eq!(issue(&load(&data).unwrap())[1..], expected);
}

#[test]
fn a_root_may_sign_itself_and_keys_may_be_rsa() {
    let top = root("root", &PKCS_RSA_SHA256);
    let more = root("next", &PKCS_ECDSA_P256_SHA256);
    let key = top.key.serialize_pem();
    let bundle = format!("{}{}", more.pem, top.pem);
    let mut data = data([
        ("root-cert.pem", bundle.as_str()),
        ("ca-cert.pem", &top.pem),
        ("ca-key.pem", &key),
        ("cert-chain.pem", ""),
    ]);
    let authority = load(&data).unwrap();
    assert_eq!(issue(&authority).len(), 1, "no root is sent");
    assert_eq!(*authority.roots_der(), [der(&more.pem), der(&top.pem)]);

    for (istio, tls) in [
        ("root-cert.pem", "ca.crt"),
        ("ca-cert.pem", "tls.crt"),
        ("ca-key.pem", "tls.key"),
    ] {
        let value = data.remove(istio).unwrap();
        data.insert(tls.to_owned(), value);
    }
    load(&data).unwrap();
}

#[test]
fn what_is_wrong_is_named() {
    let (good, (top, _, signer)) = good();
    let other = root("other", &PKCS_ECDSA_P256_SHA256);
    let mut old = params("old");
    old.not_after = (SystemTime::now() - Duration::from_secs(1)).into();
    let expired = below(&top, old, &PKCS_ECDSA_P256_SHA256);
    let mut plain = params("plain");
    plain.is_ca = IsCa::NoCa;
    let leaf = below(&top, plain, &PKCS_ECDSA_P256_SHA256);
    let mut usage = params("usage");
    usage.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let mute = below(&top, usage, &PKCS_ECDSA_P256_SHA256);
    let pair = |made: &Made| {
        vec![
            ("ca-cert.pem", Some(made.pem.clone())),
            ("ca-key.pem", Some(made.key.serialize_pem())),
            ("cert-chain.pem", None),
        ]
    };
    let one = |name, text: &str| vec![(name, Some(text.to_owned()))];
    type Change = Vec<(&'static str, Option<String>)>;
    let cases: [(&[&str], Change); 14] = [
        (
            &["ca-cert.pem", "ca-key.pem", "another key"],
            one("ca-key.pem", &other.key.serialize_pem()),
        ),
        (&["ca-key.pem", "is missing"], vec![("ca-key.pem", None)]),
        (&["ca-cert.pem", "is missing"], vec![("ca-cert.pem", None)]),
        (
            &["root-cert.pem", "is missing"],
            vec![("root-cert.pem", None)],
        ),
        (
            &["ca-key.pem", "damaged", "private key"],
            one("ca-key.pem", "nonsense"),
        ),
        (
            &["ca-cert.pem", "damaged", "no certificate"],
            one("ca-cert.pem", "nonsense"),
        ),
        (&["root-cert.pem", "damaged"], one("root-cert.pem", "")),
        (
            &["root-cert.pem", "damaged"],
            one(
                "root-cert.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
        ),
        (
            &["cert-chain.pem", "root-cert.pem", "CN=root"],
            one("root-cert.pem", &other.pem),
        ),
        (
            &["ca-cert.pem", "root-cert.pem", "CN=signer"],
            vec![("cert-chain.pem", None)],
        ),
        (
            &["cert-chain.pem", "root-cert.pem", "CN=signer"],
            one("cert-chain.pem", &other.pem),
        ),
        (&["ca-cert.pem", "expired"], pair(&expired)),
        (&["ca-cert.pem", "CN=plain", "CA:TRUE"], pair(&leaf)),
        (&["ca-cert.pem", "CN=usage", "keyCertSign"], pair(&mute)),
    ];
    for (words, change) in cases {
        let mut data = good.clone();
        for (name, text) in change {
            match text {
                Some(text) => data.insert(name.to_owned(), text.into_bytes()),
                None => data.remove(name),
            };
        }
        let error = load(&data).unwrap_err().to_string();
        for word in words.iter().chain(&[PLACE]) {
            assert!(error.contains(word), "wanted `{word}`: {error}");
        }
        let secret = signer.key.serialize_pem();
        let line = secret.lines().nth(1).unwrap();
        assert!(!error.contains(line), "a key is shown");
    }
}

#[test]
fn a_chain_that_has_nothing_to_do_with_it_is_named() {
    let top = root("root", &PKCS_ECDSA_P256_SHA256);
    let signer = below(&top, params("signer"), &PKCS_ECDSA_P256_SHA256);
    let other = root("other", &PKCS_ECDSA_P256_SHA256);
    let data = data([
        ("root-cert.pem", top.pem.as_str()),
        ("ca-cert.pem", &signer.pem),
        ("ca-key.pem", &signer.key.serialize_pem()),
        ("cert-chain.pem", &other.pem),
    ]);
    let error = load(&data).unwrap_err().to_string();
    assert!(
        error.contains("cert-chain.pem") && error.contains("ca-cert.pem"),
        "{error}"
    );
}

#[test]
fn what_peers_would_refuse_is_found_at_once() {
    // It may sign for no SPIFFE ID.
    let top = root("root", &PKCS_ECDSA_P256_SHA256);
    let mut bound = params("bound");
    bound.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let middle = below(&top, bound, &PKCS_ECDSA_P256_SHA256);
    let signer = below(&middle, params("signer"), &PKCS_ECDSA_P256_SHA256);
    let data = data([
        ("root-cert.pem", top.pem.as_str()),
        ("ca-cert.pem", &signer.pem),
        ("ca-key.pem", &signer.key.serialize_pem()),
        ("cert-chain.pem", &middle.pem),
    ]);
    let error = load(&data).unwrap_err().to_string();
    assert!(error.contains("peers would refuse"), "{error}");
}

#[test]
fn a_directory_of_cacerts_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let write = |data: &Data| {
        for (name, value) in data {
            fs::write(dir.path().join(name), value).unwrap();
        }
    };
    let options = AuthorityOptions::default();
    let now = SystemTime::now();
    let (first, (old_root, ..)) = good();
    write(&first);
    let material = AuthorityMaterial::from_dir(Layout::Cacerts, dir.path(), &options).unwrap();
    let authority = Authority::from_material(material, &options).unwrap();
    assert!(!authority.reload(dir.path(), now).unwrap());

    let (second, (new_root, ..)) = good();
    write(&second);
    let old = issue(&authority)[1].clone();
    assert!(authority.reload(dir.path(), now).unwrap());
    let both = [der(&old_root.pem), der(&new_root.pem)];
    assert_eq!(*authority.roots_der(), both);
    assert_eq!(
        issue(&authority)[1],
        old,
        "not before the new root is known"
    );
    assert!(authority.reload(dir.path(), now).unwrap());
    assert_ne!(issue(&authority)[1], old);
    assert_eq!(
        authority.roots_der().len(),
        2,
        "what the old one signed is still in use"
    );
    assert!(!authority.reload(dir.path(), now).unwrap());

    fs::write(dir.path().join("ca-key.pem"), "x").unwrap();
    let error = authority.reload(dir.path(), now).unwrap_err().to_string();
    assert!(error.contains("ca-key.pem"), "{error}");
    issue(&authority);
}

#[test]
fn our_own_material_survives_a_map_and_renews() {
    let options = AuthorityOptions::default();
    let start = SystemTime::now();
    let made = AuthorityMaterial::generate(&options, start).unwrap();
    let data: Data = made
        .to_data()
        .unwrap()
        .into_iter()
        .map(|(name, value)| (name, value.to_vec()))
        .collect();
    let read = |data: &Data| AuthorityMaterial::from_data(Layout::Mesh, data, "here", &options);
    let again = read(&data).unwrap();
    assert_eq!(made, again);
    assert!(
        again
            .renewed(&options, start + DAY * 200)
            .unwrap()
            .is_none()
    );
    let later = start + DAY * 400;
    assert!(matches!(
        again.check(&options, later),
        Err(AuthorityError::Expired { .. })
    ));
    let renewed = again.renewed(&options, later).unwrap().unwrap();
    renewed.check(&options, later).unwrap();
    assert_ne!(renewed, again);
    assert_eq!(renewed.roots_der(), again.roots_der());

    let mut without = data.clone();
    without.remove("root.key");
    let error = read(&without)
        .unwrap()
        .renewed(&options, later)
        .unwrap_err();
    assert!(error.to_string().contains("root.key of here"), "{error}");

    let shown = format!("{made:?}");
    let secret = String::from_utf8(data["intermediate.key"].clone()).unwrap();
    assert!(!shown.contains(secret.lines().nth(1).unwrap()), "{shown}");
}

#[test]
fn adopting_and_trusting() {
    let options = AuthorityOptions::default();
    let now = SystemTime::now();
    let make = || AuthorityMaterial::generate(&options, now).unwrap();
    let (first, second, third) = (make(), make(), make());
    let root = |material: &AuthorityMaterial| material.roots_der()[0].clone();
    let authority = Authority::from_material(first.clone(), &options).unwrap();
    let changes = authority.changes();
    authority.trust(&[root(&second)]);
    assert_eq!(*authority.roots_der(), [root(&first), root(&second)]);
    authority.trust(&[root(&second)]);
    assert_eq!(*changes.borrow(), 1, "nothing has changed");
    authority.adopt(second.clone(), now).unwrap();
    assert_eq!(*authority.roots_der(), [root(&second), root(&first)]);
    authority.trust(&[root(&third)]);
    assert_eq!(*authority.roots_der(), [root(&second), root(&third)]);
    assert_eq!(*changes.borrow(), 3);
    let expired = authority.adopt(first, now + DAY * 400).unwrap_err();
    assert!(matches!(expired, AuthorityError::Expired { .. }));
    assert_eq!(authority.material(), second);
}

#[test]
fn openssl_and_its_key_formats_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
set -e
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root-cert.pem -days 30 -subj '/O=Acme/CN=Root' -addext 'keyUsage=critical,keyCertSign'
openssl ecparam -name prime256v1 -genkey -out ca-key.pem
openssl req -new -key ca-key.pem -subj '/O=Acme/CN=Intermediate/L=cluster-1' -out ca.csr
printf 'basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign\nsubjectAltName=DNS:istiod.istio-system.svc\n' > ext
openssl x509 -req -in ca.csr -CA root-cert.pem -CAkey root.key -CAcreateserial -days 20 -extfile ext -out ca-cert.pem
cat ca-cert.pem root-cert.pem > cert-chain.pem
openssl rsa -in root.key -traditional -out pkcs1.key
"#;
    let done = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(dir.path())
        .output()
        .expect("openssl is installed");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let options = AuthorityOptions::default();
    let material = AuthorityMaterial::from_dir(Layout::Cacerts, dir.path(), &options).unwrap();
    let chain = issue(&Authority::from_material(material, &options).unwrap());
    fs::write(dir.path().join("leaf.der"), &chain[0]).unwrap();
    let verified = std::process::Command::new("sh")
        .args(["-c", "openssl x509 -inform der -in leaf.der -out leaf.pem && openssl verify -CAfile root-cert.pem -untrusted ca-cert.pem leaf.pem"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );

    // RSA in the old form, as a root that signs.
    fs::rename(dir.path().join("pkcs1.key"), dir.path().join("ca-key.pem")).unwrap();
    fs::copy(
        dir.path().join("root-cert.pem"),
        dir.path().join("ca-cert.pem"),
    )
    .unwrap();
    fs::remove_file(dir.path().join("cert-chain.pem")).unwrap();
    let material = AuthorityMaterial::from_dir(Layout::Cacerts, dir.path(), &options).unwrap();
    issue(&Authority::from_material(material, &options).unwrap());
}

//! `tls` of a Gateway's server (Istio: ServerTLSSettings).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_api::v1::{ServerTlsFiles, Severity, TlsServerMode, TlsVersion};

use crate::model::{CertificateSource, CredentialName, ServerProtocol, ServerTls};
use crate::yaml::{Fields, Place, Report, Word};

/// What stands in `tls`.
pub(super) struct ReadTls {
    pub(super) https_redirect: bool,
    /// Absent if it cannot be used.
    pub(super) server: Option<ServerTls>,
}

/// Cipher suites for TLS 1.2 that proxies have, by OpenSSL's names.
const CIPHER_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
/// More that Istio knows. They are too weak: without forward secrecy, or not authenticated as a
/// whole.
const WEAK_SUITES: [&str; 9] = [
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];

/// A mode of Istio, of which one is not served.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Served(TlsServerMode),
    AutoPassthrough,
}

/// Fields that name a certificate.
struct Certificates {
    credential: Option<Word>,
    more: Vec<Word>,
    server: String,
    key: String,
    roots: String,
    crl: String,
}

pub(super) fn read(
    mut tls: Fields<'_>,
    protocol: Option<ServerProtocol>,
    r: &mut Report,
) -> ReadTls {
    let place = tls.place();
    let https_redirect = tls.boolean("httpsRedirect", r).unwrap_or_default();
    let (mode, mode_place) = read_mode(&mut tls, r);
    let certificates = Certificates::read(&mut tls, r);
    let (min_version, max_version) = versions(&mut tls, r);
    let cipher_suites = cipher_suites(&mut tls, max_version, r);
    let server = ServerTls {
        mode: match mode {
            Mode::Served(mode) => mode,
            Mode::AutoPassthrough => TlsServerMode::Passthrough,
        },
        certificate: CertificateSource::None,
        subject_alt_names: tls.texts("subjectAltNames", r),
        spki_hashes: spki_hashes(&mut tls, r),
        certificate_hashes: certificate_hashes(&mut tls, r),
        min_version,
        max_version,
        cipher_suites,
    };
    tls.unsupported(
        "ecdhCurves",
        Severity::Error,
        "the server would take key exchanges that it should not",
        r,
    );
    tls.unsupported(
        "insecureSkipVerify",
        Severity::Error,
        "clients whose certificates are not checked would pass for checked ones",
        r,
    );
    tls.close(r);
    match protocol {
        Some(ServerProtocol::Http(_)) => {
            let passes = server.mode == TlsServerMode::Passthrough;
            if !passes || certificates.has_files() {
                r.error(
                    place,
                    "server cannot have TLS settings for plain text HTTP ports",
                );
            }
        }
        Some(ServerProtocol::Tcp) => r.error(
            place,
            "server cannot have TLS settings for non HTTPS/TLS ports",
        ),
        Some(ServerProtocol::Https | ServerProtocol::Tls) => {
            if https_redirect {
                r.warn(
                    place,
                    "tls.httpsRedirect should only be used with http servers",
                );
            }
            if mode == Mode::AutoPassthrough {
                r.push(
                    Severity::Error,
                    mode_place,
                    "AUTO_PASSTHROUGH is not supported: it opens all services to other clusters; write a PASSTHROUGH server and a VirtualService for each service that is to be reached".to_owned(),
                    "unsupported",
                );
            }
        }
        None => {}
    }
    let ends_here = matches!(protocol, Some(ServerProtocol::Https | ServerProtocol::Tls));
    let certificate = ends_here.then(|| certificates.source(server.mode, place, r));
    ReadTls {
        https_redirect,
        server: certificate.flatten().map(|certificate| ServerTls {
            certificate,
            ..server
        }),
    }
}

/// Istio's default is to pass TLS through.
fn read_mode(tls: &mut Fields<'_>, r: &mut Report) -> (Mode, Place) {
    let choices = [
        ("PASSTHROUGH", Mode::Served(TlsServerMode::Passthrough)),
        ("SIMPLE", Mode::Served(TlsServerMode::Simple)),
        ("MUTUAL", Mode::Served(TlsServerMode::Mutual)),
        ("AUTO_PASSTHROUGH", Mode::AutoPassthrough),
        ("ISTIO_MUTUAL", Mode::Served(TlsServerMode::IstioMutual)),
        (
            "OPTIONAL_MUTUAL",
            Mode::Served(TlsServerMode::OptionalMutual),
        ),
    ];
    let place = tls.place();
    tls.choice("mode", &choices, r)
        .unwrap_or((Mode::Served(TlsServerMode::Passthrough), place))
}

fn versions(tls: &mut Fields<'_>, r: &mut Report) -> (TlsVersion, TlsVersion) {
    // Absent: older than what is spoken.
    let choices = [
        ("TLS_AUTO", Some(TlsVersion::Unspecified)),
        ("TLSV1_0", None),
        ("TLSV1_1", None),
        ("TLSV1_2", Some(TlsVersion::TlsVersion12)),
        ("TLSV1_3", Some(TlsVersion::TlsVersion13)),
    ];
    let min = match tls.choice("minProtocolVersion", &choices, r) {
        None => TlsVersion::Unspecified,
        Some((Some(version), _)) => version,
        Some((None, place)) => {
            r.warn(
                place,
                "minProtocolVersion: TLS 1.0 and 1.1 are not spoken; the oldest version is TLSV1_2",
            );
            TlsVersion::TlsVersion12
        }
    };
    let max = match tls.choice("maxProtocolVersion", &choices, r) {
        None => TlsVersion::Unspecified,
        Some((Some(version), place)) => {
            if min == TlsVersion::TlsVersion13 && version == TlsVersion::TlsVersion12 {
                r.error(place, "maxProtocolVersion is older than minProtocolVersion");
            }
            version
        }
        Some((None, place)) => {
            r.error(
                place,
                "maxProtocolVersion: TLS 1.0 and 1.1 are not spoken, so that no version is left",
            );
            TlsVersion::Unspecified
        }
    };
    (min, max)
}

fn cipher_suites(tls: &mut Fields<'_>, max: TlsVersion, r: &mut Report) -> Vec<String> {
    let words = tls.words("cipherSuites", r);
    let mut suites: Vec<String> = Vec::new();
    let mut weak = 0;
    for word in &words {
        let name = word.text.as_str();
        if name.is_empty() || name == "ALL" {
            return Vec::new();
        }
        if suites.iter().any(|suite| suite == name) {
            r.warn(
                word.place,
                format!("ignoring duplicate cipher suites: [{name}]"),
            );
        } else if CIPHER_SUITES.contains(&name) {
            suites.push(name.to_owned());
        } else if WEAK_SUITES.contains(&name) {
            weak += 1;
            r.warn(
                word.place,
                format!("cipher suite {name} is weak and not offered"),
            );
        } else {
            r.warn(
                word.place,
                format!("ignoring invalid cipher suites: [{name}]"),
            );
        }
    }
    if suites.is_empty() && weak > 0 {
        if max == TlsVersion::TlsVersion12 {
            r.error(
                words.first().map_or(tls.place(), |word| word.place),
                "no cipher suite is left for TLSV1_2, the newest version that is to be spoken",
            );
        }
        // What was asked for is not there; what was not asked for is not offered instead.
        suites.extend(words.into_iter().map(|word| word.text));
    }
    suites
}

/// Base64 of SHA-256 each.
fn spki_hashes(tls: &mut Fields<'_>, r: &mut Report) -> Vec<Vec<u8>> {
    let words = tls.words("verifyCertificateSpki", r);
    let decoded = words.iter().map(|word| {
        let hash = STANDARD.decode(&word.text).ok();
        (word, hash.filter(|hash| hash.len() == 32))
    });
    valid(decoded.collect(), "base64", r)
}

/// Hexadecimal SHA-256 each, with or without colons.
fn certificate_hashes(tls: &mut Fields<'_>, r: &mut Report) -> Vec<Vec<u8>> {
    let words = tls.words("verifyCertificateHash", r);
    let decoded = words.iter().map(|word| {
        let digits = word.text.replace(':', "");
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        (
            word,
            bytes.filter(|_| digits.len() == 64 && digits.is_ascii()),
        )
    });
    valid(decoded.collect(), "hexadecimal", r)
}

fn valid(decoded: Vec<(&Word, Option<Vec<u8>>)>, form: &str, r: &mut Report) -> Vec<Vec<u8>> {
    let mut hashes = Vec::new();
    for (word, hash) in decoded {
        match hash {
            Some(hash) => hashes.push(hash),
            None => r.error(
                word.place,
                format!("`{}` is no SHA-256 in {form}", word.text),
            ),
        }
    }
    hashes
}

// === impl Certificates ===

impl Certificates {
    fn read(tls: &mut Fields<'_>, r: &mut Report) -> Self {
        let mut credential = tls
            .word("credentialName", r)
            .filter(|word| !word.text.is_empty());
        let names = tls.words("credentialNames", r);
        if let Some(first) = names.first() {
            if credential.is_some() {
                r.error(
                    first.place,
                    "only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should be specified",
                );
            }
            if let Some(third) = names.get(2) {
                r.error(
                    third.place,
                    "credential_names should have at most 2 elements",
                );
            }
            credential = Some(first.clone());
        }
        let more = names.into_iter().skip(1).collect();
        tls.unsupported(
            "caCertCredentialName",
            Severity::Error,
            "put the roots into the Secret as ca.crt, or into a Secret <credentialName>-cacert",
            r,
        );
        tls.unsupported(
            "tlsCertificates",
            Severity::Error,
            "a server has one certificate; write serverCertificate and privateKey",
            r,
        );
        Self {
            credential,
            more,
            server: tls.text("serverCertificate", r),
            key: tls.text("privateKey", r),
            roots: tls.text("caCertificates", r),
            crl: tls.text("caCrl", r),
        }
    }

    fn has_files(&self) -> bool {
        !(self.server.is_empty() && self.key.is_empty() && self.roots.is_empty())
    }

    /// Checks as Istio does (validateTLSOptions), and says where the certificate comes from.
    fn source(
        self,
        mode: TlsServerMode,
        place: Place,
        r: &mut Report,
    ) -> Option<CertificateSource> {
        match mode {
            TlsServerMode::IstioMutual => {
                let set = [
                    (!self.server.is_empty(), "server certificate"),
                    (!self.key.is_empty(), "private key"),
                    (!self.roots.is_empty(), "CA bundle"),
                    (self.credential.is_some(), "credentialName"),
                ];
                for (_, what) in set.iter().filter(|(set, _)| *set) {
                    r.error(
                        place,
                        format!("ISTIO_MUTUAL TLS cannot have associated {what}"),
                    );
                }
                return Some(CertificateSource::None);
            }
            TlsServerMode::Passthrough | TlsServerMode::Unspecified => {
                if self.has_files() || self.credential.is_some() || !self.crl.is_empty() {
                    r.warn(
                        place,
                        "PASSTHROUGH mode does not use certificates, they will be ignored",
                    );
                }
                return Some(CertificateSource::None);
            }
            TlsServerMode::Simple | TlsServerMode::Mutual | TlsServerMode::OptionalMutual => {}
        }
        if let Some(word) = self.credential {
            if !self.server.is_empty() && !self.key.is_empty() {
                r.error(
                    word.place,
                    "only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should be specified",
                );
            }
            if !self.crl.is_empty() {
                r.error(
                    word.place,
                    "CRL is not supported with credentialName. CRL has to be specified in the credential",
                );
            }
            let more = self.more.iter();
            let more = more.filter_map(|word| credential_name(word, r)).collect();
            let first = credential_name(&word, r)?;
            return Some(CertificateSource::Credential(first, more));
        }
        let kind = if mode == TlsServerMode::Simple {
            "SIMPLE TLS"
        } else {
            "MUTUAL TLS"
        };
        let needed = [
            (
                self.roots.is_empty() && mode != TlsServerMode::Simple,
                "client CA bundle",
            ),
            (self.server.is_empty(), "server certificate"),
            (self.key.is_empty(), "private key"),
        ];
        for (_, what) in needed.iter().filter(|(missing, _)| *missing) {
            r.error(place, format!("{kind} requires a {what}"));
        }
        if !self.crl.is_empty() && mode == TlsServerMode::Simple {
            r.error(place, "CRL is not supported with SIMPLE TLS");
        }
        Some(CertificateSource::Files(ServerTlsFiles {
            certificate: self.server,
            private_key: self.key,
            client_roots: self.roots,
            client_crl: self.crl,
        }))
    }
}

/// `[kubernetes://][<namespace>/]<name>` (Istio: ParseResourceName).
fn credential_name(word: &Word, r: &mut Report) -> Option<CredentialName> {
    let text = word.text.as_str();
    let path = match text.split_once("://") {
        None => text,
        Some(("kubernetes" | "kubernetes-gateway", path)) => path,
        Some((scheme, _)) => {
            r.push(
                Severity::Error,
                word.place,
                format!("credentialName: {scheme}:// is not supported, only names of Secrets"),
                "unsupported",
            );
            return None;
        }
    };
    let (namespace, name) = match path.split_once('/') {
        None => (None, path),
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
    };
    let checked = namespace.as_deref().unwrap_or("x");
    if mesh_api::WorkloadName::new(checked, name).is_err() {
        r.error(
            word.place,
            format!("credentialName: `{text}` names no Secret"),
        );
        return None;
    }
    Some(CredentialName {
        namespace,
        granted: false,
        name: name.to_owned(),
        origin: r.at(word.place),
    })
}

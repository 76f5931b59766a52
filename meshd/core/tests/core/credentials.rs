//! Certificates of gateways: which Secrets are taken, and who gets them. Numbers of traps as in
//! the table of exact semantics.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh_api::ResourceName;
use mesh_api::v1::TlsServerMode;
use meshd_core::{MeshSettings, Scope, Store};

use crate::gateways::{
    EC_CERT, EC_KEY, RSA_CERT, WORKLOAD, about, credentials, gateway_object, https, ingress, pair,
    secret, tls_servers,
};
use crate::mesh::{gateway, good, problems, resources, sidecar, world};

/// A Gateway `gw` for `a.example.com` with this `tls`.
fn gateway_of_a(tls: &str) -> String {
    gateway_object("gw", &https(443, "a.example.com", tls))
}

#[test]
fn trap_45_secrets_of_the_gateways_own_namespace() {
    let base = [
        WORKLOAD.to_owned(),
        gateway_of_a("mode: SIMPLE, credentialName: cert"),
    ]
    .concat();
    // In the namespace of the Gateway object it is of no use.
    let elsewhere = world(&format!("{base}{}", pair("default", "cert")));
    let scope = ingress(&elsewhere);
    assert!(credentials(&elsewhere, &scope).is_empty());
    assert_eq!(
        tls_servers(&elsewhere)[0].unusable,
        "Secret edge/cert not found"
    );
    let told = about(&elsewhere, "IST0101");
    assert!(
        told.iter().any(|line| line.starts_with("input.yaml:")
            && line.contains("credentialName cert: Secret edge/cert not found")),
        "{told:#?}"
    );
    let there = good(&format!("{base}{}", pair("edge", "cert")));
    let scope = ingress(&there);
    let server = &tls_servers(&there)[0];
    assert_eq!(
        (server.credential.as_str(), server.unusable.as_str()),
        ("edge/cert", "")
    );
    let [credential] = credentials(&there, &scope).try_into().unwrap();
    assert_eq!(
        (credential.namespace.as_str(), credential.name.as_str()),
        ("edge", "cert")
    );
    assert_eq!(credential.certificate_chain.len(), 1);
    assert!(about(&there, "IST0101").is_empty() && about(&there, "IST0161").is_empty());
}

#[test]
fn credentials_go_to_nobody_else() {
    let world = good(
        &[
            WORKLOAD.to_owned(),
            pair("edge", "cert"),
            pair("edge", "unnamed"),
            pair("default", "cert"),
            gateway_of_a("mode: SIMPLE, credentialName: cert"),
        ]
        .concat(),
    );
    let named = |scope: &Scope| -> Vec<String> {
        let credentials = credentials(&world, scope);
        credentials
            .into_iter()
            .map(|one| format!("{}/{}", one.namespace, one.name))
            .collect()
    };
    assert_eq!(named(&ingress(&world)), ["edge/cert"]);
    // A gateway of the namespace that no Gateway with a certificate selects.
    assert!(named(&gateway(&world, "edge/egress", &[("istio", "egress")])).is_empty());
    // One of another namespace gets what is there, and only if it is selected.
    assert_eq!(
        named(&gateway(&world, "default/ingress", &[("istio", "ingress")])),
        ["default/cert"]
    );
    assert!(named(&gateway(&world, "third/ingress", &[("istio", "ingress")])).is_empty());
    // Sidecars get none, whatever they ask for.
    for scope in [
        sidecar(&world, "edge/app", &[("istio", "ingress")]),
        ingress(&world),
    ] {
        let found = resources(
            &world,
            &scope,
            &[
                "credential/edge/cert",
                "credential/edge/unnamed",
                "mesh/default",
            ],
        );
        let names: Vec<&ResourceName> = found.keys().collect();
        assert_eq!(names, [&ResourceName::Mesh]);
    }
}

#[test]
fn what_is_wrong_with_a_secret() {
    let other_key = include_str!("pem/other-ec-key.pem");
    let rsa_key = include_str!("pem/rsa-key.pem");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let cases: [(&[(&str, &str)], &str); 7] = [
        (
            &[("tls.crt", EC_CERT), ("tls.key", other_key)],
            "data.tls.key is not the key of the certificate in tls.crt",
        ),
        (
            &[("cert", EC_CERT), ("key", rsa_key)],
            "data.key is not the key of the certificate in cert",
        ),
        (
            &[("tls.crt", "nonsense"), ("tls.key", EC_KEY)],
            "data.tls.crt holds no certificate in PEM",
        ),
        (
            &[("tls.crt", EC_CERT), ("tls.key", encrypted)],
            "data.tls.key holds no private key in PEM",
        ),
        (
            &[
                ("tls.crt", EC_CERT),
                ("tls.key", EC_KEY),
                ("ca.crt", "nonsense"),
            ],
            "data.ca.crt holds no certificate in PEM",
        ),
        (&[("tls.crt", EC_CERT)], "holds no certificate with its key"),
        (&[("ca.crt", EC_CERT)], "holds no certificate with its key"),
    ];
    for (data, want) in cases {
        let world = world(
            &[
                WORKLOAD.to_owned(),
                gateway_of_a("mode: SIMPLE, credentialName: cert"),
                secret("edge", "cert", data),
            ]
            .concat(),
        );
        let scope = ingress(&world);
        assert!(credentials(&world, &scope).is_empty(), "{want}");
        let server = &tls_servers(&world)[0];
        assert!(
            server.unusable.contains(want),
            "{want}: {}",
            server.unusable
        );
        let told = about(&world, "IST0161");
        assert!(
            told.iter()
                .any(|line| line.contains("credentialName cert") && line.contains(want)),
            "{want}: {told:#?}"
        );
        // Neither findings nor reasons quote the Secret.
        for text in told.iter().chain([&server.unusable]) {
            assert!(
                !text.contains("nonsense") && !text.contains("BEGIN"),
                "{text}"
            );
        }
    }
}

#[test]
fn all_forms_of_keys_are_taken() {
    for (certificate, key) in [
        (EC_CERT, EC_KEY),
        (EC_CERT, include_str!("pem/ec-sec1-key.pem")),
        (RSA_CERT, include_str!("pem/rsa-key.pem")),
        (RSA_CERT, include_str!("pem/rsa-pkcs1-key.pem")),
        (
            include_str!("pem/ed-cert.pem"),
            include_str!("pem/ed-key.pem"),
        ),
    ] {
        let world = good(
            &[
                WORKLOAD.to_owned(),
                gateway_of_a("mode: SIMPLE, credentialName: 'kubernetes://cert'"),
                // Istio's generic names win, and a chain may be longer.
                secret(
                    "edge",
                    "cert",
                    &[
                        ("cert", &format!("{certificate}{EC_CERT}")),
                        ("key", key),
                        ("tls.crt", "x"),
                        ("tls.key", "y"),
                    ],
                ),
            ]
            .concat(),
        );
        let [credential] = credentials(&world, &ingress(&world)).try_into().unwrap();
        assert_eq!(credential.certificate_chain.len(), 2);
    }
}

#[test]
fn a_secret_that_nobody_names_is_nothing() {
    let world = world(&[
        secret("edge", "junk", &[("tls.crt", "nonsense"), ("tls.key", "nonsense")]),
        secret("edge", "cert-manager", &[("tls.crt", ""), ("tls.key", "")]),
        "---\napiVersion: v1\nkind: Secret\nmetadata: { name: password }\nstringData: { password: hunter2 }\n".to_owned(),
    ].concat());
    assert_eq!(problems(&world), Vec::<String>::new());
    let dump = format!("{world:?}");
    assert!(!dump.contains("junk") && !dump.contains("hunter2"));
    assert_eq!(world.digest(), crate::mesh::world("").digest());
}

#[test]
fn nothing_tells_a_key() {
    let key: Vec<u8> = STANDARD
        .decode(
            EC_KEY
                .lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap();
    let text = [
        WORKLOAD.to_owned(),
        pair("edge", "cert"),
        gateway_of_a("mode: SIMPLE, credentialName: cert"),
    ]
    .concat();
    let mut store = Store::new();
    store.set_file("input.yaml", &text);
    let world = store.world(&MeshSettings::default());
    let found = resources(&world, &ingress(&world), &["gateway/self"]);
    let json =
        serde_json::to_string(&found.values().map(|one| &**one).collect::<Vec<_>>()).unwrap();
    let secrets = [
        format!("{:?}", &key[..24])
            .trim_matches(['[', ']'])
            .to_owned(),
        STANDARD.encode(&key)[..32].to_owned(),
    ];
    for text in [
        format!("{store:?}"),
        format!("{world:?}"),
        format!("{found:?}"),
        json,
    ] {
        for secret in &secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // Yet another key is another digest and another version.
    let other = text.replace(
        &STANDARD.encode(EC_KEY),
        &STANDARD.encode(include_str!("pem/ec-sec1-key.pem")),
    );
    store.set_file("input.yaml", &other);
    let changed = store.world(&MeshSettings::default());
    assert_ne!(world.digest(), changed.digest());
    let name: ResourceName = "credential/edge/cert".parse().unwrap();
    let after = resources(&changed, &ingress(&changed), &["gateway/self"]);
    assert_ne!(found[&name].version, after[&name].version);
}

#[test]
fn a_bad_secret_leaves_the_last_good_one() {
    let text = |data: &[(&str, &str)]| {
        [
            WORKLOAD.to_owned(),
            gateway_of_a("mode: SIMPLE, credentialName: cert"),
            secret("edge", "cert", data),
        ]
        .concat()
    };
    let mut store = Store::new();
    store.set_file(
        "input.yaml",
        &text(&[("tls.crt", EC_CERT), ("tls.key", EC_KEY)]),
    );
    store.set_file(
        "input.yaml",
        &text(&[("tls.crt", RSA_CERT), ("tls.key", EC_KEY)]),
    );
    let world = store.world(&MeshSettings::default());
    assert_eq!(tls_servers(&world)[0].unusable, "");
    assert_eq!(credentials(&world, &ingress(&world)).len(), 1);
    let told = about(&world, "IST0161");
    assert!(
        told.iter()
            .any(|line| line.contains("error: data.tls.key is not the key")),
        "{told:#?}"
    );
}

#[test]
fn roots_for_clients() {
    let pair = [("tls.crt", EC_CERT), ("tls.key", EC_KEY)];
    let with = |more: &[(&'static str, &'static str)]| {
        let data: Vec<(&str, &str)> = pair.iter().chain(more).copied().collect();
        secret("edge", "cert", &data)
    };
    let companion = secret("edge", "cert-cacert", &[("cacert", RSA_CERT)]);
    let base = |mode: &str| {
        [
            WORKLOAD.to_owned(),
            gateway_of_a(&format!(
                "mode: {mode}, credentialName: cert, subjectAltNames: [client.example.com]"
            )),
        ]
        .concat()
    };
    for mode in ["MUTUAL", "OPTIONAL_MUTUAL"] {
        let without = world(&format!("{}{}", base(mode), with(&[])));
        assert!(
            tls_servers(&without)[0]
                .unusable
                .contains("no Secret edge/cert-cacert")
        );
        let own = good(&format!("{}{}", base(mode), with(&[("ca.crt", EC_CERT)])));
        let [credential] = credentials(&own, &ingress(&own)).try_into().unwrap();
        assert_eq!(
            (
                credential.client_roots.len(),
                tls_servers(&own)[0].unusable.as_str()
            ),
            (1, "")
        );
        // The companion comes first.
        let both = good(&format!(
            "{}{}{companion}",
            base(mode),
            with(&[("ca.crt", EC_CERT)])
        ));
        let [credential] = credentials(&both, &ingress(&both)).try_into().unwrap();
        assert_ne!(
            credential.client_roots,
            credentials(&own, &ingress(&own))[0].client_roots
        );
        assert_eq!(
            tls_servers(&both)[0].subject_alt_names,
            ["client.example.com"]
        );
    }
    let simple = good(&format!("{}{}", base("SIMPLE"), with(&[])));
    assert_eq!(tls_servers(&simple)[0].mode(), TlsServerMode::Simple);
}

#[test]
fn a_server_may_have_two_certificates() {
    let tls = |names: &str| gateway_of_a(&format!("mode: SIMPLE, credentialNames: [{names}]"));
    let base = [
        WORKLOAD.to_owned(),
        pair("edge", "cert"),
        pair("edge", "other"),
    ]
    .concat();
    let both = good(&format!("{base}{}", tls("cert, other")));
    let server = &tls_servers(&both)[0];
    assert_eq!(server.credential, "edge/cert");
    assert_eq!(server.more_credentials, ["edge/other"]);
    assert_eq!(credentials(&both, &ingress(&both)).len(), 2);
    // Without the second one it still serves.
    let one = good(&format!("{base}{}", tls("cert, missing")));
    let server = &tls_servers(&one)[0];
    assert_eq!(
        (server.unusable.as_str(), server.more_credentials.len()),
        ("", 0)
    );
    let told = about(&one, "IST0101");
    assert!(
        told[0].contains("Secret edge/missing not found"),
        "{told:#?}"
    );
    assert!(told[0].contains("other certificate only"), "{told:#?}");
    let many = problems(&world(&tls("a, b, c")));
    assert!(
        many.iter().any(|line| line.contains("at most 2 elements")),
        "{many:#?}"
    );
}

fn rule(mode: &str, selector: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: partner }}\nspec:\n  host: a\n{selector}  trafficPolicy: {{ tls: {{ mode: {mode}, credentialName: partner, sni: partner.example.com }} }}\n"
    )
}

#[test]
fn clients_get_secrets_of_their_own_namespace() {
    let selector = "  workloadSelector: { matchLabels: { app: b } }\n";
    let all = |text: String| {
        good(
            &[
                WORKLOAD.to_owned(),
                pair("default", "partner"),
                pair("edge", "partner"),
                text,
            ]
            .concat(),
        )
    };
    let found = |world: &meshd_core::World, scope: &Scope| {
        let root = "routes/a.default.svc.cluster.local:80";
        let held = resources(world, scope, &[root]);
        let service = crate::mesh::service(world, scope, root, "a.default.svc.cluster.local");
        let tls = crate::mesh::policy(&service, "", 80).tls.unwrap();
        let secrets = held
            .keys()
            .filter(|name| matches!(name, ResourceName::Credential { .. }));
        (
            tls.credential,
            secrets.map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    let nothing = (String::new(), Vec::<String>::new());
    let of = |namespace: &str| {
        let name = format!("{namespace}/partner");
        (name.clone(), vec![format!("credential/{name}")])
    };
    // By a rule for them, sidecars get it; others do not have such a rule.
    let chosen = all(rule("MUTUAL", selector));
    assert_eq!(
        found(&chosen, &sidecar(&chosen, "default/b-1", &[])),
        of("default")
    );
    assert_eq!(
        found(&chosen, &sidecar(&chosen, "default/a-1", &[])),
        nothing
    );
    // Without a selector it is for gateways, each in its own namespace.
    let simple = all(rule("SIMPLE", ""));
    assert_eq!(found(&simple, &ingress(&simple)), of("edge"));
    assert_eq!(
        found(&simple, &sidecar(&simple, "default/b-1", &[])),
        nothing
    );
    // A sidecar that is to show a certificate and gets none must not call without.
    let mutual = all(rule("MUTUAL", ""));
    let (credential, secrets) = found(&mutual, &sidecar(&mutual, "default/b-1", &[]));
    assert_eq!((credential.as_str(), secrets.len()), ("default/partner", 0));
    let missing = good(&rule("SIMPLE", ""));
    assert!(about(&missing, "IST0101")[0].contains("credentialName partner: Secret not found"));
    let both = rule("SIMPLE", "").replace("sni:", "caCertificates: /a.pem, sni:");
    let told = problems(&world(&both));
    assert!(
        told.iter()
            .any(|line| line.contains("If credentialName is set")),
        "{told:#?}"
    );
}

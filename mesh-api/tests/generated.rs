//! The code under `src/generated` is what the protocol files generate: nothing else, nothing less.
//!
//! `MESH_GENERATE=1 cargo test -p mesh-api --test generated` writes it anew.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what went wrong by failing"
)]

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

const FILES: [&str; 14] = [
    "mesh/v1/origin.proto",
    "mesh/v1/route.proto",
    "mesh/v1/resilience.proto",
    "mesh/v1/policy.proto",
    "mesh/v1/security.proto",
    "mesh/v1/telemetry.proto",
    "mesh/v1/resource.proto",
    "mesh/v1/discovery.proto",
    "mesh/v1/certificate.proto",
    "mesh/v1/admin.proto",
    "istio/v1/auth/ca.proto",
    "envoy/service/auth/v3/external_auth.proto",
    "envoy/service/secret/v3/sds.proto",
    "spiffe/workload.proto",
];

/// Admin answers name every field, so that scripts need not know the defaults.
const ADMIN_MESSAGES: [&str; 6] = [
    ".mesh.v1.ControlPlaneStatus",
    ".mesh.v1.ProxyList",
    ".mesh.v1.ProxyStatus",
    ".mesh.v1.ProblemList",
    ".mesh.v1.Problem",
    ".mesh.v1.ProxySelf",
];

/// The message that holds a private key: its debug and JSON forms are written by hand, without it.
const CREDENTIAL: &str = ".mesh.v1.Credential";

/// The messages by which an application gets its own key and tokens: the same, without JSON.
const APP_KEY: &str = ".X509SVID";
const APP_TOKENS: [&str; 2] = [".JWTSVID", ".ValidateJWTSVIDRequest"];
/// The message that holds a token of the workload: the same.
const TOKEN: &str = ".mesh.v1.SignJwtResponse";
const SECRET_BYTES: &str = ".envoy.service.secret.v3.DataSource";

fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated")
}

fn write_json(descriptors: &[u8], out: &Path, emit_fields: bool) {
    let temporary = tempfile::tempdir().unwrap();
    let mut builder = pbjson_build::Builder::new();
    builder
        .register_descriptors(descriptors)
        .unwrap()
        .out_dir(temporary.path())
        .preserve_proto_field_names()
        .btree_map(["."]);
    if emit_fields {
        builder.emit_fields().build(&ADMIN_MESSAGES).unwrap();
    } else {
        builder
            .exclude(ADMIN_MESSAGES)
            .exclude([CREDENTIAL, TOKEN])
            .build(&[".mesh.v1"])
            .unwrap();
    }
    let text = fs::read_to_string(temporary.path().join("mesh.v1.serde.rs")).unwrap();
    fs::write(out, text).unwrap();
}

fn generate(out: &Path) {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let descriptors = protox::compile(FILES, [proto]).expect("the protocol files compile");
    let mut with_json = descriptors.clone();
    // Only our own have a JSON form, and its generator wants packages.
    with_json.file.retain(|file| file.package.is_some());
    let encoded = with_json.encode_to_vec();
    tonic_prost_build::configure()
        .out_dir(out)
        .btree_map(".")
        .skip_debug([CREDENTIAL, APP_KEY, SECRET_BYTES, TOKEN])
        .skip_debug(APP_TOKENS)
        .codec_path("crate::codec::SmallBuffers")
        .client_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"grpc\")]")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)
        .expect("the messages generate");
    write_json(&encoded, &out.join("mesh.v1.json.rs"), false);
    write_json(&encoded, &out.join("mesh.v1.admin_json.rs"), true);
}

#[test]
fn generated_code_is_current() {
    if std::env::var_os("MESH_GENERATE").is_some() {
        fs::create_dir_all(checked_in()).unwrap();
        generate(&checked_in());
    }
    let fresh = tempfile::tempdir().unwrap();
    generate(fresh.path());
    let mut names: Vec<_> = fs::read_dir(fresh.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for name in &names {
        let expected = fs::read_to_string(fresh.path().join(name)).unwrap();
        let found = fs::read_to_string(checked_in().join(name)).unwrap_or_default();
        assert!(
            expected == found,
            "{} is not what proto/ generates; run MESH_GENERATE=1 cargo test -p mesh-api --test generated",
            checked_in().join(name).display()
        );
    }
    let kept = fs::read_dir(checked_in()).unwrap().count();
    assert_eq!(
        kept,
        names.len(),
        "src/generated holds a file that nothing generates"
    );
}

#[test]
fn every_field_is_commented() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    for file in FILES {
        let text = fs::read_to_string(proto.join(file)).unwrap();
        let mut previous = "";
        for (number, line) in text.lines().enumerate() {
            let code = line.trim();
            let declares =
                code.ends_with(';') && code.contains(" = ") && !code.starts_with("syntax")
                    || code.starts_with("message ")
                    || code.starts_with("enum ")
                    || code.starts_with("rpc ")
                    || code.starts_with("service ");
            if declares {
                assert!(
                    previous.trim_start().starts_with("//"),
                    "{file}:{}: `{code}` has no comment",
                    number + 1
                );
            }
            previous = line;
        }
    }
}

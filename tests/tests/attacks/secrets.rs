//! Keys that were replaced: in nobody's memory, in no dump, in no log.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use mesh_tests::laptop::LIMIT;
use mesh_tests::{memory, meshctl};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::process::Command;

use super::place::Place;

/// What every P-256 key in PKCS#8 begins with, up to its number.
const PKCS8: [u8; 36] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];
/// Its length.
const WHOLE: usize = 138;

/// A key in every form in which it may stand in memory.
fn forms(pem: &Path) -> Vec<Vec<u8>> {
    let der = PrivateKeyDer::from_pem_file(pem).unwrap();
    let pair =
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_der())
            .unwrap();
    let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
    let number = number.as_ref().to_vec();
    // As the library computes with it.
    let words = number.iter().rev().copied().collect();
    // The second line of the text: the number is in it.
    let text = STANDARD.encode(der.secret_der());
    let line = text.get(64..128).unwrap();
    vec![number, words, line.as_bytes().to_vec()]
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

fn keys(ca: &Path) -> BTreeSet<PathBuf> {
    let mut found = Vec::new();
    files(ca, &mut found);
    let is_key = |path: &PathBuf| {
        let text = fs::read(path).unwrap_or_default();
        text.windows(11).any(|window| window == b"PRIVATE KEY")
    };
    found.into_iter().filter(is_key).collect()
}

fn holder(family: &[i32], needles: &[Vec<u8>]) -> Option<i32> {
    let mut family = family.iter().copied();
    // A process that has ended holds nothing.
    family.find(|id| memory::holds(*id, needles).unwrap_or(false))
}

/// Whether there is a P-256 key in PKCS#8, and not only what all begin with.
fn has_key_document(id: i32) -> bool {
    let mut found = false;
    memory::look_into(id, WHOLE, |piece| {
        found = found
            || memory::places(piece, &PKCS8).any(|at| {
                let der = piece.get(at..at + WHOLE);
                der.is_some_and(|der| {
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).is_ok()
                })
            });
    })
    .unwrap();
    found
}

// Some seconds: it reads the memory of all processes of the mesh, after a whole rotation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_replaced_is_nowhere() {
    let place = Place::start().await;
    let before = keys(&place.ca());
    assert!(before.len() >= 2, "{before:?}");
    let old: Vec<Vec<Vec<u8>>> = before.iter().map(|path| forms(path)).collect();
    let all: Vec<Vec<u8>> = old.concat();
    let family = memory::family(place.mesh.id().unwrap()).unwrap();
    // The key that signs is in use, so the search finds it.
    assert!(
        holder(&family, &all).is_some(),
        "nobody holds a key that signs"
    );
    // What proxies have of their keys is not the document that others could use.
    let with_document = |family: &[i32]| {
        let mut family = family.iter().copied();
        family.find(|id| has_key_document(*id))
    };

    let mut command = Command::new(meshctl());
    command
        .args(["ca", "rotate", "--state"])
        .arg(place.mesh.state())
        .stdout(Stdio::null());
    let status = tokio::time::timeout(LIMIT, command.status()).await;
    assert!(status.unwrap().unwrap().success());
    let after = keys(&place.ca());
    let deadline = Instant::now() + LIMIT;
    loop {
        // What was told to go may still be going.
        let (old, document) = (holder(&family, &all), with_document(&family));
        if old.is_none() && document.is_none() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "old keys in {old:?}, documents of keys in {document:?} of {family:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    // Neither those of before nor those of now stand in files, logs or dumps.
    let now: Vec<Vec<u8>> = after.iter().flat_map(|path| forms(path)).collect();
    let needles: Vec<Vec<u8>> = all.into_iter().chain(now).collect();
    let clean = |what: &str, text: &[u8]| {
        let held = needles
            .iter()
            .any(|needle| memory::places(text, needle).next().is_some());
        assert!(!held, "{what} holds a key");
        let marked = memory::places(text, b"PRIVATE KEY").next();
        assert!(marked.is_none(), "{what} holds a private key");
    };
    let mut found = Vec::new();
    files(&place.mesh.state(), &mut found);
    for path in found.iter().filter(|path| !after.contains(*path)) {
        clean(
            &path.display().to_string(),
            &fs::read(path).unwrap_or_default(),
        );
    }
    for path in ["/debug/world", "/v1/ca", "/v1/status", "/v1/proxies"] {
        let dump = place.mesh.meshd(path).await.unwrap().to_string();
        clean(path, dump.as_bytes());
    }
    for path in ["/config_dump", "/certs"] {
        let asked = place.mesh.proxy("client", Method::GET, path, Bytes::new());
        clean(path, asked.await.unwrap().to_string().as_bytes());
    }
    place.stays_well().await;
}

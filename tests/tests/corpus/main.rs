//! Replays the corpora of the fuzz targets, so that what was found once stays found.
//!
//! `MESH_CORPUS=write cargo test -p mesh-tests --test corpus` makes the seeds again: real
//! messages, made by the code that makes them in a mesh. Inputs that fuzzing found stay.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a seed that cannot be made fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use mesh_tests::fuzz::TARGETS;

mod seeds;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

#[test]
fn corpora_run_clean() {
    if std::env::var("MESH_CORPUS").is_ok_and(|value| value == "write") {
        seeds::write(&folder("corpus"));
    }
    let mut size = 0;
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(folder("corpus").join(name))
            .unwrap_or_else(|error| panic!("no corpus of {name}: {error}"))
        {
            let path = entry.unwrap().path();
            // The last one printed is the one that fails.
            println!("{}", path.display());
            let input = fs::read(&path).unwrap();
            target(&input);
            inputs += 1;
            size += input.len();
        }
        assert!(inputs > 0, "the corpus of {name} is empty");
    }
    assert!(
        size < 600 * 1024,
        "the corpora have {size} bytes: use `cargo fuzz cmin`"
    );
}

#[test]
fn every_target_is_a_fuzz_target() {
    let mut named: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    named.sort();
    for kind in ["fuzz_targets", "corpus"] {
        let mut found: Vec<_> = fs::read_dir(folder(kind))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        found.sort();
        assert_eq!(found, named, "{kind}");
    }
}

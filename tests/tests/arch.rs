//! The structure of the workspace, checked: who may depend on whom, what the pure crates may
//! not touch, and how large a file may grow.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom inside the workspace (normal dependencies). `mesh-tests` may use
/// everything; nobody may use it.
const EDGES: [(&str, &[&str]); 8] = [
    ("mesh-api", &[]),
    ("mesh-ca", &["mesh-api"]),
    ("mesh-proxy-core", &["mesh-api"]),
    ("mesh-proxy", &["mesh-api", "mesh-proxy-core"]),
    ("meshd-core", &["mesh-api"]),
    ("meshd", &["mesh-api", "mesh-ca", "meshd-core"]),
    ("bookinfo", &[]),
    (
        "meshctl",
        &[
            "mesh-api",
            "mesh-ca",
            "mesh-proxy",
            "mesh-proxy-core",
            "meshd",
            "meshd-core",
            "bookinfo",
        ],
    ),
];

const PURE: [&str; 2] = ["mesh-proxy-core", "meshd-core"];
const BANNED_IN_PURE: [&str; 9] = [
    "tokio",
    "hyper",
    "hyper-util",
    "tonic",
    "rustls",
    "kube",
    "tracing-subscriber",
    "socket2",
    "nix",
];
const BANNED_TEXT_IN_PURE: [&str; 10] = [
    "SystemTime::now",
    "Instant::now",
    "rand::rng()",
    "thread_rng",
    "std::env",
    "std::fs",
    "std::net::Tcp",
    "Mutex",
    "RwLock",
    "std::thread",
];
/// What a file of a pure crate may use all the same, with why.
const ALLOWED_IN_PURE: [(&str, &str, &str); 1] = [(
    "meshd/core/src/translate/compiled.rs",
    "Mutex",
    "keeps results of pure functions for whoever asks next: what is seen from outside does not \
     depend on it",
)];
/// One cryptographic provider, and none of the libraries that bring another.
const BANNED_ANYWHERE: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "serde_yaml"];

const LINES: usize = 500;
/// Files that are longer, with why. May only shrink.
const LONGER: [(&str, &str); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// What is resolved for this machine; the dependencies of other platforms may not be here.
fn metadata() -> Value {
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("-vV")
        .output()
        .unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal and build dependencies of each workspace member, by name.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| members.contains(package["id"].as_str().unwrap()))
        .map(|package| {
            let names = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "generated" | ".git") {
                    open.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn crates_depend_only_as_designed() {
    let found = dependencies(&metadata());
    let members: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    for (package, allowed) in EDGES {
        for dependency in &found[package] {
            if members.contains(dependency.as_str()) {
                assert!(
                    allowed.contains(&dependency.as_str()),
                    "{package} must not depend on {dependency}"
                );
            }
        }
    }
    for (package, dependencies) in &found {
        assert!(
            !dependencies.contains("mesh-tests"),
            "{package} must not depend on mesh-tests"
        );
        assert!(
            package == "mesh-tests" || EDGES.iter().any(|(name, _)| name == package),
            "{package} is not in the table of edges"
        );
    }
}

#[test]
fn pure_crates_stay_pure() {
    let found = dependencies(&metadata());
    for package in PURE {
        for banned in BANNED_IN_PURE {
            assert!(
                !found[package].contains(banned),
                "{package} must not depend on {banned}"
            );
        }
    }
    for directory in ["mesh-proxy/core/src", "meshd/core/src"] {
        for file in sources(&root().join(directory)) {
            let inside = file.strip_prefix(root()).unwrap();
            let is_test = |part: Component<'_>| {
                matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs"))
            };
            if inside.components().any(is_test) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for line in code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                for banned in BANNED_TEXT_IN_PURE {
                    let allowed = ALLOWED_IN_PURE
                        .iter()
                        .any(|(path, text, _)| file.ends_with(path) && banned == *text);
                    assert!(
                        allowed || !line.contains(banned),
                        "{}: `{banned}` in a pure crate: {line}",
                        file.display()
                    );
                }
                assert!(
                    !line.contains("async fn"),
                    "{}: async in a pure crate: {line}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn one_provider_of_cryptography() {
    // What is built, not what the lock file lists for features that nobody asks for.
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--prefix=none",
            "--format={p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let text = String::from_utf8(tree.stdout).unwrap();
    let built: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(built.contains("aws-lc-rs"), "the tree was read");
    for banned in BANNED_ANYWHERE {
        assert!(!built.contains(banned), "{banned} is banned");
    }
}

#[test]
fn files_stay_small() {
    let root = root();
    let mut long = Vec::new();
    for directory in [
        "mesh-api",
        "mesh-ca",
        "mesh-proxy",
        "meshd",
        "meshctl",
        "samples",
        "tests",
    ] {
        for file in sources(&root.join(directory)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            let name = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if lines > LINES && !LONGER.iter().any(|(path, _)| *path == name) {
                long.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "longer than {LINES} lines, split by noun:\n{}",
        long.join("\n")
    );
}

#[test]
fn only_the_proxy_has_unsafe_code_and_one_file_of_it() {
    let root = root();
    for directory in [
        "mesh-api",
        "mesh-ca",
        "mesh-proxy",
        "meshd",
        "meshctl",
        "samples",
        "tests",
    ] {
        for file in sources(&root.join(directory)) {
            let name = file
                .strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if name == "mesh-proxy/src/net/sys.rs" || name == "tests/tests/arch.rs" {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let found = text
                .lines()
                .find(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
            assert!(found.is_none(), "{name}: {}", found.unwrap_or_default());
        }
    }
}

/// Numbers of the traps of Istio's semantics that this mesh has met: each has a test with the
/// number in its name (`trap_07_…`, `trap_24_37_and_50_…`, `trap_41_to_43_…`). Not among them are
/// those that are only of kinds that are not read yet.
fn traps() -> impl Iterator<Item = u32> {
    (1..=75).chain([77, 78])
}

/// The numbers in a test's name, up to the first word that belongs to none.
fn numbers(name: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let (mut last, mut range) = (0, false);
    for word in name.split('_') {
        match word.parse::<u32>() {
            Ok(number) => {
                found.extend(if range {
                    last..=number
                } else {
                    number..=number
                });
                (last, range) = (number, false);
            }
            Err(_) if word == "to" => range = true,
            Err(_) if word == "and" => {}
            Err(_) => break,
        }
    }
    found
}

#[test]
fn every_trap_has_its_test() {
    let mut met = BTreeSet::new();
    for path in sources(&root()) {
        let text = fs::read_to_string(&path).unwrap();
        let names = text.split("fn trap_").skip(1);
        met.extend(names.flat_map(|rest| numbers(rest.split('(').next().unwrap())));
    }
    let missing: Vec<u32> = traps().filter(|number| !met.contains(number)).collect();
    assert!(
        missing.is_empty(),
        "no test has these in its name: {missing:?}"
    );
}

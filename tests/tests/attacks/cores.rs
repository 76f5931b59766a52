//! A crash leaves no core file, which would hold keys, unless that was asked for.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use mesh_tests::laptop::LIMIT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const RESOURCES: &str = "resources: [{name: mesh/default, mesh: {trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_ALLOW_ANY}}]";

/// The soft limit of core files of a process, once it runs this program.
fn limit(id: u32, program: &Path) -> Option<String> {
    let runs = fs::read_link(format!("/proc/{id}/exe")).ok()?;
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"))?;
    let soft = line.split_whitespace().next()?.to_owned();
    (runs == program).then_some(soft)
}

/// Runs a program with the largest limit that there may be, lets it crash once its limit is as
/// `wanted`, and says whether the kernel has dumped it.
fn crash(program: &Path, arguments: &[String], wanted: impl Fn(&str) -> bool) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -Sc $(ulimit -Hc) && exec \"$0\" \"$@\""])
        .arg(program)
        .args(arguments)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + LIMIT;
    while !limit(child.id(), program).is_some_and(|limit| wanted(&limit)) {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            limit(child.id(), program)
        );
        std::thread::yield_now();
    }
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(id, Signal::SIGABRT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    let left = fs::read_dir(directory.path()).unwrap().flatten();
    let left: Vec<PathBuf> = left.map(|entry| entry.path()).collect();
    // The kernel may be told to put them elsewhere, not to make one where there is none.
    assert!(status.core_dumped() || left.is_empty(), "{left:?}");
    status.core_dumped()
}

#[test]
fn a_crash_leaves_a_core_file_only_where_that_is_allowed() {
    let place = tempfile::tempdir().unwrap();
    let resources = place.path().join("resources.yaml");
    fs::write(&resources, RESOURCES).unwrap();
    let state = place.path().join("state").display().to_string();
    let resources = resources.display().to_string();
    let meshd = ["run", "--state-dir", &state].map(str::to_owned);
    let proxy = [
        "run",
        "--workload",
        "default/web",
        "--explicit",
        "127.0.0.1:0",
        "--resources",
        &resources,
    ]
    .map(str::to_owned);
    let hard = Command::new("sh").args(["-c", "ulimit -Hc"]).output();
    let may_dump = hard.unwrap().stdout != b"0\n";
    for (program, arguments) in [
        (mesh_tests::binary::meshd(), &meshd[..]),
        (mesh_tests::binary::mesh_proxy(), &proxy),
    ] {
        let program = fs::canonicalize(program).unwrap();
        let dumped = crash(&program, arguments, |limit| limit == "1");
        assert!(!dumped, "{} leaves a core", program.display());
        let allowed = [arguments, &["--core-files".to_owned()]].concat();
        let dumped = crash(&program, &allowed, |limit| limit != "1");
        assert_eq!(dumped, may_dump, "{}", program.display());
    }
}

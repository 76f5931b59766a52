//! Nothing outlives a mesh, however it ends.

use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, Running};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{all_gone, processes, until};

/// Applications with children of their own: one in the background, one in a session of its own,
/// one that does not want to end.
const MESH: &str = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: leftovers}
spec:
  workloads:
  - name: parent
    command: [sh, -c, 'sleep 1001 & exec sleep 1002']
  - name: leaver
    command: [sh, -c, 'setsid sleep 1003 & exec sleep 1004']
  - name: stubborn
    command: [sh, -c, \"trap '' TERM HUP INT; sleep 1005; sleep 1006\"]
  gateways:
  - {name: door}
";

/// A mesh of which everything runs.
async fn running() -> LaptopMesh {
    let mesh = LaptopMesh::start(MESH, &[]).unwrap();
    until("the applications' children", async || {
        let all = processes(&mesh.state());
        let runs = |part: &str| all.iter().any(|(_, command)| command.starts_with(part));
        [
            "sleep 1001",
            "sleep 1002",
            "sleep 1003",
            "sleep 1004",
            "sleep 1005",
        ]
        .iter()
        .all(|part| runs(part))
        .then_some(())
    })
    .await;
    mesh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_sigterm() {
    let mesh = running().await;
    let state = mesh.state();
    mesh.stop().unwrap();
    all_gone(&state).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_sigkill() {
    let mesh = running().await;
    let state = mesh.state();
    kill(Pid::from_raw(mesh.id().unwrap()), Signal::SIGKILL).unwrap();
    all_gone(&state).await;
    // The next mesh finds its way through what lies there.
    let [file, state] = [mesh.mesh_file(), mesh.state()].map(|path| path.display().to_string());
    let mut next = Running::start(["up", &file, "--state", &state]).unwrap();
    next.wait_for("ready", LIMIT).unwrap();
    next.stop(LIMIT).unwrap();
    all_gone(state.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_a_start_that_fails() {
    let directory = tempfile::tempdir().unwrap();
    let [file, state] =
        ["mesh.yaml", "s"].map(|name| directory.path().join(name).display().to_string());
    std::fs::write(&file, MESH).unwrap();
    // The control plane cannot have its socket: a directory that is not empty stands there. The
    // applications run by then.
    std::fs::create_dir_all(directory.path().join("s/meshd.sock/x")).unwrap();
    let mut up = Running::start(["up", &file, "--state", &state]).unwrap();
    let (status, printed) = up.wait(LIMIT).unwrap();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(printed.contains("meshd.sock"), "{printed}");
    all_gone(state.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_a_stop_in_the_middle_of_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let [file, state] =
        ["mesh.yaml", "s"].map(|name| directory.path().join(name).display().to_string());
    std::fs::write(&file, MESH).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let mut up = Running::start(["up", &file, "--state", &state]).unwrap();
        until("a first process", async || {
            (processes(state.as_ref()).len() > 1).then_some(())
        })
        .await;
        kill(Pid::from_raw(up.id().try_into().unwrap()), signal).unwrap();
        up.wait(LIMIT).unwrap();
        all_gone(state.as_ref()).await;
    }
}

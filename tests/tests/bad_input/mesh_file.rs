//! Mesh files with mistakes.

use std::fs;

use crate::fixture::{processes, run};

/// What is wrong, the file's `spec`, and where the message has to be.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "an unknown field",
        "workloads: [{name: a, porst: []}]",
        "5:25: error: unknown field `porst`",
    ),
    (
        "a duplicate",
        "workloads: [{name: a}, {name: a}]",
        "5:33: error: the name `default/a` is taken by the workload in line 5",
    ),
    (
        "a bad name",
        "workloads: [{name: A_b}]",
        "5:22: error: name `A_b`",
    ),
    (
        "a bad account",
        "workloads: [{name: a, serviceAccount: 'x y'}]",
        "5:41: error: serviceAccount `x y`",
    ),
    (
        "a bad label",
        "workloads: [{name: a, labels: {app: 'x y'}}]",
        "5:39: error: label app",
    ),
    ("a wrong type", "workloads: {name: a}", "5:14: error: "),
    (
        "a bad number",
        "workloads: [{name: a, ports: [{port: http}]}]",
        "5:40: error: ",
    ),
    (
        "a number too large",
        "workloads: [{name: a, ports: [{port: 70000}]}]",
        "5:40: error: ",
    ),
    (
        "a port of the sidecar",
        "workloads: [{name: a, command: [x], ports: [{port: 15090}]}]",
        "5:54: error: port 15090 belongs to the sidecar",
    ),
    (
        "a port twice",
        "workloads: [{name: a, command: [x], ports: [{port: 80}, {port: 80}]}]",
        "error: port 80 is listed twice",
    ),
    (
        "an empty command",
        "workloads: [{name: a, command: []}]",
        "5:34: error: command is empty",
    ),
    (
        "a bad listener",
        "gateways: [{name: a, ports: [{port: 80, listen: here}]}]",
        "5:32: error: listen must be",
    ),
    (
        "a bad policy",
        "outboundTrafficPolicy: {mode: SOME}\n  workloads: [{name: a}]",
        "5:33: error: outboundTrafficPolicy.mode `SOME`",
    ),
    ("malformed YAML", "workloads: [{name: a", "error: "),
    (
        "no workload",
        "workloads: []",
        "error: the mesh has no workloads",
    ),
];

#[test]
fn mistakes_are_refused_by_their_place_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.yaml");
    let state = directory.path().join("s");
    for (name, spec, expected) in MISTAKES {
        let head = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: x}\nspec:\n";
        fs::write(&path, format!("{head}  {spec}\n")).unwrap();
        let (code, printed, errors) = run([
            "up".as_ref(),
            path.as_os_str(),
            "--state".as_ref(),
            state.as_os_str(),
        ]);
        assert_eq!(code, 1, "{name}: {errors}");
        assert_eq!(printed, "", "{name}");
        assert!(
            errors.starts_with(&format!("error: {}:", path.display())),
            "{name}: {errors}"
        );
        assert!(errors.contains(*expected), "{name}: {errors}");
        assert!(!state.exists(), "{name}: nothing was begun");
        assert_eq!(processes(&state), [], "{name}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mesh.yaml");
    let text = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: x}\nspec:\n  workloads:\n  - {name: A}\n  - {name: B}\n";
    fs::write(&path, text).unwrap();
    let (code, _, errors) = run(["up".as_ref(), path.as_os_str()]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("mesh.yaml:6:12: ") && errors.contains("mesh.yaml:7:12: "),
        "{errors}"
    );
}

#[test]
fn files_that_are_not_there_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let [mesh, state] =
        ["mesh.yaml", "s"].map(|name| directory.path().join(name).display().to_string());
    let (code, _, errors) = run(["up", &mesh, "--state", &state]);
    assert_eq!(code, 1);
    assert!(errors.contains(&mesh), "{errors}");
    fs::write(&mesh, "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: x}\nspec: {workloads: [{name: a}]}\n").unwrap();
    let (code, _, errors) = run([
        "up",
        &mesh,
        "--config",
        "/no/such/config",
        "--state",
        &state,
    ]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("/no/such/config") && errors.contains("--config"),
        "{errors}"
    );
    assert_eq!(processes(std::path::Path::new(&state)), []);
}

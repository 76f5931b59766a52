//! The binary as its users call it, as far as no mesh has to run.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, too"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(30);

fn meshctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (Output, String, String) {
    let output = meshctl(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

fn sample(path: &str) -> String {
    format!("{}/../samples/bookinfo/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Processes that have this word among their arguments.
fn processes_with(word: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|argument| argument == word.as_bytes())
    })
    .collect()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within {PATIENCE:?}"
        );
        std::thread::yield_now();
    }
}

/// A shell that leaves one child in its process group and one outside of it.
fn guarded_family(word: &str) -> std::process::Child {
    let script = "sleep \"$0\" & setsid sleep \"$0\" & echo started; wait";
    let mut child = meshctl(&["internal", "guard", "--", "sh", "-c", script, word])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "started\n");
    wait_until("the start of both children", || {
        processes_with(word).len() >= 4
    });
    child
}

#[test]
fn a_stopped_guard_leaves_nothing() {
    let word = format!("3600.1{}", std::process::id());
    let mut guard = guarded_family(&word);
    kill(
        Pid::from_raw(i32::try_from(guard.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    guard.wait().unwrap();
    assert_eq!(processes_with(&word), Vec::<i32>::new());
}

#[test]
fn a_guard_whose_application_ends_leaves_nothing() {
    let word = format!("3600.2{}", std::process::id());
    let mut guard = guarded_family(&word);
    let guard_pid = i32::try_from(guard.id()).unwrap();
    let shell = *processes_with(&word)
        .iter()
        .find(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| {
                rest.split_whitespace().nth(1) == Some(&guard_pid.to_string())
            }) && !stat.contains("(sleep)")
        })
        .unwrap();
    kill(Pid::from_raw(shell), Signal::SIGKILL).unwrap();
    assert_eq!(guard.wait().unwrap().code(), Some(137));
    assert_eq!(processes_with(&word), Vec::<i32>::new());
}

#[test]
fn a_guard_has_the_exit_code_of_its_application() {
    for code in [0, 3] {
        let status = meshctl(&[
            "internal",
            "guard",
            "--",
            "sh",
            "-c",
            &format!("exit {code}"),
        ])
        .status()
        .unwrap();
        assert_eq!(status.code(), Some(code));
    }
    let (output, _, error) = run(&["internal", "guard", "--", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("cannot run `/no/such/program`"), "{error}");
}

#[test]
fn commands_on_a_mesh_say_that_none_runs() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    for args in [
        vec!["status", "--state", state],
        vec!["config", "reviews-v1", "--state", state],
        vec!["wait", "--state", state],
        vec!["token", "reviews-v1", "--state", state],
        vec!["exec", "--state", state, "reviews-v1", "--", "true"],
        vec!["explain", "--state", state, "--from", "a", "http://b/"],
    ] {
        let (output, out, error) = run(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            error.contains("no mesh runs in") && error.contains("--state DIR"),
            "{error}"
        );
        assert_eq!(out, "");
    }
    let (output, out, _) = run(&["down", "--state", state]);
    assert!(output.status.success());
    assert!(out.contains("no mesh runs"), "{out}");
}

#[test]
fn without_mesh_and_cluster_both_ways_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let output = meshctl(&["status"])
        .env("HOME", home)
        .env("XDG_STATE_HOME", home)
        .env("KUBECONFIG", dir.path().join("none"))
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for part in ["no mesh runs in", "--state DIR", "--kubeconfig FILE"] {
        assert!(error.contains(part), "{error}");
    }
    let kubeconfig = dir.path().join("config");
    fs::write(&kubeconfig, "apiVersion: v1\nkind: Config\n").unwrap();
    let path = kubeconfig.to_str().unwrap();
    let (output, _, error) = run(&["config", "a", "--kubeconfig", path, "--context", "b"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("context `b` of the kubeconfig"), "{error}");
}

#[test]
fn up_refuses_what_cannot_work_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let state = path("state");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        path(name)
    };
    let head = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: test}\n";

    let (output, _, error) = run(&["up", &path("none.yaml"), "--state", &state]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("none.yaml: cannot read"), "{error}");

    let broken = write(
        "broken.yaml",
        &format!("{head}spec:\n  workloads:\n  - name: Big\n"),
    );
    let (_, _, error) = run(&["up", &broken, "--state", &state]);
    assert!(
        error.contains("broken.yaml:6:11: error: name `Big`"),
        "{error}"
    );

    let good = write(
        "good.yaml",
        &format!("{head}spec:\n  workloads:\n  - name: a\n"),
    );
    let (_, _, error) = run(&["up", &good, "--state", &state, "--config", &path("nowhere")]);
    assert!(
        error.contains("cannot read the configuration") && error.contains("nowhere"),
        "{error}"
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let gateway = format!(
        "{head}spec:\n  gateways:\n  - {{name: g, ports: [{{port: 8080, listen: {port}}}]}}\n"
    );
    let (output, _, error) = run(&["up", &write("gateway.yaml", &gateway), "--state", &state]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{error}"
    );

    let long = path(&"x".repeat(90));
    let (_, _, error) = run(&["up", &good, "--state", &long]);
    assert!(
        error.contains("too long") && error.contains("107"),
        "{error}"
    );
    assert!(!Path::new(&state).join("mesh.json").exists());
}

#[test]
fn analyze_tells_each_problem_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.yaml");
    fs::write(
        &file,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  htpp: []\n",
    )
    .unwrap();
    let path = file.to_str().unwrap();
    let (output, out, error) = run(&["analyze", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out.contains(&format!("{path}:6:3: error: ")) && out.contains("htpp"),
        "{out}"
    );
    assert!(error.contains("1 file: "), "{error}");

    let (output, out, _) = run(&["analyze", "-o", "json", path]);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_str(&out).unwrap();
    let finding = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["line"] == 6)
        .unwrap();
    assert_eq!(finding["severity"], "error");

    let (output, out, error) = run(&[
        "analyze",
        "--mesh",
        &sample("mesh.yaml"),
        &sample("config/base"),
    ]);
    assert!(output.status.success(), "{out}{error}");
    let (output, _, error) = run(&["analyze", "/no/such/dir"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("cannot read the configuration in /no/such/dir"),
        "{error}"
    );
}

#[test]
fn analyze_goes_on_behind_a_file_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), b"kind: \xff\n").unwrap();
    fs::write(dir.path().join("b.yaml"), "kind: [\n").unwrap();
    let (output, out, error) = run(&["analyze", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("a.yaml") && out.contains("not UTF-8"), "{out}");
    assert!(out.contains("b.yaml:"), "{out}");
    assert!(error.contains("2 files: 2 errors"), "{error}");
}

#[test]
fn explain_needs_no_mesh_when_it_has_files() {
    let (mesh, config) = (sample("mesh.yaml"), sample("config/base"));
    let url = "http://reviews:9080/reviews/0";
    let args = [
        "explain",
        "--config",
        &config,
        "--mesh",
        &mesh,
        "--from",
        "productpage-v1",
        url,
    ];
    let (output, out, error) = run(&args);
    assert!(output.status.success(), "{error}");
    assert!(out.contains("endpoint default/reviews-v3"), "{out}");

    let (_, out, _) = run(&[args.as_slice(), &["-o", "json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["caller"]["workload"], "default/productpage-v1");
    assert_eq!(report["callees"].as_array().unwrap().len(), 3);
}

#[test]
fn manifests_of_kubernetes_say_what_runs() {
    let (manifests, config) = (sample("platform/kube/bookinfo.yaml"), sample("config/base"));
    let (output, out, error) = run(&[
        "explain",
        "--config",
        &manifests,
        "--config",
        &config,
        "--from",
        "productpage-v1",
        "http://reviews:9080/reviews/0",
    ]);
    assert!(output.status.success(), "{error}");
    assert!(out.contains("endpoint default/reviews-v3"), "{out}");
    assert!(
        out.contains("mutual TLS with spiffe://cluster.local/ns/default/sa/bookinfo-reviews"),
        "{out}"
    );
    let (output, out, error) = run(&["analyze", &manifests, &config]);
    assert!(output.status.success(), "{out}{error}");
    assert!(error.starts_with("3 files: 0 errors"), "{error}");
    assert!(!out.contains("does not select any pods"), "{out}");
}

#[test]
fn inject_takes_the_proxy_configs_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pod = write(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: 'web:1'}]}\n",
    );
    let config = |threads: &str| {
        let spec = format!("spec: {{concurrency: {threads}, image: {{imageType: debug}}}}\n");
        let head =
            "apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {name: all}\n";
        write("config.yaml", &format!("{head}{spec}"))
    };
    let inject = |config: &str| run(&["inject", "-n", "shop", "-f", &pod, "-f", config]);
    let (output, out, err) = inject(&config("7"));
    assert!(output.status.success(), "{err}");
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(&out).unwrap();
    let proxy = &objects[0]["spec"]["initContainers"][1];
    let told = serde_json::json!({"name": "MESH_CONCURRENCY", "value": "7"});
    assert!(proxy["env"].as_array().unwrap().contains(&told), "{out}");
    assert_eq!(objects[1]["kind"], "ProxyConfig");
    assert!(
        err.contains("ProxyConfig shop/all: warning: spec.image.imageType"),
        "{err}"
    );
    let (output, out, err) = inject(&config("-7"));
    assert!(!output.status.success() && out.is_empty(), "{out}");
    assert!(
        err.contains("config.yaml: document 1 (from line 1): ProxyConfig all: spec.concurrency"),
        "{err}"
    );
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let (output, out, _) = run(&["completions", shell]);
        assert!(output.status.success());
        assert!(
            out.contains("meshctl") && out.contains("explain"),
            "{shell}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = meshctl(&["explain", "--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn policy_coverage_tells_who_decides_and_fails_where_nobody_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.yaml");
    let deployment = |name: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name}, namespace: shop }}\nspec: {{ template: {{ metadata: {{ labels: {{ app: {name} }} }}, spec: {{ serviceAccountName: {name} }} }} }}\n---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\nspec: {{ selector: {{ app: {name} }}, ports: [{{ name: http, port: 80 }}] }}\n"
        )
    };
    let policy = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: readers, namespace: shop }\nspec: { selector: { matchLabels: { app: api } }, rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }] }] }\n";
    let text = format!("{}{}{policy}", deployment("web"), deployment("api"));
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();

    let (output, out, err) = run(&["policy", "coverage", path]);
    assert!(output.status.success(), "{err}");
    for line in [
        "shop/web            shop/api     80 http  mTLS (PERMISSIVE)       allowed",
        "ALLOW shop/readers[0]",
        "no ALLOW policy matches",
        "unprotected",
    ] {
        assert!(out.contains(line), "{line}:\n{out}");
    }
    let fail = |more: &[&str]| {
        let args = [
            &["policy", "coverage", path, "--fail-on", "unprotected"],
            more,
        ]
        .concat();
        run(&args).0.status.code()
    };
    assert_eq!(fail(&[]), Some(1));
    assert_eq!(fail(&["--workload", "web"]), Some(1));
    assert_eq!(fail(&["--workload", "api"]), Some(0));
    assert_eq!(fail(&["-n", "elsewhere"]), Some(0));

    let (_, out, _) = run(&[
        "policy",
        "coverage",
        path,
        "--workload",
        "api",
        "-o",
        "json",
    ]);
    let found: meshd_core::Coverage = serde_json::from_str(&out).unwrap();
    assert!(found.rows.iter().all(|row| row.destination == "shop/api"));
    let (_, out, _) = run(&[
        "policy",
        "coverage",
        path,
        "--workload",
        "api",
        "-o",
        "yaml",
    ]);
    assert!(
        out.starts_with("rows:") && out.contains("destination: shop/api"),
        "{out}"
    );
}

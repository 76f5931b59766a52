//! Network namespaces for transparent capture, made for real: as whoever runs the tests, and, if
//! that is root, as an ordinary user too. Without the privilege (root or unprivileged user
//! namespaces), iproute2 and nftables they fail.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, geteuid};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(20);
/// nobody of most systems; any uid that is not root's does.
const ORDINARY: u32 = 65_534;

struct Mesh {
    dir: tempfile::TempDir,
    uid: Uid,
    hub: Child,
    stdin: Option<ChildStdin>,
    report: Value,
}

impl Mesh {
    fn start(uid: Uid) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // The build's directory may be closed to the other user. Not copied by this process: one
        // forked by another thread meanwhile would keep the file open for writing (ETXTBSY).
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_netns-peer"))
            .arg(dir.path().join("peer"))
            .status();
        assert!(copied.unwrap().success());
        let state = dir.path().join("state");
        fs::create_dir(&state).unwrap();
        chown(&state, Some(uid.as_raw()), None).unwrap();

        let mut command = command(dir.path(), uid);
        command
            .arg("hub")
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut hub = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(hub.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let report = serde_json::from_str(&line).expect("the hub starts");
        Self {
            stdin: hub.stdin.take(),
            dir,
            uid,
            hub,
            report,
        }
    }

    /// A command in a workload, entered from the host; the program is to be added.
    fn enter(&self, workload: &str, privileged: bool) -> Command {
        self.enter_as(self.uid, workload, privileged)
    }

    fn enter_as(&self, uid: Uid, workload: &str, privileged: bool) -> Command {
        let mut command = command(self.dir.path(), uid);
        let namespace = |key: &str| self.report[workload][key].as_str().unwrap();
        command.args(["internal", "enter", "--join", &self.hub.id().to_string()]);
        command.args(["--netns", namespace("netns"), "--hosts", namespace("hosts")]);
        if privileged {
            command.arg("--privileged");
        }
        command.arg("--");
        command
    }

    /// The peer in a workload, entered from the host.
    fn exec(&self, workload: &str, privileged: bool) -> Command {
        let mut command = self.enter(workload, privileged);
        command.arg(self.dir.path().join("peer"));
        command
    }

    fn ask(&self, workload: &str, args: &[&str]) -> String {
        let output = self.exec(workload, false).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        text(&output)
    }

    fn pids(&self) -> Vec<u64> {
        self.report["pids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| pid.as_u64().unwrap())
            .collect()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = self.hub.kill();
        let _ = self.hub.wait();
    }
}

fn command(dir: &Path, uid: Uid) -> Command {
    let mut command = Command::new(dir.join("peer"));
    // The caller's PATH may lead where the other user may not look.
    command
        .current_dir(dir)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    if uid != geteuid() {
        command.uid(uid.as_raw()).gid(uid.as_raw());
    }
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn line(reader: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// The host's links and mounts, as far as a mesh could add any.
fn host() -> (String, Vec<String>) {
    let links = fs::read_to_string("/proc/net/dev").unwrap();
    let links: Vec<&str> = links
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let named = |line: &&str| line.contains("/etc/hosts") || line.contains("netns");
    (
        links.join(" "),
        mounts.lines().filter(named).map(str::to_owned).collect(),
    )
}

fn whole_mesh(uid: Uid) {
    let before = host();
    let mut mesh = Mesh::start(uid);
    assert_eq!(host(), before, "the host sees nothing of a mesh");

    // A name of /etc/hosts → virtual address → redirected → the other namespace → redirected →
    // the app on its real port, which sees the proxy's address and runs as the user.
    let answer = mesh.ask(
        "caller",
        &["get", "server.default.svc.cluster.local", "80", "hello"],
    );
    assert_eq!(answer, format!("hello from 127.0.0.6 to uid {uid}"));
    // Any address is captured, also one that is nobody's.
    let answer = mesh.ask("caller", &["get", "203.0.113.9", "4321", "anybody"]);
    assert_eq!(answer, format!("anybody from 127.0.0.6 to uid {uid}"));

    // From the host through the hub.
    let mut stream = TcpStream::connect(mesh.report["front"].as_str().unwrap()).unwrap();
    stream.write_all(b"knock").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("knock from 127.0.0.6 to uid {uid}"));

    privileges(&mesh);
    programs(&mesh);
    names(&mut mesh);
    assert_eq!(host(), before, "the host sees nothing of a mesh");

    // Nothing is left by a mesh that is killed.
    mesh.hub.kill().unwrap();
    mesh.hub.wait().unwrap();
    let end = Instant::now() + DEADLINE;
    while mesh.pids().iter().any(|pid| lives(*pid)) {
        assert!(
            Instant::now() < end,
            "processes outlive the mesh: {:?}",
            mesh.pids()
        );
        std::thread::yield_now();
    }
    assert_eq!(host(), before);
    let output = mesh.exec("caller", false).arg("mark").output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot enter the mesh of process"));
}

/// A proxy may mark its packets; an app may not, unless it is the real root.
fn privileges(mesh: &Mesh) {
    let output = mesh.exec("caller", true).arg("mark").output().unwrap();
    assert_eq!(text(&output), "marked");
    let output = mesh.exec("caller", true).arg("outside").output().unwrap();
    assert_eq!(
        text(&output),
        "Err(NetworkUnreachable) Err(NetworkUnreachable)"
    );
    // Whoever may enter from outside, the host's root for one, acts as the mesh's user.
    let ids = mesh
        .enter_as(geteuid(), "caller", false)
        .args(["id", "-u"])
        .output()
        .unwrap();
    assert_eq!(text(&ids), mesh.uid.to_string(), "{ids:?}");
    let expected = if mesh.uid.is_root() {
        "marked"
    } else {
        "refused"
    };
    assert_eq!(mesh.ask("caller", &["mark"]), expected);
}

/// Directory, exit status and errors are those of the program.
fn programs(mesh: &Mesh) {
    let run = |args: &[&str]| mesh.enter("caller", false).args(args).output().unwrap();
    assert_eq!(PathBuf::from(text(&run(&["pwd"]))), mesh.dir.path());
    assert_eq!(run(&["sh", "-c", "exit 9"]).status.code(), Some(9));
    assert_eq!(run(&["no-such-program"]).status.code(), Some(127));
}

/// A name that appears while a program runs.
fn names(mesh: &mut Mesh) {
    let mut waiting = mesh
        .exec("caller", false)
        .args(["await", "late.default"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(waiting.stdout.take().unwrap());
    assert_eq!(line(&mut lines), "waiting");
    writeln!(mesh.stdin.as_ref().unwrap(), "late.default").unwrap();
    assert_eq!(line(&mut lines), "240.240.0.1");
    assert!(waiting.wait().unwrap().success());
}

fn lives(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // proc_pid_stat(5): the state follows the name in parentheses. A zombie is nobody's.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn as_whoever_runs_the_tests() {
    whole_mesh(geteuid());
}

#[test]
fn as_an_ordinary_user() {
    whole_mesh(if geteuid().is_root() {
        Uid::from_raw(ORDINARY)
    } else {
        geteuid()
    });
}

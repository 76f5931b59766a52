//! Objects that cannot be used, put into the directory of a running mesh.

use std::fs;
use std::path::Path;

use mesh_tests::LaptopMesh;
use serde_json::Value;

use crate::fixture::{Fixture, routed_to, run, until};

/// The file that sends everything to version a.
const ROUTES: &str = "20-echo.yaml";
/// A file beside it.
const BESIDE: &str = "30-beside.yaml";

struct Case {
    name: &'static str,
    file: &'static str,
    text: String,
    /// `line:column: severity: part of the message`
    finding: &'static str,
}

// === impl Case ===

impl Case {
    /// The routes, worse than before.
    fn spoilt(name: &'static str, from: &str, to: &str, finding: &'static str) -> Self {
        let text = routed_to("b");
        assert!(text.contains(from), "{name}");
        Self {
            name,
            file: ROUTES,
            text: text.replace(from, to),
            finding,
        }
    }

    /// Another object, which wants the requests for another version.
    fn beside(name: &'static str, from: &str, to: &str, finding: &'static str) -> Self {
        Self {
            file: BESIDE,
            ..Self::spoilt(name, from, to, finding)
        }
    }

    fn place(&self) -> (u64, u64) {
        let mut numbers = self
            .finding
            .split(':')
            .map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    fn is_error(&self) -> bool {
        self.finding.contains(": error: ")
    }

    fn message(&self) -> &str {
        self.finding.splitn(4, ':').last().unwrap().trim()
    }

    fn is_reported_by(&self, problem: &Value) -> bool {
        let origin = &problem["origin"];
        let severity = if self.is_error() {
            "SEVERITY_ERROR"
        } else {
            "SEVERITY_WARNING"
        };
        origin["source"]
            .as_str()
            .is_some_and(|source| source.ends_with(self.file))
            && (origin["line"].as_u64(), origin["column"].as_u64()) == {
                let (line, column) = self.place();
                (Some(line), Some(column))
            }
            && problem["severity"] == severity
            && problem["message"]
                .as_str()
                .is_some_and(|message| message.contains(self.message()))
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case::spoilt(
            "malformed YAML",
            "[echo]",
            "[echo",
            "6:7: error: this is no YAML",
        ),
        Case::spoilt("a tab", "  http:", "\thttp:", "6:2: error: this is no YAML"),
        Case::spoilt(
            "unknown field",
            "- route:",
            "- rout:",
            "7:5: error: did you mean `route`",
        ),
        Case::spoilt(
            "wrong type",
            "hosts: [echo]",
            "hosts: echo",
            "5:10: error: spec.hosts",
        ),
        Case::spoilt(
            "wrong number",
            "}}]",
            "}, weight: lots}]",
            "7:60: error: expected a number",
        ),
        Case::spoilt(
            "nothing to do",
            "  - route: [{destination: {host: echo, subset: b}}]",
            "  - {}",
            "7:5: error: required",
        ),
        Case::beside(
            "unknown kind",
            "VirtualService",
            "VirtualServise",
            "2:7: warning: did you mean `VirtualService`",
        ),
        Case::beside(
            "duplicate name",
            "spec:",
            "spec:",
            "1:1: error: 20-echo.yaml:1",
        ),
        Case::beside(
            "missing host",
            "name: echo}\nspec:\n  hosts: [echo]\n  http:\n  - route: [{destination: {host: echo, subset: b}}]",
            "name: other}\nspec:\n  hosts: [other]\n  http:\n  - route: [{destination: {host: nowhere}}]",
            "7:34: warning: \"nowhere\"",
        ),
        Case::beside(
            "missing subset",
            "name: echo}\nspec:\n  hosts: [echo]\n  http:\n  - route: [{destination: {host: echo, subset: b}}]",
            "name: other}\nspec:\n  hosts: [other]\n  http:\n  - route: [{destination: {host: echo, subset: c}}]",
            "7:34: warning: \"echo+c\"",
        ),
        Case::beside(
            "conflicting hosts",
            "name: echo}",
            "name: other}",
            "5:11: warning: default/echo",
        ),
        Case::beside(
            "no YAML at all",
            "apiVersion",
            "\u{0}\u{1}apiVersion",
            "1:1: error: this is no YAML",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_objects_are_reported_and_the_last_good_ones_stay() {
    let fixture = Fixture::start().await;
    let config = fixture.mesh.config();
    let mut traffic = fixture.traffic();
    for case in cases() {
        let context = format!("{}:\n{}", case.name, case.text);
        fs::write(config.join(case.file), &case.text).unwrap();
        reported(&fixture, &case).await;
        fixture.mesh.settle().await.unwrap();
        analyzed(&fixture, &case);
        for _ in 0..10 {
            assert_eq!(fixture.version().await, "a", "{context}");
        }
        traffic.more(5).await.unwrap();

        match case.file {
            ROUTES => {
                // The object is repaired: what was meant comes into force.
                fs::write(config.join(ROUTES), routed_to("b")).unwrap();
                clean(&fixture).await;
                assert_eq!(fixture.version().await, "b", "{context}");
                fs::write(config.join(ROUTES), routed_to("a")).unwrap();
                until("version a again", async || {
                    (fixture.version().await == "a").then_some(())
                })
                .await;
            }
            file => {
                fs::remove_file(config.join(file)).unwrap();
                clean(&fixture).await;
                assert_eq!(fixture.version().await, "a", "{context}");
            }
        }
    }
    let (code, printed, _) = analyze(&fixture);
    assert_eq!((code, printed.as_str()), (0, ""));
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_as_text_disturbs_nobody() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    let bomb = std::iter::once("a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(('b'..='z').zip('a'..).map(|(to, from)| {
            let all = vec![format!("*{from}"); 9].join(", ");
            format!("{to}: &{to} [{all}]\n")
        }))
        .collect::<String>();
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for bytes in [
        b"\xff\xfe\xfd kind".to_vec(),
        bomb.into_bytes(),
        deep.into_bytes(),
    ] {
        fs::write(fixture.mesh.config().join(BESIDE), &bytes).unwrap();
        until("a problem of the file", async || {
            let problems = problems(&fixture).await;
            problems
                .iter()
                .any(|p| p["origin"]["source"].as_str().unwrap().ends_with(BESIDE))
                .then_some(())
        })
        .await;
        let (code, printed, errors) = analyze(&fixture);
        assert_eq!(code, 1, "{printed}{errors}");
        assert!(
            format!("{printed}{errors}").contains(&format!("{BESIDE}:")),
            "{printed}{errors}"
        );
        traffic.more(5).await.unwrap();
        // The neighbours go on changing.
        fixture
            .mesh
            .apply(ROUTES, Some(&routed_to("b")))
            .await
            .unwrap();
        assert_eq!(fixture.version().await, "b");
        fixture
            .mesh
            .apply(ROUTES, Some(&routed_to("a")))
            .await
            .unwrap();
        fs::remove_file(fixture.mesh.config().join(BESIDE)).unwrap();
        clean(&fixture).await;
    }
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_file_that_is_deleted_takes_its_last_good_objects_along() {
    let fixture = Fixture::start().await;
    let case = &cases()[0];
    fs::write(fixture.mesh.config().join(ROUTES), &case.text).unwrap();
    reported(&fixture, case).await;
    assert_eq!(fixture.version().await, "a");
    fixture.mesh.apply(ROUTES, None).await.unwrap();
    // Without a rule both versions take turns.
    until("an answer of version b", async || {
        (fixture.version().await == "b").then_some(())
    })
    .await;
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_from_the_start_is_told_by_up_itself() {
    let mesh = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: x}\nspec: {workloads: [{name: a}]}\n";
    let case = &cases()[0];
    let mesh = LaptopMesh::start(mesh, &[(case.file, &case.text)]).unwrap();
    let path = mesh.config().join(case.file).canonicalize().unwrap();
    let (line, column) = case.place();
    let expected = format!("{}:{line}:{column}: error: ", path.display());
    let printed = mesh.stop().unwrap();
    assert!(
        printed.contains(&expected),
        "`{expected}` is not in:\n{printed}"
    );
}

async fn problems(fixture: &Fixture) -> Vec<Value> {
    let list = fixture.mesh.meshd("/v1/problems").await.unwrap();
    list["problems"].as_array().cloned().unwrap_or_default()
}

async fn reported(fixture: &Fixture, case: &Case) {
    let mut last = Vec::new();
    let found = tokio::time::timeout(mesh_tests::laptop::LIMIT / 3, async {
        until(case.name, async || {
            last = problems(fixture).await;
            last.iter()
                .any(|problem| case.is_reported_by(problem))
                .then_some(())
        })
        .await;
    })
    .await;
    assert!(
        found.is_ok(),
        "{}: {} is not in {last:#?}",
        case.name,
        case.finding
    );
}

/// No problem is left, and every proxy knows it.
async fn clean(fixture: &Fixture) {
    until("a configuration without problems", async || {
        problems(fixture).await.is_empty().then_some(())
    })
    .await;
    fixture.mesh.settle().await.unwrap();
}

fn analyze(fixture: &Fixture) -> (i32, String, String) {
    let mesh = fixture.mesh.mesh_file();
    run([
        Path::new("analyze"),
        Path::new("--mesh"),
        &mesh,
        &fixture.mesh.config(),
    ])
}

fn analyzed(fixture: &Fixture, case: &Case) {
    let (code, printed, errors) = analyze(fixture);
    let (line, column) = case.place();
    let severity = if case.is_error() { "error" } else { "warning" };
    let begin = format!(
        "{}:{line}:{column}: {severity}: ",
        fixture.mesh.config().join(case.file).display()
    );
    let told = printed
        .lines()
        .any(|line| line.starts_with(&begin) && line.contains(case.message()));
    assert!(
        told,
        "{}: `{begin}` is not in\n{printed}{errors}",
        case.name
    );
    assert_eq!(
        code,
        i32::from(case.is_error()),
        "{}\n{printed}{errors}",
        case.name
    );
}

#[test]
fn analyze_says_what_it_was_not_given() {
    let missing = Path::new("/no/such/directory");
    let (code, printed, errors) = run([Path::new("analyze"), missing]);
    assert_eq!((code, printed.as_str()), (1, ""));
    let told = "error: cannot read the configuration in /no/such/directory:";
    assert!(errors.contains(told), "{errors}");
    // As clap has it for wrong usage.
    assert_eq!(run(["analyze"]).0, 2);
}

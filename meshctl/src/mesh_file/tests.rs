use super::*;

const HEAD: &str = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: test}\nspec:\n";

const GOOD: &str = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: test}
spec:
  trustDomain: example.org
  workloads:
  - name: reviews-v1
    serviceAccount: bookinfo-reviews
    labels: {app: reviews, version: v1}
    ports:
    - {name: http, port: 9080}
    command: [meshctl, sample, bookinfo, reviews]
    env: {STARS: \"5\"}
    dir: apps
  - name: client
    namespace: other
  gateways:
  - name: istio-ingressgateway
    labels: {istio: ingressgateway}
    ports:
    - {port: 8080, listen: \"18080\"}
    - {name: https, port: 8443, listen: \"127.0.0.1:18443\"}
";

fn parse(text: &str) -> Result<MeshFile, String> {
    MeshFile::parse(Path::new("dir/mesh.yaml"), text).map_err(|error| error.to_string())
}

#[test]
fn reads_a_mesh() {
    let mesh = parse(GOOD).unwrap();
    assert_eq!(mesh.trust_domain.as_str(), "example.org");
    let reviews = &mesh.workloads[0];
    assert_eq!(reviews.name.to_string(), "default/reviews-v1");
    assert_eq!(reviews.service_account, "bookinfo-reviews");
    assert_eq!(
        reviews.ports,
        vec![Port {
            name: "http".into(),
            number: 9080,
            app_port: None
        }]
    );
    assert_eq!(reviews.dir, Path::new("dir/apps"));
    assert_eq!(reviews.env["STARS"], "5");
    let client = &mesh.workloads[1];
    assert_eq!(client.name.to_string(), "other/client");
    assert_eq!(client.service_account, "default");
    assert!(client.command.is_empty());
    let gateway = &mesh.gateways[0];
    assert_eq!(
        gateway.name.to_string(),
        "istio-system/istio-ingressgateway"
    );
    assert_eq!(gateway.ports[0].listen, "127.0.0.1:18080".parse().unwrap());
    assert_eq!(gateway.ports[1].listen, "127.0.0.1:18443".parse().unwrap());
    assert_eq!(gateway.ports[1].name, "https");
}

/// The text as a mesh file's `spec`: four lines further down, two columns to the right.
fn spec(text: &str) -> String {
    HEAD.to_owned()
        + &text
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>()
}

/// Line and column in the text given to `spec`; column 0 stands for any.
fn place(line: u64, column: u64) -> String {
    match column {
        0 => format!("dir/mesh.yaml:{}:", line + 4),
        1 => format!("dir/mesh.yaml:{}:1:", line + 4),
        column => format!("dir/mesh.yaml:{}:{}:", line + 4, column + 2),
    }
}

/// Text of the spec, line and column in it, part of the message.
type Case = (&'static str, (u64, u64), &'static str);

const MISTAKES: &[Case] = &[
    ("workloads: [", (1, 0), "error"),
    (
        "workloads:\n- name: a\n  portz: []\n",
        (3, 3),
        "unknown field `portz`",
    ),
    ("workloads:\n- name: [a]\n", (2, 9), "error"),
    (
        "workloads:\n- {name: a, ports: [{port: 70000}]}\n",
        (2, 0),
        "error",
    ),
    (
        "workloads:\n- namespace: a\n",
        (2, 0),
        "missing field `name`",
    ),
    (
        "trustDomain: A B\nworkloads:\n- name: a\n",
        (1, 14),
        "trustDomain",
    ),
    (
        "outboundTrafficPolicy: {mode: NONE}\nworkloads:\n- name: a\n",
        (1, 31),
        "REGISTRY_ONLY",
    ),
    ("workloads:\n- name: Big\n", (2, 9), "`Big` is no DNS name"),
    (
        "workloads:\n- name: a\n  namespace: X\n",
        (3, 14),
        "namespace `X`",
    ),
    (
        "workloads:\n- name: a\n- name: b\n- name: a\n",
        (4, 9),
        "taken by the workload in line 6",
    ),
    (
        "workloads:\n- name: a\ngateways:\n- name: a\n  namespace: default\n",
        (4, 9),
        "`default/a` is taken",
    ),
    (
        "workloads:\n- name: a\n  serviceAccount: a/b\n",
        (3, 19),
        "serviceAccount `a/b`",
    ),
    (
        "workloads:\n- name: a\n  labels: {app: A.b}\n",
        (3, 17),
        "cannot name a service",
    ),
    (
        "workloads:\n- name: a\n  labels: {version: \"-\"}\n",
        (3, 21),
        "no label value",
    ),
    (
        "workloads:\n- name: a\n  labels: {\"a b\": c}\n",
        (3, 0),
        "no label name",
    ),
    (
        "workloads:\n- name: a\n  command: [x]\n  ports: [{port: 0}]\n",
        (4, 18),
        "port 0",
    ),
    (
        "workloads:\n- name: a\n  command: [x]\n  ports: [{port: 15006}]\n",
        (4, 18),
        "belongs to the sidecar",
    ),
    (
        "workloads:\n- name: a\n  command: [x]\n  ports: [{port: 80}, {port: 80}]\n",
        (4, 30),
        "listed twice",
    ),
    (
        "workloads:\n- name: a\n  command: [x]\n  ports: [{port: 80, name: x}, {port: 81, name: x}]\n",
        (4, 0),
        "`x` is used twice",
    ),
    (
        "workloads:\n- name: a\n  command: [x]\n  ports: [{port: 80, name: X}]\n",
        (4, 0),
        "no port name",
    ),
    (
        "workloads:\n- name: a\n  command: []\n",
        (3, 12),
        "command is empty",
    ),
    (
        "workloads:\n- name: a\n  command: run me\n",
        (3, 12),
        "error",
    ),
    (
        "workloads:\n- name: a\n  ports: [{port: 80}]\n",
        (2, 0),
        "appPort",
    ),
    (
        "workloads:\n- {name: a, ports: [{port: 80, appPort: 8000}]}\n- {name: b, ports: [{port: 80, appPort: 8000}]}\n",
        (3, 0),
        "port 8000 of this machine is taken",
    ),
    (
        "workloads:\n- {name: a, labels: {app: s}, command: [x], ports: [{name: http, port: 80}]}\n- {name: b, labels: {app: s}, command: [x], ports: [{name: http, port: 81}]}\n",
        (3, 0),
        "one service needs one number",
    ),
    (
        "workloads:\n- {name: a, labels: {app: s}, command: [x], ports: [{name: http, port: 80}]}\n- {name: b, labels: {app: s}, command: [x], ports: [{name: tcp, port: 80}]}\n",
        (3, 0),
        "one service needs one name",
    ),
    (
        "gateways:\n- name: g\n  ports: [{port: 80, listen: here}]\n",
        (3, 0),
        "<ip>:<port>",
    ),
    (
        "gateways:\n- name: g\n  ports: [{port: 80, listen: 8080}, {port: 81, listen: 8082}]\n",
        (2, 1),
        "at one distance",
    ),
    (
        "gateways:\n- name: g\n  ports: [{port: 80, listen: 1000}]\n- name: h\n  ports: [{port: 81, listen: 1000}]\n",
        (4, 0),
        "port 1000 of this machine is taken",
    ),
];

#[test]
fn names_every_mistake_with_its_place() {
    for (text, (line, column), part) in MISTAKES.iter().copied() {
        let error = parse(&spec(text)).unwrap_err();
        let place = place(line, column);
        assert!(
            error.contains(&place) && error.contains(part),
            "{text}\n-> {error}\nwanted {place} {part}"
        );
    }
}

#[test]
fn refuses_what_is_no_mesh() {
    for (text, part) in [
        ("", "mesh.yaml"),
        ("kind: Mesh\n", "missing field"),
        (
            "apiVersion: v2\nkind: Mesh\nmetadata: {name: a}\nspec: {workloads: [{name: a}]}\n",
            "mesh.yaml:1:13: error: apiVersion `v2`",
        ),
        (
            "apiVersion: mesh.dev/v1alpha1\nkind: Pod\nmetadata: {name: A}\nspec: {workloads: [{name: a}]}\n",
            "mesh.yaml:2:7: error: kind `Pod`",
        ),
        (&spec("workloads: []\n"), "no workloads"),
        (
            &spec("workloads: [{name: a}]\n").replace("name: test", "name: T"),
            "metadata.name `T`",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.contains(part) && error.starts_with("dir/mesh.yaml"),
            "{text}\n-> {error}"
        );
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let error = parse(&spec(
        "workloads:\n- name: A\n- name: B\n  serviceAccount: \"?\"\n",
    ))
    .unwrap_err();
    assert_eq!(error.lines().count(), 3, "{error}");
}

#[test]
fn the_sample_is_a_mesh() {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../samples/bookinfo/mesh.yaml"
    ));
    let mesh = MeshFile::read(path).unwrap();
    assert_eq!(mesh.workloads.len(), 6);
    assert_eq!(
        mesh.gateways[0].ports[0].listen,
        "127.0.0.1:8080".parse().unwrap()
    );
}

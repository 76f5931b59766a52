use super::*;

const GOOD: &str = "\
resources:
- name: mesh/default
  mesh:
    trust_domain: cluster.local
    outbound_policy: OUTBOUND_POLICY_ALLOW_ANY
- name: inbound/self
  inbound:
    workload: default/reviews-v1
    defaultMtls: MTLS_MODE_STRICT
- name: routes/reviews:9080
  routes:
    host: reviews
    port: 9080
    protocol: PROTOCOL_HTTP
    http:
    - name: all
      forward:
        destinations: [{host: reviews, port: 9080, weight: 1}]
";

fn content(text: &str) -> Content {
    understand(text, ProxyKind::Sidecar).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(text: &str) -> Vec<String> {
    let Err(list) = understand(text, ProxyKind::Sidecar) else {
        panic!("nothing is wrong with\n{text}")
    };
    let problems = Problems {
        path: "mesh.yaml".into(),
        list,
    };
    problems.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn reads_yaml_and_its_dump_as_json() {
    let read = content(GOOD);
    assert_eq!(read.resources.len(), 3);
    assert!(read.resources.iter().all(|one| !one.version.is_empty()));
    assert_eq!(read.dangling, ["routes/reviews:9080 → reviews:9080"]);
    let dump = serde_json::json!({
        "revision": 7,
        "digest": "0a",
        "resources": read.resources,
    });
    let again = content(&dump.to_string());
    assert_eq!(again.resources, read.resources);
    assert_ne!(again.digest, read.digest);
}

#[test]
fn the_example_of_the_help_is_a_file() {
    let help = crate::command::RESOURCES_HELP;
    let (_, example) = help.split_once("\n\n").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    let read = content(example);
    assert_eq!(read.resources.len(), 5);
    assert!(read.dangling.is_empty(), "{:?}", read.dangling);
}

#[test]
fn names_place_resource_and_field() {
    for (wrong, right, expected) in [
        (
            "MTLS_MODE_STRICTT",
            "MTLS_MODE_STRICT",
            "mesh.yaml:9:18: inbound/self: inbound.defaultMtls: unknown variant `MTLS_MODE_STRICTT`",
        ),
        (
            "port: 99999\n    protocol",
            "port: 9080\n    protocol",
            "mesh.yaml:13:11: routes/reviews:9080: routes.port: 99999 is no port (1 to 65535)",
        ),
        (
            "port: many\n    protocol",
            "port: 9080\n    protocol",
            "mesh.yaml:13:11: routes/reviews:9080: routes.port: ",
        ),
        (
            "forwards:",
            "forward:",
            "mesh.yaml:17:7: routes/reviews:9080: routes.http[0]: unknown field `forwards`",
        ),
        (
            "[{hots: reviews,",
            "[{host: reviews,",
            "mesh.yaml:18:25: routes/reviews:9080: routes.http[0].forward.destinations[0]: unknown field `hots`",
        ),
        (
            "[{host: '', port",
            "[{host: reviews, port",
            "mesh.yaml:18:31: routes/reviews:9080: routes.http[0].forward.destinations[0].host: ",
        ),
        (
            "trust_domain: 7",
            "trust_domain: cluster.local",
            "mesh.yaml:4:19: mesh/default: mesh.trust_domain: invalid type: integer `7`, expected a string",
        ),
        (
            "name: router/reviews:9080",
            "name: routes/reviews:9080",
            "mesh.yaml:10:9: router/reviews:9080: name: ",
        ),
        (
            "name: mesh/default",
            "name: routes/reviews:9080",
            "mesh.yaml:10:9: mesh/default: the file has it twice",
        ),
        (
            "resource:\n",
            "resources:\n",
            "mesh.yaml:1:1: unknown field `resource`; expected `resources`",
        ),
        ("default:\n  mesh", "default\n  mesh", "mesh.yaml:"),
    ] {
        assert!(GOOD.contains(right), "{right}");
        let found = problems(&GOOD.replacen(right, wrong, 1));
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{expected} in {found:#?}"
        );
    }
}

#[test]
fn says_all_that_is_wrong_in_order() {
    let text = GOOD
        .replace("cluster.local", "''")
        .replace("port: 9080\n    protocol", "port: 0\n    protocol")
        .replace("MTLS_MODE_STRICT", "strict");
    let lines: Vec<String> = problems(&text)
        .iter()
        .map(|line| line.split(':').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(lines, ["4", "9", "13"]);
}

#[test]
fn what_every_proxy_needs_must_be_there() {
    let found = problems("resources: []");
    assert!(found[0].contains("mesh/default: is missing"), "{found:?}");
    assert!(found[1].contains("inbound/self: is missing"), "{found:?}");
    let Err(list) = understand(GOOD, ProxyKind::Gateway) else {
        panic!("a gateway needs gateway/self")
    };
    assert_eq!(list[0].resource, "gateway/self");
}

#[test]
fn keys_do_not_stand_in_it() {
    let text = format!(
        "{GOOD}- name: credential/default/shop\n  credential:\n    namespace: default\n    name: shop\n"
    );
    let found = problems(&text);
    assert!(
        found[0].starts_with("mesh.yaml:19:3: credential/default/shop: "),
        "{found:?}"
    );
}

#[test]
fn is_no_yaml() {
    let found = problems("resources: [");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("mesh.yaml:"), "{found:?}");
}

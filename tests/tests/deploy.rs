//! What stands in `deploy/` and could silently drift from the programs: images, tokens, and the
//! metrics that dashboards draw.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap()
}

/// Words in `text` that begin with `prefix`, to the first character that is not in a name.
fn names<'t>(text: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    let starts = text.match_indices(prefix).map(|(at, _)| at);
    starts
        .filter(|at| {
            let before = text[..*at].chars().next_back();
            before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
        })
        .map(|at| {
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn compose_uses_the_images_that_the_dockerfile_makes() {
    let compose = read("compose/docker-compose.yml");
    let dockerfile = read("Dockerfile");
    let version = env!("CARGO_PKG_VERSION");
    let images: BTreeSet<&str> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: ${MESH_HUB:-mesh.local}/"))
        .collect();
    assert!(images.len() >= 9, "{images:?}");
    for image in images {
        let (name, tag) = image.split_once(':').unwrap();
        assert_eq!(tag, format!("${{MESH_TAG:-{version}}}"), "{name}");
        assert!(
            dockerfile
                .lines()
                .any(|line| line.ends_with(&format!(" AS {name}"))),
            "no target {name}"
        );
    }
}

#[test]
fn every_proxy_of_compose_has_a_token() {
    let compose = read("compose/docker-compose.yml");
    let values = |key: &str| -> BTreeSet<String> {
        compose
            .lines()
            .filter_map(|line| Some(line.trim().strip_prefix(key)?.trim().to_owned()))
            .collect()
    };
    let workloads = values("MESH_WORKLOAD:");
    assert_eq!(workloads.len(), 7);
    for workload in &workloads {
        let file = format!("/join/{}/token", workload.replace('/', "."));
        assert!(values("MESH_TOKEN:").contains(&file), "{file}");
        let joins = compose
            .lines()
            .any(|line| line.trim().starts_with(&format!("- {workload}=")));
        assert!(joins, "no token is made for {workload}");
    }
    // A sidecar registers with labels that the token grants.
    let mut workload = "";
    for line in compose.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("MESH_WORKLOAD: ") {
            workload = name;
        }
        if let Some(labels) = line.strip_prefix("MESH_LABELS: ")
            && !workload.ends_with("gateway")
        {
            let granted = compose.lines().map(str::trim).any(|line| {
                line.starts_with(&format!("- {workload}=")) && line.ends_with(&format!(":{labels}"))
            });
            assert!(granted, "{workload} is not granted {labels}");
        }
    }
    let scraped = read("observability/prometheus.yml");
    for service in names(&compose.replace('-', "_"), "")
        .into_iter()
        .filter(|name| name.ends_with("_proxy"))
    {
        let service = service.replace('_', "-");
        if compose.contains(&format!("\n  {service}:")) {
            assert!(scraped.contains(&format!("{service}:15020")), "{service}");
        }
    }
}

/// Dashboards name series; what is exported has families. Both by their family.
fn family(name: &str) -> &str {
    ["_bucket", "_count", "_sum", "_total", "_created"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// Names in quotes in the sources under a directory: metrics are registered by literal names.
fn quoted(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            quoted(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn dashboards_draw_metrics_that_are_there() {
    let mut sources = String::new();
    for directory in ["../mesh-proxy/src", "../meshd/src"] {
        quoted(&deploy("..").join("tests").join(directory), &mut sources);
    }
    let exported = |name: &str| sources.contains(&format!("\"{}\"", family(name)));
    assert!(exported("istio_requests_total") && !exported("istio_nothing_total"));
    let mut drawn = 0;
    for entry in fs::read_dir(deploy("observability/grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let board: Value = serde_json::from_str(&text).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                for prefix in ["istio_", "mesh_", "pilot_"] {
                    for name in names(query, prefix) {
                        drawn += 1;
                        assert!(
                            exported(name),
                            "{}: {}: nobody exports {name}",
                            path.display(),
                            panel["title"]
                        );
                    }
                }
            }
        }
    }
    assert!(drawn > 40, "{drawn} names");
}

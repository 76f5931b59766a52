//! The configuration that comes with the application.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use serde_json::Value;

use crate::Command;

#[derive(Debug, Parser)]
struct Embedding {
    #[command(flatten)]
    command: Command,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.starts_with("# "),
        "{}: no comment says what it is for",
        path.display()
    );
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mesh() -> Value {
    documents(&root().join("mesh.yaml")).remove(0)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("config").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Every string under a key of this name, at any depth.
fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if name == key {
                    found.extend(value.as_str());
                }
                strings(value, key, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_workload_of_the_mesh_starts_what_it_is_named_after() {
    let mesh = mesh();
    let workloads = mesh["spec"]["workloads"].as_array().unwrap();
    let names: Vec<_> = workloads
        .iter()
        .map(|w| w["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "productpage-v1",
            "details-v1",
            "ratings-v1",
            "reviews-v1",
            "reviews-v2",
            "reviews-v3"
        ]
    );
    for workload in workloads {
        let (app, version) = (&workload["labels"]["app"], &workload["labels"]["version"]);
        let (app, version) = (app.as_str().unwrap(), version.as_str().unwrap());
        assert_eq!(workload["name"], format!("{app}-{version}"));
        assert_eq!(workload["serviceAccount"], format!("bookinfo-{app}"));
        assert_eq!(workload["ports"][0]["port"], 9080);
        let command: Vec<_> = workload["command"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect();
        assert_eq!(command[..3], ["meshctl", "sample", "bookinfo"]);
        let parsed = Embedding::try_parse_from(&command[2..]).unwrap().command;
        assert_eq!(
            (parsed.service.to_string(), parsed.version),
            (app.into(), version.into())
        );
    }
}

#[test]
fn every_subset_and_host_exists() {
    let mesh = mesh();
    let mut workloads = BTreeSet::new();
    for workload in mesh["spec"]["workloads"].as_array().unwrap() {
        let labels = &workload["labels"];
        workloads.insert((
            labels["app"].as_str().unwrap(),
            labels["version"].as_str().unwrap(),
        ));
    }
    let base: Vec<Value> = files("base")
        .iter()
        .flat_map(|path| documents(path))
        .collect();
    let mut subsets = BTreeSet::new();
    for rule in base
        .iter()
        .filter(|object| object["kind"] == "DestinationRule")
    {
        let host = rule["spec"]["host"].as_str().unwrap();
        for subset in rule["spec"]["subsets"].as_array().unwrap() {
            let version = subset["labels"]["version"].as_str().unwrap();
            assert!(workloads.contains(&(host, version)), "{host} {version}");
            subsets.insert((host.to_owned(), subset["name"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(subsets.len(), workloads.len());

    for path in files("base").into_iter().chain(files("tour")) {
        for object in documents(&path) {
            let api = object["apiVersion"].as_str().unwrap();
            assert!(
                ["networking.istio.io/v1", "security.istio.io/v1"].contains(&api),
                "{api}"
            );
            let mut hosts = Vec::new();
            strings(&object["spec"], "host", &mut hosts);
            for host in hosts {
                assert!(
                    workloads.iter().any(|(app, _)| *app == host),
                    "{path:?}: {host}"
                );
            }
            if object["kind"] == "VirtualService" {
                let mut used = Vec::new();
                strings(&object["spec"], "subset", &mut used);
                for subset in used {
                    assert!(
                        subsets.iter().any(|(_, name)| name == subset),
                        "{path:?}: {subset}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_tour_is_complete() {
    let names: Vec<_> = files("tour")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "10-reviews-all-v1.yaml",
            "20-reviews-50-50-v1-v3.yaml",
            "30-reviews-jason-v2.yaml",
            "40-ratings-delay-jason.yaml",
            "41-ratings-abort-jason.yaml",
            "50-timeout-retry.yaml",
            "60-mirror.yaml",
            "70-mtls-strict.yaml",
            "80-authz.yaml",
        ]
    );
}

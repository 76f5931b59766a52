//! Ingress and IngressClass of Kubernetes (networking.k8s.io/v1). The API server has checked
//! them; what does not make sense to the mesh is left out and told.

use mesh_api::Hostname;
use mesh_api::v1::Severity;

use crate::model::{
    Backend, BackendPort, Ingress, IngressClass, IngressPath, IngressRule, IngressTls, Meta,
    PathMatch,
};
use crate::yaml::{Node, Report};

pub(super) fn read_class(meta: Meta, root: &Node) -> IngressClass {
    IngressClass {
        controller: text(root, &["spec", "controller"]),
        meta,
    }
}

pub(super) fn read(meta: Meta, root: &Node, r: &mut Report) -> Ingress {
    let items = |path: &[&str]| root.find(path).map_or(&[][..], Node::items);
    let class = text(root, &["spec", "ingressClassName"]);
    let mut rules = Vec::new();
    for node in items(&["spec", "rules"]) {
        rules.extend(read_rule(node, r));
    }
    let mut tls = Vec::new();
    for node in items(&["spec", "tls"]) {
        tls.extend(read_tls(node, r));
    }
    let default_backend = root.find(&["spec", "defaultBackend"]);
    Ingress {
        meta,
        class: (!class.is_empty()).then_some(class),
        default_backend: default_backend.and_then(|node| read_backend(node, r)),
        rules,
        tls,
    }
}

fn read_rule(node: &Node, r: &mut Report) -> Option<IngressRule> {
    let mut host = text(node, &["host"]);
    if host.is_empty() {
        "*".clone_into(&mut host);
    }
    let host = host_name(&host, node, r)?;
    let paths = node.find(&["http", "paths"]).map_or(&[][..], Node::items);
    if paths.is_empty() {
        warn(node, format!("the rule for host {host} has no paths"), r);
        return None;
    }
    Some(IngressRule {
        host,
        paths: paths.iter().filter_map(|node| read_path(node, r)).collect(),
    })
}

fn read_path(node: &Node, r: &mut Report) -> Option<IngressPath> {
    let path = text(node, &["path"]);
    let backend = match node.get("backend") {
        Some(backend) => read_backend(backend, r)?,
        None => {
            warn(node, format!("path {path} has no backend"), r);
            return None;
        }
    };
    Some(IngressPath {
        path: match text(node, &["pathType"]).as_str() {
            "Exact" => PathMatch::Exact(path),
            "Prefix" => segments(&path),
            _ => by_implementation(&path),
        },
        backend,
        origin: r.at(node.place),
    })
}

/// A prefix of whole segments; a slash at its end changes nothing.
fn segments(path: &str) -> PathMatch {
    match path.trim_end_matches('/') {
        "" => PathMatch::All,
        path => PathMatch::Prefix(path.to_owned()),
    }
}

/// `ImplementationSpecific` as Istio takes it: exact, unless it ends in a wildcard.
fn by_implementation(path: &str) -> PathMatch {
    if matches!(path, "" | "*" | "/*" | ".*") {
        return PathMatch::All;
    }
    match path.strip_suffix(".*").or_else(|| path.strip_suffix("/*")) {
        Some(prefix) => segments(prefix),
        None => PathMatch::Exact(path.to_owned()),
    }
}

fn read_backend(node: &Node, r: &mut Report) -> Option<Backend> {
    let service = text(node, &["service", "name"]);
    if service.is_empty() {
        warn(
            node,
            "the backend names no Service; other resources are not served".to_owned(),
            r,
        );
        return None;
    }
    let number = node.find(&["service", "port", "number"]);
    let port = match number.and_then(Node::port) {
        Some(number) => BackendPort::Number(number),
        None => BackendPort::Name(text(node, &["service", "port", "name"])),
    };
    Some(Backend {
        service,
        port,
        origin: r.at(node.place),
    })
}

fn read_tls(node: &Node, r: &mut Report) -> Option<IngressTls> {
    let secret = text(node, &["secretName"]);
    if mesh_api::WorkloadName::new("x", &secret).is_err() {
        warn(node, "tls without a secretName is not served".to_owned(), r);
        return None;
    }
    let hosts = node.get("hosts").map_or(&[][..], Node::items);
    let hosts = hosts
        .iter()
        .filter_map(|item| host_name(item.text()?, item, r))
        .collect();
    Some(IngressTls {
        hosts,
        secret,
        origin: r.at(node.place),
    })
}

fn host_name(text: &str, node: &Node, r: &mut Report) -> Option<String> {
    match text.parse::<Hostname>() {
        Ok(host) => Some(host.as_str().to_owned()),
        Err(error) => {
            warn(node, error.to_string(), r);
            None
        }
    }
}

fn text(node: &Node, path: &[&str]) -> String {
    node.find(path)
        .and_then(Node::text)
        .unwrap_or_default()
        .to_owned()
}

fn warn(node: &Node, message: String, r: &mut Report) {
    r.push(Severity::Warning, node.place, message, "ingress");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_kubernetes_and_istio_do() {
        let prefix = |path: &str| PathMatch::Prefix(path.into());
        let exact = |path: &str| PathMatch::Exact(path.into());
        for (path, of_prefix, of_implementation) in [
            ("/", PathMatch::All, exact("/")),
            ("/foo", prefix("/foo"), exact("/foo")),
            ("/foo/", prefix("/foo"), exact("/foo/")),
            ("/foo/*", prefix("/foo/*"), prefix("/foo")),
            ("/foo.*", prefix("/foo.*"), prefix("/foo")),
            ("/*", prefix("/*"), PathMatch::All),
            ("", PathMatch::All, PathMatch::All),
        ] {
            assert_eq!(segments(path), of_prefix, "{path}");
            assert_eq!(by_implementation(path), of_implementation, "{path}");
        }
    }
}

//! How Istio completes and compares host names.

use std::net::IpAddr;

use mesh_api::Hostname;

/// The full name that an object in `namespace` means: a name without a dot is a service of its
/// own namespace, anything else stands as written (Istio: ResolveShortnameToFQDN).
pub(crate) fn resolve(host: &str, namespace: &str, cluster_domain: &str) -> Option<Hostname> {
    if host.contains('.') || host == "*" || host.parse::<IpAddr>().is_ok() {
        host.parse().ok()
    } else {
        service_host(host, namespace, cluster_domain)
    }
}

/// `<name>.<namespace>.svc.<cluster domain>`.
pub(crate) fn service_host(name: &str, namespace: &str, cluster_domain: &str) -> Option<Hostname> {
    format!("{name}.{namespace}.svc.{cluster_domain}")
        .parse()
        .ok()
}

/// The wildcards that cover a host, the longest first: `*.b.c`, `*.c`, `*` for `a.b.c`.
pub(crate) fn wildcards(host: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = host.strip_prefix("*.").unwrap_or(host);
    let mut done = host == "*";
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        match rest.split_once('.') {
            Some((_, tail)) => {
                rest = tail;
                Some(format!("*.{tail}"))
            }
            None => {
                done = true;
                Some("*".to_owned())
            }
        }
    })
}

/// What a client in `namespace` may mean by a host: the name itself, then a service of the
/// client's namespace, then `<service>.<namespace>` and its longer forms.
pub(crate) fn meanings(host: &str, namespace: &str, cluster_domain: &str) -> Vec<Hostname> {
    let mut names: Vec<Hostname> = host.parse().into_iter().collect();
    let parts: Vec<&str> = host.split('.').collect();
    let full = match parts.as_slice() {
        [name] => service_host(name, namespace, cluster_domain),
        [name, namespace] | [name, namespace, "svc"] => {
            service_host(name, namespace, cluster_domain)
        }
        _ => None,
    };
    names.extend(full);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_01_short_names_have_no_dot() {
        for (host, want) in [
            ("reviews", "reviews.prod.svc.cluster.local"),
            ("reviews.prod", "reviews.prod"),
            ("*", "*"),
            ("*.example.com", "*.example.com"),
            ("10.0.0.1", "10.0.0.1"),
            ("Reviews", "reviews.prod.svc.cluster.local"),
        ] {
            assert_eq!(
                resolve(host, "prod", "cluster.local").unwrap().as_str(),
                want
            );
        }
    }

    #[test]
    fn wildcards_go_from_long_to_short() {
        assert_eq!(
            wildcards("a.b.c").collect::<Vec<_>>(),
            ["*.b.c", "*.c", "*"]
        );
        assert_eq!(wildcards("*.b.c").collect::<Vec<_>>(), ["*.c", "*"]);
        assert_eq!(wildcards("a").collect::<Vec<_>>(), ["*"]);
        assert_eq!(wildcards("*").count(), 0);
    }

    #[test]
    fn trap_17_names_that_a_client_may_use() {
        let meanings = |host| {
            meanings(host, "prod", "cluster.local")
                .into_iter()
                .map(|h| h.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            meanings("reviews"),
            ["reviews", "reviews.prod.svc.cluster.local"]
        );
        assert_eq!(
            meanings("reviews.test"),
            ["reviews.test", "reviews.test.svc.cluster.local"]
        );
        assert_eq!(
            meanings("reviews.test.svc"),
            ["reviews.test.svc", "reviews.test.svc.cluster.local"]
        );
        assert_eq!(
            meanings("reviews.test.svc.cluster.local"),
            ["reviews.test.svc.cluster.local"]
        );
        assert_eq!(meanings("a.b.c"), ["a.b.c"]);
    }
}

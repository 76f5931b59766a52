//! Addresses of host names, for DNS.

use mesh_api::v1::Name;
use mesh_api::v1::resource::Body;

use crate::mesh::{good, resources, sidecar};

const CONFIG: &str = "
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.1.2, clusterIPs: [10.96.1.2], ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: pods, namespace: shop }
spec: { clusterIP: None, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db, namespace: shop }
spec: { hosts: [db.example.com], ports: [{ number: 5432, name: tcp, protocol: TCP }], resolution: DNS }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: hidden, namespace: shop }
spec: { hosts: [hidden.example.com], exportTo: [.], addresses: [10.1.1.1], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wide, namespace: shop }
spec: { hosts: ['*.example.com'], addresses: [10.1.1.2, 10.2.0.0/16], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: narrow, namespace: shop }
spec: { hosts: ['*.api.example.com'], addresses: [10.1.1.3, 'fd00::3'], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE }
";

fn ask(client: &str, host: &str) -> Name {
    let world = good(CONFIG);
    let name = format!("name/{host}");
    let all = resources(&world, &sidecar(&world, client, &[]), &[&name]);
    assert_eq!(all.len(), 1, "no closure: {all:?}");
    match all.into_values().next().unwrap().body.clone().unwrap() {
        Body::NameAddresses(found) => {
            assert_eq!(found.hostname, host);
            found
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn clients_get_the_address_of_what_they_mean() {
    for (client, host, address, declared) in [
        ("shop/a", "web", "10.96.1.2", "web.shop.svc.cluster.local"),
        (
            "shop/a",
            "web.shop",
            "10.96.1.2",
            "web.shop.svc.cluster.local",
        ),
        (
            "other/a",
            "web.shop.svc",
            "10.96.1.2",
            "web.shop.svc.cluster.local",
        ),
        ("other/a", "web", "", ""),
        (
            "other/a",
            "web.shop.svc.cluster.local",
            "10.96.1.2",
            "web.shop.svc.cluster.local",
        ),
        // A headless service's pods are known to the cluster's DNS.
        ("shop/a", "pods", "", "pods.shop.svc.cluster.local"),
        (
            "shop/a",
            "hidden.example.com",
            "10.1.1.1",
            "hidden.example.com",
        ),
        // Not exported: covered by the wildcard, whose range is no address.
        ("other/a", "hidden.example.com", "10.1.1.2", "*.example.com"),
        ("shop/a", "www.example.com", "10.1.1.2", "*.example.com"),
        (
            "shop/a",
            "v1.api.example.com",
            "10.1.1.3 fd00::3",
            "*.api.example.com",
        ),
        ("shop/a", "example.com", "", ""),
    ] {
        let found = ask(client, host);
        assert_eq!(
            (found.addresses.join(" ").as_str(), found.declared.as_str()),
            (address, declared),
            "{client} asks for {host}"
        );
    }
}

#[test]
fn names_without_an_address_are_given_one() {
    let found = ask("other/a", "db.example.com");
    assert_eq!(found.addresses.len(), 1);
    assert!(found.addresses[0].starts_with("240.240."), "{found:?}");
}

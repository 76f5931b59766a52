//! Istio's traps in addresses and ports that several services share; numbers as in the table of
//! exact semantics.

use mesh_api::v1::Protocol;

use crate::mesh::{good, problems, table};

fn entry(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{ name: {name} }}\nspec: {{ {spec} }}\n"
    )
}

#[test]
fn trap_33_what_becomes_of_addresses_that_nobody_declared() {
    // HTTP on a port of a service: the Host decides, whatever the address.
    let plain = good("");
    assert!(table(&plain, "address/192.0.2.1:80").undeclared);
    let by_host = table(&plain, "routes/a:80");
    assert_eq!(by_host.host, "a.default.svc.cluster.local");
    // Opaque bytes: an entry without addresses takes the port, wherever it goes.
    let text = entry(
        "db",
        "hosts: [db.example.com], ports: [{ number: 5432, name: tcp, protocol: TCP }], resolution: NONE",
    );
    let world = good(&text);
    assert_eq!(
        table(&world, "address/192.0.2.1:5432").host,
        "db.example.com"
    );
    assert!(table(&world, "address/192.0.2.1:5433").undeclared);
    let told = problems(&world);
    assert!(
        told.iter()
            .any(|line| line.contains("addresses are required") && line.contains("IST0134")),
        "{told:#?}"
    );
    // With addresses it is for those.
    let text = text.replace("hosts:", "addresses: [192.0.2.0/24], hosts:");
    let world = good(&text);
    assert_eq!(
        table(&world, "address/192.0.2.1:5432").host,
        "db.example.com"
    );
    assert!(table(&world, "address/198.51.100.1:5432").undeclared);
    assert!(!problems(&world).iter().any(|line| line.contains("IST0134")));
}

#[test]
fn trap_34_services_of_one_port_are_told_apart_by_address() {
    let service = |name: &str, ip: &str, port: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ clusterIP: {ip}, selector: {{ app: {name} }}, ports: [{port}] }}\n"
        )
    };
    let text = [
        service("web", "10.96.0.1", "{ name: http, port: 8000 }"),
        service("db", "10.96.0.2", "{ name: tcp-db, port: 8000 }"),
        service(
            "dns",
            "10.96.0.3",
            "{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53 }",
        ),
    ];
    let world = good(&text.concat());
    for (root, host, protocol) in [
        ("address/10.96.0.1:8000", "web", Protocol::Http),
        ("address/10.96.0.2:8000", "db", Protocol::Tcp),
        ("address/10.96.0.3:53", "dns", Protocol::Tcp),
    ] {
        let found = table(&world, root);
        assert_eq!(
            found.host,
            format!("{host}.default.svc.cluster.local"),
            "{root}"
        );
        assert_eq!(found.protocol(), protocol, "{root}");
    }
    let dns = world
        .services()
        .find(|found| found.hostname.starts_with("dns."))
        .unwrap();
    assert_eq!(dns.ports.len(), 1, "UDP is nothing to the mesh");
}

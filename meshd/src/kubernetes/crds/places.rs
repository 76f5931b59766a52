//! `spec` of Gateway, ServiceEntry, WorkloadEntry, Sidecar and ProxyConfig.

use super::schema::{Schema, any, boolean, integer, labels, list, map, object, one_of, port, text};

pub(super) fn sidecar() -> Schema {
    object([
        (
            "workloadSelector",
            object([("labels", labels())])
                .about("Workloads that it is for; absent for all of the namespace"),
        ),
        (
            "egress",
            list(
                object([
                    (
                        "port",
                        server_port().about("Port that it is for; absent for all others"),
                    ),
                    ("bind", text()),
                    ("captureMode", one_of(&["DEFAULT", "IPTABLES", "NONE"])),
                    (
                        "hosts",
                        list(text()).about("Hosts that are imported, as namespace/host"),
                    ),
                ])
                .requires(&["hosts"]),
            )
            .about("What the workloads may ask for"),
        ),
        (
            "outboundTrafficPolicy",
            object([
                ("mode", one_of(&["REGISTRY_ONLY", "ALLOW_ANY"])),
                ("egressProxy", any()),
            ]),
        ),
        ("ingress", any()),
        ("inboundConnectionPool", any()),
    ])
}

pub(super) fn proxy_config() -> Schema {
    object([
        (
            "selector",
            object([("matchLabels", labels())])
                .about("Pods that it is for; absent for all of the namespace, in the root namespace for all of the mesh"),
        ),
        (
            "concurrency",
            integer()
                .between(0, i32::MAX.unsigned_abs())
                .nullable()
                .about("Data threads of a proxy; 0 as many as its CPU limit"),
        ),
        (
            "environmentVariables",
            map(text().no_longer_than(2048)).about("Further environment of the proxy"),
        ),
        (
            "image",
            object([("imageType", text())]).about("Has no effect: there is one image"),
        ),
    ])
}

pub(super) fn gateway() -> Schema {
    object([
        (
            "selector",
            labels().about("Labels of the gateway pods that serve it"),
        ),
        (
            "servers",
            list(
                object([
                    ("name", text()),
                    ("port", server_port()),
                    ("bind", text()),
                    (
                        "hosts",
                        list(text()).about("Hosts that are served, also as namespace/host"),
                    ),
                    ("tls", server_tls()),
                    ("defaultEndpoint", text()),
                ])
                .requires(&["port", "hosts"]),
            ),
        ),
    ])
}

fn server_port() -> Schema {
    object([
        ("number", port()),
        ("name", text()),
        ("protocol", protocol()),
        ("targetPort", port()),
    ])
    .requires(&["number", "protocol", "name"])
}

fn protocol() -> Schema {
    text().about("HTTP, HTTP2, GRPC, HTTPS, TLS, TCP, MONGO, MYSQL or REDIS")
}

fn server_tls() -> Schema {
    object([
        ("httpsRedirect", boolean()),
        (
            "mode",
            one_of(&[
                "PASSTHROUGH",
                "SIMPLE",
                "MUTUAL",
                "AUTO_PASSTHROUGH",
                "ISTIO_MUTUAL",
                "OPTIONAL_MUTUAL",
            ]),
        ),
        ("serverCertificate", text()),
        ("privateKey", text()),
        ("caCertificates", text()),
        ("caCrl", text()),
        (
            "credentialName",
            text()
                .about("Secret with the certificate and key, in the namespace of the gateway pods"),
        ),
        ("credentialNames", list(text())),
        ("subjectAltNames", list(text())),
        ("verifyCertificateSpki", list(text())),
        ("verifyCertificateHash", list(text())),
        ("minProtocolVersion", tls_version()),
        ("maxProtocolVersion", tls_version()),
        ("cipherSuites", list(text())),
    ])
}

fn tls_version() -> Schema {
    one_of(&["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"])
}

pub(super) fn service_entry() -> Schema {
    object([
        ("hosts", list(text()).about("Names by which it is called")),
        (
            "addresses",
            list(text()).about("Addresses and ranges by which it is called"),
        ),
        (
            "ports",
            list(
                object([
                    ("number", port()),
                    ("name", text()),
                    ("protocol", protocol()),
                    ("targetPort", port()),
                ])
                .requires(&["number", "name"]),
            ),
        ),
        ("location", one_of(&["MESH_EXTERNAL", "MESH_INTERNAL"])),
        (
            "resolution",
            one_of(&["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]),
        ),
        ("endpoints", list(workload_entry())),
        ("workloadSelector", object([("labels", labels())])),
        (
            "exportTo",
            list(text()).about("Namespaces that see it: `.` its own, `*` all, the default"),
        ),
        ("subjectAltNames", list(text())),
    ])
    .requires(&["hosts"])
}

pub(super) fn workload_entry() -> Schema {
    object([
        (
            "address",
            text().about("IP address, host name, or unix:///path"),
        ),
        (
            "ports",
            map(port()).about("Ports by the names that the service gives them"),
        ),
        ("labels", labels()),
        ("network", text()),
        ("locality", text().about("region/zone/subzone")),
        ("weight", integer()),
        ("serviceAccount", text()),
    ])
}

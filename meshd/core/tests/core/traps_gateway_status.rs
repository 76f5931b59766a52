//! Traps in the status of the Gateway API's objects; numbers as in the table of exact semantics.

use meshd_core::{ObjectKey, World};
use serde_json::{Value, json};

use crate::mesh::world;
use crate::traps_gateway_api::route;
use crate::traps_gateway_listeners::{GRANT, attached, gateway, gateway_with};

const NOW: &str = "2026-01-02T00:00:00Z";

fn key(kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: "gateway.networking.k8s.io".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn status(world: &World, key: &ObjectKey) -> Value {
    world
        .gateway_api_status(key, 7, (&Value::Null, NOW))
        .unwrap()
}

/// `<type> <status> <reason>` of each condition.
fn brief(conditions: &Value) -> Vec<String> {
    let conditions = conditions.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    conditions
        .map(|one| {
            assert_eq!(one["observedGeneration"], 7);
            assert_eq!(one["lastTransitionTime"], NOW);
            assert_ne!(one["message"], "");
            let (kind, status, reason) = (&one["type"], &one["status"], &one["reason"]);
            format!("{} {} {}", text(kind), text(status), text(reason))
        })
        .collect()
}

#[test]
fn trap_72_routes_tell_each_parent_what_became_of_them() {
    const TO_A: &str = "backendRefs: [{ name: a, port: 80 }]";
    let bad = "filters: [{ type: ExtensionRef, extensionRef: { group: x.io, kind: Y, name: z } }]";
    for (rules, want) in [
        (
            format!("[{{ {TO_A} }}]"),
            &["Accepted True Accepted", "ResolvedRefs True ResolvedRefs"][..],
        ),
        (
            "[{ backendRefs: [{ name: gone, port: 80 }] }]".to_owned(),
            &[
                "Accepted True Accepted",
                "ResolvedRefs False BackendNotFound",
            ],
        ),
        (
            "[{ backendRefs: [{ group: x.io, kind: Y, name: a, port: 80 }] }]".to_owned(),
            &["Accepted True Accepted", "ResolvedRefs False InvalidKind"],
        ),
        (
            format!("[{{ {bad}, {TO_A} }}]"),
            &[
                "Accepted False UnsupportedValue",
                "ResolvedRefs True ResolvedRefs",
            ],
        ),
        (
            format!("[{{ {bad}, {TO_A} }}, {{ {TO_A} }}]"),
            &[
                "Accepted True Accepted",
                "ResolvedRefs True ResolvedRefs",
                "PartiallyInvalid True UnsupportedValue",
            ],
        ),
    ] {
        let world = world(&route("HTTPRoute", ("default", "r"), &rules));
        let status = status(&world, &key("HTTPRoute", "default", "r"));
        let [parent] = status["parents"].as_array().unwrap().as_slice() else {
            panic!("{status}")
        };
        assert_eq!(parent["controllerName"], "istio.io/gateway-controller");
        let reference =
            json!({ "group": "", "kind": "Service", "name": "a", "namespace": "default" });
        assert_eq!(parent["parentRef"], reference, "as it was written");
        assert_eq!(brief(&parent["conditions"]), want, "{rules}");
    }
}

#[test]
fn trap_72_reasons_why_a_gateway_does_not_take_a_route() {
    let listeners = "[{ name: http, port: 80, protocol: HTTP, hostname: a.example, allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: shop } } } } }]";
    for (route, want) in [
        (
            attached("shop/r", "", "a.example"),
            "Accepted True Accepted",
        ),
        (
            attached("shop/r", ", sectionName: https", "a.example"),
            "Accepted False NoMatchingParent",
        ),
        (
            attached("shop/r", ", port: 81", "a.example"),
            "Accepted False NoMatchingParent",
        ),
        (
            attached("shop/r", "", "b.example"),
            "Accepted False NoMatchingListenerHostname",
        ),
        (
            attached("edge/r", "", "a.example"),
            "Accepted False NotAllowedByListeners",
        ),
    ] {
        let world = world(&(gateway(listeners) + GRANT + &route));
        let namespace = if route.contains("namespace: shop }") {
            "shop"
        } else {
            "edge"
        };
        let status = status(&world, &key("HTTPRoute", namespace, "r"));
        assert_eq!(
            brief(&status["parents"][0]["conditions"])[0],
            want,
            "{route}"
        );
    }
    // Another controller's Gateway, and one that is not there, are nothing to this mesh.
    let foreign = gateway_with("gatewayClassName: other", listeners) + &attached("shop/r", "", "");
    for text in [foreign, attached("shop/r", "", "")] {
        let world = world(&text);
        let told = world.gateway_api_status(&key("HTTPRoute", "shop", "r"), 7, (&json!({}), NOW));
        assert_eq!(told, None);
        let told = world.gateway_api_status(&key("Gateway", "edge", "gw"), 7, (&json!({}), NOW));
        assert_eq!(told, None);
    }
}

#[test]
fn trap_72_gateways_tell_of_their_listeners() {
    let listeners = "[{ name: http, port: 80, protocol: HTTP }, { name: grpc, port: 80, protocol: HTTP, hostname: g.example, allowedRoutes: { kinds: [{ kind: GRPCRoute }, { kind: TCPRoute }] } }, { name: tcp, port: 90, protocol: TCP }]";
    let world = world(
        &(gateway(listeners)
            + &attached("edge/r", "", "")
            + &attached("edge/s", ", sectionName: http", "")),
    );
    let gateway = status(&world, &key("Gateway", "edge", "gw"));
    assert_eq!(
        brief(&gateway["conditions"]),
        [
            "Accepted True ListenersNotValid",
            "Programmed True Programmed"
        ]
    );
    assert_eq!(
        gateway["addresses"],
        json!([{ "type": "Hostname", "value": "front.edge.svc.cluster.local" }])
    );
    let kinds = |index: usize| -> Vec<&str> {
        let kinds = gateway["listeners"][index]["supportedKinds"]
            .as_array()
            .unwrap();
        kinds
            .iter()
            .map(|kind| kind["kind"].as_str().unwrap())
            .collect()
    };
    let of = |index: usize| {
        let listener = &gateway["listeners"][index];
        (
            listener["attachedRoutes"].as_u64().unwrap(),
            brief(&listener["conditions"]).join(", "),
        )
    };
    let good = "Accepted True Accepted, Conflicted False NoConflicts, Programmed True Programmed, ResolvedRefs True ResolvedRefs";
    assert_eq!(
        (of(0), kinds(0)),
        ((2, good.to_owned()), vec!["HTTPRoute", "GRPCRoute"])
    );
    let kind = good.replace("True ResolvedRefs", "False InvalidRouteKinds");
    assert_eq!((of(1), kinds(1)), ((0, kind), vec!["GRPCRoute"]));
    let (attached, told) = of(2);
    assert_eq!((attached, kinds(2).len()), (0, 0));
    assert!(
        told.starts_with("Accepted False UnsupportedProtocol")
            && told.contains("Programmed False Invalid"),
        "{told}"
    );
}

#[test]
fn trap_72_a_gateway_without_a_service_says_what_to_do() {
    let listeners = "[{ name: http, port: 80, protocol: HTTP }]";
    for (spec, want) in [
        (
            "gatewayClassName: mesh",
            [
                "Accepted True Accepted",
                "Programmed False AddressNotAssigned",
            ],
        ),
        (
            "gatewayClassName: mesh, addresses: [{ type: Hostname, value: gone }]",
            [
                "Accepted True Accepted",
                "Programmed False AddressNotUsable",
            ],
        ),
        (
            "gatewayClassName: mesh, addresses: [{ type: IPAddress, value: 10.0.0.1 }]",
            [
                "Accepted False UnsupportedAddress",
                "Programmed False Invalid",
            ],
        ),
        (
            "gatewayClassName: mesh, infrastructure: { parametersRef: { group: x, kind: Y, name: z } }",
            [
                "Accepted False InvalidParameters",
                "Programmed False Invalid",
            ],
        ),
    ] {
        let world = world(&gateway_with(spec, listeners));
        let gateway = status(&world, &key("Gateway", "edge", "gw"));
        assert_eq!(brief(&gateway["conditions"]), want, "{spec}");
    }
    let world = world(&gateway_with("gatewayClassName: mesh", listeners));
    let gateway = status(&world, &key("Gateway", "edge", "gw"));
    let message = gateway["conditions"][1]["message"].as_str().unwrap();
    assert!(
        message.contains("name its Service in spec.addresses"),
        "{message}"
    );
    let class = |name: &str| {
        world.gateway_api_status(&key("GatewayClass", "", name), 7, (&Value::Null, NOW))
    };
    assert_eq!(
        brief(&class("mesh").unwrap()["conditions"]),
        ["Accepted True Accepted"]
    );
    assert_eq!(class("other"), None, "another controller's");
}

#[test]
fn trap_72_the_generation_bumps_and_times_stay() {
    let world = world(&route(
        "HTTPRoute",
        ("default", "r"),
        "[{ backendRefs: [{ name: a, port: 80 }] }]",
    ));
    let key = key("HTTPRoute", "default", "r");
    let first = status(&world, &key);
    let later = "2026-02-02T00:00:00Z";
    let again = world.gateway_api_status(&key, 7, (&first, later)).unwrap();
    assert_eq!(again, first, "what says the same comes back as it is");
    let bumped = world.gateway_api_status(&key, 8, (&first, later)).unwrap();
    let condition = &bumped["parents"][0]["conditions"][0];
    assert_eq!(condition["observedGeneration"], 8);
    assert_eq!(
        condition["lastTransitionTime"], NOW,
        "it says the same as before"
    );
    let mut refused = first.clone();
    refused["parents"][0]["conditions"][0]["status"] = "False".into();
    let turned = world
        .gateway_api_status(&key, 7, (&refused, later))
        .unwrap();
    let conditions = &turned["parents"][0]["conditions"];
    assert_eq!(conditions[0]["lastTransitionTime"], later);
    assert_eq!(conditions[1]["lastTransitionTime"], NOW);
}

#[test]
fn trap_72_other_controllers_entries_stay() {
    let foreign = json!({ "controllerName": "example.com/other", "parentRef": { "name": "x" }, "conditions": [] });
    let stale = json!({ "controllerName": "istio.io/gateway-controller", "parentRef": { "name": "gone" }, "conditions": [] });
    let shown = json!({ "parents": [stale, foreign] });
    let ours = world(&route("HTTPRoute", ("default", "r"), "[]"));
    let key = key("HTTPRoute", "default", "r");
    let told = ours.gateway_api_status(&key, 7, (&shown, NOW)).unwrap();
    let parents = told["parents"].as_array().unwrap();
    assert_eq!((parents.len(), &parents[0]), (2, &foreign));
    assert_eq!(
        parents[1]["parentRef"]["name"], "a",
        "an entry for a parent that is not named any more goes"
    );
    let detached = world("");
    let told = detached.gateway_api_status(&key, 7, (&shown, NOW));
    assert_eq!(told, Some(json!({ "parents": [foreign] })));
    let only_foreign = json!({ "parents": [foreign] });
    assert_eq!(
        detached.gateway_api_status(&key, 7, (&only_foreign, NOW)),
        None
    );
}

//! Meshes that meet on one machine, and others who have taken what a mesh needs.

use std::fs;
use std::net::TcpListener;

use crate::fixture::{Fixture, all_gone, processes, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_mesh_on_the_same_directory_is_refused() {
    let first = Fixture::start().await;
    let mut traffic = first.traffic();
    let before = processes(&first.mesh.state());
    let [mesh, state] =
        [first.mesh.mesh_file(), first.mesh.state()].map(|path| path.display().to_string());
    let (code, _, errors) = run(["up", &mesh, "--state", &state]);
    assert_eq!(code, 1, "{errors}");
    for part in [
        &state,
        &format!("process {}", first.mesh.id().unwrap()),
        "meshctl down",
        "--state DIR",
    ] {
        assert!(errors.contains(part), "`{part}` is not in: {errors}");
    }
    traffic.more(20).await.unwrap();
    traffic.stop().await.unwrap();
    assert_eq!(processes(&first.mesh.state()), before);
    let (code, status, _) = run(["status", "--state", &state]);
    assert_eq!(code, 0);
    assert!(status.contains("4 of 4 connected proxies"), "{status}");
    first.mesh.stop().unwrap();
    all_gone(state.as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_meshes_live_side_by_side() {
    let first = Fixture::start().await;
    let second = Fixture::start().await;
    assert_ne!(first.inbound("echo-a"), second.inbound("echo-a"));
    second
        .mesh
        .apply("20-echo.yaml", Some(&crate::fixture::routed_to("b")))
        .await
        .unwrap();
    for _ in 0..10 {
        assert_eq!(first.version().await, "a");
        assert_eq!(second.version().await, "b");
    }
    let traffic = second.traffic();
    let state = first.mesh.state();
    first.mesh.stop().unwrap();
    all_gone(&state).await;
    assert_eq!(second.version().await, "b");
    traffic.stop().await.unwrap();
    second.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_of_a_gateway_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mesh = directory.path().join("mesh.yaml");
    let state = directory.path().join("s");
    fs::write(
        &mesh,
        format!(
            "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: x}}\nspec:\n  workloads: [{{name: a, command: [sleep, '1000']}}]\n  \
             gateways: [{{name: door, ports: [{{port: 80, listen: '{address}'}}]}}]\n"
        ),
    )
    .unwrap();
    let (code, _, errors) = run([
        "up".as_ref(),
        mesh.as_os_str(),
        "--state".as_ref(),
        state.as_os_str(),
    ]);
    assert_eq!(code, 1, "{errors}");
    for part in [
        &address.to_string(),
        "istio-system/door",
        "ss -ltnp",
        "choose another port",
    ] {
        assert!(errors.contains(part), "`{part}` is not in: {errors}");
    }
    all_gone(&state).await;
    assert!(!state.join("mesh.json").exists());
    // The directory is free for the next one.
    drop(taken);
    let mut next = mesh_tests::Running::start([
        "up".as_ref(),
        mesh.as_os_str(),
        "--state".as_ref(),
        state.as_os_str(),
    ])
    .unwrap();
    next.wait_for("ready", mesh_tests::laptop::LIMIT).unwrap();
    next.stop(mesh_tests::laptop::LIMIT).unwrap();
    all_gone(&state).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_a_gateway_object_opens_later_and_that_is_taken_is_named() {
    let front = mesh_tests::laptop::free_address().unwrap();
    let taken = TcpListener::bind((front.ip(), 0)).unwrap();
    let second = taken.local_addr().unwrap();
    let mesh = format!(
        "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: x}}\nspec:\n  workloads: [{{name: a}}]\n  \
         gateways: [{{name: door, labels: {{istio: door}}, ports: [{{port: {port}, listen: '{front}'}}]}}]\n",
        port = front.port()
    );
    let gateway = |port: u16| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: door}}\nspec:\n  selector: {{istio: door}}\n  \
             servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}]\n"
        )
    };
    let mesh = mesh_tests::LaptopMesh::start(&mesh, &[]).unwrap();
    let state = mesh.state().display().to_string();
    let told = format!("cannot listen on {second}");
    mesh.apply("door.yaml", Some(&gateway(second.port())))
        .await
        .unwrap();
    crate::fixture::until("the trouble in the status", async || {
        let (_, status, _) = run(["status", "--state", &state]);
        status.contains(&told).then_some(())
    })
    .await;
    // It opens by itself as soon as it can.
    drop(taken);
    crate::fixture::until("a gateway that serves", async || {
        let (_, status, _) = run(["status", "--state", &state]);
        (!status.contains(&told) && std::net::TcpStream::connect(second).is_ok()).then_some(())
    })
    .await;
    let printed = mesh.stop().unwrap();
    assert!(printed.contains(&told), "{printed}");
    assert_eq!(printed.matches(&told).count(), 1, "told once: {printed}");
}

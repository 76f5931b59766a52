//! Where each workload of a mesh file runs.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::address::{AddressError, Network, PortPicker, check_free};
use crate::mesh_file::{Gateway, MeshFile, Workload};
use crate::state::{PortRecord, StateDir, WorkloadKind, WorkloadRecord};

/// Istio-like numbers of the sidecar's own listeners on the workload's address.
const EXPLICIT_PROXY_PORT: u16 = 15080;

/// Places all workloads, then all gateways, for explicit capture: each gets an address of the
/// network, and every port that a process will listen on is free now.
///
/// # Errors
/// If a port is taken, with its owner's name.
pub fn explicit(
    mesh: &MeshFile,
    state: &StateDir,
    network: &Network,
) -> Result<Vec<WorkloadRecord>, AddressError> {
    let hosts = network.hosts(mesh.workloads.len() + mesh.gateways.len())?;
    let (apps, gateways) = hosts
        .split_at_checked(mesh.workloads.len())
        .unwrap_or_default();
    let fixed = mesh
        .workloads
        .iter()
        .flat_map(|w| &w.ports)
        .filter_map(|port| port.app_port);
    let listens = mesh
        .gateways
        .iter()
        .flat_map(|g| &g.ports)
        .map(|port| port.listen.port());
    let taken: BTreeSet<u16> = fixed.chain(listens).collect();
    let mut picker = PortPicker::new(state.root(), taken);
    let mut placed = Vec::new();
    for (workload, address) in mesh.workloads.iter().zip(apps) {
        placed.push(place(workload, *address, state, &mut picker)?);
    }
    for (gateway, address) in mesh.gateways.iter().zip(gateways) {
        placed.push(place_gateway(gateway, *address, state)?);
    }
    Ok(placed)
}

fn place(
    workload: &Workload,
    address: IpAddr,
    state: &StateDir,
    picker: &mut PortPicker,
) -> Result<WorkloadRecord, AddressError> {
    let mut ports = Vec::new();
    for port in &workload.ports {
        check_free(
            SocketAddr::new(address, port.number),
            &format!("port of {}", workload.name),
        )?;
        let app_port = match port.app_port {
            // An application that its user starts may listen already.
            Some(fixed) if workload.command.is_empty() => fixed,
            Some(fixed) => {
                let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), fixed);
                check_free(listen, &format!("appPort of {}", workload.name))?;
                fixed
            }
            None => picker.pick()?,
        };
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), app_port);
        ports.push(PortRecord {
            name: port.name.clone(),
            port: port.number,
            listen,
        });
    }
    let explicit_proxy = SocketAddr::new(address, EXPLICIT_PROXY_PORT);
    check_free(
        explicit_proxy,
        &format!("explicit proxy of {}", workload.name),
    )?;
    Ok(WorkloadRecord {
        explicit_proxy: Some(explicit_proxy),
        ..sidecar(workload, address, ports, state)
    })
}

fn place_gateway(
    gateway: &Gateway,
    address: IpAddr,
    state: &StateDir,
) -> Result<WorkloadRecord, AddressError> {
    for port in &gateway.ports {
        check_free(
            port.listen,
            &format!("listen port of the gateway {}", gateway.name),
        )?;
    }
    Ok(gateway_record(gateway, address, state))
}

/// Places all workloads, then all gateways, on these addresses for transparent capture: each has
/// its own network, in which every port is free.
pub fn transparent(mesh: &MeshFile, state: &StateDir, hosts: &[IpAddr]) -> Vec<WorkloadRecord> {
    let (apps, gateways) = hosts
        .split_at_checked(mesh.workloads.len())
        .unwrap_or_default();
    let mut placed = Vec::new();
    for (workload, address) in mesh.workloads.iter().zip(apps) {
        let port = |p: &crate::mesh_file::Port| PortRecord {
            name: p.name.clone(),
            port: p.number,
            listen: SocketAddr::new(*address, p.number),
        };
        placed.push(sidecar(
            workload,
            *address,
            workload.ports.iter().map(port).collect(),
            state,
        ));
    }
    for (gateway, address) in mesh.gateways.iter().zip(gateways) {
        placed.push(gateway_record(gateway, *address, state));
    }
    placed
}

fn sidecar(
    workload: &Workload,
    address: IpAddr,
    ports: Vec<PortRecord>,
    state: &StateDir,
) -> WorkloadRecord {
    WorkloadRecord {
        name: workload.name.to_string(),
        kind: WorkloadKind::Sidecar,
        service_account: workload.service_account.clone(),
        labels: workload.labels.clone(),
        address,
        ports,
        explicit_proxy: None,
        admin: state.proxy_admin_socket(&workload.name),
        log: (!workload.command.is_empty()).then(|| state.app_log(&workload.name)),
        proxy_pid: None,
        app_pid: None,
        netns: None,
        hosts: None,
    }
}

fn gateway_record(gateway: &Gateway, address: IpAddr, state: &StateDir) -> WorkloadRecord {
    let port = |p: &crate::mesh_file::GatewayPort| PortRecord {
        name: String::new(),
        port: p.number,
        listen: p.listen,
    };
    WorkloadRecord {
        name: gateway.name.to_string(),
        kind: WorkloadKind::Gateway,
        service_account: gateway.service_account.clone(),
        labels: gateway.labels.clone(),
        address,
        ports: gateway.ports.iter().map(port).collect(),
        explicit_proxy: None,
        admin: state.proxy_admin_socket(&gateway.name),
        log: None,
        proxy_pid: None,
        app_pid: None,
        netns: None,
        hosts: None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;

    fn mesh(text: &str) -> MeshFile {
        let head = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: test}\nspec:\n";
        let spec = text
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect::<String>();
        MeshFile::parse(Path::new("mesh.yaml"), &(head.to_owned() + &spec)).unwrap()
    }

    #[test]
    fn every_workload_has_its_own_address_and_ports() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(dir.path())).unwrap();
        let network = Network::claim(dir.path()).unwrap();
        let mesh = mesh(
            "workloads:\n- {name: a, command: [x], ports: [{port: 9080}]}\n- {name: b, command: [x], ports: [{port: 9080}]}\ngateways:\n- {name: g}\n",
        );
        let placed = explicit(&mesh, &state, &network).unwrap();
        let addresses = placed.iter().map(|w| w.address).collect::<BTreeSet<_>>();
        assert_eq!(addresses.len(), 3);
        let apps = placed
            .iter()
            .flat_map(|w| &w.ports)
            .map(|p| p.listen)
            .collect::<BTreeSet<_>>();
        assert_eq!(apps.len(), 2);
        assert_eq!(placed[2].kind, WorkloadKind::Gateway);
        assert_eq!(placed[0].explicit_proxy.unwrap().ip(), placed[0].address);
    }

    #[test]
    fn taken_ports_are_refused_by_owner() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::find(Some(dir.path())).unwrap();
        let network = Network::claim(dir.path()).unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        for (text, owner) in [
            (
                format!("gateways:\n- {{name: g, ports: [{{port: 8080, listen: {port}}}]}}\n"),
                "istio-system/g",
            ),
            (
                format!(
                    "workloads:\n- {{name: a, command: [x], ports: [{{port: 8080, appPort: {port}}}]}}\n"
                ),
                "default/a",
            ),
        ] {
            let error = explicit(&mesh(&text), &state, &network)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(owner) && error.contains(&port.to_string()),
                "{error}"
            );
        }
    }
}

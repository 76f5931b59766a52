//! Listeners that a Sidecar asks for: ports of the workload that have one of their own, and
//! listeners for the workload's own calls. They follow the snapshot.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use mesh_proxy_core::Snapshot;
use mesh_proxy_core::ir::{EgressBind, EgressListener};
use tokio_util::sync::CancellationToken;

use crate::drain::Drain;
use crate::hand_over::{Claim, Offered};
use crate::inbound::{self, Arrival};
use crate::net::{self, StdTcpListener, UnixListener, UnixStream};
use crate::outbound;
use crate::settings::{InboundBinding, InboundMode};
use crate::telemetry::{Found, Listener};
use crate::worker::Worker;

// A port that could not be bound may be free later.
const AGAIN: Duration = Duration::from_secs(2);

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    /// For calls to the workload.
    Ingress(SocketAddr),
    /// For its own calls.
    Egress(EgressListener),
}

/// What is open, in the view of one worker.
struct Open {
    listeners: HashMap<Wanted, CancellationToken>,
    // Taken over from a predecessor.
    inherited: Vec<StdTcpListener>,
    troubles: Found,
    // Whether another worker serves what is one for all: it may give it up.
    elsewhere: bool,
    // Ports that are served in any case.
    bindings: Rc<[InboundBinding]>,
}

/// The file of a Unix socket; removed with the listener, unless a successor has it.
struct SocketFile {
    path: PathBuf,
    drain: Drain,
    // Given up after the file is gone.
    _claim: Claim,
}

/// A Unix socket, and what goes with it.
struct UnixSocket {
    listener: UnixListener,
    file: SocketFile,
    offered: Offered,
}

/// Opens and closes listeners as the configuration changes, until the proxy drains. Those of
/// `inherited` that are wanted are open already; the others close. Ports in `bindings` have theirs.
pub async fn listen(
    worker: Rc<Worker>,
    inherited: Vec<StdTcpListener>,
    bindings: Rc<[InboundBinding]>,
) {
    let mut epoch = worker.shared.epoch();
    let mut open = Open {
        listeners: HashMap::new(),
        inherited,
        troubles: Found::default(),
        elsewhere: false,
        bindings,
    };
    loop {
        open.follow(&worker).await;
        let again = async {
            if open.troubles.is_empty() && !open.elsewhere {
                pending::<()>().await;
            }
            tokio::time::sleep(AGAIN).await;
        };
        tokio::select! {
            () = worker.shared.drain.started() => return,
            () = again => {}
            changed = epoch.changed() => if changed.is_err() {
                return worker.shared.drain.started().await;
            },
        }
    }
}

// === impl Open ===

impl Open {
    async fn follow(&mut self, worker: &Rc<Worker>) {
        let wanted = self.wanted(worker, &worker.shared.snapshot());
        self.listeners.retain(|listener, token| {
            let keep = wanted.contains(listener);
            if !keep {
                token.cancel();
            }
            keep
        });
        self.troubles.begin();
        self.elsewhere = false;
        for listener in wanted {
            if self.listeners.contains_key(&listener) {
                continue;
            }
            match self.open(worker, &listener).await {
                Ok(Some(token)) => {
                    self.listeners.insert(listener, token);
                }
                Ok(None) => self.elsewhere = true,
                Err(error) if listener.is_passed_over(&error) => {
                    tracing::warn!(
                        listener = listener.name(),
                        "a Sidecar's egress has a port below 1024, which needs a privilege that \
                         this process does not have: it is passed over"
                    );
                    // Not tried again: a process gets no privilege while it runs.
                    self.listeners.insert(listener, CancellationToken::new());
                }
                Err(error) => {
                    let name = listener.name();
                    let text = format!("cannot listen on {name}, as a Sidecar asks: {error}");
                    let known = &worker.shared.telemetry.troubles;
                    self.troubles.note(known, name, &text);
                }
            }
        }
        self.inherited.clear();
        worker.shared.sockets.forget_configured();
        self.troubles.end(&worker.shared.telemetry.troubles);
    }

    fn wanted(&self, worker: &Worker, snapshot: &Snapshot) -> HashSet<Wanted> {
        let settings = &worker.shared.settings;
        let Some(inbound) = snapshot.inbound() else {
            return HashSet::new();
        };
        let captures = matches!(settings.inbound, InboundMode::Transparent(_));
        let mut wanted = HashSet::new();
        for port in inbound.ports.values() {
            let Some(listener) = port.listener else {
                continue;
            };
            let bound = self.bindings.iter().any(|one| one.port == port.port);
            if bound || captures && !listener.always {
                continue;
            }
            let addresses: Vec<IpAddr> = match listener.bind {
                Some(address) => vec![address],
                None if settings.addresses.is_empty() => vec![Ipv4Addr::UNSPECIFIED.into()],
                None => settings.addresses.clone(),
            };
            let at = |ip| Wanted::Ingress(SocketAddr::new(ip, port.port));
            wanted.extend(addresses.into_iter().map(at));
        }
        let captured = settings.outbound.is_some();
        let egress = inbound.egress.iter();
        let egress = egress.filter(|listener| listener.always || !captured);
        wanted.extend(egress.cloned().map(Wanted::Egress));
        wanted
    }

    async fn open(
        &mut self,
        worker: &Rc<Worker>,
        wanted: &Wanted,
    ) -> io::Result<Option<CancellationToken>> {
        let token = CancellationToken::new();
        match wanted {
            Wanted::Ingress(address) => {
                let address = *address;
                for listener in self.sockets(address)? {
                    let offered = offer(worker, address, &listener);
                    let end = ended(worker, token.clone(), offered);
                    let serve = move |worker, stream| {
                        inbound::serve(worker, stream, Arrival::Bound(address))
                    };
                    worker.accept_until(Listener::Inbound, listener, serve, end);
                }
            }
            Wanted::Egress(egress) => match (egress.address(), &egress.bind) {
                (_, EgressBind::Unix(path)) => {
                    let Some(socket) = unix(worker, Path::new(&**path)).await? else {
                        return Ok(None);
                    };
                    serve_unix(worker, socket, Rc::new(egress.clone()), &token);
                }
                (Some(address), _) => {
                    let egress = Rc::new(egress.clone());
                    for listener in self.sockets(address)? {
                        worker.upstreams.connector().avoid(address);
                        let offered = offer(worker, address, &listener);
                        let end = ended(worker, token.clone(), offered);
                        let egress = Rc::clone(&egress);
                        let serve = move |worker, stream| {
                            outbound::bound(worker, stream, Rc::clone(&egress))
                        };
                        worker.accept_until(Listener::Outbound, listener, serve, end);
                    }
                }
                (None, _) => return Ok(None),
            },
        }
        tracing::info!(listener = wanted.name(), "listens, as a Sidecar asks");
        Ok(Some(token))
    }

    fn sockets(&mut self, address: SocketAddr) -> io::Result<Vec<StdTcpListener>> {
        let is_it = |listener: &mut StdTcpListener| listener.local_addr().ok() == Some(address);
        let mut found: Vec<_> = self.inherited.extract_if(.., is_it).collect();
        if found.is_empty() {
            found.push(net::bind(address)?);
        }
        Ok(found)
    }
}

// === impl Wanted ===

impl Wanted {
    /// Whether it is no trouble that it cannot be opened. Istio passes over privileged ports of
    /// egress listeners for proxies without the privilege (buildSidecarOutboundListeners): they
    /// come with all ports of the Sidecar's hosts, and the calls find another way.
    fn is_passed_over(&self, error: &io::Error) -> bool {
        let Self::Egress(egress) = self else {
            return false;
        };
        let privileged = egress.address().is_some_and(|at| at.port() < 1024);
        privileged && error.kind() == io::ErrorKind::PermissionDenied
    }

    fn name(&self) -> String {
        match self {
            Self::Ingress(address) => format!("{address} for calls to the workload"),
            Self::Egress(EgressListener {
                bind: EgressBind::Unix(path),
                ..
            }) => format!("unix://{path} for calls of the workload"),
            Self::Egress(egress) => match egress.address() {
                Some(address) => format!("{address} for calls of the workload"),
                None => String::new(),
            },
        }
    }
}

fn offer(worker: &Worker, address: SocketAddr, listener: &StdTcpListener) -> Offered {
    let sockets = &worker.shared.sockets;
    sockets.offer("sidecar", Some(address), listener)
}

// A successor takes over what is still open when the proxy ends.
fn ended(
    worker: &Rc<Worker>,
    token: CancellationToken,
    offered: Offered,
) -> impl Future<Output = ()> + 'static {
    let drain = worker.shared.drain.clone();
    async move {
        let _offered = offered;
        tokio::select! {
            () = token.cancelled() => {}
            () = drain.listeners_end() => {}
        }
    }
}

/// Opens a Unix socket, or takes over that of a predecessor. `None` if another worker serves it.
/// What a process left that is gone is taken away.
async fn unix(worker: &Worker, path: &Path) -> io::Result<Option<UnixSocket>> {
    let sockets = &worker.shared.sockets;
    let Some(claim) = sockets.claim(path) else {
        return Ok(None);
    };
    let open = || sockets.configured_unix(path, || StdUnixListener::bind(path));
    let (listener, offered) = match open() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            match UnixStream::connect(path).await {
                // Nobody has it open any more.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                }
                // It went away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) | Err(_) => return Err(error),
            }
            open()?
        }
        opened => opened?,
    };
    listener.set_nonblocking(true)?;
    let file = SocketFile {
        path: path.to_owned(),
        drain: worker.shared.drain.clone(),
        _claim: claim,
    };
    Ok(Some(UnixSocket {
        listener: UnixListener::from_std(listener)?,
        file,
        offered,
    }))
}

fn serve_unix(
    worker: &Rc<Worker>,
    socket: UnixSocket,
    egress: Rc<EgressListener>,
    token: &CancellationToken,
) {
    let UnixSocket {
        listener,
        file,
        offered,
    } = socket;
    let end = ended(worker, token.clone(), offered);
    let this = Rc::clone(worker);
    let listening = worker.shared.drain.listening();
    worker.tasks.spawn_local(async move {
        let _held = (listening, file);
        let mut end = std::pin::pin!(end);
        let serve = |worker, stream| outbound::bound(worker, stream, Rc::clone(&egress));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => this.take(Listener::Outbound, stream.into(), None, &serve),
                    // Out of file descriptors: the condition needs time to pass.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                () = &mut end => return,
            }
        }
    });
}

// === impl SocketFile ===

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.drain.is_replaced() {
            // It may be gone with its directory.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proxy_core::ir::Protocol;

    #[test]
    fn privileged_ports_for_calls_are_passed_over() {
        let egress = |port| {
            Wanted::Egress(EgressListener {
                bind: EgressBind::Loopback,
                port,
                protocol: Protocol::Http,
                service: None,
                always: true,
            })
        };
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        let ingress = Wanted::Ingress(SocketAddr::from(([127, 0, 0, 1], 80)));
        assert!(egress(80).is_passed_over(&denied));
        assert!(!egress(8080).is_passed_over(&denied));
        assert!(!egress(80).is_passed_over(&taken));
        assert!(!ingress.is_passed_over(&denied));
    }
}

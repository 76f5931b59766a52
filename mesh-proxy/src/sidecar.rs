//! Listeners that a Sidecar asks for: ports of the workload that have one of their own, and
//! listeners for the workload's own calls. They follow the snapshot.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use mesh_proxy_core::Snapshot;
use mesh_proxy_core::ir::{EgressBind, EgressListener};
use tokio_util::sync::CancellationToken;

use crate::hand_over::Offered;
use crate::inbound::{self, Arrival};
use crate::net::{self, StdTcpListener, UnixListener, UnixStream};
use crate::outbound;
use crate::settings::{InboundBinding, InboundMode};
use crate::telemetry::Listener;
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
    // Names of the troubles there are.
    troubled: BTreeSet<String>,
    // Ports that are served in any case.
    bindings: Rc<[InboundBinding]>,
}

/// The file of a Unix socket; removed with the listener.
struct SocketFile(PathBuf);

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
        troubled: BTreeSet::new(),
        bindings,
    };
    loop {
        open.follow(&worker).await;
        let again = async {
            if open.troubled.is_empty() {
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
        let before = std::mem::take(&mut self.troubled);
        for listener in wanted {
            if self.listeners.contains_key(&listener) {
                continue;
            }
            match self.open(worker, &listener).await {
                Ok(Some(token)) => {
                    self.listeners.insert(listener, token);
                }
                // Another worker has it.
                Ok(None) => {}
                Err(error) => {
                    let name = listener.name();
                    let text = format!("cannot listen on {name}, as a Sidecar asks: {error}");
                    if worker.shared.telemetry.troubles.note(&name, &text) {
                        tracing::error!("{text}");
                    }
                    self.troubled.insert(name);
                }
            }
        }
        self.inherited.clear();
        for over in before.difference(&self.troubled) {
            worker.shared.telemetry.troubles.over(over);
        }
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
                    let end = ended(worker, token.clone(), Some((address, &listener)));
                    let serve = move |worker, stream| {
                        inbound::serve(worker, stream, Arrival::Bound(address))
                    };
                    worker.accept_until(Listener::Inbound, listener, serve, end);
                }
            }
            Wanted::Egress(egress) => match (egress.address(), &egress.bind) {
                (_, EgressBind::Unix(path)) => {
                    let Some((listener, file)) = unix(Path::new(&**path)).await? else {
                        return Ok(None);
                    };
                    serve_unix(worker, (listener, file), Rc::new(egress.clone()), &token);
                }
                (Some(address), _) => {
                    let egress = Rc::new(egress.clone());
                    for listener in self.sockets(address)? {
                        worker.upstreams.connector().avoid(address);
                        let end = ended(worker, token.clone(), Some((address, &listener)));
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

// A successor takes over what is still open when the proxy ends.
fn ended(
    worker: &Rc<Worker>,
    token: CancellationToken,
    socket: Option<(SocketAddr, &StdTcpListener)>,
) -> impl Future<Output = ()> + 'static {
    let sockets = &worker.shared.sockets;
    let offered: Option<Offered> =
        socket.map(|(address, socket)| sockets.offer("sidecar", Some(address), socket));
    let drain = worker.shared.drain.clone();
    async move {
        let _offered = offered;
        tokio::select! {
            () = token.cancelled() => {}
            () = drain.listeners_end() => {}
        }
    }
}

/// Opens a Unix socket. `None` if somebody serves it: another worker, or a predecessor. What a
/// process left that is gone is taken away.
async fn unix(path: &Path) -> io::Result<Option<(UnixListener, SocketFile)>> {
    match UnixListener::bind(path) {
        Ok(listener) => return Ok(Some((listener, SocketFile(path.to_owned())))),
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    if UnixStream::connect(path).await.is_ok() {
        return Ok(None);
    }
    std::fs::remove_file(path)?;
    let listener = UnixListener::bind(path)?;
    Ok(Some((listener, SocketFile(path.to_owned()))))
}

fn serve_unix(
    worker: &Rc<Worker>,
    (listener, file): (UnixListener, SocketFile),
    egress: Rc<EgressListener>,
    token: &CancellationToken,
) {
    let end = ended(worker, token.clone(), None);
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
        // It may be gone with its directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

//! Threads: one for the control side, one for each data worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::hand_over::{Offered, Sockets};
use crate::net::StdTcpListener;
use crate::settings::{InboundBinding, InboundMode, Settings};
use crate::shared::Shared;

/// The sockets of one data worker: its own, opened with SO_REUSEPORT on the addresses that all
/// workers share; several for one address, if a predecessor had more workers.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Explicit proxy: HTTP and SOCKS5.
    pub explicit: Vec<StdTcpListener>,
    /// Captured outgoing connections.
    pub outbound: Vec<StdTcpListener>,
    /// Ports of the workload, with what they stand for.
    pub inbound: Vec<(InboundBinding, StdTcpListener)>,
    /// Captured incoming connections.
    pub inbound_transparent: Vec<StdTcpListener>,
    /// Incoming connections by HBONE.
    pub hbone: Vec<StdTcpListener>,
    /// Those of a gateway's that were taken over. The others follow the snapshot.
    pub gateway: Vec<StdTcpListener>,
}

/// The sockets of all data workers.
#[derive(Default)]
pub struct Listening {
    /// For each worker.
    pub workers: Vec<Listeners>,
    /// Where they listen.
    pub addresses: Addresses,
    /// To be kept until they close.
    pub offered: Vec<Offered>,
}

/// Where the listeners ended up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Explicit proxy.
    pub explicit: Option<SocketAddr>,
    /// Captured outgoing connections.
    pub outbound: Option<SocketAddr>,
    /// Ports of the workload: port and where it is served.
    pub inbound: Vec<(u16, SocketAddr)>,
    /// Captured incoming connections.
    pub inbound_transparent: Option<SocketAddr>,
    /// Incoming connections by HBONE.
    pub hbone: Option<SocketAddr>,
}

/// Running data workers.
pub struct Workers {
    threads: Vec<thread::JoinHandle<()>>,
    // A dropped sender is a panic, which is an end, too.
    running: FuturesUnordered<oneshot::Receiver<()>>,
}

/// Why the workers cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address cannot be bound.
    #[error("--{option}: cannot listen on {address}: {source}")]
    Bind {
        /// The option that asks for it.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

// === impl Listeners ===

/// Binds everything that `settings` ask for, once for each worker, or takes it over. The last of
/// those that take over: it leaves nothing.
///
/// # Errors
/// The first address that cannot be bound.
pub fn listen(settings: &Settings, sockets: &Sockets) -> Result<Listening, ListenError> {
    let workers = settings.concurrency.get();
    let mut all = Listening {
        workers: (0..workers).map(|_| Listeners::default()).collect(),
        ..Listening::default()
    };
    if let Some(address) = settings.explicit {
        let take = |one: &mut Listeners, socket| one.explicit.push(socket);
        all.addresses.explicit = all.open(sockets, ("explicit", ""), address, take)?;
    }
    if let Some(address) = settings.outbound {
        let take = |one: &mut Listeners, socket| one.outbound.push(socket);
        all.addresses.outbound = all.open(sockets, ("outbound", ""), address, take)?;
    }
    if let Some(address) = settings.hbone {
        let take = |one: &mut Listeners, socket| one.hbone.push(socket);
        all.addresses.hbone = all.open(sockets, ("hbone", ""), address, take)?;
    }
    match &settings.inbound {
        InboundMode::Transparent(address) => {
            let take = |one: &mut Listeners, socket| one.inbound_transparent.push(socket);
            let option = ("inbound-transparent", "");
            all.addresses.inbound_transparent = all.open(sockets, option, *address, take)?;
        }
        InboundMode::Explicit(bindings) => {
            for binding in bindings {
                let take = |one: &mut Listeners, socket| one.inbound.push((*binding, socket));
                let port = binding.port.to_string();
                let bound = all.open(sockets, ("inbound", &port), binding.listen, take)?;
                let served = bound.map(|address| (binding.port, address));
                all.addresses.inbound.extend(served);
            }
        }
    }
    for (index, socket) in sockets.rest().into_iter().enumerate() {
        if let Some(worker) = all.workers.get_mut(index % workers) {
            worker.gateway.push(socket);
        }
    }
    Ok(all)
}

impl Listening {
    /// Opens what an option (and which of several, if it may stand for them) asks for, and deals
    /// the sockets to the workers.
    fn open(
        &mut self,
        sockets: &Sockets,
        (option, which): (&'static str, &str),
        address: SocketAddr,
        take: impl Fn(&mut Listeners, StdTcpListener),
    ) -> Result<Option<SocketAddr>, ListenError> {
        let role = format!("{option} {which}");
        let group = sockets.tcp_group(role.trim_end(), address, self.workers.len());
        let group = group.map_err(|source| ListenError::Bind {
            option,
            address,
            source,
        })?;
        let mut bound = None;
        let workers = self.workers.len();
        for (index, (socket, offered)) in group.into_iter().enumerate() {
            bound = bound.or_else(|| socket.local_addr().ok());
            self.offered.push(offered);
            if let Some(worker) = self.workers.get_mut(index % workers) {
                take(worker, socket);
            }
        }
        Ok(bound)
    }
}

// === impl Workers ===

impl Workers {
    /// Starts one thread for each element of `listeners`.
    ///
    /// # Errors
    /// If a thread or runtime cannot be made.
    pub fn start(shared: &Arc<Shared>, listeners: Vec<Listeners>) -> io::Result<Self> {
        let mut threads = Vec::new();
        let running = FuturesUnordered::new();
        for (index, listeners) in listeners.into_iter().enumerate() {
            let shared = Arc::clone(shared);
            let (ended, end) = oneshot::channel();
            let runtime = single_threaded()?;
            let thread = thread::Builder::new()
                .name(format!("data-{index}"))
                .spawn(move || {
                    runtime.block_on(crate::worker::run(shared, listeners));
                    // The receiver may be gone: then nobody waits.
                    let _ = ended.send(());
                })?;
            threads.push(thread);
            running.push(end);
        }
        Ok(Self { threads, running })
    }

    /// Waits until one of the workers has ended: before the drain that is a fault.
    pub async fn any_ended(&mut self) {
        if self.running.is_empty() {
            std::future::pending::<()>().await;
        }
        self.running.next().await;
    }

    /// Waits until all have ended, which they do when nothing runs any more after the drain has
    /// begun, or when it is closed.
    pub async fn all_ended(&mut self) {
        while self.running.next().await.is_some() {}
    }

    /// Waits until all have ended. Blocks; they end soon after the drain is closed.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a data worker panicked");
            }
        }
    }
}

/// A runtime on the calling thread.
pub(crate) fn single_threaded() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

//! Threads: one for the control side, one for each data worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::net::StdTcpListener;
use crate::settings::{InboundBinding, InboundMode, Settings};
use crate::shared::Shared;

/// The sockets of one data worker: its own, opened with SO_REUSEPORT on the addresses that all
/// workers share. A gateway's listeners are not among them, they follow the snapshot.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Explicit proxy: HTTP and SOCKS5.
    pub explicit: Option<StdTcpListener>,
    /// Captured outgoing connections.
    pub outbound: Option<StdTcpListener>,
    /// Ports of the workload, with what they stand for.
    pub inbound: Vec<(InboundBinding, StdTcpListener)>,
    /// Captured incoming connections.
    pub inbound_transparent: Option<StdTcpListener>,
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

/// Binds everything that `settings` ask for, once for each worker.
///
/// # Errors
/// The first address that cannot be bound.
pub fn listen(settings: &Settings) -> Result<(Vec<Listeners>, Addresses), ListenError> {
    let workers = settings.concurrency.get();
    let mut all: Vec<Listeners> = (0..workers).map(|_| Listeners::default()).collect();
    let mut addresses = Addresses::default();
    if let Some(address) = settings.explicit {
        let bound = bind("explicit", address, workers)?;
        addresses.explicit = bound.address;
        all.iter_mut()
            .zip(bound.sockets)
            .for_each(|(one, socket)| one.explicit = Some(socket));
    }
    if let Some(address) = settings.outbound {
        let bound = bind("outbound", address, workers)?;
        addresses.outbound = bound.address;
        all.iter_mut()
            .zip(bound.sockets)
            .for_each(|(one, socket)| one.outbound = Some(socket));
    }
    match &settings.inbound {
        InboundMode::Transparent(address) => {
            let bound = bind("inbound-transparent", *address, workers)?;
            addresses.inbound_transparent = bound.address;
            all.iter_mut()
                .zip(bound.sockets)
                .for_each(|(one, socket)| one.inbound_transparent = Some(socket));
        }
        InboundMode::Explicit(bindings) => {
            for binding in bindings {
                let bound = bind("inbound", binding.listen, workers)?;
                addresses
                    .inbound
                    .extend(bound.address.map(|address| (binding.port, address)));
                all.iter_mut()
                    .zip(bound.sockets)
                    .for_each(|(one, socket)| one.inbound.push((*binding, socket)));
            }
        }
    }
    Ok((all, addresses))
}

struct BoundSockets {
    sockets: Vec<StdTcpListener>,
    address: Option<SocketAddr>,
}

fn bind(
    option: &'static str,
    address: SocketAddr,
    workers: usize,
) -> Result<BoundSockets, ListenError> {
    let sockets =
        crate::net::bind_shared(address, workers).map_err(|source| ListenError::Bind {
            option,
            address,
            source,
        })?;
    let address = sockets.first().and_then(|socket| socket.local_addr().ok());
    Ok(BoundSockets { sockets, address })
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

//! Everything that happens before a thread or a process of the mesh exists.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_api::InvalidWorkloadName;
use mesh_ca::{Authority, AuthorityError, AuthorityOptions, FileError, JoinClaims, JoinTokens};

use super::MeshPlan;
use super::programs::{OWN_MARK, ProxyFiles};
use crate::address::{AddressError, Network};
use crate::netns::{HubPlan, NetnsError, Subnet, WorkloadNs, prepare_hub};
use crate::state::{Capture, LockError, StateError, StateLock, WorkloadKind, WorkloadRecord};
use crate::{clock, file, placement, world};

/// A proxy presents its token once; after that its certificate renews itself.
const TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);

/// A mesh that is ready to be started.
#[derive(Debug)]
pub struct Prepared {
    pub(super) plan: MeshPlan,
    pub(super) records: Vec<WorkloadRecord>,
    /// Transparent capture: by the workload's name.
    pub(super) namespaces: BTreeMap<String, WorkloadNs>,
    /// Transparent capture: listeners on the host, and where their connections go.
    pub(super) forwards: Vec<(TcpListener, SocketAddr)>,
    pub(super) joins: Joins,
    pub(super) held: Held,
}

/// What keeps others away while the mesh runs.
#[derive(Debug)]
pub(super) struct Held {
    _network: Option<Network>,
    _lock: StateLock,
}

/// Makes the files by which proxies join.
#[derive(Debug)]
pub(super) struct Joins(JoinTokens);

/// Why a mesh cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another mesh is there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Addresses and ports.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Namespaces.
    #[error("transparent capture: {0}")]
    Netns(#[from] NetnsError),
    /// The certificate authority.
    #[error("certificate authority: {0}")]
    Authority(#[from] AuthorityError),
    /// A join token.
    #[error("join token: {0}")]
    Token(#[from] FileError),
    /// A workload's name.
    #[error(transparent)]
    Name(#[from] InvalidWorkloadName),
    /// A path of the configuration.
    #[error("cannot read the configuration {path}: {source}; give files or directories with --config PATH", path = path.display())]
    Config {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file in the state directory.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// A verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

// === impl Prepared ===

impl Prepared {
    /// Takes the state directory, places the workloads, makes keys, tokens, derived objects and,
    /// for transparent capture, the namespaces with their rules. Call it before any thread exists.
    ///
    /// # Errors
    /// If any of that cannot be done; nothing runs then.
    pub fn new(mut plan: MeshPlan) -> Result<Self, PrepareError> {
        for path in &mut plan.config {
            let found = path.canonicalize();
            *path = found.map_err(|source| PrepareError::Config {
                path: path.clone(),
                source,
            })?;
        }
        let names = plan
            .mesh
            .workloads
            .iter()
            .map(|w| &w.name)
            .chain(plan.mesh.gateways.iter().map(|g| &g.name));
        plan.state.check_sockets(names)?;
        plan.state.create()?;
        let lock = StateLock::take(&plan.state)?;
        clear(&plan)?;
        let mut prepared = match plan.capture {
            Capture::Explicit => Self::explicit(plan, lock)?,
            Capture::Transparent => Self::transparent(plan, lock)?,
        };
        prepared.write_files()?;
        prepared.install_capture()?;
        Ok(prepared)
    }

    fn explicit(plan: MeshPlan, lock: StateLock) -> Result<Self, PrepareError> {
        let network = Network::claim(plan.state.root())?;
        let records = placement::explicit(&plan.mesh, &plan.state, &network)?;
        let held = Held {
            _network: Some(network),
            _lock: lock,
        };
        let joins = Joins(JoinTokens::open(&plan.state.ca())?);
        Ok(Self {
            plan,
            records,
            namespaces: BTreeMap::new(),
            forwards: Vec::new(),
            joins,
            held,
        })
    }

    fn transparent(plan: MeshPlan, lock: StateLock) -> Result<Self, PrepareError> {
        let subnet = Subnet::default();
        let count = plan.mesh.workloads.len() + plan.mesh.gateways.len();
        let hosts = (0..)
            .map_while(|n| subnet.workload(n))
            .take(count)
            .collect::<Vec<Ipv4Addr>>();
        if hosts.len() < count {
            return Err(AddressError::TooMany(count).into());
        }
        let addresses = hosts.iter().copied().map(IpAddr::V4).collect::<Vec<_>>();
        let mut records = placement::transparent(&plan.mesh, &plan.state, &addresses);
        let ports = |record: &WorkloadRecord| {
            record
                .ports
                .iter()
                .map(|p| (p.listen, SocketAddr::new(record.address, p.port)))
                .collect::<Vec<_>>()
        };
        let gateways = records
            .iter()
            .filter(|record| record.kind == WorkloadKind::Gateway);
        let (listens, targets): (Vec<_>, Vec<_>) = gateways.flat_map(ports).unzip();
        let mut hub = prepare_hub(&HubPlan {
            subnet,
            host_listeners: listens,
        })?;
        let forwards = hub.take_listeners().into_iter().zip(targets).collect();
        let mut namespaces = BTreeMap::new();
        for (record, address) in records.iter_mut().zip(hosts) {
            let dir = ProxyFiles::new(&plan.state, record).dir;
            directory(&dir)?;
            let file = dir.join("hosts");
            let namespace = hub.add_workload(&record.name, address, &file)?;
            record.netns = Some(namespace.netns().to_owned());
            record.hosts = Some(file);
            namespaces.insert(record.name.clone(), namespace);
        }
        let joins = Joins(JoinTokens::open(&plan.state.ca())?);
        Ok(Self {
            plan,
            records,
            namespaces,
            forwards,
            joins,
            held: Held {
                _network: None,
                _lock: lock,
            },
        })
    }

    fn write_files(&mut self) -> Result<(), PrepareError> {
        let state = &self.plan.state;
        let options = AuthorityOptions {
            trust_domain: self.plan.mesh.trust_domain.clone(),
            ..AuthorityOptions::default()
        };
        // It writes the roots that the proxies trust from their first moment.
        Authority::open(&state.ca(), &options)?;
        for record in &self.records {
            let files = ProxyFiles::new(state, record);
            directory(&files.dir)?;
            directory(&files.dir.join("cache"))?;
            self.joins.write(state, record)?;
        }
        let world = state.world();
        let written = world::write_all(&world, &self.records);
        written.map_err(|source| PrepareError::File {
            what: "write",
            path: world,
            source,
        })?;
        let mesh_config = state.mesh_config();
        let written = std::fs::write(&mesh_config, &self.plan.mesh.mesh_config);
        written.map_err(|source| PrepareError::File {
            what: "write",
            path: mesh_config,
            source,
        })?;
        link_self(&state.bin().join("meshctl"))
    }

    /// Puts the redirection in place while nothing runs in the namespaces yet.
    fn install_capture(&self) -> Result<(), PrepareError> {
        for record in self
            .records
            .iter()
            .filter(|record| record.kind == WorkloadKind::Sidecar)
        {
            if let Some(namespace) = self.namespaces.get(&record.name) {
                let args =
                    ["proxy", "capture", "install", "--own-mark", OWN_MARK].map(OsString::from);
                namespace.run("/proc/self/exe", args)?;
            }
        }
        Ok(())
    }
}

// === impl Joins ===

impl Joins {
    /// Writes a new token for a proxy that is about to start.
    pub(super) fn write(
        &self,
        state: &crate::state::StateDir,
        record: &WorkloadRecord,
    ) -> Result<(), PrepareError> {
        let claims = JoinClaims {
            workload: record.workload_name()?,
            service_account: record.service_account.clone(),
            expires: clock::now() + TOKEN_LIFE,
            single_use: true,
            // The mesh file declares it: it need not register itself.
            labels: [].into(),
        };
        let token = self.0.mint(&claims)?;
        let path = ProxyFiles::new(state, record).token();
        let written = file::replace(&path, token.as_bytes());
        written.map_err(|source| PrepareError::File {
            what: "write",
            path,
            source,
        })
    }
}

/// Removes what an earlier mesh left, but for the keys of its authority.
fn clear(plan: &MeshPlan) -> Result<(), PrepareError> {
    let state = &plan.state;
    let sockets = [
        state.control_plane_socket(),
        state.control_plane_admin_socket(),
    ];
    for path in sockets.into_iter().chain([state.record_file()]) {
        gone(std::fs::remove_file(&path), &path)?;
    }
    for path in [state.proxies(), state.logs()] {
        gone(std::fs::remove_dir_all(&path), &path)?;
        directory(&path)?;
    }
    Ok(())
}

fn gone(result: io::Result<()>, path: &Path) -> Result<(), PrepareError> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(PrepareError::File {
            what: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn directory(path: &Path) -> Result<(), PrepareError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| PrepareError::File {
        what: "create",
        path: path.to_owned(),
        source,
    })
}

/// Makes `meshctl` in the applications' commands mean this program.
fn link_self(link: &Path) -> Result<(), PrepareError> {
    let failed = |source| PrepareError::File {
        what: "link",
        path: link.to_owned(),
        source,
    };
    let exe = std::env::current_exe().map_err(failed)?;
    gone(std::fs::remove_file(link), link)?;
    symlink(exe, link).map_err(failed)
}

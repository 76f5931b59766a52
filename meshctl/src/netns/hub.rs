//! The namespaces in which a mesh lives.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::iproute::{Ip, inside, new_netns, sysctl};
use super::{NetnsError, Subnet, WorkloadNs};

/// The bridge of the hub.
const BRIDGE: &str = "mesh0";

/// The packet mark (SO_MARK) of the proxies' own connections, by which capture rules leave them
/// alone (1337, Istio's) and what they send out of the mesh fails at once.
pub const PROXY_MARK: u32 = 0x539;

/// What a hub is made of.
#[derive(Clone, Debug, Default)]
pub struct HubPlan {
    /// The addresses inside the mesh.
    pub subnet: Subnet,
    /// What to listen on outside of it, on the host, for instance a gateway's ports.
    pub host_listeners: Vec<SocketAddr>,
}

/// The hub, in which this process is from [`prepare_hub`] on.
#[derive(Debug)]
pub struct Hub {
    subnet: Subnet,
    listeners: Vec<TcpListener>,
    ip: Ip,
    /// By name.
    workloads: BTreeMap<String, Ipv4Addr>,
}

/// Binds the host's listeners, then moves this process and all that it starts later into new
/// namespaces: user (unless root), network, mount. As seen from inside, the user is root
/// (user_namespaces(7)); files keep their owners. Call it before any thread is started.
///
/// # Errors
/// If a listener cannot be bound, the process has threads, iproute2 is missing, or the system
/// does not let this user make namespaces (with what to change).
pub fn prepare_hub(plan: &HubPlan) -> Result<Hub, NetnsError> {
    let ip = Ip::find()?;
    let threads = fs::read_dir("/proc/self/task")
        .map_err(NetnsError::file("read", "/proc/self/task"))?
        .count();
    if threads != 1 {
        return Err(NetnsError::Threads { threads });
    }
    // A socket stays in the network namespace in which it was made.
    let listen = |address: &SocketAddr| {
        TcpListener::bind(address).map_err(|source| NetnsError::Listen {
            address: *address,
            source,
        })
    };
    let listeners = plan
        .host_listeners
        .iter()
        .map(listen)
        .collect::<Result<_, _>>()?;

    leave_host()
        .and_then(|()| bring_up(&ip, plan.subnet))
        .map_err(with_advice)?;
    Ok(Hub {
        subnet: plan.subnet,
        listeners,
        ip,
        workloads: BTreeMap::new(),
    })
}

// === impl Hub ===

impl Hub {
    /// The listeners on the host, in the order of the plan; a second call gives none.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// The addresses inside the mesh.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Makes a workload's network namespace and joins it to the hub. `hosts` is the file that
    /// its processes see as `/etc/hosts`; it is made here, its directory must exist.
    ///
    /// # Errors
    /// If the name is taken or the address is taken or none of the range, or the system refuses.
    pub fn add_workload(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        hosts: &Path,
    ) -> Result<WorkloadNs, NetnsError> {
        let taken = self
            .workloads
            .values()
            .any(|other| *other == address)
            .then_some("another workload has it");
        let named = self
            .workloads
            .contains_key(name)
            .then_some("there is such a workload already");
        if let Some(why) = self.subnet.objection(address).or(taken).or(named) {
            return Err(NetnsError::Address {
                name: name.to_owned(),
                address,
                why,
            });
        }
        let netns = new_netns()?;
        let workload = WorkloadNs::new(name, address, netns, hosts);
        workload.write_hosts(&[])?;

        let link = format!("w{}", self.workloads.len());
        let path = workload.netns().display();
        self.ip.batch(&format!(
            "link add {link} type veth peer name eth0 netns {path}\nlink set {link} master {BRIDGE} up\n"
        ))?;
        let script = self.workload_script(address);
        inside(workload.file(), || {
            self.ip.batch(&script)?;
            // Apps are not root and listen on their real ports, 80 included.
            sysctl("ipv4/ip_unprivileged_port_start", "0")
        })?;
        self.workloads.insert(name.to_owned(), address);
        Ok(workload)
    }

    /// Any address needs a route, or the kernel would refuse the connection before capture sees
    /// it. What is not captured and leaves the mesh would time out: datagrams (name look-ups,
    /// above all) and the proxies' own connections are refused by rules that stand before that route.
    fn workload_script(&self, address: Ipv4Addr) -> String {
        let (hub, prefix) = (self.subnet.hub(), self.subnet.prefix());
        format!(
            "link set lo up\naddr add {address}/{prefix} dev eth0\nlink set eth0 up\nroute add default via {hub}\n\
             rule add pref 100 lookup main suppress_prefixlength 0\n\
             rule add pref 101 ipproto udp unreachable\nrule add pref 102 fwmark {PROXY_MARK} unreachable\n"
        )
    }
}

fn leave_host() -> Result<(), NetnsError> {
    let (uid, gid) = (geteuid(), getegid());
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    // Root in a container may be without CAP_SYS_ADMIN: then it does as others do.
    let as_root = if uid.is_root() {
        unshare(namespaces)
    } else {
        Err(Errno::EPERM)
    };
    match as_root {
        Err(Errno::EPERM) => {
            unshare(CloneFlags::CLONE_NEWUSER | namespaces)
                .map_err(NetnsError::system("make namespaces"))?;
            map_user(0, uid.as_raw(), 0, gid.as_raw())?;
        }
        other => other.map_err(NetnsError::system("make namespaces"))?,
    }
    // The host's later mounts still appear here, none of ours there.
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(NetnsError::system("detach the mounts"))
}

/// In a new user namespace: which user and group of the old one is which here.
pub(super) fn map_user(
    uid: u32,
    outer_uid: u32,
    gid: u32,
    outer_gid: u32,
) -> Result<(), NetnsError> {
    let write = |path: &'static str, text: String| {
        fs::write(path, text).map_err(NetnsError::file("write", path))
    };
    // The kernel wants it before gid_map (user_namespaces(7)).
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {outer_gid} 1"))
}

fn bring_up(ip: &Ip, subnet: Subnet) -> Result<(), NetnsError> {
    let (hub, prefix) = (subnet.hub(), subnet.prefix());
    ip.batch(&format!(
        "link set lo up\nlink add {BRIDGE} type bridge\naddr add {hub}/{prefix} dev {BRIDGE}\nlink set {BRIDGE} up\n\
         route add prohibit default\n"
    ))?;
    // With the route above it answers what it cannot deliver by an ICMP error (at a limited rate)
    // that ends a connection attempt; without, it would always time out.
    sysctl("ipv4/ip_forward", "1")
}

/// Says what to change on a system that forbids namespaces.
fn with_advice(error: NetnsError) -> NetnsError {
    let forbidden = match &error {
        NetnsError::System { source, .. } => {
            matches!(source, Errno::EPERM | Errno::ENOSPC | Errno::EACCES)
        }
        NetnsError::File { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
        NetnsError::Tool { message, .. } => message.contains("not permitted"),
        _ => false,
    };
    if !forbidden {
        return error;
    }
    let setting = |name: &str| {
        let text = fs::read_to_string(PathBuf::from("/proc/sys").join(name)).ok()?;
        text.trim().parse().ok()
    };
    NetnsError::Refused {
        cause: error.to_string(),
        advice: advice(geteuid().is_root(), setting),
    }
}

/// Which setting forbids it, and how to change it.
fn advice(root: bool, setting: impl Fn(&str) -> Option<u64>) -> &'static str {
    if !root && setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        "run `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` or be root"
    } else if !root && setting("kernel/unprivileged_userns_clone") == Some(0) {
        "run `sudo sysctl -w kernel.unprivileged_userns_clone=1` or be root"
    } else if setting("user/max_user_namespaces") == Some(0) {
        "run `sudo sysctl -w user.max_user_namespaces=15000` or be root"
    } else {
        "in a container, give it the capability SYS_ADMIN and a seccomp and AppArmor profile that allow unshare and mount"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_forbids_namespaces() {
        let case = |root, set: &'static str, value| {
            advice(root, move |name| (name == set).then_some(value))
        };
        assert!(
            case(false, "kernel/apparmor_restrict_unprivileged_userns", 1)
                .contains("apparmor_restrict")
        );
        assert!(case(false, "kernel/unprivileged_userns_clone", 0).contains("userns_clone=1"));
        assert!(case(false, "user/max_user_namespaces", 0).contains("max_user_namespaces"));
        assert!(case(true, "kernel/unprivileged_userns_clone", 0).contains("container"));
        assert!(case(false, "kernel/unprivileged_userns_clone", 1).contains("container"));
    }

    #[test]
    fn refuses_a_process_with_threads() {
        // Each test runs on a thread of its own, beside the harness's.
        let error = prepare_hub(&HubPlan::default()).unwrap_err();
        assert!(
            matches!(
                error,
                NetnsError::Threads { .. } | NetnsError::MissingTool { .. }
            ),
            "{error}"
        );
    }
}

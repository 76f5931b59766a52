//! What `netns_basic` runs: a small mesh of two workloads in network namespaces made by meshctl's
//! own module, with stand-ins for apps, proxies and callers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{
    IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream,
    ToSocketAddrs as _, UdpSocket,
};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use serde_json::json;
use socket2::{Domain, SockRef, Socket, Type};

#[path = "../../meshctl/src/netns/mod.rs"]
#[allow(dead_code, reason = "meshctl uses the rest")]
pub mod netns;

use netns::{Enter, Hub, HubPlan, NetnsError, PROXY_MARK, Privilege, Subnet, WorkloadNs};

const VIP: Ipv4Addr = Ipv4Addr::new(240, 240, 0, 1);
const RULES: &str = "table ip mesh {
  chain output {
    type nat hook output priority -100
    meta mark 0x539 return
    oifname \"lo\" return
    meta l4proto tcp redirect to :15001
  }
  chain prerouting {
    type nat hook prerouting priority -100
    meta l4proto tcp redirect to :15006
  }
}
";
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Parser)]
enum Role {
    /// meshctl's hidden command
    #[command(subcommand)]
    Internal(Internal),
    /// The whole mesh; ends with its standard input
    Hub { dir: PathBuf },
    /// Answers a question with what it knows of itself and the caller
    App { listen: SocketAddr },
    /// Takes redirected connections on to `to`, or to where they were going
    Relay {
        port: u16,
        #[arg(long)]
        to: Option<SocketAddrV4>,
        #[arg(long, default_value = "0.0.0.0")]
        source: Ipv4Addr,
    },
    /// Asks an app
    Get {
        host: String,
        port: u16,
        question: String,
    },
    /// Waits until a name has an address
    Await { name: String },
    /// Tries what only a proxy may do
    Mark,
    /// How sending out of the mesh fails: a datagram, and a proxy's connection
    Outside,
}

#[derive(clap::Subcommand)]
enum Internal {
    Enter(Enter),
}

fn main() -> ExitCode {
    let done = match Role::parse() {
        Role::Internal(Internal::Enter(args)) => {
            let Err(error) = netns::enter(&args);
            eprintln!("{error}");
            return ExitCode::from(error.exit_code());
        }
        Role::Hub { dir } => hub(&dir),
        Role::App { listen } => app(listen),
        Role::Relay { port, to, source } => relay(port, to, source),
        Role::Get {
            host,
            port,
            question,
        } => get(&host, port, &question),
        Role::Await { name } => wait_for(&name),
        Role::Mark => mark(),
        Role::Outside => outside(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn hub(dir: &Path) -> Result<()> {
    let plan = HubPlan {
        subnet: Subnet::default(),
        host_listeners: vec![(Ipv4Addr::LOCALHOST, 0).into()],
    };
    let mut hub = netns::prepare_hub(&plan)?;
    let front = hub.take_listeners().pop().context("no listener")?;
    let front_address = front.local_addr()?;
    let (caller, server) = (
        workload(&mut hub, dir, "caller", 0)?,
        workload(&mut hub, dir, "server", 1)?,
    );
    refusals(&mut hub, dir, &server)?;

    let rules = dir.join("rules.nft");
    fs::write(&rules, RULES)?;
    for workload in [&caller, &server] {
        workload.run("nft", [Path::new("-f"), &rules])?;
        workload.write_hosts(&[(
            VIP.into(),
            vec!["server.default.svc.cluster.local".to_owned()],
        )])?;
    }
    match caller.run("nft", ["add", "rule", "nonsense"]) {
        Err(NetnsError::Tool { message, .. }) if message.contains("nonsense") => {}
        other => bail!("a command that fails must be reported with its message: {other:?}"),
    }

    let me = env::current_exe()?;
    let target = format!("{}:80", server.address());
    let children = [
        start(server.command(&me, Privilege::User), &["app", "0.0.0.0:80"])?,
        start(
            server.command(&me, Privilege::Network),
            &["relay", "15006", "--source", "127.0.0.6"],
        )?,
        start(
            caller.command(&me, Privilege::Network),
            &["relay", "15001", "--to", &target],
        )?,
    ];
    // The host's port leads to the server as if that were a gateway.
    let to = SocketAddr::new(server.address().into(), 80);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || runtime.block_on(netns::forward(front, to)));

    let pids: Vec<u32> = children
        .iter()
        .map(Child::id)
        .chain([std::process::id()])
        .collect();
    let namespace =
        |workload: &WorkloadNs| json!({"netns": workload.netns(), "hosts": workload.hosts()});
    let report = json!({"front": front_address, "pids": pids, "caller": namespace(&caller), "server": namespace(&server)});
    println!("{report}");
    // Each line names the service anew.
    for name in io::stdin().lines() {
        caller.write_hosts(&[(VIP.into(), vec![name?])])?;
    }
    Ok(())
}

fn workload(hub: &mut Hub, dir: &Path, name: &str, number: u32) -> Result<WorkloadNs> {
    let address = hub.subnet().workload(number).context("no address")?;
    Ok(hub.add_workload(name, address, &dir.join(format!("hosts.{name}")))?)
}

fn refusals(hub: &mut Hub, dir: &Path, other: &WorkloadNs) -> Result<()> {
    let free = hub.subnet().workload(7).context("no address")?;
    for (name, address) in [
        ("new", other.address()),
        (other.name(), free),
        ("new", hub.subnet().hub()),
        ("new", VIP),
    ] {
        match hub.add_workload(name, address, &dir.join("hosts.refused")) {
            Err(NetnsError::Address { .. }) => {}
            other => bail!("{name} {address}: {other:?}"),
        }
    }
    Ok(())
}

/// Starts a program and waits for it to say that it listens.
fn start(mut command: Command, args: &[&str]) -> Result<Child> {
    let mut child = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    if line.trim() != "ready" {
        bail!("{args:?} did not start: {line:?}");
    }
    Ok(child)
}

fn app(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    println!("ready");
    loop {
        let (mut stream, peer) = listener.accept()?;
        let mut question = String::new();
        stream.read_to_string(&mut question)?;
        let uid = nix::unistd::getuid();
        write!(stream, "{question} from {} to uid {uid}", peer.ip())?;
    }
}

fn relay(port: u16, to: Option<SocketAddrV4>, source: Ipv4Addr) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("ready");
    loop {
        let (client, _) = listener.accept()?;
        let original = SockRef::from(&client).original_dst_v4()?;
        let original = original.as_socket_ipv4().context("no address")?;
        let server = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        server.set_mark(PROXY_MARK)?;
        server.bind(&SocketAddrV4::new(source, 0).into())?;
        server.connect(&to.unwrap_or(original).into())?;
        carry(client, server.into())?;
    }
}

fn carry(mut client: TcpStream, mut server: TcpStream) -> Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || -> io::Result<()> {
        io::copy(&mut from_client, &mut to_server)?;
        to_server.shutdown(Shutdown::Write)
    });
    thread::spawn(move || -> io::Result<()> {
        io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Write)
    });
    Ok(())
}

fn get(host: &str, port: u16, question: &str) -> Result<()> {
    let address = resolve(host).with_context(|| format!("{host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), DEADLINE)?;
    stream.write_all(question.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{answer}");
    Ok(())
}

fn wait_for(name: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    if resolve(name).is_some() {
        bail!("{name} has an address already");
    }
    println!("waiting");
    while Instant::now() < end {
        if let Some(address) = resolve(name) {
            println!("{address}");
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("{name} still has no address")
}

fn resolve(name: &str) -> Option<IpAddr> {
    (name, 0)
        .to_socket_addrs()
        .ok()?
        .next()
        .map(|address| address.ip())
}

fn mark() -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    println!(
        "{}",
        if socket.set_mark(PROXY_MARK).is_ok() {
            "marked"
        } else {
            "refused"
        }
    );
    Ok(())
}

fn outside() -> Result<()> {
    let somewhere = SocketAddr::from(([203, 0, 113, 9], 53));
    let datagram = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"?", somewhere);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_mark(PROXY_MARK)?;
    let connection = socket.connect(&somewhere.into());
    println!(
        "{:?} {:?}",
        datagram.map_err(|error| error.kind()),
        connection.map_err(|error| error.kind())
    );
    Ok(())
}

//! Hands the rules to the tool.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};

use mesh_proxy_core::dns::{InvalidResolvConf, ResolvConf};

use super::options::{CaptureArgs, CaptureOptions, InvalidCapture};
use super::{Backend, Operation, Step, loopback, plan};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why the rules are not in force, or not gone.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// An option is wrong.
    #[error(transparent)]
    Option(#[from] InvalidCapture),
    /// Neither tool is there.
    #[error(
        "neither `nft` (package nftables) nor `iptables-restore` (package iptables) can be run"
    )]
    NoTool,
    /// The tool that was asked for is not there.
    #[error("`{0}` cannot be run: {1}")]
    Tool(&'static str, io::Error),
    /// The tool refused.
    #[error("`{command}` failed: {message}")]
    Refused {
        /// The call.
        command: String,
        /// What it says.
        message: String,
    },
    /// The DNS servers cannot be found.
    #[error(
        "--dns: the DNS servers cannot be read from {path}: {message}; name them by --dns-servers"
    )]
    Servers {
        /// The file.
        path: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The loopback interface did not get its second address.
    #[error("the address ::6 of the loopback interface: {0}")]
    Loopback(io::Error),
    /// The text cannot be printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Does what `operation` says, or with `--dry-run` prints what would be done.
///
/// # Errors
/// [`CaptureError`].
pub fn run(args: &CaptureArgs, operation: Operation) -> Result<(), CaptureError> {
    let mut options = CaptureOptions::try_from(args)?;
    // A kernel without IPv6 refuses rules for it.
    options.ipv6 &= std::path::Path::new("/proc/net/if_inet6").exists();
    if let Some(dns) = &mut options.dns
        && dns.servers.is_empty()
        && operation != Operation::Remove
    {
        dns.servers = system_servers()?;
    }
    let prints = args.dry_run || operation == Operation::Print;
    let backend = match args.backend {
        Backend::Auto => match detect() {
            Some(backend) => backend,
            None if prints => Backend::Nft,
            None => return Err(CaptureError::NoTool),
        },
        asked => asked,
    };
    let steps = plan(&options, backend, operation);
    if prints {
        return print(&steps)
            .and_then(|()| print_loopback(&options, operation))
            .map_err(CaptureError::Print);
    }
    steps.iter().try_for_each(call)?;
    match (operation, options.ipv6 && loopback::takes_ipv6()) {
        (_, false) | (Operation::Print, _) => Ok(()),
        (Operation::Install, true) => loopback::add().map_err(CaptureError::Loopback),
        (Operation::Remove, true) => loopback::remove().map_err(CaptureError::Loopback),
    }
}

fn system_servers() -> Result<Vec<IpAddr>, CaptureError> {
    let failed = |message| CaptureError::Servers {
        path: RESOLV_CONF,
        message,
    };
    let text = std::fs::read_to_string(RESOLV_CONF).map_err(|error| failed(error.to_string()))?;
    let conf: ResolvConf = text
        .parse()
        .map_err(|error: InvalidResolvConf| failed(error.to_string()))?;
    Ok(conf.servers.iter().map(SocketAddr::ip).collect())
}

// Done without a tool; said as if by one.
fn print_loopback(options: &CaptureOptions, operation: Operation) -> io::Result<()> {
    let verb = match operation {
        Operation::Remove => "del",
        Operation::Install | Operation::Print => "add",
    };
    if options.ipv6 {
        writeln!(io::stdout(), "ip -6 addr {verb} ::6/128 dev lo  # may fail")?;
    }
    Ok(())
}

// `nft` first: on a system with both, `iptables` is mostly a front end of the same tables.
fn detect() -> Option<Backend> {
    let runs = |program: &str| {
        let mut command = Command::new(program);
        command
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    match (runs("nft"), runs("iptables-restore")) {
        (true, _) => Some(Backend::Nft),
        (false, true) => Some(Backend::Iptables),
        (false, false) => None,
    }
}

fn print(steps: &[Step]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for step in steps {
        let ignored = if step.may_fail { "  # may fail" } else { "" };
        let input = if step.input.is_empty() {
            ""
        } else {
            " <<'END'"
        };
        writeln!(
            output,
            "{} {}{input}{ignored}",
            step.program,
            step.arguments.join(" ")
        )?;
        if !step.input.is_empty() {
            writeln!(output, "{}END", step.input)?;
        }
    }
    output.flush()
}

fn call(step: &Step) -> Result<(), CaptureError> {
    let cannot = |error| CaptureError::Tool(step.program, error);
    let mut child = Command::new(step.program)
        .args(&step.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // A tool that has ended already says why on its standard error.
        let _ = input.write_all(step.input.as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    if output.status.success() || step.may_fail {
        return Ok(());
    }
    let mut message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if step.input.contains("--uid-owner") && message.contains("Invalid argument") {
        message
            .push_str("\nin a user namespace that does not map the sidecar's user, use --own-mark");
    }
    Err(CaptureError::Refused {
        command: format!("{} {}", step.program, step.arguments.join(" ")),
        message,
    })
}

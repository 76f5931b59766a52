//! Whether an application listens, from the kernel's tables: a connection to find out would be
//! one that the application sees.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

/// TCP_LISTEN in proc_net_tcp(5).
const LISTEN: &str = "0A";

/// Waits until all ports are listened on in the network namespace of a process, looking every
/// `pause`. False if the process ended, or that did not come to be before the deadline.
pub(super) async fn wait_listening(
    pid: u32,
    ports: &[u16],
    pause: Duration,
    deadline: Option<Instant>,
) -> bool {
    while !ports.iter().all(|port| is_listening(pid, *port)) {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || !Path::new(&format!("/proc/{pid}")).exists() {
            return false;
        }
        tokio::time::sleep(pause).await;
    }
    true
}

fn is_listening(pid: u32, port: u16) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        std::fs::read_to_string(format!("/proc/{pid}/net/{table}"))
            .is_ok_and(|text| lists(&text, port))
    })
}

/// `sl local_address rem_address st ...`, addresses and ports in hexadecimal.
fn lists(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|address| address.rsplit_once(':'));
        let number = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        number == Some(port) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sees_listeners_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pid = std::process::id();
        assert!(is_listening(pid, port));
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_listening(pid, client.local_addr().unwrap().port()));
        drop(listener);
        assert!(!is_listening(pid, port));
    }

    #[tokio::test]
    async fn gives_up_in_time() {
        let pid = std::process::id();
        assert!(!wait_listening(pid, &[1], Duration::ZERO, Some(Instant::now())).await);
        assert!(wait_listening(pid, &[], Duration::ZERO, Some(Instant::now())).await);
        // No process has this id (proc_sys_kernel(5): pid_max is at most 2^22).
        assert!(!wait_listening(u32::MAX, &[1], Duration::ZERO, None).await);
    }
}

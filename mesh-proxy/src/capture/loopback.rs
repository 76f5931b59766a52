//! The sidecar's second address on the loopback interface, `::6`, from which it calls its
//! application over IPv6. All of 127.0.0.0/8 is there already (127.0.0.6); of IPv6 only `::1` is.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

const ADDRESS: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);

// rtnetlink(7).
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const ERROR: u16 = 2;
const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const CREATE: u16 = 0x400;
const NO_DUPLICATE_DETECTION: u8 = 0x02;
const HOST_SCOPE: u8 = 254;
const INET6: u8 = 10;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Whether the loopback interface may have IPv6 addresses: in a container without IPv6 it may
/// not, and the application has none to be called at.
pub(super) fn takes_ipv6() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
        .is_ok_and(|disabled| disabled.trim() == "0")
}

/// Adds the address. That it is there already is no error.
pub(super) fn add() -> io::Result<()> {
    tolerate(ask(NEW_ADDRESS, CREATE), Errno::EEXIST)
}

/// Takes it away. That it is not there is no error.
pub(super) fn remove() -> io::Result<()> {
    tolerate(ask(DELETE_ADDRESS, 0), Errno::EADDRNOTAVAIL)
}

fn tolerate(result: nix::Result<()>, fine: Errno) -> io::Result<()> {
    match result {
        Err(error) if error != fine => Err(error.into()),
        _ => Ok(()),
    }
}

fn ask(kind: u16, flags: u16) -> nix::Result<()> {
    let index = if_nametoindex("lo")?;
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let message = message(kind, flags, index);
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    result(answer.get(..length).unwrap_or_default())
}

fn message(kind: u16, flags: u16, index: u32) -> Vec<u8> {
    let mut body = vec![INET6, 128, NO_DUPLICATE_DETECTION, HOST_SCOPE];
    body.extend(index.to_ne_bytes());
    for attribute in [IFA_LOCAL, IFA_ADDRESS] {
        body.extend(20_u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(ADDRESS.octets());
    }
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACKNOWLEDGE | flags).to_ne_bytes());
    // Sequence number and port: one question, one answer.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// What the kernel says: an "error" whose number is 0 is its yes.
fn result(answer: &[u8]) -> nix::Result<()> {
    let kind = answer
        .get(4..6)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u16::from_ne_bytes);
    let code = answer
        .get(16..20)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(Errno::from_raw(-code)),
        _ => Err(Errno::EBADMSG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_kernel() {
        let answer = |kind: u16, code: i32| {
            let mut bytes = 36_u32.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(code.to_ne_bytes());
            bytes
        };
        assert_eq!(result(&answer(ERROR, 0)), Ok(()));
        assert_eq!(result(&answer(ERROR, -1)), Err(Errno::EPERM));
        assert_eq!(result(&answer(NEW_ADDRESS, 0)), Err(Errno::EBADMSG));
        assert_eq!(result(&[]), Err(Errno::EBADMSG));
        assert_eq!(message(NEW_ADDRESS, CREATE, 1).len(), 64);
    }
}

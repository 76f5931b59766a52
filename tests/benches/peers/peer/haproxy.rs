//! A pair of HAProxys: mutual TLS and nothing else of a mesh.

use std::fs;
use std::process::Command;

use super::{Pair, Place};
use crate::certificates::Side;
use crate::child::{Running, free_port};
use crate::kind::Kind;

/// Starts the pair.
pub(super) fn start(place: &Place<'_>) -> anyhow::Result<Pair> {
    let (outer, inner) = (free_port()?, free_port()?);
    let server = one(place, Side::Server, inner, place.application)?;
    let client = one(place, Side::Client, outer, inner)?;
    Ok(Pair {
        running: vec![server, client],
        port: outer,
    })
}

fn one(place: &Place<'_>, side: Side, listen: u16, next: u16) -> anyhow::Result<Running> {
    let mode = if place.kind == Kind::Tcp {
        "tcp"
    } else {
        "http"
    };
    let reuse = if place.kind == Kind::Tcp {
        ""
    } else {
        " http-reuse always\n"
    };
    let (plain, alpn) = match place.kind {
        Kind::H1 => ("", " alpn http/1.1"),
        Kind::H2 | Kind::Grpc => (" proto h2", " alpn h2"),
        Kind::Tcp => ("", ""),
    };
    let tls = format!(
        " ssl crt {} ca-file {} verify required{alpn}",
        place.certificates.both(side).display(),
        place.certificates.roots().display()
    );
    let (incoming, outgoing) = match side {
        Side::Client => (plain.to_owned(), tls),
        Side::Server => (tls, plain.to_owned()),
    };
    // A server's certificate is checked by its root alone: it has a SPIFFE ID and no host name.
    let text = format!(
        "global\n nbthread 1\n maxconn 8000\n ssl-default-bind-options ssl-min-ver TLSv1.3\n\
         defaults\n mode {mode}\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n{reuse}\
         listen all\n bind 127.0.0.1:{listen}{incoming}\n server next 127.0.0.1:{next}{outgoing}\n"
    );
    let file = place.directory.join(format!("haproxy-{}.cfg", side.name()));
    fs::write(&file, text)?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(file);
    let name = format!("haproxy-{}", side.name());
    let mut running = Running::start(&name, &mut command, place.directory)?;
    running.serves(listen)?;
    Ok(running)
}

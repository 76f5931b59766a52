use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::Settings;
use crate::drain;
use crate::net::bind;
use crate::settings::SettingsSource;

const FREE: &str = "127.0.0.1:0";

fn free() -> SocketAddr {
    FREE.parse().unwrap()
}

fn settings(workload: &str, path: &Path) -> Settings {
    let source = SettingsSource {
        workload: Some(workload.into()),
        control: Some("unix:///nowhere/meshd.sock".into()),
        roots: Some("/nowhere/root.pem".into()),
        explicit: Some(FREE.into()),
        hand_over: Some(path.display().to_string()),
        ..SettingsSource::default()
    };
    Settings::try_from(source).unwrap()
}

fn listen(path: &Path, sockets: &Sockets) -> Successors {
    Successors::listen(path, sockets, &"default/a".parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_successor_gets_every_socket_and_the_older_one_goes_when_told() {
    let directory = tempfile::tempdir().unwrap();
    // Longer than the kernel takes for the address of a socket.
    let path = directory.path().join("d".repeat(120)).join("socket");
    let old = Sockets::default();
    let group = old.tcp_group("explicit", free(), 2).unwrap();
    let many: Vec<_> = (0..70)
        .map(|port| {
            old.tcp_group(&format!("inbound {port}"), free(), 1)
                .unwrap()
        })
        .collect();
    let (udp, _udp) = old
        .udp("dns", free(), std::net::UdpSocket::bind::<SocketAddr>)
        .unwrap();
    let (signal, drain) = drain::channel();
    let serving = tokio::spawn(listen(&path, &old).serve(signal));

    let new = Sockets::default();
    let settings = settings("default/a", &path);
    let predecessor = take_over(&settings, &new).await.unwrap().unwrap();
    let taken = new.tcp_group("explicit", free(), 1).unwrap();
    let address = |sockets: &[sockets::Open<std::net::TcpListener>]| {
        let all = sockets.iter().map(|(socket, _)| socket.local_addr());
        all.collect::<Result<Vec<_>, io::Error>>().unwrap()
    };
    assert_eq!(address(&taken), address(&group), "no queue is left behind");
    for (port, socket) in many.iter().enumerate() {
        let taken = new
            .tcp_group(&format!("inbound {port}"), free(), 1)
            .unwrap();
        assert_eq!(address(&taken), address(socket));
    }
    let local = udp.local_addr().unwrap();
    // By its address, whatever option asks for it.
    let (taken, _taken) = new
        .udp("other", local, |_| Err(io::ErrorKind::AddrInUse.into()))
        .unwrap();
    assert_eq!(taken.local_addr().unwrap(), local);
    let heir = Successors::listen(&path, &new, &"default/a".parse().unwrap()).unwrap();
    assert!(new.rest().is_empty());

    assert!(!drain.is_draining());
    predecessor.release().await;
    serving.await.unwrap();
    assert!(drain.is_replaced() && drain.is_draining());
    // The next one finds the second in the same place.
    let (signal, _drain) = drain::channel();
    let serving = tokio::spawn(heir.serve(signal));
    let third = Sockets::default();
    let predecessor = take_over(&settings, &third).await.unwrap();
    assert!(predecessor.is_some());
    serving.abort();
}

#[tokio::test]
async fn unix_sockets_of_the_configuration_wait_until_it_asks() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let old = Sockets::default();
    let open = |path: &Path| old.configured_unix(path, || UnixListener::bind(path));
    let kept = open(&at("kept")).unwrap();
    let unwanted = open(&at("unwanted")).unwrap();
    let (signal, _drain) = drain::channel();
    let serving = tokio::spawn(listen(&at("socket"), &old).serve(signal));
    let new = Sockets::default();
    let settings = settings("default/a", &at("socket"));
    let predecessor = take_over(&settings, &new).await.unwrap().unwrap();
    assert!(new.rest().is_empty());
    let busy = || Err(io::ErrorKind::AddrInUse.into());
    let claim = new.claim(&at("kept")).unwrap();
    // Another worker sees the claim, and has no use for the socket itself.
    assert!(new.claim(&at("kept")).is_none());
    new.forget_configured();
    let (listener, _offered) = new.configured_unix(&at("kept"), busy).unwrap();
    // Only one of the workers gets it.
    let again = new.configured_unix(&at("kept"), busy).map(|_| ());
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    drop(claim);
    predecessor.release().await;
    serving.await.unwrap();
    drop((kept, unwanted));
    let _client = UnixStream::connect(at("kept")).unwrap();
    listener.accept().unwrap();
    UnixStream::connect(at("unwanted")).unwrap_err();
}

#[tokio::test]
async fn what_waits_in_a_queue_is_served_by_whoever_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let old = Sockets::default();
    let (socket, offered) = old.tcp("admin", free(), bind).unwrap();
    let address = socket.local_addr().unwrap();
    let (signal, _drain) = drain::channel();
    let serving = tokio::spawn(listen(&path, &old).serve(signal));
    let new = Sockets::default();
    let settings = settings("default/a", &path);
    let predecessor = take_over(&settings, &new).await.unwrap().unwrap();
    // It waits in the queue while the older process ends.
    let client = std::net::TcpStream::connect(address).unwrap();
    serving.abort();
    assert!(serving.await.is_err());
    drop((socket, offered));
    let (socket, _offered) = new.tcp("admin", free(), bind).unwrap();
    socket.set_nonblocking(true).unwrap();
    let (_, peer) = socket.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    predecessor.release().await;
}

#[tokio::test]
async fn whoever_ends_too_early_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let old = Sockets::default();
    let (signal, drain) = drain::channel();
    let serving = tokio::spawn(listen(&path, &old).serve(signal));
    let settings = settings("default/a", &path);
    for _ in 0..3 {
        let new = Sockets::default();
        let predecessor = take_over(&settings, &new).await.unwrap();
        drop(predecessor.unwrap());
    }
    assert!(!drain.is_draining());
    let predecessor = take_over(&settings, &Sockets::default()).await.unwrap();
    predecessor.unwrap().release().await;
    serving.await.unwrap();
    assert!(drain.is_replaced());
}

#[tokio::test]
async fn another_workload_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let old = Sockets::default();
    let (signal, drain) = drain::channel();
    let serving = tokio::spawn(listen(&path, &old).serve(signal));
    let settings = settings("default/b", &path);
    let error = take_over(&settings, &Sockets::default()).await.unwrap_err();
    assert!(
        error.to_string().ends_with("it serves default/a"),
        "{error}"
    );
    assert!(!drain.is_draining());
    serving.abort();
}

#[tokio::test]
async fn a_file_that_nobody_answers_is_no_predecessor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let settings = settings("default/a", &path);
    let sockets = Sockets::default();
    assert!(take_over(&settings, &sockets).await.unwrap().is_none());
    drop(listen(&path, &sockets));
    assert!(path.exists());
    assert!(take_over(&settings, &sockets).await.unwrap().is_none());
    // And it is no hindrance.
    drop(listen(&path, &sockets));
}

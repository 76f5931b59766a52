//! Bytes: passed through, inside of TLS, and without.

use super::*;

#[tokio::test]
async fn tls_is_passed_through_by_name() {
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    // A gateway of its own is the server that ends TLS.
    let app = App::echo("behind").await;
    let inner_port = vacant();
    let inner = a_example_com(&app, &leaf);
    let _inner = at(proxy(inner), &inner_port);
    drop(tcp(inner_port.address).await);
    let port = vacant();
    let passed = TlsServer {
        sni_hosts: vec!["a.example.com".into()],
        mode: TlsServerMode::Passthrough.into(),
        protocol: Protocol::Tls.into(),
        tcp: to("server", 443),
        ..Default::default()
    };
    let config = Config::default()
        .service(service("server", 443, Protocol::Tls).plain(inner_port.address))
        .listener(listener(vec![passed]));
    let _outer = at(proxy(config), &port);
    let client = outside.client(nothing, None);
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    assert_eq!(peer_der(&stream), leaf.der);
    let answer = get(&mut stream, "a.example.com").await.unwrap();
    assert!(answer.contains(&format!("{NAME}: behind\r\n")), "{answer}");
    connect(port.address, "b.example.com", &client)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn opaque_bytes_inside_of_tls_and_without() {
    let greeting = App::raw(|mut stream| async move {
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let mut line = [0; 4];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
    })
    .await;
    let outside = Authority::new();
    let leaf = outside.server(&["mail.example.com"]);
    // One offset moves all ports of a gateway: the higher one can be told from the lower.
    let (mut port, mut plain) = (vacant(), vacant());
    if plain.address.port() < port.address.port() {
        std::mem::swap(&mut port, &mut plain);
    }
    let number = PORT + (plain.address.port() - port.address.port());
    let server = TlsServer {
        protocol: Protocol::Tcp.into(),
        hosts: Vec::new(),
        tcp: to("mail", 25),
        ..https(&["mail.example.com"], "cert", "mail")
    };
    let config = Config::default()
        .service(service("mail", 25, Protocol::Tcp).plain(greeting.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![server]))
        .listener(GatewayListener {
            port: number.into(),
            protocol: Protocol::Tcp.into(),
            tcp: to("mail", 25),
            ..Default::default()
        });
    let _gateway = at(proxy(config), &port);
    let mut stream = connect(port.address, "mail.example.com", &outside.client(h2, None))
        .await
        .unwrap();
    // The server speaks first.
    let mut hello = [0; 11];
    within(stream.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"220 hello\r\n");
    stream.write_all(b"QUIT").await.unwrap();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"bye");
    let mut stream = tcp(plain.address).await;
    within(stream.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"220 hello\r\n");
}

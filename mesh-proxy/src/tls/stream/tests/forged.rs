//! A peer that does not keep to the protocol.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use tokio::io::DuplexStream;

use super::*;

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// The peer, with its keys in the hands of the test.
struct Forger {
    io: DuplexStream,
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Forger {
    fn new(theirs: Theirs<DuplexStream>) -> Self {
        let (io, secrets) = match theirs {
            Theirs::Client(theirs) => {
                let (io, session) = theirs.into_inner();
                (io, session.dangerous_extract_secrets())
            }
            Theirs::Server(theirs) => {
                let (io, session) = theirs.into_inner();
                (io, session.dangerous_extract_secrets())
            }
        };
        let (sequence, secrets) = secrets.unwrap().tx;
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            _ => panic!("another cipher"),
        };
        Self {
            io,
            key: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).unwrap()),
            iv: iv.as_ref().try_into().unwrap(),
            sequence,
        }
    }

    // RFC 8446 section 5.2.
    fn record(&mut self, kind: u8, octets: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        for (octet, mask) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *octet ^= mask;
        }
        self.sequence += 1;
        let mut inner = [octets, &[kind]].concat();
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let head = [DATA, 3, 3, length[0], length[1]];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(&head), &mut inner)
            .unwrap();
        [&head[..], &inner].concat()
    }

    async fn send(&mut self, kind: u8, octets: &[u8]) {
        let record = self.record(kind, octets);
        self.io.write_all(&record).await.unwrap();
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_an_error() {
    for (what, cut) in [("between records", 0), ("inside of one", 9)] {
        let (near, far) = duplex(64 * 1024);
        let (mut ours, mut theirs) = pair(&configs(None), true, near, far).await;
        theirs.write_all(b"all of it?").await.unwrap();
        theirs.flush().await.unwrap();
        let mut forger = Forger::new(theirs);
        if cut > 0 {
            let record = forger.record(DATA, b"never whole");
            forger.io.write_all(&record[..cut]).await.unwrap();
        }
        drop(forger);
        let mut got = [0; 10];
        ours.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"all of it?");
        let error = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{what}");
        let again = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::UnexpectedEof, "{what}");
    }
}

// A ticket as a server may send at any time (RFC 8446 section 4.6.1).
fn ticket() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&7200_u32.to_be_bytes());
    body.extend_from_slice(&1_u32.to_be_bytes());
    body.extend_from_slice(&[1, 9]);
    body.extend_from_slice(&300_u16.to_be_bytes());
    body.extend_from_slice(&[5; 300]);
    body.extend_from_slice(&[0, 0]);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[4][..], &length[1..], &body].concat()
}

#[tokio::test]
async fn a_message_in_parts_disturbs_no_writer() {
    let (near, far) = duplex(64 * 1024);
    let (mut ours, theirs) = pair(&configs(None), false, near, far).await;
    let mut forger = Forger::new(theirs);
    let message = ticket();
    forger.send(DATA, b"a").await;
    ours.read_exact(&mut [0]).await.unwrap();
    for part in message.chunks(50) {
        let record = forger.record(HANDSHAKE, part);
        for piece in record.chunks(40) {
            forger.io.write_all(piece).await.unwrap();
            // It reads what is there.
            let mut buffer = [0; 8];
            tokio::select! {
                biased;
                got = ours.read(&mut buffer) => panic!("{got:?}"),
                () = tokio::task::yield_now() => {}
            }
            ours.write_all(b"meanwhile").await.unwrap();
            ours.flush().await.unwrap();
        }
    }
    forger.send(DATA, b"b").await;
    let mut got = [0];
    ours.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"b");
    assert!(ours.0.incoming.is_empty());
    ours.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_client_who_never_finishes_a_message_harms_nobody() {
    let (near, far) = duplex(64 * 1024);
    let (mut ours, theirs) = pair(&configs(None), true, near, far).await;
    let mut forger = Forger::new(theirs);
    // Half a request for other keys, then data, which must not come between.
    forger.send(HANDSHAKE, &[24, 0, 0]).await;
    let mut buffer = [0; 8];
    tokio::select! {
        biased;
        got = ours.read(&mut buffer) => panic!("{got:?}"),
        () = tokio::task::yield_now() => {}
    }
    ours.write_all(b"an answer").await.unwrap();
    ours.flush().await.unwrap();
    forger.send(DATA, b"x").await;
    let error = ours.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(ours.write(b"x").await.is_err());
    ours.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_trusted_ends_it_behind_what_came_before() {
    let flip = |mut record: Vec<u8>| {
        *record.last_mut().unwrap() ^= 1;
        record
    };
    type Forge = Box<dyn Fn(&mut Forger) -> Vec<u8>>;
    let forged: [(&str, Forge); 6] = [
        (
            "another octet",
            Box::new(move |it| flip(it.record(DATA, b"evil"))),
        ),
        (
            "plain text",
            Box::new(|_| b"\x17\x03\x03\0\x20GET / HTTP/1.1\r\nHost: a.b\r\n\r\n".to_vec()),
        ),
        ("a plain end", Box::new(|_| vec![21, 3, 3, 0, 2, 1, 0])),
        ("too long", Box::new(|_| vec![DATA, 3, 3, 0x48, 1])),
        ("no TLS", Box::new(|_| b"GET / HTTP/1.1\r\n\r\n".to_vec())),
        (
            "a handshake again",
            Box::new(|it| it.record(HANDSHAKE, &[1, 0, 0, 1, 0])),
        ),
    ];
    for we_serve in [true, false] {
        for (what, forge) in &forged {
            let (near, far) = duplex(64 * 1024);
            let (mut ours, theirs) = pair(&configs(None), we_serve, near, far).await;
            let mut forger = Forger::new(theirs);
            let mut sent = forger.record(DATA, b"good");
            sent.extend(forge(&mut forger));
            sent.extend(forger.record(DATA, b"later"));
            forger.io.write_all(&sent).await.unwrap();
            let mut got = [0; 64];
            let count = ours.read(&mut got).await.unwrap();
            assert_eq!(&got[..count], b"good", "{what}");
            for _ in 0..2 {
                let error = ours.read(&mut got).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}");
            }
            assert!(ours.write(b"x").await.is_err(), "{what}");
            ours.shutdown().await.unwrap();
            // The peer is told: an alert, and the end.
            let mut told = Vec::new();
            forger.io.read_to_end(&mut told).await.unwrap();
            assert!(told.len() > 5, "{what}: {told:?}");
        }
    }
}

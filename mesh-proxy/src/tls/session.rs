//! A session of rustls, without buffers.

use std::io;

use bytes::BytesMut;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CommonState, Error};

/// Either side of a session.
pub(super) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What came of some octets.
pub(super) struct Got {
    /// So many at their beginning are done with.
    pub(super) discard: usize,
    pub(super) next: Result<Next, Error>,
}

/// What to do.
pub(super) enum Next {
    /// Ask again with the rest of the octets.
    Again,
    /// More octets are needed.
    Idle,
    /// The peer has ended its side: no octets will mean anything.
    Ended,
}

// The same of both sides, which rustls has no word for.
trait Process {
    type Data;
    fn process<'c, 'i>(&'c mut self, octets: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Process for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        octets: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(octets)
    }
}

impl Process for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        octets: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(octets)
    }
}

// === impl Session ===

impl Session {
    pub(super) fn state(&self) -> &CommonState {
        match self {
            Self::Client(session) => session,
            Self::Server(session) => session,
        }
    }

    /// Takes records from the front of `octets`: what they carry goes to `got`, what is to be sent
    /// for them to the end of `output`.
    pub(super) fn step(
        &mut self,
        octets: &mut [u8],
        got: &mut dyn FnMut(&[u8]),
        output: &mut BytesMut,
    ) -> Got {
        match self {
            Self::Client(session) => step(session, octets, got, output),
            Self::Server(session) => step(session, octets, got, output),
        }
    }

    /// Puts what is to be sent after a failure, an alert, to the end of `output`. Nothing else may
    /// be asked of the session after that.
    pub(super) fn alert(&mut self, octets: &mut [u8], output: &mut BytesMut) {
        // While there is something to send, nothing of what came is looked at.
        while self.state().wants_write() {
            if self.step(octets, &mut |_| {}, output).next.is_err() {
                return;
            }
        }
    }

    /// Encrypts into `sealed`; returns how much of it. What has to be sent before goes to the end
    /// of `output`. `incoming` is what came and is not done with.
    pub(super) fn seal(
        &mut self,
        octets: &[u8],
        sealed: &mut [u8],
        incoming: &mut [u8],
        output: &mut BytesMut,
    ) -> io::Result<usize> {
        match self {
            Self::Client(session) => write(session, incoming, output, |traffic| {
                traffic.encrypt(octets, sealed)
            }),
            Self::Server(session) => write(session, incoming, output, |traffic| {
                traffic.encrypt(octets, sealed)
            }),
        }
    }

    /// Ends this side, by the end of `output`. `incoming` is what came and is not done with.
    pub(super) fn end(&mut self, incoming: &mut [u8], output: &mut BytesMut) -> io::Result<()> {
        // An alert, and an answer to a request for other keys.
        let mut alert = [0; 256];
        let length = match self {
            Self::Client(session) => write(session, incoming, output, |traffic| {
                traffic.queue_close_notify(&mut alert)
            }),
            Self::Server(session) => write(session, incoming, output, |traffic| {
                traffic.queue_close_notify(&mut alert)
            }),
        }?;
        output.extend_from_slice(alert.get(..length).unwrap_or_default());
        Ok(())
    }
}

fn step<S: Process>(
    session: &mut S,
    octets: &mut [u8],
    got: &mut dyn FnMut(&[u8]),
    output: &mut BytesMut,
) -> Got {
    let UnbufferedStatus { mut discard, state } = session.process(octets);
    let next = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    got(record.payload);
                    discard += record.discard;
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Next::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            append(output, |room| data.encode(room));
            Ok(Next::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in the output, ahead of all that comes later.
            data.done();
            Ok(Next::Again)
        }
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Next::Ended),
        // Nobody allows early data.
        Ok(_) => Ok(Next::Idle),
    };
    Got { discard, next }
}

/// Lets `act` write, once what has to be sent before is at the end of `output`.
///
/// The session remembers where in `incoming` the part of a message is that is not whole yet, and
/// would look for it there: it must get what it left there. Since all that could be taken from it
/// was, nothing will be.
fn write<S: Process>(
    session: &mut S,
    incoming: &mut [u8],
    output: &mut BytesMut,
    act: impl FnOnce(&mut WriteTraffic<'_, S::Data>) -> Result<usize, EncryptError>,
) -> io::Result<usize> {
    loop {
        match session.process(incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return act(&mut traffic).map_err(io::Error::other);
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(output, |room| data.encode(room));
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            // The peer's end says nothing of this side's.
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

fn append(output: &mut BytesMut, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        encode(&mut [])
    else {
        return;
    };
    let before = output.len();
    output.resize(before + required_size, 0);
    let room = output.get_mut(before..).unwrap_or_default();
    // It was asked for what it needs.
    let written = encode(room).unwrap_or_default();
    output.truncate(before + written);
}

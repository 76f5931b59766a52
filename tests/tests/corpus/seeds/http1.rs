//! HTTP/1: heads as clients and servers write them, and shapes that hide others.

use super::{Seeds, named};

/// Requests with what stands behind them.
pub(super) fn requests() -> Seeds {
    named([
        ("get", b"GET /reviews/0?x=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: curl/8.14\r\nAccept: */*\r\n\r\n".as_slice()),
        ("post", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n"),
        ("chunks", b"PUT /x HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ("absolute", b"GET http://u@reviews/x#f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        ("connect", b"CONNECT reviews:443 HTTP/1.1\r\nHost: reviews:443\r\n\r\n\x16\x03\x01"),
        ("upgrade", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
        ("line_feeds", b"\r\nGET / HTTP/1.1\nHost: a\nX-Empty:\nX-Case: 1\nx-case: 2\n\n"),
        ("two_lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("spaces", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: +4\r\n\r\n"),
        ("bad_chunk", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0005\nhello\r\nffffffffffffffff\r\n"),
    ])
}

/// Responses; the first octet says whether they answer a HEAD.
pub(super) fn responses() -> Seeds {
    named([
        ("length", b"\0HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Case: 1\r\n\r\nok".as_slice()),
        ("chunks", b"\0HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n"),
        ("endless", b"\0HTTP/1.0 404 Not here\r\nServer: x\r\n\r\nuntil the end"),
        ("head", b"\x01HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        ("none", b"\0HTTP/1.1 204 No Content\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"),
        ("hints", b"\0HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("switch", b"\0HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello"),
        ("identity", b"\0HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"),
        ("two_lengths", b"\0HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ])
}

"""HBONE with the package h2: a client that opens tunnels, and a server that ends them.

    hbone.py client ADDRESS CERTIFICATE KEY ROOTS TARGET [TARGET...]
    hbone.py server ADDRESS CERTIFICATE KEY ROOTS APP

The client asks for `/hello` through a tunnel to each target, all on one connection, and prints for
each the status of the CONNECT, `x-mesh-reason` and what came; a target that ends in `!` is reset
after its answer has begun. The server carries every tunnel to APP, whatever its target, and prints
who asked for what.
"""

import asyncio
import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions


def context(purpose, certificate, key, roots):
    made = ssl.SSLContext(purpose)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(roots)
    # Identities are URIs, which this module cannot compare.
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.set_alpn_protocols(["h2"])
    return made


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def identity(certificate):
    names = certificate.get("subjectAltName", ())
    return [value for kind, value in names if kind == "URI"]


def client(address, certificate, key, roots, targets):
    raw = socket.create_connection(split(address), timeout=20)
    tls = context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, roots).wrap_socket(raw)
    assert tls.selected_alpn_protocol() == "h2", tls.selected_alpn_protocol()
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    streams = {}
    for target in targets:
        stream = connection.get_next_available_stream_id()
        connection.send_headers(
            stream,
            [
                (":method", "CONNECT"),
                (":authority", target.rstrip("!")),
                ("baggage", "k8s.deployment.name=outsider,service.name=outsider"),
            ],
        )
        streams[stream] = {"target": target, "data": b"", "ended": False}
    open_streams = set(streams)
    while open_streams:
        tls.sendall(connection.data_to_send())
        for event in connection.receive_data(tls.recv(65536) or sys.exit("connection closed")):
            stream = streams.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                stream["status"] = headers[":status"]
                stream["reason"] = headers.get("x-mesh-reason")
                if stream["status"] == "200":
                    request = b"GET /hello HTTP/1.1\r\nHost: web:8080\r\nConnection: close\r\n\r\n"
                    connection.send_data(event.stream_id, request)
            elif isinstance(event, h2.events.DataReceived):
                stream["data"] += event.data
                connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
                if stream["target"].endswith("!") and event.stream_id in open_streams:
                    # More may be on its way, or all of it have come.
                    try:
                        connection.reset_stream(event.stream_id)
                    except h2.exceptions.StreamClosedError:
                        pass
                    open_streams.discard(event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream["ended"] = True
                open_streams.discard(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                stream["reset"] = event.error_code
                open_streams.discard(event.stream_id)
    tls.sendall(connection.data_to_send())
    for stream in streams.values():
        stream["data"] = stream["data"].decode()
    print(json.dumps({"server": identity(tls.getpeercert()), "streams": list(streams.values())}))


class Server(asyncio.Protocol):
    def __init__(self, app):
        self.app = app
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False)
        )
        self.tunnels = {}

    def connection_made(self, transport):
        self.transport = transport
        self.peer = identity(transport.get_extra_info("peercert"))
        self.connection.initiate_connection()
        self.flush()
        print("connection", *self.peer, flush=True)

    def flush(self):
        self.transport.write(self.connection.data_to_send())

    def data_received(self, data):
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                print(headers[":method"], headers[":authority"], headers.get("baggage"), flush=True)
                queue = self.tunnels[event.stream_id] = asyncio.Queue()
                asyncio.ensure_future(self.carry(event.stream_id, queue))
            elif isinstance(event, h2.events.DataReceived):
                self.tunnels[event.stream_id].put_nowait(event.data)
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
            elif isinstance(event, h2.events.StreamEnded):
                self.tunnels[event.stream_id].put_nowait(None)
            elif isinstance(event, h2.events.StreamReset):
                print("reset", int(event.error_code), flush=True)
                self.tunnels[event.stream_id].put_nowait(None)
        self.flush()

    async def carry(self, stream, queue):
        reader, writer = await asyncio.open_connection(*split(self.app))
        self.connection.send_headers(stream, [(":status", "200")])
        self.flush()

        async def upward():
            while (data := await queue.get()) is not None:
                writer.write(data)
                await writer.drain()
            writer.write_eof()

        asyncio.ensure_future(upward())
        try:
            while data := await reader.read(16384):
                while self.connection.local_flow_control_window(stream) < len(data):
                    await asyncio.sleep(0.001)
                self.connection.send_data(stream, data)
                self.flush()
            self.connection.end_stream(stream)
            self.flush()
        except h2.exceptions.ProtocolError:
            # The client has reset it.
            pass
        writer.close()


async def serve(address, certificate, key, roots, app):
    host, port = split(address)
    server = await asyncio.get_running_loop().create_server(
        lambda: Server(app),
        host,
        port,
        ssl=context(ssl.PROTOCOL_TLS_SERVER, certificate, key, roots),
    )
    await server.serve_forever()


if sys.argv[1] == "client":
    client(*sys.argv[2:6], sys.argv[6:])
else:
    asyncio.run(serve(*sys.argv[2:7]))

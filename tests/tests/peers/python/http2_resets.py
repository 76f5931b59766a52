"""Streams of HTTP/2 that are reset, with the package h2.

    http2_resets.py ADDRESS AUTHORITY

On one connection: asks for `/endless` four times and resets two of them after their first data,
asks for `/reset`, which the server resets, and for `/hello` after all that. Prints what became of
each.
"""

import json
import socket
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events

address, authority = sys.argv[1:]
host, port = address.rsplit(":", 1)
raw = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
connection.initiate_connection()
streams = {}


def ask(path):
    stream = connection.get_next_available_stream_id()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)]
    connection.send_headers(stream, fields, end_stream=True)
    streams[stream] = {"path": path, "status": None, "bytes": 0, "end": None}
    return stream


def until(done):
    while not done():
        raw.sendall(connection.data_to_send())
        for event in connection.receive_data(raw.recv(65536) or sys.exit("connection closed")):
            stream = streams.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                stream["status"] = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                stream["bytes"] += len(event.data)
                length = event.flow_controlled_length
                connection.acknowledge_received_data(length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                stream["end"] = "reset"
            elif isinstance(event, h2.events.StreamEnded):
                stream["end"] = "ended"


endless = [ask("/endless") for _ in range(4)]
until(lambda: all(streams[stream]["bytes"] for stream in endless))
for stream in endless[:2]:
    connection.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
    streams[stream]["end"] = "cancelled"
reset = ask("/reset")
until(lambda: streams[reset]["end"])
last = ask("/hello")
until(lambda: streams[last]["end"])
# Those that nobody has reset go on.
before = [streams[stream]["bytes"] for stream in endless[2:]]
until(lambda: all(streams[s]["bytes"] > b for s, b in zip(endless[2:], before)))
print(json.dumps(list(streams.values())))

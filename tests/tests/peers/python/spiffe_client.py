"""An application that gets its identity by the SPIFFE Workload API: spiffe_client.py SOCKET
DIRECTORY UPDATES. Waits for so many updates, writes the last certificate, key and roots as PEM
files, and prints JSON."""
import json
import pathlib
import queue
import sys

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from spiffe.workloadapi.workload_api_client import WorkloadApiClient

SOCKET, DIRECTORY, UPDATES = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
client = WorkloadApiClient(SOCKET)
contexts = queue.Queue()
client.stream_x509_contexts(contexts.put, lambda error: contexts.put(error))
serials = []
for _ in range(UPDATES):
    context = contexts.get(timeout=40)
    if isinstance(context, Exception):
        raise context
    serials.append(format(context.default_svid.leaf.serial_number, "x"))
svid = context.default_svid
svid.save(DIRECTORY / "chain.pem", DIRECTORY / "key.pem", Encoding.PEM)
bundles = client.fetch_x509_bundles().bundles
(roots,) = bundles
(DIRECTORY / "roots.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in roots.x509_authorities))

# What no library does: without the header that keeps browsers out.
channel = grpc.insecure_channel(SOCKET.replace("unix://", "unix:"))
bare = channel.unary_stream("/SpiffeWorkloadAPI/FetchX509SVID")
try:
    list(bare(b"", timeout=20))
    refused = "no"
except grpc.RpcError as error:
    refused = error.code().name
print(json.dumps({
    "id": str(svid.spiffe_id),
    "domains": [bundle.trust_domain.name for bundle in bundles],
    "serials": serials,
    "bare": refused,
}))

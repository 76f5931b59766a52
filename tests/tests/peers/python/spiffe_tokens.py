"""An application that gets JWT-SVIDs by the SPIFFE Workload API: spiffe_tokens.py SOCKET OTHER.
SOCKET is its own sidecar's, OTHER that of a workload which is shown the tokens. Prints JSON."""
import json
import queue
import sys

import grpc
from spiffe import SpiffeId, TrustDomain
from spiffe.svid.jwt_svid import JwtSvid
from spiffe.workloadapi.workload_api_client import WorkloadApiClient

client, other = WorkloadApiClient(sys.argv[1]), WorkloadApiClient(sys.argv[2])


def refused(call):
    """The words of a refusal."""
    try:
        call()
    except Exception as error:  # pylint: disable=broad-except
        return str(error)
    return "no"


bundles = queue.Queue()
client.stream_jwt_bundles(bundles.put, lambda error: bundles.put(error))
first = bundles.get(timeout=40)
if isinstance(first, Exception):
    raise first
domain = TrustDomain("cluster.local")
token = client.fetch_jwt_svid(audience={"db", "web"})
again = client.fetch_jwt_svid(audience={"web", "db"})
seen = other.validate_jwt_svid(token.token, "db")
# By the keys alone, as a program does that has no sidecar.
checked = JwtSvid.parse_and_validate(token.token, first.get_bundle_for_trust_domain(domain), {"web"})
damaged = token.token[:-4] + ("AAAA" if token.token[-4:] != "AAAA" else "BBBB")

# The claims as they come over the wire, which the package keeps for itself.
channel = grpc.insecure_channel(sys.argv[1].replace("unix://", "unix:"))
bare = channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID")
try:
    bare(b"", timeout=20)
    without_header = "no"
except grpc.RpcError as error:
    without_header = error.code().name
print(json.dumps({
    "id": str(token.spiffe_id),
    "seen": str(seen.spiffe_id),
    "checked": str(checked.spiffe_id),
    "same": token.token == again.token,
    "elsewhere": refused(lambda: other.validate_jwt_svid(token.token, "elsewhere")),
    "damaged": refused(lambda: other.validate_jwt_svid(damaged, "db")),
    "foreign": refused(lambda: client.fetch_jwt_svid(
        audience={"db"}, subject=SpiffeId("spiffe://cluster.local/ns/default/sa/web"))),
    "bare": without_header,
}))

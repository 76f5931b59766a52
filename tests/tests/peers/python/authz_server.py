"""External authorizers: authz_server.py ADDRESS grpc|http. Both allow the user `me`,
and over gRPC the account `client` for connections without HTTP.

grpc speaks Envoy's protocol with the classes that Envoy's own files generate; http is the
standard library's server.
"""
import http.server
import sys
from concurrent import futures

import grpc
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

ADDRESS, KIND = sys.argv[1], sys.argv[2]


class Authorization(external_auth_pb2_grpc.AuthorizationServicer):
    def Check(self, request, context):
        attributes = request.attributes
        answer = external_auth_pb2.CheckResponse()
        if not attributes.HasField("request"):
            # A connection without HTTP: the account `client` may.
            may = attributes.source.principal.endswith("/sa/client")
            code = grpc.StatusCode.OK if may else grpc.StatusCode.PERMISSION_DENIED
            answer.status.code = code.value[0]
            return answer
        asked = attributes.request.http
        if asked.headers.get("x-user") != "me":
            answer.status.code = grpc.StatusCode.PERMISSION_DENIED.value[0]
            answer.denied_response.status.code = 401
            answer.denied_response.body = "who are you?"
            header = answer.denied_response.headers.add()
            header.header.key, header.header.value = "x-why", "unknown"
            return answer
        answer.status.code = 0
        told = answer.ok_response.headers.add()
        told.header.key = "x-told"
        told.header.value = " ".join(
            (
                asked.method,
                asked.host,
                asked.path,
                asked.body,
                attributes.source.principal,
                attributes.destination.principal,
                str(attributes.destination.address.socket_address.port_value),
            )
        )
        ticket = answer.ok_response.response_headers_to_add.add()
        ticket.header.key, ticket.header.value = "x-ticket", "t"
        answer.ok_response.headers_to_remove.append("x-gone")
        return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        me = self.headers.get("x-user") == "me"
        text = b"" if me else b"who are you?"
        self.send_response(200 if me else 401)
        self.send_header("x-told", f"{self.command} {self.path} {body.decode()}")
        self.send_header("x-ticket", "t")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


if KIND == "grpc":
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(), server)
    server.add_insecure_port(ADDRESS)
    server.start()
    server.wait_for_termination()
else:
    host, port = ADDRESS.rsplit(":", 1)
    http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()

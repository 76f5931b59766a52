"""A gRPC server of raw bytes: grpc_server.py ADDRESS NAME."""
import sys
import threading
from concurrent import futures

import grpc

ADDRESS, NAME = sys.argv[1], sys.argv[2].encode()


def unary(request, context):
    context.set_trailing_metadata((("x-last", "trailer"),))
    return NAME + b":" + request


def server_stream(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def client_stream(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def both(requests, context):
    for request in requests:
        yield NAME + b":" + request


def abort(request, context):
    code = next(code for code in grpc.StatusCode if code.value[0] == int(request))
    context.abort(code, "with détails / 100 %")


def late_abort(request, context):
    yield b"first"
    context.abort(grpc.StatusCode.DATA_LOSS, "after the first")


def slow(request, context):
    # Until the client gives up: the time that was left when the call came goes back to it.
    left = context.time_remaining()
    context.send_initial_metadata((("x-left", str(left)),))
    return silent(request, context)


def silent(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait()
    return b""


cancelled = 0


def endless(request, context):
    def count():
        global cancelled
        cancelled += 1

    context.add_callback(count)
    yield b"first"
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait()


def count_cancelled(request, context):
    return b"%d" % cancelled


def metadata(request, context):
    return repr(sorted((key, value) for key, value in context.invocation_metadata())).encode()


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Abort": grpc.unary_unary_rpc_method_handler(abort),
    "LateAbort": grpc.unary_stream_rpc_method_handler(late_abort),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
    "Silent": grpc.unary_unary_rpc_method_handler(silent),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
    "Cancelled": grpc.unary_unary_rpc_method_handler(count_cancelled),
    "Metadata": grpc.unary_unary_rpc_method_handler(metadata),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("peer.Test", METHODS),))
assert server.add_insecure_port(ADDRESS)
server.start()
server.wait_for_termination()

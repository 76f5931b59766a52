"""A gRPC client of raw bytes: grpc_client.py TARGET AUTHORITY WHAT [ARGUMENT]; prints JSON."""
import json
import queue
import sys
import threading
import time

import grpc

TARGET, AUTHORITY, WHAT = sys.argv[1:4]
LIMIT = 30
channel = grpc.insecure_channel(
    TARGET, options=[("grpc.default_authority", AUTHORITY), ("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
)


def method(kind, name):
    return getattr(channel, kind)("/peer.Test/" + name)


def error(run):
    try:
        run()
    except grpc.RpcError as failed:
        return [failed.code().name, failed.details()]
    return ["OK", ""]


def kinds():
    unary = method("unary_unary", "Unary")
    answer, call = unary.with_call(b"x" * 1_000_000, timeout=LIMIT)
    said = {"unary": len(answer), "trailer": dict(call.trailing_metadata()).get("x-last")}
    stream = method("unary_stream", "ServerStream")(b"1000", timeout=LIMIT)
    said["server stream"] = [int(message) for message in stream] == list(range(1000))
    parts = (b"y" * 10_000 for _ in range(200))
    said["client stream"] = int(method("stream_unary", "ClientStream")(parts, timeout=LIMIT))
    # One question at a time: each answer has to come while the call is still open.
    questions = queue.Queue()
    answers = method("stream_stream", "Both")(iter(questions.get, None), timeout=LIMIT)
    said["both"] = 0
    for number in range(50):
        questions.put(b"%d" % number)
        said["both"] += next(answers).endswith(b":%d" % number)
    questions.put(None)
    said["ended"] = list(answers) == []
    # Many at once on one connection.
    calls = [unary.future(b"%d" % number, timeout=LIMIT) for number in range(200)]
    said["at once"] = all(call.result().endswith(b":%d" % number) for number, call in enumerate(calls))
    return said


def status():
    said = {}
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            number = code.value[0]
            said[code.name] = error(lambda: method("unary_unary", "Abort")(b"%d" % number, timeout=LIMIT))
    stream = method("unary_stream", "LateAbort")(b"", timeout=LIMIT)
    said["first"] = next(stream).decode()
    said["then"] = error(lambda: next(stream))
    said["no such method"] = error(lambda: method("unary_unary", "None")(b"", timeout=LIMIT))
    return said


def deadline():
    begun = time.monotonic()
    call = method("unary_unary", "Slow").future(b"", timeout=float((sys.argv[4:] or [1])[0]))
    left = float(dict(call.initial_metadata())["x-left"])
    code = call.code().name
    took = time.monotonic() - begun
    return {"left": left, "code": code, "took": took}


def one():
    """What becomes of one call."""
    return error(lambda: method("unary_unary", sys.argv[4])(b"", timeout=LIMIT))


def cancel():
    stream = method("unary_stream", "Endless")(b"", timeout=LIMIT)
    first = next(stream).decode()
    stream.cancel()
    # The server hears of it.
    end = time.monotonic() + LIMIT
    while method("unary_unary", "Cancelled")(b"", timeout=LIMIT) != b"1" and time.monotonic() < end:
        time.sleep(0.01)
    return {"first": first, "code": stream.code().name, "in time": time.monotonic() < end}


def spread():
    """Calls on one connection until each of these has answered so many: who answered how many. One
    that was slow once is called less often for a while."""
    counts = dict.fromkeys(sys.argv[4].split(","), 0)
    end = time.monotonic() + 45
    while min(counts.values()) < int(sys.argv[5]) and time.monotonic() < end:
        name = method("unary_unary", "Unary")(b"", timeout=LIMIT).split(b":")[0].decode()
        counts[name] = counts.get(name, 0) + 1
    return counts


def until():
    """Calls on one connection without end, until all of these have answered; none may fail."""
    wanted, seen, said = set(sys.argv[4].split(",")), set(), False
    end = time.monotonic() + 45
    while not wanted <= seen and time.monotonic() < end:
        seen.add(method("unary_unary", "Unary")(b"", timeout=LIMIT).split(b":")[0].decode())
        if len(seen) == len(wanted) - 1 and not said:
            said = True
            print("some", flush=True, file=sys.stderr)
    return sorted(seen)


print(json.dumps(globals()[WHAT]()))

"""An issuer of tokens, by PyJWT: serves its keys, replaces them, and serves them badly.

GET  /keys                 the keys in force, as a JSON Web Key Set
GET  /slow /huge /moved /failing /garbage /empty   the same, spoilt
GET  /token?alg=A&iss=I    a token by the newest key of that algorithm
POST /replace              new keys in place of all
GET  /asked                how often /keys was asked
"""

import http.server
import json
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ALGORITHMS = ["RS256", "PS384", "ES256", "ES384", "EdDSA"]


def make(algorithm):
    if algorithm[:2] in ("RS", "PS"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ES384":
        return ec.generate_private_key(ec.SECP384R1())
    return ed25519.Ed25519PrivateKey.generate()


class Keys:
    def __init__(self, generation):
        self.generation = generation
        self.private = {name: make(name) for name in ALGORITHMS}

    def kid(self, algorithm):
        return f"{algorithm}-{self.generation}"

    def public(self):
        keys = []
        for name, key in self.private.items():
            jwk = json.loads(get_default_algorithms()[name].to_jwk(key.public_key()))
            keys.append({**jwk, "kid": self.kid(name), "alg": name, "use": "sig"})
        return json.dumps({"keys": keys})


class Handler(http.server.BaseHTTPRequestHandler):
    keys = Keys(1)
    asked = 0
    lock = threading.Lock()

    def answer(self, body, status=200, **fields):
        data = body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        kind = type(self)
        if url.path == "/keys":
            with kind.lock:
                kind.asked += 1
            self.answer(kind.keys.public())
        elif url.path == "/asked":
            self.answer(str(kind.asked))
        elif url.path == "/token":
            now = int(time.time())
            claims = {"iss": query["iss"], "sub": "somebody", "iat": now, "exp": now + 600}
            algorithm = query["alg"]
            key = kind.keys.private[algorithm]
            headers = {"kid": kind.keys.kid(algorithm)}
            self.answer(jwt.encode(claims, key, algorithm=algorithm, headers=headers))
        elif url.path == "/slow":
            # Longer than anybody waits.
            time.sleep(30)
        elif url.path == "/huge":
            self.answer(kind.keys.public() + " " * (2 << 20))
        elif url.path == "/moved":
            self.answer("", 302, location="/keys")
        elif url.path == "/failing":
            self.answer(kind.keys.public(), 500)
        elif url.path == "/garbage":
            self.answer("keys")
        elif url.path == "/empty":
            self.answer('{"keys": []}')
        else:
            self.answer("", 404)

    def do_POST(self):
        kind = type(self)
        kind.keys = Keys(kind.keys.generation + 1)
        self.answer("")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

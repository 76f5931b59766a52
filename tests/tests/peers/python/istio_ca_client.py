"""Istio's certificate service, called as an agent does: istio_ca_client.py TARGET NAME ROOTS CSR TOKEN; prints JSON."""
import json
import sys

import grpc

TARGET, NAME, ROOTS, CSR, TOKEN = sys.argv[1:6]
METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def question(message):
    """IstioCertificateRequest: csr = 1, validity_duration = 3."""
    csr = message.encode()
    return b"\x0a" + varint(len(csr)) + csr + b"\x18" + varint(3600)


def answer(data):
    """IstioCertificateResponse: repeated cert_chain = 1."""
    chain, at = [], 0
    while at < len(data):
        assert data[at] == 0x0A, data[at]
        at, length, shift = at + 1, 0, 0
        while True:
            byte = data[at]
            at, length, shift = at + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        chain.append(data[at : at + length].decode())
        at += length
    return chain


with open(ROOTS, "rb") as roots, open(CSR) as csr, open(TOKEN) as token:
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(roots.read()), grpc.access_token_call_credentials(token.read().strip())
    )
    channel = grpc.secure_channel(TARGET, credentials, options=[("grpc.ssl_target_name_override", NAME)])
    create = channel.unary_unary(METHOD, request_serializer=question, response_deserializer=answer)
    try:
        print(json.dumps({"chain": create(csr.read(), timeout=30)}))
    except grpc.RpcError as failed:
        metadata = dict(failed.trailing_metadata() or ())
        print(json.dumps({"code": failed.code().name, "refusal": metadata.get("mesh-refusal")}))

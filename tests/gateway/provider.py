"""An OpenID Connect provider on loopback: a real server that publishes its configuration and keys, and signs tokens."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Sign = Callable[[bytes], bytes]
AUDIENCE = "mediation"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def es(key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm | None = None) -> Sign:
    size = (key.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest or hashes.SHA256())))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


def rs(key: rsa.RSAPrivateKey) -> Sign:
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def ps(key: rsa.RSAPrivateKey) -> Sign:
    return lambda data: key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def hs(secret: bytes) -> Sign:
    return lambda data: hmac.digest(secret, data, hashlib.sha256)


def compact(header: dict | bytes, claims: dict | bytes, sign: Sign) -> str:
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    signed = ".".join(map(b64, parts))
    return f"{signed}.{b64(sign(signed.encode()))}"


def ec_jwk(key: ec.EllipticCurvePrivateKey, **more: object) -> dict:
    public, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[key.key_size]
    return {"kty": "EC", "crv": curve, "x": number(public.x, size), "y": number(public.y, size)} | more


def rsa_jwk(key: rsa.RSAPrivateKey, **more: object) -> dict:
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(public.n), "e": number(public.e)} | more


def okp_jwk(key: ed25519.Ed25519PrivateKey, **more: object) -> dict:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())} | more


class Provider:
    """The provider: what it publishes can be changed, and how often it was asked for its keys is counted."""

    def __init__(self, address: str) -> None:
        self.issuer = f"{address}/realms/one"
        self.ec, self.rsa, self.ed = ec.generate_private_key(ec.SECP256R1()), RSA, ed25519.Ed25519PrivateKey.generate()
        self.keys: list[dict] = [
            ec_jwk(self.ec, kid="es", use="sig", alg="ES256"),
            rsa_jwk(self.rsa, kid="rs", use="sig"),
            okp_jwk(self.ed, kid="ed", alg="EdDSA"),
        ]
        self.said: dict[str, object] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        """What is answered at a path instead."""
        self.asked = 0
        self.open = threading.Event()
        self.open.set()

    def claims(self, **changes: object) -> dict[str, object]:
        at = int(time.time())
        said = {"iss": self.issuer, "aud": AUDIENCE, "sub": "f:1:wang", "iat": at, "exp": at + 600, "client_id": "desk"}
        return {name: value for name, value in (said | changes).items() if value is not None}

    def header(self, **changes: object) -> dict[str, object]:
        said = {"typ": "at+jwt", "alg": "ES256", "kid": "es"} | changes
        return {name: value for name, value in said.items() if value is not None}

    def token(self, header: dict | None = None, **claims: object) -> str:
        """A good ES256 token, but for what is changed."""
        return compact(self.header(**(header or {})), self.claims(**claims), es(self.ec))

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if path == "/realms/one/keys":
            self.asked += 1
        self.open.wait(10)
        if path in self.answers:
            return self.answers[path]
        if path == "/realms/one/keys":
            return 200, json.dumps({"keys": self.keys}).encode(), {}
        if path == "/realms/one/.well-known/openid-configuration":
            return 200, json.dumps(self.said).encode(), {}
        return 404, b"{}", {}


RSA = rsa.generate_private_key(65537, 2048)


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = made.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        made.open.set()
        server.shutdown()
        server.server_close()

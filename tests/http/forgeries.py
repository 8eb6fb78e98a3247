"""A hundred and more bad tokens, each a function of the provider in whose name it is sent: forged, stale, stolen, misplaced."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwe
from joserfc.jwk import ECKey
from tests.gateway.provider import Provider, b64, compact, ec_jwk, es, hs, okp_jwk, ps, rs, rsa_jwk

from mediation.gateway.identity import DevelopmentIssuer

STRANGER, RETIRED, P384 = (ec.generate_private_key(c()) for c in (ec.SECP256R1, ec.SECP256R1, ec.SECP384R1))
ENCRYPTING = ec.generate_private_key(ec.SECP256R1())
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505  # that it is refused is tested
SECRET = b"a secret that both sides would have to know....."
AMBIGUOUS = [ed25519.Ed25519PrivateKey.generate() for _ in range(2)]
Headers = dict[str, str] | list[tuple[str, str]] | list[tuple[bytes, bytes]]
BAD: dict[str, Callable[[Provider], Headers]] = {}


def certificate(name: str) -> bytes:
    key, at = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), 1, at, at + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


COURT, OTHER = certificate("court"), certificate("other")


def shown(der: bytes) -> str:
    """A certificate as the TLS proxy passes it on (RFC 9440)."""
    return f":{base64.b64encode(der).decode()}:"


def thumbprint(der: bytes) -> dict[str, str]:
    return {"x5t#S256": b64(hashlib.sha256(der).digest())}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def bad(name: str, make: str | Headers | Callable[[Provider], str | Headers]) -> None:
    """Note a bad token, or the headers that carry one."""

    def headers(p: Provider) -> Headers:
        made = make(p) if callable(make) else make
        return bearer(made) if isinstance(made, str) else made

    assert name not in BAD
    BAD[name] = headers


# ── no token, or not where it belongs ──
bad("nothing at all", {})
bad("a lone dot", {"Authorization": "Bearer ."})
bad("no token behind the scheme", {"Authorization": "Bearer"})
bad("Basic", {"Authorization": "Basic " + base64.b64encode(b"wang:wang").decode()})
bad("another scheme", lambda p: {"Authorization": f"Token {p.token()}"})
bad("no scheme", lambda p: {"Authorization": p.token()})
bad("DPoP scheme", lambda p: {"Authorization": f"DPoP {p.token()}"})
bad("two Authorization headers", lambda p: [("Authorization", f"Bearer {p.token()}")] * 2)
bad("two tokens in one header", lambda p: {"Authorization": f"Bearer {p.token()}, Bearer {p.token()}"})
bad("in a cookie", lambda p: {"Cookie": f"access_token={p.token()}; Authorization=Bearer {p.token()}"})
bad("in another header", lambda p: {"X-Access-Token": p.token(), "X-Forwarded-Authorization": f"Bearer {p.token()}"})

# ── the form ──
bad("not a token", "let-me-in")
bad("three empty segments", "..")
bad("two segments", lambda p: p.token().rpartition(".")[0])
bad("four segments", lambda p: p.token() + ".e30")
bad("oversized", lambda p: p.token(padding="x" * 9000))
bad("a space inside", lambda p: p.token().replace(".", ". ", 1))
bad("a tab at the end", lambda p: [("Authorization", f"Bearer {p.token()}\t.")])
bad("padded base64", lambda p: p.token() + "==")
bad("base64 of the other alphabet", lambda p: with_sign(p, "+"))
bad("claims with loose bits", lambda p: loose_claims(p.claims(), p))
bad("base64 with loose bits", lambda p: loosened(p.token()))
bad("letters of another script", lambda p: [(b"Authorization", f"Bearer {p.token()}é".encode())])
bad("a header that is no object", lambda p: compact(b'["at+jwt"]', p.claims(), es(p.ec)))
bad("claims that are no object", lambda p: compact(p.header(), b'"me"', es(p.ec)))
bad("claims that are no JSON", lambda p: compact(p.header(), b"{", es(p.ec)))
bad("claims nested without end", lambda p: compact(p.header(), b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}", es(p.ec)))
bad("a header nested without end", lambda p: compact(b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}", p.claims(), es(p.ec)))
bad("a claim given twice", lambda p: compact(p.header(), twice(p.claims(sub=None), "sub"), es(p.ec)))
bad("a claim given twice further down", lambda p: compact(p.header(), nested_twice(p), es(p.ec)))
bad("a header member given twice", lambda p: compact(twice(p.header(alg=None), "alg", "ES256"), p.claims(), es(p.ec)))
bad("encrypted (JWE)", lambda p: encrypted(p.token(), p))
bad("a token in a token", lambda p: compact(p.header(cty="JWT"), p.token().encode(), es(p.ec)))

# ── the signature ──
bad("signature stripped", lambda p: p.token().rpartition(".")[0] + ".")
bad("signature truncated", lambda p: p.token()[:-4])
bad(
    "signature of another token", lambda p: p.token(sub="other").rpartition(".")[0] + "." + p.token().rpartition(".")[2]
)
bad("claims changed", lambda p: swapped(p.token(), p.claims(sub="f:1:chair")))
bad("alg none", lambda p: compact(p.header(alg="none"), p.claims(), lambda _: b""))
bad("alg none with a signature", lambda p: compact(p.header(alg="none"), p.claims(), es(p.ec)))
bad("alg NoNe", lambda p: compact(p.header(alg="NoNe"), p.claims(), lambda _: b"x"))
bad("alg es256", lambda p: p.token({"alg": "es256"}))
bad("alg is a list", lambda p: p.token({"alg": ["ES256"]}))
bad("no alg", lambda p: p.token({"alg": None}))
bad(
    "an alg that is not allowed here",
    lambda p: compact(p.header(alg="ES384", kid="p384"), p.claims(), es(P384, hashes.SHA384())),
)
bad("HS256 with the public key in PEM", lambda p: compact(p.header(alg="HS256"), p.claims(), hs(pem(p))))
bad(
    "HS256 with the public key in PEM, RSA",
    lambda p: compact(p.header(alg="HS256", kid="rs"), p.claims(), hs(rsa_pem(p))),
)
bad(
    "HS256 with the public key as JWK",
    lambda p: compact(p.header(alg="HS256"), p.claims(), hs(json.dumps(p.keys[0]).encode())),
)
bad("HS256 with a published secret", lambda p: compact(p.header(alg="HS256", kid="oct"), p.claims(), hs(SECRET)))
bad("ES256 in DER", lambda p: compact(p.header(), p.claims(), lambda d: p.ec.sign(d, ec.ECDSA(hashes.SHA256()))))
bad("ES256 of zeros", lambda p: compact(p.header(), p.claims(), lambda _: bytes(64)))
bad("ES256 of the group's order", lambda p: compact(p.header(), p.claims(), lambda _: ORDER * 2))
bad("a key of P-384 for ES256", lambda p: compact(p.header(kid="p384"), p.claims(), es(P384)))
bad("PS256 called RS256", lambda p: compact(p.header(alg="RS256", kid="rs"), p.claims(), ps(p.rsa)))
bad("RS256 by a key for PS256", lambda p: compact(p.header(alg="RS256", kid="ps only"), p.claims(), rs(p.rsa)))
bad("RS256 with the id of an ES256 key", lambda p: compact(p.header(alg="RS256"), p.claims(), rs(p.rsa)))
bad("RSA of 1024 bits", lambda p: compact(p.header(alg="RS256", kid="weak"), p.claims(), rs(WEAK)))

# ── the key ──
bad("unknown kid", lambda p: p.token({"kid": "nobody's"}))
bad("empty kid", lambda p: p.token({"kid": ""}))
bad("kid is a number", lambda p: p.token({"kid": 1}))
bad("kid is a path", lambda p: compact(p.header(alg="HS256", kid="../../../dev/null"), p.claims(), hs(b"\0")))
bad("no kid where several keys would do", lambda p: compact(p.header(alg="RS256", kid=None), p.claims(), rs(p.rsa)))
bad("a kid that two keys have", lambda p: compact(p.header(alg="EdDSA", kid="two"), p.claims(), AMBIGUOUS[0].sign))
bad("right kid, wrong key", lambda p: compact(p.header(), p.claims(), es(STRANGER)))
bad("a retired key", lambda p: compact(p.header(kid="retired"), p.claims(), es(RETIRED)))
bad("a key for encrypting", lambda p: compact(p.header(kid="enc"), p.claims(), es(ENCRYPTING)))
bad("a key that may only sign", lambda p: compact(p.header(kid="ops"), p.claims(), es(STRANGER)))
bad("its own key (jwk)", lambda p: compact(p.header(jwk=ec_jwk(STRANGER), kid=None), p.claims(), es(STRANGER)))
bad("our key as jwk", lambda p: p.token({"jwk": p.keys[0]}))
bad("where its key is (jku)", lambda p: compact(p.header(jku="http://127.0.0.1:9/keys"), p.claims(), es(STRANGER)))
bad("our jku", lambda p: p.token({"jku": p.said["jwks_uri"]}))
bad("where its certificate is (x5u)", lambda p: p.token({"x5u": "https://127.0.0.1/cert"}))
bad(
    "its own certificate (x5c)",
    lambda p: compact(p.header(x5c=[base64.b64encode(COURT).decode()]), p.claims(), es(STRANGER)),
)

# ── the header ──
bad("no typ", lambda p: p.token({"typ": None}))
bad("typ JWT", lambda p: p.token({"typ": "JWT"}))
bad("an identity token", lambda p: p.token({"typ": "id_token+jwt"}))
bad("a logout token", lambda p: p.token({"typ": "logout+jwt"}))
bad("typ is a list", lambda p: p.token({"typ": ["at+jwt"]}))
bad("unknown crit", lambda p: p.token({"crit": ["mediation"], "mediation": True}))
bad("known crit", lambda p: p.token({"crit": ["exp"], "exp": 1}))
bad("empty crit", lambda p: p.token({"crit": []}))
bad("payload not encoded (b64)", lambda p: p.token({"b64": False, "crit": ["b64"]}))
bad("b64 without crit", lambda p: p.token({"b64": True}))

# ── the claims ──
bad("expired", lambda p: p.token(iat=now() - 700, exp=now() - 1))
bad("expired long ago", lambda p: p.token(iat=0, exp=1))
bad("no exp", lambda p: p.token(exp=None))
bad("exp is text", lambda p: p.token(exp=str(now() + 600)))
bad("exp is true", lambda p: p.token(exp=True))
bad(
    "exp is endless",
    lambda p: compact(p.header(), json.dumps(p.claims()).replace(str(p.claims()["exp"]), "1e999").encode(), es(p.ec)),
)
bad("exp is no number", lambda p: compact(p.header(), json.dumps(p.claims(exp=float("nan"))).encode(), es(p.ec)))
bad("exp before iat", lambda p: p.token(iat=now() + 9, exp=now() + 7))
bad("too long a lifetime", lambda p: p.token(exp=now() + 3700))
bad("good for longer than a number holds", lambda p: p.token(exp=10**400))
bad("good for ever", lambda p: p.token(exp=10**300))
bad("not yet valid", lambda p: p.token(nbf=now() + 120))
bad("nbf is true", lambda p: p.token(nbf=True))
bad("nbf is text", lambda p: p.token(nbf="0"))
bad("issued in the future", lambda p: p.token(iat=now() + 120))
bad("no iat", lambda p: p.token(iat=None))
bad("negative iat", lambda p: p.token(iat=-1))
bad("another audience", lambda p: p.token(aud="account"))
bad("other audiences", lambda p: p.token(aud=["account", "mediation2"]))
bad("an audience that holds ours", lambda p: p.token(aud="mediation account"))
bad("no audience", lambda p: p.token(aud=None))
bad("audience is an object", lambda p: p.token(aud={"mediation": True}))
bad("another issuer", lambda p: p.token(iss="https://issuer.example"))
bad("our issuer with a slash", lambda p: p.token(iss=p.issuer + "/"))
bad("issuers in a list", lambda p: p.token(iss=[p.issuer]))
bad("no issuer", lambda p: p.token(iss=None))
bad("no sub", lambda p: p.token(sub=None))
bad("empty sub", lambda p: p.token(sub=""))
bad("sub is a number", lambda p: p.token(sub=7))
bad("sub is too long", lambda p: p.token(sub="x" * 256))
bad("sub with NUL", lambda p: p.token(sub="wang\0"))
bad("sub with a line break", lambda p: p.token(sub="wang\n"))
bad("sub of another script", lambda p: p.token(sub="王"))
bad("scope is a list", lambda p: p.token(scope=["mediation:read"]))
bad("a development token", DevelopmentIssuer(b"s" * 32).issue("6217a688-5574-58cb-a2bc-2b5ee0ab303a"))
bad("our key in the development issuer's name", lambda p: p.token(iss="mediation-development"))

# ── what the token is bound to ──
bad("bound, and no certificate", lambda p: p.token(cnf=thumbprint(COURT)))
bad("bound to another certificate", lambda p: bearer(p.token(cnf=thumbprint(COURT))) | {"Client-Cert": shown(OTHER)})
bad(
    "certificate in the wrong header",
    lambda p: bearer(p.token(cnf=thumbprint(COURT))) | {"X-Client-Cert": shown(COURT)},
)
bad(
    "certificate given twice",
    lambda p: [*bearer(p.token(cnf=thumbprint(COURT))).items(), *[("Client-Cert", shown(COURT))] * 2],
)
bad(
    "two certificates",
    lambda p: [
        *bearer(p.token(cnf=thumbprint(COURT))).items(),
        ("Client-Cert", shown(OTHER)),
        ("Client-Cert", shown(COURT)),
    ],
)
bad(
    "certificate without its colons",
    lambda p: bearer(p.token(cnf=thumbprint(COURT))) | {"Client-Cert": shown(COURT).strip(":")},
)
bad("certificate that is no base64", lambda p: bearer(p.token()) | {"Client-Cert": ":certificate:"})
bad("bound to a DPoP key", lambda p: p.token(cnf={"jkt": b64(bytes(32))}))
bad(
    "bound to a certificate and a key",
    lambda p: bearer(p.token(cnf=thumbprint(COURT) | {"jkt": "x"})) | {"Client-Cert": shown(COURT)},
)
bad("bound to nothing", lambda p: p.token(cnf={}))
bad("bound to null", lambda p: p.token(cnf={"x5t#S256": None}))
bad("bound to an empty thumbprint", lambda p: p.token(cnf={"x5t#S256": ""}))
bad("bound to the certificate that is none", lambda p: p.token(cnf=thumbprint(b"")))
bad("cnf is text", lambda p: p.token(cnf="x5t#S256"))

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ORDER = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")


def now() -> int:
    return int(time.time())


def with_sign(p: Provider, sign: str) -> str:
    while True:  # chance puts one in half of the signatures
        head, body, mark = p.token(jti=str(time.perf_counter_ns())).split(".")
        if "-" in mark:
            return f"{head}.{body}.{mark.replace('-', sign)}"


def loosened(token: str) -> str:
    """The same bytes, spelt with bits beyond the last of them."""
    changed = token[:-1] + LETTERS[LETTERS.index(token[-1]) + 1]
    old, new = (base64.urlsafe_b64decode(t.rpartition(".")[2] + "==") for t in (token, changed))
    assert old == new
    return changed


def loose_claims(claims: dict, p: Provider) -> str:
    """Claims spelt with bits beyond their last byte, and signed so."""
    body = json.dumps(claims).encode()
    body += b" " * ((1 - len(body)) % 3)
    segment = b64(body)
    head = b64(json.dumps(p.header()).encode())
    spelt = f"{head}.{segment[:-1]}{LETTERS[LETTERS.index(segment[-1]) + 1]}"
    return f"{spelt}.{b64(es(p.ec)(spelt.encode()))}"


def twice(said: dict, name: str, value: object = "f:1:wang") -> bytes:
    more = f'"{name}": {json.dumps(value)}'
    return json.dumps(said)[:-1].encode() + f", {more}, {more}}}".encode()


def nested_twice(p: Provider) -> bytes:
    return json.dumps(p.claims())[:-1].encode() + b', "realm_access": {"roles": [], "roles": []}}'


def swapped(token: str, claims: dict) -> str:
    head, _, mark = token.split(".")
    return f"{head}.{b64(json.dumps(claims).encode())}.{mark}"


def encrypted(token: str, p: Provider) -> str:
    key = ECKey.import_key(ec_jwk(p.ec))
    return jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A128GCM", "kid": "es", "cty": "JWT"}, token, key)


def pem(p: Provider) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return p.ec.public_key().public_bytes(serialization.Encoding.PEM, form)


def rsa_pem(p: Provider) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return p.rsa.public_key().public_bytes(serialization.Encoding.PEM, form)


def published(p: Provider) -> list[dict]:
    """What the provider publishes besides its keys; nothing of it may verify a token here."""
    return [
        ec_jwk(P384, kid="p384", use="sig"),
        ec_jwk(ENCRYPTING, kid="enc", use="enc"),
        ec_jwk(STRANGER, kid="ops", key_ops=["sign"]),
        rsa_jwk(WEAK, kid="weak"),
        rsa_jwk(p.rsa, kid="ps only", alg="PS256"),
        rsa_jwk(rsa.generate_private_key(65537, 2048), kid="rs2"),
        {"kty": "oct", "kid": "oct", "k": b64(SECRET)},
        {"kty": "AKP", "kid": "of the future", "alg": "ML-DSA-44", "pub": "AAAA"},
        *(okp_jwk(key, kid="two") for key in AMBIGUOUS),
    ]

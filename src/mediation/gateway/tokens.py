"""What an access token must be and say (RFC 9068, RFC 7515, RFC 8725): read strictly, its signature and claims checked.

Nothing is fetched here. Whatever is wrong ends in the same NotRecognised: who sent it is not told what it was.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from mediation.domain.errors import MediationError

Json: TypeAlias = dict[str, Any]
PublicKey: TypeAlias = ECKey | OKPKey | RSAKey

KEYS: dict[str, tuple[str, str]] = {
    "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"), "Ed25519": ("OKP", "Ed25519"),
    "PS256": ("RSA", ""), "PS384": ("RSA", ""), "PS512": ("RSA", ""),
    "RS256": ("RSA", ""), "RS384": ("RSA", ""), "RS512": ("RSA", ""),
}  # fmt: skip
"""The signatures that can be allowed, with the type and curve of their key: no shared secret, and never `none`."""

LONGEST = 8192
"""A token may have so many characters; a longer one is not even parsed."""

LEEWAY_S = 10
"""How far the issuer's clock may be ahead of ours; past its `exp` a token is not good for a moment."""

Scope = Literal["mediation:read", "mediation:write", "mediation:disclose", "mediation:administer"]

_OURS = "mediation:"
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# A key or a place of keys that a token brings along is never looked at; nor do we know any extension, or nested token.
_NOT_IN_HEADER = frozenset({"crit", "b64", "jku", "jwk", "x5u", "cty", "enc", "zip"})
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}")  # OpenID Connect Core 1.0 §2: at most 255 ASCII characters
_UNTIL = 10**11  # seconds, some three thousand years: no sum of two such numbers overflows
_RSA_BITS = range(2048, 8193)
_EDWARDS = {"EdDSA", "Ed25519"}
_EDDSA = jws.JWSRegistry.algorithms["Ed25519"]

# RFC 8176: what each method proves. Messages and calls to a telephone number are left out, for the number can be moved
# to another card; so is what proves nothing of these, as a place or a risk. A provider that counts them says `mfa`.
_KNOWN = frozenset({"pwd", "pin", "kba"})
_HELD = frozenset({"hwk", "swk", "otp", "sc", "pop"})
_GROWN = frozenset({"face", "fpt", "iris", "retina", "vbm"})


class NotRecognised(MediationError):
    """There is no token, or not one that we accept; nobody is told why."""

    code = "not_recognised"
    zh = "身份未通过验证"
    en = "Not recognised"


class Principal(NamedTuple):
    """Who asks: (`issuer`, `subject`), and `person`, the UUID of a person where the issuer itself says it, else "".

    `scopes` are those of ours that the token names; `second_factor`: they signed in with two.
    """

    person: str
    issuer: str
    subject: str
    scopes: frozenset[str] = frozenset()
    second_factor: bool = False


class Expected(NamedTuple):
    """What a token must say: from whom, for whom, how signed, how long it may last (seconds), which `acr` count."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    lifetime_s: int
    second_factor: frozenset[str] = frozenset()


class Checked(NamedTuple):
    """A good token: whose, until when (Unix seconds), bound to which certificate (RFC 8705; "" to none)."""

    principal: Principal
    expires: float
    thumbprint: str


class Reading(NamedTuple):
    """A token that is well formed and of an allowed algorithm, its signature not yet checked."""

    token: str
    header: Json
    algorithm: str
    kid: str | None


def narrowed(principal: Principal, scope: Scope) -> bool:
    """Whether the token shuts its holder out of this. Scopes only narrow: a token with none of ours narrows nothing."""
    return bool(principal.scopes) and scope not in principal.scopes


def read(token: str, algorithms: Collection[str]) -> Reading:
    """A token's header, read strictly. Raises NotRecognised."""
    if not _COMPACT.fullmatch(token):
        raise NotRecognised
    header = strict_json(_decoded(token.partition(".")[0]))
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    good = (
        _NOT_IN_HEADER.isdisjoint(header)
        and isinstance(algorithm, str)
        and algorithm in algorithms
        and isinstance(kind, str)
        and kind.lower() in _TYPES
        and isinstance(kid, str | None)
    )
    if not good:
        raise NotRecognised
    return Reading(token, header, str(algorithm), kid)


def check(reading: Reading, key: PublicKey, expected: Expected, at: float) -> Checked:
    """The token's signature by this key, then all that it says, at an instant (Unix seconds). Raises NotRecognised."""
    try:
        signed = jws.deserialize_compact(reading.token, key, registry=_Registry(reading.algorithm))
    except (JoseError, ValueError) as refused:
        raise NotRecognised from refused
    claims = strict_json(signed.payload)
    expires = _times(claims, expected, at)
    audience, subject = claims.get("aud"), claims.get("sub")
    good = (
        claims.get("iss") == expected.issuer
        and (audience == expected.audience or (isinstance(audience, list) and expected.audience in audience))
        and isinstance(subject, str)
        and _SUBJECT.fullmatch(subject) is not None
    )
    if not good:
        raise NotRecognised
    who = Principal("", expected.issuer, str(subject), _scopes(claims), _second_factor(claims, expected.second_factor))
    return Checked(who, expires, _bound(claims))


def held(found: Checked, certificate: bytes | None) -> Principal:
    """Whose a token is, if who sends it holds the key it is bound to: `certificate` is theirs, in DER (RFC 8705 §3).

    Raises NotRecognised.
    """
    if found.thumbprint:
        shown = base64.urlsafe_b64encode(hashlib.sha256(certificate or b"").digest()).rstrip(b"=")
        if certificate is None or not hmac.compare_digest(shown, found.thumbprint.encode()):
            raise NotRecognised
    return found.principal


def usable_key(said: object) -> tuple[str | None, frozenset[str], PublicKey] | None:
    """A member of a key set (RFC 7517) as its id, the algorithms it verifies, and the key; None where it is not for us.

    Not for us is a shared secret, a key for encrypting, one too weak or malformed. A private part is not taken along.
    """
    if not isinstance(said, dict) or said.get("use", "sig") != "sig":
        return None
    kind, curve, kid, uses = said.get("kty"), said.get("crv"), said.get("kid"), said.get("key_ops", ["verify"])
    fitting = {name for name, needs in KEYS.items() if needs == (kind, "" if kind == "RSA" else curve)}
    if "alg" in said:  # Ed25519 is EdDSA with that curve (RFC 9864), so a key for one is for the other
        fitting &= _EDWARDS if said["alg"] in ("EdDSA", "Ed25519") else {str(said["alg"])}
    if not fitting or not isinstance(kid, str | None) or not isinstance(uses, list) or "verify" not in uses:
        return None
    try:
        return kid, frozenset(fitting), _imported(str(kind), said)
    except (JoseError, NotRecognised, ValueError, TypeError, KeyError):
        return None


def strict_json(data: bytes) -> Json:
    """A JSON object in which no key is given twice, at whatever depth. Raises NotRecognised."""
    try:
        found = json.loads(data, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as refused:
        raise NotRecognised from refused
    if not isinstance(found, dict):
        raise NotRecognised
    return found


class _Registry(jws.JWSRegistry):
    """Joserfc's, for one algorithm; what else stands in a header means nothing (RFC 7515 §4), its size is checked."""

    max_header_length = max_signature_length = LONGEST

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> JWSAlgModel:
        return _EDDSA if name == "EdDSA" else super().get_alg(name)  # joserfc warns of the name; the key has its curve


def _imported(kind: str, said: Mapping[str, Any]) -> PublicKey:
    if kind == "RSA":
        if int.from_bytes(_decoded(said["n"])).bit_length() not in _RSA_BITS:
            raise ValueError
        return RSAKey.import_key({name: said[name] for name in ("kty", "n", "e")})
    if kind == "EC":
        return ECKey.import_key({name: said[name] for name in ("kty", "crv", "x", "y")})
    return OKPKey.import_key({name: said[name] for name in ("kty", "crv", "x")})


def _decoded(segment: str) -> bytes:
    """Base64url in its one spelling: the bits beyond the last byte are zero (RFC 4648 §3.5)."""
    try:
        return urlsafe_b64decode(segment.encode())
    except ValueError as refused:
        raise NotRecognised from refused


def _each_once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _instant(said: object) -> float:
    """A NumericDate (RFC 7519 §2) as Unix seconds; Python's JSON also reads NaN and Infinity, which are none."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= _UNTIL:
        raise NotRecognised
    return float(said)


def _times(claims: Json, expected: Expected, at: float) -> float:
    """When a token that is good at `at` expires."""
    issued, expires = _instant(claims.get("iat")), _instant(claims.get("exp"))
    begins = _instant(claims.get("nbf", 0))
    if not (max(issued, begins) <= at + LEEWAY_S and max(at, issued) < expires <= issued + expected.lifetime_s):
        raise NotRecognised
    return expires


def _bound(claims: Json) -> str:
    """The thumbprint of the certificate a token is bound to, "" for none; a binding we cannot check is refused."""
    said = claims.get("cnf", {})
    if not isinstance(said, dict) or ("cnf" in claims and said.keys() != {"x5t#S256"}):
        raise NotRecognised
    thumbprint = said.get("x5t#S256", "")
    if not isinstance(thumbprint, str) or ("cnf" in claims and not (thumbprint and thumbprint.isascii())):
        raise NotRecognised
    return thumbprint


def _scopes(claims: Json) -> frozenset[str]:
    """The scopes that begin as ours do: one we do not know narrows too, and allows nothing."""
    said = claims.get("scope", "")
    if not isinstance(said, str):
        raise NotRecognised
    return frozenset(scope for scope in said.split(" ") if scope.startswith(_OURS))


def _second_factor(claims: Json, accepted: frozenset[str]) -> bool:
    """Whether they signed in with two factors: `mfa`, or methods of two kinds (RFC 8176), or an `acr` that counts."""
    methods, grade = claims.get("amr", []), claims.get("acr")
    if isinstance(grade, str) and grade in accepted:
        return True
    if not isinstance(methods, list):
        return False
    named = {method for method in methods if isinstance(method, str)}
    return "mfa" in named or sum(not kind.isdisjoint(named) for kind in (_KNOWN, _HELD, _GROWN)) > 1

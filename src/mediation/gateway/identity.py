"""Who is asking: tokens of the development issuer, verified as any resource server verifies an access token (RFC 9068).

The issuer signs with an Ed25519 key of its own file. It is for loopback only: whoever starts the service sees to that.
"""

import base64
import hashlib
import re
import secrets
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from mediation.domain.errors import MediationError

ISSUER = "mediation-development"
AUDIENCE = "mediation"

_TYPE = "at+jwt"
_ALGORITHMS = ["Ed25519"]
_KNOWN_TOKENS = 10_000
_LONGEST = 4096
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOBODY = "00000000-0000-0000-0000-000000000000"


class NotRecognised(MediationError):
    """There is no token, or not one that we accept; nobody is told why."""

    code = "not_recognised"
    zh = "身份未通过验证"
    en = "Not recognised"


class DevelopmentIssuer:
    """Issues and verifies development tokens with one key, made of 32 secret bytes (`vault.key_from` of its file)."""

    def __init__(self, secret: bytes) -> None:
        private = Ed25519PrivateKey.from_private_bytes(secret)
        public = private.public_key().public_bytes_raw()
        self._key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": _base64(secret), "x": _base64(public)})
        self._known: dict[bytes, tuple[str, float]] = {}

    def issue(self, person: str, *, lifetime_s: int = 3600, now: float | None = None) -> str:
        """An access token for a person's id, valid from `now` (Unix seconds) for `lifetime_s` seconds."""
        at = int(time.time() if now is None else now)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": person,
            "iat": at,
            "nbf": at,
            "exp": at + lifetime_s,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({"typ": _TYPE, "alg": _ALGORITHMS[0]}, claims, self._key, _ALGORITHMS)

    def verify(self, token: str, now: float | None = None) -> str:
        """The person (a UUID) of a token that is ours, for us and valid at `now`. Raises NotRecognised.

        A token that was found good is remembered by its SHA-256 until it expires.
        """
        at = time.time() if now is None else now
        if len(token) > _LONGEST:
            raise NotRecognised
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(mark)
        if known and at < known[1]:
            return known[0]
        person, expires = self._checked(token, at)
        if len(self._known) >= _KNOWN_TOKENS:
            self._known.clear()  # a full memory starts anew: cheaper than keeping an order, and verifying is cheap
        self._known[mark] = (person, expires)
        return person

    def _checked(self, token: str, at: float) -> tuple[str, float]:
        try:
            found = jwt.decode(token, self._key, _ALGORITHMS)
        except (JoseError, ValueError) as refused:
            raise NotRecognised from refused
        claims = found.claims
        audience = claims.get("aud")
        expires, begins, person = claims.get("exp"), claims.get("nbf", 0), claims.get("sub")
        good = (
            found.header.get("typ") == _TYPE
            and claims.get("iss") == ISSUER
            and (audience == AUDIENCE or (isinstance(audience, list) and AUDIENCE in audience))
            and isinstance(expires, int)
            and isinstance(begins, int)
            and begins <= at < expires
            and isinstance(person, str)
            and _UUID.fullmatch(person) is not None
            and person != _NOBODY  # the clock's, and nobody may sign in as the clock
        )
        if not good or expires is None:
            raise NotRecognised
        return str(person), float(expires)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

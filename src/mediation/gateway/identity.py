"""Who is asking: the access tokens of an OpenID Connect provider, or of the development issuer, which is for loopback.

The development issuer signs with an Ed25519 key of its own file. Whoever starts the service sees to the loopback.
"""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OKPKey

from mediation.gateway.keyring import Keyring, ProviderAway
from mediation.gateway.tokens import (
    LONGEST,
    Checked,
    Expected,
    NotRecognised,
    Principal,
    Scope,
    check,
    held,
    narrowed,
    read,
)

__all__ = [
    "AUDIENCE",
    "ISSUER",
    "DevelopmentIssuer",
    "Expected",
    "Keyring",
    "NotRecognised",
    "Principal",
    "ProviderAway",
    "ResourceServer",
    "Scope",
    "narrowed",
]

ISSUER = "mediation-development"
AUDIENCE = "mediation"

_ALGORITHM = "Ed25519"
_KNOWN_TOKENS = 10_000
_YEAR_S = 366 * 24 * 3600
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class _Memory:
    """Tokens that were found good, by their SHA-256, until they expire. A full memory starts anew.

    That is cheaper than keeping an order, and verifying is cheap.
    """

    known: dict[bytes, Checked] = field(default_factory=dict)

    def recall(self, token: str, at: float) -> tuple[bytes, Checked | None]:
        """The mark of a token, and what is remembered of it at `at`. Raises NotRecognised where it is too long."""
        if len(token) > LONGEST:
            raise NotRecognised
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self.known.get(mark)
        return mark, found if found and at < found.expires else None

    def knows(self, token: str, at: float) -> bool:
        """Whether this token was found good and still is, so that it costs nothing to say so again."""
        return len(token) <= LONGEST and self.recall(token, at)[1] is not None

    def keep(self, mark: bytes, found: Checked) -> None:
        if len(self.known) >= _KNOWN_TOKENS:
            self.known.clear()
        self.known[mark] = found


class DevelopmentIssuer:
    """Issues and verifies development tokens with one key, made of 32 secret bytes (`vault.key_from` of its file)."""

    def __init__(self, secret: bytes) -> None:
        private = Ed25519PrivateKey.from_private_bytes(secret)
        public = private.public_key().public_bytes_raw()
        self._key = OKPKey.import_key({"kty": "OKP", "crv": _ALGORITHM, "d": _base64(secret), "x": _base64(public)})
        self._expected = Expected(ISSUER, AUDIENCE, frozenset({_ALGORITHM}), _YEAR_S)
        self._memory = _Memory()

    def issue(
        self,
        person: str,
        *,
        lifetime_s: int = 3600,
        now: float | None = None,
        scope: str = "",
        second_factor: bool = False,
    ) -> str:
        """An access token for a person's id, valid from `now` (Unix seconds) for `lifetime_s` seconds, at most a year.

        `scope` narrows it; `second_factor` says that they signed in with two.
        """
        at = int(time.time() if now is None else now)
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": person,
            "iat": at,
            "nbf": at,
            "exp": at + lifetime_s,
            "jti": secrets.token_hex(8),
        }
        if scope:
            claims["scope"] = scope
        if second_factor:
            claims["amr"] = ["mfa"]
        return jwt.encode({"typ": "at+jwt", "alg": _ALGORITHM}, claims, self._key, [_ALGORITHM])

    def knows(self, token: str) -> bool:
        """Whether a token is remembered as good."""
        return self._memory.knows(token, time.time())

    async def verify(self, token: str, certificate: bytes | None = None, now: float | None = None) -> Principal:
        """The person of a token that is ours, for us and valid at `now`. Raises NotRecognised."""
        at = time.time() if now is None else now
        mark, found = self._memory.recall(token, at)
        if found is None:
            found = check(read(token, self._expected.algorithms), self._key, self._expected, at)
            person = found.principal.subject
            if not _UUID.fullmatch(person) or person == _NOBODY:  # the clock's, and nobody may sign in as the clock
                raise NotRecognised
            found = found._replace(principal=found.principal._replace(person=person))
            self._memory.keep(mark, found)
        return held(found, certificate)

    async def close(self) -> None:
        """Nothing is open."""


class ResourceServer:
    """Verifies the access tokens of a provider (RFC 9068) with the keys it publishes."""

    def __init__(self, expected: Expected, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._expected = expected
        self._keyring = keyring
        self._clock = clock
        self._memory = _Memory()
        self._changes = keyring.changes

    def knows(self, token: str) -> bool:
        """Whether a token is remembered as good."""
        return self._memory.knows(token, self._clock())

    async def verify(self, token: str, certificate: bytes | None = None) -> Principal:
        """Whose a token is; `certificate` is that of the client's TLS connection, in DER.

        A token that was found good is remembered until it expires, the provider's keys change or are so old that they
        are no longer relied on; while it is, nothing here waits. Raises NotRecognised, ProviderAway.
        """
        at = self._clock()
        self._keyring.renew()
        if self._changes != self._keyring.changes or not self._keyring.usable():
            self._changes = self._keyring.changes
            self._memory = _Memory()
        mark, found = self._memory.recall(token, at)
        if found is None:
            reading = read(token, self._expected.algorithms)
            key = await self._keyring.find(reading)
            found = check(reading, key, self._expected, at)
            self._memory.keep(mark, found)
        return held(found, certificate)

    async def close(self) -> None:
        await self._keyring.close()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

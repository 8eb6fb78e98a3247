"""The public keys of an OpenID Connect provider: found by discovery, kept for a while, looked up by their id."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from mediation.domain.errors import MediationError
from mediation.gateway.tokens import Json, NotRecognised, PublicKey, Reading, strict_json, usable_key
from mediation.settings import secure

FRESH_S = 600
"""Keys are fetched anew once they are so old."""
KEPT_S = 3600
"""Keys that cannot be fetched anew are relied on for so long, and then no longer."""
PAUSE_S = 60
"""Between two fetches, whatever is asked for; an unknown `kid` does not hurry us."""

_AGAIN_S = 5  # while there is no key at all, there is nothing to protect: ask sooner
_SECONDS = 5.0
_LARGEST = 256 * 1024
_MOST_KEYS = 100

_log = logging.getLogger(__name__)


class ProviderAway(MediationError):
    """The identity provider's keys cannot be had, so no token can be checked."""

    code = "provider_away"
    zh = "暂时无法取得身份提供方的公钥"
    en = "The identity provider's keys cannot be had at the moment"


class _Unfit(Exception):
    """What the provider answered is of no use."""


_FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, NotRecognised, TimeoutError, ValueError, _Unfit)


class _Held(NamedTuple):
    kid: str | None
    algorithms: frozenset[str]
    key: PublicKey


class Keyring:
    """The keys of `issuer`, from `url` or, without one, from where its configuration says (OpenID Connect Discovery).

    `http` makes the requests and is closed with the keyring; `clock` gives seconds that only grow.
    """

    def __init__(
        self,
        issuer: str,
        url: str,
        *,
        http: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._url = url
        self._http = http or httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=False)
        self._clock = clock
        self._keys: list[_Held] = []
        self._fetched = -float("inf")
        self._next = -float("inf")
        self._fetching: asyncio.Task[None] | None = None
        self.changes = 0
        """How often the keys have become others: what was verified with the old ones is to be verified again."""

    async def find(self, reading: Reading) -> PublicKey:
        """The one key that a token can be signed with. Raises NotRecognised, or ProviderAway where there are no keys.

        Old keys serve while new ones are fetched; who is first to need an unknown one waits for it, and all others
        with them for the same fetch.
        """
        self.renew()
        if not self.usable():
            await self._fetch()
            if not self.usable():
                raise ProviderAway
        found = self._pick(reading)
        if found is None and (self._fetching or self._clock() >= self._next):
            await self._fetch()
            found = self._pick(reading)
        if found is None:
            raise NotRecognised
        return found

    async def look(self) -> int:
        """How many usable keys the provider publishes, asked now. Raises ProviderAway, with why."""
        try:
            return len(await self._published())
        except _FAILURES as failed:
            why = f"{type(failed).__name__} {failed}".strip()
            raise ProviderAway(zh=f"{ProviderAway.zh}：{why}", en=f"{ProviderAway.en}: {why}") from failed

    def renew(self) -> None:
        """Begin to fetch the keys anew in the background, where that is due."""
        if self._keys and self._clock() - self._fetched >= FRESH_S:
            self._begin()

    async def close(self) -> None:
        """Give up what is under way."""
        if self._fetching:
            self._fetching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetching
        await self._http.aclose()

    def usable(self) -> bool:
        """Whether there are keys, and none so old that they are relied on no longer."""
        return bool(self._keys) and self._clock() - self._fetched < KEPT_S

    def _pick(self, reading: Reading) -> PublicKey | None:
        """The key of that id, or without one the only key there is for the algorithm; two of them are none."""
        fitting = [
            held.key
            for held in self._keys
            if reading.algorithm in held.algorithms and (reading.kid is None or held.kid == reading.kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        self._begin()
        if self._fetching:
            await asyncio.shield(self._fetching)  # whoever leaves does not take it from those who wait too

    def _begin(self) -> None:
        if self._fetching or self._clock() < self._next:
            return
        self._next = self._clock() + (PAUSE_S if self.usable() else _AGAIN_S)
        self._fetching = asyncio.create_task(self._renewed())

    async def _renewed(self) -> None:
        try:
            found = await self._published()
        except _FAILURES as failed:
            _log.warning("the identity provider's keys were not fetched: %s %s", type(failed).__name__, failed)
        else:
            if found != self._keys:
                self.changes += 1
            self._keys, self._fetched = found, self._clock()
            self._next = self._fetched + PAUSE_S
        finally:
            self._fetching = None

    async def _published(self) -> list[_Held]:
        async with asyncio.timeout(2 * _SECONDS):
            return await self._all()

    async def _all(self) -> list[_Held]:
        url = self._url
        if not url:
            # OpenID Connect Discovery 1.0 §4.1 and §4.3: a closing slash is left out, and `issuer` is exactly ours.
            said = await self._json(self._issuer.removesuffix("/") + "/.well-known/openid-configuration")
            url = said.get("jwks_uri", "")
            if said.get("issuer") != self._issuer or not isinstance(url, str) or not secure(url):
                raise _Unfit("its configuration names another issuer, or keys at no https address")
        listed = (await self._json(url)).get("keys")
        if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
            raise _Unfit("there is no list of keys")
        found = [_Held(*usable) for usable in map(usable_key, listed) if usable]
        if not found:
            raise _Unfit("there is no key that can be used")
        return found

    async def _json(self, url: str) -> Json:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._http.stream("GET", url, headers=asked) as answer:
            if answer.status_code != 200 or answer.headers.get("content-encoding", "identity") != "identity":  # noqa: PLR2004  # HTTP's own number
                raise _Unfit(f"{urlsplit(url).hostname} answered {answer.status_code}")
            data = b""
            async for part in answer.aiter_raw():
                data += part
                if len(data) > _LARGEST:
                    raise _Unfit(f"{urlsplit(url).hostname} answers too much")
        return strict_json(data)

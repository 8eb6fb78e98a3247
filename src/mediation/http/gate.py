"""The gate every request passes: its id, who sends it, how often and how much; then its log line and its measurement.

It stands before FastAPI, which would read a body before it asks who sent it.
"""

import base64
import hashlib
import logging
import re
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

from mediation.domain.errors import MediationError
from mediation.gateway.identity import NotRecognised, Principal, ProviderAway, narrowed
from mediation.gateway.ledger import BadLedger
from mediation.http.problems import STATUS, Lang, TurnedAway, language, refusal, status_of
from mediation.settings import loopback

LIMIT_BYTES = 1024 * 1024
RETRY_S = 2
MOST_CLIENTS = 50_000
TRIALS = 10
"""For each failure that an address may have answered 401, so many bad tokens of it are looked at."""

SECONDS = Histogram(
    "mediation_http_request_seconds",
    "Requests answered, by method, route and status.",
    ("method", "route", "status"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
REFUSED = Counter("mediation_refusals_total", "Requests refused, by status and code.", ("status", "code"))
_NOBODY = Principal("", "", "")
# Of the signed logs everything but what was logged is for anybody (http/log.py).
_OF_A_LOG = re.compile(r"/v1/(?:access-)?log/(?:epochs/[^/]*/)?(?!(?:tile/)?entries(?:/|$)|epochs/)")
_CERTIFICATE = re.compile(rb":([A-Za-z0-9+/]{4,16000}={0,2}):")  # RFC 9440 §2.1, RFC 8941 §3.3.5
INSUFFICIENT = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}  # RFC 6750 §3.1
_log = logging.getLogger("mediation.http")
_near = lru_cache(64)(loopback)


class Visit:
    """One request as taken in: `headers` in lower case, repeated ones joined by a comma; who asks; `body` whole.

    `action` is that of the step its body asks for, once it is read.
    """

    __slots__ = ("action", "body", "headers", "id", "principal")

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self.id = str(uuid7())
        self.headers = headers
        self.principal = _NOBODY
        self.body = b""
        self.action = ""

    @property
    def person(self) -> str:
        return self.principal.person

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1").strip()

    @property
    def lang(self) -> Lang:
        return language((self.headers.get(b"accept-language") or b"").decode("latin-1"))


class Bucket:
    """How often each client may come: `per_minute` on average, as many at once. 0 is no limit. Kept per process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._most = float(per_minute)
        self._clock = clock
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def wider(self, times: int) -> "Bucket":
        """Another one, in which there is room for so many times as many."""
        return Bucket(round(self._most) * times, self._clock)

    def take(self, client: str, count: int = 1) -> float:
        """Take one; the seconds to wait when there is none, else 0. `count` 0: take none, only look."""
        if not self._per_second:
            return 0.0
        now = self._clock()
        mark = hashlib.blake2b(client.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        left, since = self._left.pop(mark, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_second)
        wait = max(0.0, (1 - left) / self._per_second)
        self._left[mark] = (left if wait else left - count, now)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return wait


Verify = Callable[[str, bytes | None], Awaitable[Principal]]
"""A token, and the certificate (DER) that its sender has shown, to who they are. Raises NotRecognised, ProviderAway."""
Heard = Callable[[Scope, Visit, MediationError], None]
"""Hears of every refusal, before it is answered."""


class Gate:
    """Pure ASGI. Refuses with 401, 429, 403 for a narrow token and 413 in this order; 503 when the database is away.

    `failures` counts requests without a good token by the address they come from: one too many is 429. A good token is
    not, so that nobody shuts out a neighbour; but where very many bad ones come from, none is looked at any more that
    is not remembered as good (`knows`), as looking costs more than sending. `certificate_header`: its name in lower
    case. `away`: the errors that mean no database. `local`: nobody is let in but over the loopback interface, whatever
    address is listened on. `heard` is told of every refusal.
    """

    def __init__(  # noqa: PLR0913  # what it stands between
        self,
        app: ASGIApp,
        *,
        verify: Verify,
        knows: Callable[[str], bool],
        bucket: Bucket,
        failures: Bucket,
        away: tuple[type[Exception], ...],
        certificate_header: bytes = b"",
        local: bool = False,
        heard: Heard | None = None,
    ) -> None:
        self._app = app
        self._verify = verify
        self._knows = knows
        self._bucket = bucket
        self._failures = failures
        self._trials = failures.wider(TRIALS)
        self._away = away
        self._certificate_header = certificate_header
        self._local = local
        self._heard = heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        visit = Visit(_headers(scope))
        scope["visit"] = visit
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", visit.id.encode())]
            await send(message)

        try:
            await self._admit(scope, receive, visit)
            await self._app(scope, _replayed(visit.body, receive), answer)
        except _Gone:
            pass
        except Exception as error:  # noqa: BLE001  # whatever was forgotten, the caller gets a problem and the log its trace
            named = self._named(error, visit)
            REFUSED.labels(str(status_of(named)), named.code).inc()
            if self._heard:
                self._heard(scope, visit, named)
            if not status:  # else the answer has begun, and the server cuts the connection
                await refusal(named, visit.lang)(scope, receive, answer)
        finally:
            _record(scope, status, time.perf_counter() - began, visit.id)

    async def _admit(self, scope: Scope, receive: Receive, visit: Visit) -> None:
        path = scope["path"]
        if scope["method"] in _READING and _OF_A_LOG.match(path):
            _not_too_often(self._bucket, f"from {_address(scope)}")
        elif path.startswith("/v1/") or path == "/v1":
            try:
                visit.principal = who = await self._recognised(scope, visit)
            except NotRecognised:
                _not_too_often(self._failures, _address(scope))
                raise
            _not_too_often(self._bucket, f"{who.issuer} {who.subject}")
            if narrowed(who, "mediation:read" if scope["method"] in _READING else "mediation:write"):
                raise TurnedAway("insufficient_scope", headers=INSUFFICIENT)
        if scope["method"] in _WITH_BODY:
            visit.body = await _read(receive, visit)

    async def _recognised(self, scope: Scope, visit: Visit) -> Principal:
        """Who sends this. Raises NotRecognised, ProviderAway, TurnedAway."""
        if self._local and not _near((scope.get("server") or ("",))[0] or ""):
            raise NotRecognised
        scheme, _, token = visit.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise NotRecognised
        certificate = None
        if self._certificate_header in visit.headers:
            shown = _CERTIFICATE.fullmatch(visit.headers[self._certificate_header])
            if not shown:  # also where it came twice, with a comma between
                raise NotRecognised
            try:
                certificate = base64.b64decode(shown[1], validate=True)
            except ValueError:
                raise NotRecognised from None
        said = token.strip(b" ").decode("latin-1")
        if not self._knows(said):
            _not_too_often(self._trials, _address(scope), count=0)
        try:
            return await self._verify(said, certificate)
        except NotRecognised:
            self._trials.take(_address(scope))
            raise

    def _named(self, error: Exception, visit: Visit) -> MediationError:
        if isinstance(error, ProviderAway):
            headers = {"Retry-After": str(RETRY_S)}
            return TurnedAway("unavailable", zh=error.message("zh"), en=error.message("en"), headers=headers)
        if isinstance(error, self._away):
            _log.warning("database away: %s", type(error).__name__, extra={"request_id": visit.id})
            return TurnedAway("unavailable", headers={"Retry-After": str(RETRY_S)})
        if isinstance(error, BadLedger):  # where it lies is for the operator alone
            _log.error("%s", error.en, extra={"request_id": visit.id})
            return TurnedAway("bad_ledger", headers={"Retry-After": str(RETRY_S)})
        if isinstance(error, MediationError) and status_of(error) < STATUS[MediationError]:
            return error
        frames = [
            f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)
        ]
        _log.error("fault: %s", type(error).__name__, extra={"request_id": visit.id, "frames": frames[-12:]})
        return error if isinstance(error, MediationError) else TurnedAway("internal")


def _address(scope: Scope) -> str:
    address: str = (scope.get("client") or ("",))[0]
    return address


def _not_too_often(bucket: Bucket, client: str, count: int = 1) -> None:
    wait = bucket.take(client, count)
    if wait:
        raise TurnedAway("too_many_requests", headers={"Retry-After": str(int(wait) + 1)})


class _Gone(Exception):
    """The client left before its body was whole."""


def _headers(scope: Scope) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


async def _read(receive: Receive, visit: Visit) -> bytes:
    """The whole body; it is refused as soon as it is known to be too large, whether it announced its length or not."""
    with suppress(ValueError):
        if int(visit.headers.get(b"content-length", b"0")) > LIMIT_BYTES:
            raise TurnedAway("too_large", headers={"Connection": "close"})
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > LIMIT_BYTES:
            raise TurnedAway("too_large", headers={"Connection": "close"})
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = not body

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


_series: dict[tuple[str, str, int], Histogram] = {}


def _record(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    """Measure and log by the route's template: neither its path nor its query, so no one's number gets into a log."""
    route = getattr(scope.get("route"), "path_format", "") or "none"
    method = scope["method"] if scope["method"] in _METHODS else "other"
    key = (method, route, status)
    series = _series.get(key)
    if series is None:
        series = _series[key] = SECONDS.labels(method, route, str(status))
    series.observe(seconds)
    if _log.isEnabledFor(logging.INFO):
        extra = {
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        _log.info("request", extra=extra)


_WITH_BODY = frozenset({"POST", "PUT"})
_READING = frozenset({"GET", "HEAD"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

"""What a route asks of a request, each in the order in which refusals are given, and the desk at which it is served."""

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.types import Scope

from mediation.domain import access
from mediation.domain.commands import Command
from mediation.domain.errors import Malformed, MediationError, NotFound, Reason
from mediation.domain.facts import Actor, Case
from mediation.domain.vocabulary import Power
from mediation.gateway.embedded import EmbeddedFailed, database_ready
from mediation.gateway.identity import (
    DevelopmentIssuer,
    Expected,
    Keyring,
    NotRecognised,
    Principal,
    ResourceServer,
    narrowed,
)
from mediation.gateway.logkeys import known_keys
from mediation.gateway.vault import Vault, key_from
from mediation.http.blotter import Blotter
from mediation.http.gate import INSUFFICIENT, Visit
from mediation.http.problems import VARY, TurnedAway, faults
from mediation.service.cosigning import cosigners_of
from mediation.service.integrate import integrate_forever, keys_for
from mediation.service.lawbook import Lawbook, LawSet
from mediation.service.perform import House
from mediation.service.perform import Request as Asked
from mediation.service.refusals import Refusals
from mediation.settings import Settings
from mediation.store.append import Context, Memory, Seen
from mediation.store.bodies import AsyncEngine
from mediation.store.database import AWAY, current_revision, engine, head_revision, hot_pool
from mediation.store.queries import Viewer, viewer
from mediation.store.shelf import note_set

_DAY_S = 86_400
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TAG = re.compile(r'"([1-9][0-9]{0,8})"')
_TAGS = re.compile(r'(?:W/)?"([^"]*)"')
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

CaseId = Annotated[str, Path(description="案件 id of the case", json_schema_extra={"format": "uuid"})]
EventId = Annotated[str, Path(description="事件 id of the event", json_schema_extra={"format": "uuid"})]

_PATIENCE_S = 120
_AWAY: tuple[type[Exception], ...] = (EmbeddedFailed, *AWAY)
_PAUSE_S, _READY_S = 0.5, 1.0
_log = logging.getLogger(__name__)

PRIVATE = {"Cache-Control": "private, no-cache", "Vary": VARY}
"""The headers of every answer about a case."""


class Paged(BaseModel):
    """The query of a list: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None


class Desk:
    """What the counter stands on: opened with the application, closed with it."""

    house: House
    engine: AsyncEngine
    lawbook: Lawbook

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._verifier: DevelopmentIssuer | ResourceServer | None = None
        self._asking: asyncio.Task[str | None] | None = None
        self._asked = 0.0
        self._blotter: Blotter | None = None
        self.proven: dict[tuple[str, str], dict[str, Any]] = {}

    def heard(self, scope: Scope, taken: Visit, error: MediationError) -> None:
        """What is refused, for the blotter."""
        if self._blotter:
            self._blotter.note(scope, taken, error)

    async def verify(self, token: str, certificate: bytes | None) -> Principal:
        """Whose a token is, sent by who holds this certificate (DER). Raises NotRecognised, ProviderAway."""
        if self._verifier is None:
            raise NotRecognised
        return await self._verifier.verify(token, certificate)

    def knows(self, token: str) -> bool:
        """Whether a token is remembered as good."""
        return self._verifier is not None and self._verifier.knows(token)

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the database, the vault and the issuer; `stack` closes them.

        A database that is away is waited for: a worker that could not start would make the server process leave, and
        with it the workers that only wait for the same database.

        Raises: DatabaseUnreachable, UnsafeDatabase, BadKeyFile, BadLaws.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            async with AsyncExitStack() as attempt:
                try:
                    await self._open(attempt)
                except _AWAY as found:
                    if time.monotonic() > deadline:
                        raise
                    _log.warning("the database is waited for: %s", type(found).__name__)
                else:
                    stack.push_async_callback(attempt.pop_all().aclose)
                    return
            await asyncio.sleep(_PAUSE_S)

    async def _open(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        urls = stack.enter_context(database_ready(settings))
        pool = await hot_pool(urls.app, settings.pool_size, pooled=urls.pooled)
        stack.push_async_callback(pool.close)
        self.engine = engine(urls.app, pooled=urls.pooled)
        stack.push_async_callback(self.engine.dispose)
        self.lawbook = Lawbook(settings.laws)
        self.house = House(Memory(pool), self.lawbook.laws, Vault(key_from(settings.key_file)))
        self._verifier = verifier(settings)
        stack.push_async_callback(self._verifier.close)
        refusals = Refusals(self.engine)
        stack.push_async_callback(refusals.close, asyncio.create_task(refusals.write_forever()))
        self._blotter = Blotter(self.house.vault.request_secret, refusals)
        self.keys = await keys_for(settings, urls.log) if urls.log else known_keys(settings)
        if urls.log and self.keys:
            cosigners = cosigners_of(settings, urls.log, self.keys)
            integrating = asyncio.create_task(integrate_forever(urls.log, self.keys, cosigners))
            stack.push_async_callback(_end, integrating)
        following = asyncio.create_task(self.lawbook.follow(self._adopt))
        stack.push_async_callback(_end, following)
        forgetting = asyncio.create_task(_turn_daily(self.house.memory, settings.idempotency_days))
        stack.push_async_callback(_end, forgetting)

    async def _adopt(self, found: LawSet) -> None:
        """Every request from now on is under this set, which is kept before an event can name it."""
        await note_set(self.engine, found.laws.digest, found.files)
        self.house = self.house._replace(laws=found.laws)

    async def behind(self) -> str | None:
        """The revision the database is at, where that is not the newest; None when all is well.

        Anybody may ask, so the database is asked by one for all, and at most once a second.
        """
        now = time.monotonic()
        if self._asking is None or (self._asking.done() and now - self._asked >= _READY_S):
            self._asked, self._asking = now, asyncio.create_task(self._revision())
        current = await asyncio.shield(self._asking)
        return None if current == head_revision() else current or "–"

    async def _revision(self) -> str | None:
        async with self.engine.connect() as connection:
            driven: Any = (await connection.get_raw_connection()).driver_connection
            return await current_revision(driven)


async def _turn_daily(memory: Memory, days: int) -> None:
    """Months to come are made, keys kept for so many days let go of; a day without a database is made up for."""
    while True:
        with suppress(MediationError, *AWAY):
            await memory.turn_month(days)
        await asyncio.sleep(_DAY_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def issuer(settings: Settings) -> DevelopmentIssuer:
    """The development issuer of this installation; its key lies beside the vault's. Raises BadKeyFile."""
    return DevelopmentIssuer(key_from(settings.key_file.with_name("issuer.key")))


def verifier(settings: Settings) -> DevelopmentIssuer | ResourceServer:
    """Whoever verifies tokens here: the provider that is set, else the development issuer. Raises BadKeyFile."""
    if settings.issuer is None:
        return issuer(settings)
    expected = Expected(
        settings.issuer,
        settings.audience,
        frozenset(settings.token_algorithms),
        settings.token_lifetime,
        frozenset(settings.second_factor_acr),
    )
    return ResourceServer(expected, Keyring(settings.issuer, settings.jwks_url or ""))


def desk(request: Request) -> Desk:
    """The desk at which this request is served."""
    served: Desk = request.scope["app"].state.desk
    return served


def visit(request: Request) -> Visit:
    """The request as the gate took it in."""
    taken: Visit = request.scope["visit"]
    return taken


def parsed(adapter: TypeAdapter[Any], taken: Visit) -> Any:  # noqa: ANN401  # whatever the adapter makes
    """The body as a command: other than plain JSON 415, undecodable 400, malformed or with a key given twice 422."""
    kind, _, parameters = (taken.header(b"content-type") or "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    coding = (taken.header(b"content-encoding") or "identity").lower()
    if kind.strip() != "application/json" or charset not in {"", "utf-8", "utf8"} or coding != "identity":
        raise TurnedAway("unsupported_media_type")
    try:
        command = adapter.validate_json(taken.body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        if found and found[0]["type"] == "json_invalid":
            raise TurnedAway("undecodable") from None
        raise faults(found) from None
    # Two readers may take a key given twice in two ways. The numbers are not needed, so nothing is made of them.
    json.loads(taken.body.decode(), object_pairs_hook=_each_once, parse_int=str, parse_float=str)
    if isinstance(command, Command):
        taken.action = command.action
    return command


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(Reason("duplicate_key", f"{twice}: 同一字段给出两次", f"{twice}: this key is given twice"))


def no_query(request: Request) -> None:
    """Refuse any query parameter: this call takes none. Parameters given twice are refused everywhere."""
    if request.scope["query_string"]:
        names = sorted(set(request.query_params))
        raise Malformed(
            *[Reason("extra_forbidden", f"未知查询参数 {n}", f"Unknown query parameter {n}") for n in names[:5]]
        )


def once(request: Request) -> None:
    """Refuse a query parameter that is given twice, or holds a NUL."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise Malformed(Reason("repeated", "查询参数重复", "A query parameter is given twice"))
    if any("\x00" in value for value in request.query_params.values()):
        raise Malformed(Reason("nul", "查询参数含空字符", "A query parameter holds a NUL"))


def identifier(text: str) -> str:
    """A UUID of a path in its one spelling. Anything else names nothing, so it is not found."""
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise NotFound
    return lowered


def version_expected(taken: Visit) -> int:
    """The version of If-Match: one strong tag. Absent 428; `*`, weak tags, lists and other tags 400."""
    tag = taken.header(b"if-match")
    if tag is None:
        raise TurnedAway("precondition_required")
    match = _TAG.fullmatch(tag)
    if not match:
        raise TurnedAway("bad_if_match")
    return int(match[1])


def unchanged(taken: Visit, tag: str) -> bool:
    """Whether If-None-Match names this tag; it compares weakly, and `*` names any (RFC 9110 §13.1.2)."""
    known = taken.header(b"if-none-match")
    return known is not None and (known == "*" or f'"{known}"' == tag or tag.strip('"') in _TAGS.findall(known))


def idempotency_key(taken: Visit) -> str:
    """The Idempotency-Key, 8 to 64 of A-Za-z0-9_-; else 400."""
    key = taken.header(b"idempotency-key") or ""
    if not _KEY.fullmatch(key):
        raise TurnedAway("bad_idempotency_key")
    return key


def acting_for(taken: Visit) -> str:
    """The organisation named in Acting-For, empty when absent; 400 if it is not a UUID."""
    named = taken.header(b"acting-for")
    if named is None:
        return ""
    lowered = named.lower()
    if not _UUID.fullmatch(lowered):
        raise TurnedAway("bad_acting_for")
    return lowered


def context(request: Request) -> Context:
    """Who asks, for which body, in which request."""
    taken = visit(request)
    who = taken.principal
    return Context(who.person, acting_for(taken), taken.id, who.issuer, who.subject)


async def seeing(request: Request, case_id: str, *, sealed: bool = False) -> tuple[Case, Seen]:
    """The case of a path as far as the caller may see it, and its sealed values if asked for. Raises NotFound."""
    who = context(request)
    seen = await desk(request).house.memory.read_case(who, identifier(case_id), sealed=sealed)
    if seen.case is None:
        raise NotFound
    return seen.case, seen


async def viewing(request: Request) -> Viewer:
    """Who asks, for a list that is scoped by them. Raises OrganisationRequired, NotPermitted."""
    who = context(request)
    return viewer(who, await desk(request).house.memory.read_case(who))


def administering(request: Request) -> None:
    """Refuse a token that is narrowed to what is no administrator's work: 403."""
    if narrowed(visit(request).principal, "mediation:administer"):
        zh, en = "令牌的范围须含 mediation:administer。", "The token's scope must include `mediation:administer`."
        raise TurnedAway("insufficient_scope", zh=zh, en=en, headers=INSUFFICIENT)


def well_known(request: Request, power: Power, actor: Actor) -> None:
    """Refuse who has signed in with one factor where the table of access asks for two: 403."""
    if access.needs_second_factor(power, actor) and not visit(request).principal.second_factor:
        raise TurnedAway("second_factor_required")


def now(request: Request) -> str:
    """The instant of this request, where the caller may say it in a sandbox."""
    return instant(visit(request), sandbox=desk(request).settings.sandbox_clock)


def asked(request: Request, key: str, if_version: int | None = None) -> Asked:
    """A request of the corridor: who, when, and what its idempotency key is bound to."""
    taken, here = visit(request), desk(request)
    who = context(request)
    bound = fingerprint(
        here.house.vault.request_secret,
        method=request.method,
        path=request.scope["path"],
        org=who.acting_for,
        body=taken.body,
    )
    return Asked(who, now(request), key, bound, if_version)


def instant(taken: Visit, *, sandbox: bool) -> str:
    """The instant of this request, RFC 3339 UTC with six digits: now, or X-Sandbox-At where the sandbox clock runs."""
    asked = taken.header(b"x-sandbox-at")
    if asked is None:
        moment = datetime.now(UTC)
    elif not sandbox or not _INSTANT.fullmatch(asked):
        raise TurnedAway("bad_sandbox_at")
    else:
        try:
            moment = datetime.fromisoformat(asked.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise TurnedAway("bad_sandbox_at") from None
        if not _EARLIEST <= moment <= _LATEST:
            raise TurnedAway(
                "bad_sandbox_at",
                zh="X-Sandbox-At 须在 1990-01-01 至 2100-01-01 之间。",
                en="X-Sandbox-At lies between 1990-01-01 and 2100-01-01.",
            )
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def fingerprint(secret: bytes, *, method: str, path: str, org: str, body: bytes) -> bytes:
    """What an idempotency key is bound to: a keyed hash, so that a stored one says nothing of the body."""
    parts = (method.encode(), path.encode(), org.encode(), body)
    said = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(secret, said, hashlib.sha256)


def json_answer(body: bytes, status: int = 200, **headers: str) -> Response:
    """JSON bytes about a case, for its reader alone; header names are written with `_` for `-`."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, PRIVATE | more, media_type="application/json")

"""The signed logs as static resources (C2SP tlog-tiles), and the proof of an event (C2SP tlog-proof).

Checkpoints, hashes and keys are for anybody, without a token (http/gate.py): hashes of salted bytes tell nothing. What
was logged is for an auditor with jurisdiction over every body; to anybody else it is not there.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from mediation.domain.errors import NotFound
from mediation.domain.tiles import entry_bundle, parse_path
from mediation.domain.witnessing import NEWEST
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, IF_NONE_MATCH, LANGUAGE, refusals
from mediation.http.dependencies import PRIVATE, EventId, desk, identifier, no_query, unchanged, viewing, visit
from mediation.http.problems import VARY, TurnedAway
from mediation.http.schemas import Schema
from mediation.store import queries
from mediation.store.logbook import Epoch, Log, Logbook
from mediation.store.sight import following, reading

routes = APIRouter(tags=["log"])

_A_YEAR_S = 31_536_000
_IMMUTABLE = {"Cache-Control": f"public, max-age={_A_YEAR_S}, immutable"}
_OWN = {"Cache-Control": f"private, max-age={_A_YEAR_S}, immutable", "Vary": f"{VARY}, Accept-Encoding"}
_GZIP = re.compile(
    r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))"
)  # taken, and not said to be unwanted (RFC 9110 §12.5.3)
_FRESH = {"Cache-Control": "public, max-age=1"}
_KEYS = {"Cache-Control": "public, max-age=60"}
_POSITION = re.compile(r"[1-9][0-9]{0,17}")
_BYTES = "application/octet-stream"

_Level = Annotated[str, Path(description="层 0–63 the level of the tile")]
_Index = Annotated[str, Path(description="`000`、`x001/234`，未满的加 `.p/<宽度>` a partial one with its width")]
_First = Annotated[str, Path(description="首叶位置 the position of its first leaf")]
_Rest = Annotated[str, Path(description="`checkpoint`、`vkey`、`tile/…`")]


def _said(description: str, kind: str, *codes: str, open_: bool = True) -> dict[str, Any]:
    """What the OpenAPI file says of a route: text or bytes, for anybody or for the bearer of a token."""
    schema: Schema = {"type": "string", "format": "binary"} if kind == _BYTES else {"type": "string"}
    anybody = ("too_many_requests", "malformed", "unavailable", "not_found")
    common = anybody if open_ else (*EVERY, *ACTING, "not_found")
    return {
        "responses": {
            200: {"description": description, "content": {kind: {"schema": schema}}},
            **refusals(*common, *codes),
        },
        "response_class": Response,
        "openapi_extra": {"security": [], "parameters": [LANGUAGE]}
        if open_
        else {"parameters": [ACTING_FOR, LANGUAGE]},
    }


_TAG = {"headers": {"ETag": {"schema": {"type": "string"}}}}
_CHECKPOINT = _said("检查点 the checkpoint: tlog-checkpoint", "text/plain")
_CHECKPOINT["responses"][200] |= _TAG
_CHECKPOINT["responses"][304] = {"description": "未变 not modified", **_TAG}
_CHECKPOINT["openapi_extra"]["parameters"].append(IF_NONE_MATCH)
_TILE = _said("256个或更少的哈希 hashes, up to 256", _BYTES)
_ENTRIES = _said("条目，每条前有两字节长度 entries, each after its length in two bytes", _BYTES, open_=False)
_VKEY = _said("验证公钥，每行一个 verifier keys, a line each, the newest first", "text/plain")
_OLDER = _said("如同现行日志 as of the log that grows", _BYTES, open_=False)
_OLDER["openapi_extra"]["security"] = [{}, {"bearer": []}]  # entries alone need the token
_OLDER["responses"][200]["content"]["text/plain"] = {"schema": {"type": "string"}}
_PROOF = _said("日志证明 the proof: tlog-proof", "text/plain", "not_yet_logged", open_=False)


@routes.get("/v1/access-log/checkpoint", operation_id="show_access_log_checkpoint", **_CHECKPOINT)
@routes.get("/v1/log/checkpoint", operation_id="show_log_checkpoint", **_CHECKPOINT)
async def show_checkpoint(request: Request) -> Response:
    """已公布的最新检查点，含见证签名。The newest published checkpoint, with the cosignatures of its witnesses."""
    return await _checkpoint(request, None)


@routes.get("/v1/access-log/vkey", operation_id="show_access_log_vkey", **_VKEY)
@routes.get("/v1/log/vkey", operation_id="show_log_vkey", **_VKEY)
async def show_vkey(request: Request) -> Response:
    """日志的验证公钥，含已停用的。The verifier keys of the log, those that were retired too."""
    return _vkeys(request)


@routes.get("/v1/access-log/entries/{index:path}", operation_id="show_access_log_entries", **_ENTRIES)
@routes.get("/v1/access-log/tile/entries/{index:path}", operation_id="show_access_log_bundle", **_ENTRIES)
@routes.get("/v1/log/tile/entries/{index:path}", operation_id="show_log_bundle", **_ENTRIES)
@routes.get("/v1/log/entries/{index:path}", operation_id="show_log_entries", **_ENTRIES)
async def show_entries(request: Request, index: _Index) -> Response:
    """写入日志的条目；限辖区含全部单位的审计员。What was logged, for an auditor with jurisdiction over every body."""
    return await _entries(request, f"entries/{index}", None)


@routes.get("/v1/access-log/tile/{level}/{index:path}", operation_id="show_access_log_tile", **_TILE)
@routes.get("/v1/log/tile/{level}/{index:path}", operation_id="show_log_tile", **_TILE)
async def show_tile(request: Request, level: _Level, index: _Index) -> Response:
    """哈希分块。A tile of hashes."""
    return await _tile(request, f"{level}/{index}", None)


@routes.get("/v1/access-log/epochs/{first_position}/{rest:path}", operation_id="show_access_log_epoch", **_OLDER)
@routes.get("/v1/log/epochs/{first_position}/{rest:path}", operation_id="show_log_epoch", **_OLDER)
async def show_epoch(request: Request, first_position: _First, rest: _Rest) -> Response:
    """某一时期的日志（恢复之前的也在），以首叶位置为名。An epoch of the log, by the position of its first leaf."""
    if not _POSITION.fullmatch(first_position):
        raise NotFound
    first = int(first_position)
    if rest == "checkpoint":
        return await _checkpoint(request, first)
    if rest == "vkey":
        return _vkeys(request)
    kind, _, place = rest.partition("/")
    if kind == "entries":
        return await _entries(request, rest, first)
    if kind != "tile":
        raise NotFound
    return await (_entries if place.startswith("entries/") else _tile)(request, place, first)


@routes.get("/v1/events/{event_id}/proof", operation_id="show_event_proof", **_PROOF)
async def show_event_proof(request: Request, event_id: EventId) -> Response:
    """事件的日志证明：无需本服务即可验证。The proof that an event is in the log, verified without this service."""
    no_query(request)
    viewer = await viewing(request)
    stored = await queries.event(desk(request).engine, viewer, identifier(event_id))
    async with _logbook(request, "events") as book:
        proof = await book.proof_of(stored.position) if stored.position is not None else None
    if proof is None:
        raise TurnedAway("not_yet_logged")
    return Response(proof.text, headers=PRIVATE, media_type="text/plain")


async def _checkpoint(request: Request, first: int | None) -> Response:
    no_query(request)
    async with _logbook(request, _log(request)) as book:
        epoch, ended = await _epoch(book, first)
        published = await book.published(epoch.origin, quorum=NEWEST if ended else None)
    if published is None:
        raise _nothing_yet()
    tag = f'"{hashlib.sha256(published.note.encode()).hexdigest()[:32]}"'
    if unchanged(visit(request), tag):
        return Response(status_code=304, headers={**_FRESH, "ETag": tag})
    return Response(published.note, headers={**_FRESH, "ETag": tag}, media_type="text/plain")


async def _tile(request: Request, place: str, first: int | None) -> Response:
    no_query(request)
    level, index, width = parse_path(place)
    if level is None:
        raise NotFound
    async with _logbook(request, _log(request)) as book:
        epoch, _ = await _epoch(book, first)
        hashes = await book.tile(epoch.origin, level, index, width)
    return Response(hashes, headers=_IMMUTABLE, media_type=_BYTES)


async def _entries(request: Request, place: str, first: int | None) -> Response:
    """A bundle of entries. Whoever may not follow the log is told the same of every path: there is nothing."""
    no_query(request)
    viewer = await viewing(request)
    async with reading(desk(request).engine, viewer) as connection:
        if not await following(connection, viewer):
            raise NotFound
        book = Logbook(connection, _log(request))
        epoch, _ = await _epoch(book, first)
        _, index, width = parse_path(place)
        data = entry_bundle(await book.entries(epoch, index, width))
    headers = dict(_OWN)
    if _GZIP.search(visit(request).header(b"accept-encoding") or ""):
        data = await asyncio.to_thread(gzip.compress, data, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, headers=headers, media_type=_BYTES)


def _vkeys(request: Request) -> Response:
    no_query(request)
    keys = desk(request).keys
    if keys is None:
        raise NotFound(
            zh="本机没有日志的密钥：请向运行者索取验证公钥",
            en="The log's keys are not on this machine: ask its operator for the verifier key",
        )
    return Response(
        keys.access.vkeys if _log(request) == "access" else keys.events.vkeys, headers=_KEYS, media_type="text/plain"
    )


def _log(request: Request) -> Log:
    return "access" if request.scope["path"].startswith("/v1/access-log/") else "events"


@asynccontextmanager
async def _logbook(request: Request, log: Log) -> AsyncIterator[Logbook]:
    """The log as anybody may read it."""
    async with desk(request).engine.connect() as connection:
        yield Logbook(connection, log, quorum=desk(request).settings.published_by)


async def _epoch(book: Logbook, first: int | None) -> tuple[Epoch, bool]:
    """The epoch with this first leaf, or the one that grows; and whether it has ended. Raises NotFound."""
    epochs = await book.epochs()
    if not epochs:
        raise _nothing_yet()
    for epoch in epochs:
        if first is None or epoch.first_position == first:
            return epoch, epoch is not epochs[0]
    raise NotFound


def _nothing_yet() -> NotFound:
    return NotFound(
        zh="日志尚无已公布的检查点：第一个事件写入、并有足够的见证签名之后才有",
        en="Nothing of this log is published yet: it begins with the first entry, once enough witnesses cosigned",
    )

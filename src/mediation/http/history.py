"""The history of a case, one event, and the feed of all events: as JSON, or as the very bytes that are hashed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Self
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import Response, StreamingResponse

from mediation.domain import vocabulary as v
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import (
    PRIVATE,
    CaseId,
    EventId,
    Paged,
    desk,
    identifier,
    json_answer,
    no_query,
    once,
    viewing,
    visit,
)
from mediation.http.moments import Moment
from mediation.http.schemas import Schema, event_shown, page, paged, ref
from mediation.store import queries, spans
from mediation.store.queries import Stored

routes = APIRouter(tags=["history"])

NDJSON = "application/x-ndjson"
_VARY = {**PRIVATE, "Vary": f"{PRIVATE['Vary']}, Accept"}
_BYTES = {
    NDJSON: {"schema": {"type": "string", "description": "每行一个事件的规范字节 canonical bytes, a line an event"}}
}
_LINK = {"Link": {"schema": {"type": "string"}, "description": "NDJSON 的下一页 the next page of NDJSON"}}
_LIMIT = "每页行数；NDJSON 不带此项则一次给出全部 rows of a page; NDJSON without it gives all at once"
_ACTOR = r"^(clock|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
_BASIS = r"^[A-Za-z0-9._-]{1,60}(@[0-9]{4}-[0-9]{2}-[0-9]{2})?$"
_WHO = {"parameters": [ACTING_FOR, LANGUAGE]}


class Feed(BaseModel):
    """From where in the feed, and which events; every condition given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int | None, Field(ge=1, le=queries.MOST, description=_LIMIT)] = None
    org: Annotated[UUID | None, Field(description="代表该单位或其下级办理 done for this body or one below it")] = None
    actor: Annotated[
        str | None, StringConstraints(pattern=_ACTOR), Field(description="办理人，或 clock by whom, or `clock`")
    ] = None
    action: v.Action | None = None
    basis: Annotated[
        str | None,
        StringConstraints(pattern=_BASIS),
        Field(description="依据的规则，或其某一版本 under which rule, or version of it: PM-MED@2002-11-01"),
    ] = None
    state: Annotated[v.CaseState | None, Field(description="办理后的案件状态 of the case after it")] = None
    since: Annotated[Moment | None, Field(description="自该时刻起 done at or after")] = None
    until: Annotated[Moment | None, Field(description="早于该时刻 done before")] = None
    category: v.Category | None = None
    overdue: Annotated[bool | None, Field(description="办理时案件已逾期 the case was overdue when it was done")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("起点须早于终点 since comes before until")
        return self

    @property
    def wanted(self) -> spans.Wanted:
        given = self.model_dump(exclude={"after", "limit", "org"}, mode="python")
        return spans.Wanted(org=str(self.org) if self.org else None, **given)


def _two_ways(description: str, schema: Schema) -> Schema:
    made = answer(description, schema)
    made["content"] |= _BYTES
    return made | {"headers": _LINK}


@routes.get(
    "/v1/cases/{case_id}/events",
    operation_id="list_case_events",
    responses={200: _two_ways("一页事件 a page of events", paged("Event")), **refusals(*EVERY, *ACTING, "not_found")},
    openapi_extra=_WHO,
)
async def list_case_events(request: Request, case_id: CaseId, wanted: Annotated[Paged, InQuery()]) -> Response:
    """案件历史，自第一个事件起。The history of a case from its first event."""
    once(request)
    viewer = await viewing(request)
    found = await queries.history(
        desk(request).house.memory, viewer, identifier(case_id), cursor=wanted.cursor, limit=wanted.limit
    )
    if _bytes_wanted(request):
        return _lines(request, found.items, {"cursor": found.next} if found.next else None)
    return json_answer(
        page([event_shown(stored.data, stored.position) for stored in found.items], found.next), Vary=_VARY["Vary"]
    )


@routes.get(
    "/v1/events/{event_id}",
    operation_id="show_event",
    responses={200: _two_ways("事件 the event", ref("Event")), **refusals(*EVERY, *ACTING, "not_found")},
    openapi_extra=_WHO,
)
async def show_event(request: Request, event_id: EventId) -> Response:
    """一个事件。One event."""
    no_query(request)
    viewer = await viewing(request)
    stored = await queries.event(desk(request).engine, viewer, identifier(event_id))
    if _bytes_wanted(request):
        return _lines(request, [stored], None)
    return json_answer(bytes(event_shown(stored.data, stored.position)), Vary=_VARY["Vary"])


@routes.get(
    "/v1/events",
    operation_id="list_events",
    responses={200: _two_ways("总流的一段 a stretch of the feed", ref("Feed")), **refusals(*EVERY, *ACTING)},
    openapi_extra=_WHO,
)
async def list_events(request: Request, wanted: Annotated[Feed, InQuery()]) -> Response:
    """总流：您可见的全部事件，按位置。The feed: every event you may see, by position; go on with `after` = `next`."""
    once(request)
    viewer, engine = await viewing(request), desk(request).engine
    in_bytes = _bytes_wanted(request)
    if in_bytes and wanted.limit is None:
        end = await spans.newest(engine, viewer)
        chunks = spans.stream(engine, viewer, wanted.wanted, after=wanted.after, end=end)
        headers = _following(request, {"after": end} if end > wanted.after else None)
        return StreamingResponse(_joined(chunks), headers=headers, media_type=NDJSON)
    found, position = await spans.feed(
        engine, viewer, wanted.wanted, after=wanted.after, limit=wanted.limit or queries.MOST
    )
    if in_bytes:
        return _lines(request, found, {"after": position} if position > wanted.after else None)
    body = msgspec.json.encode(
        {"items": [event_shown(stored.data, stored.position) for stored in found], "next": position}
    )
    return json_answer(body, Vary=_VARY["Vary"])


def _bytes_wanted(request: Request) -> bool:
    """Whether NDJSON is accepted, and JSON not named before it."""
    accepted = visit(request).header(b"accept") or ""
    kinds = [part.partition(";")[0].strip().lower() for part in accepted.split(",")]
    return NDJSON in kinds and (
        "application/json" not in kinds or kinds.index(NDJSON) < kinds.index("application/json")
    )


def _lines(request: Request, found: Sequence[Stored], following: Mapping[str, str | int] | None) -> Response:
    headers = _following(request, following)
    return Response(b"".join(stored.data + b"\n" for stored in found), headers=headers, media_type=NDJSON)


def _following(request: Request, following: Mapping[str, str | int] | None) -> dict[str, str]:
    """The headers of lines: where more of the same is, asked for as this was."""
    if not following:
        return dict(_VARY)
    query = request.url.include_query_params(**following).query
    return _VARY | {"Link": f'<{request.scope["path"]}?{query}>; rel="next"'}


async def _joined(chunks: AsyncIterator[list[Stored]]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield b"".join(stored.data + b"\n" for stored in chunk)


SCHEMAS: dict[str, Schema] = {
    "Feed": {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": ref("Event")},
            "next": {
                "type": "integer",
                "description": "从此继续 go on from here; the same as `after`: nothing new yet",
            },
        },
        "required": ["items", "next"],
    }
}

"""The history of a case, one event, and the feed of all events: as JSON, or as the very bytes that are hashed."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

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
from mediation.http.schemas import Schema, event_shown, page, paged, ref
from mediation.store import queries
from mediation.store.queries import Stored

routes = APIRouter(tags=["history"])

NDJSON = "application/x-ndjson"
_VARY = {**PRIVATE, "Vary": f"{PRIVATE['Vary']}, Accept"}
_BYTES = {
    NDJSON: {"schema": {"type": "string", "description": "每行一个事件的规范字节 canonical bytes, a line an event"}}
}
_LINK = {"Link": {"schema": {"type": "string"}, "description": "NDJSON 的下一页 the next page of NDJSON"}}
_WHO = {"parameters": [ACTING_FOR, LANGUAGE]}


class Feed(BaseModel):
    """From where in the feed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=queries.MOST)] = queries.MOST


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
        desk(request).engine, viewer, identifier(case_id), cursor=wanted.cursor, limit=wanted.limit
    )
    if _bytes_wanted(request):
        return _lines(request, found.items, {"cursor": found.next, "limit": wanted.limit} if found.next else None)
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
    viewer = await viewing(request)
    found, position = await queries.feed(desk(request).engine, viewer, after=wanted.after, limit=wanted.limit)
    if _bytes_wanted(request):
        more = position > wanted.after
        return _lines(request, found, {"after": position, "limit": wanted.limit} if more else None)
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
    headers = dict(_VARY)
    if following:
        query = "&".join(f"{name}={value}" for name, value in following.items())
        headers["Link"] = f'<{request.scope["path"]}?{query}>; rel="next"'
    return Response(b"".join(stored.data + b"\n" for stored in found), headers=headers, media_type=NDJSON)


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

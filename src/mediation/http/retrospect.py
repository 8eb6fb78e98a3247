"""What was: a case as it stood at an instant, cases as they stood then, and what has changed between two instants."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, NamedTuple, Self

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from mediation.domain.differences import differences, stood_at
from mediation.domain.errors import Malformed, NotFound, Reason
from mediation.domain.events import Event, parse
from mediation.domain.facts import Case, Instant
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import (
    CaseId,
    context,
    desk,
    json_answer,
    now,
    once,
    seeing,
    viewing,
)
from mediation.http.moments import Moment, instant_of
from mediation.http.schemas import Schema, case_line, event_shown, page, ref
from mediation.service.perform import instant
from mediation.store import queries, spans
from mediation.store.append import Seen
from mediation.store.queries import Stored

routes = APIRouter(tags=["history"])

_NARROWING = frozenset({"as_of", "state", "holder", "category", "division", "overdue", "cursor", "limit"})


class Interval(BaseModel):
    """Between which instants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Annotated[
        Moment | None, Field(description="自该时刻的状况（缺省为立案前） from how it stood then; or all")
    ] = None
    until: Annotated[Moment | None, Field(description="至该时刻的状况（缺省为现在） to how it stood then; or now")] = (
        None
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since > self.until:
            raise ValueError("起点不得晚于终点 since does not come after until")
        return self


class Told(NamedTuple):
    """An event of a case, and as it is stored."""

    event: Event
    stored: Stored


@routes.get(
    "/v1/cases/{case_id}/changes",
    operation_id="list_changes",
    responses={
        200: answer("两时刻之间的变化 what has changed", ref("Changes")),
        **refusals(*EVERY, *ACTING, "not_found"),
    },
    openapi_extra={"parameters": [ACTING_FOR, LANGUAGE]},
)
async def list_changes(request: Request, case_id: CaseId, wanted: Annotated[Interval, InQuery()]) -> Response:
    """案件在两个时刻之间的变化。How a case differs between two instants, and the events between."""
    once(request)
    for name, moment in (("since", wanted.since), ("until", wanted.until)):
        assert_past(request, name, moment)
    case, seen = await seeing(request, case_id)
    since = instant_of(wanted.since) if wanted.since else ""
    until = instant_of(wanted.until) if wanted.until else instant(now(request), case)
    told = await _told(request, seen, case.id, until)
    history = [event for event, _ in told]
    before, after = stood_at(history, since), stood_at(history, until)
    if after is None:
        raise NotFound
    body = {
        "case": case.id,
        "since": ({"at": since} if since else {}) | {"version": before.version if before else 0},
        "until": {"at": until, "version": after.version},
        "events": [event_shown(stored.data, stored.position) for event, stored in told if event.at > since],
        "changes": [change._asdict() for change in differences(before, after)],
    }
    return json_answer(msgspec.json.encode(body))


async def stood(request: Request, case: Case, seen: Seen, as_of: datetime) -> Case:
    """The case, seen as it is now, as it stood at an instant. Raises NotFound where there was none."""
    at = instant_of(as_of)
    then = stood_at((event for event, _ in await _told(request, seen, case.id, at)), at)
    if then is None:
        raise NotFound
    return then


async def listed(request: Request, then: spans.Then, cursor: str | None, limit: int) -> Response:
    """A page of cases as they stood at an instant. Raises Malformed, naming each condition that is for now alone."""
    if others := sorted(set(request.query_params) - _NARROWING):
        raise Malformed(*[_not_then(name) for name in others])
    assert_past(request, "as_of", then.at)
    found = await spans.stood(desk(request).engine, await viewing(request), then, cursor=cursor, limit=limit)
    laws, at = desk(request).house.laws, instant_of(then.at)
    return json_answer(page([case_line(item.line, item.orgs, laws, at) for item in found.items], found.next))


def assert_past(request: Request, name: str, moment: datetime | None) -> None:
    """Refuse an instant that is still to come: nobody knows how a case will have stood. Raises Malformed."""
    if moment and instant_of(moment) > now(request):
        zh, en = f"{name}: 该时刻尚未到来", f"{name}: this instant is still to come"
        raise Malformed(Reason("in_the_future", zh, en))


def _not_then(name: str) -> Reason:
    known = ", ".join(sorted(_NARROWING - {"as_of", "cursor", "limit"}))
    return Reason(
        "not_with_as_of",
        f"{name}: 不能与 as_of 并用；可用 {known}",
        f"{name}: not to be asked together with as_of; what can be: {known}",
    )


async def _told(request: Request, seen: Seen, case_id: str, until: Instant) -> list[Told]:
    """The events of a case up to an instant, in order. Raises NotFound, where it has gone out of sight meanwhile."""
    asks = queries.viewer(context(request), seen)
    found: list[Told] = []
    cursor: str | None = None
    while True:
        some = await queries.history(desk(request).house.memory, asks, case_id, cursor=cursor)
        for stored in some.items:
            event = parse(stored.data)
            if event.at > until:
                return found
            found.append(Told(event, stored))
        cursor = some.next
        if cursor is None:
            return found


def _object(properties: dict[str, Any], optional: Collection[str] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_VERSION: Schema = {"type": "integer", "minimum": 0, "description": "版本；0 为尚无此案 0: there was no case yet"}
_FACT: Schema = {
    "type": ["string", "integer", "boolean", "array", "null"],
    "items": {},
    "description": "代码、编号、日期；null 为无 a code, id or day; null: none",
}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
SCHEMAS: dict[str, Schema] = {
    "Changes": _object(
        {
            "case": {"type": "string", "format": "uuid"},
            "since": _object({"at": _MOMENT, "version": _VERSION}, optional={"at"}),
            "until": _object({"at": _MOMENT, "version": _VERSION}),
            "events": {"type": "array", "items": ref("Event"), "description": "其间的事件 the events between"},
            "changes": {"type": "array", "items": ref("Change")},
        }
    ),
    "Change": _object(
        {
            "path": {"type": "string", "description": "事实，如 `legs.1.state` which fact; parts by their number"},
            "before": _FACT,
            "after": _FACT,
        }
    ),
}

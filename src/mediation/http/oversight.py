"""For those who oversee: what was refused, and who was shown what is personal, as far as their own bodies go."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import Field, StringConstraints
from starlette.responses import Response

from mediation.domain import access
from mediation.domain.errors import BrokenTrail, NotPermitted, Reason
from mediation.domain.vocabulary import Power
from mediation.http.blotter import FLOOD
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import Paged, administering, desk, json_answer, once, viewing, well_known
from mediation.http.moments import Moment, instant_of
from mediation.http.problems import titles
from mediation.http.schemas import Schema, page, paged
from mediation.store import attempts as logs
from mediation.store.attempts import Sought
from mediation.store.sight import Viewer

routes = APIRouter(tags=["oversight"])

_WHO = {"parameters": [ACTING_FOR, LANGUAGE]}
_FLOOD = "被拒过多，其余只计数", "Too many refusals: the others are only counted"
_Word = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]


class Log(Paged):
    """Which entries of a log; every condition given must hold."""

    since: Annotated[Moment | None, Field(description="自该时刻起 at or after")] = None
    until: Annotated[Moment | None, Field(description="早于该时刻 before")] = None
    person: Annotated[UUID | None, Field(description="何人 by whom")] = None
    org: Annotated[UUID | None, Field(description="代表何单位 for which body")] = None
    case: Annotated[UUID | None, Field(description="何案 of which case")] = None

    def sought(self, word: str | None) -> Sought:
        person, org, case = (str(one) if one else None for one in (self.person, self.org, self.case))
        return Sought(self.since, self.until, person, org, case, word)


class Attempts(Log):
    """Which refused attempts."""

    code: Annotated[_Word | None, Field(description="拒绝的代码 the code of the refusal")] = None


class Disclosures(Log):
    """Which disclosures."""

    kind: Annotated[
        Literal["disclosure", "search", "absorb"] | None,
        Field(description="查看明文、查人、并入 plain values, a search for a person, a case absorbed"),
    ] = None


@routes.get(
    "/v1/attempts",
    operation_id="list_attempts",
    responses={
        200: answer("一页被拒记录 a page of refused attempts", paged("Attempt")),
        **refusals(*EVERY, *ACTING, "second_factor_required"),
    },
    openapi_extra=_WHO,
)
async def list_attempts(request: Request, wanted: Annotated[Attempts, InQuery()]) -> Response:
    """被拒记录：何人、何事、为何被拒，新的在前。What was refused: to whom, what and why; the newest first."""
    once(request)
    viewer = await _overseer(request, Power.READ_ATTEMPTS)
    found = await logs.attempts(
        desk(request).engine, viewer, wanted.sought(wanted.code), cursor=wanted.cursor, limit=wanted.limit
    )
    items = []
    for attempt in found.items:
        zh, en = _FLOOD if attempt.code == FLOOD else titles(attempt.code)
        items.append(_shown(attempt._asdict()) | {"label_zh": zh, "label_en": en})
    return json_answer(page(items, found.next))


@routes.get(
    "/v1/disclosures",
    operation_id="list_disclosures",
    responses={
        200: answer("一页访问记录 a page of the access log", paged("Access")),
        **refusals(*EVERY, *ACTING, "second_factor_required"),
    },
    openapi_extra=_WHO,
)
async def list_disclosures(request: Request, wanted: Annotated[Disclosures, InQuery()]) -> Response:
    """访问日志：何人看过何种明文、所为何事，新的在前。Who was shown which plain values and why; the newest first."""
    once(request)
    viewer = await _overseer(request, Power.READ_ACCESS)
    found = await logs.disclosures(
        desk(request).engine, viewer, wanted.sought(wanted.kind), cursor=wanted.cursor, limit=wanted.limit
    )
    vault, items = desk(request).house.vault, []
    for entry in found.items:
        shown = entry._asdict()
        if sealed := shown.pop("sealed"):
            try:
                shown["purpose"] = vault.open_purpose(entry.request, entry.case or "", sealed)
            except BrokenTrail:  # one entry that was tampered with must not hide the others from whoever oversees
                shown["broken"] = True
        items.append(_shown(shown))
    return json_answer(page(items, found.next))


async def _overseer(request: Request, power: Power) -> Viewer:
    """Who reads a log. Raises NotPermitted; then, of administrators, insufficient_scope and second_factor_required."""
    viewer = await viewing(request)
    if not access.permitted(power, viewer.actor, logs.stands(viewer)):
        held = access.roles_held(viewer.actor)
        raise NotPermitted(
            Reason(
                "not_an_overseer",
                f"您在本单位的角色（{held[0]}）不能{power.zh}",
                f"Your roles here ({held[1]}) do not let you {power.en}",
            )
        )
    if not access.ADMINISTRATORS.isdisjoint(viewer.actor.roles):
        administering(request)
    well_known(request, power, viewer.actor)
    return viewer


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as an answer shows it: what is unknown is left out."""
    at: datetime = entry["at"]
    return {name: value for name, value in entry.items() if value not in (None, "")} | {"at": instant_of(at)}


_CODE: Schema = {"type": "string"}
_IDENTIFIER: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_CODES: Schema = {"type": "array", "items": _CODE}
_CLIENT: Schema = {"type": "string", "description": "来访者的密钥散列 a keyed hash of whoever is not known"}
_PURPOSE: Schema = {
    "type": "string",
    "description": "代码，或当时填写的用途 a code, or what was written for it",
}
SCHEMAS: dict[str, Schema] = {
    "Attempt": {
        "type": "object",
        "properties": {
            "at": _MOMENT,
            "request": _IDENTIFIER,
            "person": _IDENTIFIER,
            "org": _IDENTIFIER,
            "client": _CLIENT,
            "method": _CODE,
            "route": _CODE,
            "case": _IDENTIFIER,
            "action": _CODE,
            "status": {"type": "integer"},
            "code": _CODE,
            "reasons": _CODES,
            "label_zh": _CODE,
            "label_en": _CODE,
        },
        "required": ["at", "request", "method", "route", "status", "code", "reasons", "label_zh", "label_en"],
    },
    "Access": {
        "type": "object",
        "properties": {
            "at": _MOMENT,
            "person": _IDENTIFIER,
            "org": _IDENTIFIER,
            "request": _IDENTIFIER,
            "kind": _CODE,
            "case": _IDENTIFIER,
            "purpose": _PURPOSE,
            "broken": {
                "type": "boolean",
                "description": "用途无法解开 its purpose cannot be opened",
            },
            "fields": _CODES,
        },
        "required": ["at", "person", "org", "request", "kind", "fields"],
    },
}

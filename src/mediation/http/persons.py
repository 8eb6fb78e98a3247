"""People in disputes: whose cases these are, by identity number, which never stands in an address."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from mediation.domain import access
from mediation.domain.commands import IdNumber
from mediation.domain.errors import NotPermitted, Reason
from mediation.domain.lines import line_of
from mediation.domain.numbers import tells_apart
from mediation.domain.vocabulary import Power, Purpose, Standing
from mediation.http.contract import ACTING, ACTING_FOR, BODY, EVERY, LANGUAGE, answer, body, refusals
from mediation.http.dependencies import context, desk, no_query, now, parsed, visit
from mediation.http.schemas import Schema, case_line, page, paged, ref
from mediation.store import queries

routes = APIRouter(tags=["cases"])


def _telling(number: str) -> str:
    if not tells_apart(number):
        message = (
            "证件号码至少含5个字母或数字，且须有数字 a number has at least five letters or digits, a digit among them"
        )
        raise ValueError(message)
    return number


class Search(BaseModel):
    """Whose cases are sought, and what for; that is written down before the answer, also where there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id_number: Annotated[
        IdNumber,
        AfterValidator(_telling),
        Field(description="证件号码 identity number; a citizen's of 15 digits is the same as that of 18"),
    ]
    purpose: Purpose
    limit: Annotated[int, Field(ge=1, le=queries.MOST, strict=True)] = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None


SEARCH: TypeAdapter[Search] = TypeAdapter(Search)


@routes.post(
    "/v1/persons/search",
    operation_id="search_person",
    responses={
        200: answer("一页案件 a page of cases", paged("Known")),
        **refusals(*EVERY, *BODY, *ACTING),
    },
    openapi_extra={
        "requestBody": body("Search", number={"id_number": "11010519491231002X", "purpose": "duplicate"}),
        "parameters": [ACTING_FOR, LANGUAGE],
    },
)
async def search_person(request: Request) -> Response:
    """按证件号查人：您可见的该人案件，先留痕后答复。The cases of a person among those you see, once it is noted."""
    wanted: Search = parsed(SEARCH, visit(request))
    no_query(request)
    at, who, house = now(request), context(request), desk(request).house
    seen = await house.memory.read_case(who)
    if not access.permitted(Power.SEARCH, seen.actor, frozenset(Standing)):
        held = access.roles_held(seen.actor)
        raise NotPermitted(
            Reason(
                "not_a_handler",
                f"只有办理或督办案件的人员可按证件号查人；您在本单位的角色是{held[0]}",
                f"Only those who handle or supervise cases look people up; your roles here: {held[1]}",
            )
        )
    await house.memory.disclose(who, seen.actor, "search", None, wanted.purpose.value, ())
    found = await queries.cases_of(
        house.memory,
        queries.viewer(who, seen),
        house.vault.blind_id(wanted.id_number),
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    items: list[dict[str, Any]] = []
    for case, numbers, orgs in found.items:
        stands = access.standing(case, seen.actor, orgs)
        if access.permitted(Power.SEARCH, seen.actor, stands, fewer=access.restricted(case)):
            parties = [{"id": party.id, "side": party.side} for party in case.parties if party.id in numbers]
            items.append({"case": case_line(line_of(case), orgs, house.laws, at), "parties": parties})
    return Response(page(items, found.next), headers={"Cache-Control": "no-store"}, media_type="application/json")


_ASKED = Search.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Schema] = {
    "Search": {key: value for key, value in _ASKED.items() if key != "$defs"},
    "Known": {
        "type": "object",
        "properties": {
            "case": ref("CaseLine"),
            "parties": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"id": {"type": "integer"}, "side": ref("Side")},
                    "required": ["id", "side"],
                },
            },
        },
        "required": ["case", "parties"],
    },
}

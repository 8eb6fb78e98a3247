"""The trays: what was handed to a body, and what it handed to others."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from starlette.responses import Response

from mediation.domain.lines import line_of
from mediation.domain.vocabulary import HandoffState
from mediation.http.contract import ACTING, ACTING_FOR, EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import Paged, desk, json_answer, now, once, viewing
from mediation.http.proving import EVIDENCE, evidence
from mediation.http.schemas import Schema, case_line, page, paged, ref, shown
from mediation.store import worklists

routes = APIRouter(tags=["handoffs"])


class Tray(Paged):
    """Which tray; without a state, the hand-offs that still bind somebody."""

    box: Literal["in", "out"]
    state: HandoffState | None = None


@routes.get(
    "/v1/handoffs",
    operation_id="list_handoffs",
    responses={200: answer("一页移交 a page of hand-offs", paged("Trayed")), **refusals(*EVERY, *ACTING)},
    openapi_extra={"parameters": [ACTING_FOR, LANGUAGE]},
)
async def list_handoffs(request: Request, wanted: Annotated[Tray, InQuery()]) -> Response:
    """收件箱或发件箱：移交给本单位的，或本单位移交出去的。The tray of what came in, or of what went out."""
    once(request)
    at = now(request)
    viewer = await viewing(request)
    found = await worklists.tray(
        desk(request).house.memory, viewer, box=wanted.box, state=wanted.state, cursor=wanted.cursor, limit=wanted.limit
    )
    laws = desk(request).house.laws
    proven = await evidence(request, viewer, [(item.case.id, item.handoff) for item in found.items])
    items = []
    for item in found.items:
        numbered = item.case.id, item.handoff.id
        more = {"evidence": proven[numbered]} if numbered in proven else {}
        line = case_line(line_of(item.case), item.orgs, laws, at)
        items.append({"handoff": shown(item.handoff) | more, "case": line})
    return json_answer(page(items, found.next))


SCHEMAS: dict[str, Schema] = {
    "Evidence": EVIDENCE,
    "Trayed": {
        "type": "object",
        "properties": {"handoff": ref("Handoff"), "case": ref("CaseLine")},
        "required": ["handoff", "case"],
    },
}

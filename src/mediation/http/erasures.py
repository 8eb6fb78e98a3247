"""Erasure: what is personal of a party, or all that was said in a case, is destroyed for good once the case is over."""

from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from starlette.responses import Response

from mediation.domain import access
from mediation.domain.commands import No
from mediation.domain.errors import Conflict, Malformed, NotPermitted, Reason, StaleVersion
from mediation.domain.registering import Hand
from mediation.domain.vocabulary import ErasureGround, Power
from mediation.gateway.ledger import Ledger
from mediation.gateway.vault import TEXT
from mediation.http.contract import ACTING, ACTING_FOR, BODY, EVERY, LANGUAGE, answer, body, refusals
from mediation.http.dependencies import CaseId, context, desk, no_query, now, parsed, seeing, visit, well_known
from mediation.http.schemas import Schema, ref
from mediation.service.erasing import erase
from mediation.store import queries

routes = APIRouter(tags=["cases"])
_TRIES = 5


class Erasure(BaseModel):
    """What is to be destroyed, and on which ground: a party's values, or the case's own text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    party: Annotated[No | None, Field(description="当事人编号 a party by number")] = None
    text: Annotated[
        Literal[True] | None,
        Field(description="案件的全部文字 all that was said in the case"),
    ] = None
    ground: ErasureGround

    @model_validator(mode="after")
    def _one(self) -> "Erasure":
        if (self.party is None) == (self.text is None):
            message = "须填 party 或 text 之一 either `party` or `text`"
            raise ValueError(message)
        return self


ERASURE: TypeAdapter[Erasure] = TypeAdapter(Erasure)


@routes.post(
    "/v1/cases/{case_id}/erasures",
    operation_id="erase",
    responses={
        200: answer("已删除 destroyed, now or before", ref("Erased")),
        **refusals(*EVERY, *BODY, *ACTING, "second_factor_required", "not_found", "conflict", "refused", "bad_ledger"),
    },
    openapi_extra={
        "requestBody": body("Erasure", party={"party": 1, "ground": "retention_ended"}),
        "parameters": [ACTING_FOR, LANGUAGE],
    },
)
async def erase_personal(request: Request, case_id: CaseId) -> Response:
    """删除个人信息：销毁密钥，不可恢复，历史仍可校验。The key is destroyed for good; the history still verifies."""
    wanted: Erasure = parsed(ERASURE, visit(request))
    no_query(request)
    for _ in range(_TRIES):
        with suppress(StaleVersion):  # a step overtook it: whether the case is over is asked anew
            return await _erased(request, case_id, wanted)
    raise Conflict


async def _erased(request: Request, case_id: str, wanted: Erasure) -> Response:
    at, who, here = now(request), context(request), desk(request)
    case, seen = await seeing(request, case_id)
    stands = access.standing(case, seen.actor, seen.orgs)
    if not access.permitted(Power.ERASE, seen.actor, stands, fewer=access.restricted(case)):
        zh = "限保管单位的负责人或档案员办理"
        en = "It is for the chair or the archivist of the body that keeps the case"
        raise NotPermitted(Reason("not_the_keeper", zh, en))
    well_known(request, Power.ERASE, seen.actor)
    subject = TEXT if wanted.party is None else wanted.party
    if subject > len(case.parties):
        raise Malformed(Reason("no_such_party", f"没有{subject}号当事人", f"There is no party {subject}"))
    hand = Hand(seen.actor.person, seen.actor.org, seen.actor.roles[0].value, at, who.request)
    copies = set(await queries.copies_of(here.engine, queries.viewer(who, seen), case.id)) | {case.merged_into}
    event = await erase(here.engine, Ledger(here.settings.erasures), hand, case, subject, wanted.ground)
    what: dict[str, Any] = {"text": True} if subject == TEXT else {"party": subject}
    done: dict[str, Any] = {"event": event.event, "at": event.at} if event else {}
    if held := sorted(copies - {""}):
        done["copies"] = held
    return Response(
        msgspec.json.encode({"case": case.id} | what | done),
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


_ASKED = Erasure.model_json_schema(ref_template="#/components/schemas/{model}")
_UUID: Schema = {"type": "string", "format": "uuid"}
SCHEMAS: dict[str, Schema] = {
    "Erasure": {key: value for key, value in _ASKED.items() if key != "$defs"},
    "Erased": {
        "type": "object",
        "properties": {
            "case": _UUID,
            "party": {"type": "integer"},
            "text": {"type": "boolean"},
            "event": _UUID
            | {"description": "管理日志事件；此前已删除则无 its entry in the log; none if it was gone before"},
            "at": {"type": "string", "format": "date-time"},
            "copies": {
                "type": "array",
                "items": _UUID,
                "description": "并入过本案、可能仍存有其当事人和诉求的案件，须另行删除 "
                "cases that absorbed this one and may still hold its people and claims: erase there too",
            },
        },
        "required": ["case"],
    },
}

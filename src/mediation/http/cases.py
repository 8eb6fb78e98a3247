"""Cases: file one, find one, read one, see what may be done, take a step."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from mediation.domain import access, decision, offering
from mediation.domain import vocabulary as v
from mediation.domain.clocks import urgencies
from mediation.domain.commands import STEP, Command, File
from mediation.domain.events import Event
from mediation.domain.facts import Case
from mediation.domain.masks import masked
from mediation.gateway.vault import ERASED, TEXT, Sealed
from mediation.http import retrospect
from mediation.http.contract import (
    ACTING,
    ACTING_FOR,
    BODY,
    ETAG,
    EVERY,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    LANGUAGE,
    LINKS,
    LOCATION,
    answer,
    body,
    refusals,
)
from mediation.http.dependencies import (
    PRIVATE,
    CaseId,
    Paged,
    asked,
    context,
    desk,
    idempotency_key,
    identifier,
    json_answer,
    no_query,
    now,
    once,
    parsed,
    seeing,
    unchanged,
    version_expected,
    viewing,
    visit,
)
from mediation.http.moments import Moment, instant_of
from mediation.http.proving import evidence
from mediation.http.schemas import Personal, Schema, case_line, case_shown, event_shown, page, paged, ref
from mediation.service.perform import House, instant, perform
from mediation.store import queries, spans, worklists
from mediation.store.append import SealedRow, Seen

routes = APIRouter(tags=["cases"])

FILE: TypeAdapter[File] = TypeAdapter(File)

_DISPUTE = {
    "category": "neighbour",
    "division": "150525100201",
    "parties": [
        {"name": "张三", "side": "applicant", "phone": "13812345678"},
        {"name": "李四", "side": "respondent"},
    ],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}
_NOTE = {"action": "note", "kind": "contact_attempt", "text": "电话联系被申请人，约定周三到场。"}


_Q = (
    "案号开头、外部编号，或案情与诉求中的文字（每词两字以上，多个词以空格分开，须同见于一段文字；按相邻两字检索，"
    "偶有近似结果） the beginning of a number, a reference, or words of the facts and claims (each of two signs or "
    "more, with spaces between them and all in one text; found by their pairs: now and then a near miss)"
)


_AS_OF = (
    "当时的情况；可并用 state、holder、category、division、overdue as they stood then; to be asked with these alone: "
    "`state`, `holder`, `category`, `division`, `overdue`"
)


class Version(BaseModel):
    """Which version of a case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    as_of: Annotated[Moment | None, Field(description="该时刻的情况 as it stood then; else as it stands")] = None


class Worklist(Paged):
    """Which cases of a body's worklist; every condition given must hold."""

    as_of: Annotated[Moment | None, Field(description=_AS_OF)] = None
    state: v.CaseState | None = None
    track: v.Track | None = None
    tier: v.Tier | None = None
    holder: UUID | None = None
    category: v.Category | None = None
    risk: v.Risk | None = None
    overdue: bool | None = None
    due_before: Annotated[date | None, Field(description="最早到期日早于该日 due before this day")] = None
    due_after: Annotated[date | None, Field(description="最早到期日晚于该日 due after this day")] = None
    division: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")] | None = None
    q: Annotated[str | None, StringConstraints(min_length=1, max_length=64), Field(description=_Q)] = None
    sort: Annotated[
        Literal["newest", "due"],
        Field(description="新近在前；或按到期日，只列有到期日的 newest first; or by due day, those that have one"),
    ] = "newest"


_WHO = [ACTING_FOR, LANGUAGE]
_STEP_ANSWER = answer("已办理 the step is taken", ref("Event")) | LINKS
_TAKING = refusals(
    *EVERY, *BODY, *ACTING, "bad_idempotency_key", "not_found", "key_reused", "action_unavailable", "guard_refused",
    "key_in_flight",
)  # fmt: skip


@routes.post(
    "/v1/cases",
    operation_id="file_case",
    status_code=201,
    responses={201: _STEP_ANSWER | {"headers": ETAG | LOCATION}, **_TAKING},
    openapi_extra={"requestBody": body("File", dispute=_DISPUTE), "parameters": [IDEMPOTENCY_KEY, *_WHO]},
)
async def file_case(request: Request) -> Response:
    """登记纠纷，或凭案件码另立程序段。File a dispute; or, with a case code, a further leg of an open one."""
    taken = visit(request)
    command = parsed(FILE, taken)
    no_query(request)
    event = await perform(desk(request).house, asked(request, idempotency_key(taken)), None, command)
    return _taken(event, Location=f"/v1/cases/{event.case}")


@routes.post(
    "/v1/cases/{case_id}/events",
    operation_id="take_step",
    status_code=201,
    responses={
        201: _STEP_ANSWER | {"headers": ETAG},
        **_TAKING,
        **refusals("precondition_required", "stale_version"),
        **refusals(*BODY[2:], *ACTING[:3], "bad_idempotency_key", "bad_if_match"),
    },
    openapi_extra={
        "requestBody": body("Step", note=_NOTE, accept={"action": "accept"}),
        "parameters": [IF_MATCH, IDEMPOTENCY_KEY, *_WHO],
    },
)
async def take_step(request: Request, case_id: CaseId) -> Response:
    """办理一步：请求体是一条指令，由 action 区分。Take a step: the body is a command, told apart by `action`."""
    taken = visit(request)
    command: Command = parsed(STEP, taken)
    no_query(request)
    version = version_expected(taken)
    wanted = asked(request, idempotency_key(taken), version)
    return _taken(await perform(desk(request).house, wanted, identifier(case_id), command))


def _taken(event: Event, **headers: str) -> Response:
    """The answer to a step: nothing but its event decides it, so a replay is the same to the byte."""
    return json_answer(bytes(event_shown(event.canonical)), 201, ETag=f'"{event.seq}"', **headers)


@routes.get(
    "/v1/cases",
    operation_id="list_cases",
    responses={200: answer("一页案件 a page of cases", paged("CaseLine")), **refusals(*EVERY, *ACTING)},
    openapi_extra={"parameters": _WHO},
)
async def list_cases(request: Request, wanted: Annotated[Worklist, InQuery()]) -> Response:
    """工作清单：本单位及下级的案件，新近在前。The worklist: cases your body and those below it see, newest first."""
    once(request)
    at = now(request)
    holder = str(wanted.holder) if wanted.holder else None
    if wanted.as_of is not None:
        then = spans.Then(wanted.as_of, wanted.state, holder, wanted.category, wanted.division, wanted.overdue)
        return await retrospect.listed(request, then, wanted.cursor, wanted.limit)
    conditions = wanted.model_dump(exclude={"limit", "cursor", "sort", "holder", "as_of"}, mode="python")
    grams = tuple(sorted({gram for word in (wanted.q or "").split() for gram in desk(request).house.vault.grams(word)}))
    filters = worklists.Filters(at, holder=holder, grams=grams, **conditions)
    who = await viewing(request)
    found = await worklists.worklist(
        desk(request).house.memory, who, filters, sort=wanted.sort, cursor=wanted.cursor, limit=wanted.limit
    )
    laws = desk(request).house.laws
    return json_answer(page([case_line(item.line, item.orgs, laws, at) for item in found.items], found.next))


@routes.get(
    "/v1/cases/{case_id}",
    operation_id="show_case",
    responses={
        200: answer("案件 the case", ref("Case")) | {"headers": ETAG},
        304: {"description": "未变 not modified", "headers": ETAG},
        **refusals(*EVERY, *ACTING, "not_found"),
    },
    openapi_extra={"parameters": [IF_NONE_MATCH, *_WHO]},
)
async def show_case(request: Request, case_id: CaseId, wanted: Annotated[Version, InQuery()]) -> Response:
    """案件现状，或当时的情况；当事人信息遮蔽显示。The case as it stands or stood; what is personal is shown masked."""
    once(request)
    asked_at = now(request)
    retrospect.assert_past(request, "as_of", wanted.as_of)
    case, seen = await seeing(request, case_id, sealed=True)
    house, at = desk(request).house, instant(asked_at, case)
    masked_too = _reads_masked(seen, case)  # as the case stands now, whatever it was
    rows = seen.sealed
    if wanted.as_of is not None:
        at = instant_of(wanted.as_of)
        case = await retrospect.stood(request, case, seen, wanted.as_of)
    tag = f'"{case.version}"'
    urgent = urgencies(case, house.laws, seen.orgs, at)
    # A version tells what was done in the case. Whoever has it may have it from before a period ran out, or a key was
    # destroyed, or from when they read more than codes.
    timely = urgent == urgencies(case, house.laws, seen.orgs, case.at)
    # Nor does a version tell what the log has published since, for the court that is handed it.
    viewer = queries.viewer(context(request), seen)
    proven = await evidence(request, viewer, [(case.id, handoff) for handoff in case.handoffs])
    if timely and not proven and unchanged(visit(request), tag) and masked_too and not _erased(rows):
        return Response(status_code=304, headers={**PRIVATE, "ETag": tag})
    personal = Personal(_personal(house, case, rows) if masked_too else {}, _erased(rows), access.sensitive(case))
    out = case_shown(case, seen.orgs[case.holder].name, seen.orgs[case.filed_by], personal, urgent)
    for (_, number), proof in proven.items():
        out["handoffs"][number - 1]["evidence"] = proof
    if wanted.as_of is None and any(leg.open and leg.org == seen.actor.org for leg in case.legs):
        out["case_code"] = house.vault.case_code(case.id, case.number)
    return json_answer(msgspec.json.encode(out), ETag=tag)


def _reads_masked(seen: Seen, case: Case) -> bool:
    """Whether this reader sees people masked; else codes alone."""
    stands = access.standing(case, seen.actor, seen.orgs)
    return v.Sensitivity.MASKED in access.permitted(v.Power.READ, seen.actor, stands, fewer=access.restricted(case))


def _erased(rows: Sequence[SealedRow]) -> frozenset[int]:
    """Whose key was destroyed: parties by number, 0 for the case's own text."""
    return frozenset(row.subject for row in rows if row.name == ERASED)


def _personal(house: House, case: Case, rows: Sequence[SealedRow]) -> dict[int, dict[str, Any]]:
    """What is personal of each party, masked."""
    parties = [row for row in rows if row.subject != TEXT and row.name != ERASED]
    return {row.subject: masked(row.name, house.vault.open(case.id, Sealed(*row))) for row in parties}


@routes.get(
    "/v1/cases/{case_id}/actions",
    operation_id="list_actions",
    responses={
        200: answer("可办事项 what may be done", ref("Actions")) | {"headers": ETAG},
        **refusals(*EVERY, *ACTING, "not_found"),
    },
    openapi_extra={"parameters": _WHO},
)
async def list_actions(request: Request, case_id: CaseId) -> Response:
    """您现在可办的事项及所需字段，余者附理由。What you may do now, with the fields it needs, and why not the rest."""
    no_query(request)
    at = now(request)
    case, seen = await seeing(request, case_id)
    world = decision.World(desk(request).house.laws, seen.orgs)
    offers = offering.offers(case, seen.actor, instant(at, case), world)
    return json_answer(msgspec.json.encode({"items": [_offered(o) for o in offers]}), ETag=f'"{case.version}"')


def _offered(offer: offering.Offer) -> dict[str, Any]:
    out: dict[str, Any] = {
        "action": offer.action,
        "label_zh": offer.action.zh,
        "label_en": offer.action.en,
        "available": offer.available,
        "reasons": [reason._asdict() for reason in offer.reasons],
        "required": offer.required,
        "optional": offer.optional,
    }
    return out | ({"leg": offer.leg} if offer.leg else {})


_OFFER: Schema = {
    "type": "object",
    "properties": {
        "action": ref("Action"),
        "label_zh": {"type": "string"},
        "label_en": {"type": "string"},
        "leg": {"type": "integer", "description": "程序段编号 number of the leg it would be taken in"},
        "available": {"type": "boolean"},
        "reasons": {"type": "array", "items": ref("Cause"), "description": "不能办理的理由 why not"},
        "required": {"type": "array", "items": {"type": "string"}, "description": "必填 fields the command needs"},
        "optional": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["action", "label_zh", "label_en", "available", "reasons", "required", "optional"],
}
SCHEMAS: dict[str, Schema] = {
    "Offer": _OFFER,
    "Actions": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": ref("Offer")}},
        "required": ["items"],
    },
}

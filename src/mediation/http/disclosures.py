"""Plain values: asked for by name and for a purpose."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from mediation.gateway.identity import narrowed
from mediation.http.contract import ACTING, ACTING_FOR, BODY, EVERY, LANGUAGE, answer, body, refusals
from mediation.http.dependencies import PRIVATE, CaseId, context, desk, no_query, parsed, seeing, visit
from mediation.http.problems import beyond_scope
from mediation.http.schemas import Schema, ref
from mediation.service.disclosing import asking, disclosed

routes = APIRouter(tags=["cases"])

_FIELD = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.]{1,64}$")]
_NAMES = (
    "要看的明文 plain values by name: parties.<n>.name | id_number | phone | address, claims.<n>.text, "
    "obligations.<n>.text, documents.<n>.name; texts.<k> and plans.<k> count free texts and plans in their order, "
    "compromise.<k> what was said in sessions (调解陈述), undisputed.<k> the facts both sides signed (无争议事实). "
    "不在案内的名称被拒绝，答复列出您可看的名称 "
    "a name that is not in the case is refused, and the refusal lists those that you may see."
)
_PURPOSE = (
    "用途；密存于访问日志，供审计人员查看，与日志同期保存，不随案件个人信息删除，请勿写入他人信息 what for; sealed in "
    "the access log for those who review it and kept as long as the log, also when what is personal in the case is "
    "erased: name nobody in it"
)


class Disclosure(BaseModel):
    """What plain values are asked for, and what for; both are written down before anything is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: Annotated[
        str, StringConstraints(min_length=2, max_length=200, strip_whitespace=True), Field(description=_PURPOSE)
    ]
    fields: Annotated[list[_FIELD], Field(min_length=1, max_length=50, description=_NAMES)]


DISCLOSURE: TypeAdapter[Disclosure] = TypeAdapter(Disclosure)


@routes.post(
    "/v1/cases/{case_id}/disclosures",
    operation_id="disclose",
    responses={
        200: answer("明文 plain values", ref("Disclosed")),
        **refusals(*EVERY, *BODY, *ACTING, "not_found"),
    },
    openapi_extra={
        "requestBody": body("Disclosure", phone={"purpose": "通知到场", "fields": ["parties.1.phone"]}),
        "parameters": [ACTING_FOR, LANGUAGE],
    },
)
async def disclose(request: Request, case_id: CaseId) -> Response:
    """查看明文：先留痕，后显示。Plain values: who sees what and why is written down before it is shown."""
    taken = visit(request)
    wanted: Disclosure = parsed(DISCLOSURE, taken)
    no_query(request)
    if narrowed(taken.principal, "mediation:disclose"):
        raise beyond_scope("mediation:disclose")
    case, seen = await seeing(request, case_id)
    return _shown(
        await disclosed(desk(request).house, asking(context(request), case, seen), wanted.fields, wanted.purpose)
    )


def _shown(values: Mapping[str, str]) -> Response:
    return Response(
        msgspec.json.encode({"values": values}),
        headers={"Cache-Control": "no-store", "Vary": PRIVATE["Vary"]},
        media_type="application/json",
    )


SCHEMAS: dict[str, Schema] = {
    "Disclosure": Disclosure.model_json_schema(ref_template="#/components/schemas/{model}"),
    "Disclosed": {
        "type": "object",
        "properties": {"values": {"type": "object", "additionalProperties": {"type": "string"}}},
        "required": ["values"],
    },
}

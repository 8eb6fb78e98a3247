"""Our own tables, published: the process, the glossary, divisions and organisations."""

from functools import cache, lru_cache
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from pydantic import StringConstraints
from starlette.responses import Response

from mediation.domain import vocabulary as v
from mediation.domain.laws import Laws
from mediation.domain.published import access_published, published
from mediation.http.contract import EVERY, LANGUAGE, answer, refusals
from mediation.http.dependencies import Paged, desk, no_query, once
from mediation.http.schemas import Schema, page, paged, ref, shown
from mediation.store import queries

routes = APIRouter(tags=["reference"])

_OURS = {"Cache-Control": "private, max-age=300"}
_Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")]


class Divisions(Paged):
    """Which divisions: all, or those right below `parent`."""

    parent: _Code | None = None


class Organisations(Paged):
    """Which bodies: of a division and those below it, of a kind, of a tier."""

    division: _Code | None = None
    kind: v.OrgKind | None = None
    tier: v.Tier | None = None


@lru_cache(maxsize=1)
def _process(laws: Laws) -> bytes:
    return msgspec.json.encode(published(laws))


@cache
def _glossary() -> bytes:
    return msgspec.json.encode({"items": v.glossary()})


@cache
def _access() -> bytes:
    return msgspec.json.encode(access_published())


def _published(data: bytes) -> Response:
    return Response(data, headers=_OURS, media_type="application/json")


@routes.get(
    "/v1/process",
    operation_id="show_process",
    responses={200: answer("流程表 the process table", ref("Process")), **refusals(*EVERY)},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def show_process(request: Request) -> Response:
    """流程表，附法律依据与图。The process: states, steps, guards, link-ups, their basis, a diagram."""
    no_query(request)
    return _published(_process(desk(request).house.laws))


@routes.get(
    "/v1/glossary",
    operation_id="show_glossary",
    responses={200: answer("词汇表 the glossary", ref("Glossary")), **refusals(*EVERY)},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def show_glossary(request: Request) -> Response:
    """词汇表：每个代码的中英文名称。Every code with its Chinese and English term."""
    no_query(request)
    return _published(_glossary())


@routes.get(
    "/v1/access",
    operation_id="show_access",
    responses={200: answer("权限表 the table of access", ref("AccessTable")), **refusals(*EVERY)},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def show_access(request: Request) -> Response:
    """权限表：何人从何地位可办何事、可见何种内容；表外一律拒绝。Who may do what, from where; all else is refused."""
    no_query(request)
    return _published(_access())


@routes.get(
    "/v1/divisions",
    operation_id="list_divisions",
    responses={200: answer("一页区划 a page of divisions", paged("Division")), **refusals(*EVERY)},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def list_divisions(request: Request, wanted: Annotated[Divisions, InQuery()]) -> Response:
    """行政区划。Divisions."""
    once(request)
    found = await queries.divisions(
        desk(request).engine, parent=wanted.parent, cursor=wanted.cursor, limit=wanted.limit
    )
    return _published(page([division._asdict() for division in found.items], found.next))


@routes.get(
    "/v1/organisations",
    operation_id="list_organisations",
    responses={200: answer("一页单位 a page of bodies", paged("Organisation")), **refusals(*EVERY)},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def list_organisations(request: Request, wanted: Annotated[Organisations, InQuery()]) -> Response:
    """单位名录。Bodies."""
    once(request)
    conditions = wanted.model_dump()
    found = await queries.organisations(desk(request).engine, **conditions)
    return _published(page([shown(body) for body in found.items], found.next))


_TABLE: Schema = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
_TABLES = ("states", "actions", "rows", "conditions", "guards", "link_ups", "procedures", "roles", "texts")
_ACCESS = (
    "roles",
    "letters",
    "steps",
    "capacities",
    "permits",
    "powers",
    "sensitivities",
    "standings",
    "sensitive",
    "administrators",
    "texts",
)
_TERM: Schema = {"type": "object", "properties": {n: {"type": "string"} for n in ("kind", "code", "zh", "en")}}
SCHEMAS: dict[str, Schema] = {
    "Process": {
        "type": "object",
        "properties": dict.fromkeys(_TABLES, _TABLE) | {"mermaid": {"type": "string"}},
        "required": [*_TABLES, "mermaid"],
    },
    "AccessTable": {"type": "object", "properties": dict.fromkeys(_ACCESS, _TABLE), "required": [*_ACCESS]},
    "Glossary": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": _TERM | {"required": ["kind", "code", "zh", "en"]}}},
        "required": ["items"],
    },
    "Division": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("code", "name", "level", "parent")},
        "required": ["code", "name", "level", "parent"],
    },
}

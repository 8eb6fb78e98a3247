"""The law as it is applied: every rule and procedure with its article and its versions, and when a limit is due."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi import Query as InQuery
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from mediation.domain.deadlines import Rule
from mediation.domain.enquiry import counted, day, listed, moment, versions
from mediation.domain.errors import NotFound
from mediation.domain.laws import Laws, Procedure
from mediation.http.contract import BODY, ETAG, EVERY, IF_NONE_MATCH, LANGUAGE, answer, body, refusals
from mediation.http.dependencies import Desk, desk, no_query, once, parsed, unchanged, visit
from mediation.http.problems import VARY
from mediation.http.schemas import REF, Schema, ref
from mediation.service.lawbook import BadLaws, digests, package_set, read_set
from mediation.store.shelf import files_of

routes = APIRouter(tags=["reference"])

_AS_NOW = {"Cache-Control": "private, no-cache", "Vary": VARY}
_Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")]


def _is_day(said: str) -> str:
    with suppress(ValueError):
        if date.fromisoformat(said).isoformat() == said:
            return said
    raise ValueError("须为日期 it is a day, YYYY-MM-DD")


# Not `date` itself, for which pydantic takes a number too.
_Day = Annotated[str, AfterValidator(_is_day), Field(json_schema_extra={"format": "date"})]
_Moment = Annotated[
    str, StringConstraints(max_length=40), Field(description="YYYY-MM-DD · RFC 3339（按小时 hour rules）")
]
RuleId = Annotated[str, Path(description="规则编号 id of the rule, such as PM-MED")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rules(_Asked):
    """Which versions: in force on a day, for bodies of a division, of one id; of the set of an event."""

    on: _Day | None = None
    division: _Code | None = None
    id: Annotated[str, StringConstraints(min_length=1, max_length=60)] | None = None
    set: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None


class Interval(_Asked):
    """中止 days on which the clock stands still, both included."""

    from_: _Day = Field(alias="from")
    to: _Day


class DueOf(_Asked):
    """期限推算 the start of a limit, and what moves its end."""

    from_: _Moment = Field(alias="from")
    suspend: Annotated[tuple[Interval, ...], Field(max_length=100)] = ()
    extend: Annotated[int, Field(ge=0, le=9999, strict=True)] = 0
    division: _Code | None = None
    on: _Day | None = None


_DUE_OF: TypeAdapter[DueOf] = TypeAdapter(DueOf)


@routes.get(
    "/v1/rules",
    operation_id="list_rules",
    responses={
        200: answer("规则集 the set", ref("RuleSet")) | {"headers": ETAG},
        304: {"description": "未变 nothing has changed"},
        **refusals(*EVERY, "not_found"),
    },
    openapi_extra={"parameters": [LANGUAGE, IF_NONE_MATCH]},
)
async def list_rules(request: Request, wanted: Annotated[Rules, InQuery()]) -> Response:
    """规则、程序与工作日历；`set` 取事件所引的规则集。Rules, procedures, calendar; `set`: those an event names."""
    once(request)
    here = desk(request)
    laws: Laws | None = here.house.laws
    files: Mapping[str, str] = {}
    if wanted.set:
        files = await _kept(here, wanted.set)
        laws = await asyncio.to_thread(_past, tuple(files.items()))
    tag = f'"{wanted.set or here.house.laws.digest}-{version("mediation")}"'
    if unchanged(visit(request), tag):
        return Response(status_code=304, headers=_AS_NOW | {"ETag": tag})
    if laws is None:  # of a version whose packs this one cannot read: the texts themselves are what there is
        found: dict[str, Any] = {"digest": wanted.set, "sources": digests(files)}
    else:
        found = listed(laws, on=wanted.on or "", division=wanted.division or "", named=wanted.id or "")
    for source in found["sources"] if files else ():
        source["text"] = files[source["name"]]
    return Response(msgspec.json.encode(found), headers=_AS_NOW | {"ETag": tag}, media_type="application/json")


async def _kept(here: Desk, digest: str) -> Mapping[str, str]:
    """The files of a set: that in use, that of the package, or one that was used here once. Raises NotFound."""
    for known in (here.lawbook.current, package_set()):
        if known.laws.digest == digest:
            return known.files
    files = await files_of(here.engine, digest)
    if files is None:
        raise NotFound
    return files


@lru_cache(maxsize=4)
def _past(files: tuple[tuple[str, str], ...]) -> Laws | None:
    with suppress(BadLaws):
        return read_set(dict(files))
    return None


@routes.get(
    "/v1/rules/{rule_id}",
    operation_id="show_rule",
    responses={200: answer("各版本 its versions", ref("RuleVersions")), **refusals(*EVERY, "not_found")},
    openapi_extra={"parameters": [LANGUAGE]},
)
async def show_rule(request: Request, rule_id: RuleId) -> Response:
    """一条规则的全部版本，由旧到新。Every version of a rule, oldest first."""
    no_query(request)
    laws = desk(request).house.laws
    found = {"id": rule_id, "digest": laws.digest, "versions": versions(laws, rule_id)}
    return Response(msgspec.json.encode(found), headers=_AS_NOW, media_type="application/json")


@routes.post(
    "/v1/rules/{rule_id}/due",
    operation_id="reckon_due",
    responses={200: answer("届满日 the due day", ref("Due")), **refusals(*EVERY, *BODY, "not_found", "refused")},
    openapi_extra={
        "parameters": [LANGUAGE],
        "requestBody": body(
            "DueOf",
            month={"from": "2026-01-31"},
            appraised={"from": "2026-06-01", "suspend": [{"from": "2026-06-10", "to": "2026-07-08"}]},
        ),
    },
)
async def reckon_due(request: Request, rule_id: RuleId) -> Response:
    """推算届满日并逐步说明；不改动任何案件。When a limit is due, each step explained; it changes no case."""
    asked: DueOf = parsed(_DUE_OF, visit(request))
    no_query(request)
    found = counted(
        desk(request).house.laws,
        rule_id,
        moment(asked.from_),
        stood=[(day(interval.from_), day(interval.to)) for interval in asked.suspend],
        extended=asked.extend,
        division=asked.division or "",
        on=day(asked.on) if asked.on else None,
    )
    return Response(msgspec.json.encode(found), headers=_AS_NOW, media_type="application/json")


# ── what the OpenAPI file says ──

_TEXT: Schema = {"type": "string"}
_, _GENERATED = msgspec.json.schema_components([Rule, Procedure], ref_template=REF)


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": [n for n in properties if n not in optional]}


def _whole(name: str) -> Schema:
    """A fact of the law with every field, none of them left out."""
    generated = _GENERATED[name]
    properties = {
        field: {key: value for key, value in schema.items() if key != "default"}
        for field, schema in generated["properties"].items()
    }
    return _object(properties) | {"title": name, "description": generated.get("description", "")}


def _version(name: str, more: Schema) -> Schema:
    schema = _whole(name)
    added = {"version": _TEXT, "valid_to": {"type": ["string", "null"], "format": "date"}, **more}
    return schema | _object(schema["properties"] | added)


_NAMES = ("unit", "label", "roll", "on_expiry", "limit")
_RULE = _version("Rule", {f"{name}_{lang}": _TEXT for name in _NAMES for lang in ("zh", "en")})
_LINE = _object({"on": _TEXT, "zh": _TEXT, "en": _TEXT})
_ASKED = DueOf.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Schema] = {
    **_ASKED.pop("$defs"),
    "DueOf": _ASKED,
    "Rule": _RULE,
    "Procedure": _version("Procedure", {}),
    **{name: _whole(name) for name in ("Extension", "Condition", "Ground")},
    "RuleVersions": _object({"id": _TEXT, "digest": _TEXT, "versions": {"type": "array", "items": ref("Rule")}}),
    "RuleSet": _object(
        {
            "digest": _TEXT | {"description": "规则集摘要 SHA-256 of the `sha256sum` lines of its files"},
            "sources": {
                "type": "array",
                "items": _object({"name": _TEXT, "sha256": _TEXT, "text": _TEXT}, optional=("text",)),
            },
            "rules": {"type": "array", "items": ref("Rule")},
            "procedures": {"type": "array", "items": ref("Procedure")},
            "calendar": _object(
                {
                    "years": {"type": "array", "items": {"type": "integer"}},
                    "provisional_from": {"type": ["integer", "null"]},
                }
            ),
        },
        optional=("rules", "procedures", "calendar"),
    ),
    "Due": _object(
        {
            "rule": _TEXT | {"description": "`<id>@<valid_from>`"},
            "due_on": _TEXT | {"description": "届满日 the last day; of an hour rule the instant, RFC 3339"},
            "provisional": {"type": "boolean", "description": "暂定 it depends on a year without a notice"},
            "explanation": {"type": "array", "items": _LINE},
        }
    ),
}

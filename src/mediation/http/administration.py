"""The registry through the API, for administrators: bodies, people, memberships, and the log of every change."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi import Query as InQuery
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from mediation.domain import access
from mediation.domain import vocabulary as v
from mediation.domain.errors import NotPermitted, Reason
from mediation.domain.facts import Organisation
from mediation.http.contract import ACTING, ACTING_FOR, BODY, EVERY, LANGUAGE, answer, body, refusals
from mediation.http.dependencies import (
    Paged,
    administering,
    desk,
    identifier,
    json_answer,
    no_query,
    now,
    once,
    parsed,
    viewing,
    visit,
    well_known,
)
from mediation.http.schemas import Schema, event_shown, page, paged, ref
from mediation.service import administer
from mediation.service.administer import By, Done
from mediation.store import rosters
from mediation.store.bodies import Body
from mediation.store.sight import Viewer

routes = APIRouter(tags=["administration"])

_LINE = r"^[^\x00-\x1f\x7f]+$"
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE, strip_whitespace=True)]

OrganisationId = Annotated[str, Path(description="单位 id of the body", json_schema_extra={"format": "uuid"})]
PersonId = Annotated[str, Path(description="人员 id of the person", json_schema_extra={"format": "uuid"})]


class OrganisationPut(BaseModel):
    """单位 A body as it is to stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: _Code
    name: _Name
    name_en: Annotated[str, StringConstraints(max_length=200, pattern=r"^[\x20-\x7e]*$", strip_whitespace=True)] = ""
    kind: v.OrgKind
    tier: v.Tier
    division: Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}$")]
    speciality: v.Category | None = None
    superior: Annotated[
        UUID | None, Field(description="上级单位；仅顶层单位可为空 the body above; null at the top alone")
    ] = None
    active: bool = True


class Identity(BaseModel):
    """登录标识 By which token a person is known: the provider, and their name there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,300}$")]
    subject: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")]


class PersonPut(BaseModel):
    """人员 A person of the staff as they are to stand; `identities` replace those there were."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: _Code
    name: _Name
    identities: Annotated[tuple[Identity, ...], Field(max_length=10)] = ()


class MembershipPost(BaseModel):
    """任职 Roles of a person at a body, in place of any held there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: UUID
    org: UUID
    roles: Annotated[tuple[v.Role, ...], Field(min_length=1, max_length=20)]


class MembershipDelete(BaseModel):
    """Which membership."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: UUID
    org: UUID


class People(Paged):
    """Registered at which body."""

    org: UUID | None = None


class Memberships(People):
    """At which body, and of which person."""

    person: UUID | None = None


ORGANISATION: TypeAdapter[OrganisationPut] = TypeAdapter(OrganisationPut)
PERSON: TypeAdapter[PersonPut] = TypeAdapter(PersonPut)
MEMBERSHIP: TypeAdapter[MembershipPost] = TypeAdapter(MembershipPost)

_WHO = [ACTING_FOR, LANGUAGE]
_ALL = (*EVERY, *ACTING, "second_factor_required")
_CHANGE = (*_ALL, *BODY, "not_found", "refused")
_READERS = (v.Power.PUT_PERSON, v.Power.GRANT, v.Power.READ_ADMINISTRATION)
_PUT_TWICE = "与原先相同 as it was"


@routes.put(
    "/v1/organisations/{organisation_id}",
    operation_id="put_organisation",
    responses={
        200: answer(f"已变更，或{_PUT_TWICE}；changed", ref("OrganisationPutOut")),
        201: answer("已登记 registered", ref("OrganisationPutOut")),
        **refusals(*_CHANGE),
    },
    openapi_extra={"requestBody": body("OrganisationPut"), "parameters": _WHO},
)
async def put_organisation(request: Request, organisation_id: OrganisationId) -> Response:
    """登记或变更单位（系统管理员，限本单位及下级）。Register or change a body of your own subtree."""
    no_query(request)
    wanted: OrganisationPut = parsed(ORGANISATION, visit(request))
    by = await _administrator(request, v.Power.PUT_ORGANISATION)
    new = Organisation(
        id=identifier(organisation_id),
        code=wanted.code,
        name=wanted.name,
        kind=wanted.kind,
        tier=wanted.tier,
        division=wanted.division,
        superior=str(wanted.superior or ""),
        speciality=wanted.speciality.value if wanted.speciality else "",
        name_en=wanted.name_en,
    )
    done = await administer.put_organisation(desk(request).engine, by, Body(new, wanted.active))
    return _done(done, {"id": new.id} | wanted.model_dump(mode="json"))


@routes.put(
    "/v1/people/{person_id}",
    operation_id="put_person",
    responses={
        200: answer(f"已变更，或{_PUT_TWICE}；changed", ref("PersonPutOut")),
        201: answer("已登记 registered", ref("PersonPutOut")),
        **refusals(*_CHANGE),
    },
    openapi_extra={"requestBody": body("PersonPut"), "parameters": _WHO},
)
async def put_person(request: Request, person_id: PersonId) -> Response:
    """登记或变更人员及其登录标识（系统管理员）。Register or change a person, and by what they sign in."""
    no_query(request)
    wanted: PersonPut = parsed(PERSON, visit(request))
    by = await _administrator(request, v.Power.PUT_PERSON)
    done = await administer.put_person(
        desk(request).engine,
        by,
        identifier(person_id),
        code=wanted.code,
        name=wanted.name,
        identities=[(one.issuer, one.subject) for one in wanted.identities],
    )
    return _done(done, {"id": identifier(person_id)} | wanted.model_dump(mode="json"))


@routes.post(
    "/v1/memberships",
    operation_id="grant_membership",
    responses={
        200: answer(f"已变更，或{_PUT_TWICE}；changed", ref("MembershipPostOut")),
        201: answer("已授予 granted", ref("MembershipPostOut")),
        **refusals(*_CHANGE),
    },
    openapi_extra={"requestBody": body("MembershipPost"), "parameters": _WHO},
)
async def grant_membership(request: Request) -> Response:
    """授予角色，取代原有角色（安全管理员）。Grant roles at a body, in place of any held there."""
    no_query(request)
    wanted: MembershipPost = parsed(MEMBERSHIP, visit(request))
    by = await _administrator(request, v.Power.GRANT)
    done = await administer.grant(desk(request).engine, by, str(wanted.person), str(wanted.org), wanted.roles)
    return _done(done, wanted.model_dump(mode="json"))


@routes.delete(
    "/v1/memberships",
    operation_id="revoke_membership",
    status_code=204,
    responses={204: {"description": "不再任职 no membership any more"}, **refusals(*_ALL, "not_found")},
    openapi_extra={"parameters": _WHO},
)
async def revoke_membership(request: Request, wanted: Annotated[MembershipDelete, InQuery()]) -> Response:
    """撤销任职，下一请求即生效（安全管理员）。Revoke a membership; the next request is refused."""
    once(request)
    by = await _administrator(request, v.Power.GRANT)
    await administer.revoke(desk(request).engine, by, str(wanted.person), str(wanted.org))
    return Response(status_code=204)


@routes.get(
    "/v1/memberships",
    operation_id="list_memberships",
    responses={200: answer("一页任职 a page of memberships", paged("Member")), **refusals(*_ALL)},
    openapi_extra={"parameters": _WHO},
)
async def list_memberships(request: Request, wanted: Annotated[Memberships, InQuery()]) -> Response:
    """本单位及下级的任职（管理员）。Who serves in your own subtree, in which roles."""
    once(request)
    viewer = await _reader(request, *_READERS)
    found = await rosters.members(
        desk(request).engine,
        viewer,
        org=_text(wanted.org),
        person=_text(wanted.person),
        cursor=wanted.cursor,
        limit=wanted.limit,
    )
    return json_answer(page([one._asdict() for one in found.items], found.next))


@routes.get(
    "/v1/people",
    operation_id="list_people",
    responses={200: answer("一页人员 a page of people", paged("Registered")), **refusals(*_ALL)},
    openapi_extra={"parameters": _WHO},
)
async def list_people(request: Request, wanted: Annotated[People, InQuery()]) -> Response:
    """本单位及下级登记的人员（管理员）。Who is registered in your own subtree, and by what they sign in."""
    once(request)
    viewer = await _reader(request, *_READERS)
    found = await rosters.people(
        desk(request).engine, viewer, org=_text(wanted.org), cursor=wanted.cursor, limit=wanted.limit
    )
    return json_answer(page([one._asdict() for one in found.items], found.next))


@routes.get(
    "/v1/administration",
    operation_id="list_administration",
    responses={200: answer("一页管理日志 a page of the log", paged("LogEvent")), **refusals(*_ALL)},
    openapi_extra={"parameters": _WHO},
)
async def list_administration(request: Request, wanted: Annotated[Paged, InQuery()]) -> Response:
    """管理日志，自第一条起（审计管理员）。The log of administration for your own subtree, from its first entry."""
    once(request)
    viewer = await _reader(request, v.Power.READ_ADMINISTRATION)
    found = await rosters.entries(desk(request).engine, viewer, cursor=wanted.cursor, limit=wanted.limit)
    return json_answer(page([event_shown(one.data, one.position) for one in found.items], found.next))


async def _administrator(request: Request, power: v.Power) -> By:
    """Who changes the registry. What they may change is for the table of access to say, body by body."""
    at = now(request)
    viewer = await _known(request, power)
    return By(viewer.actor, at, viewer.request)


async def _reader(request: Request, *powers: v.Power) -> Viewer:
    """Who reads what administrators read. Raises NotPermitted, for who has none of the powers over their own body."""
    viewer = await _known(request, powers[0])
    stands = access.over(viewer.actor, viewer.org)
    if not any(access.permitted(power, viewer.actor, stands) for power in powers):
        readers = [role for role in v.Role if any(role in row.roles for row in access.PERMITS if row.power in powers)]
        held = access.roles_held(viewer.actor)
        zh = f"由{'、'.join(role.zh for role in readers)}查阅；您在本单位的角色是{held[0]}"
        en = f"It is read by: {', '.join(readers)}; your roles here: {held[1]}"
        raise NotPermitted(Reason("not_a_reader", zh, en))
    return viewer


async def _known(request: Request, power: v.Power) -> Viewer:
    administering(request)
    viewer = await viewing(request)
    well_known(request, power, viewer.actor)
    return viewer


def _done(done: Done, stored: dict[str, Any]) -> Response:
    said = stored | {"entry": done.entry.event if done.entry else None}
    return json_answer(msgspec.json.encode(said), 201 if done.created else 200)


def _text(one: UUID | None) -> str | None:
    return str(one) if one else None


# ── what the OpenAPI file says ──

_CODE: Schema = {"type": "string"}
_ID: Schema = {"type": "string", "format": "uuid"}
_ENTRY: Schema = {
    "type": ["string", "null"],
    "description": "管理日志中的事件；未变更则为空 the event in the log; null where nothing changed",
}


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _models() -> dict[str, Schema]:
    """What is sent, and what answers it: the same, with its id where the path had it, and the entry."""
    made: dict[str, Schema] = {}
    for adapter, keyed in ((ORGANISATION, True), (PERSON, True), (MEMBERSHIP, False)):
        schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
        made |= schema.pop("$defs", {})
        name = schema["title"]
        own = {"id": _ID} if keyed else {}
        made[name] = schema
        made[f"{name}Out"] = _object(own | schema["properties"] | {"entry": _ENTRY})
    return {name: schema for name, schema in made.items() if not hasattr(v, name)}


SCHEMAS: dict[str, Schema] = _models() | {
    "Member": _object(
        dict.fromkeys(("person", "org"), _ID)
        | dict.fromkeys(("person_code", "person_name", "org_code", "org_name"), _CODE)
        | {"active": {"type": "boolean"}, "roles": {"type": "array", "items": ref("Role")}}
    ),
    "Registered": _object(
        {
            "id": _ID,
            "code": _CODE,
            "name": _CODE,
            "home": _ID,
            "identities": {"type": "array", "items": ref("Identity")},
        }
    ),
    "LogEvent": _object(
        {"v": {"type": "integer"}, "seq": {"type": "integer", "minimum": 1}, "action": ref("LogEntry")}
        | dict.fromkeys(("event", "case", "request"), _ID)
        | dict.fromkeys(("prev", "from", "to", "role", "label_zh", "label_en", "hash"), _CODE)
        | {
            "org": {"type": "string", "description": "代表单位；命令行为空 for which body; empty at the command line"},
            "actor": {"type": "string", "description": "人员，或 operator：命令行 a person, or the command line"},
            "at": {"type": "string", "format": "date-time"},
            "basis": {"type": "array", "items": _CODE},
            "attrs": {"type": "object", "additionalProperties": True},
            "position": {"type": "integer", "description": "总流位置 position in the feed, once it has one"},
        },
        optional=("position",),
    ),
}

"""The registry as administrators change it: one body, person or membership at a time, each with its log entry."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple

from mediation.domain import access
from mediation.domain.errors import NotFound, NotPermitted, Reason, Refused
from mediation.domain.events import Event
from mediation.domain.facts import Actor, Instant, Organisation
from mediation.domain.registering import (
    VOUCHED,
    Attributes,
    Grant,
    Hand,
    PutPerson,
    Revoke,
    clashes,
    identity_digest,
    put,
    vouched,
)
from mediation.domain.vocabulary import OrgKind, Power, Role, Standing, Tier
from mediation.store import bodies
from mediation.store.append import CLOCK_CALLER
from mediation.store.bodies import AsyncConnection, AsyncEngine, Body, Staff

Identity = tuple[str, str]


class By(NamedTuple):
    """Who administers, when, and in which request."""

    actor: Actor
    at: Instant
    request: str


class Done(NamedTuple):
    """What came of it: whether there was nothing before, and the entry, None where nothing changed."""

    created: bool
    entry: Event | None


async def put_organisation(engine: AsyncEngine, asked: By, wanted: Body) -> Done:
    """Register a body below a superior in the administrator's subtree, or change one there.

    Raises: NotFound, for a body outside; NotPermitted; Refused, with every reason.
    """
    new = wanted.organisation
    async with _turn(engine, asked) as (connection, by):
        known = await bodies.bodies(connection, {new.id, new.superior} - {""})
        there = known.get(new.id)
        _may(Power.PUT_ORGANISATION, by.actor, [there.organisation] if there else None)
        if there and _same(there, wanted):
            return Done(created=False, entry=None)
        before = there.organisation if there else None
        superior = known[new.superior].organisation if new.superior in known else None
        _refuse(
            [
                *_place_reasons(by.actor, before, new, superior),
                *_nature_reasons(by.actor, before, new, superior),
                *await _body_reasons(connection, by.actor, before, wanted),
            ]
        )
        row = {
            "id": new.id,
            "code": new.code,
            "name": new.name,
            "name_en": new.name_en,
            "kind": new.kind.value,
            "tier": new.tier.value,
            "division": new.division,
            "speciality": new.speciality,
            "superior": new.superior or None,
            "active": wanted.active,
        }
        await bodies.put(connection, organisations=[row])
        if await bodies.too_deep(connection):
            zh, en = "上级层数过多", "It would have too many superiors above one another"
            raise Refused(Reason("too_deep", zh, en))
        entry = await _note(connection, by, put(new, active=wanted.active))
    return Done(there is None, entry)


async def put_person(
    engine: AsyncEngine, asked: By, person: str, *, code: str, name: str, identities: Collection[Identity]
) -> Done:
    """Register a person at the administrator's own body, or change one of the subtree; `identities` replace theirs.

    Raises: NotFound, for a person who is registered and serves outside; NotPermitted, also where they serve outside as
    well; Refused, with every reason.
    """
    if person == CLOCK_CALLER:  # whoever were known as this one would see what the clock sees
        raise NotFound
    async with _turn(engine, asked) as (connection, by):
        there = (await bodies.staff(connection, [person])).get(person)
        places = await _places(connection, there) if there else None
        _may(Power.PUT_PERSON, by.actor, places)
        wanted = frozenset(identities)
        before = there.identities if there else frozenset()
        changed = tuple(
            field
            for field, differs in (
                ("code", there is None or there.code != code),
                ("name", there is None or there.name != name),
                ("identities", before != wanted),
            )
            if differs
        )
        if not changed:
            return Done(created=False, entry=None)
        if there and places:
            _own_reach(by.actor, there, places)
        _refuse(await _person_reasons(connection, person, there, code, wanted))
        home = there.home if there else by.actor.org
        await bodies.put(connection, people=[{"id": person, "code": code, "name": name, "home": home}])
        if before - wanted:
            await bodies.unlink(connection, before - wanted)
        await bodies.link(connection, person, wanted - before)
        said = PutPerson(
            id=person,
            home=home,
            identities=tuple(sorted(identity_digest(*one) for one in wanted)),
            linked=len(wanted - before),
            unlinked=len(before - wanted),
            changed=changed,
        )
        entry = await _note(connection, by, said)
    return Done(there is None, entry)


async def grant(engine: AsyncEngine, asked: By, person: str, org: str, roles: Collection[Role]) -> Done:
    """Let a person hold these roles at a body, in place of any held there.

    Raises: NotFound, for a person or body outside the subtree; NotPermitted, also for one's own; Refused.
    """
    wanted = tuple(dict.fromkeys(roles))
    async with _turn(engine, asked) as (connection, by):
        there, body = await _membership(connection, by.actor, person, org)
        before = there.memberships.get(org, ())
        if before == wanted:
            return Done(created=False, entry=None)
        elsewhere = {role for at, held in there.memberships.items() if at != org for role in held}
        held = {role for roles in there.memberships.values() for role in roles}
        reasons = [*clashes(elsewhere | set(wanted)), *vouched(held, wanted, identified=bool(there.identities))]
        if not body.active:
            reasons.append(Reason("inactive_body", "该单位已停用", "The body is not active"))
        _refuse(reasons)
        row = {"person": person, "org": org, "roles": [role.value for role in wanted]}
        await bodies.put(connection, memberships=[row])
        entry = await _note(connection, by, Grant(person=person, org=org, roles=wanted, before=before))
    return Done(not before, entry)


async def revoke(engine: AsyncEngine, asked: By, person: str, org: str) -> Done:
    """End a membership; one that there is not stays so. Raises: NotFound, NotPermitted, as `grant`."""
    async with _turn(engine, asked) as (connection, by):
        there, _ = await _membership(connection, by.actor, person, org)
        if org not in there.memberships:
            return Done(created=False, entry=None)
        await bodies.revoke(connection, person, org)
        entry = await _note(connection, by, Revoke(person=person, org=org, before=there.memberships[org]))
    return Done(created=False, entry=entry)


# ── who may ──


@asynccontextmanager
async def _turn(engine: AsyncEngine, asked: By) -> AsyncIterator[tuple[AsyncConnection, By]]:
    """A turn, and who takes it in the roles they hold in it: they may have changed since the request was read."""
    async with bodies.turn(engine) as connection:
        actor = asked.actor
        body = (await bodies.bodies(connection, [actor.org])).get(actor.org)
        there = (await bodies.staff(connection, [actor.person])).get(actor.person)
        roles = there.memberships.get(actor.org, ()) if there else ()
        if not roles or body is None or not body.active:
            raise NotPermitted(Reason("not_a_member", "您不是该单位的成员", "You are not a member of this body"))
        yield connection, asked._replace(actor=Actor(person=actor.person, org=actor.org, roles=roles))


def _may(power: Power, actor: Actor, places: Collection[Organisation] | None) -> None:
    """Refuse who stands to none of these places (what is there is not to be seen), or has not the power.

    None: there is nothing yet, and what is new belongs to one's own subtree.
    """
    stands = frozenset({Standing.SUBTREE})
    if places is not None:
        stands = frozenset(found for place in places for found in access.over(actor, place))
        if not stands:
            raise NotFound
    if not access.permitted(power, actor, stands):
        zh, en = f"您在本单位的角色不能{power.zh}", f"Your roles here do not let you: {power.en}"
        raise NotPermitted(Reason("not_permitted", zh, en))


def _own_reach(actor: Actor, there: Staff, places: Collection[Organisation]) -> None:
    """Refuse to change oneself, or who serves beyond one's subtree too: the change would reach as far as they do."""
    reasons = []
    if there.id == actor.person:
        zh, en = "不得更改本人的登记", "Nobody changes their own record"
        reasons.append(Reason("own_record", zh, en))
    if any(not access.over(actor, place) for place in places):
        zh, en = (
            "该人员还在您辖区以外的单位任职，由共同的上级办理",
            "They serve outside your subtree too",
        )
        reasons.append(Reason("serves_elsewhere", zh, en))
    if reasons:
        raise NotPermitted(*reasons)


async def _places(connection: AsyncConnection, person: Staff) -> list[Organisation]:
    return [body.organisation for body in (await bodies.bodies(connection, person.bodies)).values()]


async def _membership(connection: AsyncConnection, actor: Actor, person: str, org: str) -> tuple[Staff, Body]:
    """The person and body of a membership that the actor may grant and revoke."""
    body = (await bodies.bodies(connection, [org])).get(org)
    if body is None:
        raise NotFound
    _may(Power.GRANT, actor, [body.organisation])
    there = (await bodies.staff(connection, [person])).get(person)
    if there is None:
        raise NotFound
    _may(Power.GRANT, actor, await _places(connection, there))
    if person == actor.person:
        zh, en = "不得更改本人的任职", "Nobody changes their own membership"
        raise NotPermitted(Reason("own_membership", zh, en))
    return there, body


# ── why not ──


def _refuse(reasons: Collection[Reason]) -> None:
    if reasons:
        raise Refused(*reasons)


def _same(there: Body, wanted: Body) -> bool:
    """Whether a body is as it is wanted; its path follows from the others."""
    asked = wanted.organisation
    fields = [name for name in Organisation.__struct_fields__ if name != "path"]
    return there.active == wanted.active and all(getattr(there.organisation, f) == getattr(asked, f) for f in fields)


def _place_reasons(
    actor: Actor, there: Organisation | None, new: Organisation, superior: Organisation | None
) -> list[Reason]:
    """Why a body cannot be put there: both where it is and where it goes lie in the administrator's subtree."""
    if there and there.superior == new.superior:
        return []
    if there and new.id == actor.org:
        zh, en = "本单位的隶属由上级调整", "Where your own body stands is for a superior to say"
        return [Reason("own_place", zh, en)]
    if not new.superior:
        return [Reason("superior_required", "须指明上级单位", "It stands below a superior: name one")]
    if superior is None or not access.over(actor, superior):
        zh, en = "上级单位不存在，或不在您的辖区", "There is no such superior in your subtree"
        return [Reason("unknown_superior", zh, en)]
    if new.id in {superior.id, *superior.path}:
        return [Reason("circular", "上级关系成环", "Its superiors would go round in a circle")]
    return []


def _nature_reasons(
    actor: Actor, there: Organisation | None, new: Organisation, superior: Organisation | None
) -> list[Reason]:
    """Why a body cannot be of this kind, tier and division: who audits what, and who audits whom, hangs on them."""
    reasons = []
    if OrgKind.AUDIT_OFFICE in {new.kind, there.kind if there else None}:
        zh = "审计机构由运维人员设立和变更（mediation import organisations）"
        en = "An audit office is made and changed by the operator: mediation import organisations"
        reasons.append(Reason("audit_office", zh, en))
    if there and new.id == actor.org and _nature(there) != _nature(new):
        zh, en = (
            "本单位的类别、层级和区划由上级调整",
            "The kind, tier and division of your own body are for a superior to say",
        )
        reasons.append(Reason("own_nature", zh, en))
    placed = there and (there.division, there.superior) == (new.division, new.superior)
    if superior and access.over(actor, superior):
        within, lies = superior.division, new.division.startswith(superior.division)
    else:  # at the top, or a superior refused already
        within = there.division if there else new.division
        lies = new.division == within
    if not placed and not lies:
        zh, en = f"单位的区划须在{within}之内，与上级一致", f"Its division must lie in that of its superior: {within}"
        reasons.append(Reason("division_outside", zh, en))
    return reasons


def _nature(body: Organisation) -> tuple[OrgKind, Tier, str]:
    return body.kind, body.tier, body.division


async def _body_reasons(
    connection: AsyncConnection, actor: Actor, there: Organisation | None, wanted: Body
) -> list[Reason]:
    new = wanted.organisation
    reasons = []
    if not await bodies.known_divisions(connection, [new.division]):
        reasons.append(Reason("unknown_division", "区划不存在", "There is no such division"))
    holder = (await bodies.coded(connection, "organisations", [new.code])).get(new.code)
    if holder not in {None, new.id}:
        reasons.append(Reason("code_taken", "代码已被占用", "The code is another's"))
    if there and there.code != new.code and await bodies.gives_numbers(connection, new.id):
        zh, en = "该单位已用原代码编立案号，代码不得更改", "Its code is in the numbers of its cases, and stays"
        reasons.append(Reason("code_in_numbers", zh, en))
    if not wanted.active and new.id == actor.org:
        reasons.append(Reason("own_body", "不得停用本单位", "Nobody closes the body they act for"))
    if not wanted.active and (count := await bodies.open_cases(connection, new.id)):
        zh, en = f"该单位尚有{count}件未结案件或待处理移交", f"The body still has {count} open cases or hand-offs"
        reasons.append(Reason("open_cases", zh, en))
    return reasons


async def _person_reasons(
    connection: AsyncConnection, person: str, there: Staff | None, code: str, wanted: frozenset[Identity]
) -> list[Reason]:
    reasons = []
    if (await bodies.coded(connection, "people", [code])).get(code) not in {None, person}:
        reasons.append(Reason("code_taken", "代码已被占用", "The code is another's"))
    if wanted and set((await bodies.holders(connection, wanted)).values()) - {person}:
        reasons.append(Reason("identity_taken", "登录标识属于另一人员", "An identity is another person's"))
    held = {role for roles in there.memberships.values() for role in roles} if there else set()
    if held & VOUCHED:
        # Else whoever registers people could sign in as whoever grants, and the three would be one: also by giving
        # their code to another before the operator's file names it.
        zh = "管理员和审计员的代码、姓名和登录标识只能由运维人员导入（mediation import people、identities）"
        en = "An administrator's or auditor's code, name and identities are loaded by the operator: mediation import"
        reasons.append(Reason("administrators_identity", zh, en))
    return reasons


async def _note(connection: AsyncConnection, by: By, said: Attributes) -> Event:
    hand = Hand(by.actor.person, by.actor.org, by.actor.roles[0].value, by.at, by.request)
    return await bodies.note(connection, hand, said)

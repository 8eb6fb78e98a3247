"""What administrators read of their own bodies: who serves there, who is registered, and the log of administration."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Text, cast, func, literal, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncEngine

from mediation.domain.registering import LOG_ID
from mediation.store.pages import Page, capped, page_of, uncursor
from mediation.store.sight import Viewer, reading
from mediation.store.tables import EVENTS, FEED, IDENTITIES, MEMBERSHIPS, ORGANISATIONS, PEOPLE


class Member(NamedTuple):
    """A person at a body, in these roles."""

    person: str
    person_code: str
    person_name: str
    org: str
    org_code: str
    org_name: str
    active: bool
    roles: list[str]


class Registered(NamedTuple):
    """A person registered at a body; `identities` are `{issuer, subject}`."""

    id: str
    code: str
    name: str
    home: str
    identities: list[dict[str, str]]


class Logged(NamedTuple):
    """An entry of the log: its canonical bytes, and its position in the feed once it has one."""

    data: bytes
    position: int | None


async def members(
    engine: AsyncEngine,
    viewer: Viewer,
    *,
    org: str | None = None,
    person: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Member]:
    """Who serves at the viewer's own body and those below it, by the codes of body and person. Raises Malformed."""
    key = tuple_(ORGANISATIONS.c.code, PEOPLE.c.code)
    query = (
        select(
            PEOPLE.c.id,
            PEOPLE.c.code,
            PEOPLE.c.name,
            ORGANISATIONS.c.id,
            ORGANISATIONS.c.code,
            ORGANISATIONS.c.name,
            ORGANISATIONS.c.active,
            MEMBERSHIPS.c.roles,
        )
        .select_from(MEMBERSHIPS)
        .join(PEOPLE, PEOPLE.c.id == MEMBERSHIPS.c.person)
        .join(ORGANISATIONS, ORGANISATIONS.c.id == MEMBERSHIPS.c.org)
        .where(_below(viewer))
        .order_by(ORGANISATIONS.c.code, PEOPLE.c.code)
        .limit(capped(limit) + 1)
    )
    if org is not None:
        query = query.where(MEMBERSHIPS.c.org == org)
    if person is not None:
        query = query.where(MEMBERSHIPS.c.person == person)
    if cursor:
        query = query.where(key > tuple_(*(literal(part) for part in uncursor(cursor, str, str))))
    async with engine.connect() as connection:
        found = [Member(*row) for row in await connection.execute(query)]
    return page_of([((one.org_code, one.person_code), one) for one in found], limit)


async def people(
    engine: AsyncEngine, viewer: Viewer, *, org: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Registered]:
    """Who is registered at the viewer's own body and those below it, by code. Raises Malformed."""
    said = func.jsonb_build_object("issuer", IDENTITIES.c.issuer, "subject", IDENTITIES.c.subject)
    every = func.jsonb_agg(aggregate_order_by(said, IDENTITIES.c.issuer, IDENTITIES.c.subject))
    identities = (
        select(func.coalesce(every, text("'[]'::jsonb"))).where(IDENTITIES.c.person == PEOPLE.c.id).scalar_subquery()
    )
    query = (
        select(PEOPLE.c.id, PEOPLE.c.code, PEOPLE.c.name, PEOPLE.c.home, identities)
        .join(ORGANISATIONS, ORGANISATIONS.c.id == PEOPLE.c.home)
        .where(_below(viewer))
        .order_by(PEOPLE.c.code)
        .limit(capped(limit) + 1)
    )
    if org is not None:
        query = query.where(PEOPLE.c.home == org)
    if cursor:
        query = query.where(PEOPLE.c.code > uncursor(cursor, str)[0])
    async with engine.connect() as connection:
        found = [Registered(*row) for row in await connection.execute(query)]
    return page_of([(one.code, one) for one in found], limit)


async def entries(engine: AsyncEngine, viewer: Viewer, *, cursor: str | None = None, limit: int = 50) -> Page[Logged]:
    """The log's entries by and about the viewer's own body and those below it, from the first.

    About: of such a body, or of who is registered or serves there. The operator's are for the top alone.
    Raises Malformed.
    """
    said = cast(func.convert_from(EVENTS.c.bytes, "UTF8"), JSONB)
    org, about = said["org"].astext, said["attrs"]
    below = select(cast(ORGANISATIONS.c.id, Text)).where(_below(viewer))
    serve = (
        select(cast(MEMBERSHIPS.c.person, Text))
        .join(ORGANISATIONS, ORGANISATIONS.c.id == MEMBERSHIPS.c.org)
        .where(_below(viewer))
    )
    mine = or_(
        org.in_(below),
        *(about[field].astext.in_(below) for field in ("id", "org", "home")),
        about["id"].astext.in_(serve),
    )
    if not viewer.org.superior:
        mine = or_(mine, org == "")
    query = (
        select(EVENTS.c.seq, EVENTS.c.bytes, FEED.c.position)
        .outerjoin(FEED, FEED.c.event == EVENTS.c.id)
        .where(EVENTS.c.case_id == LOG_ID, mine)
        .order_by(EVENTS.c.seq)
        .limit(capped(limit) + 1)
    )
    if cursor:
        query = query.where(EVENTS.c.seq > uncursor(cursor, int)[0])
    async with reading(engine, viewer) as connection:
        found = (await connection.execute(query)).all()
    return page_of([(row.seq, Logged(row.bytes, row.position)) for row in found], limit)


def _below(viewer: Viewer) -> ColumnElement[bool]:
    """The viewer's own body, and every one below it."""
    return or_(ORGANISATIONS.c.id == viewer.org.id, ORGANISATIONS.c.path.contains([viewer.org.id]))

"""Every other SELECT, scoped by who asks: histories, the cases of a person, and the published registers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, Select, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.facts import Case, Organisation
from mediation.store import listing
from mediation.store.append import Memory
from mediation.store.listing import cases_in, statement
from mediation.store.pages import LAST_ID, MOST, Id, Page, capped, page_of, uncursor
from mediation.store.sight import Viewer, denied, look, reading, viewer, visible
from mediation.store.tables import CASES, DIVISIONS, EVENTS, FEED, ORGANISATIONS, VAULT

__all__ = [
    "MOST",
    "Division",
    "Known",
    "Page",
    "Stored",
    "Viewer",
    "cases_of",
    "conducting",
    "divisions",
    "event",
    "history",
    "organisations",
    "viewer",
]


class Known(NamedTuple):
    """A case in which a person was found, as these parties; `orgs`: bodies that it names or that conduct it."""

    case: Case
    parties: tuple[int, ...]
    orgs: Mapping[str, Organisation]


class Stored(NamedTuple):
    """An event as stored: its canonical bytes, and its position in the feed once it has one."""

    data: bytes
    position: int | None


class Division(NamedTuple):
    """A division: its code, name, level and the code above ("" at the top)."""

    code: str
    name: str
    level: str
    parent: str


async def cases_of(
    memory: Memory, viewer: Viewer, blind_id: bytes, *, cursor: str | None = None, limit: int = 50
) -> Page[Known]:
    """Cases with a party of this number (`Vault.blind_id`) among those the viewer may see, newest first."""
    before = uncursor(cursor, Id)[0] if cursor else LAST_ID
    said = {"blind_id": blind_id, "before": before, "wanted": capped(limit) + 1}
    facts, named, parties = await look(memory, viewer, statement(listing.known, viewer, None), said)
    cases, orgs = cases_in(facts, named)
    orgs[viewer.org.id] = viewer.org
    known = (Known(case, tuple(sorted(some)), orgs) for case, some in zip(cases, parties or (), strict=True))
    return page_of([(item.case.id, item) for item in known], limit)


async def copies_of(engine: AsyncEngine, viewer: Viewer, case_id: str) -> list[str]:
    """The cases the viewer may see that have absorbed this one, and so hold its people and claims too.

    Found by a person in common, so before that is erased.
    """
    people = select(VAULT.c.blind).where(VAULT.c.case_id == case_id, VAULT.c.blind.is_not(None))
    sharing = select(VAULT.c.case_id).where(VAULT.c.blind.in_(people))
    absorbed = cast(CASES.c.facts, JSONB)["absorbed"].contains(func.jsonb_build_array(cast(literal(case_id), Text)))
    query = select(CASES.c.id).where(CASES.c.id.in_(sharing), absorbed, visible(viewer)).order_by(CASES.c.id)
    async with reading(engine, viewer) as connection:
        return [str(found) for found in await connection.scalars(query)]


async def history(
    memory: Memory, viewer: Viewer, case_id: str, *, cursor: str | None = None, limit: int = MOST
) -> Page[Stored]:
    """The events of a case in order. Raises NotFound, where the case is absent or invisible."""
    after = uncursor(cursor, int)[0] if cursor else 0
    found = await memory.events(viewer.actor, viewer.request, case_id, after, capped(limit) + 1)
    return page_of([(event.seq, Stored(event.data, event.position)) for event in found], limit)


async def event(engine: AsyncEngine, viewer: Viewer, event_id: str) -> Stored:
    """One event. Raises NotFound, where it is absent or its case invisible."""
    query = _events().join(CASES, CASES.c.id == EVENTS.c.case_id).where(EVENTS.c.id == event_id, visible(viewer))
    async with reading(engine, viewer) as connection:
        row = (await connection.execute(query)).first()
        if row is None:
            raise await denied(connection)
    return Stored(row.bytes, row.position)


async def divisions(
    engine: AsyncEngine, *, parent: str | None = None, cursor: str | None = None, limit: int = MOST
) -> Page[Division]:
    """Divisions by code: all, or those right below `parent`."""
    query = select(DIVISIONS).order_by(DIVISIONS.c.code).limit(capped(limit) + 1)
    if parent is not None:
        query = query.where(DIVISIONS.c.parent == parent if parent else DIVISIONS.c.parent.is_(None))
    if cursor:
        query = query.where(DIVISIONS.c.code > uncursor(cursor, str)[0])
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    return page_of([(row.code, Division(row.code, row.name, row.level, row.parent or "")) for row in rows], limit)


async def organisations(
    engine: AsyncEngine,
    *,
    division: str | None = None,
    kind: str | None = None,
    tier: str | None = None,
    cursor: str | None = None,
    limit: int = MOST,
) -> Page[Organisation]:
    """Active bodies by code: all, or of a division and those below it, of a kind, of a tier."""
    query = select(ORGANISATIONS).where(ORGANISATIONS.c.active).order_by(ORGANISATIONS.c.code).limit(capped(limit) + 1)
    if division is not None:
        query = query.where(ORGANISATIONS.c.division.startswith(division, autoescape=True))
    if kind is not None:
        query = query.where(ORGANISATIONS.c.kind == kind)
    if tier is not None:
        query = query.where(ORGANISATIONS.c.tier == tier)
    if cursor:
        query = query.where(ORGANISATIONS.c.code > uncursor(cursor, str)[0])
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    return page_of([(row.code, _organisation(row)) for row in rows], limit)


async def conducting(connection: AsyncConnection, cases: Sequence[Case]) -> dict[str, Organisation]:
    """The bodies that conduct these cases, or sent a hand-off in them, whose rules bind their clocks."""
    ids = {case.holder for case in cases}
    for case in cases:
        ids |= {leg.org for leg in case.legs} | {handoff.from_org for handoff in case.handoffs}
    rows = await connection.execute(select(ORGANISATIONS).where(ORGANISATIONS.c.id.in_(ids))) if ids else ()
    return {row.id: _organisation(row) for row in rows}


def _events() -> Select[Any]:
    return select(EVENTS.c.seq, EVENTS.c.bytes, FEED.c.position).outerjoin(FEED, FEED.c.event == EVENTS.c.id)


def _organisation(row: Row[Any]) -> Organisation:
    fields = {name: getattr(row, name) or "" for name in Organisation.__struct_fields__}
    return msgspec.convert(fields | {"path": row.path}, Organisation)

"""Every other SELECT, scoped by who asks: worklists, trays, histories, and the published registers."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Row, Select, Text, and_, any_, cast, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.events import load
from mediation.domain.facts import Case, Handoff, Instant, Organisation
from mediation.domain.vocabulary import HandoffState
from mediation.store.pages import MOST, Day, Id, Page, capped, page_of, uncursor
from mediation.store.sight import Viewer, denied, reading, viewer, visible
from mediation.store.tables import CASES, DIVISIONS, EVENTS, FEED, ORGANISATIONS, VAULT, VAULT_WORDS

__all__ = [
    "MOST",
    "Division",
    "Filters",
    "Known",
    "Listed",
    "Page",
    "Stored",
    "Trayed",
    "Viewer",
    "cases_of",
    "conducting",
    "divisions",
    "event",
    "history",
    "organisations",
    "tray",
    "viewer",
    "worklist",
]

_ALWAYS_LIVE = frozenset({HandoffState.OFFERED, HandoffState.RECEIVED})
_FACTS = cast(CASES.c.facts, Text).label("facts")  # as text: msgspec reads it, not the driver


class Filters(NamedTuple):
    """Conditions on a worklist, all of which must hold; None is no condition. `at` decides what is overdue.

    `due_before` and `due_after` leave their own day out. `q` is the beginning of a number or a reference; or the facts
    hold all its `grams` (`Vault.grams`), in whatever order: a few cases may be found that do not hold it whole.
    """

    at: Instant
    state: str | None = None
    track: str | None = None
    tier: str | None = None
    holder: str | None = None
    category: str | None = None
    risk: str | None = None
    overdue: bool | None = None
    due_before: date | None = None
    due_after: date | None = None
    division: str | None = None
    q: str | None = None
    grams: tuple[int, ...] = ()


class Listed(NamedTuple):
    """A case of a worklist; `orgs` are the bodies that conduct the cases of its page."""

    case: Case
    orgs: Mapping[str, Organisation]


class Known(NamedTuple):
    """A case in which a person was found, as these parties; `orgs`: bodies that it names or that conduct it."""

    case: Case
    parties: tuple[int, ...]
    orgs: Mapping[str, Organisation]


class Trayed(NamedTuple):
    """A hand-off of a tray and the case it belongs to; `orgs` are the bodies that conduct the cases of its page."""

    case: Case
    handoff: Handoff
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


async def worklist(
    engine: AsyncEngine,
    viewer: Viewer,
    filters: Filters,
    *,
    sort: str = "newest",
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Listed]:
    """Cases the viewer may see: the "newest" first; or by "due" day, and then those alone that have one.

    `holder` matches any body with an open leg. A cursor goes on in the order it was given for. Raises Malformed.
    """
    query = select(CASES.c.id, CASES.c.due_on, _FACTS).where(visible(viewer), *_conditions(filters, viewer))
    by_due = tuple_(CASES.c.due_on, CASES.c.id)
    if sort == "due":
        query = query.where(CASES.c.due_on.is_not(None)).order_by(CASES.c.due_on, CASES.c.id)
        if cursor:
            day, case_id = uncursor(cursor, Day, Id)
            after = literal(date.fromisoformat(day), CASES.c.due_on.type), literal(case_id, CASES.c.id.type)
            query = query.where(by_due > tuple_(*after))
    else:
        query = query.order_by(CASES.c.id.desc())
        if cursor:
            query = query.where(CASES.c.id < uncursor(cursor, Id)[0])
    async with reading(engine, viewer, _array(filters.grams)) as connection:
        rows = (await connection.execute(query.limit(capped(limit) + 1))).all()
        cases = [load(row.facts) for row in rows]
        orgs = await conducting(connection, cases)
    keys = [(row.due_on.isoformat(), row.id) if sort == "due" else row.id for row in rows]
    return page_of([(key, Listed(case, orgs)) for key, case in zip(keys, cases, strict=True)], limit)


async def cases_of(
    engine: AsyncEngine, viewer: Viewer, blind_id: bytes, *, cursor: str | None = None, limit: int = 50
) -> Page[Known]:
    """Cases with a party of this number (`Vault.blind_id`) among those the viewer may see, newest first."""
    found = (
        select(VAULT.c.case_id, func.array_agg(VAULT.c.subject).label("subjects"))
        .where(VAULT.c.blind_id == blind_id)
        .group_by(VAULT.c.case_id)
        .subquery()
    )
    query = (
        select(CASES.c.id, _FACTS, found.c.subjects)
        .join(found, found.c.case_id == CASES.c.id)
        .where(visible(viewer, in_codes=False))
        .order_by(CASES.c.id.desc())
    )
    if cursor:
        query = query.where(CASES.c.id < uncursor(cursor, Id)[0])
    async with reading(engine, viewer) as connection:
        rows = (await connection.execute(query.limit(capped(limit) + 1))).all()
        cases = [load(row.facts) for row in rows]
        orgs = await conducting(connection, cases, {viewer.org.id, *(org for case in cases for org in case.named)})
    known = (Known(case, tuple(sorted(row.subjects)), orgs) for row, case in zip(rows, cases, strict=True))
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


async def tray(
    engine: AsyncEngine,
    viewer: Viewer,
    *,
    box: str,
    state: HandoffState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Trayed]:
    """Hand-offs to (`box` "in") or from ("out") the viewer's own body, newest cases first; by default live ones."""
    incoming = box == "in"
    org = viewer.org.id
    live = CASES.c.inbound if incoming else CASES.c.outbound
    column = live if state is None or state in _ALWAYS_LIVE else CASES.c.orgs
    start = uncursor(cursor, Id, int) if cursor else None
    query = select(CASES.c.id, _FACTS).where(column.contains([org]), visible(viewer)).order_by(CASES.c.id.desc())
    found: list[tuple[tuple[str, int], tuple[Case, Handoff]]] = []
    if start:
        query = query.where(CASES.c.id <= start[0])
    async with reading(engine, viewer) as connection:
        async with connection.stream(query) as rows:
            async for row in rows:
                found += _trayed(row, org, state, start, incoming=incoming)
                if len(found) > capped(limit):
                    break
        orgs = await conducting(connection, [case for _, (case, _) in found])
    return page_of([(key, Trayed(*item, orgs)) for key, item in found], limit)


async def history(
    engine: AsyncEngine, viewer: Viewer, case_id: str, *, cursor: str | None = None, limit: int = MOST
) -> Page[Stored]:
    """The events of a case in order. Raises NotFound, where the case is absent or invisible."""
    after = uncursor(cursor, int)[0] if cursor else 0
    query = (
        _events()
        .where(EVENTS.c.case_id == case_id, EVENTS.c.seq > after)
        .order_by(EVENTS.c.seq)
        .limit(capped(limit) + 1)
    )
    async with reading(engine, viewer) as connection:
        if not await connection.scalar(select(CASES.c.id).where(CASES.c.id == case_id, visible(viewer))):
            raise await denied(connection)
        rows = (await connection.execute(query)).all()
    return page_of([(row.seq, Stored(row.bytes, row.position)) for row in rows], limit)


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


async def conducting(
    connection: AsyncConnection, cases: Sequence[Case], more: Collection[str] = ()
) -> dict[str, Organisation]:
    """The bodies that conduct these cases, or sent a hand-off in them, whose rules bind their clocks; and `more`."""
    ids = {case.holder for case in cases} | set(more)
    for case in cases:
        ids |= {leg.org for leg in case.legs} | {handoff.from_org for handoff in case.handoffs}
    rows = await connection.execute(select(ORGANISATIONS).where(ORGANISATIONS.c.id.in_(ids))) if ids else ()
    return {row.id: _organisation(row) for row in rows}


def _conditions(filters: Filters, viewer: Viewer) -> list[ColumnElement[bool]]:
    equal = ("state", "track", "tier", "category", "risk")
    wanted = [CASES.c[name] == getattr(filters, name) for name in equal if getattr(filters, name) is not None]
    if filters.holder is not None:
        wanted.append(CASES.c.open_orgs.contains([filters.holder]))
    if filters.overdue is not None:
        at = datetime.fromisoformat(filters.at)
        late = CASES.c.late_at <= at
        wanted.append(late if filters.overdue else or_(CASES.c.late_at.is_(None), CASES.c.late_at > at))
    if filters.due_before is not None:
        wanted.append(CASES.c.due_on < filters.due_before)
    if filters.due_after is not None:
        wanted.append(CASES.c.due_on > filters.due_after)
    if filters.division is not None:
        wanted.append(CASES.c.division.startswith(filters.division, autoescape=True))
    if filters.q is not None:
        named = [CASES.c.number.startswith(filters.q, autoescape=True), CASES.c.refs.contains([filters.q])]
        wanted.append(or_(*named, _telling_of(filters.grams, viewer)) if filters.grams else or_(*named))
    return wanted


def _telling_of(grams: tuple[int, ...], viewer: Viewer) -> ColumnElement[bool]:
    """Cases whose facts hold all of these; not where a viewer could guess, word by word, what they are not shown.

    So not where they read codes alone, and of the cases that fewer may see those alone that their own body handles.
    """
    here = [viewer.org.id]
    handled = or_(CASES.c.open_orgs.contains(here), CASES.c.inbound.contains(here))
    holding = func.array(select(VAULT_WORDS.c.case_id).where(VAULT_WORDS.c.grams.contains(grams)).scalar_subquery())
    told = and_(CASES.c.id == any_(holding), or_(CASES.c.restricted.is_(False), handled))
    return and_(told, visible(viewer, in_codes=False)) if viewer.audits else told


def _array(grams: tuple[int, ...]) -> str:
    return "{" + ",".join(map(str, grams)) + "}" if grams else ""


def _trayed(
    row: Row[Any], org: str, state: HandoffState | None, start: list[Any] | None, *, incoming: bool
) -> list[tuple[tuple[str, int], tuple[Case, Handoff]]]:
    """The hand-offs of one case that belong in the tray, after the one where the last page ended."""
    facts = load(row.facts)
    return [
        ((row.id, handoff.id), (facts, handoff))
        for handoff in facts.handoffs
        if (handoff.to_org if incoming else handoff.from_org) == org
        and (handoff.live if state is None else handoff.state is state)
        and not (start and row.id == start[0] and handoff.id <= start[1])
    ]


def _events() -> Select[Any]:
    return select(EVENTS.c.seq, EVENTS.c.bytes, FEED.c.position).outerjoin(FEED, FEED.c.event == EVENTS.c.id)


def _organisation(row: Row[Any]) -> Organisation:
    fields = {name: getattr(row, name) or "" for name in Organisation.__struct_fields__}
    return msgspec.convert(fields | {"path": row.path}, Organisation)

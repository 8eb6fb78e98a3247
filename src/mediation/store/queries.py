"""Every other SELECT, scoped by who asks: worklists, trays, histories, the feed, and the published registers.

Pages are keyset pages: a cursor is opaque to its bearer and says where the next page begins, never how many there are.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain import access
from mediation.domain.calendar import day_of
from mediation.domain.errors import Malformed, NotFound, Reason
from mediation.domain.events import load
from mediation.domain.facts import Actor, Case, Handoff, Instant, Organisation
from mediation.domain.vocabulary import HandoffState, OrgKind, Role
from mediation.store.append import CLOCK, CLOCK_CALLER, Context, Seen
from mediation.store.tables import CASES, DIVISIONS, EVENTS, FEED, ORGANISATIONS

MOST = 200
"""Rows of a page at most."""

_FEED_WINDOW = 5000
_ALWAYS_LIVE = frozenset({HandoffState.OFFERED, HandoffState.RECEIVED})
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_Item = TypeVar("_Item")
_FACTS = cast(CASES.c.facts, Text).label("facts")  # as text: msgspec reads it, not the driver
_RAN_OUT = '$.clocks[*] ? (@.due_at <= $at && !(@.state != "running"))'  # a running clock's state is not written
_CONTEXT = text(
    "SELECT enter(cast(:person AS uuid), cast(:org AS uuid), cast(:roles AS text[]), cast(:request AS uuid), NULL), "
    "set_config('mediation.grams', :grams, true)"
)


class _Id(str):
    """The kind of a cursor's part that is a UUID."""

    __slots__ = ()


class _Day(str):
    """The kind of a cursor's part that is a day."""

    __slots__ = ()


_Kind = type[_Id | _Day | str | int]


class Viewer(NamedTuple):
    """Who asks, for which body, in which request."""

    actor: Actor
    org: Organisation
    request: str

    @property
    def audits(self) -> str:
        """The division whose cases an auditor of an audit office may read; empty for anybody else."""
        auditor = self.org.kind is OrgKind.AUDIT_OFFICE and Role.AUDITOR in self.actor.roles
        return self.org.division if auditor else ""


class Page(NamedTuple, Generic[_Item]):
    """A page of a list and the cursor of the next, None at the end."""

    items: list[_Item]
    next: str | None


class Filters(NamedTuple):
    """Conditions on a worklist, all of which must hold; None is no condition. `at` decides what is overdue.

    `due_before` and `due_after` leave their own day out.
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


class Listed(NamedTuple):
    """A case of a worklist; `orgs` are the bodies that conduct the cases of its page."""

    case: Case
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


def viewer(context: Context, seen: Seen) -> Viewer:
    """Who asks, as `Memory.read_case` found them."""
    return Viewer(seen.actor, seen.orgs[seen.actor.org], context.request)


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
    query = select(CASES.c.id, CASES.c.due_on, _FACTS).where(_visible(viewer), *_conditions(filters))
    by_due = tuple_(CASES.c.due_on, CASES.c.id)
    if sort == "due":
        query = query.where(CASES.c.due_on.is_not(None)).order_by(CASES.c.due_on, CASES.c.id)
        if cursor:
            day, case_id = _uncursor(cursor, _Day, _Id)
            after = literal(date.fromisoformat(day), CASES.c.due_on.type), literal(case_id, CASES.c.id.type)
            query = query.where(by_due > tuple_(*after))
    else:
        query = query.order_by(CASES.c.id.desc())
        if cursor:
            query = query.where(CASES.c.id < _uncursor(cursor, _Id)[0])
    async with _reading(engine, viewer) as connection:
        rows = (await connection.execute(query.limit(_rows(limit) + 1))).all()
        cases = [load(row.facts) for row in rows]
        orgs = await _conducting(connection, cases)
    keys = [(row.due_on.isoformat(), row.id) if sort == "due" else row.id for row in rows]
    return _page([(key, Listed(case, orgs)) for key, case in zip(keys, cases, strict=True)], limit)


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
    start = _uncursor(cursor, _Id, int) if cursor else None
    query = select(CASES.c.id, _FACTS).where(column.contains([org]), _visible(viewer)).order_by(CASES.c.id.desc())
    found: list[tuple[tuple[str, int], tuple[Case, Handoff]]] = []
    if start:
        query = query.where(CASES.c.id <= start[0])
    async with _reading(engine, viewer) as connection:
        async with connection.stream(query) as rows:
            async for row in rows:
                found += _trayed(row, org, state, start, incoming=incoming)
                if len(found) > _rows(limit):
                    break
        orgs = await _conducting(connection, [case for _, (case, _) in found])
    return _page([(key, Trayed(*item, orgs)) for key, item in found], limit)


async def history(
    engine: AsyncEngine, viewer: Viewer, case_id: str, *, cursor: str | None = None, limit: int = MOST
) -> Page[Stored]:
    """The events of a case in order. Raises NotFound, where the case is absent or invisible."""
    after = _uncursor(cursor, int)[0] if cursor else 0
    query = (
        _events()
        .where(EVENTS.c.case_id == case_id, EVENTS.c.seq > after)
        .order_by(EVENTS.c.seq)
        .limit(_rows(limit) + 1)
    )
    async with _reading(engine, viewer) as connection:
        if not await connection.scalar(select(CASES.c.id).where(CASES.c.id == case_id, _visible(viewer))):
            raise NotFound
        rows = (await connection.execute(query)).all()
    return _page([(row.seq, Stored(row.bytes, row.position)) for row in rows], limit)


async def event(engine: AsyncEngine, viewer: Viewer, event_id: str) -> Stored:
    """One event. Raises NotFound, where it is absent or its case invisible."""
    query = _events().join(CASES, CASES.c.id == EVENTS.c.case_id).where(EVENTS.c.id == event_id, _visible(viewer))
    async with _reading(engine, viewer) as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound
    return Stored(row.bytes, row.position)


async def feed(engine: AsyncEngine, viewer: Viewer, *, after: int = 0, limit: int = MOST) -> tuple[list[Stored], int]:
    """Events of visible cases at positions after this one, and the position to go on from.

    A page looks at so many positions at most, so it may be short, even empty, before the end: who is told a position
    greater than `after` goes on from there; the same position back means that there is nothing more yet.
    """
    last = after + _FEED_WINDOW
    query = (
        select(FEED.c.position, EVENTS.c.bytes)
        .join(EVENTS, EVENTS.c.id == FEED.c.event)
        .join(CASES, CASES.c.id == EVENTS.c.case_id)
        .where(FEED.c.position > after, FEED.c.position <= last, _visible(viewer))
        .order_by(FEED.c.position)
        .limit(_rows(limit))
    )
    newest = select(func.coalesce(func.max(FEED.c.position), 0))
    async with _reading(engine, viewer) as connection:
        end = int(await connection.scalar(newest) or 0)  # first: whatever is found after it is beyond it or at it
        rows = (await connection.execute(query.where(FEED.c.position <= end))).all()
    found = [Stored(row.bytes, row.position) for row in rows]
    return found, rows[-1].position if len(rows) == _rows(limit) else max(after, min(last, end))


async def divisions(
    engine: AsyncEngine, *, parent: str | None = None, cursor: str | None = None, limit: int = MOST
) -> Page[Division]:
    """Divisions by code: all, or those right below `parent`."""
    query = select(DIVISIONS).order_by(DIVISIONS.c.code).limit(_rows(limit) + 1)
    if parent is not None:
        query = query.where(DIVISIONS.c.parent == parent if parent else DIVISIONS.c.parent.is_(None))
    if cursor:
        query = query.where(DIVISIONS.c.code > _uncursor(cursor, str)[0])
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    return _page([(row.code, Division(row.code, row.name, row.level, row.parent or "")) for row in rows], limit)


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
    query = select(ORGANISATIONS).where(ORGANISATIONS.c.active).order_by(ORGANISATIONS.c.code).limit(_rows(limit) + 1)
    if division is not None:
        query = query.where(ORGANISATIONS.c.division.startswith(division, autoescape=True))
    if kind is not None:
        query = query.where(ORGANISATIONS.c.kind == kind)
    if tier is not None:
        query = query.where(ORGANISATIONS.c.tier == tier)
    if cursor:
        query = query.where(ORGANISATIONS.c.code > _uncursor(cursor, str)[0])
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    return _page([(row.code, _organisation(row)) for row in rows], limit)


@asynccontextmanager
async def _reading(engine: AsyncEngine, viewer: Viewer, grams: str = "") -> AsyncIterator[AsyncConnection]:
    person = viewer.actor.person
    said = {
        "person": CLOCK_CALLER if person == CLOCK else person,
        "org": viewer.org.id,
        "roles": [role.value for role in viewer.actor.roles],
        "request": viewer.request,
        "grams": grams,
    }
    async with engine.begin() as connection:
        await connection.execute(_CONTEXT, said)
        yield connection


async def _conducting(connection: AsyncConnection, cases: Sequence[Case]) -> dict[str, Organisation]:
    """The bodies that conduct these cases, or sent a hand-off in them: under whose rules their clocks run."""
    ids = {case.holder for case in cases}
    for case in cases:
        ids |= {leg.org for leg in case.legs} | {handoff.from_org for handoff in case.handoffs}
    rows = await connection.execute(select(ORGANISATIONS).where(ORGANISATIONS.c.id.in_(ids))) if ids else ()
    return {row.id: _organisation(row) for row in rows}


def _visible(viewer: Viewer) -> ColumnElement[bool]:
    """What the permits for reading say (domain/access.py), as a condition: row-level security says it once more."""
    person, roles = viewer.actor.person, frozenset(viewer.actor.roles)
    ordinary = CASES.c.restricted.is_(False)
    arms: list[ColumnElement[bool]] = []
    if roles & access.EVERYBODY:
        here = CASES.c.orgs.contains([viewer.org.id])
        below = CASES.c.orgs.op("&&")(_bodies(ORGANISATIONS.c.path.contains([viewer.org.id])))
        if not roles & access.WIDE:
            unassigned = CASES.c.assigned == text("'{}'::uuid[]")
            here = and_(here, or_(ordinary, CASES.c.assigned.contains([person]), unassigned))
        arms += [here, below if roles & access.ABOVE else and_(below, ordinary)]
    if viewer.audits:
        there = ORGANISATIONS.c.division.startswith(viewer.audits, autoescape=True)
        lies_there = CASES.c.division.startswith(viewer.audits, autoescape=True)
        audited = or_(CASES.c.orgs.op("&&")(_bodies(there)), lies_there)
        arms.append(and_(audited, not_(CASES.c.closers.contains([person]))))
    return and_(or_(false(), *arms), not_(CASES.c.recused.contains([person])))


def _bodies(which: ColumnElement[bool]) -> ColumnElement[Any]:
    """The ids of these bodies as an array."""
    ids = func.coalesce(func.array_agg(ORGANISATIONS.c.id), text("'{}'::uuid[]"))
    return select(ids).where(which).scalar_subquery()


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    equal = ("state", "track", "tier", "category", "risk")
    wanted = [CASES.c[name] == getattr(filters, name) for name in equal if getattr(filters, name) is not None]
    if filters.holder is not None:
        wanted.append(CASES.c.open_orgs.contains([filters.holder]))
    if filters.overdue is not None:
        today, due_on, facts = day_of(filters.at), CASES.c.due_on, cast(CASES.c.facts, JSONB)
        ran_out = func.jsonb_path_exists(facts, cast(_RAN_OUT, JSONPATH), literal({"at": filters.at}, JSONB))
        late = and_(due_on.is_not(None), due_on <= today, or_(due_on < today, ran_out))  # facts are read last
        wanted.append(late if filters.overdue else ~late)
    if filters.due_before is not None:
        wanted.append(CASES.c.due_on < filters.due_before)
    if filters.due_after is not None:
        wanted.append(CASES.c.due_on > filters.due_after)
    if filters.division is not None:
        wanted.append(CASES.c.division.startswith(filters.division, autoescape=True))
    if filters.q is not None:
        wanted.append(or_(CASES.c.number.startswith(filters.q, autoescape=True), CASES.c.refs.contains([filters.q])))
    return wanted


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


def _rows(limit: int) -> int:
    return max(1, min(limit, MOST))


def _page(found: Sequence[tuple[Any, _Item]], limit: int) -> Page[_Item]:
    """The first `limit` of the rows found; where there are more, the cursor is the key of the last one given."""
    some = _rows(limit)
    key = found[some - 1][0] if len(found) > some else None
    return Page([item for _, item in found[:some]], None if key is None else _cursor(key))


def _cursor(key: Any) -> str:  # noqa: ANN401  # a key, or a tuple of them
    said = json.dumps(key if isinstance(key, tuple) else [key], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).rstrip(b"=").decode()


def _uncursor(cursor: str, *kinds: _Kind) -> list[Any]:
    """The key in a cursor that `_page` gave. Raises Malformed for anything else, whatever it holds."""
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, list) or len(said) != len(kinds) or not all(map(_is, said, kinds)):
        raise Malformed(Reason("bad_cursor", "游标无效", "The cursor is not one of ours"))
    return said


def _is(part: object, kind: _Kind) -> bool:
    if kind is int:
        return type(part) is int and 0 <= part < 2**31
    if not isinstance(part, str) or "\x00" in part:
        return False
    return kind is str or (_is_day(part) if kind is _Day else _UUID.fullmatch(part) is not None)


def _is_day(part: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(part).isoformat() == part
    return False

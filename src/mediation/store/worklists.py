"""The worklist of a body: its cases and those of the bodies below it, by an index of its own whatever their number."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.events import load
from mediation.domain.facts import Case, Handoff, Instant, Organisation
from mediation.domain.vocabulary import HandoffState
from mediation.store.pages import Day, Id, Page, capped, page_of, uncursor
from mediation.store.queries import conducting
from mediation.store.sight import Viewer, reading, visible
from mediation.store.tables import CASE_REFS, CASES, ORGANISATIONS, VAULT_WORDS, WORKLISTS

__all__ = ["Filters", "Listed", "Trayed", "tray", "worklist"]

NEAR = 2000
"""So many of the newest cases are looked at one by one for a word, before the index of words is asked."""
RARE = 4
"""Of these so many at most hold a word that few cases hold: then the whole index is asked at once."""

_ALWAYS_LIVE = frozenset({HandoffState.OFFERED, HandoffState.RECEIVED})
_FACTS = cast(CASES.c.facts, Text).label("facts")  # as text: msgspec reads it, not the driver
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_MONTH = timedelta(days=31)


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


class Trayed(NamedTuple):
    """A hand-off of a tray and the case it belongs to; `orgs` are the bodies that conduct the cases of its page."""

    case: Case
    handoff: Handoff
    orgs: Mapping[str, Organisation]


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
    by_due = sort == "due"
    after = uncursor(cursor, Day, Id) if cursor and by_due else ["", *uncursor(cursor, Id)] if cursor else []
    async with reading(engine, viewer, _array(filters.grams), walking=bool(viewer.audits)) as connection:
        search = _Search(viewer, filters, await _body(connection, viewer, filters), capped(limit) + 1)
        if by_due or filters.q is None:
            found = _walk(search, after, by_due=by_due)
            rows: Sequence[Row[Any]] = (await connection.execute(found.limit(search.wanted))).all()
        else:
            rows = await _searched(connection, search, after)
        cases = [load(row.facts) for row in rows]
        orgs = await conducting(connection, cases)
    keys = [(row.due_on.isoformat(), row.id) if by_due else row.id for row in rows]
    return page_of([(key, Listed(case, orgs)) for key, case in zip(keys, cases, strict=True)], limit)


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
    start = uncursor(cursor, Id, int) if cursor else None
    listed = select(WORKLISTS.c.case_id.label("id")).where(WORKLISTS.c.org == org).order_by(WORKLISTS.c.case_id.desc())
    if state is None or state in _ALWAYS_LIVE:
        listed = listed.where(WORKLISTS.c.inbound if incoming else WORKLISTS.c.outbound)
    if start:
        listed = listed.where(WORKLISTS.c.case_id <= start[0])
    query = _each(listed, visible(viewer), CASES.c.orgs.contains([org]))
    found: list[tuple[tuple[str, int], tuple[Case, Handoff]]] = []
    async with reading(engine, viewer) as connection:
        async with connection.stream(query) as rows:
            async for row in rows:
                found += _trayed(row, org, state, start, incoming=incoming)
                if len(found) > capped(limit):
                    break
        orgs = await conducting(connection, [case for _, (case, _) in found])
    return page_of([(key, Trayed(*item, orgs)) for key, item in found], limit)


class _Search(NamedTuple):
    """What is sought, and where: in the worklist of `body`. An auditor stands above no body: "" is all cases."""

    viewer: Viewer
    filters: Filters
    body: str
    wanted: int


async def _body(connection: AsyncConnection, viewer: Viewer, filters: Filters) -> str:
    """The viewer's body; the holder that is asked for, where that is below it."""
    if viewer.audits:
        return ""
    if filters.holder is not None:
        path = await connection.scalar(select(ORGANISATIONS.c.path).where(ORGANISATIONS.c.id == filters.holder))
        if viewer.org.id in (path or ()):
            return filters.holder
    return viewer.org.id


def _walk(search: _Search, after: Sequence[str], *, by_due: bool = False) -> Select[Any]:
    """The cases of a list in its order, beyond a key."""
    listed = _listed(search, after, by_due=by_due)
    conditions = [*_conditions(search), *_told(search)]
    return _each(listed if search.body else listed.where(*conditions), *conditions, by_due=by_due)


def _listed(search: _Search, after: Sequence[str], *, by_due: bool = False) -> Select[Any]:
    """Ids and due days of a worklist, or of all cases, in order beyond a key."""
    filters, table = search.filters, WORKLISTS if search.body else CASES
    number = table.c.case_id if search.body else table.c.id
    query = select(number.label("id"), table.c.due_on)
    if search.body:
        query = query.where(table.c.org == search.body)
    if filters.state is not None:
        query = query.where(table.c.state == filters.state)
    if filters.due_before is not None:
        query = query.where(table.c.due_on < filters.due_before)
    if filters.due_after is not None:
        query = query.where(table.c.due_on > filters.due_after)
    if not by_due:
        return query.where(*([number < after[1]] if after else [])).order_by(number.desc())
    if after:
        day, case_id = literal(date.fromisoformat(after[0]), CASES.c.due_on.type), literal(after[1], CASES.c.id.type)
        query = query.where(tuple_(table.c.due_on, number) > tuple_(day, case_id))
    return query.where(table.c.due_on.is_not(None)).order_by(table.c.due_on, number)


def _each(listed: Select[Any], *conditions: ColumnElement[bool], by_due: bool = False) -> Select[Any]:
    """The cases that are listed, in that order, of which the conditions hold.

    Each is looked at by itself, the next only if it is wanted: the OFFSETs keep the planner, who thinks that hardly any
    case is seen, from reading all cases first.
    """
    ids = listed.offset(0).subquery()
    case = select(CASES.c.id, CASES.c.due_on, _FACTS).where(CASES.c.id == ids.c.id, *conditions).offset(0).lateral()
    order = (ids.c.due_on, ids.c.id) if by_due else (ids.c.id.desc(),)
    return select(case).select_from(ids.join(case, true())).order_by(*order)


def _conditions(search: _Search) -> list[ColumnElement[bool]]:
    """What a case itself must be, seen first of all."""
    filters = search.filters
    equal = ("track", "tier", "category", "risk")
    wanted = [CASES.c[name] == getattr(filters, name) for name in equal if getattr(filters, name) is not None]
    if filters.holder is not None:
        wanted.append(CASES.c.open_orgs.contains([filters.holder]))
    if filters.overdue is not None:
        at = datetime.fromisoformat(filters.at)
        late = CASES.c.late_at <= at
        wanted.append(late if filters.overdue else or_(CASES.c.late_at.is_(None), CASES.c.late_at > at))
    if filters.division is not None:
        wanted.append(CASES.c.division.startswith(filters.division, autoescape=True))
    return [visible(search.viewer), *wanted]


# ── searching ──


async def _searched(connection: AsyncConnection, search: _Search, after: Sequence[str]) -> list[Row[Any]]:
    """The newest of the cases that `q` finds.

    What is frequent is found among the newest by looking at each; what is rare by the indexes, of which that of words
    lies in parts by month and gives its finds unordered: so for what is neither, the months are gone through backwards.
    """
    near, conditions = _listed(search, after).limit(NEAR), [*_conditions(search), *_told(search)]
    seen = (await connection.execute(_each(near, *conditions).limit(search.wanted))).all()
    rows = list(seen)
    ids = near.subquery()
    end = select(func.count(), func.min(cast(ids.c.id, Text))).select_from(ids)
    count, hi = (await connection.execute(end)).one()
    months = 2 if len(seen) > RARE else None
    while len(rows) < search.wanted and count == NEAR and hi != _FIRST_ID:
        lo = _earlier(hi, months) if months else _FIRST_ID
        found = _each(_found(search, lo, hi), *_state(search), *conditions)
        rows += (await connection.execute(found.limit(search.wanted - len(rows)))).all()
        months, hi = 4 * months if months else None, lo
    return rows


def _earlier(case_id: str, months: int) -> str:
    """The lowest id of so many months before that of a case (UUIDv7, RFC 9562 §5.7), or of all."""
    try:
        at = datetime.fromtimestamp((UUID(case_id).int >> 80) / 1000, UTC) - months * _MONTH
    except (OverflowError, ValueError):
        return _FIRST_ID
    ms = int(at.timestamp() * 1000)
    return str(UUID(int=ms << 80)) if ms > 0 else _FIRST_ID


def _found(search: _Search, lo: str, hi: str) -> Select[Any]:
    """The ids from `lo` up to `hi` that an index finds, by number, by reference or by words, the newest first."""
    filters = search.filters
    indexes: list[tuple[Column[Any], tuple[ColumnElement[bool], ...]]] = [
        (CASE_REFS.c.case_id, (CASE_REFS.c.ref == filters.q,))
    ]
    if (filters.q or "").isascii():  # as all numbers are
        indexes.append((CASES.c.id, _numbered(filters)))
    if filters.grams:
        indexes.append((VAULT_WORDS.c.case_id, (VAULT_WORDS.c.grams.contains(filters.grams),)))
    named = [select(number.label("id")).where(number >= lo, number < hi, *found) for number, found in indexes]
    ids = union(*named).subquery()
    query = select(ids.c.id).order_by(ids.c.id.desc())
    if not search.body:
        return query
    here = select(WORKLISTS.c.org).where(WORKLISTS.c.org == search.body, WORKLISTS.c.case_id == ids.c.id)
    return query.where(here.exists())


def _numbered(filters: Filters) -> tuple[ColumnElement[bool], ...]:
    """A number that begins so, as comparisons: behind row-level security an index serves no LIKE."""
    said = filters.q or ""
    return CASES.c.number >= said, CASES.c.number < f"{said}\U0010ffff"


def _state(search: _Search) -> list[ColumnElement[bool]]:
    """The conditions that a worklist holds itself, on the case."""
    filters = search.filters
    wanted = [CASES.c.state == filters.state] if filters.state is not None else []
    if filters.due_before is not None:
        wanted.append(CASES.c.due_on < filters.due_before)
    if filters.due_after is not None:
        wanted.append(CASES.c.due_on > filters.due_after)
    return wanted


def _told(search: _Search) -> list[ColumnElement[bool]]:
    """`q` as a condition on one case that is looked at."""
    filters = search.filters
    if filters.q is None:
        return []
    named = [and_(*_numbered(filters)), CASES.c.refs.contains([filters.q])]
    if not filters.grams:
        return [or_(*named)]
    holding = (
        select(VAULT_WORDS.c.case_id)
        .where(VAULT_WORDS.c.case_id == CASES.c.id, VAULT_WORDS.c.grams.contains(filters.grams))
        .correlate(CASES)
        .offset(0)
        .exists()
    )
    return [or_(*named, and_(_may_be_told(search.viewer), holding))]


def _may_be_told(viewer: Viewer) -> ColumnElement[bool]:
    """Where a viewer cannot guess, word by word, what they are not shown.

    So not where they read codes alone, and of the cases that fewer may see those alone that their own body handles.
    """
    here = [viewer.org.id]
    handled = or_(CASES.c.open_orgs.contains(here), CASES.c.inbound.contains(here))
    told = or_(CASES.c.restricted.is_(False), handled)
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

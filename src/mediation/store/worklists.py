"""The worklist of a body: its cases and those of the bodies below it, by an index of its own whatever their number."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, func, literal, or_, select, text, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.events import load
from mediation.domain.facts import Case, Handoff, Instant, Organisation
from mediation.domain.vocabulary import HandoffState
from mediation.store.pages import Day, Id, Page, capped, page_of, uncursor
from mediation.store.queries import conducting
from mediation.store.sight import Viewer, reading, visible
from mediation.store.tables import CASES, ORGANISATIONS, VAULT_WORDS, WORKLISTS

__all__ = ["Filters", "Listed", "Trayed", "tray", "worklist"]

NEAR = 2000
"""So many of the newest cases are looked at one by one for a word, before the index of words is asked."""

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


class _Source(NamedTuple):
    """Where the cases of a list are read from, in order of their ids or due days.

    `body` is the one whose worklist it is. An auditor stands above no body: for them it is all cases.
    """

    body: str | None

    @property
    def rows(self) -> Any:  # noqa: ANN401  # a table or a join of two
        return CASES if self.body is None else WORKLISTS.join(CASES, CASES.c.id == WORKLISTS.c.case_id)

    @property
    def id(self) -> ColumnElement[Any]:
        return CASES.c.id if self.body is None else WORKLISTS.c.case_id

    @property
    def due_on(self) -> ColumnElement[Any]:
        return CASES.c.due_on if self.body is None else WORKLISTS.c.due_on

    @property
    def state(self) -> ColumnElement[Any]:
        return CASES.c.state if self.body is None else WORKLISTS.c.state

    def here(self) -> list[ColumnElement[bool]]:
        return [] if self.body is None else [WORKLISTS.c.org == self.body]


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
    after = uncursor(cursor, Day, Id) if cursor and by_due else [None, *uncursor(cursor, Id)] if cursor else None
    async with reading(engine, viewer, _array(filters.grams)) as connection:
        source = await _source(connection, viewer, filters)
        query = (
            select(CASES.c.id, CASES.c.due_on, _FACTS)
            .select_from(source.rows)
            .where(*source.here(), visible(viewer), *_conditions(filters, source))
        )
        wanted = capped(limit) + 1
        if by_due:
            query = query.where(source.due_on.is_not(None), *_after_day(source, after), *_told(filters, viewer))
            rows = (await connection.execute(query.order_by(source.due_on, source.id).limit(wanted))).all()
        elif filters.q is None:
            query = query.where(*([source.id < after[1]] if after else []))
            rows = (await connection.execute(query.order_by(source.id.desc()).limit(wanted))).all()
        else:
            rows = await _searched(connection, query, source, filters, viewer, after[1] if after else None, wanted)
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
    query = (
        select(CASES.c.id, _FACTS)
        .select_from(WORKLISTS.join(CASES, CASES.c.id == WORKLISTS.c.case_id))
        .where(WORKLISTS.c.org == org, visible(viewer))
        .order_by(WORKLISTS.c.case_id.desc())
    )
    if state is None or state in _ALWAYS_LIVE:
        query = query.where(WORKLISTS.c.inbound if incoming else WORKLISTS.c.outbound)
    else:
        query = query.where(CASES.c.orgs.contains([org]))
    if start:
        query = query.where(WORKLISTS.c.case_id <= start[0])
    found: list[tuple[tuple[str, int], tuple[Case, Handoff]]] = []
    async with reading(engine, viewer) as connection:
        async with connection.stream(query) as rows:
            async for row in rows:
                found += _trayed(row, org, state, start, incoming=incoming)
                if len(found) > capped(limit):
                    break
        orgs = await conducting(connection, [case for _, (case, _) in found])
    return page_of([(key, Trayed(*item, orgs)) for key, item in found], limit)


async def _source(connection: AsyncConnection, viewer: Viewer, filters: Filters) -> _Source:
    """The worklist of the viewer's body; of the holder that is asked for, where that is it or below it."""
    if viewer.audits:
        return _Source(None)
    if filters.holder is not None:
        path = await connection.scalar(select(ORGANISATIONS.c.path).where(ORGANISATIONS.c.id == filters.holder))
        if viewer.org.id in (path or ()):
            return _Source(filters.holder)
    return _Source(viewer.org.id)


def _after_day(source: _Source, after: Sequence[Any] | None) -> list[ColumnElement[bool]]:
    if not after:
        return []
    day, case_id = literal(date.fromisoformat(after[0]), CASES.c.due_on.type), literal(after[1], CASES.c.id.type)
    return [tuple_(source.due_on, source.id) > tuple_(day, case_id)]


def _conditions(filters: Filters, source: _Source) -> list[ColumnElement[bool]]:
    equal = ("track", "tier", "category", "risk")
    wanted = [CASES.c[name] == getattr(filters, name) for name in equal if getattr(filters, name) is not None]
    if filters.state is not None:
        wanted.append(source.state == filters.state)
    if filters.holder is not None:
        wanted.append(CASES.c.open_orgs.contains([filters.holder]))
    if filters.overdue is not None:
        at = datetime.fromisoformat(filters.at)
        late = CASES.c.late_at <= at
        wanted.append(late if filters.overdue else or_(CASES.c.late_at.is_(None), CASES.c.late_at > at))
    if filters.due_before is not None:
        wanted.append(source.due_on < filters.due_before)
    if filters.due_after is not None:
        wanted.append(source.due_on > filters.due_after)
    if filters.division is not None:
        wanted.append(CASES.c.division.startswith(filters.division, autoescape=True))
    return wanted


# ── searching ──


async def _searched(  # the query and all that narrows it
    connection: AsyncConnection,
    query: Select[Any],
    source: _Source,
    filters: Filters,
    viewer: Viewer,
    before: str | None,
    wanted: int,
) -> list[Row[Any]]:
    """The newest of the cases that `q` finds.

    What is frequent is found among the newest by looking at each; what is rare by the index, which lies in parts by
    month and gives its finds unordered: so the months are gone through backwards, ever more at once.
    """
    newest = select(source.id.label("id")).select_from(source.rows if source.body is None else WORKLISTS)
    newest = newest.where(*source.here(), *([source.id < before] if before else []))
    near = newest.order_by(source.id.desc()).limit(NEAR).subquery()
    ordered = query.order_by(source.id.desc())
    seen = ordered.where(source.id.in_(select(near.c.id)), *_told(filters, viewer))
    rows = list((await connection.execute(seen.limit(wanted))).all())
    end = select(func.count(), func.min(cast(near.c.id, Text))).select_from(near)
    count, hi = (await connection.execute(end)).one()
    months = 1
    while len(rows) < wanted and count == NEAR and hi != _FIRST_ID:
        lo = _earlier(hi, months)
        told = ordered.where(source.id.in_(_finds(filters, viewer, lo, hi)), source.id >= lo, source.id < hi)
        rows += (await connection.execute(told.limit(wanted - len(rows)))).all()
        months, hi = 2 * months, lo
    return rows


def _earlier(case_id: str, months: int) -> str:
    """The lowest id of so many months before that of a case (UUIDv7, RFC 9562 §5.7), or of all."""
    try:
        at = datetime.fromtimestamp((UUID(case_id).int >> 80) / 1000, UTC) - months * _MONTH
    except (OverflowError, ValueError):
        return _FIRST_ID
    ms = int(at.timestamp() * 1000)
    return str(UUID(int=ms << 80)) if ms > 0 else _FIRST_ID


def _finds(filters: Filters, viewer: Viewer, lo: str, hi: str) -> Any:  # noqa: ANN401  # a select or a union of some
    """The ids from `lo` up to `hi` that an index finds: by number, by reference, by words."""
    within = (CASES.c.id >= lo, CASES.c.id < hi)
    named = [select(CASES.c.id).where(one, *within) for one in _naming(filters)]
    if not filters.grams:
        return union(*named)
    words = select(VAULT_WORDS.c.case_id).where(
        VAULT_WORDS.c.case_id >= lo, VAULT_WORDS.c.case_id < hi, VAULT_WORDS.c.grams.contains(filters.grams)
    )
    telling = select(CASES.c.id).where(CASES.c.id.in_(words), _may_be_told(viewer))
    return union(*named, telling)


def _naming(filters: Filters) -> list[ColumnElement[bool]]:
    return [CASES.c.number.startswith(filters.q or "", autoescape=True), CASES.c.refs.contains([filters.q])]


def _told(filters: Filters, viewer: Viewer) -> list[ColumnElement[bool]]:
    """`q` as a condition on one case that is looked at: without its OFFSET it would be planned as a list of all."""
    if filters.q is None:
        return []
    if not filters.grams:
        return [or_(*_naming(filters))]
    holding = (
        select(VAULT_WORDS.c.case_id)
        .where(VAULT_WORDS.c.case_id == CASES.c.id, VAULT_WORDS.c.grams.contains(filters.grams))
        .correlate(CASES)
        .offset(text("0"))
        .exists()
    )
    return [or_(*_naming(filters), and_(holding, _may_be_told(viewer)))]


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

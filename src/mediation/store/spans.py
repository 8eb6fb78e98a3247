"""Events chosen by how their cases stood, page by page or all of them; and the cases as they stood at an instant."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.events import evolve, parse
from mediation.domain.facts import Case
from mediation.domain.lines import line_of
from mediation.store.pages import MOST, Id, Page, capped, page_of, uncursor
from mediation.store.queries import Stored, conducting
from mediation.store.sight import Viewer, following, reading, visible
from mediation.store.tables import CASES, EVENTS, FEED, ORGANISATIONS, SPANS
from mediation.store.worklists import Listed

CHUNK = 500
"""So many events of a stream are in memory at once."""
_WIDEST = 5000
_PATIENCE_S = 0.5
"""So long one page goes on looking, window by window, before it says how far it has come."""


class Wanted(NamedTuple):
    """Conditions on events, all of which must hold; None is no condition. `since` is within, `until` beyond.

    `org`: done for this body or one below it. `basis`: under this rule, or this version of it (`<id>@<valid from>`).
    `state` and `category` are those of the case after it. `overdue`: the case was so when it was done.
    """

    org: str | None = None
    actor: str | None = None
    action: str | None = None
    basis: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None
    overdue: bool | None = None


class Then(NamedTuple):
    """An instant, and conditions on cases as they stood at it; `holder` is any body that had an open leg."""

    at: datetime
    state: str | None = None
    holder: str | None = None
    category: str | None = None
    division: str | None = None
    overdue: bool | None = None


_ALL = Wanted()


async def feed(
    engine: AsyncEngine, viewer: Viewer, wanted: Wanted = _ALL, *, after: int = 0, limit: int = MOST
) -> tuple[list[Stored], int]:
    """Events of visible cases at positions after this one, and the position to go on from.

    A page looks only so long, so it may be short, even empty, before the end: who is told a position greater than
    `after` goes on from there; the same position back means that there is nothing more yet.
    """
    found: list[Stored] = []
    width, since = CHUNK, time.monotonic()
    async with reading(engine, viewer) as connection:
        end = await _end(connection)  # first: whatever is found after it is beyond it or at it
        while True:
            last, left = min(after + width, end), capped(limit) - len(found)
            some, after = await _stretch(connection, viewer, wanted, (after, last), left)
            found += some
            if len(found) == capped(limit) or after >= end or time.monotonic() - since >= _PATIENCE_S:
                return found, after
            width = min(2 * width, _WIDEST)


async def newest(engine: AsyncEngine, viewer: Viewer) -> int:
    """The newest position of the feed, 0 before the first."""
    async with reading(engine, viewer) as connection:
        return await _end(connection)


async def stream(
    engine: AsyncEngine, viewer: Viewer, wanted: Wanted = _ALL, *, after: int = 0, end: int
) -> AsyncIterator[list[Stored]]:
    """Every such event after one position and up to another, in chunks; while one is taken the next is read, no more.

    Each chunk is a short transaction of its own, so that no stream holds up the vacuum or a connection.
    """

    async def chunk(after: int, width: int) -> tuple[list[Stored], int]:
        async with reading(engine, viewer) as connection:
            return await _stretch(connection, viewer, wanted, (after, min(after + width, end)), CHUNK)

    width = CHUNK
    coming = asyncio.ensure_future(chunk(after, width)) if after < end else None
    try:
        while coming:
            found, after = await asyncio.shield(coming)
            width = CHUNK if len(found) > CHUNK // 2 else min(2 * width, _WIDEST)
            coming = asyncio.ensure_future(chunk(after, width)) if after < end else None
            if found:
                yield found
    finally:
        if coming:  # it is let end: to break it off would cost its connection
            coming.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


async def stood(
    engine: AsyncEngine, viewer: Viewer, then: Then, *, cursor: str | None = None, limit: int = 50
) -> Page[Listed]:
    """Cases as they stood at an instant, of those that the viewer sees as they stand now; the newest first.

    What was done in the last moments and has no place in the feed yet is not known here. Raises Malformed.
    """
    query = (
        select(SPANS.c.case_id, SPANS.c.position)
        .join(CASES, CASES.c.id == SPANS.c.case_id)
        .where(visible(viewer), *_standing(then))
        .order_by(SPANS.c.case_id.desc())
        .limit(capped(limit) + 1)
    )
    if cursor:
        query = query.where(SPANS.c.case_id < uncursor(cursor, Id)[0])
    async with reading(engine, viewer) as connection:
        rows = (await connection.execute(query)).all()
        cases = await _folded(connection, [row.position for row in rows])
        orgs = await conducting(connection, list(cases.values()))
    return page_of([(row.case_id, Listed(line_of(cases[row.case_id]), orgs)) for row in rows], limit)


async def _end(connection: AsyncConnection) -> int:
    return int(await connection.scalar(select(func.coalesce(func.max(FEED.c.position), 0))) or 0)


async def _stretch(
    connection: AsyncConnection, viewer: Viewer, wanted: Wanted, window: tuple[int, int], limit: int
) -> tuple[list[Stored], int]:
    """At most so many of the events after one position and up to another, and the position up to which it looked."""
    after, last = window
    within = (SPANS.c.position > after, SPANS.c.position <= last, *_chosen(wanted))
    places = select(SPANS.c.position, SPANS.c.case_id, SPANS.c.seq).where(*within)
    if not await following(connection, viewer):
        places = places.join(CASES, CASES.c.id == SPANS.c.case_id).where(visible(viewer))
    # Its limit keeps the planner from going through all events there are.
    found = places.order_by(SPANS.c.position).limit(limit).subquery()
    at = and_(EVENTS.c.case_id == found.c.case_id, EVENTS.c.seq == found.c.seq)
    query = select(EVENTS.c.bytes, found.c.position).select_from(found.join(EVENTS, at)).order_by(found.c.position)
    rows = [Stored(data, position) for data, position in await connection.execute(query)]
    return rows, (rows[-1].position or last) if len(rows) == limit else max(after, last)


def _chosen(wanted: Wanted) -> list[ColumnElement[bool]]:
    equal = ("actor", "action", "state", "category")
    terms = [SPANS.c[name] == getattr(wanted, name) for name in equal if getattr(wanted, name) is not None]
    if wanted.org is not None:
        here = or_(ORGANISATIONS.c.id == wanted.org, ORGANISATIONS.c.path.contains([wanted.org]))
        terms.append(SPANS.c.org.in_(select(ORGANISATIONS.c.id).where(here)))
    if wanted.basis is not None:
        terms.append(_under(wanted.basis))
    if wanted.since is not None:
        terms.append(SPANS.c.since >= wanted.since)
    if wanted.until is not None:
        terms.append(SPANS.c.since < wanted.until)
    if wanted.overdue is not None:
        terms.append(SPANS.c.was_late.is_(wanted.overdue))
    return terms


def _under(basis: str) -> ColumnElement[bool]:
    if "@" in basis:
        return SPANS.c.basis.contains([basis])
    named = func.unnest(SPANS.c.basis).column_valued("named")
    return select(named).where(named.startswith(f"{basis}@", autoescape=True)).exists()


def _standing(then: Then) -> list[ColumnElement[bool]]:
    terms = [SPANS.c.since <= then.at, or_(SPANS.c.until.is_(None), SPANS.c.until > then.at)]
    if then.state is not None:
        terms.append(SPANS.c.state == then.state)
    if then.holder is not None:
        terms.append(SPANS.c.open_orgs.contains([then.holder]))
    if then.category is not None:
        terms.append(SPANS.c.category == then.category)
    if then.division is not None:
        terms.append(SPANS.c.division.startswith(then.division, autoescape=True))
    if then.overdue is not None:
        late = SPANS.c.late_at <= then.at
        terms.append(late if then.overdue else or_(SPANS.c.late_at.is_(None), SPANS.c.late_at > then.at))
    return terms


async def _folded(connection: AsyncConnection, positions: Sequence[int]) -> dict[str, Case]:
    """The cases as the events at these positions left them, each folded from its first event on."""
    query = (
        select(EVENTS.c.case_id, EVENTS.c.bytes)
        .join(SPANS, SPANS.c.case_id == EVENTS.c.case_id)
        .where(SPANS.c.position.in_(positions), EVENTS.c.seq <= SPANS.c.seq)
        .order_by(EVENTS.c.case_id, EVENTS.c.seq)
    )
    found: dict[str, Case] = {}
    async with connection.stream(query) as rows:
        async for row in rows:
            found[row.case_id] = evolve(found.get(row.case_id), parse(row.bytes))
    return found

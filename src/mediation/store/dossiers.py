"""One case for whoever takes its history out of the house: named by a person, with the place of each of its events."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, cast, func, or_, select, true
from sqlalchemy import Text as AsText
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation.domain.errors import Malformed, NotFound, Reason
from mediation.store.sight import Viewer, denied, visible
from mediation.store.tables import CASES, EVENTS, FEED, ORGANISATIONS, PEOPLE, SPANS

__all__ = [
    "AsyncConnection",
    "Placed",
    "Stored",
    "Viewer",
    "case_named",
    "history",
    "holes",
    "org_named",
    "person_named",
    "stored",
]


class Placed(NamedTuple):
    """The canonical bytes of an event, and its position in the feed; None for one that has none yet."""

    data: bytes
    position: int | None


async def history(connection: AsyncConnection, case_id: str, viewer: Viewer | None = None) -> list[Placed]:
    """All events of a case in order. `viewer` is whose transaction this is; None behind a door that sees everything.

    Raises NotFound, where the case is absent or invisible.
    """
    query = (
        select(EVENTS.c.bytes, FEED.c.position)
        .join(CASES, CASES.c.id == EVENTS.c.case_id)
        .outerjoin(FEED, FEED.c.event == EVENTS.c.id)
        .where(EVENTS.c.case_id == case_id, visible(viewer) if viewer else true())
        .order_by(EVENTS.c.seq)
    )
    found = [Placed(bytes(row.bytes), row.position) for row in await connection.execute(query)]
    if not found:
        raise await denied(connection) if viewer else NotFound()
    return found


class Stored(NamedTuple):
    """What stands beside the events of a case: the document that they fold to, and how many have their span."""

    facts: str
    spans: int


async def stored(connection: AsyncConnection, case_id: str) -> Stored:
    """What stands beside the events of a case that was found to be theirs to see."""
    spans = select(func.count()).select_from(SPANS).where(SPANS.c.case_id == case_id).scalar_subquery()
    query = select(cast(CASES.c.facts, AsText), spans).where(CASES.c.id == case_id)
    return Stored(*(await connection.execute(query)).one())


async def holes(connection: AsyncConnection, first: int, size: int) -> int:
    """How many of the `size` places from `first` on have no event, or are not there: for who sees every event."""
    held = select(func.count()).select_from(FEED).join(EVENTS, EVENTS.c.id == FEED.c.event)
    found = await connection.scalar(held.where(FEED.c.position >= first, FEED.c.position < first + size))
    return size - int(found or 0)


async def case_named(connection: AsyncConnection, named: str) -> str:
    """The id of the case of this number or id. Raises NotFound."""
    found = await _id_of(connection, CASES, CASES.c.number == named, named)
    if found is None:
        raise NotFound(
            zh=f"没有案件 {named}：请给出案号或案件 id", en=f"There is no case {named}: give its number or id"
        )
    return found


async def person_named(connection: AsyncConnection, named: str) -> str:
    """The id of the person of this code or id. Raises Malformed."""
    found = await _id_of(connection, PEOPLE, PEOPLE.c.code == named, named)
    if found is None:
        raise Malformed(Reason("no_such_person", f"没有人员 {named}", f"There is no person {named}"))
    return found


async def org_named(connection: AsyncConnection, named: str) -> str:
    """The id of the organisation of this code or id. Raises Malformed."""
    found = await _id_of(connection, ORGANISATIONS, ORGANISATIONS.c.code == named, named)
    if found is None:
        raise Malformed(Reason("no_such_organisation", f"没有单位 {named}", f"There is no organisation {named}"))
    return found


async def _id_of(connection: AsyncConnection, table: Table, is_named: ColumnElement[bool], named: str) -> str | None:
    found = await connection.scalar(select(table.c.id).where(or_(is_named, cast(table.c.id, AsText) == named.lower())))
    return None if found is None else str(found)

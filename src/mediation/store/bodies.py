"""Who there is: divisions, organisations and people, put down by imports in one transaction each."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.store.database import transaction
from mediation.store.tables import DIVISIONS, MEMBERSHIPS, ORGANISATIONS, PEOPLE

__all__ = ["AsyncEngine", "Person", "find_person", "known_divisions", "put", "superiors"]

_AT_ONCE = 1000

# A body's superiors, nearest first. Twenty levels are more than any country has; a circle would go on for ever.
_PATHS = text("""
WITH RECURSIVE up AS (
    SELECT id, '{}'::uuid[] AS path, superior FROM organisations
    UNION ALL
    SELECT up.id, up.path || o.id, o.superior FROM up JOIN organisations o ON o.id = up.superior
    WHERE cardinality(up.path) < 20
), whole AS (
    SELECT id, path FROM up WHERE superior IS NULL
)
UPDATE organisations o SET path = whole.path FROM whole WHERE whole.id = o.id AND o.path <> whole.path
""")


class Person(NamedTuple):
    """A person of the staff, and the bodies they act for: `(organisation id, code, name, roles)`."""

    id: str
    code: str
    name: str
    memberships: tuple[tuple[str, str, str, tuple[str, ...]], ...]


async def put(
    engine: AsyncEngine,
    *,
    divisions: Sequence[dict[str, Any]] = (),
    organisations: Sequence[dict[str, Any]] = (),
    people: Sequence[dict[str, Any]] = (),
    memberships: Sequence[dict[str, Any]] = (),
) -> None:
    """Put these rows down, new or changed, all or none; then the path of every organisation follows."""
    async with transaction(engine) as connection:
        for table, rows in (
            (DIVISIONS, divisions),
            (ORGANISATIONS, organisations),
            (PEOPLE, people),
            (MEMBERSHIPS, memberships),
        ):
            await _upsert(connection, table, rows)
        if organisations:
            await connection.execute(_PATHS)


async def known_divisions(engine: AsyncEngine, codes: Iterable[str]) -> set[str]:
    """Those of the codes that are divisions we know."""
    async with engine.connect() as connection:
        found = await connection.scalars(select(DIVISIONS.c.code).where(DIVISIONS.c.code.in_(set(codes))))
        return set(found)


async def superiors(engine: AsyncEngine) -> dict[str, str]:
    """The superior's code of every organisation by its own code; empty at the top."""
    above = ORGANISATIONS.alias()
    query = select(ORGANISATIONS.c.code, above.c.code).outerjoin(above, above.c.id == ORGANISATIONS.c.superior)
    async with engine.connect() as connection:
        return {code: superior or "" for code, superior in await connection.execute(query)}


async def find_person(engine: AsyncEngine, said: str) -> Person | None:
    """The person of this code or id."""
    column = PEOPLE.c.id if len(said) == 36 and said.count("-") == 4 else PEOPLE.c.code  # noqa: PLR2004  # a UUID's shape
    query = (
        select(PEOPLE, MEMBERSHIPS.c.org, MEMBERSHIPS.c.roles, ORGANISATIONS.c.code, ORGANISATIONS.c.name)
        .outerjoin(MEMBERSHIPS, MEMBERSHIPS.c.person == PEOPLE.c.id)
        .outerjoin(ORGANISATIONS, ORGANISATIONS.c.id == MEMBERSHIPS.c.org)
        .where(column == said)
        .order_by(ORGANISATIONS.c.code)
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    if not rows:
        return None
    person_id, code, name, *_ = rows[0]
    return Person(
        person_id, code, name, tuple((org, code, name, tuple(roles)) for *_, org, roles, code, name in rows if org)
    )


async def _upsert(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    keys = [column.name for column in table.primary_key]
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        statement = insert(table).values(list(some))
        changed = {name: statement.excluded[name] for name in some[0] if name not in keys}
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))

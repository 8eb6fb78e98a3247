"""Who there is: divisions, organisations and people, changed one hand at a time, each change with its log entry."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Row, Table, delete, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils import uuid7

from mediation.domain.events import Event, parse
from mediation.domain.facts import Organisation
from mediation.domain.registering import LOG_ID, Attributes, Hand, entry
from mediation.domain.vocabulary import Role
from mediation.store.database import transaction
from mediation.store.tables import DIVISIONS, EVENTS, IDENTITIES, MEMBERSHIPS, ORGANISATIONS, OUTBOX, PEOPLE

__all__ = [
    "AsyncConnection",
    "AsyncEngine",
    "Body",
    "Person",
    "Staff",
    "bodies",
    "coded",
    "codes_of",
    "find_person",
    "gives_numbers",
    "holders",
    "known_divisions",
    "link",
    "note",
    "open_cases",
    "organisation",
    "put",
    "revoke",
    "staff",
    "superiors",
    "too_deep",
    "turn",
    "unlink",
]

Coded: TypeAlias = Literal["organisations", "people"]

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
UPDATE organisations o SET path = whole.path FROM whole JOIN organisations old ON old.id = whole.id
WHERE whole.id = o.id AND o.path <> whole.path RETURNING o.id, old.path
""")
_TOO_DEEP = text(
    "SELECT EXISTS (SELECT FROM organisations WHERE superior IS NOT NULL AND cardinality(path) NOT BETWEEN 1 AND 19)"
)
_AS_CLOCK = text("SELECT enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL)")
_AS_NOBODY = text("SELECT enter(NULL, NULL, NULL, NULL, NULL)")
_TAKING_LONG = text("SELECT set_config('statement_timeout', '0', true)")  # the cases of a county are many
_MOVE_TALLIES = text("SELECT move_tallies(cast(:before AS json))")
_RELIST = text("SELECT relist(cast(:moved AS uuid[]), cast(:left AS uuid[]))")
_AS_BODY = text("SELECT enter(NULL, cast(:org AS uuid), NULL, NULL, NULL)")
_NUMBERED = text("SELECT EXISTS (SELECT FROM case_numbers WHERE org = cast(:org AS uuid))")
_OPEN = text("""
SELECT count(*) FROM worklists w JOIN cases c ON c.id = w.case_id
WHERE w.org = cast(:org AS uuid) AND (c.open_orgs @> ARRAY[w.org] OR c.inbound @> ARRAY[w.org])
""")


_TURN = text("SELECT pg_advisory_xact_lock(hashtext('mediation.administration'))")
_IN_HAND = text("SELECT current_setting('mediation.case', true)")
_TAKE = text("SELECT set_config('mediation.case', :case, true)")
_LAST = select(EVENTS.c.bytes).where(EVENTS.c.case_id == LOG_ID).order_by(EVENTS.c.seq.desc()).limit(1)


@asynccontextmanager
async def turn(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction in which nobody else changes the registry: what is read in it still holds when it commits."""
    async with transaction(engine) as connection:
        await connection.execute(_TURN)
        yield connection


async def note(connection: AsyncConnection, hand: Hand, *said: Attributes) -> Event:
    """Append entries to the log of administration, in the transaction of the change they tell of; the last of them.

    Whoever else appends waits until that transaction ends. The context of row-level security is as it was afterwards.
    """
    await connection.execute(_TURN)
    before = await connection.scalar(_IN_HAND)
    await connection.execute(_TAKE, {"case": LOG_ID})  # to read the end of the log, and to write to it
    stored = await connection.scalar(_LAST)
    last = parse(stored) if stored else None
    events = list[Event]()
    for one in said:
        last = entry(hand, one, last, str(uuid7()))
        events.append(last)
    for start in range(0, len(events), _AT_ONCE):
        some = events[start : start + _AT_ONCE]
        rows = [{"id": one.event, "case_id": LOG_ID, "seq": one.seq, "bytes": one.canonical} for one in some]
        await connection.execute(insert(EVENTS).values(rows))
        await connection.execute(
            insert(OUTBOX).values([{"event": one.event, "case_id": LOG_ID} for one in some]).inline()
        )
    await connection.execute(_TAKE, {"case": before or ""})
    return events[-1]


class Person(NamedTuple):
    """A person of the staff, and the bodies they act for: `(organisation id, code, name, roles)`."""

    id: str
    code: str
    name: str
    memberships: tuple[tuple[str, str, str, tuple[str, ...]], ...]


class Body(NamedTuple):
    """A body as it is registered; one that is not active gives nobody a standing."""

    organisation: Organisation
    active: bool


class Staff(NamedTuple):
    """A person of the staff as registered at `home`: the roles at each body, and `(issuer, subject)` by which known."""

    id: str
    code: str
    name: str
    home: str
    memberships: dict[str, tuple[Role, ...]]
    identities: frozenset[tuple[str, str]]

    @property
    def bodies(self) -> frozenset[str]:
        """Where they are registered, or serve."""
        return frozenset({self.home, *self.memberships})


async def put(
    connection: AsyncConnection,
    *,
    divisions: Sequence[dict[str, Any]] = (),
    organisations: Sequence[dict[str, Any]] = (),
    people: Sequence[dict[str, Any]] = (),
    memberships: Sequence[dict[str, Any]] = (),
) -> None:
    """Put these rows down, new or changed, in the turn of this connection; then the path of every body follows."""
    for table, rows in (
        (DIVISIONS, divisions),
        (ORGANISATIONS, organisations),
        (PEOPLE, people),
        (MEMBERSHIPS, memberships),
    ):
        await _upsert(connection, table, rows)
    if organisations:
        moved = {row.id: row.path for row in await connection.execute(_PATHS)}
        if moved:  # then they are counted, and their cases listed, elsewhere
            before = [{"org": one, "path": path} for one, path in moved.items()]
            await connection.execute(_TAKING_LONG)
            await connection.execute(_MOVE_TALLIES, {"before": msgspec.json.encode(before).decode()})
            left = {above for path in moved.values() for above in path}
            await connection.execute(_RELIST, {"moved": list(moved), "left": list(left)})
            await connection.execute(_AS_NOBODY)


async def relist(engine: AsyncEngine) -> None:
    """List every case anew where its bodies and those above them are; steps that change a list wait meanwhile."""
    async with turn(engine) as connection:
        await connection.execute(_TAKING_LONG)
        await connection.execute(_RELIST, {"moved": None, "left": None})


async def revoke(connection: AsyncConnection, person: str, org: str) -> None:
    """End a membership."""
    await connection.execute(delete(MEMBERSHIPS).where(MEMBERSHIPS.c.person == person, MEMBERSHIPS.c.org == org))


async def link(connection: AsyncConnection, person: str, identities: Iterable[tuple[str, str]]) -> None:
    """Let these identities, which name nobody yet, name this person."""
    rows = [{"issuer": issuer, "subject": subject, "person": person} for issuer, subject in identities]
    if rows:
        await connection.execute(insert(IDENTITIES).values(rows))


async def unlink(connection: AsyncConnection, identities: Iterable[tuple[str, str]]) -> None:
    """Let these identities name nobody."""
    where = tuple_(IDENTITIES.c.issuer, IDENTITIES.c.subject).in_(list(identities))
    await connection.execute(delete(IDENTITIES).where(where))


async def bodies(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Body]:
    """These bodies by id, active or not; those there are not are left out."""
    rows = await connection.execute(select(ORGANISATIONS).where(ORGANISATIONS.c.id.in_(set(ids))))
    return {row.id: Body(organisation(row), row.active) for row in rows}


def organisation(row: Row[Any]) -> Organisation:
    """The body of a row of `organisations`."""
    fields = {name: getattr(row, name) or "" for name in Organisation.__struct_fields__}
    return msgspec.convert(fields | {"path": row.path}, Organisation)


async def staff(connection: AsyncConnection, people: Iterable[str]) -> dict[str, Staff]:
    """These people by id; those there are not are left out."""
    ids = set(people)
    held: dict[str, dict[str, tuple[Role, ...]]] = {}
    for row in await connection.execute(select(MEMBERSHIPS).where(MEMBERSHIPS.c.person.in_(ids))):
        held.setdefault(row.person, {})[row.org] = tuple(map(Role, row.roles))
    known: dict[str, set[tuple[str, str]]] = {}
    for row in await connection.execute(select(IDENTITIES).where(IDENTITIES.c.person.in_(ids))):
        known.setdefault(row.person, set()).add((row.issuer, row.subject))
    return {
        row.id: Staff(row.id, row.code, row.name, row.home, held.get(row.id, {}), frozenset(known.get(row.id, ())))
        for row in await connection.execute(select(PEOPLE).where(PEOPLE.c.id.in_(ids)))
    }


async def holders(connection: AsyncConnection, identities: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The person of each of these identities that names one."""
    where = tuple_(IDENTITIES.c.issuer, IDENTITIES.c.subject).in_(list(identities))
    return {(row.issuer, row.subject): row.person for row in await connection.execute(select(IDENTITIES).where(where))}


async def coded(connection: AsyncConnection, table: Coded, codes: Iterable[str]) -> dict[str, str]:
    """The ids of the "organisations" or "people" of these codes."""
    column = (ORGANISATIONS if table == "organisations" else PEOPLE).c
    rows = await connection.execute(select(column.code, column.id).where(column.code.in_(set(codes))))
    return {row.code: row.id for row in rows}


async def codes_of(connection: AsyncConnection, table: Coded, ids: Iterable[str]) -> dict[str, str]:
    """The codes of the "organisations" or "people" of these ids."""
    column = (ORGANISATIONS if table == "organisations" else PEOPLE).c
    rows = await connection.execute(select(column.id, column.code).where(column.id.in_(set(ids))))
    return {row.id: row.code for row in rows}


async def open_cases(connection: AsyncConnection, org: str) -> int:
    """How many cases a body has an open leg or a live hand-off in. Whoever administers sees none of them."""
    await connection.execute(_AS_CLOCK)
    found = await connection.scalar(_OPEN, {"org": org})
    await connection.execute(_AS_NOBODY)
    return int(found or 0)


async def gives_numbers(connection: AsyncConnection, org: str) -> bool:
    """Whether a body has given numbers to cases, which begin with its code."""
    await connection.execute(_AS_BODY, {"org": org})
    found = await connection.scalar(_NUMBERED, {"org": org})
    await connection.execute(_AS_NOBODY)
    return bool(found)


async def too_deep(connection: AsyncConnection) -> bool:
    """Whether some body has more superiors than are followed."""
    return bool(await connection.scalar(_TOO_DEEP))


async def known_divisions(connection: AsyncConnection, codes: Iterable[str]) -> set[str]:
    """Those of the codes that are divisions we know."""
    return set(await connection.scalars(select(DIVISIONS.c.code).where(DIVISIONS.c.code.in_(set(codes)))))


async def superiors(connection: AsyncConnection) -> dict[str, str]:
    """The superior's code of every organisation by its own code; empty at the top."""
    upper = ORGANISATIONS.alias()
    query = select(ORGANISATIONS.c.code, upper.c.code).outerjoin(upper, upper.c.id == ORGANISATIONS.c.superior)
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

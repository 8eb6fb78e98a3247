"""Every history beside the row that it folds to, streamed by case for whoever verifies; one snapshot, little memory."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from mediation.domain.tallying import Summed
from mediation.store.columns import CaseColumns
from mediation.store.database import connect
from mediation.store.evidence import Evidence

_ROWS_AT_ONCE = 500
_AS_TEXT = {
    "line": "line::text",
    "holder": "holder::text",
    "due_on": "due_on::text",
    **{
        name: f"""to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        for name in ("wake_at", "late_at")
    },
}
_LISTS = {name for name, kind in CaseColumns.__annotations__.items() if kind == list[str]}
_CASES = f"""
SELECT id::text, number, version, filed_at, facts::text, {
    ", ".join(_AS_TEXT.get(name, f"{name}::text[]" if name in _LISTS else name) for name in CaseColumns._fields)
} FROM cases{{only}} ORDER BY id"""  # noqa: S608  # our own column names
_EVENTS = """
SELECT e.case_id::text, e.id::text, e.seq, e.bytes, f.position, s.position, s.event::text, s.since, s.until, s.action,
       s.org::text, s.actor, s.role, s.basis, s.before, s.state, s.holder::text, s.open_orgs::text[], s.category,
       s.division, s.late_at, s.was_late
FROM events e LEFT JOIN feed f ON f.event = e.id LEFT JOIN spans s ON s.case_id = e.case_id AND s.seq = e.seq{only}
ORDER BY e.case_id, e.seq"""
_SEALS = """
SELECT v.case_id::text, v.subject, v.digest, v.name, k.subject IS NOT NULL{sealed}
FROM vault v LEFT JOIN vault_keys k USING (case_id, subject){words}{only} ORDER BY v.case_id"""
_SEALED = ", v.sealed, k.wrapped, v.blind, v.blind_id, w.grams"
_WORDS = " LEFT JOIN vault_words w USING (case_id, digest)"
_TALLIES = "SELECT org::text, year, category, what, count, days FROM tallies WHERE count <> 0 OR days <> '{}'"
# Where a case should be listed and is not, or otherwise; and where one is listed that should not be.
_MISLISTED = """
WITH wanted AS (
    SELECT b.org, c.id AS case_id, c.state, c.due_on, b.org = ANY (c.inbound) AS inbound,
           b.org = ANY (c.outbound) AS outbound, c.holder, c.category, c.late_at
    FROM cases c, LATERAL (
        SELECT DISTINCT a.id AS org FROM organisations o, unnest(o.id || o.path) AS a (id) WHERE o.id = ANY (c.orgs)) b
)
SELECT coalesce(w.case_id, l.case_id)::text, coalesce(w.org, l.org)::text
FROM wanted w FULL JOIN worklists l ON l.org = w.org AND l.case_id = w.case_id
WHERE w IS DISTINCT FROM l
UNION ALL
SELECT w.case_id::text, w.org::text FROM wanted w JOIN vault_words v USING (case_id) WHERE NOT v.lists @> ARRAY[w.org]
UNION ALL
SELECT c.id::text, r.ref FROM cases c, unnest(c.refs) AS r (ref)
WHERE NOT EXISTS (SELECT FROM case_refs f WHERE f.ref = r.ref AND f.case_id = c.id)
ORDER BY 1, 2"""
_CASE_IDS = ("id", "e.case_id", "v.case_id")
_ERASURES = "SELECT case_id::text, subject, event::text FROM erasures"
_DIVISIONS = "SELECT code, level, name, coalesce(parent, '') FROM divisions"
_BODIES = """
SELECT path::text[], id::text, code, name, name_en, kind, tier, division, speciality, coalesce(superior::text, ''),
       active
FROM organisations"""
_PEOPLE = "SELECT id::text, home::text FROM people"
_MEMBERSHIPS = "SELECT person::text, org::text, roles FROM memberships"
_IDENTITIES = """
SELECT person::text, array_agg(encode(sha256(convert_to(issuer || chr(10) || subject, 'UTF8')), 'hex'))
FROM identities GROUP BY person"""
_LAW_SETS = "SELECT digest, files FROM law_sets"
_NUMBERS = "SELECT o.code, coalesce(n.year, 0), n.last FROM organisations o LEFT JOIN case_numbers n ON n.org = o.id"


class StoredSpan(NamedTuple):
    """How a case stood from one event to the next, as the sequencer wrote it down."""

    position: int
    event: str
    since: datetime
    until: datetime | None
    action: str
    org: str | None
    actor: str
    role: str
    basis: list[str]
    before: str
    state: str
    holder: str | None
    open_orgs: list[str]
    category: str
    division: str
    late_at: datetime | None
    was_late: bool


class StoredEvent(NamedTuple):
    """An event as its row has it, its place in the feed and its span; None where it has none yet."""

    id: str
    seq: int
    data: bytes
    position: int | None = None
    span: StoredSpan | None = None


class StoredCase(NamedTuple):
    """The row of a case: its document and the columns it is searched by; `filed_at` as RFC 3339 UTC with six digits."""

    number: str
    version: int
    filed_at: str
    facts: str
    columns: CaseColumns


class StoredSeal(NamedTuple):
    """A row of the vault; `keyed`: there is the key that opens it.

    What is sealed, that key as it is wrapped, and what it is found by are read only for who opens them.
    """

    subject: int
    digest: str
    name: str
    keyed: bool
    sealed: bytes = b""
    wrapped: bytes | None = None
    blind: bytes | None = None
    blind_id: bytes | None = None
    grams: list[int] | None = None


class Trail(NamedTuple):
    """A case's events in order, its row, and what the vault holds of it.

    The row is None where there are events or sealed values but no case, as in the administration log.
    """

    case_id: str
    case: StoredCase | None
    events: list[StoredEvent]
    seals: list[StoredSeal]


class Erasure(NamedTuple):
    """Whose key was destroyed: of which case and subject, by which entry of the administration log."""

    case_id: str
    subject: int
    event: str


class StoredRegistry(NamedTuple):
    """The registry: divisions and bodies as the log says them, but with their names; homes, roles, identities' digests.

    `paths`: the superiors of each body, as it is asked for them.
    """

    divisions: dict[str, tuple[str, ...]]
    organisations: dict[str, tuple[Any, ...]]
    paths: dict[str, list[str]]
    people: dict[str, str]
    memberships: dict[tuple[str, str], tuple[str, ...]]
    identities: dict[str, frozenset[str]]


class Trails:
    """What a verifier may read: all of one snapshot."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], *, sealed: bool = False, only: Iterable[str] | None = None
    ) -> None:
        self._connection = connection
        ids = "" if only is None else ",".join(str(UUID(case_id)) for case_id in only)
        chosen = {name: "" if only is None else f" WHERE {name} = ANY ('{{{ids}}}')" for name in _CASE_IDS}
        self._cases = _CASES.format(only=chosen["id"])
        self._events = _EVENTS.format(only=chosen["e.case_id"])
        self._seals = _SEALS.format(
            sealed=_SEALED if sealed else "", words=_WORDS if sealed else "", only=chosen["v.case_id"]
        )
        self.logs = Evidence(connection)

    async def count(self) -> int:
        """How many cases there are."""
        row = await (await self._connection.execute("SELECT count(*) FROM cases")).fetchone()
        return int(row[0]) if row else 0

    async def erasures(self) -> frozenset[Erasure]:
        """All erasures."""
        return frozenset([Erasure(*row) for row in await (await self._connection.execute(_ERASURES)).fetchall()])

    async def registry(self) -> StoredRegistry:
        """The registry as its tables have it."""
        divisions, bodies, people, memberships, identities = [
            await self._all(query) for query in (_DIVISIONS, _BODIES, _PEOPLE, _MEMBERSHIPS, _IDENTITIES)
        ]
        return StoredRegistry(
            {row[0]: row for row in divisions},
            {row[0]: tuple(row) for _, *row in bodies},
            {id_: path for path, id_, *_ in bodies},
            dict(people),
            {(person, org): tuple(roles) for person, org, roles in memberships},
            {person: frozenset(digests) for person, digests in identities},
        )

    async def numbers(self) -> dict[str, dict[int, int]]:
        """The last number that each body has given in a year, by its code; of every body, if it has given none."""
        found: dict[str, dict[int, int]] = {}
        for code, year, last in await self._all(_NUMBERS):
            found.setdefault(code, {})[year] = last or 0
        return found

    async def tallies(self) -> list[Summed]:
        """What happened at each body and below as the table has it, in no order; rows of nothing are left out."""
        found = [Summed(*row) for row in await self._all(_TALLIES)]
        return [row for row in (one._replace(days=_trimmed(one.days)) for one in found) if row.many or row.days]

    async def mislisted(self) -> list[tuple[str, str]]:
        """Each case that is not found where it should be, or as it should be: with the body, or the reference."""
        return [(case, where) for case, where in await self._all(_MISLISTED)]

    async def law_sets(self) -> AsyncIterator[tuple[str, Any]]:
        """Every set of laws by its digest: the texts of its files by name, or whatever is there instead."""
        async with self._rows("law_sets", _LAW_SETS) as rows:
            async for digest, files in rows:
                yield digest, files

    async def _all(self, query: str) -> list[Any]:
        return await (await self._connection.execute(query)).fetchall()

    async def __aiter__(self) -> AsyncIterator[Trail]:
        async with AsyncExitStack() as stack:
            cases = await stack.enter_async_context(self._rows("cases", self._cases))
            events = await stack.enter_async_context(self._rows("events", self._events))
            seals = await stack.enter_async_context(self._rows("seals", self._seals))
            case, event, seal = await anext(cases, None), await anext(events, None), await anext(seals, None)
            while case or event or seal:
                case_id = min(row[0] for row in (case, event, seal) if row)  # lower-case hex: text order is uuid order
                trail = Trail(case_id, None, [], [])
                while event and event[0] == case_id:
                    trail.events.append(_event(event))
                    event = await anext(events, None)
                while seal and seal[0] == case_id:
                    trail.seals.append(StoredSeal(*seal[1:]))
                    seal = await anext(seals, None)
                if case and case[0] == case_id:
                    trail = trail._replace(case=_stored(case))
                    case = await anext(cases, None)
                yield trail

    @asynccontextmanager
    async def _rows(self, name: str, query: str) -> AsyncIterator[AsyncIterator[tuple[Any, ...]]]:
        async with self._connection.cursor(name, binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            await cursor.execute(query)
            yield aiter(cursor)


@asynccontextmanager
async def trails(reader_url: str, *, sealed: bool = False, only: Iterable[str] | None = None) -> AsyncIterator[Trails]:
    """All histories as they stand at this moment, or those of these cases; with what is `sealed`, if asked.

    Raises: DatabaseUnreachable.
    """
    async with snapshot(reader_url) as connection:
        yield Trails(connection, sealed=sealed, only=only)


@asynccontextmanager
async def snapshot(reader_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that sees everything as it stands now, and changes nothing. Raises: DatabaseUnreachable."""
    connection = await connect(reader_url)
    async with connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        async with connection.transaction():
            yield connection


def _trimmed(days: list[int]) -> list[int]:
    """Without the noughts at the end, which a body that was moved away leaves."""
    return days[: max((day + 1 for day, many in enumerate(days) if many), default=0)]


def _event(row: tuple[Any, ...]) -> StoredEvent:
    _, id_, seq, data, position, placed, *span = row
    return StoredEvent(id_, seq, data, position, None if placed is None else StoredSpan(placed, *span))


def _stored(row: tuple[Any, ...]) -> StoredCase:
    _, number, version, filed_at, facts, *columns = row
    at = filed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return StoredCase(number, version, at, facts, CaseColumns(*columns))

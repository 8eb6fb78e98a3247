"""What the sequencer reads and writes: what waits for a place, the edge of the tree, and the places it gives."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import psycopg

from mediation.domain.accesses import AccessRow
from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.facts import Instant
from mediation.domain.registering import LOG_ID
from mediation.domain.tallying import Sums, Tally

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Log: TypeAlias = Literal["events", "access"]
Contradiction = psycopg.IntegrityError
"""A place, a size or a tile that is there already, and is not as it would be now: raised by `place` and `store`."""


PLACED_AT_ONCE = 2000
"""So many events, or counts, go over the line at once where all are read or made anew."""


class Epoch(NamedTuple):
    """A tree: its origin, and the position in the feed of its first leaf."""

    origin: str
    first_position: int


class Signed(NamedTuple):
    """The newest checkpoint of a tree, as it was stored."""

    size: int
    root: bytes
    note: str


class Waiting(NamedTuple):
    """An event in the outbox: as its row has it, the hash of the one before it, and how the case stood after it.

    `id` is None where the event is not there; `prev` where there is none before; `placed`: it has its place. `tallies`:
    what it adds to the counts of bodies, JSON of them, or None.
    """

    outbox: int
    id: str | None
    case_id: str
    seq: int
    data: bytes
    prev: str | None
    placed: bool
    prev_late_at: datetime | None
    holder: str | None
    open_orgs: list[str] | None
    category: str | None
    division: str | None
    late_at: datetime | None
    tallies: str | None


class Read(NamedTuple):
    """An entry of the access log that waits for its place; `row` is None where it is not there."""

    outbox: int
    row: AccessRow | None


class Span(msgspec.Struct, frozen=True):
    """A row of `spans` to be, and of `feed`; without `case_id` the event is of no case and has a place alone."""

    position: int
    outbox: int
    event: str
    case_id: str | None = None
    seq: int = 0
    since: str | None = None
    until: str | None = None
    action: str = ""
    org: str | None = None
    actor: str = ""
    role: str = ""
    basis: tuple[str, ...] = ()
    before: str = ""
    state: str = ""
    holder: str | None = None
    open_orgs: Sequence[str] = ()
    category: str = ""
    division: str = ""
    late_at: datetime | None = None
    was_late: bool = False


async def turn(connection: Connection) -> bool:
    """Whether it is ours to integrate until this transaction ends: nobody else does, and the server is no standby."""
    row = await (await connection.execute(_TURN)).fetchone()
    return row is not None and row[:2] == (False, True)


async def unhurried(connection: Connection) -> None:
    """Let each statement of this transaction take as long as it takes."""
    await connection.execute("SELECT set_config('statement_timeout', '0', true)")


async def epoch(connection: Connection, log: Log) -> Epoch | None:
    """The tree that grows now; None before the first leaf."""
    row = await (await connection.execute(_EPOCH, (log,))).fetchone()
    return Epoch(*row) if row else None


async def epoch_if_any(connection: Connection, log: Log) -> Epoch | None:
    """As `epoch`; None also in a database that was not migrated yet."""
    try:
        return await epoch(connection, log)
    except psycopg.errors.UndefinedTable:
        return None


async def begin_epoch(connection: Connection, log: Log, begun: Epoch) -> None:
    """Begin a tree."""
    await connection.execute(_BEGIN, (begun.origin, log, begun.first_position))


async def next_position(connection: Connection, log: Log) -> int:
    """The first position that was never given."""
    row = await (await connection.execute(_NEXT[log])).fetchone()
    return int(row[0]) if row else 1


async def last_signed(connection: Connection, origin: str) -> Signed | None:
    """The newest checkpoint of a tree."""
    row = await (await connection.execute(_SIGNED, (origin,))).fetchone()
    return Signed(*row) if row else None


async def tiles(connection: Connection, origin: str, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Tiles by (level, index), those that there are."""
    places = list(wanted)
    if not places:
        return {}
    said = ([level for level, _ in places], [index for _, index in places], origin)
    rows = await connection.cursor(binary=True).execute(_TILES, said)
    return {(level, index): hashes async for level, index, hashes in rows}


async def waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Events that were committed and have no place yet, in the order in which they were written."""
    rows = await connection.cursor(binary=True).execute(_WAITING, (LOG_ID, limit))
    return [Waiting(*row) for row in await rows.fetchall()]


async def waiting_of(connection: Connection, case_id: str) -> dict[int, bytes]:
    """The events of a case, or entries of the log of administration, that wait: their bytes by their outbox number."""
    rows = await connection.cursor(binary=True).execute(_WAITING_OF, (case_id,))
    return {outbox: data async for outbox, data in rows}


async def waiting_reads(connection: Connection, limit: int) -> list[Read]:
    """Entries of the access log without a place yet, likewise."""
    rows = await connection.cursor(binary=True).execute(_WAITING_READS, (limit,))
    return [
        Read(outbox, AccessRow(access, instant(at), *rest) if access else None)
        for outbox, access, at, *rest in await rows.fetchall()
    ]


async def place(connection: Connection, spans: Sequence[Span]) -> None:
    """Give these events their places, end the spans before them and begin theirs, and take them out of the outbox."""
    await connection.execute(_PLACE, (msgspec.json.encode(spans).decode(),))


async def count(connection: Connection, placed: Iterable[Waiting]) -> None:
    """Add what these add to the counts of bodies; in the transaction that places them, so each once.

    Raises BrokenTrail, where that is no list of tallies.
    """
    sums = Sums()
    for one in placed:
        if one.tallies is not None:
            try:
                sums.add(_TALLIES.decode(one.tallies))
            except msgspec.MsgspecError as found:
                zh, en = f"统计增量 {one.outbox} 无法读取", f"The tallies of outbox {one.outbox} cannot be read"
                raise BrokenTrail(Reason("wrong_tallies", zh, en)) from found
    await count_in(connection, sums)


async def count_anew(connection: Connection, sums: Sums) -> None:
    """Put these in place of all counts of bodies."""
    await connection.execute("UPDATE tallies SET count = 0, days = '{}'")
    await count_in(connection, sums)


async def count_in(connection: Connection, sums: Sums) -> None:
    """Add these to the counts of the bodies and of all above them, in whoever's turn it is: no body moves meanwhile."""
    above = await connection.execute(_ABOVE, (list(sums.bodies),))
    rows = sums.rows({org: path async for org, path in above})
    for start in range(0, len(rows), PLACED_AT_ONCE):
        some = rows[start : start + PLACED_AT_ONCE]
        await connection.execute(_COUNT_IN, (msgspec.json.encode(some).decode(),))


async def placed(connection: Connection) -> AsyncIterator[tuple[str, bytes]]:
    """The bytes of every event of a case that has its place, by case and in order, within the transaction."""
    async with connection.cursor("placed", binary=True) as cursor:
        cursor.itersize = PLACED_AT_ONCE
        await cursor.execute(_PLACED, (LOG_ID,))
        async for case_id, data in cursor:
            yield case_id, data


async def place_reads(connection: Connection, first: int, reads: Sequence[Read]) -> None:
    """Give these entries of the access log their places, from `first` on."""
    said = (first, [read.row.access for read in reads if read.row], [read.outbox for read in reads])
    await connection.execute(_PLACE_READS, said)


async def store(connection: Connection, origin: str, signed: Signed, grown: Mapping[tuple[int, int], bytes]) -> None:
    """Store the tiles that are new or have grown, and the checkpoint that was signed of them.

    Raises psycopg.errors.UniqueViolation where a root of this size is there, RestrictViolation where a tile shrinks.
    """
    cursor = connection.cursor()
    await cursor.executemany(_TILE, [(origin, *place, hashes) for place, hashes in grown.items()])
    await cursor.execute(_CHECKPOINT, (origin, *signed))


def contradicted(found: Contradiction) -> str:
    """What is there already: the server's words, which name a table and hold no more than numbers and ids."""
    return found.diag.message_detail or found.diag.message_primary or type(found).__name__


async def oldest_waiting(connection: Connection, log: Log) -> Instant:
    """Since when the first of them waits: the instant in an event's id (UUIDv7), or of the access; "" for none."""
    row = await (await connection.execute(_OLDEST[log])).fetchone()
    return instant(row[0]) if row else ""


async def count_waiting(connection: Connection, log: Log) -> int:
    """How many committed events, or entries of the access log, have no place yet."""
    row = await (await connection.execute(_COUNT[log])).fetchone()
    return int(row[0]) if row else 0


def instant(at: datetime) -> Instant:
    """A moment of the database as RFC 3339 UTC with six digits."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_TALLIES = msgspec.json.Decoder(list[Tally])
_TURN = """
SELECT pg_is_in_recovery(), pg_try_advisory_xact_lock(hashtext('mediation.integrate')),
       set_config('statement_timeout', '30s', true)
"""
_EPOCH = "SELECT origin, first_position FROM log_epochs WHERE log = %s ORDER BY first_position DESC LIMIT 1"
_BEGIN = "INSERT INTO log_epochs (origin, log, first_position) VALUES (%s, %s, %s)"
_NEXT: Mapping[Log, str] = {
    "events": "SELECT coalesce(max(position), 0) + 1 FROM feed",
    "access": "SELECT coalesce(max(position), 0) + 1 FROM access_feed",
}
_COUNT: Mapping[Log, str] = {
    "events": "SELECT count(*) FROM outbox",
    "access": "SELECT count(*) FROM access_outbox",
}
_OLDEST: Mapping[Log, str] = {
    "events": """
SELECT to_timestamp(('x' || substr(replace(event::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
FROM outbox ORDER BY id LIMIT 1""",
    "access": "SELECT d.at FROM access_outbox o JOIN disclosures d ON d.id = o.disclosure ORDER BY o.id LIMIT 1",
}
_SIGNED = "SELECT size, root, note FROM log_checkpoints WHERE origin = %s ORDER BY size DESC LIMIT 1"
_TILES = """
SELECT t.level, t.idx, t.hashes FROM log_tiles t
JOIN unnest(%s::int[], %s::bigint[]) AS w (level, idx) ON t.level = w.level AND t.idx = w.idx
WHERE t.origin = %s
"""
_WAITING = """
SELECT o.id, e.id::text, e.case_id::text, e.seq, e.bytes, encode(sha256('\\x00'::bytea || p.bytes), 'hex'),
       f.position IS NOT NULL AND (s.seq IS NOT NULL OR e.case_id = %s::uuid), s.late_at, o.holder::text,
       o.open_orgs::text[], o.category, o.division, o.late_at, o.tallies::text
FROM (SELECT * FROM outbox ORDER BY id LIMIT %s) o
LEFT JOIN events e ON e.case_id = o.case_id AND e.id = o.event
LEFT JOIN events p ON p.case_id = e.case_id AND p.seq = e.seq - 1
LEFT JOIN feed f ON f.event = p.id
LEFT JOIN spans s ON s.case_id = e.case_id AND s.seq = e.seq - 1
ORDER BY o.id
"""
_WAITING_OF = """
SELECT o.id, e.bytes FROM outbox o JOIN events e ON e.case_id = o.case_id AND e.id = o.event
WHERE e.case_id = %s::uuid ORDER BY o.id
"""
_WAITING_READS = """
SELECT o.id, d.id, d.at, d.person::text, d.org::text, d.request::text, d.kind, d.case_id::text, d.purpose, d.fields,
       d.sealed
FROM (SELECT * FROM access_outbox ORDER BY id LIMIT %s) o LEFT JOIN disclosures d ON d.id = o.disclosure
ORDER BY o.id
"""
_PLACE = """
WITH placed AS (
    SELECT * FROM json_to_recordset(%s::json) AS r (
        position bigint, outbox bigint, event uuid, case_id uuid, seq integer, since timestamptz, until timestamptz,
        action text, org uuid, actor text, role text, basis text[], before text, state text, holder uuid,
        open_orgs uuid[], category text, division text, late_at timestamptz, was_late boolean)
), fed AS (
    INSERT INTO feed (position, event) SELECT position, event FROM placed
), ended AS (
    UPDATE spans s SET until = p.since FROM placed p WHERE s.case_id = p.case_id AND s.seq = p.seq - 1
), begun AS (
    INSERT INTO spans (position, event, case_id, seq, since, until, action, org, actor, role, basis, before, state,
                       holder, open_orgs, category, division, late_at, was_late)
    SELECT position, event, case_id, seq, since, until, action, org, actor, role, basis, before, state,
           holder, open_orgs, category, division, late_at, was_late
    FROM placed WHERE case_id IS NOT NULL
)
DELETE FROM outbox WHERE id IN (SELECT outbox FROM placed)
"""
_PLACED = """
SELECT e.case_id::text, e.bytes FROM events e JOIN feed f ON f.event = e.id
WHERE e.case_id <> %s::uuid ORDER BY e.case_id, e.seq
"""
_ABOVE = "SELECT id::text, path::text[] FROM organisations WHERE id = ANY (%s::uuid[])"
_COUNT_IN = "SELECT add_tallies(%s::json)"
_PLACE_READS = """
WITH placed AS (
    SELECT %s::bigint - 1 + number AS position, access, outbox
    FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS r (access, outbox, number)
), fed AS (
    INSERT INTO access_feed (position, disclosure) SELECT position, access FROM placed
)
DELETE FROM access_outbox WHERE id IN (SELECT outbox FROM placed)
"""
_TILE = """
INSERT INTO log_tiles AS t (origin, level, idx, hashes) VALUES (%s, %s, %s, %b)
ON CONFLICT (origin, level, idx) DO UPDATE SET hashes = excluded.hashes
"""
_CHECKPOINT = "INSERT INTO log_checkpoints (origin, size, root, note) VALUES (%s, %s, %b, %s)"

"""What of the signed logs a verifier reads: leaves in order, tiles, checkpoints, and what is out of place."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import psycopg

from mediation.domain.accesses import AccessRow, access_entry
from mediation.domain.errors import BrokenTrail

Log: TypeAlias = Literal["events", "access"]

LEAVES_AT_ONCE = 4096
NAMED = 100
"""How many of the rows that are wrong are named."""


class Tree(NamedTuple):
    """One epoch of a log: the origin, the place of its first leaf, and that of the next epoch's."""

    origin: str
    first: int
    until: int


class Signed(NamedTuple):
    """A stored checkpoint."""

    size: int
    root: bytes
    note: str


class Cosigned(NamedTuple):
    """A stored cosignature, and the note that it belongs to; None where there is none."""

    origin: str
    size: int
    name: str
    line: str
    note: str | None


class Named(NamedTuple):
    """What stands at a place, or should: by the row of the event, or of the access log's entry."""

    case_id: str = ""
    number: str = ""
    seq: int = 0
    event_id: str = ""
    access: int = 0


class Evidence:
    """The logs as one snapshot has them; to be read through a connection that sees everything."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def trees(self, log: Log) -> list[Tree]:
        """The epochs of a log, oldest first."""
        rows = await self._all(_EPOCHS, (log,))
        ends = [first for _, first in rows[1:]]
        every = zip(rows, [*ends, 2**63 - 1], strict=False)
        return [Tree(origin, first, until) for (origin, first), until in every]

    async def count(self, log: Log) -> int:
        """How many places were given."""
        return int((await self._all(_COUNT[log]))[0][0])

    async def leaves(self, log: Log, tree: Tree) -> AsyncIterator[list[tuple[int, bytes | None]]]:
        """Places and the bytes at them, many at once, in order; None where what stood there is gone."""
        async with self._connection.cursor("leaves", binary=True) as cursor:
            await cursor.execute(_LEAVES[log], (tree.first, tree.until))
            while rows := await cursor.fetchmany(LEAVES_AT_ONCE):
                yield rows if log == "events" else [(position, _entry(row)) for position, *row in rows]

    async def tiles(self, origin: str, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Those of the wanted tiles, by (level, index), that there are."""
        said = ([level for level, _ in wanted], [index for _, index in wanted], origin)
        return {(level, index): hashes for level, index, hashes in await self._all(_TILES, said)}

    async def tile_count(self, origin: str) -> int:
        """How many tiles a tree has."""
        return int((await self._all(_TILE_COUNT, (origin,)))[0][0])

    async def signed(self, origin: str, above: int, to: int) -> list[Signed]:
        """The checkpoints of a tree that has more than `above` leaves and not more than `to`."""
        return [Signed(*row) for row in await self._all(_SIGNED, (origin, above, to))]

    async def newest(self, origin: str) -> Signed | None:
        """The newest checkpoint of a tree."""
        rows = await self._all(_NEWEST, (origin,))
        return Signed(*rows[0]) if rows else None

    async def cosignatures(self) -> AsyncIterator[Cosigned]:
        """Every cosignature there is."""
        async with self._connection.cursor("cosignatures", binary=True) as cursor:
            await cursor.execute(_COSIGNED)
            while rows := await cursor.fetchmany(LEAVES_AT_ONCE):
                for origin, size, name, line, note in rows:
                    yield Cosigned(origin, size, name, line.removesuffix("\n") + "\n", note)

    async def strangers(self) -> list[str]:
        """Origins of tiles or checkpoints that no epoch has."""
        return [row[0] for row in await self._all(_STRANGERS)]

    async def named(self, log: Log, position: int) -> Named:
        """What stands at a place."""
        if log == "events":
            rows = await self._all(_EVENT_AT, (position,))
            return Named(rows[0][0] or "", rows[0][1], rows[0][2] or 0, rows[0][3]) if rows else Named()
        rows = await self._all(_ACCESS_AT, (position,))
        return Named(case_id=rows[0][1], access=rows[0][0]) if rows else Named()

    async def wrong(self, log: Log) -> dict[str, tuple[int, list[Named]]]:
        """How many rows are out of place, by how they are, and the first of them."""
        wrong = {}
        for code, query in _WRONG[log].items():
            first = f"WITH w AS (SELECT count(*) OVER () AS count, x.* FROM ({query}) x LIMIT {NAMED})"  # noqa: S608  # ours
            rows = await self._all(first + _OF[log])
            if rows:
                wrong[code] = rows[0][0], [Named(*row) for _, *row in rows]
        return wrong

    async def _all(self, query: str, said: tuple[Any, ...] = ()) -> list[Any]:
        return await (await self._connection.cursor(binary=True).execute(query, said)).fetchall()


def _entry(row: list[Any]) -> bytes | None:
    access, at, *rest = row
    if access is None:
        return None
    try:
        return access_entry(AccessRow(access, _instant(at), *rest))
    except BrokenTrail:
        return b""  # no entry has these bytes, so it differs from what was signed


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_EPOCHS = "SELECT origin, first_position FROM log_epochs WHERE log = %s ORDER BY first_position"
_COUNT: Mapping[Log, str] = {"events": "SELECT count(*) FROM feed", "access": "SELECT count(*) FROM access_feed"}
_LEAVES: Mapping[Log, str] = {
    "events": """
SELECT f.position, e.bytes FROM feed f LEFT JOIN events e ON e.id = f.event
WHERE f.position >= %s AND f.position < %s ORDER BY f.position""",
    "access": """
SELECT f.position, d.id, d.at, d.person::text, d.org::text, d.request::text, d.kind, d.case_id::text, d.purpose,
       d.fields, d.sealed
FROM access_feed f LEFT JOIN disclosures d ON d.id = f.disclosure
WHERE f.position >= %s AND f.position < %s ORDER BY f.position""",
}
_TILES = """
SELECT t.level::int, t.idx, t.hashes FROM unnest(%s::int[], %s::bigint[]) AS w (level, idx)
JOIN log_tiles t ON t.level = w.level AND t.idx = w.idx WHERE t.origin = %s"""
_TILE_COUNT = "SELECT count(*) FROM log_tiles WHERE origin = %s"
_SIGNED = "SELECT size, root, note FROM log_checkpoints WHERE origin = %s AND size > %s AND size <= %s ORDER BY size"
_NEWEST = "SELECT size, root, note FROM log_checkpoints WHERE origin = %s ORDER BY size DESC LIMIT 1"
_COSIGNED = """
SELECT c.origin, c.size, c.name, c.line, s.note
FROM log_cosignatures c LEFT JOIN log_checkpoints s USING (origin, size) ORDER BY c.origin, c.size, c.name"""
_STRANGERS = """
SELECT origin FROM (SELECT origin FROM log_tiles UNION SELECT origin FROM log_checkpoints) o
WHERE NOT EXISTS (SELECT FROM log_epochs e WHERE e.origin = o.origin) ORDER BY origin"""
_EVENT_AT = """
SELECT coalesce(e.case_id, s.case_id)::text, coalesce(c.number, ''), coalesce(e.seq, s.seq), f.event::text
FROM feed f
LEFT JOIN events e ON e.id = f.event
LEFT JOIN spans s ON s.position = f.position  -- of an event that is gone its span still tells
LEFT JOIN cases c ON c.id = coalesce(e.case_id, s.case_id)
WHERE f.position = %s"""
_ACCESS_AT = """
SELECT f.disclosure, coalesce(d.case_id::text, '')
FROM access_feed f LEFT JOIN disclosures d ON d.id = f.disclosure WHERE f.position = %s"""
_WRONG: Mapping[Log, Mapping[str, str]] = {
    "events": {
        "feed_lost": """
SELECT e.id AS event FROM events e
WHERE NOT EXISTS (SELECT FROM feed f WHERE f.event = e.id)
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.event = e.id)""",
        "feed_twice": "SELECT o.event FROM outbox o JOIN feed f ON f.event = o.event",
        "feed_empty": "SELECT o.event FROM outbox o WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = o.event)",
        "wrong_span": """
SELECT s.event FROM spans s
WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = s.event AND e.case_id = s.case_id AND e.seq = s.seq)""",
        "no_epoch": """
SELECT f.event FROM feed f
WHERE f.position < coalesce((SELECT min(first_position) FROM log_epochs WHERE log = 'events'), 9223372036854775807)""",
    },
    "access": {
        "access_lost": """
SELECT d.id AS disclosure FROM disclosures d
WHERE NOT EXISTS (SELECT FROM access_feed f WHERE f.disclosure = d.id)
  AND NOT EXISTS (SELECT FROM access_outbox o WHERE o.disclosure = d.id)""",
        "access_twice": "SELECT o.disclosure FROM access_outbox o JOIN access_feed f ON f.disclosure = o.disclosure",
        "access_empty": """
SELECT o.disclosure FROM access_outbox o WHERE NOT EXISTS (SELECT FROM disclosures d WHERE d.id = o.disclosure)""",
        "no_epoch": """
SELECT f.disclosure FROM access_feed f
WHERE f.position < coalesce((SELECT min(first_position) FROM log_epochs WHERE log = 'access'), 9223372036854775807)""",
    },
}
_OF: Mapping[Log, str] = {
    "events": """
SELECT w.count, coalesce(e.case_id::text, ''), coalesce(c.number, ''), coalesce(e.seq, 0), w.event::text, 0
FROM w LEFT JOIN events e ON e.id = w.event LEFT JOIN cases c ON c.id = e.case_id""",
    "access": """
SELECT w.count, coalesce(d.case_id::text, ''), coalesce(c.number, ''), 0, '', w.disclosure
FROM w LEFT JOIN disclosures d ON d.id = w.disclosure LEFT JOIN cases c ON c.id = d.case_id""",
}

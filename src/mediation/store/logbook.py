"""The signed logs as anybody may read them: epochs, published checkpoints, tiles, and the proofs that are made of them.

A log is read through any door: `Logbook` takes the connection of one. In a transaction of `sight.reading` it also shows
what that person may see of what was logged; tiles, checkpoints and epochs are the same to all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from mediation.domain.accesses import AccessRow, access_entry
from mediation.domain.checkpoints import Proof
from mediation.domain.errors import NotFound
from mediation.domain.facts import Instant
from mediation.domain.merkle import HASH_BYTES, MOST_LEAVES, Node, consistency_nodes, fold, inclusion_nodes
from mediation.domain.tiles import HEIGHT, WIDTH, node_in, tile_of
from mediation.domain.witnessing import NEWEST, Quorum
from mediation.store.leaves import Epoch, Log, instant

__all__ = ["Connection", "Epoch", "Log", "Logbook", "Logged", "Published"]

Connection: TypeAlias = AsyncConnection | psycopg.AsyncConnection[Any]
"""Of the application's engine, or of psycopg as the reader's and the log's doors have it."""


class Published(NamedTuple):
    """A checkpoint to be shown: its note holds the log's signature and every cosignature."""

    origin: str
    size: int
    root: bytes
    note: str


class Logged(NamedTuple):
    """An event that has its place: its id, canonical bytes and position."""

    event: str
    data: bytes
    position: int


class Logbook:
    """One log, read through one connection.

    `quorum`: whose cosignatures make a checkpoint published. Of an epoch that has ended its last checkpoint is,
    whatever it has: no more cosignatures come.
    """

    def __init__(self, connection: Connection, log: Log = "events", *, quorum: Quorum = NEWEST) -> None:
        self._connection = connection
        self._log = log
        self._quorum = quorum

    async def epochs(self) -> list[Epoch]:
        """The trees of this log, the newest first; none before anything was signed."""
        return [Epoch(*row) for row in await self._rows(_EPOCHS, {"log": self._log})]

    async def published(self, origin: str, at_least: int = 0, *, quorum: Quorum | None = None) -> Published | None:
        """The newest checkpoint of a tree that has its quorum, if it has `at_least` so many leaves; else None.

        `quorum`: another one than the log's; `NEWEST` is the newest checkpoint signed.
        """
        wanted = self._quorum if quorum is None else quorum
        said = {"origin": origin, "at_least": at_least, "quorum": wanted.needed, "names": list(wanted.witnesses)}
        rows = await self._rows(_COSIGNED if wanted.needed else _NEWEST, said)
        return next((_published(origin, *row) for row in rows), None)

    async def tile(self, origin: str, level: int, index: int, width: int = WIDTH) -> bytes:
        """The first `width` hashes of a tile. Raises NotFound, also for a partial tile that no checkpoint needed."""
        first = index * WIDTH + width << HEIGHT * level  # the least size of a tree with such a tile
        if first > MOST_LEAVES:
            raise NotFound
        said = {
            "origin": origin,
            "level": level,
            "idx": index,
            "bytes": width * HASH_BYTES,
            "whole": width == WIDTH,
            "first": first,
            "last": min(first + (1 << HEIGHT * level) - 1, MOST_LEAVES),
        }
        for (hashes,) in await self._rows(_TILE, said):
            return bytes(hashes)
        raise NotFound

    async def entries(self, epoch: Epoch, index: int, width: int = WIDTH) -> list[bytes]:
        """The canonical bytes of the leaves of a tile, as far as the reader may see them all.

        Raises NotFound: where one is not there or not theirs to see, and for a partial tile that no checkpoint needed.
        """
        await self.tile(epoch.origin, 0, index, width)
        first = epoch.first_position + index * WIDTH
        said = {"first": first, "last": first + width - 1}
        if self._log == "events":
            found = [bytes(row[0]) for row in await self._rows(_EVENTS, said)]
        else:
            rows = await self._rows(_ACCESSES, said)
            found = [access_entry(AccessRow(number, instant(at), *more)) for number, at, *more in rows]
        if len(found) != width:
            raise NotFound
        return found

    async def position_of(self, event: str) -> int | None:
        """The position of an event; None where it has none yet, or there is no such event."""
        return next((int(row[0]) for row in await self._rows(_POSITION, {"event": event})), None)

    async def logged(self, moments: Iterable[tuple[str, Instant]]) -> dict[tuple[str, Instant], Logged]:
        """The events that were taken in these cases at these very instants, and have their place; in one query.

        The reader must have found the cases to be theirs to see.
        """
        wanted = sorted(set(moments))
        if not wanted:
            return {}
        said = {"cases": [case for case, _ in wanted], "ats": [at for _, at in wanted]}
        rows = await self._rows(_LOGGED, said)
        return {(case, instant(at)): Logged(event, bytes(data), place) for case, at, event, data, place in rows}

    async def proof_of(self, position: int) -> Proof | None:
        """The proof of what stands at a position; None where no published checkpoint holds it yet. Raises BadProof."""
        return (await self.proofs_of([position])).get(position)

    async def proofs_of(self, positions: Iterable[int]) -> dict[int, Proof]:
        """The proofs of what stands at these positions, of those that a published checkpoint holds.

        All tiles of an epoch are read in one query. Raises BadProof, where one is not as it should be.
        """
        wanted = sorted(set(positions))
        found: dict[int, Proof] = {}
        following = None
        for epoch in await self.epochs():
            here = [at for at in wanted if at >= epoch.first_position and (following is None or at < following)]
            ended, following = following is not None, epoch.first_position
            published = await self.published(epoch.origin, quorum=NEWEST if ended else None) if here else None
            if published is None:
                continue
            leaves = {at: at - epoch.first_position for at in here if at - epoch.first_position < published.size}
            nodes = {at: inclusion_nodes(leaf, published.size) for at, leaf in leaves.items()}
            hashes = await self._hashes(
                epoch.origin, [one for each in nodes.values() for beside in each for one in beside]
            )
            for at, leaf in leaves.items():
                beside = tuple(fold([hashes[node] for node in each]) for each in nodes[at])
                found[at] = Proof(leaf, beside, published.note)
        return found

    async def consistency(self, origin: str, size1: int, size2: int) -> list[bytes]:
        """The proof that the tree of `size1` leaves is the beginning of that of `size2`. Raises BadProof."""
        nodes = consistency_nodes(size1, size2)
        hashes = await self._hashes(origin, [node for each in nodes for node in each])
        return [fold([hashes[node] for node in each]) for each in nodes]

    async def _hashes(self, origin: str, nodes: Sequence[Node]) -> dict[Node, bytes]:
        """The hashes of complete subtrees; all their tiles in one query."""
        places = sorted({tile_of(node) for node in nodes})
        if not places:
            return {}
        said = {"origin": origin, "levels": [at for at, _ in places], "indexes": [at for _, at in places]}
        tiles = {(level, index): bytes(hashes) for level, index, hashes in await self._rows(_TILES, said)}
        return {node: node_in(tiles.get(tile_of(node), b""), node) for node in nodes}

    async def _rows(self, query: str, said: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        if isinstance(self._connection, AsyncConnection):
            return (await self._connection.exec_driver_sql(query, dict(said))).all()
        return await (await self._connection.execute(query, said)).fetchall()


def _published(origin: str, size: int, root: bytes, note: str, lines: Sequence[str]) -> Published:
    return Published(origin, size, bytes(root), note + "".join(f"{line.removesuffix(chr(10))}\n" for line in lines))


_EPOCHS = "SELECT origin, first_position FROM log_epochs WHERE log = %(log)s ORDER BY first_position DESC"
_LINES = (
    """array(SELECT s.line FROM log_cosignatures s WHERE (s.origin, s.size) = (c.origin, c.size) ORDER BY s.name)"""
)
_NEWEST = f"""
SELECT c.size, c.root, c.note, {_LINES} FROM log_checkpoints c
WHERE c.origin = %(origin)s AND c.size >= %(at_least)s ORDER BY c.size DESC LIMIT 1"""  # noqa: S608  # our own words
# From the cosignatures: there may be very many newer checkpoints, while the witnesses are away.
_COSIGNED = f"""
SELECT c.size, c.root, c.note, {_LINES} FROM log_checkpoints c
WHERE c.origin = %(origin)s AND c.size = (
    SELECT w.size FROM log_cosignatures w
    WHERE w.origin = %(origin)s AND w.size >= %(at_least)s AND w.name = ANY (%(names)s::text[])
    GROUP BY w.size HAVING count(*) >= %(quorum)s ORDER BY w.size DESC LIMIT 1)"""  # noqa: S608  # our own words
_TILE = """
SELECT substr(t.hashes, 1, %(bytes)s::int) FROM log_tiles t
WHERE t.origin = %(origin)s AND t.level = %(level)s::int AND t.idx = %(idx)s AND length(t.hashes) >= %(bytes)s::int
  AND (%(whole)s OR EXISTS (SELECT FROM log_checkpoints c
                            WHERE c.origin = t.origin AND c.size BETWEEN %(first)s AND %(last)s))"""
_TILES = """
SELECT t.level, t.idx, t.hashes FROM log_tiles t
JOIN unnest(%(levels)s::int[], %(indexes)s::bigint[]) AS w (level, idx) ON t.level = w.level AND t.idx = w.idx
WHERE t.origin = %(origin)s"""
_POSITION = "SELECT position FROM feed WHERE event = %(event)s"
_LOGGED = """
SELECT s.case_id::text, s.since, s.event::text, e.bytes, s.position
FROM unnest(%(cases)s::uuid[], %(ats)s::timestamptz[]) AS w (case_id, at)
JOIN spans s ON s.case_id = w.case_id AND s.since = w.at JOIN events e ON e.id = s.event"""
_EVENTS = """
SELECT e.bytes FROM feed f JOIN events e ON e.id = f.event
WHERE f.position BETWEEN %(first)s AND %(last)s ORDER BY f.position"""
_ACCESSES = """
SELECT d.id, d.at, d.person::text, d.org::text, d.request::text, d.kind, d.case_id::text, d.purpose, d.fields, d.sealed
FROM access_feed f JOIN disclosures d ON d.id = f.disclosure
WHERE f.position BETWEEN %(first)s AND %(last)s ORDER BY f.position"""

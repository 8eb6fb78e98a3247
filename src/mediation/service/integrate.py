"""The sequencer: committed events into one signed Merkle tree, and who was shown what into another.

One transaction gives a batch its places, its leaves and a signed checkpoint. Nothing is signed that was not read back,
encoded and hashed anew, and shown to follow what was signed before, by the very code that verifies it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from prometheus_client import Gauge

from mediation.domain.accesses import access_entry
from mediation.domain.checkpoints import Checkpoint, open_checkpoint
from mediation.domain.errors import BadNote, BadProof, BrokenTrail, MediationError, Reason
from mediation.domain.events import NO_HASH, Event, parse
from mediation.domain.events import leaf_hash as hex_hash
from mediation.domain.merkle import (
    HASH_BYTES,
    Node,
    consistency_nodes,
    fold,
    leaf_hash,
    root,
    verify_consistency,
)
from mediation.domain.notes import sign, split_note
from mediation.domain.registering import LOG_ID
from mediation.domain.tiles import HEIGHT, WIDTH, edge, extend, node_in, root_of, tile_of
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import LogKey, LogKeys, log_keys
from mediation.service.cosigning import Cosigners
from mediation.settings import Settings
from mediation.store import cosignatures, leaves
from mediation.store.database import AWAY, FAULTS, connect
from mediation.store.leaves import Connection, Epoch, Log, Signed, Span, Waiting

EVERY_S = 0.5
BATCH = 2000

_PAUSE_S = 5.0
_HALTED_S = 60.0
_AWAY: tuple[type[Exception], ...] = (*AWAY, *FAULTS, MediationError)
_log = logging.getLogger(__name__)

_HALTED = Gauge(
    "mediation_log_halted", "1 while the log is not what was signed, and nothing is.", multiprocess_mode="max"
)

Tiles = Mapping[tuple[int, int], bytes]


class LogHalted(BrokenTrail):
    """What is stored is not what was signed, or cannot be signed: nothing is, until somebody has looked into it."""

    code = "log_halted"


async def keys_for(settings: Settings, log_url: str) -> LogKeys:
    """The keys of both logs, made where there are none and nothing was ever signed. Raises BadKeyFile."""
    books: tuple[tuple[Log, Path], ...] = (("events", settings.log_key), ("access", settings.access_log_key))
    async with await connect(log_url) as connection:
        for log, path in books:
            found = None if path.exists() else await leaves.epoch_if_any(connection, log)
            if found:
                raise BadKeyFile(
                    zh=f"日志 {found.origin} 的密钥不在 {path}：请放回密钥文件；不会另造密钥代替它",
                    en=f"The key of the log {found.origin} is not in {path}: put it back, no other takes its place",
                )
    return log_keys(settings)


async def integrate_once(log_url: str, keys: LogKeys, reached: Callable[[str], None] = lambda _: None) -> int:
    """Give everything that was committed so far its place in its log: how much; 0 also when another is at it.

    `reached` is told each point that is passed. Raises LogHalted, DatabaseUnreachable.
    """
    async with await connect(log_url) as connection:
        return await Sequencer(keys, reached).drain(connection)


async def integrate_forever(
    log_url: str, keys: LogKeys, cosigners: Cosigners | None = None, every_s: float = EVERY_S
) -> None:
    """Integrate until cancelled; a database that goes away is met again when it is back. Closes `cosigners`."""
    try:
        await _integrate(log_url, keys, cosigners, every_s)
    finally:
        if cosigners:
            await cosigners.close()


async def _integrate(log_url: str, keys: LogKeys, cosigners: Cosigners | None, every_s: float) -> None:
    while True:
        try:
            async with await connect(log_url) as connection:
                sequencer = Sequencer(keys, cosigners=cosigners)  # which trusts no database that it has just met
                while True:
                    await sequencer.drain(connection)
                    _HALTED.set(0)
                    await asyncio.sleep(every_s)
        except LogHalted as found:
            _HALTED.set(1)
            _log.error("nothing is signed: %s: %s", found.reasons[0].code, found.en)
            await asyncio.sleep(_HALTED_S)
        except BadKeyFile as found:
            _HALTED.set(1)
            _log.error("nothing is signed: %s", found.en)
            await asyncio.sleep(_PAUSE_S)
        except _AWAY as found:
            _log.warning(
                "integration waits: %s", found.en if isinstance(found, MediationError) else type(found).__name__
            )
            await asyncio.sleep(_PAUSE_S)


class Sequencer:
    """Integrates both logs through a connection of the log's door, a batch a transaction."""

    def __init__(
        self, keys: LogKeys, reached: Callable[[str], None] = lambda _: None, cosigners: Cosigners | None = None
    ) -> None:
        self._keys = keys
        self._reached = reached
        self._cosigners = cosigners
        self._assured: set[str] = set()
        self._signed: dict[str, Checkpoint] = {}

    async def drain(self, connection: Connection) -> int:
        """Integrate all there is, a batch after the other: how much. Raises LogHalted."""
        total, left = 0, True
        while left:  # a batch of each in turn, that neither waits for a long run of the other
            moved = [
                await self._batch(connection, "events", self._keys.events),
                await self._batch(connection, "access", self._keys.access),
            ]
            total += sum(moved)
            left = BATCH in moved  # fewer were all that there were
        return total

    async def _batch(self, connection: Connection, log: Log, key: LogKey) -> int:
        try:
            return await self._integrated(connection, log, key)
        except LogHalted:
            raise
        except (BrokenTrail, LookupError) as found:
            raise _mismatch(f"{key.origin}: {found}") from found
        except leaves.Contradiction as found:
            raise _mismatch(f"{key.origin}: {leaves.contradicted(found)}") from found

    async def _integrated(self, connection: Connection, log: Log, key: LogKey) -> int:
        async with connection.transaction():
            if not await leaves.turn(connection):
                return 0
            self._reached("locked")
            found = await self._epoch(connection, log, key)
            old, edges = await standing(connection, key, key.origin)
            await self._assure(connection, key, old)
            position = found.first_position + old.size
            if old.size and position != await leaves.next_position(connection, log):
                raise _mismatch(f"{key.origin}: feed, position {position}")
            data = await (_events if log == "events" else _reads)(connection, position)
            if not data:
                return 0
            self._reached("read")
            hashes = [leaf_hash(leaf) for leaf in data]
            grown = extend(old.size, edges, hashes)
            new = _consistent(old, len(data), {**edges, **grown})
            note = sign(new.text, key.signer)
            open_checkpoint(note, key.verifiers, key.origin)
            self._reached("signed")
            await leaves.store(connection, key.origin, Signed(new.size, new.root, note), grown)
            self._reached("stored")
        self._signed[key.origin] = new
        self._reached("committed")
        await asyncio.to_thread(key.remember, note)  # which waits for the disk, and requests need not
        self._reached("remembered")
        if self._cosigners:
            await self._cosigners.offer(key.origin)
        return len(data)

    async def _epoch(self, connection: Connection, log: Log, key: LogKey) -> Epoch:
        found = await leaves.epoch(connection, log)
        if found is None:
            found = Epoch(key.origin, await leaves.next_position(connection, log))
            await leaves.begin_epoch(connection, log, found)
        if found.origin != key.origin:
            raise _halted(
                "log_key_unknown",
                f"日志 {found.origin} 的密钥不在 {key.path}：请放回密钥文件",
                f"The key of the log {found.origin} is not in {key.path}, which holds {key.origin}: put it back",
            )
        return found

    async def _assure(self, connection: Connection, key: LogKey, old: Checkpoint) -> None:
        """Refuse to go on from less than this machine has signed or a witness has seen: it was set back, or forked.

        What is outside the database is asked each time: it may be rewritten while this runs, checkpoint and all. The
        witnesses are asked at first, and with each checkpoint afterwards. Raises LogHalted; QuorumAway, while too few
        witnesses answer.
        """
        signed = self._signed.get(key.origin)
        for known in (*remembered(key), *([signed] if signed else [])):
            if known != old:
                await assure(connection, old, known)
        if key.origin in self._assured:
            return
        if self._cosigners:
            for known in await self._cosigners.known(key.origin):
                await assure(connection, old, known)
            await self._cosigners.offer(key.origin)
        await _vouch(connection, key, old)
        self._assured.add(key.origin)


async def _vouch(connection: Connection, key: LogKey, old: Checkpoint) -> None:
    """Sign the checkpoint that stands with the key in use, too, where that is another: it replaced the one that did."""
    last = await leaves.last_signed(connection, key.origin)
    own = key.signer.verifier
    if last and not any(one.key_id == own.key_id for one in split_note(last.note)[1]):
        await cosignatures.add(connection, key.origin, old.size, own.name, [key.signer.line(old.text)])


def remembered(key: LogKey) -> list[Checkpoint]:
    """The last checkpoint that was signed with this key on this machine, if any."""
    known = key.head()
    return [known] if known and known.origin == key.origin else []


async def standing(connection: Connection, key: LogKey, origin: str) -> tuple[Checkpoint, Tiles]:
    """The checkpoint that a tree stands at, and the tiles at its edge, which must make its root. Raises LogHalted."""
    last = await leaves.last_signed(connection, origin)
    if last is None:
        return Checkpoint(origin, 0, root(())), {}
    edges = await leaves.tiles(connection, origin, edge(last.size))
    try:
        signed, _ = open_checkpoint(last.note, key.verifiers, origin)
        stands = (signed.size, signed.root) == (last.size, last.root) and last.root == root_of(edges, last.size)
        stands = stands and all(len(edges[at]) == _width(last.size, *at) for at in edge(last.size))
    except (BadNote, BadProof, LookupError) as found:
        raise _mismatch(f"checkpoint {last.size}") from found
    if not stands:
        raise _mismatch(f"checkpoint {last.size}")
    return signed, edges


def _width(size: int, level: int, index: int) -> int:
    """How many bytes the tile at the edge of a tree of this size holds."""
    return ((size >> HEIGHT * level) - index * WIDTH) * HASH_BYTES


async def assure(connection: Connection, old: Checkpoint, known: Checkpoint) -> None:
    """Refuse to go on from `old` where it is not what grew out of a checkpoint that somebody knows.

    Raises LogHalted: log_rollback, where it is behind; log_fork, where it holds something else.
    """
    if known.size > old.size:
        raise _halted(
            "log_rollback",
            f"数据库中的日志只有{old.size}条，而已签过{known.size}条：库被恢复到了过去；请执行 mediation log recover",
            f"The log in the database has {old.size} leaves, but {known.size} were signed: it was set back; see "
            "`mediation log recover`",
        )
    try:
        wanted = consistency_nodes(known.size, old.size)
        places = {tile_of(node) for nodes in wanted for node in nodes}
        tiles = await leaves.tiles(connection, old.origin, places)
        verify_consistency(known.size, old.size, _hashes(tiles, wanted), known.root, old.root)
    except (BadProof, LookupError) as found:
        raise _halted(
            "log_fork",
            f"数据库中的日志与已签过的第{known.size}条检查点不相容",
            f"The log in the database does not grow out of the checkpoint of {known.size} leaves that was signed",
        ) from found


async def _events(connection: Connection, position: int) -> list[bytes]:
    """Give the events that wait their places from `position` on; their bytes, each read back and found to be whole."""
    waiting = await leaves.waiting(connection, BATCH)
    if not waiting:
        return []
    spans: list[Span] = []
    last: dict[str, tuple[int, Waiting]] = {}  # of each case: where among these its newest event stands
    for number, one in enumerate(waiting):
        at, before = last.get(one.case_id, (0, None))
        event = _whole(one, before)
        spans.append(_span(position + number, one, event, before.late_at if before else one.prev_late_at))
        if before:
            spans[at] = msgspec.structs.replace(spans[at], until=event.at)
        last[one.case_id] = number, one
    await leaves.place(connection, spans)
    await leaves.count(connection, waiting)
    return [one.data for one in waiting]


def _whole(one: Waiting, before: Waiting | None) -> Event:
    """What the bytes of an event say, where they are canonical and of its row, and follow those before in the tree."""
    if one.id is None:
        raise _mismatch(f"outbox {one.outbox}")
    try:
        event = parse(one.data)
    except BrokenTrail as found:
        raise _mismatch(f"event {one.id}") from found
    if before and one.case_id == LOG_ID and one.seq > before.seq + 1:
        before = None  # between them is the entry with which this tree began, before those that waited
    placed = before is not None or one.seq == 1 or one.placed
    seq, prev = (before.seq + 1, hex_hash(before.data)) if before else (one.seq, one.prev or NO_HASH)
    if not placed or (event.event, event.case, event.seq, event.prev) != (one.id, one.case_id, seq, prev):
        raise _mismatch(f"event {one.id}")
    return event


def _span(position: int, one: Waiting, event: Event, late: datetime | None) -> Span:
    if event.case == LOG_ID:
        return Span(position, one.outbox, event.event)
    return Span(
        position,
        one.outbox,
        event.event,
        case_id=event.case,
        seq=event.seq,
        since=event.at,
        action=event.action,
        org=event.org or None,
        actor=event.actor,
        role=event.role,
        basis=event.basis,
        before=event.from_,
        state=event.to,
        holder=one.holder,
        open_orgs=one.open_orgs or (),
        category=one.category or "",
        division=one.division or "",
        late_at=one.late_at,
        was_late=late is not None and late <= datetime.fromisoformat(event.at),
    )


async def _reads(connection: Connection, position: int) -> list[bytes]:
    """Give the entries of the access log that wait their places from `position` on; their bytes."""
    reads = await leaves.waiting_reads(connection, BATCH)
    if not reads:
        return []
    data = []
    for read in reads:
        if read.row is None:
            raise _mismatch(f"access outbox {read.outbox}")
        data.append(access_entry(read.row))
    await leaves.place_reads(connection, position, reads)
    return data


def _consistent(old: Checkpoint, added: int, tiles: Tiles) -> Checkpoint:
    """The checkpoint after so many more leaves, shown to grow out of the old one by the verifier's own code."""
    new = Checkpoint(old.origin, old.size + added, root_of(tiles, old.size + added))
    proof = _hashes(tiles, consistency_nodes(old.size, new.size))
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    return new


def _hashes(tiles: Tiles, wanted: Sequence[Sequence[Node]]) -> list[bytes]:
    return [fold([node_in(tiles[tile_of(node)], node) for node in nodes]) for nodes in wanted]


def _mismatch(what: str) -> LogHalted:
    zh, en = f"{what} 与其应有的内容不符", f"What is stored is not what it should be: {what}"
    return _halted("log_mismatch", zh, en)


def _halted(code: str, zh: str, en: str) -> LogHalted:
    return LogHalted(Reason(code, zh, en))

"""How each signed log stands beside what was ever signed of it, and how one that was set back begins anew.

What was signed and is lost cannot be had again, and its places are never given twice: the log goes on under another
name, and the first thing that it says is what was lost.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from uuid_utils import uuid7

from mediation.domain.checkpoints import Checkpoint
from mediation.domain.errors import MediationError, Reason
from mediation.domain.events import parse
from mediation.domain.merkle import EMPTY, leaf_hash
from mediation.domain.notes import Verifier, sign
from mediation.domain.registering import LOG_ID, OPERATOR, Hand, Recover, said
from mediation.domain.tiles import extend
from mediation.gateway.logkeys import LogKey, LogKeys, succeed
from mediation.gateway.witnesses import WitnessAway
from mediation.service.cosigning import Cosigners
from mediation.service.integrate import LogHalted, assure, standing
from mediation.settings import Urls
from mediation.store import bodies, cosignatures, leaves
from mediation.store.database import connect, engine, transaction
from mediation.store.leaves import Connection, Epoch, Log, Signed, Span
from mediation.store.logbook import Logbook

__all__ = ["Head", "NothingLost", "Standing", "recover", "standings"]

MACHINE = ""
"""Who knows what was signed on this machine."""

_EPOCH = re.compile(r"/epoch-(\d+)\Z")
_STALLED_S = 60
_LOST = frozenset({"log_rollback", "log_fork", "log_key_lost"})


class NothingLost(MediationError):
    """No log was set back, or what is wrong with one is not mended by beginning anew."""

    code = "nothing_lost"
    zh = "日志没有被恢复到过去：无须重启"
    en = "No log was set back: there is nothing to recover"


class Head(NamedTuple):
    """A checkpoint that somebody knows: a witness by name, or this machine."""

    who: str
    checkpoint: Checkpoint


class Standing(NamedTuple):
    """A log as it is stored, who has cosigned its newest checkpoint, what others know of it, and what is wrong.

    `next_position`: the first that its feed never gave. `oldest`: since when the first of `waiting` does; "" for none.
    `lost`: those of `heads` that it did not grow out of.
    """

    log: Log
    key: LogKey
    epochs: tuple[Epoch, ...]
    own: Checkpoint
    signed_at: str
    next_position: int
    waiting: int
    oldest: str
    cosigners: tuple[str, ...]
    heads: tuple[Head, ...]
    silent: tuple[str, ...]
    lost: tuple[Head, ...]
    trouble: Reason | None

    @property
    def recoverable(self) -> bool:
        """Whether it is put right by beginning anew."""
        return self.trouble is not None and self.trouble.code in _LOST

    @property
    def wrong(self) -> Reason | None:
        """What is to be looked into: trouble, or that nothing is signed although something waits."""
        return self.trouble or self.stalled

    @property
    def stalled(self) -> Reason | None:
        """What to say where something waits for its place for longer than a sequencer ever lets it."""
        late = (datetime.now(UTC) - timedelta(seconds=_STALLED_S)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if not self.oldest or self.oldest > late:
            return None
        return Reason(
            "log_stalled",
            f"自 {self.oldest} 起有{self.waiting}条等待写入日志：服务没有运行，或日志停止了签名（见其日志输出）",
            f"{self.waiting} wait for a place since {self.oldest}: no service runs, or it signs nothing; see its log",
        )

    @property
    def largest_lost(self) -> Checkpoint:
        """What reached farthest of what was signed and is lost."""
        return max((head.checkpoint for head in self.lost), key=self._end)

    @property
    def new_position(self) -> int:
        """Where a new tree begins: beyond all that was ever given a place."""
        return max([self.next_position, self._end(self.own), *(self._end(head.checkpoint) for head in self.heads)])

    @property
    def new_origin(self) -> str:
        """The name of the new tree, which holds its place: so that it is known even if this database is lost again."""
        return f"{_EPOCH.sub('', self.own.origin)}/epoch-{self.new_position}"

    def _end(self, checkpoint: Checkpoint) -> int:
        """The position after the last leaf of a checkpoint."""
        named = _EPOCH.search(checkpoint.origin)
        known = {epoch.origin: epoch.first_position for epoch in self.epochs}
        return known.get(checkpoint.origin, int(named[1]) if named else 1) + checkpoint.size


async def standings(log_url: str, keys: LogKeys, cosigners: Cosigners) -> list[Standing]:
    """How the log of events and the access log stand. Raises DatabaseUnreachable."""
    async with await connect(log_url) as connection:
        return [
            await _standing(connection, "events", keys.events, cosigners),
            await _standing(connection, "access", keys.access, cosigners),
        ]


async def recover(urls: Urls, keys: LogKeys, cosigners: Cosigners, lost_keys: Sequence[Verifier] = ()) -> list[Recover]:
    """Let each log that was set back begin anew: what was entered of each in the log of administration.

    The entry of the log of events is its new tree's first leaf. If it is broken off, the next call goes on from there.
    `lost_keys`: public halves of keys that are gone for good; a log that one of them signed begins anew, whole.
    Raises NothingLost: nothing is wrong, or beginning anew does not mend it, or a witness does not say what is lost.
    """
    found = [await _without(urls.log, one, lost_keys) for one in await standings(urls.log, keys, cosigners)]
    if refused := list(_refusals(found)):
        raise NothingLost(*refused)
    return [await _begin_anew(urls, one) for one in found if one.trouble]


async def _without(log_url: str, one: Standing, lost_keys: Sequence[Verifier]) -> Standing:
    """A log whose key is gone for good, as one to begin anew; it must be whole, and signed by the key that is named."""
    named = tuple(key for key in lost_keys if key.name == one.own.origin)
    if not named or one.trouble is None or one.trouble.code != "log_key_unknown":
        return one
    key = one.key._replace(retired=(*one.key.retired, *named))
    try:
        async with await connect(log_url) as connection:
            await standing(connection, key, one.own.origin)
    except LogHalted as found:
        return one._replace(trouble=found.reasons[0])
    gone = Reason("log_key_lost", f"日志 {one.own.origin} 的密钥已丢失", f"The key of the log {one.own.origin} is lost")
    return one._replace(key=key, lost=(Head(MACHINE, one.own),), trouble=gone)


def _refusals(found: Sequence[Standing]) -> Iterator[Reason]:
    wrong = [one for one in found if one.trouble]
    if not wrong:
        yield Reason(NothingLost.code, NothingLost.zh, NothingLost.en)
    for one in wrong:
        if one.trouble and not one.recoverable:
            zh = f"{one.trouble.zh}；这不能以重启日志补救：请恢复未被改动的备份"
            yield Reason(one.trouble.code, zh, f"{one.trouble.en}. No new log mends this: restore a sound backup")
        for name in one.silent:
            zh = f"见证方 {name} 没有应答，不知它见过多少：待其应答；已永久停用的，从 MEDIATION_WITNESSES 中删去"
            en = f"The witness {name} does not say how much it has seen: wait for it, or, gone for good, take it out of"
            yield Reason("witness_away", zh, f"{en} MEDIATION_WITNESSES")


async def _standing(connection: Connection, log: Log, key: LogKey, cosigners: Cosigners) -> Standing:
    epochs = tuple(await Logbook(connection, log).epochs())
    origin = epochs[0].origin if epochs else key.origin
    signed = await leaves.last_signed(connection, origin)
    own = Checkpoint(origin, signed.size, signed.root) if signed else Checkpoint(origin, 0, EMPTY)
    ended = {epoch.origin for epoch in epochs[1:]}
    heads, silent = await _heads(key, cosigners, [name for name in _names(key) if name not in ended])
    lost, trouble = await _compared(connection, key, own, heads)
    return Standing(
        log,
        key,
        epochs,
        own,
        await cosignatures.signed_at(connection, origin, own.size),
        await leaves.next_position(connection, log),
        await leaves.count_waiting(connection, log),
        await leaves.oldest_waiting(connection, log),
        tuple(await cosignatures.cosigned(connection, origin, own.size)),
        heads,
        silent,
        lost,
        trouble,
    )


def _names(key: LogKey) -> list[str]:
    """The names of a log, its own first, then those of its epochs before."""
    return list(dict.fromkeys(verifier.name for verifier in key.verifiers))


async def _heads(key: LogKey, cosigners: Cosigners, names: Sequence[str]) -> tuple[tuple[Head, ...], tuple[str, ...]]:
    """What is known of these trees here and by the witnesses; and which of them do not answer."""
    heads, silent = list[Head](), list[str]()
    if known := key.head():
        heads.append(Head(MACHINE, known))
    for name in names:
        for who, told in (await cosigners.told(name)).items():
            if isinstance(told, WitnessAway):
                silent.append(who)
            elif told is not None:
                heads.append(Head(who, told))
    return tuple(head for head in heads if head.checkpoint.origin in names), tuple(dict.fromkeys(silent))


async def _compared(
    connection: Connection, key: LogKey, own: Checkpoint, heads: Sequence[Head]
) -> tuple[tuple[Head, ...], Reason | None]:
    """Those heads that the stored tree did not grow out of, and what is wrong with it."""
    trouble: Reason | None = None
    begun = _EPOCH.search(key.origin) and _EPOCH.sub("", key.origin) == _EPOCH.sub("", own.origin)
    if own.origin not in _names(key) or (own.origin != key.origin and not begun):
        zh = f"日志 {own.origin} 的密钥不在 {key.path}：请放回密钥文件"
        return (), Reason("log_key_unknown", zh, f"The key of the log {own.origin} is not in {key.path}: put it back")
    try:
        if own.size:
            await standing(connection, key, own.origin)
    except LogHalted as found:
        return (), found.reasons[0]
    lost = []
    for head in heads:
        why = await _against(connection, own, head.checkpoint)
        if why:
            lost.append(head)
            trouble = trouble or why
    if own.origin != key.origin and not lost:  # its key is here, and nothing else tells of it
        lost.append(Head(MACHINE, Checkpoint(key.origin, 0, EMPTY)))
        trouble = _set_back(own, lost[0].checkpoint)
    return tuple(lost), trouble


async def _against(connection: Connection, own: Checkpoint, known: Checkpoint) -> Reason | None:
    """Why a tree cannot have grown out of a checkpoint; None where it has."""
    if known.origin != own.origin:
        return _set_back(own, known)
    try:
        await assure(connection, own, known)
    except LogHalted as found:
        return found.reasons[0]
    return None


def _set_back(own: Checkpoint, lost: Checkpoint) -> Reason:
    zh = f"数据库中的日志是 {own.origin}，而已签过其后的 {lost.origin}：库被恢复到了过去；请执行 mediation log recover"
    en = f"The log in the database is {own.origin}, but {lost.origin} was signed after it: it was set back; see "
    return Reason("log_rollback", zh, f"{en}`mediation log recover`")


async def _begin_anew(urls: Urls, one: Standing) -> Recover:
    lost = one.largest_lost
    entry = Recover(
        log=one.log,
        origin=one.own.origin,
        size=one.own.size,
        root=one.own.root.hex(),
        lost_origin=lost.origin,
        lost_size=lost.size,
        lost_root=lost.root.hex(),
        new_origin=one.new_origin,
        position=one.new_position,
    )
    await _noted(urls, entry)
    # The key before the tree: if it ends here, the next attempt finds the old tree under the new key, and goes on.
    key = one.key if one.key.origin == one.new_origin else succeed(one.key, one.new_origin)
    async with await connect(urls.log) as connection, connection.transaction():
        now = tuple(await Logbook(connection, one.log).epochs())
        if not await leaves.turn(connection) or now != one.epochs:
            zh, en = "另一进程正在处理日志，请稍后再试", "Another process is at the log: try again"
            raise NothingLost(Reason("log_busy", zh, en))
        await leaves.begin_epoch(connection, one.log, Epoch(key.origin, one.new_position))
        note = await _first_leaf(connection, key, entry) if one.log == "events" else ""
    if note:
        key.remember(note)
    return entry


async def _noted(urls: Urls, entry: Recover) -> None:
    """Enter it in the log of administration, unless it waits there from an attempt that was broken off."""
    async with await connect(urls.log) as connection:
        if await _waiting(connection, entry):
            return
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    made = engine(urls.app, 1, pooled=urls.pooled)
    try:
        async with transaction(made) as changing:
            await bodies.note(changing, Hand(OPERATOR, "", OPERATOR, at, str(uuid7())), entry)
    finally:
        await made.dispose()


async def _waiting(connection: Connection, entry: Recover) -> tuple[int, bytes] | None:
    """The outbox number and the bytes of this entry, where it waits for its place."""
    for outbox, data in (await leaves.waiting_of(connection, LOG_ID)).items():
        event = parse(data)
        if event.action == entry.ACTION and said(event) == entry:
            return outbox, data
    return None


async def _first_leaf(connection: Connection, key: LogKey, entry: Recover) -> str:
    """Place the entry as the first leaf of its tree, before whatever else waits; the checkpoint that says so."""
    found = await _waiting(connection, entry)
    assert found is not None  # noqa: S101  # it was entered, and nobody else has had the turn
    outbox, data = found
    await leaves.place(connection, [Span(entry.position, outbox, parse(data).event)])
    leaf = leaf_hash(data)
    checkpoint = Checkpoint(key.origin, 1, leaf)
    note = sign(checkpoint.text, key.signer)
    await leaves.store(connection, key.origin, Signed(1, leaf, note), extend(0, {}, [leaf]))
    return note

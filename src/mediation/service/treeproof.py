"""The tree of a log beside what is stored of it: leaves in their order, tiles, checkpoints, signatures."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from mediation.domain.checkpoints import Checkpoint, open_checkpoint
from mediation.domain.errors import BadNote
from mediation.domain.merkle import EMPTY, HASH_BYTES
from mediation.domain.notes import split_note
from mediation.domain.tiles import HEIGHT, WIDTH, edge, tile_path
from mediation.service.findings import Failure, Tally, Trust, broken, found
from mediation.service.growth import Amiss, Growth, wrong_tiles
from mediation.store.evidence import Evidence, Log, Named, Signed, Tree

_OUT_OF_PLACE: Mapping[str, tuple[str, str]] = {
    "feed_lost": ("事件既不在总流也不在待发表中", "The event has no place in the feed or its outbox"),
    "feed_twice": ("事件既在总流又在待发表中", "The event is both in the feed and in its outbox"),
    "feed_empty": ("总流或待发表中的事件不存在", "The feed or its outbox names an event that is not there"),
    "wrong_span": ("时段表所指事件不存在或不符", "The table of spans names an event that is not there"),
    "access_lost": ("访问记录不在访问日志中", "The entry has no place in the access log or its outbox"),
    "access_twice": ("访问记录既在日志又在待发表中", "The entry is both in the access log and in its outbox"),
    "access_empty": ("访问日志中的记录不存在", "The access log or its outbox names an entry that is not there"),
    "no_epoch": ("该位置早于日志的起点", "The place is before the log began"),
}


class Proven(NamedTuple):
    """What of one log was gone through: leaves and checkpoints."""

    leaves: int
    checkpoints: int


async def prove_logs(
    evidence: Evidence, trust: Trust | None, tally: Tally, progress: Callable[[int, int], None] | None = None
) -> tuple[Proven, Proven, int]:
    """Grow every tree of both logs from its leaves and compare: what was proven of each, and how many cosignatures.

    `progress` is told leaves done and leaves in all. Without `trust` no signature is looked at. Raises BadNote when a
    checkpoint in `trust` is not signed by a log it believes.
    """
    total = await evidence.count("events") + await evidence.count("access")
    done = 0

    def grown(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(done, total)

    events, access = [await _prove(evidence, log, trust, tally, grown) for log in _LOGS]
    return events, access, await _prove_origins(evidence, trust, tally)


async def _prove(
    evidence: Evidence, log: Log, trust: Trust | None, tally: Tally, progress: Callable[[int], None]
) -> Proven:
    kept = trust.checkpoints() if trust else []
    leaves = checkpoints = 0
    for tree in await evidence.trees(log):
        walk = _Walk(evidence, log, tree, trust, [one for one in kept if one.origin == tree.origin])
        await walk.run(tally, progress)
        leaves += walk.growth.size
        checkpoints += walk.checkpoints
    for code, (count, named) in (await evidence.wrong(log)).items():
        failures = [found(code, *_OUT_OF_PLACE[code], **_where(one)) for one in named]
        tally.add(*failures)
        tally.count += count - len(failures)
    return Proven(leaves, checkpoints)


async def _prove_origins(evidence: Evidence, trust: Trust | None, tally: Tally) -> int:
    """Whatever belongs to no tree: stray tiles, kept checkpoints of a log that is gone. How many cosignatures hold."""
    known = {tree.origin for log in _LOGS for tree in await evidence.trees(log)}
    for origin in await evidence.strangers():
        zh, en = f"分块或检查点属于未知日志 {origin}", f"Tiles or checkpoints are of {origin}, which is no log here"
        tally.add(found("foreign_log", zh, en, origin=origin))
    for one in trust.checkpoints() if trust else []:
        if one.origin not in known and one.size:
            zh = f"库中没有日志 {one.origin}，而它曾签署{one.size}条"
            en = f"There is no log {one.origin} here, though it signed {one.size} leaves"
            tally.add(found("log_rollback", zh, en, origin=one.origin))
    return await _cosigned(evidence, trust, tally)


async def _cosigned(evidence: Evidence, trust: Trust | None, tally: Tally) -> int:
    """How many cosignatures of known witnesses hold; each that does not is a failure, and each without a checkpoint."""
    witnesses = {(key.name, key.key_id): key for key in trust.verifiers} if trust else {}
    hold = 0
    async for one in evidence.cosignatures():
        said = f"检查点{one.size}的副署 {one.name}", f"The cosignature of {one.name} on checkpoint {one.size}"
        if one.note is None:
            tally.add(
                found("stray_cosignature", f"{said[0]}无检查点", f"{said[1]} has no checkpoint", origin=one.origin)
            )
            continue
        try:
            text, (*_, line) = split_note(one.note + one.line)
        except BadNote as bad:
            tally.add(broken("bad_cosignature", said[0], said[1], bad, origin=one.origin))
            continue
        key = witnesses.get((line.name, line.key_id))
        if line.name != one.name or (key and not key.verify(text, line.signature)):
            tally.add(found("bad_cosignature", f"{said[0]}无效", f"{said[1]} is wrong", origin=one.origin))
        elif key:
            hold += 1
    return hold


class _Walk:
    """One tree from its first leaf to its last."""

    def __init__(
        self, evidence: Evidence, log: Log, tree: Tree, trust: Trust | None, kept: Sequence[Checkpoint]
    ) -> None:
        self.growth = Growth()
        self.checkpoints = 0
        self._evidence, self._log, self._tree, self._trust = evidence, log, tree, trust
        self._kept = sorted(kept, key=lambda one: one.size)
        self._verifiers = trust.of(tree.origin) if trust else ()
        self._good = 0  # the size up to which a signed root was found to hold
        self._common = 0  # likewise one that was kept
        self._wrong_root = self._wrong_tile = self._untiled = False
        self._found: list[Failure] = []

    async def run(self, tally: Tally, progress: Callable[[int], None]) -> None:
        if self._trust and not self._verifiers:
            zh = f"没有日志 {self._tree.origin} 的公钥，无法核对签名"
            en = f"There is no key for the log {self._tree.origin}: its signatures cannot be checked"
            self._fail("log_key_unknown", zh, en)
        await self._signed(-1, {0: EMPTY})
        async for rows in self._evidence.leaves(self._log, self._tree):
            before = self.growth.size
            whole = await self._take(rows)
            progress(self.growth.size - before)
            tally.extend(self._found)
            self._found.clear()
            if not whole:
                break
        await self._end()
        tally.extend(self._found)

    async def _take(self, rows: Sequence[tuple[int, bytes | None]]) -> bool:
        """Take the next leaves in; False where the tree cannot go on."""
        hashes = await self._hashes(rows)
        stored = await self._evidence.tiles(self._tree.origin, self.growth.touched(len(hashes)))
        start = self.growth.size
        settled, amiss = self.growth.settle(hashes, stored)
        for index, kind in amiss:
            await self._tell(index, kind)
        stops = await self._stops(start, start + len(settled))
        roots, grown = self.growth.grow(settled, stops)
        await self._signed(start, roots)
        wrong = [] if self._untiled or self._wrong_tile else wrong_tiles(grown, stored)
        if wrong:
            self._wrong_tile = True
            path = tile_path(*wrong[0])
            self._fail("wrong_tile", f"分块 {path} 与各叶不符", f"The tile {path} is not what its leaves make")
        return len(settled) == len(hashes)

    async def _hashes(self, rows: Sequence[tuple[int, bytes | None]]) -> list[bytes | None]:
        """The hashes of leaves, with None for those that are gone; a gap wider than the tree was is not filled."""
        first, size = self._tree.first, self.growth.size
        hashes: list[bytes | None]
        if rows[-1][0] - first - size == len(rows) - 1:
            hashes = [None if data is None else sha256(b"\x00" + data).digest() for _, data in rows]
        else:
            newest = await self._evidence.newest(self._tree.origin)
            hashes = []
            for position, data in rows:
                missing = position - first - size - len(hashes)
                if missing:
                    zh = f"总流缺位置 {position - missing} 至 {position - 1}"
                    en = f"Places {position - missing} to {position - 1} are missing"
                    self._fail("feed_gap", zh, en, position=position - missing)
                    signed = max(0, (newest.size if newest else 0) - size - len(hashes))
                    hashes += [None] * min(missing, signed + 1)
                hashes.append(None if data is None else sha256(b"\x00" + data).digest())
        return hashes

    async def _tell(self, index: int, kind: Amiss) -> None:
        position = self._tree.first + index
        if kind is Amiss.UNTILED:
            if self._untiled:
                return
            self._untiled = True
        named = await self._evidence.named(self._log, position)
        if kind is Amiss.GONE and named == Named():
            return  # the gap was told
        code, zh, en = {
            Amiss.GONE: ("feed_empty", "此处的记录已不存在", "What stood here is gone"),
            Amiss.DIFFERS: ("leaf_differs", "内容与已签入日志的不同", "It is not what was signed into the log"),
            Amiss.UNTILED: ("no_tile", "此处起没有分块", "From here on there is no tile"),
        }[kind]
        self._found.append(found(code, zh, en, position=position, origin=self._tree.origin, **_where(named)))

    async def _stops(self, above: int, to: int) -> list[int]:
        sizes = {one.size for one in await self._evidence.signed(self._tree.origin, above, to)}
        return sorted(sizes | {one.size for one in self._kept if above < one.size <= to})

    async def _signed(self, above: int, roots: Mapping[int, bytes]) -> None:
        """Compare the checkpoints and the kept ones of these sizes with the roots that the leaves make."""
        if not roots:
            return
        for signed in await self._evidence.signed(self._tree.origin, above, max(roots)):
            self.checkpoints += 1
            self._check(signed, roots[signed.size])
        for one in self._kept:
            if roots.get(one.size, one.root) != one.root:
                zh = f"日志与你持有的第{one.size}条检查点不相容：历史有两个版本"
                en = f"The log does not grow out of the checkpoint of {one.size} leaves that was kept: it was forked"
                self._fail("log_fork", zh, en, position=self._tree.first + self._common)
            elif one.size in roots:
                self._common = one.size

    def _check(self, signed: Signed, root: bytes) -> None:
        """Whatever is wrong with a checkpoint is in a place that the one before, which holds, does not cover."""
        size, origin, first = signed.size, self._tree.origin, self._tree.first + self._good
        if signed.root != root and not self._wrong_root:
            self._wrong_root = True
            last = self._tree.first + size - 1
            zh = f"检查点{size}的根与日志不符：位置{first}至{last}中有改动"
            en = f"The root of checkpoint {size} is not the log's: something in places {first} to {last} was changed"
            self._fail("wrong_root", zh, en, position=first)
        if self._verifiers:
            try:
                checkpoint, _ = open_checkpoint(signed.note, self._verifiers, origin)
            except BadNote as bad:
                zh, en = f"检查点{size}", f"Checkpoint {size}"
                self._found.append(broken("bad_checkpoint", zh, en, bad, position=first, origin=origin))
                return
            if (checkpoint.size, checkpoint.root) != (size, signed.root):
                zh, en = f"检查点{size}的行与其签名文本不符", f"The row of checkpoint {size} is not what was signed"
                self._fail("wrong_checkpoint", zh, en, position=first)
                return
        if signed.root == root:
            self._good = size

    async def _end(self) -> None:
        """What is signed beyond the last leaf, and what is not signed yet."""
        origin, size = self._tree.origin, self.growth.size
        newest = await self._evidence.newest(origin)
        signed = newest.size if newest else 0
        known = max((one.size for one in self._kept), default=0)
        if signed > size:
            zh, en = (
                f"已签署{signed}条，只有{size}条：末尾被删去",
                f"{signed} leaves were signed, {size} are there: the tail is cut",
            )
            self._fail("log_cut", zh, en, position=self._tree.first + size)
        elif signed < size:
            named = _where(await self._evidence.named(self._log, self._tree.first + signed))
            zh, en = f"第{signed}条以后没有签署", f"Nothing beyond {signed} leaves is signed"
            self._fail("log_unsigned", zh, en, position=self._tree.first + signed, **named)
        if known > size:
            zh = f"日志只有{size}条，而你持有的检查点有{known}条：库被恢复到了过去"
            en = f"The log has {size} leaves, but a checkpoint of {known} was kept: it was set back"
            self._fail("log_rollback", zh, en, position=self._tree.first + size)
        stored = await self._evidence.tiles(origin, edge(size))
        ragged = any(len(stored.get(place, b"")) != width * HASH_BYTES for place, width in _edge(size).items())
        if (ragged or await self._evidence.tile_count(origin) != _tile_count(size)) and not self._untiled:
            self._fail("wrong_edge", "分块的边缘与日志长度不符", "The tiles do not end where the log does")

    def _fail(self, code: str, zh: str, en: str, **where: str | int) -> None:
        self._found.append(found(code, zh, en, origin=self._tree.origin, **where))


def _edge(size: int) -> dict[tuple[int, int], int]:
    return {(level, index): (size >> HEIGHT * level) % WIDTH for level, index in edge(size)}


def _tile_count(size: int) -> int:
    return sum(-(-(size >> level) // WIDTH) for level in range(0, size.bit_length(), HEIGHT))


def _where(named: Named) -> dict[str, Any]:
    return named._asdict()


_LOGS: tuple[Log, Log] = ("events", "access")

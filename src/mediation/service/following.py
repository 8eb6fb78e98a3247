"""An exported log followed from its first leaf to its last, offline: tiles, entries, signature, and every chain."""

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from mediation.domain.bundling import CHECKPOINT
from mediation.domain.checkpoints import Checkpoint, epoch_of
from mediation.domain.errors import BadProof, BrokenTrail, NotFound, Reason
from mediation.domain.events import NO_HASH, Event, parse
from mediation.domain.merkle import HASH_BYTES, leaf_hash
from mediation.domain.notes import MOST_BYTES
from mediation.domain.registering import LOG_ID
from mediation.domain.tiles import (
    HEIGHT,
    MOST_ENTRY_BYTES,
    WIDTH,
    bundle_path,
    entries_of,
    parse_path,
    tile_path,
)
from mediation.domain.vocabulary import LogEntry
from mediation.service.findings import Reading, Tally, Trust, broken, found, open_published
from mediation.service.growth import Amiss, Growth, wrong_tiles

_AT_ONCE = 16
_MOST_BUNDLE_BYTES = WIDTH * (2 + MOST_ENTRY_BYTES)
_ACCESS = b'{"access":'


def verify_tiles(
    folder: Path, trust: Trust, progress: Callable[[int, int], None] | None = None, *, hashes_only: bool = False
) -> Reading:
    """Verify a log as it was exported: every tile, every entry, the checkpoint, and each case's chain.

    Events are not folded. `progress` is told leaves done and leaves in all. With `hashes_only` the tiles alone are
    verified; without it a log that has no entries fails: whoever took them away would have turned off what reads them.
    Raises BadNote, when a checkpoint in `trust` is not signed by a log it believes; OSError.
    """
    tally = Tally()
    opened = open_published(_read(folder / CHECKPOINT, MOST_BYTES) or b"", trust, tally)
    if opened is None:
        return Reading("", 0, 0, 0, 0, (), (), tally.count, tuple(tally.named))
    checkpoint, witnesses, kept = opened
    following = _Following(folder, checkpoint, kept, tally, told=not hashes_only)
    following.run(progress)
    following.stray()
    return Reading(
        checkpoint.origin,
        checkpoint.size,
        following.entries,
        len(following.chains.heads.keys() - {LOG_ID}),
        0,
        witnesses,
        (),
        tally.count,
        tuple(tally.named),
    )


class Chains:
    """The head of every case that was met: its last event's number, hash, state and instant."""

    def __init__(self) -> None:
        self.heads: dict[str, tuple[int, str, str, str]] = {}
        self._begun: Event | None = None  # a tree begins anew with it, before entries that waited
        self._continued = False  # an epoch that goes on from an earlier one holds tails of cases

    def interrupted(self) -> None:
        """Go on after an entry that is gone: it may have been of any case."""
        self.heads.clear()
        self._continued = True

    def take(self, event: Event, leaf: bytes, index: int) -> Reason | None:
        """Why an event does not follow that of its case before it in the tree, if so; the next is held against it."""
        if not index:
            self._continued = event.seq > 1
            if (event.case, event.action, event.attrs.get("log")) == (LOG_ID, LogEntry.RECOVER.value, "events"):
                self._begun = event
                return None
        begun = self._begun
        if begun and event.case == LOG_ID and event.seq == begun.seq + 1:
            self._begun = None
            if reason := self.take(begun, leaf_hash(begun.canonical), -1):
                return reason
        head = self.heads.get(event.case)
        self.heads[event.case] = event.seq, leaf.hex(), event.to, event.at
        if head is None:
            follows = self._continued or (event.seq == 1 and event.prev == NO_HASH)
        else:
            seq, prev, state, at = head
            follows = (event.seq, event.prev, event.from_) == (seq + 1, prev, state) and event.at >= at
        if follows:
            return None
        zh = f"第{event.seq}号事件不衔接"
        return Reason("does_not_follow", zh, f"Event {event.seq} does not follow what is before it")


class _Following:
    def __init__(
        self, folder: Path, checkpoint: Checkpoint, kept: Sequence[Checkpoint], tally: Tally, *, told: bool
    ) -> None:
        self.entries = 0
        self.chains = Chains()
        self._folder, self._checkpoint, self._tally = folder, checkpoint, tally
        self._roots: dict[int, set[bytes]] = {checkpoint.size: {checkpoint.root}}
        for one in kept:
            self._roots.setdefault(one.size, set()).add(one.root)
        self._growth = Growth()
        self._told = told
        self._first = epoch_of(checkpoint.origin)[1]  # the position of leaf 0
        self._accesses: bool | None = None
        self._wrong_tile = False
        self._once: set[Amiss] = set()

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Follow the whole log, a few tiles at a time."""
        self._compare(self._growth.grow((), [0])[0] if 0 in self._roots else {})
        size = self._checkpoint.size
        for start in range(0, size, _AT_ONCE * WIDTH):
            count = min(_AT_ONCE * WIDTH, size - start)
            stored = {place: self._tile(*place) for place in self._growth.touched(count)}
            data = self._entries(start, count) if self._told else []
            hashes: list[bytes | None]
            if self._told:
                hashes = [None if one is None else sha256(b"\x00" + one).digest() for one in data]
            else:
                hashes = list(_leaves(stored, start, count))
            settled, amiss = self._growth.settle(hashes, stored)
            self._follow(start, data or [None] * count, settled, dict(amiss))
            if len(settled) < count:
                return
            stops = sorted(at for at in self._roots if start < at <= start + count)
            roots, grown = self._growth.grow(settled, stops)
            self._compare(roots)
            if not self._wrong_tile:
                for place in wrong_tiles(grown, stored)[:1]:
                    self._wrong_tile = True
                    path = tile_path(*place, self._width(*place))
                    self._fail("wrong_tile", f"分块 {path} 与各叶不符", f"The tile {path} is not what its leaves make")
            if progress:
                progress(start + count, size)

    def stray(self) -> None:
        """Name the files that are no part of the log of this size: a hidden tail, or what was put beside it."""
        top = self._folder / "tile"
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                rest = Path(folder, name).relative_to(top).as_posix()
                try:
                    level, index, width = parse_path(rest)
                except NotFound:
                    level, index, width = 0, self._checkpoint.size, WIDTH
                if width > self._width(level or 0, index):
                    en = f"tile/{rest} is no part of the log at this size"
                    self._fail("extra_file", f"多余的文件 tile/{rest}", en)

    def _follow(
        self, start: int, data: Sequence[bytes | None], hashes: Sequence[bytes], amiss: dict[int, Amiss]
    ) -> None:
        """Read each entry: as its tile says, canonical, and after the one before it in its case."""
        for index, one in enumerate(data, start):
            if index in amiss:
                self._tell(index, amiss[index], one)
            if one is None or index - start >= len(hashes):
                continue
            leaf = hashes[index - start]
            self.entries += 1
            if self._accesses is None:
                self._accesses = one.startswith(_ACCESS)
            if self._accesses:
                if not _canonical(one):
                    self._fail(
                        "not_canonical", "访问日志的条目不规范", "An entry of the access log is not canonical", index
                    )
                continue
            place = self._first + index
            try:
                event = parse(one)
            except BrokenTrail as bad:
                if index not in amiss:
                    self._tally.add(broken("not_an_event", f"第{index}叶", f"Leaf {index}", bad, position=place))
                continue
            reason = self.chains.take(event, leaf, index)
            if reason and index not in amiss:
                said = found(reason.code, reason.zh, reason.en, origin=self._checkpoint.origin, position=place)
                self._tally.add(said._replace(case_id=event.case, seq=event.seq, event_id=event.event))

    def _tell(self, index: int, kind: Amiss, data: bytes | None) -> None:
        if kind is Amiss.GONE:
            self.chains.interrupted()
        if kind in self._once:
            return
        if kind is not Amiss.DIFFERS:  # of what is not there the first says enough
            self._once.add(kind)
        code, zh, en = {
            Amiss.GONE: ("entry_lost", f"第{index}叶的内容缺失", f"The entry of leaf {index} is missing"),
            Amiss.DIFFERS: ("leaf_differs", f"第{index}叶的内容与分块不符", f"Leaf {index} is not what its tile says"),
            Amiss.UNTILED: ("no_tile", f"第{index}叶没有分块", f"Leaf {index} has no tile"),
        }[kind]
        said = found(code, zh, en, position=self._first + index, origin=self._checkpoint.origin)
        try:
            event = parse(data) if data else None
        except BrokenTrail:
            event = None
        if event:
            said = said._replace(case_id=event.case, seq=event.seq, event_id=event.event)
        self._tally.add(said)

    def _compare(self, roots: dict[int, bytes]) -> None:
        for size, root in roots.items():
            if self._roots[size] == {root}:
                continue
            if size == self._checkpoint.size and self._checkpoint.root != root:
                self._fail("wrong_root", "分块与检查点的根不符", "The tiles do not lead to the root of the checkpoint")
            else:
                zh = f"日志与你持有的第{size}条检查点不相容：历史有两个版本"
                en = f"The log does not grow out of the checkpoint of {size} leaves that was kept: it was forked"
                self._fail("log_fork", zh, en)

    def _entries(self, start: int, count: int) -> list[bytes | None]:
        """The entries of so many leaves; None for each of a bundle that cannot be read."""
        data: list[bytes | None] = []
        for index in range(start // WIDTH, -(-(start + count) // WIDTH)):
            width = self._width(0, index)
            path = self._folder / bundle_path(index, width)
            whole = self._folder / bundle_path(index)
            try:
                read = _read(path, _MOST_BUNDLE_BYTES)
                bundle = entries_of((_read(whole, _MOST_BUNDLE_BYTES) if read is None else read) or b"")[:width]
            except BadProof as bad:
                path_said = bundle_path(index, width)
                self._tally.add(broken("bad_bundle", path_said, path_said, bad, position=self._first + index * WIDTH))
                bundle = []
            data += [*bundle, *[None] * (width - len(bundle))]
        return data

    def _tile(self, level: int, index: int) -> bytes:
        width = self._width(level, index)
        data = _read(self._folder / tile_path(level, index, width), WIDTH * HASH_BYTES)
        if data is None:  # a partial tile may go once the whole one is there (tlog-tiles)
            data = _read(self._folder / tile_path(level, index), WIDTH * HASH_BYTES) or b""
        return data[: width * HASH_BYTES]

    def _width(self, level: int, index: int) -> int:
        """How wide a tile is in this tree; 0 where there is none."""
        return max(0, min(WIDTH, (self._checkpoint.size >> HEIGHT * level) - index * WIDTH))

    def _fail(self, code: str, zh: str, en: str, index: int | None = None) -> None:
        position = 0 if index is None else self._first + index
        self._tally.add(found(code, zh, en, origin=self._checkpoint.origin, position=position))


def _leaves(stored: dict[tuple[int, int], bytes], start: int, count: int) -> Iterator[bytes | None]:
    for index in range(start, start + count):
        at = index % WIDTH * HASH_BYTES
        yield stored[0, index // WIDTH][at : at + HASH_BYTES] or None


def _canonical(data: bytes) -> bool:
    try:
        return _SORTED.encode(msgspec.json.decode(data)) == data and data.isascii()
    except msgspec.MsgspecError:
        return False


def _read(path: Path, most: int) -> bytes | None:
    """A file; None where there is none. One longer than it may be is cut, and so does not verify."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


_SORTED = msgspec.json.Encoder(order="sorted")

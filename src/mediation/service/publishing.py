"""A whole log as files (C2SP tlog-tiles), so that anybody can follow it: goes on where it was stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mediation.domain.bundling import CHECKPOINT, VKEYS
from mediation.domain.checkpoints import Checkpoint, parse_checkpoint
from mediation.domain.errors import BadNote, BadProof, BrokenTrail, MediationError, NotFound, Reason
from mediation.domain.merkle import HASH_BYTES, fold, leaf_hash, root_nodes, verify_consistency
from mediation.domain.notes import Verifier, split_note
from mediation.domain.tiles import (
    HEIGHT,
    WIDTH,
    all_tiles,
    bundle_path,
    entries_of,
    entry_bundle,
    node_in,
    tile_of,
    tile_path,
)
from mediation.domain.witnessing import NEWEST, Quorum
from mediation.store.evidence import Evidence, Log, Tree
from mediation.store.logbook import Epoch, Logbook, Published
from mediation.store.trails import snapshot

_TILES_AT_ONCE = 64
_DRAFT = ".draft-"
_TILE = "tile"


class NotItsFolder(MediationError):
    """The folder holds something else than this log as it was."""

    code = "not_its_folder"
    zh = "目标文件夹中不是该日志"
    en = "The folder holds something else than this log"


class NothingSigned(MediationError):
    """The log has no published checkpoint yet."""

    code = "nothing_signed"
    zh = "日志尚无已发布的检查点"
    en = "The log has no published checkpoint yet"


class Export(NamedTuple):
    """What was exported: the log's origin and size, and how many files had to be written."""

    origin: str
    size: int
    written: int


async def publish_log(  # noqa: PLR0913  # what to export, and how: the last three are seldom said
    reader_url: str,
    log: Log,
    folder: Path,
    verifiers: tuple[Verifier, ...],
    *,
    quorum: Quorum = NEWEST,
    epoch: int | None = None,
    check: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Export:
    """Write the log that grows now, at its published checkpoint, into a folder of its own.

    `epoch` is the position of the first leaf of an earlier one, before a recovery: that, at its last checkpoint. What
    an export that was stopped has left there is read again, with `check` every file, and what is spoilt is replaced.
    Every file is written beside its place and moved there, the checkpoint last: stopped at any instant, it goes on when
    it is called again. Partial tiles are kept until the whole one is there. What was stored is compared with its tile
    before it is written. `progress` is told leaves done and leaves in all. Raises NothingSigned; NotItsFolder;
    NotFound, when there is no such epoch; BrokenTrail, when what is stored is not what was signed;
    DatabaseUnreachable; OSError.
    """
    async with snapshot(reader_url) as connection:
        book = Logbook(connection, log, quorum=quorum)
        epochs = await book.epochs()
        chosen = [one for one in epochs if epoch in {None, one.first_position}]
        if epochs and not chosen:
            raise NotFound(zh=f"没有从位置 {epoch} 开始的日志", en=f"No log begins at position {epoch}")
        ended = bool(chosen) and chosen[0] is not epochs[0]
        published = await book.published(chosen[0].origin, quorum=NEWEST if ended else None) if chosen else None
        if published is None or not published.size:
            raise NothingSigned
        shelf = _Shelf(folder)
        durable = await _same_log(book, shelf, published, verifiers)
        shelf.tidy()
        exporting = _Exporting(Evidence(connection), log, chosen[0], published, shelf, 0 if check else durable)
        await exporting.tiles()
        await exporting.entries(progress)
        os.sync()  # all that the checkpoint speaks of, before the checkpoint
        shelf.put(CHECKPOINT, published.note.encode(), anew=True)
    return Export(published.origin, published.size, shelf.written)


class _Shelf:
    """The files of one log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.written = 0
        self._folder = folder

    def tidy(self) -> None:
        """Remove what an export that was stopped had not yet moved to its place."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                if name.startswith(_DRAFT):
                    Path(folder, name).unlink()

    def read(self, path: str) -> bytes | None:
        with suppress(FileNotFoundError):
            return (self._folder / path).read_bytes()
        return None

    def others(self) -> list[str]:
        """What no export has put there: each begins with the keys."""
        if not self._folder.exists():
            return []
        names = sorted(one.name for one in self._folder.iterdir())
        ours = {CHECKPOINT, VKEYS, _TILE} if VKEYS in names else set()
        return [name for name in names if name not in ours and not name.startswith(_DRAFT)]

    def has(self, path: str, size: int | None = None) -> bool:
        """Whether a file is there, of this size or of any."""
        with suppress(FileNotFoundError):
            found = (self._folder / path).stat().st_size
            return found == size if size is not None else found > 0
        return False

    def put(self, path: str, data: bytes, *, anew: bool = False) -> None:
        """Write a file whole; then the partial ones that it replaces may go."""
        target = self._folder / path
        if not anew and self.read(path) == data:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{_DRAFT}{target.name}")
        draft.write_bytes(data)
        draft.replace(target)
        self.written += 1

    def drop_partial(self, path: str) -> None:
        """Remove the partial tiles in place of which there is a whole one now."""
        partial = self._folder / f"{path}.p"
        if partial.is_dir():
            for one in partial.iterdir():
                one.unlink()
            partial.rmdir()


async def _same_log(book: Logbook, shelf: _Shelf, published: Published, verifiers: tuple[Verifier, ...]) -> int:
    """Refuse a folder that holds another log, or this one as it has never been; begin one that holds nothing.

    The leaves that an export has brought to its end there.
    """
    own = "".join(f"{key.text}\n" for key in verifiers if key.name == published.origin)
    if not own:
        zh, en = f"没有日志 {published.origin} 的公钥", f"There is no key of the log {published.origin}"
        raise BrokenTrail(Reason("log_key_unknown", zh, en))
    told = shelf.read(VKEYS)
    if others := shelf.others():  # such as a bundle's, which has the same key and a checkpoint too
        zh, en = f"目标文件夹中另有 {others[0]}", f"The folder holds {others[0]}, which is no part of a log"
        raise NotItsFolder(zh=zh, en=en)
    names = {line.partition("+")[0] for line in (told or b"").decode("utf-8", "replace").splitlines()}
    if told is not None and names != {published.origin}:
        named = "、".join(sorted(names))
        zh, en = (
            f"目标文件夹中是日志 {named}，不是 {published.origin}",
            f"The folder holds {named}, not {published.origin}",
        )
        raise NotItsFolder(zh=zh, en=en)
    note = shelf.read(CHECKPOINT)
    durable = 0
    if note is not None:
        try:
            old = parse_checkpoint(split_note(note)[0])
            if old.size > published.size:
                raise NotItsFolder(
                    zh=f"文件夹中的日志有{old.size}条，库中只有{published.size}条：请先执行 mediation verify",
                    en=f"The folder has {old.size} leaves, the log {published.size}: run `mediation verify` first",
                )
            await _grew(book, old, published)
            durable = old.size
        except (BadNote, BadProof) as error:
            zh, en = (
                f"文件夹中的检查点与该日志不相容：{error.zh}",
                f"The log did not grow out of the folder's: {error.en}",
            )
            raise NotItsFolder(zh=zh, en=en) from error
    if own.encode() != told:
        shelf.put(VKEYS, own.encode(), anew=True)
    return durable


async def _grew(book: Logbook, old: Checkpoint, published: Published) -> None:
    proof = await book.consistency(published.origin, old.size, published.size)
    verify_consistency(old.size, published.size, proof, old.root, published.root)


class _Exporting:
    def __init__(
        self, evidence: Evidence, log: Log, epoch: Epoch, published: Published, shelf: _Shelf, durable: int
    ) -> None:
        self._evidence, self._log, self._epoch, self._shelf = evidence, log, epoch, shelf
        self._published = published
        self._durable = durable  # leaves whose files need no second look

    async def tiles(self) -> None:
        """Write the tiles that are not there yet."""
        origin, size = self._published.origin, self._published.size
        waiting: list[tuple[int, int, int]] = []
        for place in all_tiles(self._published.size):
            level, index, width = place
            sure = (index * WIDTH + width) << HEIGHT * level <= self._durable
            if not (sure and self._shelf.has(tile_path(*place), width * HASH_BYTES)):
                waiting.append(place)
            if len(waiting) == _TILES_AT_ONCE:
                await self._write(waiting)
                waiting.clear()
        await self._write(waiting)
        nodes = root_nodes(size)
        edge = await self._evidence.tiles(origin, {tile_of(node) for node in nodes})
        if fold([node_in(edge.get(tile_of(node), b""), node) for node in nodes]) != self._published.root:
            raise _not_as_signed(f"检查点{size}", f"checkpoint {size}")

    async def _write(self, places: list[tuple[int, int, int]]) -> None:
        found = await self._evidence.tiles(self._published.origin, [(level, index) for level, index, _ in places])
        for level, index, width in places:
            path = tile_path(level, index, width)
            data = found.get((level, index), b"")[: width * HASH_BYTES]
            if len(data) != width * HASH_BYTES:
                raise _not_as_signed(f"分块 {path}", f"the tile {path}")
            self._shelf.put(path, data)
            if width == WIDTH:
                self._shelf.drop_partial(path)

    async def entries(self, progress: Callable[[int, int], None] | None) -> None:
        """Write the bundles of entries that are not there yet, each entry as its tile says."""
        size, first = self._published.size, self._epoch.first_position
        for start, end in self._missing():
            done: list[bytes] = []
            index = start
            leaves = self._evidence.leaves(self._log, Tree(self._epoch.origin, first + start * WIDTH, first + end))
            async for rows in leaves:
                for position, data in rows:
                    if data is None or position != first + index * WIDTH + len(done):
                        raise _not_as_signed(f"位置 {position}", f"position {position}")
                    done.append(data)
                    if len(done) == WIDTH:
                        self._bundle(index, done)
                        index, done = index + 1, []
                if progress:
                    progress(index * WIDTH + len(done), size)
            if done:
                self._bundle(index, done)
        if progress:
            progress(size, size)

    def _bundle(self, index: int, entries: list[bytes]) -> None:
        width = len(entries)
        tile = self._shelf.read(tile_path(0, index, width)) or b""
        for number, entry in enumerate(entries):
            if tile[number * HASH_BYTES : (number + 1) * HASH_BYTES] != leaf_hash(entry):
                position = self._epoch.first_position + index * WIDTH + number
                raise _not_as_signed(f"位置 {position}", f"position {position}")
        self._shelf.put(bundle_path(index, width), entry_bundle(entries), anew=True)
        if width == WIDTH:
            self._shelf.drop_partial(bundle_path(index))

    def _there(self, index: int, width: int) -> bool:
        """Whether a bundle is there; one of an export that was stopped may be spoilt, as by a loss of power."""
        path = bundle_path(index, width)
        if index * WIDTH + width <= self._durable:
            return self._shelf.has(path)
        try:
            hashes = b"".join(leaf_hash(entry) for entry in entries_of(self._shelf.read(path) or b""))
        except BadProof:
            return False
        return bool(hashes) and hashes == self._shelf.read(tile_path(0, index, width))

    def _missing(self) -> Iterator[tuple[int, int]]:
        """Runs of bundles that are not there: the first bundle, and the leaf before which the run ends."""
        size = self._published.size
        start = None
        for index in range(-(-size // WIDTH)):
            width = min(WIDTH, size - index * WIDTH)
            if not self._there(index, width):
                start = index if start is None else start
            elif start is not None:
                yield start, index * WIDTH
                start = None
        if start is not None:
            yield start, size


def _not_as_signed(zh: str, en: str) -> BrokenTrail:
    reason = Reason("log_mismatch", f"{zh} 与已签署的不符", f"What is stored is not what was signed: {en}")
    return BrokenTrail(reason)

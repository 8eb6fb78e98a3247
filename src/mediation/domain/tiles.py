"""Tiles: the tree of a log as static files of 256 hashes, and bundles of its entries (C2SP tlog-tiles)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mediation.domain.errors import BadProof, NotFound, Reason
from mediation.domain.merkle import HASH_BYTES, Node, fold, root, root_nodes

HEIGHT = 8
WIDTH = 1 << HEIGHT
MOST_ENTRY_BYTES = 2**16 - 1

_TILE_BYTES = WIDTH * HASH_BYTES
_LENGTH_BYTES = 2
# Seven parts of three digits name every tile of 2**63 leaves.
_PATH = re.compile(r"(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Where a tile of hashes is served: `tile/0/x001/234`, a partial one of five hashes `tile/0/x001/234.p/5`."""
    return f"tile/{level}/{_numbered(index, width)}"


def bundle_path(index: int, width: int = WIDTH) -> str:
    """Where a bundle of entries is served: `tile/entries/x001/234`."""
    return f"tile/entries/{_numbered(index, width)}"


def parse_path(rest: str) -> tuple[int | None, int, int]:
    """Level (None: a bundle of entries), index and width of what follows `tile/` in a path.

    Raises NotFound for what is not exactly the path of a tile or bundle: nothing is served there.
    """
    found = _PATH.fullmatch(rest)
    if found:
        level = None if found[1] == "entries" else int(found[1])
        index = int(found[2].replace("x", "").replace("/", ""))
        width = int(found[3] or WIDTH)
        if rest == f"{found[1]}/{_numbered(index, width)}":  # refuses x000/001 and .p/256
            return level, index, width
    raise NotFound(zh="不是日志分块的路径", en="Not the path of a tile")


def tile_of(node: Node) -> tuple[int, int]:
    """(tile level, tile index) of the tile that holds a complete subtree, or the hashes that make it."""
    level, index = node
    return level // HEIGHT, index >> HEIGHT - level % HEIGHT


def node_in(tile: bytes, node: Node) -> bytes:
    """The hash of a complete subtree, from the contents of its tile; BadProof when the tile does not reach so far."""
    level, index = node
    count = 1 << level % HEIGHT
    start = index * count % WIDTH
    if len(tile) % HASH_BYTES or not (start + count) * HASH_BYTES <= len(tile) <= _TILE_BYTES:
        raise BadProof(Reason("short_tile", "分块不完整", "The tile does not hold what it should"))
    return root(_hashes(tile[start * HASH_BYTES : (start + count) * HASH_BYTES]))


def root_of(tiles: Mapping[tuple[int, int], bytes], size: int) -> bytes:
    """The root of a tree of `size` leaves, made of those that hold its right edge, whole or not.

    Raises LookupError, where one is missing; BadProof, where one does not reach so far.
    """
    return fold([node_in(tiles[tile_of(node)], node) for node in root_nodes(size)])


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """The contents of a bundle: up to 256 entries, each after its length in two bytes; BadProof when it cannot be."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MOST_ENTRY_BYTES or len(parts) == WIDTH:
            raise BadProof(Reason("bundle_too_long", "条目过长或过多", "An entry too long or too many entries"))
        parts.append(len(entry).to_bytes(_LENGTH_BYTES) + entry)
    return b"".join(parts)


def entries_of(data: bytes) -> list[bytes]:
    """The entries of a bundle, 256 at most; BadProof when its lengths do not add up."""
    entries = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start])
        entries.append(data[start:at])
    if at != len(data) or len(entries) > WIDTH:
        raise BadProof(Reason("bad_bundle", "条目包不完整", "The bundle of entries is broken"))
    return entries


def extend(
    size: int, tiles: Mapping[tuple[int, int], bytes], leaf_hashes: Sequence[bytes]
) -> dict[tuple[int, int], bytes]:
    """Every tile, by (level, index), that is new or has grown when leaves are added to a tree of `size`, whole.

    `tiles` holds those of `edge(size)`, and may hold others. Raises BadProof when one is missing or not of its width.
    """
    if any(len(one) != HASH_BYTES for one in leaf_hashes):
        raise BadProof(Reason("not_a_hash", "哈希须为32字节", "A hash is 32 bytes"))
    grown: dict[tuple[int, int], bytes] = {}
    level, added = 0, leaf_hashes
    while added:
        index, width = divmod(size >> HEIGHT * level, WIDTH)
        begun = tiles.get((level, index), b"") if width else b""
        if len(begun) != width * HASH_BYTES:
            zh, en = f"边缘分块 {level}/{index} 不符", f"The tile {level}/{index} at the edge is not as wide as it was"
            raise BadProof(Reason("short_tile", zh, en))
        row = begun + b"".join(added)
        added = []
        for start in range(0, len(row), _TILE_BYTES):
            tile = row[start : start + _TILE_BYTES]
            grown[level, index + start // _TILE_BYTES] = tile
            if len(tile) == _TILE_BYTES:
                added.append(root(_hashes(tile)))
        level += 1
    return grown


def edge(size: int) -> list[tuple[int, int]]:
    """The partial tiles, by (level, index), at the right edge of a tree of `size` leaves, lowest first."""
    return [(level, index) for level, index, _ in _ends(size)]


def all_tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, index and width of every tile of a tree of `size` leaves, level by level."""
    partial = {level: (level, index, width) for level, index, width in _ends(size)}
    level = 0
    while size >> HEIGHT * level:
        for index in range(size >> HEIGHT * (level + 1)):
            yield level, index, WIDTH
        if level in partial:
            yield partial[level]
        level += 1


def _ends(size: int) -> Iterator[tuple[int, int, int]]:
    level = 0
    while hashes := size >> HEIGHT * level:
        if hashes % WIDTH:
            yield level, hashes // WIDTH, hashes % WIDTH
        level += 1


def _numbered(index: int, width: int) -> str:
    parts = [f"{index % 1000:03}"]
    while index := index // 1000:
        parts.insert(0, f"x{index % 1000:03}")
    return "/".join(parts) + (f".p/{width}" if width < WIDTH else "")


def _hashes(row: bytes) -> list[bytes]:
    return [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]

"""A tree as its leaves come, beside the tiles that are stored of it: the one way in which every verifier grows it."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from mediation.domain.merkle import HASH_BYTES
from mediation.domain.tiles import HEIGHT, WIDTH, edge, extend, root_of

Tiles = Mapping[tuple[int, int], bytes]

_TILE_BYTES = WIDTH * HASH_BYTES


class Amiss(StrEnum):
    """How a leaf is not as its tile of level 0 says."""

    GONE = "gone"
    DIFFERS = "differs"
    UNTILED = "untiled"


class Growth:
    """A growing tree in the memory of its right edge.

    A leaf that is gone or differs is told, and the tree goes on with the hash that its tile has of it: so each failure
    is found where it is, and a root that is wrong then means that the tiles were changed as well.
    """

    def __init__(self) -> None:
        self.size = 0
        self._edge: dict[tuple[int, int], bytes] = {}

    def touched(self, count: int) -> list[tuple[int, int]]:
        """The tiles, by (level, index), that so many more leaves make or widen."""
        touched = []
        level, start, end = 0, self.size, self.size + count
        while end > start:
            touched += [(level, index) for index in range(start // WIDTH, (end - 1) // WIDTH + 1)]
            level, start, end = level + 1, start >> HEIGHT, end >> HEIGHT
        return touched

    def settle(self, hashes: list[bytes | None], stored: Tiles) -> tuple[list[bytes], list[tuple[int, Amiss]]]:
        """The next leaf hashes as the tree goes on with them, and the index and kind of each that is amiss.

        None is a leaf that is gone; the tree ends before one that no tile knows either.
        """
        first = self.size // WIDTH
        last = (self.size + len(hashes) - 1) // WIDTH
        row = b"".join(
            stored.get((0, at), b"")[:_TILE_BYTES].ljust(_TILE_BYTES, b"\0") for at in range(first, last + 1)
        )
        start = self.size % WIDTH * HASH_BYTES
        known = row[start : start + len(hashes) * HASH_BYTES]
        whole = [one for one in hashes if one is not None]
        if len(whole) == len(hashes) and b"".join(whole) == known:
            return whole, []
        settled: list[bytes] = []
        amiss = []
        for number, one in enumerate(hashes):
            told = known[number * HASH_BYTES : (number + 1) * HASH_BYTES]
            index = self.size + number
            if not any(told):
                amiss.append((index, Amiss.GONE if one is None else Amiss.UNTILED))
                if one is None:
                    break
                settled.append(one)
                continue
            if one != told:
                amiss.append((index, Amiss.GONE if one is None else Amiss.DIFFERS))
            settled.append(told)
        return settled, amiss

    def grow(self, hashes: Sequence[bytes], stops: Iterable[int]) -> tuple[dict[int, bytes], Tiles]:
        """Take these leaf hashes in: the root at each size of `stops`, and the tiles that are new or wider."""
        grown = extend(self.size, self._edge, hashes)
        tiles = {**self._edge, **grown}
        roots = {at: root_of(tiles, at) for at in stops}
        self.size += len(hashes)
        self._edge = {place: tiles[place] for place in edge(self.size)}
        return roots, grown


def wrong_tiles(grown: Tiles, stored: Tiles) -> list[tuple[int, int]]:
    """The tiles above the leaves, by (level, index), that are not stored, or do not begin as the leaves make them."""
    return [place for place, made in grown.items() if place[0] and stored.get(place, b"")[: len(made)] != made]

"""Tiles: however the tree grew they are the same, every hash is found in them, and another program reads our tree."""

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import tiles as theirs
from tlog_scales.reader import Tile, TilesReader

from mediation.domain import merkle, tiles
from mediation.domain.errors import BadProof, NotFound
from mediation.domain.merkle import fold, leaf_hash, root

FULL = os.environ.get("MEDIATION_BATTERY") == "1"
MANY = settings(max_examples=100 if FULL else 15, deadline=None)
MOST = 70_000 if FULL else 1400
ENTRIES = [b'{"seq":%d}' % number for number in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def naively(size: int) -> dict[tuple[int, int], bytes]:
    """Every tile by the formula of the specification: MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l])."""
    made = {}
    row, level = LEAVES[:size], 0
    while row:
        made |= {(level, n): b"".join(row[n * 256 : (n + 1) * 256]) for n in range((len(row) + 255) // 256)}
        row = [root(row[n * 256 : (n + 1) * 256]) for n in range(len(row) // 256)]
        level += 1
    return made


class Shelf:
    """A tree as files, as another program reads them."""

    def __init__(self, size: int) -> None:
        grown = tiles.extend(0, {}, LEAVES[:size])
        self.files = {tiles.tile_path(*one): grown[one[:2]] for one in tiles.all_tiles(size)}
        for level, index, width in tiles.all_tiles(size):
            if level == 0:
                entries = ENTRIES[index * 256 : index * 256 + width]
                self.files[tiles.bundle_path(index, width)] = tiles.entry_bundle(entries)

    def get(self, *path: str) -> bytes | None:
        return self.files.get("/".join(path))


@MANY
@given(st.lists(st.integers(0, MOST), max_size=6))
def test_the_tiles_are_the_same_however_the_tree_grew(sizes):
    kept: dict[tuple[int, int], bytes] = {}
    for before, after in pairwise([0, *sorted(sizes)]):
        grown = tiles.extend(before, {at: kept[at] for at in tiles.edge(before)}, LEAVES[before:after])
        was = naively(before)
        assert grown == {at: tile for at, tile in naively(after).items() if was.get(at) != tile}
        kept |= grown
    assert kept == naively(max(sizes, default=0))


def test_the_tree_of_seventy_thousand_has_the_tiles_that_the_specification_counts():
    grown = tiles.extend(0, {}, LEAVES)
    widths: dict[int, list[int]] = {}
    for level, index, width in tiles.all_tiles(70_000):
        assert len(grown.pop((level, index))) == width * 32
        widths.setdefault(level, []).append(width)
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert grown == {}
    assert list(tiles.all_tiles(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles.all_tiles(0)) == []


@pytest.mark.parametrize(
    ("size", "partial"),
    [
        (0, []),
        (1, [(0, 0)]),
        (255, [(0, 0)]),
        (256, [(1, 0)]),
        (257, [(0, 1), (1, 0)]),
        (65536, [(2, 0)]),
        (70_000, [(0, 273), (1, 1), (2, 0)]),
    ],
)
def test_the_edge_is_what_may_still_grow(size, partial):
    assert tiles.edge(size) == partial
    assert [at[:2] for at in tiles.all_tiles(size) if at[2] < 256] == partial


@MANY
@given(st.data())
def test_every_proof_is_made_of_tiles(data):
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    before = data.draw(st.integers(0, size))
    kept = tiles.extend(0, {}, LEAVES[:size])

    def made(nodes):
        return fold([tiles.node_in(kept[tiles.tile_of(node)], node) for node in nodes])

    leaves = LEAVES[:size]
    assert made(merkle.root_nodes(size)) == root(leaves)
    assert [made(nodes) for nodes in merkle.inclusion_nodes(index, size)] == merkle.inclusion_proof(leaves, index)
    assert [made(nodes) for nodes in merkle.consistency_nodes(before, size)] == merkle.consistency_proof(leaves, before)


@pytest.mark.parametrize("level", range(17))
def test_a_node_in_a_tile_is_the_hash_of_its_leaves(level):
    kept = tiles.extend(0, {}, LEAVES)
    for at in {0, (70_000 >> level) // 2, (70_000 >> level) - 1}:
        tile = kept[tiles.tile_of((level, at))]
        assert tiles.node_in(tile, (level, at)) == root(LEAVES[at << level : (at + 1) << level])


def test_a_node_is_in_a_tile_that_has_grown_since():
    before, after = tiles.extend(0, {}, LEAVES[:100]), tiles.extend(0, {}, LEAVES[:200])
    for node in merkle.root_nodes(100):
        assert tiles.node_in(before[0, 0], node) == tiles.node_in(after[0, 0], node)


@pytest.mark.parametrize(
    "tile", [b"", b"".join(LEAVES[:4]), b"".join(LEAVES[:8])[:-1], b"".join(LEAVES[:9])[:-1], b"".join(LEAVES[:257])]
)
def test_a_tile_too_short_broken_or_too_long_is_refused(tile):
    with pytest.raises(BadProof):
        tiles.node_in(tile, (2, 1))


@pytest.mark.parametrize("kept", [{}, {(0, 0): b""}, {(0, 0): b"".join(LEAVES[:4])}, {(0, 0): b"".join(LEAVES[:6])}])
def test_an_edge_missing_or_of_another_width_is_refused(kept):
    with pytest.raises(BadProof):
        tiles.extend(5, kept, LEAVES[5:6])


def test_an_edge_missing_higher_up_is_refused_when_it_is_reached():
    assert tiles.extend(256, {}, LEAVES[256:257]) == {(0, 1): LEAVES[256]}
    with pytest.raises(BadProof):
        tiles.extend(256, {}, LEAVES[256:512])


def test_what_is_no_hash_is_in_no_tile():
    for wrong in (LEAVES[0][1:], LEAVES[0] + b"\0", b""):
        with pytest.raises(BadProof):
            tiles.extend(0, {}, [LEAVES[0], wrong])


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000] + [65_535, 65_536, 70_000] * FULL)
def test_another_program_reads_our_tree(size):
    shelf = Shelf(size)
    reader = TilesReader(shelf)
    reader.set_size(size)
    assert reader.calculate_root_hash() == root(LEAVES[:size])
    for index in range(0, size, max(1, size // 40)):
        assert reader.get_entry(index) == ENTRIES[index]
        proof = reader.get_inclusion_proof(index, size)
        assert proof.node_hashes == merkle.inclusion_proof(LEAVES[:size], index)
        merkle.verify_inclusion(LEAVES[index], index, size, proof.node_hashes, root(LEAVES[:size]))
        if index:
            steps = reader.get_consistency_proof(index, size).node_hashes
            assert steps == merkle.consistency_proof(LEAVES[:size], index)


@MANY
@given(st.integers(0, 2**63 - 1), st.integers(1, 256), st.integers(0, 63))
def test_a_path_is_read_as_it_was_written_and_as_others_write_it(index, width, level):
    path, bundle = tiles.tile_path(level, index, width), tiles.bundle_path(index, width)
    assert tiles.parse_path(path.removeprefix("tile/")) == (level, index, width)
    assert tiles.parse_path(bundle.removeprefix("tile/")) == (None, index, width)
    assert path.split("/") == theirs.tile_path(level, index, width % 256)
    assert bundle.split("/") == theirs.tile_path(-1, index, width % 256)


def test_the_specification_s_own_path():
    assert tiles.tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(1, 0, 5) == "tile/1/000.p/5"
    assert tiles.bundle_path(1234) == "tile/entries/x001/234"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "0",
        "0/",
        "0/0",
        "0/00",
        "0/0000",
        "0/x001",
        "0/001/234",
        "0/x000/001",  # a second way to write 001
        "0/x000/x001/002",
        "0/X001/234",
        "0/x001/234/",
        "0//001",
        "00/001",
        "01/001",
        "64/001",
        "-1/001",
        "+1/001",
        "٣/001",
        "0/٠٠١",
        "Entries/001",
        "entries",
        "entries/1",
        "tile/0/001",
        "/0/001",
        "0/001.p",
        "0/001.p/",
        "0/001.p/0",
        "0/001.p/05",
        "0/001.p/256",
        "0/001.p/999",
        "0/001.p/1000",
        "0/001.p/5/",
        "0/001.p/5\n",
        "0/x001.p/5",
        "0/../001",
        "0/001%2ep/5",
        "0/" + "x999/" * 7 + "999",
        "0/" + "x999/" * 5000 + "999",
    ],
)
def test_what_is_no_path_of_a_tile_is_not_found(rest):
    with pytest.raises(NotFound):
        tiles.parse_path(rest)


@MANY
@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_is_read_as_it_was_written_and_as_others_read_it(entries):
    data = tiles.entry_bundle(entries)
    assert tiles.entries_of(data) == entries == Tile.from_entries_bytes(data).entries


def test_a_bundle_holds_two_hundred_and_fifty_six_entries_of_two_bytes_length():
    longest = b"x" * 65_535
    assert tiles.entries_of(tiles.entry_bundle([longest, b""])) == [longest, b""]
    for wrong in ([longest + b"x"], [b""] * 257):
        with pytest.raises(BadProof):
            tiles.entry_bundle(wrong)
    with pytest.raises(BadProof):
        tiles.entries_of(b"\0\0" * 257)


def test_a_bundle_cut_anywhere_but_between_entries_is_refused():
    data = tiles.entry_bundle([b"one", b"", b"three"])
    whole = {0, 5, 7, 14}
    for end in range(len(data) + 1):
        if end in whole:
            assert tiles.entry_bundle(tiles.entries_of(data[:end])) == data[:end]
        else:
            with pytest.raises(BadProof):
                tiles.entries_of(data[:end])
    with pytest.raises(BadProof):
        tiles.entries_of(data + b"\0")

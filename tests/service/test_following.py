"""Whoever changes an exported log is found out by whoever has its key, and the first leaf that fails is named."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

import pytest
from tests.domain.test_events import event

from mediation.domain.checkpoints import Checkpoint
from mediation.domain.events import NO_HASH, Event, leaf_hash, parse
from mediation.domain.merkle import leaf_hash as leaf_of
from mediation.domain.merkle import root
from mediation.domain.notes import new_signer, sign
from mediation.domain.tiles import WIDTH, bundle_path, entry_bundle, extend, tile_path
from mediation.service.findings import Reading, Trust
from mediation.service.following import verify_tiles

LOG = new_signer("log.example", b"l" * 32)
SIZE = 600
CASES = 7


def history(size: int = SIZE) -> list[bytes]:
    """Events of a few cases in turn, each chained to the one before in its case."""
    heads: dict[str, Event] = {}
    data = []
    for number in range(size):
        case = str(uuid5(NAMESPACE_URL, f"case {number % CASES}"))
        before = heads.get(case)
        made = event(
            event=str(uuid5(NAMESPACE_URL, f"event {number}")),
            case=case,
            seq=before.seq + 1 if before else 1,
            prev=leaf_hash(before.canonical) if before else NO_HASH,
            **{"from": before.to if before else "new"},
        )
        heads[case] = made
        data.append(made.canonical)
    return data


class Exported(NamedTuple):
    """An exported log in a folder, and what can be done to it by whoever has everything but the key."""

    folder: Path
    data: list[bytes]

    def read(self, *kept: Checkpoint, signer=LOG, hashes_only: bool = False) -> Reading:
        notes = tuple(sign(one.text, LOG) for one in kept)
        return verify_tiles(self.folder, Trust((signer.verifier,), notes), hashes_only=hashes_only)

    def write(self, data: list[bytes], *, tiles: bool = True, signed: bool = False) -> None:
        """Put these entries there, with or without the tiles that they make, signed or under the old signature."""
        size = len(data)
        for index in range(-(-size // WIDTH)):
            part = data[index * WIDTH : (index + 1) * WIDTH]
            self.put(bundle_path(index, len(part)), entry_bundle(part))
        if tiles:
            for (level, index), made in extend(0, {}, [leaf_of(one) for one in data]).items():
                self.put(tile_path(level, index, len(made) // 32), made)
        if signed:
            self.put("checkpoint", sign(self.checkpoint(size, data).text, LOG).encode())

    def checkpoint(self, size: int, data: list[bytes] | None = None) -> Checkpoint:
        return Checkpoint(LOG.name, size, root([leaf_of(one) for one in (data or self.data)[:size]]))

    def put(self, path: str, data: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def edit(self, path: str, change: Callable[[bytes], bytes]) -> None:
        self.put(path, change((self.folder / path).read_bytes()))


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    made = Exported(tmp_path, history())
    made.write(made.data, signed=True)
    return made


def codes(reading: Reading) -> list[tuple[str, int]]:
    return [(failure.reason.code, failure.position) for failure in reading.failures]


def test_a_log_as_it_was_exported_is_whole(exported: Exported):
    heard: list[tuple[int, int]] = []
    reading = verify_tiles(exported.folder, Trust((LOG.verifier,)), lambda done, total: heard.append((done, total)))
    assert (reading.failures, reading.entries, reading.cases, reading.size) == ((), SIZE, CASES, SIZE)
    assert heard == [(SIZE, SIZE)]


def test_a_log_without_its_entries_is_verified_by_its_tiles_for_whoever_asks_no_more(exported: Exported):
    for path in (exported.folder / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.unlink()
    (exported.folder / "tile" / "entries" / "002.p").rmdir()
    (exported.folder / "tile" / "entries").rmdir()
    assert codes(exported.read()) == [("entry_lost", 1)]
    reading = exported.read(hashes_only=True)
    assert (reading.failures, reading.entries) == ((), 0)
    exported.edit("tile/0/001", lambda tile: tile[:32] + b"x" * 32 + tile[64:])
    assert {code for code, _ in codes(exported.read(hashes_only=True))} == {"wrong_tile", "wrong_root"}


def edited(exported: Exported, index: int) -> list[bytes]:
    data = list(exported.data)
    data[index] = data[index].replace(b'"clerk"', b'"chair"')
    return data


def chained(data: list[bytes], index: int) -> list[bytes]:
    """As the operator would: the events of the case behind the one that was changed follow it."""
    case, prev = parse(data[index]).case, leaf_hash(data[index])
    for at in range(index + 1, len(data)):
        if parse(data[at]).case == case:
            data[at] = data[at].replace(parse(data[at]).prev.encode(), prev.encode())
            prev = leaf_hash(data[at])
    return data


def swapped(exported: Exported, one: int, two: int) -> list[bytes]:
    data = list(exported.data)
    data[one], data[two] = data[two], data[one]
    return data


# What is done, and the first failure: its code and the leaf's number, counted from 1.
TAMPERED: dict[str, tuple[Callable[[Exported], object], tuple[str, int]]] = {
    "an event is edited": (lambda e: e.write(edited(e, 300), tiles=False), ("leaf_differs", 301)),
    "an event is edited, and its tiles": (lambda e: e.write(edited(e, 300)), ("does_not_follow", 308)),
    "an event is edited, its chain and its tiles": (lambda e: e.write(chained(edited(e, 300), 300)), ("wrong_root", 0)),
    "the last event is edited": (lambda e: e.write(edited(e, SIZE - 1), tiles=False), ("leaf_differs", SIZE)),
    "two events of a case change places": (lambda e: e.write(swapped(e, 10, 17), tiles=False), ("leaf_differs", 11)),
    "they do, and their tiles": (lambda e: e.write(swapped(e, 10, 17)), ("does_not_follow", 11)),
    "events of two cases change places, and their tiles": (lambda e: e.write(swapped(e, 10, 11)), ("wrong_root", 0)),
    "an event is deleted, and those behind move up": (
        lambda e: e.write(e.data[:99] + e.data[100:], tiles=False),
        ("leaf_differs", 100),
    ),
    "an event is put in": (
        lambda e: e.write([*e.data[:99], e.data[3], *e.data[99:-1]], tiles=False),
        ("leaf_differs", 100),
    ),
    "an event is not canonical": (
        lambda e: e.write(
            [*e.data[:5], e.data[5].replace(b'"v":1', b'"v": 1'), *e.data[6:]],
        ),
        ("not_an_event", 6),
    ),
    "a bundle is missing": (lambda e: (e.folder / bundle_path(1)).unlink(), ("entry_lost", 257)),
    "a bundle is cut": (lambda e: e.edit(bundle_path(1), lambda data: data[:-1]), ("bad_bundle", 257)),
    "a tile of the leaves is missing": (lambda e: (e.folder / tile_path(0, 1)).unlink(), ("no_tile", 257)),
    "a tile above is missing": (lambda e: (e.folder / tile_path(1, 0, 2)).unlink(), ("wrong_tile", 0)),
    "a tile above is changed": (lambda e: e.edit(tile_path(1, 0, 2), lambda tile: tile[::-1]), ("wrong_tile", 0)),
    "the checkpoint is missing": (lambda e: (e.folder / "checkpoint").unlink(), ("bad_checkpoint", 0)),
    "the checkpoint says another size": (
        lambda e: e.edit("checkpoint", lambda note: note.replace(b"\n600\n", b"\n599\n")),
        ("bad_checkpoint", 0),
    ),
    "the checkpoint is an older one": (
        lambda e: e.put("checkpoint", sign(e.checkpoint(512).text, LOG).encode()),
        ("extra_file", 0),
    ),
    "something lies beside the tiles": (lambda e: e.put("tile/0/letter", b"hello"), ("extra_file", 0)),
    "a tail is hidden behind the log": (lambda e: e.put("tile/entries/003", b""), ("extra_file", 0)),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_the_leaf_named(exported: Exported, how: str):
    change, expected = TAMPERED[how]
    assert exported.read().sound
    change(exported)
    reading = exported.read()
    assert codes(reading)[0] == expected, reading.failures
    assert all(failure.reason.zh and failure.reason.en for failure in reading.failures)


def test_the_case_and_the_event_of_a_leaf_that_fails_are_named(exported: Exported):
    exported.write(edited(exported, 300), tiles=False)
    (failure,) = exported.read().failures
    told = parse(exported.data[300])
    assert (failure.case_id, failure.seq, failure.event_id) == (told.case, told.seq, told.event)


def test_a_partial_tile_may_have_given_way_to_the_whole_one(exported: Exported):
    data = history(WIDTH * 3)
    (exported.folder / tile_path(0, 2, 88)).unlink()
    (exported.folder / bundle_path(2, 88)).unlink()
    exported.write(data)
    assert {code for code, _ in codes(exported.read())} == {"extra_file"}  # of a newer log, under the older checkpoint
    exported.write(data, signed=True)
    assert exported.read().sound


def test_the_log_is_held_against_checkpoints_that_were_kept(exported: Exported):
    kept = [exported.checkpoint(size) for size in (0, 1, 255, 256, 257, SIZE)]
    assert exported.read(*kept).sound
    forked = exported.checkpoint(300)._replace(root=b"r" * 32)
    assert [code for code, _ in codes(exported.read(forked))] == ["log_fork"]
    ahead = exported.checkpoint(SIZE)._replace(size=SIZE + 1)
    assert [code for code, _ in codes(exported.read(ahead))] == ["stale_checkpoint"]


def test_a_history_rewritten_and_signed_anew_is_told_by_who_kept_a_checkpoint(exported: Exported):
    kept = exported.checkpoint(400)
    exported.write(chained(edited(exported, 300), 300), signed=True)
    assert exported.read().sound
    assert [code for code, _ in codes(exported.read(kept))] == ["log_fork"]


def test_a_foreign_key_of_the_same_name_verifies_nothing(exported: Exported):
    reading = exported.read(signer=new_signer(LOG.name, b"f" * 32))
    assert [code for code, _ in codes(reading)] == ["bad_checkpoint"]


def test_the_log_of_a_later_epoch_goes_on_in_the_middle_of_cases(exported: Exported, tmp_path: Path):
    later = Exported(tmp_path / "later", exported.data[300:])
    later.write(later.data, signed=True)
    assert later.read().sound
    first = Exported(tmp_path / "first", [exported.data[0], *exported.data[300:]])
    first.write(first.data, signed=True)
    assert {code for code, _ in codes(first.read())} == {"does_not_follow"}


def test_a_leaf_of_a_later_epoch_is_named_by_its_place_in_the_feed(exported: Exported, tmp_path: Path):
    signer = new_signer(f"{LOG.name}/epoch-301", b"l" * 32)
    later = Exported(tmp_path / "later", exported.data[300:])
    later.write(edited(exported, 310)[300:])
    later.write(later.data, tiles=False)
    tree = later.checkpoint(300, later.data)._replace(origin=signer.name)
    later.put("checkpoint", sign(tree.text, signer).encode())
    assert codes(later.read(signer=signer))[0] == ("leaf_differs", 311)


def test_an_empty_log_is_whole(tmp_path: Path):
    empty = Exported(tmp_path, [])
    empty.put("checkpoint", sign(Checkpoint(LOG.name, 0, root([])).text, LOG).encode())
    assert empty.read().sound
    empty.put("checkpoint", sign(Checkpoint(LOG.name, 0, b"r" * 32).text, LOG).encode())
    assert [code for code, _ in codes(empty.read())] == ["wrong_root"]

"""The signed logs read from the database: what is published, which tiles there are, and proofs made of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from tests.conftest import copy_of
from tests.service.town import NOTE, Town
from tests.whole import integrated, keys_of, whole

from mediation.domain import merkle
from mediation.domain.checkpoints import Checkpoint
from mediation.domain.errors import BadProof, NotFound
from mediation.domain.merkle import leaf_hash, verify_consistency
from mediation.domain.notes import Signer, new_signer, sign
from mediation.domain.tiles import edge, extend
from mediation.domain.witnessing import Quorum
from mediation.gateway.embedded import Server
from mediation.settings import Urls
from mediation.store import leaves
from mediation.store.database import connect, engine
from mediation.store.leaves import Epoch, Signed
from mediation.store.logbook import Logbook
from mediation.store.sight import following, reading

SIZES = (1, 5, 256, 300, 65_535, 65_800, 70_000)
"""Those of the checkpoints of the great log."""
LEAVES = [sha256(str(number).encode()).digest() for number in range(SIZES[-1])]
OLD, NEW = (new_signer(name, bytes([number]) * 32) for number, name in enumerate(("old.example", "new.example")))
GAP = 1000
"""Positions that the old epoch has no leaf for: they were lost before the new one began."""


async def grow(connection: leaves.Connection, signer: Signer, hashes: list[bytes], sizes: tuple[int, ...]) -> None:
    size = 0
    for new in sizes:
        edges = await leaves.tiles(connection, signer.name, edge(size))
        root = merkle.root(hashes[:new])
        note = sign(Checkpoint(signer.name, new, root).text, signer)
        await leaves.store(connection, signer.name, Signed(new, root, note), extend(size, edges, hashes[size:new]))
        size = new


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def great(server: Server, template: str, anyio_backend: str) -> AsyncIterator[Urls]:
    """A log of 70,000 leaves that has ended, and one of three that goes on after it."""
    with copy_of(server, template) as urls:
        async with await connect(urls.log) as connection:
            await leaves.begin_epoch(connection, "events", Epoch(OLD.name, 1))
            await grow(connection, OLD, LEAVES, SIZES)
            await leaves.begin_epoch(connection, "events", Epoch(NEW.name, 1 + SIZES[-1] + GAP))
            await grow(connection, NEW, LEAVES[:3], (2, 3))
        yield urls


@pytest.fixture
async def book(great: Urls) -> AsyncIterator[Logbook]:
    async with await connect(great.reader) as connection:
        yield Logbook(connection)


async def test_every_door_reads_the_same_log(great: Urls):
    made = engine(great.app)
    found = []
    async with made.connect() as app, await connect(great.reader) as reader, await connect(great.log) as log:
        for connection in (app, reader, log):
            book = Logbook(connection)
            epochs, proofs = await book.epochs(), await book.proofs_of([1, 70_000])
            tile = await book.tile(OLD.name, 1, 0)
            found.append(
                (epochs, await book.published(OLD.name), proofs, tile, await book.consistency(OLD.name, 5, 300))
            )
    await made.dispose()
    assert found[0] == found[1] == found[2]
    assert [epoch.origin for epoch in found[0][0]] == [NEW.name, OLD.name]


async def test_an_inclusion_proof_leads_from_any_leaf_to_the_signed_root(book: Logbook):
    root = merkle.root(LEAVES)
    places = [1, 2, 256, 257, 65_536, 65_537, 69_888, 69_889, 70_000]
    proofs = await book.proofs_of(places)
    assert sorted(proofs) == places
    for position, proof in proofs.items():
        assert proof.index == position - 1
        assert proof.verify(LEAVES[proof.index], [OLD.verifier], OLD.name).root == root
        assert list(proof.hashes) == merkle.inclusion_proof(LEAVES, proof.index)


async def test_a_consistency_proof_leads_from_every_checkpoint_to_every_later_one(book: Logbook):
    for number, size1 in enumerate(SIZES):
        for size2 in SIZES[number:]:
            proof = await book.consistency(OLD.name, size1, size2)
            verify_consistency(size1, size2, proof, merkle.root(LEAVES[:size1]), merkle.root(LEAVES[:size2]))


async def test_the_proof_of_a_position_is_of_the_epoch_in_which_it_lies(book: Logbook):
    first = 1 + SIZES[-1] + GAP
    proof = await book.proof_of(first + 2)
    assert proof is not None
    assert (proof.index, proof.note.split("\n")[0]) == (2, NEW.name)
    proof.verify(LEAVES[2], [NEW.verifier], NEW.name)
    for lost in (0, SIZES[-1] + 1, first - 1, first + 3):
        assert await book.proof_of(lost) is None


async def test_many_proofs_are_made_of_one_query_of_tiles(great: Urls, monkeypatch: pytest.MonkeyPatch):
    sent: list[str] = []
    execute = psycopg.AsyncConnection.execute

    async def noted(self: Any, query: Any, *values: Any, **how: Any) -> Any:
        sent.append(str(query))
        return await execute(self, query, *values, **how)

    async with await connect(great.reader) as connection:
        monkeypatch.setattr(psycopg.AsyncConnection, "execute", noted)
        assert len(await Logbook(connection).proofs_of(range(1, 70_000, 701))) == 100
    assert len(sent) == 3  # the epochs, the checkpoint, the tiles


@pytest.mark.parametrize(
    ("level", "index", "width", "there"),
    [
        (0, 0, 256, True), (0, 0, 1, True), (0, 0, 5, True), (0, 0, 2, False), (0, 0, 255, False),
        (0, 1, 44, True), (0, 1, 45, False), (0, 273, 112, True), (0, 273, 111, False), (0, 273, 256, False),
        (0, 274, 1, False), (0, 255, 255, True), (0, 256, 256, True), (0, 257, 8, True),
        (1, 0, 1, True), (1, 0, 255, True), (1, 0, 256, True), (1, 0, 2, False), (1, 1, 1, True), (1, 1, 17, True), (1, 1, 2, False),
        (2, 0, 1, True), (2, 0, 2, False), (3, 0, 1, False), (7, 0, 1, False), (8, 0, 1, False), (63, 10**20, 256, False),
    ],
)  # fmt: skip
async def test_a_tile_is_there_if_it_is_full_or_a_checkpoint_needed_it(book: Logbook, level, index, width, there):
    if not there:
        with pytest.raises(NotFound):
            await book.tile(OLD.name, level, index, width)
        return
    whole_ = 256**level
    expected = [merkle.root(LEAVES[at * whole_ : (at + 1) * whole_]) for at in range(index * 256, index * 256 + width)]
    assert await book.tile(OLD.name, level, index, width) == b"".join(expected)


async def test_a_checkpoint_is_published_once_it_has_its_quorum_of_the_named_witnesses_with_every_cosignature(
    great: Urls,
):
    async with await connect(great.log) as connection, connection.transaction(force_rollback=True):
        for size, name in ((65_800, "b"), (65_800, "a"), (70_000, "b"), (70_000, "ours"), (300, "a"), (300, "b")):
            said = (OLD.name, size, name, f"— {name} {size}\n")
            await connection.execute(
                "INSERT INTO log_cosignatures (origin, size, name, line) VALUES (%s, %s, %s, %s)", said
            )
        sizes = []
        for count in range(4):
            published = await Logbook(connection, quorum=Quorum(count, ("a", "b"))).published(OLD.name)
            sizes.append(published and published.size)
        assert sizes == [70_000, 70_000, 65_800, None]
        book = Logbook(connection, quorum=Quorum(2, ("a", "b")))
        published = await book.published(OLD.name, at_least=65_800)
        assert published is not None
        signed = sign(Checkpoint(OLD.name, 65_800, published.root).text, OLD)
        assert published.note == signed + "— a 65800\n— b 65800\n"
        assert await book.published(OLD.name, at_least=65_801) is None
        assert (await Logbook(connection).published(OLD.name, at_least=70_000)).size == 70_000
        assert await book.published("nobody.example") is None
        assert await book.proof_of(1 + SIZES[-1] + GAP) is None  # of the epoch that grows nothing is cosigned yet
        assert await book.proof_of(1) is not None  # of the one that has ended nothing will be any more


async def test_a_tile_that_was_lost_makes_no_proof(great: Urls):
    async with await psycopg.AsyncConnection.connect(whole(great)) as connection:
        await connection.execute(
            "SET LOCAL session_replication_role = replica"
        )  # as a superuser can: no trigger refuses
        await connection.execute("DELETE FROM log_tiles WHERE origin = %s AND level = 0 AND idx = 0", (OLD.name,))
        book = Logbook(connection)
        assert await book.proof_of(300) is not None
        with pytest.raises(BadProof):
            await book.proof_of(3)
        await connection.rollback()


async def test_nothing_is_published_of_a_log_that_has_not_begun(great: Urls):
    async with await connect(great.reader) as connection:
        book = Logbook(connection, "access")
        assert await book.epochs() == []
        assert await book.proofs_of([1]) == {}


# ── what was logged ──


@asynccontextmanager
async def as_(town: Town, who: str) -> AsyncIterator[Any]:
    async with reading(town.engine, await town.viewer(who)) as connection:
        yield connection


async def test_events_of_a_case_are_found_by_their_instants_and_stand_where_their_proofs_say(town: Town):
    filed = await town.file()
    noted = await town.step("wang", filed.case, NOTE, version=1)
    while await integrated(town.urls):
        pass
    unlogged = await town.step("wang", filed.case, NOTE, version=2)
    moments = [(filed.case, one.at) for one in (filed, noted, unlogged)] + [(filed.case, "2026-01-01T00:00:00.000000Z")]
    verifiers = keys_of(town.urls).events.verifiers
    async with as_(town, "wang") as connection:
        book = Logbook(connection)
        found = await book.logged(moments)
        assert {one.event for one in found.values()} == {filed.event, noted.event}
        for moment, event in ((moments[0], filed), (moments[1], noted)):
            assert found[moment].data == event.canonical
            assert await book.position_of(event.event) == found[moment].position
            proof = await book.proof_of(found[moment].position)
            assert proof is not None
            proof.verify(leaf_hash(event.canonical), verifiers)
        assert await book.position_of(unlogged.event) is None
        assert await book.logged([]) == {}
    async with as_(town, "judge") as connection:  # the court has no part in it
        assert await Logbook(connection).logged(moments) == {}


async def test_entries_are_read_by_whoever_may_follow_and_by_nobody_else(town: Town):
    filed = await town.file()
    while await integrated(town.urls):
        pass
    epoch = Epoch(keys_of(town.urls).events.origin, 1)
    async with as_(town, "auditor") as connection:
        published = await Logbook(connection).published(epoch.origin)
        assert published is not None
        assert await following(connection, await town.viewer("auditor"))
        found = await Logbook(connection).entries(epoch, 0, published.size)
        assert filed.canonical in found
        assert merkle.root([leaf_hash(one) for one in found]) == published.root
    for who in ("wang", "zhao", "judge"):
        async with as_(town, who) as connection:
            assert not await following(connection, await town.viewer(who))
            await connection.execute(
                text("SELECT set_config('mediation.follows', '1', true)")
            )  # and if a query forgot it
            with pytest.raises(NotFound):
                await Logbook(connection).entries(epoch, 0, published.size)

"""Our own logs and their witnesses: real witnesses at ports of this machine, a real database, a real sequencer."""

import asyncio
import base64
import dataclasses
from contextlib import asynccontextmanager

import pytest
from cryptography.exceptions import InvalidSignature
from tests.service.town import NOTE
from tests.whole import integrated, keys_of
from tests.witness.bystanders import Book, free_port, standing
from tlog_scales import signing, tlog

from mediation.domain.checkpoints import Addition, Checkpoint, open_checkpoint
from mediation.domain.notes import SignatureKind, new_signer, parse_verifier_key, sign
from mediation.domain.witnessing import Quorum
from mediation.gateway.remembrance import Remembrance
from mediation.gateway.witnesses import Bench, WitnessAway, witnesses
from mediation.http.witness import Witness
from mediation.service.cosigning import Cosigners, QuorumAway
from mediation.service.integrate import LogHalted, Sequencer
from mediation.store import leaves
from mediation.store.database import connect
from mediation.store.logbook import Logbook


@pytest.fixture
def two(tmp_path, town):
    """Two witnesses of both logs of the town."""
    keys = keys_of(town.urls)
    vkeys = keys.events.signer.verifier.text, keys.access.signer.verifier.text
    with standing(tmp_path / "w1", *vkeys) as first, standing(tmp_path / "w2", *vkeys) as second:
        yield first, second


@asynccontextmanager
async def cosigned(town, them, quorum=0):
    """The cosigners of the town, and a call that integrates as the service does and waits for what it collects."""
    keys = keys_of(town.urls)
    made = Cosigners(town.urls.log, keys, witnesses([(one.vkey, one.url) for one in them]), quorum)

    async def integrate():
        async with await connect(town.urls.log) as connection:
            return await Sequencer(keys, cosigners=made).drain(connection)

    try:
        yield made, integrate
    finally:
        await made.close()


async def published(town, two, count):
    quorum = Quorum(count, tuple(parse_verifier_key(one.vkey).name for one in two))
    async with await connect(town.urls.log) as connection:
        return await Logbook(connection, quorum=quorum).published(keys_of(town.urls).events.origin)


async def test_every_witness_cosigns_what_was_signed_and_anybody_can_check_it(town, two):
    verifiers = [keys_of(town.urls).events.signer.verifier, *(parse_verifier_key(one.vkey) for one in two)]
    async with cosigned(town, two, quorum=2) as (cosigners, integrate):
        for _ in range(2):
            case = await town.file()
            await town.step("wang", case.case, NOTE, version=1)
            assert await integrate() >= 2
            await cosigners.collected()
        shown = await published(town, two, 2)
        checkpoint, note = open_checkpoint(shown.note, verifiers, shown.origin)
        assert (checkpoint.size, len(note.signatures)) == (shown.size, 3)
        assert await cosigners.known(shown.origin) == [checkpoint, checkpoint]


async def test_the_checkpoint_that_is_published_is_the_last_with_its_quorum(town, two):
    second = two[1]
    async with cosigned(town, two, quorum=2) as (cosigners, integrate):
        await town.file()
        await integrate()
        await cosigners.collected()
        before = await published(town, two, 2)
        second.kill()
        await town.file()
        # Nothing waits for a witness that is down once the sequencer knows that nothing was taken back.
        async with await connect(town.urls.log) as connection:
            sequencer = Sequencer(keys_of(town.urls), cosigners=cosigners)
            sequencer._assured |= {keys_of(town.urls).events.origin, keys_of(town.urls).access.origin}
            assert await sequencer.drain(connection) == 1
        for _ in range(500):
            if (await published(town, two, 1)).size > before.size:
                break
            await asyncio.sleep(0.01)
        assert (await published(town, two, 1)).size == before.size + 1
        assert await published(town, two, 2) == before
        second.start()
        await cosigners.collected()
        assert (await published(town, two, 2)).size == before.size + 1


async def test_while_fewer_witnesses_than_the_quorum_answer_a_sequencer_that_begins_signs_nothing(town, two):
    two[1].kill()
    await town.file()
    async with cosigned(town, two, quorum=2) as (cosigners, integrate):
        with pytest.raises(QuorumAway):
            await integrate()
        two[1].start()
        assert await integrate() >= 1
        await cosigners.collected()


async def test_without_a_quorum_witnesses_that_are_away_hinder_nothing(town, two):
    for one in two:
        one.kill()
    await town.file()
    async with cosigned(town, two) as (_, integrate):
        assert await integrate() >= 1


async def test_a_log_that_a_witness_has_seen_larger_was_rolled_back_and_signs_nothing(town, two):
    keys = keys_of(town.urls)
    await town.file()
    await integrated(town.urls)
    book = Book(keys.events.origin)
    book.signer = keys.events.signer
    assert two[0].add(book.addition(0, 30))[0] == 200
    async with cosigned(town, two) as (_, integrate):
        await town.file()
        with pytest.raises(LogHalted) as halted:
            await integrate()
    assert [reason.code for reason in halted.value.reasons] == ["log_rollback"]
    assert "mediation log recover" in halted.value.en
    assert await waiting(town) == 1


async def test_a_log_that_a_witness_has_seen_with_another_root_is_a_fork(town, two):
    keys = keys_of(town.urls)
    for _ in range(2):
        await town.file()
    await integrated(town.urls)
    book = Book(keys.events.origin)
    book.signer = keys.events.signer
    assert two[1].add(book.addition(0, 1))[0] == 200
    async with cosigned(town, two) as (_, integrate):
        await town.file()
        with pytest.raises(LogHalted) as halted:
            await integrate()
    assert [reason.code for reason in halted.value.reasons] == ["log_fork"]


async def waiting(town):
    async with await connect(town.urls.log) as connection:
        return await leaves.count_waiting(connection, "events")


# ── what a witness may answer ──


@asynccontextmanager
async def answering(*answers):
    """A witness that answers these bytes, one after the other, whatever it is asked; its address."""
    left = list(answers)

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = [
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        await reader.readexactly(sum(length))
        status, body, *more = left.pop(0)
        said = "".join(f"{line}\r\n" for line in more)
        writer.write(
            f"HTTP/1.1 {status} X\r\n{said}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        writer.close()

    port = free_port()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda *_: (200, b""),
        lambda line, _: (200, line.replace(b"witness.example/w1", b"witness.example/w2")),
        lambda _, other: (200, other),
        lambda line, _: (200, flipped(line)),
        lambda line, _: (200, line + b"x" * 70_000),
        lambda *_: (302, b"", "Location: http://127.0.0.1:1/"),
        lambda *_: (409, b"many\n"),
        lambda line, _: (500, line),
    ],
    ids=[
        "nothing",
        "named-otherwise",
        "a-stranger's",
        "changed",
        "too-much",
        "redirect",
        "no-size",
        "failure",
    ],
)
async def test_what_is_not_the_witness_s_own_cosignature_is_no_cosignature(book, cosigner, spoil, anyio_backend):
    line, other = (made.line(book.checkpoint(5).text, 1_700_000_000).encode() for made in (cosigner, stranger()))
    async with answering(spoil(line, other)) as url:
        [trusted] = witnesses([(cosigner.verifier.text, url)])
        bench = Bench()
        with pytest.raises(WitnessAway):
            await bench.ask(trusted, Addition(0, (), book.note(5)))
        await bench.close()


async def test_a_foreign_cosignature_beside_the_witness_s_own_is_left_out(book, cosigner, anyio_backend):
    text = book.checkpoint(5).text
    mine, other = (made.line(text, 1_700_000_000) for made in (cosigner, stranger()))
    async with answering((200, (other + mine).encode())) as url:
        bench = Bench()
        answered = await bench.ask(*witnesses([(cosigner.verifier.text, url)]), Addition(0, (), book.note(5)))
        await bench.close()
    assert answered.lines == (mine,)


async def test_what_a_witness_has_seen_counts_only_with_the_signatures_of_log_and_witness(
    book, cosigner, anyio_backend
):
    note, line = book.note(5), cosigner.line(book.checkpoint(5).text, 1_700_000_000)
    forger = Book(key="another")
    for told, fits in (
        (note + line, True),
        (note, False),
        (forger.note(5) + line, False),
        (note + stranger().line(book.checkpoint(5).text, 1_700_000_000), False),
        (sign(Checkpoint("other.example", 5, b"x" * 32).text, book.signer) + line, False),
    ):
        async with answering((200, told.encode())) as url:
            [trusted] = witnesses([(cosigner.verifier.text, url)])
            bench = Bench()
            if fits:
                assert await bench.newest(trusted, book.signer.name, [book.signer.verifier]) == book.checkpoint(5)
            else:
                with pytest.raises(WitnessAway):
                    await bench.newest(trusted, book.signer.name, [book.signer.verifier])
            await bench.close()


def stranger():
    return new_signer("witness.example/stranger", b"s" * 32, SignatureKind.COSIGNATURE)


def flipped(line):
    *before, coded = line.strip().split(b" ")
    data = bytearray(base64.b64decode(coded))
    data[-1] ^= 1
    return b" ".join([*before, base64.b64encode(bytes(data))]) + b"\n"


def test_another_program_verifies_our_cosignature(tmp_path, book, cosigner):
    witness = Witness(cosigner, {book.signer.name: [book.signer.verifier]}, Remembrance(tmp_path / "memory"))
    line = witness.answer(book.addition(0, 5))[1]
    read = tlog.Checkpoint.from_text(book.note(5) + line)
    theirs = signing.Vkey.from_string(cosigner.verifier.text).get_verifier()
    theirs.verify_note(read.signatures[1], read)
    other = dataclasses.replace(read, size=6)
    with pytest.raises(InvalidSignature):
        theirs.verify_note(other.signatures[1], other)

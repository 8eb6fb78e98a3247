"""Whatever a superuser changes of the signed logs, verification tells where; and what was once signed is held against it."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from tests.service.test_verification import behind_the_triggers
from tests.service.town import ESCALATE, NOTE, Town, asked_by, opened, populate
from tests.whole import integrated, keys_of

from mediation.domain.checkpoints import Checkpoint
from mediation.domain.errors import BadNote
from mediation.domain.merkle import leaf_hash, root
from mediation.domain.notes import SignatureKind, new_signer, sign
from mediation.gateway.embedded import Server
from mediation.service.findings import Trust
from mediation.service.verification import Report, verify_database
from mediation.settings import Urls

WITNESS = new_signer("witness.example", b"w" * 32, SignatureKind.COSIGNATURE)
STRANGER = new_signer("other.example", b"s" * 32)


class Told(NamedTuple):
    """A town whose events and disclosures were signed in two batches, and the case that is tampered with."""

    town: Town
    case_id: str
    urls: Urls

    @property
    def trust(self) -> Trust:
        keys = keys_of(self.urls)
        return Trust((*keys.events.verifiers, *keys.access.verifiers, WITNESS.verifier))

    async def verified(self, *kept: str) -> Report:
        return await verify_database(self.urls.reader, trust=self.trust._replace(kept=kept))


async def shown(town: Town, case_id: str) -> None:
    seen = await town.seen("wang")
    context = asked_by("wang").context
    await town.house.memory.disclose(context, seen.actor, "disclosure", case_id, "mediation", ["parties.1.phone"])


@pytest.fixture
async def told(database_urls: Urls, server: Server) -> AsyncIterator[Told]:
    await populate(database_urls)
    async with opened(database_urls) as town:
        await town.file()
        case_id = (await town.file()).case
        await town.step("wang", case_id, NOTE | {"text": "走访"})
        await shown(town, case_id)
        await integrated(database_urls)
        await town.step("wang", case_id, ESCALATE)
        await town.file()
        await shown(town, case_id)
        await shown(town, case_id)
        await integrated(database_urls)
        yield Told(town, case_id, database_urls)


async def notes(told: Told, server: Server, which: str = "events") -> list[str]:
    async with behind_the_triggers(server, told.urls) as superuser:
        origin = getattr(keys_of(told.urls), which).origin
        rows = await superuser.execute("SELECT note FROM log_checkpoints WHERE origin = %s ORDER BY size", (origin,))
        return [note for (note,) in await rows.fetchall()]


async def test_what_was_signed_is_sound(told: Told, server: Server):
    heard: list[tuple[int, int]] = []
    report = await verify_database(
        told.urls.reader, trust=told.trust, growing=lambda done, total: heard.append((done, total))
    )
    assert report.failures == ()
    assert (report.leaves, report.accesses, report.checkpoints, report.signed) == (8, 3, 4, True)
    assert heard[-1] == (11, 11)
    assert (await told.verified(*await notes(told, server), *await notes(told, server, "access"))).sound


async def test_without_its_key_a_log_is_not_sound(told: Told):
    report = await verify_database(told.urls.reader, trust=Trust())
    assert {failure.reason.code for failure in report.failures} == {"log_key_unknown"}


_EDIT = (
    "UPDATE events SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), {}), 'UTF8') "
    "WHERE case_id = %(case)s AND seq = {}"
)

# Positions 1 to 3 are the log of administration, 4 and 8 of other cases, 5 to 7 of this one.
# What is done; what is found, and of which event of the case (0: of the log).
TAMPERED: dict[str, tuple[list[str], str, int]] = {
    "an event is edited": ([_EDIT.format("'\"fact\"', '\"visit\"'", 2)], "leaf_differs", 2),
    "the last event is edited": ([_EDIT.format("'beyond_capacity', 'party_choice'", 3)], "leaf_differs", 3),
    "an event is deleted": (["DELETE FROM events WHERE case_id = %(case)s AND seq = 2"], "feed_empty", 0),
    "an event is deleted with all its traces": (
        [
            "DELETE FROM feed WHERE position = 6",
            "DELETE FROM spans WHERE case_id = %(case)s AND seq = 2",
            "DELETE FROM events WHERE case_id = %(case)s AND seq = 2",
        ],
        "feed_gap",
        0,
    ),
    "two events of a case change places": (
        [
            "UPDATE feed SET position = -position WHERE position IN (5, 6)",
            "UPDATE feed SET position = 11 + position WHERE position < 0",
            "UPDATE spans SET position = -position WHERE position IN (5, 6)",
            "UPDATE spans SET position = 11 + position WHERE position < 0",
        ],
        "wrong_order",
        2,
    ),
    "an event is inserted that nobody signed": (
        [
            (
                "INSERT INTO feed SELECT max(position) + 1, gen_random_uuid() FROM feed; "
                "INSERT INTO events (id, case_id, seq, bytes) SELECT f.event, e.case_id, e.seq + 1, e.bytes FROM events e, feed f "
                "WHERE e.case_id = %(case)s AND e.seq = 3 AND f.position = (SELECT max(position) FROM feed)"
            )
        ],
        "log_unsigned",
        4,
    ),
    "the tail is cut": (
        ["DELETE FROM feed WHERE position > 7; DELETE FROM spans WHERE position > 7"],
        "log_cut",
        0,
    ),
    "two cases change their first events": (
        [
            (
                "WITH a AS (SELECT id, bytes FROM events WHERE case_id = %(case)s AND seq = 1), "
                "b AS (SELECT id, bytes FROM events WHERE case_id = %(other)s AND seq = 1) "
                "UPDATE events e SET bytes = CASE WHEN e.id = a.id THEN b.bytes ELSE a.bytes END "
                "FROM a, b WHERE e.id IN (a.id, b.id)"
            )
        ],
        "leaf_differs",
        1,
    ),
    "an event is gone": (["DELETE FROM events WHERE case_id = %(case)s AND seq = 2"], "feed_empty", 2),
    "an event loses its place": (["DELETE FROM feed WHERE position = 7"], "feed_lost", 3),
    "an event has its place twice": (
        ["INSERT INTO outbox (event, case_id) SELECT event, case_id FROM spans WHERE position = 6"],
        "feed_twice",
        2,
    ),
    "a leaf of a tile is changed": (
        [
            "UPDATE log_tiles SET hashes = overlay(hashes PLACING '\\x00' FROM 33) WHERE origin = %(origin)s AND level = 0"
        ],
        "leaf_differs",
        0,
    ),
    "a tile is gone": (["DELETE FROM log_tiles WHERE origin = %(origin)s"], "no_tile", 0),
    "a tile is longer than the log": (
        [
            "UPDATE log_tiles SET hashes = hashes || decode(repeat('ab', 32), 'hex') WHERE origin = %(origin)s AND level = 0"
        ],
        "wrong_edge",
        0,
    ),
    "tiles are put in that nothing leads to": (
        ["INSERT INTO log_tiles SELECT origin, 1, 0, hashes FROM log_tiles WHERE origin = %(origin)s"],
        "wrong_edge",
        0,
    ),
    "an event is edited and its tile made to fit": (
        [
            _EDIT.format("'beyond_capacity', 'party_choice'", 3),
            (
                "UPDATE log_tiles SET hashes = overlay(hashes PLACING sha256('\\x00'::bytea || e.bytes) "
                "FROM 193) FROM events e "
                "WHERE origin = %(origin)s AND level = 0 AND e.case_id = %(case)s AND e.seq = 3"
            ),
        ],
        "wrong_root",
        0,
    ),
    "a root is changed": (
        ["UPDATE log_checkpoints SET root = decode(repeat('ab', 32), 'hex') WHERE origin = %(origin)s AND size = 8"],
        "wrong_root",
        0,
    ),
    "a note says another root": (
        [
            (
                "UPDATE log_checkpoints SET note = replace(note, split_part(note, E'\\n', 3), "
                "encode(decode(repeat('ab', 32), 'hex'), 'base64')) WHERE origin = %(origin)s"
            )
        ],
        "bad_checkpoint",
        0,
    ),
    "the newest checkpoint is taken away": (
        ["DELETE FROM log_checkpoints WHERE origin = %(origin)s AND size = 8"],
        "log_unsigned",
        3,
    ),
    "an old note stands in the place of the newest": (
        [
            (
                "UPDATE log_checkpoints SET note = (SELECT note FROM log_checkpoints WHERE origin = %(origin)s ORDER BY size "
                "LIMIT 1) WHERE origin = %(origin)s AND size = 8"
            )
        ],
        "wrong_checkpoint",
        0,
    ),
    "the log bears another name": (
        [
            (
                "UPDATE log_epochs SET origin = 'other.example' WHERE origin = %(origin)s; "
                "UPDATE log_tiles SET origin = 'other.example' WHERE origin = %(origin)s; "
                "UPDATE log_checkpoints SET origin = 'other.example' WHERE origin = %(origin)s"
            )
        ],
        "log_key_unknown",
        0,
    ),
    "its beginning is forgotten": (["DELETE FROM log_epochs WHERE origin = %(origin)s"], "foreign_log", 0),
    "its places are moved": (["UPDATE log_epochs SET first_position = 2 WHERE log = 'events'"], "no_epoch", 0),
    "a span tells another state": (
        ["UPDATE spans SET state = 'closed' WHERE case_id = %(case)s AND seq = 2"],
        "wrong_span",
        2,
    ),
    "a span tells another moment": (
        ["UPDATE spans SET until = until + interval '1 day' WHERE case_id = %(case)s AND seq = 1"],
        "wrong_span",
        1,
    ),
    "a span tells that nothing was late": (
        ["UPDATE spans SET was_late = NOT was_late WHERE case_id = %(case)s AND seq = 3"],
        "wrong_span",
        3,
    ),
    "a span is gone": (["DELETE FROM spans WHERE case_id = %(case)s AND seq = 3"], "wrong_span", 3),
    "a span is of nobody": (
        ["UPDATE spans SET seq = 9 WHERE case_id = %(case)s AND seq = 3"],
        "wrong_span",
        3,
    ),
}


async def tamper(told: Told, server: Server, statements: list[str]) -> None:
    keys = keys_of(told.urls)
    async with behind_the_triggers(server, told.urls) as superuser:
        others = await superuser.execute("SELECT case_id::text FROM spans WHERE case_id <> %s LIMIT 1", (told.case_id,))
        ((other,),) = await others.fetchall()
        said = {"case": told.case_id, "other": other, "origin": keys.events.origin, "access": keys.access.origin}
        for statement in "; ".join(statements).split("; "):
            assert (await superuser.execute(statement, said)).rowcount


@pytest.mark.parametrize("how", TAMPERED)
async def test_tampering_is_found_and_its_place_named(told: Told, server: Server, how: str):
    statements, code, seq = TAMPERED[how]
    await tamper(told, server, statements)
    report = await told.verified()
    found = [failure for failure in report.failures if failure.reason.code == code]
    assert found, report.failures
    if seq:
        assert (told.case_id, seq) in {(failure.case_id, failure.seq) for failure in found}
    assert all(failure.reason.zh and failure.reason.en for failure in report.failures)


ACCESSES: dict[str, tuple[list[str], str, int]] = {
    "an entry is edited": (["UPDATE disclosures SET fields = '{}' WHERE id = 2"], "leaf_differs", 2),
    "its purpose is edited": (["UPDATE disclosures SET purpose = 'audit' WHERE id = 1"], "leaf_differs", 1),
    "it is told of another case": (["UPDATE disclosures SET case_id = %(other)s WHERE id = 3"], "leaf_differs", 3),
    "its purpose is put in words": (["UPDATE disclosures SET purpose = '调解' WHERE id = 1"], "leaf_differs", 1),
    "an entry is deleted": (["DELETE FROM disclosures WHERE id = 2"], "feed_empty", 2),
    "an entry is deleted with its place": (
        ["DELETE FROM disclosures WHERE id = 2; DELETE FROM access_feed WHERE disclosure = 2"],
        "feed_gap",
        0,
    ),
    "the last is cut": (
        ["DELETE FROM disclosures WHERE id = 3; DELETE FROM access_feed WHERE disclosure = 3"],
        "log_cut",
        0,
    ),
    "an entry is put in": (
        [
            (
                "INSERT INTO disclosures (person, org, request, kind, purpose, fields) "
                "SELECT person, org, request, kind, purpose, fields FROM disclosures LIMIT 1"
            )
        ],
        "access_lost",
        4,
    ),
    "an entry loses its place": (["DELETE FROM access_feed WHERE disclosure = 3"], "access_lost", 3),
    "an entry waits again": (["INSERT INTO access_outbox (disclosure) VALUES (1)"], "access_twice", 1),
    "the wait is for nothing": (["INSERT INTO access_outbox (disclosure) VALUES (77)"], "access_empty", 77),
}


@pytest.mark.parametrize("how", ACCESSES)
async def test_tampering_with_who_read_what_is_found(told: Told, server: Server, how: str):
    statements, code, number = ACCESSES[how]
    await tamper(told, server, statements)
    report = await told.verified()
    assert (code, number) in {(failure.reason.code, failure.access) for failure in report.failures}, report.failures


async def test_a_log_that_was_set_back_is_held_against_what_was_kept(told: Told, server: Server):
    note = (await notes(told, server))[-1]
    await tamper(
        told,
        server,
        [
            "DELETE FROM spans WHERE position > 6",
            "UPDATE spans SET until = NULL WHERE case_id = %(case)s AND seq = 2",
            "DELETE FROM events WHERE id IN (SELECT event FROM feed WHERE position > 6)",
            "DELETE FROM feed WHERE position > 6",
            "UPDATE log_tiles SET hashes = substr(hashes, 1, 192) WHERE origin = %(origin)s",
            "DELETE FROM log_checkpoints WHERE origin = %(origin)s AND size = 8",
        ],
    )
    of_log = [failure for failure in (await told.verified()).failures if failure.origin]
    assert of_log == []  # as far as the log knows by itself, it is whole
    found = [failure for failure in (await told.verified(note)).failures if failure.origin]
    assert [(failure.reason.code, failure.position) for failure in found] == [("log_rollback", 7)]


async def test_a_fork_is_held_against_what_was_kept(told: Told, server: Server):
    key = keys_of(told.urls).events
    forked = Checkpoint(key.origin, 6, root([leaf_hash(b"another history")] * 6))
    report = await told.verified(sign(forked.text, key.signer))
    assert [failure.reason.code for failure in report.failures] == ["log_fork"]


async def test_a_log_that_is_gone_is_held_against_what_was_kept(told: Told):
    note = sign(Checkpoint("other.example", 3, b"r" * 32).text, STRANGER)
    trust = told.trust._replace(verifiers=(*told.trust.verifiers, STRANGER.verifier), kept=(note,))
    report = await verify_database(told.urls.reader, trust=trust)
    assert [(failure.reason.code, failure.origin) for failure in report.failures] == [("log_rollback", "other.example")]


async def test_a_checkpoint_that_a_stranger_signed_is_not_kept(told: Told):
    with pytest.raises(BadNote):
        await told.verified(sign(Checkpoint("other.example", 3, b"r" * 32).text, STRANGER))


async def test_cosignatures_are_checked_where_the_witness_is_known(told: Told, server: Server):
    note = (await notes(told, server))[-1]
    text = note.partition("\n\n")[0] + "\n"
    line = WITNESS.line(text, 1_800_000_000)
    put = "INSERT INTO log_cosignatures (origin, size, name, line) VALUES (%s, %s, %s, %s)"
    origin = keys_of(told.urls).events.origin
    async with behind_the_triggers(server, told.urls) as superuser:
        await superuser.execute(put, (origin, 8, WITNESS.name, line))
        report = await told.verified()
        assert (report.sound, report.cosignatures) == (True, 1)
        await superuser.execute(put, (origin, 6, WITNESS.name, line))
        await superuser.execute(put, (origin, 5, WITNESS.name, line))
    report = await told.verified()
    assert {failure.reason.code for failure in report.failures} == {"bad_cosignature", "stray_cosignature"}
    assert report.cosignatures == 1


async def test_what_waits_for_its_place_is_sound(told: Told):
    await told.town.step("wang", (await told.town.file()).case, NOTE | {"text": "电话"})
    await shown(told.town, told.case_id)
    report = await told.verified()
    assert report.failures == ()
    assert (report.leaves, report.accesses) == (8, 3)

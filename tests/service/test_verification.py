"""Whatever a superuser changes behind the triggers, verification names the case, the event and how it fails."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest
from tests.service.town import ESCALATE, NOTE, Town, opened, populate
from tests.whole import integrated

from mediation.domain.facts import Actor
from mediation.domain.registering import LOG_ID
from mediation.domain.vocabulary import Role
from mediation.gateway.embedded import Server
from mediation.service import administer
from mediation.service.administer import By
from mediation.service.registry import import_identities, import_people, org_id, person_id
from mediation.service.verification import verify_database
from mediation.settings import Urls


@asynccontextmanager
async def behind_the_triggers(server: Server, urls: Urls) -> AsyncIterator[psycopg.AsyncConnection]:
    name = str(psycopg.conninfo.conninfo_to_dict(urls.app)["dbname"])
    async with await psycopg.AsyncConnection.connect(server.url("postgres", name), autocommit=True) as superuser:
        await superuser.execute("SET session_replication_role = replica")
        yield superuser


@pytest.fixture
async def told(database_urls: Urls) -> AsyncIterator[tuple[Town, str]]:
    """A town of this test's own, and a case of three events among others."""
    await populate(database_urls)
    async with opened(database_urls) as town:
        await town.file()
        case_id = (await town.file()).case
        await town.step("wang", case_id, NOTE | {"text": "走访"})
        await town.step("wang", case_id, ESCALATE)
        await town.file()
        await integrated(database_urls)
        yield town, case_id


async def test_an_untouched_database_is_sound(told: tuple[Town, str]):
    heard: list[tuple[int, int]] = []
    report = await verify_database(told[0].urls.reader, lambda done, total: heard.append((done, total)))
    assert report.sound
    assert (report.cases, report.events, report.entries, report.failures) == (3, 5, 3, ())
    assert heard == [(1, 3), (2, 3), (3, 3)]


CHANGES: dict[str, tuple[str, str, int]] = {
    "an edited event": (
        (
            "UPDATE events SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), '\"fact\"', '\"visit\"'), 'UTF8') "
            "WHERE case_id = %(case)s AND seq = 2"
        ),
        "does_not_follow",
        3,
    ),
    "an edited last event": (
        (
            "UPDATE events SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), 'beyond_capacity', 'party_choice'), 'UTF8') "
            "WHERE case_id = %(case)s AND seq = 3"
        ),
        "wrong_document",
        0,
    ),
    "an event that is not canonical": (
        "UPDATE events SET bytes = bytes || ' '::bytea WHERE case_id = %(case)s AND seq = 2",
        "not_canonical",
        2,
    ),
    "an event that is no event": (
        "UPDATE events SET bytes = '{}' WHERE case_id = %(case)s AND seq = 1",
        "not_an_event",
        1,
    ),
    "a missing event": ("DELETE FROM events WHERE case_id = %(case)s AND seq = 2", "does_not_follow", 3),
    "a missing last event": ("DELETE FROM events WHERE case_id = %(case)s AND seq = 3", "wrong_document", 0),
    "a missing history": ("DELETE FROM events WHERE case_id = %(case)s", "no_history", 0),
    "a missing case": ("DELETE FROM cases WHERE id = %(case)s", "no_case", 0),
    "an event under another id": (
        "UPDATE events SET id = gen_random_uuid() WHERE case_id = %(case)s AND seq = 2",
        "misfiled",
        2,
    ),
    "an edited document": (
        "UPDATE cases SET facts = replace(facts::text, '\"neighbour\"', '\"damages\"')::json WHERE id = %(case)s",
        "wrong_document",
        0,
    ),
    "an edited state": ("UPDATE cases SET state = 'closed' WHERE id = %(case)s", "wrong_columns", 0),
    "a case hidden from its body": ("UPDATE cases SET orgs = '{}' WHERE id = %(case)s", "wrong_columns", 0),
    "a case told otherwise in lists": (
        "UPDATE cases SET line = replace(line::text, 'window', 'hotline')::json WHERE id = %(case)s",
        "wrong_columns",
        0,
    ),
    "an edited number": ("UPDATE cases SET number = number || '9' WHERE id = %(case)s", "wrong_columns", 0),
    "an edited filing day": (
        "UPDATE cases SET filed_at = filed_at - interval '1 day' WHERE id = %(case)s",
        "wrong_columns",
        0,
    ),
    "a party whose name is gone": (
        (
            "WITH k AS (DELETE FROM vault_keys WHERE case_id = %(case)s AND subject = 2) "
            "DELETE FROM vault WHERE case_id = %(case)s AND subject = 2"
        ),
        "sealed_lost",
        0,
    ),
    "words that are gone": (
        (
            "DELETE FROM vault WHERE (case_id, digest) IN "
            "(SELECT case_id, digest FROM vault WHERE case_id = %(case)s AND subject = 0 LIMIT 1)"
        ),
        "sealed_lost",
        0,
    ),
    "a key that is gone": ("DELETE FROM vault_keys WHERE case_id = %(case)s AND subject = 1", "wrong_seal", 0),
    "words hidden as erased": (
        "UPDATE vault SET name = 'erased' WHERE case_id = %(case)s AND subject = 0",
        "wrong_seal",
        0,
    ),
    "a name brought back from another case": (
        (
            "INSERT INTO vault (case_id, subject, digest, name, sealed) "
            "SELECT %(case)s, subject, digest, name, sealed FROM vault WHERE case_id <> %(case)s AND subject = 1 LIMIT 1"
        ),
        "wrong_seal",
        0,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_behind_the_triggers_is_found_and_named(told: tuple[Town, str], server: Server, change: str):
    town, case_id = told
    sql, code, seq = CHANGES[change]
    async with behind_the_triggers(server, town.urls) as superuser:
        changed = await superuser.execute(sql, {"case": case_id})
        assert changed.rowcount
    report = await verify_database(town.urls.reader)
    assert not report.sound
    failure = report.failures[0]
    assert (failure.case_id, failure.seq, failure.reason.code) == (case_id, seq, code)
    assert failure.reason.zh
    assert failure.reason.en


async def test_an_erasure_that_no_entry_tells_hides_nothing(told: tuple[Town, str], server: Server):
    town, case_id = told
    async with behind_the_triggers(server, town.urls) as superuser:
        await superuser.execute("DELETE FROM vault WHERE case_id = %s AND subject = 1", (case_id,))
        await superuser.execute("DELETE FROM vault_keys WHERE case_id = %s AND subject = 1", (case_id,))
        noted = "INSERT INTO erasures (case_id, subject, event, at) VALUES (%s, 1, gen_random_uuid(), now())"
        await superuser.execute(noted, (case_id,))
    (failure,) = (await verify_database(town.urls.reader)).failures
    assert (failure.case_id, failure.reason.code) == (LOG_ID, "wrong_erasures")
    async with behind_the_triggers(server, town.urls) as superuser:
        await superuser.execute("DELETE FROM events WHERE case_id = %s", (LOG_ID,))
    assert "wrong_erasures" in {found.reason.code for found in (await verify_database(town.urls.reader)).failures}


_EDIT = "UPDATE events SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), {}), 'UTF8') WHERE case_id = %(log)s AND seq = {}"
LOG: dict[str, tuple[str, str, int]] = {
    "an edited entry": (_EDIT.format("'\"lines\":5', '\"lines\":8'", 2), "does_not_follow", 3),
    "a missing entry": ("DELETE FROM events WHERE case_id = %(log)s AND seq = 1", "does_not_follow", 2),
    "an entry that says a name": (_EDIT.format('\'"attrs":{\', \'"attrs":{"a":"wang",\'', 4), "bad_entry", 4),
    "a role granted past the log": (
        "UPDATE memberships SET roles = '{chair}' WHERE person = %(who)s",
        "wrong_membership",
        0,
    ),
    "a membership that is gone": ("DELETE FROM memberships WHERE person = %(who)s", "wrong_membership", 0),
    "a membership that nobody gave": (
        "INSERT INTO memberships SELECT %(who)s, id, '{auditor}' FROM organisations WHERE code = 'audit'",
        "wrong_membership",
        0,
    ),
    "a mediator of the file who is an auditor now": (
        "UPDATE memberships SET roles = '{auditor}' WHERE person = (SELECT id FROM people WHERE code = 'li')",
        "wrong_membership",
        0,
    ),
    "a person whom nobody registered": (
        "INSERT INTO people SELECT gen_random_uuid(), 'ghost', '鬼', id FROM organisations LIMIT 1",
        "wrong_person",
        0,
    ),
    "a person of the file who is gone": ("DELETE FROM people WHERE code = 'li'", "wrong_person", 0),
    "a person who is another body's": (
        "UPDATE people SET home = (SELECT id FROM organisations WHERE code = 'court') WHERE id = %(who)s",
        "wrong_person",
        0,
    ),
    "an identity that nobody linked": (
        "INSERT INTO identities VALUES ('https://x', 'y', %(who)s)",
        "wrong_identity",
        0,
    ),
    "an identity that is somebody else's": ("UPDATE identities SET person = %(who)s", "wrong_identity", 0),
    "an identity of another name": ("UPDATE identities SET subject = 'thief'", "wrong_identity", 0),
    "an identity that is gone": ("DELETE FROM identities", "wrong_identity", 0),
    "a body that nobody registered": (
        (
            "INSERT INTO organisations SELECT gen_random_uuid(), 'x', name, name_en, kind, tier, division, speciality, "
            "superior, path, active FROM organisations WHERE code = 'audit'"
        ),
        "wrong_body",
        0,
    ),
    "a body under another name": ("UPDATE organisations SET name = '假' WHERE code = 'court'", "wrong_body", 0),
    "a body that was closed": ("UPDATE organisations SET active = false WHERE code = 'court'", "wrong_body", 0),
    "a body that is seen by others": (
        "UPDATE organisations SET path = path || (SELECT id FROM organisations WHERE code = 'court') WHERE code = 'village'",
        "wrong_path",
        0,
    ),
    "a division under another name": ("UPDATE divisions SET name = '假' WHERE name <> '假'", "wrong_division", 0),
    "a division that is nowhere": ("INSERT INTO divisions VALUES ('9', '假', 'county', NULL)", "wrong_division", 0),
}


@pytest.mark.parametrize("change", LOG)
async def test_a_change_of_the_registry_behind_its_log_is_found(told: tuple[Town, str], server: Server, change: str):
    town = told[0]
    await import_people(town.engine, "person_code,name,org_code,roles\nguard,安全员,centre,security_admin\n")
    actor = Actor(person=person_id("guard"), org=org_id("centre"), roles=(Role.SECURITY_ADMIN,))
    by = By(actor, "2026-11-22T08:00:00.000000Z", actor.person)
    await administer.grant(town.engine, by, person_id("wang"), org_id("village"), [Role.CLERK])
    await import_identities(town.engine, "person_code,issuer,subject\nguard,https://login.example,g-1\n")
    assert (await verify_database(town.urls.reader)).entries == 6
    sql, code, seq = LOG[change]
    async with behind_the_triggers(server, town.urls) as superuser:
        assert (await superuser.execute(sql, {"log": LOG_ID, "who": person_id("wang")})).rowcount
    report = await verify_database(town.urls.reader)
    failure = report.failures[0]
    assert (failure.case_id, failure.seq, failure.reason.code) == (LOG_ID, seq, code)
    assert failure.reason.zh


FEED: dict[str, Callable[[], str]] = {
    "feed_gap": lambda: "UPDATE feed SET position = position + 1 WHERE position = (SELECT max(position) FROM feed)",
    "feed_lost": lambda: "DELETE FROM feed WHERE position = (SELECT max(position) FROM feed)",
    "feed_empty": lambda: "UPDATE feed SET event = gen_random_uuid() WHERE position = 2",
}


@pytest.mark.parametrize("code", FEED)
async def test_a_feed_that_lost_something_is_named(told: tuple[Town, str], server: Server, code: str):
    async with behind_the_triggers(server, told[0].urls) as superuser:
        await superuser.execute(FEED[code]())
    report = await verify_database(told[0].urls.reader)
    assert code in {failure.reason.code for failure in report.failures}


SEALED: dict[str, str] = {
    "a sealed value": "UPDATE vault SET sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20)) WHERE case_id = %(case)s AND subject = 1",
    "a value too short to be one": "UPDATE vault SET sealed = '' WHERE case_id = %(case)s AND subject = 1",
    "the key that opens it": "UPDATE vault_keys SET wrapped = sha256(wrapped) WHERE case_id = %(case)s AND subject = 1",
    "a value brought from another party": (
        "UPDATE vault v SET sealed = o.sealed FROM vault o "
        "WHERE v.case_id = %(case)s AND o.case_id = v.case_id AND v.subject = 1 AND o.subject = 2"
    ),
}


@pytest.mark.parametrize("change", SEALED)
async def test_what_is_not_what_was_sealed_is_found_by_who_has_the_key_of_the_vault(
    told: tuple[Town, str], server: Server, change: str
):
    town, case_id = told
    sound = await verify_database(town.urls.reader, vault=town.house.vault)
    assert (sound.sound, sound.opened) == (True, True)
    async with behind_the_triggers(server, town.urls) as superuser:
        assert (await superuser.execute(SEALED[change], {"case": case_id})).rowcount
    (failure,) = (await verify_database(town.urls.reader, vault=town.house.vault)).failures
    assert (failure.case_id, failure.reason.code) == (case_id, "wrong_seal")
    unopened = await verify_database(town.urls.reader)
    assert (unopened.sound, unopened.opened) == (True, False)

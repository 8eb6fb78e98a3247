"""What stands beside the histories, the registry, laws, numbers and indexes, is compared with them too."""

import pytest
from tests.service.test_verification import behind_the_triggers, told
from tests.service.town import Town

from mediation.domain.packs import digest_of
from mediation.domain.registering import LOG_ID
from mediation.gateway.embedded import Server
from mediation.service.verification import verify_database
from mediation.store.shelf import note_set

__all__ = ["told"]


async def test_a_registry_whose_log_is_gone_is_as_nobody_left_it(told: tuple[Town, str], server: Server):
    async with behind_the_triggers(server, told[0].urls) as superuser:
        await superuser.execute("DELETE FROM events WHERE case_id = %s", (LOG_ID,))
    found = {(one.case_id, one.reason.code) for one in (await verify_database(told[0].urls.reader)).failures}
    assert (LOG_ID, "wrong_division") in found


OTHER: dict[str, tuple[str, str]] = {
    "a set of laws without its files": ("UPDATE law_sets SET files = '{}'", "wrong_laws"),
    "a set of laws that holds no texts": ("UPDATE law_sets SET files = '[1]'", "wrong_laws"),
    "a rule that was changed": (
        (
            "UPDATE law_sets SET files = (SELECT json_object_agg(key, CASE key WHEN 'a.toml' THEN 'limit = 90' ELSE value END) "
            "FROM json_each_text(files))"
        ),
        "wrong_laws",
    ),
    "numbers that would be given twice": ("UPDATE case_numbers SET last = last - 1", "wrong_number"),
    "a count of numbers that is gone": ("DELETE FROM case_numbers", "wrong_number"),
    "a body that has settled more": (
        "UPDATE tallies SET count = count + 1 WHERE what = 'cases' AND category <> '' AND org = (SELECT id FROM organisations WHERE code = 'village')",
        "wrong_tallies",
    ),
    "a body that took less time": (
        "UPDATE tallies SET days = '{1}' WHERE what = 'cases' AND category = '' AND org = (SELECT id FROM organisations WHERE code = 'village')",
        "wrong_tallies",
    ),
    "a body of which nothing is counted": (
        "DELETE FROM tallies WHERE what = 'cases' AND category = '' AND org = (SELECT id FROM organisations WHERE code = 'village')",
        "wrong_tallies",
    ),
}


@pytest.mark.parametrize("change", OTHER)
async def test_laws_and_numbers_are_as_the_histories_need_them(told: tuple[Town, str], server: Server, change: str):
    urls = told[0].urls
    files = {"a.toml": "limit = 30", "b.csv": "day"}
    await note_set(told[0].engine, digest_of(files)[1], files)
    assert (await verify_database(urls.reader)).failures == ()
    sql, code = OTHER[change]
    async with behind_the_triggers(server, urls) as superuser:
        assert (await superuser.execute(sql)).rowcount
    (failure,) = (await verify_database(urls.reader)).failures
    assert failure.reason.code == code
    assert failure.reason.zh


INDEX: dict[str, str] = {
    "a party that is not known again": "UPDATE vault SET blind = NULL WHERE case_id = %s AND subject = 1",
    "a party not found by their number": "UPDATE vault SET blind_id = NULL WHERE case_id = %s AND subject = 1",
    "a party found by another's number": "UPDATE vault SET blind_id = 'x' WHERE case_id = %s AND subject = 2",
    "words that are not all found": "UPDATE vault_words SET grams = grams[2:] WHERE case_id = %s",
    "words that are not found": "DELETE FROM vault_words WHERE case_id = %s",
}


@pytest.mark.parametrize("change", INDEX)
async def test_a_case_that_is_no_longer_found_is_told_to_who_has_the_key(
    told: tuple[Town, str], server: Server, change: str
):
    town, case_id = told
    assert (await verify_database(town.urls.reader, vault=town.house.vault)).failures == ()
    async with behind_the_triggers(server, town.urls) as superuser:
        assert (await superuser.execute(INDEX[change], (case_id,))).rowcount
    (failure,) = (await verify_database(town.urls.reader, vault=town.house.vault)).failures
    assert (failure.case_id, failure.reason.code) == (case_id, "wrong_index")
    assert failure.reason.zh

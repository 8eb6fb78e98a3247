"""Synthesised cases: truly decided, verified to the last leaf, the same of one seed, and at home in the service."""

import asyncio
from datetime import date

import psycopg
import pytest
from tests.service import town
from tests.whole import keys_of

from mediation.domain.tiles import WIDTH
from mediation.domain.vocabulary import Category
from mediation.gateway.vault import Vault
from mediation.service.findings import Trust
from mediation.service.imagined import counties
from mediation.service.imagined.plots import disputes_like, plots
from mediation.service.registry import import_divisions, import_organisations, org_id
from mediation.service.synthesize import Synthesized, Wanted, synthesize
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.database import engine
from mediation.store.loading import BodiesThere, CasesThere, loading

KEY = b"k" * 32
WANTED = Wanted(cases=90, counties=2, years=1, until=date(2026, 11, 21), seed="1")


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What the progress bar was told."""
    return []


@pytest.fixture(scope="module")
def made(module_database_urls: Urls, told) -> Synthesized:
    say = lambda done, total: told.append((done, total))  # noqa: E731  # it is two words long
    keys = keys_of(module_database_urls)
    return asyncio.run(synthesize(module_database_urls, KEY, keys, WANTED, processes=2, progress=say))


def rows(urls: Urls, query: str, *said: object) -> list[tuple]:
    with psycopg.connect(urls.reader) as connection:
        return connection.execute(query, said).fetchall()


def test_what_was_synthesised_verifies_to_the_last_leaf_and_opens_to_the_last_value(made, module_database_urls: Urls):
    keys = keys_of(module_database_urls)
    trust = Trust(tuple(verifier for key in keys for verifier in key.verifiers))
    report = asyncio.run(verify_database(module_database_urls.reader, trust=trust, vault=Vault(KEY)))
    assert report.sound, report.failures
    assert (report.cases, report.events) == (made.cases, made.events) == (90, report.leaves - report.entries)
    assert report.leaves > 2 * WIDTH


def test_every_case_was_decided_again_step_by_step_and_read_back(made):
    assert made.retold == made.sampled >= 80
    assert made.proven == made.events


def test_all_that_may_become_of_a_dispute_is_among_them(made, module_database_urls: Urls):
    states = {state for (state,) in rows(module_database_urls, "SELECT DISTINCT state FROM cases")}
    assert {"filed", "accepted", "mediating", "in_transit", "deciding", "settled", "closed", "archived"} <= states
    categories = {category for (category,) in rows(module_database_urls, "SELECT DISTINCT category FROM cases")}
    assert len(categories) >= len(Category) - 6
    assert rows(module_database_urls, "SELECT count(*) FROM cases WHERE restricted")[0][0] > 0
    assert rows(module_database_urls, "SELECT count(*) FROM cases WHERE late_at < now()")[0][0] > 0


def test_no_step_was_taken_after_the_last_day_and_none_before_the_first(made, module_database_urls: Urls):
    first, last = rows(module_database_urls, "SELECT min(since)::date, max(since)::date FROM spans")[0]
    assert WANTED.since <= first <= last <= WANTED.until


def test_places_in_the_log_are_in_the_order_of_time_and_ids_are_too(made, module_database_urls: Urls):
    found = rows(module_database_urls, "SELECT since, event FROM spans ORDER BY position")
    assert [row[0] for row in found] == sorted(row[0] for row in found)
    assert [row[1].int >> 80 for row in found] == sorted(row[1].int >> 80 for row in found)


def test_filing_goes_on_after_the_last_number(made, module_database_urls: Urls):
    given = """
SELECT count(*) FROM cases c JOIN organisations o ON starts_with(c.number, o.code || '-')
LEFT JOIN case_numbers n ON n.org = o.id AND n.year = split_part(right(c.number, 11), '-', 1)::int
WHERE n.last IS NULL OR n.last < right(c.number, 6)::int"""
    assert rows(module_database_urls, given) == [(0,)]


def test_nothing_is_left_open_to_the_owner_and_no_index_is_missing(
    made, module_database_urls: Urls, database_urls: Urls
):
    named = """
SELECT pg_get_indexdef(oid) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname !~ '_[0-9]{6}' AND relkind IN ('i', 'I') ORDER BY 1"""
    forced = """
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname !~ '_[0-9]{6}' ORDER BY 1"""  # months differ, nothing else
    keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n' AND conname !~ '_[0-9]{6}' ORDER BY 1, 2"
    for asked in (named, forced, keys):
        assert rows(module_database_urls, asked) == rows(database_urls, asked)


def test_there_are_cases_already_and_so_nothing_is_put_among_them_nor_among_the_bodies(
    made, module_database_urls: Urls
):
    written = (
        "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM organisations), (SELECT count(*) FROM people)"
    )
    before = rows(module_database_urls, written)
    wanted = WANTED._replace(cases=1, counties=3)
    with pytest.raises(CasesThere):
        asyncio.run(synthesize(module_database_urls, KEY, keys_of(module_database_urls), wanted))
    assert rows(module_database_urls, written) == before


async def test_nothing_is_invented_among_bodies_that_are_real(database_urls: Urls):
    await town.populate(database_urls)
    before = rows(database_urls, "SELECT code FROM organisations ORDER BY code")
    with pytest.raises(BodiesThere, match="audit"):
        await synthesize(database_urls, KEY, keys_of(database_urls), WANTED._replace(cases=1))
    assert rows(database_urls, "SELECT code FROM organisations ORDER BY code") == before


async def test_a_number_that_a_refused_filing_has_taken_is_no_obstacle_and_is_not_given_again(database_urls: Urls):
    made = engine(database_urls.app)
    await import_divisions(made, town.DIVISIONS)
    await import_organisations(made, town.ORGANISATIONS)
    await made.dispose()
    village = org_id("village")
    async with loading(database_urls.owner) as load:
        await load.number({(village, 2026): 7})
        await load.number({(village, 2026): 3})
    assert rows(database_urls, "SELECT last FROM case_numbers") == [(7,)]


def test_one_seed_makes_the_same_events_however_many_processes_and_whatever_the_key(
    made, module_database_urls: Urls, database_urls: Urls
):
    asyncio.run(synthesize(database_urls, b"o" * 32, keys_of(database_urls), WANTED, processes=1))
    asked = "SELECT e.bytes FROM events e JOIN cases c ON c.id = e.case_id ORDER BY e.id"
    assert rows(database_urls, asked) == rows(module_database_urls, asked)


def test_the_reference_county_has_as_many_townships_and_villages_as_it_should():
    levels = [line.split(",")[1] for line in counties.imports(counties.codes(1)[0], 2).divisions.splitlines()]
    assert (levels.count("township"), levels.count("village")) == (counties.TOWNSHIPS, counties.VILLAGES)


def test_counties_are_as_many_as_are_wanted_and_no_two_share_a_code():
    codes = counties.codes(counties.MOST_COUNTIES)
    assert len(set(codes)) == counties.MOST_COUNTIES
    assert "150599" not in codes


def test_every_plot_has_disputes_to_be_told_of():
    assert [name for name in plots() if not disputes_like(name)] == []

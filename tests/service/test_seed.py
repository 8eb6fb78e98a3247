"""Seeding a real database: what is put there stands, is whole, and is not put there twice by mistake."""

import asyncio
from datetime import date, datetime, timedelta

import psycopg
import pytest
from tests.listed import belonging, listed
from tests.whole import keys_of

from mediation.domain.calendar import SHANGHAI
from mediation.gateway.vault import Vault
from mediation.service import seed as seeding
from mediation.service.naiman import county
from mediation.service.registry import person_by
from mediation.service.seed import NotEmpty, chosen, seed
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.database import engine

TENTH = 20
TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """What the progress bar was told."""
    return []


@pytest.fixture(scope="module")
def seeded(module_database_urls: Urls, told) -> Urls:
    """A database with the county and a tenth of its disputes, for all tests of this file."""
    say = lambda done, total: told.append((done, total))  # noqa: E731  # it is two words long
    made = asyncio.run(
        seed(
            module_database_urls,
            Vault(b"k" * 32),
            keys=keys_of(module_database_urls),
            disputes=TENTH,
            until=TODAY,
            progress=say,
        )
    )
    assert (made.divisions, made.organisations, made.cases) == (400, len(county.organisations()), TENTH)
    return module_database_urls


async def rows(urls: Urls, query: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(urls.reader) as connection:
        return await (await connection.execute(query)).fetchall()


def test_what_was_seeded_verifies_to_the_last_event(seeded: Urls, told):
    report = asyncio.run(verify_database(seeded.reader))
    assert (report.sound, report.cases) == (True, TENTH), report.failures
    assert report.events == len(told) == told[-1][0] == told[-1][1]


def test_no_step_was_taken_after_the_day_it_ends_on_nor_out_of_order(seeded: Urls):
    found = asyncio.run(rows(seeded, "SELECT bytes FROM events WHERE case_id IN (SELECT id FROM cases)"))
    latest = max(str(data).partition('"at":"')[2][:27] for (data,) in found)
    assert datetime.fromisoformat(latest).astimezone(SHANGHAI).date() <= TODAY


def test_every_event_has_its_place_in_the_feed(seeded: Urls):
    counts = asyncio.run(rows(seeded, "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM feed)"))
    assert counts[0][0] == counts[0][1] > TENTH


def test_every_case_is_listed_at_the_bodies_it_names_and_at_all_above_them_as_it_stands(seeded: Urls):
    assert listed(seeded) == belonging(seeded)
    assert len(belonging(seeded)) > 2 * TENTH


def test_no_name_of_a_party_stands_in_the_clear(seeded: Urls):
    names = {party["name"] for group in chosen(TENTH) for dispute in group for party in dispute["parties"]}
    stored = asyncio.run(rows(seeded, "SELECT string_agg(facts::text, '') FROM cases"))[0][0]
    stored += asyncio.run(rows(seeded, "SELECT string_agg(convert_from(bytes, 'UTF8'), '') FROM events"))[0][0]
    assert [name for name in names if name in stored] == []


def test_people_are_found_by_a_code_that_can_be_read(seeded: Urls):
    async def find(code: str):
        made = engine(seeded.app, 1)
        try:
            return await person_by(made, code)
        finally:
            await made.dispose()

    mediator = asyncio.run(find("150525103201-mediator-1"))
    assert mediator is not None
    assert [(code, roles) for _, code, _, roles in mediator.memberships] == [
        ("150525103201-people_committee-01", ("mediator",))
    ]


def test_a_database_with_bodies_in_it_is_not_seeded_unless_somebody_insists(seeded: Urls):
    before = asyncio.run(rows(seeded, "SELECT count(*) FROM events"))
    with pytest.raises(NotEmpty, match="484 organisations"):
        asyncio.run(seed(seeded, Vault(b"k" * 32), disputes=1))
    assert asyncio.run(rows(seeded, "SELECT count(*) FROM events")) == before


def test_a_tenth_is_of_as_many_paths_as_it_has_disputes():
    paths = [dispute["path"] for group in chosen(TENTH) for dispute in group]
    assert len(paths) == TENTH
    assert len(set(paths) - {"merged"}) >= TENTH - 2
    assert sum(map(len, chosen(None))) == 200


@pytest.mark.parametrize("later", [0, 1, 40, 400])
def test_whenever_it_is_seeded_the_newest_dispute_is_of_the_last_day(later: int):
    until = TODAY + timedelta(days=later)
    lines = seeding.timeline(chosen(None), until)
    filed = [datetime.fromisoformat(story[0].at).astimezone(SHANGHAI).date() for story in lines]
    assert max(filed) == until
    assert max(datetime.fromisoformat(story[-1].at).astimezone(SHANGHAI).date() for story in lines) <= until

"""What is found by its words is the same, and in the same order, whichever way it is sought."""

import asyncio
from datetime import date
from random import Random

import psycopg
import pytest
from tests.service.town import Town, opened
from tests.whole import keys_of, whole

from mediation.gateway.vault import Vault
from mediation.service.synthesize import Wanted, synthesize
from mediation.settings import Urls
from mediation.store import listing, queries, worklists
from mediation.store.append import Context

KEY = b"k" * 32
WANTED = Wanted(cases=260, counties=1, years=1, until=date(2026, 11, 21), seed="5")
AT = "2026-11-22T08:00:00.000000Z"
REQUEST = "00000000-0000-7000-8000-000000000001"
# From words in nearly every case to those of one, and of none; some are written down late in a case alone.
WORDS = ("赔偿", "双方", "停止侵害", "回访", "争议", "邻居", "草场", "工资", "房租", "和好", "履行", "院墙", "鲸鱼座")
LOOKERS = {
    "the county's centre": "o.kind = 'county_centre' AND 'coordinator' = ANY (m.roles)",
    "a township": "o.tier = 'township' AND o.kind = 'people_committee' AND 'chair' = ANY (m.roles)",
    "an auditor": "o.kind = 'audit_office' AND 'auditor' = ANY (m.roles)",
}
HOW: dict[str, dict[str, int]] = {
    "at once": {"PACE": 10_000, "MANY": 10_000},
    "in a time that grows": {"PACE": 2, "MANY": 10_000},
    "in a time that held too many": {"PACE": 10_000, "MANY": 3},
    "in one stretch after another": {"PACE": 2, "MANY": 10_000, "AT_ONCE": 1},
    "in the shortest stretches, each with too many": {"PACE": 2, "MANY": 1, "AT_ONCE": 2},
}
NUMBERED = {
    "one after another": {"NEAR": 10_000},
    "by the index": {"NEAR": 2, "OFTEN": 3},
    "one after another as long as it is frequent": {"NEAR": 10, "OFTEN": 1},
}


@pytest.fixture(scope="module")
def filled(module_database_urls: Urls) -> Urls:
    asyncio.run(synthesize(module_database_urls, KEY, keys_of(module_database_urls), WANTED, processes=2))
    return module_database_urls


def person(urls: Urls, which: str) -> str:
    """Of these the one who looks at the most cases."""
    query = """
SELECT m.person::text FROM memberships m JOIN organisations o ON o.id = m.org LEFT JOIN worklists w ON w.org = o.id
WHERE {} GROUP BY m.person ORDER BY count(*) DESC LIMIT 1"""
    with psycopg.connect(urls.reader) as connection:
        ((found,),) = connection.execute(query.format(which).encode()).fetchall()
    return str(found)


async def sought(town: Town, viewer: queries.Viewer, word: str, limit: int) -> list[str]:
    """The ids of all pages of what is found."""
    grams, cursor, found = Vault(KEY).grams(word), None, list[str]()
    while True:
        filters = worklists.Filters(AT, q=word, grams=grams)
        page = await worklists.worklist(town.house.memory, viewer, filters, cursor=cursor, limit=limit)
        found += [item.line.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return found


def go(how: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_TEXTS", {})
    for name, value in how.items():
        monkeypatch.setattr(listing, name, value)


async def looked_through(town: Town, viewer: queries.Viewer, words: tuple[str, ...]) -> dict[str, list[str]]:
    """What is found by each, where every case of the list is looked at."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worklists, "_searched", lambda search: search.look(listing.walk))
        return {word: await sought(town, viewer, word, 200) for word in words}


@pytest.mark.parametrize("who", LOOKERS)
async def test_words_are_found_in_the_same_order_page_by_page_whichever_time_is_looked_into(filled: Urls, who: str):
    async with opened(filled) as town:
        context = Context(person(filled, LOOKERS[who]), "", REQUEST)
        viewer = queries.viewer(context, await town.house.memory.read_case(context))
        plain = await looked_through(town, viewer, WORDS)
        assert all(found == sorted(found, reverse=True) for found in plain.values())
        assert max(map(len, plain.values())) > 10
        assert plain["鲸鱼座"] == []
        for how in HOW.values():
            with pytest.MonkeyPatch.context() as patched:
                go(how, patched)
                for word in WORDS:
                    assert await sought(town, viewer, word, 3) == plain[word], (word, how)


@pytest.mark.parametrize("who", LOOKERS)
async def test_numbers_are_found_whichever_way_also_those_with_letters_which_may_be_words(filled: Urls, who: str):
    async with opened(filled) as town:
        context = Context(person(filled, LOOKERS[who]), "", REQUEST)
        viewer = queries.viewer(context, await town.house.memory.read_case(context))
        with psycopg.connect(filled.reader) as connection:
            ((number,),) = connection.execute(
                "SELECT number FROM cases WHERE NOT restricted ORDER BY md5(number) LIMIT 1"
            ).fetchall()
        begun = (number[:6], number[:-6], number, f"{number}0", "7")
        plain = await looked_through(town, viewer, begun)
        assert len(plain[begun[0]]) > len(plain[begun[1]]) >= len(plain[number])
        assert plain["7"] == plain[f"{number}0"] == []
        for how in NUMBERED.values():
            with pytest.MonkeyPatch.context() as patched:
                go(how, patched)
                for one in begun:
                    assert await sought(town, viewer, one, 3) == plain[one], (one, how)


def test_the_words_of_a_synthesised_case_are_found_from_every_list_it_is_in(filled: Urls):
    query = """
SELECT count(*), count(*) FILTER (WHERE v.lists @> ARRAY(SELECT w.org FROM worklists w WHERE w.case_id = v.case_id))
FROM vault_words v"""
    with psycopg.connect(filled.reader) as connection:
        ((rows, well),) = connection.execute(query).fetchall()
    assert rows == well > 0


def test_stretches_hold_the_time_that_is_asked_for_and_are_the_shortest_that_few_do(filled: Urls):
    chance, digits = Random("stretches"), set[int]()
    with psycopg.connect(whole(filled)) as connection:
        for _ in range(300):
            until = chance.randrange(1_600_000_000_000, 1_800_000_000_000)
            ms, at_once = int(10 ** chance.uniform(0, 12)), chance.choice((1, 2, 16))
            asked = "SELECT stretches, since FROM stretches_of(%s, %s, %s)"
            ((some, since),) = connection.execute(asked, (until, ms, at_once)).fetchall()
            assert [f"{at:012x}"[: len(some[0])] for at in (since, until)] == [some[0], some[-1]]
            assert since <= max(until - ms, 0)
            assert len(some) == (int(some[-1] or "0", 16) - int(some[0] or "0", 16)) + 1 <= at_once
            shorter = 4 * (12 - max(4, len(some[0]) + 1))  # of which there would be too many
            assert len(some[0]) == 7 or (until >> shorter) - (max(until - ms, 0) >> shorter) >= at_once
            digits.add(len(some[0]))
    assert digits == {7, 6, 5, 4, 0}

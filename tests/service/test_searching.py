"""What is found by its words is the same, and in the same order, whichever way it is sought."""

import asyncio
from datetime import date
from typing import Any

import psycopg
import pytest
from tests.service.town import Town, opened
from tests.whole import keys_of

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
    "by the index in long stretches": {"NEAR": 4, "OFTEN": 4, "MANY": 1000},
    "by the index in short ones": {"NEAR": 4, "OFTEN": 4, "MANY": 3},
    "by the index where a short one holds too many": {"NEAR": 2, "OFTEN": 2, "MANY": 1},
    "one after another as long as it is frequent": {"NEAR": 10, "OFTEN": 1, "MANY": 8},
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
        found += [item.case.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("who", LOOKERS)
async def test_every_way_finds_the_same_cases_in_the_same_order_page_by_page(
    filled: Urls, who: str, monkeypatch: pytest.MonkeyPatch
):
    def go(how: dict[str, int]) -> None:
        monkeypatch.setattr(listing, "_TEXTS", {})
        for name, value in how.items():
            monkeypatch.setattr(listing, name, value)

    asked: list[Any] = []
    ask = worklists._Search.ask

    async def noted(self: Any, step: Any, **more: Any) -> Any:
        asked.append((step, len(more.get("stretch", ""))))
        return await ask(self, step, **more)

    monkeypatch.setattr(worklists._Search, "ask", noted)
    async with opened(filled) as town:
        context = Context(person(filled, LOOKERS[who]), "", REQUEST)
        viewer = queries.viewer(context, await town.house.memory.read_case(context))
        go({"NEAR": 10_000})
        plain = {word: await sought(town, viewer, word, 200) for word in WORDS}
        assert all(found == sorted(found, reverse=True) for found in plain.values())
        assert max(map(len, plain.values())) > 10
        assert plain["鲸鱼座"] == []
        assert {step for step, _ in asked} == {listing.near}
        for how in HOW.values():
            go(how)
            for word in WORDS:
                assert await sought(town, viewer, word, 3) == plain[word], (word, how)
        assert {(listing.found, digits) for digits in listing.STRETCHES} <= set(asked)


def test_the_words_of_a_synthesised_case_are_found_from_every_list_it_is_in(filled: Urls):
    query = """
SELECT count(*), count(*) FILTER (WHERE v.lists @> ARRAY(SELECT w.org FROM worklists w WHERE w.case_id = v.case_id))
FROM vault_words v"""
    with psycopg.connect(filled.reader) as connection:
        ((rows, well),) = connection.execute(query).fetchall()
    assert rows == well > 0

"""What happened at each body is counted once, with the place that each event gets."""

import asyncio
from typing import TypeAlias

import psycopg
import pytest
from tests.service.test_listing import OTHERS, moved, wide
from tests.service.town import DECLINE, ESCALATE, NOTE, Town
from tests.whole import integrated, keys_of, whole

from mediation.service import registry
from mediation.service.integrate import LogHalted, integrate_once
from mediation.service.recounting import recount
from mediation.service.verification import verify_database

__all__ = ["wide"]

VILLAGE, TOWNSHIP, CENTRE = ABOVE = tuple(map(registry.org_id, ("village", "township", "centre")))
Counts: TypeAlias = dict[tuple[str, str], tuple[int, list[int]]]


class Died(Exception):
    """A sequencer that was killed."""


async def drained(town: Town) -> None:
    while await integrated(town.urls):
        pass


async def rows(town: Town) -> Counts:
    """By body and what; all is of one category and year here, so that the rows of all categories say the same."""
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        every = "SELECT org::text, what, count, days FROM tallies WHERE (category = '') = %s ORDER BY org, what"
        alone, together = [await (await owner.execute(every, (whole_,))).fetchall() for whole_ in (False, True)]
        assert alone == together
        return {(org, what): (count, days) for org, what, count, days in alone}


async def counts(town: Town) -> dict[tuple[str, str], int]:
    return {key: count for key, (count, _) in (await rows(town)).items()}


def grown(before: dict[tuple[str, str], int], after: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: more for key, count in after.items() if (more := count - before.get(key, 0))}


async def test_what_is_counted_is_there_once_the_events_have_their_places_and_no_sooner(town: Town):
    await drained(town)
    before = await counts(town)
    filed = await town.file()
    await town.step("wang", filed.case, NOTE, version=1)
    assert await counts(town) == before
    await drained(town)
    came = ("cases", "received", "open")
    assert grown(before, await counts(town)) == {(body, what): 1 for body in ABOVE for what in came}
    await town.step("wang", filed.case, ESCALATE, version=2)
    await town.step("li", filed.case, {"action": "receive", "handoff": 1}, version=3)
    await town.step("li", filed.case, {"action": "accept"}, version=4)
    await drained(town)
    assert grown(before, await counts(town)) == {
        **{(body, what): 1 for body in ABOVE for what in ("cases", "received", "ended", "ended_handed_off")},
        **{(body, what): 1 for body in (TOWNSHIP, CENTRE) for what in ("accepted", "open")},
        **{(body, "received"): 2 for body in (TOWNSHIP, CENTRE)},
    }


async def test_what_a_body_did_goes_with_it_to_the_superiors_it_has_now(wide: Town):
    for who in ("wang", "wang", "li"):
        filed = await wide.file(who)
        await wide.step(who, filed.case, DECLINE, version=1)
    await drained(wide)
    codes = ("village", "township", "second", "third", "centre", "bureau")

    async def ended() -> list[int]:
        there = await rows(wide)
        assert all(sum(days) == count for (_, what), (count, days) in there.items() if what == "ended")
        assert (await verify_database(wide.urls.reader)).failures == ()
        return [there.get((registry.org_id(code), "ended"), (0, []))[0] for code in codes]

    assert await ended() == [2, 3, 0, 0, 3, 3]
    await moved(wide, "third")
    assert await ended() == [2, 1, 0, 2, 1, 3]
    await wide.step("wang", (await wide.file()).case, DECLINE, version=1)
    await moved(wide, "second")
    assert await ended() == [2, 1, 2, 0, 3, 3]
    await drained(wide)
    assert await ended() == [3, 1, 3, 0, 4, 4]


async def test_bodies_that_change_places_take_what_they_did_along(wide: Town):
    for who in ("wang", "li"):
        await wide.file(who)
    await drained(wide)
    head, *_ = OTHERS.splitlines()
    village = "village,一村人民调解委员会,,people_committee,village,150525100201,,bureau"
    township = "township,大沁他拉镇人民调解委员会,,people_committee,township,150525100,,village"
    await registry.import_organisations(wide.engine, f"{head}\n{village}\n{township}\n")
    found = await counts(wide)
    received = [
        found.get((registry.org_id(code), "received"), 0) for code in ("village", "township", "centre", "bureau")
    ]
    assert received == [2, 1, 0, 2]
    assert (await verify_database(wide.urls.reader)).failures == ()


@pytest.mark.parametrize("point", ["read", "signed", "stored"])
async def test_a_sequencer_that_dies_on_the_way_counts_nothing_twice(town: Town, point: str):
    await drained(town)
    before = await counts(town)
    for _ in range(3):
        await town.file()

    def dies(reached: str) -> None:
        if reached == point:
            raise Died

    with pytest.raises(Died):
        await integrate_once(town.urls.log, keys_of(town.urls), dies)
    assert await counts(town) == before
    await drained(town)
    assert grown(before, await counts(town))[VILLAGE, "received"] == 3


async def test_two_sequencers_at_once_count_each_event_once(town: Town):
    await drained(town)
    before = await counts(town)
    await asyncio.gather(*(town.file() for _ in range(8)))
    await asyncio.gather(*(integrated(town.urls) for _ in range(3)))
    await drained(town)
    assert grown(before, await counts(town))[VILLAGE, "received"] == 8


@pytest.mark.parametrize("known", [[5], [1, 0, 4]])
async def test_days_are_added_up_element_by_element(town: Town, known: list[int]):
    for _ in range(2):
        filed = await town.file()
        await town.step("wang", filed.case, DECLINE, version=1)
    await drained(town)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        await owner.execute(
            "UPDATE tallies SET days = %s, count = 5 WHERE what = 'ended' AND org = %s", (known, VILLAGE)
        )
    filed = await town.file()
    await town.step("wang", filed.case, DECLINE, version=1)
    await drained(town)
    assert (await rows(town))[VILLAGE, "ended"] == (6, [known[0] + 1, *known[1:]])


async def test_a_step_that_counts_nothing_leaves_nothing_to_be_counted(town: Town):
    await drained(town)
    filed = await town.file()
    await town.step("wang", filed.case, NOTE, version=1)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        waiting = await (await owner.execute("SELECT tallies IS NULL FROM outbox ORDER BY id")).fetchall()
    assert waiting == [(False,), (True,)]


async def test_tallies_that_cannot_be_read_stop_the_log_and_nothing_is_placed(town: Town):
    await drained(town)
    await town.file()
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        await owner.execute("UPDATE outbox SET tallies = '[[1,2]]'")
    with pytest.raises(LogHalted, match="tallies"):
        await integrated(town.urls)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        assert await (await owner.execute("SELECT count(*) FROM outbox")).fetchone() == (1,)
        await owner.execute("UPDATE outbox SET tallies = NULL")
    await drained(town)


async def test_counts_that_were_changed_are_made_anew_from_the_histories_that_have_their_places(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, DECLINE, version=1)
    await drained(town)
    await recount(town.urls.log)
    before = {key: row for key, row in (await rows(town)).items() if row[0]}
    assert before[VILLAGE, "ended_declined"][0] >= 1
    await town.file()
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        await owner.execute("UPDATE tallies SET count = count + 7, days = days || 3")
        await owner.execute("DELETE FROM tallies WHERE what = 'received'")
        await owner.execute("UPDATE tallies SET what = 'late' WHERE what = 'open'")
    assert await recount(town.urls.log) > 0
    assert {key: row for key, row in (await rows(town)).items() if row[0]} == before
    await drained(town)
    assert (await verify_database(town.urls.reader)).failures == ()

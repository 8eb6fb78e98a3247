"""The clock takes what is due by the corridor that everybody takes: once, in order, and never unseen."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from tests.service.town import ESCALATE, FILE, NOTE, Town, opened, populate
from tests.whole import whole

from mediation.domain.commands import STEP
from mediation.domain.events import Event
from mediation.domain.facts import Case
from mediation.domain.lapsing import wake_at
from mediation.service import clockwork, registry
from mediation.service.clockwork import Swept, recount, sweep
from mediation.service.lawbook import Lawbook
from mediation.service.perform import Context, Request, perform
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store import database

CLINIC = """\
code,name,name_en,kind,tier,division,speciality,superior
clinic,大沁他拉镇医疗纠纷人民调解委员会,,industry_committee,township,150525100,medical,centre
"""
STAFF = "person_code,name,org_code,roles\nmei,梅调解员,clinic,chair|clerk|mediator\n"
PLAN = {"leader": "", "handler": "", "plan": "先听双方，再请专家", "due_on": "2026-04-01"}
NOTICE = """\
date,is_workday,kind,name
2027-01-01,0,holiday,元旦
2027-01-04,0,in_lieu,元旦
2027-02-08,0,holiday,春节
2027-02-09,0,holiday,春节
2027-02-10,0,holiday,春节
2027-10-01,0,holiday,国庆节
"""
LATER = "2026-12-01T00:00:00.000000Z"
COMPLAIN = {"action": "complain", "leg": 1, "on_behalf_of": [1], "text": "久拖不决"}


@dataclass
class Clinic:
    """A committee whose mediation fails when its thirty working days are over, and what its cases say."""

    town: Town

    async def step(self, at: str, case_id: str | None, body: dict[str, Any]) -> Event:
        request = Request(Context(registry.person_id("mei"), "", str(uuid4())), at)
        return await perform(self.town.house, request, case_id, STEP.validate_python(body))

    async def accepted(self, day: str) -> str:
        """A case accepted on that day, whose mediation may last thirty working days."""
        parties = [{"name": uuid4().hex, "side": side} for side in ("applicant", "respondent")]
        file = FILE | {"category": "medical", "division": "150525100", "parties": parties}
        case_id = (await self.step(f"{day}T01:00:00.000000Z", None, file)).case
        head = registry.person_id("mei")
        prepare = PLAN | {"leader": head, "handler": head, "due_on": day}
        await self.step(f"{day}T02:00:00.000000Z", case_id, {"action": "accept", "prepare": prepare})
        return case_id

    async def case(self, case_id: str) -> Case:
        case = (await self.town.seen("mei", case_id)).case
        assert case is not None
        return case

    async def told(self) -> list[dict[str, Any]]:
        """What the clock did, in the order in which it did it."""
        async with await psycopg.AsyncConnection.connect(whole(self.town.urls)) as owner:
            rows = await owner.execute(
                "SELECT convert_from(e.bytes, 'UTF8') FROM outbox o JOIN events e ON e.id = o.event ORDER BY o.id"
            )
            events = [json.loads(text) for (text,) in await rows.fetchall()]
        return [event for event in events if event["actor"] == "clock"]


@pytest.fixture
async def clinic(database_urls: Urls) -> AsyncIterator[Clinic]:
    await asyncio.to_thread(lambda: asyncio.run(populate(database_urls)))
    engine = database.engine(database_urls.app)
    await registry.import_organisations(engine, CLINIC)
    await registry.import_people(engine, STAFF)
    await engine.dispose()
    async with opened(database_urls) as town:
        yield Clinic(town)


async def test_a_period_that_ran_out_is_an_event_of_the_clock_under_its_rule(clinic: Clinic):
    case_id = await clinic.accepted("2026-03-02")
    swept = await sweep(clinic.town.house)
    assert swept == Swept(cases=1, taken={"fail": 1})
    (event,) = await clinic.told()
    assert (event["action"], event["role"], event["org"], event["to"]) == ("fail", "clock", "", "unsettled")
    assert event["basis"]
    assert (await clinic.case(case_id)).leg(1).state == "unsettled"
    report = await verify_database(clinic.town.urls.reader)
    assert report.sound, report.failures


async def test_it_is_not_taken_a_moment_before_it_has_run_out(clinic: Clinic):
    case = await clinic.case(await clinic.accepted("2026-03-02"))
    clock = case.clocks[0]
    assert wake_at(case) < clock.due_on  # the body is reminded first
    on_the_day = f"{clock.due_on}T15:59:59.999999Z"  # the last instant of that day in Shanghai
    assert (await sweep(clinic.town.house, on_the_day)).taken == {"urge": 1}
    assert (await sweep(clinic.town.house, on_the_day)).cases == 0
    assert (await sweep(clinic.town.house, f"{clock.due_on}T16:00:00.000000Z")).taken == {"fail": 1}


async def test_a_second_sweep_finds_nothing_left_to_do(clinic: Clinic):
    await clinic.accepted("2026-03-02")
    assert (await sweep(clinic.town.house)).taken == {"fail": 1}
    assert await sweep(clinic.town.house) == Swept()
    assert len(await clinic.told()) == 1


async def test_of_two_sweeps_at_once_one_works_and_each_case_gets_one_event(clinic: Clinic):
    cases = [await clinic.accepted("2026-03-02") for _ in range(8)]
    swept = await asyncio.gather(*(sweep(clinic.town.house) for _ in range(2)))
    assert sorted(one.elsewhere for one in swept) == [False, True]
    assert sorted(event["case"] for event in await clinic.told()) == sorted(cases)


async def test_without_the_lock_two_sweeps_still_take_nothing_twice(clinic: Clinic):
    cases = [await clinic.accepted("2026-03-02") for _ in range(12)]
    swept = await asyncio.gather(*(clockwork._Sweep(clinic.town.house, "", None).run() for _ in range(2)))
    assert [one.left for one in swept] == [0, 0]
    assert sorted(event["case"] for event in await clinic.told()) == sorted(cases)


async def test_after_an_outage_all_is_taken_in_the_order_in_which_it_fell_due(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clockwork, "AT_ONCE", 1)  # the order is exact
    monkeypatch.setattr(clockwork, "_PAGE", 2)
    days = ["2026-03-05", "2026-03-02", "2026-03-09", "2026-03-03", "2026-03-04", "2026-03-06", "2026-03-10"]
    cases = [case for _, case in sorted([(day, await clinic.accepted(day)) for day in days])]
    first = cases[0]
    await clinic.step("2026-03-30T01:00:00.000000Z", first, COMPLAIN)  # to be answered after the second's period
    expected = sorted([(wake, case) for case in cases for wake in due(await clinic.case(case))])
    assert (await sweep(clinic.town.house)).left == 0
    told = [event["case"] for event in await clinic.told()]
    assert told == [case for _, case in expected]
    assert told.count(first) == 2
    assert told[:2] != [first, first]


def due(case: Case) -> list[str]:
    """The instants at which the clocks of a case first want attention."""
    alone = [clock for clock in case.clocks if clock.due_on]
    return [wake_at(Case(id=case.id, clocks=(clock,))) for clock in alone]


async def test_a_step_that_is_refused_becomes_an_alarm_and_is_not_tried_for_ever(clinic: Clinic):
    case_id = await clinic.accepted("2026-03-02")
    escalate = ESCALATE | {"to_org": registry.org_id("centre")}
    await clinic.step("2026-03-03T01:00:00.000000Z", case_id, escalate)  # held: its mediation cannot be ended
    assert await sweep(clinic.town.house) == Swept(cases=1, taken={"urge": 1}, refused=1)
    assert (await clinic.case(case_id)).clocks[0].alarmed
    assert await sweep(clinic.town.house) == Swept()


async def test_who_acts_meanwhile_is_heeded(clinic: Clinic):
    case_id = await clinic.accepted("2026-03-02")
    stale = await clinic.case(case_id)
    await clinic.step("2026-03-20T01:00:00.000000Z", case_id, NOTE)
    work = clockwork._Sweep(clinic.town.house, "", None)
    now = await work._step(stale)  # found before the note, taken after it
    assert now == await clinic.case(case_id)
    assert await clinic.told() == []
    assert (await work.run()).taken == {"fail": 1}


async def test_what_cannot_be_dealt_with_is_left_to_the_next_sweep_and_keeps_nobody_waiting(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
):
    broken, well = await clinic.accepted("2026-03-02"), await clinic.accepted("2026-03-03")
    async with await psycopg.AsyncConnection.connect(whole(clinic.town.urls)) as owner:
        await owner.execute("UPDATE organisations SET tier = 'no_such_tier' WHERE code = 'village'")
        await owner.execute(
            "UPDATE cases SET orgs = orgs || %s::uuid, facts = facts WHERE id = %s",
            (registry.org_id("village"), broken),
        )
    swept = await sweep(clinic.town.house)
    assert (swept.cases, swept.taken, swept.left) == (2, {"fail": 1}, 1)
    assert [event["case"] for event in await clinic.told()] == [well]
    assert broken in caplog.text
    async with await psycopg.AsyncConnection.connect(whole(clinic.town.urls)) as owner:
        await owner.execute("UPDATE organisations SET tier = 'village' WHERE code = 'village'")
    assert (await sweep(clinic.town.house)).taken == {"fail": 1}


async def test_progress_is_told_once_for_each_case(clinic: Clinic):
    for _ in range(3):
        await clinic.accepted("2026-03-02")
    assert await clinic.town.house.memory.awake(LATER) == 3
    told: list[int] = []
    await sweep(clinic.town.house, told=lambda: told.append(1))
    assert len(told) == 3


async def test_a_correction_of_a_published_notice_moves_the_days_still_to_come(clinic: Clinic, tmp_path: Path):
    house = clinic.town.house
    running = await clinic.accepted("2026-03-02")
    before = (await clinic.case(running)).clocks[0]
    (tmp_path / "correction.csv").write_text(
        f"date,is_workday,kind,name\n{before.due_on},0,holiday,Added by a later notice\n", "utf-8"
    )
    corrected = Lawbook(tmp_path).laws
    assert await recount(house._replace(laws=corrected)) == 1
    after = (await clinic.case(running)).clocks[0]
    assert (before.due_on, after.due_on) == ("2026-04-14", "2026-04-15")


async def test_when_the_notice_of_a_year_is_published_the_days_that_waited_for_it_are_counted_anew(
    clinic: Clinic, tmp_path: Path
):
    house = clinic.town.house
    waiting = await clinic.accepted("2026-12-07")
    settled = await clinic.accepted("2026-03-02")
    provisional = (await clinic.case(waiting)).clocks[0]
    assert provisional.provisional
    assert await recount(house) == 0  # nothing has been published
    assert await recount(house) is None
    (tmp_path / "notice_2027.csv").write_text(NOTICE, "utf-8")
    published = Lawbook(tmp_path).laws
    assert await recount(house._replace(laws=published)) == 1
    clock = (await clinic.case(waiting)).clocks[0]
    assert (provisional.due_on, clock.due_on, clock.provisional) == ("2027-01-18", "2027-01-20", False)
    (event,) = await clinic.told()
    assert (event["action"], event["attrs"]["laws"]) == ("correct", published.digest)
    assert await recount(house._replace(laws=published)) is None
    assert (await clinic.case(settled)).version == 2

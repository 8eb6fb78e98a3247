"""A case is listed at every body it names and at all above them, also after these have changed."""

import asyncio
from uuid import uuid4

import psycopg
import pytest
from tests.listed import belonging, listed, referred
from tests.service.town import ESCALATE, NOTE, Town, now, opened, populate
from tests.whole import integrated, whole

from mediation.domain.facts import Actor, Organisation
from mediation.domain.vocabulary import OrgKind, Role, Tier
from mediation.service import administer, registry
from mediation.service.administer import By
from mediation.service.recounting import relist
from mediation.service.registry import org_id, person_id
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.bodies import Body

_FOUND_FROM = "SELECT DISTINCT unnest(lists)::text FROM vault_words WHERE case_id = %s"
OTHERS = """\
code,name,name_en,kind,tier,division,speciality,superior
centre,奈曼旗综治中心,,county_centre,county,150525,,bureau
bureau,奈曼旗司法局,,justice_bureau,county,150525,,
second,八仙筒镇人民调解委员会,,people_committee,township,150525100,,centre
third,青龙山镇人民调解委员会,,people_committee,township,150525100,,bureau
"""
PEOPLE = """\
person_code,name,org_code,roles
admin,系统员,bureau,system_admin
san,三主任,second,chair|clerk
"""


def at(town: Town, case: str) -> set[str]:
    """The bodies where the case is listed."""
    return {body for body, one, *_ in listed(town.urls) if one == case}


def from_where(town: Town, case: str) -> set[str]:
    """The bodies from whose lists the words of the case are found."""
    with psycopg.connect(whole(town.urls)) as everything:
        return {body for (body,) in everything.execute(_FOUND_FROM, (case,))}


def ids(*codes: str) -> set[str]:
    return {org_id(code) for code in codes}


async def moved(town: Town, superior: str) -> None:
    """An administrator of the bureau puts the committee of the village below another body."""
    actor = Actor(person=person_id("admin"), org=org_id("bureau"), roles=(Role.SYSTEM_ADMIN,))
    place = Organisation(
        id=org_id("village"),
        code="village",
        name="一村人民调解委员会",
        kind=OrgKind.PEOPLE_COMMITTEE,
        tier=Tier.VILLAGE,
        division="150525100201",
        superior=org_id(superior),
    )
    assert (
        await administer.put_organisation(town.engine, By(actor, now(), str(uuid4())), Body(place, active=True))
    ).entry


@pytest.fixture
async def wide(database_urls: Urls):
    """The town with a bureau above it and two more committees, of which one is below nobody."""
    await populate(database_urls)
    async with opened(database_urls, size=8) as town:
        await registry.import_organisations(town.engine, OTHERS)
        await registry.import_people(town.engine, PEOPLE)
        yield town


async def test_a_new_body_above_lists_what_is_below_it(town: Town):
    filed = await town.file()
    assert at(town, filed.case) == ids("village", "township", "centre")
    await registry.import_organisations(town.engine, OTHERS)
    assert at(town, filed.case) == ids("village", "township", "centre", "bureau")
    assert listed(town.urls) == belonging(town.urls)


async def test_the_cases_of_a_body_that_is_moved_go_with_it_to_the_superiors_it_has_now(wide: Town):
    gone, both, beside = [(await wide.file(who)).case for who in ("wang", "wang", "li")]
    await wide.step("wang", both, ESCALATE, version=1)
    await moved(wide, "second")
    assert at(wide, gone) == ids("village", "second", "centre", "bureau")
    assert at(wide, both) == ids("village", "township", "second", "centre", "bureau")  # named by the case itself
    assert at(wide, beside) == ids("township", "centre", "bureau")
    assert listed(wide.urls) == belonging(wide.urls)
    assert from_where(wide, gone) >= ids("village", "second", "centre", "bureau")
    assert from_where(wide, both) >= ids("village", "township", "second", "centre", "bureau")
    await moved(wide, "bureau")
    assert at(wide, gone) == ids("village", "bureau")
    assert listed(wide.urls) == belonging(wide.urls)


async def test_a_case_moved_on_after_its_body_was_moved_is_listed_where_that_is_now(wide: Town):
    case = (await wide.file()).case
    await moved(wide, "third")
    assert at(wide, case) == ids("village", "third", "bureau")
    await moved(wide, "second")
    await wide.step("wang", case, ESCALATE | {"to_org": org_id("second")}, version=1)
    assert from_where(wide, case) >= ids("village", "second", "centre", "bureau")
    await moved(wide, "third")
    assert at(wide, case) == ids("village", "third", "second", "centre", "bureau")
    await wide.step("san", case, {"action": "return", "handoff": 1, "reason": "no_capacity"}, version=2)
    assert at(wide, case) == ids("village", "third", "bureau")
    assert listed(wide.urls) == belonging(wide.urls)


async def test_a_filing_that_read_the_old_superiors_is_listed_anew_where_the_body_is_moved_before_it_commits(
    wide: Town,
):
    case = str(uuid4())
    async with await psycopg.AsyncConnection.connect(whole(wide.urls)) as filing:
        await filing.execute(
            "INSERT INTO cases (id, number, state, filed_at, orgs, holder, category)"
            " VALUES (%s, 'n', 'registered', now(), %s::uuid[], %s, 'other')",
            (case, [org_id("village")], org_id("village")),
        )
        await filing.execute(
            "INSERT INTO worklists (org, case_id, state, inbound, outbound, holder, category)"
            " SELECT unnest(and_above(orgs)), id, state, false, false, holder, category FROM cases WHERE id = %s",
            (case,),
        )
        move = asyncio.create_task(moved(wide, "second"))
        async with await psycopg.AsyncConnection.connect(whole(wide.urls), autocommit=True) as watch:
            while not move.done():  # it waits for the filing
                asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'worklists'::regclass"
                if await (await watch.execute(asked)).fetchone() != (0,):
                    break
                await asyncio.sleep(0.01)
        await filing.commit()
        await move
    assert at(wide, case) == ids("village", "second", "centre", "bureau")
    assert listed(wide.urls) == belonging(wide.urls)


async def test_a_step_that_changes_nothing_of_where_the_case_is_listed_leaves_its_rows_alone(town: Town):
    case = (await town.file()).case
    before = listed(town.urls)
    await town.step("wang", case, NOTE, version=1)
    assert listed(town.urls) == before == belonging(town.urls)


async def test_a_case_is_found_by_every_reference_it_was_filed_with_or_given_later(town: Town):
    police, court = {"system": "police", "number": "110-2026-77"}, {"system": "court", "number": "nei-0525-88"}
    first, second = [(await town.file(refs=[police])).case for _ in range(2)]
    await town.step("wang", first, {"action": "correct", "refs": [police, court]}, version=1)
    found, said = referred(town.urls)
    assert found == said == {(police["number"], first), (police["number"], second), (court["number"], first)}


WRONG = {
    "a case is gone from its list": "DELETE FROM worklists WHERE case_id = %s",
    "it is listed in another state": "UPDATE worklists SET state = 'closed' WHERE case_id = %s",
    "it is due on another day": "UPDATE worklists SET due_on = '1999-01-01' WHERE case_id = %s",
    "it is late from another moment": "UPDATE worklists SET late_at = '1999-01-01' WHERE case_id = %s",
    "it is counted at another body": "UPDATE worklists SET holder = gen_random_uuid() WHERE case_id = %s",
    "it is counted as of another type": "UPDATE worklists SET category = 'other' WHERE case_id = %s",
    "it is listed where it does not belong": (
        "INSERT INTO worklists SELECT gen_random_uuid(), case_id, state, due_on, inbound, outbound, holder, category, "
        "late_at FROM worklists WHERE case_id = %s LIMIT 1"
    ),
    "its words are found from no list": "UPDATE vault_words SET lists = '{}' WHERE case_id = %s",
    "its reference finds nothing": "DELETE FROM case_refs WHERE case_id = %s",
}


@pytest.mark.parametrize("how", WRONG)
async def test_a_list_that_is_not_what_the_cases_say_is_found_by_verify_and_made_anew(town: Town, how: str):
    filed = await town.file(refs=[{"system": "court", "number": f"court-{uuid4().hex[:6]}"}])
    await integrated(town.urls)
    async with await psycopg.AsyncConnection.connect(whole(town.urls), autocommit=True) as owner:
        await owner.execute(WRONG[how], (filed.case,))
    report = await verify_database(town.urls.reader)
    assert {failure.reason.code for failure in report.failures} == {"wrong_lists"}
    assert all(filed.case in failure.reason.en for failure in report.failures)
    await relist(town.urls.app)
    assert (await verify_database(town.urls.reader)).failures == ()
    assert listed(town.urls) == belonging(town.urls)

"""One write to a case, all or nothing; who may read it; and a history that only grows."""

import asyncio

import psycopg
import pytest
from tests.service.town import ESCALATE, NOTE, Town, asked_by
from tests.whole import whole

from mediation.domain.errors import Conflict, KeyReused, NotFound, NotPermitted, StaleVersion
from mediation.domain.events import evolve
from mediation.gateway.embedded import Server
from mediation.service.registry import org_id
from mediation.store.append import OrganisationRequired


async def test_of_two_steps_on_one_version_the_second_is_told_and_leaves_nothing(town: Town):
    filed = await town.file()
    seen = await town.seen("wang", filed.case)
    first = await town.step("wang", filed.case, NOTE, version=1)
    with pytest.raises(StaleVersion):
        await town.house.memory.write_step(
            asked_by("wang").context,
            seen.actor,
            first,
            first.canonical,
            seen.case,
            evolve(seen.case, first),
            key="late-key-1",
            fingerprint=b"x",
        )
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        counted = await owner.execute("SELECT count(*) FROM event_keys WHERE key = 'late-key-1'")
        assert (await counted.fetchone()) == (0,)
        counted = await owner.execute("SELECT count(*), max(seq) FROM events WHERE case_id = %s", (filed.case,))
        assert (await counted.fetchone()) == (2, 2)


async def test_a_number_that_is_another_cases_is_a_conflict_and_the_next_filing_has_the_next(town: Town):
    before = await town.seen("wang", (await town.file()).case)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        await owner.execute("UPDATE case_numbers SET last = last - 1 WHERE org = %s", (org_id("village"),))
    with pytest.raises(Conflict) as refused:
        await town.file()
    assert [reason.code for reason in refused.value.reasons] == ["number_taken"]
    after = await town.seen("wang", (await town.file()).case)
    assert after.case is not None
    assert before.case is not None
    assert int(after.case.number[-6:]) == int(before.case.number[-6:]) + 1


async def test_sixteen_steps_at_once_on_one_case_make_one_event(town: Town):
    filed = await town.file()
    answers = await asyncio.gather(
        *(town.step("wang", filed.case, NOTE, version=1) for _ in range(16)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Event"] + ["StaleVersion"] * 15
    seen = await town.seen("wang", filed.case)
    assert seen.case is not None
    assert seen.case.version == 2


async def test_a_key_sent_eight_times_at_once_takes_one_step_and_is_answered_alike(town: Town):
    filed = await town.file()
    answers = await asyncio.gather(
        *(town.step("wang", filed.case, NOTE, key="one-key-8x", version=1) for _ in range(8))
    )
    assert len({answer.event for answer in answers}) == 1


async def test_a_filing_sent_eight_times_at_once_opens_one_case(town: Town):
    answers = await asyncio.gather(*(town.file(key="file-key-8x") for _ in range(8)))
    assert len({answer.case for answer in answers}) == 1


async def test_a_key_is_answered_from_its_event_before_the_version_is_looked_at(town: Town):
    filed = await town.file()
    first = await town.step("wang", filed.case, NOTE, key="again-key", version=1)
    await town.step("wang", filed.case, NOTE, version=2)
    assert await town.step("wang", filed.case, NOTE, key="again-key", version=1) == first


async def test_a_key_used_for_something_else_is_refused(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, NOTE, key="reused-key", version=1)
    with pytest.raises(KeyReused):
        await town.step("wang", filed.case, NOTE, key="reused-key", version=2, bound="other")


async def test_a_key_is_forgotten_with_its_month_once_its_days_are_over_and_may_then_be_used_again(town: Town):
    filed = await town.file()
    first = await town.step("wang", filed.case, NOTE, key="month-old-key", version=1)
    await town.house.memory.turn_month(30)
    assert await town.step("wang", filed.case, NOTE, key="month-old-key", version=1) == first
    async with await psycopg.AsyncConnection.connect(whole(town.urls), autocommit=True) as owner:
        await owner.execute("SELECT make_partitions(now() - interval '70 days', now())")
        await owner.execute(
            "UPDATE event_keys SET created_at = created_at - interval '62 days' WHERE key = 'month-old-key'"
        )
    await town.house.memory.turn_month(30)
    assert (await town.step("wang", filed.case, NOTE, key="month-old-key", version=2)).seq == 3


async def test_two_people_may_use_the_same_key(town: Town):
    one, two = await town.file("wang", key="shared-key"), await town.file("li", key="shared-key")
    assert one.case != two.case


async def test_a_body_sees_its_own_cases_and_those_below_and_no_others(town: Town):
    filed = await town.file()
    for who in ("wang", "li", "zhao", "auditor"):
        assert (await town.seen(who, filed.case)).case is not None, who
    assert (await town.seen("judge", filed.case)).case is None
    assert (await town.seen("nobody_yet", filed.case)).case is None
    above = await town.file("zhao")
    assert (await town.seen("wang", above.case)).case is None


async def test_a_returned_offer_is_no_longer_seen_by_the_body_that_returned_it(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, ESCALATE, version=1)
    assert org_id("township") in (await town.seen("wang", filed.case)).case.named
    await town.step("li", filed.case, {"action": "return", "handoff": 1, "reason": "no_capacity"}, version=2)
    seen = await town.seen("wang", filed.case)
    assert org_id("township") not in seen.case.named
    assert org_id("township") in seen.orgs  # the rules may still ask about it
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        asked = await owner.execute("SELECT orgs::text[], past_orgs::text[] FROM cases WHERE id = %s", (filed.case,))
        assert await asked.fetchone() == ([org_id("village")], [org_id("township")])


async def test_a_case_that_is_not_seen_is_not_found(town: Town):
    filed = await town.file("zhao")
    for case_id in (filed.case, "00000000-0000-7000-8000-000000000000"):
        with pytest.raises(NotFound):
            await town.step("judge", case_id, NOTE)


async def test_a_person_of_two_bodies_must_say_for_which(town: Town):
    with pytest.raises(OrganisationRequired):
        await town.seen("both")
    assert (await town.seen("both", org="court")).actor.org == org_id("court")
    with pytest.raises(NotPermitted):
        await town.seen("both", org="centre")


async def test_a_stranger_has_no_standing(town: Town):
    with pytest.raises(NotPermitted):
        await town.seen("nobody at all")


async def test_the_clock_acts_for_a_body_and_for_nobody_that_is_a_person(town: Town):
    filed = await town.file()
    seen = await town.seen("clock", filed.case, org="village")
    assert (seen.actor.person, seen.actor.org) == ("clock", org_id("village"))
    assert [role.value for role in seen.actor.roles] == ["clock"]


async def test_the_context_of_row_level_security_is_gone_with_the_step(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, NOTE)
    row = await town.house.memory._call("SELECT current_setting('mediation.person', true)", ())
    assert row in {(None,), ("",)}


@pytest.mark.parametrize("door", ["app", "log", "owner"])
@pytest.mark.parametrize("table", ["events", "feed", "disclosures"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_what_only_grows_refuses_every_change_at_every_door(town: Town, door: str, table: str, change: str):
    column = {"events": "seq", "feed": "position", "disclosures": "purpose"}[table]
    refused = (psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege)
    async with await psycopg.AsyncConnection.connect(getattr(town.urls, door), autocommit=True) as connection:
        with pytest.raises(refused):
            await connection.execute(change.format(table, column, column))


async def test_a_superuser_who_forgets_the_triggers_is_refused_too(town: Town, server: Server):
    name = psycopg.conninfo.conninfo_to_dict(town.urls.app)["dbname"]
    async with await psycopg.AsyncConnection.connect(server.url("postgres", str(name)), autocommit=True) as superuser:
        with pytest.raises(psycopg.errors.RestrictViolation):
            await superuser.execute("DELETE FROM events")


async def test_a_step_writes_the_columns_that_worklists_search(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, ESCALATE, version=1)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        row = await (
            await owner.execute(
                "SELECT version, state, holder::text, inbound::text[], outbound::text[], orgs::text[] FROM cases WHERE id = %s",
                (filed.case,),
            )
        ).fetchone()
    village, township = org_id("village"), org_id("township")
    assert row == (2, "in_transit", village, [township], [village], sorted([village, township]))


async def test_numbers_of_a_body_are_consecutive_and_never_given_twice(town: Town):
    filed = await asyncio.gather(*(town.file("li") for _ in range(6)))
    numbers = sorted(event.attrs["case"]["number"] for event in filed)
    assert len(set(numbers)) == 6
    assert all(number.startswith("township-20") and len(number.rsplit("-", 1)[1]) == 6 for number in numbers)

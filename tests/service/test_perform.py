"""The corridor: load, decide, fold, append; what is personal stays behind."""

import psycopg
import pytest
from tests.service.town import ESCALATE, FILE, NOTE, PARTIES, Town, asked_by, now
from tests.whole import whole

from mediation.domain.errors import GuardRefused, KeyReused, NotPermitted, StaleVersion
from mediation.domain.events import evolve
from mediation.domain.facts import Case
from mediation.gateway.vault import Sealed
from mediation.service.perform import instant
from mediation.service.registry import org_id


async def test_what_is_stored_is_what_the_events_fold_to(town: Town):
    first = await town.file()
    second = await town.step("wang", first.case, NOTE | {"text": "走访两家"}, version=1)
    third = await town.step("wang", first.case, ESCALATE, version=2)
    seen = await town.seen("wang", first.case)
    assert seen.case == evolve(evolve(evolve(None, first), second), third)


async def test_a_step_comes_after_the_one_before_whatever_the_server_s_clock_says(town: Town):
    filed = await town.file()
    later = await town.step("wang", filed.case, NOTE)
    assert later.at > filed.at
    assert (
        instant("2020-01-01T00:00:00.000000Z", Case(id="x", at="2026-12-31T23:59:59.999999Z"))
        == "2027-01-01T00:00:00.000000Z"
    )
    assert instant(now(), None) <= now()


async def test_refusals_come_in_the_fixed_order(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, NOTE, key="ordered-key", version=1)
    with pytest.raises(KeyReused):  # before the right to do it
        await town.step("wang", filed.case, ESCALATE, key="ordered-key", version=9, bound="other")
    with pytest.raises(NotPermitted):  # before the version
        await town.step("li", filed.case, ESCALATE | {"to_org": org_id("centre")}, version=9)
    with pytest.raises(StaleVersion):  # before the guards
        await town.step("wang", filed.case, ESCALATE | {"documents": []}, version=1)
    with pytest.raises(GuardRefused):
        await town.step("wang", filed.case, ESCALATE | {"documents": []}, version=2)


async def test_a_refusal_leaves_nothing_in_the_case_its_history_or_the_vault(town: Town):
    filed = await town.file()
    with pytest.raises(GuardRefused):
        await town.step("wang", filed.case, ESCALATE | {"documents": []}, key="refused-key", version=1)
    seen = await town.seen("wang", filed.case)
    assert seen.case is not None
    assert seen.case.version == 1
    assert len(await town.sealed(filed.case)) == 3
    await town.step("wang", filed.case, NOTE, key="refused-key", version=1, bound="other")  # and the key is free


async def test_the_vault_gives_back_what_was_said_and_no_other_table_holds_it(town: Town):
    filed = await town.file(text="只有保险库知道的话")
    rows = await town.sealed(filed.case)
    values = {row.name: town.house.vault.open(filed.case, Sealed(*row)) for row in rows}
    assert values["party_1"]["name"] == "张三丰"
    assert values["party_2"]["address"] == "大沁他拉镇一村十二号院"
    assert values["text"] == {"text": "只有保险库知道的话", "claims": {"1": "赔偿院墙损失"}}
    assert filed.sd == tuple(sorted(row.digest for row in rows))
    secrets = ["张三丰", "李四", "150599199001011231", "13800001234", "十二号院", "只有保险库知道", "赔偿院墙损失"]
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        tables = [
            name
            for (name,) in await (
                await owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ).fetchall()
        ]
        assert {"events", "cases", "vault", "event_keys"} <= set(tables)
        for table in tables:
            for secret in secrets:
                for form in (secret, secret.encode().hex(), secret.encode("unicode_escape").decode()):
                    asked = await owner.execute(
                        f"SELECT count(*) FROM {table} t WHERE position(%s in t::text) > 0",  # noqa: S608  names of our own tables
                        (form,),
                    )
                    assert await asked.fetchone() == (0,), (table, secret)


async def test_words_of_later_steps_are_under_the_key_the_case_already_has(town: Town):
    filed = await town.file()
    await town.step("wang", filed.case, NOTE | {"text": "走访"}, version=1)
    rows = await town.sealed(filed.case)
    assert {row.wrapped for row in rows if row.subject == 0} == {(await town.seen("wang", filed.case)).text_key}
    assert [town.house.vault.open(filed.case, Sealed(*row)) for row in rows if row.subject == 0][-1:] is not None
    assert {"text": "走访"} in [town.house.vault.open(filed.case, Sealed(*row)) for row in rows if row.subject == 0]


async def test_a_likely_duplicate_is_named_to_whoever_may_see_it(town: Town):
    parties = [PARTIES[0] | {"name": "重名甲"}, PARTIES[1] | {"name": "重名乙"}]
    first = await town.file("wang", parties=parties)
    again = await town.file("li", parties=[parties[1] | {"side": "respondent"}, parties[0] | {"phone": "13900001234"}])
    assert again.attrs["similar"] == [first.case]
    elsewhere = await town.file("judge", parties=parties)
    assert "similar" not in elsewhere.attrs  # the court does not see the village's cases
    other = await town.file("wang", parties=[parties[0], PARTIES[1] | {"name": "旁人"}])
    assert "similar" not in other.attrs


async def test_of_many_likely_duplicates_the_ten_newest_are_named_so_that_the_event_keeps_its_limit(town: Town):
    parties = [{"name": "常来", "side": "applicant"}, {"name": "常往", "side": "respondent"}]
    filed = [await town.file(parties=parties) for _ in range(13)]
    assert filed[-1].attrs["similar"] == [event.case for event in filed[2:12]]


async def test_a_case_code_lets_another_body_file_a_further_leg_of_a_case_it_cannot_see(town: Town):
    filed = await town.file()
    code = town.house.vault.case_code(filed.case, filed.attrs["case"]["number"])
    further = await town.step("judge", None, {"action": "file", "case_code": code}, key="by-code-key")
    assert (further.case, further.seq, further.action) == (filed.case, 2, "file")
    assert await town.step("judge", None, {"action": "file", "case_code": code}, key="by-code-key") == further
    assert (await town.seen("judge", filed.case)).case is not None


@pytest.mark.parametrize("code", ["nonsense", "village-2026-000001-AAAAAAAA", "no-such-2026-000001-AAAAAAAA"])
async def test_a_wrong_case_code_opens_nothing(town: Town, code: str):
    await town.file()
    with pytest.raises(GuardRefused) as refused:
        await town.step("judge", None, {"action": "file", "case_code": code})
    assert [reason.code for reason in refused.value.reasons] == ["bad_case_code"]


async def test_who_may_not_file_is_not_told_whether_a_case_code_is_right(town: Town):
    filed = await town.file()
    right = town.house.vault.case_code(filed.case, filed.attrs["case"]["number"])
    told = []
    for code in (right, f"{right[:-8]}AAAAAAAA"):
        with pytest.raises(NotPermitted) as refused:
            await town.step("auditor", None, {"action": "file", "case_code": code})
        told.append(refused.value.reasons)
    assert told[0] == told[1]


async def test_a_disclosure_is_written_down_before_anything_is_shown(town: Town):
    filed = await town.file()
    seen = await town.seen("wang", filed.case)
    await town.house.memory.disclose(
        asked_by("wang").context, seen.actor, "disclosure", filed.case, "送达", ["party_1.phone"]
    )
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        asked = await owner.execute(
            "SELECT person::text, purpose, fields FROM disclosures WHERE case_id = %s", (filed.case,)
        )
        assert await asked.fetchone() == (seen.actor.person, "送达", ["party_1.phone"])


async def test_an_event_names_no_person_but_the_one_who_acts(town: Town):
    filed = await town.file()
    assert FILE["parties"][0]["name"] not in str(filed)
    assert filed.canonical.isascii()

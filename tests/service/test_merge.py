"""A dispute filed twice: its people pass from one case's vault to the other's, and from nowhere to anywhere else."""

from typing import Any

import psycopg
import pytest
from tests.service.town import PARTIES, Town
from tests.whole import integrated, whole

from mediation.domain.errors import GuardRefused
from mediation.domain.events import Event, load
from mediation.gateway.vault import Sealed
from mediation.service import registry
from mediation.service.verification import verify_database

WITNESS: dict[str, Any] = {"name": "包青山", "side": "respondent", "phone": "13900007777", "address": "一村三号院"}
SECOND: dict[str, Any] = {
    "parties": [PARTIES[0], WITNESS],
    "claim": [{"what": "apology", "by": [1], "against": [2], "text": "当众赔礼道歉"}],
    "text": "同一堵院墙的争执，又来登记。",
}


async def absorb(town: Town, first: Event, second: Event, version: int = 1) -> Event:
    return await town.step("wang", first.case, {"action": "absorb", "case": second.case, "version": version})


async def opened(town: Town, case_id: str) -> dict[str, list[dict[str, Any]]]:
    """All that the vault holds of a case, in plain words, by name."""
    said: dict[str, list[dict[str, Any]]] = {}
    for row in await town.sealed(case_id):
        said.setdefault(row.name, []).append(town.house.vault.open(case_id, Sealed(*row)))
    return said


async def test_who_is_not_yet_a_party_of_the_survivor_comes_with_name_and_number_and_the_claim_with_its_words(
    town: Town,
):
    first, second = await town.file(), await town.file(**SECOND)
    event = await absorb(town, first, second)
    said = await opened(town, first.case)
    assert said["party_3"] == [{key: value for key, value in WITNESS.items() if key != "side"} | {"kind": "natural"}]
    assert {"claims": {"2": "当众赔礼道歉"}} in said["text"]
    assert "party_4" not in said
    case = (await town.seen("wang", first.case)).case
    assert case is not None
    assert [(claim.by, claim.against) for claim in case.claims] == [((1,), (2,)), ((1,), (3,))]
    assert (event.attrs["parties_as"], event.attrs["claims_as"]) == ([1, 3], [2])


async def test_what_passes_over_is_sealed_anew_and_the_other_case_s_vault_stays_as_it_was(town: Town):
    first, second = await town.file(), await town.file(**SECOND)
    before = await town.sealed(second.case)
    event = await absorb(town, first, second)
    assert await town.sealed(second.case) == before
    (theirs,) = [row for row in before if row.name == "party_2"]
    (ours,) = [row for row in await town.sealed(first.case) if row.name == "party_3"]
    assert ours.blind == theirs.blind  # so that a search finds both
    assert {ours.digest, ours.sealed, ours.wrapped}.isdisjoint({theirs.digest, theirs.sealed, theirs.wrapped})
    assert ours.digest in event.sd
    assert len(event.sd) == 2  # one person, and the words of one claim
    assert set(event.sd).isdisjoint(second.sd)
    assert "包青山" not in event.canonical.decode("ascii").encode().decode("unicode_escape")


async def test_a_case_of_the_same_people_and_claims_brings_nobody_and_opens_nothing(town: Town):
    first, second = await town.file(), await town.file(parties=PARTIES)
    event = await absorb(town, first, second)
    assert (event.attrs["parties_as"], event.attrs["claims_as"], event.sd) == ([1, 2], [1], ())
    assert len(await town.sealed(first.case)) == 3


@pytest.mark.parametrize("noted", [True, False])
async def test_where_a_key_is_gone_nothing_passes_and_the_refusal_says_why(town: Town, *, noted: bool):
    first, second = await town.file(), await town.file(**SECOND)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        await owner.execute("DELETE FROM vault_keys WHERE case_id = %s AND subject = 2", (second.case,))
        if noted:  # by an erasure
            row = (second.case, second.event)
            await owner.execute("INSERT INTO erasures (case_id, subject, event, at) VALUES (%s, 2, %s, now())", row)
    with pytest.raises(GuardRefused) as refused:
        await absorb(town, first, second)
    assert [reason.code for reason in refused.value.reasons] == ["cannot_pass_over"]
    case = (await town.seen("wang", first.case)).case
    assert case is not None
    assert (case.version, len(case.parties)) == (1, 2)
    assert len(await town.sealed(first.case)) == 3


async def test_a_case_that_the_caller_may_not_see_gives_nothing_away(town: Town):
    first, second = await town.file(), await town.file("judge", **SECOND)
    with pytest.raises(GuardRefused) as refused:
        await absorb(town, first, second)
    assert [reason.code for reason in refused.value.reasons] == ["no_other_case"]
    code = town.house.vault.case_code(second.case, second.attrs["case"]["number"])
    body = {"action": "absorb", "case": second.case, "version": 1, "case_code": code}
    assert (await town.step("wang", first.case, body)).attrs["parties_as"] == [1, 3]


@pytest.mark.parametrize("state", ["open", "closed"])
async def test_who_reads_a_case_masked_from_above_absorbs_nobody_from_it(town: Town, state: str):
    victim = await town.file(**SECOND)
    if state == "closed":
        said = {"ground": "not_competent", "routes_told": True, "calmed": True, "text": "已说明"}
        assert (await town.step("wang", victim.case, {"action": "decline"} | said)).to == "closed"
    mine = await town.file("zhao")
    seen = (await town.seen("zhao", victim.case)).case
    assert seen is not None
    with pytest.raises(GuardRefused) as refused:
        await town.step("zhao", mine.case, {"action": "absorb", "case": victim.case, "version": seen.version})
    assert [reason.code for reason in refused.value.reasons] == ["no_other_case"]
    assert [row.name for row in await town.sealed(mine.case, "zhao")] == ["text", "party_1", "party_2"]
    assert await accesses(town, victim.case) == []


async def accesses(town: Town, case_id: str) -> list[tuple[Any, ...]]:
    """What the log of access says of a case."""
    asked = "SELECT person::text, kind, purpose, fields FROM disclosures WHERE case_id = %s"
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as everything:
        return await (await everything.execute(asked, (case_id,))).fetchall()


@pytest.mark.parametrize("by_code", [True, False])
async def test_who_and_what_passes_over_is_in_the_log_of_access_to_the_case_they_come_from(
    town: Town, *, by_code: bool
):
    first, second = await town.file(), await town.file("judge" if by_code else "wang", **SECOND)
    code = town.house.vault.case_code(second.case, second.attrs["case"]["number"])
    body = {"action": "absorb", "case": second.case, "version": 1} | ({"case_code": code} if by_code else {})
    await town.step("wang", first.case, body)
    assert await accesses(town, second.case) == [
        (registry.person_id("wang"), "absorb", "absorb", ["parties.2", "claims.1.text"])
    ]
    assert await accesses(town, first.case) == []


async def test_what_was_absorbed_and_merged_still_verifies_and_the_row_is_what_the_history_makes(town: Town):
    first, second = await town.file(), await town.file(**SECOND)
    await absorb(town, first, second)
    merged = await town.step("wang", second.case, {"action": "merge", "into": first.case})
    assert merged.to == "closed"
    await integrated(town.urls)
    report = await verify_database(town.urls.reader)
    assert [failure for failure in report.failures if failure.case_id in {first.case, second.case}] == []
    async with await psycopg.AsyncConnection.connect(town.urls.reader) as reader:
        row = await (await reader.execute("SELECT facts::text FROM cases WHERE id = %s", (first.case,))).fetchone()
    assert row is not None
    assert len(load(row[0]).parties) == 3

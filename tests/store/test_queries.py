"""Lists show what the viewer may see, in pages that neither skip nor repeat."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import date

import pytest
from tests.service.town import ESCALATE, NOTE, Town, populate
from tests.whole import integrated

from mediation.domain.clocks import midnight
from mediation.domain.errors import Malformed, NotFound
from mediation.domain.events import parse
from mediation.domain.vocabulary import HandoffState
from mediation.service.registry import org_id
from mediation.store import queries, spans, worklists
from mediation.store.queries import Page
from mediation.store.worklists import Filters

NOW = "2026-11-22T04:00:00.000000Z"


async def everything(turn: Callable[[str | None], Awaitable[Page]]) -> list:
    """All items of a list, page by page."""
    items, cursor = [], None
    while True:
        page = await turn(cursor)
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


async def listed(town: Town, who: str, **conditions) -> set[str]:
    viewer = await town.viewer(who)
    found = await everything(
        lambda cursor: worklists.worklist(town.house.memory, viewer, Filters(NOW, **conditions), cursor=cursor, limit=3)
    )
    ids = [item.line.id for item in found]
    assert ids == sorted(set(ids), reverse=True)  # newest first, none twice
    return set(ids)


async def test_a_worklist_holds_the_cases_of_the_body_and_of_those_below(town: Town):
    village = {(await town.file()).case for _ in range(7)}
    centre = {(await town.file("zhao")).case}
    court = {(await town.file("judge")).case}
    assert village <= await listed(town, "wang")
    assert not (centre | court) & await listed(town, "wang")
    assert village | centre <= await listed(town, "zhao")
    assert not court & await listed(town, "zhao")
    assert await listed(town, "judge") == court
    assert village | centre | court <= await listed(town, "auditor")  # the audit office's division covers them all
    assert await listed(town, "nobody_yet") == set()  # of the same office, but no auditor


async def test_every_condition_narrows_a_worklist(town: Town):
    case = await town.file(refs=[{"system": "court", "number": "2026-0525-1"}], category="medical", risk="red")
    await town.step("wang", case.case, ESCALATE)
    number = case.attrs["case"]["number"]
    holds = {
        "state": ("in_transit", "closed"),
        "track": ("people", "judicial"),
        "tier": ("village", "county"),
        "holder": (org_id("village"), org_id("court")),
        "category": ("medical", "other"),
        "risk": ("red", "blue"),
        "division": ("150525", "33"),
        "q": ("2026-0525-1", "2026-0525-2"),
    }
    for condition, (yes, no) in holds.items():
        assert case.case in await listed(town, "wang", **{condition: yes}), condition
        assert case.case not in await listed(town, "wang", **{condition: no}), condition
    assert await listed(town, "wang", q=number) == {case.case}
    assert await listed(town, "wang", q="%") == set()


async def test_a_worklist_knows_what_is_overdue_on_a_day(town: Town):
    case = await town.file()
    await town.step("wang", case.case, {"action": "accept"})
    number, due = case.attrs["case"]["number"], (await town.seen("wang", case.case)).case.due_on
    viewer = await town.viewer("wang")
    for at, late in ((midnight(due), False), ("2099-12-31T16:00:00.000000Z", True)):
        for overdue in (True, False):
            page = await worklists.worklist(town.house.memory, viewer, Filters(at, q=number, overdue=overdue))
            assert bool(page.items) == (overdue is late)
    assert case.case in await listed(town, "wang", due_before=date(2100, 1, 1))
    assert case.case not in await listed(town, "wang", due_before=date.fromisoformat(due))
    assert case.case in await listed(town, "wang", due_after=date(2000, 1, 1))
    assert case.case not in await listed(town, "wang", due_after=date.fromisoformat(due))


async def test_a_worklist_matches_any_open_leg_and_names_the_answerable_body(town: Town):
    case = await town.file()
    code = town.house.vault.case_code(case.case, case.attrs["case"]["number"])
    await town.step("judge", None, {"action": "file", "case_code": code})
    for body in ("village", "court"):
        assert case.case in await listed(town, "wang", holder=org_id(body))
    viewer = await town.viewer("judge")
    page = await worklists.worklist(town.house.memory, viewer, Filters(NOW, q=case.attrs["case"]["number"]))
    (found,) = page.items
    assert found.orgs[found.line.holder].name in {"一村人民调解委员会", "奈曼旗人民法院"}


async def test_trays_hold_what_was_handed_to_and_from_a_body(town: Town):
    offered = [(await town.file()).case for _ in range(5)]
    for case_id in offered:
        await town.step("wang", case_id, ESCALATE)
    await town.step("li", offered[0], {"action": "return", "handoff": 1, "reason": "no_capacity"})
    await town.step("li", offered[1], {"action": "receive", "handoff": 1})

    async def tray(who: str, box: str, state: HandoffState | None = None) -> set[str]:
        viewer = await town.viewer(who)
        found = await everything(
            lambda cursor: worklists.tray(town.house.memory, viewer, box=box, state=state, cursor=cursor, limit=2)
        )
        ids = [item.case.id for item in found]
        assert len(ids) == len(set(ids))
        return set(ids) & set(offered)

    assert await tray("li", "in") == set(offered[1:])
    assert await tray("li", "in", HandoffState.OFFERED) == set(offered[2:])
    assert await tray("li", "in", HandoffState.RECEIVED) == {offered[1]}
    assert await tray("li", "in", HandoffState.RETURNED) == set()
    assert await tray("wang", "out", HandoffState.RETURNED) == {offered[0]}
    assert await tray("wang", "out") == set(offered[1:])
    assert await tray("wang", "in") == set()
    assert await tray("zhao", "in") == set()


async def test_a_history_is_told_in_order_page_by_page_to_whoever_sees_the_case(town: Town):
    case = (await town.file()).case
    for _ in range(6):
        await town.step("wang", case, NOTE)
    viewer = await town.viewer("li")
    events = await everything(lambda cursor: queries.history(town.house.memory, viewer, case, cursor=cursor, limit=3))
    assert [parse(stored.data).seq for stored in events] == [1, 2, 3, 4, 5, 6, 7]
    first = parse(events[0].data)
    assert (await queries.event(town.engine, viewer, first.event)).data == events[0].data
    stranger = await town.viewer("judge")
    with pytest.raises(NotFound):
        await queries.history(town.house.memory, stranger, case)
    with pytest.raises(NotFound):
        await queries.event(town.engine, stranger, first.event)


async def test_the_feed_shows_each_reader_their_own_events_and_where_to_go_on(town: Town):
    mine, other = await town.file(), await town.file("judge")
    await integrated(town.urls)
    positions: dict[str, int] = {}
    for who, sees, not_sees in (("wang", mine, other), ("judge", other, mine), ("auditor", mine, None)):
        viewer, after, ids = await town.viewer(who), 0, []
        while True:
            found, following = await spans.feed(town.engine, viewer, after=after, limit=5)
            ids += [parse(stored.data).event for stored in found]
            if following == after:
                break
            after = following
        positions[who] = after
        assert sees.event in ids
        assert not_sees is None or not_sees.event not in ids
        assert len(ids) == len(set(ids))
    assert len(set(positions.values())) == 1  # all know how far the feed goes, whatever they saw of it


async def test_the_registers_are_paged_by_code(town: Town):
    divisions = await everything(lambda cursor: queries.divisions(town.engine, cursor=cursor, limit=2))
    assert [division.code for division in divisions] == ["150525", "150525100", "150525100201"]
    below = await queries.divisions(town.engine, parent="150525")
    assert [division.code for division in below.items] == ["150525100"]
    assert [division.parent for division in (await queries.divisions(town.engine, parent="")).items] == [""]
    bodies = await everything(lambda cursor: queries.organisations(town.engine, cursor=cursor, limit=2))
    assert [body.code for body in bodies] == ["audit", "centre", "court", "township", "village"]
    village = bodies[-1]
    assert village.path == (org_id("township"), org_id("centre"))
    assert [b.code for b in (await queries.organisations(town.engine, kind="court")).items] == ["court"]
    assert [b.code for b in (await queries.organisations(town.engine, division="150525100")).items] == [
        "township",
        "village",
    ]


@pytest.mark.parametrize(
    "cursor", ["x", "", "bnVsbA", "WzFd", "WyJ4Il0", "W1tbW1tb", "WyJcdTAwMDAiXQ", "é", "WzFlOTldCg"]
)
async def test_a_cursor_of_somebody_s_own_making_is_refused(town: Town, cursor: str):
    viewer = await town.viewer("wang")
    if cursor:
        with pytest.raises(Malformed):
            await worklists.worklist(town.house.memory, viewer, Filters(NOW), cursor=cursor)
    with pytest.raises(Malformed):
        await worklists.tray(town.house.memory, viewer, box="in", cursor=cursor or json.dumps([]))


@pytest.mark.parametrize("said", ['["\\ud800"]', '["1\\udfff5"]', '["\\u0000"]'])
async def test_a_cursor_that_is_no_text_of_the_database_is_refused(town: Town, said: str):
    cursor = base64.urlsafe_b64encode(said.encode()).decode()
    for register in (queries.divisions, queries.organisations):
        with pytest.raises(Malformed):
            await register(town.engine, cursor=cursor)


async def test_importing_the_same_files_again_changes_nothing(town: Town):
    before = await everything(lambda cursor: queries.organisations(town.engine, cursor=cursor))
    await populate(town.urls)
    assert await everything(lambda cursor: queries.organisations(town.engine, cursor=cursor)) == before

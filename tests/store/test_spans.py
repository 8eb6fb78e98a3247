"""Events and cases as they stood are found by what the fold of every history says, and by nobody who sees them not."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from sqlalchemy import event as heard
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.service.town import ESCALATE, FILE, NOTE, Town, asked_by, opened, populate
from tests.whole import integrated, whole

from mediation.domain.commands import STEP
from mediation.domain.differences import stood_at
from mediation.domain.errors import Malformed
from mediation.domain.events import Event, parse
from mediation.domain.facts import Case
from mediation.domain.lapsing import late_at
from mediation.domain.lines import Line, line_of
from mediation.domain.registering import LOG_ID
from mediation.service.perform import perform
from mediation.service.registry import org_id, person_id
from mediation.settings import Urls
from mediation.store import spans
from mediation.store.spans import Then, Wanted

ACCEPT = {"action": "accept"}
URGE = {"action": "urge", "clock": 1, "leg": 1}
STORY: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("late", "2026-03-02", "wang", FILE),
    ("late", "2026-03-03", "wang", ACCEPT),
    ("medical", "2026-03-05", "wang", FILE | {"category": "medical"}),
    ("court", "2026-03-10", "judge", FILE | {"category": "contract"}),
    ("medical", "2026-03-11", "wang", ACCEPT),
    ("centre", "2026-03-20", "zhao", FILE | {"division": "150525100"}),
    ("court", "2026-03-21", "judge", NOTE),
    ("late", "2026-04-20", "clock", URGE),
    ("late", "2026-05-06", "wang", ESCALATE),
    ("late", "2026-05-07", "li", {"action": "receive", "handoff": 1}),
    ("medical", "2026-05-08", "wang", NOTE),
    ("centre", "2026-05-09", "zhao", NOTE),
)
"""Which case, on which day, by whom, and what."""
SEES = {
    "wang": {"late", "medical"},
    "judge": {"court"},
    "zhao": {"late", "medical", "centre"},
    "auditor": {"late", "medical", "court", "centre"},
    "nobody_yet": set(),
}
ABOVE = {"village": {"village"}, "township": {"village", "township"}, "court": {"court"}, "audit": {"audit"}}
ABOVE["centre"] = {"village", "township", "centre"}


def moment(day: str, hour: int = 9) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour:02}:00:00+08:00")


async def tell(urls: Urls) -> None:
    ids: dict[str, str] = {}
    async with opened(urls) as town:
        for name, day, who, body in STORY:
            asked = asked_by(who, org="village" if who == "clock" else "")
            asked = asked._replace(at=moment(day).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
            done = await perform(town.house, asked, ids.get(name), STEP.validate_python(body))
            ids[name] = done.case
    await integrated(urls)


@pytest.fixture(scope="module")
def populated(module_database_urls: Urls) -> Urls:
    asyncio.run(populate(module_database_urls))
    asyncio.run(tell(module_database_urls))
    return module_database_urls


@pytest.fixture(scope="module")
def histories(populated: Urls) -> dict[str, list[Event]]:
    """Every history, by the name of its case."""
    with psycopg.connect(whole(populated)) as everything:
        rows = everything.execute("SELECT bytes FROM events WHERE case_id <> %s ORDER BY case_id, seq", (LOG_ID,))
        events = [parse(data) for (data,) in rows]
    firsts = [event for event in events if event.seq == 1]
    names = list(dict.fromkeys(name for name, *_ in STORY))
    named = dict(zip([first.case for first in sorted(firsts, key=lambda first: first.at)], names, strict=True))
    return {name: [event for event in events if named[event.case] == name] for name in names}


def told(histories: dict[str, list[Event]], who: str) -> Iterator[tuple[Event, Case, bool]]:
    """The events that somebody sees: each with the case after it, and whether that was late when it was done."""
    for name in SEES[who]:
        for number, event in enumerate(histories[name]):
            before, after = stood_at(histories[name][:number], event.at), stood_at(histories[name], event.at)
            assert after is not None
            yield event, after, bool(before and late_at(before) and late_at(before) <= event.at)


async def found(town: Town, who: str, wanted: Wanted, limit: int = 200) -> list[str]:
    """The ids of the events, page by page, and the same at once."""
    viewer, after, pages = await town.viewer(who), 0, []
    while True:
        page, following = await spans.feed(town.engine, viewer, wanted, after=after, limit=limit)
        pages += page
        if following == after:
            break
        after = following
    end = await spans.newest(town.engine, viewer)
    chunks = [chunk async for chunk in spans.stream(town.engine, viewer, wanted, end=end)]
    assert [stored for chunk in chunks for stored in chunk] == pages
    assert all(one.position < other.position for one, other in pairwise(pages))
    return [parse(stored.data).event for stored in pages]


CHOSEN: dict[str, Any] = {
    "all": (Wanted(), lambda *_: True),
    "township": (Wanted(org=org_id("township")), lambda e, *_: e.org in {org_id(b) for b in ABOVE["township"]}),
    "centre": (Wanted(org=org_id("centre")), lambda e, *_: e.org in {org_id(b) for b in ABOVE["centre"]}),
    "wang": (Wanted(actor=person_id("wang")), lambda e, *_: e.actor == person_id("wang")),
    "clock": (Wanted(actor="clock"), lambda e, *_: e.actor == "clock"),
    "escalate": (Wanted(action="escalate"), lambda e, *_: e.action == "escalate"),
    "state": (Wanted(state="accepted"), lambda e, *_: e.to == "accepted"),
    "since": (Wanted(since=moment("2026-03-11")), lambda e, *_: e.at >= "2026-03-11T01:00"),
    "until": (Wanted(until=moment("2026-03-11")), lambda e, *_: e.at < "2026-03-11T01:00"),
    "category": (Wanted(category="medical"), lambda _, c, __: c.category == "medical"),
    "late": (Wanted(overdue=True), lambda _, __, late: late),
    "in time": (Wanted(overdue=False), lambda _, __, late: not late),
    "late and escalated by the village in May": (
        Wanted(org_id("township"), None, "escalate", since=moment("2026-05-01"), overdue=True),
        lambda e, _, late: late and e.action == "escalate" and e.at >= "2026-05",
    ),
}


@pytest.mark.parametrize("who", SEES)
async def test_events_are_chosen_as_the_fold_of_the_histories_says_and_only_those_that_are_seen(
    town: Town, histories: dict[str, list[Event]], who: str
):
    for chosen, (wanted, holds) in CHOSEN.items():
        should = {event.event for event, after, late in told(histories, who) if holds(event, after, late)}
        assert should or who != "auditor", f"nothing to choose: {chosen}"
        assert set(await found(town, who, wanted)) == should, chosen
        assert set(await found(town, who, wanted, limit=2)) == should, chosen


async def test_a_rule_is_named_with_or_without_its_version(town: Town, histories: dict[str, list[Event]]):
    events = [event for history in histories.values() for event in history]
    named = {basis for event in events for basis in event.basis}
    assert named
    for basis in named:
        rule = basis.partition("@")[0]
        of_version = {event.event for event in events if basis in event.basis}
        of_rule = {event.event for event in events if any(b.startswith(f"{rule}@") for b in event.basis)}
        assert set(await found(town, "auditor", Wanted(basis=basis))) == of_version
        assert set(await found(town, "auditor", Wanted(basis=rule))) == of_rule
        assert await found(town, "auditor", Wanted(basis=rule[:-1])) == []  # a beginning is no rule
        assert await found(town, "auditor", Wanted(basis=f"{rule}@1900-01-01")) == []


async def test_a_page_of_a_rare_kind_is_found_beyond_windows_in_which_there_is_none(
    town: Town, histories: dict[str, list[Event]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spans, "CHUNK", 1)
    monkeypatch.setattr(spans, "_WIDEST", 1)
    monkeypatch.setattr(spans, "_PATIENCE_S", 0)
    viewer = await town.viewer("auditor")
    assert await spans.feed(town.engine, viewer, Wanted(action="receive")) == ([], 1)  # short, before the end
    assert len(await found(town, "auditor", Wanted(action="receive"))) == 1


# ── all at once ──


async def test_a_stream_reads_no_more_than_a_chunk_ahead_and_holds_no_connection_meanwhile(
    town: Town, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spans, "CHUNK", 2)
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "events.bytes" in statement:
            asked.append(statement)

    viewer = await town.viewer("auditor")
    end = await spans.newest(town.engine, viewer)
    heard.listen(town.engine.sync_engine, "before_cursor_execute", note)
    read = 0
    async for chunk in spans.stream(town.engine, viewer, end=end):
        read += len(chunk)
        assert len(chunk) <= 2
        await asyncio.sleep(0.1)
        before = len(asked)
        await asyncio.sleep(0.05)
        assert len(asked) == before  # the next is there, and nothing more comes as long as nobody takes it
        assert town.engine.sync_engine.pool.checkedout() == 0
    assert read == len(STORY)
    assert len(asked) >= len(STORY) / 2


async def test_a_stream_left_half_way_leaves_nothing_open(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spans, "CHUNK", 2)
    streaming = spans.stream(town.engine, await town.viewer("auditor"), end=2**31)
    await anext(streaming)
    await streaming.aclose()
    assert town.engine.sync_engine.pool.checkedout() == 0


async def test_whoever_goes_away_while_a_chunk_is_read_costs_no_connection(town: Town, monkeypatch: pytest.MonkeyPatch):
    stretch, closed, reading, back = spans._stretch, list[object](), asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection, *more: Any) -> Any:
        reading.set()
        await connection.exec_driver_sql("SELECT pg_sleep(0.3)")
        return await stretch(connection, *more)

    viewer = await town.viewer("auditor")
    end = await spans.newest(town.engine, viewer)
    monkeypatch.setattr(spans, "_stretch", slow)
    heard.listen(town.engine.sync_engine, "close", lambda *gone: closed.append(gone))
    heard.listen(town.engine.sync_engine, "checkin", lambda *_: back.set())
    waiting = asyncio.ensure_future(anext(spans.stream(town.engine, viewer, end=end)))
    await reading.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert town.engine.sync_engine.pool.checkedout() == 1  # what was asked is let end
    await asyncio.wait_for(back.wait(), 20)
    assert closed == []


# ── as they stood ──


def instants(histories: dict[str, list[Event]]) -> list[datetime]:
    """The instant of every event, and the last before it."""
    ats = [datetime.fromisoformat(event.at) for history in histories.values() for event in history]
    return sorted([*ats, *(at - timedelta(microseconds=1) for at in ats)])


def standing(histories: dict[str, list[Event]], who: str, at: datetime) -> dict[str, Case]:
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    cases = (stood_at(histories[name], text) for name in SEES[who])
    return {case.id: case for case in cases if case}


async def listed(town: Town, who: str, then: Then, limit: int = 50) -> dict[str, Line]:
    viewer, cursor, lines = await town.viewer(who), None, []
    while True:
        page = await spans.stood(town.engine, viewer, then, cursor=cursor, limit=limit)
        lines += [item.line for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert [line.id for line in lines] == sorted({line.id for line in lines}, reverse=True)
    return {line.id: line for line in lines}


@pytest.mark.parametrize("who", SEES)
async def test_at_the_instant_of_every_event_the_cases_stood_as_the_fold_says(
    town: Town, histories: dict[str, list[Event]], who: str
):
    for at in instants(histories):
        should = {case_id: line_of(case) for case_id, case in standing(histories, who, at).items()}
        assert await listed(town, who, Then(at)) == should
        assert await listed(town, who, Then(at), limit=1) == should


@pytest.mark.parametrize("who", SEES)
async def test_every_condition_on_how_cases_stood_holds_for_the_fold(
    town: Town, histories: dict[str, list[Event]], who: str
):
    conditions: list[tuple[dict[str, Any], Any]] = [
        *(({"state": state}, lambda c, s=state: c.state == s) for state in ("filed", "accepted", "in_transit")),
        *(
            ({"holder": org_id(body)}, lambda c, b=body: any(leg.open and leg.org == org_id(b) for leg in c.legs))
            for body in ("village", "township", "court")
        ),
        ({"category": "medical"}, lambda c: c.category == "medical"),
        ({"division": "150525100"}, lambda c: c.division.startswith("150525100")),
    ]
    for at in [*instants(histories)[::4], moment("2026-04-10"), moment("2027-01-01")]:
        cases = standing(histories, who, at)
        for condition, holds in conditions:
            got = await listed(town, who, Then(at, **condition))
            assert set(got) == {case.id for case in cases.values() if holds(case)}, (at, condition)
        late = {case.id for case in cases.values() if late_at(case) and datetime.fromisoformat(late_at(case)) <= at}
        assert set(await listed(town, who, Then(at, overdue=True))) == late
        assert set(await listed(town, who, Then(at, overdue=False))) == set(cases) - late


async def test_a_case_was_overdue_from_the_day_its_period_ran_out_though_nothing_was_done_on_it(
    town: Town, histories: dict[str, list[Event]]
):
    late = histories["late"][0].case
    for day, overdue in (("2026-03-20", False), ("2026-04-03", False), ("2026-04-04", True), ("2026-05-06", True)):
        got = await listed(town, "auditor", Then(moment(day, 1), overdue=overdue))
        assert late in got, day
        assert late not in await listed(town, "auditor", Then(moment(day, 1), overdue=not overdue)), day


async def test_another_list_s_cursor_is_refused(town: Town):
    with pytest.raises(Malformed):
        await spans.stood(town.engine, await town.viewer("auditor"), Then(moment("2026-05-01")), cursor="W10")


# ── and then something is done ──


async def test_what_is_done_while_a_stream_flows_is_not_in_it(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spans, "CHUNK", 2)
    viewer = await town.viewer("auditor")
    end = await spans.newest(town.engine, viewer)
    streaming = spans.stream(town.engine, viewer, Wanted(action="note"), end=end)
    first = await anext(streaming)
    case = parse(first[0].data).case
    noted = await town.step("judge", case, NOTE)
    await integrated(town.urls)
    rest = [stored async for chunk in streaming for stored in chunk]
    assert noted.event not in {parse(stored.data).event for stored in [*first, *rest]}
    assert noted.event in await found(town, "auditor", Wanted(action="note"))

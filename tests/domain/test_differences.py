"""What differs between two versions of a case is every fact that is another, and no other; nothing of it is personal."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from tests.domain import wandering
from tests.domain.desk import Desk
from tests.stories import cast

from mediation.domain.calendar import day_of
from mediation.domain.differences import differences, stood_at
from mediation.domain.errors import Malformed, NotPermitted, Refused
from mediation.domain.events import PARTS, dump, parse
from mediation.domain.facts import Case

OF_THE_VERSION = {"id", "version", "head", "at"}


def led_by(seed: int) -> tuple[list[bytes], list[Case]]:
    """A history that chance has written, and the case after each of its events."""
    desk, now, versions = Desk(cast.ORGANISATIONS), datetime(2026, 3, 2, 1, tzinfo=UTC), []
    for number in range(50):
        at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        chance = Random(seed * 1000 + number)
        case = desk.cases.get("c")
        move = wandering.step(case, chance, day_of(at)) if case else wandering.filing(chance)
        now += timedelta(days=move.days, minutes=1)
        try:
            desk.take("c", move.body, move.actor, now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "other")
        except (Refused, NotPermitted, Malformed):
            continue
        versions.append(desk.cases["c"])
    return desk.histories["c"], versions


def told(case: Case) -> dict[str, Any]:
    """Every fact that is not empty, by its path."""
    found: dict[str, Any] = {}
    for name in Case.__struct_fields__:
        value = getattr(case, name)
        if name in PARTS:
            for part in value:
                facts = {field: getattr(part, field) for field in part.__struct_fields__ if field != "id"}
                found |= {f"{name}.{part.id}.{field}": fact for field, fact in facts.items()}
        elif name not in OF_THE_VERSION:
            found[name] = value
    return {path: value for path, value in msgspec.to_builtins(found).items() if value}


@pytest.mark.parametrize("seed", range(12))
def test_what_differs_step_by_step_adds_up_to_every_fact_of_the_case(seed: int):
    _, versions = led_by(seed)
    assert len(versions) > 3
    known: dict[str, Any] = {}
    for before, after in zip([None, *versions], versions, strict=False):
        for change in differences(before, after):
            assert (known.get(change.path) or None) == (change.before or None)
            assert change.before != change.after
            known[change.path] = change.after
        assert {path: value for path, value in known.items() if value} == told(after)


@pytest.mark.parametrize("seed", range(12))
def test_what_differs_one_way_differs_the_other_way_round(seed: int):
    _, versions = led_by(seed)
    first, last = versions[0], versions[-1]
    there = {(change.path, change.before, change.after) for change in plain(differences(first, last))}
    back = {(change.path, change.after, change.before) for change in plain(differences(last, first))}
    assert there == back
    assert differences(last, last) == []


def plain(changes: list[Any]) -> list[Any]:
    """With lists as text, so that they can be compared in a set."""
    return [change._replace(before=str(change.before), after=str(change.after)) for change in changes]


@pytest.mark.parametrize("seed", range(4))
def test_a_case_stood_at_each_instant_as_its_events_up_to_it_say(seed: int):
    history, versions = led_by(seed)
    events = [parse(data) for data in history]
    assert stood_at(events, "2026-03-01T00:00:00.000000Z") is None
    for number, version in enumerate(versions):
        assert stood_at(events, events[number].at) == version
        if number + 1 < len(events):
            just_before = datetime.fromisoformat(events[number + 1].at) - timedelta(microseconds=1)
            assert stood_at(events, just_before.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == version
    assert stood_at(events, "2999-01-01T00:00:00.000000Z") == versions[-1]
    assert dump(versions[-1])


def test_no_event_after_the_instant_is_asked_for_but_one():
    history, _ = led_by(1)
    asked = []

    def events():
        for data in history:
            asked.append(data)
            yield parse(data)

    stood_at(events(), parse(history[1]).at)
    assert asked == history[:3]

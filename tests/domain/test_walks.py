"""Every dispute of the tables of stories goes through the law alone, without a database."""

import pytest
from tests.domain.desk import Desk
from tests.stories import cast
from tests.stories.telling import (
    PROCEDURES,
    SWEEP,
    WALKS,
    Scene,
    Step,
    Walk,
    command,
    differences,
    refusal_differences,
    sweep_differences,
)

from mediation.domain.commands import STEP
from mediation.domain.errors import MediationError, Refused
from mediation.domain.events import Event
from mediation.domain.facts import Case
from mediation.domain.lapsing import lapses
from mediation.domain.offering import offers


def tell(walk: Walk, desk: Desk | None = None) -> list[str]:
    """Tell a story from beginning to end (at this desk): where it came out other than the table says."""
    desk = desk or Desk(cast.ORGANISATIONS)
    scene = Scene(cast.ident, desk.cases)
    found: list[str] = []
    for step in walk.steps:
        before = desk.cases.get(step.case)
        try:
            events = _taken(desk, walk, step, scene)
        except MediationError as refusal:
            reasons = [(reason.code, reason.basis) for reason in refusal.reasons] or [(refusal.code, "")]
            found += refusal_differences(step, reasons)
            if not (step.refused and isinstance(refusal, Refused)):
                break
            continue
        if step.refused:
            found.append(f"{step}: expected a refusal by {step.refused}, was taken")
        found += sweep_differences(step, events) + differences(step, before, desk.cases[step.case])
    for name, case in desk.cases.items():
        assert desk.replayed(name) == case
        if not found and case.state != walk.ends[name]:
            found.append(f"{name or 'case'} ends {case.state}, expected {walk.ends[name]}")
    return found


def _taken(desk: Desk, walk: Walk, step: Step, scene: Scene) -> list[Event]:
    at = walk.instant(step)
    if step.action != SWEEP:
        return [desk.take(step.case, command(walk, step, scene), cast.actor(step.who), at, _other(step))]
    events: list[Event] = []
    while asked := lapses(desk.cases[step.case], at, desk.orgs):
        try:
            body = asked[0].command.model_dump(mode="json", exclude_none=True)
            events.append(desk.take(step.case, body, cast.CLOCK, at))
        except MediationError:
            body = asked[0].alarm.model_dump(mode="json", exclude_none=True)
            events.append(desk.take(step.case, body, cast.CLOCK, at))
    return events


def _other(step: Step) -> str:
    named = [value for value in step.fields.values() if isinstance(value, str) and value.startswith("@case:")]
    return named[0].partition(":")[2] if named else "-"


@pytest.mark.parametrize("story", PROCEDURES, ids=str)
def test_the_story_of_a_procedure_goes_through_the_law_step_by_step(story: Walk):
    assert tell(story) == []


@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_the_walk_goes_through_the_law_step_by_step(walk: Walk):
    assert tell(walk) == []


@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_every_step_of_the_walk_was_offered_before_it_was_taken(walk: Walk):
    desk = Desk(cast.ORGANISATIONS)
    scene = Scene(cast.ident, desk.cases)
    for step in walk.steps:
        case, actor, at = desk.cases.get(step.case), cast.actor(step.who), walk.instant(step)
        body = command(walk, step, scene)
        if step.refused:
            continue
        if case and step.action != "file" and step.who != "clock":
            offered = [offer for offer in offers(case, actor, at, desk.world()) if offer.action == step.action]
            assert any(offer.available for offer in offered), (step, offered)
        desk.take(step.case, body, actor, at, _other(step))


def test_the_table_holds_every_walk_and_step_of_the_page():
    numbers = [walk.number for walk in WALKS]
    assert numbers == [*range(1, 14), *range(15, 21), 22, *range(24, 29), 30, 32, *range(34, 39), 40, 43]
    assert sum(len(walk.steps) for walk in WALKS) == 495
    assert sum(bool(step.refused) for walk in WALKS for step in walk.steps) == 18


def test_every_field_of_the_table_is_a_field_of_its_command():
    for walk in WALKS:
        scene = Scene(cast.ident, dict.fromkeys(("", "village", "hotline"), Case(id=cast.ident("case"), version=1)))
        for step in walk.steps:
            assert STEP.validate_python(command(walk, step, scene)).action == step.action

"""Every dispute of the table of walks is told through the API, on a real database, and ends by verifying its trail."""

import re
from collections.abc import AsyncIterator

import pytest
from tests.stories.cast import BODIES
from tests.stories.counter import Counter, ident, open_counter
from tests.stories.telling import WALKS, Scene, Step, Walk, command, differences

from mediation.domain.errors import MediationError
from mediation.domain.facts import Case
from mediation.settings import Urls

NAMED = {name for walk in WALKS for step in walk.steps for name in re.findall(r"'@(\w+)'", str(step.fields))}
PEOPLE = {step.who for walk in WALKS for step in walk.steps} | NAMED - BODIES.keys() - {"case", "code", "version"}
PEOPLE -= {"clock"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def counter(
    module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Counter]:
    async with open_counter(module_database_urls, tmp_path_factory.mktemp("keys"), PEOPLE) as opened:
        yield opened


async def take(counter: Counter, walk: Walk, step: Step, scene: Scene) -> tuple[list[str], str]:
    """Send a step: what was not as the table says, and the id of its case ("" if it was rightly refused)."""
    case = scene.cases.get(step.case)
    body = command(walk, step, scene)
    if step.who == "clock":
        assert case is not None
        try:
            await counter.lapse(case, body, walk.instant(step))
        except MediationError as refusal:
            return [f"{step}: expected it to be taken, got {refusal}"], ""
        return [], case.id
    answer = await counter.step(step.who, case, body, walk.instant(step))
    said = answer.json()
    if answer.status_code != 201:
        codes = [reason["code"] for reason in said.get("reasons", ())]
        rightly = answer.status_code == 409 and step.refused in codes
        assert answer.headers["Content-Type"] == "application/problem+json"
        return [] if rightly else [f"{step}: expected {step.refused or 201}, got {answer.status_code} {said}"], ""
    if step.refused:
        return [f"{step}: expected a refusal by {step.refused}, was taken"], ""
    return [], said["case"]


async def tell(counter: Counter, walk: Walk) -> list[str]:
    """Tell a walk over HTTP: where it came out other than the table says."""
    cases: dict[str, Case] = {}
    scene = Scene(ident, cases, counter.code)
    for step in walk.steps:
        found, case_id = await take(counter, walk, step, scene)
        if found:
            return found
        if case_id:
            before = cases.get(step.case)
            cases[step.case] = await counter.history(case_id)
            if found := differences(step, before, cases[step.case]):
                return found
    for name, case in cases.items():
        assert await counter.stored(case.id) == case
        shown = await counter.shown(case.id)
        assert (shown["state"], shown["version"]) == (walk.ends[name], case.version)
    return []


@pytest.mark.parametrize("walk", WALKS, ids=str)
async def test_the_walk_is_told_through_the_api_and_its_trail_verifies(counter: Counter, walk: Walk):
    assert await tell(counter, walk) == []

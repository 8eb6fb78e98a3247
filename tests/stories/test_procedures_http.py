"""Every procedure in force is told through the API: it ends well, it lapses, it is refused with its article."""

from collections.abc import AsyncIterator

import pytest
from tests.stories.counter import Counter, open_counter, tell
from tests.stories.telling import PROCEDURES, SWEEP, Walk, people_of

from mediation.domain.laws import Procedure
from mediation.domain.process import cite_zh
from mediation.service.lawbook import load_laws
from mediation.settings import Urls

LAWS = load_laws()
VERSIONS = {
    f"{version.version}{version.division and f'/{version.division}'}": version
    for versions in LAWS.procedures.values()
    for version in versions
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def counter(
    module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Counter]:
    async with open_counter(module_database_urls, tmp_path_factory.mktemp("keys"), people_of(PROCEDURES)) as opened:
        yield opened


@pytest.mark.parametrize("story", PROCEDURES, ids=str)
async def test_the_story_is_told_through_the_api_and_its_trail_verifies(counter: Counter, story: Walk):
    assert await tell(counter, story) == []


@pytest.mark.parametrize("name", VERSIONS)
def test_every_procedure_version_ends_well_lapses_and_is_refused_in_some_story(name: str):
    assert {story.shows for story in PROCEDURES if story.about == name} >= {"ends", "lapses", "is refused"}


def of_kind(shows: str) -> list[Walk]:
    return [story for story in PROCEDURES if story.shows.startswith(shows)]


@pytest.mark.parametrize("story", of_kind("is refused"), ids=str)
def test_a_refusal_is_by_a_ground_of_the_procedure_and_names_its_article(story: Walk):
    version = VERSIONS[story.about]
    refused = [(step.refused, step.cites) for step in story.steps if step.refused]
    assert refused
    for code, cites in refused:
        assert cites
        if version.refuses:
            assert (code, cites) in grounds(version)
        else:
            assert not code.startswith("barred_")


def grounds(version: Procedure) -> set[tuple[str, str]]:
    return {(f"barred_{ground.when}", cite_zh(ground.basis)) for ground in version.refuses}


@pytest.mark.parametrize("story", of_kind("lapses"), ids=str)
def test_what_lapses_the_clock_itself_finds(story: Walk):
    sweeps = [step for step in story.steps if step.action == SWEEP]
    assert sweeps
    limits = [
        rule
        for versions in LAWS.rules.values()
        for rule in versions
        if VERSIONS[story.about].id in rule.procedures and rule.starts and rule.value
    ]
    own = {rule.id for rule in limits} - {"CMPL-ANS", "SFQR-APP", "SFQR-ENF"}
    assert any(step.took for step in sweeps) == bool(own)


def test_the_stories_are_of_the_packs_and_tell_the_day_of_every_rule_that_starts_a_clock():
    assert {story.about for story in PROCEDURES} == VERSIONS.keys()
    rules = [rule for versions in LAWS.rules.values() for rule in versions]
    told = {version for story in PROCEDURES for step in story.steps for version in step.due}
    assert told - {"performance", "report"} <= {rule.version for rule in rules}
    assert {rule.version for rule in rules if rule.starts and rule.value} <= told

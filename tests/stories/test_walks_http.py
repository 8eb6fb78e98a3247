"""Every dispute of the table of walks is told through the API, on a real database, and ends by verifying its trail."""

from collections.abc import AsyncIterator

import pytest
from tests.stories.counter import Counter, open_counter, tell
from tests.stories.telling import WALKS, Walk, people_of

from mediation.settings import Urls


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def counter(
    module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[Counter]:
    async with open_counter(module_database_urls, tmp_path_factory.mktemp("keys"), people_of(WALKS)) as opened:
        yield opened


@pytest.mark.parametrize("walk", WALKS, ids=str)
async def test_the_walk_is_told_through_the_api_and_its_trail_verifies(counter: Counter, walk: Walk):
    assert await tell(counter, walk) == []

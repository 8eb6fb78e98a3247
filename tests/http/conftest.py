"""The small county, running: one server and one database for each file of tests."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tests.http.county import County, file_one, populate, running, settings_for

from mediation.settings import Urls


@pytest.fixture(scope="module")
def county(module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    asyncio.run(populate(module_database_urls))
    settings = settings_for(module_database_urls, tmp_path_factory.mktemp("keys"), sandbox_clock=True)
    with running(settings) as address:
        yield County(address, settings)


@pytest.fixture(scope="module")
def place(county: County) -> str:
    with county.client("wang") as wang:
        answer = file_one(wang)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


@pytest.fixture
def chair(county: County) -> Iterator[httpx.Client]:
    """The chair of the committee, signed in with two factors."""
    with county.client("wang", Authorization=f"Bearer {county.token('wang', second_factor=True)}") as client:
        yield client

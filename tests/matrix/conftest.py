"""The two counties, open for a file of tests."""

from collections.abc import AsyncIterator

import pytest
from tests.matrix.told import District, opened

from mediation.settings import Urls


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def district(
    module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[District]:
    async with opened(module_database_urls, tmp_path_factory.mktemp("keys")) as made:
        yield made

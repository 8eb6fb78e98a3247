"""One service under siege for each file of tests."""

from collections.abc import Iterator

import pytest
from tests.battery.siege import Siege, besieged


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    with besieged() as made:
        yield made

"""One PostgreSQL for a run of the tests, and a migrated database of its own for each test that asks for one.

The server keeps nothing (`fsync` off) in a folder of this run, which the workers of pytest-xdist share. What a killed run
left is removed by the next.
"""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mediation.gateway.embedded import Server
from mediation.settings import Urls
from mediation.store.database import migrate

RUN = "PYTEST_MEDIATION_FOLDER"
TEMPLATE = "template_mediation"


def pytest_configure(config: pytest.Config) -> None:
    # A script's background job ignores the one, under nohup the other, and so does all that it starts: what is asked to
    # leave by it would stay.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if hasattr(config, "workerinput"):  # a worker of xdist: the folder came with the environment
        return
    for left in Path(tempfile.gettempdir()).glob("mediation-tests-*"):
        with suppress(FileNotFoundError):  # another run may be removing it too
            if left.stat().st_uid == os.geteuid() and not Path("/proc", left.name.split("-")[2]).exists():
                Server(left).stop(force=True)
                shutil.rmtree(left)
    folder = Path(tempfile.mkdtemp(prefix=f"mediation-tests-{os.getpid()}-"))
    folder.chmod(0o711)  # as root the server runs as another user, who must get through
    os.environ[RUN] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and RUN in os.environ:
        shutil.rmtree(os.environ.pop(RUN), ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server(Path(os.environ[RUN]), fsync=False).in_use() as running:
        yield running


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """The name of a database that is migrated and empty; nobody may be connected to it."""
    with server.cluster.turn():  # one worker makes it, the others find it
        server.create_database(TEMPLATE)
        migrate(server.urls(TEMPLATE).owner)
    return TEMPLATE


@contextmanager
def copy_of(server: Server, template: str) -> Iterator[Urls]:
    name = f"t_{uuid.uuid4().hex[:16]}"
    server.create_database(name, template=template)
    try:
        yield server.urls(name)
    finally:
        server.drop_database(name)


@pytest.fixture
def database_urls(server: Server, template: str) -> Iterator[Urls]:
    """The doors into a migrated database of this test's own: it may commit."""
    with copy_of(server, template) as urls:
        yield urls


@pytest.fixture(scope="module")
def module_database_urls(server: Server, template: str) -> Iterator[Urls]:
    """The doors into a migrated database that the tests of one file share."""
    with copy_of(server, template) as urls:
        yield urls

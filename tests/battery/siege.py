"""A real service under siege: `mediation serve` with two workers on a PostgreSQL that keeps what it confirms."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import psutil
import psycopg
from psycopg import sql
from tests.http import county

from mediation.gateway.embedded import Server, database_ready
from mediation.http.dependencies import issuer
from mediation.service.registry import import_people, person_id
from mediation.service.verification import Report, verify_database
from mediation.settings import Settings, Urls
from mediation.store.database import engine, migrate

WORKERS = 2
CLERKS = tuple(f"clerk{number}" for number in range(16))
"""People of the village committee, one for each client."""

_COMING_S = 60
_TLS = ssl.create_default_context()  # never used on loopback, but each client would make its own


def times(full: int, quick: int) -> int:
    """How often: `full` in `make battery`, else `quick`."""
    return full if os.environ.get("MEDIATION_BATTERY") else quick


def fresh() -> str:
    return f"battery-{uuid.uuid4().hex}"


class Siege:
    """The service, its server process and its database, and what may be done to them."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.settings = Settings(data_dir=folder, port=port, workers=WORKERS, pool_size=8)
        self.address = f"http://127.0.0.1:{port}"
        self.database = Server(folder).cluster
        self.log = folder / "serve.log"
        self._serving: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> Urls:
        return Server(self.settings.data_dir).urls(self.settings.database)

    # ── the server process ──

    def start(self) -> None:
        """Start the server process and wait until it is ready."""
        said = {
            "DATA_DIR": self.settings.data_dir,
            "PORT": self.settings.port,
            "WORKERS": WORKERS,
            "POOL_SIZE": self.settings.pool_size,
            "LOG_LEVEL": "warning",
            "RATE_PER_MINUTE": 0,
            "FAILED_LOGINS_PER_MINUTE": 0,
            "WORKER": 0,  # the clock would be counted among those that answer
        }
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MEDIATION_")}
        with self.log.open("ab") as log:
            self._serving = subprocess.Popen(
                [sys.executable, "-m", "mediation", "serve"],
                env=ours | {f"MEDIATION_{name}": str(value) for name, value in said.items()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _COMING_S
        while not self._ready():
            assert self._serving.poll() is None, f"the server left: {self.said()}"
            assert time.monotonic() < deadline, f"the server does not come: {self.said()}"
            time.sleep(0.05)

    def _ready(self) -> bool:
        with suppress(httpx2.TransportError):
            return httpx2.get(f"{self.address}/readyz", verify=_TLS, timeout=20).status_code == 200
        return False

    def stop(self) -> None:
        """Stop it as an operator does."""
        assert self._serving is not None
        assert self._serving.poll() is None, f"the server left: {self.said()}"
        self._serving.terminate()
        self._serving.wait(30)

    def kill(self) -> None:
        """`kill -9` of the server process alone; its workers are to leave, as they would answer for a service gone."""
        assert self._serving is not None
        workers = list(self._workers())
        self._serving.kill()
        self._serving.wait(10)
        _, left = psutil.wait_procs(workers, timeout=15)
        for worker in left:
            worker.kill()
        assert not left, "workers outlive their server process"

    def kill_worker(self) -> None:
        """`kill -9` of one worker; the server process is to replace it."""
        next(self._workers()).kill()

    def kill_database(self) -> None:
        """`kill -9` of the postmaster."""
        pid = self.database.postmaster()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def connections(self) -> list[int]:
        """How many clients each worker is connected to."""
        port = self.settings.port
        return [
            sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in worker.net_connections("tcp"))
            for worker in self._workers()
        ]

    def _workers(self) -> Iterator[psutil.Process]:
        assert self._serving is not None
        for process in psutil.Process(self._serving.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any("spawn_main" in word for word in process.cmdline()):
                    yield process

    def said(self) -> str:
        """The end of what the server process has logged."""
        return self.log.read_text(errors="replace")[-3000:]

    # ── who asks ──

    def token(self, person: str) -> str:
        return issuer(self.settings).issue(person_id(person))

    def client(self, person: str) -> httpx2.AsyncClient:
        """A client of its own, and so a connection of its own."""
        headers = {"Authorization": f"Bearer {self.token(person)}"}
        return httpx2.AsyncClient(base_url=self.address, headers=headers, verify=_TLS, timeout=30)

    @asynccontextmanager
    async def clients(self, people: Sequence[str]) -> AsyncIterator[list[httpx2.AsyncClient]]:
        """A connected client for each, all workers having a fair part of them: else nobody would race."""
        for _ in range(50):
            async with AsyncExitStack() as stack:
                made = [await stack.enter_async_context(self.client(person)) for person in people]
                async with anyio.create_task_group() as group:
                    for client in made:
                        group.start_soon(client.get, "/livez")
                served = self.connections()
                if len(served) == WORKERS and min(served) * 4 >= len(made):
                    yield made
                    return
        raise AssertionError("one worker takes all the clients")

    # ── what is there ──

    def count(self, table: str, case_id: str | None = None) -> int:
        """How many rows a table has, of one case or of all."""
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        if case_id:
            query += sql.SQL(" WHERE case_id = {}").format(case_id)
        with psycopg.connect(self.urls.reader) as reading:
            row = reading.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    def verified(self) -> Report:
        with database_ready(self.settings) as urls:
            return asyncio.run(verify_database(urls.reader))


async def _populate(urls: Urls) -> None:
    await county.populate(urls)
    made = engine(urls.app)
    people = "".join(f"{clerk},{clerk},V1,chair|clerk|mediator\n" for clerk in CLERKS)
    await import_people(made, f"person_code,name,org_code,roles\n{people}")
    await made.dispose()


@contextmanager
def besieged() -> Iterator[Siege]:
    """The service on a database of its own with the small county in it; all is gone afterwards."""
    # Named as tests/conftest.py names the folders it clears when a run was killed.
    folder = Path(tempfile.mkdtemp(prefix=f"mediation-tests-{os.getpid()}-"))
    folder.chmod(0o711)  # as root the database runs as another user, who must get through
    siege = Siege(folder)
    try:
        with database_ready(siege.settings) as urls:
            migrate(urls.owner)
            asyncio.run(_populate(urls))
            siege.start()
        try:
            yield siege
        finally:
            siege.stop()
    finally:
        Server(folder).stop(force=True)
        shutil.rmtree(folder)

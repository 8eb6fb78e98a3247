"""What every bench stands on: a PostgreSQL of its own with every safety on, the service in front of it, and its CPU."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg

from mediation.gateway.embedded import SUPERUSER, Server
from mediation.settings import Urls

MIB = 1 << 20
_READY_S = 60


@contextmanager
def own_server(keep: Path | None = None) -> Iterator[tuple[Server, Path]]:
    """A PostgreSQL while the block lasts, and the folder of both, which is removed after it unless it was named."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever is told to stop takes service and server along
    folder = keep or Path(tempfile.mkdtemp(prefix="mediation-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # as root the server runs as another user, who must get through
    try:
        with Server(folder).in_use() as server:
            yield server, folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class House(NamedTuple):
    """A database of a server, and the folder that its keys lie in."""

    server: Server
    name: str
    folder: Path

    @property
    def urls(self) -> Urls:
        return self.server.urls(self.name)

    @property
    def superuser(self) -> str:
        """The address of whoever may do everything: row-level security is not asked."""
        return self.server.url(SUPERUSER, self.name)

    @property
    def postgres(self) -> psutil.Process:
        """The process of the server, whose children are its backends."""
        pid = self.server.status().pid
        assert pid is not None
        return psutil.Process(pid)

    def environment(self, *, logged: bool = True) -> dict[str, str]:
        """What the service is told. Not `logged`: it integrates nothing."""
        urls = self.urls
        return {
            "MEDIATION_DATABASE_URL": urls.app,
            "MEDIATION_OWNER_URL": urls.owner,
            "MEDIATION_READER_URL": urls.reader,
            "MEDIATION_LOG_URL": urls.log if logged else "",
            "MEDIATION_DATA_DIR": str(self.folder),
            "MEDIATION_DATABASE": self.name,
            "MEDIATION_KEY_FILE": str(self.folder / "vault.key"),
            "MEDIATION_RATE_PER_MINUTE": "0",
            "MEDIATION_LOG_LEVEL": "error",
        }


@contextmanager
def served(house: House, workers: int, *, logged: bool = True) -> Iterator[tuple[str, psutil.Process]]:
    """The service while the block lasts: its address and its process, whose children are its workers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mediation", "serve", "--port", str(port), "--workers", str(workers)]
    child = subprocess.Popen(command, env=os.environ | house.environment(logged=logged))
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}", psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as there:
            there.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if there.recv(64).split()[1:2] == [b"200"]:
                return
        time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU of a process, its children and what its ended children used."""
    used = 0.0
    for each in family(process):
        with suppress(psutil.NoSuchProcess):  # an autovacuum worker that has just ended: its parent counts it
            t = each.cpu_times()
            used += t.user + t.system + t.children_user + t.children_system
    return used


def resident_of(process: psutil.Process) -> dict[int, float]:
    """MiB resident of a process and each of its children, by pid; those of Python alone."""
    found = {}
    for each in family(process):
        with suppress(psutil.NoSuchProcess):
            found[each.pid] = each.memory_info().rss / MIB
    return found


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and whatever it has started."""
    return [process, *process.children(recursive=True)]


def scalar(url: str, query: str) -> int:
    """The one number that a query tells."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def machine(server: Server) -> dict[str, object]:
    """What it was measured on, and the load average at the start: above 0 the machine has other things to do."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "ram_gib": round(psutil.virtual_memory().total / 2**30),
        "postgresql": server.programs.version,
        "python": platform.python_version(),
        "busy": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    named = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")]
    return named[0].partition(":")[2].strip() if named else platform.machine()


def told(said: Mapping[str, object]) -> str:
    """The machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in said.items())

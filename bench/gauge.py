"""A task in a process of its own: its time, its CPU, what of it is resident on its way, and what PostgreSQL does."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil
from ground import MIB, cpu_of, scalar

from mediation.gateway.embedded import Server

_TENTHS = 10
_Job = TypeVar("_Job")


class Stage(NamedTuple):
    """A part of a task: how many it did, seconds, seconds of CPU of its process, and MiB resident on its way."""

    name: str
    count: int
    seconds: float
    cpu_s: float
    rss_mib: tuple[float, ...]
    peak_mib: float


class Gauge:
    """What a task's process used, stage by stage; it says on stderr how far it is."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.told: dict[str, object] = {}
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self._tenths: list[float] = []

    def at(self, name: str) -> Callable[[int, int], None]:
        """A progress for the stage of this name: it is told how many are done and how many there are."""

        def progress(done: int, total: int) -> None:
            if len(self._tenths) < _TENTHS * done // max(1, total):
                self._tenths.append(psutil.Process().memory_info().rss / MIB)
                print(f"{name}: {done:,} of {total:,}", file=sys.stderr)

        return progress

    def end(self, name: str, count: int) -> None:
        """End a stage; the next begins."""
        now, cpu = time.perf_counter(), time.process_time()
        spent = (now - self._began, cpu - self._cpu)
        self.stages.append(Stage(name, count, *spent, tuple(self._tenths), _peak_mib()))
        self._began, self._cpu, self._tenths = now, cpu, []


def _peak_mib() -> float:
    """The most that was ever resident; not `getrusage`'s, which counts what the parent held before."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def alone(server: Server, reader_url: str, task: "Task[_Job]", job: _Job) -> tuple[Gauge, dict[str, float]]:
    """Let a task run: what it used, and what PostgreSQL did meanwhile."""
    pid = server.status().pid
    assert pid is not None
    postgres = psutil.Process(pid)
    before, written = cpu_of(postgres), scalar(reader_url, _WAL)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # a fork would begin with all that we hold
        gauge = pool.submit(_run, task, job).result()
    wal = scalar(reader_url, _WAL) - written
    return gauge, {"postgres_cpu_s": round(cpu_of(postgres) - before, 1), "wal_bytes": wal}


def _run(task: "Task[_Job]", job: _Job) -> Gauge:
    gauge = Gauge()
    asyncio.run(task(job, gauge))
    return gauge


Task = Callable[[_Job, Gauge], Coroutine[None, None, None]]
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'"

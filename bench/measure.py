"""One turn of a workload: over HTTP by the clients of `load.py`, or by pgbench with the statements it takes."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg
from captured import Captured, script, swept
from ground import House, cpu_of, resident_of
from workloads import Workload, plan

_THREADS, _TRIES = 2, 3
_INTEGRATING = "SELECT pg_advisory_lock(hashtext('mediation.integrate'))"  # as `store/leaves.py` takes it
_WRITTEN = """
SELECT pg_current_wal_insert_lsn() - '0/0', sum(n_tup_ins + n_tup_upd + n_tup_del)
FROM pg_stat_user_tables WHERE relname !~ '^(feed|spans|log_.*)$'
"""


class LoadStopped(Exception):
    """A request was answered otherwise than is right, or the clients died."""


class Turn(NamedTuple):
    """One turn. µs are CPU per request (per line of a stream); `lines` is 0 but of a stream."""

    rate: float
    count: int
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    app_us: float = 0.0
    postgres_us: float = 0.0
    generator_us: float = 0.0
    wal_bytes: float = 0.0
    rows: float = 0.0
    statements: float = 0.0
    resident_mib: Sequence[float] = ()


class Bench:
    """A database, a service in front of it, and both ways to load them."""

    def __init__(self, house: House, url: str, service: psutil.Process, decks: dict[str, list[dict[str, Any]]]) -> None:
        self.house, self.url, self.service, self.decks = house, url, service, decks

    # ── over HTTP ──

    def http(self, workload: Workload, clients: int, seconds: float, warm_s: float) -> Turn:
        """The workload over HTTP, closed loop, once it is warm. Raises LoadStopped."""
        for _ in range(_TRIES):  # a machine that has other things to do may let nothing be answered in a short turn
            if turn := self._http(workload, clients, seconds, warm_s):
                return turn
        raise LoadStopped(f"{workload.name}: nothing was answered in {seconds} s, {_TRIES} times over")

    def _http(self, workload: Workload, clients: int, seconds: float, warm_s: float) -> Turn | None:
        how = {"url": self.url, "clients": clients, "seconds": seconds, "warm_s": warm_s}
        written = Path(self.house.folder) / "plan.json"
        written.write_text(json.dumps(plan(workload, self.decks, **how), ensure_ascii=False), "utf-8")
        with _loading(written) as (child, lines), psycopg.connect(self.house.superuser, autocommit=True) as asking:
            next(lines)
            generator, postgres = psutil.Process(child.pid), self.house.postgres
            processes = (self.service, postgres, generator)
            with _watched(self.service) as resident:
                before, wal = [cpu_of(one) for one in processes], _written(asking)[0]
                time.sleep(max(0.0, seconds - 0.05))
                used = [cpu_of(one) - then for one, then in zip(processes, before, strict=True)]
                wal = _written(asking)[0] - wal
            over = _last(lines)
        self.decks |= over["decks"]
        count = over["lines"] if workload.streams else over["count"]
        if not count:
            return None
        per = seconds / max(0.01, seconds - 0.05) / count  # the CPU was read over so much less than was counted
        return Turn(
            count / seconds, count,
            *(over.get(f"p{n}_ms", 0.0) for n in (50, 95, 99)),
            *(each * per * 1e6 for each in used),
            wal_bytes=wal * per,
            resident_mib=resident,
        )  # fmt: skip

    # ── the ceiling ──

    def pgbench(
        self, workload: Workload, found: Sequence[Captured], cases: Sequence[str], clients: int, seconds: float
    ) -> Turn:
        """Let pgbench run with the statements of these requests, prepared, as many clients as the service has."""
        folder = self.house.folder / "scripts"
        folder.mkdir(exist_ok=True)
        with psycopg.connect(self.house.superuser, autocommit=True) as superuser:
            superuser.execute(_INTEGRATING)  # until what is of no use to the sequencer is gone again
            versions = dict(
                superuser.execute("SELECT id::text, version FROM cases WHERE id = ANY (%s::uuid[])", [list(cases)])
            )
            files: list[str] = []
            for number, one in enumerate(found):
                path = folder / f"{workload.name}-{number}.sql"
                path.write_text(script(one, cases, [versions[case] for case in cases]), "utf-8")
                files += ["-f", f"{path}@{self._weight(one, found)}"]
            command = [
                *(self.house.server.programs.path("pgbench"), "-n", "-M", "prepared", "-c", str(clients)),
                *("-j", str(min(_THREADS, clients)), "-T", str(max(1, round(seconds))), "-D", "n=0", "-D", "m=0"),
                *(*files, self.house.urls.app),
            ]
            before, cpu = _written(superuser), cpu_of(self.house.postgres)
            child = subprocess.run(command, capture_output=True, text=True, check=False)
            if child.returncode:
                raise LoadStopped(f"pgbench, {workload.name}: {child.stderr[-2000:]}")
            cpu = cpu_of(self.house.postgres) - cpu
            wal, rows = (now - then for now, then in zip(_written(superuser), before, strict=True))
            if workload.writes:
                swept(self.house)
        rate = float(child.stdout.split("tps = ")[1].split()[0])
        count = int(child.stdout.split("actually processed: ")[1].split("/")[0].split()[0])
        p50 = float(child.stdout.split("latency average = ")[1].split()[0])
        sent = sum(len(one.statements) * self._weight(one, found) for one in found)
        sent /= sum(self._weight(one, found) for one in found)
        lines = found[0].lines  # of a stream each line counts, as over HTTP
        rate, count = rate * lines, count * lines
        return Turn(
            rate, count, p50, postgres_us=cpu / count * 1e6, wal_bytes=wal / count, rows=rows / count, statements=sent
        )

    @staticmethod
    def _weight(one: Captured, found: Sequence[Captured]) -> int:
        """The weight of a script: that of its call, shared among the requests that were captured for it."""
        same = sum(other.call is one.call for other in found)
        return max(1, round(one.call.get("weight", 1) * 100 / same))


@contextmanager
def _watched(service: psutil.Process) -> Iterator[list[float]]:
    """MiB resident of the service, looked at while the block lasts: first, most, last."""
    found: list[float] = []
    over = threading.Event()

    def look() -> None:
        seen = []
        while not over.wait(0.25):
            seen.append(sum(resident_of(service).values()))
        if seen:
            found.extend((seen[0], max(seen), seen[-1]))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _told(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert child.stdout
    for line in child.stdout:
        said: dict[str, Any] = json.loads(line)
        if "wrong" in said:
            raise LoadStopped(said["wrong"])
        yield said


def _last(lines: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    for said in lines:
        if "over" in said:
            return dict(said["over"])
    raise LoadStopped("the clients ended without a word")


def last_of(written: Path, look: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """What the clients of a plan found in all; `look` is called after each stretch. Raises LoadStopped."""
    with _loading(written) as (_, lines):

        def looking() -> Iterator[dict[str, Any]]:
            for said in lines:
                if "stretch" in said:
                    look(said["stretch"])
                yield said

        return _last(looking())


@contextmanager
def _loading(written: Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[dict[str, Any]]]]:
    """The clients, who are stopped if they are not done at the end of the block."""
    command = [sys.executable, str(Path(__file__).with_name("load.py")), str(written)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child, _told(child)
        finally:
            if child.poll() is None:
                child.terminate()


def _written(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    row = connection.execute(_WRITTEN).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])

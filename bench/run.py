"""Steps and reads a second over HTTP, beside pgbench calling the very same functions on the same database.

`python bench/run.py [--seconds 5] [--clients 16] [--json] [--second-line]`. It starts a PostgreSQL of its own with
every safety on, in a folder of its own that is removed afterwards. A ratio won by heavier SQL is a loss: pgbench's own
rate is printed too. `--second-line` measures what row-level security costs: pgbench with it, and with neither policies
nor their context.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql

from mediation.domain.commands import STEP
from mediation.domain.events import Event, dump
from mediation.domain.facts import Case
from mediation.gateway.embedded import SUPERUSER, Server
from mediation.gateway.identity import DevelopmentIssuer
from mediation.gateway.vault import Vault, key_from
from mediation.service import registry
from mediation.service.lawbook import load_laws
from mediation.service.perform import Context, House, Request, perform
from mediation.settings import Urls
from mediation.store import append, database
from mediation.store.tables import columns_of

DIVISIONS = "code,level,name,parent_code\n150525,county,奈曼旗,\n"
ORGANISATIONS = (
    "code,name,name_en,kind,tier,division,speciality,superior\n"
    "150525-county_centre-01,奈曼旗综治中心,,county_centre,county,150525,,\n"
    "150525-people_committee-01,某镇调委会,,people_committee,township,150525,,150525-county_centre-01\n"
)
PEOPLE = "person_code,name,org_code,roles\nbench,测试员,150525-people_committee-01,clerk|mediator|chair\n"
FILE = {
    "action": "file",
    "category": "neighbour",
    "division": "150525",
    "parties": [
        {"name": "张三", "side": "applicant", "id_number": "150599199001011231", "phone": "13800001234"},
        {"name": "李四", "side": "respondent", "address": "大沁他拉镇一村12号"},
    ],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}
NOTE = {"action": "note", "kind": "fact"}


class Measured(NamedTuple):
    """One run: requests a second, CPU µs per request of the service and of PostgreSQL, and what was written."""

    name: str
    rate: float
    app_us: float
    postgres_us: float
    rows: float
    wal_bytes: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Bench:
    """A database with cases in it, and the two ways to load it."""

    def __init__(self, server: Server, urls: Urls, folder: Path, clients: int, seconds: float) -> None:
        self.server, self.urls, self.folder, self.clients, self.seconds = server, urls, folder, clients, seconds
        self.vault = Vault(key_from(folder / "vault.key"))
        self.token = DevelopmentIssuer(key_from(folder / "issuer.key")).issue(
            registry.person_id("bench"), lifetime_s=86400
        )
        self.over_http: list[dict[str, Any]] = []
        self.scripts: dict[str, str] = {}

    async def prepare(self) -> None:
        """The registry, a case for each client, and another for each of pgbench's, all at version 2."""
        engine = database.engine(self.urls.app)
        await registry.import_divisions(engine, DIVISIONS)
        await registry.import_organisations(engine, ORGANISATIONS)
        await registry.import_people(engine, PEOPLE)
        await engine.dispose()
        pool = await database.hot_pool(self.urls.app, 4)
        house = House(append.Memory(pool), load_laws(), self.vault)
        opened = []
        for _ in range(2 * self.clients):
            filed = await perform(house, _request(), None, STEP.validate_python(FILE))
            last = await perform(house, _request(), filed.case, STEP.validate_python(NOTE))
            opened.append(last)
        seen = await house.memory.read_case(_request().context, opened[0].case)
        await pool.close()
        assert seen.case is not None
        self.over_http = [{"id": event.case, "version": 2} for event in opened[: self.clients]]
        self.scripts = _scripts(opened[self.clients :], seen.case)

    def pgbench(self, kind: str) -> Measured:
        """Let pgbench run with as many clients, prepared statements, a transaction a statement, as the service."""
        script = self.folder / f"{kind}.sql"
        script.write_text(self.scripts[kind], "utf-8")
        command = [
            *(self.server.programs.path("pgbench"), "-n", "-M", "prepared", "-c", str(self.clients), "-j", "2"),
            *("-T", str(int(self.seconds)), "-D", "v=0", "-f", str(script), self.urls.app),
        ]
        before = self.written()
        cpu = cpu_of(self.postgres())
        child = subprocess.run(command, capture_output=True, text=True, check=True)
        postgres = cpu_of(self.postgres()) - cpu
        rows, wal = (now - then for now, then in zip(self.written(), before, strict=True))
        with psycopg.connect(self.server.url(SUPERUSER, "bench")) as superuser:
            # Its events are all of the same bytes: the sequencer would sign none of them, nor what comes after.
            superuser.execute("DELETE FROM outbox WHERE event < '00000000-0000-7000-8001-000000000000'")
        rate = float(child.stdout.split("tps = ")[1].split()[0])
        count = int(child.stdout.split("actually processed: ")[1].split("/")[0].split()[0])
        return Measured(f"pgbench {kind}", rate, 0, postgres / count * 1e6, rows / count, wal / count)

    def second_line(self, *, on: bool) -> None:
        """Put row-level security and its context in force, or take both away."""
        with psycopg.connect(self.urls.owner, autocommit=True) as connection:
            if on:
                connection.execute(files("mediation.store").joinpath("rls.sql").read_text("utf-8").encode())
                return
            found = connection.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
            for (name,) in found:
                connection.execute(sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(sql.Identifier(name)))
            connection.execute(_NO_CONTEXT)

    def http(self, kind: str, workers: int) -> Measured:
        """The service with so many workers, loaded by a process of its own."""
        with self.served(workers) as (port, service):
            return self.loaded(kind, port, service)._replace(name=f"http {kind}, {workers} worker(s)")

    def loaded(self, kind: str, port: int, service: psutil.Process, warm_s: float = 1.0) -> Measured:
        """The service that runs there, loaded by a process of its own once it is warm."""
        job = {"kind": kind, "host": "127.0.0.1", "port": port, "token": self.token, "cases": self.over_http}
        self.load(job | {"seconds": warm_s})
        before, app, postgres = self.written(), cpu_of(service), cpu_of(self.postgres())
        said = self.load(job | {"seconds": self.seconds, "cases": self.over_http})
        app, postgres = cpu_of(service) - app, cpu_of(self.postgres()) - postgres
        rows, wal = (now - then for now, then in zip(self.written(), before, strict=True))
        count = said["count"]
        each = (app / count * 1e6, postgres / count * 1e6, rows / count, wal / count)
        return Measured(f"http {kind}", said["rate"], *each, said["p50_ms"], said["p99_ms"])

    def load(self, job: dict[str, Any]) -> dict[str, Any]:
        """What the clients of `load.py` found; stops where a request was refused."""
        command = [sys.executable, str(Path(__file__).with_name("load.py")), json.dumps(job)]
        said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert said["refused"] == 0, f"{said['refused']} of {said['count']} were refused"
        self.over_http = said["cases"]
        return said

    @contextmanager
    def served(self, workers: int, *, logged: bool = True) -> Iterator[tuple[int, psutil.Process]]:
        """The service while the block lasts: its port and process. Not `logged`: it integrates nothing."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        told = {
            "MEDIATION_DATABASE_URL": self.urls.app,
            "MEDIATION_LOG_URL": self.urls.log if logged else "",
            "MEDIATION_DATA_DIR": str(self.folder),
            "MEDIATION_KEY_FILE": str(self.folder / "vault.key"),
            "MEDIATION_RATE_PER_MINUTE": "0",
            "MEDIATION_LOG_LEVEL": "error",
        }
        command = [
            *(sys.executable, "-m", "uvicorn", "--factory", "mediation.http.app:create_app", "--port", str(port)),
            *("--workers", str(workers), "--http", "httptools", "--loop", "uvloop"),
            *("--no-access-log", "--log-level", "error"),
        ]
        child = subprocess.Popen(command, env=os.environ | told)
        try:
            _wait(port)
            yield port, psutil.Process(child.pid)
        finally:
            child.terminate()
            child.wait(20)

    def postgres(self) -> psutil.Process:
        """The process of the server, whose children are its backends."""
        pid = self.server.status().pid
        assert pid is not None
        return psutil.Process(pid)

    def written(self) -> tuple[int, int]:
        """Rows written and bytes of write-ahead log so far; without the rows that the integrating task writes."""
        with psycopg.connect(self.urls.owner, autocommit=True) as connection:
            time.sleep(1.2)  # backends tell their counts once a second
            row = connection.execute(
                "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), pg_current_wal_lsn() - '0/0' FROM pg_stat_user_tables "
                "WHERE relname <> 'feed' AND relname <> 'spans' AND relname NOT LIKE 'log!_%' ESCAPE '!'"
            ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])


def _scripts(opened: list[Event], facts: Case) -> dict[str, str]:
    """The calls of `store.append` with fixed arguments; each client of pgbench has a case and counts its versions."""
    event, columns = opened[0], columns_of(facts)
    cases = "(ARRAY[" + ",".join(_literal(each.case) for each in opened) + "]::uuid[])[:client_id + 1]"
    key = "'bench' || :client_id || 'x' || :v"
    fresh = "('00000000-0000-7000-8000-' || lpad(to_hex(:client_id::bigint * 100000000 + :v), 12, '0'))::uuid"
    roles = "{clerk,mediator,chair}"
    who = [event.actor, event.org, roles, event.request]
    read = _filled(
        append._READ,  # noqa: SLF001  the very calls of the corridor
        [event.actor, "", "", None, event.request, _Raw(cases), _Raw(key), "{}", None],
    )
    write = _filled(
        append._WRITE,  # noqa: SLF001  the very calls of the corridor
        [
            *(*who, None, _Raw(cases), _Raw(":v"), _Raw(fresh)),
            *(_Raw(f"'\\x{event.canonical.hex()}'"), _Raw(key), _Raw(f"'\\x{'ab' * 32}'"), None),
            dump(facts).decode(),
            *(append._array(value) if isinstance(value, list) else value for value in columns),  # noqa: SLF001  the very calls of the corridor
        ],
    )
    sealed = _filled(append._SEALED, [*who, None, _Raw(cases)])  # noqa: SLF001  the very calls of the corridor
    enter = _filled("SELECT enter(%s::uuid, %s::uuid, %s::text[], %s::uuid, %s)", [*who, None])
    counted = f"BEGIN;\n{enter};\nSELECT version AS v FROM cases WHERE id = {cases} \\gset\nCOMMIT;\n"
    begin = f"\\if :v = 0\n{counted}\\endif\n"
    check = "\\if :written\n\\set v :v + 1\n\\else\nSELECT 1 / 0;\n\\endif\n"
    return {
        "steps": f"{begin}{read};\n{write} AS written \\gset\n{check}",
        "reads": f"{read};\n{sealed};\n",
    }


_NO_CONTEXT = """
CREATE OR REPLACE FUNCTION enter(p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text)
RETURNS void LANGUAGE plpgsql AS 'BEGIN END'
"""


class _Raw(str):
    """SQL, not a value."""

    __slots__ = ()


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, _Raw):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _filled(call: str, values: list[object]) -> str:
    parts = call.replace("%b", "%s").split("%s")
    assert len(parts) == len(values) + 1
    return "".join(part + _literal(value) for part, value in zip(parts, values, strict=False)) + parts[-1]


def _request() -> Request:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Request(Context(registry.person_id("bench"), "", str(uuid4())), at)


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU of a process, its children and what its ended children used."""
    used = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # an autovacuum worker that has just ended: its parent counts it
            t = each.cpu_times()
            used += t.user + t.system + t.children_user + t.children_system
    return used


def scalar(url: str, query: str) -> int:
    """The one number that a query tells."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as there:
                there.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if there.recv(64).split()[1:2] == [b"200"]:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


def _mean(one: Measured, other: Measured) -> Measured:
    return Measured(one.name, *((a + b) / 2 for a, b in zip(one[1:], other[1:], strict=True)))


@contextmanager
def own_server() -> Iterator[tuple[Server, Path]]:
    """A PostgreSQL with every safety on while the block lasts, and the folder of both, which is removed after it."""
    folder = Path(tempfile.mkdtemp(prefix="mediation-bench-"))
    folder.chmod(0o711)  # as root the server runs as another user, who must get through
    try:
        with Server(folder).in_use() as server:
            yield server, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _print(found: list[Measured], beside: dict[str, Measured]) -> None:
    heads = ("a second", "of pgbench", "p50 ms", "p99 ms", "app µs", "pg µs", "rows", "WAL B")
    print(f"{'':28}" + "".join(f"{head:>11}" for head in heads))
    for one in found:
        ratio = one.rate / beside[one.name.split()[1].rstrip(",")].rate
        print(
            f"{one.name:28}{one.rate:11.0f}{ratio:11.1%}{one.p50_ms:11.1f}{one.p99_ms:11.1f}"
            f"{one.app_us:11.0f}{one.postgres_us:11.0f}{one.rows:11.2f}{one.wal_bytes:11.0f}"
        )
    print("rows: written per request, the log's left out; WAL B: bytes of write-ahead log per request, all of it.")


def _second_line(bench: Bench, repeats: int = 3) -> None:
    """What the second line costs a step and a read, over HTTP and in the database alone: medians of runs in turns."""
    measures = [(f"http {kind}, 1 worker", partial(bench.http, kind, 1)) for kind in ("steps", "reads")]
    measures += [(f"pgbench {kind}", partial(bench.pgbench, kind)) for kind in ("steps", "reads")]
    for name, measure in measures:
        rates: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(repeats):
            for on in (True, False):
                bench.second_line(on=on)
                rates[on].append(measure().rate)
        with_it, without = median(rates[True]), median(rates[False])
        print(f"{name}: {with_it:.0f}/s with row-level security, {without:.0f}/s without: {with_it / without:.1%}")


def main() -> None:
    """Measure everything once and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--second-line", action="store_true")
    chosen = parser.parse_args()
    with own_server() as (server, folder):
        server.create_database("bench")
        urls = server.urls("bench")
        database.migrate(urls.owner)
        bench = Bench(server, urls, folder, chosen.clients, chosen.seconds)
        asyncio.run(bench.prepare())
        if chosen.second_line:
            _second_line(bench)
            return
        found, beside = [], {}
        for kind in ("steps", "reads"):  # pgbench before and after, for the machine may have other things to do
            before = bench.pgbench(kind)
            found += [bench.http(kind, workers) for workers in (1, 2)]
            beside[kind] = _mean(before, bench.pgbench(kind))
            found.append(beside[kind])
    if chosen.json:
        print(json.dumps([one._asdict() for one in found]))
    else:
        _print(found, beside)


if __name__ == "__main__":
    main()

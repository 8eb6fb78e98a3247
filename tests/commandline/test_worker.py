"""`mediation worker`: the clock as a process; it leaves when asked, and one that is killed holds nothing up."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest
from procrastinate.schema import SchemaManager
from tests.service.town import FILE, PARTIES, opened, populate

from mediation.commandline.timekeeping import _queue, timekeeper
from mediation.domain.commands import STEP
from mediation.gateway.embedded import Server, database_ready
from mediation.service.perform import Context, Request, perform
from mediation.service.registry import person_id
from mediation.service.verification import verify_database
from mediation.settings import Settings, Urls
from mediation.store.database import migrate

SOON_S = 30


async def overdue(urls: Urls, count: int) -> None:
    """Cases whose mediation should have been over long ago."""
    head = person_id("wang")
    plan = {"leader": head, "handler": head, "plan": "先听双方", "due_on": "2026-04-01"}
    async with opened(urls) as town:

        async def step(at: str, case_id: str | None, body: dict[str, object]) -> str:
            asked = Request(Context(head, "", str(uuid4())), f"2026-03-02T{at}:00.000000Z")
            return (await perform(town.house, asked, case_id, STEP.validate_python(body))).case

        for number in range(count):
            parties = [party | {"name": f"{party['name']}{number}"} for party in PARTIES]
            case_id = await step("01:00", None, FILE | {"parties": parties})
            await step("02:00", case_id, {"action": "accept", "prepare": plan})


def told(urls: Urls) -> Counter[str]:
    """How many events of the clock each case has."""
    with psycopg.connect(urls.reader) as reader:
        rows = reader.execute("SELECT case_id::text, bytes FROM events")
        return Counter(case for case, data in rows if json.loads(data)["actor"] == "clock")


def until(holds: Callable[[], object], running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def keyed(surroundings, tmp_path):
    """The environment of a command, with the key of the town."""
    key = tmp_path / "vault.key"
    key.touch(0o600)
    key.write_bytes(b"k" * 32)
    return surroundings | {"MEDIATION_KEY_FILE": str(key)}


@pytest.fixture
def given(database_urls, keyed):
    """The environment of a command on a given database with the town in it."""
    asyncio.run(populate(database_urls))
    return keyed | {"MEDIATION_DATABASE_URL": database_urls.app}


@contextmanager
def running(environment, *words):
    command = [sys.executable, "-m", "mediation", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as begun:
        try:
            yield begun
        finally:
            begun.kill()


def test_once_takes_what_is_due_and_says_so(run, given, database_urls):
    asyncio.run(overdue(database_urls, 2))
    said = run("worker", "--once", "--json", **given)
    assert json.loads(said.stdout) == {
        "cases": 2, "taken": {"urge": 2}, "refused": 0, "left": 0, "elsewhere": False, "recounted": 0
    }  # fmt: skip
    assert "0 cases" in run("worker", "--once", **given).stdout
    assert run("--lang", "zh", "worker", "--once", **given).stdout == "到期案件0件。\n"


@pytest.mark.parametrize(
    ("words", "sandbox", "sign"),
    [
        (["--once", "--at", "2026-03-02T09:00:00+08:00"], "0", "MEDIATION_SANDBOX_CLOCK"),
        (["--once", "--at", "2026-03-02"], "1", "with its zone"),
        (["--at", "2026-03-02T09:00:00+08:00"], "1", "--once"),
        (["--json"], "1", "--once"),
    ],
)
def test_an_instant_is_said_for_one_sweep_of_a_sandbox_only(run, given, words, sandbox, sign):
    said = run("worker", *words, **given, MEDIATION_SANDBOX_CLOCK=sandbox)
    assert (said.returncode, said.stderr.count("\n")) == (1, 1)
    assert sign in said.stderr


def test_in_a_sandbox_the_clock_can_be_put_on(run, given, database_urls):
    asyncio.run(overdue(database_urls, 1))
    sandbox = given | {"MEDIATION_SANDBOX_CLOCK": "1"}
    early, late = "2026-03-03T09:00:00+08:00", "2026-05-01T09:00:00+08:00"
    assert "0 cases" in run("worker", "--once", "--at", early, **sandbox).stdout
    assert "1 cases" in run("worker", "--once", "--at", late, **sandbox).stdout


def test_after_one_is_killed_in_a_sweep_another_finishes_it(given, database_urls):
    asyncio.run(overdue(database_urls, 300))
    with running(given, "worker") as first:
        until(lambda: told(database_urls), first)
        first.kill()
        first.wait()
    assert 0 < len(told(database_urls)) < 300
    with running(given, "worker") as second:
        until(lambda: len(told(database_urls)) == 300, second)
    assert set(told(database_urls).values()) == {1}
    report = asyncio.run(verify_database(database_urls.reader))
    assert report.sound, report.failures


async def test_what_a_killed_worker_left_behind_keeps_no_later_tick_from_its_time(given, database_urls, tmp_path):
    await overdue(database_urls, 1)
    with psycopg.connect(database_urls.owner) as owner:
        owner.execute("SET search_path TO jobs")
        owner.execute(
            "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') "
            "RETURNING id) INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, worker_id, args) "
            "SELECT 'default', 'tick', 'tick', 'doing', id, '{\"timestamp\": 1}' FROM dead"
        )
    settings = Settings(data_dir=tmp_path)
    async with timekeeper(settings, database_urls) as keeper:
        queue = _queue(database_urls, keeper)
        async with queue.open_async():
            await queue.tasks["tick"].defer_async(timestamp=2)
            await queue.run_worker_async(wait=False, install_signal_handlers=False, delete_jobs="successful")
    assert set(told(database_urls).values()) == {1}
    with psycopg.connect(database_urls.owner) as owner:
        assert owner.execute("SELECT count(*) FROM jobs.procrastinate_jobs WHERE status <> 'todo'").fetchone() == (0,)
        assert owner.execute("SELECT count(*) FROM jobs.procrastinate_workers").fetchone() == (0,)


def test_the_queue_in_the_database_is_the_one_that_the_installed_package_knows():
    """A newer procrastinate that changes its tables needs a migration of ours, with the changes it comes with."""
    changes = sorted(path.name for path in Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    assert changes[-1] == "03.04.00_50_post_add_retry_failed_job_procedure.sql"


@pytest.mark.parametrize(
    ("sign", "after_s"), [(signal.SIGTERM, 0), (signal.SIGTERM, 0.3), (signal.SIGTERM, 2), (signal.SIGINT, 1)]
)
def test_it_leaves_when_it_is_asked(given, sign, after_s):
    with running(given, "worker") as begun:
        assert "The clock is running" in begun.stderr.readline()
        time.sleep(after_s)
        begun.send_signal(sign)
        said = begun.communicate(timeout=15)[1]
    assert begun.returncode in {0, 128 + sign}, said
    assert "Traceback" not in said


def test_it_leaves_in_the_middle_of_a_sweep(given, database_urls):
    asyncio.run(overdue(database_urls, 300))
    with running(given, "worker") as begun:
        until(lambda: told(database_urls), begun)
        begun.terminate()
        said = begun.communicate(timeout=15)[1]
    assert begun.returncode == 0, said
    assert "Traceback" not in said
    assert set(told(database_urls).values()) == {1}
    assert len(told(database_urls)) < 300
    assert asyncio.run(verify_database(database_urls.reader)).sound


def test_serve_keeps_the_clock_too_on_a_database_of_its_own(keyed, place):
    settings = Settings(data_dir=place / "data")
    with database_ready(settings) as urls:
        migrate(urls.owner)
        asyncio.run(populate(urls))
        asyncio.run(overdue(urls, 3))
        with running(keyed, "serve", "--port", "0", "--no-worker") as served:
            for line in served.stderr:
                if "startup complete" in line:
                    break
            assert beside(served) == []
            served.terminate()
            assert served.wait(20) in {0, 128 + signal.SIGTERM}
        assert not told(urls)
        with running(keyed, "serve", "--port", "0") as served:
            until(lambda: len(told(urls)) == 3, served)
            (clock,) = beside(served)
            os.kill(clock, signal.SIGKILL)
            until(lambda: beside(served) not in ([], [clock]), served)  # and is replaced
            served.terminate()
            served.communicate(timeout=20)
        assert served.returncode == 0
        assert set(told(urls).values()) == {1}
    assert Server(place / "data").status().running is False


def test_serve_leaves_the_clock_of_a_given_database_alone(given):
    with running(given, "serve", "--port", "0") as served:
        for line in served.stderr:
            if "startup complete" in line:
                break
        assert beside(served) == []


def beside(served: subprocess.Popen[str]) -> list[int]:
    """What a server has begun and still runs."""
    found = []
    for one in psutil.Process(served.pid).children():
        with suppress(psutil.NoSuchProcess):  # a zombie is none
            found += [one.pid for word in one.cmdline() if "spawn_main" in word]
    return found

"""Server and PostgreSQL are killed under load: what was acknowledged is there afterwards, and nothing else is."""

import asyncio
import logging
import time
from collections import Counter
from random import Random
from typing import Any

import anyio
import httpx2
import psycopg
import pytest
from tests.battery.siege import CLERKS, WORKERS, Siege, fresh, times
from tests.http.county import DISPUTE

from mediation.domain.events import leaf_hash
from mediation.gateway.embedded import Server

figures = logging.getLogger(__name__)  # shown by `pytest -rP`

KILLS = times(20, 2)
CLIENTS = CLERKS[:4]
BACK_S = 60
NOTE = {"action": "note", "kind": "fact", "text": "实地察看院墙"}
HALF_WRITTEN = {
    "an event without its key": "SELECT count(*) FROM events e JOIN cases c ON c.id = e.case_id WHERE NOT EXISTS "
    "(SELECT FROM event_keys k WHERE k.event = e.id)",
    "a digest without its value": "SELECT count(*) FROM events e, "
    "jsonb_array_elements_text(convert_from(e.bytes, 'UTF8')::jsonb -> '_sd') AS d "
    "WHERE NOT EXISTS (SELECT FROM vault v WHERE v.case_id = e.case_id AND v.digest = d)",
    "a value without its key": "SELECT count(*) FROM vault v WHERE NOT EXISTS "
    "(SELECT FROM vault_keys k WHERE k.case_id = v.case_id AND k.subject = v.subject)",
    "a case without its first event": "SELECT count(*) FROM cases WHERE version = 0",
}


class Load:
    """Clients that insist: whatever breaks or is put off is sent again under its key until it is answered."""

    def __init__(self, siege: Siege, shared: str) -> None:
        self._siege = siege
        self._shared = shared
        self.over = False
        self.acknowledged: dict[str, str] = {}  # event to its leaf hash, as answered
        self.by: Counter[str] = Counter()  # acknowledgements of each client
        self.seen: Counter[str] = Counter()

    async def work(self, person: str) -> None:
        chance = Random(person)
        async with self._siege.client(person) as client:
            path, version = "", 0
            while not self.over:
                turn = chance.random()
                if not path or turn < 0.1:
                    path = (await self._insist(client, "/v1/cases", DISPUTE)).headers["Location"]
                    version = 1
                elif turn < 0.3:
                    known = await self._insist(client, self._shared)
                    await self._insist(client, f"{self._shared}/events", NOTE, known.headers["ETag"])
                else:
                    answer = await self._insist(client, f"{path}/events", NOTE, f'"{version}"')
                    version += 1
                    assert answer.status_code == 201, answer.text
                    assert answer.json()["seq"] == version
                self.by[person] += 1

    async def _insist(
        self, client: httpx2.AsyncClient, path: str, body: dict[str, Any] | None = None, tag: str = ""
    ) -> httpx2.Response:
        headers = {"Idempotency-Key": fresh()} | ({"If-Match": tag} if tag else {})
        while True:
            try:
                answer = await (client.post(path, json=body, headers=headers) if body else client.get(path))
            except httpx2.TransportError:
                self.seen["broken off"] += 1
                await asyncio.sleep(0.05)
                continue
            self.seen[str(answer.status_code)] += 1
            match answer.status_code:
                case 200 | 412:
                    return answer
                case 201:
                    self.acknowledged[answer.json()["event"]] = answer.json()["hash"]
                    return answer
                case 503 if "Retry-After" in answer.headers:
                    await asyncio.sleep(0.1)
                case _:
                    raise AssertionError(answer.text)

    async def all_served_again(self) -> None:
        """Until each client has been answered; twice, as the first answer may be from before."""
        before, deadline = self.by.copy(), time.monotonic() + BACK_S
        while any(self.by[person] < before[person] + 2 for person in CLIENTS):
            assert time.monotonic() < deadline, f"it does not come back: {self.seen} {self._siege.said()}"
            await asyncio.sleep(0.02)


def stored(siege: Siege) -> dict[str, str]:
    """Every event in the database with its leaf hash."""
    with psycopg.connect(siege.urls.reader) as reading:
        return {str(event): leaf_hash(data) for event, data in reading.execute("SELECT id, bytes FROM events")}


def half_written(siege: Siege) -> dict[str, int]:
    """What of a step is there without the rest of it: how often."""
    with psycopg.connect(siege.urls.reader) as reading:
        found = {name: reading.execute(query).fetchone() for name, query in HALF_WRITTEN.items()}
    return {name: row[0] for name, row in found.items() if row and row[0]}


async def kill(siege: Siege, number: int) -> None:
    """PostgreSQL every second time; else the server process, and now and then one of its workers alone."""
    if number % 2:
        siege.kill_database()
    elif number % 4 == 2:
        siege.kill_worker()
    else:
        await anyio.to_thread.run_sync(siege.kill)
        await anyio.to_thread.run_sync(siege.start)  # as whatever started it would


async def test_nothing_acknowledged_is_lost_when_server_and_database_are_killed_under_load(siege: Siege) -> None:
    with psycopg.connect(siege.urls.app) as asking:
        assert asking.execute("SHOW fsync").fetchone() == ("on",)
    async with siege.client(CLERKS[0]) as client:
        filing = await client.post("/v1/cases", json=DISPUTE, headers={"Idempotency-Key": fresh()})
    before = stored(siege)
    load, longest = Load(siege, filing.headers["Location"]), 0.0
    async with anyio.create_task_group() as group:
        for person in CLIENTS:
            group.start_soon(load.work, person)
        for number in range(KILLS):
            await load.all_served_again()
            await asyncio.sleep(0.5)
            killed_at = time.monotonic()
            await kill(siege, number)
            await load.all_served_again()
            longest = max(longest, time.monotonic() - killed_at)
        load.over = True
    there = stored(siege)
    report = await anyio.to_thread.run_sync(siege.verified)
    lost = {event for event, digest in load.acknowledged.items() if there.get(event) != digest}
    known, seen = len(load.acknowledged), dict(load.seen)
    figures.info("%s kills, %s acknowledged, %s lost, away %.1f s at most: %s", KILLS, known, len(lost), longest, seen)
    assert not lost
    assert there.keys() - before.keys() == load.acknowledged.keys()  # each was insisted on, so none is there unanswered
    assert not half_written(siege)
    assert report.sound, report.failures
    assert report.events + report.entries == len(there)


async def steps_until_served(siege: Siege, seconds: float) -> list[int]:
    """What one client alone is answered, step after step without a pause, until the next ten are taken."""
    answers: list[int] = []
    deadline = time.monotonic() + seconds
    async with siege.client(CLERKS[0]) as client:
        while answers[-10:] != [201] * 10:
            assert time.monotonic() < deadline, f"it does not come back: {answers} {siege.said()}"
            answer = await client.post("/v1/cases", json=DISPUTE, headers={"Idempotency-Key": fresh()})
            answers.append(answer.status_code)
            assert answer.status_code == 201 or "Retry-After" in answer.headers, answer.text
    return answers


async def test_a_database_killed_again_and_again_while_it_recovers_is_brought_back(siege: Siege) -> None:
    until, killed = time.monotonic() + 4, 0
    while time.monotonic() < until:
        if siege.database.postmaster():
            siege.kill_database()
            killed += 1
        await asyncio.sleep(0.02)
    assert killed > 1  # the second before it was back for good
    await steps_until_served(siege, BACK_S)


async def test_a_lone_client_is_put_off_but_once_by_each_worker_when_the_database_was_killed(siege: Siege) -> None:
    await steps_until_served(siege, BACK_S)
    siege.kill_database()
    await anyio.to_thread.run_sync(Server(siege.settings.data_dir).revive)  # as the server process does, but seen done
    answers = await steps_until_served(siege, BACK_S)
    assert answers.count(503) <= WORKERS, answers


@pytest.mark.skipif(times(1, 0) == 0, reason="takes half a minute: make battery")
async def test_a_database_that_was_away_for_long_is_used_soon_after_its_return(siege: Siege) -> None:
    server = Server(siege.settings.data_dir)
    server.stop(force=True)
    until = time.monotonic() + 20
    async with siege.client(CLERKS[0]) as client:
        while time.monotonic() < until:
            answer = await client.post("/v1/cases", json=DISPUTE, headers={"Idempotency-Key": fresh()})
            assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
            assert siege.database.postmaster() is None  # who stops it in order wants it stopped
    server.revive()
    await steps_until_served(siege, 5)

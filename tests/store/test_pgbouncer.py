"""The service behind PgBouncer in transaction mode: whose turn it is on a session changes, and nothing goes with it."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.http import county
from tests.service import town
from tests.store import pooler

from mediation.commandline import timekeeping
from mediation.gateway.embedded import Server
from mediation.settings import APP_LIMITS, Settings, Urls
from mediation.store import database, leaves
from mediation.store.append import Memory

CALLERS = 8
KEPT_APART = ("cases", "events", "vault", "vault_keys", "case_numbers")


@pytest.fixture
def behind(server: Server, populated: Urls) -> Iterator[Urls]:
    with pooler.pooled(server, populated) as urls:
        yield urls


async def test_two_sessions_serve_all_and_what_one_keeps_the_next_caller_meets(behind: Urls):
    """What the tests below are about: were a context set for the session, a stranger would walk in with it."""
    callers = [await database.connect(behind.app) for _ in range(CALLERS)]
    sessions: Counter[int] = Counter()
    met: Counter[str] = Counter()
    for step in ("BEGIN", "SELECT set_config('mediation.person', 'somebody', false)", "COMMIT"):  # so each has one
        for caller in callers[: pooler.SESSIONS]:
            await caller.execute(step)
    for caller in callers[pooler.SESSIONS :]:
        for _ in range(4):
            row = await (
                await caller.execute("SELECT pg_backend_pid(), current_setting('mediation.person', true)")
            ).fetchone()
            sessions[row[0]] += 1
            met[row[1]] += 1
    for caller in callers:
        await caller.close()
    assert len(sessions) == pooler.SESSIONS
    assert met["somebody"] > 0


async def test_a_session_behind_the_pooler_has_the_limits_of_one_that_asks_for_them(behind: Urls, populated: Urls):
    limits = []
    for urls in (behind, populated):
        pool = await database.hot_pool(urls.app, 2, pooled=urls.pooled)
        async with pool.connection() as connection:
            rows = await connection.execute(
                "SELECT lower(name), current_setting(name) FROM pg_settings WHERE lower(name) = ANY (%s)",
                (list(APP_LIMITS),),
            )
            limits.append(dict(await rows.fetchall()))
        await pool.close()
    assert limits[0] == limits[1] == APP_LIMITS


@pytest.mark.parametrize("lost", ["statement_timeout = 0", "search_path = public"])
async def test_a_role_that_does_not_bring_its_limits_is_refused(server: Server, database_urls: Urls, lost: str):
    name = psycopg.conninfo.conninfo_to_dict(database_urls.app)["dbname"]
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
        superuser.execute(f'ALTER ROLE mediation_app IN DATABASE "{name}" SET {lost}')
    with pytest.raises(database.UnsafeDatabase) as refused:
        await database.hot_pool(database_urls.app, 1, pooled=True)
    assert "ALTER ROLE mediation_app SET statement_timeout = '10s';" in refused.value.en


async def test_callers_of_different_bodies_at_once_see_each_their_own_cases_and_no_others(
    behind: Urls, populated: Urls
):
    people = ("wang", "li", "zhao", "judge")
    async with town.opened(behind, size=CALLERS) as walked, town.opened(populated) as direct:

        async def lived(who: str) -> str:
            filed = await walked.file(who)
            for version in (1, 2, 3):
                await walked.step(who, filed.case, town.NOTE, version=version)
            return filed.case

        cases = await asyncio.gather(*(lived(who) for who in people * (CALLERS // len(people))))
        expected = {
            (who, case): (await direct.seen(who, case)).case
            for who in (*people, "auditor", "nobody_yet")
            for case in cases
        }
        assert {seen is None for seen in expected.values()} == {True, False}

        async def look(who: str, case: str) -> None:
            seen = (await walked.seen(who, case)).case
            assert seen == expected[who, case], (who, case)

        for _ in range(4):
            await asyncio.gather(*(look(who, case) for case in cases for who in (*people, "auditor", "nobody_yet")))
        assert all(case.version == 4 for case in expected.values() if case)
    await _no_row_without_a_context(behind)


async def _waiting(urls: Urls) -> int:
    async with await psycopg.AsyncConnection.connect(urls.log) as connection:
        return await leaves.count_waiting(connection, "events")


def test_the_service_answers_behind_the_pooler_as_it_does_before_the_database(
    server: Server, database_urls: Urls, tmp_path: Path
):
    people = ("wang", "zhao", "li", "judge", "audit", "idle")
    asyncio.run(county.populate(database_urls))
    with pooler.pooled(server, database_urls) as urls:
        settings = county.settings_for(urls, tmp_path, transaction_pooling=True)
        plain = county.settings_for(database_urls, tmp_path)
        with (
            county.running(settings) as address,
            county.running(plain) as direct,
            ThreadPoolExecutor(CALLERS) as callers,
        ):
            through, beside = county.County(address, settings), county.County(direct, plain)

            def lived(person: str) -> str:
                with through.client(person) as client:
                    filed = county.file_one(client)
                    assert filed.status_code == 201, filed.text
                    place = filed.headers["location"]
                    for version in (1, 2):
                        taken = county.step(client, place, version=version)
                        assert taken.status_code == 201, taken.text
                return place

            places = list(callers.map(lived, ("wang", "zhao", "li", "judge") * 2))
            while asyncio.run(_waiting(database_urls)):  # their places in the log are part of the answers
                time.sleep(0.05)
            asked = [
                (person, path)
                for person in people
                for place in places
                for path in (place, f"{place}/events", "/v1/cases", "/v1/handoffs?box=in")
            ]

            def answered(at: county.County) -> list[tuple[int, Any]]:
                def ask(what: tuple[str, str]) -> tuple[int, Any]:
                    with at.client(what[0]) as client:
                        answer = client.get(what[1])
                    return answer.status_code, answer.json() if answer.status_code == 200 else None

                return list(callers.map(ask, asked))

            right = answered(beside)
            assert {status for status, _ in right} >= {200, 404}
            assert answered(through) == right
        asyncio.run(_no_row_without_a_context(urls))


async def _no_row_without_a_context(behind: Urls) -> None:
    """On sessions that have served before, where a setting reverts to the empty string and not to null."""
    async with (
        await database.connect(behind.app) as nobody,
        await psycopg.AsyncConnection.connect(behind.reader) as reader,
    ):
        for table in KEPT_APART:
            asked = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            there = await (await reader.execute(asked)).fetchone()
            assert there > (0,), table
            for _ in range(2 * pooler.SESSIONS):
                assert await (await nobody.execute(asked)).fetchone() == (0,), table


async def test_one_alone_is_at_a_work_whatever_session_asks(behind: Urls):
    pools = [await database.hot_pool(behind.app, 2, pooled=True) for _ in range(2)]
    here, there = (Memory(pool) for pool in pools)
    for _ in range(4):  # nor is it held for ever by a session that was given back
        async with here.alone("mediation.test") as ours:
            assert ours
            async with there.alone("mediation.test") as theirs:
                assert not theirs
            async with there.alone("mediation.other") as theirs:
                assert theirs
        async with there.alone("mediation.test") as theirs:
            assert theirs
    for pool in pools:
        await pool.close()


async def test_the_clock_and_its_queue_are_kept_behind_the_pooler(behind: Urls, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, key_file=tmp_path / "vault.key")
    async with timekeeping.timekeeper(settings, behind) as keeper:
        queue = timekeeping._queue(behind, keeper)
        async with queue.open_async():
            number = await queue.tasks["tick"].defer_async(timestamp=1)
            await queue.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
            (job,) = await queue.job_manager.list_jobs_async(id=number)  # at a full minute there is another
    assert job.status == "succeeded"

"""Every committed event gets one position, none is skipped, and a case's events keep their order."""

import asyncio

import psycopg
from tests.service.town import NOTE, Town
from tests.whole import integrated, keys_of, whole

from mediation.service.integrate import integrate_forever
from mediation.store import queries, spans


async def test_writers_and_integrators_at_once_skip_nothing_and_keep_every_order(town: Town):
    cases = [await town.file() for _ in range(6)]
    done = asyncio.Event()

    async def write(case_id: str) -> None:
        for version in range(1, 26):
            await town.step("wang", case_id, NOTE, version=version)

    async def integrate() -> None:
        while not done.is_set():
            await integrated(town.urls)

    async def follow() -> list[tuple[str, int]]:
        """A reader of the feed who goes on from the position told, as systems do."""
        viewer, position, read = await town.viewer("wang"), 0, []
        while True:
            ended = done.is_set()
            found, following = await spans.feed(town.engine, viewer, after=position, limit=7)
            read += [stored.position for stored in found]
            if following == position and ended:
                return read
            position = following
            await asyncio.sleep(0.001)

    integrators = [asyncio.create_task(integrate()) for _ in range(2)]
    reader = asyncio.create_task(follow())
    await asyncio.gather(*(write(case.case) for case in cases))
    while await integrated(town.urls):
        pass
    done.set()
    await asyncio.gather(*integrators)
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        rows = await (
            await owner.execute(
                "SELECT f.position, e.case_id, e.seq FROM feed f JOIN events e ON e.id = f.event ORDER BY f.position"
            )
        ).fetchall()
        assert await (await owner.execute("SELECT count(*) FROM outbox")).fetchone() == (0,)
        (events,) = await (await owner.execute("SELECT count(*) FROM events")).fetchone()
    assert [row[0] for row in rows] == list(range(1, events + 1))
    for case in cases:
        assert [seq for _, case_id, seq in rows if str(case_id) == case.case] == list(range(1, 27))
    visible = {case.case for case in cases}
    assert await reader == [position for position, case_id, _ in rows if str(case_id) in visible]


async def test_the_task_of_the_service_integrates_until_it_is_stopped(town: Town):
    task = asyncio.create_task(integrate_forever(town.urls.log, keys_of(town.urls), every_s=0.01))
    filed = await town.file()
    viewer = await town.viewer("wang")
    for _ in range(500):
        if (await queries.event(town.engine, viewer, filed.event)).position:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    assert (await queries.event(town.engine, viewer, filed.event)).position


async def test_who_meets_another_at_work_leaves_it_alone(town: Town):
    await town.file()
    async with await psycopg.AsyncConnection.connect(town.urls.log) as other:
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('mediation.integrate'))")
        assert await integrated(town.urls) == 0
    assert await integrated(town.urls) == 1

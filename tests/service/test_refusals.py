"""What was refused waits for the database, in a queue that has an end, and is written when the service closes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
from tests.service.town import Town
from tests.whole import whole

from mediation.service.refusals import BATCH, DROPPED, MOST_WAITING, Refusals
from mediation.settings import Urls
from mediation.store.attempts import Attempt
from mediation.store.bodies import AsyncEngine
from mediation.store.database import engine


def attempt(case: str, **changes) -> Attempt:
    now = datetime.now(UTC)
    plain = Attempt(
        now, str(uuid4()), None, "", "", None, "ab" * 16, "GET", "/v1/cases", case, "", 404, "not_found", ()
    )
    return plain._replace(**changes)


def dropped() -> float:
    return DROPPED._value.get()  # the library has no other way to read one in its own process


def kept(urls: Urls, case: str) -> int:
    with psycopg.connect(whole(urls)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM attempts WHERE case_id = %s", (case,)).fetchone() or (0,)
    return int(count)


@asynccontextmanager
async def writing(made: AsyncEngine) -> AsyncIterator[Refusals]:
    refusals = Refusals(made)
    task = asyncio.create_task(refusals.write_forever())
    yield refusals
    await refusals.close(task)


async def test_closing_writes_all_that_waits_and_more_than_a_batch_of_it(town: Town):
    case, before = str(uuid4()), dropped()
    async with writing(town.engine) as refusals:
        for _ in range(2 * BATCH + 50):
            refusals.note(attempt(case))
    assert kept(town.urls, case) == 2 * BATCH + 50
    assert dropped() == before


async def test_what_was_refused_waits_while_the_database_is_away_and_is_written_when_it_is_back(town: Town):
    case, before = str(uuid4()), dropped()
    locked = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
    name = psycopg.conninfo.conninfo_to_dict(town.urls.app)["dbname"]
    made = engine(town.urls.app)
    with psycopg.connect(whole(town.urls), autocommit=True) as connection:
        elsewhere = whole(town.urls).replace(str(name), "postgres", 1)
        with psycopg.connect(elsewhere, autocommit=True) as outside:
            outside.execute(locked.format(name, "false").encode())
            try:
                async with writing(made) as refusals:
                    refusals.note(attempt(case))
                    await asyncio.sleep(1.2)  # it has been tried more than once
                    count = "SELECT count(*) FROM attempts WHERE case_id = %s"
                    assert connection.execute(count, (case,)).fetchone() == (0,)
                    outside.execute(locked.format(name, "true").encode())
            finally:
                outside.execute(locked.format(name, "true").encode())
    await made.dispose()
    assert kept(town.urls, case) == 1
    assert dropped() == before


async def test_a_full_queue_drops_and_counts_and_so_does_closing_without_a_database(town: Town):
    before = dropped()
    nowhere = engine("postgresql://nobody@127.0.0.1:1/nothing")
    async with writing(nowhere) as refusals:
        for _ in range(MOST_WAITING + 7):
            refusals.note(attempt(str(uuid4())))
        assert dropped() - before == 7
    await nowhere.dispose()
    assert dropped() - before == MOST_WAITING + 7


async def test_what_can_never_be_written_does_not_hold_up_the_rest(town: Town):
    case, before = str(uuid4()), dropped()
    async with writing(town.engine) as refusals:
        for _ in range(BATCH):
            refusals.note(attempt(case, status=200))  # no refusal, says the database
        for _ in range(3):
            refusals.note(attempt(case))
    assert kept(town.urls, case) == 3
    assert dropped() - before == BATCH

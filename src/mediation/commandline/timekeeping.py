"""The clock is kept going: once a minute a sweep, on one of however many workers there are, until asked to leave."""

import asyncio
import logging
import logging.config
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Status

from mediation.commandline.journal import log_config
from mediation.commandline.leaving import asked, belong, only_note
from mediation.gateway.embedded import database_ready
from mediation.gateway.vault import Vault, key_from
from mediation.service.clockwork import AT_ONCE, recount, sweep
from mediation.service.lawbook import LOOK_S, Lawbook, LawSet
from mediation.service.perform import House
from mediation.settings import Settings, Urls
from mediation.store.append import Memory
from mediation.store.database import AWAY, engine, hot_pool, session
from mediation.store.shelf import note_set

_LOOK_S = 0.2
_POLL_S = 2.0  # until a job that another worker has put there is seen
_GRACE_S = 5.0  # for the sweep under way; then it is broken off between two steps
_PAUSE_S = 5.0
_KEPT_HOURS = 24  # what has failed can be looked at for so long
_OPTIONS = "-c search_path=jobs,public -c statement_timeout=10s -c timezone=UTC -c jit=off"

_AWAY: tuple[type[Exception], ...] = (ConnectorException, *AWAY)
_log = logging.getLogger("mediation")


class Timekeeper:
    """The corridor as the clock walks it, under the laws as they are now."""

    def __init__(self, house: House, lawbook: Lawbook) -> None:
        self.house = house
        self.lawbook = lawbook
        self._since = time.monotonic()

    async def tick(self) -> None:
        """Once new laws are in use everywhere, the recount of days to come; then a sweep."""
        try:
            if time.monotonic() - self._since > 2 * LOOK_S:  # who answers requests looks for new laws as often
                changed = await recount(self.house)
                if changed is not None:
                    _log.info("recounted: cases=%d laws=%s", changed, self.house.laws.digest)
            swept = await sweep(self.house)
            if swept.cases:
                taken = " ".join(f"{action}={count}" for action, count in sorted(swept.taken.items()))
                _log.info("swept: cases=%d refused=%d left=%d %s", swept.cases, swept.refused, swept.left, taken)
        except AWAY as error:
            _log.warning("the sweep waits for the database: %s", type(error).__name__)

    def use(self, found: LawSet) -> None:
        """Every sweep from now on is under this set."""
        self.house, self._since = self.house._replace(laws=found.laws), time.monotonic()


@asynccontextmanager
async def timekeeper(settings: Settings, urls: Urls) -> AsyncIterator[Timekeeper]:
    """Open the corridor for the clock. Raises: DatabaseUnreachable, BadKeyFile, BadLaws."""
    lawbook = Lawbook(settings.laws)
    pool = await hot_pool(urls.app, AT_ONCE + 1, pooled=urls.pooled)
    shelf = engine(urls.app, 1, pooled=urls.pooled)
    made = Timekeeper(House(Memory(pool), lawbook.laws, Vault(key_from(settings.key_file))), lawbook)

    async def adopt(found: LawSet) -> None:
        await note_set(shelf, found.laws.digest, found.files)
        made.use(found)

    try:
        await note_set(shelf, lawbook.laws.digest, lawbook.current.files)
        following = asyncio.create_task(lawbook.follow(adopt))
        try:
            yield made
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    finally:
        await shelf.dispose()
        await pool.close()


def work(settings: Settings, urls: Urls, leaving: Sequence[int]) -> None:
    """Keep the clock going until something is in `leaving`. Raises: as `timekeeper`."""
    logging.config.dictConfig(log_config(settings.log_level))

    async def until_asked() -> None:
        working = asyncio.create_task(_forever(settings, urls))
        while not (leaving or working.done()):
            await asyncio.wait({working}, timeout=_LOOK_S)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    asyncio.run(until_asked())


def work_beside(settings: Settings) -> None:
    """As `work`, in a process that `serve` began, on the embedded server."""
    belong()
    only_note()
    with database_ready(settings) as urls:
        work(settings, urls, asked)


async def _forever(settings: Settings, urls: Urls) -> None:
    async with timekeeper(settings, urls) as keeper:
        queue = _queue(urls, keeper)
        await keeper.tick()  # at once: the tick of this minute may have been another's, which was killed
        while True:
            try:
                await queue.open_async()
                await queue.run_worker_async(
                    concurrency=1,
                    listen_notify=False,  # a job a minute is seen soon enough
                    fetch_job_polling_interval=_POLL_S,
                    shutdown_graceful_timeout=_GRACE_S,
                    delete_jobs=DeleteJobCondition.SUCCESSFUL,
                    install_signal_handlers=False,
                )
            except _AWAY as error:
                _log.warning("the worker waits for the database: %s", type(error).__name__)
            finally:
                await queue.close_async()
            await asyncio.sleep(_PAUSE_S)


def _queue(urls: Urls, keeper: Timekeeper) -> App:
    """The queue that the migrations made in the schema `jobs`; of all workers one puts a tick there each minute."""
    connector = PsycopgConnector(
        conninfo=urls.app,
        min_size=1,
        max_size=2,
        kwargs={**session(_OPTIONS, pooled=urls.pooled), "application_name": "mediation worker"},
    )
    queue = App(connector=connector)

    # No `lock`: it would keep every later tick from running where a worker was killed in one. `sweep` has its own.
    @queue.periodic(cron="* * * * *", queueing_lock="tick")
    @queue.task(name="tick", queueing_lock="tick")
    async def tick(timestamp: int) -> None:  # noqa: ARG001  # the minute it is for
        await keeper.tick()
        jobs = queue.job_manager
        for job in await jobs.get_stalled_jobs():  # whose worker was killed
            with suppress(ConnectorException):  # another has cleared it away
                await jobs.finish_job(job, Status.FAILED, delete_job=True)
        await jobs.delete_old_jobs(_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True)

    return queue

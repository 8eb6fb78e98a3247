"""What was refused is written down after the fact, in batches: no refusal waits for the database."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from prometheus_client import Counter

from mediation.store.attempts import Attempt, write_attempts
from mediation.store.bodies import AsyncEngine
from mediation.store.database import AWAY, FAULTS

MOST_WAITING = 10_000
BATCH = 200
PAUSE_S = 0.5

DROPPED = Counter(
    "mediation_attempts_dropped_total",
    "Refused attempts not written down: one client's flood, a full queue, or a database away until the end.",
)
_log = logging.getLogger(__name__)


class Refusals:
    """The attempts that wait to be written down, of one process; what does not fit is dropped and counted."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: deque[Attempt] = deque()
        self._due = asyncio.Event()
        self._closing = False

    def note(self, attempt: Attempt) -> None:
        """Take it in: it will be in the database within about half a second, or once there is one again."""
        if len(self._waiting) >= MOST_WAITING:
            DROPPED.inc()
            return
        self._waiting.append(attempt)
        if len(self._waiting) == BATCH:  # only when it becomes so: a database that is away is not asked at each
            self._due.set()

    async def write_forever(self) -> None:
        """Write what waits, each half a second or when there is a batch of it, until `close`."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), PAUSE_S)
            self._due.clear()
            await self._write()
            if self._closing:
                return

    async def close(self, writing: asyncio.Task[None]) -> None:
        """Let `writing` end with all that waits; what cannot be written now is dropped and counted."""
        self._closing = True
        self._due.set()
        await writing
        DROPPED.inc(len(self._waiting))

    async def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
            try:
                await write_attempts(self._engine, batch)
            except AWAY as found:
                _log.warning("attempts wait for the database: %s", type(found).__name__)
                return
            except FAULTS as found:  # what can never be written must not hold up the rest
                _log.error("attempts dropped: %s", type(found).__name__)  # a trace may show values
                DROPPED.inc(len(batch))
            for _ in batch:
                self._waiting.popleft()

"""Committed events into the feed: one integrating task in the whole house gives each its position."""

import asyncio
import logging

from mediation.domain.errors import MediationError
from mediation.store import append
from mediation.store.database import connect

EVERY_S = 0.2
BATCH = 2000

_PAUSE_S = 5.0
_log = logging.getLogger(__name__)


async def integrate_once(log_url: str) -> int:
    """Give every event committed so far its position: how many, 0 also when another task is at it."""
    async with await connect(log_url) as connection:
        return await _drain(connection)


async def integrate_forever(log_url: str, every_s: float = EVERY_S) -> None:
    """Integrate until cancelled; a database that goes away is met again when it is back."""
    while True:
        try:
            async with await connect(log_url) as connection:
                while True:
                    await _drain(connection)
                    await asyncio.sleep(every_s)
        except (MediationError, append.DatabaseError) as found:
            _log.warning("integration waits for the database: %s", type(found).__name__)
            await asyncio.sleep(_PAUSE_S)


async def _drain(connection: append.Connection) -> int:
    total = 0
    while (moved := await append.integrate(connection, BATCH)) > 0:
        total += moved
    return total

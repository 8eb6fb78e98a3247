"""Counts of bodies and lists of cases made anew, where a verifier says that they are not what the histories make."""

import asyncio

from mediation.domain.events import evolve, parse
from mediation.domain.facts import Case
from mediation.domain.tallying import Sums, tallies
from mediation.store import bodies, leaves
from mediation.store.database import connect, engine

_PAUSE_S = 0.2


async def recount(log_url: str) -> int:
    """Make the counts of bodies anew from every event that has its place: how many events.

    Nobody gives a place meanwhile; steps go on, and wait for theirs. One transaction: the counts are read as they were
    until it ends. Raises BrokenTrail, where a history is not whole; DatabaseUnreachable.
    """
    async with await connect(log_url) as connection, connection.transaction():
        while not await leaves.turn(connection):  # noqa: ASYNC110  # the turn is the server's to give
            await asyncio.sleep(_PAUSE_S)
        await leaves.unhurried(connection)
        sums, case, folded = Sums(), None, 0
        async for case_id, data in leaves.placed(connection):
            before: Case | None = case if case and case.id == case_id else None
            case = evolve(before, parse(data))
            sums.add(tallies(before, case))
            folded += 1
        await leaves.count_anew(connection, sums)
        return folded


async def relist(app_url: str) -> None:
    """List every case anew where it belongs, and by its references. Steps that would list one wait meanwhile."""
    database = engine(app_url)
    try:
        await bodies.relist(database)
    finally:
        await database.dispose()

"""The keys of what is personal: which there are, and how one is destroyed with all that it opens."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mediation.domain.registering import Hand
from mediation.store.bodies import turn
from mediation.store.database import transaction
from mediation.store.tables import CASES, ERASURES, VAULT, VAULT_KEYS, VAULT_WORDS

__all__ = [
    "AsyncConnection",
    "AsyncEngine",
    "Whose",
    "destroy",
    "erased",
    "erasing",
    "key_of",
    "keys_of",
    "note",
    "version_of",
]

_AT_ONCE = 1000
_ABOUT = text("SELECT set_config('mediation.case', c.id::text, true) FROM cases c WHERE c.id = cast(:case AS uuid)")
_AS = text("""
SELECT enter(w.person, w.org, (SELECT m.roles FROM memberships m WHERE m.person = w.person AND m.org = w.org),
             cast(:request AS uuid), NULL)
FROM (SELECT cast(:actor AS uuid), cast(:org AS uuid)) AS w (person, org)""")
_AS_CLOCK = text("SELECT enter('00000000-0000-0000-0000-000000000000', NULL, NULL, NULL, NULL)")


class Whose(NamedTuple):
    """Whose key: of a case's party by number, 0 for its own text."""

    case: str
    subject: int


@asynccontextmanager
async def erasing(engine: AsyncEngine, case_id: str, hand: Hand | None = None) -> AsyncIterator[AsyncConnection]:
    """A transaction about what is personal in one case, in which nobody else erases or changes the registry.

    It reaches what `hand` may see by the roles they have now; None is the ledger itself, which reaches every case.
    """
    async with turn(engine) as connection:
        if hand:
            who = {"actor": hand.actor, "org": hand.org, "request": hand.request}
            await connection.execute(_AS, who)
        else:
            await connection.execute(_AS_CLOCK)
        await connection.execute(_ABOUT, {"case": case_id})
        yield connection


async def version_of(connection: AsyncConnection, case_id: str) -> int | None:
    """The version of the case an erasure is about, which stays so until it commits; None where it is not seen."""
    query = select(CASES.c.version).where(CASES.c.id == case_id).with_for_update(key_share=True)
    version: int | None = await connection.scalar(query)
    return version


async def key_of(connection: AsyncConnection, whose: Whose) -> bytes | None:
    """A wrapped data key; None where there is none, or none any more."""
    query = select(VAULT_KEYS.c.wrapped).where(
        VAULT_KEYS.c.case_id == whose.case, VAULT_KEYS.c.subject == whose.subject
    )
    wrapped: bytes | None = await connection.scalar(query)
    return wrapped


async def keys_of(engine: AsyncEngine, wanted: Sequence[Whose]) -> dict[Whose, bytes]:
    """The wrapped data keys that there are of these."""
    found: dict[Whose, bytes] = {}
    async with transaction(engine) as connection:
        await connection.execute(_AS_CLOCK)
        for start in range(0, len(wanted), _AT_ONCE):
            pairs = tuple_(VAULT_KEYS.c.case_id, VAULT_KEYS.c.subject).in_(wanted[start : start + _AT_ONCE])
            for row in await connection.execute(select(VAULT_KEYS).where(pairs)):
                found[Whose(row.case_id, row.subject)] = row.wrapped
    return found


async def erased(engine: AsyncEngine) -> list[Whose]:
    """Whose keys were destroyed, once for each key."""
    async with transaction(engine) as connection:
        await connection.execute(_AS_CLOCK)
        rows = await connection.execute(select(ERASURES.c.case_id, ERASURES.c.subject))
        return [Whose(row.case_id, row.subject) for row in rows]


async def destroy(connection: AsyncConnection, whose: Whose) -> None:
    """Destroy a key, all that is sealed under it, and what it is found by."""
    for table in (VAULT_WORDS, VAULT, VAULT_KEYS):
        rows = delete(table).where(table.c.case_id == whose.case, table.c.subject == whose.subject)
        await connection.execute(rows)


async def note(connection: AsyncConnection, whose: Whose, event_id: str, at: datetime) -> None:
    """Note that a key was destroyed, by which event of the administration log."""
    row = {"case_id": whose.case, "subject": whose.subject, "event": event_id, "at": at}
    await connection.execute(insert(ERASURES).values(row))

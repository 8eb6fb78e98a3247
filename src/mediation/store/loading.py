"""Very many rows at once, by COPY, in one transaction of the owner's: indexes go first and come back before it commits.

Whoever asks for one of these tables waits meanwhile; whatever goes wrong leaves everything as it was.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from mediation.domain.errors import MediationError
from mediation.domain.tallying import Sums
from mediation.store import leaves
from mediation.store.database import connect
from mediation.store.leaves import Connection, Signed

LOADED = (
    "cases",
    "worklists",
    "events",
    "vault_keys",
    "vault",
    "vault_words",
    "feed",
    "spans",
    "case_numbers",
    "tallies",
)
"""The tables that are written by COPY or by the hundred thousand."""


class CasesThere(MediationError):
    """There are cases already: what is invented does not go among them."""

    code = "cases_there"
    zh = "数据库中已有案件；合成数据只填入没有案件的数据库"
    en = "There are cases in the database already; what is synthesised goes into one without"


class BodiesThere(MediationError):
    """There are bodies already that were not invented: no invented ones go among them."""

    code = "bodies_there"


class Loading:
    """What may be done in the transaction; `connection` is the owner's."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def copy(self, table: str, columns: str, lines: bytes) -> None:
        """Add rows: lines of COPY's text format, with the columns of these names."""
        said = f"COPY {table} ({', '.join(columns.split())}) FROM STDIN"
        async with self.connection.cursor().copy(said) as rows:
            await rows.write(lines)

    async def number(self, last: Mapping[tuple[str, int], int]) -> None:
        """Note the last number that each body has given in a year, so that filing goes on after it."""
        async with self.connection.cursor() as cursor:
            await cursor.executemany(_NUMBER, [(org, year, number) for (org, year), number in last.items()])

    async def count(self, sums: Sums) -> None:
        """Add to the counts of bodies."""
        await leaves.count_in(self.connection, sums)

    async def tiles(self, origin: str, whole: Mapping[tuple[int, int], bytes]) -> None:
        """Add tiles of a tree that are not there yet."""
        lines = [f"{origin}\t{level}\t{index}\t\\\\x{hashes.hex()}\n" for (level, index), hashes in whole.items()]
        await self.copy("log_tiles", "origin level idx hashes", "".join(lines).encode())

    async def sign(self, origin: str, signed: Signed, grown: Mapping[tuple[int, int], bytes]) -> None:
        """Store the tiles that have grown, and the checkpoint."""
        await leaves.store(self.connection, origin, signed, grown)


@asynccontextmanager
async def loading(owner_url: str) -> AsyncIterator[Loading]:
    """The transaction: committed at the end of the block, whole or not at all. Nothing is integrated meanwhile.

    Raises: CasesThere, DatabaseUnreachable.
    """
    async with await connect(owner_url) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('mediation.integrate'))")
        await connection.execute(_SETTINGS)
        for table in LOADED:
            await connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        if await (await connection.execute("SELECT id FROM cases LIMIT 1")).fetchone():
            raise CasesThere
        await connection.execute("SELECT make_partitions(now(), now() + interval '2 months')")
        indexes = await (await connection.execute(_INDEXES, (list(LOADED),))).fetchall()
        keys = await (await connection.execute(_KEYS, (list(LOADED),))).fetchall()
        for table, name, _ in keys:
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        yield Loading(connection)
        await _restored(connection, indexes, keys)
    async with await connect(owner_url) as connection:
        for table in LOADED:
            await connection.execute(f"VACUUM (ANALYZE) {table}")


async def _restored(
    connection: Connection, indexes: Sequence[tuple[str, str]], keys: Sequence[tuple[str, str, str]]
) -> None:
    for _, definition in indexes:
        await connection.execute(definition.replace(" ON ONLY ", " ON "))
    for table, name, definition in keys:
        await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for table in LOADED:
        await connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


async def positions_of(reader: psycopg.AsyncConnection[Any], cases: Sequence[str]) -> dict[int, bytes]:
    """The bytes of the events of these cases, by their positions."""
    rows = await reader.cursor(binary=True).execute(_PLACED, (list(cases),))
    return {position: data async for position, data in rows}


_SETTINGS = """
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '30s', true),
       set_config('idle_in_transaction_session_timeout', '0', true), set_config('timezone', 'UTC', true),
       set_config('maintenance_work_mem', '512MB', true)
"""
_INDEXES = """
SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid::regclass::text = ANY (%s) AND NOT i.indisunique ORDER BY c.relname
"""
_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid::regclass::text = ANY (%s) ORDER BY conname
"""
_NUMBER = """
INSERT INTO case_numbers AS n (org, year, last) VALUES (%s, %s, %s)
ON CONFLICT (org, year) DO UPDATE SET last = greatest(n.last, excluded.last)
"""
_PLACED = """
SELECT f.position, e.bytes FROM events e JOIN feed f ON f.event = e.id WHERE e.case_id = ANY (%s::uuid[])
"""

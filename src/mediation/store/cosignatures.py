"""Cosignatures of checkpoints as they are stored: a witness has one of each size."""

from collections.abc import Sequence

from mediation.store.leaves import Connection, instant


async def cosigned(connection: Connection, origin: str, size: int) -> dict[str, str]:
    """The cosignature lines of a checkpoint by the witness's name."""
    rows = await connection.execute(
        "SELECT name, line FROM log_cosignatures WHERE origin = %s AND size = %s", (origin, size)
    )
    return dict(await rows.fetchall())


async def signed_at(connection: Connection, origin: str, size: int) -> str:
    """When a checkpoint was signed; "" where there is none."""
    said = (origin, size)
    row = await (
        await connection.execute("SELECT at FROM log_checkpoints WHERE origin = %s AND size = %s", said)
    ).fetchone()
    return instant(row[0]) if row else ""


async def add(connection: Connection, origin: str, size: int, name: str, lines: Sequence[str]) -> None:
    """Store the cosignature of a witness; one that is there stays."""
    said = (origin, size, name, "".join(lines))
    await connection.execute(
        "INSERT INTO log_cosignatures (origin, size, name, line) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING", said
    )

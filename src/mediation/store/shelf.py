"""Every set of laws that was ever used, whole, so that whoever reads an event can fetch the set that it names."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from mediation.store.database import transaction
from mediation.store.tables import LAW_SETS


async def note_set(engine: AsyncEngine, digest: str, files: Mapping[str, str]) -> None:
    """Keep a set before it is used: the text of each file by its name. One that is kept already stays as it is."""
    async with transaction(engine) as connection:
        await connection.execute(insert(LAW_SETS).values(digest=digest, files=dict(files)).on_conflict_do_nothing())


async def files_of(engine: AsyncEngine, digest: str) -> dict[str, str] | None:
    """The files of the set of this digest; None if none such was used here."""
    async with engine.connect() as connection:
        found: dict[str, str] | None = await connection.scalar(
            select(LAW_SETS.c.files).where(LAW_SETS.c.digest == digest)
        )
    return found

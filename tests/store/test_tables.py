"""The tables that SQLAlchemy reads are those that the migrations make; a downgrade keeps the history."""

import asyncio
import hashlib
import importlib.util
import re
from importlib.resources import files

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text
from tests.service.town import DECLINE, Town, populate
from tests.whole import integrated

from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.database import MIGRATIONS, _alembic, _sqlalchemy, migrate
from mediation.store.tables import METADATA
from mediation.store.worklists import Filters, worklist

FIRST = "2bcb6ff251ef4d76266052899ddf924fdd61ed40121d09d092eed0cfca00fd4b"
"""SHA-256 of the SQL of the first migration, comments and spaces apart."""
LATER = "2027-01-01T00:00:00.000000Z"
_PART = re.compile(r"_(\d\d|\d{6}|rest)$")


def test_the_migrations_make_the_tables_that_are_read(module_database_urls: Urls):
    engine = create_engine(_sqlalchemy(module_database_urls.owner))
    with engine.connect() as connection:
        opts = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or not _PART.search(name)}
        found = compare_metadata(MigrationContext.configure(connection, opts=opts), METADATA)
    engine.dispose()
    assert [
        change for change in found if "comment" not in str(change[0][0] if isinstance(change, list) else change[0])
    ] == []


def test_the_first_migration_makes_what_it_made_when_it_was_released():
    """Whoever changes a policy or a function writes a migration that runs the files again, and notes the new digest here.

    A database that is there learns of it in no other way. Tables are changed by the new migration alone.
    """
    path = MIGRATIONS / "versions" / "0001_the_memory.py"
    first = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("first", path))
    spec.loader.exec_module(first)
    told = [first.REFERENCE, first.HISTORY, first.LOGS]
    told += [files("mediation.store").joinpath(name).read_text("utf-8") for name in first.FUNCTIONS]
    said = re.sub(r"\s+", " ", re.sub(r"--.*", "", "\n".join(told)))
    assert (first.revision, hashlib.sha256(said.encode()).hexdigest()) == ("0001_2026_11_23", FIRST)


def downgrade(urls: Urls, to: str = "base") -> None:
    engine = create_engine(_sqlalchemy(urls.owner), poolclass=NullPool)
    with engine.connect() as connection:
        config = _alembic()
        config.attributes["connection"] = connection
        command.downgrade(config, to)


async def test_lists_and_counts_hold_what_was_there_before_they_were_told_so(town: Town):
    """The second migration, in a database that the first has made."""
    filed = [await town.file() for _ in range(3)]
    await town.step("wang", filed[0].case, {"action": "accept"})
    await town.step("wang", filed[2].case, DECLINE)
    await integrated(town.urls)
    viewer = await town.viewer("wang")
    told = await worklist(town.house.memory, viewer, Filters(LATER))
    await asyncio.to_thread(downgrade, town.urls, "0001_2026_11_23")
    await asyncio.to_thread(migrate, town.urls.owner)
    assert await worklist(town.house.memory, viewer, Filters(LATER)) == told
    assert [item.line.state for item in told.items] == ["closed", "filed", "accepted"]
    await town.step("wang", filed[1].case, {"action": "accept"})
    await integrated(town.urls)
    assert (await verify_database(town.urls.reader)).failures == ()


async def test_a_downgrade_refuses_to_drop_events(town: Town):
    await town.file()
    with pytest.raises(Exception, match="history_kept"):
        await asyncio.to_thread(downgrade, town.urls)
    assert (await town.file()).seq == 1


def test_an_empty_database_goes_down_and_up_again(database_urls: Urls):
    downgrade(database_urls)
    engine = create_engine(_sqlalchemy(database_urls.owner))
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM pg_class WHERE relowner = 'mediation_owner'::regrole AND relkind = 'r'")
        )
        assert left.scalar() == 1  # alembic's own
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        assert connection.execute(text(functions)).all() == []
    engine.dispose()
    migrate(database_urls.owner)
    asyncio.run(populate(database_urls))

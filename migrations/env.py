"""Runs the migrations: as the owner, all in one transaction, one process at a time."""

from contextlib import ExitStack

from alembic import context
from sqlalchemy import Connection, Engine, create_engine, make_url, pool, text

from mediation.gateway.embedded import database_ready
from mediation.settings import Settings

LOCK = 0x6D65646961746521  # an advisory lock's key: "mediate!"


def run(connection: Connection) -> None:
    """Bring the database of `connection` to the revision that was asked for."""
    context.configure(connection=connection, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()
        # Alembic made this table, so no migration has granted it: the application compares it with what it knows.
        connection.execute(text("GRANT SELECT ON alembic_version TO mediation_app, mediation_log"))


with ExitStack() as stack:
    given: Connection | Engine | None = context.config.attributes.get("connection")
    if given is None:  # called as `alembic …`
        url = make_url(stack.enter_context(database_ready(Settings.load(), "owner")).owner)
        given = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=pool.NullPool)
    run(stack.enter_context(given.connect()) if isinstance(given, Engine) else given)

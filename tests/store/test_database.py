"""The database as the application meets it: safe, migrated, and committed to in one place."""

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from mediation.domain.errors import MediationError
from mediation.store import database


async def test_a_copy_is_at_the_newest_revision_and_the_application_may_see_that(database_urls):
    async with await database.connect(database_urls.app) as connection:
        assert await database.current_revision(connection) == database.head_revision() is not None


def test_migrating_again_changes_nothing(database_urls):
    assert database.migrate(database_urls.owner) == database.head_revision()


def test_a_database_of_a_version_that_is_not_known_is_refused_by_name_and_left_alone(database_urls):
    with psycopg.connect(database_urls.owner, autocommit=True) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0001'")  # an earlier form of the first
        with pytest.raises(database.UnknownSchema) as refused:
            database.migrate(database_urls.owner)
        assert [("0001" in said, "MEDIATION_DATA_DIR" in said) for said in (refused.value.zh, refused.value.en)] == [
            (True, True)
        ] * 2
        assert owner.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


async def test_a_server_that_may_lose_what_it_confirmed_is_refused(database_urls):
    async with await database.connect(database_urls.app) as connection:
        with pytest.raises(database.UnsafeDatabase) as refused:
            await database.assert_durable(connection)
    assert [reason.code for reason in refused.value.reasons] == ["not_durable"]
    assert "fsync" in refused.value.zh
    assert "fsync" in refused.value.en


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
def test_each_setting_that_risks_data_is_named(setting):
    safe = database.Condition(180006, "on", "on", "on", "mediation_app", superuser=False, bypasses_rls=False, owned=0)
    assert database.dangers(safe) == []
    assert [setting in reason.en for reason in database.dangers(safe._replace(**{setting: "off"}))] == [True]


@pytest.mark.parametrize(("version", "known"), [(140020, False), (150001, True), (180006, True), (190000, False)])
def test_only_versions_that_we_know_are_used(version, known):
    seen = database.Condition(version, "on", "on", "on", "mediation_app", superuser=False, bypasses_rls=False, owned=0)
    assert (database.dangers(seen) == []) is known


async def test_a_role_with_more_power_than_the_application_needs_is_refused(server, database_urls):
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
        superuser.execute("CREATE ROLE climber LOGIN PASSWORD 'x' IN ROLE mediation_reader")
    try:
        address = database_urls.app.partition("@")[2]
        async with await database.connect(
            f"postgresql://postgres:{server.cluster.password('postgres')}@{address}"
        ) as high:
            codes = [reason.en for reason in database.dangers(await database.condition(high))]
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
            superuser.execute(f"GRANT CONNECT ON DATABASE {address[1:].partition('?')[0]} TO climber")
        async with await database.connect(f"postgresql://climber:x@{address}") as member:
            climber = await database.condition(member)
    finally:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
            superuser.execute(f"REVOKE CONNECT ON DATABASE {address[1:].partition('?')[0]} FROM climber")
            superuser.execute("DROP ROLE climber")
    assert any("superuser" in text for text in codes)
    assert climber.bypasses_rls, "what a role may become counts as what it may"


async def test_a_transaction_commits_whole_or_not_at_all_and_forgets_who_acted(database_urls):
    owner = database.engine(database_urls.owner)
    try:
        async with database.transaction(owner) as connection:
            await connection.exec_driver_sql("CREATE TABLE box (n int)")
        async with database.transaction(owner, {"mediation.test": "somebody"}) as connection:
            await connection.exec_driver_sql("INSERT INTO box VALUES (1)")
            seen = (await connection.exec_driver_sql("SELECT current_setting('mediation.test')")).scalar_one()
        with pytest.raises(DBAPIError):  # noqa: PT012  # the block that fails is the block that must not commit
            async with database.transaction(owner) as connection:
                await connection.exec_driver_sql("INSERT INTO box VALUES (2)")
                await connection.exec_driver_sql("SELECT 1/0")
        async with database.transaction(owner) as connection:
            kept = (await connection.exec_driver_sql("SELECT array_agg(n) FROM box")).scalar_one()
            after = (await connection.exec_driver_sql("SELECT current_setting('mediation.test', true)")).scalar_one()
    finally:
        await owner.dispose()
    assert (seen, kept, after) == ("somebody", [1], "")


async def test_the_hot_pool_prepares_what_it_runs_and_gives_up_on_slow_statements(database_urls):
    pool = await database.hot_pool(database_urls.app, 2)
    async with pool, pool.connection() as connection:
        assert connection.autocommit
        await connection.execute("SELECT %s::int + 1", [1])
        known = await (await connection.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone()
        limit = await (await connection.execute("SHOW statement_timeout")).fetchone()
    assert known[0] >= 1
    assert limit == ("10s",)


async def test_an_address_where_nobody_answers_is_told_at_once_and_in_both_languages():
    with pytest.raises(database.DatabaseUnreachable) as refused:
        await database.hot_pool("postgresql://nobody@127.0.0.1:1/nothing", 2)
    assert isinstance(refused.value, MediationError)
    assert refused.value.zh.startswith("无法连接数据库")
    assert "refused" in refused.value.en


def test_the_doors_do_not_show_their_passwords(database_urls):
    assert "postgresql" not in repr(database_urls)

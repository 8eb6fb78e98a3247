"""Tables in parts: made by the month, nobody's by name, refused every change, and an old one is let go of at once."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RestrictViolation
from psycopg.sql import SQL, Identifier
from tests.service.town import NOTE, opened, populate
from tests.whole import whole

from mediation.settings import Urls

BY_MONTH = ["outbox", "event_keys", "attempts", "disclosures"]
PARTS = """
SELECT w.relname::text, p.relname::text
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid JOIN pg_class w ON w.oid = i.inhparent
 WHERE p.relnamespace = 'public'::regnamespace AND p.relkind = 'r' ORDER BY 2
"""
SPRING = "SELECT make_partitions('2031-03-15Z', '2031-05-01Z')"
ATTEMPT = (
    "INSERT INTO attempts (at, request, method, route, status, code)"
    " VALUES (%s, gen_random_uuid(), 'GET', '/', 404, 'c') RETURNING tableoid::regclass::text"
)
MANY_PARTS = 16 + 4 * (3 + 1)  # of events; the months and the rest of four tables


def parts(connection: psycopg.Connection[Any], *wholes: str) -> list[str]:
    return [part for whole, part in connection.execute(PARTS) if not wholes or whole in wholes]


def one(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    (value,) = connection.execute(query, values).fetchone()
    return value


@pytest.fixture
def everything(database_urls: Urls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(whole(database_urls), autocommit=True) as superuser:
        yield superuser


@pytest.fixture
def app(database_urls: Urls) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_urls.app, autocommit=True) as connection:
        yield connection


# ── by its name ──


@pytest.mark.parametrize("door", ["app", "log"])
def test_no_part_is_read_or_written_by_its_name(database_urls: Urls, everything: psycopg.Connection[Any], door: str):
    names = parts(everything)
    assert len(names) == MANY_PARTS
    with psycopg.connect(getattr(database_urls, door), autocommit=True) as connection:
        for name in names:
            for said in ("SELECT FROM {}", "INSERT INTO {} DEFAULT VALUES", "DELETE FROM {}", "TRUNCATE {}"):
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(SQL(said).format(Identifier(name)))


async def test_the_owner_of_the_parts_sees_no_row_by_their_name_either(database_urls: Urls):
    await populate(database_urls)
    async with opened(database_urls) as town:
        await town.file(key="a-key-of-a-filing")
    with psycopg.connect(whole(database_urls)) as everything, psycopg.connect(database_urls.owner) as owner:
        names = parts(everything)
        held = {name for name in names if one(everything, f"SELECT EXISTS (SELECT FROM {name})")}  # noqa: S608  # ours
        assert {name.rpartition("_")[0] for name in held} == {"events", "outbox", "event_keys"}
        assert [name for name in names if one(owner, f"SELECT EXISTS (SELECT FROM {name})")] == []  # noqa: S608  # ours


@pytest.mark.parametrize("change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"])
def test_a_part_of_what_only_grows_refuses_every_change_also_by_a_superuser_and_in_months_to_come(
    everything: psycopg.Connection[Any], change: str
):
    everything.execute(SPRING)
    names = parts(everything, "events", "disclosures", "attempts")
    assert len(names) == 16 + 2 * (3 + 3 + 1)
    for name in names:
        column = "seq" if name.startswith("events") else "at"
        with pytest.raises(RestrictViolation):
            everything.execute(SQL(change).format(Identifier(name), Identifier(column)))


# ── by the month ──


def test_the_months_asked_for_are_made_by_the_application_once(
    app: psycopg.Connection[Any], everything: psycopg.Connection[Any]
):
    before = set(parts(everything))
    assert one(app, SPRING) == 3 * len(BY_MONTH)
    assert set(parts(everything)) - before == {
        f"{name}_2031{month}" for name in BY_MONTH for month in ("03", "04", "05")
    }
    assert one(app, SPRING) == 0


async def test_who_makes_months_at_the_same_time_waits_and_makes_none_twice(database_urls: Urls):
    async def made() -> int:
        async with await psycopg.AsyncConnection.connect(database_urls.app, autocommit=True) as connection:
            (count,) = await (await connection.execute(SPRING)).fetchone()
            return count

    assert sorted(await asyncio.gather(*(made() for _ in range(4)))) == [0, 0, 0, 3 * len(BY_MONTH)]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_a_month_begins_where_it_does_in_utc_whatever_the_session_s_zone(
    everything: psycopg.Connection[Any], zone: str
):
    everything.execute("SELECT set_config('timezone', %s, false)", (zone,))
    assert one(everything, SPRING) == 3 * len(BY_MONTH)
    for at, part in {
        "2031-02-28T23:59:59Z": "attempts_rest",
        "2031-03-01T00:00:00Z": "attempts_203103",
        "2031-03-31T23:59:59.999999Z": "attempts_203103",
        "2031-05-31T23:59:59Z": "attempts_203105",
    }.items():
        assert one(everything, ATTEMPT, at) == part


def test_a_month_whose_rows_have_come_already_stays_in_the_rest_and_the_others_are_made(
    everything: psycopg.Connection[Any],
):
    assert one(everything, ATTEMPT, "2031-04-10") == "attempts_rest"
    assert one(everything, SPRING) == 3 * len(BY_MONTH) - 1
    assert "attempts_203104" not in parts(everything)
    assert one(everything, ATTEMPT, "2031-04-11") == "attempts_rest"
    assert one(everything, ATTEMPT, "2031-05-11") == "attempts_203105"
    assert one(everything, "SELECT count(*) FROM attempts") == 3


def test_a_month_is_let_go_of_at_once_and_the_rest_goes_on(
    database_urls: Urls, everything: psycopg.Connection[Any], app: psycopg.Connection[Any]
):
    everything.execute(SPRING)
    for at in ("2031-03-10", "2031-04-10"):
        everything.execute(ATTEMPT, (at,))
    with psycopg.connect(database_urls.owner) as owner:
        owner.execute("ALTER TABLE attempts DETACH PARTITION attempts_203103")
    assert one(everything, "SELECT array_agg(at::date::text) FROM attempts") == ["2031-04-10"]
    assert one(everything, "SELECT count(*) FROM attempts_203103") == 1
    assert one(app, SPRING) == 0  # it is not made anew over what was kept
    assert one(everything, ATTEMPT, "2031-03-11") == "attempts_rest"
    with pytest.raises(InsufficientPrivilege):
        app.execute("SELECT FROM attempts_203103")


async def test_keys_are_dropped_by_the_month_and_only_where_all_of_it_is_over(database_urls: Urls):
    with psycopg.connect(whole(database_urls), autocommit=True) as everything:
        everything.execute("SELECT make_partitions(now() - interval '130 days', now())")
        months = sorted(set(parts(everything, "event_keys")) - {"event_keys_rest"})
        with psycopg.connect(database_urls.app, autocommit=True) as app:
            dropped = one(app, "SELECT forget_keys(30)")
        left = sorted(set(parts(everything, "event_keys")) - {"event_keys_rest"})
        assert (len(months) - len(left), left) == (dropped, months[dropped:])
        ended = "SELECT bool_and(to_date(right(m, 6), 'YYYYMM') + interval '1 month' {} now() - interval '30 days') FROM unnest(%s::text[]) m"
        assert dropped
        assert one(everything, ended.format("<="), months[:dropped])
        assert one(everything, ended.format(">"), left)
        assert len(parts(everything, "attempts")) > len(left) + 1  # nothing else goes


# ── what no index over all months can say ──


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
CREATE TRIGGER slow BEFORE UPDATE ON cases FOR EACH ROW EXECUTE FUNCTION slow();
"""


async def test_one_key_sent_at_once_for_four_cases_moves_one_of_them(
    database_urls: Urls, everything: psycopg.Connection[Any]
):
    await populate(database_urls)
    async with opened(database_urls) as town:
        cases = [(await town.file()).case for _ in range(4)]
        everything.execute(SLOW)  # each has looked whether the key was used before the first has written it
        steps = (town.step("wang", case, NOTE, key="four-cases", version=1) for case in cases)
        assert len({answer.event for answer in await asyncio.gather(*steps)}) == 1
        assert sorted([(await town.seen("wang", case)).case.version for case in cases]) == [1, 1, 1, 2]

"""A connection's short way for single statements gives what psycopg's cursor gives, and fails as it does."""

import asyncio
import os
import signal
import socket

import psycopg
import pytest
import uvloop

from mediation.store import database
from mediation.store import line as room
from mediation.store.append import Memory
from mediation.store.line import Call, Line


@pytest.fixture
async def pool(database_urls):
    opened = await database.hot_pool(database_urls.app, 1)
    yield opened
    await opened.close()


async def test_what_is_asked_comes_back_in_the_types_that_psycopg_gives(pool):
    call = "SELECT %s::text, %s::int + 1, %b::bytea, %s::uuid, %s::json::text, %s::boolean"
    values = ("调解", 41, b"\x00\xff", None, '{"a": 1}', True)
    async with pool.connection() as line:
        (row,) = await line.ask(call, values)
        assert row == ("调解", 42, b"\x00\xff", None, '{"a": 1}', True)
        assert await line.ask("SELECT n FROM generate_series(1, 3) AS n WHERE n > %s", (1,)) == [(2,), (3,)]
        assert await line.ask("SELECT 1 WHERE %s", (False,)) == []


async def test_a_statement_is_prepared_once_for_each_connection(pool):
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 7 + $1%%'"
    async with pool.connection() as line:
        for _ in range(3):
            await line.ask("SELECT 7 + %s::int", (1,))
        assert await (await line.execute(prepared)).fetchone() == (1,)


async def test_the_connection_that_was_used_last_is_used_first(database_urls):
    pool = await database.hot_pool(database_urls.app, 3)
    memory = Memory(pool)
    seen = {(await memory.rows("SELECT pg_backend_pid()", ()))[0] for _ in range(6)}
    assert len(seen) == 1
    await pool.close()


async def test_a_statement_that_the_server_has_forgotten_is_prepared_anew(pool):
    async with pool.connection() as line:
        assert await line.ask("SELECT 8 + %s::int", (1,)) == [(9,)]
        await line.execute("DEALLOCATE ALL")
        assert await line.ask("SELECT 8 + %s::int", (2,)) == [(10,)]


SET = Call("SELECT set_config('mediation.org', %s, true)", ("here",))
TOLD = "SELECT current_setting('mediation.org', true), n FROM generate_series(1, %s) AS n"


async def test_several_statements_are_one_transaction_and_the_last_one_s_rows_come_back(pool):
    async with pool.connection() as line:
        for _ in range(2):
            assert await line.together(SET, Call(TOLD, (2,))) == [("here", 1), ("here", 2)]
            assert await line.together(SET, SET, Call(TOLD, (1,), kept=False)) == [("here", 1)]
        assert await line.ask(TOLD, (1,)) == [("", 1)]


async def test_where_the_first_of_several_fails_its_error_is_raised_and_nothing_is_done(pool):
    async with pool.connection() as line:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await line.together(SET, Call("SELECT 1 / %s::int", (0,)), Call(TOLD, (1,)))
        with pytest.raises(psycopg.errors.DivisionByZero):
            await line.together(SET, Call("SELECT 1 / %s::int", (0,)))
        assert await line.ask(TOLD, (1,)) == [("", 1)]
        await line.execute("DEALLOCATE ALL")
        assert await line.together(SET, Call(TOLD, (1,))) == [("here", 1)]


@pytest.mark.parametrize("value", ["\ud800", "a\x00b"])
async def test_a_line_on_which_a_value_could_not_be_sent_answers_whoever_asks_next(pool, value):
    async with pool.connection() as line:
        with pytest.raises((UnicodeEncodeError, psycopg.DataError)):
            await line.together(Call("SELECT %s", (value,)), Call(TOLD, (1,)))
        async with asyncio.timeout(20):  # else it would wait for ever
            assert await line.ask("SELECT %s", ("here",)) == [("here",)]


async def test_text_with_a_nul_is_refused_and_not_cut_off_there(pool):
    async with pool.connection() as line:
        with pytest.raises(psycopg.DataError):
            await line.ask("SELECT %s", ("alice\x00x",))


async def test_no_more_statements_are_kept_than_a_connection_has_room_for(pool, monkeypatch):
    monkeypatch.setattr(room, "PREPARED", 2)
    async with pool.connection() as line:
        for n in (1, 2, 1, 3, 1):
            assert await line.ask(f"SELECT {n} + %s::int", (n,)) == [(2 * n,)]
        assert [text[7] for text in line._prepared_here] == ["3", "1"]  # 2 was not asked for the longest
        kept = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'line%%'"
        assert await (await line.execute(kept)).fetchone() == (2,)


async def test_what_is_larger_than_the_socket_takes_at_once_gets_through(pool):
    async with pool.connection() as line:
        assert await line.ask("SELECT length(%s), %s", ("好" * 3_000_000, "end")) == [(3_000_000, "end")]


async def test_a_statement_that_fails_raises_its_own_error_and_the_next_one_works(pool):
    async with pool.connection() as line:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await line.ask("SELECT 1 / %s::int", (0,))
        with pytest.raises(psycopg.errors.UndefinedTable):
            await line.ask("SELECT * FROM nowhere", ())
        assert await line.ask("SELECT 1", ()) == [(1,)]


@pytest.mark.parametrize("before", [(), (SET,)])
async def test_a_caller_who_is_told_to_leave_leaves_no_answer_for_the_next(pool, before):
    async def ask():
        line = await pool.getconn()
        try:
            await line.together(*before, Call("SELECT 'old' FROM pg_sleep(5)", ()))
        finally:
            await pool.putconn(line)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with pool.connection() as line:
        assert await line.ask("SELECT 'new'", ()) == [("new",)]


@pytest.mark.parametrize("before", [(), (SET,)])
async def test_a_connection_that_the_server_ends_raises_what_means_that_the_database_is_away(
    pool, database_urls, before
):
    async with pool.connection() as line:
        asking = asyncio.create_task(line.together(*before, Call("SELECT pg_sleep(5)", ())))
        await asyncio.sleep(0.2)
        async with await database.connect(database_urls.app) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", (line.info.backend_pid,))
        with pytest.raises(database.AWAY):
            await asking
        with pytest.raises(database.AWAY):
            await line.ask("SELECT 1", ())
        assert line.closed


async def test_an_idle_connection_that_the_server_has_dropped_is_replaced_before_anybody_asks(pool, database_urls):
    memory = Memory(pool)
    ((dropped,),) = await memory.rows("SELECT pg_backend_pid()", ())
    async with await database.connect(database_urls.app) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", (dropped,))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if all(line.closed for line in pool._pool):
            break
    ((now,),) = await memory.rows("SELECT pg_backend_pid()", ())
    assert now != dropped


async def test_a_connection_that_is_lost_does_not_deafen_who_is_given_the_number_of_its_socket(
    pool, database_urls, monkeypatch
):
    opened, heard, read = [], [], Line._read

    def read_and_open_another(line):
        number = line.fileno() if not line.closed else -1
        read(line)
        while line.closed and number >= 0 and not heard:
            opened.extend(socket.socketpair())
            mine = [one for one in opened if one.fileno() == number]
            if mine or len(opened) > 100:
                peer = opened[opened.index(mine[0]) ^ 1]
                asyncio.get_running_loop().add_reader(number, heard.append, number)
                peer.send(b"x")
                return

    monkeypatch.setattr(Line, "_read", read_and_open_another)
    async with pool.connection() as line:
        await line.execute("SELECT 1")  # psycopg listens, and not as we do
        asking = asyncio.create_task(line.ask("SELECT pg_sleep(5)", ()))
        await asyncio.sleep(0.2)
        async with await database.connect(database_urls.app) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", (line.info.backend_pid,))
        with pytest.raises(database.AWAY):
            await asking
    await asyncio.sleep(0.1)
    assert heard
    for one in opened:
        asyncio.get_running_loop().remove_reader(one.fileno())
        one.close()


async def test_where_a_statement_could_not_even_be_sent_nothing_listens_to_the_socket_any_more(pool):
    async with pool.connection() as line:
        await line.together(SET, Call(TOLD, (1,), kept=False))
        number = line.fileno()
        with socket.socket(fileno=os.dup(number)) as same:
            same.shutdown(socket.SHUT_RDWR)  # as where the server was killed and has said nothing
        with pytest.raises(database.AWAY):  # before the loop has looked
            await line.together(SET, Call(TOLD, (1,), kept=False))
        assert line.closed
        assert not asyncio.get_running_loop().remove_reader(number)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("before", [(), (SET,)])
def test_whoever_asks_a_server_that_dies_with_the_question_unread_is_told(database_urls, before, loop):
    async def ask():
        pool = await database.hot_pool(database_urls.app, 1)
        async with pool.connection() as line:
            await line.together(*before, Call(TOLD, (1,)))
            server = line.info.backend_pid
            os.kill(server, signal.SIGSTOP)
            asking = asyncio.create_task(line.together(*before, Call(TOLD, (1,))))
            await asyncio.sleep(0.2)
            os.kill(server, signal.SIGTERM)  # it will say why it goes, and go, and the socket then has an error
            os.kill(server, signal.SIGCONT)
            with pytest.raises(database.AWAY):
                await asyncio.wait_for(asking, 20)  # else it would wait for ever
        async with pool.connection() as line:
            assert await line.ask("SELECT 1", ()) == [(1,)]
        await pool.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(ask())

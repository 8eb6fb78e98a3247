"""One statement and its answer over a connection of psycopg's, with little between the loop and libpq.

A cursor of psycopg's costs several times what the statement itself costs us, as it makes ready for whatever a statement
may be. Ours are few and known: each is prepared once a connection, and its values go out as text or bytes.
"""

import asyncio
from collections.abc import Sequence
from functools import cache
from itertools import count
from re import sub
from typing import Any, TypeAlias

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

Value: TypeAlias = str | bytes | int | None
"""What a statement takes: text as PostgreSQL reads it, bytes as they are, a number, NULL."""

_DONE = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Line(psycopg.AsyncConnection[Any]):
    """A connection with a short way for single statements; it must be in autocommit for them."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401  # psycopg's own
        super().__init__(*given, **named)
        self._prepared_here: dict[str, bytes] = {}
        self._number = count()
        self._loading = Transformer(self)

    async def ask(self, call: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """The rows that a statement gives, in the types psycopg gives; `%s` or `%b` stands for each value.

        Where the caller is cancelled the connection is left in the midst of an answer, and the pool closes it.
        Raises: psycopg's errors.
        """
        sent = [str(value).encode() if isinstance(value, int) else _bytes(value) for value in values]
        kinds = [Format.BINARY if isinstance(value, bytes) else Format.TEXT for value in values]
        if self.prepare_threshold is None:  # behind a pooler, where the next statement may meet another session
            self.pgconn.send_query_params(_numbered(call), sent, None, kinds, Format.BINARY)
        else:
            name = self._prepared_here.get(call) or await self._prepare(call)
            self.pgconn.send_query_prepared(name, sent, kinds, Format.BINARY)
        try:
            result = await self._answered()
        except errors.InvalidSqlStatementName:  # whoever rolls back by psycopg has it forget all that was prepared
            self._prepared_here.clear()
            return await self.ask(call, values)
        self._loading.set_pgresult(result)
        return self._loading.load_rows(0, result.ntuples, tuple)

    async def _prepare(self, call: str) -> bytes:
        name = b"line_%d" % next(self._number)
        self.pgconn.send_prepare(name, _numbered(call))
        await self._answered()
        self._prepared_here[call] = name
        return name

    async def _answered(self) -> PGresult:
        """The result of what was sent, once all of it has come."""
        loop, socket = asyncio.get_running_loop(), self.pgconn.socket
        found: asyncio.Future[PGresult] = loop.create_future()
        loop.add_reader(socket, self._read, found, [])
        try:
            if self.pgconn.flush():  # more than the socket takes at once
                loop.add_writer(socket, self._flush, found)
            result = await found
        finally:
            loop.remove_reader(socket)
            loop.remove_writer(socket)
        if result.status not in _DONE:
            raise errors.error_from_result(result)
        return result

    def _flush(self, found: "asyncio.Future[PGresult]") -> None:
        try:
            if not self.pgconn.flush():
                asyncio.get_running_loop().remove_writer(self.pgconn.socket)
        except psycopg.Error as lost:
            _tell(found, lost)

    def _read(self, found: "asyncio.Future[PGresult]", results: list[PGresult]) -> None:
        try:
            self.pgconn.consume_input()
            while not self.pgconn.is_busy():
                result = self.pgconn.get_result()
                if result is None:
                    _tell(found, results[0])
                    return
                results.append(result)
        except psycopg.Error as lost:
            _tell(found, lost)


def _tell(found: "asyncio.Future[PGresult]", said: PGresult | psycopg.Error) -> None:
    if found.done():
        return
    if isinstance(said, psycopg.Error):
        found.set_exception(said)
    else:
        found.set_result(said)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


@cache
def _numbered(call: str) -> bytes:
    """The statement as the server takes it, its values numbered."""
    number = count(1)
    return sub("%[sb]", lambda _: f"${next(number)}", call).encode()

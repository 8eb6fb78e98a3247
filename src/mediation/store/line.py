"""One statement and its answer over a connection of psycopg's, with little between the loop and libpq.

A cursor of psycopg's costs several times what the statement itself costs us, as it makes ready for whatever a statement
may be. Ours are few and known: each is prepared once a connection, and its values go out as text or bytes.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import count
from re import sub
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

Value: TypeAlias = str | bytes | int | None
"""What a statement takes: text as PostgreSQL reads it, bytes as they are, a number, NULL."""

PREPARED = 256
"""Statements that a connection keeps prepared at most: one that is asked again is prepared anew."""

_BINARY, _TEXT = Format.BINARY, Format.TEXT
_DONE = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Call(NamedTuple):
    """A statement, with `%s` or `%b` (or `$1`) for each of its values. Unless `kept`, it is planned for these alone."""

    text: str
    values: Sequence[Value]
    kept: bool = True


class Line(psycopg.AsyncConnection[Any]):
    """A connection with a short way for single statements; it must be in autocommit for them.

    The loop tells it of what comes for as long as it is open, so that one which the server has dropped is `closed` at
    once, whether or not anything was asked. Only psycopg's own operations, which listen themselves, interrupt that.
    """

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401  # psycopg's own
        super().__init__(*given, **named)
        self._prepared_here: dict[str, bytes] = {}
        self._number = count()
        self._loading = Transformer(self)
        self._heard = -1  # the socket that is listened to
        self._found: asyncio.Future[list[PGresult]] | None = None
        self._results: list[PGresult] = []

    def listen(self) -> None:
        """Have the loop tell of what comes."""
        if self._heard < 0:
            self._heard = self.pgconn.socket
            asyncio.get_running_loop().add_reader(self._heard, self._read)

    def _deafen(self) -> None:
        """Listen no more: whoever closes a socket lets its number go, which may be another's in the next moment."""
        if self._heard >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._heard)
            loop.remove_writer(self._heard)
            self._heard = -1

    async def wait(self, *given: Any, **named: Any) -> Any:  # noqa: ANN401  # psycopg's own
        """As psycopg's, which listens itself."""
        self._deafen()
        return await super().wait(*given, **named)

    async def close(self) -> None:
        """As psycopg's."""
        self._deafen()
        await super().close()

    async def ask(self, call: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """The rows that a statement gives; as `together`."""
        return await self.together(Call(call, values))

    async def together(self, *calls: Call, again: bool = True) -> list[tuple[Any, ...]]:
        """The rows that the last of these statements gives, in the types psycopg gives; all go in one round trip.

        Several are one transaction, so that the first may set what the last goes by. Where the caller is cancelled the
        connection is left in the midst of an answer, and the pool closes it. Raises: psycopg's errors. `again`: once
        more, where the server has forgotten what was prepared.
        """
        try:
            names = [await self._name(call) for call in calls]
            if len(calls) > 1:
                self.pgconn.enter_pipeline_mode()
            for call, name in zip(calls, names, strict=True):
                self._send(call, name)
            if len(calls) > 1:
                self.pgconn.pipeline_sync()
            results = await self._answered()
        except psycopg.Error:
            self._deafen()  # where it could not be sent, libpq may have closed the socket
            raise
        finally:
            if len(calls) > 1:
                with suppress(psycopg.Error):  # in the midst of an answer it cannot be left: the pool closes it
                    self.pgconn.exit_pipeline_mode()
        try:
            for result in results:
                if result.status not in _DONE:
                    raise errors.error_from_result(result)
        except errors.InvalidSqlStatementName:  # whoever rolls back by psycopg has it forget all that was prepared
            self._prepared_here.clear()
            if not again:
                raise
            return await self.together(*calls, again=False)
        self._loading.set_pgresult(results[-1])
        return self._loading.load_rows(0, results[-1].ntuples, tuple)

    def _send(self, call: Call, name: bytes) -> None:
        sent = [value if value is None or isinstance(value, bytes) else _text(value) for value in call.values]
        kinds = [_BINARY if isinstance(value, bytes) else _TEXT for value in call.values]
        if name:
            self.pgconn.send_query_prepared(name, sent, kinds, _BINARY)
        else:
            self.pgconn.send_query_params(_numbered(call.text), sent, None, kinds, _BINARY)

    async def _name(self, call: Call) -> bytes:
        """The name of a prepared statement; none behind a pooler, where the next may meet another session."""
        if self.prepare_threshold is None or not call.kept:
            return b""
        known = self._prepared_here.pop(call.text, None)
        if known:
            self._prepared_here[call.text] = known  # what was not asked for the longest time stands first
            return known
        if len(self._prepared_here) >= PREPARED:
            oldest = next(iter(self._prepared_here))
            self.pgconn.send_query(b"DEALLOCATE " + self._prepared_here.pop(oldest))
            await self._answered()
        name = b"line_%d" % next(self._number)
        self.pgconn.send_prepare(name, _numbered(call.text))
        (result,) = await self._answered()
        if result.status not in _DONE:
            raise errors.error_from_result(result)
        self._prepared_here[call.text] = name
        return name

    async def _answered(self) -> list[PGresult]:
        """The results of what was sent, once all of it has come."""
        self.listen()
        found: asyncio.Future[list[PGresult]] = asyncio.get_running_loop().create_future()
        self._found, self._results = found, []
        self._flush()
        try:
            return await found
        finally:
            self._found = None

    def _flush(self) -> None:
        """Send what was not sent yet, now and when the socket takes more."""
        loop = asyncio.get_running_loop()
        try:
            if self.pgconn.flush():
                loop.add_writer(self._heard, self._flush)
            else:
                loop.remove_writer(self._heard)
        except psycopg.Error as lost:
            self._lose(lost)

    def _read(self) -> None:
        try:
            self.pgconn.consume_input()
            if self._found is None:  # the server has something to say, or whoever asked has gone: the pool closes it
                return
            if self._is_whole():
                self._tell(self._results)
            else:
                asyncio.get_running_loop().call_soon(self._listen_anew)
        except psycopg.Error as lost:
            self._lose(lost)

    def _is_whole(self) -> bool:
        """Whether all of the answer has come; what has is taken."""
        piped = self.pgconn.pipeline_status
        between = False
        while not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            if result is None:
                if not piped or between:  # two nothings: the next answer has not come yet
                    return not piped
                between = True
            elif result.status == ExecStatus.PIPELINE_SYNC:
                return True
            else:
                between = False
                self._results.append(result)
        return False

    def _listen_anew(self) -> None:
        """Listen for the rest of an answer: of a socket with an error uvloop tells once, whatever is left to read."""
        if self._heard >= 0 and self._found is not None and not self._found.done():
            self._deafen()
            self.listen()
            self._flush()

    def _lose(self, lost: psycopg.Error) -> None:
        self._tell(lost)  # first, whatever the loop says of the socket
        self._deafen()  # libpq has closed it

    def _tell(self, said: list[PGresult] | psycopg.Error) -> None:
        if self._found is None or self._found.done():
            return
        if isinstance(said, psycopg.Error):
            self._found.set_exception(said)
        else:
            self._found.set_result(said)


def _text(value: str | int) -> bytes:
    said = str(value).encode()
    if b"\0" in said:  # libpq would send what stands before it, which may name somebody else
        raise psycopg.DataError("text for the database holds a NUL")
    return said


@cache
def _numbered(call: str) -> bytes:
    """The statement as the server takes it, its values numbered."""
    number = count(1)
    return sub("%[sb]", lambda _: f"${next(number)}", call).encode()

"""Requests are answered, by this process or by several, until one is asked to leave.

Being asked is a list of signals that whoever calls appends to. Nothing here is interrupted by one: it is looked up, so
it counts at whatever instant it came.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mediation.http.app import create_app
from mediation.settings import Settings

_LOOK_S = 0.2
_OPENING_S = 2.0  # an application that opens is closed in order once it has; this is more than that takes
_GRACE_S = 10  # for requests that are being answered
_PARTING_S = 13.0  # then a worker is killed: it is stuck, or blocked in a call
_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}  # they reach every process; the first tells its workers
_FIELDS = ("request_id", "method", "route", "status", "ms", "frames")

_log = logging.getLogger("mediation")


class JsonLines(logging.Formatter):
    """A log line as one JSON object; of the record's own fields only those known to hold nothing personal."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info and record.exc_info[0]:
            said["fault"] = record.exc_info[0].__name__  # its words may hold a row's values
        return msgspec.json.encode(said).decode()


def log_config(level: str) -> dict[str, Any]:
    """Everything to standard error, a JSON object a line; requests are logged at `info`."""
    shown = level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "mediation": {"level": shown},
            "uvicorn": {"level": "INFO" if shown in {"DEBUG", "INFO"} else shown},
        },
    }


class Attendant(uvicorn.Server):
    """A server that can be asked to leave at any time: before it runs, and while its application opens."""

    def __init__(self, config: uvicorn.Config, asked: Sequence[int] = ()) -> None:
        """`asked` is looked at again and again; it leaves once anything is in it."""
        super().__init__(config)
        self._asked = asked

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """As uvicorn's, but given up soon after it is to leave: the application may be waiting for its database."""
        opening = asyncio.current_task()
        assert opening is not None  # noqa: S101  # we are in it

        async def give_up() -> None:
            while not self._leaving():  # noqa: ASYNC110  # a signal cannot set an event
                await asyncio.sleep(_LOOK_S)
            await asyncio.sleep(_OPENING_S)
            opening.cancel()

        watching = asyncio.create_task(give_up())
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if not self._leaving():
                raise
            self.should_exit = True
        finally:
            watching.cancel()

    async def on_tick(self, counter: int) -> bool:
        """Whether to leave; asked ten times a second."""
        return self._leaving() or await super().on_tick(counter)

    def _leaving(self) -> bool:
        return self.should_exit or bool(self._asked)


def attend(settings: Settings, asked: Sequence[int]) -> bool:
    """Answer requests until something is in `asked`; False, if it could not begin, which the log explains."""
    if asked:
        return True
    try:
        if settings.workers > 1:
            return _supervise(settings, asked)
        Attendant(_config(settings), asked).run()
    except SystemExit as failed:  # so uvicorn gives up
        if failed.code != STARTUP_FAILURE:
            raise
        return False
    return True


def _config(settings: Settings, *, answers: bool = True) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings) if answers else "",
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        log_config=log_config(settings.log_level),
        timeout_graceful_shutdown=_GRACE_S,
    )


def _supervise(settings: Settings, asked: Sequence[int]) -> bool:
    """Keep as many workers as were asked for; a dead one is replaced, but one that cannot begin ends them all."""
    spawn, workers = multiprocessing.get_context("spawn"), list[BaseProcess]()

    def begin() -> BaseProcess:
        begun = spawn.Process(target=_work, args=(settings, [listening]))
        signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)  # until it can ignore them
        begun.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)
        return begun

    resource_tracker.ensure_running()  # else the first to begin starts it, which lets them in
    with _config(settings, answers=False).bind_socket() as listening:
        try:
            workers += [begin() for _ in range(settings.workers)]
            while not asked:
                time.sleep(_LOOK_S)
                for place, worker in enumerate(workers):
                    if worker.exitcode == STARTUP_FAILURE:
                        _log.error("a worker could not begin")
                        return False
                    if not worker.is_alive():
                        _log.warning("a worker died and is replaced")
                        workers[place] = begin()
        finally:
            _dismiss(workers)
    return True


def _dismiss(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + _PARTING_S
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        if worker.exitcode is None:
            _log.warning("a worker does not leave and is killed")
            worker.kill()
            worker.join()


def _work(settings: Settings, listening: list[Any]) -> None:
    """A worker, which leaves when told to, or when the process that started it is killed.

    Left behind it would go on answering, and keep the port from whoever starts the service again. Before it can
    answer, SIGTERM ends it on the spot: nothing is open yet.
    """
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)

    def leave_with(parent: BaseProcess) -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # it is spawned
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
    Attendant(_config(settings)).run(listening)

"""Requests are answered, by this process or by several, until one is asked to leave.

Being asked is a list of signals that whoever calls appends to. Nothing here is interrupted by one: it is looked up, so
it counts at whatever instant it came.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mediation.commandline.journal import log_config
from mediation.commandline.leaving import begin, belong, dismiss
from mediation.http.app import create_app
from mediation.http.wire import Wire
from mediation.settings import Settings

PROXIES = "FORWARDED_ALLOW_IPS"
"""The variable, uvicorn's own, that says whose `X-Forwarded-For` is believed; without it nobody's is."""

_LOOK_S = 0.2
_OPENING_S = 2.0  # an application that opens is closed in order once it has; this is more than that takes
_GRACE_S = 10  # for requests that are being answered

_log = logging.getLogger("mediation")


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
        http=Wire,
        access_log=False,
        server_header=False,
        proxy_headers=bool(os.environ.get(PROXIES)),  # uvicorn would believe whoever is on this machine
        log_config=log_config(settings.log_level),
        timeout_graceful_shutdown=_GRACE_S,
    )


def _supervise(settings: Settings, asked: Sequence[int]) -> bool:
    """Keep as many workers as were asked for; a dead one is replaced, but one that cannot begin ends them all."""
    workers = list[BaseProcess]()
    _config(settings, answers=False)  # from here on the log is written as it should be
    with ExitStack() as open_:
        places = [open_.enter_context(place) for place in _places(settings)]
        _log.info("listening on %s port %d, %d workers", *places[0].getsockname()[:2], len(places))
        try:
            workers += [begin(_work, settings, [place]) for place in places]
            while not asked:
                time.sleep(_LOOK_S)
                for number, worker in enumerate(workers):
                    if worker.exitcode == STARTUP_FAILURE:
                        _log.error("a worker could not begin")
                        return False
                    if not worker.is_alive():
                        _log.warning("a worker died and is replaced")
                        workers[number] = begin(_work, settings, [places[number]])
        finally:
            dismiss(workers)
    return True


def _places(settings: Settings) -> Iterator[socket.socket]:
    """A place of its own for each worker, at one address: the kernel shares new connections out among them.

    Of one place at which all wait, who wakes first takes every connection there is; of two workers one was seen to do
    nine tenths of the work. Whoever dies leaves its place to who comes after it.
    """
    port = settings.port
    for _ in range(settings.workers):
        place = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind((settings.host, port))
        port = place.getsockname()[1]  # where any would do, the first has chosen
        yield place


def _work(settings: Settings, listening: list[Any]) -> None:
    """A worker. Before it can answer, SIGTERM ends it on the spot: nothing is open yet."""
    belong()
    Attendant(_config(settings)).run(listening)

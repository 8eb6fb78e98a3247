"""How a command is asked to leave, and with it the processes that it began."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # most commands begin no process
    from multiprocessing.process import BaseProcess

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a command to leave."""
asked: list[int] = []
"""Those that came. Whoever works on until it is asked to leave looks here, so that one counts whenever it came."""

_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}  # they reach every process; the first tells those it began
_PARTING_S = 13.0  # then a process is killed: it is stuck, or blocked in a call

_log = logging.getLogger("mediation")


def leave(number: int, _frame: object) -> NoReturn:
    """Leave as after an error, not on the spot: what was opened is closed, and the embedded server stopped.

    Python drops what a signal's handler raises in the callback of a weak reference, and every import runs one; so it is
    noted too.
    """
    asked.append(number)
    sys.exit(128 + number)


def only_note() -> None:
    """From here on a signal interrupts nothing: neither what works, nor what is closed afterwards."""
    for ending in ENDINGS:
        if signal.getsignal(ending) is not signal.SIG_IGN:  # nohup means it
            signal.signal(ending, lambda number, _: asked.append(number))


def begin(work: Callable[..., None], *words: Any) -> "BaseProcess":  # noqa: ANN401  # whatever `work` is given
    """A process of its own for `work`, which calls `belong` first; `dismiss` ends it."""
    import multiprocessing
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first to begin starts it, which lets the terminal's signals in
    begun = multiprocessing.get_context("spawn").Process(target=work, args=words)
    signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)  # until it can ignore them
    begun.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)
    return begun


def belong() -> None:
    """Let this process, which another began, leave when told to, or when that other is killed.

    Left behind it would work on, unknown to whoever starts the service again.
    """
    import multiprocessing

    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)

    def leave_with(parent: "BaseProcess") -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # it is spawned
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()


def dismiss(begun: "Iterable[BaseProcess]") -> None:
    """Tell these processes to leave, and see that they do."""
    leaving = list(begun)
    for process in leaving:
        process.terminate()
    until = time.monotonic() + _PARTING_S
    for process in leaving:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            _log.warning("a process does not leave and is killed")
            process.kill()
            process.join()

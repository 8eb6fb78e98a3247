"""`serve` leaves when it is asked to, at whatever instant that is, with its workers and the embedded database."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from mediation.commandline.attendance import Attendant
from mediation.gateway.embedded import Server

# An exception is dropped in the callback of a weak reference, and every import runs one: the signal is sent in that of
# the first import of `serve`. `os.kill` lets the handler run before it returns.
IN_A_CALLBACK = """
import os, signal, sys
def watch(frame, event, argument):
    if event != "call" or frame.f_code.co_name != "cb" or "importlib" not in frame.f_code.co_filename:
        return
    while frame is not None and frame.f_code.co_name != "serve":
        frame = frame.f_back
    if frame is not None:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.%s)
from mediation.cli import main
sys.setprofile(watch)
main()
"""


def group(leader):
    """The living processes that `leader` started, or that were started by those."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_signal_whose_exception_is_dropped_is_heeded_all_the_same(surroundings):
    for name, workers in (("SIGTERM", "2"), ("SIGINT", "1")):
        words = [sys.executable, "-c", IN_A_CALLBACK % name, "serve", "--workers", workers, "--port", "0"]
        done = subprocess.run(words, env=surroundings, capture_output=True, text=True, timeout=60, check=False)
        assert "Exception ignored" in done.stderr, "the signal came elsewhere"
        assert done.returncode == 0, done.stderr
        assert "Uvicorn running" not in done.stderr


@pytest.mark.parametrize(
    ("workers", "sign", "after_s"),
    [
        ("2", signal.SIGTERM, 0),
        ("2", signal.SIGTERM, 0.1),
        ("2", signal.SIGTERM, 0.5),
        ("2", signal.SIGTERM, 1.5),
        ("2", signal.SIGINT, 0.3),
        ("1", signal.SIGTERM, 0),
        ("1", signal.SIGHUP, 0.1),
        ("1", signal.SIGINT, 0.5),
    ],
)
def test_it_leaves_with_all_it_started_whenever_it_is_asked(surroundings, place, workers, sign, after_s):
    words = [sys.executable, "-m", "mediation", "serve", "--workers", workers, "--port", "0"]
    with subprocess.Popen(words, env=surroundings, stderr=subprocess.PIPE, text=True, start_new_session=True) as served:
        try:
            assert "The API is explained" in served.stderr.readline()
            time.sleep(after_s)
            served.send_signal(sign)
            said = served.communicate(timeout=15)[1]
        finally:
            served.kill()
        assert served.returncode in {0, 128 + sign}, said
        until = time.monotonic() + 5  # what only looks after the others notices a little later that they are gone
        while (left := group(served.pid)) and time.monotonic() < until:
            time.sleep(0.05)
        assert left == []
    assert "Traceback" not in said
    assert Server(place / "data").status().running is False


def test_an_application_that_waits_for_its_database_is_not_waited_for():
    given_up = threading.Event()

    async def waiting(_scope, _receive, _send):
        try:
            await asyncio.sleep(60)
        finally:
            given_up.set()

    asked = []
    threading.Timer(0.3, asked.append, [signal.SIGTERM]).start()
    began = time.monotonic()
    server = Attendant(uvicorn.Config(waiting, port=0, log_config=None), asked)
    server.run()
    assert time.monotonic() - began < 10
    assert not server.started
    assert given_up.is_set()

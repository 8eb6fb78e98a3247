"""`mediation synthesize` as a person runs it: it says what it made and verified, and what it will not do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CASES = "12"


@pytest.fixture(scope="module")
def filled(place):
    """What the first run answered, into the embedded database of this file."""
    return {}


def test_it_can_be_interrupted_at_the_terminal_and_keeps_no_case(surroundings, run):
    words = [sys.executable, "-m", "mediation", "synthesize", "--cases", "20000", "--processes", "2"]
    with subprocess.Popen(
        words, env=surroundings, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as filling:
        until = time.monotonic() + 60
        while not casting(filling.pid) and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(filling.pid, signal.SIGINT)  # as the terminal does: to every process
        said = filling.communicate(timeout=60)[1]
    assert (filling.returncode, "every case was kept or none" in said, "Traceback" in said) == (130, True, False), said
    assert json.loads(run("verify", "--json").stdout)["cases"] == 0


def casting(leader: int) -> bool:
    """Whether there is a process that casts, begun by this one."""
    begun = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return any(b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in begun)


def test_it_fills_the_embedded_database_and_says_what_a_sample_showed(run, filled):
    done = run("synthesize", "--cases", CASES, "--until", "2026-11-21", "--json", patience=300)
    assert done.returncode == 0, done.stderr
    filled.update(json.loads(done.stdout))
    assert (filled["cases"], filled["counties"]) == (12, 1)
    assert filled["retold"] == filled["sampled"] == 12
    assert filled["proven"] == filled["events"] > 12


def test_all_of_it_verifies(run, filled):
    done = run("verify", "--json", patience=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == filled["cases"]


def test_no_case_is_of_a_day_to_come(run):
    for lang, word in (("zh", "须早于今天"), ("en", "a day that is over")):
        said = run("--lang", lang, "synthesize", "--until", "2100-01-01")
        assert (said.returncode, word in said.stderr) == (2, True), said.stderr


def test_it_goes_into_no_database_that_has_cases(run, filled):
    zh, en = (run("--lang", lang, "synthesize", "--cases", "1", patience=300) for lang in ("zh", "en"))
    assert (zh.returncode, en.returncode) == (1, 1)
    assert "已有案件" in zh.stderr
    assert "cases in the database already" in en.stderr


def test_help_teaches_what_it_does_before_it_does_it(run):
    said = run("synthesize", "--help").stdout
    for word in ("--cases", "--counties", "--years", "--until", "--seed", "--processes", "虚构", "transaction"):
        assert word in said

"""Whatever a command cannot do it says in one sentence, in the reader's language, and exits with 1."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


def leave(served):
    served.terminate()
    try:
        assert served.wait(30) in {0, 128 + signal.SIGTERM}
    finally:
        served.kill()


def one_sentence(said):
    assert said.returncode == 1, (said.stdout, said.stderr)
    assert said.stderr.count("\n") == 1, said.stderr
    assert "Traceback" not in said.stderr
    return said.stderr


@pytest.mark.parametrize("words", [["token", "wang"], ["token", "--demo", "wang"], ["verify"], ["verify", "--demo"]])
def test_on_a_new_machine_there_is_nothing_yet(run, words):
    assert "mediation migrate" in one_sentence(run(*words))
    chinese = one_sentence(run("--lang", "zh", *words))
    assert "mediation demo" in chinese
    assert "空" in chinese


@pytest.mark.parametrize(
    ("address", "sign"),
    [
        ("garbage", "MEDIATION_DATABASE_URL"),
        ("host=h password=hidden", "MEDIATION_DATABASE_URL"),
        ("postgresql://u:hidden@h:port/x", "database"),
        ("postgresql://u:hidden@[h/x", "database"),
    ],
)
@pytest.mark.parametrize("words", [["doctor"], ["migrate"], ["token", "wang"]])
def test_an_address_that_is_none_is_told_by_its_name(run, words, address, sign):
    said = run(*words, MEDIATION_DATABASE_URL=address, MEDIATION_OWNER_URL=address)
    assert said.returncode == 1
    assert sign in said.stdout + said.stderr
    assert "Traceback" not in said.stderr
    assert "hidden" not in said.stdout + said.stderr


def test_a_file_that_cannot_be_written_is_named(run):
    assert "/nonexistent/a" in one_sentence(run("openapi", "-o", "/nonexistent/a"))
    assert "Traceback" in run("openapi", "-o", "/nonexistent/a", MEDIATION_DEBUG="1").stderr


def test_a_key_of_the_issuer_that_cannot_be_read_is_named(run, place):
    assert run("migrate").returncode == 0
    (place / "data" / "issuer.key").unlink(missing_ok=True)  # another command may have made one
    (place / "data" / "issuer.key").mkdir()
    try:
        for words in (["token", "wang"], ["serve", "--port", "0"]):
            assert "issuer.key" in one_sentence(run(*words))
    finally:
        (place / "data" / "issuer.key").rmdir()


def test_who_is_not_there_and_where_codes_come_from(run):
    assert run("migrate").returncode == 0
    said = one_sentence(run("token", "nobody"))
    assert "mediation import people" in said
    assert "150525103201-mediator-1" in said


def test_an_empty_demo_county_says_how_it_is_filled(run, place, surroundings):
    folder = {"MEDIATION_DATA_DIR": str(place / "empty")}
    assert run("migrate", "--demo", **folder).returncode == 0
    said = one_sentence(run("token", "--demo", "150525103201-mediator-1", **folder))
    assert "make demo" in said
    assert "make demo" in one_sentence(run("--lang", "zh", "token", "--demo", "nobody", **folder))
    serving = [sys.executable, "-m", "mediation", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(serving, env=surroundings | folder, stderr=subprocess.PIPE, text=True) as served:
        try:
            assert "make demo" in next(iter(served.stderr))
        finally:
            served.terminate()
            served.communicate(timeout=30)


@pytest.mark.parametrize(
    ("option", "value", "zh"), [("--port", "99999", "应不大于 65535"), ("--workers", "0", "应不小于 1")]
)
def test_an_option_that_cannot_be_used_goes_by_its_own_name(run, option, value, zh):
    said = one_sentence(run("--lang", "zh", "serve", option, value))
    assert said == f"{option} 不可用：{zh}\n"
    assert one_sentence(run("serve", option, value)).startswith(f"{option} cannot be used")


def test_a_variable_that_cannot_be_used_is_told_in_chinese(run):
    said = one_sentence(run("--lang", "zh", "migrate", MEDIATION_PORT="many", MEDIATION_LOG_LEVEL="loud"))
    assert "MEDIATION_PORT 不可用：应为整数" in said
    assert "MEDIATION_LOG_LEVEL 不可用：" in said
    assert not re.search(r"[Ii]nput|should", said)


def test_a_port_that_is_taken_is_told_before_anything_is_announced(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in one_sentence(run("serve", "--port", port))
        assert f"127.0.0.1:{port}" in one_sentence(run("--lang", "zh", "serve", "--workers", "2", "--port", port))


def test_stopping_what_does_not_run_says_so(run):
    said = run("database", "stop")
    assert (said.returncode, said.stdout) == (0, "Nothing is running.\n")


def test_the_demo_is_not_made_anew_under_whoever_serves_it(run, place, surroundings):
    assert run("migrate", "--demo").returncode == 0
    serving = [sys.executable, "-m", "mediation", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(serving, env=surroundings, stderr=subprocess.PIPE, text=True) as served:
        try:
            until = time.monotonic() + 30
            for line in served.stderr:
                if "startup complete" in line or time.monotonic() > until:
                    break
            said = one_sentence(run("demo"))
            assert "demo" in said
            assert "in use" in said
            assert served.poll() is None
        finally:
            served.terminate()
            served.communicate(timeout=30)


def test_what_a_killed_run_left_of_its_measurements_is_removed_by_the_next(run, surroundings, tmp_path):
    here = surroundings | {"TMPDIR": str(tmp_path)}
    serving = [sys.executable, "-m", "mediation", "serve", "--workers", "2", "--port", "0"]

    def folders():
        return set(tmp_path.glob("mediation-metrics-*"))

    def begin(known):
        served = subprocess.Popen(serving, env=here, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while not folders() - known and time.monotonic() < until:
            time.sleep(0.05)
        return served

    first = begin(set())
    first_folder = folders()
    second = begin(first_folder)
    assert first_folder < folders(), "one that is in use was removed"
    first.kill()
    first.wait(30)
    leave(second)
    assert folders() == first_folder
    third = begin(first_folder)
    leave(third)
    assert folders() == set()


def test_whoever_stops_reading_the_demo_does_not_spoil_it(place, surroundings):
    command = f"set -o pipefail; {sys.executable} -m mediation demo --disputes 1 | head -n 2"
    here = surroundings | {"MEDIATION_DATA_DIR": str(place / "cut")}
    done = subprocess.run(["bash", "-c", command], env=here, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_measurements_of_other_users_stay(run, surroundings, tmp_path):
    theirs = Path(tmp_path / "mediation-metrics-theirs")
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    here = surroundings | {"TMPDIR": str(tmp_path)}
    serving = [sys.executable, "-m", "mediation", "serve", "--workers", "2", "--port", "0"]
    with subprocess.Popen(serving, env=here, stderr=subprocess.DEVNULL) as served:
        until = time.monotonic() + 30
        while len(list(tmp_path.glob("mediation-metrics-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        leave(served)
    assert theirs.exists()

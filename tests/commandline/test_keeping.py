"""The commands of whoever keeps the service, run as a person or a script runs them."""

import json
import os
import subprocess
import sys
import time

import pytest


def test_help_is_there_at_once(run):
    begun = time.perf_counter()
    said = run("--help")
    assert said.returncode == 0
    assert "doctor" in said.stdout
    assert time.perf_counter() - begun < 2


def test_called_wrongly_it_exits_with_2(run):
    assert run("no-such-command").returncode == 2
    assert run("--lang", "fr", "doctor").returncode == 2
    assert run("restore", "/no/such/file").returncode == 2


def test_doctor_says_what_is_missing_and_is_content_after_migrate(run):
    before = run("doctor", "--json")
    assert before.returncode == 1
    bad = {check["name"]: check["remedy_en"] for check in json.loads(before.stdout)["checks"] if not check["ok"]}
    assert bad == {"migrations": "mediation migrate"}
    assert run("migrate").returncode == 0
    after = run("doctor", "--json")
    assert json.loads(after.stdout)["ok"] is True
    assert after.returncode == 0


def test_doctor_finds_an_open_key_file_and_a_slip_of_the_pen(run, place):
    (place / "open.key").write_bytes(b"x" * 32)
    (place / "open.key").chmod(0o644)
    said = run("--lang", "zh", "doctor", MEDIATION_KEY_FILE=str(place / "open.key"), MEDIATION_PROT="8000")
    assert said.returncode == 1
    assert f"chmod 600 {place / 'open.key'}" in said.stdout
    assert "MEDIATION_PROT" in said.stdout


@pytest.mark.parametrize(
    ("words", "sign"), [(["--lang", "zh"], "不可用"), (["--lang", "en"], "cannot be used"), ([], "cannot be used")]
)
def test_a_setting_that_cannot_be_used_is_one_sentence_in_the_readers_language(run, words, sign):
    said = run(*words, "migrate", MEDIATION_PORT="many")
    assert said.returncode == 1
    assert "MEDIATION_PORT" in said.stderr
    assert sign in said.stderr
    assert "Traceback" not in said.stderr


def test_a_given_database_that_does_not_answer_is_told_in_a_sentence(run):
    said = run("migrate", MEDIATION_OWNER_URL="postgresql://somebody:hidden@127.0.0.1:1/none", LANG="zh_CN.UTF-8")
    assert said.returncode == 1
    assert said.stderr.startswith("无法连接数据库")
    assert "hidden" not in said.stderr
    missing = run("migrate", MEDIATION_DATABASE_URL="postgresql://somebody@127.0.0.1:1/none")
    assert "MEDIATION_OWNER_URL" in missing.stderr


def test_status_starts_nothing_and_backup_goes_back(run, place):
    status = json.loads(run("database", "status", "--json").stdout)
    assert (status["kind"], status["running"]) == ("embedded", False)
    run("migrate")
    assert run("backup", str(place / "all.dump")).returncode == 0
    refused = run("restore", str(place / "all.dump"))
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert run("restore", "--force", str(place / "all.dump")).returncode == 0
    assert json.loads(run("database", "status", "--json").stdout)["running"] is False


def test_a_command_told_to_end_stops_the_server_it_started(run, place):
    slow = "import signal, sys, time; from mediation import cli; from mediation.commandline import keeping\n"
    slow += "from mediation.gateway.embedded import database_ready; from mediation.settings import Settings\n"
    slow += "@keeping.app.command()\ndef linger():\n with database_ready(Settings.load()):\n  print('ready', flush=True); time.sleep(60)\n"
    slow += "cli.app.add_typer(keeping.app); sys.argv = ['mediation', 'linger']; cli.main()"
    environment = {**os.environ, "MEDIATION_DATA_DIR": str(place / "data")}
    process = subprocess.Popen([sys.executable, "-c", slow], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 128 + 15
    assert json.loads(run("database", "status", "--json").stdout)["running"] is False

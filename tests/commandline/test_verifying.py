"""`verify` says whether the database, a bundle or an exported log is whole, by which key, and where it is not."""

import json
import subprocess
import zipfile
from pathlib import Path

import psycopg
import pytest

from mediation.domain.notes import new_signer
from mediation.domain.tiles import entries_of
from mediation.gateway.embedded import SUPERUSER, Server

OTHER = new_signer("other.example", b"o" * 32).verifier.text


@pytest.fixture(scope="module")
def _filled():
    return []


@pytest.fixture
def filled(run, place, _filled):
    """A demo county with a signed log, its export and a case's bundle."""
    folder = place / "out"
    if not _filled:
        folder.mkdir()
        for words in (
            ["seed", "--demo", "--disputes", "2"],
            ["export", "log", str(folder / "log"), "--demo"],
        ):
            done = run(*words)
            assert done.returncode == 0, (words, done.stderr)
        _filled.append(done)
    return folder


def told(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_the_database_is_verified_by_the_keys_of_this_machine(run, filled):
    done = run("verify", "--demo", "--json")
    report = told(done)
    assert (done.returncode, report["sound"], report["keys_from"]) == (0, True, "settings")
    assert report["leaves"] > report["events"] > 0
    assert len(report["keys"]) == 2
    said = run("--lang", "en", "verify", "--demo")
    assert (said.returncode, "checkpoints" in said.stdout) == (0, True), said.stderr


def test_an_exported_log_is_verified_and_says_whose_key_it_went_by(run, filled, tmp_path):
    done = run("verify", "--tiles", str(filled / "log"), "--demo", "--json")
    assert (done.returncode, told(done)["keys_from"]) == (0, "settings")
    away = {"MEDIATION_DATA_DIR": str(tmp_path)}  # another machine
    done = run("--lang", "en", "verify", "--tiles", str(filled / "log"), **away)
    assert (done.returncode, "The key is its own: compare it" in done.stderr) == (0, True), done.stderr
    done = run("verify", "--tiles", str(filled / "log"), "--key", str(filled / "log" / "log.vkey"), "--json", **away)
    assert (done.returncode, told(done)["keys_from"]) == (0, "given")
    done = run("verify", "--tiles", str(filled / "log"), "--key", OTHER, "--json", **away)
    assert (done.returncode, told(done)["failures"][0]["reason"]["code"]) == (1, "bad_checkpoint")


def test_exporting_again_goes_on_and_another_log_s_folder_is_refused(run, filled):
    done = run("--lang", "en", "export", "log", str(filled / "log"), "--demo")
    assert (done.returncode, "files written" in done.stdout) == (0, True), done.stderr
    other = filled / "other"
    other.mkdir()
    (other / "log.vkey").write_text(f"{OTHER}\n")
    done = run("--lang", "en", "export", "log", str(other), "--demo")
    assert (done.returncode, "The folder holds" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_case_s_bundle_is_verified_on_another_machine(run, filled, tmp_path):
    number = first_case(filled / "log")
    bundle = tmp_path / "case.zip"
    done = run("export", "bundle", number, "-o", str(bundle), "--demo")
    assert done.returncode == 0, done.stderr
    away = {"MEDIATION_DATA_DIR": str(tmp_path)}
    key = ["--key", str(filled / "log" / "log.vkey"), "--checkpoint", str(filled / "log" / "checkpoint")]
    done = run("--lang", "en", "verify", "--bundle", str(bundle), *key, **away)
    assert (done.returncode, "whole, in order, unaltered" in done.stdout) == (0, True), done.stderr
    assert "installed here" not in done.stderr
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(tmp_path / "forged.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"echo whole" if name == "verify.sh" else old.read(name))
        new.writestr("note\x1b[2J.txt", b"")
    done = run("--lang", "en", "verify", "--bundle", str(tmp_path / "forged.zip"), *key, **away)
    assert (done.returncode, "Its verify.sh is not the one installed here" in done.stderr) == (0, True), done.stderr
    assert r"'note\x1b[2J.txt' is no part of the bundle" in done.stderr
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(tmp_path / "cut.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"v":1', b'"v":2'))
    done = run("--lang", "en", "verify", "--bundle", str(tmp_path / "cut.zip"), *key, **away)
    assert (done.returncode, "event 1" in done.stdout) == (1, True), done.stdout
    assert "1 failures" in done.stderr


def first_case(log: Path) -> str:
    """The number of a case of an exported log."""
    events = [json.loads(one) for one in entries_of(next((log / "tile" / "entries").glob("000*/*")).read_bytes())]
    return next(event["attrs"]["case"]["number"] for event in events if event["action"] == "file")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--key", "nonsense"], "Not a key"),
        (["--bundle", "{log}/checkpoint"], "Not a zip"),
        (["--bundle", "{log}/checkpoint", "--tiles", "{log}"], "not both"),
        (["--tiles", "{log}", "--checkpoint", "{log}/log.vkey"], "signatures"),
    ],
)
def test_what_cannot_be_tried_is_told_in_a_sentence(run, filled, words, says):
    done = run("--lang", "en", "verify", *(word.format(log=filled / "log") for word in words), "--demo")
    assert (done.returncode in {1, 2}, says in done.stderr) == (True, True), done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_changes_the_stored_history_is_found_out(run, filled, place):
    with Server(place / "data").in_use() as server, psycopg.connect(server.url(SUPERUSER, "demo")) as superuser:
        superuser.execute("SET session_replication_role = replica")
        edit = "UPDATE events e SET bytes = replace(encode(bytes, 'escape'), '\"role\"', '\"rule\"')::bytea FROM feed f WHERE f.event = e.id AND f.position = {}"
        superuser.execute(edit.format("(SELECT max(position) FROM feed)"))
    done = run("--lang", "en", "verify", "--demo")
    assert (done.returncode, "It is not what was signed into the log" in done.stdout) == (1, True), done.stderr
    assert "(position " in done.stdout

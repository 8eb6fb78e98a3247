"""A vault that its key does not open is noticed before anybody relies on it."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def _filled():
    return []


@pytest.fixture
def key(run, place, _filled):
    """The key file of a demo county with something in its vault; put back as it was."""
    path = place / "data" / "vault.key"
    if not _filled:
        done = run("seed", "--demo", "--disputes", "1")
        assert done.returncode == 0, done.stderr
        _filled.append(path.read_bytes())
    yield path
    if path.is_dir():
        path.rmdir()
    path.write_bytes(_filled[0])
    path.chmod(0o600)


def spoil(path, how):
    path.unlink()
    if how == "short":
        path.write_bytes(b"short")
    elif how == "foreign":
        path.write_bytes(b"x" * 32)
    elif how == "folder":
        path.mkdir()
    if how != "missing" and path.is_file():
        path.chmod(0o600)


SIGNS = {
    "missing": "bring the key file along",
    "foreign": "does not open the vault",
    "short": "must hold 32 bytes",
    "folder": "cannot be read",
}


@pytest.mark.parametrize("how", SIGNS)
@pytest.mark.parametrize(
    "words", [["serve", "--demo", "--port", "0"], ["seed", "--demo", "--force", "--disputes", "1"]]
)
def test_nobody_begins_with_a_key_that_does_not_open_the_vault(run, key, how, words):
    spoil(key, how)
    said = run(*words)
    assert said.returncode == 1
    assert SIGNS[how] in said.stderr
    assert str(key) in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stderr.count("\n") == 1
    assert key.exists() is (how != "missing")


@pytest.mark.parametrize("how", SIGNS)
def test_doctor_finds_a_key_that_does_not_open_the_vault(run, key, how):
    spoil(key, how)
    said = run("doctor", "--demo", "--json")
    assert said.returncode == 1
    bad = [check["en"] for check in json.loads(said.stdout)["checks"] if not check["ok"]]
    assert any(SIGNS[how] in text for text in bad), bad
    assert key.exists() is (how != "missing")


def test_doctor_is_content_with_the_key_of_the_vault(run, key):
    assert run("doctor", "--demo").returncode == 0


def test_serve_refuses_a_key_file_that_others_may_read(run, key):
    key.chmod(0o644)
    said = run("--lang", "zh", "serve", "--demo", "--port", "0")
    assert said.returncode == 1
    assert f"chmod 600 {key}" in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_restore_says_whether_the_key_has_come_along(run, key, place):
    dump = str(place / "demo.dump")
    assert run("backup", "--demo", dump).returncode == 0
    elsewhere = place / "elsewhere"
    alone = run("restore", "--demo", dump, MEDIATION_DATA_DIR=str(elsewhere))
    assert alone.returncode == 0
    assert "bring the key file along" in alone.stderr
    assert not (elsewhere / "vault.key").exists()
    shutil.copy(key, elsewhere / "vault.key")
    with_key = run("restore", "--demo", "--force", dump, MEDIATION_DATA_DIR=str(elsewhere))
    assert with_key.returncode == 0
    assert with_key.stderr.startswith("There is no ledger of erasures")  # and nothing of the key
    assert with_key.stderr.count("\n") == 1
    assert run("doctor", "--demo", MEDIATION_DATA_DIR=str(elsewhere)).returncode == 0


def test_an_empty_vault_gets_a_key_of_its_own(run, place):
    fresh = place / "fresh"
    assert run("migrate", "--demo", MEDIATION_DATA_DIR=str(fresh)).returncode == 0
    before = json.loads(run("doctor", "--demo", "--json", MEDIATION_DATA_DIR=str(fresh)).stdout)
    assert before["ok"]
    assert not (fresh / "vault.key").exists()
    assert run("seed", "--demo", "--disputes", "1", MEDIATION_DATA_DIR=str(fresh)).returncode == 0
    assert (fresh / "vault.key").exists()

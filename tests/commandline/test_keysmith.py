"""The keys of the logs are made once, replaced only when told to, and their public halves shown."""

import json
from hashlib import sha256
from importlib.resources import files

import pytest

from mediation.domain.notes import parse_signer_key, parse_verifier_key


@pytest.fixture
def fresh(surroundings, tmp_path):
    """A data folder of this test's own, with no key in it."""
    surroundings["MEDIATION_DATA_DIR"] = str(tmp_path)
    return tmp_path


def test_a_key_is_made_under_the_name_given_and_its_public_half_is_printed(run, fresh):
    done = run("keys", "new", "--name", "log.example/2026")
    assert done.returncode == 0, done.stderr
    path = fresh / "mediation.log.key"
    assert path.stat().st_mode & 0o777 == 0o600
    signer = parse_signer_key(path.read_text().strip())
    assert (signer.name, signer.verifier.text) == ("log.example/2026", done.stdout.strip())
    assert "PRIVATE" not in done.stdout + done.stderr


def test_a_key_is_never_written_over(run, fresh):
    run("keys", "new")
    before = (fresh / "mediation.log.key").read_bytes()
    done = run("keys", "new", "--name", "log.example/2026")
    assert (done.returncode, "never written over" in done.stderr) == (1, True)
    assert (fresh / "mediation.log.key").read_bytes() == before


def test_a_key_that_replaces_another_has_its_name_and_the_old_one_is_kept_as_retired(run, fresh):
    first = run("keys", "new", "--name", "log.example/2026").stdout.strip()
    second = run("keys", "new", "--retire")
    assert second.returncode == 0, second.stderr
    third = run("keys", "new", "--retire").stdout.strip()
    vkeys = [parse_verifier_key(text) for text in (first, second.stdout.strip(), third)]
    assert {vkey.name for vkey in vkeys} == {"log.example/2026"}
    assert len({vkey.public for vkey in vkeys}) == 3
    retired = fresh / "mediation.log.key.retired"
    assert retired.read_text().split() == [first, second.stdout.strip()]
    listed = json.loads(run("keys", "list", "--json").stdout)["events"]
    assert (listed["vkey"], listed["retired"]) == (third, [first, second.stdout.strip()])


@pytest.mark.parametrize("words", [("--retire",), ("--retire", "--name", "log.example/other")])
def test_only_a_key_that_is_there_is_replaced_and_never_its_name(run, fresh, words):
    if len(words) > 1:
        run("keys", "new")
    before = sorted(fresh.iterdir())
    assert run("keys", "new", *words).returncode == 2
    assert sorted(fresh.iterdir()) == before


def test_a_name_with_a_space_makes_no_key(run, fresh):
    done = run("keys", "new", "--name", "a log")
    assert (done.returncode, "cannot be the name of a log" in done.stderr) == (1, True)
    assert list(fresh.iterdir()) == []


def test_each_log_has_a_key_of_its_own_and_the_list_says_which_is_missing(run, fresh):
    run("keys", "new", "--access")
    listed = run("keys", "list").stdout
    assert "/access+" in listed
    assert "no key yet" in listed
    assert "尚无密钥" in run("--lang", "zh", "keys", "list").stdout


def test_its_help_teaches_in_both_languages_whom_to_give_what(run):
    said = " ".join(run("keys", "new", "--help").stdout.split())
    assert "auditors and witnesses" in said
    assert "审计机关" in said


@pytest.mark.parametrize("name", ["", "日志/2026", "log.example/epoch-7", "a" * 201, "a+b"])
def test_a_name_that_no_log_can_have_makes_no_key_and_the_next_command_works(run, fresh, name):
    done = run("keys", "new", "--name", name)
    assert (done.returncode, "cannot be the name of a log" in done.stderr) == (1, True)
    assert run("keys", "new", "--name", "log.example/2026").returncode == 0


def test_the_two_logs_never_have_one_name(run, fresh):
    assert run("keys", "new", "--name", "log.example/2026").returncode == 0
    done = run("keys", "new", "--access", "--name", "log.example/2026")
    assert (done.returncode, "the other's" in done.stderr) == (2, True)
    assert run("keys", "new", "--access", "--name", "log.example/2026/access").returncode == 0


def test_the_keys_are_listed_for_a_witness_and_with_them_the_hash_of_the_script(run, fresh):
    vkeys = [run("keys", "new", *words).stdout for words in ((), ("--retire",), ("--access",))]
    assert run("keys", "list", "--plain").stdout == vkeys[1] + vkeys[0] + vkeys[2]
    script = (files("mediation") / "data" / "verify.sh").read_bytes()
    assert f"{sha256(script).hexdigest()}  verify.sh" in run("keys", "list").stdout

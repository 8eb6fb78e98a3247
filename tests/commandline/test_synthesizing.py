"""`mediation synthesize` as a person runs it: it says what it made and verified, and what it will not do."""

import json

import pytest

CASES = "12"


@pytest.fixture(scope="module")
def filled(place):
    """What the first run answered, into the embedded database of this file."""
    return {}


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


def test_it_goes_into_no_database_that_has_cases(run, filled):
    zh, en = (run("--lang", lang, "synthesize", "--cases", "1", patience=300) for lang in ("zh", "en"))
    assert (zh.returncode, en.returncode) == (1, 1)
    assert "已有案件" in zh.stderr
    assert "cases in the database already" in en.stderr


def test_help_teaches_what_it_does_before_it_does_it(run):
    said = run("synthesize", "--help").stdout
    for word in ("--cases", "--counties", "--years", "--until", "--seed", "--processes", "虚构", "transaction"):
        assert word in said

"""What the law says can be asked on the command line, without a database: when a limit is due, by which rule, and why."""

import json
import re
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from mediation.cli import app

RULE = """
[[rule]]
id = "{id}"
zh = "本单位期限"
en = "a limit of this house"
value = 3
unit = "{unit}"
basis = "本单位制度"
label = "Q"
valid_from = "2026-01-01"
expiry_zh = "催办"
expiry_en = "somebody is urged"
"""
PART = "date,is_workday,kind,name\n2027-02-11,0,holiday,rumoured\n2027-10-01,0,holiday,National Day\n"
NOTICE = """date,is_workday,kind,name
2027-01-01,0,holiday,New Year's Day
2027-02-08,0,holiday,Spring Festival
2027-02-09,0,holiday,Spring Festival
2027-02-10,0,holiday,Spring Festival
2027-10-01,0,holiday,National Day
"""


@pytest.fixture
def ask(run, tmp_path):
    """The command, with a directory of laws of its own."""
    return lambda *words, **environment: run(*words, MEDIATION_LAWS=str(tmp_path / "laws"), **environment)


def told(said):
    assert (said.returncode, said.stderr) == (0, "")
    return json.loads(said.stdout)


@pytest.mark.parametrize(
    ("words", "version", "due"),
    [
        (["SFQR-APP", "--from", "2026-03-02"], "SFQR-APP@2011-01-01", "2026-04-01"),
        (["SFQR-APP", "--from", "2026-01-16"], "SFQR-APP@2011-01-01", "2026-02-24"),
        (["PM-MED", "--from", "2026-01-31"], "PM-MED@2002-11-01", "2026-02-28"),
        (["PM-MED", "--from", "2026-01-31", "--division", "3302"], "PM-MED@2015-06-01", "2026-02-28"),
        (["MED-PM", "--from", "2026-06-01", "--suspend", "2026-06-10/2026-07-08"], "MED-PM@2018-10-01", "2026-08-11"),
        (["TY-WT-P", "--from", "2026-03-02", "--extend", "30"], "TY-WT-P@2025-01-01", "2026-04-16"),
        (["TY-WT-P", "--from", "2026-03-02", "--on", "2024-12-20"], "TY-WT-P@2016-07-01", "2026-03-17"),
    ],
)
def test_a_due_day_is_told_with_its_rule_and_each_step(ask, words, version, due):
    found = told(ask("due", *words, "--json"))
    assert list(found) == ["rule", "due_on", "provisional", "explanation"]
    assert (found["rule"], found["due_on"], found["provisional"]) == (version, due, False)
    assert all(set(line) == {"on", "zh", "en"} and all(line.values()) for line in found["explanation"])
    assert version in found["explanation"][0]["zh"]


def test_a_person_reads_it_in_chinese_with_the_day_of_the_week(ask):
    said = ask("--lang", "zh", "due", "SFQR-APP", "--from", "2026-01-16")
    assert said.stdout.startswith("届满日：2026年2月24日 星期二\n")
    assert "民法典203" in said.stdout
    assert "Tuesday 2026-02-24" in ask("due", "SFQR-APP", "--from", "2026-01-16").stdout


def test_a_day_of_a_year_without_a_notice_is_provisional_until_the_notice_is_imported(ask, tmp_path):
    words = ("due", "LD-MED", "--from", "2027-09-16", "--json")
    assert told(ask(*words))["provisional"] is True
    assert "暂定" in ask("--lang", "zh", *words[:-1]).stdout
    notice = tmp_path / "notice.csv"
    notice.write_text(NOTICE, "utf-8")
    imported = ask("calendar", "import", str(notice))
    assert imported.returncode == 0, imported.stderr
    assert "2027" in imported.stdout
    assert "counts the days again" in imported.stdout
    found = told(ask(*words))
    assert (found["provisional"], found["due_on"]) == (False, "2027-10-04")


def test_part_of_a_notice_is_told_as_such_and_gives_way_to_the_whole_one(ask, tmp_path):
    notice = tmp_path / "notice.csv"
    notice.write_text(PART, "utf-8")
    said = ask("calendar", "import", str(notice)).stdout
    assert "Taken for the notice of 2027, though New Year (1–3 January), Spring Festival" in said
    assert "check it" in said
    assert "Published now: 2027" in said
    said = ask("--lang", "zh", "calendar", "import", str(notice)).stdout
    assert "缺元旦" in said
    assert "作为更正存放" in said
    notice.write_text(NOTICE, "utf-8")
    said = ask("calendar", "import", str(notice)).stdout
    assert "calendar-2027-02-11.csv.superseded" in said
    assert "2027-02-11" not in ask("calendar", "show", "2027").stdout


def test_a_file_for_the_directory_of_laws_is_told_plainly(ask, tmp_path):
    (tmp_path / "laws").write_text("", "utf-8")
    said = ask("rules")
    assert said.returncode == 1
    assert "MEDIATION_LAWS is a directory" in said.stderr


def test_an_hour_rule_takes_and_gives_instants(ask, tmp_path):
    (tmp_path / "laws").mkdir()
    (tmp_path / "laws" / "hours.toml").write_text(RULE.format(id="H", unit="hour"), "utf-8")
    found = told(ask("due", "H", "--from", "2026-03-02T23:30:00+08:00", "--json"))
    assert found["due_on"] == "2026-03-02T18:30:00.000000Z"
    assert "星期二 02:30:00" in ask("--lang", "zh", "due", "H", "--from", "2026-03-02T23:30:00+08:00").stdout
    said = ask("due", "H", "--from", "2026-03-02")
    assert said.returncode == 2
    assert "instant" in said.stderr


def test_a_rule_that_is_not_in_force_is_refused_with_the_versions_there_are(ask):
    said = ask("due", "TY-WT-P", "--from", "2015-01-01", "--json")
    assert (said.returncode, said.stdout) == (1, "")
    assert "TY-WT-P@2016-07-01" in said.stderr
    assert "TY-WT-P@2025-01-01" in said.stderr
    assert "没有施行的版本" in ask("--lang", "zh", "due", "TY-WT-P", "--from", "2015-01-01").stderr


def test_an_unknown_rule_is_told_with_those_it_may_have_meant(ask):
    said = ask("due", "sfqr", "--from", "2026-01-01")
    assert said.returncode == 1
    assert "SFQR-APP" in said.stderr
    assert ask("rules", "sfqr").returncode == 1


def test_more_than_the_rule_allows_is_refused(ask):
    for words in (
        ["TY-WT-P", "--from", "2026-03-02", "--extend", "31"],
        ["SFQR-APP", "--from", "2026-03-02", "--extend", "1"],
    ):
        said = ask("due", *words)
        assert (said.returncode, said.stdout) == (1, "")
        assert words[0] in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["PM-MED"],
        ["PM-MED", "--from", "2026-02-30"],
        ["PM-MED", "--from", "1066-10-14"],
        ["PM-MED", "--from", "yesterday"],
        ["PM-MED", "--from", "2026-02-03T10:00:00"],
        ["PM-MED", "--from", "2026-03-02", "--suspend", "2026-03-05"],
        ["PM-MED", "--from", "2026-03-02", "--suspend", "2026-03-05/2026-03-01"],
        ["PM-MED", "--from", "2026-03-02", "--extend", "-1"],
        ["PM-MED", "--from", "2026-03-02", "--division", "Ningbo"],
        ["PM-MED", "--from", "2026-03-02", "--on", "2026-03-02T10:00:00Z"],
        ["PM-MED", "--from", "2026-03-02", "--until", "2026-04-01"],
    ],
)
def test_a_wrong_call_is_told_from_a_refusal(tmp_path, words):
    said = CliRunner().invoke(app, ["due", *words], env={"MEDIATION_LAWS": str(tmp_path)})
    assert (said.exit_code, said.stdout) == (2, "")
    assert "Error" in said.stderr


def test_it_answers_in_a_second_and_starts_no_database(ask, place):
    before = sorted(place.glob("data/*"))
    begun = time.monotonic()
    told(ask("due", "PM-MED", "--from", "2026-01-31", "--json"))
    assert time.monotonic() - begun < 3  # a second on a machine that does nothing else
    assert sorted(place.glob("data/*")) == before


def test_the_laws_are_read_from_the_directory_and_a_bad_one_is_refused_with_every_reason(ask, tmp_path):
    (tmp_path / "laws").mkdir()
    (tmp_path / "laws" / "house.toml").write_text(RULE.format(id="HOUSE", unit="working_day"), "utf-8")
    assert told(ask("due", "HOUSE", "--from", "2026-03-06", "--json"))["due_on"] == "2026-03-11"
    (tmp_path / "laws" / "house.toml").write_text(RULE.format(id="HOUSE", unit="moon"), "utf-8")
    (tmp_path / "laws" / "other.toml").write_text("= no toml", "utf-8")
    for words in (["due", "HOUSE", "--from", "2026-03-06"], ["rules"], ["serve", "--port", "0"]):
        said = ask(*words)
        assert (said.returncode, said.stdout) == (1, "")
        assert "house.toml" in said.stderr
        assert "other.toml" in said.stderr


def test_the_rules_are_listed_as_they_hold_on_a_day_in_a_place(ask):
    everywhere = told(ask("rules", "--json"))
    assert len(everywhere["rules"]) > len({rule["id"] for rule in everywhere["rules"]})
    in_ningbo = told(ask("rules", "--on", "2026-03-02", "--division", "330206", "--json"))["rules"]
    assert len(in_ningbo) == len({rule["id"] for rule in in_ningbo})
    assert next(rule for rule in in_ningbo if rule["id"] == "PM-MED")["division"] == "3302"
    assert "人民调解工作若干规定" in ask("--lang", "zh", "rules", "PM-MED").stdout
    assert ask("rules", "--on", "soon").returncode == 2


def test_the_calendar_shows_its_years_and_what_to_do_for_the_next(ask):
    found = told(ask("calendar", "show", "--json"))
    assert found["years"][0] == 2004
    assert found["provisional_from"] == found["years"][-1] + 1
    assert "mediation calendar import" in ask("calendar", "show").stdout
    following = str(found["provisional_from"])
    said = ask("calendar", "show", following).stdout
    assert "provisional" in said
    assert "mediation calendar import" in said
    shown = ask("--lang", "zh", "calendar", "show", "2026").stdout
    assert "2026年2月14日 星期六  上班" in shown
    assert "2026年10月1日 星期四  休息" in shown


def test_a_bad_notice_is_refused_by_its_lines_and_nothing_is_written(ask, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(NOTICE + "2027-02-30,0,holiday,x\n2027-03-01,2,holiday,x\n", "utf-8")
    said = ask("calendar", "import", str(bad))
    assert (said.returncode, said.stdout) == (1, "")
    assert re.findall(r"line (\d)", said.stderr) == ["7", "8"]
    assert not (tmp_path / "laws").exists()
    bad.write_bytes("日期".encode("gb18030"))
    assert "UTF-8" in ask("calendar", "import", str(bad)).stderr
    assert ask("calendar", "import", str(tmp_path / "absent.csv")).returncode == 2


def test_the_doctor_names_the_set_and_the_years_and_what_is_wrong_with_the_directory(ask, tmp_path):
    checks = {check["name"]: check for check in json.loads(ask("doctor", "--json").stdout)["checks"]}
    assert checks["laws"]["ok"]
    assert str(tmp_path / "laws") in checks["laws"]["en"]
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    last = told(ask("calendar", "show", "--json"))["years"][-1]
    assert checks["calendar"]["ok"] == (today.year <= last)
    assert ("no notice yet" in checks["calendar"]["en"]) == (today >= date(last, 11, 1))
    (tmp_path / "laws").mkdir()
    (tmp_path / "laws" / "house.toml").write_text("= no toml", "utf-8")
    checks = {check["name"]: check for check in json.loads(ask("doctor", "--json").stdout)["checks"]}
    assert not checks["laws"]["ok"]
    assert "house.toml" in checks["laws"]["en"]

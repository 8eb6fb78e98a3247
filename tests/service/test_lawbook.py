"""The laws in use are the package's and the operator's, and follow the directory; a bad pack changes nothing."""

import asyncio
import hashlib
import logging
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.service.town import Town

from mediation.service import lawbook
from mediation.service.lawbook import BadLaws, Lawbook, load_laws, package_set, read_set
from mediation.store.shelf import files_of, note_set

HOUSE_RULE = """
[[rule]]
id = "HOUSE"
zh = "本单位期限"
en = "a limit of this house"
value = 3
unit = "working_day"
basis = "本单位制度"
label = "Q"
valid_from = "2026-01-01"
expiry_zh = "催办"
expiry_en = "somebody is urged"
"""
NOTICE = """date,is_workday,kind,name
2027-01-01,0,holiday,New Year's Day
2027-02-08,0,holiday,Spring Festival
2027-02-09,0,holiday,Spring Festival
2027-02-10,0,holiday,Spring Festival
2027-02-20,1,weekend_workday,Spring Festival
2027-10-01,0,holiday,National Day
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def put(directory: Path, name: str, said: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(said, "utf-8")


def test_the_laws_of_the_package_are_read_once_and_are_whole():
    assert load_laws() is load_laws()
    assert load_laws().rules
    assert load_laws().procedures
    assert lawbook.NOTICES in load_laws().sources


def test_a_directory_that_is_not_there_adds_nothing_and_may_come_later(tmp_path: Path):
    book = Lawbook(tmp_path / "laws")
    assert book.laws.digest == load_laws().digest
    assert book.changed() is None
    put(tmp_path / "laws", "house.toml", HOUSE_RULE)
    found = book.changed()
    assert found is not None
    assert "HOUSE" in found.laws.rules
    assert "HOUSE" not in book.laws.rules  # not before it is adopted
    book.adopt(found)
    assert "HOUSE" in book.laws.rules
    assert book.changed() is None


def test_a_file_of_the_same_name_replaces_the_package_s(tmp_path: Path):
    ours = package_set().files["national.toml"].replace("一般一个月内调结", "由本单位改写")
    put(tmp_path, "national.toml", ours)
    book = Lawbook(tmp_path)
    assert "由本单位改写" in next(rule.zh for rule in book.laws.rules["PM-MED"] if not rule.division)
    assert book.laws.digest != load_laws().digest
    (tmp_path / "national.toml").unlink()
    found = book.changed()
    assert found is not None
    assert found.laws.digest == load_laws().digest


def test_the_digest_is_what_sha256sum_prints_of_the_files(tmp_path: Path):
    put(tmp_path, "house.toml", HOUSE_RULE.replace("\n", "\r\n"))
    book = Lawbook(tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    for name, said in book.current.files.items():
        (kept / name).write_bytes(said.encode())
    assert (kept / "house.toml").read_bytes() == (tmp_path / "house.toml").read_bytes()
    program = shutil.which("sha256sum")
    assert program is not None
    names = sorted(path.name for path in kept.iterdir())
    listing = subprocess.run([program, *names], cwd=kept, check=True, capture_output=True).stdout
    assert hashlib.sha256(listing).hexdigest() == book.laws.digest
    assert read_set(book.current.files).digest == book.laws.digest


def test_a_bad_pack_keeps_the_old_set_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    book = Lawbook(tmp_path)
    put(tmp_path, "house.toml", HOUSE_RULE.replace("working_day", "fortnight"))
    with caplog.at_level(logging.ERROR):
        assert book.changed() is None
        assert book.changed() is None
    assert book.laws.digest == load_laws().digest
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "house.toml" in caplog.text
    assert ["HOUSE@2026-01-01" in reason.en for reason in book.wrong] == [True]
    put(tmp_path, "house.toml", HOUSE_RULE)
    found = book.changed()
    assert found is not None
    assert book.wrong == ()


def test_a_bad_pack_taken_away_again_leaves_nothing_wrong(tmp_path: Path):
    book = Lawbook(tmp_path)
    put(tmp_path, "house.toml", "not = [toml")
    assert book.changed() is None
    assert book.wrong
    (tmp_path / "house.toml").unlink()
    assert book.changed() is None
    assert book.wrong == ()


def test_at_the_start_a_bad_set_is_refused_with_every_reason(tmp_path: Path):
    put(tmp_path, "a.toml", HOUSE_RULE.replace('basis = "本单位制度"\n', ""))
    (tmp_path / "b.csv").write_bytes(b"date\n")
    with pytest.raises(BadLaws) as refused:
        Lawbook(tmp_path)
    for said in (refused.value.zh, refused.value.en):
        assert "a.toml" in said
        assert "b.csv" in said


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path):
    (tmp_path / "a.toml").write_bytes("标题".encode("gb18030"))
    with pytest.raises(BadLaws, match=r"a\.toml is not UTF-8"):
        Lawbook(tmp_path)


def test_what_begins_with_a_dot_or_is_something_else_is_not_read(tmp_path: Path):
    for name in (".house.toml", "house.toml~", "README.md"):
        put(tmp_path, name, "no law at all")
    assert Lawbook(tmp_path).laws.digest == load_laws().digest


def test_a_notice_is_put_in_whole_under_the_name_of_its_year_and_readable_to_all(tmp_path: Path):
    before = os.umask(0o077)
    try:
        path, found, year, lacks, aside = Lawbook(tmp_path / "laws").add_notice(NOTICE)
    finally:
        os.umask(before)
    assert (year, lacks, aside) == (2027, (), ())
    assert path == tmp_path / "laws" / "calendar-2027.csv"
    assert path.read_text("utf-8") == NOTICE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert 2027 in found.laws.calendar.years
    assert Lawbook(tmp_path / "laws").laws.digest == found.laws.digest


@pytest.mark.parametrize("bad", ["2027-02-30,0,holiday,x\n", "2027-03-01,2,holiday,x\n", "2027-03-01,0\n"])
def test_a_bad_row_is_named_by_its_line_and_nothing_is_written(tmp_path: Path, bad: str):
    with pytest.raises(BadLaws, match="line 8"):
        Lawbook(tmp_path).add_notice(NOTICE + bad)
    with pytest.raises(BadLaws):
        Lawbook(tmp_path).add_notice("date,is_workday,kind,name\n")
    assert list(tmp_path.iterdir()) == []


def test_a_correction_of_a_published_year_goes_before_its_notice(tmp_path: Path):
    book = Lawbook(tmp_path)
    book.add_notice(NOTICE)
    path, found, year, lacks, _ = book.add_notice("date,is_workday,kind,name\n2027-09-03,0,holiday,Victory Day\n")
    assert path.name == "calendar-2027-09-03.csv"
    assert (year, len(lacks)) == (2027, 3)
    assert found.exceptions["2027-09-03"] == (False, "Victory Day")
    found = book.add_notice("date,is_workday,kind,name\n2027-02-20,0,holiday,taken back\n").found
    assert not any(day.isoformat() == "2027-02-20" for day in found.laws.calendar.work)
    assert 2027 in Lawbook(tmp_path).laws.calendar.years


def test_part_of_a_notice_does_not_outlive_the_whole_one(tmp_path: Path):
    book = Lawbook(tmp_path)
    wrong = "date,is_workday,kind,name\n2027-02-11,0,holiday,rumoured\n2027-10-01,0,holiday,National Day\n"
    part = book.add_notice(wrong)
    assert [en.partition(" (")[0] for _, en in part.lacks] == ["New Year", "Spring Festival"]
    assert part.path.name == "calendar-2027.csv"  # who imports the first of a year says that it is the notice
    assert 2027 in part.found.laws.calendar.years
    later = "date,is_workday,kind,name\n2027-03-11,0,holiday,rumoured again\n"
    assert Lawbook(tmp_path).add_notice(later).path.name == "calendar-2027-03-11.csv"
    book.add_notice("date,is_workday,kind,name\n2026-09-03,0,holiday,of another year\n")
    whole = book.add_notice(NOTICE)
    assert 2027 in whole.found.laws.calendar.years
    assert [path.name for path in whole.aside] == ["calendar-2027-03-11.csv.superseded"]
    assert whole.aside[0].read_text("utf-8") == later
    again = Lawbook(tmp_path)
    assert again.laws.digest == whole.found.laws.digest
    assert "2027-02-11" not in again.current.exceptions
    assert "2026-09-03" in again.current.exceptions


def test_a_whole_notice_that_is_refused_leaves_the_corrections_where_they_are(tmp_path: Path):
    book = Lawbook(tmp_path)
    part = book.add_notice("date,is_workday,kind,name\n2027-02-11,0,holiday,rumoured\n")
    with pytest.raises(BadLaws, match="line 8"):
        book.add_notice(NOTICE + "2027-03-01,2,holiday,x\n")
    two = NOTICE + "".join(line.replace("2027", "2029", 1) + "\n" for line in NOTICE.splitlines()[1:])
    with pytest.raises(BadLaws, match="several years"):
        book.add_notice(two)
    assert list(tmp_path.iterdir()) == [part.path]


def test_a_file_in_place_of_the_directory_is_refused_in_words(tmp_path: Path):
    put(tmp_path, "laws", "not a directory")
    with pytest.raises(BadLaws, match="MEDIATION_LAWS is a directory"):
        Lawbook(tmp_path / "laws")


async def test_a_new_set_is_kept_before_it_is_in_use_and_waits_for_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lawbook, "LOOK_S", 0.01)
    book, seen, first, third = Lawbook(tmp_path), [], asyncio.Event(), asyncio.Event()

    async def adopt(found: lawbook.LawSet) -> None:
        seen.append((found.laws.digest, book.laws.digest))
        first.set()
        if len(seen) == 2:
            raise OSError
        if len(seen) == 3:
            third.set()

    following = asyncio.create_task(book.follow(adopt))
    await first.wait()
    put(tmp_path, "house.toml", HOUSE_RULE)
    await third.wait()
    await asyncio.sleep(0)
    following.cancel()
    old, new = load_laws().digest, book.laws.digest
    assert seen == [(old, old), (new, old), (new, old)]


async def test_a_set_that_was_used_can_be_fetched_and_never_changed(town: Town):
    await note_set(town.engine, load_laws().digest, package_set().files)
    await note_set(town.engine, load_laws().digest, {})
    kept = await files_of(town.engine, load_laws().digest)
    assert kept == package_set().files
    assert read_set(kept).digest == load_laws().digest
    assert await files_of(town.engine, "0" * 64) is None
    for change in ("UPDATE law_sets SET files = '{}'", "DELETE FROM law_sets"):
        with pytest.raises(Exception, match=r"permission denied|only grows"):
            async with town.engine.begin() as connection:
                await connection.execute(text(change))

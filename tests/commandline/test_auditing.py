"""An operator takes a case out for whoever verifies it elsewhere; plain values only as that person may see them."""

import asyncio
import zipfile
from dataclasses import dataclass

import psycopg
import pytest
from tests.service.town import NOTE, opened, populate
from tests.unpacked import unpack, verify_sh
from tests.whole import integrated, keys_of, whole

from mediation.domain.bundling import parse_disclosure


@dataclass
class Told:
    """A case of the town, and where the command finds it."""

    case: str
    number: str
    surroundings: dict[str, str]


@pytest.fixture(scope="module")
def told(module_database_urls, tmp_path_factory):
    """A case that is logged."""
    urls = module_database_urls

    async def tell():
        await populate(urls)
        async with opened(urls) as town:
            case = (await town.file()).case
            await town.step("wang", case, NOTE | {"text": "电话联系"}, version=1)
            await integrated(urls)
            return case, (await town.seen("wang", case)).case.number

    case, number = asyncio.run(tell())
    vault = tmp_path_factory.mktemp("keys") / "vault.key"
    vault.touch(0o600)
    vault.write_bytes(b"k" * 32)
    keys = keys_of(urls)
    return Told(
        case,
        number,
        {
            "MEDIATION_DATABASE_URL": urls.app,
            "MEDIATION_READER_URL": urls.reader,
            "MEDIATION_KEY_FILE": str(vault),
            "MEDIATION_LOG_KEY": str(keys.events.path),
            "MEDIATION_ACCESS_LOG_KEY": str(keys.access.path),
        },
    )


@pytest.fixture
def export(run, told):
    return lambda *words, **environment: run("export", "bundle", *words, **(told.surroundings | environment))


def entries(urls):
    with psycopg.connect(whole(urls)) as owner:
        return owner.execute("SELECT kind, case_id::text, fields FROM disclosures ORDER BY id").fetchall()


@pytest.mark.parametrize("by", ["number", "case"])
def test_a_case_named_by_its_number_or_id_is_written_to_a_file_that_verifies(
    export, told, module_database_urls, tmp_path, by
):
    file, before = tmp_path / "case.zip", entries(module_database_urls)
    done = export(getattr(told, by), "-o", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 events" in done.stdout
    seen = verify_sh(unpack(file.read_bytes(), tmp_path / "case"), keys_of(module_database_urls).events.vkeys.strip())
    assert (seen.returncode, told.case in seen.stdout) == (0, True), seen.stdout
    assert entries(module_database_urls) == before


def test_plain_values_are_in_it_only_for_who_may_see_them_once_that_is_logged(
    export, told, module_database_urls, tmp_path
):
    file, before = tmp_path / "case.zip", entries(module_database_urls)
    who = ("--disclosures", "--acting-for", "village", "--purpose", "复核卷宗")
    done = export(told.number, "-o", str(file), *who, "--as", "wang")
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith("disclosures/")]
        disclosed = [parse_disclosure(archive.read(name).decode()) for name in names]
    assert "张三丰" in [one.value for one in disclosed]
    assert verify_sh(unpack(file.read_bytes(), tmp_path / "case")).returncode == 0
    [(kind, case, fields)] = entries(module_database_urls)[len(before) :]
    assert (kind, case) == ("disclosure", told.case)
    assert {"parties.1.name", "parties.2.address", "claims.1.text", "texts.1"} <= set(fields)


@pytest.mark.parametrize(
    ("who", "org", "words"),
    [
        ("judge", "court", "This person does not see the case"),
        ("li", "township", "Plain values are for the staff"),
        ("nobody", "village", "There is no person nobody"),
        ("wang", "nowhere", "There is no organisation nowhere"),
    ],
)
def test_who_may_not_see_them_gets_no_file(export, told, module_database_urls, tmp_path, who, org, words):
    file, before = tmp_path / "case.zip", entries(module_database_urls)
    asked = ("--disclosures", "--as", who, "--acting-for", org, "--purpose", "复核卷宗")
    done = export(told.number, "-o", str(file), *asked)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert entries(module_database_urls) == before


@pytest.mark.parametrize(
    "words", [("--disclosures",), ("--as", "wang"), ("--disclosures", "--as", "wang", "--acting-for", "village")]
)
def test_plain_values_need_a_person_a_body_and_a_purpose(export, told, tmp_path, words):
    done = export(told.number, "-o", str(tmp_path / "case.zip"), *words)
    assert (done.returncode, "--purpose" in done.stderr) == (2, True), done.stderr


def test_a_file_that_is_there_is_replaced_only_by_force(export, told, tmp_path):
    file = tmp_path / "case.zip"
    file.write_text("mine")
    assert export(told.number, "-o", str(file)).returncode == 1
    assert file.read_text() == "mine"
    assert export(told.number, "-o", str(file), "--force").returncode == 0
    assert zipfile.is_zipfile(file)


def test_a_case_that_is_not_there_is_named_in_the_refusal(export, tmp_path):
    done = export("150525-nothing-2026-000001", "-o", str(tmp_path / "case.zip"))
    assert (done.returncode, "There is no case 150525-nothing-2026-000001" in done.stderr) == (1, True)


def test_without_the_log_s_key_nothing_is_written_and_none_is_made(export, told, tmp_path):
    key = tmp_path / "keys" / "log.key"
    done = export(told.number, "-o", str(tmp_path / "case.zip"), MEDIATION_LOG_KEY=str(key))
    assert (done.returncode, "There is no key of the log" in done.stderr) == (1, True), done.stderr
    assert list(tmp_path.iterdir()) == []

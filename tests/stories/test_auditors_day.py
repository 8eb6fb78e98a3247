"""An auditor's day: the cases of a township that were overdue when they were escalated in March, and their truth."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.http.county import County, file_one, fresh, populate, running, settings_for

from mediation.domain.checkpoints import open_checkpoint, parse_proof
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import parse_verifier_key
from mediation.settings import Urls

PAPERS = [{"kind": "minutes", "name": "调解笔录.pdf", "sha256": "0" * 64, "ref": "file:1"}]


@pytest.fixture(scope="module")
def county(module_database_urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[County]:
    asyncio.run(populate(module_database_urls))
    settings = settings_for(module_database_urls, tmp_path_factory.mktemp("keys"), sandbox_clock=True)
    with running(settings) as address:
        yield County(address, settings)


def told(county: County, who: str, division: str, *steps: tuple[str, dict[str, Any]]) -> str:
    """A case of these steps, each on its day; the first is its filing."""
    place = ""
    with county.client(who) as client:
        for at, body in steps:
            client.headers["X-Sandbox-At"] = f"{at}T02:00:00Z"
            if not place:
                answer = file_one(client, division=division)
                place = answer.headers.get("location", "")
            else:
                tag = client.get(place).headers["ETag"]
                headers = {"If-Match": tag, "Idempotency-Key": fresh()}
                answer = client.post(f"{place}/events", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
    return place.rpartition("/")[2]


def escalated(county: County) -> dict[str, Any]:
    return {"action": "escalate", "to_org": county.org("T"), "documents": PAPERS, "text": "村里调不了"}


@pytest.fixture(scope="module")
def cases(county: County) -> dict[str, str]:
    """What happened in the township: four cases, of which one was overdue when it was escalated in March."""
    accept, up = {"action": "accept"}, escalated(county)
    village, other = "150525100201", "150525100202"
    return {
        "late in March": told(county, "wang", village, ("2026-02-02", {}), ("2026-02-03", accept), ("2026-03-20", up)),
        "in time": told(county, "zhao", other, ("2026-03-02", {}), ("2026-03-03", accept), ("2026-03-20", up)),
        "late in April": told(county, "zhao", other, ("2026-02-02", {}), ("2026-02-03", accept), ("2026-04-02", up)),
        "late, and still there": told(county, "wang", village, ("2026-02-02", {}), ("2026-02-03", accept)),
    }


@pytest.fixture(scope="module")
def auditor(county: County, cases: dict[str, str]) -> Iterator[httpx2.Client]:
    with county.client("audit") as client:
        place = f"/v1/events?after=0&limit=200&org={county.org('T')}"
        deadline = time.monotonic() + 20
        while len({item["case"] for item in client.get(place).json()["items"]}) < len(cases):
            assert time.monotonic() < deadline, "the log does not follow"
            time.sleep(0.1)
        yield client


def found(county: County, auditor: httpx2.Client) -> list[dict[str, Any]]:
    asked = {"action": "escalate", "org": county.org("T"), "overdue": "true"}
    march = {"since": "2026-03-01T00:00:00+08:00", "until": "2026-04-01T00:00:00+08:00"}
    answer = auditor.get("/v1/events", params=asked | march)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_she_finds_every_case_of_the_township_that_was_overdue_when_escalated_in_march(
    county: County, cases: dict[str, str], auditor: httpx2.Client
):
    assert [item["case"] for item in found(county, auditor)] == [cases["late in March"]]


def test_she_reads_it_as_of_the_day_before_and_sees_that_it_was_overdue(cases: dict[str, str], auditor: httpx2.Client):
    place = f"/v1/cases/{cases['late in March']}"
    then = auditor.get(place, params={"as_of": "2026-03-19T08:00:00Z"}).json()
    assert (then["state"], then["version"]) == ("accepted", 2)
    assert any(clock["overdue"] for clock in then["clocks"])
    assert auditor.get(place).json()["state"] == "in_transit"
    listed = auditor.get("/v1/cases", params={"as_of": "2026-03-19T08:00:00Z", "overdue": "true"}).json()["items"]
    late = {cases[name] for name in ("late in March", "late in April", "late, and still there")}
    assert {item["id"] for item in listed} == late


def test_she_checks_the_proof_of_the_escalation_with_the_log_s_public_key(county: County, auditor: httpx2.Client):
    (event,) = found(county, auditor)
    line = auditor.get(f"/v1/events/{event['event']}", headers={"Accept": "application/x-ndjson"}).content
    proof = parse_proof(auditor.get(f"/v1/events/{event['event']}/proof").text)
    keys = [parse_verifier_key(text) for text in auditor.get("/v1/log/vkey").text.split()]
    checkpoint = proof.verify(leaf_hash(line.rstrip(b"\n")), keys)
    latest, _ = open_checkpoint(auditor.get("/v1/log/checkpoint").content, keys)
    assert proof.index == event["position"] - 1 < checkpoint.size <= latest.size


@pytest.fixture(scope="module")
def elsewhere(
    cases: dict[str, str], auditor: httpx2.Client, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The bundle, and the key that she was given, on a machine of her own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    answer = auditor.get(f"/v1/cases/{cases['late in March']}/bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    (folder / "case.zip").write_bytes(answer.content)
    return folder, auditor.get("/v1/log/vkey").text.split()[0]


def alone(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows of no service: no address, no key, no home that holds any."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    known = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, check=False)


def test_she_verifies_it_on_another_machine_without_the_service(elsewhere: tuple[Path, str]):
    folder, key = elsewhere
    ran = alone(folder, sys.executable, "-m", "mediation", "verify", "--bundle", "case.zip", "--key", key)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_and_with_nothing_but_a_shell_and_openssl(elsewhere: tuple[Path, str]):
    folder, key = elsewhere
    with zipfile.ZipFile(folder / "case.zip") as bundle:
        bundle.extractall(folder / "case")
    ran = alone(folder / "case", shutil.which("sh") or "sh", "verify.sh", key)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_history_that_was_made_kinder_afterwards_is_found_out_there(elsewhere: tuple[Path, str]):
    """The escalation is dated back to before the limit ran out."""
    folder, key = elsewhere
    with zipfile.ZipFile(folder / "case.zip") as bundle, zipfile.ZipFile(folder / "kinder.zip", "w") as kinder:
        for name in bundle.namelist():
            data = bundle.read(name)
            kinder.writestr(
                name, data.replace(b'"at":"2026-03-20', b'"at":"2026-03-02') if "0003.json" in name else data
            )
        bundle.extractall(folder / "kinder")
    with zipfile.ZipFile(folder / "kinder.zip") as kinder:
        kinder.extractall(folder / "kinder")
    ran = alone(folder, sys.executable, "-m", "mediation", "verify", "--bundle", "kinder.zip", "--key", key)
    assert ran.returncode == 1
    assert "3" in ran.stdout
    assert alone(folder / "kinder", "sh", "verify.sh", key).returncode == 1


def test_another_log_s_key_does_not_pass_for_this_one_s(elsewhere: tuple[Path, str]):
    folder, key = elsewhere
    name, key_id, public = key.split("+", 2)
    other = base64.b64encode(b"\x01" + bytes(32)).decode()
    ran = alone(
        folder, sys.executable, "-m", "mediation", "verify", "--bundle", "case.zip", "--key", f"{name}+{key_id}+{other}"
    )
    assert ran.returncode != 0
    assert public != other

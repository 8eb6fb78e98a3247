"""The law as it is applied is published, with every set that an event may name; a due day is counted on request."""

import hashlib
import time
from pathlib import Path

import httpx2
import pytest
from tests.http.county import County, running, settings_for

from mediation.service import lawbook
from mediation.service.lawbook import load_laws
from mediation.store.database import engine
from mediation.store.shelf import note_set

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


@pytest.fixture(scope="module")
def wang(county: County):
    with county.client("wang") as client:
        yield client


def due(client: httpx2.Client, rule: str, **asked: object) -> httpx2.Response:
    asked = {"from_": "2026-03-02"} | asked
    return client.post(f"/v1/rules/{rule}/due", json={name.rstrip("_"): value for name, value in asked.items()})


def test_every_version_of_every_rule_is_published_with_its_article_and_labels(wang: httpx2.Client):
    answer = wang.get("/v1/rules")
    found = answer.json()
    assert answer.status_code == 200
    assert set(found) == {"digest", "sources", "rules", "procedures", "calendar"}
    assert found["digest"] == load_laws().digest
    assert {rule["version"] for rule in found["rules"]} == {
        rule.version for versions in load_laws().rules.values() for rule in versions
    }
    for entry in [*found["rules"], *found["procedures"]]:
        assert entry["basis"]
        assert entry["label"] in set("PSCGQ")
        assert entry["zh"]
        assert entry["en"]
    med = next(rule for rule in found["rules"] if rule["version"] == "MED-PM@2018-10-01")
    assert (med["value"], med["unit"], med["unit_zh"]) == (30, "working_day", "个工作日")
    assert med["valid_to"] is None
    assert found["calendar"] == {"years": sorted(load_laws().calendar.years), "provisional_from": 2027}


def test_the_digest_is_that_of_the_sources(wang: httpx2.Client):
    found = wang.get("/v1/rules").json()
    listing = "".join(f"{source['sha256']}  {source['name']}\n" for source in found["sources"])
    assert hashlib.sha256(listing.encode()).hexdigest() == found["digest"]


def test_a_set_that_is_known_already_is_not_sent_again(wang: httpx2.Client):
    tag = wang.get("/v1/rules").headers["etag"]
    again = wang.get("/v1/rules", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_rules_of_a_day_in_a_place_are_one_of_each_id_the_region_s_before_the_nation_s(wang: httpx2.Client):
    found = wang.get("/v1/rules?on=2026-03-02&division=330206").json()["rules"]
    assert len(found) == len({rule["id"] for rule in found})
    assert next(rule for rule in found if rule["id"] == "PM-MED")["version"] == "PM-MED@2015-06-01"
    elsewhere = wang.get("/v1/rules?on=2026-03-02&division=150525").json()["rules"]
    assert next(rule for rule in elsewhere if rule["id"] == "PM-MED")["version"] == "PM-MED@2002-11-01"
    old = wang.get("/v1/rules?on=2024-12-31&id=TY-WT-P").json()["rules"]
    assert [rule["version"] for rule in old] == ["TY-WT-P@2016-07-01"]


@pytest.mark.parametrize(
    "query", ["on=soon", "on=2026-02-30", "division=x", "division=１５", "set=abc", "until=2026-01-01", "id=a&id=b"]
)
def test_a_bad_question_is_malformed(wang: httpx2.Client, query: str):
    assert wang.get(f"/v1/rules?{query}").status_code == 422


def test_one_rule_has_all_its_versions_and_an_unknown_one_none(wang: httpx2.Client):
    found = wang.get("/v1/rules/TY-WT-P").json()
    assert [rule["valid_from"] for rule in found["versions"]] == ["2016-07-01", "2025-01-01"]
    assert found["digest"] == load_laws().digest
    assert wang.get("/v1/rules/NONE").status_code == 404


@pytest.mark.parametrize(
    ("rule", "asked", "version", "due_on"),
    [
        ("SFQR-APP", {"from_": "2026-01-16"}, "SFQR-APP@2011-01-01", "2026-02-24"),
        ("MED-PM", {"from_": "2026-06-01", "suspend": [{"from": "2026-06-10", "to": "2026-07-08"}]},
         "MED-PM@2018-10-01", "2026-08-11"),
        ("TY-WT-P", {"extend": 30}, "TY-WT-P@2025-01-01", "2026-04-16"),
        ("TY-WT-P", {"on": "2024-12-20"}, "TY-WT-P@2016-07-01", "2026-03-17"),
        ("PM-MED", {"division": "330206", "from_": "2026-01-31"}, "PM-MED@2015-06-01", "2026-02-28"),
        ("SFQR-APP", {"from_": "2026-01-15T23:00:00Z"}, "SFQR-APP@2011-01-01", "2026-02-24"),
    ],
)  # fmt: skip
def test_a_due_day_is_counted_and_explained(wang: httpx2.Client, rule: str, asked: dict, version: str, due_on: str):
    answer = due(wang, rule, **asked)
    found = answer.json()
    assert list(found) == ["rule", "due_on", "provisional", "explanation"]
    assert (found["rule"], found["due_on"], found["provisional"]) == (version, due_on, False)
    assert [set(line) for line in found["explanation"]] == [{"on", "zh", "en"}] * len(found["explanation"])
    assert found["explanation"][-1]["on"] == due_on


def test_a_year_without_a_notice_makes_the_day_provisional(wang: httpx2.Client):
    assert due(wang, "LD-MED", from_="2027-09-16").json()["provisional"] is True


def test_a_version_that_is_not_in_force_is_refused_and_those_there_are_named(wang: httpx2.Client):
    answer = due(wang, "TY-WT-P", from_="2015-01-01")
    assert (answer.status_code, answer.json()["code"]) == (409, "refused")
    reasons = answer.json()["reasons"]
    assert [reason["en"].split()[0] for reason in reasons] == ["TY-WT-P@2016-07-01", "TY-WT-P@2025-01-01"]
    assert [reason["basis"] for reason in reasons] == [rule.basis for rule in load_laws().rules["TY-WT-P"]]


def test_more_than_the_rule_allows_is_refused_and_no_such_rule_is_not_found(wang: httpx2.Client):
    (reason,) = due(wang, "TY-WT-P", extend=31).json()["reasons"]
    assert (reason["code"], reason["basis"]) == ("extension_too_long", load_laws().rules["TY-WT-P"][-1].basis)
    assert due(wang, "SFQR-APP", extend=1).status_code == 409
    assert due(wang, "NONE").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"from_": "2026-02-30"},
        {"from_": "0001-01-01"},
        {"from_": 20260302},
        {"from_": "2026-03-02T10:00:00"},
        {"on": "2026-03-02T10:00:00Z"},
        {"extend": -1},
        {"extend": 1.5},
        {"division": "Ningbo"},
        {"suspend": [{"from": "2026-03-05"}]},
        {"suspend": [{"from": "2026-03-05", "to": "2026-03-01"}]},
        {"until": "2026-04-01"},
    ],
)
def test_a_malformed_question_is_told_by_its_field(wang: httpx2.Client, asked: dict):
    answer = due(wang, "PM-MED", **asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


def test_whoever_is_not_known_is_told_nothing(county: County):
    with county.client(None) as nobody:
        assert nobody.get("/v1/rules").status_code == 401
        assert due(nobody, "PM-MED").status_code == 401


def test_the_laws_follow_their_directory_and_every_set_that_was_used_is_kept(
    county: County, module_database_urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lawbook, "LOOK_S", 0.05)
    settings = settings_for(module_database_urls, tmp_path)
    with running(settings) as address, County(address, settings).client("wang") as wang:
        first = wang.get("/v1/rules").json()["digest"]
        settings.laws.mkdir()
        (settings.laws / "hours.toml").write_text(RULE.format(id="H", unit="hour"), "utf-8")
        second = _changed(wang, first)
        assert due(wang, "H", from_="2026-03-02T23:30:00+08:00").json()["due_on"] == "2026-03-02T18:30:00.000000Z"
        assert due(wang, "H").status_code == 422
        (settings.laws / "hours.toml").write_text(RULE.format(id="H", unit="moon"), "utf-8")
        time.sleep(0.3)
        assert wang.get("/v1/rules").json()["digest"] == second  # a bad pack changes nothing
        assert wang.get("/readyz").status_code == 200
        (settings.laws / "hours.toml").unlink()
        assert _changed(wang, second) == first
        kept = wang.get(f"/v1/rules?set={second}&id=H").json()
        assert [rule["version"] for rule in kept["rules"]] == ["H@2026-01-01"]
        for source in kept["sources"]:
            assert hashlib.sha256(source["text"].encode()).hexdigest() == source["sha256"]
        assert wang.get(f"/v1/rules?set={'0' * 64}").status_code == 404


async def test_of_a_set_that_no_version_can_read_any_more_the_texts_are_given(
    county: County, module_database_urls, wang: httpx2.Client
):
    made = engine(module_database_urls.app)
    await note_set(made, "f" * 64, {"old.toml": "[[law]]"})
    await made.dispose()
    found = wang.get(f"/v1/rules?set={'f' * 64}").json()
    assert set(found) == {"digest", "sources"}
    assert found["sources"] == [
        {"name": "old.toml", "sha256": hashlib.sha256(b"[[law]]").hexdigest(), "text": "[[law]]"}
    ]


def test_what_is_open_to_doubt_or_not_in_the_rule_is_said(wang: httpx2.Client):
    said = due(wang, "PM-MED", from_="2026-01-31").json()["explanation"][-1]
    assert said["zh"].startswith("存疑：")
    assert not any("\u4e00" <= sign <= "\u9fff" for sign in said["en"])
    stood = due(wang, "SFQR-APP", suspend=[{"from": "2026-03-05", "to": "2026-03-06"}]).json()
    assert stood["due_on"] == "2026-04-03"
    assert any("未规定中止" in line["zh"] for line in stood["explanation"])


def _changed(client: httpx2.Client, before: str) -> str:
    until = time.monotonic() + 10
    while (digest := client.get("/v1/rules").json()["digest"]) == before and time.monotonic() < until:
        time.sleep(0.05)
    return digest

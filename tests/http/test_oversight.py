"""The logs are read by those who oversee, signed in with two factors, as far as their own bodies go."""

import asyncio
import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from tests.http.county import NOBODY, County, running, settings_for
from tests.whole import whole

from mediation.domain.access import CAPACITIES, PERMITS
from mediation.http.dependencies import issuer
from mediation.service.registry import import_people, person_id
from mediation.settings import Urls
from mediation.store.database import engine

OVERSEERS = """person_code,name,org_code,roles
audits,镇审计管理员,T,audit_admin
guards,镇安全管理员,T,security_admin
runs,镇系统管理员,T,system_admin
"""


@pytest.fixture(scope="module", autouse=True)
def overseers(county: County, module_database_urls: Urls) -> None:
    async def put() -> None:
        made = engine(module_database_urls.app)
        await import_people(made, OVERSEERS)
        await made.dispose()

    asyncio.run(put())


@contextmanager
def two_factors(county: County, person: str) -> Iterator[httpx2.Client]:
    token = issuer(county.settings).issue(person_id(person), second_factor=True)
    with httpx2.Client(base_url=county.address, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def until_there(client: httpx2.Client, request: str, **query: str) -> dict:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        items = client.get("/v1/attempts", params=query).json()["items"]
        found = [item for item in items if item["request"] == request]
        if found:
            return found[0]
        time.sleep(0.05)
    pytest.fail("the attempt was not written down")


def test_an_overseer_reads_what_was_refused_below(county: County, place: str):
    with county.client("wang") as wang, two_factors(county, "guards") as guards:
        refused = wang.get(f"/v1/cases/{NOBODY}")
        assert refused.status_code == 404
        item = until_there(guards, refused.headers["x-request-id"], person=person_id("wang"), code="not_found")
    assert item == {
        "at": item["at"],
        "request": refused.headers["x-request-id"],
        "person": person_id("wang"),
        "org": county.org("V1"),
        "method": "GET",
        "route": "/v1/cases/{case_id}",
        "case": NOBODY,
        "status": 404,
        "code": "not_found",
        "reasons": [],
        "label_zh": refused.json()["title"],
        "label_en": "Not found",
    }


def test_an_overseer_reads_who_was_shown_what(county: County, place: str):
    wanted = {"purpose": "notify", "fields": ["parties.1.phone"]}
    with county.client("wang") as wang:
        assert wang.post(f"{place}/disclosures", json=wanted).status_code == 200
    for who in ("audits", "audit"):
        with two_factors(county, who) as client:
            items = client.get("/v1/disclosures", params={"case": place.rpartition("/")[2]}).json()["items"]
        assert [(item["person"], item["org"], item["fields"]) for item in items] == [
            (person_id("wang"), county.org("V1"), ["parties.1.phone"])
        ], who


def test_an_entry_that_was_tampered_with_hides_no_other_from_whoever_oversees(
    county: County, place: str, module_database_urls: Urls
):
    wanted = {"purpose": "送达前核对", "fields": ["parties.1.name"]}
    with county.client("wang") as wang:
        assert [wang.post(f"{place}/disclosures", json=wanted).status_code for _ in "ab"] == [200, 200]
    with psycopg.connect(whole(module_database_urls)) as somebody:
        somebody.execute("ALTER TABLE disclosures DISABLE TRIGGER only_grows")
        somebody.execute("UPDATE disclosures SET sealed = sealed || 'x' WHERE id = (SELECT max(id) FROM disclosures)")
        somebody.execute("ALTER TABLE disclosures ENABLE TRIGGER only_grows")
    with two_factors(county, "audits") as client:
        last, before, *_ = client.get("/v1/disclosures").json()["items"]
    assert (last["broken"], "purpose" in last) == (True, False)
    assert (before["purpose"], "broken" in before) == ("送达前核对", False)


@pytest.mark.parametrize(
    ("path", "readers"), [("/v1/attempts", {"audits", "guards"}), ("/v1/disclosures", {"audits", "audit"})]
)
def test_whoever_oversees_nothing_is_refused_and_told_so(county: County, path: str, readers: set[str]):
    for who in ("wang", "li", "judge", "idle", "audit", "audits", "guards", "runs"):
        with two_factors(county, who) as client:
            answer = client.get(path)
        if who in readers:
            assert answer.status_code == 200, who
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted"), who
            assert answer.json()["reasons"][0]["code"] == "not_an_overseer"


@pytest.mark.parametrize("path", ["/v1/attempts", "/v1/disclosures"])
def test_an_administrator_with_one_factor_is_refused_and_an_auditor_needs_no_second(county: County, path: str):
    with county.client("audits") as audits:
        answer = audits.get(path)
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_required")
    with county.client("audit") as auditor:
        assert auditor.get("/v1/disclosures").status_code == 200


@pytest.mark.parametrize("path", ["/v1/attempts", "/v1/disclosures"])
def test_an_administrator_reads_a_log_with_a_token_for_administering_and_an_auditor_with_one_for_reading(
    county: County, path: str
):
    def asked(person: str, scope: str, *, second_factor: bool) -> tuple[int, str]:
        token = county.token(person, scope=scope, second_factor=second_factor)
        answer = httpx2.get(county.address + path, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json().get("code", "")

    assert asked("audits", "mediation:read", second_factor=True) == (403, "insufficient_scope")
    assert asked("audits", "mediation:read mediation:administer", second_factor=True)[0] == 200
    if path == "/v1/disclosures":
        assert asked("audit", "mediation:read", second_factor=False)[0] == 200


def test_a_condition_or_cursor_of_somebody_s_own_making_is_malformed(county: County):
    made_up = base64.urlsafe_b64encode(b'["a"]').decode()
    with two_factors(county, "audits") as audits:
        for path in ("/v1/attempts", "/v1/disclosures"):
            for query in (
                {"since": "yesterday"}, {"since": "2026-11-22T00:00:00"}, {"person": "张三"}, {"cursor": made_up},
                {"no": "such"}, {"limit": "201"}, {"code" if "att" in path else "kind": "a'b"},
            ):  # fmt: skip
                answer = audits.get(path, params=query)
                assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), query


@pytest.mark.parametrize("given", ["2026", "2026-11-22", "1700000000.5", "2026-11-22T08:00:00", "2026-11-22 08:00:00Z"])
def test_a_moment_that_is_no_rfc_3339_is_malformed_and_said_so_in_both_languages(county: County, given: str):
    with two_factors(county, "audits") as client:
        answer = client.get("/v1/disclosures", params={"since": given})
        assert client.get("/v1/disclosures", params={"since": "2026-11-22T08:00:00+08:00"}).status_code == 200
        assert client.get("/v1/attempts", params={"until": "2026-11-22T00:00:00Z"}).status_code == 200
    assert answer.status_code == 422, given
    (reason,) = answer.json()["reasons"]
    assert ("since" in reason["zh"], "since" in reason["en"]) == (True, True)
    assert ("RFC 3339" in reason["zh"], "RFC 3339" in reason["en"]) == (True, True)
    assert "a moment" not in reason["zh"]


def test_a_moment_that_no_calendar_has_is_refused_in_chinese_too(county: County):
    with two_factors(county, "audits") as client:
        answer = client.get("/v1/disclosures", params={"since": "2026-13-22T08:00:00Z"})
    assert answer.status_code == 422
    assert "RFC 3339" in answer.json()["reasons"][0]["zh"]


def test_a_kind_that_no_entry_of_the_access_log_has_is_malformed(county: County):
    with two_factors(county, "audits") as client:
        assert client.get("/v1/disclosures", params={"kind": "foo"}).status_code == 422
        for kind in ("disclosure", "search", "absorb"):
            assert client.get("/v1/disclosures", params={"kind": kind}).status_code == 200, kind


def test_the_table_of_access_is_published_whole_and_every_code_in_it_has_its_labels(county: County):
    with county.client("idle") as idle:
        table = idle.get("/v1/access").json()
    rows = {(p["power"], p["sensitivity"], *sorted(p["roles"]), *sorted(p["standings"])) for p in table["permits"]}
    assert rows == {(p.power, p.sensitivity, *sorted(p.roles), *sorted(p.standings)) for p in PERMITS}
    assert len(table["capacities"]) == len(CAPACITIES)
    known = {
        name: {word["code"] for word in table[name] if word["zh"] and word["en"]}
        for name in ("roles", "letters", "steps", "powers", "sensitivities", "standings")
    }
    for permit in table["permits"]:
        assert permit["power"] in known["powers"]
        assert permit["sensitivity"] in known["sensitivities"]
        assert set(permit["roles"]) <= known["roles"]
        assert set(permit["standings"]) <= known["standings"]
    for capacity in table["capacities"]:
        assert capacity["letter"] in known["letters"]
        assert set(capacity.get("actions", ())) <= known["steps"]
    twice = {power["code"]: power["second_factor"] for power in table["powers"]}
    assert twice["read"] == twice["disclose"] == []
    assert twice["read_access"] == ["audit_admin"]  # and not the auditor
    assert twice["grant"] == ["security_admin"]


def test_one_clients_flood_is_429_with_a_time_to_wait_and_leaves_others_alone(
    county: County, module_database_urls: Urls, tmp_path
):
    settings = settings_for(module_database_urls, tmp_path, rate_per_minute=5, failed_logins_per_minute=3)
    with running(settings) as address:
        flooded = County(address, settings)
        with flooded.client("wang") as wang, flooded.client("li") as li, flooded.client(None) as stranger:
            many = [wang.get("/v1/glossary") for _ in range(8)]
            assert [answer.status_code for answer in many] == [200] * 5 + [429] * 3
            assert all(1 <= int(answer.headers["retry-after"]) <= 13 for answer in many[5:])
            assert many[5].json()["code"] == "too_many_requests"
            assert li.get("/v1/glossary").status_code == 200  # from the same address, another subject
            strange = [stranger.get("/v1/glossary") for _ in range(5)]
            assert [answer.status_code for answer in strange] == [401] * 3 + [429] * 2
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in strange[3:])
            assert li.get("/v1/glossary").status_code == 200  # nobody shuts out a neighbour
    with running(settings) as address:  # each process counts for itself
        with County(address, settings).client("wang") as wang:
            assert wang.get("/v1/glossary").status_code == 200
        refused = many[5].headers["x-request-id"]
    with two_factors(county, "guards") as guards:
        item = until_there(guards, refused, code="too_many_requests")
    assert (item["status"], item["route"], item["person"]) == (429, "/v1/glossary", person_id("wang"))

"""Administrators change the registry of their own subtree and nothing else, and every change stands in the log."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.http.county import County, bare, file_one, fresh

from mediation.domain.registering import LOG_ID, name_digest
from mediation.http.dependencies import issuer
from mediation.service import registry
from mediation.service.registry import org_id, person_id
from mediation.service.verification import verify_database
from mediation.settings import Urls
from mediation.store.database import engine

STAFF = """person_code,name,org_code,roles
sys,系统员,C,system_admin
sec,安全员,C,security_admin
aud,审计管理员,C,audit_admin
tsys,镇系统员,T,system_admin
vsys,村系统员,V1,system_admin
tsec,镇安全员,T,security_admin
taud,镇审计管理员,T,audit_admin
ksys,院系统员,K,system_admin
asys,局系统员,A,system_admin
clerk,受理员,V1,clerk
"""
VILLAGE = {"code": "V1", "name": "一村人民调解委员会", "name_en": "First Village Committee",
           "kind": "people_committee", "tier": "village", "division": "150525100201"}  # fmt: skip
BODY = {
    "code": "V3",
    "name": "三村人民调解委员会",
    "kind": "people_committee",
    "tier": "village",
    "division": "150525100",
}


async def staffed(urls: Urls) -> None:
    made = engine(urls.app)
    await registry.import_people(made, STAFF)
    await made.dispose()


@pytest.fixture(scope="module", autouse=True)
def staff(county: County, module_database_urls: Urls) -> None:
    asyncio.run(staffed(module_database_urls))


def signed_in(county: County, person: str, *, second_factor: bool = True, scope: str = "") -> httpx2.Client:
    token = issuer(county.settings).issue(person_id(person), second_factor=second_factor, scope=scope)
    return httpx2.Client(base_url=county.address, headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"})


def new(client: httpx2.Client, **changes: object) -> str:
    """A new body; gives its path."""
    place = f"/v1/organisations/{uuid.uuid4()}"
    code = f"N{uuid.uuid4().hex[:12]}"
    answer = client.put(place, json=BODY | {"code": code, "superior": org_id("T")} | changes)
    assert answer.status_code == 201, answer.text
    return place


def hired(county: County, name: str = "新人", **changes: object) -> str:
    """A new person registered at the county centre; gives their id."""
    person = str(uuid.uuid4())
    with signed_in(county, "sys") as sys:
        answer = sys.put(f"/v1/people/{person}", json={"code": f"p{person[:8]}", "name": name} | changes)
    assert answer.status_code == 201, answer.text
    return person


def grant(county: County, person: str, org: str, *roles: str, by: str = "sec") -> httpx2.Response:
    with signed_in(county, by) as sec:
        return sec.post("/v1/memberships", json={"person": person, "org": org_id(org), "roles": roles})


def codes(answer: httpx2.Response) -> set[str]:
    return {reason["code"] for reason in answer.json().get("reasons", ())}


def as_person(county: County, person: str) -> httpx2.Client:
    token = issuer(county.settings).issue(person)
    return httpx2.Client(base_url=county.address, headers={"Authorization": f"Bearer {token}"})


def log(county: County, by: str = "aud") -> list[dict]:
    found, cursor = [], None
    with signed_in(county, by) as aud:
        while True:
            page = aud.get("/v1/administration", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found


# ── bodies ──


def test_a_body_is_registered_changed_and_left_alone_and_each_change_is_one_entry(county: County):
    before = len(log(county))
    with signed_in(county, "sys") as sys:
        place = new(sys)
        wanted = BODY | {"code": f"N{uuid.uuid4().hex[:12]}", "superior": org_id("T"), "name": "改名"}
        changed = sys.put(place, json=wanted)
        again = sys.put(place, json=wanted)
    assert (changed.status_code, again.status_code) == (200, 200)
    assert changed.json()["entry"]
    assert again.json()["entry"] is None
    entries = log(county)[before:]
    assert [one["action"] for one in entries] == ["put_organisation", "put_organisation"]
    last = entries[-1]
    assert (last["event"], last["actor"], last["role"]) == (changed.json()["entry"], person_id("sys"), "system_admin")
    assert last["request"] == changed.headers["x-request-id"]
    assert last["attrs"]["name_sha256"] == name_digest("改名", "")
    assert "改名" not in str(last)


def test_a_body_outside_the_subtree_and_one_that_is_not_there_answer_alike(county: County):
    with signed_in(county, "tsys") as tsys:
        outside = tsys.put(f"/v1/organisations/{org_id('K')}", json=BODY | {"superior": org_id("T")})
        above = tsys.put(f"/v1/organisations/{org_id('C')}", json=BODY | {"superior": org_id("T")})
        none = tsys.put("/v1/organisations/nothing", json=BODY | {"superior": org_id("T")})
    assert outside.status_code == 404
    assert bare(outside) == bare(above) == bare(none)


@pytest.mark.parametrize("person", ["wang", "clerk", "sec", "aud", "audit", "judge"])
def test_who_is_no_system_administrator_registers_nobody(county: County, person: str):
    with signed_in(county, person) as caller:
        body = caller.put(f"/v1/organisations/{uuid.uuid4()}", json=BODY | {"superior": org_id("V1")})
        someone = caller.put(f"/v1/people/{uuid.uuid4()}", json={"code": "x", "name": "某人"})
    assert (body.status_code, someone.status_code) == (403, 403)


def test_every_reason_against_a_body_is_given_at_once_in_both_languages(county: County):
    with signed_in(county, "sys") as sys:
        wanted = BODY | {"code": "V1", "division": "990000", "superior": org_id("K")}
        answer = sys.put(f"/v1/organisations/{uuid.uuid4()}", json=wanted)
        alone = sys.put(f"/v1/organisations/{uuid.uuid4()}", json=BODY)
    assert answer.status_code == 409
    assert codes(answer) == {"code_taken", "unknown_division", "unknown_superior"}
    assert all(reason["zh"] and reason["en"] for reason in answer.json()["reasons"])
    assert codes(alone) == {"superior_required"}


def test_superiors_do_not_go_round_in_a_circle(county: County):
    with signed_in(county, "sys") as sys:
        upper = new(sys)
        lower = new(sys, superior=upper.rpartition("/")[2])
        wanted = BODY | {"code": f"N{uuid.uuid4().hex[:12]}", "superior": lower.rpartition("/")[2]}
        assert codes(sys.put(upper, json=wanted)) == {"circular"}
        assert codes(sys.put(lower, json=wanted)) == {"circular"}


def test_the_place_of_the_own_body_is_for_a_superior_to_say(county: County):
    township = {"code": "T", "name": "大沁他拉镇人民调解委员会", "name_en": "Township Committee",
                "kind": "people_committee", "tier": "township", "division": "150525100"}  # fmt: skip
    with signed_in(county, "tsys") as tsys:
        same = tsys.put(f"/v1/organisations/{org_id('T')}", json=township | {"superior": org_id("C")})
        moved = tsys.put(f"/v1/organisations/{org_id('T')}", json=township)
        closed = tsys.put(
            f"/v1/organisations/{org_id('T')}", json=township | {"superior": org_id("C"), "active": False}
        )
    assert (same.status_code, same.json()["entry"]) == (200, None)
    assert codes(moved) == {"own_place"}
    assert "own_body" in codes(closed)


def test_a_body_lies_in_the_division_of_its_superior_and_no_administrator_leads_it_out(county: County):
    with signed_in(county, "tsys") as tsys:
        above = tsys.put(f"/v1/organisations/{uuid.uuid4()}", json=BODY | {"superior": org_id("V1")})
        wanted = VILLAGE | {"superior": org_id("T")}
        moved = tsys.put(f"/v1/organisations/{org_id('V1')}", json=wanted | {"division": "150525"})
    with signed_in(county, "sys") as sys:
        top = {"code": "C", "name": "奈曼旗综治中心", "kind": "county_centre", "tier": "county"}
        whole = sys.put(f"/v1/organisations/{org_id('C')}", json=top | {"division": "150525100"})
    assert codes(above) == codes(moved) == {"division_outside"}
    assert codes(whole) == {"division_outside", "own_nature"}


@pytest.mark.parametrize("change", [{"division": "150525100202"}, {"kind": "court"}, {"tier": "township"}])
def test_what_the_own_body_is_and_where_is_for_a_superior_to_say(county: County, change: dict[str, str]):
    wanted = VILLAGE | {"superior": org_id("T")}
    with signed_in(county, "vsys") as vsys:
        refused = vsys.put(f"/v1/organisations/{org_id('V1')}", json=wanted | change)
    assert (refused.status_code, "own_nature" in codes(refused)) == (409, True)


def test_an_audit_office_is_made_and_changed_by_the_operator_alone(county: County):
    office = {"kind": "audit_office", "superior": org_id("T")}
    with signed_in(county, "sys") as sys:
        made = sys.put(f"/v1/organisations/{uuid.uuid4()}", json=BODY | {"code": fresh()} | office)
        place = new(sys)
        turned = sys.put(place, json=BODY | {"code": fresh()} | office)
    with signed_in(county, "asys") as asys:
        own = {"code": "A", "name": "奈曼旗审计局", "name_en": "Audit Office", "kind": "audit_office",
               "tier": "county", "division": "150525"}  # fmt: skip
        same = asys.put(f"/v1/organisations/{org_id('A')}", json=own)
        renamed = asys.put(f"/v1/organisations/{org_id('A')}", json=own | {"name": "改名"})
        left = asys.put(f"/v1/organisations/{org_id('A')}", json=own | {"kind": "court"})
        away = asys.put(f"/v1/organisations/{org_id('A')}", json=own | {"division": "150525100"})
    assert codes(made) == codes(turned) == codes(renamed) == {"audit_office"}
    assert codes(left) == {"audit_office", "own_nature"}
    assert codes(away) == {"audit_office", "own_nature", "division_outside"}
    assert same.status_code == 200


def test_the_code_of_a_body_that_has_given_case_numbers_stays_so_none_is_given_twice(county: County):
    with signed_in(county, "sys") as sys:
        place = new(sys)
        wanted = BODY | {"code": fresh()[:60], "superior": org_id("T")}
        assert sys.put(place, json=wanted).status_code == 200
        person = hired(county)
        with signed_in(county, "sec") as sec:
            which = {"person": person, "org": place.rpartition("/")[2], "roles": ["clerk"]}
            assert sec.post("/v1/memberships", json=which).status_code == 201
        with as_person(county, person) as clerk:
            assert file_one(clerk).status_code == 201
        recoded = sys.put(place, json=wanted | {"code": fresh()[:60]})
        renamed = sys.put(place, json=wanted | {"name": "改名"})
    assert (recoded.status_code, codes(recoded)) == (409, {"code_in_numbers"})
    assert renamed.status_code == 200


def test_a_body_with_open_cases_is_not_closed_and_a_closed_one_gives_no_standing(county: County):
    with signed_in(county, "sys") as sys:
        place = new(sys, kind="people_committee")
        code = sys.get("/v1/organisations", params={"limit": 200}).json()["items"]
        body = next(one for one in code if place.endswith(one["id"]))
        person = hired(county)
        with signed_in(county, "sec") as sec:
            wanted = {"person": person, "org": body["id"], "roles": ["clerk", "chair"]}
            assert sec.post("/v1/memberships", json=wanted).status_code == 201
        asked = BODY | {"code": body["code"], "superior": org_id("T"), "active": False}
        with as_person(county, person) as clerk:
            assert clerk.get("/v1/cases").status_code == 200
            assert sys.put(place, json=asked).status_code == 200
            refused = clerk.get("/v1/cases")
            assert refused.status_code == 403
            assert codes(refused) == {"no_membership"}
            assert sys.put(place, json=asked | {"active": True}).status_code == 200
            assert file_one(clerk).status_code == 201
        busy = sys.put(place, json=asked)
    assert codes(busy) == {"open_cases"}


def test_readers_change_at_once_when_a_body_moves(county: County):
    with signed_in(county, "sys") as sys:
        place = new(sys)
        person = hired(county)
        with signed_in(county, "sec") as sec:
            wanted = {"person": person, "org": place.rpartition("/")[2], "roles": ["clerk"]}
            assert sec.post("/v1/memberships", json=wanted).status_code == 201
        with as_person(county, person) as clerk:
            case = file_one(clerk).headers["location"]
        with county.client("li") as li:
            assert li.get(case).status_code == 200
            code = next(o for o in sys.get("/v1/organisations").json()["items"] if place.endswith(o["id"]))["code"]
            assert sys.put(place, json=BODY | {"code": code, "superior": org_id("C")}).status_code == 200
            assert li.get(case).status_code == 404


# ── people ──


def test_a_person_is_registered_and_known_by_the_identities_said_last(county: County):
    first, second = ({"issuer": "https://login.example", "subject": fresh()} for _ in range(2))
    person = hired(county, identities=[first])
    other = hired(county)
    with signed_in(county, "sys") as sys:
        listed = {one["id"]: one for one in sys.get("/v1/people", params={"limit": 200}).json()["items"]}
        assert listed[person]["identities"] == [first]
        assert listed[person]["home"] == org_id("C")
        code = listed[person]["code"]
        assert sys.put(f"/v1/people/{person}", json={"code": code, "name": "新人", "identities": [second]}).json()[
            "entry"
        ]
        taken = sys.put(f"/v1/people/{other}", json={"code": code, "name": "他人", "identities": [second]})
        listed = {one["id"]: one for one in sys.get("/v1/people", params={"limit": 200}).json()["items"]}
    assert listed[person]["identities"] == [second]
    assert codes(taken) == {"code_taken", "identity_taken"}
    last = [one for one in log(county) if one["attrs"].get("id") == person][-1]
    assert (last["attrs"]["linked"], last["attrs"]["unlinked"], last["attrs"]["changed"]) == (1, 1, ["identities"])
    assert second["subject"] not in str(log(county))
    assert "新人" not in str(log(county))


def test_what_an_administrator_signs_in_by_is_not_for_another_administrator_to_say(county: County):
    with signed_in(county, "sys") as sys:
        wanted = {
            "code": "sec",
            "name": "安全员",
            "identities": [{"issuer": "https://login.example", "subject": "mine"}],
        }
        assert codes(sys.put(f"/v1/people/{person_id('sec')}", json=wanted)) == {"administrators_identity"}
        own = sys.put(f"/v1/people/{person_id('sys')}", json={"code": "sys", "name": "改名"})
    assert (own.status_code, codes(own)) == (403, {"own_record"})


@pytest.mark.parametrize("person", ["sec", "aud", "audit"])
def test_neither_code_nor_name_of_an_administrator_or_auditor_is_for_another_administrator_to_say(
    county: County, person: str
):
    with signed_in(county, "asys" if person == "audit" else "sys") as sys:
        place, known = f"/v1/people/{person_id(person)}", {"code": person, "name": {"sec": "安全员"}.get(person, "某")}
        assert codes(sys.put(place, json=known | {"code": fresh()[:60]})) == {"administrators_identity"}
        assert codes(sys.put(place, json=known | {"name": "改名"})) == {"administrators_identity"}


def one_identity() -> dict[str, str]:
    return {"issuer": "https://login.example", "subject": fresh()}


@pytest.mark.parametrize("role", ["system_admin", "audit_admin", "security_admin", "auditor"])
def test_who_has_an_identity_becomes_no_administrator_or_auditor_until_it_is_unlinked(county: County, role: str):
    person = hired(county, identities=[one_identity()])
    refused = grant(county, person, "V1", role)
    assert (refused.status_code, codes(refused)) == (409, {"identity_before_role"})
    assert grant(county, person, "V1", "clerk", role).status_code == 409
    assert grant(county, person, "V1", "clerk").status_code == 201
    with signed_in(county, "sys") as sys:
        assert sys.put(f"/v1/people/{person}", json={"code": f"p{person[:8]}", "name": "新人"}).status_code == 200
        assert grant(county, person, "V1", role).status_code == 200
        wanted = {"code": f"p{person[:8]}", "name": "新人", "identities": [one_identity()]}
        assert codes(sys.put(f"/v1/people/{person}", json=wanted)) == {"administrators_identity"}


def test_who_serves_beyond_the_subtree_is_changed_by_a_superior_alone(county: County):
    with signed_in(county, "tsys") as tsys:
        person = str(uuid.uuid4())
        mine = {"code": f"p{person[:8]}", "name": "镇上人"}
        assert tsys.put(f"/v1/people/{person}", json=mine).status_code == 201
        assert tsys.put(f"/v1/people/{person}", json=mine | {"name": "改名"}).status_code == 200
        assert grant(county, person, "C", "clerk").status_code == 201
        refused = tsys.put(f"/v1/people/{person}", json=mine)
        foreign = tsys.put(f"/v1/people/{person_id('judge')}", json={"code": "judge", "name": "法官"})
        none = tsys.put("/v1/people/00000000-0000-0000-0000-000000000000", json=mine)
    assert (refused.status_code, codes(refused)) == (403, {"serves_elsewhere"})
    assert (foreign.status_code, none.status_code) == (404, 404)
    assert bare(foreign) == bare(none)


# ── memberships ──


def test_a_membership_is_granted_replaced_and_revoked_and_the_next_request_knows(county: County):
    person = hired(county)
    before = len(log(county))
    with as_person(county, person) as someone:
        assert codes(someone.get("/v1/cases")) == {"no_membership"}
        assert grant(county, person, "V1", "clerk").status_code == 201
        assert someone.get("/v1/cases").status_code == 200
        assert grant(county, person, "V1", "clerk").json()["entry"] is None
        assert grant(county, person, "V1", "mediator", "clerk").status_code == 200
        with signed_in(county, "sec") as sec:
            which = {"person": person, "org": org_id("V1")}
            listed = sec.get("/v1/memberships", params=which).json()["items"]
            assert [one["roles"] for one in listed] == [["mediator", "clerk"]]
            assert sec.delete("/v1/memberships", params=which).status_code == 204
            assert codes(someone.get("/v1/cases")) == {"no_membership"}
            assert sec.delete("/v1/memberships", params=which).status_code == 204
            assert sec.get("/v1/memberships", params=which).json() == {"items": [], "next": None}
    assert [one["action"] for one in log(county)[before:]] == ["grant", "grant", "revoke"]


@pytest.mark.parametrize(
    ("held", "wanted", "said"),
    [
        (["system_admin"], ["security_admin"], {"administrators_separate"}),
        (["audit_admin"], ["clerk"], {"administrator_apart"}),
        (["clerk"], ["auditor"], {"auditor_apart"}),
        (["auditor"], ["chair", "archivist"], {"auditor_apart"}),
        (["clerk"], ["audit_admin", "system_admin"], {"administrators_separate", "administrator_apart"}),
        (["clerk"], ["clock"], {"clock_granted"}),
        (["auditor"], ["system_admin"], {"administrator_apart"}),
    ],
)
def test_roles_that_clash_are_refused_at_whatever_body(county: County, held: list[str], wanted: list[str], said: set):
    person = hired(county)
    assert grant(county, person, "V1", *held).status_code == 201
    refused = grant(county, person, "V2", *wanted)
    assert (refused.status_code, codes(refused)) == (409, said)


def test_of_two_grants_at_once_that_clash_one_is_refused(county: County):
    for _ in range(5):
        person = hired(county)
        with ThreadPoolExecutor(2) as both:
            answers = list(
                both.map(lambda pair, person=person: grant(county, person, *pair), [("V1", "clerk"), ("V2", "auditor")])
            )
        assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_nobody_changes_their_own_membership(county: County):
    refused = grant(county, person_id("sec"), "C", "security_admin", "clerk")
    assert (refused.status_code, codes(refused)) == (403, {"own_membership"})
    with signed_in(county, "sec") as sec:
        own = sec.delete("/v1/memberships", params={"person": person_id("sec"), "org": org_id("C")})
    assert (own.status_code, codes(own)) == (403, {"own_membership"})


def test_a_grant_outside_the_subtree_is_not_found(county: County):
    mine = hired(county)  # registered at the county centre: invisible to the township
    assert grant(county, mine, "V1", "clerk", by="tsec").status_code == 404
    assert grant(county, person_id("wang"), "K", "clerk", by="tsec").status_code == 404
    assert grant(county, str(uuid.uuid4()), "V1", "clerk", by="tsec").status_code == 404
    assert grant(county, person_id("wang"), "V1", "clerk", by="clerk").status_code == 403
    assert grant(county, person_id("wang"), "V1", "clerk", by="sys").status_code == 403


# ── how one signs in, and the log ──


def test_an_administrator_needs_a_second_factor_and_the_scope(county: County):
    for path in ("/v1/people", "/v1/memberships"):
        with signed_in(county, "sys", second_factor=False) as one:
            assert one.get(path).json()["code"] == "second_factor_required"
        with signed_in(county, "sys", scope="mediation:read mediation:write") as narrow:
            assert narrow.get(path).json()["code"] == "insufficient_scope"
        with signed_in(county, "sys", scope="mediation:read mediation:administer") as wide:
            assert wide.get(path).status_code == 200
    with signed_in(county, "sys", second_factor=False) as one:
        refused = one.put(f"/v1/people/{uuid.uuid4()}", json={"code": "x", "name": "某人"})
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")


@pytest.mark.parametrize("person", ["wang", "clerk", "audit", "judge"])
def test_who_is_no_administrator_reads_no_register(county: County, person: str):
    with signed_in(county, person) as caller:
        for path in ("/v1/people", "/v1/memberships", "/v1/administration"):
            assert caller.get(path).status_code == 403


def test_the_log_is_for_the_audit_administrator_and_as_far_as_their_bodies_go(county: County):
    for other in ("sys", "sec"):
        with signed_in(county, other) as caller:
            refused = caller.get("/v1/administration", headers={"Accept-Language": "en"})
        assert refused.status_code == 403
        (reason,) = refused.json()["reasons"]
        assert reason["code"] == "not_a_reader"
        assert ("audit_admin" in reason["en"], "审计管理员" in reason["zh"]) == (True, True)
        assert {"sys": "your roles here: system_admin", "sec": "your roles here: security_admin"}[other] in reason["en"]
    hired(county)
    with signed_in(county, "tsys") as tsys:
        assert tsys.put(f"/v1/people/{uuid.uuid4()}", json={"code": fresh(), "name": "镇上人"}).status_code == 201
    whole, below = log(county), log(county, "taud")
    assert below == [one for one in whole if one in below]
    beneath = {org_id("T"), org_id("V1"), org_id("V2")}
    said = [one for one in whole if one["org"] in beneath or one["attrs"].get("home") in beneath]
    assert said
    assert [one for one in below if one in said] == said
    assert not {one["action"] for one in below} & {"import_divisions", "import_organisations", "import_people"}
    assert [one["action"] for one in whole[:4]] == [
        "import_divisions", "import_organisations", "import_people", "import_people",
    ]  # fmt: skip
    assert {one["case"] for one in whole} == {LOG_ID}
    assert [one["seq"] for one in whole] == list(range(1, len(whole) + 1))


def test_the_log_shows_what_a_superior_did_to_bodies_and_people_of_ones_own(county: County):
    with signed_in(county, "sys") as sys, signed_in(county, "tsys") as tsys:
        named = sys.put(new(sys), json=BODY | {"code": fresh()[:60], "superior": org_id("T"), "name": "改名"})
        person = str(uuid.uuid4())
        registered = tsys.put(f"/v1/people/{person}", json={"code": fresh()[:60], "name": "镇上人"})
        linked = sys.put(
            f"/v1/people/{person}", json={"code": fresh()[:60], "name": "镇上人", "identities": [one_identity()]}
        )
        stranger = hired(county)
        granted = grant(county, stranger, "V1", "clerk")
        served = sys.put(f"/v1/people/{stranger}", json={"code": fresh()[:60], "name": "新人"})
        elsewhere = sys.put(f"/v1/people/{hired(county)}", json={"code": fresh()[:60], "name": "新人"})
    found = {one["event"] for one in log(county, "taud")}
    entries = [answer.json()["entry"] for answer in (named, registered, linked, granted, served)]
    assert None not in entries
    assert found >= set(entries)
    assert elsewhere.json()["entry"] not in found


def test_registers_show_the_own_subtree_page_by_page(county: County):
    with signed_in(county, "tsec") as tsec:
        found, cursor = [], None
        while True:
            page = tsec.get("/v1/memberships", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            found += [(one["org_code"], one["person_code"]) for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert tsec.get("/v1/memberships", params={"org": org_id("K")}).json()["items"] == []
    assert found == sorted(set(found))
    assert ("V1", "wang") in found
    assert not {"judge", "sys"} & {person for _, person in found}


def test_nothing_of_administration_is_in_the_feed_or_among_the_events(county: County):
    entry = log(county)[-1]["event"]
    for person in ("wang", "audit", "sys"):
        with signed_in(county, person) as caller:
            assert caller.get(f"/v1/events/{entry}").status_code == 404
            assert LOG_ID not in caller.get("/v1/events").text


def test_what_was_administered_verifies(county: County, module_database_urls: Urls):
    report = asyncio.run(verify_database(module_database_urls.reader))
    assert report.sound, report.failures
    assert report.entries == len(log(county))

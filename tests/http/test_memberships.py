"""People, memberships and the log of administration through the API: by whom, with what, and seen at the next request."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.http.county import County, bare, fresh
from tests.http.office import BODY, as_person, codes, grant, hired, log, new, signed_in, staff

from mediation.domain.registering import LOG_ID
from mediation.service.registry import org_id, person_id
from mediation.service.verification import verify_database
from mediation.settings import Urls

__all__ = ["staff"]


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

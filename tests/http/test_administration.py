"""Administrators change the registry of their own subtree and nothing else, and every change stands in the log."""

import uuid

import pytest
from tests.http.county import County, bare, file_one, fresh
from tests.http.office import BODY, VILLAGE, as_person, codes, hired, log, new, signed_in, staff

from mediation.domain.registering import name_digest
from mediation.service.registry import org_id, person_id

__all__ = ["staff"]


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

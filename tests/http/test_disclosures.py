"""Plain values: each has its own readers, and whoever sees one is written down first."""

import psycopg
import pytest
from tests.http.county import NOTE, County, file_one, step
from tests.whole import whole

from mediation.service.registry import person_id

PAPER = {"sha256": "0" * 64, "ref": "file-1"}
SESSION = {"action": "convene", "text": "被申请人愿让三成", "documents": [PAPER | {"kind": "minutes", "name": "笔录"}]}
SIGNED = {
    "action": "record_undisputed",
    "signed_by": [1, 2],
    "text": "院墙于三月倒塌",
    "documents": [PAPER | {"kind": "undisputed_facts"}],
}


def ask(client, place, *fields, purpose="通知到场", **headers):
    return client.post(f"{place}/disclosures", json={"purpose": purpose, "fields": list(fields)}, headers=headers)


def noted(county: County) -> list[tuple]:
    with psycopg.connect(whole(county.settings.given_urls("owner"))) as connection:
        query = "SELECT kind, case_id::text, purpose, fields FROM disclosures ORDER BY id"
        return connection.execute(query).fetchall()


def mediate(county: County, client) -> str:
    """A case of the first village that was mediated: a session was held and facts were signed."""
    place = file_one(client).headers["location"]
    plan = {"leader": person_id("wang"), "handler": person_id("wang"), "plan": "先劝后调", "due_on": "2199-01-01"}
    for body in (
        {"action": "accept", "prepare": plan},
        {"action": "inform_rights", "documents": [PAPER | {"kind": "rights_notice"}]},
        {"action": "start", "consents": [1, 2]},
        SESSION,
        SIGNED,
    ):
        taken = step(client, place, body)
        assert taken.status_code == 201, taken.text
    return place


@pytest.fixture(scope="module")
def mediated(county):
    with county.client("wang") as wang:
        return mediate(county, wang)


def test_who_mediates_sees_what_was_said_in_a_session_and_what_both_sides_signed(county, mediated):
    with county.client("wang") as wang:
        answer = ask(wang, mediated, "compromise.1", "undisputed.1", "texts.1", "documents.2.name")
    assert answer.status_code == 200, answer.text
    assert answer.json()["values"] == {
        "compromise.1": "被申请人愿让三成",
        "undisputed.1": "院墙于三月倒塌",
        "texts.1": "两家因排水发生争执，院墙受损。",
        "documents.2.name": "笔录",
    }


def test_a_court_that_receives_the_case_reads_the_facts_and_no_compromise(county):
    with county.client("wang") as wang, county.client("judge") as judge:
        place = mediate(county, wang)
        assert judge.get(place).status_code == 404
        failed = step(wang, place, {"action": "fail", "ground": "no_agreement"})
        assert failed.status_code == 201, failed.text
        papers = [PAPER | {"kind": kind} for kind in ("undisputed_facts", "end_report", "application")]
        told = {
            "action": "refer",
            "link_up": "suit",
            "to_org": county.org("K"),
            "on_behalf_of": [1],
            "documents": papers,
        }
        sent = step(wang, place, told)
        assert sent.status_code == 201, sent.text
        assert ask(judge, place, "undisputed.1").status_code == 403  # offered, and not received yet
        received = step(judge, place, {"action": "receive", "handoff": 1})
        assert received.status_code == 201, received.text
        facts = ask(judge, place, "undisputed.1", "parties.1.name")
        assert facts.json()["values"] == {"undisputed.1": "院墙于三月倒塌", "parties.1.name": "张三丰"}
        refused = ask(judge, place, "compromise.1", "compromise.7", "undisputed.1", **{"Accept-Language": "en"})
        assert refused.status_code == 403
        (reason,) = refused.json()["reasons"]
        assert (reason["code"], reason["basis"]) == ("not_yours_to_see", "CPI-107")
        for said in (reason["zh"], reason["en"]):
            assert "compromise.1" in said
            assert "compromise.7" in said
            assert "undisputed.1" not in said
        unknown = ask(judge, place, "texts.9")
        assert unknown.status_code == 422
        assert "compromise" not in unknown.text
        assert "undisputed.1" in unknown.text


def test_a_refusal_discloses_nothing_and_notes_nothing(county, mediated):
    before = noted(county)
    with county.client("wang") as wang, county.client("li") as above, county.client("zhao") as stranger:
        assert ask(wang, mediated, "texts.1", "texts.99").status_code == 422
        assert ask(above, mediated, "texts.1").status_code == 403
        assert ask(stranger, mediated, "texts.1").status_code == 404
        assert ask(wang, mediated, "purpose.1").status_code == 422
    assert noted(county) == before


def test_a_purpose_is_sealed_in_the_log_itself_and_read_by_who_reviews_it(county, mediated):
    said = "给赵六打电话核实"
    with county.client("wang") as wang, county.client("audit") as auditor:
        shown = ask(wang, mediated, "texts.1", purpose=said)
        assert shown.status_code == 200
        everything = ask(wang, mediated, "nothing.at.all")
        log = auditor.get("/v1/disclosures", params={"case": mediated.rpartition("/")[2]}).json()["items"]
    assert [item["purpose"] for item in log if item["request"] == shown.headers["x-request-id"]] == [said]
    assert "purpose" not in everything.text
    assert noted(county)[-1] == ("disclosure", mediated.rpartition("/")[2], "", ["texts.1"])
    with psycopg.connect(whole(county.settings.given_urls("owner"))) as connection:
        ((sealed,),) = connection.execute("SELECT sealed FROM disclosures ORDER BY id DESC LIMIT 1").fetchall()
        assert said.encode() not in sealed
        assert connection.execute("SELECT FROM vault WHERE name = 'purpose'").fetchall() == []


def test_texts_keep_their_numbers_when_more_is_said(county):
    with county.client("wang") as wang:
        place = file_one(wang).headers["location"]
        for words in ("第一次", "第二次", "第三次", "第四次"):
            assert step(wang, place, NOTE | {"text": words}).status_code == 201
            assert ask(wang, place, "texts.1").status_code == 200
        told = ask(wang, place, *(f"texts.{n}" for n in range(2, 6))).json()["values"]
    assert list(told.values()) == ["第一次", "第二次", "第三次", "第四次"]


def test_a_token_narrowed_to_writing_sees_nothing_plain(county, mediated):
    for scope, status in (("mediation:write", 403), ("mediation:write mediation:disclose", 200)):
        with county.client("wang", Authorization=f"Bearer {county.token('wang', scope=scope)}") as wang:
            answer = ask(wang, mediated, "texts.1")
        assert answer.status_code == status, answer.text
        if status == 403:
            assert answer.json()["code"] == "insufficient_scope"
            assert "mediation:disclose" in answer.json()["detail"]
            assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


def test_who_is_in_no_role_for_plain_values_is_told_the_role_and_not_that_it_is_the_body(county, mediated):
    with county.client("idle") as idle:
        assert idle.get(mediated).status_code == 200
        answer = ask(idle, mediated, "texts.1", **{"Accept-Language": "en"})
    assert answer.status_code == 403
    (reason,) = answer.json()["reasons"]
    assert reason["code"] == "not_handling"
    assert "your roles here: archivist" in reason["en"]
    assert "您在本单位的角色是档案员" in reason["zh"]
    assert "once it is closed" in reason["en"]


def test_an_auditor_of_a_case_that_few_may_see_reads_no_more_than_codes(county):
    with county.client("wang") as wang, county.client("audit") as auditor:
        place = file_one(wang).headers["location"]
        seen = auditor.get(place).json()
        assert (seen["restricted"], seen["sensitive"]) == (False, [])
        assert seen["parties"][0]["name"] == "张**"
        told = step(wang, place, NOTE | {"sensitive": ["domestic_violence"]})
        assert told.status_code == 201, told.text
        seen = auditor.get(place).json()
        assert (seen["restricted"], seen["sensitive"]) == (True, ["domestic_violence"])
        assert [set(party) & {"name", "id_number", "phone", "address"} for party in seen["parties"]] == [set(), set()]
        assert wang.get(place).json()["parties"][0]["name"] == "张**"
        for reader, status in ((wang, 304), (auditor, 200)):  # who was shown names before is shown that they see none
            assert reader.get(place, headers={"If-None-Match": '"2"'}).status_code == status

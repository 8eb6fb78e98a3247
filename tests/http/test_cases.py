"""Cases over a real server: filed, read, listed, handed on, stepped and replayed; and what stands around them."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.http.county import DISPUTE, NOTE, bare, file_one, fresh, step
from tests.whole import whole


def test_a_dispute_is_filed_read_and_taken_a_step_further(county):
    with county.client("wang") as wang:
        filed = file_one(wang)
        assert filed.status_code == 201, filed.text
        place = filed.headers["location"]
        assert filed.headers["etag"] == '"1"'
        seen = wang.get(place)
        assert (seen.status_code, seen.headers["etag"]) == (200, '"1"')
        assert seen.headers["cache-control"] == "private, no-cache"
        assert seen.headers["vary"] == "Authorization, Accept-Language, Acting-For"
        case = seen.json()
        assert (case["state"], case["label_zh"], case["holder_name"]) == ("filed", "已登记", "一村人民调解委员会")
        taken = step(wang, place)
        assert (taken.status_code, taken.headers["etag"]) == (201, '"2"')
        event = taken.json()
        assert (event["action"], event["label_zh"]) == ("note", "记录")
        assert event["request"] == taken.headers["x-request-id"]
        assert wang.get(place).json()["version"] == 2


def test_an_answer_shows_what_is_personal_masked_and_only_a_disclosure_shows_it_plain(county, place):
    with county.client("wang") as wang:
        answer = wang.get(place)
        first, second = answer.json()["parties"]
        assert (first["name"], first["phone"], first["id_number"]) == ("张**", "138****5678", "150***********1231")
        assert (second["name"], second["address"]) == ("李*", "大沁他拉镇***")
        for secret in ("张三丰", "13812345678", "150599199001011231", "院墙", "12号"):
            assert secret not in answer.text
        wanted = {"purpose": "通知到场", "fields": ["parties.1.phone", "claims.1.text", "texts.1"]}
        plain = wang.post(f"{place}/disclosures", json=wanted)
        assert plain.status_code == 200, plain.text
        assert plain.json()["values"] == {
            "parties.1.phone": "13812345678",
            "claims.1.text": "赔偿院墙损失",
            "texts.1": "两家因排水发生争执，院墙受损。",
        }
        assert plain.headers["cache-control"] == "no-store"
        unknown = wang.post(f"{place}/disclosures", json={"purpose": "通知", "fields": ["parties.9.phone"]})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "malformed")
        (reason,) = unknown.json()["reasons"]
        for name in ("parties.1.phone", "parties.2.address", "claims.1.text", "texts.1"):
            assert name in reason["zh"]
            assert name in reason["en"]
        assert "13812345678" not in unknown.text


def test_who_may_read_a_case_without_handling_it_sees_no_plain_values(county, place):
    with county.client("li") as above:
        assert above.get(place).status_code == 200
        answer = above.post(f"{place}/disclosures", json={"purpose": "了解", "fields": ["parties.1.phone"]})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


def test_a_case_that_has_not_changed_is_304_and_one_that_has_is_not(county, place):
    with county.client("wang") as wang:
        tag = wang.get(place).headers["etag"]
        for known in (tag, f"W/{tag}", f'"99", {tag}', "*"):
            answer = wang.get(place, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        for other in ('"99"', "nonsense", 'W/"98", "99"'):
            assert wang.get(place, headers={"If-None-Match": other}).status_code == 200
        assert step(wang, place).status_code == 201
        assert wang.get(place, headers={"If-None-Match": tag}).status_code == 200


def test_a_step_sent_again_is_answered_the_same_to_the_byte_even_when_the_case_has_moved_on(county, place):
    with county.client("wang") as wang:
        key = fresh()
        version = wang.get(place).json()["version"]
        first = step(wang, place, version=version, key=key)
        assert first.status_code == 201
        assert step(wang, place).status_code == 201
        again = step(wang, place, version=version, key=key)
        assert bare(again) == bare(first)
        filing = {"Idempotency-Key": fresh()}
        one, two = (wang.post("/v1/cases", json=DISPUTE, headers=filing) for _ in range(2))
        assert bare(one) == bare(two)
        assert one.headers["location"] == f"/v1/cases/{one.json()['case']}"


def test_a_key_is_for_one_request_of_one_caller(county, place):
    key = fresh()
    with county.client("wang") as wang, county.client("li") as above:
        version = wang.get(place).json()["version"]
        assert step(wang, place, version=version, key=key).status_code == 201
        other = step(wang, place, NOTE | {"text": "别的"}, version=version, key=key)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
        assert step(above, place, {"action": "urge"}, key=key).status_code != 422


def test_the_same_key_sent_eight_times_at_once_has_one_effect(county, place):
    with county.client("wang") as wang:
        version, key = wang.get(place).json()["version"], fresh()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: step(wang, place, version=version, key=key), range(8)))
        good = [bare(answer) for answer in answers if answer.status_code == 201]
        assert good
        assert all(found == good[0] for found in good)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert wang.get(place).json()["version"] == version + 1


def test_of_sixteen_steps_at_once_on_one_version_one_is_taken(county, place):
    with county.client("wang") as wang:
        version = wang.get(place).json()["version"]
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: step(wang, place, version=version).status_code, range(16)))
        assert answers.count(201) == 1
        assert set(answers) <= {201, 409, 412}
        assert wang.get(place).json()["version"] == version + 1


def test_a_likely_duplicate_is_a_warning_and_the_dispute_is_filed(county):
    with county.client("zhao") as zhao:
        first = file_one(zhao, division="150525100202")
        second = file_one(zhao, division="150525100202")
    assert "warnings" not in first.json()
    assert second.status_code == 201
    assert first.json()["case"] in second.json()["warnings"][0]["cases"]


def test_a_number_from_an_unknown_place_is_taken_with_a_warning_of_the_party_and_no_number(county):
    first, second = DISPUTE["parties"]
    with county.client("zhao") as zhao:
        filed = file_one(zhao, parties=[first, second | {"id_number": "250105199001010011"}])
        assert filed.status_code == 201, filed.text
        (warning,) = [found for found in filed.json()["warnings"] if found["code"] != "likely_duplicate"]
        assert (warning["code"], warning["party"]) == ("unknown_place", 2)
        assert warning["zh"]
        assert warning["en"]
        assert filed.json()["attrs"]["warnings"] == [{"code": "unknown_place", "party": 2}]
        assert "250105" not in filed.text
        history = zhao.get(f"{filed.headers['location']}/events").json()["items"]
        assert history[0]["attrs"] == filed.json()["attrs"]


@pytest.mark.parametrize(
    ("party", "status", "code"),
    [
        ({"id_number": "150599199001011234"}, 422, "value_error"),
        ({"id_number": "E12345678"}, 422, "value_error"),
        ({"kind": "legal", "id_number": "350100100012345"}, 422, "value_error"),
        ({"id_number": "15059920991231001X"}, 409, "born_in_future"),
    ],
)
def test_an_impossible_number_is_refused_with_its_reason_and_never_repeated(county, party, status, code):
    first, second = DISPUTE["parties"]
    with county.client("zhao") as zhao:
        refused = file_one(zhao, parties=[first, second | party])
    assert refused.status_code == status, refused.text
    (reason,) = refused.json()["reasons"]
    assert reason["code"] == code
    assert "号" in reason["zh"]
    assert "号" not in reason["en"]
    assert party["id_number"] not in refused.text


def test_what_may_be_done_is_listed_with_the_fields_it_needs_and_why_not_the_rest(county, place):
    with county.client("wang") as wang:
        offers = {offer["action"]: offer for offer in wang.get(f"{place}/actions").json()["items"]}
    assert offers["accept"]["available"]
    assert offers["decline"]["required"] == ["ground"]
    assert not offers["convene"]["available"]
    assert all(reason["zh"] and reason["en"] for reason in offers["convene"]["reasons"])


def test_a_worklist_is_filtered_and_read_page_by_page(county, place):
    with county.client("wang") as wang:
        for _ in range(3):
            assert file_one(wang, risk="red").status_code == 201
        red = wang.get("/v1/cases", params={"risk": "red", "state": "filed"}).json()["items"]
        assert len(red) == 3
        assert wang.get("/v1/cases", params={"risk": "red", "state": "closed"}).json()["items"] == []
        assert wang.get("/v1/cases", params={"q": red[0]["number"]}).json()["items"] == red[:1]
        found, query = [], {"limit": 1, "risk": "red"}
        while True:
            page = wang.get("/v1/cases", params=query).json()
            found += [case["id"] for case in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert found == [case["id"] for case in red]
        assert "parties" not in red[0]


def test_a_hand_off_lies_in_the_tray_of_both(county):
    with county.client("wang") as wang, county.client("li") as above:
        place = file_one(wang).headers["location"]
        offered = step(wang, place, {"action": "escalate", "to_org": county.org("T"), "text": "超出能力"})
        assert offered.status_code in {201, 409}, offered.text
        if offered.status_code == 409:
            assert step(wang, place, {"action": "accept"}).status_code == 201
            offered = step(wang, place, {"action": "escalate", "to_org": county.org("T"), "text": "超出能力"})
        if offered.status_code == 409:
            papers = [{"kind": "minutes", "sha256": "0" * 64, "ref": "file-1"}]
            body = {"action": "escalate", "to_org": county.org("T"), "text": "超出能力", "documents": papers}
            offered = step(wang, place, body)
        assert offered.status_code == 201, offered.text
        out = wang.get("/v1/handoffs", params={"box": "out"}).json()["items"]
        came = above.get("/v1/handoffs", params={"box": "in", "state": "offered"}).json()["items"]
        assert {item["case"]["id"] for item in out} & {item["case"]["id"] for item in came}
        assert came[0]["handoff"]["label_zh"] == "上报"
        assert above.get("/v1/handoffs", params={"box": "out"}).json()["items"] == []


def test_our_tables_are_published(county):
    with county.client("judge") as judge:
        process = judge.get("/v1/process").json()
        assert len(process["actions"]) == 43
        assert process["mermaid"].startswith("stateDiagram")
        terms = judge.get("/v1/glossary").json()["items"]
        assert {"kind": "Action", "code": "accept", "zh": "受理·立案", "en": "accept"} in terms
        villages = judge.get("/v1/divisions", params={"parent": "150525100"}).json()["items"]
        assert [d["name"] for d in villages] == ["一村", "二村"]
        courts = judge.get("/v1/organisations", params={"kind": "court"}).json()["items"]
        assert [(o["code"], o["label_zh"]) for o in courts] == [("K", "人民法院")]


def test_browsers_of_other_origins_are_given_nothing(county):
    with county.client("wang", Origin="https://elsewhere.example") as wang:
        answer = wang.get("/v1/glossary")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_sandbox_clock_says_when_and_never_goes_back_within_a_case(county):
    with county.client("wang", X_Sandbox_At="2026-03-02T09:00:00+08:00") as early:
        filed = file_one(early)
        assert filed.json()["at"] == "2026-03-02T01:00:00.000000Z"
    with county.client("wang", X_Sandbox_At="2026-03-01T01:00:00Z") as earlier:
        assert step(earlier, filed.headers["location"]).json()["at"] == "2026-03-02T01:00:00.000001Z"


def test_the_service_says_how_it_is(county):
    with county.client(None) as anyone:
        assert anyone.get("/livez").json() == {"status": "ok"}
        assert anyone.get("/readyz").json() == {"status": "ok"}
        assert anyone.get("/version").json()["api"] == "v1"
        measured = anyone.get("/metrics").text
        assert 'mediation_http_request_seconds_bucket{le="0.002",method="GET",route="/livez",status="200"}' in measured


def test_however_many_ask_whether_it_is_ready_no_connection_is_opened_for_them(county, module_database_urls):
    def opened() -> int:
        query = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
        with psycopg.connect(whole(module_database_urls)) as connection:
            (sessions,) = connection.execute(query).fetchone() or (0,)
        return sessions

    with county.client(None) as anyone:
        before = opened()
        assert {anyone.get("/readyz").status_code for _ in range(40)} == {200}
        assert opened() - before < 10


@pytest.mark.parametrize("door", ["/", "/docs/"])
def test_a_person_who_comes_to_the_door_is_led_to_the_manual(county, door):
    with county.client(None) as anyone:
        answer = anyone.get(door, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_the_manual_needs_nothing_from_elsewhere(county):
    with county.client(None) as anyone:
        page = anyone.get("/docs").text
        assert "http" not in page
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
            assert f"/docs/{name}" in page
            assert anyone.get(f"/docs/{name}").status_code == 200
        assert anyone.get("/docs/else.js").status_code == 404
        assert anyone.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_every_problem_leads_to_a_page_about_it(county):
    with county.client(None) as anyone:
        listed = anyone.get("/problems").text
        for code in ("guard_refused", "not_found", "precondition_required", "organisation_required", "not_recognised"):
            assert f"/problems/{code}" in listed
            assert code in anyone.get(f"/problems/{code}").text

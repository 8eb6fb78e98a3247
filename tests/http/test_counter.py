"""The contract over a real server: filing, reading, stepping, replaying, and every refusal in its order."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from tests.http.county import DISPUTE, County, file_one, fresh

from mediation.domain.events import leaf_hash

NOTE = {"action": "note", "kind": "contact_attempt", "text": "电话联系"}
BIG = b"x" * (1024 * 1024 + 1)
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def place(county: County) -> str:
    with county.client("wang") as wang:
        answer = file_one(wang)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def step(client: httpx2.Client, place: str, body: Any = None, *, version: int | None = None, key: str = "") -> Any:
    version = version or client.get(place).json()["version"]
    headers = {"If-Match": f'"{version}"', "Idempotency-Key": key or fresh()}
    return client.post(f"{place}/events", json=body or NOTE, headers=headers)


def bare(answer: httpx2.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    own = {"date", "x-request-id"}
    return answer.status_code, answer.content, [item for item in answer.headers.multi_items() if item[0] not in own]


# ── the way through ──


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
        assert (first["name"], first["phone"], first["id_number"]) == ("张**", "138****5678", "150***********1234")
        assert (second["name"], second["address"]) == ("李*", "大沁他拉镇一***")
        for secret in ("张三丰", "13812345678", "150599199001011234", "院墙", "12号"):
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


def test_what_may_be_done_is_listed_with_the_fields_it_needs_and_why_not_the_rest(county, place):
    with county.client("wang") as wang:
        offers = {offer["action"]: offer for offer in wang.get(f"{place}/actions").json()["items"]}
    assert offers["accept"]["available"]
    assert offers["decline"]["required"] == ["ground"]
    assert not offers["convene"]["available"]
    assert all(reason["zh"] and reason["en"] for reason in offers["convene"]["reasons"])


# ── the history ──


def test_ndjson_gives_the_canonical_bytes_and_json_the_same_members_with_their_hash(county, place):
    with county.client("wang") as wang:
        lines = wang.get(f"{place}/events", headers={"Accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        shown = wang.get(f"{place}/events").json()["items"]
        one = wang.get(f"/v1/events/{shown[0]['event']}")
        single = wang.get(f"/v1/events/{shown[0]['event']}", headers={"Accept": "application/x-ndjson"})
    data = lines.content.splitlines()
    assert single.content == data[0] + b"\n"
    previous = "0" * 64
    for line, event in zip(data, shown, strict=True):
        assert event["hash"] == leaf_hash(line)
        assert event["prev"] == previous
        previous = event["hash"]
    assert one.json()["hash"] == shown[0]["hash"]


def test_a_history_is_read_page_by_page_in_both_forms(county, place):
    with county.client("wang") as wang:
        whole = [event["seq"] for event in wang.get(f"{place}/events").json()["items"]]
        assert len(whole) > 2
        found, query = [], {"limit": 2}
        while True:
            page = wang.get(f"{place}/events", params=query).json()
            found += [event["seq"] for event in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        assert found == whole
        lines, url = 0, f"{place}/events?limit=2"
        while url:
            answer = wang.get(url, headers={"Accept": "application/x-ndjson"})
            lines += len(answer.content.splitlines())
            link = answer.headers.get("link", "")
            url = link.partition(">")[0].removeprefix("<") if link else ""
        assert lines == len(whole)


def test_the_feed_gives_every_visible_event_once_in_order(county, place):
    with county.client("wang") as wang, county.client("zhao") as zhao, county.client("idle") as idle:
        mine = wait_for_position(wang, place)
        seen, after = [], 0
        while True:
            page = wang.get("/v1/events", params={"after": after, "limit": 3}).json()
            seen += [event["position"] for event in page["items"]]
            if page["next"] == after:
                break
            after = page["next"]
        assert seen == sorted(set(seen))
        assert mine in seen
        others = {event["case"] for event in zhao.get("/v1/events").json()["items"]}
        assert place.rpartition("/")[2] not in others
        assert idle.get("/v1/events").status_code == 200


def wait_for_position(client: httpx2.Client, place: str) -> int:
    for _ in range(100):
        event = client.get(f"{place}/events").json()["items"][-1]
        if "position" in event:
            return event["position"]
        time.sleep(0.05)
    raise AssertionError("the newest event got no position within five seconds")


# ── lists ──


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


# ── refusals, in their order: each request is wrong in its own way and in every later way ──

WRONG_HEADERS = {"Acting-For": "nobody", "X-Sandbox-At": "yesterday"}


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"who": None, "content": BIG, "type": "text/plain"}, 401, "not_recognised"),
        ({"content": BIG, "type": "text/plain"}, 413, "too_large"),
        ({"content": b"{", "type": "text/plain"}, 415, "unsupported_media_type"),
        ({"content": b"{", "type": "application/json; charset=gbk"}, 415, "unsupported_media_type"),
        ({"content": b"{", "coding": "gzip"}, 415, "unsupported_media_type"),
        ({"content": b"{"}, 400, "undecodable"),
        ({"content": b""}, 400, "undecodable"),
        ({"content": b"[" * 100_000}, 400, "undecodable"),
        ({"content": b'{"action":"note","kind":"fact","text":"\xff"}'}, 400, "undecodable"),
        ({"json": {"action": "dance"}}, 422, "malformed"),
        ({"json": NOTE | {"more": 1}}, 422, "malformed"),
        ({"json": NOTE, "query": "?x=1"}, 422, "malformed"),
        ({"json": NOTE, "if_match": None}, 428, "precondition_required"),
        ({"json": NOTE, "if_match": "*", "key": "short"}, 400, "bad_if_match"),
        ({"json": NOTE, "if_match": 'W/"1"', "key": "short"}, 400, "bad_if_match"),
        ({"json": NOTE, "if_match": '"1", "2"', "key": "short"}, 400, "bad_if_match"),
        ({"json": NOTE, "if_match": "1", "key": "short"}, 400, "bad_if_match"),
        ({"json": NOTE, "key": None}, 400, "bad_idempotency_key"),
        ({"json": NOTE, "key": "short"}, 400, "bad_idempotency_key"),
        ({"json": NOTE, "key": "spaces are bad"}, 400, "bad_idempotency_key"),
        ({"json": NOTE, "acting_for": "nobody"}, 400, "bad_acting_for"),
        ({"json": NOTE, "at": "yesterday"}, 400, "bad_sandbox_at"),
        ({"json": NOTE, "who": "two"}, 400, "organisation_required"),
        ({"json": NOTE}, 404, "not_found"),
        ({"json": NOTE, "case": "not-a-uuid"}, 404, "not_found"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_first_refusal_that_applies_is_the_one_given(county, wrong, status, code):
    headers = {
        "Content-Type": wrong.get("type", "application/json"),
        "If-Match": wrong.get("if_match", '"1"'),
        "Idempotency-Key": wrong.get("key", fresh()),
        "Acting-For": wrong.get("acting_for"),
        "X-Sandbox-At": wrong.get("at"),
        "Content-Encoding": wrong.get("coding"),
    }
    kept = {name: value for name, value in headers.items() if value is not None}
    with county.client(wrong.get("who", "wang")) as client:
        body = {"json": wrong["json"]} if "json" in wrong else {"content": wrong["content"]}
        url = f"/v1/cases/{wrong.get('case', NOBODY)}/events{wrong.get('query', '')}"
        answer = client.post(url, headers=kept, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{code}"


def test_the_rest_of_the_order_stands_on_a_case_that_is_there(county):
    with county.client("wang") as wang, county.client("idle") as idle:
        place = file_one(wang).headers["location"]
        key = fresh()
        assert step(wang, place, key=key).status_code == 201
        stale_and_unavailable = {
            "json": {"action": "convene"},
            "headers": {"If-Match": '"1"', "Idempotency-Key": fresh()},
        }
        assert step(wang, place, version=1, key=key).json()["action"] == "note"  # replay goes before 412
        forbidden = idle.post(f"{place}/events", **stale_and_unavailable)
        assert (forbidden.status_code, forbidden.json()["code"]) == (403, "not_permitted")
        stale = wang.post(f"{place}/events", **stale_and_unavailable)
        assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
        unavailable = step(wang, place, {"action": "convene"})
        assert (unavailable.status_code, unavailable.json()["code"]) == (409, "action_unavailable")
        assert wang.get(place).json()["version"] == 2


def test_a_guard_tells_every_reason_in_the_language_asked_for(county):
    with county.client("wang") as wang:
        place = file_one(wang).headers["location"]
        assert step(wang, place, {"action": "accept"}).status_code == 201
        headers = {"If-Match": '"2"', "Idempotency-Key": fresh(), "Accept-Language": "en-GB, zh;q=0.5"}
        answer = wang.post(f"{place}/events", json={"action": "start"}, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"], answer.headers["content-language"]) == (409, "guard_refused", "en")
    assert len(problem["reasons"]) >= 1
    for reason in problem["reasons"]:
        assert reason["detail"] == reason["en"]
        assert reason["basis"]


def test_an_absent_case_and_an_invisible_one_are_the_same_bytes(county, place):
    with county.client("zhao") as stranger:
        for path in ("", "/events", "/actions"):
            absent, hidden = stranger.get(f"/v1/cases/{NOBODY}{path}"), stranger.get(f"{place}{path}")
            assert bare(absent) == bare(hidden)
            assert absent.status_code == 404
        absent, hidden = step(stranger, f"/v1/cases/{NOBODY}", version=1), step(stranger, place, version=1)
        assert bare(absent) == bare(hidden)
        wanted = {"purpose": "了解", "fields": ["parties.1.phone"]}
        absent, hidden = (stranger.post(f"{p}/disclosures", json=wanted) for p in (f"/v1/cases/{NOBODY}", place))
        assert bare(absent) == bare(hidden)
    with county.client("wang") as wang:
        event = wang.get(f"{place}/events").json()["items"][0]["event"]
    with county.client("zhao") as stranger:
        absent, hidden = stranger.get(f"/v1/events/{uuid.uuid4()}"), stranger.get(f"/v1/events/{event}")
        assert bare(absent) == bare(hidden)


def test_who_belongs_to_several_bodies_says_for_which(county, place):
    with county.client("two") as silent:
        answer = silent.get(place)
        assert (answer.status_code, answer.json()["code"]) == (400, "organisation_required")
    with county.client("two", Acting_For=county.org("V1")) as clerk:
        assert clerk.get(place).status_code == 200
        assert step(clerk, place).json()["org"] == county.org("V1")
    with county.client("two", Acting_For=county.org("K")) as impostor:
        assert impostor.get(place).status_code == 403


def test_a_query_that_is_wrong_in_any_way_is_422(county, place):
    wrong = [
        "x=1",
        "limit=0",
        "limit=201",
        "limit=ten",
        "state=gone",
        "limit=1&limit=2",
        "cursor=nonsense",
        "division=a",
    ]
    wrong += ["cursor=WzFd", "cursor=WyJhIl0", "q=%00", "due_before=tomorrow", "holder=me"]
    with county.client("wang") as wang:
        for query in wrong:
            answer = wang.get(f"/v1/cases?{query}")
            assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), query
        for path in (place, f"{place}/actions", "/v1/process", "/version", "/livez", "/readyz", "/metrics"):
            assert wang.get(f"{path}?x=1").status_code == 422, path
        for path in ("/v1/handoffs", "/v1/handoffs?box=up", "/v1/events?after=-1", "/v1/divisions?cursor=%FF"):
            assert wang.get(path).status_code == 422, path


def test_a_wrong_method_is_405_and_names_the_right_ones_and_a_trailing_slash_is_404(county, place):
    with county.client("wang") as wang:
        for path, allowed in ((place, "GET"), ("/v1/cases", "GET, POST"), (f"{place}/events", "GET, POST")):
            for method in ("DELETE", "PUT", "PATCH", "OPTIONS"):
                answer = wang.request(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
                assert answer.json()["code"] == "method_not_allowed"
            assert wang.get(f"{path}/").status_code == 404
        assert wang.get("/v1/nothing").json() == wang.get(f"/v1/cases/{NOBODY}").json()


# ── around the edges ──


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

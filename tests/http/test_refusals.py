"""Refusals, in their order: each request is wrong in its own way and in every later way."""

import uuid

import pytest
from tests.http.county import NOBODY, NOTE, bare, file_one, fresh, step

BIG = b"x" * (1024 * 1024 + 1)

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
        ({"json": NOTE, "at": "9999-12-31T23:59:59Z"}, 400, "bad_sandbox_at"),
        ({"json": NOTE, "at": "0001-01-01T00:00:00Z"}, 400, "bad_sandbox_at"),
        ({"json": NOTE, "at": "2100-01-01T00:00:01Z"}, 400, "bad_sandbox_at"),
        ({"json": NOTE, "at": "1990-01-01T07:59:59+08:00"}, 400, "bad_sandbox_at"),
        ({"json": NOTE, "at": "2100-01-01T00:00:00Z"}, 404, "not_found"),
        ({"content": b'{"action":"note","kind":"visit","kind":"fact","text":"x"}'}, 422, "malformed"),
        ({"content": b'{"action":"note","kind":"fact","text":"x","t\\u0065xt":"y"}'}, 422, "malformed"),
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


def test_a_moment_no_calendar_reaches_is_refused_in_a_sentence(county):
    with county.client("wang", X_Sandbox_At="9999-12-31T23:59:59Z", Accept_Language="en") as wang:
        for answer in (wang.get("/v1/cases"), file_one(wang)):
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_sandbox_at")
            assert "between 1990-01-01 and 2100-01-01" in answer.json()["detail"]


def test_a_key_given_twice_is_named_at_whatever_depth(county):
    body = (
        b'{"action":"note","kind":"fact","text":"x","documents":[{"kind":"minutes","ref":"a","ref":"b","sha256":"%s"}]}'
    )
    headers = {"Content-Type": "application/json", "If-Match": '"1"', "Idempotency-Key": fresh()}
    with county.client("wang") as wang:
        answer = wang.post(f"/v1/cases/{NOBODY}/events", content=body % (b"0" * 64), headers=headers)
    assert answer.status_code == 422
    assert [(r["code"], r["en"].partition(":")[0]) for r in answer.json()["reasons"]] == [("duplicate_key", "ref")]


def test_a_step_too_long_for_one_event_is_422_and_says_so(county):
    parties = [{"name": f"第{n}户", "side": "applicant" if n % 2 else "respondent"} for n in range(1, 51)]
    claims = [{"what": "money", "by": list(range(1, 50, 2)), "against": list(range(2, 51, 2)), "amount_fen": 1}] * 50
    with county.client("wang") as wang:
        answer = file_one(wang, parties=parties, claim=claims)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert [r["code"] for r in answer.json()["reasons"]] == ["event_too_long"]


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

"""The gate: who may come in, how often, with how much; and what it leaves in the log and the measurements."""

import json
import logging

import httpx2
import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediation.commandline.attendance import PROXIES, _config
from mediation.gateway.identity import NotRecognised, Principal
from mediation.http.gate import LIMIT_BYTES, TRIALS, Bucket, Gate
from mediation.settings import Settings

IN = {"Authorization": "Bearer good"}
JSON = {**IN, "Content-Type": "application/json"}


class Away(Exception):
    pass


async def echo(request: Request) -> Response:
    return JSONResponse({"size": len(await request.body())})


async def away(request: Request) -> Response:
    raise Away("host 10.1.2.3")


async def fault(request: Request) -> Response:
    raise ZeroDivisionError("张三 330102199001011234")


async def verify(token: str, certificate: bytes | None) -> Principal:
    if token.startswith("mediation:"):
        return Principal("", "https://issuer.example", "person", frozenset(token.split("+")))
    if token != "good" or certificate not in {None, b"certificate"}:
        raise NotRecognised
    return Principal("person", "https://issuer.example", "person")


def client(bucket: Bucket | None = None, **more: object) -> httpx2.AsyncClient:
    gate = Middleware(
        Gate,
        knows=lambda token: token == "good",
        **({"verify": verify, "bucket": bucket or Bucket(0), "failures": Bucket(0), "away": (Away,)} | more),
    )
    routes = [
        Route("/v1/echo/{name}", echo, methods=["GET", "POST"]),
        Route("/v1/away", away),
        Route("/v1/fault", fault),
        Route("/open", echo),
    ]
    app = Starlette(routes=routes, middleware=[gate])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer bad"}, {"Authorization": "Basic good"}, {"Authorization": "Bearer"}]
)
async def test_a_stranger_is_told_nothing_but_401(headers):
    async with client() as c:
        answer = await c.post("/v1/echo/x", headers=headers, content=b"x" * (LIMIT_BYTES + 1))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {
        "type": "/problems/not_recognised",
        "title": "未认证",
        "status": 401,
        "code": "not_recognised",
    }


async def test_the_pages_beside_v1_need_no_token():
    async with client() as c:
        assert (await c.get("/open")).status_code == 200


async def test_who_comes_too_often_waits_and_429_goes_before_413():
    now = [0.0]
    bucket = Bucket(2, clock=lambda: now[0])
    async with client(bucket) as c:
        assert [(await c.get("/v1/echo/x", headers=IN)).status_code for _ in range(3)] == [200, 200, 429]
        late = await c.post("/v1/echo/x", headers=IN, content=b"x" * (LIMIT_BYTES + 1))
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 31
        now[0] += 30
        assert (await c.get("/v1/echo/x", headers=IN)).status_code == 200


def test_nobody_says_where_others_come_from_but_a_proxy_that_is_named(monkeypatch):
    monkeypatch.delenv(PROXIES, raising=False)
    assert _config(Settings(), answers=False).proxy_headers is False
    monkeypatch.setenv(PROXIES, "10.0.0.2")
    named = _config(Settings(), answers=False)
    assert (named.proxy_headers, named.forwarded_allow_ips) == (True, "10.0.0.2")


def test_a_long_name_takes_no_more_room_than_a_short_one():
    bucket = Bucket(1)
    assert not bucket.take("127.0.0.1")
    assert not bucket.take("x" * 60_000)
    assert bucket.take("x" * 60_000) > 0
    assert {len(mark) for mark in bucket._left} == {16}


async def test_a_body_of_one_mebibyte_passes_and_one_byte_more_does_not_announced_or_not():
    async def chunks(size):
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    async with client() as c:
        assert (await c.post("/v1/echo/x", headers=JSON, content=b"x" * LIMIT_BYTES)).json() == {"size": LIMIT_BYTES}
        assert (await c.post("/v1/echo/x", headers=JSON, content=chunks(LIMIT_BYTES))).json() == {"size": LIMIT_BYTES}
        for content in (b"x" * (LIMIT_BYTES + 1), chunks(LIMIT_BYTES + 1)):
            answer = await c.post("/v1/echo/x", headers=JSON, content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_database_away_is_503_with_a_time_to_come_back():
    async with client() as c:
        answer = await c.get("/v1/away", headers=IN)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "10.1.2.3" not in answer.text


async def test_a_fault_of_ours_is_a_problem_too_and_its_words_stay_out_of_answer_and_log(caplog):
    caplog.set_level(logging.INFO, "mediation.http")
    async with client() as c:
        answer = await c.get("/v1/fault", headers=IN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    said = answer.text + "".join(json.dumps(record.__dict__, default=str) for record in caplog.records)
    assert "3301021990" not in said
    assert "ZeroDivisionError" in said
    assert answer.headers["x-request-id"] in said


async def test_every_answer_has_an_id_of_ours_whatever_the_caller_sends():
    async with client() as c:
        answers = [
            await c.get(path, headers={**IN, "X-Request-Id": "mine"}) for path in ("/v1/echo/x", "/nowhere", "/v1/away")
        ]
    ids = [answer.headers.get_list("x-request-id") for answer in answers]
    assert all(len(found) == 1 and found[0][14] == "7" for found in ids)
    assert len({found[0] for found in ids}) == 3


async def test_the_log_names_the_route_and_neither_path_nor_query_nor_person(caplog):
    caplog.set_level(logging.INFO, "mediation.http")
    async with client() as c:
        await c.get("/v1/echo/330102199001011234?q=张三", headers=IN)
    record = next(r for r in caplog.records if r.getMessage() == "request")
    assert (record.method, record.status) == ("GET", 200)
    said = json.dumps(record.__dict__, default=str, ensure_ascii=False)
    assert "330102" not in said
    assert "张三" not in said
    assert "person" not in said.replace("processName", "")


async def test_what_is_measured_has_no_series_per_path():
    async with client() as c:
        for name in ("a", "b", "c"):
            await c.get(f"/nowhere/{name}")
    found = next(m for m in REGISTRY.collect() if m.name == "mediation_http_request_seconds")
    routes = {sample.labels["route"] for sample in found.samples}
    assert not any("/nowhere" in route for route in routes)


async def test_a_gate_for_this_machine_lets_nobody_in_who_comes_over_another_address():
    gate = Middleware(Gate, verify=verify, knows=bool, bucket=Bucket(0), failures=Bucket(0), away=(Away,), local=True)
    app = Starlette(routes=[Route("/v1/echo/{name}", echo)], middleware=[gate])
    for url, status in (("http://127.0.0.1", 200), ("http://[::1]", 200), ("http://192.0.2.1", 401)):
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=url) as c:
            assert (await c.get("/v1/echo/x", headers=IN)).status_code == status


async def test_the_certificate_is_read_from_the_header_that_is_named_and_from_no_other():
    other = {"Authorization": "Bearer good", "X-Cert": ":b3RoZXI=:"}
    async with client(certificate_header=b"x-cert") as c:
        assert (await c.get("/v1/echo/x", headers=IN | {"X-Cert": ":Y2VydGlmaWNhdGU=:"})).status_code == 200
        assert (await c.get("/v1/echo/x", headers=other)).status_code == 401
        assert (await c.get("/v1/echo/x", headers=IN | {"X-Cert": ""})).status_code == 401
    async with client() as c:
        assert (await c.get("/v1/echo/x", headers=other)).status_code == 200


async def test_a_narrow_token_is_refused_before_its_body_is_read():
    async with client() as c:
        headers = {"Authorization": "Bearer mediation:read"}
        answer = await c.post("/v1/echo/x", headers=headers, content=b"x" * (LIMIT_BYTES + 1))
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
        assert (await c.get("/v1/echo/x", headers=headers)).status_code == 200


async def test_who_fails_too_often_is_told_to_wait_by_address_and_not_who_has_a_good_token():
    now = [0.0]
    async with client(failures=Bucket(2, clock=lambda: now[0])) as c:
        codes = [(await c.get("/v1/echo/x", headers={"Authorization": "Bearer bad"})).status_code for _ in range(3)]
        assert codes == [401, 401, 429]
        assert (await c.get("/v1/echo/x", headers=IN)).status_code == 200
        now[0] += 30
        assert (await c.get("/v1/echo/x")).status_code == 401


async def test_where_very_many_bad_tokens_come_from_only_a_remembered_one_is_looked_at():
    now, looked = [0.0], []

    async def look(token: str, certificate: bytes | None) -> Principal:
        looked.append(token)
        if token == "bad":
            raise NotRecognised
        return Principal("person", "https://issuer.example", "person")

    async with client(failures=Bucket(1, clock=lambda: now[0]), verify=look) as c:

        async def asked(token: str) -> int:
            return (await c.get("/v1/echo/x", headers={"Authorization": f"Bearer {token}"})).status_code

        assert [await asked("bad") for _ in range(TRIALS + 3)] == [401] + [429] * (TRIALS + 2)
        assert looked == ["bad"] * TRIALS
        assert (await asked("good"), await asked("new")) == (200, 429)
        now[0] += 60 / TRIALS
        assert await asked("new") == 200

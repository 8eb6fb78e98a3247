"""A case that is not theirs to know about and one that is not there answer alike, to the byte and to the statement."""

import contextvars
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from tests.http.county import bare, running
from tests.matrix.calls import STEPS
from tests.matrix.conftest import anyio_backend, district
from tests.matrix.district import PEOPLE, STORIES
from tests.matrix.oracle import readers
from tests.matrix.told import District, org

from mediation.store.line import Call, Line

__all__ = ["anyio_backend", "district"]

ASKED: dict[str, tuple[Any, ...]] = {
    "take_step": (
        *({"action": name} | fields for name, fields in STEPS.items()),
        {"action": "note", "kind": "fact", "leg": 99},
        {"action": "refer", "link_up": "joint", "to_org": org("P"), "leg": 1},
    ),
    "disclose": (
        {"purpose": "通知到场", "fields": ["parties.1.phone"]},
        {"purpose": "通知到场", "fields": ["nothing.1"]},
    ),
    "erase": ({"party": 1, "ground": "retention_ended"}, {"text": True, "ground": "retention_ended"}),
}
"""What is sent to the operations that take a body."""
STRANGERS = {
    "sibling_chair": ("filed", "minor", "closed"),
    "officer": ("filed", "sued"),
    "recused_mediator": ("recused",),
    "other_mediator": ("minor",),
    "mediator": ("returned", "withdrawn_offer", "elsewhere"),
    "far_auditor": ("filed", "archived"),
    "auditor_who_closed": ("closed",),
    "township_clerk": ("violence",),
    "judge": ("assigned",),
    "system_admin": ("filed",),
}
"""Some who do not see some cases."""


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Every operation about one case or one event: its method and path."""
    return {
        told["operationId"]: (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
        if "{case_id}" in path or "{event_id}" in path
    }


@pytest.fixture(scope="module")
def address(district: District) -> Iterator[str]:
    """A server on loopback before the same database: what it sends is what is compared."""
    with running(district.desk.settings) as found:
        yield found


def asked(
    client: httpx2.Client, method: str, path: str, case: str, event: str, body: Any, key: str
) -> tuple[int, bytes, list[tuple[str, str]]]:
    filled = path.replace("{case_id}", case).replace("{event_id}", event)
    headers = {"If-Match": '"1"', "Idempotency-Key": key} if method != "GET" else {"If-None-Match": '"1"'}
    return bare(client.request(method, filled, json=body, headers=headers))


def test_the_strangers_are_strangers():
    assert all(not readers()[who, case] for who, cases in STRANGERS.items() for case in cases)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("who", STRANGERS)
def test_an_invisible_case_and_an_absent_one_answer_byte_for_byte_alike(
    district: District, address: str, who: str, language: str
):
    document = district.client._transport.app.openapi()
    headers = district.headers(who) | {"Accept-Language": language}
    compared = 0
    with httpx2.Client(base_url=address, headers=headers) as client:
        for name, (method, path) in operations(document).items():
            bodies = ASKED.get(name, (None,))
            assert (bodies != (None,)) == (method != "GET"), f"{name}: say what is sent to it"
            for body in bodies:
                absent = str(uuid.uuid4())
                expected = asked(client, method, path, absent, absent, body, uuid.uuid4().hex)
                assert expected[0] == 404, (name, expected)
                for case in STRANGERS[who]:
                    told = district.cases[case]
                    found = asked(client, method, path, told.id, told.event, body, uuid.uuid4().hex)
                    assert found == expected, (name, body, case)
                    compared += 1
    assert compared >= 50 * len(STRANGERS[who])


@pytest.mark.parametrize(
    "body",
    [
        {"action": "merge", "into": "?"},
        {"action": "merge", "into": "?", "case_code": "1-1-1"},
        {"action": "absorb", "case": "?", "version": 1},
    ],
)
def test_another_case_that_a_command_names_is_no_better_known(district: District, address: str, body: dict[str, Any]):
    def named(case: str) -> Any:
        return {name: case if value == "?" else value for name, value in body.items()}

    with httpx2.Client(base_url=address, headers=district.headers("clerk")) as client:
        own = f"/v1/cases/{district.cases['filed'].id}/events"
        expected = asked(client, "POST", own, "", "", named(str(uuid.uuid4())), uuid.uuid4().hex)
        assert expected[0] in {409, 422}
        for case in ("elsewhere", "returned"):
            told = district.cases[case].id
            found = asked(client, "POST", own, "", "", named(told), uuid.uuid4().hex)
            assert found == expected


# ── and the database is asked the same ──

counting: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("counting", default=None)


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement is noted that is sent in the course of the test's own requests, and of no others."""
    send = psycopg.AsyncCursor.execute

    async def noted(self: Any, query: Any, *values: Any, **how: Any) -> Any:
        if (heard := counting.get()) is not None:
            heard.append(str(query))
        return await send(self, query, *values, **how)

    ask = Line.together

    async def put(self: Line, *calls: Call) -> Any:
        if (heard := counting.get()) is not None:
            heard += [call.text for call in calls]
        return await ask(self, *calls)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noted)
    monkeypatch.setattr(Line, "together", put)


@pytest.mark.parametrize("who", STRANGERS)
async def test_the_database_is_sent_the_same_statements_for_both(district: District, listening: None, who: str):
    case = STRANGERS[who][0]
    document = district.client._transport.app.openapi()
    for name, (method, path) in operations(document).items():
        body = ASKED.get(name, (None,))[0]
        heard: list[list[str]] = []
        absent = str(uuid.uuid4())
        for ids in ((absent, absent), (district.cases[case].id, district.cases[case].event)):
            heard.append([])
            counting.set(heard[-1])
            filled = path.replace("{case_id}", ids[0]).replace("{event_id}", ids[1])
            more = {"If_Match": '"1"', "Idempotency_Key": uuid.uuid4().hex} if method != "GET" else {}
            answer = await district.call(who, method, filled, body, **more)
            counting.set(None)
            assert answer.status_code == 404
        assert heard[0], name
        assert heard[0] == heard[1], name


def test_the_strangers_are_of_every_kind():
    assert {story for cases in STRANGERS.values() for story in cases} <= set(STORIES)
    assert {role for who in STRANGERS for role in PEOPLE[who].roles} >= {
        "mediator",
        "chair",
        "clerk",
        "auditor",
        "judge",
    }

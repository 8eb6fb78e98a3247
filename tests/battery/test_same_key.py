"""The same key sent eight times at once, and again after a restart: one effect, one answer."""

from typing import Any

import anyio
import httpx2
from tests.battery.siege import CLERKS, Siege, fresh, times
from tests.http.county import DISPUTE

ROUNDS = times(50, 5)
EIGHT = [CLERKS[0]] * 8
NOTE = {"action": "note", "kind": "fact", "text": "实地察看院墙"}


def substance(answer: httpx2.Response) -> tuple[int, bytes, str | None, str | None]:
    """All of an answer that its event decides."""
    return answer.status_code, answer.content, answer.headers.get("ETag"), answer.headers.get("Location")


async def eight_at_once(
    clients: list[httpx2.AsyncClient], path: str, body: dict[str, Any], headers: dict[str, str]
) -> list[httpx2.Response]:
    """The answers to one request sent over eight connections."""
    answers: list[httpx2.Response] = []

    async def send(client: httpx2.AsyncClient) -> None:
        answers.append(await client.post(path, json=body, headers=headers))

    async with anyio.create_task_group() as group:
        for client in clients:
            group.start_soon(send, client)
    return answers


def the_one_answer(answers: list[httpx2.Response]) -> httpx2.Response:
    """What those were told that were not told that the key is in flight."""
    told = [answer for answer in answers if answer.status_code != 409]
    assert all(answer.json()["code"] == "key_in_flight" for answer in answers if answer.status_code == 409)
    assert told
    assert {answer.status_code for answer in told} == {201}, [answer.text for answer in told]
    assert len({substance(answer) for answer in told}) == 1
    return told[0]


async def filed(client: httpx2.AsyncClient) -> str:
    """The address of a new case."""
    answer = await client.post("/v1/cases", json=DISPUTE, headers={"Idempotency-Key": fresh()})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


async def test_a_filing_sent_eight_times_at_once_files_one_case_with_one_answer(siege: Siege) -> None:
    async with siege.clients(EIGHT) as clients:
        for _ in range(ROUNDS):
            before = siege.count("cases")
            answer = the_one_answer(await eight_at_once(clients, "/v1/cases", DISPUTE, {"Idempotency-Key": fresh()}))
            assert answer.headers["ETag"] == '"1"'
            assert answer.headers["Location"] == f"/v1/cases/{answer.json()['case']}"
            assert siege.count("cases") == before + 1


async def test_a_step_sent_eight_times_at_once_is_taken_once_with_one_answer(siege: Siege) -> None:
    async with siege.clients(EIGHT) as clients:
        path = await filed(clients[0])
        for version in range(1, ROUNDS + 1):
            headers = {"Idempotency-Key": fresh(), "If-Match": f'"{version}"'}
            answer = the_one_answer(await eight_at_once(clients, f"{path}/events", NOTE, headers))
            assert answer.headers["ETag"] == f'"{version + 1}"'
            assert siege.count("events", answer.json()["case"]) == version + 1


async def test_after_a_restart_the_same_key_has_the_same_answer_and_no_further_effect(siege: Siege) -> None:
    filing = "/v1/cases", DISPUTE, {"Idempotency-Key": fresh()}
    async with siege.clients(EIGHT) as clients:
        first = the_one_answer(await eight_at_once(clients, *filing))
        step = f"{first.headers['Location']}/events", NOTE, {"Idempotency-Key": fresh(), "If-Match": '"1"'}
        second = the_one_answer(await eight_at_once(clients, *step))
    before = siege.count("events")
    await anyio.to_thread.run_sync(siege.stop)
    await anyio.to_thread.run_sync(siege.start)
    async with siege.clients(EIGHT) as clients:
        for request, known in ((filing, first), (step, second)):
            again = await eight_at_once(clients, *request)
            assert {substance(answer) for answer in again} == {substance(known)}
    assert siege.count("events") == before


async def test_a_key_used_for_another_body_path_or_call_is_refused_and_changes_nothing(siege: Siege) -> None:
    async with siege.clients(EIGHT) as clients:
        one, other = await filed(clients[0]), await filed(clients[0])
        for known, another in (
            (("/v1/cases", DISPUTE), ("/v1/cases", DISPUTE | {"text": "另一件事"})),
            (("/v1/cases", DISPUTE), (f"{one}/events", NOTE)),
            ((f"{one}/events", NOTE), (f"{other}/events", NOTE)),
            ((f"{other}/events", NOTE), (f"{other}/events", NOTE | {"text": "另一件事"})),
        ):
            headers = {"Idempotency-Key": fresh(), "If-Match": '"1"'}
            assert (await clients[0].post(known[0], json=known[1], headers=headers)).status_code == 201
            before = siege.count("events")
            answers = await eight_at_once(clients, *another, headers)
            assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "key_reused")}
            assert siege.count("events") == before


async def test_of_two_bodies_sent_at_once_under_one_key_one_has_effect_and_the_other_is_refused(siege: Siege) -> None:
    async with siege.clients(EIGHT) as clients:
        path = await filed(clients[0])
        for call, body in (("/v1/cases", DISPUTE), (f"{path}/events", NOTE)):
            headers = {"Idempotency-Key": fresh(), "If-Match": '"1"'}
            before = siege.count("events")
            answers: list[httpx2.Response] = []

            async def send(half: list[httpx2.AsyncClient], said: dict[str, Any]) -> None:
                answers.extend(await eight_at_once(half, call, said, headers))  # noqa: B023  # awaited in this turn

            async with anyio.create_task_group() as group:
                group.start_soon(send, clients[:4], body)
                group.start_soon(send, clients[4:], body | {"text": "另一件事"})
            assert siege.count("events") == before + 1
            told = [(answer.status_code, answer.json().get("code")) for answer in answers]
            assert set(told) == {(201, None), (422, "key_reused")}
            assert told.count((201, None)) == 4
            assert len({substance(answer) for answer in answers if answer.status_code == 201}) == 1

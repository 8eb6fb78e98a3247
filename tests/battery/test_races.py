"""Sixteen clients at one case: of conflicting steps exactly one is taken, and the others are told so."""

import logging
import time
from collections import Counter
from random import Random
from typing import Any

import anyio
import httpx2
from tests.battery.siege import CLERKS, Siege, fresh, times
from tests.http.county import DISPUTE

from mediation.service.registry import org_id

figures = logging.getLogger(__name__)  # shown by `pytest -rP`

ROUNDS = times(200, 20)
MINUTES = {"kind": "minutes", "name": "调解笔录.pdf", "sha256": "0" * 64, "ref": "file:1"}
# Each moves the case, and none shuts the door on the next round: what is escalated is recalled.
STEPS: tuple[dict[str, Any], ...] = (
    {"action": "note", "kind": "fact", "text": "实地察看院墙"},
    {"action": "accept"},
    {"action": "escalate", "to_org": org_id("T"), "documents": [MINUTES], "text": "村里调不了"},
    {"action": "correct", "category": "damages"},
    {"action": "grade_risk", "risk": "orange"},
    {"action": "note", "kind": "contact_attempt"},
    {"action": "correct", "category": "neighbour"},
    {"action": "grade_risk", "risk": "blue"},
)


def conflicting(case: dict[str, Any], chance: Random) -> list[dict[str, Any]]:
    """A step for each client; in transit, all want the case back or to add to it."""
    live = [handoff["id"] for handoff in case.get("handoffs", ()) if handoff["state"] == "offered"]
    steps = [{"action": "recall", "handoff": live[-1]}, STEPS[0]] if live else STEPS
    dealt = [steps[number % len(steps)] for number in range(len(CLERKS))]
    chance.shuffle(dealt)
    return dealt


async def all_at_once(
    clients: list[httpx2.AsyncClient], path: str, version: int, steps: list[dict[str, Any]]
) -> list[httpx2.Response]:
    """The answers to a step from each client, all of them about the same version of the case."""
    answers: list[httpx2.Response] = []

    async def fire(client: httpx2.AsyncClient, step: dict[str, Any]) -> None:
        headers = {"If-Match": f'"{version}"', "Idempotency-Key": fresh()}
        answers.append(await client.post(f"{path}/events", json=step, headers=headers))

    async with anyio.create_task_group() as group:
        for client, step in zip(clients, steps, strict=True):
            group.start_soon(fire, client, step)
    return answers


async def test_of_sixteen_conflicting_steps_exactly_one_is_taken_and_the_rest_are_told(siege: Siege) -> None:
    taken: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    chance = Random(2026)
    began = time.monotonic()
    async with siege.clients(CLERKS) as clients:
        filed = await clients[0].post("/v1/cases", json=DISPUTE, headers={"Idempotency-Key": fresh()})
        path = filed.headers["Location"]
        for _ in range(ROUNDS):
            case = (await clients[0].get(path)).json()
            answers = await all_at_once(clients, path, case["version"], conflicting(case, chance))
            won = [answer.json() for answer in answers if answer.status_code == 201]
            lost = [answer for answer in answers if answer.status_code != 201]
            assert len(won) == 1, [answer.text for answer in answers]
            assert {answer.status_code for answer in lost} <= {409, 412}, [answer.text for answer in lost]
            after = (await clients[0].get(path)).json()
            assert after["version"] == case["version"] + 1 == won[0]["seq"]
            assert siege.count("events", case["id"]) == after["version"]
            taken[won[0]["action"]] += 1
            refused.update(f"{answer.status_code} {answer.json()['code']}" for answer in lost)
    seconds = time.monotonic() - began
    figures.info("%s rounds in %.1f s: taken %s, refused %s", ROUNDS, seconds, dict(taken), dict(refused))
    assert len(taken) > 3  # else they were not in conflict, but one always the quickest
    assert (await anyio.to_thread.run_sync(siege.verified)).sound

"""The counter of a county of our own: the cast in a real database, the application before it, and whoever calls."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
from tests.stories import cast
from tests.stories.telling import SWEEP, Scene, Step, Walk, command, differences, refusal_differences, sweep_differences

from mediation.domain.commands import STEP
from mediation.domain.errors import MediationError
from mediation.domain.events import Event, evolve, load, parse
from mediation.domain.facts import Case
from mediation.http.app import create_app
from mediation.http.dependencies import Desk, issuer
from mediation.service import registry
from mediation.service.clockwork import sweep
from mediation.service.perform import Context, Request, perform
from mediation.settings import Settings, Urls

DIVISIONS = """\
code,level,name,parent_code
150000,province,内蒙古自治区,
150500,city,通辽市,150000
150525,county,奈曼旗,150500
150525100,township,大沁他拉镇,150525
150525101,township,八仙筒镇,150525
150525100201,village,光明村,150525100
210000,province,辽宁省,
210100,city,沈阳市,210000
210102,county,和平区,210100
330000,province,浙江省,
330200,city,宁波市,330000
330203,county,海曙区,330200
360000,province,江西省,
360500,city,新余市,360000
360502,county,渝水区,360500
440000,province,广东省,
440200,city,韶关市,440000
440222,county,始兴县,440200
440300,city,深圳市,440000
440305,county,南山区,440300
620000,province,甘肃省,
620700,city,张掖市,620000
620724,county,高台县,620700
620724100,township,城关镇,620724
620724100201,village,国庆村,620724100
"""


def organisations() -> str:
    """The bodies of the cast, as the registry imports them."""
    lines = ["code,name,name_en,kind,tier,division,speciality,superior"]
    for body in cast.BODIES.values():
        superior = cast.BODIES[body.superior].code if body.superior else ""
        lines.append(f"{body.code},{body.name},,{body.kind},{body.tier},{body.division},{body.speciality},{superior}")
    return "\n".join(lines)


def people(keys: Iterable[str]) -> str:
    """These people of the cast, as the registry imports them."""
    lines = ["person_code,name,org_code,roles"]
    for member in map(cast.member, sorted(keys)):
        roles = "|".join(role.value for role in member.roles)
        lines.append(f"{member.key},{member.key},{cast.BODIES[member.body].code},{roles}")
    return "\n".join(lines)


def ident(key: str) -> str:
    """The id that the registry gives to a body or person of the cast."""
    return registry.org_id(cast.BODIES[key].code) if key in cast.BODIES else registry.person_id(key)


@dataclass
class Counter:
    """Calls the API as people of the cast."""

    client: httpx2.AsyncClient
    desk: Desk
    urls: Urls
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, who: str, **more: str) -> dict[str, str]:
        """What a caller sends with every request."""
        if who not in self.tokens:
            self.tokens[who] = issuer(self.desk.settings).issue(ident(who))
        return {"Authorization": f"Bearer {self.tokens[who]}"} | more

    async def step(self, who: str, case: Case | None, body: dict[str, Any], at: str) -> httpx2.Response:
        """POST a step, or a filing where there is no case yet or a case code is shown."""
        headers = self.headers(who, **{"Idempotency-Key": uuid4().hex, "X-Sandbox-At": at})
        if case is None or body["action"] == "file":
            return await self.client.post("/v1/cases", json=body, headers=headers)
        headers["If-Match"] = f'"{case.version}"'
        return await self.client.post(f"/v1/cases/{case.id}/events", json=body, headers=headers)

    async def lapse(self, case: Case, body: dict[str, Any], at: str) -> None:
        """A step of the clock, which has no token, acts where the case is, and takes the corridor as everybody does."""
        request = Request(Context("clock", case.holder, str(uuid4())), at)
        await perform(self.desk.house, request, case.id, STEP.validate_python(body))

    async def events(self, case_id: str, reader: str) -> list[Event]:
        """The events of a case, parsed from their published bytes."""
        headers = self.headers(reader, Accept="application/x-ndjson")
        answer = await self.client.get(f"/v1/cases/{case_id}/events", headers=headers)
        assert answer.status_code == 200, answer.text
        return [parse(line) for line in answer.content.splitlines()]

    async def shown(self, case_id: str, reader: str) -> dict[str, Any]:
        """The case as the API shows it."""
        answer = await self.client.get(f"/v1/cases/{case_id}", headers=self.headers(reader))
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = json.loads(answer.content)
        deadlines = await self.client.get(f"/v1/cases/{case_id}/deadlines", headers=self.headers(reader))
        assert deadlines.status_code == 200, deadlines.text
        told = {item["clock"]: item["explanation"] for item in json.loads(deadlines.content)["items"]}
        assert told.keys() == {clock["id"] for clock in shown["clocks"]}
        assert all(told.values()), told
        return shown

    async def stored(self, case_id: str) -> Case:
        """The case as the database stores it."""
        async with await psycopg.AsyncConnection.connect(self.urls.reader) as reading:
            cursor = await reading.execute("SELECT facts::text FROM cases WHERE id = %s", [case_id])
            row = await cursor.fetchone()
        assert row is not None
        return load(row[0])

    def code(self, case: Case) -> str:
        """The case code, as printed on a party's papers."""
        return self.desk.house.vault.case_code(case.id, case.number)


@asynccontextmanager
async def open_counter(urls: Urls, folder: Path, keys: Iterable[str]) -> AsyncIterator[Counter]:
    """The application on this database, with the cast in it."""
    settings = Settings(
        database_url=urls.app,
        owner_url=urls.owner,
        reader_url=urls.reader,
        log_url=urls.log,
        data_dir=folder,
        sandbox_clock=True,
        rate_per_minute=0,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        desk = app.state.desk
        await registry.import_divisions(desk.engine, DIVISIONS)
        await registry.import_organisations(desk.engine, organisations())
        await registry.import_people(desk.engine, people({*keys, *cast.AUDITORS.values()}))
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Counter(client, desk, urls)


async def take(counter: Counter, walk: Walk, step: Step, scene: Scene) -> tuple[list[str], str]:
    """Send a step: what was not as the table says, and the id of its case ("" if it was rightly refused)."""
    case = scene.cases.get(step.case)
    if step.action == SWEEP:
        assert case is not None
        await sweep(counter.desk.house, walk.instant(step))
        return [], case.id
    body = command(walk, step, scene)
    if step.who == "clock":
        assert case is not None
        try:
            await counter.lapse(case, body, walk.instant(step))
        except MediationError as refusal:
            return [f"{step}: expected it to be taken, got {refusal}"], ""
        return [], case.id
    answer = await counter.step(step.who, case, body, walk.instant(step))
    said = answer.json()
    if answer.status_code != 201:
        assert answer.headers["Content-Type"] == "application/problem+json"
        if answer.status_code != 409:
            return [f"{step}: expected {step.refused or 201}, got {answer.status_code} {said}"], ""
        reasons = [(reason["code"], reason.get("basis", "")) for reason in said.get("reasons", ())]
        return refusal_differences(step, reasons), ""
    if step.refused:
        return [f"{step}: expected a refusal by {step.refused}, was taken"], ""
    return [], said["case"]


async def tell(counter: Counter, walk: Walk) -> list[str]:
    """Tell a story over HTTP, and verify its trail: where it came out other than the table says."""
    cases: dict[str, Case] = {}
    scene, reader = Scene(ident, cases, counter.code), cast.AUDITORS[walk.division[:6]]
    for step in walk.steps:
        found, case_id = await take(counter, walk, step, scene)
        if found:
            return found
        if case_id:
            before, after = cases.get(step.case), None
            events = await counter.events(case_id, reader)
            for event in events:
                after = evolve(after, event)  # verifies the chain on the way
            assert after is not None
            cases[step.case] = after
            new = events[before.version if before else 0 :]
            if found := sweep_differences(step, new) + differences(step, before, after):
                return found
    for name, case in cases.items():
        assert await counter.stored(case.id) == case
        shown = await counter.shown(case.id, reader)
        assert (shown["state"], shown["version"]) == (walk.ends[name], case.version)
    return []

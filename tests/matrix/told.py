"""The counter of the two counties, at which each case is told by real steps."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import psycopg
from tests.matrix.district import BODIES, DIVISIONS, PEOPLE, STORIES
from tests.whole import whole

from mediation.http.app import create_app
from mediation.http.dependencies import Desk, issuer
from mediation.service import registry
from mediation.settings import Settings, Urls

SHA256 = "0" * 64
DISPUTE: dict[str, Any] = {
    "category": "neighbour",
    "division": "150525100201",
    "parties": [
        {"name": "张三丰", "side": "applicant", "phone": "13812345678", "id_number": "11010519491231002X"},
        {"name": "李四", "side": "respondent", "address": "大沁他拉镇一村12号"},
    ],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}


class Told(NamedTuple):
    """A case that was told: its id, number and code, and the id of its first event."""

    id: str
    number: str
    code: str
    event: str


def person(name: str) -> str:
    return registry.person_id(name)


def org(name: str) -> str:
    return registry.org_id(name)


def _organisations() -> str:
    lines = ["code,name,name_en,kind,tier,division,speciality,superior"]
    lines += [f"{code},{code},,{b.kind},{b.tier},{b.division},,{b.superior}" for code, b in BODIES.items()]
    return "\n".join(lines)


def _people() -> str:
    lines = ["person_code,name,org_code,roles"]
    for name, who in PEOPLE.items():
        body, roles = who.before or (who.org, who.roles)
        lines += [f"{name},{name},{body},{'|'.join(roles)}"] if body else []
    return "\n".join(lines)


def papers(*kinds: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "sha256": SHA256, "ref": f"file/{kind}"} for kind in kinds]


class District:
    """The counter of the two counties, and the cases told there."""

    def __init__(self, client: httpx2.AsyncClient, desk: Desk, urls: Urls) -> None:
        self.client = client
        self.desk = desk
        self.urls = urls
        self.cases: dict[str, Told] = {}
        self.bundles: dict[str, str] = {}
        self.calls = 0
        signer = issuer(desk.settings)
        self._tokens = {
            name: signer.issue(person(name), second_factor=who.second_factor) for name, who in PEOPLE.items()
        }

    def headers(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[who]}"}

    async def call(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        self.calls += 1
        said = self.headers(who) | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=body, headers=said)

    async def file(self, who: str, **changes: Any) -> str:
        body = DISPUTE | {"documents": papers("registration", "identity")} | changes
        answer = await self.call(who, "POST", "/v1/cases", body, Idempotency_Key=uuid.uuid4().hex)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["case"]
        return found

    async def step(self, who: str, case: str, action: str, **fields: Any) -> None:
        headers = self.headers(who)
        seen = await self.client.get(f"/v1/cases/{case}", headers=headers)
        assert seen.status_code == 200, (who, action, seen.text)
        headers |= {"If-Match": seen.headers["ETag"], "Idempotency-Key": uuid.uuid4().hex}
        body = {"action": action} | fields
        answer = await self.client.post(f"/v1/cases/{case}/events", json=body, headers=headers)
        assert answer.status_code == 201, (who, action, answer.text)

    async def tell(self) -> None:
        """Every story, by real steps."""
        for name in STORIES:
            case = await getattr(self, f"_{name}")()
            reader = "far_auditor" if name == "elsewhere" else "auditor"
            shown = (await self.call(reader, "GET", f"/v1/cases/{case}")).json()
            (first, *_) = (await self.call(reader, "GET", f"/v1/cases/{case}/events")).json()["items"]
            number = shown["number"]
            self.cases[name] = Told(case, number, self.desk.house.vault.case_code(case, number), first["event"])
        body = {"id_number": DISPUTE["parties"][0]["id_number"], "purpose": "duplicate"}
        found = await self.call("clerk", "POST", "/v1/persons/search", body)
        assert found.status_code == 200, found.text  # so that there is an entry of the access log
        await self._move()
        await self._logged()

    async def _logged(self) -> None:
        """Wait until all is in the logs, which the desk of this counter writes."""
        asked = "SELECT NOT EXISTS (SELECT FROM outbox) AND NOT EXISTS (SELECT FROM access_outbox)"
        async with await psycopg.AsyncConnection.connect(whole(self.urls), autocommit=True) as connection:
            for _ in range(600):
                if await (await connection.execute(asked)).fetchone() == (True,):
                    break
                await asyncio.sleep(0.1)
        for log, prefix in (("events", "log"), ("access", "access-log")):
            note = (await self.client.get(f"/v1/{prefix}/checkpoint")).text
            index, width = divmod(int(note.split("\n")[1]), 256)
            self.bundles[log] = f"{index:03}.p/{width}" if width else f"{index - 1:03}"

    async def _move(self) -> None:
        """Whoever served elsewhere first moves to where they serve now."""
        async with await psycopg.AsyncConnection.connect(whole(self.urls)) as connection:
            for name, who in PEOPLE.items():
                if who.before:
                    moved = "UPDATE memberships SET org = %s, roles = %s WHERE person = %s"
                    await connection.execute(moved, (org(who.org), list(who.roles), person(name)))

    # ── the stories ──

    async def _filed(self) -> str:
        return await self.file("clerk")

    async def _taken_in(self, **changes: Any) -> str:
        case = await self.file("clerk", **changes)
        plan = {
            "leader": person("chair"),
            "handler": person("mediator"),
            "plan": "先听双方意见",
            "due_on": "2099-01-01",
        }
        await self.step("clerk", case, "accept", prepare=plan)
        return case

    async def _assigned(self, **changes: Any) -> str:
        case = await self._taken_in(**changes)
        await self.step("chair", case, "appoint", mediators=[person("mediator")])
        return case

    async def _recused(self) -> str:
        case = await self._taken_in()
        out = person("recused_mediator")
        await self.step("chair", case, "appoint", mediators=[out])
        await self.step("chair", case, "appoint", mediators=[person("mediator")], replaces=[out])
        return case

    async def _mediating(self) -> str:
        case = await self._assigned()
        await self.step("mediator", case, "inform_rights", documents=papers("rights_notice"))
        await self.step("mediator", case, "record_consent", consent="given", on_behalf_of=[1, 2])
        await self.step("mediator", case, "start")
        await self.step("mediator", case, "convene", documents=papers("minutes"), text="甲方愿让一步，若乙方先道歉。")
        await self.step("mediator", case, "record_undisputed", signed_by=[1, 2], text="院墙系大雨后倒塌。")
        return case

    async def _offered(self) -> str:
        case = await self.file("court_clerk", channel="court")
        await self.step(
            "court_clerk", case, "refer", link_up="court_delegate", to_org=org("V1"), consents=[1, 2],
            documents=papers("complaint", "evidence", "address_form"),
        )  # fmt: skip
        return case

    async def _received(self) -> str:
        case = await self._offered()
        await self.step("clerk", case, "receive", handoff=1)
        return case

    async def _accepted(self) -> str:
        case = await self._received()
        await self.step("clerk", case, "accept")
        return case

    async def _returned(self) -> str:
        case = await self._offered()
        await self.step_out_of_sight("clerk", case, "return", handoff=1, reason="no_capacity")
        return case

    async def step_out_of_sight(self, who: str, case: str, action: str, **fields: Any) -> None:
        await self.step(who, case, action, **fields)
        assert (await self.call(who, "GET", f"/v1/cases/{case}")).status_code == 404

    async def _recalled(self) -> str:
        case = await self._received()
        await self.step("court_clerk", case, "recall", handoff=1)
        return case

    async def _withdrawn_offer(self) -> str:
        case = await self._offered()
        await self.step("court_clerk", case, "recall", handoff=1)
        return case

    async def _sued(self) -> str:
        case = await self._taken_in()
        await self.step("mediator", case, "fail", ground="no_agreement", documents=papers("end_report"))
        await self.step(
            "mediator", case, "refer", link_up="suit", to_org=org("K"), on_behalf_of=[1], consents=[1],
            documents=papers("application", "rights_notice"),
        )  # fmt: skip
        return case

    async def _joint(self) -> str:
        case = await self._mediating()
        await self.step(
            "mediator", case, "refer", link_up="joint", to_org=org("P"), consents=[1, 2], documents=papers("minutes")
        )
        await self.step("officer", case, "receive", handoff=1)
        return case

    async def _escalated(self) -> str:
        case = await self._assigned()
        await self.step("chair", case, "escalate", to_org=org("T"), documents=papers("minutes"), text="村里调不了")
        await self.step("township_clerk", case, "receive", handoff=1)
        await self.step("township_clerk", case, "accept")
        return case

    async def _supervised(self) -> str:
        case = await self.file("clerk", risk="orange")
        await self.step("supervisor", case, "supervise")
        await self.step("supervisor", case, "take_charge", leader=person("leader"))
        return case

    async def _minor(self) -> str:
        parties = [DISPUTE["parties"][0] | {"minor": True}, DISPUTE["parties"][1]]
        return await self._assigned(parties=parties)

    async def _violence(self) -> str:
        return await self._taken_in(sensitive=["domestic_violence"])

    async def _medical(self) -> str:
        return await self.file("clerk", category="medical")

    async def _closed(self, closer: str = "auditor_who_closed") -> str:
        case = await self.file("clerk")
        await self.step(
            "mediator", case, "settle", form="oral", signed_by=[1, 2], mediator_signed=True, notice_given=True,
            consents=[1, 2], documents=papers("oral_register"),
            obligations=[{"obligor": 2, "what": "money", "amount_fen": 30000, "due_on": "2099-01-01", "text": "给付"}],
        )  # fmt: skip
        await self.step("mediator", case, "fulfil", documents=papers("performance_proof"))
        await self.step(closer, case, "close", documents=papers("closing_report"))
        return case

    async def _archived(self) -> str:
        case = await self._closed("chair")
        await self.step(
            "mediator", case, "follow_up", leg=1, finding="reconciled", documents=papers("follow_up_record")
        )
        await self.step("archivist", case, "archive")
        return case

    async def _elsewhere(self) -> str:
        return await self.file("far_chair", division="150526100201")

    async def _arose_here(self) -> str:
        return await self.file("far_chair")


def settings_for(urls: Urls, folder: Path) -> Settings:
    return Settings(
        database_url=urls.app, owner_url=urls.owner, reader_url=urls.reader, log_url=urls.log,
        data_dir=folder, key_file=folder / "vault.key", pool_size=8, rate_per_minute=0, failed_logins_per_minute=0,
    )  # fmt: skip


@asynccontextmanager
async def opened(urls: Urls, folder: Path) -> AsyncIterator[District]:
    """The application on this database, with the two counties in it and every case told."""
    app = create_app(settings_for(urls, folder))
    async with app.router.lifespan_context(app):
        desk = app.state.desk
        await registry.import_divisions(desk.engine, DIVISIONS)
        await registry.import_organisations(desk.engine, _organisations())
        await registry.import_people(desk.engine, _people())
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            district = District(client, desk, urls)
            await district.tell()
            district.calls = 0
            yield district

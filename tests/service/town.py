"""A small town: a ladder of bodies and their people in a real database, and the corridor that they walk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from mediation.domain.commands import STEP
from mediation.domain.events import Event
from mediation.gateway.vault import Vault
from mediation.service import registry
from mediation.service.lawbook import load_laws
from mediation.service.perform import Context, House, Request, perform
from mediation.settings import Urls
from mediation.store import database, queries
from mediation.store.append import Memory, SealedRow, Seen
from mediation.store.bodies import AsyncEngine

DIVISIONS = """\
code,level,name,parent_code
150525,county,奈曼旗,
150525100,township,大沁他拉镇,150525
150525100201,village,一村,150525100
"""
ORGANISATIONS = """\
code,name,name_en,kind,tier,division,speciality,superior
village,一村人民调解委员会,,people_committee,village,150525100201,,township
township,大沁他拉镇人民调解委员会,,people_committee,township,150525100,,centre
centre,奈曼旗综治中心,,county_centre,county,150525,,
court,奈曼旗人民法院,,court,county,150525,,
audit,奈曼旗审计局,,audit_office,county,150525,,
"""
PEOPLE = """\
person_code,name,org_code,roles
wang,王主任,village,chair|clerk|mediator
li,李主任,township,chair|clerk|mediator
zhao,赵协调员,centre,coordinator|clerk
judge,韩法官,court,judge|clerk
auditor,审计员,audit,auditor
both,双职,village,clerk
both,双职,court,clerk
nobody_yet,新人,audit,system_admin
"""
PARTIES: list[dict[str, Any]] = [
    {"name": "张三丰", "side": "applicant", "phone": "13800001234", "id_number": "150599199001011231"},
    {"name": "李四", "side": "respondent", "address": "大沁他拉镇一村十二号院"},
]
FILE: dict[str, Any] = {
    "action": "file",
    "category": "neighbour",
    "division": "150525100201",
    "parties": PARTIES,
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}
DECLINE: dict[str, Any] = {"action": "decline", "ground": "not_competent", "routes_told": True, "text": "非本地"}
NOTE: dict[str, Any] = {"action": "note", "kind": "fact"}
ESCALATE: dict[str, Any] = {
    "action": "escalate",
    "to_org": registry.org_id("township"),
    "documents": [{"kind": "minutes", "name": "调解笔录.pdf", "sha256": "0" * 64, "ref": "file:1"}],
    "text": "村里调不了",
}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def asked_by(who: str, key: str = "", version: int | None = None, org: str = "", bound: str = "same") -> Request:
    """A request of a person of the town; `bound` stands for what the key is bound to."""
    person = who if who == "clock" else registry.person_id(who)
    context = Context(person, registry.org_id(org) if org else "", str(uuid4()))
    return Request(context, now(), key, bound.encode() if key else b"", version)


@dataclass
class Town:
    """The corridor, the doors of its database and whoever walks it."""

    urls: Urls
    house: House
    engine: AsyncEngine

    async def file(self, who: str = "wang", key: str = "", **changes: Any) -> Event:
        return await self.step(who, None, FILE | changes, key=key)

    async def step(self, who: str, case_id: str | None, body: dict[str, Any], **how: Any) -> Event:
        return await perform(self.house, asked_by(who, **how), case_id, STEP.validate_python(body))

    async def seen(self, who: str, case_id: str | None = None, org: str = "") -> Seen:
        return await self.house.memory.read_case(asked_by(who, org=org).context, case_id)

    async def sealed(self, case_id: str, who: str = "wang") -> list[SealedRow]:
        context = asked_by(who).context
        return await self.house.memory.sealed(context, (await self.seen(who)).actor, case_id)

    async def viewer(self, who: str, org: str = "") -> queries.Viewer:
        context = asked_by(who, org=org).context
        return queries.viewer(context, await self.house.memory.read_case(context))


@asynccontextmanager
async def opened(urls: Urls, size: int = 4) -> AsyncIterator[Town]:
    pool = await database.hot_pool(urls.app, size, pooled=urls.pooled)
    engine = database.engine(urls.app, pooled=urls.pooled)
    yield Town(urls, House(Memory(pool), load_laws(), Vault(b"k" * 32)), engine)
    await engine.dispose()
    await pool.close()


async def populate(urls: Urls) -> None:
    engine = database.engine(urls.app)
    await registry.import_divisions(engine, DIVISIONS)
    await registry.import_organisations(engine, ORGANISATIONS)
    await registry.import_people(engine, PEOPLE)
    await engine.dispose()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def populated(module_database_urls: Urls) -> Urls:
    """A database with the town in it, for each file of tests."""
    asyncio.run(populate(module_database_urls))
    return module_database_urls


@pytest.fixture
async def town(populated: Urls) -> AsyncIterator[Town]:
    """The corridor, opened anew for each test."""
    async with opened(populated) as made:
        yield made

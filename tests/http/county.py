"""A small county with its bodies, people and a dispute, and a real server on loopback in which they meet."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from tests.whole import keys_of

from mediation.http.app import create_app
from mediation.http.dependencies import issuer
from mediation.http.wire import Wire
from mediation.service.registry import import_divisions, import_organisations, import_people, org_id, person_id
from mediation.settings import Settings, Urls
from mediation.store.database import engine

DIVISIONS = """code,level,name,parent_code
150525,county,奈曼旗,
150525100,township,大沁他拉镇,150525
150525100201,village,一村,150525100
150525100202,village,二村,150525100
"""
ORGANISATIONS = """code,name,name_en,kind,tier,division,speciality,superior
V1,一村人民调解委员会,First Village Committee,people_committee,village,150525100201,,T
V2,二村人民调解委员会,Second Village Committee,people_committee,village,150525100202,,T
T,大沁他拉镇人民调解委员会,Township Committee,people_committee,township,150525100,,C
C,奈曼旗综治中心,County Centre,county_centre,county,150525,,
K,奈曼旗人民法院,County Court,court,county,150525,,
A,奈曼旗审计局,Audit Office,audit_office,county,150525,,
"""
PEOPLE = """person_code,name,org_code,roles
wang,王主任,V1,chair|clerk|mediator
zhao,赵主任,V2,chair|clerk|mediator
li,李主任,T,chair|clerk|mediator
two,双职,V1,clerk
two,双职,T,clerk
idle,闲人,V1,archivist
judge,韩法官,K,judge|clerk
audit,审计员,A,auditor
"""
NOBODY = "00000000-0000-7000-8000-000000000000"
NOTE = {"action": "note", "kind": "contact_attempt", "text": "电话联系"}
DISPUTE = {
    "category": "neighbour",
    "division": "150525100201",
    "parties": [
        {"name": "张三丰", "side": "applicant", "phone": "13812345678", "id_number": "150599199001011231"},
        {"name": "李四", "side": "respondent", "address": "大沁他拉镇一村12号"},
    ],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}


async def populate(urls: Urls) -> None:
    made = engine(urls.app)
    await import_divisions(made, DIVISIONS)
    await import_organisations(made, ORGANISATIONS)
    await import_people(made, PEOPLE)
    await made.dispose()


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """A server of these settings; gives its address."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None, access_log=False, http=Wire)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the server did not start"
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


class County:
    """The running county: callers by the code of a person."""

    def __init__(self, address: str, settings: Settings) -> None:
        self.address = address
        self.settings = settings
        self._issuer = issuer(settings)

    def token(self, person: str, *, scope: str = "", second_factor: bool = False) -> str:
        return self._issuer.issue(person_id(person), scope=scope, second_factor=second_factor)

    def client(self, person: str | None, **headers: str) -> httpx2.Client:
        said = {"Authorization": f"Bearer {self.token(person)}"} if person else {}
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.Client(base_url=self.address, headers=said | shown)

    @staticmethod
    def org(code: str) -> str:
        return org_id(code)


def settings_for(urls: Urls, folder: Path, **changes: object) -> Settings:
    keys = keys_of(urls)  # of this database, whichever folder the rest lies in
    return Settings(
        log_key=keys.events.path, access_log_key=keys.access.path,
        database_url=urls.app, owner_url=urls.owner, reader_url=urls.reader, log_url=urls.log,
        data_dir=folder, key_file=folder / "vault.key", pool_size=4,
        **({"rate_per_minute": 0, "failed_logins_per_minute": 0} | changes),
    )  # fmt: skip


def fresh() -> str:
    return f"test-{uuid.uuid4().hex}"


def file_one(client: httpx2.Client, **changes: object) -> httpx2.Response:
    return client.post("/v1/cases", json=DISPUTE | changes, headers={"Idempotency-Key": fresh()})


def step(client: httpx2.Client, place: str, body: Any = None, *, version: int | None = None, key: str = "") -> Any:
    version = version or client.get(place).json()["version"]
    headers = {"If-Match": f'"{version}"', "Idempotency-Key": key or fresh()}
    return client.post(f"{place}/events", json=body or NOTE, headers=headers)


def bare(answer: httpx2.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    own = {"date", "x-request-id"}
    return answer.status_code, answer.content, [item for item in answer.headers.multi_items() if item[0] not in own]

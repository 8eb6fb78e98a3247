"""The registry's office of the small county: its three administrators, and what tests ask of them."""

import asyncio
import uuid

import httpx2
import pytest
from tests.http.county import County

from mediation.http.dependencies import issuer
from mediation.service import registry
from mediation.service.registry import org_id, person_id
from mediation.settings import Urls
from mediation.store.database import engine

STAFF = """person_code,name,org_code,roles
sys,系统员,C,system_admin
sec,安全员,C,security_admin
aud,审计管理员,C,audit_admin
tsys,镇系统员,T,system_admin
vsys,村系统员,V1,system_admin
tsec,镇安全员,T,security_admin
taud,镇审计管理员,T,audit_admin
ksys,院系统员,K,system_admin
asys,局系统员,A,system_admin
clerk,受理员,V1,clerk
"""
VILLAGE = {"code": "V1", "name": "一村人民调解委员会", "name_en": "First Village Committee",
           "kind": "people_committee", "tier": "village", "division": "150525100201"}  # fmt: skip
BODY = {
    "code": "V3",
    "name": "三村人民调解委员会",
    "kind": "people_committee",
    "tier": "village",
    "division": "150525100",
}


async def staffed(urls: Urls) -> None:
    made = engine(urls.app)
    await registry.import_people(made, STAFF)
    await made.dispose()


@pytest.fixture(scope="module", autouse=True)
def staff(county: County, module_database_urls: Urls) -> None:
    asyncio.run(staffed(module_database_urls))


def signed_in(county: County, person: str, *, second_factor: bool = True, scope: str = "") -> httpx2.Client:
    token = issuer(county.settings).issue(person_id(person), second_factor=second_factor, scope=scope)
    return httpx2.Client(base_url=county.address, headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"})


def new(client: httpx2.Client, **changes: object) -> str:
    """A new body; gives its path."""
    place = f"/v1/organisations/{uuid.uuid4()}"
    code = f"N{uuid.uuid4().hex[:12]}"
    answer = client.put(place, json=BODY | {"code": code, "superior": org_id("T")} | changes)
    assert answer.status_code == 201, answer.text
    return place


def hired(county: County, name: str = "新人", **changes: object) -> str:
    """A new person registered at the county centre; gives their id."""
    person = str(uuid.uuid4())
    with signed_in(county, "sys") as sys:
        answer = sys.put(f"/v1/people/{person}", json={"code": f"p{person[:8]}", "name": name} | changes)
    assert answer.status_code == 201, answer.text
    return person


def grant(county: County, person: str, org: str, *roles: str, by: str = "sec") -> httpx2.Response:
    with signed_in(county, by) as sec:
        return sec.post("/v1/memberships", json={"person": person, "org": org_id(org), "roles": roles})


def codes(answer: httpx2.Response) -> set[str]:
    return {reason["code"] for reason in answer.json().get("reasons", ())}


def as_person(county: County, person: str) -> httpx2.Client:
    token = issuer(county.settings).issue(person)
    return httpx2.Client(base_url=county.address, headers={"Authorization": f"Bearer {token}"})


def log(county: County, by: str = "aud") -> list[dict]:
    found, cursor = [], None
    with signed_in(county, by) as aud:
        while True:
            page = aud.get("/v1/administration", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
            # Its place in the feed comes a moment later, and would make one entry two.
            found += [{name: said for name, said in item.items() if name != "position"} for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return found


# ── bodies ──

"""No workload reads a table from end to end: each statement that the service sends has an index that serves it.

The plans are PostgreSQL's own, of every statement, those within functions too (auto_explain). As the database here is
small, whole tables are read where that is cheaper; so the planner is told to do that only where it has no other way.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg import sql
from tests.http.county import NOTE, fresh, running, settings_for
from tests.whole import integrated, keys_of, whole

from mediation.gateway.embedded import Server
from mediation.gateway.vault import key_from
from mediation.http.dependencies import issuer
from mediation.service.synthesize import Wanted, synthesize
from mediation.settings import Settings, Urls

REGISTER = {"organisations", "divisions", "people", "memberships", "identities", "log_epochs", "law_sets", "pg_"}
"""Tables of the size of a county's register, which a plan may read whole."""

CASES = 400


def seeded(urls: Urls, settings: Settings) -> None:
    wanted = Wanted(cases=CASES, counties=1, years=1, until=date(2026, 11, 21), seed="plans")
    asyncio.run(synthesize(urls, key_from(settings.key_file), keys_of(urls), wanted, processes=1))


_MEMBERS = """
FROM memberships m JOIN organisations o ON o.id = m.org
WHERE (SELECT count(*) FROM memberships n WHERE n.person = m.person) = 1"""


class Plans:
    """A synthesised county in a running service, and the plans of whatever it asks of its database."""

    def __init__(self, urls: Urls, settings: Settings, server: Server, address: str) -> None:
        self.urls, self.settings, self.server, self.address = urls, settings, server, address

    def one(self, query: str) -> Any:
        with psycopg.connect(whole(self.urls)) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row, query
        return row[0] if len(row) == 1 else row

    def client(self, role: str, where: str = "true") -> httpx2.Client:
        """Somebody in this role, at a body of which this holds."""
        return self.as_(self.one(f"SELECT m.person::text {_MEMBERS} AND '{role}' = ANY (m.roles) AND {where} LIMIT 1"))

    def as_(self, person: str) -> httpx2.Client:
        token = issuer(self.settings).issue(person)
        return httpx2.Client(base_url=self.address, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def case(self) -> tuple[str, int, httpx2.Client]:
        """A case that is being mediated, its version, and somebody of the body that holds it."""
        found = self.one(
            f"SELECT c.id::text, c.version, m.person::text {_MEMBERS} AND 'chair' = ANY (m.roles) "
            "AND c.state = 'mediating' AND NOT c.restricted LIMIT 1".replace(
                "WHERE", "JOIN cases c ON c.holder = o.id WHERE"
            )
        )
        return found[0], found[1], self.as_(found[2])

    def of(self, work: Callable[[], object]) -> list[dict[str, Any]]:
        """The nodes of every plan that was run for this work."""
        log = self.server.cluster.log
        start = log.stat().st_size
        work()
        with log.open("rb") as file:
            file.seek(start)
            said = file.read().decode("utf-8", "replace")
        found = [json.loads(text.replace("\n\t", "\n")) for text in _PLAN.findall(said)]
        assert found, "no plan was logged"
        return [node for plan in found for node in nodes(plan["Plan"])]


_PLAN = re.compile(r"plan:\n\t(\{\n.*?\n\t\})\n", re.DOTALL)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.fixture(scope="module")
def plans(module_database_urls: Urls, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    urls = module_database_urls
    settings = settings_for(urls, tmp_path_factory.mktemp("plans"))
    seeded(urls, settings)
    with psycopg.connect(whole(urls), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        for role in ("mediation_app", "mediation_log"):
            for name, value in _TOLD.items():
                place = sql.Identifier(connection.info.dbname), sql.SQL(name), sql.Literal(value)
                connection.execute(sql.SQL(f"ALTER ROLE {role} IN DATABASE {{}} SET {{}} = {{}}").format(*place))
    with running(settings) as address:
        yield Plans(urls, settings, server, address)


_TOLD = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "enable_seqscan": "off",
}


def whole_tables(plans: Plans, found: list[dict[str, Any]]) -> set[str]:
    """The tables with rows that are read from end to end."""
    read = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    return {name for name in read if name not in REGISTER and plans.one(f"SELECT EXISTS (SELECT FROM {name})")}  # noqa: S608  # a table's name


WORKLOADS: dict[str, Callable[[Plans], None]] = {}


def workload(work: Callable[[Plans], None]) -> Callable[[Plans], None]:
    WORKLOADS[work.__name__] = work
    return work


def got(client: httpx2.Client, path: str, **more: Any) -> Any:
    answer = client.get(path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in answer.headers["content-type"].partition("+")[0] else answer.text


@workload
def file_a_dispute(plans: Plans) -> None:
    people = [{"name": "张三丰", "side": "applicant"}, {"name": "李四", "side": "respondent"}]
    claim = [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}]
    with plans.client("chair", "o.tier = 'village'") as chair:
        told = {"category": "neighbour", "parties": people, "claim": claim, "text": "两家因排水发生争执，院墙受损。"}
        division = plans.one("SELECT min(code) FROM divisions WHERE level = 'village'")
        answer = chair.post(
            "/v1/cases", json=told | {"division": division, "on_behalf_of": [1]}, headers={"Idempotency-Key": fresh()}
        )
    assert answer.status_code == 201, answer.text


@workload
def take_a_step(plans: Plans) -> None:
    case, version, chair = plans.case()
    with chair:
        headers = {"If-Match": f'"{version}"', "Idempotency-Key": fresh()}
        answer = chair.post(f"/v1/cases/{case}/events", json=NOTE, headers=headers)
    assert answer.status_code == 201, answer.text


@workload
def read_a_case_its_history_and_its_actions(plans: Plans) -> None:
    case, _, chair = plans.case()
    with chair:
        assert got(chair, f"/v1/cases/{case}")["id"] == case
        history = got(chair, f"/v1/cases/{case}/events")["items"]
        assert got(chair, f"/v1/events/{history[0]['event']}")["seq"] == 1
        assert got(chair, f"/v1/cases/{case}/actions")["items"]


@workload
def worklists_and_pages_of_them(plans: Plans) -> None:
    with plans.client("coordinator", "o.tier = 'county'") as coordinator:
        for query in ("state=mediating&sort=due", "sort=due", "state=closed", "overdue=true", "limit=2"):
            first = got(coordinator, f"/v1/cases?{query}&limit=3" if "limit" not in query else f"/v1/cases?{query}")
            assert first["items"], query
            if first["next"]:
                assert got(coordinator, "/v1/cases", params=f"{query}&cursor={first['next']}")["items"], query


@workload
def words_numbers_and_references(plans: Plans) -> None:
    number = plans.one("SELECT max(number) FROM cases")
    with plans.client("coordinator", "o.tier = 'county'") as coordinator:
        for word in ("争执", "没有这样的词", number, number[:12], "（2026）内0525民初1号"):
            got(coordinator, "/v1/cases", params={"q": word})


@workload
def a_person_by_number(plans: Plans) -> None:
    with plans.client("coordinator", "o.tier = 'county'") as coordinator:
        body = {"id_number": "150599199001011231", "purpose": "duplicate"}
        answer = coordinator.post("/v1/persons/search", json=body)
    assert answer.status_code == 200, answer.text


@workload
def both_trays(plans: Plans) -> None:
    with plans.client("judge") as judge:
        for box in ("in", "out"):
            got(judge, f"/v1/handoffs?box={box}")


@workload
def a_year_in_figures(plans: Plans) -> None:
    with plans.client("coordinator", "o.tier = 'county'") as coordinator:
        assert got(coordinator, "/v1/statistics?year=2026")["total"]["received"]


@workload
def the_feed_of_an_auditor(plans: Plans) -> None:
    with plans.client("auditor") as auditor:
        assert got(auditor, "/v1/events?limit=50")["items"]
        lines = auditor.get("/v1/events", headers={"Accept": "application/x-ndjson"})
        assert lines.status_code == 200


@workload
def the_log_and_the_sequencer(plans: Plans) -> None:
    take_a_step(plans)
    asyncio.run(integrated(plans.urls))
    with plans.client("chair") as chair:
        assert "\n" in got(chair, "/v1/log/checkpoint")


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_statement_of_a_workload_has_an_index_that_serves_it(plans: Plans, name: str):
    found = plans.of(lambda: WORKLOADS[name](plans))
    assert len(found) > 1
    assert whole_tables(plans, found) == set()


@pytest.mark.parametrize("name", ["worklists_and_pages_of_them", "words_numbers_and_references"])
def test_no_list_sorts_more_cases_than_it_shows(plans: Plans, name: str):
    found = plans.of(lambda: WORKLOADS[name](plans))
    sorting = [node for node in found if node["Node Type"] == "Sort" and "facts" in json.dumps(node.get("Sort Key"))]
    assert sorting == []


def test_a_statement_that_no_index_serves_would_be_found(plans: Plans):
    def look() -> None:
        with psycopg.connect(plans.urls.app) as connection:
            connection.execute("SELECT count(*) FROM feed WHERE event::text LIKE '%x'")
            connection.execute("SELECT count(*) FROM vault_marks WHERE noted_at > now()")

    found = plans.of(look)
    assert {"vault_marks"} <= {node.get("Relation Name") for node in found if node["Node Type"] == "Seq Scan"}

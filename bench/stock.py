"""What the workloads are done on: a database with histories in it, and decks of rows of those who ask for what."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import psycopg
from ground import House, scalar
from load import resident_id
from psycopg import sql

from mediation.domain.commands import STEP
from mediation.domain.errors import BrokenTrail
from mediation.gateway.identity import DevelopmentIssuer
from mediation.gateway.logkeys import log_keys
from mediation.gateway.vault import Sealed, Vault, key_from
from mediation.service import perform
from mediation.service.lawbook import load_laws
from mediation.service.naiman import county
from mediation.service.seed import seed
from mediation.settings import Settings
from mediation.store import append, database

Deck = list[dict[str, Any]]
PAGE, DEEP = 50, 1000
_ROWS, _FILED, _PROBED = 2048, 1024, 600
_READ_ONCE = """
SELECT sum(pg_prewarm(c.oid::regclass, 'read')) FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace
  AND (c.relkind = 'i' OR c.relkind = 'r' AND c.relname !~ '^(events|spans|vault$|vault_words|log_tiles)')
"""
_DEEP_ROWS, _SHORTEST = 16, 10
_STREAMED = 4000
_WIDE = "'{clerk,grid_worker,coordinator,chair,judge,officer,prosecutor,arbitrator}'"
_HAN = re.compile(r"[\u4e00-\u9fff]{2,}")
_NO_CONTEXT = """
CREATE OR REPLACE FUNCTION enter(p_person uuid, p_org uuid, p_roles text[], p_request uuid, p_shown text)
RETURNS void LANGUAGE plpgsql AS 'BEGIN END'
"""


def migrated(house: House) -> None:
    """A database with every table and nothing in it."""
    house.server.create_database(house.name)
    database.migrate(house.urls.owner)


def fill(house: House, cases: int, number: int = 1) -> None:
    """So many cases with true histories: the demo's, or imagined ones; nothing where they are there already."""
    migrated(house)
    there = count(house, "cases")
    if there:
        assert there >= cases, f"{house.name} holds {there:,} cases; {cases:,} are wanted: let it be made anew"
    elif cases <= len(county.disputes()):
        keys = log_keys(Settings(data_dir=house.folder, database=house.name))
        asyncio.run(seed(house.urls, Vault(key_from(house.folder / "vault.key")), keys=keys))
    else:
        words = [sys.executable, "-m", "mediation", "synthesize", "--cases", str(cases), "--seed", str(number)]
        subprocess.run(words, env=os.environ | house.environment(), check=True)


def settled(house: House) -> None:
    """Vacuumed, analysed and on disk, so that no run pays for what another left behind."""
    with psycopg.connect(house.superuser, autocommit=True) as superuser:
        superuser.execute("VACUUM ANALYZE")
        superuser.execute("CHECKPOINT")


def warmed(house: House) -> None:
    """Every index in memory, and what lists and steps read: as on a machine that has not just been started.

    Histories and what is sealed are left on disk, but for those that the decks have asked for.
    """
    with psycopg.connect(house.superuser, autocommit=True) as superuser:
        superuser.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        superuser.execute(_READ_ONCE)


def count(house: House, table: str) -> int:
    """Rows of a table."""
    return scalar(house.superuser, f"SELECT count(*) FROM {table}")


def second_line(house: House, *, on: bool) -> None:
    """Put row-level security and its context in force, or take both away."""
    with psycopg.connect(house.urls.owner, autocommit=True) as connection:
        if on:
            connection.execute(files("mediation.store").joinpath("rls.sql").read_text("utf-8").encode())
            return
        found = connection.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
        for (name,) in found:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE ROW LEVEL SECURITY").format(sql.Identifier(name)))
        connection.execute(_NO_CONTEXT)


# ── cases of the bench's own ──


def own(house: House, count: int) -> list[str]:
    """So many cases at one village committee, all in mediation: pgbench takes its steps in them. Their ids."""
    return asyncio.run(_own(house, count))


async def _own(house: House, count: int) -> list[str]:
    people = {row["roles"]: row["id"] for row in _staff(house)}
    pool = await database.hot_pool(house.urls.app, 4)
    there = perform.House(append.Memory(pool), load_laws(), Vault(key_from(house.folder / "vault.key")))
    bodies = _disputes(house, random.Random(7), lambda: resident_id().decode())
    due = (datetime.now(UTC) + timedelta(days=25)).date().isoformat()
    plan = {"leader": people["chair"], "handler": people["mediator"], "plan": "先听双方，再到现场", "due_on": due}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("grid_worker", {"action": "accept"}),
        ("chair", {"action": "prepare", "plan": plan}),
        ("mediator", {"action": "inform_rights"}),
        ("mediator", {"action": "record_consent", "consent": "given", "on_behalf_of": [1, 2]}),
        ("mediator", {"action": "start"}),
    ]

    async def one(body: dict[str, Any]) -> str:
        case_id = None
        for role, said in (("grid_worker", body), *steps):
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            request = perform.Request(perform.Context(people[role], "", str(uuid4())), at)
            case_id = (await perform.perform(there, request, case_id, STEP.validate_python(said))).case
        assert case_id
        return case_id

    try:
        found = []
        for _ in range(0, count, 8):
            found += await asyncio.gather(*(one(next(bodies)) for _ in range(8)))
        return found[:count]
    finally:
        await pool.close()


def _staff(house: House) -> list[dict[str, Any]]:
    query = """
        SELECT DISTINCT ON (m.roles) m.roles[1] AS roles, m.person::text AS id, o.division
        FROM memberships m JOIN organisations o ON o.id = m.org
        WHERE m.org = (SELECT org FROM memberships JOIN organisations ON id = org WHERE tier = 'village'
                       AND kind = 'people_committee' AND roles = '{grid_worker}' ORDER BY code OFFSET 17 LIMIT 1)
        ORDER BY m.roles, m.person"""
    return _rows(house, query)


def _disputes(house: House, chance: random.Random, number: Callable[[], str]) -> Iterator[dict[str, Any]]:
    """Disputes to be filed, each of other people: two of them, and a claim."""
    division = _staff(house)[0]["division"]
    told = [one for one in county.disputes() if one["category"] not in {"medical", "road_traffic"}]
    names = sorted({row["name"] for row in county.people()})
    while True:
        pattern = chance.choice(told)
        yield {
            "action": "file",
            "category": pattern["category"],
            "division": division,
            "parties": [
                {"name": chance.choice(names), "side": side, "id_number": number()}
                for side in ("applicant", "respondent")
            ],
            "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": chance.randrange(10**4, 10**6)}],
            "text": pattern["facts"],
        }


# ── decks ──


class Decks:
    """Rows for every workload, made from what is in the database, the same for the same database."""

    def __init__(self, house: House, url: str = "", apart: Sequence[str] = (), deep_limit: int = 0) -> None:
        """`url`: of the service, for what only it can tell. `apart`: cases in no deck, as pgbench writes in them."""
        self._house, self._url, self._apart, self._limit = house, url, apart, deep_limit
        self._issuer = DevelopmentIssuer(key_from(house.folder / "issuer.key"))
        self._tokens: dict[str, str] = {}
        self._chance = random.Random(11)
        self.rows: dict[str, Deck] = {}
        self.about: dict[str, Any] = {}

    def make(self, wanted: frozenset[str]) -> dict[str, Deck]:
        """The decks of these names; what the database is too small for is told in `about`."""
        for name in sorted(wanted):
            deck: Deck = getattr(self, f"_{name}")()
            self._chance.shuffle(deck)
            self.rows[name] = deck
        return self.rows

    def of_own(self, case: str) -> Deck:
        """A case of `own` with its mediator."""
        query = f"""
            SELECT c.id::text AS "case", c.version, m.person::text AS person FROM cases c
            JOIN memberships m ON m.person = ANY (c.assigned) AND m.org = c.holder WHERE c.id = '{case}'"""
        return self._named(_rows(self._house, query))

    def _token(self, person: str) -> str:
        if person not in self._tokens:
            self._tokens[person] = self._issuer.issue(person, lifetime_s=86_400)
        return self._tokens[person]

    def _named(self, rows: Sequence[Mapping[str, Any]]) -> Deck:
        return [{**row, "token": self._token(row["person"])} for row in rows]

    def _cases(self, condition: str = "true", who: str = f"m.roles && {_WIDE}") -> Deck:
        """Cases by chance, each with somebody of the body that holds it, who is a member of no other."""
        apart = "{" + ",".join(self._apart) + "}"
        query = f"""
            SELECT c.id::text AS "case", c.version, m.person::text AS person
            FROM (SELECT * FROM cases c WHERE holder = ANY (orgs) AND id <> ALL ('{apart}'::uuid[]) AND {condition}
                  AND version = (facts->>'version')::int  -- else pgbench wrote in it, in an earlier run
                  ORDER BY md5(id::text) LIMIT {_ROWS}) c
            JOIN LATERAL (SELECT m.person FROM memberships m WHERE m.org = c.holder AND {who}
                            AND m.person <> ALL (c.recused)
                            AND (SELECT count(*) FROM memberships x WHERE x.person = m.person) = 1
                          ORDER BY m.person LIMIT 1) m ON true"""
        return self._named(_rows(self._house, query))

    def _tens(self) -> Deck:
        return self._cases("version = 10")

    def _open(self) -> Deck:
        return self._cases(
            "version <> 10 AND state IN ('filed', 'accepted', 'suspended', 'settled', 'unsettled', 'deciding')"
        )

    def _mediating(self) -> Deck:
        assigned = "m.person = ANY (c.assigned) AND 'mediator' = ANY (m.roles)"
        rows = self._cases("state = 'mediating'", assigned)
        with httpx2.Client(base_url=self._url) as client:
            return [row for row in rows[:_PROBED] if self._may_convene(client, row)]

    @staticmethod
    def _may_convene(client: httpx2.Client, row: Mapping[str, Any]) -> bool:
        said = client.get(f"/v1/cases/{row['case']}/actions", headers={"Authorization": f"Bearer {row['token']}"})
        offers = said.raise_for_status().json()["items"]
        return any(one["action"] == "convene" and one["available"] for one in offers)

    def _filings(self) -> Deck:
        clerks = self._who("o.tier = 'village' AND o.kind = 'people_committee' AND m.roles = '{grid_worker}'")
        made, chance = _disputes(self._house, random.Random(13), lambda: "{{resident_id}}"), random.Random(17)
        rows = []
        for _ in range(_FILED):
            clerk, body = chance.choice(clerks), next(made)
            body["division"] = clerk["division"]
            rows.append({"token": clerk["token"], "body": json.dumps(body, ensure_ascii=False)})
        return rows

    def _who(self, condition: str) -> Deck:
        query = f"""
            SELECT m.person::text AS person, o.division, o.id::text AS org
            FROM memberships m JOIN organisations o ON o.id = m.org
            WHERE {condition} ORDER BY o.code, m.person"""
        return self._named(_rows(self._house, query))

    def _above(self) -> Iterator[dict[str, Any]]:
        """Those who look at lists: a coordinator of the county now, a chair of a township then."""
        centre = self._who("o.kind = 'county_centre' AND o.tier = 'county' AND 'coordinator' = ANY (m.roles)")
        chairs = self._who("o.kind = 'people_committee' AND o.tier = 'township' AND 'chair' = ANY (m.roles)")
        while True:
            yield self._chance.choice(centre)
            yield from self._chance.sample(chairs, 3)

    def _lists(self) -> Deck:
        """Those above whose list fills a page; where nobody's does, the county's centre."""
        above, full = self._above(), _full(self._house)
        some = [dict(next(above)) for _ in range(256)]
        rows = [row for row in some if row["org"] in full] or some[::4]
        return [row | {"state": "mediating", "limit": PAGE} for row in rows]

    def _deep(self) -> Deck:
        """Page 1,000 of the county's list and those after it; a smaller page, or fewer, where there are not so many."""
        who = next(self._above())
        there, limit = _due(self._house), self._limit or deep_limit(self._house)
        pages = min(DEEP, max(2, there // limit - 4))
        rows, cursor, left = [], None, (pages - 1) * limit
        with httpx2.Client(base_url=self._url, headers={"Authorization": f"Bearer {who['token']}"}) as client:
            while left > 0 or len(rows) < _DEEP_ROWS:
                size = min(200, left) if left > 0 else limit
                asked = {"state": "mediating", "sort": "due", "limit": size} | ({"cursor": cursor} if cursor else {})
                said = client.get("/v1/cases", params=asked).raise_for_status().json()
                left, cursor = left - size, said.get("next")
                if cursor is None:
                    break
                if left <= 0:
                    rows.append(dict(who) | {"state": "mediating", "limit": limit, "cursor": cursor})
        assert rows, f"{there} cases are due: too few for two pages of {limit}"
        self.about["deep"] = {"page": pages, "limit": limit, "cases": there}
        return rows * (64 // max(1, len(rows)) + 1)

    def _words(self) -> Deck:
        above = self._above()
        told = [plain for plain in self._opened("v.subject = 0 AND v.name = 'text'") if "claims" in plain]  # as filed
        texts = [text for plain in told for text in _texts(plain)]
        runs = [run for text in texts for run in _HAN.findall(text)]
        found = []
        for _ in range(256):
            run, size = self._chance.choice(runs), self._chance.choice((2, 2, 3, 4))
            begun = self._chance.randrange(max(1, len(run) - size + 1))
            found.append(dict(next(above)) | {"word": quote(run[begun : begun + size])})
        return found

    def _common(self) -> Deck:
        """Words that fill a page of who asks, here as among few cases; where none does, whatever words there are."""
        rows = self._words()
        with httpx2.Client(base_url=self._url) as client:
            return [row for row in rows if self._fills(client, row)] or rows

    @staticmethod
    def _fills(client: httpx2.Client, row: Mapping[str, Any]) -> bool:
        headers = {"Authorization": f"Bearer {row['token']}"}
        said = client.get(f"/v1/cases?q={row['word']}&limit={PAGE}", headers=headers).raise_for_status().json()
        return len(said["items"]) == PAGE

    def _people(self) -> Deck:
        above = self._above()
        known = [plain["id_number"] for plain in self._opened("v.blind_id IS NOT NULL") if "id_number" in plain]
        return [dict(next(above)) | {"number": self._chance.choice(known)} for _ in range(256)]

    def _opened(self, condition: str) -> Iterator[dict[str, Any]]:
        vault = Vault(key_from(self._house.folder / "vault.key"))
        query = f"""
            SELECT v.case_id::text, v.subject, v.digest, v.name, v.sealed, v.blind, k.wrapped, v.blind_id
            FROM vault v JOIN vault_keys k USING (case_id, subject)
            WHERE v.case_id IN (SELECT id FROM cases ORDER BY md5(id::text) LIMIT 512) AND {condition}
            ORDER BY md5(v.digest) LIMIT 512"""
        with psycopg.connect(self._house.superuser) as connection:
            for case_id, *row in connection.execute(query.encode()):
                try:
                    yield vault.open(case_id, Sealed(*row))
                except BrokenTrail:  # a copy of another case: nobody opens it
                    continue

    def _feed(self) -> Deck:
        auditors = self._who("o.kind = 'audit_office' AND 'auditor' = ANY (m.roles)")
        end = scalar(self._house.superuser, "SELECT coalesce(max(position), 0) FROM feed")
        return [auditors[0] | {"after": 0, "end": max(0, end - _STREAMED)}]

    def _years(self) -> Deck:
        centre = self._who("o.kind = 'county_centre' AND o.tier = 'county' AND 'coordinator' = ANY (m.roles)")
        year = scalar(self._house.superuser, "SELECT extract(year FROM max(filed_at))::int FROM cases")
        return [centre[number % len(centre)] | {"year": year} for number in range(64)]


def deep_limit(house: House) -> int:
    """Rows of a page, so that there are 1,000 pages of cases that are due; ten where there are too few of them."""
    return max(_SHORTEST, min(PAGE, _due(house) // (DEEP + 2 * _DEEP_ROWS)))


def _due(house: House) -> int:
    """Cases in the list of the county's centre that are due."""
    query = """
        SELECT count(*) FROM worklists w JOIN organisations o ON o.id = w.org
        WHERE o.kind = 'county_centre' AND o.tier = 'county' AND w.state = 'mediating' AND w.due_on IS NOT NULL"""
    return scalar(house.superuser, query)


def _full(house: House) -> set[str]:
    """The bodies in whose lists there is a page of cases that are due."""
    query = f"""
        SELECT w.org::text AS org FROM worklists w WHERE w.state = 'mediating' AND w.due_on IS NOT NULL
        GROUP BY w.org HAVING count(*) > {PAGE}"""
    return {row["org"] for row in _rows(house, query)}


def _texts(plain: Mapping[str, Any]) -> Iterator[str]:
    for value in plain.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts(value)


def _rows(house: House, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(house.superuser, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(query.encode()).fetchall()

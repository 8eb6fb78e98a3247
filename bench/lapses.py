"""A night on which the clocks of many cases run out: how long one worker needs to take them all.

`python bench/lapses.py [--cases 10000] [--json]`. It starts a PostgreSQL of its own with every safety on, in a folder
of its own that is removed afterwards; fills it with true histories; runs `mediation worker --once`; and verifies some.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from uuid import uuid4

import msgspec
import psutil
import psycopg
from copies import History, put
from ground import cpu_of, own_server
from uuid_utils import uuid7

from mediation.domain.commands import STEP
from mediation.domain.decision import World, decide
from mediation.domain.events import Event, evolve
from mediation.domain.facts import Actor
from mediation.domain.registering import LOG_ID
from mediation.domain.vocabulary import Role
from mediation.gateway.embedded import SUPERUSER, Server
from mediation.service import registry
from mediation.service.lawbook import load_laws
from mediation.service.perform import Context
from mediation.service.verification import verify_trail
from mediation.settings import Urls
from mediation.store import append, database
from mediation.store.columns import columns_of
from mediation.store.trails import trails

DIVISIONS = "code,level,name,parent_code\n150525,county,奈曼旗,\n150525100,township,大沁他拉镇,150525\n"
BODIES = 50
ORGANISATIONS = (
    "code,name,name_en,kind,tier,division,speciality,superior\ncentre,综治中心,,county_centre,county,150525,,\n"
)
PEOPLE = "person_code,name,org_code,roles\n"
FILED_AT, ACCEPTED_AT = "2026-01-05T01:00:00.000000Z", "2026-01-05T02:00:00.000000Z"
FILE = {
    "action": "file",
    "category": "medical",
    "division": "150525100",
    "parties": [{"name": "张三", "side": "applicant"}, {"name": "李四", "side": "respondent"}],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000}],
    "text": "诊疗后争执",
}
VERIFIED = 1000
AT_ONCE = 5000


async def prepare(urls: Urls) -> list[tuple[Event, Event]]:
    """Committees for medical disputes, and at each a case that was filed and accepted, from which others are made."""
    engine = database.engine(urls.app)
    bodies = "".join(f"m{n},医调委{n},,industry_committee,township,150525100,medical,centre\n" for n in range(BODIES))
    await registry.import_divisions(engine, DIVISIONS)
    await registry.import_organisations(engine, ORGANISATIONS + bodies)
    await registry.import_people(
        engine, PEOPLE + "".join(f"p{n},人{n},m{n},chair|clerk|mediator\n" for n in range(BODIES))
    )
    await engine.dispose()
    pool = await database.hot_pool(urls.app, 1)
    memory, found = append.Memory(pool), []
    for n in range(BODIES):
        person = registry.person_id(f"p{n}")
        seen = await memory.read_case(Context(person, "", str(uuid4())), None)
        world = World(load_laws(), seen.orgs, case_number=f"m{n}", people={person: frozenset({seen.actor.org})})
        found.append(_accepted(seen.actor, world))
    await pool.close()
    return found


def _accepted(actor: Actor, world: World) -> tuple[Event, Event]:
    assert Role.CHAIR in actor.roles
    case_id = str(uuid7())
    plan = {"leader": actor.person, "handler": actor.person, "plan": "先听双方", "due_on": "2026-02-01"}
    filed = decide(None, STEP.validate_python(FILE), actor, FILED_AT, world).event(
        None, event_id=str(uuid7()), case_id=case_id, request_id=str(uuid7())
    )
    case = evolve(None, filed)
    accept = STEP.validate_python({"action": "accept", "prepare": plan})
    accepted = decide(case, accept, actor, ACCEPTED_AT, world).event(
        case, event_id=str(uuid7()), case_id=case_id, request_id=str(uuid7())
    )
    return filed, accepted


def histories(patterns: list[tuple[Event, Event]], count: int) -> Iterator[History]:
    """So many cases, each with ids, a number and a chain of its own."""
    for number in range(count):
        filed, accepted = patterns[number % len(patterns)]
        case_id = str(uuid7())
        attrs = filed.attrs | {"case": filed.attrs["case"] | {"number": f"bench-2026-{number:06}"}}
        first = msgspec.structs.replace(filed, event=str(uuid7()), case=case_id, attrs=attrs)
        case = evolve(None, first)
        second = msgspec.structs.replace(accepted, event=str(uuid7()), case=case_id, prev=case.head)
        after = evolve(case, second)
        yield History(after, (first, second), (columns_of(case), columns_of(after)))


def fill(url: str, patterns: list[tuple[Event, Event]], count: int) -> None:
    """Put the cases down as the corridor would have left them, their events integrated later as any others."""
    made = histories(patterns, count)
    with psycopg.connect(url) as database:
        while some := list(islice(made, AT_ONCE)):
            put(database, some)
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


async def verified(urls: Urls, count: int) -> int:
    """How many cases were verified, from the first; stops on one that is not sound."""
    seen = 0
    async with trails(urls.reader) as every:
        async for trail in every:
            if trail.case_id == LOG_ID:
                continue
            failure = verify_trail(trail)
            assert failure is None, failure
            assert trail.events[-1].seq > 2, "a case was left out"  # noqa: PLR2004  filed and accepted
            seen += 1
            if seen == count:
                break
    return seen


def night(server: Server, urls: Urls, folder: Path) -> dict[str, object]:
    """Run the worker once: what it said, seconds, and seconds of CPU of the worker and of PostgreSQL."""
    told = {
        "MEDIATION_DATABASE_URL": urls.app,
        "MEDIATION_LOG_URL": urls.log,
        "MEDIATION_DATA_DIR": str(folder),
        "MEDIATION_KEY_FILE": str(folder / "vault.key"),
    }
    pid = server.status().pid
    assert pid is not None
    postgres = psutil.Process(pid)
    before, began = cpu_of(postgres), time.monotonic()
    words = [sys.executable, "-m", "mediation", "worker", "--once", "--json"]
    child = subprocess.Popen(words, env=os.environ | told, stdout=subprocess.PIPE, text=True)
    said, _ = child.communicate()
    lasted = time.monotonic() - began
    used = os.times()
    assert child.returncode == 0, said
    return {
        **json.loads(said),
        "seconds": round(lasted, 1),
        "worker_cpu_s": round(used.children_user + used.children_system, 1),
        "postgres_cpu_s": round(cpu_of(postgres) - before, 1),
    }


def main() -> None:
    """Fill, take the night's lapses, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with own_server() as (server, folder):
        server.create_database("bench")
        urls = server.urls("bench")
        database.migrate(urls.owner)
        fill(server.url(SUPERUSER, "bench"), asyncio.run(prepare(urls)), chosen.cases)
        found = night(server, urls, folder)
        assert found["cases"] == chosen.cases, found
        assert found["left"] == 0, found
        sound = asyncio.run(verified(urls, VERIFIED))
    found |= {"a_second": round(chosen.cases / float(str(found["seconds"]))), "verified": sound}
    if chosen.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:>16}: {value}")


if __name__ == "__main__":
    main()

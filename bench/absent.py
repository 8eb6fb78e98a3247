"""Whether an invisible case takes longer to be denied than an absent one, asked in turns of one running service.

`python bench/absent.py [--rounds 4000] [--cases 2000]`. A thief of time would ask for an id many times and compare; so
here each round asks for a case of another village, for one that there is not, and (to know what noise is) for another
that there is not, in an order drawn anew, over one connection that is kept. Printed are the medians and quartiles of
each, the differences of the medians with their 95 % intervals (by resampling), and how often the invisible one was the
slower of its round (half is chance; Mann-Whitney's U over all pairs is the same question). Told to the caller is
nothing as long as the interval holds nought, or the difference is no more than that between the two that are absent.
"""

import argparse
import asyncio
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import erfc, sqrt
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

import httpx2
import uvicorn
from uuid_utils import uuid7

from mediation.domain.commands import STEP
from mediation.gateway.embedded import Server
from mediation.gateway.identity import DevelopmentIssuer
from mediation.gateway.vault import Vault, key_from
from mediation.http.app import create_app
from mediation.http.wire import Wire
from mediation.service import registry
from mediation.service.lawbook import load_laws
from mediation.service.perform import Context, House, Request, perform
from mediation.settings import Settings, Urls
from mediation.store import append, database

DIVISIONS = (
    "code,level,name,parent_code\n150525,county,奈曼旗,\n150525100,township,镇,150525\n"
    "150525100201,village,一村,150525100\n150525100202,village,二村,150525100\n"
)
ORGANISATIONS = (
    "code,name,name_en,kind,tier,division,speciality,superior\n"
    "V1,一村调委会,,people_committee,village,150525100201,,\n"
    "V2,二村调委会,,people_committee,village,150525100202,,\n"
)
PEOPLE = "person_code,name,org_code,roles\none,甲,V1,clerk\ntwo,乙,V2,clerk|mediator|chair\n"
FILE = {
    "action": "file",
    "category": "neighbour",
    "division": "150525100201",
    "parties": [{"name": "张三", "side": "applicant"}, {"name": "李四", "side": "respondent"}],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000, "text": "赔偿院墙损失"}],
    "text": "两家因排水发生争执，院墙受损。",
}
NOTE = {"action": "note", "kind": "fact"}
KINDS = ("invisible", "absent", "absent too")
RESAMPLED = 1000


async def prepare(urls: Urls, folder: Path, cases: int) -> tuple[list[str], list[str]]:
    """The two villages and so many cases of the first: their ids, and those of their first events."""
    engine = database.engine(urls.app)
    await registry.import_divisions(engine, DIVISIONS)
    await registry.import_organisations(engine, ORGANISATIONS)
    await registry.import_people(engine, PEOPLE)
    await engine.dispose()
    pool = await database.hot_pool(urls.app, 4)
    house = House(append.Memory(pool), load_laws(), Vault(key_from(folder / "vault.key")))
    command, filed = STEP.validate_python(FILE), []
    for _ in range(cases):
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        context = Context(registry.person_id("one"), "", str(uuid4()))
        filed.append(await perform(house, Request(context, at), None, command))
    await pool.close()
    return [event.case for event in filed], [event.event for event in filed]


@contextmanager
def served(urls: Urls, folder: Path) -> Iterator[str]:
    """The service on loopback; its address."""
    settings = Settings(
        database_url=urls.app, owner_url=urls.owner, reader_url=urls.reader, data_dir=folder,
        key_file=folder / "vault.key", rate_per_minute=0,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = uvicorn.Config(create_app(settings), port=port, log_config=None, access_log=False, http=Wire)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def in_turns(ask: Callable[[str], None], known: list[str], rounds: int, warm: int = 200) -> dict[str, list[float]]:
    """Milliseconds of each question, by kind: in every round one of each, in an order drawn anew."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(-warm, rounds):
        ids = {"invisible": random.choice(known), "absent": str(uuid7()), "absent too": str(uuid7())}
        for kind in random.sample(KINDS, len(KINDS)):
            began = time.perf_counter()
            ask(ids[kind])
            if number >= 0:
                found[kind].append((time.perf_counter() - began) * 1000)
    return found


def interval(one: list[float], other: list[float]) -> tuple[float, float]:
    """The 95 % interval of the difference of the medians, by resampling the rounds."""
    count = len(one)
    drawn = []
    for _ in range(RESAMPLED):
        rounds = random.choices(range(count), k=count)
        drawn.append(median(one[n] for n in rounds) - median(other[n] for n in rounds))
    drawn.sort()
    return drawn[int(RESAMPLED * 0.025)], drawn[int(RESAMPLED * 0.975)]


def mann_whitney(one: list[float], other: list[float]) -> tuple[float, float]:
    """How likely a draw of `one` is above a draw of `other`, and p of that being chance (normal approximation)."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, of) in enumerate(ranked, 1) if of == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)
    return u / (n * m), erfc(abs(z) / sqrt(2))


def told(name: str, found: dict[str, list[float]]) -> None:
    """Print one operation."""
    print(name)
    for kind, times in found.items():
        low, _, high = quantiles(times, n=4)
        print(f"  {kind:12} median {median(times):7.3f} ms   quartiles {low:7.3f} {high:7.3f}")
    for one, other in (("invisible", "absent"), ("absent too", "absent")):
        low, high = interval(found[one], found[other])
        above, chance = mann_whitney(found[one], found[other])
        apart = (median(found[one]) - median(found[other])) * 1000
        print(
            f"  {one} - {other}: {apart:+6.1f} µs, 95 % in [{low * 1000:+.1f}, {high * 1000:+.1f}] µs; "
            f"slower in {above:.1%} of pairs (p = {chance:.2f})"
        )


def main() -> None:
    """Measure the reads and a step, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4000)
    parser.add_argument("--cases", type=int, default=2000)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mediation-bench-"))
    folder.chmod(0o711)  # as root the server runs as another user, who must get through
    try:
        with Server(folder).in_use() as server:
            server.create_database("bench")
            urls = server.urls("bench")
            database.migrate(urls.owner)
            cases, events = asyncio.run(prepare(urls, folder, chosen.cases))
            token = DevelopmentIssuer(key_from(folder / "issuer.key")).issue(registry.person_id("two"))
            headers = {"Authorization": f"Bearer {token}", "If-Match": '"1"'}
            with served(urls, folder) as address, httpx2.Client(base_url=address, headers=headers) as client:
                _measure(client, cases, events, chosen.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(client: httpx2.Client, cases: list[str], events: list[str], rounds: int) -> None:
    def denied(method: str, path: str, body: dict[str, str] | None = None) -> None:
        key = {"Idempotency-Key": uuid4().hex} if body else {}
        assert client.request(method, path, json=body, headers=key).status_code == 404  # noqa: PLR2004  # HTTP's own

    told("GET /v1/cases/{id}", in_turns(lambda one: denied("GET", f"/v1/cases/{one}"), cases, rounds))
    history = in_turns(lambda one: denied("GET", f"/v1/cases/{one}/events"), cases, rounds)
    told("GET /v1/cases/{id}/events", history)
    told("GET /v1/events/{id}", in_turns(lambda one: denied("GET", f"/v1/events/{one}"), events, rounds))
    told(
        "POST /v1/cases/{id}/events",
        in_turns(lambda one: denied("POST", f"/v1/cases/{one}/events", NOTE), cases, rounds),
    )


if __name__ == "__main__":
    main()

"""What the signed log costs: a million events integrated, exported, verified; and steps a second with it and without.

`python bench/log.py [--events 1000000] [--seconds 10] [--repeats 5] [--only load|log] [--profile] [--json]`. It starts
a PostgreSQL of its own with every safety on, in a folder of its own that is removed afterwards. First the service is
loaded, in turns with integration on and off. Then the disputes of the demo happen, are multiplied, and each task is
done by a process of its own, whose memory is looked at in ten places on its way. `--profile` prints where the time of
the sequencer goes instead.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import random
import sys
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psycopg
import turns
from copies import AT_ONCE, copies, patterns, put
from gauge import Gauge, alone
from ground import MIB, machine, own_server, scalar, told

from mediation.domain.events import evolve, parse
from mediation.gateway.embedded import SUPERUSER, Server
from mediation.gateway.keys import key_from
from mediation.gateway.logkeys import LogKeys, log_keys
from mediation.gateway.vault import Vault
from mediation.service.bundles import gather, pack
from mediation.service.findings import Trust
from mediation.service.following import verify_tiles
from mediation.service.integrate import BATCH, integrate_once
from mediation.service.publishing import publish_log
from mediation.service.seed import seed
from mediation.service.verification import verify_database
from mediation.settings import Settings, Urls
from mediation.store import database
from mediation.store.trails import trails

TABLES = {
    "events": ("events",),
    "feed": ("feed",),
    "spans": ("spans",),
    "tiles": ("log_tiles",),
    "checkpoints": ("log_checkpoints", "log_epochs", "log_cosignatures"),
    "outbox": ("outbox",),
}
BUNDLES = 50
FOLDED = 100_000


class Job(NamedTuple):
    """A database, and the folder that its keys and its export lie in."""

    urls: Urls
    folder: Path

    @property
    def keys(self) -> LogKeys:
        return log_keys(Settings(data_dir=self.folder, database="bench"))

    @property
    def tree(self) -> Path:
        return self.folder / "tree"


# ── the tasks, each in a process of its own ──


async def integrating(job: Job, gauge: Gauge) -> None:
    """Give every event its place."""
    events = scalar(job.urls.log, "SELECT count(*) FROM outbox")
    progress, done = gauge.at("integrate"), 0

    def reached(point: str) -> None:
        nonlocal done
        if point == "remembered":
            done = min(events, done + BATCH)
            progress(done, events)

    moved = await integrate_once(job.urls.log, job.keys, reached)
    assert moved >= events  # and what the demo read of the cases
    gauge.end("integrate", moved)


async def exporting(job: Job, gauge: Gauge) -> None:
    """Write the tree as files."""
    verifiers = job.keys.events.verifiers
    made = await publish_log(job.urls.reader, "events", job.tree, verifiers, progress=gauge.at("export"))
    gauge.end("export", made.size)
    gauge.told["files"] = made.written


async def following(job: Job, gauge: Gauge) -> None:
    """Verify the tree from its files: every tile, every entry, every chain, and no fold."""
    found = verify_tiles(job.tree, Trust(job.keys.events.verifiers), gauge.at("verify tiles"))
    assert found.sound, found.failures
    gauge.end("verify files: tree and chains", found.entries)


async def verifying(job: Job, gauge: Gauge) -> None:
    """Verify the database: each case's chain and fold beside its rows, then the trees."""
    keys, events = job.keys, scalar(job.urls.reader, "SELECT count(*) FROM events")
    growing = gauge.at("verify, the trees")
    begun = False

    def grown(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            begun = True
            gauge.end("verify database: chains, folds, rows", events)
        growing(done, total)

    trust = Trust((*keys.events.verifiers, *keys.access.verifiers))
    report = await verify_database(job.urls.reader, gauge.at("verify, the cases"), trust=trust, growing=grown)
    assert report.sound, report.failures
    assert report.events + report.entries == events == report.leaves
    gauge.end("verify database: tree, tiles, signatures", report.leaves)


async def folding(job: Job, gauge: Gauge) -> None:
    """The fold alone, of histories that lie in memory."""
    histories, count = [], 0
    async with trails(job.urls.reader) as every:
        async for trail in every:
            if trail.case:
                histories.append([parse(stored.data) for stored in trail.events])
                count += len(trail.events)
                if count >= FOLDED:
                    break
    gauge.end("", 0)
    for events in histories:
        case = None
        for event in events:
            case = evolve(case, event)
    gauge.end("fold alone", count)


async def bundling(job: Job, gauge: Gauge) -> None:
    """Cases by chance, each packed for whoever verifies it elsewhere."""
    with psycopg.connect(job.urls.reader) as reader:
        ids = [row[0] for row in reader.execute("SELECT id::text FROM cases ORDER BY id")]
    took, events, size, progress = [], 0, 0, gauge.at("bundles")
    async with _snapshots(job.urls.reader) as reading:
        for number, case_id in enumerate(random.Random(5).sample(ids, min(BUNDLES, len(ids))), 1):
            began = time.perf_counter()
            dossier = await gather(reading, case_id, job.keys.events)
            data = pack(dossier, job.keys.events)
            took.append(time.perf_counter() - began)
            events, size = events + len(dossier.events), size + len(data)
            progress(number, BUNDLES)
    gauge.told["bundle_ms"] = round(median(took) * 1000, 1)
    gauge.told["slowest_bundle_ms"] = round(max(took) * 1000, 1)
    gauge.told["bundle_bytes_per_event"] = round(size / events)
    gauge.end("bundles of cases", len(took))


@asynccontextmanager
async def _snapshots(url: str) -> Any:  # noqa: ANN401  # as `gather` asks for it
    made = database.engine(url)
    try:
        yield made.execution_options(isolation_level="REPEATABLE READ").begin
    finally:
        await made.dispose()


# ── a million events ──


def million(server: Server, folder: Path, events: int) -> dict[str, Any]:
    """Fill a database, then let each task run: what each used, and the room that everything takes."""
    job = prepared(server, folder, events)
    found: dict[str, Any] = {"stages": [], "events": scalar(job.urls.reader, "SELECT count(*) FROM events")}
    for task in (integrating, exporting, following, verifying, folding, bundling):
        gauge, beside = alone(server, job.urls.reader, task, job)
        found |= gauge.told
        found[task.__name__] = beside
        found["stages"] += [stage._asdict() for stage in gauge.stages if stage.name]
    found["checkpoints"] = scalar(job.urls.reader, "SELECT count(*) FROM log_checkpoints")
    found["disk_bytes"] = {
        name: sum(scalar(job.urls.reader, f"SELECT pg_total_relation_size('{table}')") for table in tables)
        for name, tables in TABLES.items()
    }
    sizes = [one.stat() for one in job.tree.rglob("*") if one.is_file()]
    found["disk_bytes"]["exported files"] = sum(one.st_size for one in sizes)
    found["disk_bytes"]["exported files, as blocks"] = sum(one.st_blocks * 512 for one in sizes)
    return found


def prepared(server: Server, folder: Path, events: int) -> Job:
    """A database in which the disputes of the demo have happened, many times over; nothing is integrated yet."""
    server.create_database("bench")
    job = Job(server.urls("bench"), folder)
    database.migrate(job.urls.owner)
    asyncio.run(seed(job.urls, Vault(key_from(folder / "vault.key"))))
    there = scalar(job.urls.reader, "SELECT count(*) FROM events")
    found = asyncio.run(patterns(job.urls))
    made, done, began = copies(found, events - there), there, time.monotonic()
    url = server.url(SUPERUSER, "bench")
    with psycopg.connect(url) as filling:
        while some := list(islice(made, AT_ONCE)):
            done += put(filling, some)
            rate = done / (time.monotonic() - began)
            print(f"filling from {len(found)} histories: {done:,} events, {rate:,.0f} a second", file=sys.stderr)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("VACUUM ANALYZE")
        superuser.execute("CHECKPOINT")
    return job


def profiled(server: Server, folder: Path, events: int) -> None:
    """Where the time of the sequencer goes."""
    job = prepared(server, folder, events)
    profile = cProfile.Profile()
    profile.runcall(asyncio.run, integrate_once(job.urls.log, job.keys))
    for order in ("tottime", "cumtime"):
        pstats.Stats(profile).sort_stats(order).print_stats(30)


# ── what is printed ──


def _print_million(found: Mapping[str, Any]) -> None:
    print(f"\n{found['events']:,} events, {found['checkpoints']:,} checkpoints, {found['files']:,} files:")
    heads = ("count", "s", "a second", "CPU s", "µs each", "a CPU s", "MiB 10 %", "MiB 100 %", "peak")
    print(f"{'':42}" + "".join(f"{head:>11}" for head in heads))
    for one in found["stages"]:
        rss = one["rss_mib"] or (0.0,)
        count, seconds, cpu = one["count"], one["seconds"], one["cpu_s"]
        print(
            f"{one['name']:42}{count:11,}{seconds:11.1f}{count / seconds:11,.0f}{cpu:11.1f}{cpu / count * 1e6:11.1f}"
            f"{count / cpu:11,.0f}{rss[0]:11.0f}{rss[-1]:11.0f}{one['peak_mib']:11.0f}"
        )
    beside = found["integrating"]
    each = beside["postgres_cpu_s"] / found["events"] * 1e6
    print(f"integrate: PostgreSQL {each:.0f} µs and {beside['wal_bytes'] / found['events']:,.0f} B of WAL an event")
    print(
        f"a bundle: median {found['bundle_ms']} ms, slowest {found['slowest_bundle_ms']} ms, "
        f"{found['bundle_bytes_per_event']:,} B an event"
    )
    for name, size in found["disk_bytes"].items():
        print(f"{name:>28}: {size / found['events']:8.1f} B an event, {size / MIB:10,.1f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--only", choices=("load", "log"))
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with own_server() as (server, folder):
        if chosen.profile:
            profiled(server, folder, chosen.events)
            return
        found: dict[str, Any] = {"machine": machine(server)}
        if chosen.only != "log":
            found["load"] = turns.in_turns(server, folder, chosen.clients, chosen.seconds, chosen.repeats)
        if chosen.only != "load":
            found["log"] = million(server, folder, chosen.events)
    if chosen.json:
        print(json.dumps(found, indent=1))
        return
    print(told(found["machine"]))
    if "load" in found:
        turns.show(found["load"])
    if "log" in found:
        _print_million(found["log"])


if __name__ == "__main__":
    main()

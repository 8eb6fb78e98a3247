"""Years of imagined disputes into an empty database, as the corridor and the sequencer would have left them.

Processes cast cases of histories that were decided (`imagined`); one connection of the owner's takes their lines, in
one transaction. When all are there, their events are put in the order of time, get their places in the log, and a
checkpoint over all of them is signed with the log's own key. At the end a sample is read back and verified.
"""

import asyncio
import csv
import multiprocessing
import os
import signal
import tempfile
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mediation.domain.checkpoints import Checkpoint
from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import sign
from mediation.domain.tallying import Sums, Tally
from mediation.domain.tiles import edge, extend, root_of
from mediation.gateway.logkeys import LogKey, LogKeys
from mediation.gateway.vault import Vault
from mediation.service import registry
from mediation.service.imagined import counties
from mediation.service.imagined.casts import SPAN_COLUMNS, SPAN_KEY, TABLES
from mediation.service.imagined.making import Made, begin, make
from mediation.service.imagined.years import A_TASK, Plan, Wanted
from mediation.service.integrate import integrate_once, standing
from mediation.service.lawbook import load_laws, package_set
from mediation.service.verification import verify_trail
from mediation.settings import Urls
from mediation.store import leaves
from mediation.store.bodies import superiors
from mediation.store.database import connect, engine
from mediation.store.leaves import Epoch, Signed
from mediation.store.loading import BodiesThere, CasesThere, Loading, loading, positions_of
from mediation.store.logbook import Logbook
from mediation.store.shelf import note_set
from mediation.store.trails import trails

__all__ = ["Progress", "Synthesized", "Wanted", "synthesize"]

Progress = Callable[[int, int], None]

_AHEAD = 3
"""So many tasks a process are under way or done, before their lines are taken."""
_INSTANT, _ID = 27, 36
_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGHUP}


class Synthesized(NamedTuple):
    """What was put into the database: `open` of its cases are not closed; `retold` were decided again, step by step.

    `sampled` cases were read back, opened, folded and found in the signed log, with `proven` events.
    """

    counties: int
    divisions: int
    organisations: int
    people: int
    cases: int
    open: int
    events: int
    event_bytes: int
    retold: int
    sampled: int
    proven: int


async def synthesize(
    urls: Urls,
    key: bytes,
    keys: LogKeys,
    wanted: Wanted,
    *,
    processes: int | None = None,
    progress: Progress = lambda _, __: None,
) -> Synthesized:
    """Import the counties, and put their cases into a database that has none; whole or not at all.

    `key` is the vault's. `progress` is told cases done and cases in all.
    Raises: CasesThere, BodiesThere, DatabaseUnreachable, LogHalted, BadKeyFile; Untrue and BrokenTrail, which would be
    our fault.
    """
    async with trails(urls.reader) as every:
        if await every.count():  # before anything is written: what is imported stays in the log for ever
            raise CasesThere
    await _assert_imagined(urls, wanted.counties)
    imported = await _registered(urls, wanted.counties)
    await integrate_once(urls.log, keys)
    with tempfile.TemporaryDirectory(prefix="mediation-synthesize-") as folder:
        async with loading(urls.owner) as load:
            many = min(processes or os.cpu_count() or 1, -(-wanted.cases // A_TASK))
            made = await _loaded(load, key, wanted, Path(folder), many, progress)
            note = await _placed(load, keys.events, Path(folder))
    await asyncio.to_thread(keys.events.remember, note)
    proven = await _verified(urls, Vault(key), keys.events, made.retold)
    return Synthesized(
        wanted.counties, *imported, made.cases, made.open_cases, made.events, made.event_bytes, len(made.retold),
        len(made.retold), proven,
    )  # fmt: skip


async def _assert_imagined(urls: Urls, count: int) -> None:
    """Refuse a registry in which there are bodies that are not of these counties. Raises: BodiesThere."""
    database = engine(urls.app, pooled=urls.pooled)
    try:
        async with database.connect() as connection:
            there = set(await superiors(connection))
    finally:
        await database.dispose()
    if there:
        texts = (counties.imports(code, 2).organisations for code in counties.codes(count))
        others = sorted(there - {row["code"] for text in texts for row in csv.DictReader(text.splitlines())})
        if others:
            raise BodiesThere(
                zh=f"登记簿中已有其他单位（如 {others[0]}）；合成数据只填入空的登记簿",
                en=f"There are other bodies in the registry already, as {others[0]}; what is synthesised goes into an "
                "empty one",
            )


async def _registered(urls: Urls, count: int) -> tuple[int, int, int]:
    """Import so many counties: divisions, organisations and lines of people."""
    database = engine(urls.app, pooled=urls.pooled)
    totals = [0, 0, 0]
    try:
        await note_set(database, load_laws().digest, package_set().files)
        there = set[str]()
        for code in counties.codes(count):
            above = (code, code[:4], code[:2])
            texts = counties.imports(code, min(len(each) for each in above if each not in there))
            there.update(above)
            totals[0] += await registry.import_divisions(database, texts.divisions)
            totals[1] += await registry.import_organisations(database, texts.organisations)
            totals[2] += await registry.import_people(database, texts.people)
    finally:
        await database.dispose()
    return totals[0], totals[1], totals[2]


async def _loaded(load: Loading, key: bytes, wanted: Wanted, folder: Path, processes: int, progress: Progress) -> Made:
    """Let processes cast every case, and copy their lines as they come, in the order of the plan."""
    plan, sums = Plan(wanted), Sums()
    cases = events = data = still_open = 0
    retold: list[str] = []
    async for made in _made(plan, key, wanted.seed, folder, processes):
        for table, columns in TABLES.items():
            if table in made.tables:
                await load.copy(table, columns, made.tables[table])
        sums.add(Tally(*what, more=more) for what, more in made.tallies.items())
        cases, events, data = cases + made.cases, events + made.events, data + made.event_bytes
        still_open += made.open_cases
        retold += made.retold
        progress(cases, wanted.cases)
    await load.count(sums)
    await load.number({(registry.org_id(body), year): last for (body, year), last in plan.last.items()})
    return Made({}, Counter(), cases, events, data, still_open, tuple(retold))


async def _made(plan: Plan, key: bytes, seed: str, folder: Path, processes: int) -> AsyncIterator[Made]:
    """What the processes make, in the order of the plan; no more of it is begun than is soon taken."""
    context, loop = multiprocessing.get_context("spawn"), asyncio.get_running_loop()
    tasks = plan.tasks()
    with ProcessPoolExecutor(processes, context, begin, (key, seed, folder)) as pool:
        try:
            ahead: deque[asyncio.Future[Made]] = deque()
            with _deaf():  # the first task begins all processes
                for task in islice(tasks, processes * _AHEAD):
                    ahead.append(loop.run_in_executor(pool, make, task))
            while ahead:
                made = await ahead.popleft()
                for task in islice(tasks, 1):
                    ahead.append(loop.run_in_executor(pool, make, task))
                yield made
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """What is begun meanwhile never hears the terminal, which asks all processes to leave: the first tells them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_TERMINAL)


async def _placed(load: Loading, key: LogKey, folder: Path) -> str:
    """Give every event its place, in the order of time, after what has one; the checkpoint that is signed over all."""
    old, tiles = await standing(load.connection, key, key.origin)
    epoch = await leaves.epoch(load.connection, "events")
    first = epoch.first_position if epoch else 1
    if epoch is None:
        await leaves.begin_epoch(load.connection, "events", Epoch(key.origin, first))
    size, known, begun = old.size, dict(tiles), set(tiles)
    for lines in _by_day(folder):
        places = [b"%d\t" % (first + size + number) for number in range(len(lines))]
        rows = [place + line[SPAN_KEY:] for place, line in zip(places, lines, strict=True)]
        await load.copy("spans", SPAN_COLUMNS, b"".join(rows))
        ids = [place + line[SPAN_KEY : SPAN_KEY + _ID] for place, line in zip(places, lines, strict=True)]
        await load.copy("feed", "position event", b"\n".join(ids) + b"\n")
        hashes = [bytes.fromhex(line[_INSTANT:SPAN_KEY].decode()) for line in lines]
        grown = extend(size, known, hashes)
        size += len(lines)
        kept = {*edge(size), *begun}  # what is not whole yet, and what is there already and has grown
        await load.tiles(key.origin, {place: tile for place, tile in grown.items() if place not in kept})
        known = {place: tile for place, tile in {**known, **grown}.items() if place in kept}
    new = Checkpoint(key.origin, size, root_of(known, size))
    note = sign(new.text, key.signer)
    await load.sign(key.origin, Signed(new.size, new.root, note), known)
    return note


def _by_day(folder: Path) -> Iterator[list[bytes]]:
    """The rows of spans that processes left, in the order of time."""
    for day in sorted(folder.iterdir()):
        yield sorted(day.read_bytes().splitlines(keepends=True))


async def _verified(urls: Urls, vault: Vault, key: LogKey, cases: Sequence[str]) -> int:
    """Read cases back, open what is sealed, fold them, and find each event in the signed log: how many events.

    Raises: BrokenTrail.
    """
    async with trails(urls.reader, sealed=True, only=cases) as every:
        async for trail in every:
            if failure := verify_trail(trail, vault=vault):
                raise BrokenTrail(failure.reason)
    async with await connect(urls.reader) as reader:
        placed = await positions_of(reader, cases)
        proofs = await Logbook(reader).proofs_of(placed)
    for position, data in placed.items():
        if position not in proofs:
            zh, en = f"第{position}位未在签名日志中", f"Position {position} is not in the signed log"
            raise BrokenTrail(Reason("not_in_log", zh, en))
        proofs[position].verify(leaf_hash(data), key.verifiers, key.origin)
    return len(placed)

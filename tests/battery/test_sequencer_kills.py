"""A sequencer killed at any of its points leaves one root for each size, every event in its place, every case in order."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from tests.battery.siege import times
from tests.service.town import NOTE, Town, opened, populate
from tests.whole import integrated, keys_of, whole

from mediation.domain.checkpoints import open_checkpoint
from mediation.domain.merkle import Frontier, leaf_hash
from mediation.service.verification import verify_database
from mediation.settings import Urls

POINTS = ("locked", "read", "signed", "stored", "committed", "remembered")
ROOT = Path(__file__).parents[2]


async def _told(town: Town, cases: dict[str, int], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for case_id, version in list(cases.items()):
            await town.step("wang", case_id, NOTE, version=version)
            cases[case_id] = version + 1


async def _killed(urls: Urls, point: str) -> None:
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.battery.dying", urls.log, urls.owner, point, cwd=ROOT, stderr=subprocess.PIPE
    )
    _, said = await asyncio.wait_for(dying.communicate(), 60)
    assert dying.returncode == -signal.SIGKILL, said.decode()


@pytest.mark.parametrize("point", POINTS)
async def test_whatever_the_point_at_which_the_sequencer_is_killed_the_log_is_whole(database_urls: Urls, point: str):
    urls = database_urls
    await populate(urls)
    async with opened(urls) as town:
        cases = {(await town.file()).case: 1 for _ in range(3)}
        signed: dict[int, bytes] = {}
        for _ in range(times(10, quick=1)):
            stop = asyncio.Event()
            telling = asyncio.create_task(_told(town, cases, stop))
            await _killed(urls, point)
            stop.set()
            await telling
            known = keys_of(urls).events
            if note := known.remembered():
                checkpoint, _ = open_checkpoint(note, known.verifiers, known.origin)
                assert signed.setdefault(checkpoint.size, checkpoint.root) == checkpoint.root
            async with await psycopg.AsyncConnection.connect(whole(urls)) as everything:
                rows = await everything.execute(
                    "SELECT size, root FROM log_checkpoints WHERE origin = %s", (known.origin,)
                )
                async for size, root in rows:
                    assert signed.setdefault(size, root) == root
        await integrated(urls)
        await _whole(urls, signed, cases)
    report = await verify_database(urls.reader)
    assert report.sound, report.failures


async def _whole(urls: Urls, signed: dict[int, bytes], cases: dict[str, int]) -> None:
    """Every event has one place, without gaps; what was ever signed is what the places make; each case is in order."""
    async with await psycopg.AsyncConnection.connect(whole(urls)) as everything:
        rows = await everything.execute(
            "SELECT f.position, e.case_id::text, e.seq, e.bytes FROM feed f JOIN events e ON e.id = f.event ORDER BY 1"
        )
        tree, order = Frontier(), Counter[str]()
        async for position, case_id, seq, data in rows:
            tree.append(leaf_hash(data))
            order[case_id] += 1
            assert (position, seq) == (tree.size, order[case_id])
            assert signed.pop(position, tree.root()) == tree.root()
        (left,) = await (await everything.execute("SELECT count(*) FROM outbox")).fetchone()
    assert (left, signed) == (0, {})
    assert {case_id: order[case_id] for case_id in cases} == cases

"""How fast a history is verified: hashing, reading canonically, chain and tree, and beside it the fold; one core.

`python bench/verify.py [--events 100000] [--json]`. It makes true histories in memory, exports them as a log into a
folder of its own that is removed afterwards, and verifies that with the code of `mediation verify --tiles`.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from uuid import uuid4

import msgspec
from uuid_utils import uuid7

from mediation.domain.checkpoints import Checkpoint
from mediation.domain.commands import STEP
from mediation.domain.decision import World, decide
from mediation.domain.events import Event, evolve, parse
from mediation.domain.facts import Actor, Case, Organisation
from mediation.domain.merkle import Frontier, leaf_hash
from mediation.domain.notes import new_signer, sign
from mediation.domain.tiles import WIDTH, bundle_path, edge, entry_bundle, extend, tile_path
from mediation.domain.vocabulary import OrgKind, Role, Tier
from mediation.service.findings import Trust
from mediation.service.following import verify_tiles
from mediation.service.lawbook import load_laws

LOG = new_signer("bench.example", b"b" * 32)
TARGET = 100_000
STEPS = 12
NOTED = {"action": "note", "kind": "fact", "text": "走访双方"}
FILE = {
    "action": "file",
    "category": "neighbour",
    "division": "150525100201",
    "parties": [{"name": "张三", "side": "applicant"}, {"name": "李四", "side": "respondent"}],
    "claim": [{"what": "money", "by": [1], "against": [2], "amount_fen": 200000}],
    "text": "院墙受损",
}


def pattern() -> list[Event]:
    """A case of twelve events as the corridor would have decided them."""
    org = Organisation(
        id=str(uuid7()),
        code="village",
        name="一村调委会",
        kind=OrgKind.PEOPLE_COMMITTEE,
        tier=Tier.VILLAGE,
        division="150525100201",
    )
    actor = Actor(person=str(uuid7()), org=org.id, roles=(Role.CHAIR, Role.CLERK, Role.MEDIATOR))
    world = World(
        load_laws(), {org.id: org}, case_number="village-2026-000001", people={actor.person: frozenset({org.id})}
    )
    events: list[Event] = []
    case: Case | None = None
    case_id = str(uuid7())
    for number in range(STEPS):
        command = STEP.validate_python(NOTED if case else FILE)
        decision = decide(case, command, actor, f"2026-01-05T01:00:{number:02}.000000Z", world)
        event = decision.event(case, event_id=str(uuid7()), case_id=case_id, request_id=str(uuid4()))
        case = evolve(case, event)
        events.append(event)
    return events


def histories(events: list[Event], count: int) -> list[bytes]:
    """So many events of cases like this one, those of many cases in turn, each with ids and a chain of its own."""
    cases = -(-count // STEPS)
    ids = [str(uuid7()) for _ in range(cases)]
    heads = ["0" * 64] * cases
    data = []
    for step in range(STEPS):
        for number, case_id in enumerate(ids):
            made = msgspec.structs.replace(events[step], event=str(uuid7()), case=case_id, prev=heads[number])
            data.append(made.canonical)
            heads[number] = leaf_hash(made.canonical).hex()
    return data[:count]


def export(data: list[bytes], folder: Path) -> None:
    """The log of these events as files."""
    frontier, right, size = Frontier(), {}, 0
    entries = iter(data)
    while part := list(islice(entries, WIDTH)):
        leaves = [leaf_hash(one) for one in part]
        for one in leaves:
            frontier.append(one)
        grown = extend(size, right, leaves)
        size += len(part)
        right = {place: grown.get(place) or right[place] for place in edge(size)}
        _put(folder / bundle_path(size // WIDTH - (size % WIDTH == 0), len(part)), entry_bundle(part))
        for (level, index), tile in grown.items():
            if level == 0 or len(tile) == WIDTH * 32 or size == len(data):
                _put(folder / tile_path(level, index, len(tile) // 32), tile)
    for (level, index), tile in right.items():
        _put(folder / tile_path(level, index, len(tile) // 32), tile)
    _put(folder / "checkpoint", sign(Checkpoint(LOG.name, size, frontier.root()).text, LOG).encode())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def rate(work: Callable[[], object], count: int) -> int:
    """How many a second of the processor's time."""
    began = time.process_time()
    work()
    return round(count / (time.process_time() - began))


def fold(data: list[bytes]) -> None:
    """Fold every history, as the verification of a database does."""
    cases: dict[str, Case] = {}
    for one in data:
        event = parse(one)
        cases[event.case] = evolve(cases.get(event.case), event)


def measure(count: int) -> dict[str, int]:
    """Events a second of each part of the work."""
    data = histories(pattern(), count)
    folder = Path(tempfile.mkdtemp(prefix="mediation-bench-"))

    def whole() -> None:
        reading = verify_tiles(folder, Trust((LOG.verifier,)))
        assert reading.sound, reading.failures[:3]
        assert reading.entries == count

    try:
        export(data, folder)
        return {
            "bytes an event": sum(map(len, data)) // count,
            "leaf hash": rate(lambda: [leaf_hash(one) for one in data], count),
            "parse and canonical": rate(lambda: [parse(one) and None for one in data], count),
            "chain and tree (verify --tiles)": rate(whole, count),
            "fold": rate(lambda: fold(data), count),
            "peak memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Measure, print, and fail below the target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.events)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{asked.events} events, one core, events a second:\n")
        for name, value in found.items():
            print(f"  {name:<34}{value:>12,}")
    return 0 if found["chain and tree (verify --tiles)"] >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

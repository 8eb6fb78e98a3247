"""Bundles of the county in the hands of an attacker, who has everything but the keys; and a reader that is not ours."""

import asyncio
import base64
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import psycopg
from msgspec.structs import replace
from tests.battery.tampering import VAULT, WITNESS, County, rechained
from tests.whole import whole
from tlog_scales import tlog
from tlog_scales.signing import Vkey

from mediation.domain import merkle
from mediation.domain.bundling import (
    CHECKPOINT,
    HEAD,
    Head,
    disclosure_path,
    event_path,
    proof_path,
)
from mediation.domain.checkpoints import Checkpoint, Proof, parse_proof
from mediation.domain.events import Event, parse
from mediation.domain.notes import Signer, new_signer, sign
from mediation.gateway.embedded import Server
from mediation.gateway.vault import Sealed
from mediation.service.bundles import gather, pack
from mediation.settings import Urls
from mediation.store import database

Files = dict[str, bytes]

LEAST, _MOST = 4, 16  # events of a case that is tampered with: the script takes its time for each


class Shelf(NamedTuple):
    """Bundles of the same cases as they are and as they were, unpacked by case; the leaf hashes of the whole log."""

    county: County
    now: dict[str, Files]
    then: dict[str, Files]
    leaves: tuple[bytes, ...]

    @property
    def short(self) -> list[str]:
        """Cases that are neither short nor long, as they are and as they were."""
        return [
            case
            for case in sorted(self.now)
            if len(pairs_of(self.then[case])) >= LEAST and len(pairs_of(self.now[case])) <= _MOST
        ]

    @property
    def grown(self) -> list[str]:
        """Those of them in which something has happened since."""
        return [case for case in self.short if event_path(len(pairs_of(self.then[case])) + 1) in self.now[case]]


def shelved(server: Server, of: County) -> Shelf:
    """Export every case as it is, and as it was when the log was first signed to its end."""
    with psycopg.connect(whole(of.urls)) as everything:
        ids = [row[0] for row in everything.execute("SELECT id::text FROM cases ORDER BY id")]
        data = everything.execute("SELECT e.bytes FROM feed f JOIN events e ON e.id = f.event ORDER BY f.position")
        leaves = tuple(merkle.leaf_hash(row[0]) for row in data)
    before = server.urls(of.earlier[0])
    return Shelf(of, *(asyncio.run(_exported(of, urls, ids)) for urls in (of.urls, before)), leaves)


async def _exported(of: County, urls: Urls, ids: Sequence[str]) -> dict[str, Files]:
    with psycopg.connect(whole(urls)) as everything:
        rows = everything.execute(
            "SELECT v.case_id::text, v.subject, v.digest, v.name, v.sealed, ''::bytea, k.wrapped "
            "FROM vault v JOIN vault_keys k USING (case_id, subject) ORDER BY v.place"
        ).fetchall()
    engine = database.engine(urls.reader)
    snapshots = engine.execution_options(isolation_level="REPEATABLE READ").begin
    made = {}
    forgetful = of.keys.events._replace(path=of.keys.events.path.with_name("none"))  # for a database that was set back
    for case_id in ids:
        shown = [one for case, *row in rows if case == case_id for one in VAULT.disclosures(case, Sealed(*row))]
        data = pack(await gather(snapshots, case_id, forgetful), forgetful, shown)
        with zipfile.ZipFile(BytesIO(data)) as archive:
            made[case_id] = {name: archive.read(name) for name in archive.namelist()}
    await engine.dispose()
    return made


def theirs(files: Files, vkey: str) -> int:
    """How many events a program that is not ours finds in the log that this key signed. Raises where one is not."""
    known = Vkey.from_string(vkey)
    tlog.Checkpoint.from_text(files[CHECKPOINT].decode()).verify(known)
    seq = 0
    while event_path(seq + 1) in files:
        seq += 1
        head, _, note = files[proof_path(seq)].decode().partition("\n\n")
        _, index, *hashes = head.splitlines()
        checkpoint = tlog.Checkpoint.from_text(note)
        checkpoint.verify(known)
        proof = tlog.InclusionProof(
            int(index.removeprefix("index ")), checkpoint.size, [base64.b64decode(one) for one in hashes]
        )
        proof.check(merkle.leaf_hash(files[event_path(seq)]), checkpoint.root_hash)
    return seq


# ── the attacker ──


@dataclass
class Packet:
    """A bundle in the hands of an attacker; `kept` and `witness`: what the verifier has besides the key of the log.

    `scripted`: whether verify.sh can find it, which is given keys and no other checkpoints.
    """

    shelf: Shelf
    case_id: str
    rng: random.Random
    files: Files = field(init=False)
    kept: tuple[str, ...] = ()
    witness: bool = False
    scripted: bool = True

    def __post_init__(self) -> None:
        self.files = dict(self.shelf.now[self.case_id])

    @property
    def vkeys(self) -> list[str]:
        """The keys that the verifier is given."""
        key = self.shelf.county.keys.events.signer.verifier.text
        return [key, WITNESS.verifier.text] if self.witness else [key]

    @property
    def told(self) -> list[Event]:
        """The events as they are in the bundle."""
        return [parse(self.files[path]) for path in self._numbered(event_path)]

    @property
    def places(self) -> list[int]:
        """The place of each in the log."""
        return [parse_proof(self.files[path].decode()).index for path in self._numbered(proof_path)]

    @property
    def then(self) -> Files:
        """The bundle as it was."""
        return self.shelf.then[self.case_id]

    @property
    def other(self) -> Files:
        """The bundle of another case."""
        return self.shelf.now[self.rng.choice([case for case in self.shelf.short if case != self.case_id])]

    def any(self) -> int:
        """The number of any event."""
        return self.rng.randrange(1, len(self.told) + 1)

    def inner(self) -> int:
        """The number of an event that is neither the first nor the last."""
        return self.rng.randrange(2, len(self.told))

    def put(self, told: Sequence[Event]) -> None:
        """Put these events in the place of those that are there, the proofs staying as they are."""
        for path in self._numbered(event_path):
            del self.files[path]
        for seq, event in enumerate(told, 1):
            self.files[event_path(seq)] = event.canonical

    def move(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Let these be the events and proofs, whatever they say."""
        for path in (*self._numbered(event_path), *self._numbered(proof_path)):
            del self.files[path]
        for seq, (event, proof) in enumerate(pairs, 1):
            self.files[event_path(seq)], self.files[proof_path(seq)] = event, proof

    def pairs(self) -> list[tuple[bytes, bytes]]:
        return pairs_of(self.files)

    def disclosures(self) -> list[str]:
        return self._numbered(disclosure_path)

    def remake(
        self, told: Sequence[Event], places: Sequence[int], leaves: Sequence[bytes], by: Signer | None = None
    ) -> None:
        """Make events, proofs, checkpoint and head anew out of a tree of these leaves and events: all but the key.

        Without one the signatures are those that there were.
        """
        tree = list(leaves)
        for place, event in zip(places, told, strict=True):
            tree[place] = merkle.leaf_hash(event.canonical)
        origin = by.name if by else self.shelf.county.keys.events.origin
        text = Checkpoint(origin, len(tree), merkle.root(tree)).text
        head = Head(origin, told[0].case, len(told), merkle.leaf_hash(told[-1].canonical), len(tree)).text
        note = self.signed(text, CHECKPOINT, by)
        self.files[HEAD] = self.signed(head, HEAD, by).encode()
        self.files[CHECKPOINT] = note.encode()
        proofs = [Proof(place, tuple(merkle.inclusion_proof(tree, place)), note).text.encode() for place in places]
        self.move([(event.canonical, proof) for event, proof in zip(told, proofs, strict=True)])

    def signed(self, text: str, path: str, by: Signer | None) -> str:
        return sign(text, by) if by else "\n".join((text, self.files[path].decode().rpartition("\n\n")[2]))

    def foreign(self, name: str = "") -> Signer:
        return new_signer(name or self.shelf.county.keys.events.origin, self.rng.randbytes(32))

    def edited(self, told: Sequence[Event], at: int) -> list[Event]:
        """The events with something else in the one at this index, chained."""
        request = f"{self.rng.getrandbits(32):08x}-0000-4000-8000-{self.rng.getrandbits(48):012x}"
        actor = self.rng.choice([request, "clock"])
        changed = self.rng.choice([replace(told[at], request=request), replace(told[at], actor=actor)])
        if changed == told[at]:
            changed = replace(told[at], request=request)
        return rechained([*told[:at], changed, *told[at + 1 :]])

    def _numbered(self, path: Callable[[int], str]) -> list[str]:
        count = 0
        while path(count + 1) in self.files:
            count += 1
        return [path(number) for number in range(1, count + 1)]

    def write(self, folder: Path) -> Path:
        """Unpack it."""
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder


def pairs_of(files: Files) -> list[tuple[bytes, bytes]]:
    """Every event with its proof."""
    pairs = []
    while event_path(len(pairs) + 1) in files:
        pairs.append((files[event_path(len(pairs) + 1)], files[proof_path(len(pairs) + 1)]))
    return pairs


class Amiss(NamedTuple):
    """The number of the event that a verifier names first, 0 where it is none: ours, and the script where it differs."""

    seq: int = 0
    script: int | None = None

    @property
    def scripted(self) -> int:
        return self.seq if self.script is None else self.script


Alteration = Callable[[Packet], Amiss]

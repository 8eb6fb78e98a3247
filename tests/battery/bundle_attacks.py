"""Twelve kinds of tampering with the bundle of a case, by who has everything but the keys; and an independent reader."""

import asyncio
import base64
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

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
    VKEYS,
    Head,
    disclosure_path,
    event_path,
    parse_disclosure,
    proof_path,
)
from mediation.domain.checkpoints import Checkpoint, Proof, parse_checkpoint, parse_proof
from mediation.domain.events import Event, parse
from mediation.domain.notes import Signer, new_signer, sign
from mediation.gateway.embedded import Server
from mediation.gateway.vault import Sealed
from mediation.service.bundles import gather, pack
from mediation.settings import Urls
from mediation.store import database

Files = dict[str, bytes]

_LEAST, _MOST = 4, 16  # events of a case that is tampered with: the script takes its time for each


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
            if len(pairs_of(self.then[case])) >= _LEAST and len(pairs_of(self.now[case])) <= _MOST
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
    for case_id in ids:
        shown = [one for case, *row in rows if case == case_id for one in VAULT.disclosures(case, Sealed(*row))]
        data = pack(await gather(snapshots, case_id), of.keys.events, shown)
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
ALTERATIONS: dict[str, list[Alteration]] = {}
GROWN: set[Alteration] = set()
"""Those that need a case in which something has happened since the older bundle was made."""


def way(kind: str, *, grown: bool = False) -> Callable[[Alteration], Alteration]:
    def take(one: Alteration) -> Alteration:
        ALTERATIONS.setdefault(kind, []).append(one)
        if grown:
            GROWN.add(one)
        return one

    return take


# ── edit ──


@way("edit")
def an_event(packet: Packet) -> Amiss:
    seq = packet.any()
    packet.files[event_path(seq)] = packet.edited(packet.told, seq - 1)[seq - 1].canonical
    return Amiss(seq)


@way("edit")
def all_but_the_signatures(packet: Packet) -> Amiss:
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves)
    return Amiss()


@way("edit")
def the_chain(packet: Packet) -> Amiss:
    seq = packet.any()
    packet.put(packet.edited(packet.told, seq - 1))
    return Amiss(seq)


@way("edit")
def a_bit_of_an_event(packet: Packet) -> Amiss:
    seq = packet.any()
    data = bytearray(packet.files[event_path(seq)])
    data[packet.rng.randrange(len(data))] ^= 1 << packet.rng.randrange(8)
    packet.files[event_path(seq)] = bytes(data)
    return Amiss(seq)


@way("edit")
def a_proof(packet: Packet) -> Amiss:
    seq = packet.any()
    proof = parse_proof(packet.files[proof_path(seq)].decode())
    at = packet.rng.randrange(len(proof.hashes))
    hashes = (*proof.hashes[:at], packet.rng.randbytes(32), *proof.hashes[at + 1 :])
    index = packet.rng.choice([proof.index, (proof.index + 1) % len(packet.shelf.leaves)])
    packet.files[proof_path(seq)] = proof._replace(index=index, hashes=hashes).text.encode()
    return Amiss(seq)


# ── delete ──


@way("delete")
def an_event_s_files(packet: Packet) -> Amiss:
    seq = packet.any()
    del packet.files[event_path(seq)], packet.files[proof_path(seq)]
    return Amiss(seq)


@way("delete")
def an_event_and_all_but_the_signatures(packet: Packet) -> Amiss:
    seq = packet.inner()
    told, places, leaves = packet.told, packet.places, list(packet.shelf.leaves)
    del told[seq - 1], leaves[places[seq - 1]], places[seq - 1]
    places = [place - (number >= seq - 1) for number, place in enumerate(places)]
    packet.remake(rechained(told), places, leaves)
    return Amiss()


@way("delete")
def an_event_and_the_others_moved_up(packet: Packet) -> Amiss:
    seq = packet.inner()
    pairs = packet.pairs()
    del pairs[seq - 1]
    packet.move(pairs)
    return Amiss(seq)


@way("delete")
def its_proof(packet: Packet) -> Amiss:
    seq = packet.any()
    del packet.files[proof_path(seq)]
    return Amiss(seq)


# ── reorder ──


@way("reorder")
def two_events_with_their_proofs(packet: Packet) -> Amiss:
    pairs = packet.pairs()
    one, two = sorted(packet.rng.sample(range(len(pairs)), 2))
    pairs[one], pairs[two] = pairs[two], pairs[one]
    packet.move(pairs)
    return Amiss(one + 1)


@way("reorder")
def two_events_and_all_but_the_signatures(packet: Packet) -> Amiss:
    told = packet.told
    one = packet.inner() - 1
    told[one], told[one + 1] = told[one + 1], told[one]
    packet.remake(rechained(told), packet.places, packet.shelf.leaves)
    return Amiss()


@way("reorder")
def two_events_in_the_place_of_each_other(packet: Packet) -> Amiss:
    pairs = packet.pairs()
    one, two = sorted(packet.rng.sample(range(len(pairs)), 2))
    for here, there in ((one, two), (two, one)):
        packet.files[event_path(here + 1)] = pairs[there][0]
    return Amiss(one + 1)


@way("reorder")
def two_events_and_the_chain(packet: Packet) -> Amiss:
    told = packet.told
    one = packet.inner() - 1
    told[one], told[one + 1] = told[one + 1], told[one]
    packet.put(rechained(told))
    return Amiss(one + 1)


# ── insert ──


@way("insert")
def an_event_twice(packet: Packet) -> Amiss:
    seq = packet.inner()
    pairs = packet.pairs()
    packet.move([*pairs[:seq], pairs[seq - 1], *pairs[seq:]])
    return Amiss(seq + 1)


@way("insert")
def an_event_in_the_middle_and_all_but_the_signatures(packet: Packet) -> Amiss:
    seq = packet.inner()
    told, places, leaves = packet.told, packet.places, list(packet.shelf.leaves)
    at = places[seq - 1] + 1
    leaves.insert(at, bytes(32))
    made = rechained([*told[:seq], replace(told[seq - 1], action="note", attrs={}), *told[seq:]])
    packet.remake(made, [*places[:seq], at, *(place + 1 for place in places[seq:])], leaves)
    return Amiss()


@way("insert")
def an_event_at_the_end(packet: Packet) -> Amiss:
    told = packet.told
    made = rechained([*told, replace(told[-1], action="note", from_=told[-1].to, attrs={})])
    packet.files[event_path(len(made))] = made[-1].canonical
    packet.files[proof_path(len(made))] = packet.files[proof_path(len(told))]
    return Amiss(len(made))


@way("insert")
def another_case_s_event(packet: Packet) -> Amiss:
    seq = len(packet.told) + 1
    packet.files[event_path(seq)], packet.files[proof_path(seq)] = packet.rng.choice(pairs_of(packet.other))
    return Amiss(seq)


@way("insert")
def a_file(packet: Packet) -> Amiss:
    seq = packet.rng.randrange(len(packet.told) + 2, 9999)
    packet.files[packet.rng.choice((event_path(seq), proof_path(seq)))] = packet.files[event_path(1)]
    return Amiss(seq)


# ── cut ──


def cut(packet: Packet) -> int:
    """Take the last events away; how many are left."""
    left = packet.rng.randrange(1, len(packet.told))
    packet.move(packet.pairs()[:left])
    return left


def shorter(packet: Packet) -> str:
    """What a head would say of those that are left."""
    told = packet.told
    last = merkle.leaf_hash(told[-1].canonical)
    return Head(packet.shelf.county.keys.events.origin, packet.case_id, len(told), last, len(packet.shelf.leaves)).text


@way("cut")
def the_last_events(packet: Packet) -> Amiss:
    return Amiss(cut(packet) + 1)


@way("cut")
def and_the_head_says_so(packet: Packet) -> Amiss:
    cut(packet)
    packet.files[HEAD] = packet.signed(shorter(packet), HEAD, None).encode()
    return Amiss()


@way("cut")
def and_the_head_is_a_stranger_s(packet: Packet) -> Amiss:
    cut(packet)
    packet.files[HEAD] = sign(shorter(packet), packet.foreign()).encode()
    return Amiss()


@way("cut", grown=True)
def and_the_head_is_an_older_one(packet: Packet) -> Amiss:
    packet.move(packet.pairs()[: len(pairs_of(packet.then))])
    packet.files[HEAD] = packet.then[HEAD]
    return Amiss()


@way("cut")
def and_the_head(packet: Packet) -> Amiss:
    cut(packet)
    del packet.files[HEAD]
    return Amiss()


# ── swap ──


@way("swap")
def the_history_under_the_head(packet: Packet) -> Amiss:
    packet.move(pairs_of(packet.other))
    return Amiss(0, script=1)


@way("swap")
def the_history_and_all_but_the_signatures(packet: Packet) -> Amiss:
    other = packet.other
    told = [replace(parse(event), case=packet.case_id) for event, _ in pairs_of(other)]
    places = [parse_proof(proof.decode()).index for _, proof in pairs_of(other)]
    packet.remake(rechained(told), places, packet.shelf.leaves)
    return Amiss()


@way("swap")
def one_event(packet: Packet) -> Amiss:
    seq = packet.rng.randrange(1, _LEAST + 1)
    packet.files[event_path(seq)], packet.files[proof_path(seq)] = pairs_of(packet.other)[seq - 1]
    # The first event of another case may begin any history: what does not follow is the next.
    return Amiss(max(seq, 2), script=seq)


@way("swap")
def the_history_told_of_this_case(packet: Packet) -> Amiss:
    pairs = pairs_of(packet.other)
    told = rechained([replace(parse(event), case=packet.case_id) for event, _ in pairs])
    packet.move([(event.canonical, proof) for event, (_, proof) in zip(told, pairs, strict=True)])
    return Amiss(1)


@way("swap")
def the_head(packet: Packet) -> Amiss:
    packet.files[HEAD] = packet.other[HEAD]
    return Amiss(0, script=1)


# ── foreign key ──


@way("foreign key")
def everything(packet: Packet) -> Amiss:
    signer = packet.foreign()
    packet.remake(packet.told, packet.places, packet.shelf.leaves, signer)
    packet.files[VKEYS] = f"{signer.verifier.text}\n".encode()
    return Amiss()


@way("foreign key")
def an_edit_and_everything(packet: Packet) -> Amiss:
    signer = packet.foreign()
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves, signer)
    packet.files[VKEYS] = f"{signer.verifier.text}\n".encode()
    return Amiss()


@way("foreign key")
def under_another_name(packet: Packet) -> Amiss:
    signer = packet.foreign("other.example/log")
    packet.remake(packet.told, packet.places, packet.shelf.leaves, signer)
    packet.files[VKEYS] = f"{signer.verifier.text}\n".encode()
    return Amiss()


@way("foreign key")
def one_proof(packet: Packet) -> Amiss:
    seq = packet.any()
    proof = parse_proof(packet.files[proof_path(seq)].decode())
    text = proof.note.partition("\n\n")[0] + "\n"
    packet.files[proof_path(seq)] = proof._replace(note=sign(text, packet.foreign())).text.encode()
    return Amiss(seq)


@way("foreign key")
def beside_the_true_one(packet: Packet) -> Amiss:
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves)
    was = packet.files[CHECKPOINT].decode()
    now = was + packet.foreign().line(was.partition("\n\n")[0] + "\n")
    packet.files = {name: data.replace(was.encode(), now.encode()) for name, data in packet.files.items()}
    return Amiss()


@way("foreign key")
def the_head_alone(packet: Packet) -> Amiss:
    packet.files[HEAD] = sign(packet.files[HEAD].decode().partition("\n\n")[0] + "\n", packet.foreign()).encode()
    return Amiss()


# ── roll back ──


@way("roll back")
def the_whole_bundle_before_who_kept_more(packet: Packet) -> Amiss:
    size = parse_checkpoint(packet.then[CHECKPOINT].decode().partition("\n\n")[0] + "\n").size
    notes = packet.shelf.county.notes[packet.shelf.county.keys.events.origin]
    packet.kept = (packet.rng.choice([note for signed, note in notes.items() if signed > size]),)
    packet.files, packet.scripted = dict(packet.then), False
    return Amiss()


@way("roll back")
def the_whole_bundle_before_a_witness(packet: Packet) -> Amiss:
    packet.files, packet.witness = dict(packet.then), True
    return Amiss()


@way("roll back")
def the_history_under_the_newest_head(packet: Packet) -> Amiss:
    packet.move(pairs_of(packet.then))
    return Amiss(1)


@way("roll back", grown=True)
def all_but_the_checkpoint(packet: Packet) -> Amiss:
    packet.files = packet.then | {CHECKPOINT: packet.files[CHECKPOINT]}
    return Amiss(1, script=0)


# ── fork ──


def stolen(packet: Packet) -> Signer:
    return packet.shelf.county.keys.events.signer


@way("fork")
def an_edit_before_a_witness(packet: Packet) -> Amiss:
    packet.witness = True
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves, stolen(packet))
    return Amiss()


@way("fork")
def an_edit_before_who_kept_the_newest(packet: Packet) -> Amiss:
    packet.kept, packet.scripted = packet.shelf.county.heads[:1], False
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves, stolen(packet))
    return Amiss()


@way("fork")
def an_event_more_before_a_witness(packet: Packet) -> Amiss:
    one_more_event(packet, stolen(packet))
    packet.witness = True
    return Amiss()


def one_more_event(packet: Packet, by: Signer) -> None:
    told, places = packet.told, packet.places
    made = rechained([*told, replace(told[-1], action="note", from_=told[-1].to, attrs={})])
    packet.remake(made, [*places, len(packet.shelf.leaves)], [*packet.shelf.leaves, bytes(32)], by)


@way("fork")
def with_the_cosignature_of_another_root(packet: Packet) -> Amiss:
    lines = packet.files[CHECKPOINT].decode().rpartition("\n\n")[2].splitlines(keepends=True)
    cosignature = next(line for line in lines if WITNESS.name in line)
    packet.witness = True
    packet.remake(packet.edited(packet.told, packet.any() - 1), packet.places, packet.shelf.leaves, stolen(packet))
    was = packet.files[CHECKPOINT]
    packet.files = {name: data.replace(was, was + cosignature.encode()) for name, data in packet.files.items()}
    return Amiss()


# ── digest ──


def sealing(packet: Packet) -> int:
    """The number of an event that has a digest."""
    return packet.rng.choice([event.seq for event in packet.told if event.sd])


def forged(packet: Packet, seq: int, digest: str = "", was: str = "") -> list[Event]:
    told = packet.told
    event = told[seq - 1]
    new = digest or base64.urlsafe_b64encode(packet.rng.randbytes(32)).decode().rstrip("=")
    left = {*event.sd, new} - {was or packet.rng.choice(event.sd)}
    return rechained([*told[: seq - 1], replace(event, sd=tuple(sorted(left))), *told[seq:]])


@way("digest")
def of_an_event(packet: Packet) -> Amiss:
    seq = sealing(packet)
    packet.files[event_path(seq)] = forged(packet, seq)[seq - 1].canonical
    return Amiss(seq)


@way("digest")
def and_all_but_the_signatures(packet: Packet) -> Amiss:
    packet.remake(forged(packet, sealing(packet)), packet.places, packet.shelf.leaves)
    return Amiss()


@way("digest")
def and_the_chain(packet: Packet) -> Amiss:
    seq = sealing(packet)
    packet.put(forged(packet, seq))
    return Amiss(seq)


@way("digest")
def taken_away(packet: Packet) -> Amiss:
    seq = sealing(packet)
    event = packet.told[seq - 1]
    left = tuple(sorted(set(event.sd) - {packet.rng.choice(event.sd)}))
    packet.files[event_path(seq)] = replace(event, sd=left, sd_alg="sha-256" if left else "").canonical
    return Amiss(seq)


# ── disclosure ──


def decoded(text: bytes) -> list[Any]:
    made: list[Any] = json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    return made


def encoded(parts: Sequence[Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).rstrip(b"=")


def lied(packet: Packet) -> tuple[str, bytes]:
    """A disclosure that says something else, and the path of the one in whose place it is."""
    path = packet.rng.choice(packet.disclosures())
    salt, name, value = decoded(packet.files[path])
    return path, encoded([salt, name, f"{value}。" if isinstance(value, str) else {**value, "kind": "legal"}])


@way("disclosure")
def what_it_says(packet: Packet) -> Amiss:
    path, lie = lied(packet)
    packet.files[path] = lie
    return Amiss()


def sealed_outside(packet: Packet) -> tuple[int, str, bytes, str, str]:
    """The event that has the digest of a disclosure, whose path, what it is to say, and the two digests."""
    events = {digest: event.seq for event in packet.told for digest in event.sd}
    while True:
        path, lie = lied(packet)
        was = parse_disclosure(packet.files[path].decode()).digest
        if was in events:
            return events[was], path, lie, parse_disclosure(lie.decode()).digest, was


@way("disclosure")
def with_digest_and_all_but_the_signatures(packet: Packet) -> Amiss:
    seq, path, lie, now, was = sealed_outside(packet)
    packet.files[path] = lie
    packet.remake(forged(packet, seq, now, was), packet.places, packet.shelf.leaves)
    return Amiss()


@way("disclosure")
def another_case_s(packet: Packet) -> Amiss:
    others = [data for name, data in packet.other.items() if name.startswith("disclosures/")]
    packet.files[packet.rng.choice(packet.disclosures())] = packet.rng.choice(others)
    return Amiss()


@way("disclosure")
def one_more(packet: Packet) -> Amiss:
    packet.files[disclosure_path(len(packet.disclosures()) + 1)] = lied(packet)[1]
    return Amiss()


@way("disclosure")
def with_digest_and_chain(packet: Packet) -> Amiss:
    seq, path, lie, now, was = sealed_outside(packet)
    packet.files[path] = lie
    packet.put(forged(packet, seq, now, was))
    return Amiss(seq)


# ── stale checkpoint ──


@way("stale checkpoint")
def in_the_place_of_the_newest(packet: Packet) -> Amiss:
    packet.files[CHECKPOINT] = packet.then[CHECKPOINT]
    return Amiss(1, script=0)


@way("stale checkpoint")
def with_its_head(packet: Packet) -> Amiss:
    packet.files |= {name: packet.then[name] for name in (CHECKPOINT, HEAD)}
    return Amiss(1)


@way("stale checkpoint")
def of_one_event(packet: Packet) -> Amiss:
    seq = packet.rng.randrange(1, len(pairs_of(packet.then)) + 1)
    packet.files[proof_path(seq)] = packet.then[proof_path(seq)]
    return Amiss(seq)


@way("stale checkpoint", grown=True)
def with_what_happened_since(packet: Packet) -> Amiss:
    packet.files = packet.files | packet.then
    return Amiss(len(pairs_of(packet.then)) + 1)


@way("stale checkpoint")
def under_the_newest_head(packet: Packet) -> Amiss:
    packet.files = packet.then | {HEAD: packet.files[HEAD]}
    return Amiss()

"""The history in a bundle edited, deleted, reordered, inserted, cut and swapped; and what is disclosed of it."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from tests.battery.packets import LEAST, Alteration, Amiss, Packet, pairs_of
from tests.battery.tampering import rechained
from tests.battery.ways import Ways

from mediation.domain import merkle
from mediation.domain.bundling import (
    HEAD,
    Head,
    disclosure_path,
    event_path,
    parse_disclosure,
    proof_path,
)
from mediation.domain.checkpoints import parse_proof
from mediation.domain.events import Event, parse
from mediation.domain.notes import sign

way: Ways[Alteration] = Ways()


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


@way("cut", special=True)
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
    seq = packet.rng.randrange(1, LEAST + 1)
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
    lie = f"{value}。" if isinstance(value, str) else {**value, "kind": f"{value.get('kind', '')}x"}
    return path, encoded([salt, name, lie])


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

"""What signs a bundle: under a foreign key, rolled back, forked and stale."""

from msgspec.structs import replace
from tests.battery.packets import Alteration, Amiss, Packet, pairs_of
from tests.battery.tampering import WITNESS, rechained
from tests.battery.ways import Ways

from mediation.domain.bundling import (
    CHECKPOINT,
    HEAD,
    VKEYS,
    proof_path,
)
from mediation.domain.checkpoints import parse_checkpoint, parse_proof
from mediation.domain.notes import Signer, sign

way: Ways[Alteration] = Ways()


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


@way("roll back", special=True)
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


@way("stale checkpoint", special=True)
def with_what_happened_since(packet: Packet) -> Amiss:
    packet.files = packet.files | packet.then
    return Amiss(len(pairs_of(packet.then)) + 1)


@way("stale checkpoint")
def under_the_newest_head(packet: Packet) -> Amiss:
    packet.files = packet.then | {HEAD: packet.files[HEAD]}
    return Amiss()

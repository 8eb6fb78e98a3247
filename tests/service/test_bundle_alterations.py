"""Whatever is done to a case's bundle is told, and at which event."""

import base64
import json
import random
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from tests.service.parcels import found, read_by_us
from tests.unpacked import SHELLS, unpack, verify_sh

from mediation.domain import merkle
from mediation.domain.bundling import Head, disclosure_path, event_path, parse_disclosure, proof_path
from mediation.domain.checkpoints import Checkpoint, Proof
from mediation.domain.notes import new_signer, sign
from mediation.gateway.logkeys import LogKey
from mediation.service.bundles import pack
from mediation.store.logbook import Published


def text(folder, path):
    return (folder / path).read_text("utf-8")


def write(folder, path, data):
    (folder / path).write_bytes(data if isinstance(data, bytes) else data.encode())


def edit(folder, seq=3):
    write(folder, event_path(seq), text(folder, event_path(seq)).replace('"note"', '"nota"'))


def edit_and_chain(folder):
    """As the operator would: the events behind follow the altered one."""
    edit(folder)
    prev = merkle.leaf_hash((folder / event_path(3)).read_bytes()).hex()
    for seq in range(4, 8):
        data = re.sub(r'"prev":"\w+"', f'"prev":"{prev}"', text(folder, event_path(seq)))
        write(folder, event_path(seq), data)
        prev = merkle.leaf_hash(data.encode()).hex()


def remove(folder, seq):
    (folder / event_path(seq)).unlink()
    (folder / proof_path(seq)).unlink()


def close_the_gap(folder):
    remove(folder, 3)
    for seq in range(4, 8):
        (folder / event_path(seq)).rename(folder / event_path(seq - 1))
        (folder / proof_path(seq)).rename(folder / proof_path(seq - 1))


def swap(folder, path, first=2, second=3):
    one, two = (folder / path(number) for number in (first, second))
    data, others = one.read_bytes(), two.read_bytes()
    one.write_bytes(others)
    two.write_bytes(data)


def reorder(folder):
    swap(folder, event_path)
    swap(folder, proof_path)


def insert(folder):
    for path in (event_path, proof_path):
        shutil.copy(folder.parent / "other" / path(5), folder / path(8))


def replace_by_the_other_case_s(folder, seq=4):
    for path in (event_path, proof_path):
        shutil.copy(folder.parent / "other" / path(seq), folder / path(seq))


def swap_cases(folder):
    for name in ("events", "proofs"):
        shutil.rmtree(folder / name)
        shutil.copytree(folder.parent / "other" / name, folder / name)


def cut(folder):
    remove(folder, 7)


def cut_and_say_so(folder):
    cut(folder)
    write(folder, "head", text(folder, "head").replace("\n7\n", "\n6\n"))


def cut_with_the_head(folder):
    cut(folder)
    (folder / "head").unlink()


def earlier(*paths):
    def put(folder):
        for path in paths:
            shutil.copy(folder.parent / "earlier" / path, folder / path)

    return put


def other(*paths):
    def put(folder):
        for path in paths:
            shutil.copy(folder.parent / "other" / path, folder / path)

    return put


def lines(path, change):
    def put(folder):
        said = text(folder, path).split("\n")
        change(said)
        write(folder, path, "\n".join(said))

    return put


def another_base64(said, at):
    said[at] = base64.b64encode(bytes(32)).decode()


def stray_bit(said):
    said[2] = said[2][:42] + chr(ord(said[2][42]) + 1) + "="


def appended(path, data):
    return lambda folder: write(folder, path, (folder / path).read_bytes() + data)


def gone(path):
    return lambda folder: (folder / path).unlink()


def new(path, data=b""):
    return lambda folder: write(folder, path, data)


def disclose_another_name(folder):
    path = next(
        path for path in sorted((folder / "disclosures").iterdir()) if parse_disclosure(path.read_text()).name == "name"
    )
    forged = base64.urlsafe_b64encode(json.dumps(["salt", "name", "王麻子"]).encode()).rstrip(b"=")
    path.write_bytes(forged)


ALTERATIONS = {
    "an event is edited": (edit, "event 3: is not in the log"),
    "an event is edited and the chain mended": (edit_and_chain, "event 3: is not in the log"),
    "a line feed stands behind an event": (appended(event_path(2), b"\n"), "event 2: is not in the log"),
    "a NUL stands in an event": (appended(event_path(2), b"\0"), "event 2: is"),
    "an event is removed": (partial(remove, seq=3), "event 3: is missing"),
    "an event is removed and the gap closed": (close_the_gap, "event 3: says that it is number 4"),
    "the first event is removed": (partial(remove, seq=1), "event 1: is missing"),
    "a proof is removed": (gone(proof_path(4)), "event 4: its proof is missing"),
    "events change places": (partial(swap, path=event_path), "event 2: is not in the log"),
    "events change places with their proofs": (reorder, "event 2: says that it is number 3"),
    "proofs change places": (partial(swap, path=proof_path), "event 2: is not in the log"),
    "an event of another case is put in": (insert, "event 8: a file too many"),
    "an event is another case's": (replace_by_the_other_case_s, "event 4: belongs to another case"),
    "all events are another case's": (swap_cases, "event 1: belongs to another case"),
    "the tail is cut": (cut, "event 7: is missing"),
    "the tail is cut and the head says so": (cut_and_say_so, "the head: the signature of"),
    "the tail is cut and the head with it": (cut_with_the_head, "head is missing"),
    "the head is an earlier one": (earlier("head"), "the head: is not of the same moment"),
    "the checkpoint is an earlier one": (earlier("checkpoint"), "the head: is not of the same moment"),
    "checkpoint and head are earlier ones": (
        earlier("checkpoint", "head"),
        "event 1: its proof is not under the checkpoint of this bundle",
    ),
    "the bundle is an earlier one with later events behind it": (
        earlier("checkpoint", "head", *(proof_path(seq) for seq in range(1, 5))),
        "event 5: a file too many",
    ),
    "a proof is under an earlier checkpoint": (
        earlier(proof_path(2)),
        "event 2: its proof is not under the checkpoint of this bundle",
    ),
    "the head is another case's": (other("head"), "event 1: belongs to another case"),
    "the root is another": (lines("checkpoint", partial(another_base64, at=2)), "the checkpoint: the signature of"),
    "the size is another": (
        lines("checkpoint", lambda said: said.__setitem__(1, f"{int(said[1]) + 1}")),
        "the checkpoint: the signature of",
    ),
    "a hash of a proof is another": (
        lines(proof_path(5), partial(another_base64, at=3)),
        "event 5: is not in the log",
    ),
    "a hash of a proof has a stray bit": (lines(proof_path(5), stray_bit), "event 5: its proof is malformed"),
    "a hash of a proof is left out": (lines(proof_path(5), lambda said: said.pop(2)), "event 5: is not in the log"),
    "a proof has a hash too many": (
        lines(proof_path(5), lambda said: said.insert(2, said[2])),
        "event 5: is not in the log",
    ),
    "the index is another": (
        lines(proof_path(5), lambda said: said.__setitem__(1, "index 0")),
        "event 5: is not in the log",
    ),
    "the index is no number": (
        lines(proof_path(5), lambda said: said.__setitem__(1, "index 07")),
        "event 5: its proof is malformed",
    ),
    "the checkpoint is gone": (gone("checkpoint"), "checkpoint is missing"),
    "the checkpoint is empty": (new("checkpoint"), "the checkpoint: is not a signed note"),
    "a NUL stands in the checkpoint": (appended("checkpoint", b"\0"), "checkpoint is missing"),
    "the keys are gone": (gone("log.vkey"), "log.vkey is missing"),
    "the keys are nonsense": (new("log.vkey", b"hello\n"), "a key cannot be used"),
    "a file is hidden among the events": (new("events/.0008.json", b"{}"), "a file too many"),
    "a proof stands without its event": (new(proof_path(9), b""), "event 9: a file too many"),
    "a name is disclosed that is not the one recorded": (disclose_another_name, "no event holds its digest"),
    "a disclosure is of another case": (other(disclosure_path(1)), "disclosure 1: no event holds its digest"),
    "a disclosure is altered": (appended(disclosure_path(2), b"A"), "disclosure 2: no event holds its digest"),
    "disclosures leave a number out": (gone(disclosure_path(2)), "a file too many"),
}


@pytest.mark.parametrize("how", ALTERATIONS)
def test_whatever_is_altered_the_first_event_that_fails_is_named_by_the_script_and_by_us(bundle, made, how):
    alter, words = ALTERATIONS[how]
    alter(bundle)
    status, said = found(bundle)
    assert (status, words in said) == (1, True), said
    assert said.count("\n") == 2  # once in each language
    ours = read_by_us(bundle, made["key"])
    if how not in {"the keys are gone", "the keys are nonsense"}:  # we go by the keys that we brought
        assert not ours.sound
    named = re.match(r"event (\d+):", words)
    if named and words != "event 1: belongs to another case":  # of all events it is the head that we say it of
        assert ours.failures[0].seq == int(named[1]), ours.failures[0]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("how", ["an event is edited", "the tail is cut", "a NUL stands in an event"])
def test_every_shell_says_the_same(bundle, how, shell):
    alter, words = ALTERATIONS[how]
    alter(bundle)
    done = verify_sh(bundle, shell=shell)
    assert (done.returncode, words in done.stdout) == (1, True), done.stdout


def test_a_history_signed_by_a_foreign_key_of_the_same_name_is_told_by_who_has_the_published_key(made, tmp_path):
    dossier, own = made["dossier"], made["key"].signer.verifier.text
    forger = LogKey(new_signer(made["key"].origin, b"f" * 32), (), Path("forged.key"))
    leaves = [merkle.leaf_hash(data) for data in dossier.events]
    checkpoint = Checkpoint(forger.origin, len(leaves), merkle.root(leaves))
    note = sign(checkpoint.text, forger.signer)
    proofs = tuple(Proof(at, tuple(merkle.inclusion_proof(leaves, at)), note) for at in range(len(leaves)))
    forged = dossier._replace(proofs=proofs, published=Published(*checkpoint[:3], note))
    folder = unpack(pack(forged, forger), tmp_path / "case")
    assert found(folder)[0] == 0  # agrees with itself: that is all that its own key can say
    status, said = found(folder, own)
    assert (status, "the checkpoint: is not signed by a key of the log" in said) == (1, True), said


def test_no_single_bit_is_missed(bundle, made):
    """Bits of every file but those that verify: the script and our verifier refuse each."""
    chance = random.Random(20261122)
    paths = [path for path in sorted(bundle.rglob("*")) if path.is_file() and path.suffix not in {".md", ".sh"}]
    missed = []
    for path in chance.choices(paths, k=20):
        data = path.read_bytes()
        at = chance.randrange(len(data) * 8)
        path.write_bytes(data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :])
        if verify_sh(bundle).returncode != 1:
            missed.append((path.name, at, "verify.sh"))
        if path.name != "log.vkey" and read_by_us(bundle, made["key"]).sound:
            missed.append((path.name, at, "verify_bundle"))
        path.write_bytes(data)
    assert not missed


def test_a_head_of_a_shorter_history_that_the_log_never_signed_is_refused(bundle, made):
    remove(bundle, 7)
    dossier = made["dossier"]
    stranger = new_signer(made["key"].origin, b"s" * 32)
    leaf = merkle.leaf_hash(dossier.events[5])
    note = Head(made["key"].origin, dossier.case_id, 6, leaf, dossier.published.size).signed(stranger)
    write(bundle, "head", note)
    status, said = found(bundle)
    assert (status, "the head: is not signed by a key of the log" in said) == (1, True), said


def test_a_name_that_looks_like_a_list_of_digests_is_a_name(made, tmp_path):
    status, said = found(unpack(made["other"], tmp_path / "case"))
    assert status == 0, said

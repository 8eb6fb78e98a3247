"""A case's bundle shows its whole history to whoever has it; whatever is done to it is told, and at which event."""

import asyncio
import base64
import hashlib
import json
import random
import re
import shutil
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from tests.service.town import NOTE, PARTIES, Town, asked_by, opened
from tests.unpacked import SHELLS, pack_again, unpack, verify_sh
from tests.whole import integrated, keys_of
from tlog_scales import tlog
from tlog_scales.signing import Vkey

from mediation.domain import merkle
from mediation.domain.bundling import Head, disclosure_path, event_path, parse_disclosure, proof_path
from mediation.domain.checkpoints import Checkpoint, Proof, parse_proof
from mediation.domain.errors import BrokenTrail, NotFound, NotPermitted
from mediation.domain.notes import SignatureKind, new_signer, sign
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import LogKey
from mediation.service.bundles import Dossier, NotYetLogged, gather, pack
from mediation.service.disclosing import asking, disclosed_whole
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle
from mediation.store import database
from mediation.store.logbook import Published

PARTY = {**PARTIES[0], "name": '王五 "_sd":["x"]'}


async def dossier_of(town: Town, case_id: str, patience_s: float = 0) -> Dossier:
    engine = database.engine(town.urls.reader)
    try:
        snapshots = engine.execution_options(isolation_level="REPEATABLE READ").begin
        return await gather(snapshots, case_id, patience_s=patience_s)
    finally:
        await engine.dispose()


async def disclosed(town: Town, case_id: str, who: str = "wang") -> list[str]:
    seen = await town.seen(who, case_id)
    return await disclosed_whole(town.house, asking(asked_by(who).context, seen.case, seen), "复核卷宗")


@pytest.fixture(scope="module")
def made(populated, tmp_path_factory):
    """Two cases and a few of other people's events between theirs; each case's bundle, and an earlier one of the first."""

    async def tell():
        async with opened(populated) as town:
            case = (await town.file()).case
            other = (await town.file(parties=[PARTY, PARTIES[1]])).case
            for version in range(1, 4):
                await town.step("wang", case, NOTE | {"text": "电话联系"}, version=version)
                await town.step("wang", other, NOTE, version=version)
            await integrated(town.urls)
            earlier = await dossier_of(town, case)
            for version in range(4, 7):
                await town.step("wang", case, NOTE, version=version)
                await town.step("wang", other, NOTE, version=version)
            await integrated(town.urls)
            shown = await disclosed(town, case), await disclosed(town, other)
            return earlier, await dossier_of(town, case), await dossier_of(town, other), shown

    earlier, case, other, (shown, others) = asyncio.run(tell())
    key = keys_of(populated).events
    return {
        "key": key,
        "dossier": case,
        "earlier": pack(earlier, key),
        "case": pack(case, key, shown),
        "other": pack(other, key, others),
    }


@pytest.fixture
def bundle(made, tmp_path):
    """The bundle of the first case, unpacked; beside it the earlier one and that of the other case."""
    for name in ("earlier", "other"):
        unpack(made[name], tmp_path / name)
    return unpack(made["case"], tmp_path / "case")


def found(folder: Path, *vkeys: str, shell: str = "sh") -> tuple[int, str]:
    done = verify_sh(folder, *vkeys, shell=shell)
    assert done.stderr == ""
    return done.returncode, done.stdout


def read_by_us(folder: Path, key: LogKey):
    return verify_bundle(pack_again(folder), Trust(key.verifiers))


# ── what is in it ──


def test_a_bundle_holds_every_event_and_its_proof_and_what_verifies_them(made):
    names = zipfile.ZipFile(BytesIO(made["other"])).namelist()
    events = [f"events/{seq:04}.json" for seq in range(1, 8)]
    proofs = [f"proofs/{seq:04}.tlog-proof" for seq in range(1, 8)]
    single = ["VERIFY.md", "verify.sh", "log.vkey", "checkpoint", "head"]
    assert sorted(name for name in names if not name.startswith("disclosures/")) == sorted(single + events + proofs)


def test_every_proof_is_against_the_one_published_checkpoint(bundle):
    note = (bundle / "checkpoint").read_text("utf-8")
    assert {parse_proof(path.read_text("utf-8")).note for path in (bundle / "proofs").iterdir()} == {note}


def test_events_are_the_very_bytes_that_are_stored_without_a_line_feed(made, bundle):
    stored = made["dossier"].events
    assert [(bundle / event_path(seq)).read_bytes() for seq in range(1, len(stored) + 1)] == list(stored)
    assert not any(data.endswith(b"\n") for data in stored)


async def test_the_same_history_under_the_same_checkpoint_is_the_same_bytes(made, town):
    again = await dossier_of(town, made["dossier"].case_id)
    assert pack(again, made["key"]) == pack(made["dossier"], made["key"])


def test_a_bundle_made_without_permission_holds_codes_and_digests_only(made):
    plain = pack(made["dossier"], made["key"])
    assert not any(name.startswith("disclosures/") for name in zipfile.ZipFile(BytesIO(plain)).namelist())
    assert "张三丰".encode() not in plain


def test_a_head_cannot_be_taken_for_a_checkpoint(made, bundle):
    with pytest.raises(tlog.ParseError if hasattr(tlog, "ParseError") else ValueError):
        tlog.Checkpoint.from_text((bundle / "head").read_text("utf-8"))


# ── what is to be had ──


async def test_a_case_that_is_not_there_has_no_bundle(town):
    with pytest.raises(NotFound):
        await dossier_of(town, "00000000-0000-7000-8000-000000000000")


async def test_a_case_whose_last_event_is_not_yet_logged_is_refused_and_then_whole(town):
    case = (await town.file()).case
    with pytest.raises(NotYetLogged):
        await dossier_of(town, case)
    await integrated(town.urls)
    assert len((await dossier_of(town, case)).events) == 1


async def test_the_last_event_is_waited_for(town):
    case = (await town.file()).case
    waiting = asyncio.create_task(dossier_of(town, case, patience_s=30))
    await asyncio.sleep(0.05)
    await integrated(town.urls)
    assert len((await waiting).events) == 1


def test_another_log_s_key_signs_no_head_here(made):
    foreign = LogKey(new_signer("other.example/log", b"o" * 32), (), Path("other.key"))
    with pytest.raises(BadKeyFile, match=re.escape(made["key"].origin)):
        pack(made["dossier"], foreign)


def test_what_does_not_verify_does_not_leave_the_house(made):
    dossier = made["dossier"]
    altered = dossier.events[2].replace(b'"note"', b'"nota"')
    with pytest.raises(BrokenTrail, match="event 3"):
        pack(dossier._replace(events=(*dossier.events[:2], altered, *dossier.events[3:])), made["key"])


async def test_who_may_not_see_plain_values_gets_none_and_the_attempt_leaves_no_entry(made, town):
    with pytest.raises(NotPermitted):
        await disclosed(town, made["dossier"].case_id, "li")


def test_a_disclosure_says_what_the_party_is_called_and_its_digest_is_in_an_event(bundle):
    told = [parse_disclosure(path.read_text("ascii")) for path in sorted((bundle / "disclosures").iterdir())]
    committed = set(json.loads((bundle / event_path(1)).read_bytes())["_sd"])
    party = next(one for one in told if one.name == "party_1")
    assert party.digest in committed
    fields = {one.name: one.value for one in told if one.digest in party.inner}
    assert fields == {"name": "张三丰", "phone": "13800001234", "id_number": "150599199001011231"}


# ── verified without us ──


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_openssl_and_coreutils_find_it_whole(bundle, made, shell):
    status, said = found(bundle, made["key"].signer.verifier.text, shell=shell)
    assert (status, "whole, in order, unaltered; events: 7\n" in said) == (0, True), said
    assert "log.vkey in this bundle" not in said


def test_whoever_brings_no_key_is_told_whose_it_was(bundle):
    status, said = found(bundle)
    assert (status, "log.vkey in this bundle" in said) == (0, True), said


def test_another_program_verifies_every_proof(bundle):
    note = (bundle / "checkpoint").read_text("utf-8")
    theirs = tlog.Checkpoint.from_text(note)
    theirs.verify(Vkey.from_string((bundle / "log.vkey").read_text("utf-8").splitlines()[0]))
    for seq in range(1, 8):
        proof = parse_proof((bundle / proof_path(seq)).read_text("utf-8"))
        leaf = hashlib.sha256(b"\x00" + (bundle / event_path(seq)).read_bytes()).digest()
        tlog.InclusionProof(proof.index, theirs.size, list(proof.hashes)).check(leaf, theirs.root_hash)


def test_a_witness_whose_key_is_given_must_have_cosigned(made, tmp_path):
    court, stranger = (
        new_signer(f"{name}.example/witness", name[:1].encode() * 32, SignatureKind.COSIGNATURE)
        for name in ("court", "stranger")
    )
    dossier = made["dossier"]
    note = dossier.published.note
    note += court.line(note.partition("\n\n")[0] + "\n", 1_900_000_000)
    cosigned = dossier._replace(
        published=dossier.published._replace(note=note),
        proofs=tuple(proof._replace(note=note) for proof in dossier.proofs),
    )
    folder = unpack(pack(cosigned, made["key"]), tmp_path / "case")
    own = made["key"].signer.verifier.text
    assert "cosignatures checked: 1" in found(folder, own, court.verifier.text)[1]
    status, said = found(folder, own, stranger.verifier.text)
    assert (status, "the witness stranger.example/witness has not cosigned it" in said) == (1, True), said


def test_a_retired_key_stays_in_the_bundle_and_its_checkpoint_counts(made, tmp_path):
    old = made["key"]
    key = LogKey(new_signer(old.origin, b"n" * 32), (old.signer.verifier,), old.path)
    folder = unpack(pack(made["dossier"], key), tmp_path / "case")
    assert (folder / "log.vkey").read_text("utf-8").splitlines() == [
        key.signer.verifier.text,
        old.signer.verifier.text,
    ]
    assert found(folder)[0] == 0
    assert found(folder, key.signer.verifier.text)[0] == 1


def test_events_of_an_earlier_epoch_are_under_its_own_checkpoint(made, tmp_path):
    dossier = made["dossier"]
    before, after = new_signer("log.example/1", b"1" * 32), new_signer("log.example/2", b"2" * 32)
    leaves = [merkle.leaf_hash(data) for data in dossier.events]
    proofs, notes = [], []
    for signer, part in ((before, leaves[:3]), (after, leaves[3:])):
        note = sign(Checkpoint(signer.name, len(part), merkle.root(part)).text, signer)
        proofs += [Proof(at, tuple(merkle.inclusion_proof(part, at)), note) for at in range(len(part))]
        notes.append((note, merkle.root(part)))
    published = Published(after.name, len(leaves) - 3, notes[1][1], notes[1][0])
    key = LogKey(after, (before.verifier,), Path("log.key"))
    data = pack(dossier._replace(proofs=tuple(proofs), published=published), key)
    folder = unpack(data, tmp_path / "case")
    assert found(folder)[0] == 0
    assert found(folder, after.verifier.text)[1].count("event 1: the checkpoint of its proof") == 1


# ── altered ──


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

"""A case's bundle holds its whole history, for whoever has it to verify with nothing of ours."""

import asyncio
import hashlib
import json
import re
import zipfile
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from tests.service.parcels import disclosed, dossier_of, found
from tests.service.town import NOTE, opened, populate
from tests.unpacked import SHELLS, pack_again, unpack
from tests.whole import integrated, keys_of, whole
from tlog_scales import tlog
from tlog_scales.signing import Vkey

from mediation.domain import merkle
from mediation.domain.bundling import event_path, parse_disclosure, proof_path
from mediation.domain.checkpoints import Checkpoint, Proof, parse_proof
from mediation.domain.errors import BrokenTrail, NotFound, NotPermitted
from mediation.domain.notes import SignatureKind, new_signer, sign
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import LogKey
from mediation.service.bundles import NotYetLogged, _zipped, pack
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle
from mediation.settings import Urls
from mediation.store.logbook import Published

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
    (failure,) = verify_bundle(pack_again(folder), Trust((key.signer.verifier,))).failures
    lacking = f"{old.origin}+{old.signer.verifier.key_id.hex()}; give every key published"
    assert (failure.reason.code, lacking in failure.reason.en) == ("bad_checkpoint", True), failure


def begun_anew(made, before, after):
    """The case in two trees, the log's key being now that of the second."""
    dossier = made["dossier"]
    leaves = [merkle.leaf_hash(data) for data in dossier.events]
    proofs, notes = [], []
    for signer, part in ((before, leaves[:3]), (after, leaves[3:])):
        note = sign(Checkpoint(signer.name, len(part), merkle.root(part)).text, signer)
        proofs += [Proof(at, tuple(merkle.inclusion_proof(part, at)), note) for at in range(len(part))]
        notes.append((note, merkle.root(part)))
    published = Published(after.name, len(leaves) - 3, notes[1][1], notes[1][0])
    key = LogKey(after, (before.verifier,), Path("log.key"))
    return dossier._replace(proofs=tuple(proofs), published=published), key


@pytest.mark.parametrize("earlier", ["log.example", "log.example/epoch-2"])
def test_events_of_an_earlier_epoch_are_under_its_own_checkpoint(made, tmp_path, earlier):
    before, after = new_signer(earlier, b"1" * 32), new_signer("log.example/epoch-4", b"2" * 32)
    folder = unpack(pack(*begun_anew(made, before, after)), tmp_path / "case")
    assert found(folder)[0] == 0
    said = found(folder, after.verifier.text)[1]
    assert f"event 1: the key of {earlier}, the log before it began anew, is needed too" in said
    (failure,) = verify_bundle(pack_again(folder), Trust((after.verifier,))).failures
    assert failure.reason.code == "key_wanted"


@pytest.mark.parametrize("other", ["log.example/access", "other.example", "log.example/epoch-4", "log.example/epoch-9"])
def test_a_log_whose_key_is_known_too_is_no_earlier_epoch_of_this_one(made, tmp_path, other):
    before, after = new_signer(other, b"1" * 32), new_signer("log.example/epoch-4", b"2" * 32)
    with pytest.raises(BrokenTrail):
        pack(*begun_anew(made, before, after))
    folder = unpack(_zipped(*begun_anew(made, before, after), ()), tmp_path / "case")  # as a forger would
    assert found(folder)[0] == 1


# ── what is not to be had ──


CUT = {
    "the last event": "DELETE FROM events WHERE case_id = %(case)s AND seq = 3",
    "the last event and its span": (
        "WITH e AS (DELETE FROM events WHERE case_id = %(case)s AND seq = 3) DELETE FROM spans WHERE case_id = %(case)s AND seq = 3"
    ),
    "a place of another case": "DELETE FROM events WHERE case_id <> %(case)s AND seq = 1",
    "a document": "UPDATE cases SET facts = replace(facts::text, 'neighbour', 'contract')::json WHERE id = %(case)s",
}


@pytest.mark.parametrize("cut", CUT.values(), ids=CUT)
async def test_what_the_database_has_lost_is_not_signed_away(database_urls: Urls, cut: str):
    """A bundle says in the log's name that there was no more: so its maker looks for more first."""
    await populate(database_urls)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        for version in (1, 2):
            await town.step("wang", case_id, NOTE, version=version)
        await integrated(database_urls)
        key = keys_of(database_urls).events
        assert pack(await dossier_of(town, case_id), key)
        async with await psycopg.AsyncConnection.connect(whole(database_urls)) as superuser:
            await superuser.execute("SET session_replication_role = replica")
            await superuser.execute(cut, {"case": case_id})
        with pytest.raises(BrokenTrail) as found:
            pack(await dossier_of(town, case_id), key)
        assert found.value.reasons[0].code == "log_mismatch"


async def test_nothing_is_bundled_from_a_database_that_was_set_back(database_urls: Urls):
    await populate(database_urls)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        await integrated(database_urls)
        async with await psycopg.AsyncConnection.connect(whole(database_urls)) as superuser:
            await superuser.execute("SET session_replication_role = replica")
            await superuser.execute("DELETE FROM log_checkpoints")
            await superuser.execute("DELETE FROM log_epochs WHERE log = 'access'")
        with pytest.raises(BrokenTrail) as found:
            await dossier_of(town, case_id)
        assert found.value.reasons[0].code == "log_rollback"

"""On what is odd in a bundle, and no plain alteration, the script and our verifier say the same."""

import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.service.parcels import bundle as bundle  # noqa: PLC0414  # a fixture, given on
from tests.service.parcels import made as made  # noqa: PLC0414  # likewise
from tests.unpacked import pack_again, verify_sh

from mediation.domain.bundling import Head, disclosure_path, parse_disclosure, proof_path
from mediation.domain.checkpoints import parse_proof
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import SignatureKind, encode64, new_signer, sign
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle

COURT = new_signer("court.example/1", b"c" * 32, SignatureKind.COSIGNATURE)


def both(folder, made, *, zipped=None):
    """Whether the script and our verifier, both with the keys of the log and of the court, find the bundle whole."""
    vkeys = [*made["key"].vkeys.split(), COURT.verifier.text]
    done = verify_sh(folder, *vkeys)
    assert (done.returncode in {0, 1}, done.stderr) == (True, ""), done
    reading = verify_bundle(zipped or pack_again(folder), Trust((*made["key"].verifiers, COURT.verifier)))
    return (done.returncode == 0, reading.sound), done.stdout, reading


def cosigned(folder, line):
    """The checkpoint, everywhere, with a line more."""
    note = (folder / "checkpoint").read_text("utf-8")
    for path in (folder / "checkpoint", *(folder / "proofs").iterdir()):
        path.write_text(path.read_text("utf-8").replace(note, note + line), "utf-8")


def court(folder, at=1_900_000_000):
    text = (folder / "checkpoint").read_text("utf-8").partition("\n\n")[0] + "\n"
    return COURT.line(text, at)


@pytest.fixture
def folder(bundle):
    cosigned(bundle, court(bundle))
    return bundle


def test_a_bundle_that_a_court_cosigned_is_whole(folder, made):
    assert both(folder, made)[0] == (True, True)


def test_a_cosignature_that_came_later_stands_in_the_checkpoint_alone(bundle, made):
    path = bundle / "checkpoint"
    path.write_text(path.read_text("utf-8") + court(bundle), "utf-8")
    assert both(bundle, made)[0] == (True, True)


def test_a_cosignature_of_no_time_is_none(bundle, made):
    text = (bundle / "checkpoint").read_text("utf-8").partition("\n\n")[0] + "\n"
    signed = COURT._private.sign(b"cosignature/v1\ntime 0\n" + text.encode())
    line = f"— {COURT.name} {encode64(COURT.verifier.key_id + bytes(8) + signed)}\n"
    cosigned(bundle, line)
    assert both(bundle, made)[0] == (False, False)


ODD_LINES = {
    "a signature in no canonical Base64": "— stranger.example AAAAAAB=\n",
    "a signature that is none": "— stranger.example !!!\n",
    "a tab among the signatures": "— stranger.example\t AAAAAAAA\n",
    "more signatures than a note may have": "— stranger.example AAAAAAAA\n" * 64,
    "a cosignature cut short": f"— {COURT.name} {encode64(COURT.verifier.key_id + bytes(3))}\n",
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_a_checkpoint_that_is_no_signed_note_is_refused(folder, made, line):
    cosigned(folder, line)
    assert both(folder, made)[0] == (False, False)


def test_nothing_signs_what_a_proof_brings_beside_itself(folder, made):
    path = folder / proof_path(2)
    proof = parse_proof(path.read_text("utf-8"))
    path.write_text(proof._replace(extra=b"the log agrees that this was lawful").text, "utf-8")
    assert both(folder, made)[0] == (False, False)


def test_a_field_is_not_disclosed_before_its_party(folder, made):
    paths = [folder / disclosure_path(number) for number in range(1, 1 + len(list((folder / "disclosures").iterdir())))]
    told = [parse_disclosure(path.read_text("ascii")) for path in paths]
    party = next(at for at, one in enumerate(told) if one.inner)
    field = next(at for at, one in enumerate(told) if one.digest in told[party].inner)
    first, second = paths[party].read_bytes(), paths[field].read_bytes()
    paths[party].write_bytes(second)
    paths[field].write_bytes(first)
    assert both(folder, made)[0] == (False, False)


@pytest.mark.parametrize("case_id", ["some case", "G" * 8 + "-0000-0000-0000-000000000000"])
def test_a_head_names_a_case_by_its_id(folder, made, case_id):
    dossier, key = made["dossier"], made["key"]
    head = Head(key.origin, case_id, 7, leaf_hash(dossier.events[-1]), dossier.published.size)
    (folder / "head").write_text(sign(head.text, key.signer), "utf-8")
    outcome, said, _ = both(folder, made)
    assert (outcome, "the head: is malformed" in said) == ((False, False), True)


# ── what is no part of it ──


def test_a_bundle_that_was_unpacked_and_zipped_again_with_its_folders_is_whole(folder, made):
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
        assert {"events/", "proofs/", "disclosures/"} < set(archive.namelist())
    assert both(folder, made, zipped=again)[0] == (True, True)


def test_what_lies_beside_the_bundle_is_named_and_not_vouched_for(folder, made):
    (folder / "notes.txt").write_text("The mediator was bribed.")
    (folder / "photographs").mkdir()
    (folder / "photographs" / "1.jpg").write_bytes(b"x")
    outcome, said, reading = both(folder, made)
    assert outcome == (True, True)
    assert reading.foreign == ("notes.txt", "photographs/1.jpg")
    assert "No part of the bundle, and not verified: notes.txt" in said
    assert "not verified: photographs\n" in said


@pytest.mark.parametrize("name", ["verify.sh", "VERIFY.md"])
def test_a_program_or_manual_that_is_not_ours_is_named(folder, made, name):
    assert both(folder, made)[2].foreign == ()
    (folder / name).write_text("#!/bin/sh\necho '✓ whole, in order, unaltered'\n")
    reading = verify_bundle(pack_again(folder), Trust((*made["key"].verifiers, COURT.verifier)))
    assert (reading.sound, reading.foreign) == (True, (name,))


@pytest.mark.parametrize("name", ["../verify.sh", "/etc/profile", "events/../head2", "a\\b"])
def test_a_name_that_leads_out_of_the_bundle_is_refused(folder, made, name):
    packed = pack_again(folder)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(name, "x")
    reading = verify_bundle(packed, Trust((*made["key"].verifiers, COURT.verifier)))
    assert [failure.reason.code for failure in reading.failures] == ["extra_file"]


def test_a_bundle_in_a_folder_of_its_zip_is_no_bundle_and_says_so(folder, made):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"case/{path.relative_to(folder)}")
    (failure,) = verify_bundle(packed, Trust(made["key"].verifiers)).failures
    assert (failure.reason.code, "at the top" in failure.reason.en) == ("no_checkpoint", True)


def test_the_script_of_somebody_else_verifies_the_folder_it_is_run_in(folder, made, tmp_path):
    """It must not go by where it lies itself: there another bundle may be, a good one."""
    trusted = tmp_path / "trusted"
    shutil.copytree(folder, trusted)
    (folder / "verify.sh").write_text("#!/bin/sh\necho '✓'\n")
    (folder / "events" / "0003.json").write_bytes(b"{}")
    done = verify_sh(folder, *made["key"].vkeys.split(), script=os.fspath(trusted / "verify.sh"))
    assert (done.returncode, "event 3:" in done.stdout) == (1, True), done.stdout


def test_the_page_says_what_the_script_s_hash_is(folder):
    ours = hashlib.sha256((folder / "verify.sh").read_bytes()).hexdigest()
    assert ours in (Path(__file__).parents[2] / "docs" / "bundle.md").read_text("utf-8")

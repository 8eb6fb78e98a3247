"""Twelve kinds of tampering with everything that the service keeps: each is found, and named where it began."""

import random
from collections.abc import Iterator

import pytest
from tests.battery import altered_heads, altered_histories, attacks_on_cases, attacks_on_events, attacks_on_the_log
from tests.battery.packets import Packet, Shelf, shelved, theirs
from tests.battery.siege import times
from tests.battery.tampering import County, county, scene
from tests.battery.ways import KINDS
from tests.unpacked import pack_again, verify_sh

from mediation.domain.notes import parse_verifier_key
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle

ATTACKS = attacks_on_events.way | attacks_on_cases.way | attacks_on_the_log.way
ALTERATIONS = altered_histories.way | altered_heads.way
NUMBERS = range(times(50, quick=5))


@pytest.fixture(scope="module")
def told(server, module_database_urls, tmp_path_factory) -> Iterator[County]:
    with county(server, module_database_urls, tmp_path_factory.mktemp("county")) as made:
        yield made


@pytest.fixture(scope="module")
def shelf(server, told: County) -> Shelf:
    return shelved(server, told)


def test_an_untouched_county_is_sound_and_so_is_its_tree_grown_anew_with_the_true_keys(server, told: County, tmp_path):
    """So that what is found below is what was tampered with, and not how it was done."""
    with scene(server, told, random.Random(1), tmp_path) as untouched:
        untouched.kept = (*told.heads, *(note for notes in told.notes.values() for note in notes.values()))
        assert untouched.verify().failures == ()
        untouched.regrow(by=told.keys.events.signer)
        untouched.regrow("access", by=told.keys.access.signer)
        assert untouched.verify().failures == ()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", KINDS)
def test_tampering_with_the_database_is_found_and_named(server, told: County, tmp_path, kind: str, number: int):
    rng = random.Random(f"{kind} {number}")
    attack = ATTACKS.of[kind][number % len(ATTACKS.of[kind])]
    earlier = rng.choice(told.earlier) if attack in ATTACKS.special else ""
    with scene(server, told, rng, tmp_path, earlier) as tampered:
        touched = attack(tampered)
        report = tampered.verify()
    assert touched.named_by(report), (attack.__name__, touched, report.failures)
    assert all(failure.reason.zh and failure.reason.en for failure in report.failures)


def test_a_program_that_is_not_ours_agrees_on_every_proof_of_every_untouched_bundle(told: County, shelf: Shelf):
    vkey = told.keys.events.signer.verifier.text
    found = {case: (theirs(shelf.now[case], vkey), theirs(shelf.then[case], vkey)) for case in shelf.now}
    assert all(now >= then > 0 for now, then in found.values())
    assert sum(now for now, _ in found.values()) > len(found) * 10


def test_an_untouched_bundle_is_found_whole_with_its_witness_and_every_checkpoint(told: County, shelf: Shelf, tmp_path):
    packet = Packet(shelf, min(shelf.grown), random.Random(1), kept=told.heads[:1], witness=True)
    folder = packet.write(tmp_path / "bundle")
    trust = Trust(tuple(map(parse_verifier_key, packet.vkeys)), packet.kept)
    assert verify_bundle(pack_again(folder), trust).failures == ()
    assert verify_sh(folder, *packet.vkeys).returncode == 0


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", KINDS)
def test_tampering_with_a_bundle_is_found_by_us_and_by_the_script(shelf: Shelf, tmp_path, kind: str, number: int):
    rng = random.Random(f"{kind} {number}")
    alter = ALTERATIONS.of[kind][number % len(ALTERATIONS.of[kind])]
    packet = Packet(shelf, rng.choice(shelf.grown if alter in ALTERATIONS.special else shelf.short), rng)
    amiss = alter(packet)
    folder = packet.write(tmp_path / "bundle")
    trust = Trust(tuple(map(parse_verifier_key, packet.vkeys)), packet.kept)
    first, *_ = verify_bundle(pack_again(folder), trust).failures
    assert first.seq == amiss.seq, (alter.__name__, first)
    if first.reason.code in {"bad_checkpoint", "not_in_log"} and not packet.witness:
        with pytest.raises(Exception):  # noqa: B017, PT011  # a program that is not ours has errors of its own
            theirs(packet.files, packet.vkeys[0])
    if packet.scripted:
        done = verify_sh(folder, *packet.vkeys)
        assert (done.returncode, done.stderr) == (1, ""), (alter.__name__, done)
        assert amiss.scripted == 0 or f"event {amiss.scripted}:" in done.stdout, (alter.__name__, done)

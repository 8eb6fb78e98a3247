"""Twelve kinds of tampering with everything that the service keeps: each is found, and named where it began."""

import random
from collections.abc import Iterator

import pytest
from tests.battery.attacks import ATTACKS, EARLIER
from tests.battery.siege import times
from tests.battery.tampering import County, county, scene

KINDS = (
    "edit",
    "delete",
    "reorder",
    "insert",
    "cut",
    "swap",
    "foreign key",
    "roll back",
    "fork",
    "digest",
    "disclosure",
    "stale checkpoint",
)
NUMBERS = range(times(50, quick=5))


@pytest.fixture(scope="module")
def told(server, module_database_urls, tmp_path_factory) -> Iterator[County]:
    with county(server, module_database_urls, tmp_path_factory.mktemp("county")) as made:
        yield made


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
    attack = ATTACKS[kind][number % len(ATTACKS[kind])]
    earlier = rng.choice(told.earlier) if attack in EARLIER else ""
    with scene(server, told, rng, tmp_path, earlier) as tampered:
        touched = attack(tampered)
        report = tampered.verify()
    assert touched.named_by(report), (attack.__name__, touched, report.failures)
    assert all(failure.reason.zh and failure.reason.en for failure in report.failures)

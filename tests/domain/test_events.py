"""The event's bytes, the chain and the one fold."""

import hashlib

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.test_walks import Desk
from tests.stories import cast
from tests.stories.telling import WALKS, Scene, command

from mediation.domain.errors import BrokenTrail, MediationError
from mediation.domain.events import NO_HASH, Event, dump, evolve, leaf_hash, load, parse

CODES = st.text(st.characters(codec="ascii"), max_size=20)
PLAIN = st.one_of(CODES, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans())
FLAT = st.dictionaries(CODES, st.one_of(PLAIN, st.lists(PLAIN, max_size=4)), max_size=5)
ATTRS = st.dictionaries(
    CODES, st.one_of(PLAIN, st.lists(PLAIN, max_size=4), FLAT, st.lists(FLAT, max_size=3)), max_size=6
)


def event(**given: object) -> Event:
    """A filing of two parties, with what is given instead."""
    facts = {
        "v": 1,
        "event": "0192f0c1-2345-7abc-8def-000000000001",
        "case": "0192f0c1-2345-7abc-8def-000000000002",
        "seq": 1,
        "prev": NO_HASH,
        "action": "file",
        "from": "new",
        "to": "filed",
        "org": "0192f0c1-2345-7abc-8def-000000000003",
        "actor": "0192f0c1-2345-7abc-8def-000000000004",
        "role": "clerk",
        "at": "2026-11-21T08:00:00.123456Z",
        "request": "0192f0c1-2345-7abc-8def-000000000005",
        "basis": ["PML-17@2011-01-01"],
        "attrs": {
            "legs": [{"id": 1, "org": "x", "claims": [1]}],
            "claims": [{"id": 1}],
            "parties": [{"id": 1}, {"id": 2}],
        },
    }
    return msgspec.convert(facts | given, Event)


@given(ATTRS)
def test_the_canonical_bytes_are_those_of_rfc_8785(attrs: dict[str, object]) -> None:
    made = event(attrs=attrs, _sd_alg="sha-256", _sd=["b", "a"])
    assert made.canonical == rfc8785.dumps(msgspec.to_builtins(made))


def test_every_event_of_every_walk_is_rfc_8785_and_reads_back_as_it_was() -> None:
    for walk in WALKS:
        desk = Desk(cast.ORGANISATIONS)
        scene = Scene(cast.ident, desk.cases)
        for step in walk.steps:
            try:
                made = desk.take(step.case, command(walk, step, scene), cast.actor(step.who), walk.instant(step))
            except MediationError:
                continue
            assert made.canonical == rfc8785.dumps(msgspec.to_builtins(made))
            assert parse(made.canonical) == made


def test_a_leaf_hash_is_that_of_rfc_6962() -> None:
    assert leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").hexdigest()


def test_a_stored_case_reads_back_as_it_was() -> None:
    case = evolve(None, event())
    assert load(dump(case)) == case
    assert (case.version, case.state, case.head) == (1, "filed", leaf_hash(event().canonical))


def test_bytes_that_are_not_canonical_are_not_an_event() -> None:
    with pytest.raises(BrokenTrail, match="canonical"):
        parse(event().canonical.replace(b'":1,', b'": 1,', 1))


def test_an_event_over_eight_kibibytes_is_refused() -> None:
    with pytest.raises(BrokenTrail, match="8192"):
        _ = event(attrs={"x": "y" * 9000}).canonical


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 2},
        {"prev": "1" * 64},
        {"from": "filed"},
        {"to": "closed"},
        {"v": 2},
        {"attrs": {"case": {"colour": "red"}}},
    ],
)
def test_an_event_that_does_not_follow_breaks_the_trail(wrong: dict[str, object]) -> None:
    with pytest.raises(BrokenTrail):
        evolve(None, event(**wrong))


def test_time_never_goes_back_within_a_case() -> None:
    case = evolve(None, event())
    later = {"seq": 2, "prev": case.head, "from": "filed", "action": "note", "attrs": {}}
    assert evolve(case, event(**later, at="2026-11-21T08:00:00.123456Z")).version == 2
    with pytest.raises(BrokenTrail):
        evolve(case, event(**later, at="2026-11-21T08:00:00.123455Z"))

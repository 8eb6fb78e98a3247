"""The log of administration is one chain, says codes alone, and folds to what the registry must be."""

import re
import uuid
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from mediation.domain.access import ADMINISTRATORS, EVERYBODY
from mediation.domain.errors import BrokenTrail
from mediation.domain.events import LIMIT_BYTES, Event, leaf_hash, parse
from mediation.domain.registering import (
    ENTRIES,
    LOG_ID,
    Attributes,
    Grant,
    Hand,
    IdentityRow,
    ImportIdentities,
    ImportPeople,
    MemberRow,
    PutPerson,
    Register,
    Revoke,
    clashes,
    entry,
    imported,
)
from mediation.domain.vocabulary import LogEntry, Role

PERSON, BODY = str(uuid.uuid4()), str(uuid.uuid4())
HAND = Hand(str(uuid.uuid4()), BODY, "security_admin", "2026-11-22T08:00:00.000000Z", str(uuid.uuid4()))
GRANTED = Grant(person=PERSON, org=BODY, roles=(Role.CLERK,), before=())
REVOKED = Revoke(person=PERSON, org=BODY, before=(Role.CLERK,))
LOADED = ImportPeople(sha256="0" * 64, lines=3, rows=(MemberRow(PERSON, BODY, BODY, (Role.JUDGE,)),))


def chain(*said: Attributes) -> list[Event]:
    made: list[Event] = []
    for one in said:
        made.append(entry(HAND, one, made[-1] if made else None, str(uuid.uuid4())))
    return made


def folded(events: list[Event]) -> Register:
    register = Register()
    for event in events:
        register.take(parse(event.canonical))
    return register


def test_the_log_has_the_id_that_its_policy_names():
    assert str(uuid.uuid5(uuid.UUID("6f3c1c52-7a0e-4f5e-9b0d-2a6d8a1f4c10"), "administration")) == LOG_ID
    policies = (Path(__file__).parents[2] / "src/mediation/store/rls.sql").read_text("utf-8")
    assert set(re.findall(r"'([0-9a-f-]{36})'::uuid", policies)) - {"00000000-0000-0000-0000-000000000000"} == {LOG_ID}


def test_every_kind_of_entry_has_its_shape():
    assert set(ENTRIES) == set(LogEntry)
    assert all(kind.ACTION is word for word, kind in ENTRIES.items())


def test_entries_are_chained_from_the_first_and_never_at_one_instant():
    first, second, third = chain(GRANTED, REVOKED, LOADED)
    assert (first.seq, first.prev, first.from_, first.to) == (1, "0" * 64, "new", "administration")
    assert (third.seq, third.prev, third.from_) == (3, leaf_hash(second.canonical), "administration")
    assert first.at < second.at < third.at


def test_the_fold_knows_what_was_put_last_whether_by_the_api_or_from_a_file():
    assert folded(chain(GRANTED)).memberships == {(PERSON, BODY): (Role.CLERK,)}
    assert folded(chain(GRANTED, REVOKED)).memberships == {}
    assert folded(chain(GRANTED, LOADED)).memberships == {(PERSON, BODY): (Role.JUDGE,)}
    assert folded(chain(LOADED, GRANTED)).memberships == {(PERSON, BODY): (Role.CLERK,)}
    assert folded(chain(LOADED)).people == {PERSON: BODY}


def test_the_identities_of_a_file_are_added_and_those_of_the_api_are_all():
    first, second = "1" * 64, "2" * 64
    one = ImportIdentities(sha256="0" * 64, lines=1, rows=(IdentityRow(first, PERSON),))
    two = ImportIdentities(sha256="0" * 64, lines=1, rows=(IdentityRow(second, PERSON),))
    said = PutPerson(id=PERSON, home=BODY, identities=(second,), linked=0, unlinked=1, changed=("identities",))
    assert folded(chain(one, two)).identities == {PERSON: {first, second}}
    assert folded(chain(one, two, said)).identities == {PERSON: {second}}


def test_a_long_file_makes_as_many_entries_as_it_takes_and_none_is_too_long():
    rows = [MemberRow(str(uuid.uuid4()), BODY, BODY, tuple(sorted(EVERYBODY))) for _ in range(300)]
    entries = list(imported(ImportPeople, "the file", 300, rows))
    assert len({(one.sha256, one.lines) for one in entries}) == 1
    assert [row for one in entries for row in one.rows] == rows
    lengths = [len(event.canonical) for event in chain(*entries)]
    assert max(lengths) <= LIMIT_BYTES
    assert len(lengths) < 2 * sum(lengths) / LIMIT_BYTES
    assert [one.rows for one in imported(ImportPeople, "", 0, [])] == [()]


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 3},
        {"prev": "1" * 64},
        {"case": str(uuid.uuid4())},
        {"from_": "new"},
        {"to": "closed"},
        {"at": "2020-01-01T00:00:00.000000Z"},
        {"v": 2},
        {"action": "file"},
        {"action": "grant"},
        {"attrs": {"person": "张三", "org": BODY, "before": []}},
        {"attrs": {"person": PERSON, "org": BODY, "before": ["king"]}},
        {"attrs": {"person": PERSON, "org": BODY, "before": [], "name": "x"}},
        {"attrs": {"person": PERSON}},
    ],
)
def test_an_entry_that_does_not_follow_or_says_what_none_says_breaks_the_trail(change: dict):
    first, second = chain(GRANTED, REVOKED)
    with pytest.raises(BrokenTrail) as broken:
        folded([first, msgspec.structs.replace(second, **change)])
    assert broken.value.reasons[0].zh


def test_one_person_is_one_administrator_and_nothing_else():
    for one, other in combinations(sorted(ADMINISTRATORS), 2):
        assert [why.code for why in clashes({one, other})] == ["administrators_separate"]
    for admin in ADMINISTRATORS:
        assert clashes({admin}) == ()
        for role in set(Role) - ADMINISTRATORS - {Role.CLOCK}:
            assert [why.code for why in clashes({admin, role})] == ["administrator_apart"]


def test_who_acts_in_cases_audits_none():
    assert clashes({Role.AUDITOR}) == ()
    assert clashes(EVERYBODY) == ()
    for role in EVERYBODY:
        (why,) = clashes({Role.AUDITOR, role})
        assert (why.code, role.zh in why.zh, role.value in why.en) == ("auditor_apart", True, True)
    assert [why.code for why in clashes(set(Role))] == [
        "clock_granted", "administrators_separate", "administrator_apart", "auditor_apart",
    ]  # fmt: skip

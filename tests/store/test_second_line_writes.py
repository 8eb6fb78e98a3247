"""Row-level security alone: nobody writes, destroys or notes anything of a case that is not theirs to."""

import uuid
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from tests.matrix.district import PEOPLE
from tests.matrix.oracle import readers
from tests.matrix.told import District, org, person
from tests.store.test_second_line import anyio_backend, district, enter, seen, served, sown
from tests.whole import whole

from mediation.domain.errors import NotFound
from mediation.service.perform import Context

__all__ = ["anyio_backend", "district", "served", "sown"]

WRITES = """
SELECT c.relname::text, command FROM pg_class c, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS command
 WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity
   AND CASE command WHEN 'DELETE' THEN has_table_privilege('mediation_app', c.oid, command)
            ELSE has_any_column_privilege('mediation_app', c.oid, command) END
"""

_EVENT = "INSERT INTO events (id, case_id, seq, bytes) VALUES (gen_random_uuid(), '{other}', 99, 'x')"
_CASE = "INSERT INTO cases (id, number, filed_at) VALUES ('{new}', 'n', now())"
_QUEUED = "INSERT INTO outbox (event, case_id) VALUES (gen_random_uuid(), '{other}')"
_LISTED = (
    "INSERT INTO worklists (org, case_id, state, inbound, outbound) VALUES ('{court}', '{other}', 'x', false, false)"
)
_REFERRED = "INSERT INTO case_refs (ref, case_id) VALUES ('r', '{other}')"
_KEY = "INSERT INTO event_keys (caller, case_id, key, fingerprint, event) VALUES (?, 'k', 'f', gen_random_uuid())"
_ACCESS = "INSERT INTO disclosures (person, org, request, kind, purpose, fields) VALUES (?, gen_random_uuid(), 'k', 'p', '{{}}')"
ATTEMPTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("cases", "INSERT"): (_CASE,),
    ("cases", "UPDATE"): (
        "UPDATE cases SET risk = 'red' WHERE id = '{other}'",
        "UPDATE cases SET risk = 'red' WHERE id = '{own}'",  # seen, but not the one in hand
        "UPDATE cases SET id = '{new}' WHERE id = '{hand}'",
    ),
    ("events", "INSERT"): (_EVENT, _EVENT.replace("{other}", "{own}")),
    ("event_keys", "INSERT"): (
        _KEY.replace("?", "gen_random_uuid(), '{hand}'"),
        _KEY.replace("?", "'{person}', '{own}'"),
    ),
    ("worklists", "INSERT"): (_LISTED, _LISTED.replace("{other}", "{own}")),
    ("worklists", "UPDATE"): (
        "UPDATE worklists SET state = 'closed' WHERE case_id <> '{hand}'",
        "UPDATE worklists SET case_id = '{new}'",
    ),
    ("tallies", "INSERT"): (
        "INSERT INTO tallies (org, year, category, what, count) VALUES ('{body}', 1999, 'neighbour', 'cases', 1)",
    ),
    ("tallies", "UPDATE"): ("UPDATE tallies SET count = count + 1",),
    ("worklists", "DELETE"): ("DELETE FROM worklists WHERE case_id <> '{hand}'",),
    ("case_refs", "INSERT"): (_REFERRED, _REFERRED.replace("{other}", "{own}")),
    ("vault", "INSERT"): (
        "INSERT INTO vault (case_id, subject, digest, name, sealed) VALUES ('{other}', 1, 'new', 'n', 's')",
        "INSERT INTO vault (case_id, subject, digest, name, sealed) VALUES ('{own}', 1, 'new', 'n', 's')",
    ),
    ("vault", "DELETE"): ("DELETE FROM vault WHERE case_id <> '{hand}'",),
    ("vault_keys", "INSERT"): ("INSERT INTO vault_keys (case_id, subject, wrapped) VALUES ('{other}', 77, 'k')",),
    ("vault_keys", "DELETE"): ("DELETE FROM vault_keys WHERE case_id <> '{hand}'",),
    ("vault_words", "INSERT"): (
        "INSERT INTO vault_words (case_id, digest, subject, grams, lists) VALUES ('{other}', 'new', 1, '{{1}}', '{{}}')",
    ),
    ("vault_words", "UPDATE"): ("UPDATE vault_words SET lists = '{{}}' WHERE case_id <> '{hand}'",),
    ("vault_words", "DELETE"): ("DELETE FROM vault_words WHERE case_id <> '{hand}'",),
    ("erasures", "INSERT"): (
        "INSERT INTO erasures (case_id, subject, event, at) VALUES ('{other}', 1, gen_random_uuid(), now())",
    ),
    ("case_numbers", "INSERT"): ("INSERT INTO case_numbers (org, year, last) VALUES ('{court}', 1999, 1)",),
    ("case_numbers", "UPDATE"): (
        "UPDATE case_numbers SET last = 0 WHERE org <> '{body}'",
        "UPDATE case_numbers SET org = '{court}', year = 1998",
    ),
    ("disclosures", "INSERT"): (
        _ACCESS.replace("?", "gen_random_uuid(), '{body}'"),
        _ACCESS.replace("?", "'{person}', '{court}'"),
    ),
    ("attempts", "INSERT"): (
        "INSERT INTO attempts (request, method, route, status, code) VALUES (gen_random_uuid(), 'GET', '/', 200, 'c')",
    ),
    ("outbox", "INSERT"): (_QUEUED, _QUEUED.replace("{other}", "{own}")),
    ("access_outbox", "INSERT"): (),  # a place in the queue is the number of an entry; see below
}  # fmt: skip
"""By table and command what is tried from a context with one case in hand: each is refused, or touches no row."""


def test_every_command_that_the_application_is_granted_is_tried_on_rows_of_others(sown: District):
    with psycopg.connect(whole(sown.urls)) as everything:
        assert set(ATTEMPTED) == set(everything.execute(WRITES))


@pytest.mark.parametrize("statement", [one for tried in ATTEMPTED.values() for one in tried])
def test_rows_of_another_case_are_not_written(sown: District, statement: str):
    names = {
        "hand": sown.cases["assigned"].id,
        "own": sown.cases["filed"].id,
        "other": sown.cases["elsewhere"].id,
        "new": str(uuid.uuid4()),
        "body": org("V1"),
        "court": org("K"),
        "person": person("clerk"),
    }
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, "clerk")
        connection.execute("SELECT set_config('mediation.case', %s, true)", (names["hand"],))
        try:
            touched = connection.execute(statement.format(**names)).rowcount
        except InsufficientPrivilege:
            touched = 0
        assert touched == 0
        connection.rollback()


@pytest.mark.parametrize("statement", [one for tried in ATTEMPTED.values() for one in tried if "status" not in one])
def test_without_a_context_nothing_is_written(served: psycopg.Connection[Any], sown: District, statement: str):
    names = dict.fromkeys(("hand", "new", "person"), str(uuid.uuid4()))
    names |= {"own": sown.cases["filed"].id, "other": sown.cases["elsewhere"].id, "body": org("V1"), "court": org("K")}
    try:
        assert served.execute(statement.format(**names)).rowcount == 0
    except InsufficientPrivilege:
        return


def test_no_access_is_queued_by_nobody(served: psycopg.Connection[Any]):
    with pytest.raises(InsufficientPrivilege):
        served.execute("INSERT INTO access_outbox (disclosure) VALUES (1)")


def test_a_stranger_to_a_case_cannot_take_it_in_hand(sown: District):
    """The case in hand may be left by a step, and so is seen: but not by who did not see it before."""
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, "clerk")
        connection.execute("SELECT set_config('mediation.case', %s, true)", (sown.cases["elsewhere"].id,))
        moved = connection.execute("UPDATE cases SET risk = 'red' WHERE id = %s", (sown.cases["elsewhere"].id,))
        assert moved.rowcount == 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM vault_words",
        "DELETE FROM vault",
        "DELETE FROM vault_keys",
        "INSERT INTO erasures (case_id, subject, event, at) VALUES ('{hand}', 1, gen_random_uuid(), now())",
        _ACCESS.replace("?", "'{person}', '{body}'")
        .replace("kind,", "kind, case_id,")
        .replace("'k',", "'k', '{hand}',"),
    ],
)
@pytest.mark.parametrize("who", ["clerk", "recused_mediator"])
def test_nothing_is_erased_or_noted_of_a_case_in_hand_that_is_not_seen(sown: District, who: str, statement: str):
    hand = next(told.id for story, told in sown.cases.items() if not readers()[who, story])
    names = {"hand": hand, "person": person(who), "body": org(PEOPLE[who].org)}
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, who)
        connection.execute("SELECT set_config('mediation.case', %s, true)", (hand,))
        try:
            touched = connection.execute(statement.format(**names)).rowcount
        except InsufficientPrivilege:
            touched = 0
        assert touched == 0
        connection.rollback()


async def test_no_disclosure_of_a_case_is_written_down_for_who_does_not_see_it(sown: District):
    memory = sown.desk.house.memory
    context = Context(person("clerk"), "", str(uuid.uuid4()))
    actor = (await memory.read_case(context)).actor
    with pytest.raises(NotFound):
        await memory.disclose(context, actor, "disclosure", sown.cases["elsewhere"].id, "p", ["parties.1.name"])
    with psycopg.connect(whole(sown.urls)) as everything:
        assert seen(everything, "SELECT count(*) FROM disclosures WHERE request = %s", context.request) == [0]

"""Row-level security alone: with the application's own predicate taken away nobody sees or writes more than with it."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier
from sqlalchemy import true
from tests.listed import belonging, listed
from tests.matrix.conftest import anyio_backend, district
from tests.matrix.district import BODIES, PEOPLE, STORIES
from tests.matrix.oracle import readers
from tests.matrix.told import District, org, person
from tests.whole import whole

from mediation.domain import access
from mediation.domain.errors import NotFound
from mediation.domain.registering import LOG_ID
from mediation.domain.vocabulary import Role
from mediation.service.perform import Context
from mediation.store import listing, queries, spans, worklists
from mediation.store.pages import LAST_ID

__all__ = ["anyio_backend", "district"]

ENTER = "SELECT enter(%s::uuid, %s::uuid, %s::text[], gen_random_uuid(), NULL)"
GUARDED = """
SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity
   AND has_table_privilege('mediation_app', c.oid, 'SELECT')
"""
OF_A_CASE = {
    "cases": "id",
    "events": "case_id",
    "vault": "case_id",
    "vault_keys": "case_id",
    "erasures": "case_id",
    "case_refs": "case_id",
    "spans": "case_id",
}
NOBODY = "00000000-0000-7000-8000-000000000000"
FIRST_ID = "00000000-0000-0000-0000-000000000000"
MEMBERS = [name for name, who in PEOPLE.items() if who.org]


def enter(connection: psycopg.Connection[Any], who: str) -> None:
    connection.execute(ENTER, (person(who), org(PEOPLE[who].org), list(PEOPLE[who].roles)))


def seen(connection: psycopg.Connection[Any], query: str, *values: object) -> list[Any]:
    return [value for (value,) in connection.execute(query, values)]


def ids(connection: psycopg.Connection[Any], table: str, column: str) -> set[str]:
    query = SQL("SELECT {}::text FROM {}").format(Identifier(column), Identifier(table))
    return {value for (value,) in connection.execute(query)}


def rows(connection: psycopg.Connection[Any], table: str) -> int:
    """How many there are, the log of administration not counted."""
    which = SQL(" WHERE case_id <> {}").format(LOG_ID) if table == "events" else SQL("")
    (count,) = connection.execute(SQL("SELECT count(*) FROM {}{}").format(Identifier(table), which)).fetchone()
    return count


@pytest.fixture(scope="module")
def sown(district: District) -> District:
    """The county, with rows in the tables that its stories have left empty."""
    with psycopg.connect(whole(district.urls)) as everything:
        for told in district.cases.values():
            row = (told.id, uuid.uuid4())
            everything.execute("INSERT INTO erasures (case_id, subject, event, at) VALUES (%s, 9, %s, now())", row)
            words = (
                "INSERT INTO vault_words (case_id, digest, subject, grams, lists)"
                " SELECT case_id, 'd', 1, '{1,2,3}', array_agg(org) FROM worklists WHERE case_id = %s GROUP BY case_id"
            )
            key = "INSERT INTO vault_keys (case_id, subject, wrapped) VALUES (%s, 1, 'k') ON CONFLICT DO NOTHING"
            everything.execute(key, row[:1])
            everything.execute(words, row[:1])
            everything.execute("INSERT INTO case_refs (ref, case_id) VALUES ('r', %s)", row[:1])
        for body in BODIES:
            counted = "INSERT INTO tallies (org, year, category, what, count) VALUES (%s, 1999, 'other', 'filed', 1)"
            everything.execute(counted, (org(body),))
    for who in MEMBERS:
        for story, case in district.cases.items():
            with psycopg.connect(district.urls.app) as connection:
                enter(connection, who)
                of = case.id if readers()[who, story] else None
                values = (person(who), org(PEOPLE[who].org), uuid.uuid4(), of)
                connection.execute(
                    "INSERT INTO disclosures (person, org, request, kind, case_id, purpose, fields)"
                    " VALUES (%s, %s, %s, 'disclosure', %s, 'p', '{}')",
                    values,
                )
                connection.execute(
                    "INSERT INTO attempts (person, org, request, case_id, method, route, status, code)"
                    " VALUES (%s, %s, %s, %s, 'GET', '/', 404, 'not_found')",
                    values,
                )
    with psycopg.connect(whole(district.urls)) as everything:  # as the sequencer would have placed them
        everything.execute(
            "INSERT INTO access_feed SELECT coalesce((SELECT max(position) FROM access_feed), 0) + row_number() OVER (), id"
            " FROM disclosures d WHERE NOT EXISTS (SELECT FROM access_feed f WHERE f.disclosure = d.id)"
        )
    return district


def may_see(district: District, who: str) -> set[str]:
    return {told.id for case, told in district.cases.items() if readers()[who, case]}


@pytest.mark.parametrize("who", MEMBERS)
def test_each_table_by_itself_shows_the_cases_that_are_theirs_to_see_and_no_other(sown: District, who: str):
    theirs, all_ = may_see(sown, who), {told.id for told in sown.cases.values()}
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, who)
        for table, column in OF_A_CASE.items():
            assert ids(connection, table, column) & all_ == theirs, table
        connection.execute("SELECT set_config('mediation.grams', '{1,3}', true)")
        assert ids(connection, "vault_words", "case_id") & all_ == theirs
        connection.execute("SELECT set_config('mediation.grams', '{}', true)")  # which every row contains
        assert ids(connection, "vault_words", "case_id") & all_ == theirs
        mine = person(who)
        assert ids(connection, "event_keys", "caller") <= {mine}
        assert ids(connection, "case_numbers", "org") <= {org(PEOPLE[who].org)}


@pytest.mark.parametrize("who", MEMBERS)
def test_the_index_of_words_which_is_asked_as_the_owner_tells_of_no_case_that_is_not_theirs_to_see(
    sown: District, who: str
):
    asked = "SELECT ids::text[] FROM cases_holding('{1,3}', NULL, %s, %s, 0, 10000, 10000, 16)"
    with psycopg.connect(whole(sown.urls)) as everything:
        here = set(
            seen(everything, "SELECT case_id::text FROM worklists WHERE org = %s", org(PEOPLE[who].org))
            if BODIES[PEOPLE[who].org].kind != "audit_office"
            else seen(everything, "SELECT id::text FROM cases")
        )
    with psycopg.connect(sown.urls.app) as connection:
        assert seen(connection, asked, LAST_ID, FIRST_ID) == [[]]
        enter(connection, who)
        assert set(*seen(connection, asked, LAST_ID, FIRST_ID)) == may_see(sown, who) & here
        assert seen(connection, asked.replace("{1,3}", "{1,4}"), LAST_ID, FIRST_ID) == [[]]


def test_the_owner_reads_no_words_and_no_case_without_who_asks(sown: District):
    with psycopg.connect(sown.urls.owner) as owner:
        for grams in ("", "{}", "{1,3}"):
            owner.execute("SELECT set_config('mediation.grams', %s, true)", (grams,))
            assert ids(owner, "vault_words", "case_id") == ids(owner, "cases", "id") == set()


@pytest.mark.parametrize("who", MEMBERS)
async def test_lists_histories_and_the_feed_without_the_application_s_predicate_are_the_same(
    sown: District, who: str, monkeypatch: pytest.MonkeyPatch
):
    context = Context(person(who), "", str(uuid.uuid4()))
    asks = queries.viewer(context, await sown.desk.house.memory.read_case(context))
    with_it = await _found(sown, asks)
    for room in (queries, spans, listing):
        monkeypatch.setattr(room, "visible", lambda _viewer, **_how: true())
    monkeypatch.setattr(listing, "_TEXTS", {})  # in which it stands
    assert await _found(sown, asks) == with_it
    assert with_it["list"] >= may_see(sown, who)
    assert with_it["stood"] == with_it["list"]
    assert with_it["chosen"] == with_it["feed"]


async def _found(district: District, asks: queries.Viewer) -> dict[str, set[str]]:
    engine = district.desk.engine
    at = "2026-11-22T04:00:00.000000Z"
    memory = district.desk.house.memory
    listed = (await worklists.worklist(memory, asks, worklists.Filters(at), limit=200)).items
    trays = [(await worklists.tray(memory, asks, box=box, limit=200)).items for box in ("in", "out")]
    sought = (await worklists.worklist(memory, asks, worklists.Filters(at, q="150525"), limit=200)).items
    fed, _ = await spans.feed(engine, asks)
    chosen, _ = await spans.feed(engine, asks, spans.Wanted(overdue=False))
    stood = await spans.stood(engine, asks, spans.Then(datetime.now(UTC)), limit=200)
    told: set[str] = set()
    for case in district.cases.values():
        try:
            told |= {stored.data.decode() for stored in (await queries.history(memory, asks, case.id)).items}
            told.add((await queries.event(engine, asks, case.event)).data.decode())
        except NotFound:
            continue
    return {
        "list": {item.line.id for item in listed},
        "sought": {item.line.id for item in sought},
        "trays": {item.case.id for tray in trays for item in tray},
        "feed": {stored.data.decode() for stored in fed},
        "chosen": {stored.data.decode() for stored in chosen},
        "stood": {item.line.id for item in stood.items},
        "told": told,
    }


@pytest.mark.parametrize("who", MEMBERS)
def test_the_log_of_administration_is_seen_by_who_audits_the_administrators_alone(sown: District, who: str):
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, who)
        shown = seen(connection, "SELECT count(*) FROM events WHERE case_id = %s", LOG_ID)
    assert (shown != [0]) == ("audit_admin" in PEOPLE[who].roles)


@pytest.mark.parametrize("who", MEMBERS)
def test_the_logs_show_only_what_was_done_in_the_bodies_they_oversee(sown: District, who: str):
    below = {"J": {"J", "C", "T", "T2", "V1", "V2", "V3"}}
    here = {*below["J"], "K", "P", "A"}
    roles = set(PEOPLE[who].roles)
    overseen = below["J"] if roles & {"audit_admin"} else set()
    there = {"C9", "V9", "A9"}
    audited = {"A": here, "A9": there, "AA": {*here, *there, "AA"}}[PEOPLE[who].org] if "auditor" in roles else set()
    refused = below["J"] if roles & {"audit_admin", "security_admin"} else set()
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, who)
        served = {org(one.org) for one in PEOPLE.values() if one.org}
        shown = set(seen(connection, "SELECT DISTINCT org::text FROM disclosures"))
        assert shown == {org(body) for body in overseen | audited} & served
        shown = set(seen(connection, "SELECT DISTINCT org::text FROM attempts WHERE org IS NOT NULL"))
        assert shown == {org(body) for body in refused} & served


@pytest.mark.parametrize("who", MEMBERS)
def test_what_is_listed_and_counted_is_shown_of_the_own_body_and_those_below_and_counts_to_auditors_too(
    sown: District, who: str
):
    body = PEOPLE[who].org
    below = {one for one in BODIES if body in superiors(one)}  # and the body itself
    audited = {one for one, its in BODIES.items() if its.division.startswith(BODIES[body].division)}
    with psycopg.connect(sown.urls.app) as connection:
        enter(connection, who)
        at = {one for one, *_ in listed(sown.urls)}
        assert ids(connection, "worklists", "org") == {org(one) for one in below} & at
        shown = below | (audited if "auditor" in PEOPLE[who].roles else set())
        assert ids(connection, "tallies", "org") == {org(one) for one in shown}


def superiors(body: str) -> Iterator[str]:
    """The body itself, and all above it."""
    while body:
        yield body
        body = BODIES[body].superior


def test_each_story_is_listed_at_the_bodies_it_names_and_at_all_above_them(sown: District):
    assert listed(sown.urls) == belonging(sown.urls)


@pytest.mark.parametrize(("who", "sees"), [("recused_mediator", False), ("far_chair", True)])
async def test_a_case_code_shows_a_case_to_strangers_and_not_to_who_was_replaced_in_it(
    sown: District, who: str, *, sees: bool
):
    told = sown.cases["recused"]
    with psycopg.connect(sown.urls.app) as connection:
        shown = ENTER.replace("NULL", "%s")
        connection.execute(shown, (person(who), org(PEOPLE[who].org), list(PEOPLE[who].roles), told.number))
        assert (told.id in ids(connection, "cases", "id")) == sees
    context = Context(person(who), "", str(uuid.uuid4()), shown=told.number)
    assert ((await sown.desk.house.memory.read_case(context, told.id)).case is not None) == sees


# ── no context, or one that is over ──


@pytest.fixture
def served(sown: District) -> Iterator[psycopg.Connection[Any]]:
    """A connection that has served before: its settings are no longer null but empty."""
    with psycopg.connect(sown.urls.app, autocommit=True) as connection:
        with connection.transaction():
            enter(connection, "supervisor")
            connection.execute("SELECT set_config('mediation.grams', '{1}', true)")
            connection.execute("SELECT set_config('mediation.case', %s, true)", (sown.cases["filed"].id,))
            assert seen(connection, "SELECT id FROM cases")
        assert seen(connection, "SELECT current_setting('mediation.org', true)") == [""]
        yield connection


def empty(connection: psycopg.Connection[Any], tables: list[str]) -> None:
    for table in tables:
        assert rows(connection, table) == 0, table


@pytest.fixture(scope="module")
def guarded(sown: District) -> list[str]:
    with psycopg.connect(whole(sown.urls)) as everything:
        tables = seen(everything, GUARDED)
        assert {"cases", "events", "vault", "vault_keys", "vault_words", "attempts", "disclosures"} <= set(tables)
        for table in tables:
            assert rows(everything, table), f"nothing to hide in {table}"
    return tables


def test_with_no_context_there_is_no_row_on_a_fresh_connection(sown: District, guarded: list[str]):
    with psycopg.connect(sown.urls.app, autocommit=True) as connection:
        empty(connection, guarded)


def test_with_no_context_there_is_no_row_on_a_connection_that_has_served_before(
    served: psycopg.Connection[Any], guarded: list[str]
):
    empty(served, guarded)
    with served.transaction():
        empty(served, guarded)


def test_a_context_ends_with_its_transaction_also_where_that_fails(served: psycopg.Connection[Any], guarded: list[str]):
    served.execute("BEGIN")
    enter(served, "supervisor")
    with pytest.raises(psycopg.errors.DivisionByZero):
        served.execute("SELECT 1/0")
    served.execute("ROLLBACK")
    empty(served, guarded)


def test_a_context_of_one_transaction_leaves_nothing_to_the_next(sown: District):
    all_ = {told.id for told in sown.cases.values()}
    with psycopg.connect(sown.urls.app, autocommit=True) as connection:
        for who in ("auditor", "supervisor", "audit_admin", "officer", "far_chair", "recused_mediator", "mediator"):
            with connection.transaction():
                enter(connection, who)
                assert ids(connection, "cases", "id") & all_ == may_see(sown, who), who


@pytest.mark.parametrize(
    ("who", "body", "roles"),
    [
        (None, None, []),
        (None, None, ["supervisor"]),
        (NOBODY, NOBODY, [role.value for role in Role]),
        (NOBODY, org("V1"), []),
        (NOBODY, org("V1"), ["system_admin", "security_admin", "audit_admin"]),
        (NOBODY, org("V1"), ["auditor"]),  # of a body that is no audit office
        (NOBODY, org("A"), ["archivist", "chair"]),
    ],
)
def test_a_context_of_nobody_or_of_no_part_shows_no_case(
    sown: District, who: str | None, body: str | None, roles: list[str]
):
    with psycopg.connect(sown.urls.app) as connection:
        connection.execute(ENTER, (who, body, roles))
        for table in (*OF_A_CASE, "vault_words", "event_keys"):
            assert rows(connection, table) == 0, table


def test_the_owner_of_the_tables_sees_no_row_either(sown: District, guarded: list[str]):
    with psycopg.connect(sown.urls.owner) as owner:
        empty(owner, guarded)


def test_the_role_of_the_log_sees_what_it_places_and_nothing_else(sown: District, guarded: list[str]):
    assert sown.urls.log
    with psycopg.connect(sown.urls.log, autocommit=True) as log:
        placed = {"events", "feed", "spans", "tallies", "disclosures", "access_feed"}
        for table in placed:
            assert rows(log, table)
        for table in {*guarded, "memberships", "people", "identities"} - placed:
            with pytest.raises(InsufficientPrivilege):
                rows(log, table)


# ── the same lists of roles in three places ──

LISTS = {
    "all": access.WIDE,
    "assigned": access.EVERYBODY - access.WIDE,
    "above": access.ABOVE,
}


def roles_in(name: str) -> list[frozenset[Role]]:
    """Every list of roles in one of our files of SQL."""
    text = files("mediation.store").joinpath(name).read_text("utf-8")
    known = {role.value for role in Role}
    lists = [frozenset(found.split(",")) for found in re.findall(r"'\{([a-z_,]+)\}'", text)]
    return [frozenset(map(Role, one)) for one in lists if one <= known]


def test_the_lists_of_roles_in_sql_are_those_of_the_table_of_access():
    of_admins = [frozenset({Role.AUDIT_ADMIN}), frozenset({Role.SECURITY_ADMIN}), frozenset({Role.AUDITOR})]
    assert sorted(map(sorted, roles_in("rls.sql"))) == sorted(map(sorted, [*LISTS.values(), *of_admins]))
    assert set(roles_in("hot.sql")) >= {access.WIDE, access.ABOVE}
    others = set(roles_in("hot.sql")) - {access.WIDE, access.ABOVE, access.EVERYBODY}
    assert others <= {frozenset({Role.CLOCK})}, others


def test_every_story_has_somebody_who_sees_it_and_somebody_who_does_not():
    for case in STORIES:
        assert {readers()[who, case] for who in MEMBERS} == {True, False}, case

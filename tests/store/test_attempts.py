"""Refused attempts are written down in batches, and read, like the access log, by whoever oversees the body alone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.service.town import Town, asked_by
from tests.whole import whole

from mediation.domain.errors import Malformed
from mediation.service.registry import import_people, org_id, person_id
from mediation.store import attempts as logs
from mediation.store.attempts import Attempt, Sought, write_attempts
from mediation.store.database import engine as engine_of
from mediation.store.sight import reading

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
OVERSEERS = """\
person_code,name,org_code,roles
audits_township,镇审计管理员,township,audit_admin
audits_centre,县审计管理员,centre,audit_admin
guards_centre,县安全管理员,centre,security_admin
runs_centre,县系统管理员,centre,system_admin
audits_court,法院审计管理员,court,audit_admin
"""


def attempt(who: str = "", **changes) -> Attempt:
    plain = Attempt(
        NOW, str(uuid4()), person_id(who) if who else None, "", "", None, "ab" * 16, "GET", "/v1/cases/{case_id}",
        None, "", 404, "not_found", ("a", "b"),
    )  # fmt: skip
    return plain._replace(**changes)


@pytest.fixture
async def overseen(town: Town) -> Town:
    await import_people(town.engine, OVERSEERS)
    return town


async def read(town: Town, who: str, **sought) -> list[logs.Refusal]:
    return (await logs.attempts(town.engine, await town.viewer(who), Sought(**sought), limit=200)).items


async def test_an_attempt_is_read_back_as_it_was_written_down(overseen: Town):
    case = str(uuid4())
    written = attempt("wang", case_id=case, action="close", status=409, code="guard_refused", method="POST")
    await write_attempts(overseen.engine, [written])
    (found,) = await read(overseen, "audits_township", case=case)
    assert found == logs.Refusal(
        NOW, written.request, person_id("wang"), org_id("village"), None,
        "POST", written.route, case, "close", 409, "guard_refused", ["a", "b"],
    )  # fmt: skip


async def test_whoever_a_token_names_is_looked_up_and_a_claimed_body_is_believed_of_a_member_alone(overseen: Town):
    case, subject = str(uuid4()), f"oidc {uuid4()}"
    with psycopg.connect(whole(overseen.urls)) as connection:
        said = ("https://issuer.example", subject, person_id("wang"))
        connection.execute("INSERT INTO identities (issuer, subject, person) VALUES (%s, %s, %s)", said)
    batch = [
        attempt(issuer="https://issuer.example", subject=subject, case_id=case),
        attempt(issuer="https://issuer.example", subject="unknown", case_id=case),
        attempt("both", case_id=case),
        attempt("both", acting_for=org_id("court"), case_id=case),
        attempt("both", acting_for=org_id("centre"), case_id=case),
    ]
    await write_attempts(overseen.engine, batch)
    with psycopg.connect(whole(overseen.urls)) as connection:
        query = "SELECT request::text, person::text, org::text, client IS NULL FROM attempts WHERE case_id = %s"
        found = {row[0]: row[1:] for row in connection.execute(query, (case,))}
    assert [found[one.request] for one in batch] == [
        (person_id("wang"), org_id("village"), True),
        (None, None, False),
        (person_id("both"), org_id("village"), True),  # of two bodies, and did not say for which: where registered
        (person_id("both"), org_id("court"), True),
        (person_id("both"), org_id("village"), True),  # no member of the body they named
    ]


async def test_what_was_refused_is_seen_from_above_and_from_nowhere_else(overseen: Town):
    case = str(uuid4())
    by = {who: attempt(who, case_id=case) for who in ("wang", "li", "zhao", "judge")}
    nobody = attempt(case_id=case)
    await write_attempts(overseen.engine, [*by.values(), nobody])

    async def seen(who: str) -> set[str]:
        return {row.request for row in await read(overseen, who, case=case)}

    assert await seen("audits_township") == {by["wang"].request, by["li"].request}
    top = {by[who].request for who in ("wang", "li", "zhao")} | {nobody.request}
    assert await seen("audits_centre") == await seen("guards_centre") == top
    assert await seen("audits_court") == {by["judge"].request, nobody.request}
    for who in ("runs_centre", "auditor", "wang", "zhao"):
        assert await seen(who) == set(), who


async def test_what_a_known_person_was_refused_is_seen_where_they_are_registered_and_not_by_strangers(overseen: Town):
    case = str(uuid4())
    claimed = attempt("wang", acting_for=org_id("court"), case_id=case)
    await write_attempts(overseen.engine, [claimed])
    assert [row.request for row in await read(overseen, "audits_township", case=case)] == [claimed.request]
    assert await read(overseen, "audits_court", case=case) == []


async def test_row_level_security_alone_shows_a_log_to_its_overseers(overseen: Town):
    case = str(uuid4())
    await write_attempts(overseen.engine, [attempt("wang", case_id=case), attempt("judge", case_id=case)])
    await overseen.house.memory.disclose(
        asked_by("wang").context, (await overseen.seen("wang")).actor, "search", None, "acceptance", []
    )

    async def count(who: str, table: str) -> int:
        query = {
            "attempts": "SELECT count(*) FROM attempts WHERE org = cast(:org AS uuid)",
            "disclosures": "SELECT count(*) FROM disclosures WHERE org = cast(:org AS uuid)",
        }[table]
        async with reading(overseen.engine, await overseen.viewer(who)) as connection:
            return int(await connection.scalar(text(query), {"org": org_id("village")}) or 0)

    assert await count("audits_township", "attempts") > 0
    assert await count("audits_township", "disclosures") > 0
    assert await count("auditor", "disclosures") > 0
    assert await count("guards_centre", "attempts") > 0
    for who, table in (
        ("auditor", "attempts"), ("guards_centre", "disclosures"), ("audits_court", "attempts"),
        ("audits_court", "disclosures"), ("runs_centre", "attempts"), ("wang", "attempts"), ("wang", "disclosures"),
    ):  # fmt: skip
        assert await count(who, table) == 0, (who, table)
    async with overseen.engine.begin() as connection:  # and with no context there is no row
        assert await connection.scalar(text("SELECT count(*) FROM attempts")) == 0


async def test_the_access_log_is_read_from_above_and_by_the_auditors_of_the_place(overseen: Town):
    purpose = f"p{uuid4().hex}"
    for who in ("wang", "judge"):
        context, seen = asked_by(who).context, await overseen.seen(who)
        await overseen.house.memory.disclose(context, seen.actor, "disclosure", None, purpose, ["parties.1.phone"])

    async def bodies(who: str) -> set[str]:
        found = await logs.disclosures(overseen.engine, await overseen.viewer(who), Sought(word="disclosure"))
        return {entry.org for entry in found.items if entry.purpose == purpose}

    village, court = org_id("village"), org_id("court")
    assert await bodies("audits_township") == {village}
    assert await bodies("audits_centre") == {village}
    assert await bodies("audits_court") == {court}
    assert await bodies("auditor") == {village, court}
    for who in ("guards_centre", "runs_centre", "wang", "judge", "zhao"):
        assert await bodies(who) == set(), who


async def test_each_condition_narrows_a_log_and_its_pages_neither_skip_nor_repeat(overseen: Town):
    case = str(uuid4())
    batch = [attempt("wang", case_id=case, at=NOW + timedelta(minutes=n), code=f"code_{n % 2}") for n in range(7)]
    await write_attempts(overseen.engine, batch)
    viewer = await overseen.viewer("audits_township")
    pages, cursor = [], None
    while True:
        page = await logs.attempts(overseen.engine, viewer, Sought(case=case), cursor=cursor, limit=3)
        pages.append([row.request for row in page.items])
        cursor = page.next
        if cursor is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [one for page in pages for one in page] == [one.request for one in reversed(batch)]
    for sought, count in (
        ({"since": NOW + timedelta(minutes=2)}, 5), ({"until": NOW + timedelta(minutes=2)}, 2), ({"word": "code_1"}, 3),
        ({"person": person_id("wang")}, 7), ({"person": person_id("li")}, 0), ({"org": org_id("township")}, 0),
    ):  # fmt: skip
        assert len(await read(overseen, "audits_township", case=case, **sought)) == count, sought
    for cursor in ("WyJhIl0", "WzFd" * 90, "e30", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"):
        with pytest.raises(Malformed):
            await logs.attempts(overseen.engine, viewer, Sought(), cursor=cursor)


async def test_an_answer_that_was_no_refusal_is_not_written_down(overseen: Town):
    with pytest.raises(DBAPIError, match="row-level security"):
        await write_attempts(overseen.engine, [attempt("wang", status=200)])
    made = engine_of(overseen.urls.app)
    with pytest.raises(DBAPIError):  # nor is one ever taken back
        async with made.begin() as connection:
            await connection.execute(text("DELETE FROM attempts"))
    await made.dispose()

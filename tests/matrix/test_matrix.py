"""Every operation, asked by everybody about every case, answers as the same policy does that is written in Cedar."""

import asyncio
import os
import time
import uuid
import zlib
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.matrix.calls import CASES, LISTS, OTHERS, PUBLIC, REGISTRY, Column, operations
from tests.matrix.district import BODIES, PEOPLE, STORIES
from tests.matrix.oracle import COUNTER, Question, answers, readers
from tests.matrix.told import District, org
from tests.whole import whole

from mediation.domain.vocabulary import Action
from mediation.http.app import create_app
from mediation.settings import Settings

FULL = os.environ.get("MEDIATION_BATTERY") == "1"
AT_ONCE = 8
ADMINISTRATORS = {"system_admin", "security_admin", "audit_admin"}
TOLD = {403: "refused", 404: "not found"}


def document() -> dict[str, tuple[str, str]]:
    """Of each operation of the OpenAPI document its method and path."""
    paths = create_app(Settings()).openapi()["paths"]
    return {o["operationId"]: (method.upper(), path) for path, all_ in paths.items() for method, o in all_.items()}


def test_every_operation_of_the_document_has_its_place_in_the_matrix():
    assert operations() == set(document())


def test_every_action_of_the_process_is_a_column():
    columns = {column.action.removesuffix("_for_party") for column in CASES if column.operation == "take_step"}
    assert columns == {action.value for action in Action} - {"file"}  # which is an operation of its own


def drawn(*cell: str) -> bool:
    """Whether this cell is asked in this run: all in the battery, else always the same tenth."""
    return FULL or zlib.crc32(" ".join(cell).encode()) % 10 == 0


def expected(who: str, *, may: bool, sees: bool) -> str:
    if not PEOPLE[who].org:
        return "refused"
    if not sees:
        return "not found"
    return "allowed" if may else "refused"


async def together(work: Iterable[Awaitable[Any]]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(thing: Awaitable[Any]) -> None:
        async with turn:
            await thing

    await asyncio.gather(*map(one, work))


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """What is other than the oracle says, a line a cell: the operation, who, the case, expected, got."""
    lines = sorted(set(rows))
    return "\n".join([f"{len(lines)} cells", *("  ".join(f"{part[:60]:<24}" for part in row) for row in lines[:200])])


async def test_everybody_is_answered_about_every_case_as_the_oracle_says(district: District, capsys: Any):
    cells = [
        (column, who, case)
        for column in CASES
        for who in PEOPLE
        for case, story in STORIES.items()
        if column.fits(story) and drawn(column.name, who, case)
    ]
    may = answers(Question(who, column.action, "Case", case) for column, who, case in cells)
    wrong: list[tuple[str, ...]] = []

    async def ask(column: Column, who: str, case: str) -> None:
        answer = await column.ask(district, who, case)
        got = "allowed" if answer.status_code in column.allowed else TOLD.get(answer.status_code, answer.text)
        should = expected(who, may=may[Question(who, column.action, "Case", case)], sees=readers()[who, case])
        if got != should:
            wrong.append((column.name, who, case, should, got))

    district.calls, began = 0, time.perf_counter()
    await together(ask(*cell) for cell in cells)
    with capsys.disabled():
        print(f"\nmatrix: {district.calls} calls, {len(cells)} cells, {time.perf_counter() - began:.1f} s")  # noqa: T201  # the figure to show
    if wrong:
        pytest.fail(table(wrong))
    assert district.calls >= 2000


async def other_lists(district: District) -> list[tuple[str, ...]]:
    """Where a list or search holds other cases than the oracle says."""
    wrong: list[tuple[str, ...]] = []
    leave = answers(
        Question(who, found.action, *COUNTER) for found in LISTS if found.action != "read" for who in PEOPLE
    )
    for number, found in enumerate(LISTS):
        for who, person in PEOPLE.items():
            got = await found.ask(district, who)
            listed = bool(person.org) and (found.action == "read" or leave[Question(who, found.action, *COUNTER)])
            if got is None or not listed:
                wrong += [(found.operation, who, "", f"{listed}", f"{got}")] if listed or got is not None else []
                continue
            should = {case for case, story in STORIES.items() if readers()[who, case] and found.holds(who, story)}
            wrong += [(f"{found.operation} {number}", who, case, "held", "lacking") for case in should - got]
            wrong += [(f"{found.operation} {number}", who, case, "nothing", "found") for case in got - should]
    return wrong


async def test_every_list_and_search_holds_the_cases_that_the_oracle_says(district: District):
    if wrong := await other_lists(district):
        pytest.fail(table(wrong))


@pytest.fixture
def unguarded(district: District) -> Iterator[None]:
    """Row-level security is off."""
    with psycopg.connect(whole(district.urls), autocommit=True) as everything:
        tables = [name for (name,) in everything.execute("SELECT relname FROM pg_class WHERE relrowsecurity")]
        for word in ("DISABLE", "ENABLE"):
            for name in tables:
                everything.execute(SQL("ALTER TABLE {} {} ROW LEVEL SECURITY").format(Identifier(name), SQL(word)))
            if word == "DISABLE":
                yield


async def test_the_application_s_own_predicate_says_the_same_without_row_level_security(
    district: District, unguarded: None
):
    wrong: list[tuple[str, ...]] = []
    reads = [column for column in CASES if column.operation in {"show_case", "list_case_events", "show_event"}]

    async def ask(column: Column, who: str, case: str) -> None:
        status = (await column.ask(district, who, case)).status_code
        if (status == 200) != readers()[who, case]:
            wrong.append((column.name, who, case, str(readers()[who, case]), str(status)))

    await together(ask(column, who, case) for column in reads for who in PEOPLE for case in STORIES)
    wrong += await other_lists(district)
    if wrong:
        pytest.fail(table(wrong))


async def test_what_is_about_no_case_is_answered_as_the_oracle_says(district: District):
    asked = [(other, who) for other in OTHERS for who in PEOPLE]
    may = answers(Question(who, other.action, *other.resource) for other, who in asked if other.action)
    wrong: list[tuple[str, ...]] = []
    for other, who in asked:
        key = {"Idempotency_Key": uuid.uuid4().hex} if other.method == "POST" else {}
        path = other.path.format_map(district.bundles)
        answer = await district.call(who, other.method, path, other.body(district), **key)
        allowed = not other.action or may[Question(who, other.action, *other.resource)]
        status = other.allowed if allowed else other.denied if PEOPLE[who].org else 403
        if answer.status_code != status:
            wrong.append((other.operation, other.action, who, str(status), f"{answer.status_code} {answer.text}"))
    if wrong:
        pytest.fail(table(wrong))


async def test_the_statistics_of_a_body_are_read_by_whom_the_oracle_says(district: District):
    asked = [(code, who) for code in BODIES for who in PEOPLE]
    at_all = {who: Question(who, "statistics", "Counter", "cases") for who in PEOPLE}
    may = answers([*at_all.values(), *(Question(who, "statistics", "Org", code) for code, who in asked)])
    wrong: list[tuple[str, ...]] = []
    for code, who in asked:
        answer = await district.call(who, "GET", f"/v1/statistics?org={org(code)}")
        status = 403 if not may[at_all[who]] else 200 if may[Question(who, "statistics", "Org", code)] else 404
        if answer.status_code != status:
            wrong.append(("show_statistics", code, who, str(status), f"{answer.status_code} {answer.text[:200]}"))
    if wrong:
        pytest.fail(table(wrong))


async def test_the_registry_is_changed_by_whom_the_oracle_says(district: District):
    asked = [(change, who) for change in REGISTRY for who in PEOPLE]
    may = answers(
        Question(who, action, "Org", change.org) for change, who in asked for action in (change.action, "reach")
    )
    wrong: list[tuple[str, ...]] = []
    for change, who in asked:
        answer = await district.call(who, change.method, change.path, change.body)
        got = "allowed" if answer.status_code == change.allowed else TOLD.get(answer.status_code, answer.text)
        allowed, reached = (may[Question(who, action, "Org", change.org)] for action in (change.action, "reach"))
        should = expected(who, may=allowed, sees=reached)
        if ADMINISTRATORS & {*PEOPLE[who].roles} and not PEOPLE[who].second_factor:
            should = "refused"  # before anything else, and whatever there is
        if got != should:
            wrong.append((change.operation, change.org, who, should, got))
    if wrong:
        pytest.fail(table(wrong))


async def test_every_operation_but_the_public_ones_asks_for_a_token(district: District):
    for operation, (method, path) in document().items():
        answer = await district.client.request(method, path)
        assert (answer.status_code == 401) == (operation not in PUBLIC), operation

"""Every committed event gets one position, none is skipped, and a case's events keep their order."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest
from tests.service.town import NOTE, Town, asked_by, opened, populate
from tests.whole import integrated, keys_of, whole

from mediation.domain.checkpoints import open_checkpoint
from mediation.gateway.keys import BadKeyFile
from mediation.gateway.logkeys import retire
from mediation.service.cosigning import Cosigners
from mediation.service.findings import Trust
from mediation.service.integrate import LogHalted, Sequencer, integrate_forever, integrate_once, keys_for
from mediation.service.recovery import standings
from mediation.service.verification import verify_database
from mediation.settings import Settings, Urls
from mediation.store import queries, spans
from mediation.store.logbook import Logbook


async def test_writers_and_integrators_at_once_skip_nothing_and_keep_every_order(town: Town):
    cases = [await town.file() for _ in range(6)]
    done, written = asyncio.Event(), asyncio.Event()

    async def write(case_id: str) -> None:
        for version in range(1, 26):
            await town.step("wang", case_id, NOTE, version=version)

    async def integrate() -> None:
        while not written.is_set():
            await integrated(town.urls)

    async def follow() -> list[tuple[str, int]]:
        """A reader of the feed who goes on from the position told, as systems do."""
        viewer, position, read = await town.viewer("wang"), 0, []
        while True:
            ended = done.is_set()
            found, following = await spans.feed(town.engine, viewer, after=position, limit=7)
            read += [stored.position for stored in found]
            if following == position and ended:
                return read
            position = following
            await asyncio.sleep(0.001)

    integrators = [asyncio.create_task(integrate()) for _ in range(2)]
    reader = asyncio.create_task(follow())
    await asyncio.gather(*(write(case.case) for case in cases))
    written.set()
    await asyncio.gather(*integrators)
    while await integrated(town.urls):
        pass
    done.set()
    async with await psycopg.AsyncConnection.connect(whole(town.urls)) as owner:
        rows = await (
            await owner.execute(
                "SELECT f.position, e.case_id, e.seq FROM feed f JOIN events e ON e.id = f.event ORDER BY f.position"
            )
        ).fetchall()
        assert await (await owner.execute("SELECT count(*) FROM outbox")).fetchone() == (0,)
        (events,) = await (await owner.execute("SELECT count(*) FROM events")).fetchone()
    assert [row[0] for row in rows] == list(range(1, events + 1))
    for case in cases:
        assert [seq for _, case_id, seq in rows if str(case_id) == case.case] == list(range(1, 27))
    visible = {case.case for case in cases}
    assert await reader == [position for position, case_id, _ in rows if str(case_id) in visible]


async def test_the_task_of_the_service_integrates_until_it_is_stopped(town: Town):
    task = asyncio.create_task(integrate_forever(town.urls.log, keys_of(town.urls), every_s=0.01))
    filed = await town.file()
    viewer = await town.viewer("wang")
    for _ in range(500):
        if (await queries.event(town.engine, viewer, filed.event)).position:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    assert (await queries.event(town.engine, viewer, filed.event)).position


async def test_who_meets_another_at_work_leaves_it_alone(town: Town):
    await town.file()
    async with await psycopg.AsyncConnection.connect(town.urls.log) as other:
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('mediation.integrate'))")
        assert await integrated(town.urls) == 0
    assert await integrated(town.urls) == 1


async def test_a_sequencer_that_runs_does_not_sign_again_what_was_set_back_behind_its_back(database_urls: Urls):
    """Feed, spans, tiles and checkpoints are as they were an event ago, and another event waits in its place."""
    await populate(database_urls)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        async with await psycopg.AsyncConnection.connect(database_urls.log, autocommit=True) as connection:
            sequencer = Sequencer(keys_of(database_urls))
            assert await sequencer.drain(connection)
            async with await psycopg.AsyncConnection.connect(whole(database_urls)) as superuser:
                tables = ("feed", "spans", "log_tiles", "log_checkpoints")
                for table in tables:
                    await superuser.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
            await town.step("wang", case_id, NOTE)
            assert await sequencer.drain(connection) == 1
            async with await psycopg.AsyncConnection.connect(whole(database_urls)) as superuser:
                await superuser.execute("SET session_replication_role = replica")
                for table in tables:
                    await superuser.execute(f"DELETE FROM {table}")  # noqa: S608  # names of ours
                    await superuser.execute(f"INSERT INTO {table} TABLE kept_{table}")
                await superuser.execute("DELETE FROM events WHERE case_id = %s AND seq = 2", (case_id,))
            await town.file()
            before = keys_of(database_urls).events.remembered()
            with pytest.raises(LogHalted) as found:
                await sequencer.drain(connection)
            assert found.value.reasons[0].code == "log_rollback"
            assert keys_of(database_urls).events.remembered() == before
        with pytest.raises(LogHalted):
            await integrated(database_urls)


async def test_the_last_checkpoint_of_this_machine_never_goes_back(database_urls: Urls):
    await populate(database_urls)
    async with opened(database_urls) as town:
        key = keys_of(database_urls).events
        await integrated(database_urls)
        earlier = key.remembered()
        await town.file()
        await integrated(database_urls)
        later = key.remembered()
        key.remember(earlier)
        assert key.remembered() == later != earlier


async def _behind_the_triggers(urls: Urls, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(whole(urls)) as superuser:
        await superuser.execute("SET session_replication_role = replica")
        for statement in statements:
            await superuser.execute(statement)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE log_tiles SET hashes = hashes || hashes WHERE level = 0",
        "DELETE FROM log_tiles WHERE level = 0",
        "UPDATE log_tiles SET hashes = overlay(hashes placing '\\x00'::bytea from 1)",
        "UPDATE log_checkpoints SET root = sha256('x')",
        "UPDATE log_checkpoints SET note = 'x'",
        "INSERT INTO outbox (event, case_id) SELECT event, case_id FROM spans",
        "INSERT INTO outbox (event, case_id) VALUES (gen_random_uuid(), gen_random_uuid())",
        "INSERT INTO feed SELECT position + 2, event FROM (SELECT max(position) FROM feed) AS f (position), (SELECT gen_random_uuid()) AS e (event)",
        "UPDATE events SET bytes = bytes || ' '::bytea WHERE id IN (SELECT event FROM outbox)",
        "UPDATE events SET bytes = replace(convert_from(bytes, 'UTF8'), '\"by\"', '\"bx\"')::bytea WHERE seq = 1 AND NOT id IN (SELECT event FROM outbox)",
        "DELETE FROM log_epochs",
        "DELETE FROM spans",
    ],
)
async def test_whatever_contradicts_the_log_stops_it_and_is_named(database_urls: Urls, tampering: str):
    await populate(database_urls)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        await integrated(database_urls)
        await town.step("wang", case_id, NOTE)
        await town.step("wang", case_id, NOTE, version=2)
        await _behind_the_triggers(database_urls, tampering)
        before = keys_of(database_urls).events.remembered()
        with pytest.raises(LogHalted) as found:
            await integrated(database_urls)
        assert found.value.reasons[0].code in {"log_mismatch", "log_rollback", "log_fork"}
        assert keys_of(database_urls).events.remembered() == before


@pytest.mark.parametrize("damage", ["", "half of a checkpoint"])
async def test_a_damaged_last_checkpoint_is_named_and_nothing_is_signed_without_it(database_urls: Urls, damage: str):
    await populate(database_urls)
    await integrated(database_urls)
    key = keys_of(database_urls).events
    head = key.path.with_name(f"{key.path.name}.head")
    head.write_text(damage)
    async with opened(database_urls) as town:
        await town.file()
        with pytest.raises(BadKeyFile, match=head.name):
            await integrated(database_urls)


async def test_where_nothing_is_signed_for_a_minute_the_log_says_so(database_urls: Urls):
    await populate(database_urls)
    await integrated(database_urls)
    long_past = "INSERT INTO outbox (event, case_id) VALUES ('0190f000-0000-7000-8000-000000000000', gen_random_uuid())"
    await _behind_the_triggers(database_urls, long_past)
    keys = keys_of(database_urls)
    events, access = await standings(database_urls.log, keys, Cosigners(database_urls.log, keys, ()))
    assert (events.waiting, events.wrong and events.wrong.code) == (1, "log_stalled")
    assert access.wrong is None


async def test_who_is_shown_very_much_is_entered_in_entries_that_fit_into_the_log(database_urls: Urls):
    await populate(database_urls)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        who = asked_by("wang").context
        fields = [f"parties.{number}.id_number" for number in range(1, 2002)]
        await town.house.memory.disclose(who, (await town.seen("wang")).actor, "disclosure", case_id, "visit", fields)
        await integrated(database_urls)
        async with await psycopg.AsyncConnection.connect(database_urls.reader) as reader:
            book = Logbook(reader, "access")
            (epoch,) = await book.epochs()
            entries = [json.loads(entry) for entry in await book.entries(epoch, 0, 5)]
    assert [field for entry in entries for field in entry["fields"]] == fields
    assert max(map(len, (json.dumps(entry) for entry in entries))) < 2**15


async def test_what_was_read_has_its_place_while_very_much_is_written(
    database_urls: Urls, monkeypatch: pytest.MonkeyPatch
):
    await populate(database_urls)
    monkeypatch.setattr("mediation.service.integrate.BATCH", 2)
    async with opened(database_urls) as town:
        case_id = (await town.file()).case
        who = asked_by("wang").context
        await town.house.memory.disclose(who, (await town.seen("wang")).actor, "disclosure", case_id, "visit", ["x"])
        signed: list[str] = []
        async with await psycopg.AsyncConnection.connect(database_urls.log, autocommit=True) as connection:

            def reached(point: str) -> None:
                if point == "committed":
                    heads = [key.head() for key in keys_of(database_urls)]
                    signed.append("-".join(str(head.size if head else 0) for head in heads))

            await Sequencer(keys_of(database_urls), reached).drain(connection)
    assert signed[:3] == ["0-0", "2-0", "2-1"]


async def test_no_key_is_made_in_place_of_one_that_is_gone(database_urls: Urls, tmp_path: Path):
    settings = Settings(log_key=tmp_path / "log.key", access_log_key=tmp_path / "access.key", data_dir=tmp_path)
    await populate(database_urls)
    keys = await keys_for(settings, database_urls.log)
    await integrate_once(database_urls.log, keys)
    (tmp_path / "log.key").rename(tmp_path / "kept")
    with pytest.raises(BadKeyFile, match=keys.events.origin):
        await keys_for(settings, database_urls.log)
    assert not (tmp_path / "log.key").exists()
    (tmp_path / "kept").rename(tmp_path / "log.key")
    assert await keys_for(settings, database_urls.log) == keys


async def test_a_key_that_replaced_another_vouches_for_the_checkpoint_that_stands(database_urls: Urls):
    """Whoever is given the new key alone can verify what was signed last, before anything new is."""
    await populate(database_urls)
    await integrated(database_urls)
    old = keys_of(database_urls)
    new = retire(old.events)
    assert await integrated(database_urls) == 0
    async with await psycopg.AsyncConnection.connect(database_urls.reader) as reader:
        published = await Logbook(reader).published(new.origin)
    for verifier in (old.events.signer.verifier, new.signer.verifier):
        checkpoint, _ = open_checkpoint(published.note, [verifier], new.origin)
        assert checkpoint.size == published.size
    trust = Trust((new.signer.verifier, *new.retired, old.access.signer.verifier))
    report = await verify_database(database_urls.reader, trust=trust)
    assert report.sound, report.failures


async def test_an_access_that_holds_more_than_codes_stops_the_log_too(database_urls: Urls):
    await populate(database_urls)
    await integrated(database_urls)
    words = """
WITH d AS (
    INSERT INTO disclosures (person, org, request, kind, purpose, fields)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'disclosure', '用途', '{}') RETURNING id
) INSERT INTO access_outbox (disclosure) SELECT id FROM d"""
    await _behind_the_triggers(database_urls, words)
    with pytest.raises(LogHalted) as found:
        await integrated(database_urls)
    assert found.value.reasons[0].code == "log_mismatch"

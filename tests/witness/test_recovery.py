"""An older backup is restored: nothing is signed, steps go on, and the log begins anew with what was lost."""

from contextlib import asynccontextmanager
from itertools import permutations

import psycopg
import pytest
from tests.service.town import NOTE, opened
from tests.whole import keys_of, whole
from tests.witness.bystanders import standing

from mediation.domain.checkpoints import open_checkpoint
from mediation.domain.events import parse
from mediation.domain.merkle import leaf_hash
from mediation.domain.notes import new_signer
from mediation.domain.registering import LOG_ID, Recover, said
from mediation.gateway.backup import read_backup, write_backup
from mediation.gateway.logkeys import log_key, succeed
from mediation.gateway.witnesses import witnesses
from mediation.service.cosigning import Cosigners
from mediation.service.findings import Trust
from mediation.service.following import Chains, verify_tiles
from mediation.service.integrate import LogHalted, Sequencer
from mediation.service.placing import log_misplaced
from mediation.service.publishing import publish_log
from mediation.service.recovery import NothingLost, recover, standings
from mediation.service.registry import import_people
from mediation.service.verification import verify_database
from mediation.store.database import connect
from mediation.store.logbook import Logbook
from mediation.store.trails import StoredEvent, Trail


@asynccontextmanager
async def cosigners_for(urls, them=()):
    made = Cosigners(urls.log, keys_of(urls), witnesses([(one.vkey, one.url) for one in them]))
    try:
        yield made
    finally:
        await made.close()


async def integrate(urls, them=()):
    """As the service does when it begins: how much was given its place."""
    async with cosigners_for(urls, them) as cosigners, await connect(urls.log) as connection:
        moved = await Sequencer(keys_of(urls), cosigners=cosigners).drain(connection)
        await cosigners.collected()
        return moved


async def began_anew(urls, them=()):
    async with cosigners_for(urls, them) as cosigners:
        return await recover(urls, keys_of(urls), cosigners)


async def stood(urls, them=()):
    async with cosigners_for(urls, them) as cosigners:
        return await standings(urls.log, keys_of(urls), cosigners)


async def lived(urls, folder, them=()):
    """Some steps, a backup, more steps; then the backup is restored. The last checkpoint there was."""
    async with opened(urls) as town:
        first = await town.file()
        await integrate(urls, them)
        write_backup(urls.reader, folder / "older.dump")
        for version in range(1, 6):
            await town.step("wang", first.case, NOTE, version=version)
        await integrate(urls, them)
        async with await connect(urls.log) as connection:
            last = await Logbook(connection).published(keys_of(urls).events.origin)
    read_backup(urls.owner, folder / "older.dump", force=True)
    return first, last


def forget_here(urls):
    """The machine is a new one: only the witnesses know."""
    for key in keys_of(urls):
        key.path.with_name(f"{key.path.name}.head").unlink(missing_ok=True)


@pytest.fixture(params=["machine", "witness"])
def who_knows(request):
    return request.param


@pytest.fixture
async def restored(town, tmp_path, who_knows):
    """The doors, the witnesses, the first event, and the last checkpoint of before."""
    urls = town.urls
    vkeys = [key.signer.verifier.text for key in keys_of(urls)]
    if who_knows == "machine":
        yield urls, (), *await lived(urls, tmp_path)
        return
    with standing(tmp_path / "w1", *vkeys) as one:
        first, last = await lived(urls, tmp_path, [one])
        forget_here(urls)
        yield urls, (one,), first, last


async def test_after_the_restore_of_an_older_backup_the_log_begins_anew_and_says_what_was_lost(restored):
    urls, them, first, last = restored
    old = keys_of(urls).events
    async with opened(urls) as town:
        await town.step("wang", first.case, NOTE, version=1)
        with pytest.raises(LogHalted) as halted:
            await integrate(urls, them)
        assert [reason.code for reason in halted.value.reasons] == ["log_rollback"]
        later = await town.step("wang", first.case, NOTE, version=2)
        [events, access] = await stood(urls, them)
        assert (events.trouble.code, events.waiting, access.trouble) == ("log_rollback", 2, None)

        [entry] = await began_anew(urls, them)
        assert (entry.lost_origin, entry.lost_size, entry.lost_root) == (old.origin, last.size, last.root.hex())
        assert (entry.size, entry.root) == (events.own.size, events.own.root.hex())
        assert entry.new_origin == f"{old.origin}/epoch-{last.size + 1}"
        assert entry.position == last.size + 1
        new = keys_of(urls).events
        assert (new.origin, new.retired) == (entry.new_origin, (old.signer.verifier,))

        assert await integrate(urls) == 2
        async with await connect(urls.log) as connection:
            book = Logbook(connection)
            [epoch, before] = await book.epochs()
            assert (epoch.first_position, before.first_position) == (entry.position, 1)
            data = await book.entries(epoch, 0, 3)
            assert said(parse(data[0])) == entry
            assert [parse(one).event for one in data[1:]][-1] == later.event
            assert await book.position_of(later.event) == entry.position + 2
            proof = await book.proof_of(entry.position + 2)
            assert proof.verify(leaf_hash(later.canonical), new.verifiers, new.origin).size == 3
            oldest = await book.proof_of(1)
            open_checkpoint(oldest.note, new.verifiers, old.origin)
        assert [one.trouble for one in await stood(urls)] == [None, None]
        with pytest.raises(NothingLost):
            await began_anew(urls)
    believed = tuple(one for key in keys_of(urls) for one in key.verifiers)
    report = await verify_database(urls.reader, trust=Trust(believed))
    assert (report.sound, report.failures) == (True, ())


async def test_recovering_twice_over_never_gives_a_place_again(town, tmp_path):
    """The database is lost again, and with it that there was a second epoch: its name still tells its place."""
    urls = town.urls
    first, last = await lived(urls, tmp_path)
    [entry] = await began_anew(urls)
    async with opened(urls) as again:
        for version in range(1, 4):
            await again.step("wang", first.case, NOTE, version=version)
        assert await integrate(urls) == 3
    read_backup(urls.owner, tmp_path / "older.dump", force=True)
    with pytest.raises(LogHalted) as halted:
        await integrate(urls)
    assert [reason.code for reason in halted.value.reasons] == ["log_key_unknown"]
    [second] = await began_anew(urls)
    assert (second.lost_origin, second.lost_size) == (entry.new_origin, 4)
    assert second.position == entry.position + 4 == last.size + 1 + 4
    assert await integrate(urls) == 0
    assert [one.trouble for one in await stood(urls)] == [None, None]


async def test_an_access_log_that_was_set_back_begins_anew_too_and_the_log_of_administration_says_so(town, tmp_path):
    urls = town.urls
    await shown(urls)
    await integrate(urls)
    write_backup(urls.reader, tmp_path / "older.dump")
    for _ in range(2):
        await shown(urls)
    assert await integrate(urls) == 2
    await town.engine.dispose()
    read_backup(urls.owner, tmp_path / "older.dump", force=True)
    await shown(urls)
    with pytest.raises(LogHalted):
        await integrate(urls)
    old = keys_of(urls).access.origin
    [entry] = await began_anew(urls)
    assert (entry.log, entry.lost_size, entry.size, entry.new_origin) == ("access", 3, 1, f"{old}/epoch-4")
    assert await integrate(urls) == 2
    async with await connect(urls.log) as connection:
        access, events = Logbook(connection, "access"), Logbook(connection)
        [epoch, _] = await access.epochs()
        assert (epoch.origin, epoch.first_position) == (entry.new_origin, 4)
        assert len(await access.entries(epoch, 0, 1)) == 1
        [first] = await events.epochs()
        size = (await events.published(first.origin)).size
        assert said(parse((await events.entries(first, 0, size))[-1])) == entry
    assert [one.trouble for one in await stood(urls)] == [None, None]


async def shown(urls):
    """Somebody was shown something."""
    async with await psycopg.AsyncConnection.connect(whole(urls), autocommit=True) as owner:
        await owner.execute("""
            WITH written AS (
                INSERT INTO disclosures (person, org, request, kind, purpose, fields)
                VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'search', 'handle', '{}') RETURNING id)
            INSERT INTO access_outbox (disclosure) SELECT id FROM written""")


async def test_a_recovery_that_was_broken_off_is_taken_up_where_it_was(town, tmp_path):
    urls = town.urls
    _, last = await lived(urls, tmp_path)
    [events, _] = await stood(urls)
    succeed(keys_of(urls).events, events.new_origin)
    held = keys_of(urls).events.signer.seed
    [entry] = await began_anew(urls)
    assert keys_of(urls).events.signer.seed == held
    assert (entry.lost_size, entry.new_origin) == (last.size, events.new_origin)
    async with await connect(urls.log) as connection:
        [epoch, _] = await Logbook(connection).epochs()
        assert isinstance(said(parse((await Logbook(connection).entries(epoch, 0, 1))[0])), Recover)


async def test_while_a_witness_is_silent_nobody_knows_what_was_lost_and_nothing_begins_anew(town, tmp_path):
    urls = town.urls
    with standing(tmp_path / "w1", *(key.signer.verifier.text for key in keys_of(urls))) as one:
        await lived(urls, tmp_path, [one])
        one.kill()
        with pytest.raises(NothingLost) as refused:
            await began_anew(urls, [one])
    assert [reason.code for reason in refused.value.reasons] == ["witness_away"]


async def test_where_nothing_was_lost_nothing_begins_anew(town):
    await town.file()
    with pytest.raises(NothingLost):
        await began_anew(town.urls)
    await integrate(town.urls)
    with pytest.raises(NothingLost):
        await began_anew(town.urls)


async def test_a_log_whose_key_is_gone_for_good_begins_anew_by_the_public_half_of_it(town):
    await town.file()
    await integrate(town.urls)
    old = keys_of(town.urls).events
    old.path.unlink()
    old.path.with_name(f"{old.path.name}.head").unlink()
    log_key(old.path, "test.example/after-the-loss")
    forged = new_signer(old.origin, bytes(32)).verifier
    async with cosigners_for(town.urls) as cosigners:
        for no_help in ((), (forged,), (keys_of(town.urls).access.signer.verifier,)):
            with pytest.raises(NothingLost):
                await recover(town.urls, keys_of(town.urls), cosigners, no_help)
        [entry] = await recover(town.urls, keys_of(town.urls), cosigners, [old.signer.verifier])
    assert (entry.origin, entry.lost_size) == (entry.lost_origin, entry.size)
    assert entry.new_origin == f"{old.origin}/epoch-{entry.size + 1}"
    await town.file()
    await integrate(town.urls)
    held = keys_of(town.urls)
    trust = Trust((*held.events.verifiers, *held.access.verifiers))
    report = await verify_database(town.urls.reader, trust=trust)
    assert report.sound, report.failures


async def test_another_key_than_the_log_s_is_no_sign_that_it_was_set_back(town):
    await town.file()
    await integrate(town.urls)
    succeed(keys_of(town.urls).events, "test.example/another")
    [events, _] = await stood(town.urls)
    assert events.trouble.code == "log_key_unknown"
    with pytest.raises(NothingLost):
        await began_anew(town.urls)


async def test_what_was_administered_while_nothing_was_signed_stands_behind_the_entry_that_tells_of_it(town, tmp_path):
    """The newest entry is the first leaf; those that waited come after it, and then the chain goes on from it."""
    urls = town.urls
    await shown(urls)
    await integrate(urls)
    write_backup(urls.reader, tmp_path / "older.dump")
    await town.file()
    await shown(urls)
    await integrate(urls)
    await town.engine.dispose()
    read_backup(urls.owner, tmp_path / "older.dump", force=True)
    async with opened(urls) as again:
        for code in ("first", "second"):
            people = f"person_code,name,org_code,roles\n{code},人,village,clerk\n"
            await import_people(again.engine, people)
        recovered = [entry.log for entry in await began_anew(urls)]
        assert recovered == ["events", "access"]
        assert await integrate(urls) == 3
        await import_people(again.engine, people)
        assert await integrate(urls) == 1
    believed = tuple(one for key in keys_of(urls) for one in key.verifiers)
    assert (await verify_database(urls.reader, trust=Trust(believed))).failures == ()
    await publish_log(urls.reader, "events", tmp_path / "log", keys_of(urls).events.verifiers)
    reading = verify_tiles(tmp_path / "log", Trust(believed))
    assert (reading.failures, reading.entries) == ((), 5)
    async with await connect(urls.log) as connection:
        [epoch, _] = await Logbook(connection).epochs()
        events = [parse(one) for one in await Logbook(connection).entries(epoch, 0, 5)]
    last = events[0].seq
    assert [one.seq for one in events] == [last, last - 2, last - 1, last + 1, last + 2]
    for wrong in permutations(range(5)):
        chains, told = Chains(), [events[at] for at in wrong]
        found = [chains.take(one, leaf_hash(one.canonical), index) for index, one in enumerate(told)]
        placed = {one.event: position for position, one in enumerate(told, epoch.first_position)}
        trail = Trail(LOG_ID, None, [
            StoredEvent(one.event, one.seq, one.canonical, placed[one.event])
            for one in sorted(told, key=lambda one: one.seq)
        ], [])  # fmt: skip
        misplaced = log_misplaced(trail, {last: epoch.first_position})
        seqs = [one.seq for one in told]
        whole_ = wrong == tuple(range(5)) or seqs == sorted(seqs)  # the latter: as if nothing had been set back
        assert (misplaced is None, not any(found)) == (whole_, whole_), seqs

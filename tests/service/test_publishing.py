"""A log is exported as files that any monitor can follow, resumed where it was stopped, and never mixed with another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.service.test_treeproof import Told, tamper
from tests.service.test_treeproof import told as told  # noqa: PLC0414  # a fixture, given on
from tests.service.town import NOTE, Town, opened, populate
from tests.whole import integrated, keys_of

from mediation.domain.errors import BrokenTrail, NotFound
from mediation.gateway.embedded import Server
from mediation.gateway.logkeys import LogKey
from mediation.service.findings import Trust
from mediation.service.following import verify_tiles
from mediation.service.publishing import Export, NothingSigned, NotItsFolder, publish_log
from mediation.settings import Urls
from mediation.store.logbook import Log

MANY = 300


@pytest.fixture
async def many(database_urls: Urls) -> AsyncIterator[Town]:
    """A log of more than one whole tile."""
    await populate(database_urls)
    async with opened(database_urls) as town:
        case = (await town.file()).case
        for _ in range(MANY):
            await town.step("wang", case, NOTE | {"text": "走访"})
        await integrated(database_urls)
        yield town


async def exported(
    urls: Urls,
    folder: Path,
    *,
    access: bool = False,
    key: LogKey | None = None,
    check: bool = False,
    epoch: int | None = None,
) -> Export:
    keys = keys_of(urls)
    key = key or (keys.access if access else keys.events)
    log: Log = "access" if access else "events"
    return await publish_log(urls.reader, log, folder, key.verifiers, check=check, epoch=epoch)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def read(urls: Urls, folder: Path, *, access: bool = False):
    keys = keys_of(urls)
    return verify_tiles(folder, Trust((keys.access if access else keys.events).verifiers))


async def test_both_logs_are_exported_whole_and_verify(told: Told, tmp_path: Path):
    assert (await exported(told.urls, tmp_path / "events")).size == 8
    assert files(tmp_path / "events") == {"checkpoint", "log.vkey", "tile/0/000.p/8", "tile/entries/000.p/8"}
    reading = read(told.urls, tmp_path / "events")
    assert (reading.failures, reading.entries, reading.cases) == ((), 8, 3)
    assert (await exported(told.urls, tmp_path / "access", access=True)).size == 3
    reading = read(told.urls, tmp_path / "access", access=True)
    assert (reading.failures, reading.entries, reading.cases) == ((), 3, 0)


async def test_what_is_new_is_added_and_whole_tiles_replace_partial_ones(many: Town, tmp_path: Path):
    first = await exported(many.urls, tmp_path)
    assert (first.size, first.written) == (MANY + 4, 7)
    again = await exported(many.urls, tmp_path)
    assert (again.size, again.written) == (MANY + 4, 1)  # the checkpoint
    case = (await many.file()).case
    for _ in range(220):
        await many.step("wang", case, NOTE | {"text": "走访"})
    await integrated(many.urls)
    assert (await exported(many.urls, tmp_path)).size == MANY + 225
    assert files(tmp_path) == {
        *("checkpoint", "log.vkey", "tile/0/000", "tile/0/001", "tile/0/002.p/13", "tile/1/000.p/1", "tile/1/000.p/2"),
        *("tile/entries/000", "tile/entries/001", "tile/entries/002.p/13"),
    }
    assert read(many.urls, tmp_path).failures == ()


class Killed(BaseException):
    """Stands for a kill: nothing that the export does afterwards is done."""


async def test_an_export_killed_at_any_file_goes_on(many: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = tmp_path / "whole"
    await exported(many.urls, whole)
    replace, left = Path.replace, 0

    def replaced(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replaced)
        for kept in range(7):
            folder, left = tmp_path / str(kept), kept
            with pytest.raises(Killed):
                await exported(many.urls, folder)
            assert not (folder / "checkpoint").exists()
    for kept in range(7):
        folder = tmp_path / str(kept)
        await exported(many.urls, folder)
        assert files(folder) == files(whole)
        assert read(many.urls, folder).sound


SPOILT = [
    ("tile/0/000", bytes(8192)),
    ("tile/0/001.p/48", b""),
    ("tile/entries/000", b"\0\1x"),
    ("tile/entries/001.p/48", b""),
]


@pytest.mark.parametrize(("path", "data"), SPOILT, ids=[path for path, _ in SPOILT])
async def test_what_a_loss_of_power_spoilt_is_written_again(many: Town, tmp_path: Path, path: str, data: bytes):
    await exported(many.urls, tmp_path)
    (tmp_path / path).write_bytes(data)
    if data:
        await exported(many.urls, tmp_path)
        assert not read(many.urls, tmp_path).sound  # an export that had come to its end is not read again unasked
        await exported(many.urls, tmp_path, check=True)
        assert read(many.urls, tmp_path).sound
    (tmp_path / path).write_bytes(data)
    (tmp_path / "checkpoint").unlink()  # as of an export that was stopped
    await exported(many.urls, tmp_path)
    assert read(many.urls, tmp_path).sound


async def test_a_log_of_before_a_recovery_is_named_by_its_first_position(told: Told, tmp_path: Path):
    assert (await exported(told.urls, tmp_path, epoch=1)).size == 8
    with pytest.raises(NotFound):
        await exported(told.urls, tmp_path, epoch=2)


async def test_a_folder_of_something_else_is_left_alone(told: Told, tmp_path: Path):
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(NotItsFolder):
        await exported(told.urls, tmp_path)
    assert files(tmp_path) == {"letter.txt"}
    await exported(told.urls, tmp_path / "log")
    for name in (
        "checkpoint",
        "log.vkey",
        "head",
    ):  # as of an unpacked bundle: the same key, and a checkpoint of the log
        (tmp_path / "case").mkdir(exist_ok=True)
        (tmp_path / "case" / name).write_bytes((tmp_path / "log" / "checkpoint").read_bytes())
    (tmp_path / "case" / "log.vkey").write_bytes((tmp_path / "log" / "log.vkey").read_bytes())
    with pytest.raises(NotItsFolder, match="head"):
        await exported(told.urls, tmp_path / "case")
    with pytest.raises(NotItsFolder, match="access"):
        await exported(told.urls, tmp_path / "log", access=True)


async def test_a_folder_that_is_ahead_of_the_log_or_beside_it_is_left_alone(told: Told, tmp_path: Path):
    await exported(told.urls, tmp_path)
    note = (tmp_path / "checkpoint").read_text()
    lines = note.split("\n")
    (tmp_path / "checkpoint").write_text("\n".join([lines[0], "9", *lines[2:]]))
    with pytest.raises(NotItsFolder, match="9 leaves"):
        await exported(told.urls, tmp_path)
    (tmp_path / "checkpoint").write_text("\n".join([lines[0], "8", "A" * 43 + "=", *lines[3:]]))
    with pytest.raises(NotItsFolder, match="did not grow"):
        await exported(told.urls, tmp_path)


async def test_nothing_is_exported_that_is_not_as_it_was_signed(told: Told, server: Server, tmp_path: Path):
    await tamper(told, server, ["UPDATE events SET bytes = bytes || ' '::bytea WHERE case_id = %(case)s AND seq = 2"])
    with pytest.raises(BrokenTrail, match="position 6"):
        await exported(told.urls, tmp_path)
    assert not (tmp_path / "checkpoint").exists()
    await tamper(told, server, ["UPDATE log_checkpoints SET root = sha256('x') WHERE origin = %(access)s"])
    with pytest.raises(BrokenTrail, match="checkpoint 3"):
        await exported(told.urls, tmp_path / "access", access=True)


async def test_without_a_checkpoint_or_its_key_nothing_is_exported(database_urls: Urls, tmp_path: Path):
    with pytest.raises(NothingSigned):
        await exported(database_urls, tmp_path)
    await populate(database_urls)
    await integrated(database_urls)
    with pytest.raises(BrokenTrail, match="no key"):
        await exported(database_urls, tmp_path, key=keys_of(database_urls).access)
    assert files(tmp_path) == set()

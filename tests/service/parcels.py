"""Bundles of two cases of the town, made and unpacked for the tests that verify them."""

import asyncio
from pathlib import Path

import pytest
from tests.service.town import NOTE, PARTIES, Town, asked_by, opened
from tests.unpacked import pack_again, unpack, verify_sh
from tests.whole import integrated, keys_of

from mediation.gateway.logkeys import LogKey
from mediation.service.bundles import Dossier, gather, pack
from mediation.service.disclosing import asking, disclosed_whole
from mediation.service.findings import Trust
from mediation.service.proofreading import verify_bundle
from mediation.store import database

PARTY = {**PARTIES[0], "name": '王五 "_sd":["x"]'}


async def dossier_of(town: Town, case_id: str, patience_s: float = 0) -> Dossier:
    engine = database.engine(town.urls.reader)
    try:
        snapshots = engine.execution_options(isolation_level="REPEATABLE READ").begin
        return await gather(snapshots, case_id, keys_of(town.urls).events, patience_s=patience_s)
    finally:
        await engine.dispose()


async def disclosed(town: Town, case_id: str, who: str = "wang") -> list[str]:
    seen = await town.seen(who, case_id)
    return await disclosed_whole(town.house, asking(asked_by(who).context, seen.case, seen), "复核卷宗")


@pytest.fixture(scope="module")
def made(populated):
    """Two cases and a few of other people's events between theirs; each case's bundle, and an earlier one of the first."""

    async def tell():
        async with opened(populated) as town:
            case = (await town.file()).case
            other = (await town.file(parties=[PARTY, PARTIES[1]])).case
            for version in range(1, 4):
                await town.step("wang", case, NOTE | {"text": "电话联系"}, version=version)
                await town.step("wang", other, NOTE, version=version)
            await integrated(town.urls)
            earlier = await dossier_of(town, case)
            for version in range(4, 7):
                await town.step("wang", case, NOTE, version=version)
                await town.step("wang", other, NOTE, version=version)
            await integrated(town.urls)
            shown = await disclosed(town, case), await disclosed(town, other)
            return earlier, await dossier_of(town, case), await dossier_of(town, other), shown

    earlier, case, other, (shown, others) = asyncio.run(tell())
    key = keys_of(populated).events
    return {
        "key": key,
        "dossier": case,
        "earlier": pack(earlier, key),
        "case": pack(case, key, shown),
        "other": pack(other, key, others),
    }


@pytest.fixture
def bundle(made, tmp_path):
    """The bundle of the first case, unpacked; beside it the earlier one and that of the other case."""
    for name in ("earlier", "other"):
        unpack(made[name], tmp_path / name)
    return unpack(made["case"], tmp_path / "case")


def found(folder: Path, *vkeys: str, shell: str = "sh") -> tuple[int, str]:
    done = verify_sh(folder, *vkeys, shell=shell)
    assert done.stderr == ""
    return done.returncode, done.stdout


def read_by_us(folder: Path, key: LogKey):
    return verify_bundle(pack_again(folder), Trust(key.verifiers))

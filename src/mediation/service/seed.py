"""Fills an empty database with the county of the demo: its bodies, its people, and its disputes as they happened."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from uuid_utils import uuid7

from mediation.domain.calendar import SHANGHAI
from mediation.domain.commands import STEP
from mediation.domain.errors import MediationError
from mediation.gateway.logkeys import LogKeys
from mediation.gateway.vault import Vault
from mediation.service import registry
from mediation.service.integrate import integrate_once
from mediation.service.lawbook import load_laws, package_set
from mediation.service.naiman import county
from mediation.service.naiman.chronicle import CLOCK, Dispute, Line
from mediation.service.naiman.histories import history, together
from mediation.service.perform import Context, House, Request, perform
from mediation.settings import Urls
from mediation.store.append import Memory
from mediation.store.bodies import superiors
from mediation.store.database import engine, hot_pool
from mediation.store.shelf import note_set

AT_ONCE = 8
"""Steps under way at a time, each in a case of its own."""

Progress = Callable[[int, int], None]


class NotEmpty(MediationError):
    """The database has bodies already, and nobody said that it may be seeded all the same."""

    code = "not_empty"


class Seeded(NamedTuple):
    """How much of each was put into the database."""

    divisions: int
    organisations: int
    people: int
    cases: int
    steps: int


async def seed(
    urls: Urls,
    vault: Vault,
    *,
    keys: LogKeys | None = None,
    disputes: int | None = None,
    until: date | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Seeded:
    """Import the county and let its disputes (all, or so many of different paths) happen, up to the day `until`.

    The newest is filed on that day, by default yesterday; with `keys` the logs are signed at the end. `progress` is
    told steps done and steps in all.
    Raises: NotEmpty, unless `force`; DatabaseUnreachable; whatever a step is refused for.
    """
    last = until or datetime.now(SHANGHAI).date() - timedelta(days=1)
    lines = timeline(chosen(disputes), last)
    counts = await _registered(urls, force=force)
    pool = await hot_pool(urls.app, AT_ONCE, pooled=urls.pooled)
    try:
        house = House(Memory(pool), load_laws(), vault)
        cases = await _Seeding(house, lines, progress).run()
    finally:
        await pool.close()
    if urls.log and keys:
        await integrate_once(urls.log, keys)
    return Seeded(*counts, cases, sum(len(story) for story in lines))


def chosen(count: int | None) -> list[list[Dispute]]:
    """So many disputes, or a few more, of as many paths as may be; merged pairs stay together."""
    groups = together(county.disputes())
    if count is None:
        return groups
    met: Counter[str] = Counter()
    ranked = []
    for group in sorted(groups, key=lambda group: group[0]["id"] * 37 % 211):  # shuffled, else all are neighbours
        path = group[0]["path"]
        met[path] += 1
        ranked.append((met[path], group))
    taken: list[list[Dispute]] = []
    for _, group in sorted(ranked, key=lambda pair: pair[0]):
        if sum(map(len, taken)) >= count:
            break
        taken.append(group)
    return taken


def timeline(groups: Sequence[Sequence[Dispute]], until: date) -> list[list[Line]]:
    """The history of each group, the newest dispute of all filed on the day `until`."""
    shift = until - max(dispute["filed_on"] for dispute in county.disputes())
    calendar = load_laws().calendar
    return [history(group, shift, until, calendar) for group in groups]


async def _registered(urls: Urls, *, force: bool) -> tuple[int, int, int]:
    made = engine(urls.app, pooled=urls.pooled)
    try:
        async with made.connect() as connection:
            there = len(await superiors(connection))
        if there and not force:
            raise NotEmpty(
                zh=f"数据库中已有{there}个单位；确要在其上填充演示数据请加 --force。",
                en=f"The database has {there} organisations already; --force seeds it all the same.",
            )
        await note_set(made, load_laws().digest, package_set().files)
        return (
            await registry.import_divisions(made, county.divisions_csv()),
            await registry.import_organisations(made, county.as_csv(county.organisations())),
            await registry.import_people(made, county.as_csv(county.people())),
        )
    finally:
        await made.dispose()


class _Seeding:
    """Takes the steps of all stories in the order of time, several at once, but those of one story one by one."""

    def __init__(self, house: House, stories: Sequence[Sequence[Line]], progress: Progress | None) -> None:
        self._house = house
        self._lines = sorted(
            ((line.at, story, line) for story, lines in enumerate(stories) for line in lines), key=lambda row: row[:2]
        )
        self._progress = progress
        self._cases: dict[int, tuple[str, int]] = {}
        self._done = 0

    async def run(self) -> int:
        """How many cases there are in the end."""
        places = asyncio.Semaphore(AT_ONCE)
        before: dict[int, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as steps:
                for _, story, line in self._lines:
                    await places.acquire()
                    before[story] = steps.create_task(self._step(line, before.get(story), places))
        except* MediationError as refused:
            raise refused.exceptions[0] from None
        return len(self._cases)

    async def _step(self, line: Line, earlier: asyncio.Task[None] | None, places: asyncio.Semaphore) -> None:
        try:
            if earlier:
                await earlier
            await self._take(line)
        finally:
            places.release()
        self._done += 1
        if self._progress:
            self._progress(self._done, len(self._lines))

    async def _take(self, line: Line) -> None:
        person = CLOCK if line.who == CLOCK else registry.person_id(line.who)
        context = Context(person, registry.org_id(line.org), str(uuid7()))
        body = {name: self._resolved(value) for name, value in line.body.items()}
        known = self._cases.get(line.case)
        case_id, version = known or (None, None)
        event = await perform(
            self._house, Request(context, line.at, if_version=version), case_id, STEP.validate_python(body)
        )
        self._cases[line.case] = (event.case, event.seq)

    def _resolved(self, value: object) -> object:
        """`@case:7` and `@version:7` → the id and the version of the case of that dispute."""
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        what, _, number = value[1:].partition(":")
        case_id, version = self._cases[int(number)]
        return case_id if what == "case" else version
